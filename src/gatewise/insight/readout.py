"""How the outputs of a model come from the units of its last layer: the paths between them, and what they allow.

A path is one direction of the last layer (or the product of two): units with o and t, whose hidden states o t reach the
outputs with weights, through a projection where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError
from gatewise.insight.bounds import Box, Range, box_of
from gatewise.layers import LSTM
from gatewise.layers.merging import merged_size
from gatewise.network import SOFTMAX, Linear, Network
from gatewise.parameters import Parameters
from gatewise.records.run_record import RunRecord
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace
from gatewise.showing import counted


@dataclass(frozen=True)
class Path:
    """Some units, and how they reach the outputs.

    Attributes
    ----------
    weight : array (output, recurrent)
        Of the hidden states.
    projection : array (recurrent, hidden) or None
    box : Box
        The ranges of the units' o and t.
    clip : float or None
        Bound on the projected hidden state.
    kept : Range or None
        The range of the initial hidden state, where zoneout may keep a share of it.
    """

    weight: Array
    projection: Array | None
    box: Box
    clip: float | None = None
    kept: Range | None = None

    @cached_property
    def units(self) -> tuple[Array, Array]:
        """The weights of the units themselves (output, hidden): those above 0, and those below."""
        weight = self.weight if self.projection is None else self.weight @ self.projection
        return np.maximum(weight, 0), np.minimum(weight, 0)

    @cached_property
    def corners(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """The o and t of each unit that make its hidden state the largest, and the smallest."""
        return self.box.largest(1), self.box.largest(-1)

    @cached_property
    def ends(self) -> Range:
        """The least and the greatest hidden state of each unit."""
        (o_most, t_most), (o_least, t_least) = self.corners
        return Range(o_least * t_least, o_most * t_most)

    @cached_property
    def through_units(self) -> Range:
        """The least and the greatest that the path adds to each output, with neither clip nor zoneout."""
        (up, down), (low, high) = self.units, self.ends
        return Range(up @ low + down @ high, up @ high + down @ low)

    @cached_property
    def limits(self) -> Range:
        """The least and the greatest that the path adds to each output.

        Where the hidden states are clipped or kept, each for itself, what they have in common through a projection no
        longer helps: the weights' signs are then those of the hidden states.
        """
        low, high = self.ends
        if self.projection is not None:
            up, down = np.maximum(self.projection, 0), np.minimum(self.projection, 0)
            low, high = up @ low + down @ high, up @ high + down @ low
        clipped = self.clip is not None and bool(max(high.max(), -low.min()) > self.clip)
        if not clipped and self.kept is None:
            return self.through_units
        if self.clip is not None:
            low, high = np.clip(low, -self.clip, self.clip), np.clip(high, -self.clip, self.clip)
        if self.kept is not None:
            low, high = np.minimum(low, self.kept.low), np.maximum(high, self.kept.high)
        up, down = np.maximum(self.weight, 0), np.minimum(self.weight, 0)
        return Range(up @ low + down @ high, up @ high + down @ low)

    @property
    def through_states(self) -> bool:
        """Whether something comes between the units and the hidden states: a clip, or zoneout."""
        return self.clip is not None or self.kept is not None

    def lost(self, o: Array, t: Array) -> tuple[Array, Array, Array]:
        """Return what o t (time, hidden) leave of the largest outputs (time, output): to the readout, to t and to o."""
        found = []
        for sign, weight, (o_best, t_best) in zip((1, -1), self.units, self.corners, strict=True):
            against = sign * o_best * t < 0
            readout = np.where(against, o_best * t_best - o * t, 0)
            cell = np.where(against, 0, o_best * (t_best - t))
            gate = np.where(against, 0, t * (o_best - o))
            found.append([part @ weight.T for part in (readout, cell, gate)])
        readout, cell, gate = (one + other for one, other in zip(*found, strict=True))
        return readout, cell, gate


@dataclass(frozen=True)
class Through:
    """What comes after the sums of a head: a nonlinearity that increases, and the least that an output can be."""

    activation: Callable[[Array], Array] | None = None
    least: Array | None = None

    def __call__(self, a: Array) -> Array:
        """Return what becomes of sums (…, output)."""
        y = a if self.activation is None else self.activation(a)
        return y if self.least is None else np.maximum(y, self.least)

    def only(self, places: list[int]) -> Through:
        """Return what comes after some of the sums."""
        return self if self.least is None else replace(self, least=self.least[places])


@dataclass(frozen=True)
class Model:
    """What stands between the last layer of an LSTM and the outputs of a model.

    Attributes
    ----------
    lstm : LSTMTrace or None
        The run, if there was one.
    features : array or None
        What the head read of the run: (time, batch, feature), or (batch, feature) where it read the last states.
    outputs : array or None
        What a network put out in the run, on the same axes; None where it has to be computed.
    reads : {"every", "last"}
    weight, bias : array (output, feature), (output,)
        Of the head; the identity where there is none.
    through : callable
        The head's nonlinearity, made to increase, and the least that a scaled output can be.
    softmax : bool
        Whether the outputs are those before a softmax.
    paths : list of Path
    """

    lstm: LSTMTrace | None
    features: Array | None
    outputs: Array | None
    reads: str
    weight: Array
    bias: Array
    through: Through
    softmax: bool
    paths: list[Path]

    def only(self, places: list[int]) -> Model:
        """Return the model with some of its outputs."""
        return replace(
            self,
            outputs=None if self.outputs is None else self.outputs[..., places],
            weight=self.weight[places],
            bias=self.bias[places],
            through=self.through.only(places),
            paths=[replace(path, weight=path.weight[places]) for path in self.paths],
        )

    @cached_property
    def limits(self) -> Range:
        """The least and the greatest outputs before the nonlinearity."""
        return Range(*(sum(ends, self.bias) for ends in zip(*(path.limits for path in self.paths), strict=True)))

    def said(self, sequence: int) -> Array:
        """Return what the run put out in a sequence (time, output), in float64; of the last states, one time."""
        if self.features is None:
            raise OptionError("only a run puts anything out")
        key = (slice(None), sequence) if self.reads == "every" else (slice(sequence, sequence + 1),)
        if self.outputs is not None:
            return self.outputs[key].astype(np.float64)
        return self.through(self.features[key].astype(np.float64) @ self.weight.T + self.bias)


def model_of(subject: object, head: Linear | None) -> Model:
    """Return what is known of a network, an LSTM, or a run of either.

    Raises
    ------
    OptionError
        If it is something else, or has states without a bound, or directions that cannot be told apart.
    ShapeError
        If a head does not fit.
    """
    run: Any = subject.stored if isinstance(subject, RunRecord) else None
    if run is None and not isinstance(subject, (Network, LSTM)):
        raise OptionError(
            f"a ceiling is that of a Network, an LSTM, or the run of one, not of {type(subject).__name__}"
        )
    network = subject if isinstance(subject, Network) else None if run is None else run.network
    reads = "every" if network is None else network.reads
    if head is not None and network is not None:
        raise OptionError("a head is for an LSTM or its trace; a network has its own")
    if head is not None and not isinstance(head, Linear):
        raise OptionError(f"the head must be a Linear, not {type(head).__name__}")
    trace: LSTMTrace | None = None if run is None else run.lstm
    features, outputs = None if trace is None else trace.output, None
    if run is not None and network is not None:
        features, outputs = run.features, run.output
    cells, starts, merge = _last_layer(network.lstm if network is not None else subject, network, trace)
    if len(cells) == 2 and merge == "none":
        raise OptionError("a ceiling needs one output of both directions; those of this LSTM are not merged")
    least = None
    if network is not None:
        head, least = network.readout("a ceiling")
        if network.skip:
            outputs = None  # they are more than what the LSTM gives
    weight, bias, activation, softmax = _increasing(head, merged_size(merge, [p.recurrent_size for p in cells]))
    paths = _paths(cells, starts, trace, merge, weight)
    through = Through(activation, least)
    return Model(trace, features, None if softmax else outputs, reads, weight, bias, through, softmax, paths)


def _last_layer(lstm: Any, network: Network | None, run: LSTMTrace | None) -> tuple[list[Parameters], list[State], str]:
    """Return the cells of the last layer, the states (batch, ·) that they start from, and how they are merged."""
    if run is not None:
        traces = run.layers[-1].values()
        return [one.parameters for one in traces], [one.initial for one in traces], run.merge[-1]
    states = lstm.zero_state() if network is None or network.initial is None else network.initial
    starts = [State(*(np.atleast_2d(array) for array in one)) for one in states[-1]]
    return [cell.parameters for cell in lstm.layers[-1]], starts, lstm.merge[-1]


def _increasing(head: Linear | None, size: int) -> tuple[Array, Array, Activation | None, bool]:
    """Return a head's weight, bias, nonlinearity, and whether a softmax follows: so that the nonlinearity increases."""
    if head is None:
        return np.eye(size), np.zeros(size), None, False
    if head.weight.shape[1] != size:
        raise ShapeError(f"the head takes {counted(head.weight.shape[1], 'feature')}; the LSTM puts out {size}")
    weight, bias = head.weight.astype(np.float64), np.asarray(head.bias, np.float64)
    used = head.activation
    if not isinstance(used, Activation):
        return weight, bias, None, used == SOFTMAX
    alpha, beta = used.alpha or 0.0, used.beta or 0.0
    if used.name == "affine":
        return alpha * weight, alpha * bias + beta, None, False
    if used.name == "scaled_tanh" and beta < 0:
        return -weight, -bias, Activation("scaled_tanh", alpha, -beta), False
    return weight, bias, used, False


def _paths(
    cells: list[Parameters], starts: list[State], run: LSTMTrace | None, merge: str, weight: Array
) -> list[Path]:
    """Return the path of each direction; one for both where they are multiplied."""
    boxes = [box_of(p, start.c) for p, start in zip(cells, starts, strict=True)]
    kept: list[Range | None] = [None] * len(cells)
    if run is not None:
        for place, one in enumerate(run.layers[-1].values()):
            if one.dropout.zoneout_hidden is not None:
                kept[place] = Range(one.initial.h.min(0), one.initial.h.max(0))
    if len(cells) == 2 and merge == "mul":
        if any(p.projection is not None for p in cells) or any(one is not None for one in kept):
            raise OptionError("where directions are multiplied, a ceiling needs them without projection and zoneout")
        return [Path(weight, None, boxes[0].product(boxes[1]))]
    weights = [weight] * len(cells)
    if len(cells) == 2 and merge == "concat":
        weights = np.split(weight, [cells[0].recurrent_size], axis=1)
    elif len(cells) == 2 and merge == "average":
        weights = [weight / 2] * 2
    return [
        Path(part, p.projection, box, p.variant.projection_clip, hull)
        for part, p, box, hull in zip(weights, cells, boxes, kept, strict=True)
    ]
