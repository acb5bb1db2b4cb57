"""Second-level tables of real KVM guests: boot a host with KVM in QEMU, run guests there, record what it counts.

`python -m tests.kernels.guests` needs what `boot.py` needs.  QEMU emulates AMD's nested paging, so that no hardware
with virtualization is needed either.  The figures are compared by `test_guests.py`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from . import boot

RESULTS = Path(__file__).with_name("guests")
VMM = Path(__file__).with_name("vmm.c")
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * KIB
MACHINES = [
    boot.Machine("x86_64-kvm-6.1", "x86_64", "amd64", "bookworm", "amd64", "EPYC,phys-bits=46"),
    boot.Machine("x86_64-kvm-6.12", "x86_64", "amd64", "trixie", "amd64", "EPYC,phys-bits=46"),
]
BACKING = {"memfd": "shmem", "tmpfs": "shmem", "hugetlb": "hugetlb", "anonymous": "private"}


@dataclass(frozen=True)
class Slot:
    """Memory of a guest: where it lies for the host and for the guest, and what the guest touches of it (bytes)."""

    kind: str
    size: int
    host: int
    guest: int
    touch: tuple[tuple[int, int, int], ...]  # start, length, step; offsets into the slot
    page: int = PAGE
    access: str = "write"
    by_host: bool = False  # the monitor touches it, and the guest does not


@dataclass(frozen=True)
class Layout:
    """A guest."""

    name: str
    slots: tuple[Slot, ...]

    def job(self) -> str:
        """The commands for the monitor."""
        lines = [f"layout {self.name}"]
        for size in {slot.page for slot in self.slots if slot.kind == "hugetlb"}:
            count = sum(slot.size // size for slot in self.slots if slot.page == size and slot.kind == "hugetlb")
            lines.append(f"pool {size} {count}")
        lines += [f"slot {slot.kind} {slot.page} {slot.size} {slot.host:#x} {slot.guest:#x}" for slot in self.slots]
        for slot in self.slots:
            for start, length, step in slot.touch:
                base = slot.host if slot.by_host else slot.guest
                word = "host" if slot.by_host else slot.access
                lines.append(f"{word} {base + start:#x} {base + start + length:#x} {step:#x}")
        return "\n".join([*lines, "run"]) + "\n"

    def text(self, kernel: str) -> str:
        """The workload file."""
        segments, mappings = {}, []
        for number, slot in enumerate(self.slots):
            segment: dict[str, Any] = {"size": slot.size, "backing": BACKING[slot.kind]}
            if slot.kind in ("tmpfs", "anonymous"):
                segment["thp"] = "always"
            if slot.kind == "hugetlb":
                segment["page_size"] = slot.page
            segments[f"s{number}"] = segment
            touches = [{"every": step, "start": start, "length": length} for start, length, step in slot.touch]
            mappings.append(
                {"segment": f"s{number}", "address": slot.host, "touch": touches or "none"}
                | ({"access": slot.access} if touches else {})
                | ({} if slot.by_host else {"second_level": "kvm", "guest_address": slot.guest})
            )
        document = {
            "version": 1,
            "name": self.name,
            "host": {"memory": "64 GiB", "kernel": kernel},
            "segments": segments,
            "processes": {"monitor": {"count": 1, "mappings": mappings}},
        }
        return str(yaml.safe_dump(document, sort_keys=False))


def catalogue() -> Iterator[Layout]:
    """Guests with leaves of every size, at places that agree and that do not."""
    host = 16 << 40
    every = (0, 64 * MIB, PAGE)
    plain = Slot("memfd", 64 * MIB, host, 0, (every,))

    def one(name: str, slot: Slot, *more: Slot) -> Layout:
        return Layout(name, (slot, *more))

    sparse = replace(plain, touch=((0, 64 * MIB, 2 * MIB),))
    yield one("every-page", plain)
    yield one("one-page-in-a-table", sparse)
    yield one("one-page", replace(plain, touch=((5 * MIB, 1, PAGE),)))
    yield one("read", replace(sparse, access="read"))
    yield one("untouched", replace(plain, touch=()))
    yield one("host-touches", replace(sparse, by_host=True))
    yield one("guest-half-a-table-off", replace(sparse, guest=MIB, touch=((0, 64 * MIB, MIB),)))
    yield one("guest-a-page-off", replace(sparse, guest=PAGE))
    yield one("host-a-page-off", replace(sparse, host=host + PAGE))
    yield one("over-1G", replace(sparse, guest=GIB - 4 * MIB))
    yield one("over-4G", replace(sparse, guest=4 * GIB - 32 * MIB))
    yield one("two-slots", sparse, replace(sparse, host=host + GIB, guest=8 * GIB))
    yield one("two-slots-in-a-table", sparse, replace(sparse, host=host + GIB, guest=64 * MIB))
    yield one("many-tables", replace(plain, size=4 * GIB, touch=((0, 4 * GIB, 16 * MIB),)))
    huge = replace(sparse, kind="tmpfs")
    yield one("thp", huge)
    yield one("thp-read", replace(huge, access="read"))
    yield one("thp-guest-off", replace(huge, guest=MIB))
    yield one("thp-guest-a-page-off", replace(huge, guest=PAGE))
    yield one("thp-both-off", replace(huge, host=host + MIB, guest=MIB))
    yield one("thp-host-off", replace(huge, host=host + MIB))
    yield one("thp-tail", replace(huge, size=5 * MIB, touch=((0, 5 * MIB, MIB),)))
    yield one("thp-over-1G", replace(huge, guest=GIB - 4 * MIB))
    anonymous = replace(huge, kind="anonymous")
    yield one("anonymous-thp", anonymous)
    yield one("anonymous-thp-guest-off", replace(anonymous, guest=MIB))
    yield one("anonymous-thp-host-off", replace(anonymous, host=host + MIB))
    yield one("anonymous-thp-tail", replace(anonymous, size=5 * MIB, touch=((0, 5 * MIB, MIB),)))
    pages = replace(sparse, kind="hugetlb", page=2 * MIB)
    yield one("hugetlb-2M", pages)
    yield one("hugetlb-2M-guest-off", replace(pages, guest=MIB))
    yield one("hugetlb-2M-over-1G", replace(pages, guest=GIB - 4 * MIB))
    gigantic = Slot("hugetlb", GIB, host, 0, ((0, GIB, 256 * MIB),), page=GIB)
    yield one("hugetlb-1G", gigantic)
    yield one("hugetlb-1G-guest-2M-off", replace(gigantic, guest=2 * MIB))
    yield one("hugetlb-1G-guest-1M-off", replace(gigantic, guest=MIB))
    yield one("hugetlb-1G-half", replace(gigantic, guest=GIB // 2))
    yield one("hugetlb-1G-and-memfd", gigantic, replace(sparse, host=host + 4 * GIB, guest=4 * GIB))


def modules(package: Path, wanted: tuple[str, ...] = ("kvm", "kvm-amd")) -> dict[str, bytes]:
    """The kernel modules of those names and what they need, each after what it depends on."""
    files: dict[str, bytes] = {}
    command = [boot.require("dpkg-deb", "dpkg"), "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as unpack:
        assert unpack.stdout is not None
        with tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
            for member in archive:
                found = re.search(r"/([\w-]+)\.ko(\.xz)?$", member.name)
                if found and re.search(r"/kvm/|/virt/lib/|/crypto/ccp/|/char/hw_random/rng-core", member.name):
                    content = archive.extractfile(member)
                    assert content is not None
                    data = content.read()
                    files[found[1].replace("-", "_")] = lzma.decompress(data) if found[2] else data
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered or name not in files:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", files[name])
        for other in depends[1].decode().split(",") if depends else ():
            add(other.replace("-", "_"))
        ordered[name] = files[name]

    for name in wanted:
        add(name.replace("-", "_"))
    return {f"{name}.ko": data for name, data in ordered.items()}


def measure(machine: boot.Machine, cache: Path, mirror: str, directory: Path) -> dict[str, Any]:
    """Boot a host, run all guests on it; return its record."""
    package = boot.kernel_package(machine, cache, mirror)
    image = boot.kernel_image(package, cache, mirror)
    loaded = modules(cache / Path(package["Filename"]).name)
    platform = boot.PLATFORMS[machine.arch]
    program = directory / "vmm"
    compiler = boot.require(platform.compiler, platform.compiler_package)
    subprocess.run([compiler, "-O1", "-static", "-o", program, VMM], check=True)
    layouts = list(catalogue())
    files = {
        "dev": (0o040755, b""),
        "dev/console": (0o020600, b""),
        "init": (0o100755, program.read_bytes()),
        "jobs": (0o100644, "".join(layout.job() for layout in layouts).encode()),
        "modules": (0o100644, "\n".join(loaded).encode()),
        **{name: (0o100644, data) for name, data in loaded.items()},
    }
    initrd = directory / "initramfs"
    initrd.write_bytes(gzip.compress(boot.initramfs(files), 1))
    with (directory / "console.log").open("w") as log:
        host, measured = boot.answers(boot.console(boot.command_line(machine, image, initrd), log))
    version = subprocess.run([platform.qemu[0], "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "machine": machine.name,
        "geometry": machine.geometry,
        "page_size": PAGE,
        "kernel": host["release"],
        "package": {"name": package["Package"], "version": package["Version"], "suite": machine.suite},
        "qemu": version.splitlines()[0],
        "recorded": datetime.now(UTC).date().isoformat(),
        "host": host,
        "layouts": [
            {"name": layout.name, "workload": layout.text(host["release"]), **measured.get(layout.name, {})}
            for layout in layouts
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels.guests", description=__doc__.splitlines()[0])
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help="default: all of them, one after the other")
    parser.add_argument("--cache", type=Path, required=True, help="directory of kernel packages")
    parser.add_argument("--mirror", metavar="URL", help="archive of Debian; default: the one that apt is set up for")
    options = parser.parse_args()
    known = {machine.name: machine for machine in MACHINES}
    for name in options.machines or known:
        with tempfile.TemporaryDirectory(prefix=f"ptcalc-{name}-") as directory:
            try:
                mirror = options.mirror or boot.configured_mirror()
                record = measure(known[name], options.cache, mirror, Path(directory))
            except boot.Missing as missing:
                print(missing, file=sys.stderr)
                return 3
            except boot.Failed as failed:
                print(f"{name}: {failed}\n{(Path(directory) / 'console.log').read_text()[-2000:]}", file=sys.stderr)
                return 1
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(f"{name}: {record['kernel']}, {len(record['layouts'])} guests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
