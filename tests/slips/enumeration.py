"""Every slip that can be made in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from slips.backward import backward_slips, totals
from slips.by_hand import Cell
from slips.entries import carries, products_of_units, written_slips
from slips.forward import forward_slips
from slips.work import Slip

MISSHAPEN = ("outer product the other way round", "x for z", "h_prev for z")  # nobody adds those to others


def slips(cell: Cell, rng: np.random.Generator) -> Iterator[Slip]:
    """Go through the slips that can be made in a cell: over several steps, each at all of them and at one."""
    for slip in (*forward_slips(cell), *backward_slips(cell), *products_of_units(cell, rng)):
        yield slip
        if cell.steps > 1 and slip.kind not in MISSHAPEN:
            yield replace(slip, at=(int(rng.integers(cell.steps)),))
    yield from written_slips(cell, rng)
    if cell.steps > 1:
        yield from carries(cell)
        yield from totals(cell)
