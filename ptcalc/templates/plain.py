"""Templates without a configuration to read: a guest, a container, and the least that a workload is."""

from __future__ import annotations

from collections.abc import Iterator

from ptcalc.templates.known import Figure, Stated, head, host, line, number, size
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import comment, entry

MIB, GIB = 1 << 20, 1 << 30


def _share(stated: Stated, percent: int, what: str) -> Figure:
    """Return a share of the memory, in whole GiB where it has some."""
    part = int(stated.memory.value) * percent // 100
    return Figure(part // GIB * GIB or max(part // MIB * MIB, MIB), f"{percent} % of the memory; {what}", guess=True)


def _count(stated: Stated, default: int, what: str) -> Figure:
    if stated.processes is None:
        return Figure(default, what, guess=True)
    return Figure(stated.processes, "--processes")


def minimal(stated: Stated, command: str) -> Iterator[str]:
    """Yield a segment that some processes map."""
    yield from head(command, "Processes that share memory")
    yield from host(stated)
    yield "segments:"
    yield "  shared:"
    yield size(4, "size", _share(stated, 50, "what ipcs -m or df /dev/shm says"))
    yield line(4, "backing", "shmem", "shmem | file | hugetlb | private")
    yield ""
    yield "processes:"
    yield "  worker:"
    yield number(4, "count", _count(stated, 100, "how many processes map it"))
    yield size(4, "private", stated.privately(10 * MIB, "RssAnon in /proc/PID/status"))
    yield "    mappings:"
    yield "      - segment: shared"
    yield stated.touched("how much of it one process touches, and how it lies: all, 24%, contiguous, every ...")


def container(stated: Stated, command: str) -> Iterator[str]:
    """Yield a service with a memory limit; its page tables count against the limit."""
    limit = _share(stated, 25, "docker run --memory, resources.limits.memory, memory.max")
    yield from head(command, "A container with a memory limit")
    yield from host(stated, more=(size(2, "cgroup_limit", limit),))
    yield "segments:"
    yield from comment(
        "Shared memory counts against the limit of the container that touches it first; huge pages do not.", 2
    )
    yield "  shared-memory:"
    half = max(int(limit.value) // 2 // MIB * MIB, MIB)
    yield size(4, "size", Figure(half, "half of the limit; /dev/shm of the container, shared_buffers", guess=True))
    yield entry(4, "backing", "shmem")
    yield ""
    yield "processes:"
    yield "  worker:"
    yield number(4, "count", _count(stated, 50, "processes in the container"))
    yield entry(4, "# threads", "4", "of each process: kernel stacks count against the limit too")
    yield size(4, "private", stated.privately(16 * MIB, "RssAnon in /proc/PID/status"))
    yield "    mappings:"
    yield "      - segment: shared-memory"
    yield stated.touched("how much of it one process touches")


def kvm(stated: Stated, command: str) -> Iterator[str]:
    """Yield a guest's memory, mapped by the emulator and by vhost-user back ends.

    QEMU documentation, "Vhost-user Protocol": back ends map the guest's memory, each at an address of its own, which
    therefore is shared (memory-backend-memfd or -file, share=on).
    """
    yield from head(command, "A KVM guest with vhost-user back ends")
    yield from host(stated)
    yield "segments:"
    yield "  guest-memory:"
    yield size(4, "size", _share(stated, 60, "the guest's memory: -m, or <memory> in the domain"))
    if stated.huge_pages:
        yield line(4, "backing", "hugetlb", "hugetlb=on, with the pool of --huge-pages")
    else:
        why = "--huge-pages 0" if stated.huge_pages == 0 else "guess: memory-backend-memfd without hugetlb=on"
        yield line(4, "backing", "shmem", why)
    yield ""
    yield "processes:"
    yield "  emulator:"
    yield number(4, "count", Figure(1, "one guest"))
    yield entry(4, "scale", "fixed")
    yield number(4, "threads", Figure(16, "virtual CPUs and I/O threads", guess=True))
    yield size(4, "private", stated.privately(512 * MIB, "QEMU's own memory"))
    yield "    mappings:"
    yield "      - segment: guest-memory"
    yield line(8, "alignment", "2 MiB", "QEMU aligns guest memory to huge pages")
    yield entry(
        8, "second_level", "kvm", "KVM's own tables for it: SecPageTables; kvm+vfio with passed-through devices"
    )
    yield line(8, "touch", "all", "guess: the guest has used all its memory once")
    yield "  back-end:"
    yield number(4, "count", _count(stated, 2, "vhost-user back ends: networks, disks"))
    yield size(4, "private", Figure(256 * MIB, "a back end's own memory", guess=True))
    yield "    mappings:"
    yield "      - segment: guest-memory"
    yield line(8, "placement", "independent", "each process has its own address")
    amount = stated.touch or "70%"
    value = f"{{amount: {amount}, pattern: clustered, cluster: {show_size(64 * 1024)}}}"
    yield line(8, "touch", value, "--touch" if stated.touch else "guess: buffers of requests lie anywhere in the guest")
