"""The gradients of a loss with respect to everything that goes into a network's run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import SEQUENCE, Array, numbers
from gatewise.errors import OptionError, ShapeError
from gatewise.layers import backward
from gatewise.layers.arguments import unbatched
from gatewise.layers.backward import final_gradients, gradient_like, gradients_of
from gatewise.layers.merging import unmerge
from gatewise.network.dense import LinearGradients, back_through, outputs_of
from gatewise.network.network import NetworkTrace
from gatewise.records.gradients import LSTMGradients
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace
from gatewise.showing import brief


@dataclass(frozen=True, eq=False, repr=False)
class NetworkGradients:
    """The gradients of a loss with respect to everything that went into a network's run; None for a missing part.

    Attributes
    ----------
    lstm : LSTMGradients
    embedding : array (vocabulary, input) or None
    head_weight, head_bias : array or None
        Of the last layer of the head.
    hidden : tuple of LinearGradients
        Of the layers of the head before it.
    branches : tuple of tuple of LinearGradients
        Of the layers of each branch.
    x : array or None
        With respect to the features that the network takes; None where it takes tokens.
    """

    lstm: LSTMGradients
    embedding: Array | None
    head_weight: Array | None
    head_bias: Array | None
    hidden: tuple[LinearGradients, ...] = ()
    branches: tuple[tuple[LinearGradients, ...], ...] = ()
    x: Array | None = None

    def __repr__(self) -> str:
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return brief(f"NetworkGradients: {self.lstm.x.dtype.name}", {**arrays, "lstm.x": self.lstm.x})


@gradients_of.register
def _(trace: NetworkTrace, dy: npt.ArrayLike | None, dstate: Any, out: Any) -> NetworkGradients:
    """Return the gradients of a network's run: of its head, its LSTM, and its embedding or branches."""
    if out is not None:
        raise OptionError("out is for the gradients of a Trace or an LSTMTrace. Leave it out for a network.")
    network, lstm = trace.network, trace.lstm
    orders = SEQUENCE if network.reads == "every" else ()
    dread = np.zeros_like(trace.output) if dy is None else numbers("dy", dy, lstm.output.dtype, orders)
    if dread.shape != trace.output.shape:
        raise ShapeError(f"dy has shape {dread.shape}; it must be {trace.output.shape}")
    layers = outputs_of(network.dense, trace.features)
    dfeatures = None  # with respect to the scaled features, by the skip connection
    if network.outputs is not None:
        y = layers[-1] + trace.scaled[..., : network.skip] if network.skip else layers[-1]
        dread = network.outputs.undo_gradient(dread, y).astype(lstm.output.dtype)
    if network.skip:
        added = dread.sum(-1, keepdims=True) if network.skip == 1 else dread
        dfeatures = np.zeros((*added.shape[:-1], network.num_features), added.dtype)
        dfeatures[..., : network.skip] = added
    of_head, dread = back_through(network.dense, layers, dread)
    every = network.reads == "every"
    gradients = backward(lstm, dread, dstate) if every else backward(lstm, None, _add_to_final(lstm, dread, dstate))
    embedding = dx = None
    of_branches: tuple[tuple[LinearGradients, ...], ...] = ()
    if network.embedding is None:
        of_branches, dx = gradients_before_lstm(trace, gradients.x, dfeatures)
    elif trace.tokens is not None:
        embedding = np.zeros_like(network.embedding)
        np.add.at(embedding, trace.tokens, gradients.x)
    weight, bias = of_head[-1] if of_head else (None, None)
    return NetworkGradients(gradients, embedding, weight, bias, of_head[:-1], of_branches, dx)


def gradients_before_lstm(
    trace: NetworkTrace, dx: Array, dskip: Array | None
) -> tuple[tuple[tuple[LinearGradients, ...], ...], Array]:
    """Return the gradients of a network's branches, and with respect to the features in their own units.

    Given are those with respect to the LSTM's input, and by the skip connection to the scaled features.
    """
    network, branches = trace.network, []
    if network.branches:
        scaled = trace.scaled
        dscaled = np.zeros((*dx.shape[:-1], network.num_features), dx.dtype)
        parts = np.split(dx, np.cumsum([branch.size for branch in network.branches])[:-1], axis=-1)
        for branch, part in zip(network.branches, parts, strict=True):
            outputs = outputs_of(branch.layers, scaled[..., list(branch.features)])
            gradients, part = back_through(branch.layers, outputs, part)
            branches.append(gradients)
            for place, feature in enumerate(branch.features):  # which may be among them twice
                dscaled[..., feature] += part[..., place]
        dx = dscaled
    if dskip is not None:
        dx = dx + dskip
    return tuple(branches), dx if network.inputs is None else (dx / network.inputs.scale).astype(dx.dtype)


def _add_to_final(trace: LSTMTrace, dread: Array, dstate: Any) -> Any:
    """Return ∂L/∂(final states) of the LSTM with that of the network's head, which reads their merge, added."""
    states = trace.stored.state
    dstates = [
        [end or State(*map(np.zeros_like, state)) for state, end in zip(layer, ends, strict=True)]
        for layer, ends in zip(states, final_gradients(trace, dstate), strict=True)
    ]
    top = [state.h for state in states[-1]]
    parts = unmerge(dread if trace.batched else dread[None], top, trace.merge[-1])
    dstates[-1] = [
        State(gradient_like("dh", e[0], h) + part, e[1]) for e, h, part in zip(dstates[-1], top, parts, strict=True)
    ]
    return dstates if trace.batched else unbatched(dstates)
