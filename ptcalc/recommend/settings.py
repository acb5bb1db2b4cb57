"""The lines of configuration that a change needs, exact to the page.

Sources: Documentation/admin-guide/mm/hugetlbpage.rst (pools; pages above the buddy allocator's largest block at boot),
fs/hugetlbfs/inode.c:can_do_hugetlb_shm (who may use SHM_HUGETLB), mm/shmem.c (switches of transparent huge pages).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ptcalc.layout.plan import round_up
from ptcalc.policies import Outcome
from ptcalc.recommend.advice import Kind, Limit, Setting
from ptcalc.recommend.limits import ULONG_MAX
from ptcalc.risk.amounts import exact
from ptcalc.workload.sizes import show_size

# The kinds of changes after which pools are what the segments need; else they stay as stated.
CHANGE_POOLS: frozenset[Kind] = frozenset({"pool", "hugetlb"})
_SYSFS = "/sys/kernel/mm"
# A tmpfs of exactly the need would leave no room for what else is there.
TMPFS_STEP = 1 << 30
POSTGRES_UNITS = ((30, "GB"), (20, "MB"), (10, "kB"))


def settings(
    kinds: frozenset[Kind],
    outcome: Outcome,
    limits: tuple[Limit, ...],
    shm_group: int | None,
    former: Mapping[int, int],
) -> tuple[Setting, ...]:
    """Return the settings for an evaluated workload; ``former`` are the pools as stated before (pages by size)."""
    found: list[Setting] = []
    if not outcome.short_pools:
        pages = pool_pages(outcome)
        found += _pools(outcome, former, pages if kinds & CHANGE_POOLS else {**pages, **former})
        if pages:
            found += _huge_page_users(outcome, pages, limits, shm_group)
    thp = "thp" in kinds
    found += _switches() if thp else ()
    found += _limits(limits, thp=thp)
    found += _fewer(outcome) if "pooling" in kinds else ()
    return tuple(found)


def pool_pages(outcome: Outcome) -> dict[int, int]:
    """Return the pages of each hugetlb size that the segments need: rounded up once per segment or piece."""
    return {size: -(-need // size) for size, need in outcome.pool_need(outcome.counts).items() if need}


def _pools(outcome: Outcome, former: Mapping[int, int], wanted: Mapping[int, int]) -> Iterator[Setting]:
    geometry = outcome.context.geometry
    for size in sorted({*wanted, *former}):
        pages = wanted.get(size, 0)
        why = f"{exact(pages * size)} in pages of {exact(size)}"
        if not pages:
            # Not vm.nr_hugepages, which is about another size where the command line changes the default one.
            why = f"no page of {exact(size)} is needed: drop what reserves them (sysctl.d, kernel command line)"
            yield Setting("tmpfiles", _pool_file(size), "0", why)
        elif size > geometry.pmd_size:
            # Above the buddy allocator's largest block: contiguous memory for it is there at boot.
            yield Setting("cmdline", "hugepagesz", geometry.huge_page_name(size), f"pages of {exact(size)}")
            yield Setting("cmdline", "hugepages", str(pages), why)
        elif size == geometry.default_huge_page:
            yield Setting("sysctl", "vm.nr_hugepages", str(pages), why)
        else:
            yield Setting("tmpfiles", _pool_file(size), str(pages), why)


def _pool_file(size: int) -> str:
    return f"{_SYSFS}/hugepages/hugepages-{size >> 10}kB/nr_hugepages"


def _huge_page_users(
    outcome: Outcome, pages: Mapping[int, int], limits: tuple[Limit, ...], shm_group: int | None
) -> Iterator[Setting]:
    """Yield what programs need that put shared memory on huge pages."""
    why = "the group whose members may use huge pages for System V shared memory"
    value = None if shm_group is None else str(shm_group)
    yield Setting("sysctl", "vm.hugetlb_shm_group", value, why if value else f"the number (GID) of {why}")
    locked = next((limit for limit in limits if limit.name == "memlock"), None)
    if locked is not None and not locked.enough:
        yield _memlock(locked)
    sizes = list(pages)
    default = outcome.context.geometry.default_huge_page
    if sizes != [default]:
        why = "Oracle takes huge pages of the default size alone: default_hugepagesz= on the kernel command line"
    else:
        why = "do not start without huge pages for the whole SGA; MEMORY_TARGET must be 0"
    yield Setting("init.ora", "use_large_pages", "ONLY", why)
    yield Setting("postgresql.conf", "huge_pages", "on", "do not start without huge pages")
    if len(sizes) == 1:
        yield Setting("postgresql.conf", "huge_page_size", _postgres_size(sizes[0]), "since PostgreSQL 14")


def _switches() -> Iterator[Setting]:
    path = f"{_SYSFS}/transparent_hugepage/shmem_enabled"
    yield Setting("tmpfiles", path, "always", "System V shared memory, memfd, anonymous shared memory")


def _limits(limits: tuple[Limit, ...], *, thp: bool) -> Iterator[Setting]:
    """Yield what must be raised, and the mount of /dev/shm where it is to have transparent huge pages."""
    for limit in limits:
        if limit.name == "/dev/shm":
            if limit.enough and not thp:
                continue
            options = ["rw", "nosuid", "nodev"]
            if not limit.enough:
                options.append(f"size={round_up(limit.need, TMPFS_STEP) >> 30}G")
            if thp:
                options.append("huge=always")
            yield Setting("fstab", "/dev/shm", ",".join(options), f"for {limit.concerns}")
        elif limit.name != "memlock" and not limit.enough:
            yield Setting("sysctl", limit.name, str(limit.need), f"{limit.concerns}; the host has {limit.value:,}")


def _memlock(limit: Limit) -> Setting:
    shown = "unlimited" if limit.value >= ULONG_MAX else exact(limit.value)
    why = f"{show_size(limit.need)} may be locked ({shown} so far); in limits.d: memlock {-(-limit.need // 1024)}"
    return Setting("systemd", "LimitMEMLOCK", str(limit.need), why)


def _fewer(outcome: Outcome) -> Iterator[Setting]:
    groups = outcome.workload.processes.values()
    grows = sum(group.count for group in groups if group.scale == "proportional")
    total = sum(group.count for group in groups)
    yield Setting("postgresql.conf", "max_connections", str(grows), "backends that fit; pool the clients")
    yield Setting("init.ora", "processes", str(total), "processes that fit, background ones among them")


def _postgres_size(size: int) -> str:
    for shift, unit in POSTGRES_UNITS:
        if size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    raise ValueError(f"{size} is no size of huge pages")
