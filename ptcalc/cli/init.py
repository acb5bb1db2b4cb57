"""``ptcalc init``: a workload file to start from, or one of the configuration that a database has."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

from ptcalc.cli.files import new_file
from ptcalc.cli.options import debug_option, examples, named
from ptcalc.cli.output import emit

# Options that go with some templates only.
_GOES_WITH = {
    "pfile": ("oracle",),
    "sid": ("oracle",),
    "oracle_version": ("oracle",),
    "conf": ("postgres",),
    "pg_version": ("postgres",),
    "shared_memory": ("postgres",),
    "huge_pages": ("oracle", "postgres", "kvm"),
}


@click.command(
    "init",
    epilog=examples(
        "ptcalc init",
        "ptcalc init oracle --pfile examples/init.ora --memory 512GiB",
        "ptcalc init postgres --conf examples/postgresql.conf --memory 64GiB",
    ),
)
@click.argument("template", metavar="[TEMPLATE]", default="minimal")
@click.option("--pfile", metavar="FILE", help="oracle: the instance's parameters, init.ora or an spfile in text.")
@click.option("--sid", metavar="NAME", help="oracle: the instance, where the file has several.")
@click.option("--oracle-version", metavar="RELEASE", help="oracle: defaults and rules differ; 19c if not stated.")
@click.option("--conf", metavar="FILE", help="postgres: postgresql.conf, with what it includes.")
@click.option("--pg-version", metavar="VERSION", help="postgres: defaults and rules differ; 17 if not stated.")
@click.option("--shared-memory", metavar="SIZE", help="postgres: what postgres -C shared_memory_size says (MB).")
@click.option("--memory", metavar="SIZE", help="Installed memory; this machine's if not stated, marked as a guess.")
@click.option("--processes", metavar="COUNT", help="How many servers, backends, workers: those that grow.")
@click.option("--private", metavar="SIZE", help="Resident private memory of each of them.")
@click.option("--touch", metavar="AMOUNT", help="How much of the shared memory each touches, such as 24% or 10GiB.")
@click.option("--huge-pages", metavar="COUNT", help="Huge pages that are reserved (HugePages_Total).")
@click.option("-o", "--output", metavar="FILE", help="Write to this file, in place of standard output.")
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@debug_option
def command(
    template: str,
    pfile: str | None,
    sid: str | None,
    oracle_version: str | None,
    conf: str | None,
    pg_version: str | None,
    shared_memory: str | None,
    memory: str | None,
    processes: str | None,
    private: str | None,
    touch: str | None,
    huge_pages: str | None,
    output: str | None,
    force: bool,
) -> None:
    """Write a workload file with comments to standard output, every guess in it marked.

    TEMPLATE is minimal (the default), oracle, postgres, kvm or container.  Those of databases read what people have:
    the parameters of an Oracle instance, the configuration of a PostgreSQL server.
    """
    if force and output is None:
        raise click.UsageError("--force: there is no --output to replace")
    if sid is not None and pfile is None:
        raise click.UsageError("--sid: there is no --pfile with instances")
    from ptcalc.templates import TEMPLATES, new_workload
    from ptcalc.workload.sizes import MAX_COUNT, parse_amount, parse_count, parse_size

    if template in TEMPLATES:
        _only_fitting(template)
    version = oracle_version if template == "oracle" else pg_version
    with named("--memory"):
        installed = None if memory is None else parse_size(memory, least=1 << 26)
    with named("--processes"):
        count = None if processes is None else parse_count(processes, least=1, most=MAX_COUNT)
    with named("--private"):
        own = None if private is None else parse_size(private)
    with named("--shared-memory"):
        shared = None if shared_memory is None else parse_size(shared_memory, least=1 << 20)
    with named("--huge-pages"):
        pages = None if huge_pages is None else parse_count(huge_pages, most=1 << 40)
    with named("--touch"):
        if touch is not None:
            parse_amount(touch)
    if version is not None:
        with named("--oracle-version" if template == "oracle" else "--pg-version"):
            _check_version(template, version)
    text = new_workload(
        template,
        pfile=pfile,
        sid=sid,
        conf=conf,
        version=version,
        memory=installed,
        processes=count,
        private=own,
        touch=touch,
        huge_pages=pages,
        shared_memory=shared,
        command=_spoken(),
    )
    if output is None:
        emit(text)
        return
    with new_file(output, force=force) as file:
        file.write_text(text, encoding="utf-8")


def _only_fitting(template: str) -> None:
    context = click.get_current_context()
    for name, fitting in _GOES_WITH.items():
        stated = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if stated and template not in fitting:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} goes with {', '.join(fitting)}, not with {template}")


def _check_version(template: str, version: str) -> None:
    from ptcalc.templates import oracle, postgres

    (oracle.parse_version if template == "oracle" else postgres.parse_version)(version)


def _spoken() -> str:
    """Return the command line as it can be given again, without where its result went."""
    context = click.get_current_context()
    words = ["ptcalc init"]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        stated = context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if parameter.name in ("output", "force") or not stated or value is None:
            continue
        words += [parameter.opts[-1]] if isinstance(parameter, click.Option) else []
        words.append(shlex.quote(str(value)))
    return " ".join(words)
