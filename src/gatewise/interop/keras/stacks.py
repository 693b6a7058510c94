"""Which LSTMs of a Keras model are stacked: one reads what another returns, and nothing changes it on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.cell import LSTMCell
from gatewise.errors import FileError, GatewiseError
from gatewise.files.budget import Budget
from gatewise.interop.found import Found
from gatewise.interop.keras.configured import MASKED
from gatewise.interop.keras.places import Place
from gatewise.layers import LSTM

STEPS = 50  # of work that a layer of a stack takes


class Rows:
    """LSTMs that read one another, as the layers of one; Keras returns the steps of one that runs backward reversed.

    Attributes
    ----------
    forward : bool
        Whether the steps that leave the last of them come in the order of the input.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[LSTMCell, ...]] = []
        self.merges: list[str] = []
        self.directions: tuple[str, ...] = ()
        self.forward = True

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, name: str, lstm: LSTM, masked: bool) -> None:
        """Add the LSTM of that name above the others.

        Raises
        ------
        FileError
            If it runs in another direction than they do.
        """
        if lstm.bidirectional:
            if not self.forward:
                raise FileError(f"{name!r} receives its steps in reverse order")
            directions = lstm.directions
        else:
            if masked and self.rows and not self.forward:
                raise FileError(f"{name!r} receives its steps in reverse order, but the mask in their own")
            forward = self.forward != (lstm.directions == ("backward",))
            directions = ("forward",) if forward else ("backward",)
        if self.rows and directions != self.directions:
            words = " and ".join(directions), " and ".join(self.directions)
            raise FileError(f"{name!r} runs {words[0]}, the LSTM before it {words[1]}; a network has one LSTM")
        self.forward = lstm.bidirectional or directions == ("forward",)
        self.directions = directions
        self.rows += lstm.layers
        self.merges += lstm.merge

    def flip(self, name: str, masked: bool) -> None:
        """Let a layer of that name reverse the steps that leave them.

        Raises
        ------
        FileError
            If a mask goes with the steps, which stays as it is.
        """
        if masked:
            raise FileError(f"{name!r} reverses the steps, which a network does not")
        self.forward = not self.forward

    def lstm(self) -> LSTM:
        """Return them as one, in the precision of the first.

        Raises
        ------
        GatewiseError
            If one does not fit the one below it.
        """
        dtype = self.rows[0][0].dtype
        rows = [[_as_type(cell, dtype) for cell in row] for row in self.rows]
        both = len(self.directions) == 2
        return LSTM.from_cells(rows, direction=self.directions[0], merge=self.merges if both else "concat")


def _as_type(cell: LSTMCell, dtype: np.dtype[Any]) -> LSTMCell:
    """Return a cell in one precision, without its labels; its weights are shared where they have it."""
    parameters = cell.parameters
    return LSTMCell.from_parameters(parameters if parameters.dtype == dtype else parameters.astype(dtype))


def stacked(of: Mapping[Place, Found], budget: Budget) -> dict[tuple[Place, ...], Found]:
    """Return the LSTMs of a model that are stacked, each such stack as one, by the places of its LSTMs.

    Parameters
    ----------
    of : mapping of Place to Found
        The LSTMs that can be read, by their places, in the order of the model.
    budget : Budget
    """
    below = {place: lower for place in of if (lower := _below(place, of)) is not None}
    carrying = set(below.values())
    made: dict[tuple[Place, ...], Found] = {}
    for top in (place for place in below if place not in carrying):
        chain = [top]
        while chain[-1] in below:
            budget.work(STEPS, "stacking its LSTMs")  # many may stand on the same
            budget.count(1, "layers in stacks")
            chain.append(below[chain[-1]])
        for part, one in _joined(chain[::-1], of):
            made.setdefault(part, one)
    return made


def _below(place: Place, of: Mapping[Place, Found]) -> Place | None:
    """Return the LSTM whose output another reads, if both are given the same mask, and the other nothing more.

    One that starts from a state, such as a decoder from that of its encoder, is no upper layer of what gives it.
    """
    lower = place.given.source
    if lower is None or lower not in of or not lower.sequences or place.started:
        return None
    same = lower.given.mask == place.given.mask and lower.distributed == place.distributed
    return lower if same else None


def _joined(chain: Sequence[Place], of: Mapping[Place, Found]) -> list[tuple[tuple[Place, ...], Found]]:
    """Return the stacks among LSTMs that read one another: one, if no two differ in their directions."""
    parts: list[tuple[list[Place], Rows]] = []
    for place in chain:
        part, rows = parts[-1] if parts else ([], Rows())
        try:
            if part and place.given.flipped:
                rows.flip(place.name, place.masked)
            rows.add(place.name, of[place].lstm, place.masked)
        except FileError:
            part, rows = [], Rows()
            rows.add(place.name, of[place].lstm, place.masked)
        if not part:
            parts.append((part, rows))
        part.append(place)
    made = ((tuple(part), _one([of[place] for place in part], rows)) for part, rows in parts if len(part) > 1)
    return [(part, one) for part, one in made if one is not None]


def _one(found: Sequence[Found], rows: Rows) -> Found | None:
    """Return LSTMs as the one that their rows make, if they fit each other."""
    try:
        lstm = rows.lstm()
    except GatewiseError:
        return None
    notes = dict.fromkeys(note for one in found[:-1] for note in one.notes if not note.startswith(MASKED))
    return Found(
        " → ".join(one.name for one in found),
        lstm,
        found[0].convention,
        ", ".join(one.where for one in found),
        tuple(notes | dict.fromkeys(found[-1].notes)),
        batch_first=found[0].batch_first,
        time_reversed=not rows.forward,
        combines=tuple(one.name for one in found),
        masked=found[0].masked,
        masked_output=found[-1].masked_output,
    )
