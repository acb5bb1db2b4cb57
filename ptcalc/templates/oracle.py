"""An Oracle instance: from its parameters, or from guesses, to a workload file.

Sources: Oracle Database Reference (10.2 to 23ai) for the parameters and their defaults, Administrator's Guide,
"Managing Memory"; My Oracle Support 947152.1 for the sizes of granules.  What they leave to the machine is a guess
and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ptcalc.errors import InputError, quote
from ptcalc.layout.plan import round_up
from ptcalc.templates.known import BLOCK, Figure, Stated, head, host, line, number, size
from ptcalc.templates.pfile import ParameterFile
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import comment

MIB, GIB = 1 << 20, 1 << 30
VERSIONS = "10.2, 11.1, 11.2 (11.2.0.3), 12.1, 12.2, 18c, 19c, 21c, 23ai"
NEWEST_DEFAULT = "19c"
_RELEASES = ((10,), (11,), (12,), (18,), (19,), (20,), (21,), (23,), (26,))
Version = tuple[int, ...]

# Granules by SGA_MAX_SIZE, or MEMORY_MAX_TARGET (up to, granule); above the last limit: the last entry.
_GRANULES_10: tuple[tuple[int, int], ...] = ((GIB, 4 * MIB), (1 << 62, 16 * MIB))
_GRANULES_11_1 = (
    (GIB, 4 * MIB),
    (4 * GIB, 16 * MIB),
    (16 * GIB, 64 * MIB),
    (64 * GIB, 256 * MIB),
    (1 << 62, 512 * MIB),
)
_GRANULES = (
    (GIB, 4 * MIB),
    (8 * GIB, 16 * MIB),
    (16 * GIB, 32 * MIB),
    (32 * GIB, 64 * MIB),
    (64 * GIB, 128 * MIB),
    (128 * GIB, 256 * MIB),
    (1 << 62, 512 * MIB),
)
# What an SGA without SGA_TARGET is made of, each rounded up to a granule.
_COMPONENTS = (
    "db_cache_size", "db_keep_cache_size", "db_recycle_cache_size", "db_2k_cache_size", "db_4k_cache_size",
    "db_8k_cache_size", "db_16k_cache_size", "db_32k_cache_size", "shared_pool_size", "large_pool_size",
    "java_pool_size", "streams_pool_size", "log_buffer", "inmemory_size",
)  # fmt: skip
# Without a value and without SGA_TARGET (Reference 11.2): 48 MB of buffers, 128 MB of shared pool on 64 bits.
_COMPONENT_DEFAULTS = {"db_cache_size": 48 * MIB, "shared_pool_size": 128 * MIB}
_BLOCK_SIZES = (2048, 4096, 8192, 16384, 32768)
_PGA_OF_PROCESS = 3 * MIB  # PGA_AGGREGATE_LIMIT takes 3 MB for each process at least (Reference 12.1)
_SGA_SHARE = 60  # per cent of MEMORY_TARGET at startup; also of the memory, where nothing is stated
_BASE = 0x60000000


def parse_version(text: str) -> Version:
    """Return a release as numbers, so that they compare.  Raises InputError for what is no release of Oracle's."""
    match = re.fullmatch(r"(\d{1,2})((?:\.\d{1,3}){0,4})\s*(?:c|g|ai)?", text.strip(), re.ASCII | re.IGNORECASE)
    version = tuple(map(int, (match[1] + match[2]).split("."))) if match else ()
    if version[:1] not in _RELEASES:
        raise InputError(f"{quote(text)} is no release of Oracle Database", accepted=VERSIONS)
    # Without more digits: the last patch set, which is what runs.
    return version + {(11,): (2, 0, 4), (11, 2): (0, 4), (12,): (2, 0, 1), (10,): (2, 0, 5)}.get(version, ())


@dataclass(slots=True)
class _Sga:
    """What the SGA is: ``size`` as processes map it; ``granule`` where it is one file for each of them."""

    size: Figure
    resident: Figure | None = None
    granule: int = 0
    amm: bool = False


class Instance:
    """The parameters of one instance, with the defaults of its version; ``found`` None: nothing but options."""

    def __init__(self, found: ParameterFile | None, version: Version, stated: Stated) -> None:
        self.found = found
        self.version = version
        self.stated = stated
        self.memory = int(stated.memory.value)
        # Whether all of the SGA is touched as the instance starts (Reference 12.1: TRUE by default).
        self.prepaged = self.flag("pre_page_sga", version >= (12, 1))

    def size(self, name: str) -> int | None:
        """Return the bytes that the file states."""
        return None if self.found is None else self.found.size(name)

    def source(self, name: str) -> str:
        """Say where the file states it."""
        parameter = None if self.found is None else self.found.find(name)
        return name if parameter is None else parameter.source

    def refuse(self, name: str, message: str, accepted: str) -> InputError:
        """Return an error at a parameter's place."""
        parameter = None if self.found is None else self.found.find(name)
        return InputError(message, accepted=accepted) if parameter is None else parameter.error(message, accepted)

    def flag(self, name: str, default: bool) -> bool:
        """Return a parameter that is true or false."""
        word = None if self.found is None else self.found.word(name, ("TRUE", "FALSE", "YES", "NO"))
        return default if word is None else word in ("TRUE", "YES")

    def sga(self) -> _Sga:
        """Return the SGA that the instance makes."""
        target, most = self._memory_targets()
        if target:
            return self._automatic(target, most)
        sga, biggest = self.size("sga_target") or 0, self.size("sga_max_size") or most
        if sga:
            if biggest and sga > biggest:
                raise self.refuse("sga_target", "sga_target is larger than sga_max_size (ORA-00823)", "no more than it")
            used = Figure(sga, self.source("sga_target"))
        else:
            used = self._components(biggest)
        granule = granule_of(max(biggest, int(used.value)), self.version)
        whole = round_up(max(biggest, int(used.value)), granule)
        if biggest <= int(used.value):
            return _Sga(Figure(whole, f"{used.why}, in granules of {show_size(granule)}", used.guess))
        size = Figure(whole, f"{self._biggest()}, in granules of {show_size(granule)}")
        if self.prepaged:
            return _Sga(size)
        return _Sga(
            size, Figure(round_up(int(used.value), granule), f"{used.why}: the rest was never used", guess=True)
        )

    def processes(self) -> Figure:
        """Return PROCESSES."""
        count = None if self.found is None else self.found.count("processes", 6, 4_000_000)
        if count is not None:
            return Figure(count, self.source("processes"))
        default = 100 if self.version >= (11,) else 40
        if self.found is None:
            return Figure(500, "PROCESSES", guess=True)
        return Figure(default, "processes is not stated: the default, larger where there are many CPUs", guess=True)

    def pga(self, sga: int, processes: int) -> tuple[int, int | None]:
        """Return PGA_AGGREGATE_TARGET and PGA_AGGREGATE_LIMIT in bytes; None: no limit.

        Reference 12.1 (twice the target, no more than 90 % of memory less the SGA, no less than the target) and 12.2
        (MEMORY_MAX_TARGET with automatic memory management); at least 2 GB and 3 MB for each process in both.
        """
        stated = self.size("pga_aggregate_target")
        automatic, most = self._memory_targets()
        target = stated or (automatic - min(sga, automatic) if automatic else max(10 * MIB, sga // 5))
        limit = self.size("pga_aggregate_limit")
        if self.version < (12, 1):
            if limit is not None:
                raise self.refuse("pga_aggregate_limit", "pga_aggregate_limit came with 12.1", "--oracle-version 12.1")
            return target, None
        if limit is not None:
            return target, limit or None
        left = max(0, self.memory * 9 // 10 - sga)
        if self.version < (12, 2):
            limit = min(2 * target, max(target, left))
        elif automatic:
            limit = most
        else:
            limit = left if stated == 0 else 2 * target
        return target, max(limit, 2 * GIB, 3 * MIB * processes)

    def block(self) -> int:
        """Return DB_BLOCK_SIZE in bytes."""
        found = self.size("db_block_size")
        if found is None:
            return BLOCK
        if found not in _BLOCK_SIZES:
            raise self.refuse("db_block_size", f"{found} is no size of blocks", ", ".join(map(str, _BLOCK_SIZES)))
        return found

    def backing(self, sga: _Sga) -> list[str]:
        """Return the lines that say which pages the SGA has.

        USE_LARGE_PAGES came with 11.2.0.2; since 11.2.0.3 TRUE takes what huge pages there are and small ones for the
        rest; AUTO since 11.2.0.3; AUTO_ONLY since 19c.
        """
        word = self._use_large_pages()
        if sga.amm:
            if word in ("ONLY", "AUTO_ONLY"):
                raise self.refuse(
                    "use_large_pages",
                    f"use_large_pages={word} does not go with memory_target: its files on /dev/shm have small pages",
                    "memory_target=0, or use_large_pages=FALSE",
                )
            return [
                line(4, "pieces", show_size(sga.granule), "a file on /dev/shm for each granule: memory_target is set"),
                line(4, "backing", "shmem", "these files have no huge pages"),
            ]
        pages, name = self.stated.huge_pages, self.source("use_large_pages")
        stated = self.found is not None and self.found.find("use_large_pages") is not None
        source = f"{name}: {word}" if stated else f"{name} is {word} by default"
        if self.version < (11, 2, 0, 2):
            source = "before use_large_pages there was, huge pages were taken if they were enough for all"
        if word == "FALSE":
            return [line(4, "backing", "shmem", source)]
        if word in ("ONLY", "AUTO_ONLY"):
            return [
                line(4, "backing", "hugetlb", source),
                line(4, "on_short_pool", "fail", "without enough huge pages it does not start"),
            ]
        short = "mixed" if self.version >= (11, 2, 0, 3) else "small"
        follows = line(4, "on_short_pool", short, f"what {word} does where there are not enough huge pages")
        if word == "AUTO" and pages is None:
            note = "guess: AUTO asks for huge pages at startup, and is taken to get them"
            return [line(4, "backing", "hugetlb", note), follows]
        if pages is None:
            note = f"guess: no huge pages are reserved (HugePages_Total; --huge-pages). {source}"
            return [line(4, "backing", "shmem", note)]
        if not pages:
            return [line(4, "backing", "shmem", f"{source}, and no huge pages are reserved: --huge-pages 0")]
        return [line(4, "backing", "hugetlb", f"{source}, with the pool of --huge-pages"), follows]

    def _use_large_pages(self) -> str:
        accepted: tuple[str, ...] = ("TRUE", "FALSE", "ONLY")
        if self.version >= (11, 2, 0, 3):
            accepted += ("AUTO",)
        if self.version >= (19,):
            accepted += ("AUTO_ONLY",)
        word = None if self.found is None else self.found.word("use_large_pages", accepted)
        if word is not None and self.version < (11, 2, 0, 2):
            raise self.refuse("use_large_pages", "use_large_pages came with 11.2.0.2", "--oracle-version 11.2.0.2")
        return word or "TRUE"

    def _memory_targets(self) -> tuple[int, int]:
        target, most = self.size("memory_target"), self.size("memory_max_target")
        for name, value in (("memory_target", target), ("memory_max_target", most)):
            if value and self.version < (11,):
                raise self.refuse(name, f"{name} came with 11.1", "--oracle-version 11.1 or newer")
        if target and most and target > most:
            raise self.refuse(
                "memory_target", "memory_target is larger than memory_max_target (ORA-00837)", "no more than it"
            )
        if target and self.flag("lock_sga", default=False):
            raise self.refuse("lock_sga", "lock_sga does not go with memory_target (ORA-00847)", "FALSE")
        return target or 0, most or target or 0

    def _automatic(self, target: int, most: int) -> _Sga:
        """Return the SGA's part of MEMORY_TARGET: a file on /dev/shm for each granule."""
        sga, pga, tuned = self.size("sga_target"), self.size("pga_aggregate_target"), self.size("__sga_target")
        if tuned:
            part = Figure(tuned, f"{self.source('__sga_target')}: what the instance had tuned it to")
        elif sga and not pga:
            part = Figure(sga, f"{self.source('sga_target')}: the least that it is", guess=True)
        elif pga:
            part = Figure(
                max(sga or 0, target - pga), "memory_target less pga_aggregate_target, at startup", guess=True
            )
        else:
            part = Figure(
                target * _SGA_SHARE // 100,
                f"{_SGA_SHARE} % of {self.source('memory_target')}, at startup; it may grow to all of it",
                guess=True,
            )
        if not 0 < int(part.value) <= target:
            raise self.refuse(
                "memory_target", "memory_target leaves nothing for the SGA, or not enough", "a larger one"
            )
        granule = granule_of(self.size("sga_max_size") or most, self.version)
        return _Sga(part._replace(value=round_up(int(part.value), granule)), granule=granule, amm=True)

    def _biggest(self) -> str:
        """Say where the largest size of the SGA stands: SGA_MAX_SIZE is MEMORY_MAX_TARGET where it is not stated."""
        return self.source("sga_max_size" if self.size("sga_max_size") else "memory_max_target")

    def _components(self, biggest: int) -> Figure:
        """Return the sum of what is sized by hand; a guess where nothing is."""
        sizes = {name: self.size(name) for name in _COMPONENTS}
        if not any(sizes.values()):
            if biggest:
                return Figure(biggest, f"{self._biggest()}; sga_target is not stated", guess=True)
            share = max(GIB, self.memory * _SGA_SHARE // 100 // GIB * GIB)
            return Figure(share, f"{_SGA_SHARE} % of the memory; SGA_TARGET or SGA_MAX_SIZE says it", guess=True)
        parts = {name: value or _COMPONENT_DEFAULTS.get(name, 0) for name, value in sizes.items()}
        granule = granule_of(max(biggest, sum(parts.values())), self.version)
        named = ", ".join(name for name, value in sizes.items() if value)
        missing = [name for name in _COMPONENT_DEFAULTS if not sizes[name]]
        why = f"{named}" + (f"; {' and '.join(missing)} by default" if missing else "")
        return Figure(sum(round_up(value, granule) for value in parts.values()), why, guess=bool(missing))


def granule_of(size: int, version: Version) -> int:
    """Return the granule of an SGA (bytes), by SGA_MAX_SIZE or MEMORY_MAX_TARGET."""
    table = _GRANULES if version >= (11, 2) else _GRANULES_11_1 if version >= (11,) else _GRANULES_10
    return next(granule for limit, granule in table if size <= limit)


def write(found: ParameterFile | None, version: str, stated: Stated, command: str) -> str:
    """Return the text of a workload file.  Raises InputError for parameters with which no instance starts."""
    instance = Instance(found, parse_version(version), stated)
    sga = instance.sga()
    name = found.find("db_name") if found else None
    title = f"Oracle {version}" + (f", {name.value}" if name else "")
    notes = [] if found is None else [f"Parameters: {found.path}, read for Oracle {version}."]
    lines = [
        *head(command, title, tuple(notes)),
        *host(stated),
        "segments:",
        "  sga:",
        *_segment(instance, sga),
        "",
        "processes:",
        *_groups(instance, sga),
    ]
    return "\n".join(lines) + "\n"


def _segment(instance: Instance, sga: _Sga) -> Iterator[str]:
    yield size(4, "size", sga.size)
    yield from instance.backing(sga)
    if sga.resident is not None:
        yield size(4, "resident", sga.resident)
    if instance.flag("lock_sga", default=False):
        yield line(4, "locked", "true", instance.source("lock_sga"))


def _groups(instance: Instance, sga: _Sga) -> Iterator[str]:
    stated, every = instance.stated, instance.processes()
    # Background processes count in PROCESSES; a container database has more of them than an instance of 11g.
    background = min(60 if instance.version >= (12, 1) else 30, int(every.value) // 3)
    if stated.processes is not None:
        servers = Figure(stated.processes, "--processes")
    else:
        servers = Figure(int(every.value) - background, f"{every.why}, less the background processes", guess=True)
    total = int(servers.value) + background
    target, limit = instance.pga(int(sga.size.value), total)
    each = max(_PGA_OF_PROCESS, round_up(target // total, MIB))
    yield "  server:"
    yield from comment("Dedicated servers, one for each connection; shared servers are far fewer.", 4)
    yield number(4, "count", servers)
    yield size(4, "private", stated.privately(each, "the PGA target divided by the processes, 3 MiB at least"))
    if limit is not None and instance.size("pga_aggregate_limit"):
        yield size(4, "private_cap", Figure(limit, instance.source("pga_aggregate_limit")))
    elif limit is not None:
        # Not as a bound: the default grows with PROCESSES, and nothing would be left of "one more process costs".
        why = "what pga_aggregate_limit is by default; it grows with processes"
        yield line(4, "# private_cap", show_size(round_up(limit, MIB)), why)
    yield from _mapping(instance, every_page=instance.version < (12, 1) and instance.prepaged)
    yield "  background:"
    yield number(4, "count", Figure(background, "writers, log writer, monitors; they differ by version", guess=True))
    yield line(4, "scale", "fixed", "they do not grow with the connections")
    yield size(4, "private", Figure(8 * MIB, "a background process", guess=True))
    yield from _mapping(instance, every_page=instance.version < (12, 1) and instance.prepaged)


def _mapping(instance: Instance, *, every_page: bool) -> Iterator[str]:
    yield "    mappings:"
    yield "      - segment: sga"
    yield line(8, "address", f"{_BASE:#x}", "guess: where Oracle maps its SGA as a rule; /proc/PID/maps says it")
    if every_page:
        source = instance.source("pre_page_sga")
        yield line(8, "touch", "all", f"{source}: before 12.1 every process touches every page as it starts")
        return
    block = instance.block()
    said = "" if block == BLOCK else f"; {instance.source('db_block_size')}"
    why = "blocks that a session has met; ptcalc capture measures it"
    yield instance.stated.touched(why, max(block, 4096), said)
