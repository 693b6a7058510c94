"""One step of an LSTM forward: the mathematics.

The plain cell (Gers, Schmidhuber and Cummins, "Learning to Forget", 2000), which each variant changes in one place:

    z = [h_prev; x]                 the combined input
    a_k = W_k z + b_k               the pre-activation of each gate k = i, f, g, o
    i, f, o = σ(a_i), σ(a_f), σ(a_o);  g = tanh(a_g)
    c = f * c_prev + i * g          the cell state
    h = o * tanh(c)                 the hidden state

`Moment` has one property for each quantity, and the property is its equation. Asking for `h` runs the step forward;
where the gates and states are known already, as in a trace, they are passed in and only the rest is computed.
`DropoutMasks` are what is multiplied in training.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.arrays import Array, Mask, numbers
from gatewise.errors import ShapeError
from gatewise.gates import LETTERS, PEEPHOLES, of
from gatewise.parameters import Parameters

Axis = int | tuple[int, ...]


def standardize(q: Array, epsilon: float, axis: Axis = -1, where: Mask | bool = True) -> Array:
    """Return q with mean 0 and variance 1 over `axis` (Ba, Kiros and Hinton, "Layer Normalization", 2016)."""
    return (q - mean(q, axis, where)) * inverse_deviation(q, epsilon, axis, where)


def mean(q: Array, axis: Axis = -1, where: Mask | bool = True) -> Array:
    """Return the mean over `axis`, which is kept with size 1."""
    average: Array = np.mean(q, axis=axis, keepdims=True, where=where)
    return average


def inverse_deviation(q: Array, epsilon: float, axis: Axis = -1, where: Mask | bool = True) -> Array:
    """Return layer norm's factor 1 / sqrt(variance + epsilon) over `axis`, which is kept with size 1."""
    variance = mean((q - mean(q, axis, where)) ** 2, axis, where)
    inverse: Array = 1 / np.sqrt(variance + variance.dtype.type(epsilon))
    return inverse


@dataclass(frozen=True, eq=False, repr=False)
class DropoutMasks:
    """Dropout, zoneout and DropConnect masks, given as arrays, so that every run is deterministic.

    Each array must broadcast to the shape below; the time and batch axes are those of the input. Dropout masks hold
    0 or 1 / (1 - rate); zoneout masks hold the share of the old value that is kept (0 or 1 in training, the rate
    itself at inference).

    Parameters
    ----------
    input : array (time, batch, input), optional
        Multiplies the input.
    recurrent : array (time, batch, recurrent), optional
        Multiplies the previous hidden state where the gates see it
        (Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016).
    zoneout_cell : array (time, batch, hidden), optional
    zoneout_hidden : array (time, batch, recurrent), optional
        Keep a share of the old cell state and hidden state (Krueger et al., "Zoneout", 2017); the new hidden state is
        computed from the new cell state before its zoneout, as in the paper.
    weight : array (4, hidden, recurrent), optional
        Multiplies the recurrent weights, at all steps alike (DropConnect; Merity et al., "Regularizing and Optimizing
        LSTM Language Models", 2018).

    Examples
    --------
    >>> mask = gw.DropoutMasks(recurrent=np.array([2.0, 0.0]))  # drops the second unit's h, and doubles the first's
    >>> y, state = gw.LSTM(1, 2, rng=0)([[1.0], [0.5]], dropout=[[mask]])
    >>> y.shape
    (2, 2)
    """

    input: Array | None = None
    recurrent: Array | None = None
    zoneout_cell: Array | None = None
    zoneout_hidden: Array | None = None
    weight: Array | None = None

    def __repr__(self) -> str:
        return f"DropoutMasks({', '.join(f'{name} {np.shape(array)}' for name, array in self.arrays().items())})"

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that are present, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    def fit(self, parameters: Parameters, num_steps: int, batch_size: int) -> DropoutMasks:
        """Return the masks of dropout in the cell's dtype, broadcast to a run of so many steps and sequences.

        Raises
        ------
        ShapeError
            If an array cannot be broadcast to its shape.
        """
        if self is NO_DROPOUT:
            return self
        time, batch = num_steps, batch_size
        sizes = {
            "input": (time, batch, parameters.input_size),
            "recurrent": (time, batch, parameters.recurrent_size),
            "zoneout_cell": (time, batch, parameters.hidden_size),
            "zoneout_hidden": (time, batch, parameters.recurrent_size),
            "weight": (4, parameters.hidden_size, parameters.recurrent_size),
        }
        fitted = {}
        for name, array in self.arrays().items():
            copy = np.array(numbers(f"the dropout mask {name!r}", array, parameters.dtype))
            try:
                fitted[name] = np.broadcast_to(copy, sizes[name])
            except ValueError:
                raise ShapeError(
                    f"the dropout mask {name!r} has shape {copy.shape}; it must broadcast to {sizes[name]}"
                ) from None
        return DropoutMasks(**fitted)

    def at(self, key: Any) -> DropoutMasks:
        """Return the fitted masks of one moment: `key` indexes (time, batch); the weights' mask is always the same."""
        return DropoutMasks(**{n: array if n == "weight" else array[key] for n, array in self.arrays().items()})


NO_DROPOUT = DropoutMasks()


class Moment:
    """One step of a cell for a batch of sequences, in the letters of the equations.

    Parameters
    ----------
    p : Parameters
    x : array (batch, input)
    h_prev : array (batch, recurrent)
    c_prev : array (batch, hidden)
    dropout : DropoutMasks
        Those of this step, without a time axis; the weights' mask is the same at every step.
    **known : array
        Quantities that are known already, by their letters; they are not computed.

    Examples
    --------
    >>> p, one = gw.LSTMCell(3, 2, rng=0).parameters, np.ones((1, 2))
    >>> moment = gw.Moment(p, x=np.ones((1, 3)), h_prev=0 * one, c_prev=one, f=one)  # with the forget gate open
    >>> np.allclose(moment.c, 1 + moment.i * moment.g)
    True
    """

    def __init__(
        self, p: Parameters, x: Array, h_prev: Array, c_prev: Array, dropout: DropoutMasks = NO_DROPOUT, **known: Array
    ) -> None:
        self.p, self.x, self.h_prev, self.c_prev, self.dropout = p, x, h_prev, c_prev, dropout
        self.__dict__.update(known)  # where Python looks before it calls a cached property

    # `gatewise.records.edited_steps.EditedMoment` overrides these.

    edited = False

    def with_inputs(self, p: Parameters, x: Array, h_prev: Array, c_prev: Array) -> Moment:
        """Return the step with other parameters and inputs, under the same masks."""
        return Moment(p, x, h_prev, c_prev, self.dropout)

    def before_edits(self, k: str) -> Array:
        """Return a gate or a state, by its letter, as its equation gives it."""
        quantity: Array = getattr(self, k)
        return quantity

    def edit_gradient(self, k: str, dy: Array) -> Array:
        """Return the gradient with respect to a quantity before its edits, given that after them."""
        return dy

    # The combined input and the sums of its products with the weights.

    @cached_property
    def z_h(self) -> Array:
        """The recurrent part of the combined input, under its mask if there is one (batch, recurrent)."""
        return self.h_prev if self.dropout.recurrent is None else self.h_prev * self.dropout.recurrent

    @cached_property
    def z_x(self) -> Array:
        """The input's part of the combined input, under its mask if there is one (batch, input)."""
        return self.x if self.dropout.input is None else self.x * self.dropout.input

    @cached_property
    def z(self) -> Array:
        """The combined input [h_prev; x] (batch, recurrent + input)."""
        return np.concatenate([self.z_h, self.z_x], axis=-1)

    @cached_property
    def U(self) -> Array:
        """The recurrent weights, under the DropConnect mask if there is one (4, hidden, recurrent)."""
        U = self.p.recurrent_weight
        return U if self.dropout.weight is None else U * self.dropout.weight

    @cached_property
    def W(self) -> Array:
        """The weights of the combined input (4, hidden, recurrent + input)."""
        return self.p.weight if self.dropout.weight is None else np.concatenate([self.U, self.p.input_weight], axis=-1)

    @cached_property
    def u(self) -> Array:
        """The recurrent sums U h (4, batch, hidden); only Haste's layer norm needs them separately."""
        u: Array = self.z_h @ self.U.mT
        return u

    @cached_property
    def w(self) -> Array:
        """The input's sums W x (4, batch, hidden); only Haste's layer norm needs them separately."""
        w: Array = self.z_x @ self.p.input_weight.mT
        return w

    @cached_property
    def s(self) -> Array:
        """The weighted sums of the combined input W z (4, batch, hidden)."""
        if self.p.norm_gain is None or self.p.variant.layer_norm != "haste":
            s: Array = self.z @ self.W.mT
            return s
        gain_u, gain_w = self.p.norm_gain[:, :, None]
        normed: Array = self.across_gates(self.u) * gain_u + self.across_gates(self.w) * gain_w
        return normed

    def across_gates(self, q: Array) -> Array:
        """Return sums (4, batch, hidden) standardised across the units of all gates that have weights."""
        return standardize(q, self.epsilon, (0, 2), self.weighted_gates)

    @property
    def weighted_gates(self) -> Mask:
        """Whether each gate has weights, on the gate axis of (4, batch, hidden)."""
        return np.array([letter in self.p.variant.own for letter in LETTERS])[:, None, None]

    @property
    def epsilon(self) -> float:
        """The number that layer norm adds to the variance."""
        return self.p.variant.epsilon or 0.0

    # The pre-activations.

    def peeped_state(self, k: str) -> Array:
        """Return the cell state that the peephole of gate `k` reads: for i and f the old one, for o the new one."""
        return self.c_new if k == "o" else self.c_prev

    def q(self, k: str) -> Array:
        """Return the weighted sum of gate `k` (batch, hidden): W_k z, plus p_k * c with peepholes."""
        s = of(self.s, k)
        if self.p.peephole is None or k not in PEEPHOLES:
            return s
        return s + of(self.p.peephole, k, PEEPHOLES) * self.peeped_state(k)

    def n(self, k: str) -> Array:
        """Return the sum of gate `k` before its bias: under layer norm of the gates, gain * standardised sum."""
        if self.p.norm_gain is None or self.p.variant.layer_norm != "gates":
            return self.q(k)
        return of(self.p.norm_gain, k) * standardize(self.q(k), self.epsilon)

    def unclipped(self, k: str) -> Array:
        """Return the pre-activation of gate `k` before it is clipped."""
        return self.n(k) + of(self.p.bias, k)

    def a(self, k: str) -> Array:
        """Return the pre-activation of gate `k` (batch, hidden)."""
        clip = self.p.variant.gate_clip
        return self.unclipped(k) if clip is None else np.clip(self.unclipped(k), -clip, clip)

    # The gates.

    def gate(self, k: str) -> Array:
        """Return gate `k` from its own pre-activation."""
        return self.p.variant.activation(k)(self.a(k))

    @cached_property
    def i(self) -> Array:
        """The input gate."""
        return 1 - self.f if self.p.variant.coupled == "i" else self.gate("i")

    @cached_property
    def f(self) -> Array:
        """The forget gate."""
        return 1 - self.i if self.p.variant.coupled == "f" else self.gate("f")

    @cached_property
    def g(self) -> Array:
        """The candidate."""
        return self.gate("g")

    @cached_property
    def o(self) -> Array:
        """The output gate."""
        return self.gate("o")

    # The cell state.

    @cached_property
    def c_raw(self) -> Array:
        """The new cell state before it is clipped: f * c_prev + i * g."""
        return self.f * self.c_prev + self.i * self.g

    @cached_property
    def c_new(self) -> Array:
        """The new cell state, as the output gate and the output see it."""
        clip = self.p.variant.cell_clip
        return self.c_raw if clip is None else np.clip(self.c_raw, -clip, clip)

    @cached_property
    def c(self) -> Array:
        """The cell state at the end of the step, after zoneout."""
        zoneout = self.dropout.zoneout_cell
        return self.c_new if zoneout is None else zoneout * self.c_prev + (1 - zoneout) * self.c_new

    # The hidden state.

    @cached_property
    def v_raw(self) -> Array:
        """The new cell state, standardised under Haste's layer norm, before it is clipped for the output."""
        if self.p.cell_norm is None:
            return self.c_new
        gain, bias = self.p.cell_norm
        v: Array = gain * standardize(self.c_new, self.epsilon) + bias
        return v

    @cached_property
    def v(self) -> Array:
        """The argument of the output's nonlinearity."""
        clip = self.p.variant.output_clip
        return self.v_raw if clip is None else np.clip(self.v_raw, -clip, clip)

    @cached_property
    def t(self) -> Array:
        """The nonlinearity of the cell state: tanh(c) unless the variant says otherwise."""
        return self.p.variant.activation("c")(self.v)

    @cached_property
    def m(self) -> Array:
        """The hidden state before any projection: o * tanh(c)."""
        return self.o * self.t

    @cached_property
    def r_raw(self) -> Array:
        """The projected hidden state before it is clipped; without a projection, m."""
        return self.m if self.p.projection is None else self.m @ self.p.projection.T

    @cached_property
    def r(self) -> Array:
        """The new hidden state (batch, recurrent)."""
        clip = self.p.variant.projection_clip
        return self.r_raw if clip is None else np.clip(self.r_raw, -clip, clip)

    @cached_property
    def h(self) -> Array:
        """The hidden state at the end of the step, after zoneout."""
        zoneout = self.dropout.zoneout_hidden
        return self.r if zoneout is None else zoneout * self.h_prev + (1 - zoneout) * self.r
