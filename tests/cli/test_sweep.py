"""``ptcalc sweep`` and `ptcalc.sweep`: what a combination is, what is refused, and what comes out."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc import arch, risk, sweeping
from ptcalc.cli.main import main
from ptcalc.report import sweep_report
from ptcalc.report.json_report import policy_to_dict
from ptcalc.report.page import Screen

WORKLOAD = """\
version: 1
name: what if
x-anchors: {count: 3}
host: {memory: 64 GiB, used: 1 GiB}
segments:
  sga: {size: 4 GiB, backing: shmem}
  the.heap: {size: 1 GiB, backing: private}
processes:
  server:
    count: 10
    private: 1 MiB
    mappings:
      - {segment: sga, touch: 10%}
      - segment: the.heap
        touch: {amount: 1%, pattern: clustered, cluster: 1 MiB}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A workload with a name that has a dot in it."""
    path = tmp_path / "what-if.yaml"
    path.write_text(WORKLOAD)
    return path


def _written(path: str, old: str, value: str) -> str:
    """The workload with a value written where ``old`` stands."""
    assert WORKLOAD.count(old) == 1, path
    return WORKLOAD.replace(old, old.split(":")[0] + f": {value}" if ": " in old else value)


# path, what stands there, values in its place
PLACES = [
    ("host.memory", "memory: 64 GiB", ["32 GiB", "34359738368"]),
    ("segments.sga.size", "size: 4 GiB", ["5GiB", "7 GiB"]),
    ("segments.the.heap.size", "size: 1 GiB", ["2 GiB"]),
    ("segments.'the.heap'.size", "size: 1 GiB", ["2 GiB"]),
    ("processes.server.count", "count: 10", ["1", "4000"]),
    ("processes.server.mappings.0.touch", "touch: 10%", ["all", "2 MiB", "none"]),
    ("processes.server.mappings[0].touch", "touch: 10%", ["3%"]),
    ("processes.server.mappings[1].touch.amount", "amount: 1%", ["50%", "6 MiB"]),
    ("processes.server.mappings.1.touch.cluster", "cluster: 1 MiB", ["64 KiB"]),
    ("name", "name: what if", ["other"]),
]


@pytest.mark.parametrize(("path", "old", "values"), PLACES, ids=[path for path, _, _ in PLACES])
def test_a_value_is_as_if_it_stood_in_the_file(file: Path, path: str, old: str, values: list[str]) -> None:
    """Each row is the estimate of the file with the value written into it."""
    found = ptcalc.sweep(file, {path: values})

    assert found.axes == (ptcalc.Axis(path, tuple(values)),)
    for value in values:
        written = ptcalc.loads(_written(path, old, value), name=str(file))
        _same([row for row in found.rows if row.values == (value,)], ptcalc.estimate(written))


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("host.arch", "arm64-64k", "host: {memory: 64 GiB, used: 1 GiB, arch: arm64-64k}"),
        ("host.kernel", "6.1", "host: {memory: 64 GiB, used: 1 GiB, kernel: 6.1}"),
    ],
)
def test_a_key_that_is_not_written_can_be_varied(file: Path, path: str, value: str, line: str) -> None:
    """A default is as good as a value: --strict is content with what is varied."""
    written = WORKLOAD.replace("host: {memory: 64 GiB, used: 1 GiB}", line)

    _same(ptcalc.sweep(file, {path: [value]}).rows, ptcalc.estimate(ptcalc.loads(written)))


def _same(rows: Iterable[ptcalc.Row], estimate: ptcalc.Estimate) -> None:
    """Every figure of the rows is that of the estimate."""
    rows = list(rows)
    assert [row.policy for row in rows] == [result.policy for result in estimate.policies]
    for row, result in zip(rows, estimate.policies, strict=True):
        short = replace(result, mappings=(), memory=replace(result.memory, items=(), capacity_terms=()), bounds=())
        assert row.result == short
        assert (row.arch, row.kernel) == (estimate.arch, estimate.kernel)


@pytest.mark.many
def test_grid_points_are_estimates(file: Path) -> None:
    """Twenty points of a grid over four axes, under every policy."""
    vary: dict[str, list[str]] = {
        "host.arch": ["x86_64", "arm64-64k", "s390x"],
        "processes.server.count": ["1", "100", "3000"],
        "segments.sga.size": ["2 GiB", "33 GiB"],
        "processes.server.mappings.0.touch": ["all", "1%", "none"],
    }
    found = ptcalc.sweep(file, vary)

    combinations = list(dict.fromkeys(row.values for row in found.rows))
    assert len(combinations) == 54
    for values in random.Random(5).sample(combinations, 20):
        name, count, size, touch = values
        text = WORKLOAD.replace("used: 1 GiB", f"used: 1 GiB, arch: {name}").replace("count: 10", f"count: {count}")
        text = text.replace("size: 4 GiB", f"size: {size}").replace("touch: 10%", f"touch: {touch}")
        _same([row for row in found.rows if row.values == values], ptcalc.estimate(ptcalc.loads(text)))


def test_a_loaded_workload_is_as_good_as_its_file(file: Path) -> None:
    """The library takes either, and any iterable of numbers."""
    vary: dict[str, Iterable[object]] = {"processes.server.count": range(1, 4)}

    assert ptcalc.sweep(ptcalc.load(file), vary) == ptcalc.sweep(str(file), vary)


def test_file_is_not_changed(file: Path) -> None:
    """Aliases and other combinations do not see a value that replaces one."""
    text = WORKLOAD.replace("x-anchors: {count: 3}", "x-anchors: &g {count: 3, private: 0}")
    text += "  one: *g\n  two: {<<: *g}\n"
    workload = ptcalc.loads(text)
    found = ptcalc.sweep(workload, {"processes.one.count": [5], "processes.two.count": [7]}, policies=["today"])

    result = found.rows[0].result
    assert result is not None
    assert [group.count for group in result.processes] == [10, 5, 7]
    assert [group.count for group in ptcalc.sweep(workload, {}).rows[0].result.processes] == [10, 3, 3]  # type: ignore[union-attr]


def test_words_for_many_architectures(file: Path) -> None:
    """All: each that there is; shipped: what short names lead to, and architectures that come in one form."""
    names = list(arch.known())

    def swept(*values: str) -> list[str]:
        return list(
            dict.fromkeys(row.arch for row in ptcalc.sweep(file, {"host.arch": values}, policies=["today"]).rows)
        )

    assert swept("all") == names
    shipped = swept("shipped")
    assert {"x86_64", "s390x"} <= set(shipped) < set(names)
    assert {arch.get(alias).name for alias in arch.names() if alias not in names} <= set(shipped)
    assert swept("s390x", "all") == ["s390x", *(name for name in names if name != "s390x")]


def test_own_architecture_is_among_all(file: Path) -> None:
    """One of a config file is varied like any other."""
    config = risk.loads_config("geometries: {mine: {like: x86_64}}")

    rows = ptcalc.sweep(file, {"host.arch": ["all"]}, policies=["today"], config=config).rows
    assert rows[-1].arch == "mine"


def test_default_huge_pages_are_those_of_each_architecture(file: Path) -> None:
    """hugetlb-default is one policy on each, and no second row where it is asked for by its name as well."""
    found = ptcalc.sweep(file, {"host.arch": ["all"]}, policies=["hugetlb-default"])

    for row in found.rows:
        geometry = arch.get(row.arch)
        assert row.policy == f"hugetlb-{geometry.huge_page_name(geometry.default_huge_page)}"
    both = ptcalc.sweep(file, {"host.arch": ["x86_64"]}, policies=["hugetlb-default", "hugetlb-2M"])
    assert [row.policy for row in both.rows] == ["hugetlb-2M"]


def test_what_an_architecture_cannot_do_is_said_in_its_row(file: Path) -> None:
    """Asked for by a word, it has a row without figures; asked for by its name, it is an error."""
    vary = {"host.arch": ["all"], "segments.sga.size": ["300 GiB"]}
    rows = {(row.arch, row.policy): row for row in ptcalc.sweep(file, vary, policies=["today", "hugetlb-2M"]).rows}

    assert rows["riscv64-sv39", ""].result is None
    assert "do not fit user space of riscv64-sv39" in rows["riscv64-sv39", ""].why
    assert rows["s390x", "today"].result is not None
    assert rows["s390x", "hugetlb-2M"].result is None
    for name, policy in (("riscv64-sv39", "today"), ("s390x", "hugetlb-2M")):
        with pytest.raises(ptcalc.InputError, match=name):
            ptcalc.sweep(file, {**vary, "host.arch": ["all", name]}, policies=[policy])


WRONG = [
    (["--vary", "host.arch"], "'host.arch' is not of the form PATH=VALUES"),
    (["--vary", "=1"], "not of the form"),
    (["--vary", "host.memory=1GiB", "--vary", "host.memory=2GiB"], "host.memory is given twice"),
    (["--vary", "processes.sever.count=1"], "there is no 'sever' in processes\n  did you mean 'server'?"),
    (["--vary", "hots.memory=1"], "--vary hots.memory: there is no 'hots'\n  did you mean 'host'?"),
    (["--vary", "host.memroy=1"], "--vary host.memroy=1: host: unknown key 'memroy'\n  did you mean 'memory'?"),
    (["--vary", "x-anchors.count=1"], "there is no 'x-anchors'"),
    (["--vary", "x-new=1"], "there is no 'x-new'"),
    (["--vary", "host.memory.size=1"], "host.memory is a single value"),
    (["--vary", "processes.server.mappings.2.touch=1%"], "accepted: a number from 0 to 1"),
    (["--vary", "processes.server.mappings.x=1%"], "accepted: a number from 0 to 1"),
    (["--vary", "processes.server.mappings[0=1%"], "accepted: a number from 0 to 1"),
    (["--vary", "processes.server.mappings.0.=1"], "there is no '' in processes.server.mappings[0]"),
    (["--vary", "host.=1"], "there is no '' in host"),
    (["--vary", "processes.server.count=-1"], "--vary processes.server.count=-1: processes.server.count: "),
    (["--vary", "processes.server.count=1,,2"], "--vary processes.server.count: ',2' stands where a value should be"),
    (["--vary", "host.arch=x86_64,z80"], "--vary host.arch=z80: host.arch: unknown architecture 'z80'"),
    (["--vary", "host.kernel=9.9"], "--vary host.kernel=9.9: host.kernel: '9.9': unknown kernel version"),
    (["--vary", "processes.server.mappings=1"], "accepted: a list"),
    (["--vary", "processes.extra=1"], "--vary processes.extra=1: processes.extra: "),
    (["--vary", "host.arch=all", "--vary", "host.memory=-1"], "--vary host.memory=-1: host.memory"),
    (["--vary", "processes.server.mappings.1.touch.cluster=1000"], "cluster=1000: "),
    (["--vary", "segments.sga.size=4 KiB", "--vary", "host.arch=x86_64", "--policy", "tody"], "'tody' is no policy"),
    (["--vary", "host.arch=all", "--policy", "hugetlb-3M"], "'hugetlb-3M' is no policy of x86_64"),
    (["--vary", "host.arch=s390x", "--policy", "hugetlb-2M"], "accepted: today, private, hugetlb-1M"),
    (["--vary", "host.arch=s390x", "--policy", "today", "--choice", "mshare.x=1"], "no evaluated policy"),
    (["--vary", "host.arch=s390x", "--choice", "mshare.x=1"], "'mshare.x' is no open choice"),
    (["--vary", "processes.server.count=1..10001:1", "--format", "json"], "10,001 combinations of values"),
    (["--vary", "name=1..10001:1"], "no numbers stand at this place"),
    (["--vary", f"name={','.join(map(str, range(10_001)))}"], "10,001 combinations of values that are no numbers"),
    (["--vary", "processes.server.count=1..3:1", "--zip", "--vary", "host.memory=1GiB,2GiB"], "2 values beside 3 of"),
    (["--vary", "host.memory=1GiB", "--where", "risk"], "'risk' is no condition"),
    (["--vary", "host.memory=1GiB", "--where", "rsk=ok"], "there is no column 'rsk'; did you mean risk?"),
    (["--vary", "host.memory=1GiB", "--where", "risk>fatal"], "accepted: ok, warning, critical, oom"),
    (["--vary", "host.memory=1GiB", "--where", "headroom_bytes>1 parsec"], "'parsec' is no unit"),
    (["--vary", "host.memory=1GiB", "--where", "exact=perhaps"], "accepted: true or false"),
    (["--vary", "host.memory=1GiB", "--top", "3"], "--top and --by"),
    (["--vary", "host.memory=1GiB", "--by", "risk"], "--top and --by"),
    (["--vary", "host.memory=1GiB", "--top", "0", "--by", "risk"], "--top"),
    (["--vary", "host.memory=1GiB", "--top", "1", "--by", "size"], "there is no column 'size'"),
    (["--vary", "host.memory=1GiB", "--columns", "risk,size"], "there is no column 'size'"),
    (["--vary", "host.memory=1GiB", "--force"], "no --output to replace"),
    (["--vary", "host.memory=1GiB", "--format", "parquet"], "--output names the file"),
    (
        ["--vary", "host.memory=1GiB", "--format", "json", "--where", "risk=ok"],
        "--where does not go with --format json",
    ),
    (["--vary", "host.memory=1GiB", "--output", "/nowhere/x.csv"], "/nowhere/x.csv cannot be written: No such file"),
    (["--vary", "host.memory=1GiB", "--output", "/"], "/ is a directory"),
    (["--vary", "host.memory=1GiB", "--jobs", "0"], "--jobs"),
    (
        ["--vary", "processes.server.mappings.1.touch=1%", "--vary", "processes.server.mappings.1.touch.amount=1%"],
        "--vary processes.server.mappings.1.touch.amount: processes.server.mappings[1].touch is varied already",
    ),
    (["--vary", "host.memory=\x1b[31m"], "--vary host.memory=\\x1b[31m: "),
    (["--vary", "host.memory=64GiB", "--strict"], "--strict allows no guess (with --vary host.memory=64GiB)"),
    (["--vary", "segments.sga.size=2 MiB", "--vary", "segments.the.heap.size=1"], "(with --vary segments.sga.size"),
    ([], "--vary"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda each: " ".join(each)[:60] if each else "none")
def test_wrong_usage(file: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is 2, names path and value, and leaves standard output empty."""
    if said.startswith("(with --vary segments"):
        file.write_text(WORKLOAD.replace("segment: sga, touch", "segment: sga, length: 3 GiB, touch"))

    assert main(["sweep", str(file), *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "\x1b" not in err


@pytest.mark.parametrize("text", ["[1, 2]", "nothing", "host: 3\nversion: 1\n", "version: 1\n"])
def test_files_that_are_no_workload(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be a workload is refused, whatever is to stand in it."""
    file.write_text(text)

    assert main(["sweep", str(file), "--vary", "host.arch=x86_64"]) == 2
    assert main(["estimate", str(file), "--arch", "x86_64"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def _swept(file: Path, form: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    arguments = ["--vary", "host.arch=x86_64,arm64-64k", "--vary", "processes.server.count=10,20", *more]
    assert main(["sweep", str(file), *arguments, "--format", form]) == 0
    return capsys.readouterr().out


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row holds the answer of estimate, word for word, and the values that it is for."""
    report = json.loads(_swept(file, "json", capsys))

    assert report["schema"] == "ptcalc.sweep/1"
    assert report["axes"][1] == {"path": "processes.server.count", "values": ["10", "20"]}
    twenty = ptcalc.estimate(ptcalc.loads(WORKLOAD.replace("count: 10", "count: 20"))).policy("today")
    row = _row(report, "x86_64", "20", "today")
    answer = policy_to_dict(twenty)
    assert row == {
        "values": {"host.arch": "x86_64", "processes.server.count": "20"},
        "arch": "x86_64",
        "kernel": ptcalc.estimate(ptcalc.loads(WORKLOAD)).kernel,
        **{key: answer[key] for key in ("policy", "availability", "applies", "page_tables", "processes", "risk")},
        "memory": {key: answer["memory"][key] for key in sweep_report.MEMORY},
    }


def _row(report: dict[str, Any], name: str, count: str, policy: str) -> dict[str, Any]:
    values = {"host.arch": name, "processes.server.count": count}
    (row,) = [row for row in report["rows"] if row["values"] == values and row["policy"] == policy]
    return dict(row)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_and_json_lines_say_what_json_says(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row, with exact integers: the columns are evaluated all at once, the objects one by one."""
    report = json.loads(_swept(file, "json", capsys))
    rows = rows_of(_swept(file, "csv", capsys))
    objects = [json.loads(line) for line in _swept(file, "jsonl", capsys).splitlines()]

    assert len(rows) == len(objects) == len(report["rows"])
    for line, each, row in zip(rows, objects, report["rows"], strict=True):
        tables, memory, risk = row["page_tables"], row["memory"], row["risk"]
        expected = {
            "host.arch": row["values"]["host.arch"],
            "processes.server.count": int(row["values"]["processes.server.count"]),
            "policy": row["policy"],
            "state": row["availability"]["state"],
            "page_tables_bytes": tables["bytes"],
            "used_bytes": tables["used_bytes"],
            "exact": tables["exact"],
            **memory,
            "risk": risk["level"],
            **{key: risk[key] for key in ("safe_processes", "max_processes", "limited_by")},
            "vmpte_bytes of server": row["processes"][0]["vmpte_bytes"],
        }
        assert each == expected
        assert line == {
            key: str(value).lower() if value in (True, False) else str(value) for key, value in expected.items()
        }


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "jsonl", "json"])
def test_rows_without_figures(file: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What an architecture cannot do is said in every format, on standard error where there are rows alone."""
    out = _swept(file, form, capsys, "--vary", "segments.sga.size=4GiB", "--policy", "today")
    assert "do not fit" not in out

    arguments = ["--vary", "host.arch=all", "--vary", "segments.sga.size=4GiB,300GiB", "--policy", "thp"]
    assert main(["sweep", str(file), *arguments, "--format", form]) == 0
    out, err = capsys.readouterr()
    assert "300 GiB do not fit user space of riscv64-sv39" in (err if form in ("csv", "jsonl") else out)
    if form == "csv":
        sv39 = [row["segments.sga.size"] for row in rows_of(out) if row["host.arch"] == "riscv64-sv39"]
        assert sv39 == [str(4 << 30)]


def test_what_no_architecture_can_do_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A combination that all of them refuse is not for want of a better machine."""
    clusters = "processes.server.mappings.1.touch.cluster=1MiB,1000"
    for form in ("csv", "json"):
        assert main(["sweep", str(file), "--vary", "host.arch=shipped", "--vary", clusters, "--format", form]) == 2
        assert "cluster=1000" in capsys.readouterr().err


def test_policies_that_nobody_has_are_marked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No text treats a policy that no mainline kernel has as deployable."""
    for form in ("text", "markdown"):
        out = _swept(file, form, capsys, "--policy", "mshare", "--policy", "today")
        rows = [line for line in out.splitlines() if re.search(r"\bmshare\b", line) and "In no" not in line]
        assert len(rows) == 4
        assert all("would be" in line for line in rows)
        assert re.search(r"In no mainline kernel as of \d{4}-\d\d: mshare \(patches\)\.", out)


def test_no_line_is_wider_than_the_screen(file: Path) -> None:
    """Columns are left out, and rows stacked, before anything is cut."""
    found = ptcalc.sweep(file, {"host.arch": ["shipped", "riscv64-sv39"], "host.kernel": ["7.2"]})

    for width in (40, 60, 80, 100):
        lines = sweep_report.render_text(found, Screen(width)).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) > len(found.rows)


def test_notes_are_about_what_is_shown(file: Path) -> None:
    """A column that a narrow screen leaves out is not explained there."""
    found = ptcalc.sweep(file, {"host.kernel": ["6.1"]}, policies=["today", "file-shared"])

    assert "PageTables: what" in sweep_report.render_text(found, Screen())
    assert "VmPTE with *" in sweep_report.render_text(found, Screen())
    narrow = sweep_report.render_text(found, Screen(72))
    assert "PageTables" not in narrow
    assert "VmPTE" not in narrow


def test_axes_have_short_titles_where_they_are_clear(file: Path) -> None:
    """The last step of a path, or all of it where two end in the same word or in a number."""
    vary = {
        "host.memory": ["64 GiB"],
        "segments.sga.size": ["4 GiB"],
        "segments.the.heap.size": ["1 GiB"],
        "processes.server.mappings.0.touch": ["all"],
    }
    header = sweep_report.render_text(ptcalc.sweep(file, vary), Screen()).splitlines()[3]

    assert re.split(r"\s{2,}", header)[:5] == [
        "memory",
        "segments.sga.size",
        "segments.the.heap.size",
        "touch",
        "policy",
    ]


def test_names_do_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No name from a file is markup in Markdown, moves a cursor or breaks a row."""
    name = "a|b <b>*x*_y_`z` [l](http://e.x) www.e.x @me ~s~ \\| &amp; \u202e\x1b[31m"
    hostile = json.dumps(name)
    workload = ptcalc.loads(WORKLOAD.replace("  server:", f"  {hostile}:").replace("what if", hostile))
    found = ptcalc.sweep(workload, {"host.arch": ["x86_64"]})

    file.write_text(workload.positions.text)
    assert main(["sweep", str(file), "--vary", "host.arch=x86_64", "--format", "csv"]) == 0
    for text in (sweep_report.render_text(found, Screen()), capsys.readouterr().out):
        assert not {"\x1b", "\u202e"} & set(text)
    lines = sweep_report.render_markdown(found).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert not set("<>`[]@~*\\\x1b\u202e") & set("".join(table))
    assert "://" not in table[0] and "www.e" not in table[0] and "&amp;" not in table[0]


@pytest.mark.parametrize("arguments", [["sweep", "--help"], ["arch", "--help"], ["arch", "show", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help answers before anything heavy is loaded."""
    script = (
        "import sys; from ptcalc.cli.main import main;"
        f"code = main({arguments!r}); print('modules', *sys.modules); sys.exit(code)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    loaded = set(process.stdout.rsplit("modules", 1)[1].split())
    assert not {"numpy", "pydantic_core", "rich", "yaml", "ptcalc.arch"} & loaded


@pytest.mark.parametrize("name", ["a=b", "O'Brien", "=", "a='b"])
def test_names_that_look_like_values(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An equals sign in a name is no end of the path where the name is quoted; an apostrophe alone quotes nothing."""
    file.write_text(WORKLOAD.replace("  server:", f'  "{name}":'))
    quoted = f"'{name}'" if "=" in name else name

    assert main(["sweep", str(file), "--vary", f"processes.{quoted}.count=1,2", "--policy", "today"]) == 0
    assert "2 combinations" in capsys.readouterr().out


def test_standard_input_is_read_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grid over what comes through a pipe is that over the file."""
    arguments = ["--vary", "host.memory=8GiB,9GiB", "--policy", "today", "--format", "csv"]
    piped = subprocess.run(
        [sys.executable, "-m", "ptcalc", "sweep", "-", *arguments],
        input=file.read_bytes(),
        capture_output=True,
        check=True,
    )

    assert main(["sweep", str(file), *arguments]) == 0
    assert piped.stdout.decode() == capsys.readouterr().out


def test_combinations_are_bounded_before_anything_is_computed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is told at once."""
    monkeypatch.setattr(sweeping, "MAX_COMBINATIONS", 3)

    with pytest.raises(ptcalc.InputError, match="4 combinations of values"):
        ptcalc.sweep(file, {"host.memory": ["bad", "worse"], "host.swap": ["1", "2"]})
