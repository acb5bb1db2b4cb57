"""What happens over time, on the running kernel: VmPTE of every process after every event, PageTables, oom_score."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc.policies import policies_of
from ptcalc.policies.base import Context
from ptcalc.timeline.beginning import beginning
from ptcalc.timeline.happening import happen
from ptcalc.timeline.standing import Standing
from ptcalc.verify.stage import SCRIPT
from ptcalc.workload import events as ev
from ptcalc.workload.model import Touch as TouchForm
from tests.reference.events import Machine
from tests.test_timeline_against_reference import text_of

from . import sequences
from .conftest import meminfo, require
from .layouts import BASE, GIB, MIB, PAGE, Group, Layout, Mapping, Segment, Touch
from .test_layouts import CLEAR, lead

pytestmark = pytest.mark.kernel

REPLAYER = Path(__file__).with_name("replayer.py")
SEEDS = max(10, int(os.environ.get("PTCALC_EXAMPLES", "40")) // len(sequences.KINDS))
STILL = 10  # readings of PageTables alike: what is freed leaves it after a grace period of RCU
TRIES = 3  # something else may change a process' own tables in between

Play = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def replayer() -> Iterator[subprocess.Popen[str]]:
    """The process that has the segments and makes the others."""
    command = [sys.executable, "-I", "-S", str(REPLAYER), str(SCRIPT.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def play(replayer: subprocess.Popen[str]) -> Play:
    """Have a job done; skip where it is not allowed."""

    def answer(job: dict[str, Any]) -> dict[str, Any]:
        assert replayer.stdin is not None and replayer.stdout is not None
        replayer.stdin.write(json.dumps(job) + "\n")
        replayer.stdin.flush()
        found: dict[str, Any] = json.loads(replayer.stdout.readline())
        if found.get("denied"):
            pytest.skip(f"not permitted here: {found['error']}")
        return found

    return answer


def possible(layout: Layout, request: pytest.FixtureRequest) -> None:
    """Skip where this machine cannot do it."""
    require(layout)
    if layout.needs("hugetlb"):
        request.getfixturevalue("huge_pages")
    release = [int(part) for part in os.uname().release.split("-")[0].split(".")[:2]]
    if release < [6, 14] or not reclaims():
        pytest.skip("MADV_DONTNEED frees no tables here (no CONFIG_PT_RECLAIM): another kernel than the model's")


def reclaims() -> bool:
    """Whether this kernel frees PTE tables in MADV_DONTNEED, as far as its configuration can be read."""
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")):
        if path.exists():
            import gzip

            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            return b"CONFIG_PT_RECLAIM=y" in content
    return True


@pytest.mark.parametrize("kind", list(sequences.KINDS))
@pytest.mark.parametrize("seed", range(SEEDS))
def test_vmpte_and_copies_after_every_event(
    kind: str, seed: int, play: Play, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sequence = sequences.draw(kind, seed)
    possible(sequence.layout, request)
    for attempt in range(TRIES):
        found = play(sequences.job(sequence, str(tmp_path)) | {"copies": kind != "hugetlb"})
        last = attempt == TRIES - 1
        if "error" in found:
            assert not last, found["error"]
            continue
        for step, readings in enumerate(found["vmpte"]):
            if not sequence.shows(step, readings):
                what = sequence.events[step - 1] if step else "the beginning"
                assert not last, (step, what, readings, sequence.vmpte[step], sequence.layout.text())
                break
        else:
            if found["copies"] and None not in found["copies"]:  # else page frames are hidden (no CAP_SYS_ADMIN)
                predicted = copies(sequence)
                assert found["copies"][: len(predicted)] == predicted, text_of(sequence)
            return


def copies(sequence: sequences.Sequence) -> list[int]:
    """Pages of private memory after each event: what fork leaves common once, until somebody writes."""
    workload = ptcalc.loads(text_of(sequence))
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == "today")
    world = beginning(policy, Context(workload, workload.geometry))
    found = [sum(Standing(world).copies()) // PAGE]
    for number, event in enumerate(workload.events, start=1):
        if isinstance(event.action, ev.Madvise) and event.action.advice in ("free", "pageout", "cold"):
            break  # what may be taken at any time is still there; huge pages that these split lose what holds zeros
        happen(world, event, number)
        found.append(sum(Standing(world).copies()) // PAGE)
    return found


WHOLE = ev.Part(0, 0, 4 * GIB)
EACH_GIB = (TouchForm("every", step=GIB),)
# Two sets of tables that nothing tells apart: that of "first", who is the last to have the one of all, and that of the
# other three.  Of these one more, "asks", has none.
EQUAL = (
    ev.TouchMore(ev.Chosen("p", 1, name="first"), 0, EACH_GIB),
    ev.Mprotect(ev.Chosen("p", 3), WHOLE, "r"),
    ev.Mprotect(ev.Chosen("p", label="first"), WHOLE, "r"),
    ev.Madvise(ev.Chosen("p", 1, name="asks"), WHOLE, "dontneed"),
)
ASKED = (
    ev.TouchMore(ev.Chosen("p", label="asks"), 0, EACH_GIB, "read"),
    ev.Munmap(ev.Chosen("p", 2), WHOLE),
    ev.Madvise(ev.Chosen("p", label="first"), WHOLE, "dontneed"),
)
HUGETLB: dict[str, tuple[ev.Action, ...]] = {
    "changes of some unshare": (
        ev.Mprotect(ev.Chosen("p", 1), ev.Part(0, 0, 2 * GIB), "r"),
        ev.Mprotect(ev.Chosen("p", 1), ev.Part(0, 0, 2 * GIB), "r"),
        ev.Mprotect(ev.Chosen("p", 2), ev.Part(0, GIB // 2, 2 * MIB), "r"),
        ev.Userfaultfd(ev.Chosen("p", 1), ev.Part(0, 2 * GIB, GIB), "wp"),
        ev.Mprotect(ev.Chosen("p"), ev.Part(0, 0, 4 * GIB), "rw"),
        ev.Madvise(ev.Chosen("p", 1), ev.Part(0, 3 * GIB, 2 * MIB), "dontneed"),
    ),
    "the first VMA of the tree is found": (*EQUAL, *ASKED),
    "who was split stands behind": (
        *EQUAL,
        ev.Mprotect(ev.Chosen("p", label="first"), ev.Part(0, 3 * GIB, GIB), "none"),
        *ASKED,
    ),
    "a child stands behind its parent": (
        *EQUAL,
        ev.Fork(ev.Chosen("p", 2, "first", "children"), "p"),
        ev.TouchMore(ev.Chosen("p", 1, "children"), 0, EACH_GIB, "read"),
        ev.Madvise(ev.Chosen("p", label="first"), WHOLE, "dontneed"),
        *ASKED,
    ),
    "the flags of now are looked at": (
        *EQUAL,
        ev.Madvise(ev.Chosen("p", label="first"), ev.Part(0, 0, 4 * GIB), "nohugepage"),
        *ASKED,
    ),
    "what was registered is found again": (
        ev.Userfaultfd(ev.Chosen("p", 2, name="two"), WHOLE, "wp"),
        ev.Userfaultfd(ev.Chosen("p", label="two"), WHOLE, "none"),
        ev.Madvise(ev.Chosen("p", 1, name="asks"), WHOLE, "dontneed"),
        ev.TouchMore(ev.Chosen("p", label="asks"), 0, EACH_GIB),
        ev.Munmap(ev.Chosen("p", 1), WHOLE),
        ev.Munmap(ev.Chosen("p", 1, "two"), WHOLE),
        ev.Madvise(ev.Chosen("p", label="asks"), WHOLE, "dontneed"),
    ),
    "the last VMA of the tree keeps what a hole drops": (
        *EQUAL,
        ev.TouchMore(ev.Chosen("p", label="asks"), 0, EACH_GIB, "read"),
        ev.Punch("s", GIB, 2 * GIB),
        ev.Truncate("s", 2 * MIB),
    ),
}


@pytest.mark.parametrize("case", HUGETLB)
def test_page_tables_of_hugetlb(
    case: str, play: Play, page_tables: dict[str, str], huge_pages: None, tmp_path: Path
) -> None:
    """VmPTE counts a shared table in every process, PageTables once: the number of distinct tables.

    Steps after which there are other processes say nothing of PageTables, for they have tables beside these.
    """
    mapping = Mapping("s", BASE, 4 * GIB, touch={"every": GIB})
    layout = Layout("hugetlb", {"s": Segment("hugetlb", 4 * GIB)}, {"p": Group((mapping,), 4)})
    require(layout)
    machine = Machine(ptcalc.loads(layout.text()), "today")
    sequence = sequences.Sequence(layout)
    sequence.note(machine)
    for action in HUGETLB[case]:
        sequence.take(machine, ev.Event(action))
    alike = [
        step for step in range(1, len(sequence.steps)) if sequence.vmpte[step].keys() == sequence.vmpte[step - 1].keys()
    ]
    readings: dict[int, Counter[int]] = {step: Counter() for step in alike}
    for _ in range(24):
        found = play(sequences.job(sequence, str(tmp_path)) | page_tables | {"still": STILL})
        assert "error" not in found, found["error"]
        for step, vmpte in enumerate(found["vmpte"]):
            assert sequence.shows(step, vmpte), (step, vmpte, sequence.vmpte[step])
        for step, seen in readings.items():
            seen[(found["charged"][step] - found["charged"][step - 1]) // PAGE] += 1
        if min(map(lead, readings.values())) >= CLEAR:
            break
    else:
        pytest.skip(f"other work on this machine leaves no clear reading: {readings}")
    changes = {step: seen.most_common(1)[0][0] for step, seen in readings.items()}
    assert changes == {step: sequence.tables[step] - sequence.tables[step - 1] for step in alike}


def test_what_the_oom_killer_sees(play: Play, tmp_path: Path) -> None:
    """Shared memory counts whole in everyone's badness, page tables too (mm/oom_kill.c:oom_badness)."""
    size = 512 * MIB
    touches: dict[str, Touch] = {"big": {"every": 2 * MIB}, "small": {"pages": 1, "pattern": "contiguous"}}
    groups = {name: Group((Mapping("s", BASE, size, touch=touch),), 2) for name, touch in touches.items()}
    layout = Layout("scores", {"s": Segment("tmpfs", size, huge="always")}, groups, memory=size)
    require(layout)
    machine = Machine(ptcalc.loads(layout.text()), "today")
    sequence = sequences.Sequence(layout)
    sequence.note(machine)
    found = play(sequences.job(sequence, str(tmp_path)) | {"scores": True})
    assert "error" not in found, found["error"]
    total = (meminfo("MemTotal") + meminfo("SwapTotal")) // PAGE
    scores = {int(process): values for process, values in found["scores"][0].items()}
    for score, *sizes in scores.values():
        badness = sum(size // PAGE for size in sizes)
        assert abs(score - (1000 + badness * 1000 // total) * 2 // 3) <= 1
    big, other, small, _ = (scores[number] for number in sorted(scores))
    assert min(big[1], other[1]) > size > 2 * small[1]
    assert min(big[0], other[0]) > small[0]
