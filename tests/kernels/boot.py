"""Boot other kernels in QEMU, measure the layouts of `catalogue.py` there, and record what their counters say.

`python -m tests.kernels.boot --help`; README.md beside this file tells what it needs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ptcalc import arch
from ptcalc.arch.geometry import HIGHEST_ADDRESS

from . import catalogue, recorded
from .catalogue import Layout

EFI = "/usr/share/qemu-efi-{}/QEMU_EFI.fd"  # where Debian's packages qemu-efi-aarch64 and -loongarch64 put it
MEMORY = "6G"  # room for two gigantic pages of 1 GiB, aligned; what is not used is not taken from the host
TIMEOUT = 900  # seconds for one guest; the slowest takes an eighth of it
DAY = 86400
AGENT = Path(__file__).with_name("agent.c")


class Missing(Exception):
    """A tool is not installed; the text names its Debian package."""


class Failed(Exception):
    """A guest that did not finish, or a download that is not what it should be."""


@dataclass(frozen=True)
class Platform:
    """How a Debian architecture is emulated, and what compiles for it."""

    qemu: tuple[str, ...]
    qemu_package: str
    compiler: str
    console: str

    @property
    def compiler_package(self) -> str:
        return "gcc-" + self.compiler.removesuffix("-gcc").replace("_", "-")


def cross(cpu: str) -> str:
    return f"{cpu}-linux-gnu-gcc"


# Mitigations that the emulator does not have are switched off; hash page tables may map pages of 16 MiB.
PSERIES = "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,cap-hpt-max-page-size=16M"
PLATFORMS = {
    "amd64": Platform(("qemu-system-x86_64", "-M", "q35"), "qemu-system-x86", cross("x86_64"), "ttyS0"),
    "arm64": Platform(("qemu-system-aarch64", "-M", "virt"), "qemu-system-arm", cross("aarch64"), "ttyAMA0"),
    "riscv64": Platform(("qemu-system-riscv64", "-M", "virt"), "qemu-system-misc", cross("riscv64"), "ttyS0"),
    "ppc64el": Platform(("qemu-system-ppc64", "-M", PSERIES), "qemu-system-ppc", cross("powerpc64le"), "hvc0"),
    "loong64": Platform(
        ("qemu-system-loongarch64", "-M", "virt"),
        "qemu-system-misc (of Debian 13 or later)",
        cross("loongarch64"),
        "ttyS0",
    ),
    "s390x": Platform(("qemu-system-s390x",), "qemu-system-misc", cross("s390x"), "ttysclp0"),
}


@dataclass(frozen=True)
class Machine:
    """A kernel to measure: `suite` and `flavour` name the Debian package, `arch` the architecture of Debian."""

    name: str
    geometry: str
    arch: str
    suite: str
    flavour: str
    cpu: str
    append: str = ""  # to the kernel's command line
    firmware: str = ""  # a kernel that is an EFI program needs it; otherwise QEMU loads the kernel itself


RV64 = "rv64,svnapot=on"
MACHINES = [
    Machine("x86_64-6.1", "x86_64", "amd64", "bookworm", "cloud-amd64", "max,la57=off"),
    Machine("x86_64-6.12", "x86_64", "amd64", "trixie", "cloud-amd64", "max,la57=off"),
    Machine("x86_64-7.2", "x86_64", "amd64", "sid", "cloud-amd64", "max,la57=off"),
    Machine("x86_64-la57-6.1", "x86_64-la57", "amd64", "bookworm", "cloud-amd64", "max,la57=on"),
    Machine("x86_64-la57-7.2", "x86_64-la57", "amd64", "sid", "cloud-amd64", "max,la57=on"),
    Machine("arm64-4k-va48-6.1", "arm64-4k-va48", "arm64", "bookworm", "cloud-arm64", "cortex-a72"),
    Machine("arm64-4k-va48-7.2", "arm64-4k-va48", "arm64", "sid", "arm64", "cortex-a72"),
    Machine("arm64-4k-va52-7.2", "arm64-4k-va52", "arm64", "sid", "arm64", "max"),
    Machine("arm64-16k-va47-7.2", "arm64-16k-va47", "arm64", "sid", "arm64-16k", "max,lpa2=off"),
    Machine("arm64-16k-va52-7.2", "arm64-16k-va52", "arm64", "sid", "arm64-16k", "max"),
    Machine("riscv64-sv39-7.2", "riscv64-sv39", "riscv64", "sid", "riscv64", RV64, "no4lvl"),
    Machine("riscv64-sv48-7.2", "riscv64-sv48", "riscv64", "sid", "riscv64", RV64),
    # later kernels believe QEMU's device tree, which does not offer Sv57
    Machine("riscv64-sv57-6.12", "riscv64-sv57", "riscv64", "trixie", "riscv64", RV64),
    Machine("ppc64le-64k-7.2", "ppc64le-64k", "ppc64el", "sid", "powerpc64le-64k", "power9"),
    Machine("ppc64le-64k-6.1", "ppc64le-64k", "ppc64el", "bookworm", "powerpc64le", "power9"),
    Machine("ppc64le-64k-hash-7.2", "ppc64le-64k-hash", "ppc64el", "sid", "powerpc64le-64k", "power9", "disable_radix"),
    Machine(
        "ppc64le-64k-hash-6.1", "ppc64le-64k-hash", "ppc64el", "bookworm", "powerpc64le", "power9", "disable_radix"
    ),
    Machine("ppc64le-4k-7.2", "ppc64le-4k", "ppc64el", "sid", "powerpc64le", "power9"),
    Machine("ppc64le-4k-hash-7.2", "ppc64le-4k-hash", "ppc64el", "sid", "powerpc64le", "power9", "disable_radix"),
    Machine(
        "loongarch64-16k-7.2", "loongarch64-16k", "loong64", "sid", "loong64", "max", "", EFI.format("loongarch64")
    ),
    Machine("s390x-6.1", "s390x", "s390x", "bookworm", "s390x", "max"),
    Machine("s390x-6.12", "s390x", "s390x", "trixie", "s390x", "max"),
    Machine("s390x-7.2", "s390x", "s390x", "sid", "s390x", "max"),
]


def require(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed; it is in the Debian package {package}")
    return path


# The kernel: a package of Debian, of which nothing is installed.


def download(url: str, path: Path) -> None:
    """Fetch into a file that exists only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with urllib.request.urlopen(url) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as error:
        raise Failed(f"{url}: {error}") from error
    part.replace(path)


def configured_mirror() -> str:
    """The archive of Debian that apt is set up for: it has the other suites and architectures as well."""
    command = [require("apt-get", "apt"), "indextargets", "--format", "$(SITE) $(ORIGIN)"]
    sites = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in sites:
        site, _, origin = line.partition(" ")
        if origin == "Debian" and "security" not in site:
            return site
    raise Missing("apt knows no archive of Debian; name one with --mirror")


def index(machine: Machine, cache: Path, mirror: str) -> dict[str, dict[str, str]]:
    """The packages of a suite by name; the list is fetched at most once a day."""
    path = cache / f"Packages-{machine.suite}-{machine.arch}.xz"
    if not path.exists() or time.time() - path.stat().st_mtime > DAY:
        download(f"{mirror}/dists/{machine.suite}/main/binary-{machine.arch}/Packages.xz", path)
    packages = {}
    for stanza in lzma.decompress(path.read_bytes()).decode().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Filename|SHA256): (.*)$", stanza, re.MULTILINE))
        if fields.get("Package", "").startswith("linux-"):
            packages[fields["Package"]] = fields
    return packages


def kernel_package(machine: Machine, cache: Path, mirror: str) -> dict[str, str]:
    """The newest kernel of the flavour: the package that holds the image itself."""
    packages = index(machine, cache, mirror)
    # linux-binary since 7.x, where linux-image is empty and depends on it
    for kind in ("binary", "image"):
        pattern = re.compile(rf"linux-{kind}-(\d[^-]*(?:-\d+)?)-{re.escape(machine.flavour)}")
        found = [name for name in packages if pattern.fullmatch(name)]
        if found:
            return packages[max(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])]
    raise Failed(f"{machine.suite} has no kernel {machine.flavour} for {machine.arch}")


def kernel_image(package: dict[str, str], cache: Path, mirror: str) -> Path:
    """The kernel out of the package, downloaded and unpacked once."""
    deb = cache / Path(package["Filename"]).name
    image = deb.with_suffix(".vmlinuz")
    if image.exists():
        return image
    if not deb.exists():
        print(f"fetching {deb.name}", file=sys.stderr)
        download(f"{mirror}/{package['Filename']}", deb)
    if hashlib.sha256(deb.read_bytes()).hexdigest() != package["SHA256"]:
        deb.unlink()
        raise Failed(f"{deb.name} is not what the list of packages says; it is deleted")
    command = [require("dpkg-deb", "dpkg"), "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as unpack:
        assert unpack.stdout is not None
        with tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if re.search(r"/vmlinu[xz]", member.name) else None
                if content is not None:
                    image.write_bytes(content.read())
    if not image.exists():
        raise Failed(f"{deb.name} holds no kernel image")
    return image


# The guest's file system: the agent and its jobs.


def initramfs(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive for the kernel (cpio, format newc) of files by name, with mode and content."""
    parts = []
    for number, (name, (mode, content)) in enumerate({**files, "TRAILER!!!": (0, b"")}.items(), 1):
        console = (5, 1) if name == "dev/console" else (0, 0)
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, *console, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        parts += [head, b"\0" * (-len(head) % 4), content, b"\0" * (-len(content) % 4)]
    return b"".join(parts)


def compile_agent(platform: Platform, directory: Path) -> bytes:
    compiler = require(platform.compiler, platform.compiler_package)
    target = directory / "agent"
    subprocess.run([compiler, "-O1", "-static", "-o", target, AGENT], check=True)
    return target.read_bytes()


def jobs(layouts: Sequence[Layout], page: int) -> str:
    return "".join(layout.job(page) for layout in layouts)


# The guest.


def command_line(machine: Machine, kernel: Path, initrd: Path) -> list[str]:
    platform = PLATFORMS[machine.arch]
    program = require(platform.qemu[0], platform.qemu_package)
    if machine.firmware and not Path(machine.firmware).exists():
        raise Missing(
            f"{machine.firmware} is missing; it is in the Debian package {Path(machine.firmware).parent.name}"
        )
    geometry = arch.get(machine.geometry)
    # only at boot is there so much memory in one piece
    gigantic = [
        f"hugepagesz={geometry.huge_page_name(size)} hugepages={catalogue.MOST_HUGE // size}"
        for size in geometry.huge_pages
        if 1 << 30 <= size <= catalogue.MOST_HUGE
    ]
    return [
        program,
        *platform.qemu[1:],
        *("-accel", "tcg"),  # everywhere, so that a machine is the same on every host
        *("-cpu", machine.cpu, "-m", MEMORY, "-smp", "1"),
        *("-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"),
        *(("-bios", machine.firmware) if machine.firmware else ()),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", " ".join(["panic=-1", "norandmaps", f"console={platform.console}", *gigantic, machine.append])),
    ]


def console(command: Sequence[str], log: IO[str]) -> Iterator[str]:
    """Run a guest for TIMEOUT at most; yield what the agent says, line by line, and keep all of it in `log`."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        assert guest.stdout is not None
        watch = threading.Timer(TIMEOUT, guest.kill)
        watch.start()
        try:
            for raw in guest.stdout:
                line = raw.decode(errors="replace").rstrip()
                log.write(line + "\n")
                log.flush()
                if line.startswith("@ "):
                    yield line[2:]
        finally:
            watch.cancel()
            guest.kill()


def answers(lines: Iterator[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What the agent says of the machine, and of each layout by its name."""
    machine: dict[str, Any] = {}
    layouts: dict[str, dict[str, Any]] = {}
    current = machine
    for line in lines:
        key, _, value = line.partition(" ")
        numbers = [int(word) for word in value.split()] if re.fullmatch(r"[-\d ]+", value) else None
        if key == "end":
            return machine, layouts
        if key == "layout":
            current = layouts[value] = {}
        elif key == "vmpte":
            current.setdefault(key, []).append(numbers)
        elif current is not machine or key == "huge_pages":
            current[key] = numbers if numbers is not None else value
        elif key != "begin":
            current[key] = numbers[0] if numbers is not None else value
    raise Failed("the guest stopped before its end, or hung")


def measure(machine: Machine, cache: Path, mirror: str, directory: Path) -> dict[str, Any]:
    """Boot a machine; return its record."""
    geometry = arch.get(machine.geometry)
    layouts = catalogue.catalogue(geometry)
    package = kernel_package(machine, cache, mirror)
    image = kernel_image(package, cache, mirror)
    files = {
        "dev": (0o040755, b""),
        "dev/console": (0o020600, b""),
        "init": (0o100755, compile_agent(PLATFORMS[machine.arch], directory)),
        "jobs": (0o100644, jobs(layouts, geometry.base_page).encode()),
    }
    initrd = directory / "initramfs"
    initrd.write_bytes(gzip.compress(initramfs(files)))
    command = command_line(machine, image, initrd)
    log = directory / "console.log"
    try:
        with log.open("w") as file:
            guest, measured = answers(console(command, file))
    except Failed as failed:
        last = log.read_text().splitlines()[-1:] or ["it said nothing"]
        raise Failed(f"{failed}: {last[0]}") from failed
    check(machine, guest)
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "machine": machine.name,
        "geometry": geometry.name,
        "page_size": guest["page_size"],
        "kernel": guest["release"],
        "package": {"name": package["Package"], "version": package["Version"], "suite": machine.suite},
        "qemu": version.splitlines()[0],
        "recorded": datetime.now(UTC).date().isoformat(),
        "guest": guest,
        "layouts": [entry(layout, measured, geometry.name, guest["release"]) for layout in layouts],
    }


def check(machine: Machine, guest: dict[str, Any]) -> None:
    """Refuse a guest that has another geometry than the machine says."""
    geometry = arch.get(machine.geometry)
    if guest["page_size"] != geometry.base_page:
        raise Failed(f"{machine.name} has pages of {guest['page_size']} bytes, {geometry.name} {geometry.base_page}")
    # ptcalc leaves out the highest addresses of s390x
    if min(guest["address_bits"], HIGHEST_ADDRESS.bit_length() - 1) != (geometry.task_size - 1).bit_length():
        raise Failed(f"{machine.name} has {guest['address_bits']} bits of addresses, not those of {geometry.name}")


def entry(layout: Layout, measured: dict[str, dict[str, Any]], geometry: str, kernel: str) -> dict[str, Any]:
    """What is recorded of a layout."""
    record: dict[str, Any] = {"name": layout.name, "workload": layout.text(geometry, kernel)}
    answer = measured.get(layout.name, {"skipped": "no answer"})
    if "skipped" in answer:
        return record | {"skipped": answer["skipped"]}
    vmpte: dict[str, list[list[int]]] = {}
    for group, readings in zip(layout.processes(), answer["vmpte"], strict=True):
        vmpte.setdefault(group, []).append(readings)
    record |= {"vmpte": vmpte, "page_tables": answer["page_tables"]}
    for key in ("memcg_pagetables", "memcg_kernel"):
        if answer[key] != [-1, -1]:  # no such line in this kernel's memory.stat
            record[key] = answer[key]
    return record


def show(record: dict[str, Any], everything: bool) -> int:
    """Print a table of the figures (the wrong ones, or all); return how many are wrong."""
    figures = list(recorded.figures(record))
    wrong = [figure for figure in figures if not figure.right]
    skipped = [layout for layout in record["layouts"] if "skipped" in layout]
    print(
        f"{record['machine']}: {record['kernel']}, {len(figures)} figures, {len(wrong)} wrong, {len(skipped)} skipped"
    )
    for figure in figures if everything else wrong:
        expected = " or ".join(str(value) for value in sorted(figure.expected))
        difference = figure.measured - min(figure.expected)
        head = f"  {figure.layout:36} {figure.counter:12} {figure.unit:5}"
        print(f"{head} expected {expected:>12} measured {figure.measured:>12} difference {difference:>9}")
    for layout in skipped:
        print(f"  {layout['name']:36} skipped: {layout['skipped']}")
    return len(wrong)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels.boot", description=__doc__.splitlines()[0])
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help="default: all of them, one after the other")
    parser.add_argument("--list", action="store_true", help="list the machines and what is recorded of them")
    parser.add_argument("--all", action="store_true", help="print all figures, not only those that differ")
    parser.add_argument("--keep", action="store_true", help="keep the initramfs and the console's log; say where")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    default = home / "ptcalc-kernels"
    parser.add_argument("--cache", type=Path, default=default, help="directory of kernel packages (%(default)s)")
    parser.add_argument("--mirror", metavar="URL", help="archive of Debian; default: the one that apt is set up for")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    known = {machine.name: machine for machine in MACHINES}
    if options.list:
        for machine in MACHINES:
            state = "recorded" if machine.name in recorded.names() else "not recorded"
            print(f"{machine.name:24} {machine.geometry:16} {machine.suite:10} {machine.flavour:18} {state}")
        return 0
    unknown = [name for name in options.machines if name not in known]
    if unknown:
        print(f"no machine {unknown[0]!r}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    wrong = 0
    for name in options.machines or known:
        directory = Path(tempfile.mkdtemp(prefix=f"ptcalc-{name}-"))
        try:
            mirror = options.mirror or configured_mirror()
            record = measure(known[name], options.cache, mirror, directory)
        except Missing as missing:
            print(missing, file=sys.stderr)
            return 3
        except Failed as failed:
            print(f"{name}: {failed}", file=sys.stderr)
            wrong += 1
            continue
        finally:
            if options.keep:
                print(f"kept {directory}", file=sys.stderr)
            else:
                shutil.rmtree(directory)
        (recorded.RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        wrong += show(record, options.all)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
