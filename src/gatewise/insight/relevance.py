"""Layer-wise relevance propagation through an LSTM, where the signal takes all of a product; see `attribution`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, finite_number
from gatewise.equations import Moment
from gatewise.errors import OptionError
from gatewise.insight.backward_pass import back_through, through_cell
from gatewise.insight.target import Target
from gatewise.layers.arguments import unbatched
from gatewise.layers.merging import unmerge
from gatewise.layers.stack import States
from gatewise.progress import working
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import Trace

CANDIDATE = gates.index("candidate")


class RelevanceLedger:
    """The rule of relevance for sums, with the total that the stabiliser and the biases absorb.

    A sum z = Σ_i z_i gives R z_i / (z + ε sign(z)) to its term i; the stabiliser absorbs the rest. A product of a gate
    and a signal gives all to the signal, a nonlinearity all to its argument.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon, self.absorbed, self.terms = epsilon, 0.0, 0.0

    def stabilizer(self, z: Array) -> Array:
        """Return ε sign(z), with a sign of 1 at 0."""
        return np.where(z < 0, -self.epsilon, self.epsilon)

    def ratio(self, relevance: Array, z: Array) -> Array:
        """Return R / (z + ε sign(z)), the relevance factor of each term of a sum z; absorb the stabiliser's share."""
        extra = self.stabilizer(z)
        ratio: Array = relevance / (z + extra)
        self.absorb(ratio * extra)
        return ratio

    def absorb(self, share: Array) -> None:
        """Absorb a share that goes to no signal."""
        self.absorbed += float(share.sum())
        self.terms += float(np.abs(share).sum())

    def split(self, relevance: Array, outputs: Sequence[Array], how: str) -> list[Array]:
        """Split the relevance (LRP) of a merged output between the directions; each gets half of a product."""
        if len(outputs) == 1 or how in ("concat", "none"):
            return unmerge(relevance, outputs, how)
        if how == "mul":
            return [relevance / 2, relevance / 2]
        ratio = self.ratio(relevance, outputs[0] + outputs[1])
        return [ratio * output for output in outputs]


def relevance_back(piece: Trace, relevance: Array, end: State, ledger: RelevanceLedger) -> tuple[Array, State]:
    """Pass relevance (LRP) from a chunk's hidden states, and the states at its end, to its input and its start."""
    on = np.ones(len(piece), bool) if piece.valid is None else piece.valid[:, 0]
    cell, places = HeldSteps(piece.moment((np.flatnonzero(on), 0)), ledger), np.cumsum(on) - 1
    state = State(end.h[0], end.c[0])
    for n in reversed(range(len(piece))) if piece.direction == "forward" else range(len(piece)):
        state = State(state.h + relevance[n, 0], state.c)
        if on[n]:
            state = cell.back(int(places[n]), state)
    of_input = np.zeros((len(piece), 1, piece.parameters.input_size))
    of_input[on, 0] = cell.input_relevance()
    return of_input, State(state.h[None], state.c[None])


class HeldSteps:
    """Steps of a cell that are linear in their signals, with the gates held as factors."""

    def __init__(self, moment: Moment, ledger: RelevanceLedger) -> None:
        M, p, dropout = moment, moment.p, moment.dropout
        wide = np.float64
        self.ledger, self.parameters = ledger, p
        self.weight = M.W[CANDIDATE].astype(wide)
        self.recurrent = self.weight[:, : p.recurrent_size]
        self.bias = p.bias[CANDIDATE].astype(wide)
        self.z = M.z.astype(wide)
        a = self.z @ self.weight.T + self.bias
        forget, c_prev = M.f.astype(wide), M.c_prev.astype(wide)
        self.carried, self.written = forget * c_prev, M.i.astype(wide) * M.g.astype(wide)
        cell = self.carried + self.written
        self.denominators = {"candidate": a + ledger.stabilizer(a), "cell": cell + ledger.stabilizer(cell)}
        self.stabilizers = {"candidate": ledger.stabilizer(a), "cell": ledger.stabilizer(cell)}
        self.ratios = {name: np.zeros_like(z) for name, z in self.denominators.items()}
        self.unprojected = M.m.astype(wide)
        self.projection = None if p.projection is None else p.projection.astype(wide)
        self.zoneout = {}
        new_h = self.unprojected if self.projection is None else M.r.astype(wide)
        sides = {"h": (dropout.zoneout_hidden, M.h_prev, new_h), "c": (dropout.zoneout_cell, c_prev, M.c_new)}
        for name, (mask, old, new) in sides.items():
            if mask is not None:
                self.zoneout[name] = (mask * old.astype(wide), (1 - mask) * new.astype(wide))

    def back(self, n: int, state: State) -> State:
        """Pass relevance (LRP) from the cell's states after step `n` to those before it."""
        ledger, (h, c) = self.ledger, state
        h, old_h = self._before_zoneout("h", n, h)
        if self.projection is not None:
            m = self.unprojected[n]
            h = m * (ledger.ratio(h, m @ self.projection.T) @ self.projection)
        c, old_c = self._before_zoneout("c", n, c)
        ratio = (c + h) / self.denominators["cell"][n]
        self.ratios["cell"][n] = ratio
        self.ratios["candidate"][n] = ratio = ratio * self.written[n] / self.denominators["candidate"][n]
        size = self.recurrent.shape[1]
        return State(
            old_h + self.z[n, :size] * (ratio @ self.recurrent), old_c + self.carried[n] * self.ratios["cell"][n]
        )

    def _before_zoneout(self, name: str, n: int, relevance: Array) -> tuple[Array, Array | float]:
        """Split the relevance (LRP) of a state after zoneout between the new and the old state."""
        if name not in self.zoneout:
            return relevance, 0.0
        old, new = (side[n] for side in self.zoneout[name])
        ratio = self.ledger.ratio(relevance, old + new)
        return ratio * new, ratio * old

    def input_relevance(self) -> Array:
        """Return the relevance (LRP) of the inputs of all steps; absorb the shares of biases and stabilisers."""
        for name, ratio in self.ratios.items():
            self.ledger.absorb(ratio * self.stabilizers[name])
        ratio, size = self.ratios["candidate"], self.recurrent.shape[1]
        self.ledger.absorb(ratio * self.bias)
        relevance: Array = self.z[:, size:] * (ratio @ self.weight[:, size:])
        return relevance


def relevance(target: Target, epsilon: float = 0.001) -> tuple[Array, States, RelevanceLedger]:
    """Return the relevance (LRP) of the input (time, features), of each initial state, and the ledger of the rest."""
    ledger = RelevanceLedger(finite_number("epsilon", epsilon, "a positive number", lambda value: value > 0))
    require_no_norm(target, "relevance propagation")
    cells = target.lstm.cells()
    with working("passing relevance back", len(cells) * target.lstm.num_steps) as done:
        seed, value = target.weight * target.output, np.array(target.value)
        if np.count_nonzero(target.weight) > 1 or target.bias:  # a sum, and not one entry of the output alone
            ratio = ledger.ratio(value, value)
            ledger.absorb(target.bias * ratio)
            seed = seed * ratio

        def back(cell: Cell, relevance: Array) -> tuple[Array, State]:
            return through_cell(cells[cell], relevance, done, partial(relevance_back, ledger=ledger), numbers=20)

        of_input, states = back_through(target.lstm, target.places, seed[None], back, ledger.split)
    return of_input[:, 0], unbatched(states), ledger


def require_no_norm(target: Target, purpose: str) -> None:
    """Raise OptionError if a cell has layer norm; `purpose` is the subject of the sentence."""
    for (layer, way), cell in target.lstm.cells().items():
        if (norm := cell.parameters.variant.layer_norm) != "none":
            raise OptionError(f"{purpose} has no rule for layer norm; the cell of layer {layer}, {way}, has {norm!r}")
