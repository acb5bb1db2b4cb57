"""Provoke an OOM kill in a memory cgroup of its own: processes that map one memfd and touch one page in each 2 MiB.

Run as ``python -I -S provoke.py CGROUP BYTES``: forks processes into the empty cgroup until the kernel kills one,
prints how many were started, and kills the rest.  Children die with their parent.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
STEP = 2 << 20
MOST = 200


def member(group: Path, fd: int, size: int, ready: int) -> None:
    """What a child does; never returns."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NAME, b"ptcalc) total-v")
    (group / "cgroup.procs").write_text("0")
    Path("/proc/self/oom_score_adj").write_text("0")
    memory = mmap.mmap(fd, size)
    for at in range(0, size, STEP):
        memory[at] = 1
    os.write(ready, b"x")
    while True:
        time.sleep(60)


def main() -> int:
    group, size = Path(sys.argv[1]), int(sys.argv[2])
    fd = os.memfd_create("ptcalc")
    os.ftruncate(fd, size)
    done, ready = os.pipe()
    os.set_blocking(done, False)
    children: set[int] = set()
    started = 0
    try:
        while started < MOST:
            pid = os.fork()
            if not pid:
                try:
                    member(group, fd, size, ready)
                finally:
                    os._exit(1)
            children.add(pid)
            started += 1
            while True:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if ended:
                    children.discard(ended)
                    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                        return 1
                    print(started)
                    return 0
                try:
                    os.read(done, 1)
                    break
                except BlockingIOError:
                    time.sleep(0.002)
        return 1
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
