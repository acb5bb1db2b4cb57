"""Which processes look alike, where their mappings go, and what segments are."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptcalc
from ptcalc.capture import Capture, Detail, capture_system
from ptcalc.workload import Workload
from ptcalc.workload.model import Mapping

from .trees import directory

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SHM = ("00:01", 77, "/SYSV0000002a (deleted)")


def status(pid: int, vmpte: int = 8400, shmem: int = 4 << 20, name: str = "worker", hugetlb: int = 0) -> bytes:
    """A status file; amounts are KiB."""
    return (
        f"Name:\t{name}\nUid:\t0\t0\t0\t0\nVmRSS:\t{shmem + 9000} kB\nRssAnon:\t4000 kB\nRssFile:\t5000 kB\n"
        f"RssShmem:\t{shmem} kB\nVmPTE:\t{vmpte} kB\nVmSwap:\t0 kB\nHugetlbPages:\t{hugetlb} kB\nThreads:\t1\n"
    ).encode()


def line(start: int, length: int, permissions: str = "rw-s", offset: int = 0, file: tuple[str, int, str] = SHM) -> str:
    """One line of maps."""
    device, inode, path = file
    return f"{start:x}-{start + length:x} {permissions} {offset:08x} {device} {inode} {path}\n"


def captured(
    tmp_path: Path,
    processes: dict[int, tuple[bytes, str]],
    more: dict[str, str] | None = None,
    detail: Detail = "quick",
) -> Capture:
    """Capture processes given as status and shared lines of maps."""
    files = {
        "proc/meminfo": b"MemTotal: 65536000 kB\nHugepagesize: 2048 kB\n",
        "proc/sys/kernel/osrelease": b"6.12.1\n",
    }
    for pid, (state, lines) in processes.items():
        files[f"proc/{pid}/status"] = state
        files[f"proc/{pid}/maps"] = f"00400000-00500000 r-xp 00000000 fd:00 9 /usr/bin/worker\n{lines}".encode()
    files |= {path: text.encode() for path, text in (more or {}).items()}
    return capture_system(proc_root=str(directory(files, tmp_path)), detail=detail)


def mapping(workload: Workload, group: str = "worker") -> Mapping:
    """The only mapping of a group."""
    (found,) = workload.processes[group].mappings
    return found


def test_addresses_of_their_own(tmp_path: Path) -> None:
    """Where upper tables do not count, processes with different addresses keep them different."""
    starts = [0x7F0000000000 + pid * 0x1230000 for pid in (1, 2, 3)]
    found = captured(tmp_path, {pid: (status(pid), line(start, 4 * GIB)) for pid, start in enumerate(starts, 1)})

    assert dict(found.groups) == {"worker": (1, 2, 3)}
    where = mapping(found.workload())
    assert (where.placement, where.address, where.alignment) == ("independent", None, 0x10000)
    (vmpte, *_) = ptcalc.estimate(found.workload(), policies=["today"]).measured
    assert vmpte.expected_bytes == pytest.approx(vmpte.measured_bytes, rel=0.005)


def test_one_address(tmp_path: Path) -> None:
    """After a fork the address is the same, and is stated."""
    found = captured(tmp_path, {pid: (status(pid), line(0x7F0000000000, 4 * GIB)) for pid in (1, 2, 3)})

    assert mapping(found.workload()).address == 0x7F0000000000
    assert mapping(found.workload()).placement == "same"


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ([line(0x7F0000000000, GIB), line(0x7E0000000000, GIB)], [(1, 2)]),
        ([line(0x7F0000000000, GIB), line(0x7F0000000000, GIB, "r--s")], [(1,), (2,)]),
        ([line(0x7F0000000000, GIB), line(0x7F0000000000, GIB, offset=GIB)], [(1,), (2,)]),
        ([line(0x7F0000000000, GIB), line(0x7F0000000000, 2 * GIB)], [(1,), (2,)]),
        ([line(0x7F0000000000, GIB), line(0x7F0000000000, GIB, file=("00:01", 78, "/SYSV0 (deleted)"))], [(1,), (2,)]),
        (
            [
                line(0x7F0000000000, GIB) + line(0x7F1000000000, GIB, offset=GIB),
                line(0x7F0000000000, GIB, offset=GIB) + line(0x7F1000000000, GIB),  # the other way round in memory
            ],
            [(1, 2)],
        ),
    ],
)
def test_what_makes_processes_look_alike(lines: list[str], groups: list[tuple[int, ...]], tmp_path: Path) -> None:
    """Segment, offset, length and protection; no address."""
    found = captured(tmp_path, {pid: (status(pid), maps) for pid, maps in enumerate(lines, 1)})

    assert sorted(found.groups.values()) == groups


@pytest.mark.parametrize(
    ("vmptes", "sizes"),
    [
        ([8400, 8400, 8700], [3]),
        ([8400, 8400, 8800], [2, 1]),
        ([40, 60, 72], [3]),  # noise of a few tables
        ([40, 60, 73], [2, 1]),
        ([1000, 2000, 4000], [1, 1, 1]),
    ],
)
def test_touched_amounts_make_groups(vmptes: list[int], sizes: list[int], tmp_path: Path) -> None:
    """Processes whose VmPTE is far apart are not alike."""
    found = captured(
        tmp_path, {pid: (status(pid, vmpte), line(0x7F0000000000, 4 * GIB)) for pid, vmpte in enumerate(vmptes, 1)}
    )

    assert sorted((len(pids) for pids in found.groups.values()), reverse=True) == sizes


MOUNTS = """\
25 1 253:0 / / rw - xfs /dev/mapper/root rw
26 25 0:22 / /dev/shm rw - tmpfs tmpfs rw
27 25 0:31 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M
28 25 0:32 / /mnt/huge\\0401G rw - hugetlbfs none rw,pagesize=1024M
29 25 0:33 / /mnt/huge rw - tmpfs none rw,huge=within_size
30 25 0:34 / /mnt/plain rw - hugetlbfs none rw
"""
SMAPS = "7f0000000000-7f0080000000 rw-s 00000000 {} 77 /x\nKernelPageSize:     {} kB\nRss:    0 kB\nVmFlags: rd wr sh\n"


@pytest.mark.parametrize(
    ("file", "smaps", "segment"),
    [
        (("00:01", 77, "/SYSV0000002a (deleted)"), "", ("sysv-77", "shmem", None)),
        (("00:01", 77, "/dev/zero (deleted)"), "", ("anonymous-77", "shmem", None)),
        (("00:01", 77, "/memfd:a b (deleted)"), "", ("memfd-a b", "shmem", None)),
        (("00:0f", 77, "/SYSV0000002a (deleted)"), "2048", ("sysv-77", "hugetlb", 2 * MIB)),
        (("00:10", 77, "/memfd:big (deleted)"), "1048576", ("memfd-big", "hugetlb", GIB)),
        (("00:0f", 77, "/anon_hugepage (deleted)"), "", ("anon-hugepage-77", "hugetlb", 2 * MIB)),
        (("00:16", 77, "/dev/shm/x"), "", ("x", "shmem", None)),
        (("00:1f", 77, "/dev/hugepages/x"), "", ("x", "hugetlb", 2 * MIB)),
        (("00:20", 77, "/mnt/huge 1G/x"), "", ("x", "hugetlb", GIB)),
        (("00:22", 77, "/mnt/plain/x"), "", ("x", "hugetlb", 2 * MIB)),
        (("fd:00", 77, "/var/lib/x.db"), "", ("x.db", "file", None)),
        (("00:99", 77, "/subvolume/x.db"), "", ("x.db", "file", None)),  # no mount has it: btrfs, overlayfs
        (("00:06", 77, "/dev/dri/card0"), "", None),
        (("00:0d", 77, "anon_inode:kvm-vcpu:0"), "", None),
    ],
)
def test_segments(
    file: tuple[str, int, str], smaps: str, segment: tuple[str, str, int | None] | None, tmp_path: Path
) -> None:
    """What is mapped is known by mounts, page size and name; devices are no memory."""
    more = {"proc/1/mountinfo": MOUNTS}
    if smaps:
        more["proc/1/smaps"] = SMAPS.format(file[0], smaps)
    found = captured(tmp_path, {1: (status(1), line(0x7F0000000000, 2 * GIB, file=file))}, more)

    segments = found.workload().segments
    assert [(name, each.backing, each.page_size) for name, each in segments.items()] == ([segment] if segment else [])


@pytest.mark.parametrize(("flags", "locked"), [("sh", "no"), ("sh lo", "on_fault"), ("sh lo lf", "on_fault")])
def test_what_is_locked(flags: str, locked: str, tmp_path: Path) -> None:
    """What is touched stands in the file, so that locking must not touch the rest."""
    smaps = SMAPS.format("00:01", 4).replace(" sh\n", f" {flags}\n").replace("/x\n", "/SYSV0000002a (deleted)\n")
    processes = {1: (status(1), line(0x7F0000000000, 2 * GIB, file=("00:01", 77, "/SYSV0000002a (deleted)")))}
    found = captured(tmp_path, processes, {"proc/1/smaps": smaps}, detail="full")

    (group,) = found.workload().processes.values()
    assert [mapping.locked for mapping in group.mappings] == [locked]


@pytest.mark.parametrize("detail", ["quick", "full"])
def test_size_and_residency_of_sysv_memory(detail: Detail, tmp_path: Path) -> None:
    """/proc/sysvipc/shm knows what no mapping shows; swapped memory is demand as well."""
    table = (
        "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n"
        f"42 77 600 {8 * GIB - 5} 1 1 1 0 0 0 0 0 0 0 {GIB} {MIB}\n1 2\nx y z\n"
    )
    found = captured(
        tmp_path, {1: (status(1), line(0x7F0000000000, 2 * GIB))}, {"proc/sysvipc/shm": table}, detail=detail
    )

    segment = found.workload().segments["sysv-77"]
    assert (segment.size, segment.resident) == (8 * GIB, GIB + MIB)


@pytest.mark.parametrize(("hugetlb", "touched"), [(2 << 20, 2 * GIB), (0, 2 * GIB), (1 << 20, 2 * GIB)])
def test_pages_behind_shared_tables_are_found_by_vmpte(hugetlb: int, touched: int, tmp_path: Path) -> None:
    """HugetlbPages leaves out what is seen through a shared PMD table; VmPTE counts the table."""
    huge = ("00:1f", 77, "/dev/hugepages/x")
    state = status(1, vmpte=44 + 16 + 8, shmem=0, hugetlb=hugetlb)
    found = captured(tmp_path, {1: (state, line(0x7F0000000000, 2 * GIB, file=huge))}, {"proc/1/mountinfo": MOUNTS})

    (form,) = mapping(found.workload()).touch
    assert form.form == "all" if touched == 2 * GIB else form.amount == touched


def test_programs_that_share_nothing_are_one_group(tmp_path: Path) -> None:
    """Small ones; a large one stands alone."""
    large = status(9, name="large").replace(b"RssAnon:\t4000", b"RssAnon:\t4000000")
    small = {pid: (status(pid, 60, 0, name=f"daemon{pid}"), "") for pid in range(1, 5)}
    found = captured(
        tmp_path,
        {**small, 9: (large, "")},
        {f"proc/{pid}/maps": f"00400000-00500000 r-xp 00000000 fd:00 {pid} /bin/d{pid}\n" for pid in (*small, 9)},
    )

    assert dict(found.groups) == {"large": (9,), "everything-else": (1, 2, 3, 4)}
    assert all(group.scale == "fixed" for group in found.workload().processes.values())
    assert found.workload().processes["everything-else"].private == 4000 * KIB
