"""What the readers of single /proc files make of lines, and the rules of segments, limits and architectures."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptcalc.arch import names
from ptcalc.capture import host, proc
from ptcalc.capture.tree import Directory, walk_up

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("permissions", "protection"),
    [("rw-s", "rw"), ("r--s", "r"), ("-w-s", "rw"), ("--xs", "rx"), ("rwxs", "rwx"), ("---s", "none"), ("r-xs", "rx")],
)
def test_protection(permissions: str, protection: str) -> None:
    """Permissions in ptcalc's words."""
    line = f"7f0000000000-7f0000200000 {permissions} 00001000 00:01 5 /memfd:a b (deleted)\n".encode()

    for maps in (proc.shared_maps(line, proc.Known()), proc.all_maps(line)):
        (vma,) = maps.vmas
        assert vma.protection == protection
        assert (vma.start, vma.length, vma.offset) == (0x7F0000000000, 2 * MIB, 4096)
        assert vma.key == proc.SegmentKey("00:01", 5)
        assert vma.path == "/memfd:a b (deleted)"


@pytest.mark.parametrize(
    ("data", "shared", "broken"),
    [
        (b"", 0, 0),
        (b"00400000-00500000 r-xp 00000000 fd:00 9 /bin/x\n", 0, 0),
        (b"00400000-00500000 r-xp 00000000 fd:00 9 /tmp/xs 00000000 s 00000000 00:01\n", 0, 0),
        (b"00400000-00500000 rw-s 00000000 fd:00 9 /tmp/s 00000000 s 00000000 00:01\n", 1, 0),
        (b"00400000-00500000 rw-s 00000000 fd:00 9 /tmp/x", 0, 1),  # torn: the length of the name is not known
        (b"00500000-00400000 rw-s 00000000 fd:00 9 /tmp/x\n", 0, 1),
        (b"00400000-00500000 rw-s 00000000 fd:00 9\n00480000-00600000 rw-s 00000000 fd:00 9\n", 1, 1),
        (b"00400000-00500000 rw-s 00000000 fd:00 x\n", 0, 1),
        (b"\xff\xfe\n\n\0s 00000000 \n", 0, 1),
    ],
)
def test_lines_of_maps(data: bytes, shared: int, broken: int) -> None:
    """Only sound shared lines are taken; torn and impossible ones are counted."""
    maps = proc.shared_maps(data, proc.Known())

    assert (len(maps.vmas), maps.broken) == (shared, broken)


def test_smaps() -> None:
    """Amounts belong to the mapping above them; the kernel's own page is none."""
    data = b"""\
00400000-00500000 r-xp 00000000 fd:00 9                    /bin/x
Rss:                 100 kB
Pss:                  50 kB
VmFlags: rd ex mr mw me sd
7f0000000000-7f0040000000 rw-s 00000000 00:0f 32768        /SYSV00000000 (deleted)
KernelPageSize:     2048 kB
Shared_Hugetlb:     4096 kB
Private_Hugetlb:    2048 kB
THPeligible:           0
VmFlags: rd wr sh mr mw me ms de ht sd
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0    [vsyscall]
Rss:                   0 kB
"""
    maps = proc.all_maps(data)

    program, segment = maps.vmas
    assert maps.broken == 0
    assert maps.program == "/bin/x"
    assert program.usage is not None and (program.usage.rss, program.usage.pss) == (100 << 10, 50 << 10)
    assert segment.usage is not None and segment.usage.hugetlb == 6 * MIB
    assert segment.usage.page_size == 2 * MIB
    assert "ht" in segment.usage.flags


@pytest.mark.parametrize(
    "data",
    [b"", b"Name:\tkthreadd\nThreads:\t1\n", b"Name:\tx\nVmPTE:\n", b"Name:\tx\nVmPTE:\t99999999999999999999 kB\n"],
)
def test_no_status(data: bytes) -> None:
    """Kernel threads, zombies and nonsense have no status."""
    assert proc.status(data) is None


def test_status_of_an_old_kernel() -> None:
    """Before 4.5 the parts of VmRSS are not told."""
    status = proc.status(b"Name:\ta\\nb\nUid:\t7\t7\t7\t7\nVmRSS:\t 300 kB\nVmPTE:\t 40 kB\nThreads:\t3\n")

    assert status is not None
    assert (status.name, status.uid, status.threads, status.vmpte) == ("a\\nb", 7, 3, 40 << 10)
    assert (status.rss, status.rss_anon, status.rss_shmem, status.swap) == (300 << 10, None, None, 0)


LIMITS = {
    "sys/fs/cgroup/a/b/memory.max": "max",
    "sys/fs/cgroup/a/memory.max": str(4 * GIB),
    "sys/fs/cgroup/a/c/memory.max": str(2 * GIB),
    "sys/fs/cgroup/unified/u/memory.max": str(GIB),
    "sys/fs/cgroup/memory/v/memory.limit_in_bytes": "9223372036854771712",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854710272",  # with pages of 64 KiB
    "sys/fs/cgroup/memory/v/w/memory.limit_in_bytes": str(3 * GIB),
    "sys/fs/cgroup/bad/memory.max": "-1",
}


@pytest.mark.parametrize(
    ("memberships", "limit"),
    [
        (["0::/a/b"], 4 * GIB),  # the nearest is unlimited, the one above is not
        (["0::/a/c"], 2 * GIB),  # nested limits take the minimum
        (["0::/a/c", "0::/a/b"], 4 * GIB),  # what holds both
        (["0::/a/c", "0::/"], None),
        (["0::/u"], GIB),
        (["5:memory:/v\n0::/a"], 4 * GIB),
        (["5:cpu,memory:/v/w\n0::/"], 3 * GIB),
        (["5:memory:/v"], None),
        (["0::/a/../u"], None),
        (["0::/bad"], None),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_cgroup_limit(memberships: list[str], limit: int | None, tmp_path: Path) -> None:
    """Limits of version 1 and 2."""
    (tmp_path / "proc").mkdir()
    for path, text in LIMITS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")

    found = host.cgroup_limit(Directory(str(tmp_path)), memberships)

    assert (found.bytes if found else None) == limit


def test_walk_up() -> None:
    """A path and all above it; nothing that climbs."""
    assert list(walk_up("/a/b")) == ["/a/b", "/a", "/"]
    assert list(walk_up("/a/../b")) == ["/"]


@pytest.mark.parametrize(
    ("machine", "page", "cpu", "highest", "name"),
    [
        ("x86_64", 4096, "flags\t: fpu pae", 0x7FFFFFFFEFFF, "x86_64"),
        ("x86_64", 4096, "flags\t: fpu la57 pti", 0, "x86_64-la57-pti"),
        ("aarch64", 4096, "", 0xFFFFFFFFEFFF, "arm64-4k-va48"),
        ("aarch64", 4096, "", 0x7FFFFFEFFF, "arm64-4k-va39"),
        ("aarch64", 16384, "", 0x7FFFFFFEFFFF, "arm64-16k-va47"),
        ("aarch64", 65536, "", 0x3FFFFFFFFFF, "arm64-64k-va42"),
        ("aarch64", 65536, "", 0xFFFFFFFFEFFF, "arm64-64k"),
        ("aarch64", None, "", 0, "arm64-4k-va48"),
        ("riscv64", 4096, "mmu\t\t: sv57", 0, "riscv64-sv57"),
        ("riscv64", 4096, "", 0, "riscv64"),
        ("ppc64le", 65536, "MMU\t\t: Hash", 0, "ppc64le-64k-hash"),
        ("ppc64le", 4096, "MMU\t\t: Radix", 0, "ppc64le-4k"),
        ("s390x", 4096, "", 0, "s390x"),
        ("loongarch64", 16384, "", 0, "loongarch64-16k"),
        ("m68k", 4096, "", 0, None),
    ],
)
def test_architecture(machine: str, page: int | None, cpu: str, highest: int, name: str | None) -> None:
    """Machines by ptcalc's names, all of which exist."""
    assert host._arch(machine, page, cpu, highest) == name
    assert name is None or name in names()
