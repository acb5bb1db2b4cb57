"""The layouts that are measured: chosen ones, each for a rule of the kernel, and others from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from .layouts import BASE, GIB, KIB, MIB, PAGE, SLOT, Group, Layout, Mapping, Segment, Touch

SEED = 20220718


def one(
    name: str,
    segment: Segment,
    *mappings: Mapping,
    count: int = 1,
    memory: int = 512 * MIB,
) -> Layout:
    """A layout of one segment `s` and one group."""
    return Layout(name, {"s": segment}, {"p": Group(mappings, count)}, memory=memory)


def groups(name: str, segment: Segment, *members: tuple[int, Mapping]) -> Layout:
    """A layout of one segment `s` and several groups of one mapping each."""
    return Layout(name, {"s": segment}, {f"g{place}": Group((m,), count) for place, (count, m) in enumerate(members)})


def base_pages() -> Iterator[Layout]:
    """Shared and private memory in base pages."""
    for level, span in (("4K", PAGE), ("2M", 2 * MIB), ("1G", GIB), ("512G", SLOT)):
        for shift in (-MIB, -PAGE, 0, PAGE, MIB):
            mapping = Mapping("s", BASE + span + shift, 3 * MIB)
            yield one(f"memfd-3M-at-{level}{shift // KIB:+}K", Segment("memfd", 3 * MIB), mapping)
    yield one("memfd-64M", Segment("memfd", 64 * MIB), Mapping("s", BASE, 64 * MIB))
    yield one("memfd-64M-1M-off", Segment("memfd", 64 * MIB), Mapping("s", BASE + MIB, 64 * MIB), count=4)
    yield one(
        "memfd-16-processes",
        Segment("memfd", 16 * MIB),
        Mapping("s", BASE + GIB - 8 * MIB, 16 * MIB),
        count=16,
    )
    yield one("shm-offset", Segment("shm", 64 * MIB), Mapping("s", BASE, 33 * MIB, offset=5 * MIB + PAGE), count=2)
    yield one("shm-4K", Segment("shm", PAGE), Mapping("s", BASE + 7 * PAGE, PAGE), count=3)
    yield one(
        "anonymous-inherited",
        Segment("anonymous", 48 * MIB),
        Mapping("s", BASE + GIB - 24 * MIB, 48 * MIB),
        count=8,
    )
    yield one(
        "anonymous-inherited-partly",
        Segment("anonymous", 4 * GIB),
        Mapping("s", BASE + 3 * MIB, 4 * GIB, touch={"every": 96 * MIB, "start": PAGE}),
        count=3,
    )
    sparse = {"every": 2 * MIB}
    yield one("memfd-8G-every-2M", Segment("memfd", 8 * GIB), Mapping("s", BASE, 8 * GIB, touch=sparse), count=2)
    yield one(
        "memfd-300G-every-2M",
        Segment("memfd", 300 * GIB),
        Mapping("s", BASE, 300 * GIB, touch=sparse),
        count=3,
        memory=3 * GIB,
    )
    yield one(
        "memfd-600G-every-3G",
        Segment("memfd", 600 * GIB),
        Mapping("s", BASE + 100 * GIB, 600 * GIB, touch={"every": 3 * GIB}),
    )
    yield one(
        "memfd-strided-part",
        Segment("memfd", GIB),
        Mapping("s", BASE + PAGE, GIB, touch={"every": 5 * MIB, "start": 3 * MIB, "length": 500 * MIB}),
    )
    parts = [(0, PAGE), (2 * MIB - PAGE, 2 * PAGE), (300 * MIB, 9 * MIB), (GIB - PAGE, PAGE)]
    ranges: Touch = {"ranges": [{"start": start, "length": length} for start, length in parts]}
    yield one("memfd-ranges", Segment("memfd", GIB), Mapping("s", BASE, GIB, touch=ranges), count=2)
    yield one("memfd-ranges-1M-off", Segment("memfd", GIB), Mapping("s", BASE + MIB, GIB, touch=ranges))
    yield one(
        "memfd-union-of-forms",
        Segment("memfd", GIB),
        Mapping("s", BASE, GIB, touch=[{"every": 30 * MIB}, ranges]),
    )
    yield one(
        "memfd-contiguous",
        Segment("memfd", GIB),
        Mapping("s", BASE + 2 * MIB - PAGE, GIB, touch={"amount": 21 * MIB, "pattern": "contiguous"}),
    )
    yield one("memfd-untouched", Segment("memfd", GIB), Mapping("s", BASE, GIB, touch="none"))
    none = Mapping("s", BASE, 32 * MIB, protection="none")
    yield one("memfd-none-untouched", Segment("memfd", 32 * MIB), none)
    yield one("memfd-none-touched-before", Segment("memfd", 32 * MIB), replace(none, touch="all"), count=2)
    yield one("memfd-none-touched-in-part", Segment("memfd", 32 * MIB), replace(none, touch={"every": 8 * MIB}))
    for protection in ("r", "rx", "rwx"):
        mapping = Mapping("s", BASE + MIB, 16 * MIB, protection=protection)
        yield one(f"memfd-{protection}", Segment("memfd", 16 * MIB, fill=True), mapping, count=2)
    yield one("memfd-read-of-holes", Segment("memfd", 16 * MIB), Mapping("s", BASE, 16 * MIB, access="read"))
    # a read maps neighbours that are in memory too (fault-around), but never another table
    yield one(
        "memfd-fault-around",
        Segment("memfd", 16 * MIB, fill=True),
        Mapping("s", BASE + MIB, 16 * MIB, access="read", touch={"every": 4 * MIB, "start": MIB - PAGE}),
    )
    for access in ("read", "write"):
        for kind in ("memfd", "file"):
            mapping = Mapping("s", BASE + MIB, 12 * MIB, offset=64 * KIB, map="private", access=access)
            yield one(f"{kind}-private-{access}", Segment(kind, 16 * MIB, fill=True), mapping, count=2)
        yield one(
            f"file-shared-{access}",
            Segment("file", 8 * MIB, fill=True),
            Mapping("s", BASE + PAGE, 8 * MIB, access=access),
        )


def neighbours() -> Iterator[Layout]:
    """Several mappings of a process that share edge tables."""
    four = Segment("memfd", 4 * MIB)
    for gap in (0, PAGE, MIB, 2 * MIB, GIB, SLOT):
        a = Mapping("s", BASE + MIB, 3 * MIB)
        b = Mapping("s", BASE + 4 * MIB + gap, 3 * MIB, offset=MIB)
        yield one(f"neighbours-{gap // KIB}K-apart", four, a, b)
    row = tuple(Mapping("s", BASE + GIB - 40 * PAGE + i * 3 * PAGE, PAGE, offset=i * PAGE) for i in range(30))
    yield one("thirty-small-ones", four, *row, count=2)
    backwards = tuple(Mapping("s", BASE + (7 - i) * 512 * KIB, 512 * KIB, offset=i * 512 * KIB) for i in range(8))
    yield one("pieces-backwards", four, *backwards)
    mixed = (
        Mapping("s", BASE, MIB),
        Mapping("s", BASE + MIB, MIB, offset=MIB, protection="r"),
        Mapping("s", BASE + 2 * MIB, MIB, offset=2 * MIB, protection="none"),
        Mapping("s", BASE + 3 * MIB, MIB, offset=3 * MIB, protection="none", touch="all"),
    )
    yield one("neighbours-of-all-protections", four, *mixed)
    yield Layout(
        "neighbours-of-all-backings",
        {
            "a": four,
            "b": Segment("private", 4 * MIB),
            "c": Segment("shm", 4 * MIB),
            "d": Segment("file", 4 * MIB, fill=True),
        },
        {
            "p": Group(
                tuple(Mapping(name, BASE + GIB + i * 3 * MIB + MIB, 3 * MIB) for i, name in enumerate("abcd")),
                2,
            ),
            "q": Group((Mapping("c", BASE + MIB, 4 * MIB), Mapping("a", BASE + 5 * MIB, PAGE))),
        },
    )
    yield one(
        "same-file-twice",
        Segment("memfd", 8 * MIB),
        Mapping("s", BASE, 8 * MIB),
        Mapping("s", BASE + 8 * MIB, 8 * MIB, touch={"every": 3 * MIB}),
        count=2,
    )


def anonymous() -> Iterator[Layout]:
    """Private anonymous memory: huge pages deposit the table that they save."""
    for advice in ("none", "hugepage", "nohugepage"):
        segment = Segment("private", 34 * MIB, huge="always" if advice == "hugepage" else "never")
        for shift in (0, MIB):
            for access in ("read", "write"):
                mapping = Mapping("s", BASE + shift, 33 * MIB, madvise=advice, access=access)
                yield one(
                    f"private-{advice}-{shift // MIB}M-off-{access}",
                    segment,
                    mapping,
                    count=1 if shift else 3,
                )
        mapping = Mapping("s", BASE, 33 * MIB, madvise=advice, touch={"every": 4 * MIB})
        yield one(f"private-{advice}-every-4M", segment, mapping)
        yield one(f"private-{advice}-none-after", segment, replace(mapping, protection="none"))
        yield one(f"private-{advice}-read-only", segment, replace(mapping, protection="r"))


def huge_tmpfs() -> Iterator[Layout]:
    """A tmpfs with huge pages: which chunks get a PMD leaf."""
    full = Segment("tmpfs", 16 * MIB, huge="always", fill=True)
    plain = Mapping("s", BASE, 16 * MIB)
    yield one("thp-aligned", full, plain, count=3)
    yield one("thp-never", Segment("tmpfs", 16 * MIB, fill=True), plain)
    yield one("thp-address-1M-off", full, Mapping("s", BASE + MIB, 16 * MIB))
    yield one("thp-offset-1M", full, Mapping("s", BASE, 15 * MIB, offset=MIB))
    yield one("thp-both-1M", full, Mapping("s", BASE + MIB, 14 * MIB, offset=MIB))
    yield one("thp-one-page-short", full, Mapping("s", BASE, 16 * MIB - PAGE))
    yield one("thp-over-1G", full, Mapping("s", BASE + GIB - 6 * MIB, 16 * MIB))
    yield one("thp-every-4M", full, replace(plain, touch={"every": 4 * MIB}))
    yield one("thp-read-only", full, replace(plain, protection="r"))
    yield one("thp-none-after", full, replace(plain, protection="none", touch="all"))
    yield one("thp-holes-read", replace(full, fill=False), replace(plain, access="read"))
    yield one("thp-holes-write", replace(full, fill=False), plain, count=2)
    for size in (6 * MIB, 6 * MIB - PAGE, 5 * MIB, 4 * MIB + PAGE):
        for huge in ("always", "within_size"):
            yield one(
                f"thp-{huge}-{size // KIB}K",
                Segment("tmpfs", size, huge=huge, fill=True),
                Mapping("s", BASE, size),
            )
    advise = Segment("tmpfs", 16 * MIB, huge="advise")
    advised = replace(plain, madvise="hugepage")
    yield one("thp-advise-unadvised", advise, plain)
    yield one("thp-advise-advised", advise, advised, count=2)
    yield groups("thp-advise-one-of-two", advise, (1, advised), (2, plain))
    yield groups("thp-nohugepage-in-one", full, (1, plain), (2, replace(plain, madvise="nohugepage")))
    for access in ("read", "write"):
        private = replace(plain, map="private", access=access)
        yield one(f"thp-private-{access}", full, private, count=2)
        yield one(f"thp-private-{access}-every-4M", full, replace(private, touch={"every": 4 * MIB}))
        yield one(f"thp-private-{access}-nohugepage", full, replace(private, madvise="nohugepage"))
        yield one(
            f"thp-private-neighbours-{access}",
            full,
            replace(private, length=9 * MIB, access="read"),
            replace(private, address=BASE + 9 * MIB, offset=9 * MIB, length=7 * MIB),
        )
    for mode in ("missing", "wp", "minor"):
        yield groups(f"thp-userfault-{mode}", full, (1, replace(plain, userfaultfd=mode)), (1, plain))
    first, second = replace(plain, length=5 * MIB), Mapping("s", BASE + 5 * MIB, 11 * MIB, offset=5 * MIB)
    yield one("thp-neighbours-merge", full, first, second)
    yield one("thp-neighbours-differ", full, first, replace(second, protection="r"))
    yield one("thp-neighbours-advice-differs", full, first, replace(second, madvise="hugepage"))
    yield one("thp-neighbours-offset-jumps", full, first, replace(second, offset=3 * MIB, length=11 * MIB))


def hugetlb() -> Iterator[Layout]:
    """hugetlb, with the PMD tables that processes share; one access in each GiB keeps the pool small."""
    step: Touch = {"every": GIB}
    four = Segment("hugetlb", 4 * GIB)
    whole = Mapping("s", BASE, 4 * GIB, touch=step)
    for count in (1, 2, 16):
        yield one(f"hugetlb-4G-x{count}", four, whole, count=count)
    for advice in ("hugepage", "nohugepage"):
        yield groups(f"hugetlb-{advice}-in-one", four, (2, whole), (2, replace(whole, madvise=advice)))
    for mode in ("missing", "wp", "minor"):
        yield groups(f"hugetlb-userfault-{mode}", four, (2, whole), (2, replace(whole, userfaultfd=mode)))
    yield groups("hugetlb-read-only-attachers", four, (3, whole), (2, replace(whole, protection="r")))
    yield groups("hugetlb-three-protections", four, *((2, replace(whole, protection=p)) for p in ("rw", "rx", "rwx")))
    yield groups("hugetlb-readers-of-rw", four, (1, whole), (2, replace(whole, access="read")))
    yield groups("hugetlb-none-untouched", four, (2, whole), (1, replace(whole, protection="none", touch=None)))
    for access in ("read", "write"):
        yield groups(f"hugetlb-private-{access}", four, (2, replace(whole, map="private", access=access)), (2, whole))
    edge: Touch = {"every": 512 * MIB}
    yield one("hugetlb-ragged-ends", four, Mapping("s", BASE + 512 * MIB, 3 * GIB, touch=edge), count=4)
    yield one("hugetlb-2.5G", four, Mapping("s", BASE, 5 * GIB // 2, touch=edge), count=3)
    yield one("hugetlb-small", four, Mapping("s", BASE, 512 * MIB, touch=edge), count=4)
    yield one("hugetlb-1G-across", four, Mapping("s", BASE + 512 * MIB, GIB, touch=edge), count=3)
    yield one("hugetlb-2M-less", four, Mapping("s", BASE, GIB - 2 * MIB, touch=edge), count=2)
    yield one("hugetlb-over-512G", four, Mapping("s", BASE + SLOT - 2 * GIB, 4 * GIB, touch=step), count=3)
    yield one("hugetlb-offset-2M", four, Mapping("s", BASE, 2 * GIB, offset=2 * MIB, touch=step), count=3)
    far = Mapping("s", BASE + SLOT + 5 * GIB, 2 * GIB, offset=2 * GIB, touch=step)
    yield groups("hugetlb-congruent-elsewhere", four, (2, whole), (2, far))
    yield groups("hugetlb-2M-apart", four, (2, whole), (2, replace(far, address=far.address + 2 * MIB)))
    yield groups("hugetlb-other-offset", four, (2, whole), (2, replace(far, offset=2 * GIB - 2 * MIB)))
    yield groups(
        "hugetlb-ragged-partner",
        four,
        (1, replace(whole, length=3 * GIB // 2)),
        (1, replace(whole, length=2 * GIB)),
    )
    yield one("hugetlb-twice-in-one", four, whole, replace(whole, address=BASE + SLOT), count=2)
    yield one("hugetlb-twice-not-congruent", four, whole, replace(whole, address=BASE + SLOT + 2 * MIB), count=2)
    half = replace(whole, length=512 * MIB)
    yield one("hugetlb-halves", four, half, replace(half, address=BASE + 512 * MIB, offset=512 * MIB), count=2)
    gib = replace(whole, length=GIB)
    yield one("hugetlb-quarters", four, gib, replace(gib, address=BASE + GIB, offset=GIB), count=3)
    yield groups(
        "hugetlb-touched-in-part",
        four,
        (2, replace(whole, touch={"ranges": [{"start": 0, "length": PAGE}]})),
        (2, replace(whole, touch={"every": 2 * GIB, "start": 6 * MIB})),
        (1, replace(whole, touch="none")),
    )
    yield Layout(
        "hugetlb-and-memfd-in-one-gib",
        {"s": four, "m": Segment("memfd", 64 * MIB, fill=True)},
        {"p": Group((replace(whole, length=GIB + 512 * MIB), Mapping("m", BASE + GIB + 512 * MIB, 64 * MIB)), 3)},
    )
    yield one("hugetlb-dense", four, Mapping("s", BASE + GIB - 32 * MIB, 64 * MIB), count=2)


def scattered() -> Iterator[Layout]:
    """Random touches: the prediction is an expectation with a standard deviation."""
    size = 8 * GIB
    forms: dict[str, Touch] = {
        "scattered": {"pages": 3000, "pattern": "scattered"},
        "scattered-few": {"pages": 150},
        "scattered-amount": {"amount": 24 * MIB, "pattern": "scattered"},
        "scattered-same": {"pages": 3000, "pattern": "scattered", "overlap": "same"},
        "clustered": {"amount": 24 * MIB, "pattern": "clustered", "cluster": 64 * KIB},
        "clustered-wide": {"amount": 36 * MIB, "pattern": "clustered", "cluster": 3 * MIB},
        "hot-and-rest": [
            {"amount": 16 * MIB, "pattern": "contiguous"},
            {"pages": 2000, "pattern": "scattered"},
        ],
    }
    for name, touch in forms.items():
        for shift in (0, MIB + PAGE):
            mapping = Mapping("s", BASE + shift, size, touch=touch)
            yield one(f"{name}-{shift // KIB}K-off", Segment("memfd", size), mapping, count=4)
    pair = (
        Mapping("s", BASE + MIB, GIB, touch={"pages": 400}),
        Mapping("s", BASE + GIB + MIB, GIB, offset=3 * GIB, touch={"pages": 90}),
        Mapping("s", BASE + GIB // 2 * 5, GIB, offset=PAGE, touch={"every": 8 * MIB}),
    )
    yield one("scattered-neighbours", Segment("memfd", size), *pair, count=16)
    yield one(
        "scattered-private",
        Segment("private", size),
        Mapping("s", BASE, size, touch={"pages": 3000}),
    )
    yield one(
        "scattered-hugetlb",
        Segment("hugetlb", 64 * GIB),
        Mapping("s", BASE, 64 * GIB, touch={"pages": 20}),
        count=4,
    )


def generated(seed: int = SEED, number: int = 40) -> Iterator[Layout]:
    """Layouts nobody chose: mappings around boundaries, some meeting, touched in every exact form."""
    for index in range(number):
        rng = random.Random(seed * 1000 + index)
        kinds = ("memfd", "memfd", "shm", "private")
        segments = {name: Segment(rng.choice(kinds), rng.randrange(1, 5000) * PAGE) for name in "abc"}
        members = {}
        for name in ("x", "y")[: rng.randint(1, 2)]:
            mappings: list[Mapping] = []
            address = BASE + rng.choice((0, 2 * MIB, GIB, SLOT)) - rng.randrange(0, 4000) * PAGE
            for _ in range(rng.randint(1, 5)):
                segment = rng.choice("abc")
                size = segments[segment].size
                offset = rng.randrange(0, size // PAGE) * PAGE
                length = rng.randint(1, (size - offset) // PAGE) * PAGE
                protection = rng.choice(("rw", "rw", "r", "none", "rx"))
                mappings.append(
                    Mapping(
                        segment,
                        address,
                        length,
                        offset=0 if segments[segment].kind == "private" else offset,
                        touch=any_touch(rng, length),
                        protection=protection,
                        map="private"
                        if segments[segment].kind == "private"
                        else rng.choice(("shared", "shared", "private")),
                        access=rng.choice((None, "read")) if protection != "none" else None,
                    )
                )
                address += length + rng.choice((0, 0, PAGE, MIB, 2 * MIB, GIB))
            members[name] = Group(tuple(mappings), rng.choice((1, 1, 2, 3)))
        used = {mapping.segment for group in members.values() for mapping in group.mappings}
        yield Layout(f"generated-{index}", {name: segments[name] for name in sorted(used)}, members)


def any_touch(rng: random.Random, length: int) -> Touch | None:
    """Draw one of the exact touch forms for a mapping of `length` bytes."""
    pages = length // PAGE
    form = rng.randrange(6)
    if form == 0:
        return {"every": rng.choice((PAGE, 3 * PAGE, 2 * MIB, 5 * MIB))}
    if form == 1:
        start = rng.randrange(pages)
        return {
            "every": rng.choice((2 * PAGE, 2 * MIB)),
            "start": start * PAGE,
            "length": rng.randint(1, pages - start) * PAGE,
        }
    if form == 2:
        starts = [rng.randrange(pages) for _ in range(rng.randint(1, 3))]
        return {"ranges": [{"start": s * PAGE, "length": rng.randint(1, pages - s) * PAGE} for s in starts]}
    if form == 3:
        return {"pages": rng.randint(1, pages), "pattern": "contiguous"}
    return ("none", "all")[form - 4]


def generated_hugetlb(seed: int = SEED, number: int = 20) -> Iterator[Layout]:
    """Groups that map parts of one huge-page segment with edges, residues and attributes drawn at random."""
    for index in range(number):
        rng = random.Random(seed * 2000 + index)
        members = {}
        for place in range(rng.randint(2, 4)):
            # every slot of the address space holds at most one mapping of a process
            slots = rng.sample(range(3), rng.choice((1, 1, 2)))
            row = tuple(any_hugetlb(rng, BASE + slot * SLOT) for slot in slots)
            members[f"g{place}"] = Group(row, rng.randint(1, 3))
        yield Layout(f"generated-hugetlb-{index}", {"s": Segment("hugetlb", 4 * GIB)}, members)


def any_hugetlb(rng: random.Random, base: int) -> Mapping:
    """Draw a mapping of a 4 GiB segment, mostly at the segment's own residue, where chunks can be shared."""
    half = rng.randrange(0, 6)
    offset, length = half * 512 * MIB, rng.randint(1, 8 - half) * 512 * MIB
    return Mapping(
        "s",
        base + offset + rng.choice((0, 0, 0, 512 * MIB, 2 * MIB)),
        length,
        offset=offset,
        touch={"every": rng.choice((512 * MIB, GIB)), "start": rng.choice((0, 0, 256 * MIB))},
        protection=rng.choice(("rw", "rw", "rw", "r")),
        map=rng.choice(("shared", "shared", "shared", "private")),
        madvise=rng.choice(("none", "none", "none", "nohugepage")),
    )


def generated_thp(seed: int = SEED, number: int = 20) -> Iterator[Layout]:
    """Groups that map a file of huge pages in rows of neighbours, cut and attributed at random."""
    for index in range(number):
        rng = random.Random(seed * 3000 + index)
        size = rng.choice((8 * MIB, 12 * MIB, rng.randint(600, 4000) * PAGE))
        huge = rng.choice(("always", "always", "within_size"))
        advice = ("none", "none", "nohugepage") if huge == "within_size" else ("none", "hugepage", "nohugepage")
        members = {}
        for name in ("x", "y")[: rng.randint(1, 2)]:
            cuts = {rng.choice((2 * MIB, MIB, PAGE)) * rng.randrange(1, 8) for _ in range(rng.randint(0, 3))}
            bounds = [0, *sorted(cut for cut in cuts if cut < size), size]
            base = BASE + rng.choice((0, GIB - 2 * MIB)) + rng.choice((0, 0, 0, MIB, PAGE))
            kind = rng.choice(("shared", "shared", "private"))
            row = [
                Mapping(
                    "s",
                    base + start,
                    stop - start,
                    offset=start,
                    touch=any_touch(rng, stop - start),
                    map=kind,
                    protection=rng.choice(("rw", "rw", "rw", "r")),
                    access=rng.choice((None, "read")),
                    madvise=rng.choice(advice[: rng.choice((1, 3))]),
                )
                for start, stop in pairwise(bounds)
            ]
            members[name] = Group(tuple(m for m in row if rng.random() < 0.9) or (row[0],), rng.choice((1, 2)))
        yield Layout(f"generated-thp-{index}", {"s": Segment("tmpfs", size, huge=huge, fill=True)}, members)


def counted() -> Iterator[Layout]:
    """Layouts whose tables are also counted all together, each shared one once.

    Base-page segments are in memory beforehand: a cgroup's counter would show their page-cache nodes too.
    """
    yield from (layout for layout in [*hugetlb(), *generated_hugetlb(number=10)] if len(layout.processes()) > 1)
    yield one("counted-memfd", Segment("memfd", 16 * MIB, fill=True), Mapping("s", BASE + MIB, 16 * MIB), count=8)
    yield one(
        "counted-thp",
        Segment("tmpfs", 64 * MIB, huge="always", fill=True),
        Mapping("s", BASE, 64 * MIB),
        count=8,
    )
    yield one("counted-private", Segment("private", 4 * MIB), Mapping("s", BASE + MIB, 4 * MIB), count=4)


EXACT = [
    *base_pages(),
    *neighbours(),
    *anonymous(),
    *huge_tmpfs(),
    *hugetlb(),
    *generated(),
    *generated_hugetlb(),
    *generated_thp(),
]
RANDOM = list(scattered())
COUNTED = list(counted())
# A cgroup's counter holds slab as well, so nothing whose touching allocates any (private hugetlb pages do).
IN_A_CGROUP = {
    "hugetlb-4G-x2",
    "hugetlb-4G-x16",
    "hugetlb-read-only-attachers",
    "hugetlb-ragged-ends",
    "hugetlb-congruent-elsewhere",
    "hugetlb-2M-apart",
    "hugetlb-userfault-wp",
    "hugetlb-twice-in-one",
    "counted-memfd",
    "counted-thp",
}
