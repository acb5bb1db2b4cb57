"""Lines of a log without what dmesg, syslog and the journal put in front of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """A line of the kernel: its number in the log (from 1), when it was printed, and what it says."""

    number: int
    when: str
    text: str


_KMSG = re.compile(r"\d+,\d+,(\d+),[^;]{0,40};")  # /dev/kmsg: priority, sequence, microseconds, flags
_SYSLOG = re.compile(
    r"(?:<\d+>(?:1 )?)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)"
    r" \S+ ([^\s:\[]+)(?:\[\d+\])?:? ?"
)
_LEVEL = re.compile(r"<\d+>|[a-z0-9]+ *:[a-z]+ *: ")  # raw, and dmesg -x
_STAMP = re.compile(r"\[ *(\d+\.\d{3,9})\](?:\[ *[TC]\d+\])? ?")
_CLOCK = re.compile(r"\[([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] ?")  # dmesg -T
_MONOTONIC = re.compile(r"\S+ kernel: ")  # journalctl -o short-monotonic, after its stamp


def kernel_lines(lines: Iterator[str]) -> Iterator[Line]:
    """Yield what the kernel said; lines that syslog or the journal has from other programs are left out.

    Lines without any prefix are the kernel's as well: messages of several lines have one on the first alone.
    """
    for number, raw in enumerate(lines, 1):
        # rsyslog writes a line break inside of a message as its octal code.
        for part in raw.rstrip("\r\n").split("#012") if "#012" in raw else (raw.rstrip("\r\n"),):
            found = _stripped(part)
            if found is not None:
                yield Line(number, *found)


def _stripped(text: str) -> tuple[str, str] | None:
    when = ""
    if (match := _KMSG.match(text)) is not None:
        return f"{int(match[1]) / 1e6:.6f}", text[match.end() :]
    if (match := _SYSLOG.match(text)) is not None:
        if match[2] != "kernel":
            return None
        when, text = match[1], text[match.end() :]
    elif (match := _LEVEL.match(text)) is not None:
        text = text[match.end() :]
    if (match := _CLOCK.match(text)) is not None:
        return when or match[1], text[match.end() :]
    if (match := _STAMP.match(text)) is None:
        return when, text
    rest = text[match.end() :]
    if not when and (tag := _MONOTONIC.match(rest)) is not None:
        rest = rest[tag.end() :]
    return when or match[1], rest
