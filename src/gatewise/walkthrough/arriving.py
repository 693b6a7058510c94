"""The gradients that arrive at each step of a run from the step after it, and the sums of a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gatewise import adjoints
from gatewise.arrays import Array
from gatewise.symbolic.formula import Symbol
from gatewise.walkthrough.bound import BoundStep
from gatewise.walkthrough.lazy import KEPT


class RunGradients(NamedTuple):
    """The gradients of a backward pass over a whole run."""

    parameters: dict[str, Array]  # by the names of `Parameters`
    arriving: dict[int, Mapping[Symbol, Any]]  # at some of the steps
    carried: dict[int, Array]  # of a gradient at the last cell state, the share that reaches these along it alone


class Arriving:
    """The gradients that arrive at the steps of a run from the steps after them.

    From a step to the one before it, they are what the program of the step says. Over many steps at a time they are
    computed by `gatewise.adjoints`, and no step is bound to its program. `last` arrives at the states of the last step.
    What arrives at `steps_to_keep` of a long run is computed in one pass. `share_of` returns the share of the gradient
    at its cell state that a step passes on along the cell state alone.
    """

    def __init__(
        self,
        steps: Sequence[BoundStep],
        last: tuple[Array, Array],
        steps_to_keep: Iterable[int] = (),
        share_of: Callable[[BoundStep], Array] | None = None,
    ) -> None:
        """Prepare the backward pass of a run, whose gradients are computed step by step when asked for."""
        self.steps, self.share_of = steps, share_of
        self.carry = steps[0].program.carry_backward
        self.end, self.steps_to_keep = len(steps) - 1, frozenset(steps_to_keep)
        self.known = {self.end: self._by_symbol(*last)}

    def _by_symbol(self, dh: Array, dc: Array) -> Mapping[Symbol, Any]:
        return dict(zip((carry.into for carry in self.carry), (dh, dc), strict=True))

    def __call__(self, at: int) -> Mapping[Symbol, Any]:
        """Return the gradients that arrive at a step of a run from the step after it, computed when first needed."""
        if at in self.steps_to_keep:
            return self.total.arriving[at]
        nearest = min(place for place in self.known if place >= at)
        if nearest - at >= KEPT:  # without binding the steps between
            dh, dc = self.known[nearest].values()
            for place in range(nearest, at, -1):
                dh, dc, _ = self._gradients_of_step_before(place, dh, dc)
            self._keep_gradients(at, self._by_symbol(dh, dc))
            nearest = at
        with np.errstate(all="ignore"):
            while nearest > at:
                scope, nearest = self.steps[nearest].scope, nearest - 1
                self._keep_gradients(nearest, {carry.into: scope[carry.source] for carry in self.carry})
        return self.known[at]

    def _keep_gradients(self, at: int, arriving: Mapping[Symbol, Any]) -> None:
        """Keep the gradients that arrive at a step of a run, and forget those that were kept first."""
        self.known[at] = arriving
        if len(self.known) > 2 * KEPT:
            del self.known[next(place for place in self.known if place != self.end)]

    def _gradients_of_step_before(self, at: int, dh: Array, dc: Array) -> tuple[Array, Array, Mapping[str, Array]]:
        """Return the gradients that a step passes on to the step before, and its terms of those of the parameters."""
        with np.errstate(all="ignore"):
            step = self.steps[at]
            dh = dh if step.dy is None else dh + step.dy
            gradients = adjoints.step(step.step.moment, dh[None], dc[None])
        return gradients.h_prev[0], gradients.c_prev[0], gradients.parameters

    @cached_property
    def total(self) -> RunGradients:
        """The gradients of a backward pass over all steps: of the parameters, and those at the steps to keep."""
        parameters = {name: np.zeros_like(array) for name, array in self.steps[0].p.arrays().items()}
        total = RunGradients(parameters, {}, {})
        dh, dc = self.known[self.end].values()
        carried = np.ones(self.steps[0].p.hidden_size)
        for at in range(self.end, -1, -1):
            if at in self.steps_to_keep:
                total.arriving[at], total.carried[at] = self._by_symbol(dh, dc), carried
            dh, dc, added = self._gradients_of_step_before(at, dh, dc)
            for name, array in added.items():
                parameters[name] = parameters[name] + array
            if self.share_of is not None:
                carried = carried * self.share_of(self.steps[at])
        return total
