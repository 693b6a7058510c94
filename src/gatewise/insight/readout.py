"""Paths from the units of a model's last layer to its outputs, and the limits of the outputs.

A path is one direction of the last layer (or the product of two): units with o and t, whose hidden states o t reach the
outputs through weights and an optional projection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.activations import GATED, Activation
from gatewise.arrays import Array, numbers
from gatewise.errors import OptionError, ShapeError
from gatewise.insight.bounds import Box, Range, box_of
from gatewise.layers import LSTM
from gatewise.layers.merging import merged_size, unmerge
from gatewise.network import SOFTMAX, Linear, Network
from gatewise.parameters import Parameters
from gatewise.records.run_record import RunRecord
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace
from gatewise.showing import counted


@dataclass(frozen=True)
class ReadoutPath:
    """The units of one direction, and their weights in the outputs."""

    weight: Array  # of the hidden states (output, recurrent)
    projection: Array | None  # (recurrent, hidden)
    box: Box  # the ranges of the units' o and t
    clip: float | None = None  # the bound of the projected hidden state
    initial: Range | None = None  # of the initial hidden state, if zoneout may keep a share of it

    @cached_property
    def units(self) -> Array:
        """The weights of the units (output, hidden)."""
        return self.weight if self.projection is None else self.weight @ self.projection

    @cached_property
    def corners(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """The o and t of each unit with the largest hidden state, and with the smallest."""
        return self.box.largest(1), self.box.largest(-1)

    @cached_property
    def ends(self) -> Range:
        """The least and the greatest hidden state of each unit."""
        (o_most, t_most), (o_least, t_least) = self.corners
        return Range(o_least * t_least, o_most * t_most)

    @cached_property
    def unit_limits(self) -> Range:
        """The least and the greatest contribution of the path to each output, without clip and zoneout."""
        return _image(self.units, self.ends)

    @cached_property
    def limits(self) -> Range:
        """The least and the greatest contribution of a path from the LSTM's states to each output.

        A clip or zoneout acts on each hidden state by itself, so that the units behind a projection cannot be bounded
        together: the bounds then add up over the hidden states.
        """
        low, high = self.ends if self.projection is None else _image(self.projection, self.ends)
        clipped = self.clip is not None and bool(max(high.max(), -low.min()) > self.clip)
        if not clipped and self.initial is None:
            return self.unit_limits
        if self.clip is not None:
            low, high = np.clip(low, -self.clip, self.clip), np.clip(high, -self.clip, self.clip)
        if self.initial is not None:
            low, high = np.minimum(low, self.initial.low), np.maximum(high, self.initial.high)
        return _image(self.weight, Range(low, high))

    @property
    def bounds_states(self) -> bool:
        """Whether a clip or zoneout bounds the hidden states."""
        return self.clip is not None or self.initial is not None

    def losses(self, o: Array, t: Array) -> tuple[Array, Array, Array]:
        """Return the part of the ceiling lost (time, output) to the readout, to the cell state t and to the gate o."""
        both = []
        for sign, weight, (o_best, t_best) in zip((1, -1), _signed(self.units), self.corners, strict=True):
            against = sign * o_best * t < 0
            readout = np.where(against, o_best * t_best - o * t, 0)
            cell = np.where(against, 0, o_best * (t_best - t))
            gate = np.where(against, 0, t * (o_best - o))
            both.append([part @ weight.T for part in (readout, cell, gate)])
        readout, cell, gate = (positive + negative for positive, negative in zip(*both, strict=True))
        return readout, cell, gate


def _signed(weight: Array) -> tuple[Array, Array]:
    """Return the positive weights, and the negative ones."""
    return np.maximum(weight, 0), np.minimum(weight, 0)


def _image(weight: Array, bounds: Range) -> Range:
    """Return the range of W v for all v within bounds."""
    (up, down), (low, high) = _signed(weight), bounds
    return Range(up @ low + down @ high, up @ high + down @ low)


@dataclass(frozen=True)
class OutputMap:
    """The map from the sums of a head to the outputs: an increasing nonlinearity, and the least possible output."""

    activation: Callable[[Array], Array] | None = None
    least: Array | None = None

    def __call__(self, a: Array) -> Array:
        """Return the outputs of sums (…, output)."""
        y = a if self.activation is None else self.activation(a)
        return y if self.least is None else np.maximum(y, self.least)

    def only(self, places: list[int]) -> OutputMap:
        """Return the map of some of the outputs."""
        return self if self.least is None else replace(self, least=self.least[places])


@dataclass(frozen=True)
class ReadoutModel:
    """A model from the last layer of its LSTM to its outputs."""

    lstm: LSTMTrace | None  # the run, if there was one
    features: Array | None  # the input of the head: (time, batch, feature), or (batch, feature) of the last states
    outputs: Array | None  # of a network in the run, on the same axes; None if they must be computed
    reads: str
    weight: Array  # of the head (output, feature); the identity without a head
    bias: Array
    output_map: OutputMap
    softmax: bool  # whether a softmax follows, which is left out
    paths: list[ReadoutPath]

    def only(self, places: list[int]) -> ReadoutModel:
        """Return the readout model with some of its outputs."""
        return replace(
            self,
            outputs=None if self.outputs is None else self.outputs[..., places],
            weight=self.weight[places],
            bias=self.bias[places],
            output_map=self.output_map.only(places),
            paths=[replace(path, weight=path.weight[places]) for path in self.paths],
        )

    @cached_property
    def limits(self) -> Range:
        """The least and the greatest outputs before the nonlinearity."""
        return Range(*(sum(ends, self.bias) for ends in zip(*(path.limits for path in self.paths), strict=True)))

    def run_output(self, sequence: int) -> Array:
        """Return a model's output in a sequence of its run (time, output), in float64; one time for the last states."""
        if self.features is None:
            raise OptionError("only a run has outputs")
        key = (slice(None), sequence) if self.reads == "every" else (slice(sequence, sequence + 1),)
        if self.outputs is not None:
            return self.outputs[key].astype(np.float64)
        return self.output_map(self.features[key].astype(np.float64) @ self.weight.T + self.bias)


def model_of(subject: object, head: Linear | None) -> ReadoutModel:
    """Return the readout, from the last layer to the outputs, of a model or a run; OptionError if it has no ceiling."""
    run: Any = subject.stored if isinstance(subject, RunRecord) else None
    if run is None and not isinstance(subject, (Network, LSTM)):
        raise OptionError(f"ceiling takes a Network, an LSTM or a run of one, not {type(subject).__name__}")
    network = subject if isinstance(subject, Network) else None if run is None else run.network
    reads = "every" if network is None else network.reads
    if head is not None and network is not None:
        raise OptionError("a network already has its head. Leave out head.")
    if head is not None and not isinstance(head, Linear):
        raise OptionError(f"the head must be a Linear, not {type(head).__name__}")
    trace: LSTMTrace | None = None if run is None else run.lstm
    features, outputs = None if trace is None else trace.output, None
    if run is not None and network is not None:
        features, outputs = run.features, run.output
    cells, starts, merge = _last_layer(network.lstm if network is not None else subject, network, trace)
    if len(cells) == 2 and merge == "none":
        raise OptionError("a ceiling needs one output of both directions; this LSTM does not merge them")
    least = None
    if network is not None:
        head, least = network.readout("a ceiling")
        if network.skip:
            outputs = None  # they include the skip connection
    weight, bias, activation, softmax = _increasing_head(head, merged_size(merge, [p.recurrent_size for p in cells]))
    paths = _readout_paths(cells, starts, trace, merge, weight)
    output_map = OutputMap(activation, least)
    return ReadoutModel(trace, features, None if softmax else outputs, reads, weight, bias, output_map, softmax, paths)


def _last_layer(lstm: Any, network: Network | None, run: LSTMTrace | None) -> tuple[list[Parameters], list[State], str]:
    """Return the cells of an LSTM's last layer, their initial states (batch, ·), and their merge."""
    if run is not None:
        traces = run.layers[-1].values()
        return [trace.parameters for trace in traces], [trace.initial for trace in traces], run.merge[-1]
    states = lstm.zero_state() if network is None or network.initial is None else network.initial
    starts = [State(*(np.atleast_2d(array) for array in state)) for state in states[-1]]
    return [cell.parameters for cell in lstm.layers[-1]], starts, lstm.merge[-1]


def _increasing_head(head: Linear | None, size: int) -> tuple[Array, Array, Activation | None, bool]:
    """Return a head's weight, bias and increasing nonlinearity, and whether a softmax follows."""
    if head is None:
        return np.eye(size), np.zeros(size), None, False
    if head.weight.shape[1] != size:
        raise ShapeError(f"the head takes {counted(head.weight.shape[1], 'feature')}; the LSTM has {size} outputs")
    weight, bias = head.weight.astype(np.float64), np.asarray(head.bias, np.float64)
    activation = head.activation
    if activation in GATED:
        raise OptionError(f"a ceiling needs a nonlinearity that never falls, but the head has {activation}")
    if not isinstance(activation, Activation):
        return weight, bias, None, activation == SOFTMAX
    alpha, beta = activation.alpha or 0.0, activation.beta or 0.0
    if activation.name == "affine":
        return alpha * weight, alpha * bias + beta, None, False
    if activation.name == "scaled_tanh" and beta < 0:
        return -weight, -bias, Activation("scaled_tanh", alpha, -beta), False
    return weight, bias, activation, False


def _readout_paths(
    cells: list[Parameters], starts: list[State], run: LSTMTrace | None, merge: str, weight: Array
) -> list[ReadoutPath]:
    """Return the path from each direction's states to the outputs, or one path for the product of both."""
    boxes = [box_of(p, start.c) for p, start in zip(cells, starts, strict=True)]
    initial: list[Range | None] = [None] * len(cells)
    if run is not None:
        for place, trace in enumerate(run.layers[-1].values()):
            if trace.dropout.zoneout_hidden is not None:
                initial[place] = Range(trace.initial.h.min(0), trace.initial.h.max(0))
    if len(cells) == 2 and merge == "mul":
        if any(p.projection is not None for p in cells) or any(hull is not None for hull in initial):
            raise OptionError("a ceiling needs multiplied directions without projection and zoneout")
        return [ReadoutPath(weight, None, boxes[0].product(boxes[1]))]
    weights = unmerge(weight, [start.h for start in starts], merge)
    return [
        ReadoutPath(part, p.projection, box, p.variant.projection_clip, hull)
        for part, p, box, hull in zip(weights, cells, boxes, initial, strict=True)
    ]


def scale_and_shift(scale: npt.ArrayLike, shift: npt.ArrayLike, count: int, places: list[int]) -> tuple[Array, Array]:
    """Return the checked factor and offset of the chosen outputs, which convert them to the data's unit."""
    arrays = []
    for name, value in (("scale", scale), ("shift", shift)):
        array = numbers(name, value, np.float64)
        if array.shape not in ((), (count,)):
            raise ShapeError(
                f"{name} has shape {array.shape}; it must be one number, or one for each of {count} outputs"
            )
        if not np.isfinite(array).all() or (name == "scale" and not (array > 0).all()):
            raise OptionError(f"{name} must be {'positive and ' * (name == 'scale')}finite, not {value!r}")
        arrays.append(np.broadcast_to(array, (count,))[places])
    return arrays[0], arrays[1]
