"""Events of a workload file: what each entry is read as, and what is refused, at which place and in which words."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ptcalc.errors import InputError
from ptcalc.workload import Range, Touch, loads
from ptcalc.workload.events import Chosen, Event, Fork, Grow, Mark, Mprotect, Munmap, Part, Start, TouchMore
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.sizes import parse_duration

CASES = Path(__file__).parent / "cases"
EVENTS = (CASES / "events.yaml").read_text(encoding="utf-8")
REFUSED: list[dict[str, Any]] = yaml.load(
    (CASES / "events_refused.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader
)
GIB = 1 << 30


def read(entry: str) -> Event:
    """The last event of events.yaml, written as `entry`."""
    return loads(EVENTS.replace("mark: {}", entry), name="w.yaml").events[-1]


@pytest.mark.parametrize("case", REFUSED, ids=[f"{n}-{case['new'][:40]!r}" for n, case in enumerate(REFUSED)])
def test_refused(case: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        read(case["new"])

    error = caught.value
    assert (error.file, error.line) == ("w.yaml", 1 + EVENTS[: EVENTS.index("mark: {}")].count("\n"))
    assert str(error.quoted)[(error.column or 0) - 1 :].startswith(case["at"])
    assert case["says"] in error.message
    assert error.accepted, "says what would be accepted"
    assert case.get("accepted", "") in error.accepted
    assert error.suggestion == case.get("suggests")


def test_events_are_read_with_their_defaults() -> None:
    first, second, third, last = loads(EVENTS).events
    assert first == Event(Start(Chosen("server", 100)), path=("events", 0))
    assert second.action == Mprotect(Chosen("server", 50, "", "readers"), Part(0, 0, GIB), "r")
    assert (second.at, second.name, second.refault) == (Fraction(3600), "first", True)
    assert third.action == Munmap(Chosen("server", None, "readers"), Part(0, 4 * GIB, GIB))
    assert (last.action, last.at) == (Mark(), Fraction(3600))


def test_forms_of_single_events() -> None:
    assert read("{fork: {group: server, label: readers, count: 3, into: child}, refault: false}") == Event(
        Fork(Chosen("server", 3, "readers"), "child"), Fraction(3600), refault=False, path=("events", 3)
    )
    assert read("munmap: {group: other, mapping: '3', start: 1 GiB}").action == Munmap(
        Chosen("other"), Part(3, GIB, 6 * GIB)
    )
    touch = Touch("ranges", ranges=(Range(0, 4096),))
    assert read("touch: {group: server, touch: {ranges: [{start: 0, length: 4 KiB}]}}").action == TouchMore(
        Chosen("server"), 0, (touch,)
    )
    assert read("grow: {group: server, rate: 1%, until: 1 GiB}").action == Grow(
        Chosen("server"), 0, Fraction(1, 100), GIB
    )


def test_a_file_without_processes_needs_events() -> None:
    text = EVENTS[: EVENTS.index("events:")]

    with pytest.raises(InputError, match="too small"):
        loads(text)
    assert loads(text + "events: [{start: {group: child, count: 1}}]").processes["child"].count == 0


@pytest.mark.parametrize("score", ["-1001", "1001", "much", "1.5", "99999999999999999999"])
def test_oom_score_adj_has_bounds(score: str) -> None:
    with pytest.raises(InputError) as caught:
        loads(EVENTS.replace("idle: {count: 3}", f"idle: {{count: 3, oom_score_adj: {score}}}"))

    assert caught.value.accepted == "a whole number from -1000 to 1000"


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90 s", "1.5min", "8 h", "2d", "0")] == [90, 90, 28800, 172800, 0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from([None, "a", "b"])), max_size=12))
def test_intervals_are_what_a_list_of_places_says(changes: list[tuple[int, int, str | None]]) -> None:
    places: list[str | None] = [None] * 20
    found: Intervals[str] = Intervals()
    for lo, hi, value in changes:
        found = found.set(lo, hi, value)
        places[lo:hi] = [value] * (hi - lo)

        assert [next((each for start, end, each in found if start <= at < end), None) for at in range(20)] == places
        assert all(
            a[1] < b[0] or (a[1] == b[0] and a[2] != b[2]) for a, b in zip(found.parts, found.parts[1:], strict=False)
        )
        hole = next((at for at in range(lo, hi) if places[at] is None), None)
        assert found.first_hole(lo, hi) == hole
