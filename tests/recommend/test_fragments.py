"""Fragments of configuration files: each is what its own reader takes, whatever names the workload has."""

from __future__ import annotations

import configparser
import re

import pytest

from ptcalc.recommend import FORMS, Advice, Form, Recommendations
from ptcalc.report.page import Screen
from ptcalc.report.recommend_report import render_fragment, render_text, to_dict

from .documents import GIB, recommended, servers

HOSTILE = """\
version: 1
name: "evil\\nvm.nr_hugepages = 1\\e[31m\\u202e"
host: {memory: 64 GiB, used: 1 GiB, hugepages: {1 GiB: 3}}
segments:
  "a\\nkernel.panic = 1": {size: 16 GiB, backing: shmem}
  "b\\r[Service]\\rExecStart=/bin/false": {size: 20 GiB, backing: shmem}
processes:
  "p\\n*.processes=1":
    count: 9000
    private: 1 MiB
    mappings: [{segment: "a\\nkernel.panic = 1", address: 0x60000000},
               {segment: "b\\r[Service]\\rExecStart=/bin/false"}]
"""
LINES = {
    "sysctl": r"[a-z_.]+ = \d+",
    "tmpfiles": r"w /sys/[\w/-]+ - - - - \w+",
    "fstab": r"tmpfs /dev/shm tmpfs [\w,=]+ 0 0",
    "init.ora": r"\*\.[a-z_]+=\w+",
    "postgresql.conf": r"[a-z_]+ = \w+",
    "cmdline": r"[a-z]+=\w+( [a-z]+=\w+)*",
    "systemd": r"\[Service\]|LimitMEMLOCK=\d+",
}


def everything(found: Recommendations) -> list[Advice]:
    return [found.as_written, *found.advice]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", [HOSTILE, servers()], ids=["hostile", "plain"])
def test_lines_are_those_of_the_file(form: Form, text: str) -> None:
    """Every line is a comment, empty, or of the file's own form; some advice has such a line."""
    found = recommended(text, host_limits={"kernel.shmmax": "1 GiB"})
    active = []
    for advice in everything(found):
        for line in render_fragment(found, advice, form).splitlines():
            assert line.isprintable()
            if line and not line.startswith("#"):
                active.append(line)
                assert re.fullmatch(LINES[form], line), line

    assert active


def test_unit_is_read_as_one() -> None:
    """A drop-in has one section, with the limit in bytes."""
    found = recommended(servers())
    unit = configparser.ConfigParser(strict=True)
    unit.read_string(render_fragment(found, found.find("hugetlb-2M"), "systemd"))

    assert unit.sections() == ["Service"]
    assert unit["Service"]["LimitMEMLOCK"] == str(16 * GIB)


def test_group_is_written_where_it_is_known() -> None:
    """Without its number the line stays a comment, with it it is active."""
    unknown, known = recommended(servers()), recommended(servers(), shm_group=54321)

    assert "# vm.hugetlb_shm_group = ..." in render_fragment(unknown, unknown.find("hugetlb-2M"), "sysctl")
    lines = render_fragment(known, known.find("hugetlb-2M"), "sysctl").splitlines()
    assert "vm.hugetlb_shm_group = 54321" in lines


def test_what_belongs_elsewhere_is_said() -> None:
    """No file alone is the whole change."""
    found = recommended(servers())
    text = render_fragment(found, found.find("hugetlb-1G"), "tmpfiles")

    assert "# There is nothing to set here." in text
    assert "--format sysctl, systemd, cmdline, init.ora, postgresql.conf" in text


@pytest.mark.parametrize("width", [40, 80, 120, None])
def test_text_fits_its_screen(width: int | None) -> None:
    """No line is wider than the screen, none has control characters."""
    text = render_text(recommended(HOSTILE), Screen(width=width))

    for line in text.splitlines():
        assert line.isprintable()
        assert width is None or len(line) <= width


def test_ideas_stand_apart() -> None:
    """What no kernel has is below its own heading and never among the recommendations."""
    found = recommended(servers())
    text = render_text(found, Screen())
    report = to_dict(found)

    assert text.index("IDEAS ONLY") > text.index("RECOMMENDED")
    assert "mshare" not in text[: text.index("IDEAS ONLY")]
    assert {idea["state"] for idea in report["ideas"]} <= {"patches", "proposal", "vendor"}
    assert all(each["availability"]["state"] == "mainline" for each in report["recommendations"])


def test_json_has_every_figure() -> None:
    """Programs get the exact integers."""
    found = recommended(servers())
    report = to_dict(found)

    assert report["schema"] == "ptcalc.recommend/1"
    assert [each["code"] for each in report["recommendations"]] == [advice.code for advice in found.advice]
    first = report["recommendations"][0]
    assert first["saves_bytes"] == found.advice[0].saves_bytes
    assert first["check"]["fits"] is True
    assert {"file", "name", "value", "why"} == set(first["settings"][0])
