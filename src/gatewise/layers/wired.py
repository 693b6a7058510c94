"""An LSTM as a wiring: its cells' programs and parameters, and how they are joined."""

from __future__ import annotations

from gatewise.layers.lstm import LSTM
from gatewise.parameters import NO_MASKS, Masks
from gatewise.symbolic import binding
from gatewise.symbolic.cell import program
from gatewise.symbolic.wiring import WiredCell, Wiring


def wiring_of(lstm: LSTM, masks: list[list[Masks | None]] | None = None, masked_output: str = "zeros") -> Wiring:
    """Return the wiring of an LSTM, with the masks that a run of it has."""
    cells = []
    for number, row in enumerate(lstm.layers):
        given = [None] * len(row) if masks is None else masks[number]
        cells.append(
            tuple(
                WiredCell(program(binding.form_of(cell.parameters, noise or NO_MASKS)), cell.parameters, direction)
                for cell, direction, noise in zip(row, lstm.directions, given, strict=True)
            )
        )
    return Wiring(tuple(cells), lstm.merge, masked_output)
