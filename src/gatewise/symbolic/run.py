"""A program with numbers in it: one step of it, or a run over time, every quantity computed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.parameters import NO_DROPOUT, DropoutMasks, Parameters
from gatewise.records.step import State
from gatewise.symbolic import binding
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.program import Program
from gatewise.symbolic.rewrites import sized
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, DH_NEXT, DY, H_PREV, X

Rows = slice | npt.NDArray[np.intp]


class Scope:
    """The values of the symbols of one step: what is known, and all that follows from it, computed when asked for.

    Parameters
    ----------
    program : Program
    p : Parameters
    known : dict of Symbol to array
        What is given, and what else is known already, which is not computed again.
    leading : bool
        Whether arrays have leading axes, such as that of a batch.
    """

    def __init__(self, program: Program, p: Parameters, known: dict[Symbol, Any], *, leading: bool = False) -> None:
        self.program = sized(program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.known, self.ranks = known, program.ranks if leading else None

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self.known:
            self.known[symbol] = evaluate(self.program.assignments[symbol].right, self, self.ranks)
        return self.known[symbol]


class _Taken(NamedTuple):
    """A step of a run, and which sequences took part in it."""

    scope: Scope
    rows: Rows


class Run:
    """A program run over a batch of sequences.

    Every quantity is ``run[symbol]``: (time, batch, own axes), and for what is the same at every step, or added over
    all of them (`Assignment.sums`), its own axes alone. It is computed when it is first asked for. At steps that are
    not valid states are carried over and everything else is NaN. The program is evaluated as it is
    written, for tests and readers; engines are faster.

    Parameters
    ----------
    program : Program
    parameters : Parameters
    x : array (time, batch, input)
    initial : State
        Arrays (batch, ·).
    dropout : DropoutMasks
        Fitted to the run.
    valid : boolean array (time, batch), optional
        Which steps are valid; by default all are.
    dy : array (time, batch, recurrent), optional
        The gradients of the loss with respect to the hidden state of every step; zeros by default.
    dfinal : State, optional
        And with respect to the states that the run ends in.
    reverse : bool
        From the last step to the first.
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
        self.shared = binding.parameters(program.form, parameters)  # what is the same at every step
        self.dropout = binding.dropout_masks(program.form, parameters, dropout)
        self.shared |= {symbol: mask for symbol, mask in self.dropout.items() if symbol.base == "D"}
        self._of_forward = {one.left for one in program.forward}
        self._found: dict[Symbol, Any] = {}

    @property
    def order(self) -> Sequence[int]:
        """The steps in the order in which they run."""
        times = range(len(self.x))
        return times[::-1] if self.reverse else times

    @cached_property
    def _forward(self) -> tuple[dict[int, _Taken], dict[Symbol, Array], State]:
        """Run forward: each step, the states before each, and the last ones."""
        states = {H_PREV: self.initial.h.copy(), C_PREV: self.initial.c.copy()}
        before = {symbol: np.empty((len(self.x), *state.shape), state.dtype) for symbol, state in states.items()}
        taken = {}
        with np.errstate(all="ignore"):
            for t in self.order:
                rows = self._rows(t)
                for symbol, state in states.items():
                    before[symbol][t] = state
                known = {**self.shared, X: self.x[t, rows]}
                known |= {symbol: array[t, rows] for symbol, array in before.items()}
                known |= {symbol: mask[t, rows] for symbol, mask in self.dropout.items() if symbol not in self.shared}
                taken[t] = _Taken(Scope(self.program, self.parameters, known, leading=True), rows)
                for carry in self.program.carry:
                    states[carry.into][rows] = taken[t].scope[carry.source]
        return taken, before, State(states[H_PREV], states[C_PREV])

    @cached_property
    def _backward(self) -> tuple[dict[Symbol, Array], State]:
        """Run backward: what arrives at each step from the one after, and what reaches the initial states."""
        taken, _, _ = self._forward
        arriving = {DH_NEXT: self.dfinal.h.copy(), DC_NEXT: self.dfinal.c.copy()}
        after = {symbol: np.empty((len(self.x), *array.shape), array.dtype) for symbol, array in arriving.items()}
        with np.errstate(all="ignore"):
            for t in reversed(self.order):
                rows, scope = taken[t].rows, taken[t].scope
                for symbol, array in arriving.items():
                    after[symbol][t] = array
                scope.known.update({symbol: array[t, rows] for symbol, array in after.items()})
                scope.known[DY] = self.dy[t, rows]
                passed = self._passed_over(t)
                arriving[DH_NEXT][passed] += self.dy[t, passed]
                for carry in self.program.carry_backward:
                    arriving[carry.into][rows] = scope[carry.source]
        return after, State(arriving[DH_NEXT], arriving[DC_NEXT])

    def _rows(self, t: int) -> Rows:
        """Return which sequences take part in a step."""
        return slice(None) if self.valid is None else np.flatnonzero(self.valid[t])

    def _passed_over(self, t: int) -> Rows:
        return slice(0) if self.valid is None else np.flatnonzero(~self.valid[t])

    def end(self, dy: Array, dfinal: State) -> None:
        """Say how the loss depends on a run that has not run backward yet: `dy` and `dfinal` as for the run itself."""
        if "_backward" in vars(self):
            raise RuntimeError("this run has run backward already, from another loss")
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
        if symbol not in self._found:
            self._found[symbol] = self._computed(symbol)
        return self._found[symbol]

    def _computed(self, symbol: Symbol) -> Any:
        plain = {**self.dropout, **self.shared, X: self.x, DY: self.dy}
        if symbol in plain:
            return plain[symbol]
        taken, before, _ = self._forward
        if symbol in before:
            return before[symbol]
        if symbol not in self._of_forward:
            after, _ = self._backward
            if symbol in after:
                return after[symbol]
        with np.errstate(all="ignore"):
            steps = [taken[t].scope[symbol] for t in range(len(self.x))]
        if self.program.assignments[symbol].sums:
            zero = np.zeros(self._own_shape(symbol), self.parameters.dtype)
            return sum((step.sum(0) for step in steps), zero)
        return self._scattered(symbol, steps)

    def _own_shape(self, symbol: Symbol) -> list[int]:
        sizes = binding.sizes(self.parameters)
        return [sizes[axis] for axis in self.program.axes[symbol]]

    def _scattered(self, symbol: Symbol, steps: Sequence[Any]) -> Array:
        """Return what was computed for the sequences that took part; the others carry their states over."""
        taken, before, _ = self._forward
        own = self._own_shape(symbol)
        found = np.full((len(self.x), self.x.shape[1], *own), np.nan, self.parameters.dtype)
        for carry in self.program.carry:
            if symbol == carry.source:
                found[...] = before[carry.into]
        for t, step in enumerate(steps):
            found[t, taken[t].rows] = step
        return found
