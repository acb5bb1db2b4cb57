"""What a team has agreed on: the sections ``budgets`` and ``accept`` of a workload or config file.

Both are lists whose entries know their places, so that whatever is wrong with one points at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal, TypeVar, cast

from ptcalc.checking.result import Acceptance
from ptcalc.checking.rules import ACCEPTABLE
from ptcalc.errors import InputError, nearest, quote
from ptcalc.policies import Policy
from ptcalc.result import RISK_ORDER, RiskLevel
from ptcalc.workload.sizes import kind_of, parse_amount, parse_count, parse_growth, parse_size
from ptcalc.workload.source import Node, Positions, entries

BudgetRule = Literal["risk", "headroom", "page_tables", "page_tables_per_process", "max_processes", "growth"]
Of = Literal["page_tables", "demand"]
T = TypeVar("T")

MAX_AGREEMENTS = 1000  # of one file
MAX_TEXT = 1000  # characters of a message, a link or a reason


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound, and what is said where it is missed.

    ``bound`` is a place in RISK_ORDER (risk), a number (max_processes), bytes, or a share as a fraction of 1: of the
    capacity (headroom), of the installed memory (page_tables), of the base line (growth).  ``node`` is where it stands
    in the file of ``positions``.
    """

    rule: BudgetRule
    bound: int | Fraction
    level: Literal["warning", "error"]
    policy: str  # empty: each judged one
    message: str
    link: str
    of: Of  # of growth
    baseline: str  # of growth: a path, relative to the file
    positions: Positions
    node: Node

    @property
    def place(self) -> str:
        """``file:line:column`` of the bound."""
        return f"{self.positions.file}:{self.node.line}:{self.node.column}"

    def error(self, error: InputError) -> InputError:
        """Return an error at this budget's place."""
        return self.positions.at(self.node, error)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An acceptance and where it stands."""

    acceptance: Acceptance
    number: int  # in the list
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Agreements:
    """Budgets and acceptances of one file, in its order."""

    budgets: tuple[Budget, ...] = ()
    acceptances: tuple[Accepted, ...] = ()


def read_agreements(positions: Positions, known: Sequence[Policy], *, hypothetical: bool) -> Agreements:
    """Return what stands below ``budgets`` and ``accept`` of a document.

    ``known`` are the policies that there are; those that no mainline kernel has may be named only where
    ``hypothetical``.  Raises InputError, at its place, for whatever is no budget and no acceptance.
    """
    reader = _Reader(positions, {policy.name: policy for policy in known}, hypothetical=hypothetical)
    return Agreements(
        tuple(reader.budget(node) for node in _list(positions, "budgets")),
        tuple(reader.accepted(node, number) for number, node in enumerate(_list(positions, "accept"))),
    )


def require_policy(name: str, known: dict[str, Policy], *, hypothetical: bool) -> None:
    """Raise InputError, without a place, for a policy that there is not, or that may not be judged."""
    if name not in known:
        raise InputError(f"{quote(name)} is no policy", accepted=", ".join(known), suggestion=nearest(name, known))
    if not hypothetical and not known[name].availability.deployable:
        state = known[name].availability.state
        raise InputError(
            f"{quote(name)} is in no mainline kernel (state: {state})",
            accepted="a policy that can be deployed, or --hypothetical",
        )


def _list(positions: Positions, section: str) -> Iterator[Node]:
    """Yield the entries of a section; none where it is not written."""
    node, whole = positions.find((section,))
    if node is None or not whole:
        return
    if not isinstance(node.value, list):
        raise positions.at(node, InputError(f"{section} is no list", accepted="a list of mappings"))
    if len(node.value) > MAX_AGREEMENTS:
        raise positions.at(node, InputError(f"{len(node.value):,} entries", accepted=f"at most {MAX_AGREEMENTS:,}"))
    yield from node.value


class _Reader:
    """Reads entries of one file."""

    def __init__(self, positions: Positions, known: dict[str, Policy], *, hypothetical: bool) -> None:
        self.positions = positions
        self.known = known
        self.hypothetical = hypothetical

    def budget(self, node: Node) -> Budget:
        kind = cast("BudgetRule", self.value(node, "rule", _word(*BOUNDS)))
        side, read, beside = BOUNDS[kind]
        known = dict(entries(self.positions, node, ("rule", side, *beside, "level", "policy", "message", "link")))
        bound = self.value(node, side, read)
        return Budget(
            rule=kind,
            bound=bound,
            level="warning" if self.value(node, "level", _word("error", "warn"), "error") == "warn" else "error",
            policy=self.policy(node, judged=True),
            message=self.value(node, "message", _prose, ""),
            link=self.value(node, "link", _link, ""),
            of=cast("Of", self.value(node, "of", _word("page_tables", "demand"), "page_tables")),
            baseline=self.value(node, "baseline", _prose) if "baseline" in beside else "",
            positions=self.positions,
            node=known[side],
        )

    def accepted(self, node: Node, number: int) -> Accepted:
        list(entries(self.positions, node, ("rule", "reason", "owner", "until", "policy")))  # no other keys
        acceptance = Acceptance(
            rule=self.value(node, "rule", _word(*ACCEPTABLE)),
            reason=self.value(node, "reason", _prose),
            owner=self.value(node, "owner", _prose),
            until=self.value(node, "until", _day),
            policy=self.policy(node, judged=False),
        )
        return Accepted(acceptance, number, node.line, node.column)

    def policy(self, node: Node, *, judged: bool) -> str:
        """Return the policy that an entry names; one that is judged may have to be deployable."""

        def read(text: str) -> str:
            require_policy(text, self.known, hypothetical=self.hypothetical or not judged)
            return text

        return self.value(node, "policy", read, "")

    def value(self, node: Node, key: str, read: Callable[[str], T], default: T | None = None) -> T:
        """Return what stands at a key of an entry; raise InputError for nonsense, or if it is missing and must not."""
        if not isinstance(node.value, dict):
            raise self.positions.at(node, InputError(f"{_what(node)} stands here", accepted="a mapping with a rule"))
        if key not in node.value:
            if default is None:
                raise self.positions.at(node, InputError(f"key {quote(key)} is missing", accepted=_NEEDED[key]))
            return default
        content = node.value[key][1]
        if not isinstance(content.value, str) or content.null:
            raise self.positions.at(content, InputError(f"{key}: {_what(content)}", accepted=_NEEDED[key]))
        try:
            return read(content.value.strip())
        except InputError as error:
            raise self.positions.at(content, error) from None


def _what(node: Node) -> str:
    return "no value" if node.null else kind_of(node.value) if not isinstance(node.value, str) else quote(node.value)


def _word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise InputError(
                f"{quote(text)} is none of the words accepted",
                accepted=", ".join(words),
                suggestion=nearest(text, words),
            )
        return text

    return read


def _prose(text: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT:
        raise InputError(f"a text of {len(text):,} characters", accepted=f"1 to {MAX_TEXT:,} characters")
    return text


def _link(text: str) -> str:
    # It becomes a link in reports: nothing that a browser would run.
    if not re.match(r"https?://[^\s/]", text) or not text.isprintable():
        raise InputError(f"{quote(text)} is no link", accepted="an address that starts with https:// or http://")
    return _prose(text)


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError(f"{quote(text)} is no day", accepted="a day such as 2027-03-31")


def _risk(text: str) -> int:
    return [*RISK_ORDER].index(cast("RiskLevel", _word(*RISK_ORDER)(text)))


# rule -> (the key of its bound, how that is read, the keys that it alone has)
BOUNDS: dict[BudgetRule, tuple[str, Callable[[str], int | Fraction], tuple[str, ...]]] = {
    "risk": ("at_most", _risk, ()),
    "headroom": ("at_least", parse_amount, ()),
    "page_tables": ("at_most", parse_amount, ()),
    "page_tables_per_process": ("at_most", parse_size, ()),
    "max_processes": ("at_least", parse_count, ()),
    "growth": ("at_most", parse_growth, ("of", "baseline")),
}
# What may stand at each key.
_NEEDED = {
    "rule": "rule: what it is about",
    "at_most": "at_most: the largest value that will do",
    "at_least": "at_least: the smallest value that will do",
    "of": "of: page_tables or demand",
    "baseline": "baseline: the path of a result that estimate --format json has printed",
    "level": "level: error or warn",
    "policy": "policy: the name of one policy",
    "message": "message: a text",
    "link": "link: https://...",
    "reason": "reason: why this is accepted",
    "owner": "owner: who answers for it",
    "until": "until: the last day on which it holds, such as 2027-03-31",
}
