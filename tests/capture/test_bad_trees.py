"""Trees and archives with holes, torn files, links and bombs: clear messages, nothing lost, never a traceback."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc.capture import Detail, capture_system
from ptcalc.capture import archive as archives
from ptcalc.errors import CannotDoHere, InputError

from .trees import archive, bundle, directory

FILES = bundle("postgres-fork")


def without(*ends: str) -> dict[str, bytes]:
    """The files of the scenario but those whose paths end so."""
    return {path: data for path, data in FILES.items() if not path.endswith(ends)}


def test_processes_without_maps_keep_their_counters(tmp_path: Path) -> None:
    """What cannot be mapped out is still counted."""
    found = capture_system(proc_root=str(directory(without("1003/maps"), tmp_path)))
    whole = capture_system(proc_root=str(directory(FILES, tmp_path / "whole")))

    assert sum(map(len, found.groups.values())) == sum(map(len, whole.groups.values())) == 9
    assert found.missing == ("1 process without maps, only the counters are in the file: postmaster (1003)",)


def test_files_beyond_all_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that no kernel writes is not read into memory."""
    tree = directory(FILES, tmp_path)
    os.truncate(tree / "proc/1003/maps", 1 << 40)
    os.truncate(tree / "proc/1004/status", 1 << 40)

    found = capture_system(proc_root=str(tree))

    assert any("2 processes with lines" in note and "postmaster (1003)" in note for note in found.missing)


def test_torn_maps_are_named(tmp_path: Path) -> None:
    """A file that ends in the middle of a line is said, and the lines before it are used."""
    torn = FILES["proc/1003/maps"]
    cut = torn[: torn.index(b"/dev/shm/") + 3]
    found = capture_system(proc_root=str(directory({**FILES, "proc/1003/maps": cut}, tmp_path)))

    assert any("torn" in note and "postmaster (1003)" in note for note in found.missing)
    assert any(1003 in pids for pids in found.groups.values())


def test_vanished_processes_are_counted_and_named(tmp_path: Path) -> None:
    """A directory without a status file was a process."""
    directory(FILES, tmp_path)
    (tmp_path / "proc/1004/status").unlink()

    found = capture_system(proc_root=str(tmp_path), pids=[1003, 1004, 4321])

    assert found.groups == {"postmaster": (1003,)}
    assert "2 processes vanished before all was read: 4321, 1004" in found.missing


def test_unreadable_processes_are_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where access is denied, status alone is used."""
    from ptcalc.capture.tree import Denied, Directory

    whole = Directory.process

    def process(self: Directory, pid: int, name: str) -> bytes:
        if pid in (1003, 1004) and name != "status":
            raise Denied
        return whole(self, pid, name)

    monkeypatch.setattr(Directory, "process", process)
    found = capture_system(proc_root=str(directory(FILES, tmp_path)))

    assert any("2 processes may not be looked into" in note and "(1004)" in note for note in found.missing)
    assert sum(map(len, found.groups.values())) == 9


def test_no_process_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but refusals cannot be done here."""
    from ptcalc.capture.tree import Denied, Directory

    def process(_self: Directory, _pid: int, _name: str) -> bytes:
        raise Denied

    monkeypatch.setattr(Directory, "process", process)
    with pytest.raises(CannotDoHere, match="root"):
        capture_system(proc_root=str(directory(FILES, tmp_path)))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (without("meminfo"), "MemTotal"),
        ({"proc/meminfo": FILES["proc/meminfo"]}, "holds no process"),
        ({**without("meminfo"), "proc/meminfo": b"MemTotal: 99999999999999999999 kB\n"}, "MemTotal"),
        ({}, "MemTotal"),
    ],
)
def test_trees_that_are_none(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    """Bad input says what is missing."""
    with pytest.raises(InputError, match=message):
        capture_system(proc_root=str(directory(files, tmp_path)))


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/dev/null", "nul\0"])
def test_no_directory(path: str) -> None:
    """A path that is no directory is bad input."""
    with pytest.raises(InputError):
        capture_system(proc_root=path)


def test_links_and_pipes_in_a_tree_are_not_followed(tmp_path: Path) -> None:
    """Nothing leads out of a copied tree, and nothing waits."""
    secret = directory({"status": FILES["proc/1000/status"], "maps": FILES["proc/1000/maps"]}, tmp_path / "outside")
    tree = directory(FILES, tmp_path / "tree")
    (tree / "proc/7777").symlink_to(secret)
    (tree / "proc/1001/maps").unlink()
    (tree / "proc/1001/maps").symlink_to(secret / "maps")
    (tree / "proc/1002/maps").unlink()
    os.mkfifo(tree / "proc/1002/maps")
    (tree / "sys/kernel/mm").rename(tree / "moved")
    (tree / "sys/kernel/mm").symlink_to(tree / "moved")

    found = capture_system(proc_root=str(tree))

    assert 7777 not in {pid for pids in found.groups.values() for pid in pids}
    with_segments = {pid for name, pids in found.groups.items() if name == "postmaster" for pid in pids}
    assert not with_segments & {1001, 1002}
    assert "Transparent huge pages" not in found.text


def test_links_and_parents_in_an_archive_are_refused(tmp_path: Path) -> None:
    """A link is not followed, a name with .. is not taken."""
    path = archive(without("proc/meminfo", "1001/maps"), tmp_path / "report.tar", "w")
    with tarfile.open(path, "a") as tar:
        for name, kind, target in (
            ("top/proc/1001/maps", tarfile.SYMTYPE, "../1000/maps"),
            ("top/proc/1001/smaps", tarfile.LNKTYPE, "top/proc/1000/maps"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        for name, data in (
            ("top/../../proc/1001/maps", FILES["proc/1000/maps"]),
            ("/proc/1001/maps", FILES["proc/1000/maps"]),
            ("top/proc/meminfo", FILES["proc/meminfo"]),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

    found = capture_system(sosreport=str(path))

    assert any("2 of the files that are needed are links" in note for note in found.missing)
    assert any("2 names lead out of the archive" in note for note in found.missing)
    assert 1001 not in found.groups["postmaster"]


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks without end is left early, with a message."""
    monkeypatch.setattr(archives, "LEAST_UNPACKED", 32 << 20)
    path = tmp_path / "bomb.tar.xz"
    member = tarfile.TarInfo("top/var/log/zeros")
    member.size = 10 << 30
    block = bytes(1 << 20)
    with lzma.open(path, "wb", preset=0) as file:
        file.write(member.tobuf())
        for _ in range(64):  # of 10 GiB that it promises
            file.write(block)

    with pytest.raises(InputError, match="unpacks to more than 32 MiB"):
        capture_system(sosreport=str(path))


def test_member_that_is_too_large_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded as well."""
    monkeypatch.setattr(archives, "MAX_KEPT", 1000)
    with pytest.raises(InputError, match="MiB"):
        capture_system(sosreport=str(archive(FILES, tmp_path / "report.tar.xz")))


@pytest.mark.parametrize("keep", [0, 0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("mode", ["w:xz", "w:gz", "w:bz2"])
def test_damaged_archives(keep: float, mode: str, tmp_path: Path) -> None:
    """A torn archive is bad input."""
    whole = archive(FILES, tmp_path / "report", mode).read_bytes()
    (tmp_path / "torn").write_bytes(whole[: int(len(whole) * keep)])

    with pytest.raises(InputError):
        capture_system(sosreport=str(tmp_path / "torn"))


def test_sos_stops_at_2048_processes(tmp_path: Path) -> None:
    """An archive with exactly as many as sos collects says so; without maps, groups are what is known."""
    few = {path: FILES[path] for path in ("proc/meminfo", "proc/zoneinfo", "proc/sys/kernel/osrelease")}
    many = {f"proc/{pid}/status": FILES["proc/1000/status"] for pid in range(1, 2049)}
    found = capture_system(sosreport=str(archive({**few, **many}, tmp_path / "report.tar.gz", "w:gz")))

    assert any("2,048 processes, where sos stops" in note for note in found.missing)
    assert any("process.smaps" in note for note in found.missing)
    assert {name: len(pids) for name, pids in found.groups.items()} == {"postmaster": 2048}
    assert ptcalc.estimate(found.workload(), policies=["today"]).measured


@pytest.mark.many
@settings(max_examples=150)
@given(data=st.data())
def test_whatever_is_in_the_files(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes changed anywhere end in bad input or in a file that loads."""
    files = dict(data.draw(st.sampled_from([FILES, bundle("oracle-hugetlb-smaps"), bundle("hostile-names")])))
    for _ in range(data.draw(st.integers(1, 6))):
        path = data.draw(st.sampled_from(sorted(files)))
        content = files[path]
        at = data.draw(st.integers(0, len(content)))
        until = data.draw(st.integers(at, min(len(content), at + 40)))
        new = data.draw(
            st.one_of(
                st.binary(max_size=12), st.sampled_from([b"0", b"ffffffff", b"s 00000000 ", b"\n", b"-", b"9" * 30])
            )
        )
        files[path] = content[:at] + new + content[until:]
    tree = directory(files, tmp_path_factory.mktemp("tree"))
    detail: Detail = data.draw(st.sampled_from(["quick", "full"]))
    try:
        found = capture_system(proc_root=str(tree), detail=detail)
    except InputError:
        return
    assert ptcalc.estimate(found.workload(), policies=["today"]).policies
