"""What one mapping touches, as runs in the coordinates of its segment.

All, contiguous, listed and strided touches are exact; scattered and clustered ones are a draw of ``drawn`` out of
``slots`` equal slots of the mapping, without replacement (contract sections 1 and 4, Touch).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ptcalc.engine.numbers import Number, Shares, agreed, smaller

if TYPE_CHECKING:
    from ptcalc.workload.model import Touch

EXACT, STRIDE, RANDOM = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TouchRun:
    """A run of touched memory: offsets into the segment, bytes.

    EXACT: every page from lo to hi.  STRIDE: the pages that hold lo, lo + step, ... below hi.  RANDOM:
    ``drawn`` of ``slots`` slots of ``step`` bytes, the first of which starts at ``origin`` (<= lo).
    """

    kind: int
    lo: Number
    hi: Number
    step: Number = 0
    origin: Number = 0
    slots: Number = 0
    drawn: Number = 0
    same: bool = False


def runs(touch: Touch, offset: Number, length: Number, page: int) -> list[TouchRun]:
    """Return what `touch` means for a mapping of `length` bytes at `offset` of its segment.

    `page` is the base page, to which amounts are rounded up.
    """
    end = offset + length
    if touch.form == "all":
        return [TouchRun(EXACT, offset, end)]
    if touch.form == "none":
        return []
    if touch.form == "ranges":
        return [TouchRun(EXACT, offset + lo, offset + lo + size) for lo, size in touch.ranges if agreed(size > 0)]
    if touch.form == "every":
        assert touch.step is not None
        lo = offset + touch.start
        hi = end if touch.length is None else smaller(end, lo + touch.length)
        if agreed(lo >= hi):
            return []
        if agreed(touch.step <= page):
            return [TouchRun(EXACT, lo, hi)]
        return [TouchRun(STRIDE, lo, hi, step=touch.step)]
    pages = -(-length // page)
    wanted = smaller(_pages(touch, length, page), pages)
    if agreed(wanted == 0):
        return []
    if touch.pattern == "contiguous":
        return [TouchRun(EXACT, offset, smaller(end, offset + wanted * page))]
    slot = page if touch.pattern == "scattered" else touch.cluster
    assert slot is not None
    first = offset // slot
    slots = -(-end // slot) - first
    drawn = smaller(-(-wanted * page // slot), slots)
    if agreed(drawn == slots):
        return [TouchRun(EXACT, offset, end)]
    same = touch.overlap == "same"
    return [TouchRun(RANDOM, offset, end, step=slot, origin=first * slot, slots=slots, drawn=drawn, same=same)]


def _pages(touch: Touch, length: Number, page: int) -> Number:
    if touch.pages is not None:
        return touch.pages
    amount: Number = touch.amount
    if isinstance(amount, Shares):
        amount = amount.of(length)
    elif isinstance(amount, Fraction):
        amount = _share(amount, length)
    return -(-amount // page)


def _share(share: Fraction, length: Number) -> Number:
    """Return a share of a length in bytes, rounded up."""
    if isinstance(length, np.ndarray):
        many = np.int64(share.numerator), np.int64(share.denominator)
        return Shares(*map(np.asarray, many)).of(length)
    return int(-(-share * length // 1))
