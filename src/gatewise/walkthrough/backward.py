"""The backward pass, in sections: from the loss to everything that it comes from (back-propagation through time)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, DC_PREV, DH, DH_NEXT, DY, H_PREV, UNITS, C, F, H, X, d
from gatewise.walkthrough import setting, stepback
from gatewise.walkthrough.arriving import Arriving
from gatewise.walkthrough.bound import BoundStep, last_gradients, over_all_steps
from gatewise.walkthrough.lazy import ENDS, FEW
from gatewise.walkthrough.parts import Block, NumberTable, Section, Sentence, Words
from gatewise.walkthrough.quantity_sentences import carried_share, gradient_check_sentence
from gatewise.walkthrough.setting import Maker

WORK = 1_000  # steps of a run that are always checked against differences


class BackwardWalk:
    """The sections of the steps of one run, called by their `times`, from the last to the first.

    Those `shown` are worked through, given in the order in which they ran. `dh` and `dc` are the gradients of the loss
    with respect to the last states: see `gatewise.walkthrough.bound.last_gradients`.
    """

    def __init__(
        self,
        steps: Sequence[BoundStep],
        times: Sequence[str],
        dh: npt.ArrayLike | None,
        dc: npt.ArrayLike | None,
        shown: Sequence[int],
    ) -> None:
        """Prepare the gradients that arrive at the steps, from those at the last one."""
        first = steps[0]
        self.steps, self.times, self.names = steps, times, first.names
        self.shown, self.whole = shown, len(shown) == len(steps)
        self.given = dh is not None or dc is not None
        self.after = "all steps" if len(steps) > 1 else None  # the heading of what comes of all of them
        self.dh, self.dc = last_gradients(first, dh, dc)
        last = len(steps) - 1
        ending = range(last, max(last - ENDS, -1), -1)  # whose rows are shown of many
        steps_to_keep = () if self.whole or len(shown) == 1 else {*shown, *ending, 0}
        self.arriving = Arriving(steps, (self.dh, self.dc), steps_to_keep, self._carried_share)

    def makers(self) -> list[Maker]:
        """Return functions that make the sections of a backward pass; without sums for one step of several."""
        several = len(self.steps) > 1
        back = [partial(self._backward_sections, at) for at in reversed(self.shown)]
        makers: list[Maker] = [self._loss_sections, *(partial(self._forward_in_brief, at) for at in self.shown)]
        makers += setting.with_rest(back, self.shown[::-1], self.times)
        if several and len(self.shown) == 1:
            return makers
        sums = [self._sections_of_sums, self.through_time] if several else []
        return [*makers, *sums, self._gradient_check_sections]

    def _forward_in_brief(self, at: int) -> list[Section]:
        return [stepback.forward_in_brief(self.steps[at])]

    def _backward_sections(self, at: int) -> list[Section]:
        return stepback.sections(self.steps[at])

    def _carried_share(self, step: BoundStep) -> Any:
        """Return the share of its cell state's gradient that a step passes on along the cell state alone."""
        return step.M.f[0] if step.form.keeps_by_gate else stepback.carried_share(step)

    def _loss_sections(self) -> list[Section]:
        """Return the walkthrough's section that says what the loss is, and what a d before a symbol means."""
        loss: Words = ("The loss is the sum of the last ", H, ", so its gradient with respect to each entry is 1.")
        if self.steps[0].has_dy:
            of_outputs = ("The loss is given by its gradients: ", DY, " with respect to the output of every step, ")
            loss = (*of_outputs, DH_NEXT, " and ", DC_NEXT, " with respect to the last states.")
        elif self.given:
            loss = ("The loss is given by its gradients with respect to the last ", H, " and ", C, ".")
        d_of = ("A d before a symbol means the gradient of the loss with respect to it: ", DH, " belongs to ", H, ".")
        part = (DC_PREV, " is the part along the cell state; the part through ", H_PREV, " is added one step earlier.")
        blocks = (Sentence(loss), Sentence(d_of), Sentence(part))
        return [Section("loss", "The loss: where the backward pass begins", blocks)]

    def _sections_of_sums(self) -> list[Section]:
        """Return the walkthrough's section of the parameters' gradients: their sums over all steps."""
        words = "The parameters are shared by all steps, so their gradients add up"
        blocks: list[Block]
        if len(self.steps) <= FEW:
            lines = [line for line in self.steps[0].program.backward if line.sums]
            term, left = replace(lines[0].left, time=0), lines[0].left
            blocks = [Sentence((f"{words}: ", term, " is the ", left, " of step 0 above, and likewise the others."))]
            blocks += [over_all_steps(self.steps, line) for line in lines]
        else:
            first = self.steps[0]
            blocks = [
                Sentence(f"{words}."),
                *setting.tables(first, first.p.replace(**self.arriving.total.parameters), d),
            ]
        title = f"The gradients summed over all {len(self.steps):,} steps"
        return [Section("all_steps", title, tuple(blocks), self.after)]

    def through_time(self) -> list[Section]:
        """Return the section about the share of the cell state's gradient that the forget gates let through."""
        first = self.steps[0]
        new = d(first.form.cell)
        last = len(self.steps) - 1
        carried = {last: np.ones(len(self.names[UNITS]))}  # of what arrives at the last cell state, what reaches others

        def row_of_step(k: int, place: int) -> tuple[Words, Sequence[Any]]:
            """Return a unit's row for a step: the share it passes on, the product, its cell states' gradients."""
            at = last - place
            step, reached = self.steps[at], self._share_that_reaches(at, carried)
            share = self._carried_share(step)
            return self.times[at], (share[k], (reached * share)[k], step.scope[new][k], step.scope[DC_PREV][k])

        plain = first.form.keeps_by_gate
        heads = (F if plain else "kept", ("product of ", F) if plain else "product", new, DC_PREV)
        blocks = setting.tables_of_units(self.steps, row_of_step, heads, (0,), digits=6, every=self.whole)
        if last:
            reached = self._share_that_reaches(0, carried)
            units = first.units[: setting.FEW]
            blocks.append(Sentence(carried_share(self.times[-1], self.times[0], reached, units, first.named)))
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
        title = "Through time: the running product of the forget gates" if last else "The step backward at a glance"
        return [Section("through_time", title, tuple(blocks), self.after)]

    def _share_that_reaches(self, at: int, carried: dict[int, Any]) -> Any:
        """Return the share of a gradient at the last cell state that reaches the cell state of a step."""
        if at in self.arriving.steps_to_keep:
            return self.arriving.total.carried[at]
        place = min(step for step in carried if step >= at)
        while place > at:
            carried[place - 1] = carried[place] * self._carried_share(self.steps[place])
            place -= 1
        return carried[at]

    def _gradient_check_sections(self) -> list[Section]:
        """Return the walkthrough's section that compares all gradients with central differences of the loss."""
        steps, title = self.steps, "The check: central differences of the loss"
        if not self.whole and len(steps) > WORK:
            words = f"Checking {len(steps):,} steps takes long; --every-step, or every_step=True, includes it."
            return [Section("gradient_check", title, (Sentence(words),), self.after)]
        dy = np.stack([step.scope[DY] for step in steps]) if steps[0].has_dy else None
        compared = gradient_check([step.step for step in steps], self.dh, self.dc, dy=dy)
        names: dict[str, Symbol] = {"x": X, "h_prev": H_PREV, "c_prev": C_PREV}
        rows = tuple(
            (
                names.get(comparison.name, comparison.name),
                (comparison.entries, comparison.of, comparison.largest, comparison.error),
            )
            for comparison in compared
        )
        heads = ("compared", "entries", "largest gradient", "largest error")
        blocks = (NumberTable("", heads, rows, digits=3, whole=True), Sentence(gradient_check_sentence(compared)))
        return [Section("gradient_check", title, blocks, self.after)]
