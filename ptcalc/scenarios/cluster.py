"""An existing Dask cluster as an executor: its scheduler gives lost workers' pieces to others."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from ptcalc.errors import CannotDoHere, InputError, quote

ANSWERS_WITHIN = 5  # seconds
LONGEST_GREETING = 1 << 20  # bytes
ACCEPTED = "the address of a Dask scheduler, such as tcp://127.0.0.1:8786"
RETRIES = 10  # of a piece whose worker fails; a lost worker counts against `distributed.scheduler.allowed-failures`


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """Return an executor that hands work to the workers of the scheduler at an address, and how many do it at once.

    Raises InputError where no scheduler answers there, and CannotDoHere without Dask, without workers, and where
    workers have no ptcalc, or another one.
    """
    try:
        import distributed
    except ImportError:
        raise CannotDoHere("a cluster needs Dask, which is not installed: pip install 'ptcalc[dask]'") from None
    # What it logs of workers that are lost is mended, or told by whoever waits for their results.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":  # it gives several of them a level and a handler
            logging.getLogger(name).setLevel(logging.CRITICAL)
    _knock(address)
    try:
        client = distributed.Client(address, timeout=ANSWERS_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:  # what listens there is something else
        raise InputError(f"{address}: no Dask scheduler answers: {error}", accepted=ACCEPTED) from None
    try:
        yield client.get_executor(pure=False, retries=RETRIES), _checked(client, address)
    except (distributed.KilledWorker, distributed.comm.CommClosedError, CancelledError) as error:
        why = str(error) or "its scheduler has gone away"
        raise CannotDoHere(f"the cluster at {address} did not finish: {why}") from None
    finally:
        with suppress(Exception):  # whatever is under way is of no use to anybody now; the cluster may be gone
            client.close(timeout=ANSWERS_WITHIN)


def _knock(address: str) -> None:
    """Raise InputError unless a Dask server listens at an address: Dask's client would try for long.

    Servers speak first (distributed, comm/core.py:Listener): frames with their length before them, 8 bytes.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in ("tcp", "tls"):
        raise InputError(f"{quote(address)} is no address of a scheduler", accepted=ACCEPTED)
    try:
        with socket.create_connection((host, port), ANSWERS_WITHIN) as connection:
            length = b"" if parts.scheme == "tls" else connection.recv(8, socket.MSG_WAITALL)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{quote(address)}: no scheduler answers: {why}", accepted=ACCEPTED) from None
    if parts.scheme == "tcp" and not 0 < int.from_bytes(length, "little") < LONGEST_GREETING:
        raise InputError(f"{quote(address)}: what answers is no scheduler", accepted=ACCEPTED)


def _checked(client: Any, address: str) -> int:
    """Return how many pieces the workers do at once, if all of them have this ptcalc."""
    import ptcalc

    threads: int = sum(client.nthreads().values())
    if not threads:
        raise CannotDoHere(f"the scheduler at {address} has no workers")
    # The scheduler unpacks pieces as well, before it hands them on.
    places = {"the scheduler": client.run_on_scheduler, "workers": client.run}
    for who, run in places.items():
        try:
            found = run(version)
        except Exception as error:  # noqa: BLE001 - Dask turns what goes wrong there into many kinds
            raise CannotDoHere(f"{who} at {address} cannot import ptcalc: {error}") from None
        for each in found.values() if isinstance(found, dict) else [found]:
            if each != ptcalc.__version__:
                raise CannotDoHere(f"{who} at {address} have ptcalc {each}, and this is {ptcalc.__version__}")
    return threads


def version() -> str:
    """Return the version of ptcalc, wherever this is called."""
    import ptcalc

    return ptcalc.__version__
