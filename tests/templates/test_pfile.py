"""Oracle's parameter files: what stands in them, and where they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptcalc.errors import InputError
from ptcalc.templates.pfile import ParameterFile

GIB = 1 << 30


def parsed(tmp_path: Path, text: str, sid: str | None = None) -> ParameterFile:
    path = tmp_path / "init.ora"
    path.write_text(text, encoding="utf-8")
    return ParameterFile(str(path), sid)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("sga_target=1G", "sga_target", "1G"),
        ("*.sga_target=1G", "sga_target", "1G"),
        ("SGA_TARGET = 1G", "sga_target", "1G"),
        ("sga_target\t=\t'1G' # a comment", "sga_target", "1G"),
        ('sga_target="1G"', "sga_target", "1G"),
        ("# sga_target=2G\nsga_target=1G\n", "sga_target", "1G"),
        ("sga_target=2G\nsga_target=1G", "sga_target", "1G"),  # the last one counts
        ("*.sga_target=2G\norcl.sga_target=1G", "sga_target", "1G"),  # the instance's before that of all
        ("orcl.sga_target=1G\n*.sga_target=2G", "sga_target", "1G"),
        ("orcl.__sga_target=1073741824", "__sga_target", "1073741824"),
        ("processes = 100 sga_target = 1G open_cursors = 10", "sga_target", "1G"),
        ("control_files=(a, b,\n c)\nsga_target=1G", "control_files", "a, b, c"),
        ("control_files='/u/a',\\\n'/u/b'\nsga_target=1G", "control_files", "/u/a, /u/b"),
        ("control_files=a,\nb\nsga_target=1G", "control_files", "a, b"),
        ("rollback_segments = s1 s2 s3\nsga_target=1G", "rollback_segments", "s1, s2, s3"),
        ("db_domain = JAPAN.ACME\\#.COM\nsga_target=1G", "db_domain", "JAPAN.ACME#.COM"),
        ("db_domain = 'JAPAN.ACME#.COM'", "db_domain", "JAPAN.ACME#.COM"),
        ("dispatchers=(PROTOCOL=TCP) (SERVICE=orclXDB)\nsga_target=1G", "sga_target", "1G"),
        ('C"\n*.sga_target=1G\nU\n*.processes=5'.replace('"', ""), "sga_target", "1G"),  # heads of blocks
        ("sga_target=1G\r\nprocesses=5\r\n", "sga_target", "1G"),
        ("\ufeffsga_target=1G", "sga_target", "1G"),
    ],
)
def test_values(tmp_path: Path, text: str, name: str, value: str) -> None:
    found = parsed(tmp_path, text).find(name)

    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("sga_target 1G\n", "1:1", "is no parameter"),
        ("processes=5\n  sga_target\n", "2:3", "is no parameter"),
        ("sga_target=\nprocesses=5", "1:1", "has no value"),
        ("sga_target=1G processes=", "1:15", "has no value"),
        ("sga_target=(1G\n", "1:1", "does not end"),
        ("sga_target=1G)\n", "1:14", "does not belong here"),
        ("sga_target='1G\n", "1:12", "does not belong here"),
        ("9sga=1G\n", "1:1", "no name of a parameter"),
        ("processes=5\nifile=/u01/common.ora\n", "2:7", "ifile"),
    ],
)
def test_refused(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        parsed(tmp_path, text)

    assert f"{refused.value.line}:{refused.value.column}" == place
    assert refused.value.accepted


@pytest.mark.parametrize("value", ["1X", "-1", "1.5G", "1GB", "1 G", "", "999999999T", "9" * 4000])
def test_sizes_are_refused_at_their_place(tmp_path: Path, value: str) -> None:
    found = parsed(tmp_path, f"processes=5\n  *.sga_target='{value}'\n")
    with pytest.raises(InputError) as refused:
        found.size("sga_target")

    assert (refused.value.line, refused.value.column) == (2, 16)


@pytest.mark.parametrize(("value", "size"), [("0", 0), ("5", 5), ("64k", 65536), ("3M", 3 << 20), ("2T", 2 << 40)])
def test_sizes(tmp_path: Path, value: str, size: int) -> None:
    assert parsed(tmp_path, f"sga_target={value}").size("sga_target") == size


def test_instances(tmp_path: Path) -> None:
    text = "*.sga_target=1G\nprod1.processes=100\nprod2.processes=200\nprod2.sga_target=2G\n"

    assert parsed(tmp_path, text, "PROD2").size("sga_target") == 2 * GIB
    assert parsed(tmp_path, text, "prod1").size("sga_target") == GIB
    with pytest.raises(InputError, match="2 instances") as several:
        parsed(tmp_path, text)
    assert "prod1, prod2" in str(several.value.accepted)
    with pytest.raises(InputError, match="prod3"):
        parsed(tmp_path, text, "prod3")


def test_what_is_no_text(tmp_path: Path) -> None:
    """A server parameter file is binary: the message says how to get a text of it."""
    path = tmp_path / "spfile.ora"
    path.write_bytes(b'C"\0\0\0\0*.sga_target=1G\n')
    with pytest.raises(InputError, match="no text file") as refused:
        ParameterFile(str(path))
    assert "CREATE PFILE" in str(refused.value.accepted)

    path.write_text("\n# nothing\n")
    with pytest.raises(InputError, match="no parameter"):
        ParameterFile(str(path))
    with pytest.raises(InputError, match="cannot be read"):
        ParameterFile(str(tmp_path / "missing.ora"))
