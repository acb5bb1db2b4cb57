"""``ptcalc sweep``: the same workload with other values, on other machines."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ptcalc.cli.files import new_directory, new_file
from ptcalc.cli.options import examples, named, read_answers, read_axes, workload_options
from ptcalc.cli.output import emit, say_left_out, say_refused, screen
from ptcalc.cli.progress import bar

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from ptcalc.report.row_files import RowFile
    from ptcalc.scenarios.scan import Scan
    from ptcalc.scenarios.selecting import Column, Condition, Rows
    from ptcalc.workload.source import Positions

Part = TypeVar("Part")

WHOLE = ("json", "markdown")  # each row as estimate tells it
DETAILED = 30  # combinations of which the text tells as much
TOTALLED = ("risk", "headroom_bytes", "exact")  # what a page says of all rows


@click.command(
    "sweep",
    epilog=examples(
        "ptcalc sweep examples/oracle-sga-1500.yaml --vary host.arch=shipped --policy today --policy hugetlb-default",
        "ptcalc sweep examples/postgres-600.yaml --vary processes.backend.count=100..3000:100 --policy today",
        "ptcalc sweep examples/postgres-600.yaml --vary processes.backend.count=300,600 --policy today --format csv",
    ),
)
@click.option(
    "--vary",
    "axes",
    metavar="PATH=VALUES",
    multiple=True,
    required=True,
    help="Values for a place of the file: 1,2,3 or 100..3000:100 or 1%..100%:log20. May be repeated: every"
    " combination.",
)
@click.option("--zip", "zipped", is_flag=True, help="The first values of all axes, the second ones, and so on.")
@click.option("--where", "conditions", metavar="CONDITION", multiple=True, help="Only rows such as 'risk>=critical'.")
@click.option("--top", metavar="N", type=click.IntRange(min=1), help="Only the N rows with the largest --by.")
@click.option("--by", metavar="COLUMN", help="What --top goes by; -COLUMN for the smallest.")
@click.option("--columns", "names", metavar="A,B,...", help="Only these columns beside the axes and the policy.")
@click.option("-o", "--output", metavar="FILE", help="Write to this file, in place of standard output.")
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="Processes that evaluate; by default all cores.")
@click.option("--scheduler", metavar="ADDRESS", help="Evaluate on the Dask cluster whose scheduler is at tcp://….")
@workload_options("text", "json", "csv", "jsonl", "parquet", "markdown")
def command(
    workload: str,
    axes: tuple[str, ...],
    zipped: bool,
    conditions: tuple[str, ...],
    top: int | None,
    by: str | None,
    names: str | None,
    output: str | None,
    force: bool,
    jobs: int | None,
    scheduler: str | None,
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
) -> None:
    """Evaluate a workload for every combination of some values.

    WORKLOAD is a YAML file, or - for standard input. PATH is dotted: host.arch, host.memory,
    processes.NAME.count, segments.NAME.size, processes.NAME.mappings.0.touch.

    For host.arch, all stands for every architecture and shipped for those that distributions ship. The policy
    hugetlb-default is that of the default huge page of each architecture.
    """
    vary = read_axes(axes)
    answers = read_answers(choices, policies)
    if (top is None) != (by is None):
        raise click.UsageError("--top and --by: the one says how many rows, the other which")
    if force and output is None:
        raise click.UsageError("--force: there is no --output to replace")
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet: --output names the file")
    if scheduler is not None and jobs is not None:
        raise click.UsageError("--jobs: how many work at once is up to the cluster of --scheduler")
    in_parts = scheduler is not None and form == "parquet"
    if in_parts and top is not None:
        raise click.UsageError("--top: each worker writes its own rows of a --format parquet --scheduler; csv has it")
    whole_only = ("--where", conditions), ("--top", top), ("--columns", names), ("--zip", zipped)
    for option, given in (*whole_only, ("--scheduler", scheduler)):
        if given and form in WHOLE:
            raise click.UsageError(f"{option} does not go with --format {form}; csv, jsonl and parquet have it")
    from ptcalc import risk
    from ptcalc.workload.loading import read

    settings = None if config is None else risk.load_config(config)
    options: dict[str, Any] = {
        "policies": policies or None,
        "config": settings,
        "choices": answers,
        "strict": strict,
    }
    document = read(workload)
    with ExitStack() as stack:
        there = None if scheduler is None else stack.enter_context(_cluster(scheduler))
        file: Path | None = None
        if output is not None:
            file = stack.enter_context(_new_parts(output, force) if in_parts else new_file(output, force=force))
        if form in WHOLE:
            _deliver(_whole(document, vary, options, form), file)
            say_left_out(document, vary)
            return
        found = _Run(document, vary, options, _Selection(conditions, top, by, names), zipped, jobs, there, form)
        if form == "text":
            _deliver(found.text(), file)
        elif in_parts:
            found.write_parts(file)
        else:
            found.write(file, form)
    say_left_out(document, vary)
    found.say_the_rest()


class _Run:
    """All combinations on their way to a file or a page."""

    def __init__(
        self,
        document: Positions,
        vary: dict[str, str],
        options: dict[str, Any],
        selection: _Selection,
        zipped: bool,
        jobs: int | None,
        there: tuple[Executor, int] | None,
        form: str,
    ) -> None:
        import ptcalc

        self._asked = document, vary, options
        self._selection = selection
        self._jobs = jobs
        self._there = there
        self._scan = ptcalc.scan_workload(document, vary, zipped=zipped, figures=selection.figures(form), **options)
        self._interrupted = False
        selection.check(self._scan)

    def text(self) -> str:
        """Return the report for people: of few combinations what estimate tells of each, of many the first ones."""
        import ptcalc
        from ptcalc.report import scan_report, sweep_report

        found, selection = self._scan, self._selection
        summary = scan_report.Summary(found)
        if len(found) <= DETAILED and selection.all and not found.space.zipped and summary.heat is None:
            document, vary, options = self._asked
            return sweep_report.render_text(ptcalc.sweep(document, vary, **options), screen())
        with ExitStack() as stack:
            for rows in selection.chosen(summary.passing(self._evaluated(stack))):
                summary.keep(rows)
        shown = [column.name for column in selection.shown(found.columns)]
        return scan_report.render(found, summary, screen(), shown, chosen=selection.some)

    def write(self, file: Path | None, form: str) -> None:
        """Write the rows."""
        with ExitStack() as stack:
            blocks = self._selection.chosen(self._evaluated(stack))
            rows_file = stack.enter_context(_rows_to(file, form, self._selection.shown(self._scan.columns)))
            for rows in blocks:
                rows_file.write(rows)

    def write_parts(self, folder: Path | None) -> None:
        """Have the rows written to a file for each part, by whoever evaluates it."""
        from ptcalc.report import row_parts

        assert folder is not None
        shown = tuple(self._selection.shown(self._scan.columns))
        writer = row_parts.PartWriter(
            str(folder.absolute()), self._scan.frame, shown, tuple(self._selection.conditions)
        )
        counts = []
        with ExitStack() as stack:
            workers = self._workers(stack)
            for _, rows, _ in self._until_stopped(stack, partial(self._scan.worked, writer, *workers)):
                counts.append(rows)
        row_parts.finish(folder, counts, self._scan.done)

    def _evaluated(self, stack: ExitStack) -> Iterator[Rows]:
        """Return the rows."""
        return self._until_stopped(stack, partial(self._scan.blocks, *self._workers(stack)))

    def _workers(self, stack: ExitStack) -> tuple[Executor | None, int]:
        """Return who evaluates, and how many of them there are."""
        from ptcalc.scenarios.running import ALONE, cores, processes

        if self._there is not None:
            return self._there
        workers = self._jobs or (cores() if len(self._scan) > ALONE else 1)
        return stack.enter_context(processes(workers)), workers

    def _until_stopped(self, stack: ExitStack, parts: Callable[..., Iterator[Part]]) -> Iterator[Part]:
        """Return all parts until there are no more or somebody interrupts, which waits for the end of one."""
        told = stack.enter_context(bar("combinations", per_second=True))
        asked_to_stop = stack.enter_context(_interrupts())
        many = len(self._scan)

        def tell(done: int) -> None:
            if told is not None:
                told(done, many)

        for part in parts(progress=tell):
            yield part
            if asked_to_stop():
                self._interrupted = self._scan.done < many
                return

    def say_the_rest(self) -> None:
        """Say on standard error what is not possible, and how far it came.  Raises Exit if it was interrupted."""
        say_refused(self._scan.refusals)
        if self._interrupted:
            done, many = self._scan.done, len(self._scan)
            click.echo(f"ptcalc: interrupted after {done:,} of {many:,} combinations; their rows are whole", err=True)
            raise click.exceptions.Exit(130)


def _new_parts(path: str, force: bool) -> AbstractContextManager[Path]:
    from ptcalc.report.row_parts import MANIFEST

    return new_directory(path, force=force, ours=MANIFEST)


def _cluster(address: str) -> AbstractContextManager[tuple[Executor, int]]:
    from ptcalc.scenarios.cluster import cluster

    return cluster(address)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Give what tells whether somebody has pressed Ctrl-C; a second time ends the program at once."""
    pressed: list[int] = []

    def remember(number: int, _: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


class _Selection:
    """Which rows and columns are wanted."""

    def __init__(self, conditions: Sequence[str], top: int | None, by: str | None, names: str | None) -> None:
        self._asked_for = conditions
        self._top = top
        self._by = (by or "").removeprefix("-")
        self._smallest = (by or "").startswith("-")
        self._names = None if names is None else [name.strip() for name in names.split(",")]
        self.conditions: list[Condition] = []

    @property
    def some(self) -> bool:
        """Whether not all rows are wanted."""
        return bool(self._asked_for or self._top)

    @property
    def all(self) -> bool:
        """Whether all rows and columns are wanted."""
        return not self.some and self._names is None

    def figures(self, form: str) -> Sequence[str]:
        """Return the figures that must be evaluated: all, or those of --columns, and what rows are chosen by."""
        from ptcalc.scenarios.figures import FIGURES

        if self._names is None:
            return tuple(FIGURES)
        needed = [*self._names, self._by, *self._asked_for, *(TOTALLED if form == "text" else ())]
        # Conditions are not yet parsed: whatever they name may be a figure.
        return [name for name in FIGURES if any(name in text for text in needed)]

    def check(self, found: Scan) -> None:
        """Raise click.BadParameter for columns that are not there and values that never stand in them."""
        from ptcalc.scenarios.selecting import column_of, parse_condition

        columns = found.columns
        with named("--where"):
            self.conditions = [parse_condition(text, columns) for text in self._asked_for]
        with named("--by"):
            if self._by:
                column_of(self._by, columns)
        with named("--columns"):
            for name in self._names or ():
                column_of(name, [*columns, *_families(columns)])

    def shown(self, columns: Sequence[Column]) -> list[Column]:
        """Return the columns that are written."""
        if self._names is None:
            return list(columns)
        policy = [column.name for column in columns].index("policy")
        wanted = set(self._names)
        return [
            column
            for at, column in enumerate(columns)
            if at <= policy or column.name in wanted or column.name.partition(" of ")[0] in wanted
        ]

    def chosen(self, blocks: Iterable[Rows]) -> Iterator[Rows]:
        """Return the rows that are wanted."""
        from ptcalc.scenarios.selecting import best, meeting

        meeting_ = meeting(blocks, self.conditions)
        if self._top is None:
            return meeting_
        return iter([best(meeting_, self._by, self._top, smallest=self._smallest)])


def _families(columns: Sequence[Column]) -> list[Column]:
    """Return what stands for the columns of all groups: ``vmpte_bytes``."""
    from dataclasses import replace

    return [replace(column, name=column.name.partition(" of ")[0]) for column in columns if " of " in column.name]


def _whole(document: Positions, vary: dict[str, str], options: dict[str, Any], form: str) -> str:
    """Return the report of all that estimate tells of each combination."""
    import ptcalc
    from ptcalc.report import sweep_report
    from ptcalc.report.json_report import render

    found = ptcalc.sweep(document, vary, **options)
    return render(sweep_report.to_dict(found)) if form == "json" else sweep_report.render_markdown(found)


def _deliver(text: str, file: Path | None) -> None:
    if file is None:
        emit(text)
    else:
        file.write_text(text, encoding="utf-8")


@contextmanager
def _rows_to(file: Path | None, form: str, columns: Sequence[Column]) -> Iterator[RowFile]:
    """Give what rows are written to."""
    from ptcalc.report import row_files

    if form == "parquet":
        assert file is not None
        parquet = row_files.Parquet(file, columns)
        try:
            yield parquet
        finally:
            parquet.close()
        return
    make = row_files.Csv if form == "csv" else row_files.JsonLines
    if file is not None:
        with file.open("w", encoding="utf-8", newline="") as handle:
            yield make(handle, columns)
        return
    yield make(_Standard(), columns)


class _Standard:
    """Standard output, block by block."""

    def write(self, text: str) -> int:
        """Write to standard output, as `emit` does."""
        emit(text)
        return len(text)
