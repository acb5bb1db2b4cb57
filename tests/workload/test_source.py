"""The tree of nodes: places, limits, aliases, merges; with libyaml's events and with those of pure Python."""

from __future__ import annotations

import re

import pytest
import yaml

from ptcalc.errors import InputError
from ptcalc.workload import source
from ptcalc.workload.source import MAX_BYTES, MAX_DEPTH, MAX_NODES, NO_VALUE, Positions, compose, decode


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(source, "_PARSER", yaml.SafeLoader)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without libyaml")
    return str(request.param)


def plain(text: str) -> object:
    root = compose(text, "w").root
    assert root is not None
    return root.to_plain()


def refused(text: str | bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        compose(decode(text, "w") if isinstance(text, bytes) else text, "w")
    assert caught.value.file == "w"
    assert caught.value.accepted
    caught.value.render()
    return caught.value


def test_scalars_stay_text() -> None:
    text = "{a: 010, b: no, c: 1e3, d: 6.10, e: 12:30:45, f: 2026-01-01, g: .nan, h: 0x1F, i: 1_000, j: =}"
    assert plain(text) == {
        "a": "010", "b": "no", "c": "1e3", "d": "6.10", "e": "12:30:45", "f": "2026-01-01",
        "g": ".nan", "h": "0x1F", "i": "1_000", "j": "=",
    }  # fmt: skip


def test_no_value_is_told_from_an_empty_text() -> None:
    found = plain("{a: , b: ~, c: null, d: Null, e: NULL, f: '', g: 'null', h: \"~\"}")
    assert isinstance(found, dict)
    assert [key for key, value in found.items() if value is NO_VALUE] == ["a", "b", "c", "d", "e"]
    assert (found["f"], found["g"], found["h"]) == ("", "null", "~")


def test_places() -> None:
    positions = compose("a:\n  - b: 1\n    'c d': {e: f}\n", "w")
    assert positions.of(("a", 0, "b")) == (2, 8)
    assert positions.of(("a", 0, "c d", "e")) == (3, 16)
    assert positions.of(("a", 0, "missing", "deeper")) == positions.of(("a", 0)) == (2, 5)
    assert positions.of(("a", 7)) == positions.of(("a",))
    assert positions.stated(("a", 0, "c d", "e"))
    assert not positions.stated(("a", 0, "e"))
    assert positions.dotted(("a", 0, "c d", "e")) == "a[0].'c d'.e"
    assert Positions("", "").of(("a",)) == (1, 1)
    assert not Positions("", "").stated(("a",))


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_lines_are_counted_as_yaml_does(break_: str) -> None:
    error = refused(f"a: 1{break_}b: 2{break_}a: 3{break_}")
    assert (error.line, error.column, error.quoted) == (3, 1, "a: 3")


def test_a_single_touch_is_a_list_of_one() -> None:
    positions = compose("touch: {every: 3}\nlist: {touch: [a, b]}", "w")
    assert positions.of(("touch", 0, "every")) == (1, 16)
    assert positions.dotted(("touch", 0, "every")) == "touch.every"
    assert positions.of(("list", "touch", 1)) == (2, 19)
    assert positions.dotted(("list", "touch", 0)) == "list.touch[0]"


def test_aliases_and_merges() -> None:
    text = """
x: &x {a: 1, b: 2}
y: &y {b: 3, c: 4}
one: {<<: *x, b: 5}
two: {b: 6, <<: [*x, *y]}
three: [*x, *x]
"<<": *y
"""
    found = plain(text)
    assert isinstance(found, dict)
    assert found["one"] == {"a": "1", "b": "5"}
    assert found["two"] == {"a": "1", "b": "6", "c": "4"}
    assert found["three"] == [{"a": "1", "b": "2"}] * 2
    assert found["<<"] == {"b": "3", "c": "4"}, "a quoted << is a key like any other"


def test_a_merged_value_knows_where_it_was_written() -> None:
    positions = compose("x: &x {a: 1}\ny: {<<: *x}", "w")
    assert positions.of(("y", "a")) == (1, 11)


@pytest.mark.parametrize(
    "text",
    ["[" * 60_000, "{a: " * 60_000, "- " * 60_000, "[" * 60_000 + "]" * 60_000],
    ids=["brackets", "mappings", "dashes", "closed"],
)
def test_deep_nesting(text: str) -> None:
    assert "nested deeper" in refused(text).message


@pytest.mark.parametrize("text", ["{" * 60_000, "? " * 60_000, "[{" * 30_000], ids=["braces", "questions", "both"])
def test_deep_nesting_in_keys(text: str) -> None:
    """What is seen first depends on how far the parser reads ahead."""
    assert re.search("stands as a key|nested deeper", refused(text).message)


def test_depth_at_the_limit() -> None:
    plain("[" * (MAX_DEPTH - 1) + "a" + "]" * (MAX_DEPTH - 1))
    refused("[" * MAX_DEPTH + "a" + "]" * MAX_DEPTH)


def test_aliases_do_not_hide_depth() -> None:
    lines = ["a0: &a0 " + "[" * 20 + "]" * 20]
    lines += [f"a{n}: &a{n} " + "[" * 20 + f"*a{n - 1}" + "]" * 20 for n in range(1, 4)]
    assert "nested deeper" in refused("\n".join(lines)).message


@pytest.mark.parametrize("merge", [False, True])
def test_exploding_anchors(merge: bool) -> None:
    lines = ["a0: &a0 {k: v}"]
    for number in range(1, 30):
        ten = ", ".join([f"*a{number - 1}"] * 10)
        lines.append(
            f"a{number}: &a{number} {{<<: [{ten}], k{number}: [{ten}]}}" if merge else f"a{number}: &a{number} [{ten}]"
        )
    assert f"{MAX_NODES:,}" in refused("\n".join(lines)).message


def test_long_chains_of_merges_are_bounded() -> None:
    keys = ", ".join(f"k{n}: v" for n in range(1000))
    text = f"m0: &m0 {{{keys}}}\n" + "".join(f"m{n}: &m{n} {{<<: *m{n - 1}}}\n" for n in range(1, 1000))
    assert f"{MAX_NODES:,}" in refused(text).message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("---\n...\n---\n", "second document"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: 1\na: 2", "stands twice"),
        ('{a: 1, "a": 2}', "stands twice"),
        ("{? [a] : 1}", "stands as a key"),
        ("{<<: *a}", "no anchor"),
        ("&a {<<: *a}", "inside its own anchor"),
        ("&a [*a]", "inside its own anchor"),
        ("{<<: [[]]}", "no mapping"),
        ("{<<: {}, <<: {}}", "stands twice"),
        ("!!python/object/apply:os.system ['true']", "tag"),
        ("! a", "tag"),
        ("!<x> [a]", "tag"),
        ("{a: !!int 3}", "tag"),
        ("a: b: c", "no YAML"),
        ("%YAML 3.0\n---\na", "no YAML"),
        ("a: |\n x\n\ty", "no YAML"),
        ("a: 'open", "no YAML"),
        ("{", "no YAML"),
        ("a: @b", "no YAML"),
        ("a\x00b", "U+0000"),
        ("\x1b[31m", "U+001B"),
        ("a: \ufffe", "U+FFFE"),
        ("a: \ud800", "U+D800"),
        (b"\xff\xfea\x00", "0xff"),
        (b"a: \xe9\n", "0xe9"),
        (b"\xef\xbb\xbfa: 1\nb: \x80", "0x80"),
        (b"\x7fELF\x02\x01", "U+007F"),
        (b"\x1f\x8b\x08\x00", "0x8b"),
        ("a" * (MAX_BYTES + 1), "more than 8"),
        (b"a" * (MAX_BYTES + 1), "more than 8"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_refused(text: str | bytes, says: str) -> None:
    assert says in refused(text).message


@pytest.mark.parametrize("text", ['"\\uD800"', '"\\UFFFFFFFF"', '"\\U00110000"', "%YAML 1." + "9" * 6000 + "\n---\na"])
def test_numbers_that_parsers_convert_carelessly(text: str) -> None:
    refused(text)


def test_places_of_bytes_that_are_no_text() -> None:
    error = refused(b"a: 1\nb: \xc3\xa9\x80")
    assert (error.line, error.column) == (2, 5)
    error = refused("a: 1\nb: é\x00")
    assert (error.line, error.column) == (2, 5)


def test_byte_order_mark() -> None:
    assert plain(decode(b"\xef\xbb\xbfa: 1", "w")) == {"a": "1"}
    assert plain("\ufeffa: 1") == {"a": "1"}
