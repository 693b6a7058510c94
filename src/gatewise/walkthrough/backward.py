"""The backward pass, in sections: from the loss to everything that it comes from (back-propagation through time)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, DC_PREV, DH, DH_NEXT, DY, H_PREV, UNITS, C, F, H, X, d
from gatewise.walkthrough import meaning, stepback
from gatewise.walkthrough.bound import BoundStep, bind_backward, over_all_steps
from gatewise.walkthrough.parts import Block, Section, Sentence, Table, Words


class BackwardWalk:
    """The sections of a run, from its last step to its first.

    Parameters
    ----------
    steps : sequence of BoundStep
        Each begins where the one before it ended.
    times : sequence of str
        What they are called.
    dh, dc : array, optional
        The gradients of the loss with respect to the last states, as for `gatewise.walkthrough.bound.bind_backward`.
    """

    def __init__(
        self, steps: Sequence[BoundStep], times: Sequence[str], dh: npt.ArrayLike | None, dc: npt.ArrayLike | None
    ) -> None:
        first = steps[0]
        self.steps, self.times, self.names = steps, times, first.names
        self.given = dh is not None or dc is not None
        self.after = "all steps" if len(steps) > 1 else None  # the heading of what comes of all of them
        self.dh, self.dc = bind_backward(steps, dh, dc)

    def sections(self) -> list[Section]:
        """Return the loss; the forward pass in brief; the steps backward; what comes of all of them; the check."""
        with np.errstate(all="ignore"):
            found = [self._loss(), *(stepback.forward_in_brief(step) for step in self.steps)]
            found += [section for step in reversed(self.steps) for section in stepback.sections(step)]
            if len(self.steps) > 1:
                found += [self._all_steps(), self._through_time()]
            return [*found, self._check()]

    def _loss(self) -> Section:
        loss: Words = ("The loss is the sum of the last ", H, ", so its gradient with respect to each entry is 1.")
        if self.steps[0].has_dy:
            of_outputs = ("The loss is given by its gradients: ", DY, " with respect to the output of every step, ")
            loss = (*of_outputs, DH_NEXT, " and ", DC_NEXT, " with respect to the last states.")
        elif self.given:
            loss = ("The loss is given by its gradients with respect to the last ", H, " and ", C, ".")
        d_of = ("A d before a symbol means the gradient of the loss with respect to it: ", DH, " belongs to ", H, ".")
        part = (DC_PREV, " is the part along the cell state; what goes through ", H_PREV, " joins it one step earlier.")
        blocks = (Sentence(loss), Sentence(d_of), Sentence(part))
        return Section("loss", "The loss: where the backward pass begins", blocks)

    def _all_steps(self) -> Section:
        """The gradients of the parameters: the sums over all steps."""
        words = "The parameters are shared by all steps, so their gradients add up; the step is in brackets."
        blocks: list[Block] = [Sentence(words)]
        blocks += [over_all_steps(self.steps, one) for one in self.steps[0].program.backward if one.sums]
        return Section(
            "all_steps",
            f"The gradients summed over all {len(self.steps)} steps",
            tuple(blocks),
            self.after,
        )

    def _through_time(self) -> Section:
        """How much of the cell state's gradient the forget gates let through."""
        first = self.steps[0]
        shown, new = first.units[:4], d(first.form.cell)
        carried = np.ones(len(self.names[UNITS]))
        rows: dict[int, list[Any]] = {k: [] for k in shown}
        for step, time in reversed(list(zip(self.steps, self.times, strict=True))):
            kept = stepback.kept(step)
            reached, carried = carried, carried * kept
            for k in shown:
                rows[k].append((time, (kept[k], carried[k], step.scope[new][k], step.scope[DC_PREV][k])))
        plain = first.form.keeps_by_gate
        heads = (F if plain else "kept", ("product of ", F) if plain else "product", new, DC_PREV)
        blocks: list[Block] = [
            Table(self.names[UNITS][k], heads, tuple(rows[k]), (0,), digits=6, whole=True) for k in shown
        ]
        rest = len(first.units) - len(shown)
        if rest:
            blocks.append(Sentence(f"… and {rest} more units (--unit K, or unit=K, shows one)."))
        blocks.append(Sentence(meaning.carried(self.times[-1], self.times[0], reached, shown, first.named)))
        words: Words
        if plain:
            words = ("Along the cell state alone, ", DC_PREV, " is ", F, " times the gradient that arrives.")
        else:
            words = (
                "The share kept is what ",
                F,
                ", the cell clip and zoneout together let through along the cell state.",
            )
        blocks.append(Sentence(words))
        title = "Through time: the running product of the forget gates"
        return Section("through_time", title, tuple(blocks), self.after)

    def _check(self) -> Section:
        steps = self.steps
        dy = np.stack([step.scope[DY] for step in steps]) if steps[0].has_dy else None
        compared = gradient_check([step.step for step in steps], self.dh, self.dc, dy=dy)
        names: dict[str, Symbol] = {"x": X, "h_prev": H_PREV, "c_prev": C_PREV}
        rows = tuple((names.get(one.name, one.name), (one.entries, one.of, one.largest, one.error)) for one in compared)
        heads = ("compared", "entries", "largest gradient", "largest error")
        blocks = (Table("", heads, rows, digits=3, whole=True), Sentence(meaning.compared(compared)))
        return Section("gradient_check", "The check: central differences of the loss", blocks, self.after)
