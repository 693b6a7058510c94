"""Sheets on which the units are in reverse order throughout: one mistake, in every line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.judging import Judge, judge_rounded_or_cut
from gatewise.grading.sheet import SheetAnswer
from gatewise.grading.verdicts import WRONG, Cause, Verdict
from gatewise.symbolic.symbols import RECURRENT, UNITS

FEWEST_LINES = 2  # that must be right in the other order, before a sheet is read so


def judge_reversed(judge: Judge) -> Judge | None:
    """Return the judge of the same sheet with its units in reverse order; None if it is not written so."""
    if len(judge.wrong) < FEWEST_LINES:
        return None
    answers = {name: _reversed(judge.chain, name, answer) for name, answer in judge.written.items()}
    other = judge_rounded_or_cut(judge.chain, answers, judge.asked)
    return other if len(other.wrong) <= len(judge.wrong) - FEWEST_LINES else None


def verdicts_on_reversed(judge: Judge, explained: Mapping[str, Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts on a sheet with its units in reverse order, from those in the right order, `explained`."""
    for name, verdict in judge.judged.items():
        quantity, turned = judge.chain.by_name[name], explained[name]
        if verdict.status != WRONG:
            yield verdict
        elif turned.status != WRONG:
            axis = _unit_axis(judge.chain, quantity)
            value = quantity.key if axis is None else np.flip(quantity.key, axis)
            says = f"the units are in reverse order in {name}"
            yield replace(verdict, causes=(Cause("another unit", says, LIKELY, value, "units in reverse order"),))
        else:
            yield _as_written(judge.chain, quantity, turned)


def _unit_axis(chain: Chain, quantity: Quantity) -> int | None:
    """Return the axis of a line's numbers along its units; None if it has none."""
    is_unit = quantity.over == UNITS or (quantity.over == RECURRENT and not chain.program.form.projected)
    return quantity.key.ndim - quantity.rank if quantity.rank and is_unit else None


def _reversed(chain: Chain, name: str, answer: SheetAnswer) -> SheetAnswer:
    quantity = chain.by_name[name]
    axis = _unit_axis(chain, quantity)
    if axis is None or answer.values.shape != quantity.key.shape:
        return answer
    return replace(answer, values=np.flip(answer.values, axis), tolerance=np.flip(answer.tolerance, axis))


def _as_written(chain: Chain, quantity: Quantity, verdict: Verdict) -> Verdict:
    """Return a verdict whose entries are named as they stand on the sheet."""
    axis = _unit_axis(chain, quantity)
    if axis is None:
        return verdict
    last, names = quantity.key.shape[axis] - 1, dict[str, str]()
    for place in np.ndindex(quantity.key.shape):
        turned = (*place[:axis], last - place[axis], *place[axis + 1 :])
        names[chain.entry(quantity, place)] = chain.entry(quantity, turned)
    others, blank = (tuple(names.get(entry, entry) for entry in entries) for entries in (verdict.others, verdict.blank))
    return replace(verdict, entry=names.get(verdict.entry, verdict.entry), others=others, blank=blank)
