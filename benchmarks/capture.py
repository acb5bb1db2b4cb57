"""Capturing many processes, against one `cat` of the files that this reads."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks.ratio import Ratio, measure
from ptcalc.capture import capture_system

PROCESSES, MAPPINGS, SHARED = 1500, 300, 12
LIBRARIES = 48
SEGMENT = 256 << 20

STATUS = """\
Name:\tora_p{number:03}_PROD
Umask:\t0022
State:\tS (sleeping)
Tgid:\t{pid}
Pid:\t{pid}
PPid:\t1
Uid:\t54321\t54321\t54321\t54321
Gid:\t54321\t54321\t54321\t54321
VmPeak:\t 4203108 kB
VmSize:\t 4203108 kB
VmLck:\t       0 kB
VmHWM:\t 1804288 kB
VmRSS:\t 1804288 kB
RssAnon:\t   12288 kB
RssFile:\t   32000 kB
RssShmem:\t 1760000 kB
VmData:\t   21340 kB
VmStk:\t     132 kB
VmExe:\t  120000 kB
VmLib:\t   24000 kB
VmPTE:\t    {vmpte} kB
VmSwap:\t       0 kB
HugetlbPages:\t       0 kB
Threads:\t1
SigQ:\t0/95946
Cpus_allowed:\tffffffff
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t123456
nonvoluntary_ctxt_switches:\t789
"""


def _maps(number: int) -> str:
    """Return the lines of one process: segments at fixed addresses, libraries where ASLR put them."""
    lines = [
        f"{0x60000000 + at * SEGMENT:08x}-{0x60000000 + (at + 1) * SEGMENT:08x} rw-s 00000000 00:01 {32768 + at}"
        f"                          /SYSV{at:08x} (deleted)"
        for at in range(SHARED)
    ]
    base = 0x7F0000000000 + number * 0x12345000
    for at in range(MAPPINGS - SHARED):
        start, end = base + at * 0x10000, base + at * 0x10000 + 0xC000
        library = at % LIBRARIES
        lines.append(
            f"{start:012x}-{end:012x} r-xp {at % 5 << 12:08x} fd:00 {1310720 + library}"
            f"                    /u01/app/oracle/product/19.0.0/dbhome_1/lib/libexample{library}.so.19.1"
        )
    return "\n".join(lines) + "\n"


def tree(where: Path) -> list[str]:
    """Write a /proc of that many processes and return the paths of the files that a capture reads."""
    (where / "meminfo").write_text("MemTotal: 527433728 kB\nMemAvailable: 100000000 kB\nPageTables: 6000000 kB\n")
    paths = []
    for number in range(PROCESSES):
        folder = where / str(1000 + number)
        folder.mkdir()
        vmpte = 3600 + number % 7 * 4
        (folder / "status").write_text(STATUS.format(number=number % 1000, pid=1000 + number, vmpte=vmpte))
        (folder / "maps").write_text(_maps(number))
        (folder / "cgroup").write_text("0::/system.slice/oracle.service\n")
        paths += [str(folder / name) for name in ("status", "maps", "cgroup")]
    return paths


def processes() -> Ratio:
    """A captured tree of 1,500 processes with 300 mappings each, to the finished text."""
    with tempfile.TemporaryDirectory() as folder:
        paths = tree(Path(folder))

        def capture() -> None:
            found = capture_system(proc_root=folder)
            if sum(map(len, found.groups.values())) != PROCESSES:
                raise RuntimeError(found.missing)

        def cat() -> None:
            subprocess.run(["cat", *paths], stdout=subprocess.DEVNULL, check=True)

        return measure("capture 1,500 x 300 / cat", capture, cat, limit=3.0, rounds=5)
