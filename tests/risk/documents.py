"""Workloads for the tests of this room, written as dictionaries, and their outcomes."""

from __future__ import annotations

from typing import Any

import ptcalc
from ptcalc import policies
from ptcalc.result import Finding, Memory, Risk
from ptcalc.risk import Config, assess

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
Document = dict[str, Any]


def sga(**changes: Any) -> Document:
    """300 GiB in base pages, mapped whole by 1500 processes, on 512 GiB: the case that started it all."""
    document: Document = {
        "version": 1,
        "name": "Oracle SGA, 1500 dedicated servers",
        "host": {"memory": "512 GiB", "used": "12 GiB"},
        "segments": {"sga": {"size": "300 GiB", "backing": "shmem"}},
        "processes": {
            "server": {
                "count": 1500,
                "private": "12 MiB",
                "base_tables": "512 KiB",
                "mappings": [{"segment": "sga", "address": 512 * GIB}],
            }
        },
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[key] = value
    return document


def load(document: Document) -> ptcalc.Workload:
    """Read a document; a dictionary's text is YAML."""
    return ptcalc.loads(repr(document))


def assessed(
    document: Document, policy: str = "today", config: Config | None = None
) -> tuple[Memory, Risk, dict[str, int]]:
    """Memory, risk and the cost of one more process under a policy."""
    (outcome,) = policies.evaluate(load(document), [policy])
    memory, risk, one_more = assess(outcome, config or Config())
    return memory, risk, dict(one_more)


def items(memory: Memory) -> dict[str, int]:
    """Demand by the name of the item."""
    return {item.name: item.bytes for item in memory.items}


def found(document: Document, *names: str, config: Config | None = None) -> dict[str, Finding]:
    """The findings of an estimate by code, each code once."""
    findings = ptcalc.estimate(load(document), policies=names or None, config=config).findings
    by_code = {finding.code: finding for finding in findings}
    assert len(by_code) == len(findings)
    return by_code
