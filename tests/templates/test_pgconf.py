"""PostgreSQL's configuration files: what stands in them, and where they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptcalc.errors import InputError
from ptcalc.templates.pgconf import Configuration

BLOCK = 8192


def parsed(tmp_path: Path, text: str, **others: str) -> Configuration:
    for name, content in others.items():
        (tmp_path / name.replace("__", ".")).write_text(content)
    path = tmp_path / "postgresql.conf"
    path.write_text(text, encoding="utf-8")
    return Configuration(str(path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("shared_buffers = 16384", "16384"),
        ("shared_buffers 16384", "16384"),
        ("  Shared_Buffers='128MB'   # a comment", "128MB"),
        ("shared_buffers = 1GB#close", "1GB"),
        ("shared_buffers=1GB\nshared_buffers=2GB", "2GB"),
        ("#shared_buffers = 1GB\nshared_buffers = '2GB' # '3GB'", "2GB"),
        (r"shared_buffers = 'it''s \'quoted\''", "it's 'quoted'"),
        ("shared_buffers = 2GB\nmy.shared_buffers = 1GB", "2GB"),
        ("\ufeffshared_buffers = 2GB\r\n", "2GB"),
    ],
)
def test_values(tmp_path: Path, text: str, value: str) -> None:
    found = parsed(tmp_path, text).find("shared_buffers")

    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("value", "blocks"),
    [
        ("16384", 16384),
        ("128MB", 16384),
        ("'128 MB'", 16384),
        ("1GB", 131072),
        ("0.5GB", 65536),
        ("131072kB", 16384),
        ("1TB", 134217728),
        ("8192B", 1),
        ("0x4000", 16384),
        ("12kB", 2),  # 1.5 blocks: to the even one, as rint() does
        ("16384.4", 16384),
    ],
)
def test_units(tmp_path: Path, value: str, blocks: int) -> None:
    assert parsed(tmp_path, f"shared_buffers = {value}").amount("shared_buffers", BLOCK, 0, 1 << 30) == blocks


@pytest.mark.parametrize("value", ["128M", "128mb", "'1 2'", "x", "-1", "9999999TB", "1e3GB"])
def test_units_refused(tmp_path: Path, value: str) -> None:
    found = parsed(tmp_path, f"\n shared_buffers = {value}")
    with pytest.raises(InputError) as refused:
        found.amount("shared_buffers", BLOCK, 0, 1 << 30)

    assert (refused.value.line, refused.value.column) == (2, 19)


@pytest.mark.parametrize(
    ("text", "place"),
    [("shared_buffers", "1:1"), ("\n  = 5", "2:3"), ("a = 'b", "1:1"), ("a = b c", "1:1"), ("a-b = c", "1:1")],
)
def test_lines_refused(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(InputError, match="no parameter") as refused:
        parsed(tmp_path, text)

    assert f"{refused.value.line}:{refused.value.column}" == place


def test_includes(tmp_path: Path) -> None:
    """Included files count where they are named, relative to the file that names them; auto.conf counts last."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "10-a.conf").write_text("work_mem = 1MB\ninclude '../inner.conf'")
    (folder / "20-b.conf").write_text("work_mem = 2MB")
    (folder / ".hidden.conf").write_text("work_mem = 3MB")
    (folder / "30-c.txt").write_text("work_mem = 4MB")
    found = parsed(
        tmp_path,
        "shared_buffers = 1GB\nmax_connections = 5\ninclude_dir 'conf.d'\ninclude_if_exists = 'missing.conf'\n"
        "max_connections = 6\n",
        inner__conf="shared_buffers = 2GB\nmax_connections = 7\n",
        postgresql__auto__conf="shared_buffers = '3GB'\n",
    )

    values = {name: found.find(name) for name in ("shared_buffers", "max_connections", "work_mem")}
    assert {name: each and each.value for name, each in values.items()} == {
        "shared_buffers": "3GB",
        "max_connections": "6",
        "work_mem": "2MB",
    }
    assert [Path(name).name for name in found.files] == [
        "postgresql.conf", "10-a.conf", "inner.conf", "20-b.conf", "postgresql.auto.conf",
    ]  # fmt: skip


def test_includes_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as missing:
        parsed(tmp_path, "\ninclude 'missing.conf'\n")
    assert (missing.value.line, missing.value.column) == (2, 9)
    with pytest.raises(InputError, match="cannot be read"):
        parsed(tmp_path, "include_dir 'missing'\n")
    with pytest.raises(InputError, match="more than 10 deep"):
        parsed(tmp_path, "include 'postgresql.conf'\n")
    with pytest.raises(InputError, match="cannot be read"):
        Configuration(str(tmp_path / "none.conf"))


def test_words(tmp_path: Path) -> None:
    found = parsed(tmp_path, "huge_pages = TRUE\nshared_memory_type = windows\n")

    assert found.word("huge_pages", ("on", "off", "try")) == "on"
    with pytest.raises(InputError, match="'windows' is no value") as refused:
        found.word("shared_memory_type", ("mmap", "sysv"))
    assert refused.value.accepted == "mmap, sysv"
