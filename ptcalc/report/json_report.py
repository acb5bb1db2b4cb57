"""The JSON report: ``ptcalc.estimate/1``, and as ``ptcalc.explain/1`` the same of the groups that were asked for.

The keys that users rely on come first and in a fixed order; what stands after them may grow.  Bytes and
tables are integers; an expectation is rounded here, once, and says ``"exact": false``.  Nothing that an `Estimate`
holds is left out, so that `ptcalc.saved` reads it back as it was.
"""

from __future__ import annotations

import json
from typing import Any

from ptcalc.result import (
    ESTIMATE_SCHEMA,
    EXPLAIN_SCHEMA,
    Bound,
    Estimate,
    Finding,
    LedgerItem,
    LevelArithmetic,
    LevelTables,
    MappingShare,
    Measured,
    Memory,
    PageTables,
    PolicyResult,
    ProcessTables,
    Question,
    Reason,
    SecondLevelTables,
)

Json = dict[str, Any]


def to_dict(estimate: Estimate) -> Json:
    """Return `estimate` as the object that ``ptcalc estimate --format json`` prints.

    Bytes and tables are integers.  Where ``exact`` is false, ``sd_bytes`` (for a process ``vmpte_sd_bytes``)
    stands beside it.
    """
    return _report(estimate, ESTIMATE_SCHEMA)


def explain_to_dict(estimate: Estimate) -> Json:
    """Return what ``ptcalc explain --format json`` prints."""
    return _report(estimate, EXPLAIN_SCHEMA)


def render(report: Json) -> str:
    """Return `report` as JSON text that ends in a newline.

    Pure ASCII: names come from files, and an escaped bidi override or control character is harmless.
    """
    return json.dumps(report, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def render_estimate(estimate: Estimate) -> str:
    """Return what ``ptcalc estimate --format json`` prints."""
    return render(to_dict(estimate))


def render_explanation(estimate: Estimate) -> str:
    """Return what ``ptcalc explain --format json`` prints."""
    return render(explain_to_dict(estimate))


def _report(estimate: Estimate, schema: str) -> Json:
    return {
        "schema": schema,
        "workload": {
            "name": estimate.name,
            "processes": estimate.processes,
            "file": estimate.file,
            "arch": estimate.arch,
            "kernel": estimate.kernel,
            "installed_bytes": estimate.installed_bytes,
            "segments": [{"name": name, "bytes": size} for name, size in estimate.segment_bytes],
            "text": estimate.source,
        },
        "policies": [policy_to_dict(result, arithmetic=True) for result in estimate.policies],
        "findings": [_finding(finding) for finding in estimate.findings],
        **({"measured": [_measured(each) for each in estimate.measured]} if estimate.measured else {}),
        "assumptions": [{"key": each.key, "value": each.value, "why": each.why} for each in estimate.assumptions],
        "question": _question(estimate.question),
    }


def policy_to_dict(result: PolicyResult, *, arithmetic: bool = False) -> Json:
    """Return one policy's answer as it stands in the reports; ``arithmetic``: with the levels of each mapping."""
    availability = result.availability
    return {
        "policy": result.policy,
        "availability": {
            "state": availability.state,
            "since": availability.since,
            "source": availability.source,
            "as_of": availability.as_of,
        },
        "applies": result.applies if isinstance(result.applies, str) else list(result.applies),
        "page_tables": _page_tables(result.page_tables),
        **({"second_level": _second_level(result.second_level)} if result.second_level else {}),
        "processes": [_process(process, arithmetic=arithmetic) for process in result.processes],
        "memory": memory_to_dict(result.memory),
        "risk": {
            "level": result.risk.level,
            "safe_processes": result.risk.safe_processes,
            "max_processes": result.risk.max_processes,
            "limited_by": result.risk.limited_by,
            "safe_limited_by": result.risk.safe_limited_by,
        },
        "title": result.title,
        "one_more": [{"name": name, "bytes": size} for name, size in result.one_more],
        "mappings": [_mapping(mapping, arithmetic=arithmetic) for mapping in result.mappings],
        "choices": [{"name": name, "value": value, "meaning": meaning} for name, value, meaning in result.choices],
        "bounds": [_bound(bound) for bound in result.bounds],
    }


def _page_tables(tables: PageTables) -> Json:
    report: Json = {"bytes": tables.bytes, "used_bytes": tables.used_bytes, "exact": tables.exact}
    if not tables.exact:
        report["sd_bytes"] = tables.sd_bytes
    report["levels"] = _levels(tables.levels)
    report["memcg_bytes"] = tables.memcg_bytes
    return report


def _second_level(tables: SecondLevelTables) -> Json:
    """SecPageTables: the tables of guests, and those of one guest of each group."""
    return {
        "bytes": tables.bytes,
        "used_bytes": tables.used_bytes,
        "exact": tables.exact,
        "guests": [
            {
                "name": guest.name,
                "kind": guest.kind,
                "count": guest.count,
                "bytes": guest.bytes,
                "exact": guest.exact,
                **({} if guest.exact else {"sd_bytes": guest.sd_bytes}),
                "levels": _levels(guest.levels),
                "root_bytes": guest.root_bytes,
            }
            for guest in tables.guests
        ],
        "sources": list(tables.sources),
    }


def _levels(levels: tuple[LevelTables, ...]) -> list[Json]:
    return [{"level": each.level, "tables": each.tables, "bytes": each.bytes} for each in levels]


def _process(process: ProcessTables, *, arithmetic: bool) -> Json:
    report: Json = {
        "name": process.name,
        "count": process.count,
        "vmpte_bytes": process.vmpte_bytes,
        "exact": process.exact,
    }
    if not process.exact:
        report["vmpte_sd_bytes"] = process.vmpte_sd_bytes
    # Where no kernel says what VmPTE shows for shared tables, the figure is an assumption.
    report["vmpte_assumed"] = not process.vmpte_defined
    report["marginal_bytes"] = process.marginal_bytes
    if arithmetic:
        report["levels"] = _levels(process.levels)
    return report


def memory_to_dict(memory: Memory) -> Json:
    """Return the ledger of a boundary, bytes."""
    return {
        "boundary": memory.boundary,
        "capacity_bytes": memory.capacity_bytes,
        "demand_bytes": memory.demand_bytes,
        "headroom_bytes": memory.headroom_bytes,
        "items": [_item(item) for item in memory.items],
        "capacity_terms": [_item(item) for item in memory.capacity_terms],
        "swap_used_bytes": memory.swap_used_bytes,
    }


def _item(item: LedgerItem) -> Json:
    return {
        "name": item.name,
        "bytes": item.bytes,
        "kind": item.kind,
        "terms": item.terms,
        "source": item.source,
        "swappable_bytes": item.swappable_bytes,
    }


def _mapping(mapping: MappingShare, *, arithmetic: bool) -> Json:
    report: Json = {
        "group": mapping.group,
        "index": mapping.index,
        "segment": mapping.segment,
        "address": mapping.address,
        "length_bytes": mapping.length,
        "address_stated": mapping.address_stated,
        "not_shared": [_reason(reason) for reason in mapping.reasons],
        "path": list(mapping.path),
    }
    if arithmetic:
        report["levels"] = [_arithmetic(level) for level in mapping.levels]
    return report


def _arithmetic(level: LevelArithmetic) -> Json:
    exact = isinstance(level.tables, int) and isinstance(level.shared, int)
    return {
        "level": level.level,
        "span_bytes": level.span,
        "table_bytes": level.table_bytes,
        "first": level.first,
        "last": level.last,
        "tables": round(level.tables),
        "shared": round(level.shared),
        "exact": exact,
        **({} if exact else {"expected_tables": level.tables, "expected_shared": level.shared}),
        "method": level.method,
    }


def _reason(reason: Reason) -> Json:
    return {
        "code": reason.code,
        "text": reason.text,
        "remedy": reason.remedy,
        "saves_bytes": reason.saves_bytes,
    }


def _bound(bound: Bound) -> Json:
    return {
        "name": bound.name,
        "value": bound.value,
        "page_tables_bytes": bound.page_tables_bytes,
        "why": bound.why,
    }


def _measured(measured: Measured) -> Json:
    return {
        "counter": measured.counter,
        "name": measured.name,
        "expected_bytes": measured.expected_bytes,
        "exact": measured.exact,
        "measured_bytes": measured.measured_bytes,
    }


def _finding(finding: Finding) -> Json:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "location": {"line": finding.line, "column": finding.column},
        "remedy": finding.remedy,
        "policy": finding.policy,
        "path": list(finding.path),
    }


def _question(question: Question) -> Json:
    return {
        "policies": list(question.policies),
        "choices": dict(question.choices),
        "overrides": [
            {"path": list(path), "value": value, "origin": origin} for path, value, origin in question.overrides
        ],
        "config": dict(question.config),
        "version": question.version,
    }
