"""SequenceRun: the run of a model over one sequence, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.cell import LSTMCell
from gatewise.equations import DropoutMasks
from gatewise.errors import NotKeptError, OptionError
from gatewise.layers import LSTM
from gatewise.layers.wired import wiring_of
from gatewise.network import Network
from gatewise.network import wiring_of as wiring_of_network
from gatewise.opening.run import run_of
from gatewise.records.brief_names import with_brief_names
from gatewise.records.labels import Labels
from gatewise.records.places import place_of
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted
from gatewise.symbolic.wiring import Wiring

KINDS = "a cell, an LSTM, a Network, a run, a trace of one of these, or the path of a file with one of them"
MAX_NUMBERS = 60_000_000  # of the model and its input: 320 MB of float32
MAX_VALUES = 5_000_000  # units, at all steps: the browser keeps some twenty numbers of each
MAX_PRODUCTS = 5_000_000_000  # in the sums of all steps: for which a browser takes about half a minute


@dataclass(frozen=True, eq=False)
class SequenceRun:
    """A run over one sequence."""

    lstm: LSTMTrace
    network: Network | None
    tokens: npt.NDArray[np.integer[Any]] | None  # (time,)
    sequence: int  # the number of the sequence in the batch
    labels: Labels  # of the run of the batch

    @property
    def cells(self) -> list[list[Trace]]:
        """The runs of the cells, by layer and direction."""
        return [[*layer.values()] for layer in self.lstm.layers]

    @property
    def first(self) -> Trace:
        """The run of the first cell."""
        return self.cells[0][0]

    @property
    def x(self) -> Array:
        """The features of the sequence (time, input), as the first layer reads them."""
        assert self.first.input is not None
        return self.first.input[:, self.sequence]

    @property
    def valid(self) -> Mask | None:
        """The valid steps (time,), as a mask; None where all are."""
        valid = self.first.valid
        return None if valid is None or valid[:, self.sequence].all() else valid[:, self.sequence]

    @property
    def num_units(self) -> int:
        """The number of units in all cells."""
        return sum(cell.parameters.hidden_size for row in self.cells for cell in row)

    @property
    def num_parameters(self) -> int:
        """The number of parameters of the model."""
        if self.network is not None:
            return self.network.num_parameters
        return sum(cell.parameters.num_parameters for row in self.cells for cell in row)

    @property
    def num_numbers(self) -> int:
        """The number of numbers that its page holds."""
        masks = [mask for row in self.cells for cell in row for mask in self.dropout(cell).arrays().values()]
        return self.num_parameters + self.x.size + sum(mask.size for mask in masks)

    def dropout(self, cell: Trace) -> DropoutMasks:
        """Return the masks of a cell in this sequence: (time, ·) each, or that of the weights."""
        return cell.dropout.at((slice(None), self.sequence))

    def wiring(self) -> Wiring:
        """Return how the cells of the page's run are wired, with the embedding and head of its network, if any."""
        lstm = LSTM.from_cells(
            [[LSTMCell.from_parameters(cell.parameters) for cell in row] for row in self.cells],
            direction=self.lstm.directions[0],
            merge=self.lstm.merge,
        )
        masks: list[list[DropoutMasks | None]] = [[cell.dropout for cell in row] for row in self.cells]
        layers = wiring_of(lstm, masks, self.lstm.masked_output)
        if self.network is None:
            return layers
        network = wiring_of_network(self.network)
        return Wiring(
            layers.cells,
            layers.merge,
            layers.masked_output,
            embedding=None if self.tokens is None else network.embedding,
            marked=network.marked,
            reads=network.reads,
            head=network.head,
        )


def sequence_run_of(
    thing: object, x: npt.ArrayLike | None, sequence: int | str, options: Mapping[str, Any]
) -> SequenceRun:
    """Return one sequence of a run for the web page to play with; the arguments are those of `gatewise.page`."""
    trace = run_of(thing, x, options, "a page of", f"a page is of {KINDS}").trace.stored
    lstm = trace.lstm
    for cell in lstm.cells().values():
        if cell.input is None or not cell.keep.everything:
            raise NotKeptError("a page needs a whole trace; this one kept less (keep, units or every)")
    lstm.require_unedited("a page")
    if not lstm.num_steps or not lstm.batch_size:
        raise OptionError("a page needs a step; this run has none")
    number = place_of("sequence", sequence, lstm.batch_size, lstm.labels.sequences)
    if trace.network is not None and trace.network.is_in_graph:  # the page computes the LSTM alone
        trace = lstm
    tokens = None if trace.tokens is None else trace.tokens[:, number]
    brief = with_brief_names(trace)
    run = SequenceRun(brief.lstm, brief.network, tokens, number, brief.labels)
    valid = run.valid
    if valid is not None and not valid.any():
        raise OptionError(f"a page needs a valid step; sequence {sequence} of this run has none")
    _require_small_enough(run)
    return run


def _require_small_enough(run: SequenceRun) -> None:
    """Raise OptionError for a run whose page would be too large for a browser."""
    steps, units, numbers = run.lstm.num_steps, run.num_units, run.num_numbers
    if numbers > MAX_NUMBERS:
        raise OptionError(f"a page holds at most {MAX_NUMBERS:,} numbers; this model and its input have {numbers:,}")
    work = sum(cell.parameters.weight.size for row in run.cells for cell in row)
    for counts, per_step, most in (("states of units", units, MAX_VALUES), ("products in sums", work, MAX_PRODUCTS)):
        if steps * per_step > most:
            raise OptionError(
                f"a page shows at most {most:,} {counts}, at all steps together; this run has {steps * per_step:,}:"
                f" give it at most {counted(max(1, most // per_step), 'step')}"
            )
