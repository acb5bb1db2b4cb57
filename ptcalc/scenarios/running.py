"""Work in pieces on several cores, or on any other executor of the `concurrent.futures` kind.

Results come in the order of the work, whoever has done it; only a bounded number of pieces is under way at once.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ptcalc.errors import CannotDoHere

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Thing = TypeVar("Thing")

ALONE = 50_000  # scenarios that are done before other processes have started
KEPT = 64  # shared things that a worker remembers: one of a cluster outlives many sweeps
AHEAD = 2  # pieces under way for each worker: one that it does, one that it finds when it is done


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Piece], Result], pieces: Iterable[Piece], executor: Executor | None = None, workers: int = 1
) -> Iterator[Result]:
    """Return the results of all pieces in their order; without an executor they are made here, one after the other.

    At most `AHEAD` pieces for each of ``workers`` are under way.  The first error of a piece is raised where its
    result would be.
    """
    if executor is None:
        yield from map(work, pieces)
        return
    pending: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            pending.append(executor.submit(work, piece))
            if len(pending) > AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise CannotDoHere("a worker process was ended by somebody else, or memory ran out") from None
    finally:
        for future in pending:
            future.cancel()


@contextmanager
def processes(workers: int) -> Iterator[Executor | None]:
    """Return an executor of so many processes on this machine; none for a single one, which needs no other."""
    if workers <= 1:
        yield None
        return
    # Not forked from here, where other threads may hold locks.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ptcalc.scenarios.study"])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C is for whoever hands out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_RECEIVED: dict[str, Any] = {}


class Shared(Generic[Thing]):
    """Something that many pieces have in common: it is packed once, and unpacked once by each worker."""

    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self._key = uuid.uuid4().hex
        self._packed = b""

    def __getstate__(self) -> tuple[str, bytes]:
        self._packed = self._packed or pickle.dumps(self.thing)
        return self._key, self._packed

    def __setstate__(self, state: tuple[str, bytes]) -> None:
        self._key, self._packed = state
        # Other threads of a worker may be about the same.
        thing = _RECEIVED.get(self._key)
        if thing is None:
            if len(_RECEIVED) >= KEPT:
                _RECEIVED.clear()
            thing = _RECEIVED[self._key] = pickle.loads(self._packed)
        self.thing = thing
