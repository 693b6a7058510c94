"""A program run over time and a batch, as it is written: every quantity is computed when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.parameters import Parameters
from gatewise.records.step import State
from gatewise.symbolic import cell
from gatewise.symbolic.cell import StepValues, program
from gatewise.symbolic.formula import C_PREV, DC_NEXT, DH_NEXT, DY, H_PREV, Symbol, X, d
from gatewise.symbolic.program import PARAMETER, Form, Program

Sequences = slice | npt.NDArray[np.intp]


class RunStep(NamedTuple):
    """One step of a run, and the sequences that took part in it."""

    values: StepValues
    sequences: Sequences


class ProgramRun:
    """A program run over x (time, batch, input), as it is written, for the tests to compare with.

    Every quantity is ``run[symbol]``: (time, batch, own axes), and for what is the same at every step, or added over
    all of them (`Assignment.sums`), its own axes alone. It is computed when it is first asked for. At steps that are
    not `valid` (time, batch) states are carried over and everything else is NaN.

    The loss has the gradients `dy` (time, batch, recurrent) with respect to the hidden state of every step, and
    `dfinal` with respect to the states that the run ends in: zeros by default.
    """

    def __init__(
        self,
        program: Program,
        parameters: Parameters,
        x: Array,
        initial: State,
        *,
        dropout: DropoutMasks = NO_DROPOUT,
        valid: Mask | None = None,
        dy: Array | None = None,
        dfinal: State | None = None,
        reverse: bool = False,
    ) -> None:
        self.program, self.parameters, self.x, self.initial, self.valid = program, parameters, x, initial, valid
        self.dy = np.zeros((*x.shape[:2], parameters.recurrent_size), parameters.dtype) if dy is None else dy
        self.dfinal = State(*map(np.zeros_like, initial)) if dfinal is None else dfinal
        self.reverse = reverse
        self.shared = cell.parameter_values(program.form, parameters)  # what is the same at every step
        self.dropout = cell.mask_values(program.form, parameters, dropout)
        self.shared |= {symbol: mask for symbol, mask in self.dropout.items() if symbol.base == "D"}
        self._of_forward = {line.left for line in program.forward}
        self._computed: dict[Symbol, Any] = {}

    @property
    def order(self) -> Sequence[int]:
        """The steps in the order in which they run."""
        times = range(len(self.x))
        return times[::-1] if self.reverse else times

    @cached_property
    def _forward(self) -> tuple[dict[int, RunStep], dict[Symbol, Array], State]:
        """Run forward: each step, the states before each, and the last ones."""
        states = {H_PREV: self.initial.h.copy(), C_PREV: self.initial.c.copy()}
        before = {symbol: np.empty((len(self.x), *state.shape), state.dtype) for symbol, state in states.items()}
        steps = {}
        with np.errstate(all="ignore"):
            for t in self.order:
                sequences = self._sequences(t)
                for symbol, state in states.items():
                    before[symbol][t] = state
                known = {**self.shared, X: self.x[t, sequences]}
                known |= {symbol: array[t, sequences] for symbol, array in before.items()}
                masks = {symbol: mask for symbol, mask in self.dropout.items() if symbol not in self.shared}
                known |= {symbol: mask[t, sequences] for symbol, mask in masks.items()}
                steps[t] = RunStep(StepValues(self.program, self.parameters, known, leading=True), sequences)
                for carry in self.program.carry:
                    states[carry.into][sequences] = steps[t].values[carry.source]
        return steps, before, State(states[H_PREV], states[C_PREV])

    @cached_property
    def _backward(self) -> tuple[dict[Symbol, Array], State]:
        """Run backward: what arrives at each step from the one after, and what reaches the initial states."""
        steps, _, _ = self._forward
        arriving = {DH_NEXT: self.dfinal.h.copy(), DC_NEXT: self.dfinal.c.copy()}
        after = {symbol: np.empty((len(self.x), *array.shape), array.dtype) for symbol, array in arriving.items()}
        with np.errstate(all="ignore"):
            for t in reversed(self.order):
                sequences, values = steps[t].sequences, steps[t].values
                for symbol, array in arriving.items():
                    after[symbol][t] = array
                values.known.update({symbol: array[t, sequences] for symbol, array in after.items()})
                values.known[DY] = self.dy[t, sequences]
                passed = self._passed_over(t)
                arriving[DH_NEXT][passed] += self.dy[t, passed]
                for carry in self.program.carry_backward:
                    arriving[carry.into][sequences] = values[carry.source]
        return after, State(arriving[DH_NEXT], arriving[DC_NEXT])

    def _sequences(self, t: int) -> Sequences:
        """Return which sequences take part in a step."""
        return slice(None) if self.valid is None else np.flatnonzero(self.valid[t])

    def _passed_over(self, t: int) -> Sequences:
        return slice(0) if self.valid is None else np.flatnonzero(~self.valid[t])

    def end(self, dy: Array, dfinal: State) -> None:
        """Say how the loss depends on a run that has not run backward yet: `dy` and `dfinal` as for the run itself."""
        assert "_backward" not in vars(self), "it has run backward already, from another loss"
        self.dy, self.dfinal = dy, dfinal

    @property
    def final(self) -> State:
        """The states that the run ends in."""
        return self._forward[2]

    @property
    def dinitial(self) -> State:
        """The gradients of the loss with respect to the initial states."""
        return self._backward[1]

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self._computed:
            self._computed[symbol] = self._compute(symbol)
        return self._computed[symbol]

    def _compute(self, symbol: Symbol) -> Any:
        plain = {**self.dropout, **self.shared, X: self.x, DY: self.dy}
        if symbol in plain:
            return plain[symbol]
        steps, before, _ = self._forward
        if symbol in before:
            return before[symbol]
        if symbol not in self._of_forward:
            after, _ = self._backward
            if symbol in after:
                return after[symbol]
        with np.errstate(all="ignore"):
            values = [steps[t].values[symbol] for t in range(len(self.x))]
        if self.program.assignments[symbol].sums:
            zero = np.zeros(self._own_shape(symbol), self.parameters.dtype)
            return sum((value.sum(0) for value in values), zero)
        return self._scatter(symbol, values)

    def _own_shape(self, symbol: Symbol) -> list[int]:
        sizes = cell.size_of_axes(self.parameters)
        return [sizes[axis] for axis in self.program.axes[symbol]]

    def _scatter(self, symbol: Symbol, values: Sequence[Any]) -> Array:
        """Return what was computed for the sequences that took part; the others carry their states over."""
        steps, before, _ = self._forward
        own = self._own_shape(symbol)
        array = np.full((len(self.x), self.x.shape[1], *own), np.nan, self.parameters.dtype)
        for carry in self.program.carry:
            if symbol == carry.source:
                array[...] = before[carry.into]
        for t, value in enumerate(values):
            array[t, steps[t].sequences] = value
        return array


def gather_gradients(form: Form, p: Parameters, gradients: Mapping[Symbol, Array]) -> dict[str, Array]:
    """Return the gradients of a program's parameters in the shapes of `Parameters`; zeros for a coupled gate."""
    gathered = {name: np.zeros_like(array) for name, array in p.arrays().items()}
    for symbol in program(form).of_kind(PARAMETER):
        if (place := cell.place_of_symbol(form, symbol, p.recurrent_size)) is not None:  # no second bias
            gathered[place[0]][place[1]] = gradients[d(symbol)]
    return gathered
