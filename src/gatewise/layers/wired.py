"""An LSTM as a wiring: its cells' programs and parameters, and how they are joined."""

from __future__ import annotations

from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.layers.lstm import LSTM
from gatewise.symbolic.cell import form_of, program
from gatewise.symbolic.wiring import WiredCell, Wiring


def wiring_of(
    lstm: LSTM, dropout: list[list[DropoutMasks | None]] | None = None, masked_output: str = "zeros"
) -> Wiring:
    """Return the wiring of an LSTM, with the masks that a run of it has."""
    cells = []
    for number, row in enumerate(lstm.layers):
        masks = [None] * len(row) if dropout is None else dropout[number]
        cells.append(
            tuple(
                WiredCell(program(form_of(cell.parameters, cell_masks or NO_DROPOUT)), cell.parameters, direction)
                for cell, direction, cell_masks in zip(row, lstm.directions, masks, strict=True)
            )
        )
    return Wiring(tuple(cells), lstm.merge, masked_output)
