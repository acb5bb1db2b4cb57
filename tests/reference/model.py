"""Counting: sets of keys, and what the counters show of them."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.reference.address_space import PMD_SIZE, SPANS, TABLE, Area, lay_out
from tests.reference.policies import Key, Rules, makes_huge, map_shared_pt_class, mshare_member, region_tables
from tests.reference.touch import Candidates, Pick, is_random, touched_pages

LEVELS = ("pte", "pmd", "pud", "p4d")

# (group, process, mapping, member of its touch list) -> how its random pages are picked
Chooser = Callable[[str, int, int, int], Pick]


@dataclass(frozen=True)
class Counted:
    """Tables of all processes by level, their bytes, PageTables, and VmPTE of each process of each group."""

    levels: dict[str, int]
    used_bytes: int
    page_tables_bytes: int
    vmpte_bytes: dict[str, list[int]]


def version_of(workload: Any) -> tuple[int, int]:
    """Return major and minor of the stated kernel; the newest if none is stated."""
    if workload.host.kernel is None:
        return (99, 0)
    major, minor = str(workload.host.kernel).split(".")[:2]
    return int(major), int("".join(itertools.takewhile(str.isdigit, minor)))


def counted_by(version: tuple[int, int]) -> tuple[set[str], set[str]]:
    """Return the levels in VmPTE and in PageTables (kernel-facts 2.1, 2.2)."""
    vmpte = {"pte"} if version < (4, 15) else {"pte", "pmd", "pud"}
    machine = {"pte"}
    machine |= {"pmd"} if version >= (5, 10) else set()
    machine |= {"pud"} if version >= (6, 7) else set()
    machine |= {"p4d"} if version >= (6, 14) else set()
    return vmpte, machine


def count(workload: Any, policy: str, chooser: Chooser | None = None, choices: dict[str, str] | None = None) -> Counted:
    """Count the page tables of a workload under a policy, page by page."""
    layout = lay_out(workload, policy)
    rules = Rules(policy, five_levels=workload.host.arch == "x86_64-la57", choices=choices or {})
    places = _touched_places(workload, layout, chooser)

    _find_huge(workload, rules, layout, places)
    if policy == "map-shared-pt":
        rules.pt_class = _best_classes(workload, rules, layout, places)

    tables: set[Key] = set()
    view: dict[tuple[str, int], set[Key]] = {}  # what each process would have if nothing were shared
    kept: dict[tuple[str, int], set[Key]] = {}  # what no policy shares, and what is shared, of each process
    reached: dict[tuple[str, int], set[tuple[str, Key]]] = {}
    cache: dict[tuple[object, ...], tuple[set[Key], set[Key], set[Key]]] = {}
    for (name, process, number), found in places.items():
        area = area_of(workload, layout, name, process, number)
        own = view.setdefault((name, process), set())
        known = (name, number, id(found), area.file)
        if known not in cache:
            cache[known] = _tables_of(rules, area, found)
        private, shared, seen = cache[known]
        tables |= shared
        tables.update((name, process, *key) for key in private)
        own |= seen
        kept.setdefault((name, process), set()).update(private)
        reached.setdefault((name, process), set()).update(
            (str(level), key) for level, key in shared if isinstance(key, tuple)
        )

    levels = dict.fromkeys(LEVELS, 0)
    for key in tables:
        levels[_level(key)] += 1
    vmpte_levels, machine_levels = counted_by(version_of(workload))
    vmpte = {name: [0] * workload.processes[name].count for name in workload.processes}
    if rules.choices.get("file-shared.vmpte") == "once":
        users = Counter(key for shared in reached.values() for key in shared)
        first_alone = rules.choices.get("file-shared.first_shared") == "second_mapper"
        for who, own in view.items():
            alone = {key for key in reached[who] if users[key] == 1 and first_alone and key[1][0] == "file"}
            view[who] = {(key[0], key) for key in alone} | {key for key in own if key in kept[who]}
    for (name, process), own in view.items():
        vmpte[name][process] = TABLE * sum(str(level) in vmpte_levels for level, _ in own)
    return Counted(
        levels=levels,
        used_bytes=TABLE * sum(levels.values()),
        page_tables_bytes=TABLE * sum(levels[level] for level in machine_levels),
        vmpte_bytes=vmpte,
    )


def copy_of(workload: Any, segment: str, process: int) -> int:
    """Return which copy of a segment a process maps: copies are dealt out in turn."""
    per = workload.segments[segment].per
    return 0 if per is None else process % workload.processes[per].count


def area_of(workload: Any, layout: dict[str, list[Area]], name: str, process: int, number: int) -> Area:
    """Return an area of one process: its file is that of the copy that the process maps."""
    area = layout[name][number]
    segment, piece, backing = area.file
    if workload.segments[segment].per is None:
        return area
    return replace(area, file=(f"{segment}#{copy_of(workload, segment, process)}", piece, backing))


def _find_huge(
    workload: Any,
    rules: Rules,
    layout: dict[str, list[Area]],
    places: dict[tuple[str, int, int], frozenset[int]],
) -> None:
    """Find the chunks that are huge pages, and the regions that may map some."""
    for (name, process, number), found in places.items():
        area = area_of(workload, layout, name, process, number)
        rules.huge.update((area.file, place // (2 << 20)) for place in found if makes_huge(area, place))
        if mshare_member(area) and area.madvise != "nohugepage":
            rules.region_huge.add(area.file[0])


def _tables_of(rules: Rules, area: Area, found: frozenset[int]) -> tuple[set[Key], set[Key], set[Key]]:
    """Return one process's private keys, its shared keys, and the keys that its VmPTE shows."""
    private: set[Key] = set()
    shared: set[Key] = set()
    seen: set[Key] = set()
    for place in found:
        if rules.policy == "mshare" and mshare_member(area):
            shared.update((level, key) for level, key in region_tables(rules, area, place))
            continue
        for level, first, key in rules.tables(area, place):
            seen.add((level, first))
            if key is None:
                private.add((level, first))
            else:
                shared.add((level, key))
    return private, shared, seen


def _level(key: Key) -> str:
    """Level of a private key (group, process, level, address) or of a shared one (level, key)."""
    return str(key[0] if len(key) == 2 else key[2])


def _touched_places(
    workload: Any, layout: dict[str, list[Area]], chooser: Chooser | None, *, by_guest: bool = False
) -> dict[tuple[str, int, int], frozenset[int]]:
    """Return for every group, process and area the touched base pages, as offsets in the area's file.

    Processes that touch the same pages get the same object, so that what follows from it is worked out once.
    """
    found: dict[tuple[str, int, int], frozenset[int]] = {}
    for name, group in workload.processes.items():
        pages: dict[tuple[int, int], frozenset[int]] = {}
        for process in range(group.count):
            for number, mapping in enumerate(group.mappings):
                forms = mapping.guest_touch if by_guest else mapping.touch
                if process > 0 and not any(map(is_random, forms)):
                    pages[process, number] = pages[0, number]
                    continue
                whole = workload.segments[mapping.segment].size - mapping.offset
                length = whole if mapping.length is None else mapping.length
                union: set[int] = set()
                for member, touch in enumerate(forms):
                    pick = None
                    if is_random(touch):
                        assert chooser is not None, "a random touch in the exact model"
                        first = copy_of(workload, mapping.segment, process)
                        pick = chooser(name, first if touch.overlap == "same" else process, number, member)
                    union |= touched_pages(touch, offset=mapping.offset, length=length, pick=pick)
                pages[process, number] = frozenset(union)
            for number, area in enumerate(layout[name]):
                if process > 0 and pages[process, area.mapping] is pages[0, area.mapping]:
                    found[name, process, number] = found[name, 0, number]
                else:
                    found[name, process, number] = frozenset(area.places(pages[process, area.mapping]))
    return found


def _best_classes(
    workload: Any, rules: Rules, layout: dict[str, list[Area]], places: dict[tuple[str, int, int], frozenset[int]]
) -> dict[tuple[str, int, str], Key]:
    """Return for each file the class of mappings whose sharing saves most PTE tables (contract 4)."""
    # READING: the copies of a segment have one class together, the one that saves most over all of them.
    used: dict[tuple[tuple[str, int, str], Key], list[tuple[tuple[str, int], tuple[str, int]]]] = {}
    cache: dict[tuple[object, ...], set[int]] = {}
    for (name, process, number), found in places.items():
        area = layout[name][number]
        copy = area_of(workload, layout, name, process, number)
        mine = map_shared_pt_class(area)
        if mine is None:
            continue
        known = (name, number, id(found), copy.file)
        if known not in cache:
            steps = (step for place in found for step in rules.tables(copy, place))
            cache[known] = {first for level, first, _ in steps if level == "pte"}
        used.setdefault((area.file, mine), []).extend(
            ((name, process), (copy.file[0], first)) for first in cache[known]
        )
    best: dict[tuple[str, int, str], tuple[tuple[int, int], Key]] = {}
    for (file, mine), entries in used.items():
        # READING: of classes that save as much, the one with more tables.
        saves = len(set(entries)) - len({first for _, first in entries}), len(set(entries))
        if file not in best or saves > best[file][0]:
            best[file] = (saves, mine)
    return {
        (f"{file[0]}#{copy}" if workload.segments[file[0]].per else file[0], *file[1:]): mine
        for file, (_, mine) in best.items()
        for copy in range(copies_of(workload, file[0]))
    }


def copies_of(workload: Any, segment: str) -> int:
    """Return how many such segments there are."""
    per = workload.segments[segment].per
    return 1 if per is None else int(workload.processes[per].count)


def guest_tables(workload: Any, policy: str, kind: str, chooser: Chooser | None = None) -> dict[str, list[int]]:
    """Return for each process of each group how many second-level tables its guest has, the root left out."""
    layout = lay_out(workload, policy)
    rules = Rules(policy)
    _find_huge(workload, rules, layout, _touched_places(workload, layout, chooser))
    counted: dict[str, list[int]] = {}
    touched = _touched_places(workload, layout, chooser, by_guest=True)
    for name, group in workload.processes.items():
        for process in range(group.count):
            tables: set[tuple[str, int]] = set()
            for number in range(len(layout[name])):
                area = area_of(workload, layout, name, process, number)
                if area.guest is None or kind not in group.mappings[area.mapping].second_level.split("+"):
                    continue
                for place in touched[name, process, number]:
                    va = place - area.offset
                    leaf = _guest_leaf(
                        rules, area, va, guests_of_region=rules.policy == "mshare" and mshare_member(area)
                    )
                    guest = area.guest + va
                    tables.update(
                        (level, guest // span) for level, span in SPANS.items() if level != "p4d" and span > leaf
                    )
            counted.setdefault(name, []).append(len(tables))
    return counted


def _guest_leaf(rules: Rules, area: Area, into: int, *, guests_of_region: bool) -> int:
    """Return the size of the leaf that maps the byte at `into` of an area for a guest: that of the host, or smaller."""
    assert area.guest is not None
    va = area.va + into
    if guests_of_region:
        names = [level for level, _ in region_tables(rules, area, area.offset + into)]
        va = area.home + area.offset + into
    else:
        names = rules.levels(area, area.offset + into, va)
    if area.backing == "private" and area.thp != "never":
        asked = area.madvise == "hugepage" or (area.madvise == "none" and area.thp != "advise")
        chunk = va // PMD_SIZE * PMD_SIZE
        if asked and area.vma[0] <= chunk and chunk + PMD_SIZE <= area.vma[1]:
            names = names[1:]
    host = {"pte": 4096, "pmd": PMD_SIZE, "pud": 1 << 30}[names[0]]
    start = va - into
    for size in (1 << 30, PMD_SIZE):
        chunk = va // size * size
        whole = start <= chunk and chunk + size <= start + area.length
        if size <= host and (area.guest - start) % size == 0 and whole:
            return size
    return 4096


def resident_touched(workload: Any, policy: str, chooser: Chooser | None = None) -> dict[str, int]:
    """Return per segment the bytes that its shared copy holds where `resident: touched`: leaves that any
    process touched.

    Segments of backing private: the copies of all processes together.
    """
    layout = lay_out(workload, policy)
    places = _touched_places(workload, layout, chooser)
    huge = {
        (area_of(workload, layout, name, process, number).file, place // (2 << 20))
        for (name, process, number), found in places.items()
        for place in found
        if makes_huge(layout[name][number], place)
    }
    leaves: dict[str, set[tuple[object, ...]]] = {name: set() for name in workload.segments}
    for (name, process, number), found in places.items():
        area = area_of(workload, layout, name, process, number)
        owner = (name, process) if area.backing == "private" else ()
        for place in found:
            size = 2 << 20 if (area.file, place // (2 << 20)) in huge else area.page
            leaves[area.file[0].split("#")[0]].add((area.file, owner, size, place // size))
    return {name: sum(int(str(leaf[2])) for leaf in found) for name, found in leaves.items()}


# --- random touches -------------------------------------------------------------------------------


def random_draws(workload: Any) -> list[tuple[str, int, int, int]]:
    """Return the independent draws of a workload: (group, process, mapping, member of the touch list)."""
    return [
        (name, process, number, member)
        for name, group in workload.processes.items()
        for number, mapping in enumerate(group.mappings)
        for member, touch in enumerate(mapping.touch)
        if is_random(touch)
        for process in range(min(copies_of(workload, mapping.segment), group.count) if same(touch) else group.count)
    ]


def same(touch: Any) -> bool:
    """Whether the processes of a group that map one file draw the same pages."""
    return bool(touch.overlap == "same")


def monte_carlo(workload: Any, policy: str, draws: int, seed: int) -> Iterator[Counted]:
    """Yield the counts of `draws` random outcomes."""
    for draw in range(draws):
        yield count(workload, policy, _sampler(f"{seed} {draw}"))


def _sampler(seed: str) -> Chooser:
    def choose(*key: object) -> Pick:
        # Seeded by the key, so that `overlap: same` gives every process the same pages.
        generator = random.Random(f"{seed} {key}")
        return lambda candidates, wanted: generator.sample(candidates, wanted)

    return choose


def every_outcome(
    workload: Any, policy: str, limit: int = 20_000, choices: dict[str, str] | None = None
) -> list[Counted]:
    """Return the counts of every outcome of the random touches; all are equally likely.  ValueError above
    `limit`.
    """
    draws = random_draws(workload)
    sizes: dict[tuple[str, int, int, int], tuple[int, int]] = {}

    def measure(*key: object) -> Pick:
        def pick(candidates: Candidates, wanted: int) -> Candidates:
            sizes[key] = (len(candidates), wanted)  # type: ignore[index]
            return []  # only the sizes matter here

        return pick

    count(workload, policy, measure)
    subsets = [list(itertools.combinations(range(sizes[key][0]), sizes[key][1])) for key in draws]
    total = 1
    for subset in subsets:
        total *= len(subset)
    if total > limit:
        raise ValueError(f"{total} outcomes")
    outcomes = []
    for chosen in itertools.product(*subsets):
        picked = dict(zip(draws, chosen, strict=True))

        def choose(*key: object, picked: dict[Any, tuple[int, ...]] = picked) -> Pick:
            return lambda candidates, wanted: [candidates[place] for place in picked[key]]

        outcomes.append(count(workload, policy, choose, choices))
    return outcomes
