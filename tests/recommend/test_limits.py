"""Limits that refuse shared memory: what is needed, what the host has, and what to set."""

from __future__ import annotations

import pytest

from ptcalc.errors import InputError
from ptcalc.recommend import Limit, Recommendations

from .documents import GIB, MIB, recommended, servers, values


def limit(found: Recommendations, name: str) -> Limit:
    return next(each for each in found.limits if each.name == name)


NEEDS = {
    "one segment": (servers(size="5 GiB"), {"kernel.shmmax": 5 * GIB, "kernel.shmall": 5 * GIB // 4096}),
    "pieces": (
        servers(size="15 MiB", segment="pieces: 4 MiB"),
        {"kernel.shmmax": 4 * MIB, "kernel.shmall": 15 * MIB // 4096, "/dev/shm": 15 * MIB},
    ),
    "a page that is not full": (
        servers(size="1000001"),
        {"kernel.shmmax": 1_000_001, "kernel.shmall": 245, "/dev/shm": 245 * 4096},
    ),
    "base pages of 64 KiB": (
        servers(size="1 GiB", host="arch: arm64-64k", mapping="touch: all"),
        {"kernel.shmall": 16384},
    ),
    "transparent huge pages": (
        servers(size="3 MiB", segment="thp: always"),
        {"kernel.shmmax": 3 * MIB, "/dev/shm": 4 * MIB},
    ),
    "hugetlb": (
        servers(size="3 MiB", backing="hugetlb"),
        {"kernel.shmmax": 3 * MIB, "kernel.shmall": 768, "memlock": 4 * MIB},
    ),
    "locked": (servers(size="3 MiB", segment="locked: true"), {"memlock": 3 * MIB, "/dev/shm": 3 * MIB}),
}


@pytest.mark.parametrize(("text", "needs"), NEEDS.values(), ids=NEEDS)
def test_needs(text: str, needs: dict[str, int]) -> None:
    """What each limit has to allow."""
    found = recommended(text)

    assert {name: limit(found, name).need for name in needs} == needs


def test_private_memory_and_files_need_none() -> None:
    """They are no shared memory."""
    assert recommended(servers(backing="private")).limits == ()
    assert recommended(servers(backing="file")).limits == ()


DEFAULTS = {
    "kernel.shmmax since 3.16": ("6.12", "kernel.shmmax", (1 << 64) - 1 - (1 << 24)),
    "kernel.shmmax before": ("3.10.0-1160.el7.x86_64", "kernel.shmmax", 32 * MIB),
    "kernel.shmall before": ("3.15", "kernel.shmall", 2 * MIB),
    "half of memory": ("6.12", "/dev/shm", 32 * GIB),
    "memlock since 5.16": ("5.16", "memlock", 8 * MIB),
    "memlock before": ("5.15", "memlock", 64 << 10),
}


@pytest.mark.parametrize(("kernel", "name", "value"), DEFAULTS.values(), ids=DEFAULTS)
def test_what_a_kernel_starts_with(kernel: str, name: str, value: int) -> None:
    """Where nothing is stated, the kernel's own default counts."""
    assert limit(recommended(servers(host=f"kernel: '{kernel}'", segment="locked: true")), name).value == value


def test_what_refuses_is_set() -> None:
    """A limit that is too low is raised to what is needed; one that suffices is not touched."""
    stated = {"kernel.shmmax": "4 GiB", "kernel.shmall": "4194304", "/dev/shm": "1 GiB"}
    found = recommended(servers(size="16 GiB"), host_limits=stated)

    assert [each.enough for each in found.limits] == [False, True, False]
    assert values(found.as_written, "sysctl") == [("kernel.shmmax", str(16 * GIB))]
    assert values(found.as_written, "fstab") == [("/dev/shm", "rw,nosuid,nodev,size=16G")]
    assert values(found.find("hugetlb-2M"), "fstab") == []
    assert ("kernel.shmmax", str(16 * GIB)) in values(found.find("hugetlb-2M"), "sysctl")


def test_unlimited() -> None:
    """What has no limit refuses nothing."""
    found = recommended(servers(backing="hugetlb"), host_limits={"memlock": "unlimited"})

    assert limit(found, "memlock").enough
    assert values(found.as_written, "systemd") == []


def test_the_whole_range_of_the_kernel() -> None:
    """The kernel's own default is a value as well."""
    found = recommended(servers(), host_limits={"kernel.shmmax": "18446744073692774399"})

    assert limit(found, "kernel.shmmax").enough


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"shmmax": "1 GiB"}, "is no limit"),
        ({"kernel.shmmax": "much"}, "'much' is not understood"),
        ({"kernel.shmall": "1 GiB"}, "'1 GiB' is not understood"),
        ({"memlock": "-1"}, "is negative"),
    ],
)
def test_refused(stated: dict[str, str], message: str) -> None:
    """Bad values are refused, with what would be accepted."""
    with pytest.raises(InputError, match=message) as refused:
        recommended(servers(), host_limits=stated)

    assert refused.value.accepted
