"""Whole processes: what a user waits for, against the bare imports that it cannot do without."""

from __future__ import annotations

from benchmarks.ratio import Ratio, measure, process

SCRIPT = "import sys; from ptcalc.cli.main import main; sys.exit(main())"  # what the command `ptcalc` runs
LIBRARIES = "import click, yaml, numpy, rich.console, rich.table; from pydantic import BaseModel"


def estimate() -> Ratio:
    """The first report against the libraries that it uses."""
    run = process(SCRIPT, "estimate", "examples/oracle-sga-1500.yaml")
    return measure("estimate / bare imports", run, process(LIBRARIES), limit=1.5, rounds=15)


def help_text() -> Ratio:
    """The help text against click alone."""
    return measure("--help / import click", process(SCRIPT, "--help"), process("import click"), limit=1.5, rounds=25)
