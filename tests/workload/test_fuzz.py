"""Whatever comes in, a workload or an InputError comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.errors import InputError
from ptcalc.workload import Workload, loads
from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT

CASES = Path(__file__).parent / "cases"
FILES = [(CASES / name).read_text(encoding="utf-8") for name in ("full.yaml", "small.yaml", "events.yaml")]

# fmt: off
YAML_PIECES = st.sampled_from([
    "{", "}", "[", "]", ": ", ", ", "- ", "\n", "\n  ", "&a ", "*a", "<<: ", "!!x ", "'", '"', "|", ">", "? ",
    "#", "~", "---\n", "...", "%YAML 1.1\n", "\t", "\x00", "\ufeff", "\x85", "\u2028", "\u202e", "\ud800",
    "24%", "1 GiB", "-1", "0x10", "1e9", "9" * 5000, "version", "host", "touch", "all", "every", "ranges",
])
# fmt: on

SCALARS = st.one_of(
    st.sampled_from(["all", "none", "24%", "100%", "2 MiB", "4 KiB", "0", "1", "-1", "1.5 GiB", "hugetlb", "private"]),
    st.sampled_from(
        ["0x7ffffffff000", "1 GiB", "128 TiB", "4194304", "same", "independent", "r", "x86_64-la57", "sga"]
    ),
    st.integers().map(str),
    st.text(max_size=8),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def loaded(text: str | bytes) -> Workload | None:
    """A workload that keeps its bounds, or nothing if the text is refused by a message that can be shown."""
    for strict in (True, False):
        try:
            workload = loads(text, strict=strict)
        except InputError as error:
            shown = error.render()
            shown.encode("utf-8")
            assert all(line.isprintable() for line in shown.split("\n"))
            continue
        keeps_bounds(workload)
        return workload
    return None


def keeps_bounds(workload: Workload) -> None:
    geometry = workload.geometry
    assert 0 < sum(group.count for group in workload.processes.values()) <= MAX_COUNT
    assert 0 < workload.host.memory < SIZE_LIMIT
    for group in workload.processes.values():
        for mapping in group.mappings:
            segment = workload.segments[mapping.segment]
            assert 0 <= mapping.offset < segment.size < SIZE_LIMIT
            if mapping.address is not None:
                assert 0 <= mapping.address < geometry.task_size
                assert mapping.address % geometry.base_page == 0
            for touch in mapping.touch:
                assert all(part.start >= 0 and part.length > 0 for part in touch.ranges)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    loaded(text)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    loaded(data)


@given(st.lists(YAML_PIECES, max_size=40).map("".join))
def test_pieces_of_yaml(text: str) -> None:
    loaded(text)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good file with some of its text cut out, doubled, or overwritten."""
    text = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 20)))
        middle = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), YAML_PIECES, st.text(max_size=5)))
        text = text[:start] + middle + text[end:]
    return text


@given(damaged())
def test_damaged_files(text: str) -> None:
    loaded(text)


def _places(node: Any) -> list[tuple[Any, Any]]:
    found = []
    for key, value in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
        found.append((node, key))
        if isinstance(value, (dict, list)):
            found += _places(value)
    return found


@st.composite
def changed(draw: st.DrawFn) -> str:
    """A good file with other values at some keys, and some keys renamed or missing."""
    document = yaml.load(draw(st.sampled_from(FILES)), Loader=yaml.BaseLoader)
    for _ in range(draw(st.integers(1, 5))):
        node, key = draw(st.sampled_from(_places(document)))
        if isinstance(node, dict) and draw(st.booleans()):
            other = draw(st.sampled_from(_places(document)))[1]
            value = node.pop(key)
            if draw(st.booleans()):
                node[str(other)] = value
        else:
            node[key] = draw(VALUES)
    return yaml.safe_dump(document, sort_keys=False)


@given(changed())
def test_changed_documents(text: str) -> None:
    loaded(text)


@given(st.data())
def test_values_one_at_a_time(data: st.DataObject) -> None:
    """One odd value leaves the rest good, so that the checks behind the types are reached."""
    document = yaml.load(data.draw(st.sampled_from(FILES)), Loader=yaml.BaseLoader)
    node, key = data.draw(st.sampled_from(_places(document)))
    node[key] = data.draw(VALUES)
    loaded(yaml.safe_dump(document, sort_keys=False))
