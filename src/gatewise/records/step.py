"""One step of one sequence, with everything in it: State, Step, and the Terms of a sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array, index, lock, quiet
from gatewise.equations import Moment
from gatewise.errors import OptionError, one_of
from gatewise.margins import largest_first
from gatewise.parameters import Parameters
from gatewise.records.labels import Labels
from gatewise.showing import brief, counted


class State(NamedTuple):
    """The state that an LSTM cell carries from one step to the next.

    Attributes
    ----------
    h : array (batch, recurrent) or (recurrent,)
        The hidden state.
    c : array (batch, hidden) or (hidden,)
        The cell state.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, rng=0)
    >>> step = cell.step(np.ones(3), gw.State(h=np.zeros(2), c=np.array([0.5, -1.0])))
    >>> step.previous.c
    array([ 0.5, -1. ], dtype=float32)
    """

    h: Array
    c: Array


class Term(NamedTuple):
    """One product in a sum: `weight` × `value`.

    Examples
    --------
    >>> terms = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 3)))[0].step(4).terms("forget_gate", unit=1)
    >>> largest = terms[0]
    >>> largest.product == largest.weight * largest.value
    True
    """

    name: str
    weight: float
    value: float
    product: float


@dataclass(frozen=True)
class Terms(Sequence[Term]):
    """The products whose sum is one number of a step, largest contribution first.

    Attributes
    ----------
    terms : tuple of Term
    total : float
        Their sum.
    of : str
        The name of the sum: ``pre-activation``, ``weighted sum`` (before layer norm), ``cell state`` or
        ``hidden state``.

    Examples
    --------
    >>> terms = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 3)))[0].step(4).terms("forget_gate", unit=1)
    >>> terms.of, len(terms), terms[0].name
    ('pre-activation', 6, 'bias')
    """

    terms: tuple[Term, ...]
    total: float
    of: str

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, index: Any) -> Any:
        return self.terms[index]

    def __str__(self) -> str:
        width = max((len(term.name) for term in self.terms), default=0)
        lines = [f"{t.name:<{width}}  {t.weight: .8f} × {t.value: .8f} = {t.product: .8f}" for t in self.terms]
        return "\n".join([*lines, f"{self.of} = {self.total:.8f}"])


class Step:
    """One step of one sequence in an LSTM cell, with everything in it; all arrays without a batch axis.

    Made by `LSTMCell.step` and `Trace.step`. What a trace kept is shown as it was computed; the rest follows from it
    by `gatewise.equations`.

    Parameters
    ----------
    moment : Moment
        The step, with a batch of one.
    labels : Labels
    time, sequence : int, optional
        Where in its run the step was.
    name : str, optional
        The name of its time.

    Examples
    --------
    >>> step = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 3)))[0].step(4)
    >>> step.time, step.forget_gate.shape, step.combined_input.shape
    (4, (2,), (5,))
    """

    def __init__(
        self,
        moment: Moment,
        labels: Labels | None = None,
        time: int | None = None,
        sequence: int | None = None,
        name: str | None = None,
    ) -> None:
        self.moment, self.labels, self.time, self.sequence, self.name = moment, labels or Labels(), time, sequence, name

    @property
    def parameters(self) -> Parameters:
        """The cell's parameters."""
        return self.moment.p

    @property
    def x(self) -> Array:
        """The input (input,)."""
        return _of_one_sequence(self.moment.x)

    @property
    def previous(self) -> State:
        """The state before this step."""
        return State(_of_one_sequence(self.moment.h_prev), _of_one_sequence(self.moment.c_prev))

    @property
    def state(self) -> State:
        """The state after this step."""
        return State(self.hidden_state, self.cell_state)

    @property
    @quiet
    def combined_input(self) -> Array:
        """[h; x] (recurrent + input,)."""
        return _of_one_sequence(self.moment.z)

    @property
    @quiet
    def preactivations(self) -> Array:
        """The pre-activation of each gate (4, hidden); NaN for a coupled gate, which has none."""
        computed = self.parameters.variant.own
        missing = np.full_like(self.cell_state, np.nan)
        return np.stack([self.moment.a(k)[0] if k in computed else missing for k in gates.LETTERS])

    @quiet
    def preactivation(self, gate: str) -> Array:
        """Return the pre-activation of a gate (hidden,).

        Raises
        ------
        OptionError
            If there is no such gate, or it is coupled to another and has no pre-activation.
        """
        return _of_one_sequence(self.moment.a(own_letter(self.parameters, gate)))

    @property
    def gates(self) -> Array:
        """All gates, after their nonlinearities (4, hidden): input gate, forget gate, candidate, output gate."""
        return np.stack([getattr(self.moment, k)[0] for k in gates.LETTERS])

    @property
    def input_gate(self) -> Array:
        """The input gate (hidden,)."""
        return _of_one_sequence(self.moment.i)

    @property
    def forget_gate(self) -> Array:
        """The forget gate (hidden,)."""
        return _of_one_sequence(self.moment.f)

    @property
    def candidate(self) -> Array:
        """The candidate (hidden,)."""
        return _of_one_sequence(self.moment.g)

    @property
    def output_gate(self) -> Array:
        """The output gate (hidden,)."""
        return _of_one_sequence(self.moment.o)

    @property
    def cell_state(self) -> Array:
        """The new cell state (hidden,)."""
        return _of_one_sequence(self.moment.c)

    @property
    @quiet
    def activated_cell_state(self) -> Array:
        """tanh(c), which the output gate multiplies (hidden,).

        In a variant, the corresponding factor of its equation for the hidden state.
        """
        return _of_one_sequence(self.moment.t)

    @property
    def unprojected_state(self) -> Array:
        """The hidden state before any projection (hidden,)."""
        return _of_one_sequence(self.moment.m)

    @property
    def hidden_state(self) -> Array:
        """The new hidden state (recurrent,)."""
        return _of_one_sequence(self.moment.h)

    @quiet
    def terms(self, quantity: str, unit: int, *, part: str | None = None) -> Terms:
        """Return every product in the sum behind one number of the step, largest contribution first.

        Parameters
        ----------
        quantity : str
            A gate, for its pre-activation (with layer norm of the gates, for the weighted sum before it is
            standardised; with Haste's, for the sum of its two standardised sums, peephole and bias); ``cell_state``
            for f * c_prev + i * g; ``hidden_state`` for the sum of a projection, or o * tanh(c).
        unit : int
            Which unit, counted from 0; negative numbers count from the end.
        part : {"recurrent", "input"}, optional
            Of a gate: only the products of the hidden state, or of the input.

        Returns
        -------
        Terms
            The sum before any clip and zoneout.

        Raises
        ------
        OptionError
            If there is no such quantity, unit or part, or the gate is coupled to another.
        """
        one_of("quantity", quantity, (*gates.NAMES, "cell_state", "hidden_state"))
        p, M = self.parameters, self.moment
        unit = index("unit", unit, p.recurrent_size if quantity == "hidden_state" else p.hidden_size, "this cell")
        if quantity in gates.NAMES:
            return self._gate_terms(own_letter(p, quantity), unit, part)
        if part is not None:
            raise OptionError(f"part is for a gate. Leave it out for the {quantity}.")
        if quantity == "cell_state":
            rows = [("old cell state", M.f[0, unit], M.c_prev[0, unit]), ("candidate", M.i[0, unit], M.g[0, unit])]
            return _as_terms(rows, "cell state" + _before(p.variant.cell_clip, M.dropout.zoneout_cell))
        of = "hidden state" + _before(p.variant.projection_clip, M.dropout.zoneout_hidden)
        if p.projection is None:
            return _as_terms([("output", M.o[0, unit], M.t[0, unit])], of)
        names = [f"m({self.labels.unit(k)})" if self.labels.units else f"m{k}" for k in range(p.hidden_size)]
        return _as_terms(list(zip(names, p.projection[unit], M.m[0], strict=True)), of)

    def _gate_terms(self, letter: str, unit: int, part: str | None) -> Terms:
        """Return the recorded products that add up to one unit's pre-activation of a gate, or to one `part` of it."""
        p, M, row = self.parameters, self.moment, gates.LETTERS.index(letter)
        products = list(zip(self.column_names(), M.W[row, unit], M.z[0], strict=True))
        if part is not None:
            one_of("part", part, ("recurrent", "input"))
            split = p.recurrent_size
            return _as_terms(products[:split] if part == "recurrent" else products[split:], f"{part} sum")
        if p.norm_gain is not None and p.variant.layer_norm == "haste":
            u, w = M.across_gates(M.u), M.across_gates(M.w)
            products = [
                ("recurrent sum", p.norm_gain[0, row, unit], u[row, 0, unit]),
                ("input sum", p.norm_gain[1, row, unit], w[row, 0, unit]),
            ]
        if p.peephole is not None and letter in gates.PEEPHOLES:
            weight = p.peephole[gates.PEEPHOLES.index(letter), unit]
            products.append(
                ("new cell state" if letter == "o" else "old cell state", weight, M.peeped_state(letter)[0, unit])
            )
        if p.variant.layer_norm == "gates":
            return _as_terms(products, "weighted sum")
        return _as_terms([*products, ("bias", p.bias[row, unit], 1.0)], "pre-activation" + _before(p.variant.gate_clip))

    def column_names(self) -> list[str]:
        """Return the names of the combined input's entries, the hidden state's first."""
        p, labels = self.parameters, self.labels
        return [*labels.states(p.recurrent_size, p.hidden_size), *(labels.feature(k) for k in range(p.input_size))]

    def __repr__(self) -> str:
        p = self.parameters
        place = "" if self.time is None else f" {self.time} of sequence {self.sequence}"
        size = f"{counted(p.input_size, 'feature')}, {counted(p.hidden_size, 'unit')}, {p.dtype.name}"
        names = [*gates.NAMES, "cell_state", "hidden_state"]
        return brief(f"Step{place}: {size}", {name: getattr(self, name) for name in names})


def _of_one_sequence(batch: Array) -> Array:
    """Return a quantity of a step (1, ·) without its batch axis, read-only."""
    array: Array = batch[0]
    lock(array)
    return array


def _before(clip: float | None, zoneout: Array | None = None) -> str:
    """Return a phrase about what still happens to a sum."""
    return " before its clip" if clip is not None else " before zoneout" if zoneout is not None else ""


def own_letter(parameters: Parameters, gate: str) -> str:
    """Return the letter of a gate with a pre-activation of its own, or raise OptionError if it is coupled."""
    letter = gates.LETTERS[gates.index(gate)]
    if letter == parameters.variant.coupled:
        raise OptionError(f"the {gate} is coupled ({parameters.variant.coupling}): it has no pre-activation of its own")
    return letter


def _as_terms(rows: list[tuple[str, Any, Any]], of: str) -> Terms:
    """Return the products in a sum of a step, largest contribution first; a row is (name, weight, value)."""
    with np.errstate(all="ignore"):  # infinity times nothing is NaN, and is shown as such
        terms = [Term(name, float(weight), float(value), float(weight) * float(value)) for name, weight, value in rows]
    dtype = np.asarray(rows[0][1]).dtype if rows else np.float64
    return Terms(ranked(terms, dtype), sum(term.product for term in terms), of)


def ranked(terms: Sequence[Term], dtype: npt.DTypeLike) -> tuple[Term, ...]:
    """Return terms of a run in a precision: NaN, then the largest product first; those that tie in their order."""
    sizes = np.abs([term.product for term in terms])
    return tuple(terms[place] for place in largest_first(np.where(np.isnan(sizes), np.inf, sizes), dtype=dtype))
