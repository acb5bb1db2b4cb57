"""Paths, standard input, --strict and the assumptions that a workload lists."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from ptcalc.errors import InputError
from ptcalc.workload import load, loads

SMALL = Path(__file__).parent / "cases" / "small.yaml"
FULL = Path(__file__).parent / "cases" / "full.yaml"

STATED = """\
version: 1
name: nothing to guess
host: {memory: 8 GiB, mem_total: 7 GiB, kernel: "6.18", used: 1 GiB}
segments:
  sga: {size: 1 GiB, backing: shmem}
  heap: {size: 1 GiB, backing: private}
processes:
  server:
    count: 2
    private: 0
    base_tables: 512 KiB
    mappings:
      - {segment: sga, address: 1 GiB, touch: all}
      - {segment: sga, alignment: 2 MiB, touch: none}
      - {segment: heap, touch: all}
      - {segment: sga, address: 8 GiB, protection: none}
"""


def test_load_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from_path = load(SMALL)
    assert from_path.file == str(SMALL)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SMALL.read_bytes())))
    from_stdin = load("-")
    assert from_stdin.file == "<stdin>"
    assert (from_stdin.host, from_stdin.processes) == (from_path.host, from_path.processes)


def test_standard_input_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="cannot be read"):
        load("-")
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    with pytest.raises(InputError, match="cannot be read"):
        load("-")


@pytest.mark.parametrize("name", ["", "missing.yaml", "a\x00b", "x" * 5000, "\ud800", "."])
def test_paths_that_cannot_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be read") as caught:
        load(name)
    caught.value.render().encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("version: 1")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        load(path)


def test_endless_and_binary_files() -> None:
    with pytest.raises(InputError, match="more than 8 MiB"):
        load("/dev/zero")
    with pytest.raises(InputError, match="empty"):
        load("/dev/null")
    with pytest.raises(InputError, match="no text file"):
        loads(b"\x7fELF\x02\x80")


def test_hostile_names_are_kept_and_shown_harmlessly() -> None:
    name = "\x1b[31m[bold]\n\u202e"
    text = SMALL.read_text().replace("  server:", '  "\\e[31m[bold]\\n\\u202e":').replace("count: 2", "count: -2")
    with pytest.raises(InputError) as caught:
        loads(text)
    shown = caught.value.render()
    assert "\x1b" not in shown and "\u202e" not in shown
    workload = loads(text.replace("-2", "2"))
    assert list(workload.processes) == [name]
    assert all(assumption.key.isprintable() for assumption in workload.assumptions)


def test_keys_for_anchors_are_ignored() -> None:
    text = SMALL.read_text() + "x-anything: {at: [all, ~]}\n"
    assert loads(text).processes == load(SMALL).processes
    with pytest.raises(InputError, match="unknown key 'y-anything'"):
        loads(text.replace("x-any", "y-any"))


def test_strict_accepts_what_is_stated() -> None:
    workload = loads(STATED, strict=True)
    assert [assumption.key for assumption in workload.assumptions] == ["host.arch"]


@pytest.mark.parametrize(
    ("old", "key"),
    [
        (", mem_total: 7 GiB", "host.mem_total"),
        (', kernel: "6.18"', "host.kernel"),
        (", used: 1 GiB", "host.used"),
        ("    private: 0\n", "processes.server.private"),
        ("    base_tables: 512 KiB\n", "processes.server.base_tables"),
        (", address: 1 GiB", "processes.server.mappings[0].alignment"),
        (", alignment: 2 MiB", "processes.server.mappings[1].alignment"),
        (", touch: none", "processes.server.mappings[1].touch"),
    ],
)
def test_strict_refuses_to_guess(old: str, key: str) -> None:
    text = STATED.replace(old, "")
    assert key in {assumption.key for assumption in loads(text).assumptions}
    with pytest.raises(InputError) as caught:
        loads(text, strict=True, name="w.yaml")
    assert caught.value.message.startswith(f"{key}: is not stated")
    assert not caught.value.more
    assert caught.value.line


def test_strict_wants_the_pool_of_huge_pages() -> None:
    text = STATED.replace("backing: shmem}", "backing: hugetlb}").replace(", protection: none", ", touch: none")
    with pytest.raises(InputError, match=r"host\.hugepages: is not stated"):
        loads(text, strict=True)
    loads(text.replace("memory:", "hugepages: {2M: 512}, memory:"), strict=True)


def test_strict_names_all_keys() -> None:
    with pytest.raises(InputError) as caught:
        load(SMALL, strict=True)
    names = [error.message.partition(":")[0] for error in (caught.value, *caught.value.more)]
    assert "host.used" in names and "processes.server.mappings[3].touch" in names
    assert "more errors" in caught.value.render()


def test_assumptions_say_what_and_why() -> None:
    found = {assumption.key: assumption for assumption in load(SMALL).assumptions}
    assert found["host.kernel"].value == "7.2"
    assert found["processes.server.private"].value == "0 B"
    assert found["processes.server.mappings[1].alignment"].value == "2 MiB"
    assert "processes.server.mappings[2].alignment" not in found, "private memory is not shared"
    assert all(assumption.why and assumption.value for assumption in found.values())


def test_many_equal_assumptions_are_counted() -> None:
    text = SMALL.read_text().replace("- {segment: sga}", "- {segment: sga}\n      " * 50 + "- {segment: sga}")
    found = {assumption.key: assumption for assumption in loads(text).assumptions}
    assert "(54 times)" in found["processes.*.mappings[*].touch"].why


def test_stated_and_places() -> None:
    workload = load(FULL)
    assert workload.stated(("host", "used"))
    assert not workload.stated(("segments", "sga", "page_size"))
    error = workload.error(("host", "used"), "too much", accepted="less")
    assert (error.file, error.line, error.message) == (str(FULL), 10, "host.used: too much")
