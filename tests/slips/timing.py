"""How long a sheet takes, of whatever sort, and whatever is wrong on it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from slips.by_hand import Cell, Numbers
from slips.judging import Planted, written
from slips.odd import unrelated
from slips.work import NONE, Slip, work

import gatewise as gw
from gatewise.grading.chain import Chain

KINDS = ("plain", "peephole", "projection", "layer norm")


def timed(
    steps: int, backward: bool, seed: int = 0, kinds: Sequence[str] = KINDS, only: Sequence[str] = ()
) -> Iterator[tuple[str, float]]:
    """Go through sheets of runs of so many steps, each with the seconds that it takes a processor.

    What is wrong is nothing that a search can find: in the first line, in the last, or in all; or the state is not
    carried.
    """
    rng = np.random.default_rng(seed)
    stuck = Slip("", "", carry=lambda cell, t, pages: (cell.x[t], cell.h, cell.c))
    for kind in kinds:
        cell = Cell.random(rng, kind, steps=steps)
        trace, right, lost = cell.trace(), work(cell), work(cell, stuck if steps > 1 else NONE)
        one = Planted(cell, Chain(trace, cell.dh, cell.dc), Slip("", "", backward=backward), False, backward)
        also = one.sheets()
        if backward:
            also |= Planted(cell, one.chain, NONE, False, False).sheets() | {"full": also["full"]}
        for sheet, names in also.items():
            if only and sheet not in only:
                continue
            spoiled: dict[str, Numbers] = {"state not carried": lost}
            for says, some in (("first line", names[:1]), ("last line", names[-1:]), ("all lines", names)):
                spoiled[says] = right | {name: unrelated(right[name], rng) for name in some}
            for says, numbers in spoiled.items():
                mine = written(numbers, names, 4)
                taken = []
                for _ in range(2):  # the lesser of two, since others may be at work
                    start = time.process_time()
                    gw.check(mine, trace, dh=cell.dh, dc=cell.dc, digits=4)
                    taken.append(time.process_time() - start)
                yield f"{sheet}, {kind}, {says}", min(taken)
