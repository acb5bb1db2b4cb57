"""The config file: what it may say, and where its errors point."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from ptcalc.errors import InputError
from ptcalc.risk.config import KEYS, Config, load_config, loads_config

DEFAULT = Path(__file__).parents[2] / "configs" / "default.yaml"


def test_the_default_file_says_what_the_defaults_are() -> None:
    assert load_config(DEFAULT) == Config()


def test_the_default_file_documents_every_key() -> None:
    text = DEFAULT.read_text()

    assert all(f"\n  {key}: " in text for keys in KEYS.values() for key in keys)
    assert {key.field for keys in KEYS.values() for key in keys.values()} == set(Config.__slots__) - {"geometries"}


def test_a_file_may_leave_keys_out() -> None:
    config = loads_config("version: 1\nlevels:\n  ok: 20%\nprocess: {kernel_stack: 32 KiB}\n")

    assert config == Config(ok_free=Fraction(1, 5), kernel_stack=32 << 10)


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("levels: {ok: 110%}", (1, 14), "100%"),
        ("levels: {ok: 0.1}", (1, 14), "0.1"),
        ("levels:\n  okay: 10%", (2, 3), "okay"),
        ("level:\n  ok: 10%", (1, 1), "level"),
        ("levels: {ok: 1%}", (1, 9), "levels.warning"),
        ("levels: 10%", (1, 9), "mapping"),
        ("levels: {ok: [10%]}", (1, 14), "single value"),
        ("levels: {ok: }", (1, 14), "single value"),
        ("version: 2", (1, 10), "version"),
        ("host: {page_struct: -1}", (1, 21), "negative"),
        ("host: {used_base_divisor: 0}", (1, 27), "too small"),
        ("host: {thp_watermarks: maybe}", (1, 24), "true nor false"),
        ("findings: {touch_band: 0.5}", (1, 24), "factor"),
        ("findings: {touch_band: nan}", (1, 24), "factor"),
        ("process: {pid_max: 1e9}", (1, 20), "1e9"),
        ("- 1", (1, 1), "mapping"),
        ("a: b: c", None, "YAML"),
        ("", None, "empty"),
    ],
)
def test_errors_point_at_the_value(text: str, place: tuple[int, int] | None, part: str) -> None:
    with pytest.raises(InputError) as caught:
        loads_config(text, name="rules.yaml")

    assert part in caught.value.render()
    assert caught.value.file == "rules.yaml"
    if place is not None:
        assert (caught.value.line, caught.value.column) == place


def test_a_typo_is_answered_with_the_nearest_key() -> None:
    with pytest.raises(InputError) as caught:
        loads_config("host:\n  page_strukt: 64\n")

    assert caught.value.suggestion == "page_struct"


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / path)
