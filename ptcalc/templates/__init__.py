"""Workload files to start from, with comments; of databases also from the configuration that people have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ptcalc.errors import InputError, nearest, quote
from ptcalc.templates import oracle, plain, postgres
from ptcalc.templates.known import Figure, Stated
from ptcalc.templates.pfile import ParameterFile
from ptcalc.templates.pgconf import Configuration

# What can be written, and what for, in the order in which the command line lists it.
TEMPLATES = {
    "minimal": "a segment that some processes map",
    "oracle": "an Oracle instance; --pfile reads its parameters",
    "postgres": "a PostgreSQL server; --conf reads its configuration",
    "kvm": "a guest's memory, mapped by the emulator and by vhost-user back ends",
    "container": "a service with a memory limit",
}
_PLAIN: dict[str, Callable[[Stated, str], Iterator[str]]] = {
    "minimal": plain.minimal,
    "kvm": plain.kvm,
    "container": plain.container,
}


def new_workload(
    template: str = "minimal",
    *,
    pfile: str | None = None,
    sid: str | None = None,
    conf: str | None = None,
    version: str | None = None,
    memory: int | None = None,
    processes: int | None = None,
    private: int | None = None,
    touch: str | None = None,
    huge_pages: int | None = None,
    shared_memory: int | None = None,
    command: str = "ptcalc init",
) -> str:
    """Return the text of a workload file, every guess in it marked by a comment ``guess:``.

    ``pfile`` (a path, and ``sid`` for an instance in it) goes with "oracle", ``conf`` with "postgres"; ``version`` is
    the database's.  ``memory``, ``private`` and ``shared_memory`` are bytes, ``touch`` an amount as in a workload file,
    ``huge_pages`` a number of pages.  Without ``memory`` this host's is the guess.  ``command`` is named as the writer.

    Raises InputError for parameters that do not fit, at their place in the file, and for files that cannot be read.
    """
    if template not in TEMPLATES:
        raise InputError(
            f"{quote(template)} is no template", accepted=", ".join(TEMPLATES), suggestion=nearest(template, TEMPLATES)
        )
    host = _this_host() if memory is None else Figure(memory, "--memory")
    stated = Stated(host, processes, private, touch, huge_pages, shared_memory)
    if template == "oracle":
        found = None if pfile is None else ParameterFile(pfile, sid)
        return oracle.write(found, version or oracle.NEWEST_DEFAULT, stated, command)
    if template == "postgres":
        configuration = None if conf is None else Configuration(conf)
        return postgres.write(configuration, version or postgres.NEWEST_DEFAULT, stated, command)
    return "\n".join(_PLAIN[template](stated, command)) + "\n"


def _this_host() -> Figure:
    """Return the memory of the machine that this runs on, which is most likely not the one that is meant."""
    from ptcalc.capture.host import read_host
    from ptcalc.capture.tree import Live

    return Figure(read_host(Live(), []).memory, "that of the machine on which this was written", guess=True)
