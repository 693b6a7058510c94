"""The answers of a sheet, by the quantities of a run."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from gatewise.arrays import Array
from gatewise.grading import names
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.problem import INPUTS
from gatewise.grading.sheet import Fault, Sheet, SheetAnswer
from gatewise.render.text import clean


def match_answers(chain: Chain, sheet: Sheet) -> tuple[dict[str, SheetAnswer], list[Fault]]:
    """Return a sheet's answers by the names of the run's quantities, and faults for all its other lines."""
    answers: dict[str, SheetAnswer] = {}
    sheet = gather_indexed(chain, sheet)
    faults, names_by_quantity = list(sheet.faults), dict[str, str]()
    for name, answer in sheet.answers.items():
        place = _line_of(answer)
        quantity = chain.named(name)
        if quantity is None:
            faults.append(Fault(place, name, _describe_unknown(chain, clean(name))))
        elif quantity.name in names_by_quantity:
            faults.append(
                Fault(place, name, f"{name!r} and {names_by_quantity[quantity.name]!r} are the same quantity")
            )
        else:
            names_by_quantity[quantity.name] = name
            fitted = _fit_shape(chain, quantity, answer)
            if fitted is None:
                faults.append(shape_fault(name, answer, quantity))
            else:
                answers[quantity.name] = fitted
    return answers, faults


def gather_indexed(chain: Chain, sheet: Sheet) -> Sheet:
    """Return a sheet in which f_0 and f_1 became the entries of f, or f at step 0 and 1, as their sizes tell."""
    answers: dict[str, SheetAnswer] = {}
    rows: dict[str, dict[int, tuple[str, SheetAnswer]]] = {}
    for name, answer in sheet.answers.items():
        quantity, indexed = chain.named(name), names.split_index(name)
        is_step = quantity is not None and chain.steps > 1  # as which a blank counts
        fits = is_step if answer.blank else quantity is not None and answer.values.size == quantity.key.size
        if indexed is None or fits:
            answers[name] = answer
            continue
        base, index, raised = indexed
        whole, at_step = chain.named(base), chain.named(f"{base}[{index}]")
        if whole is not None and whole.key.ndim and not raised and answer.values.size in (0, whole.key[0].size):
            rows.setdefault(whole.name, {})[index] = name, answer
        elif at_step is not None and at_step.name not in {*answers, *sheet.answers}:
            answers[at_step.name] = answer
        else:
            answers[name] = answer
    faults = list(sheet.faults)
    for whole_name, by_index in rows.items():
        key = chain.by_name[whole_name].key
        if whole_name in answers:
            fault = f"it is an entry of {whole_name!r}, which is written too"
        elif (gathered := _gather_rows(key, {index: answer for index, (_, answer) in by_index.items()})) is not None:
            answers[whole_name] = gathered
            continue
        else:
            fault = f"which entry of {whole_name!r} it is, is unclear: they count from 0 to {len(key) - 1}"
        faults += [Fault(_line_of(answer), name, fault) for name, answer in by_index.values()]
    return replace(sheet, answers=answers, faults=tuple(faults))


def _gather_rows(key: Array, by_index: dict[int, SheetAnswer]) -> SheetAnswer | None:
    """Return the answer whose rows have an index each, from 0 or from 1; None if it is unclear from which."""
    start = 0 if 0 in by_index else 1
    last = max(by_index) - start
    if last >= len(key) or (start and last < len(key) - 1):
        return None
    numbers = np.full((2, *key.shape), np.nan)
    for index, answer in by_index.items():
        if answer.values.size:
            numbers[:, index - start] = np.reshape([answer.values, answer.tolerance], (2, *key.shape[1:]))
    return SheetAnswer(numbers[0], np.nan_to_num(numbers[1]), next(iter(by_index.values())).place)


def _line_of(answer: SheetAnswer) -> str:
    """Return the line of a sheet that an answer stands on; empty if it has none."""
    return answer.place if re.search(r"(?:line|cell) \d+$", answer.place) else ""


def shape_fault(name: str, answer: SheetAnswer, quantity: Quantity) -> Fault:
    """Return the fault of numbers of a wrong shape."""
    return Fault(_line_of(answer), name, f"{name!r} has shape {answer.values.shape}; it must be {quantity.key.shape}")


def _describe_unknown(chain: Chain, name: str) -> str:
    """Return the fault of a sheet's name that means no asked quantity, with a suggestion if one resembles it."""
    known_names, short_name = list(chain.by_name), name if len(name) <= 40 else f"{name[:40]}…"
    if name.partition("[")[0] in INPUTS or name[:2] in ("W_", "b_"):
        return f"{short_name!r} is given, not asked"
    if (similar := names.suggestion(name, chain.by_name)) is not None:
        return f"there is no quantity {short_name!r}; did you mean {similar!r}?"
    allowed = known_names if len(known_names) <= 24 else [*known_names[:20], "…", known_names[-1]]
    return f"there is no quantity {short_name!r}; allowed: {', '.join(allowed)}"


def _fit_shape(chain: Chain, quantity: Quantity, answer: SheetAnswer) -> SheetAnswer | None:
    """Return an answer in its quantity's shape: columns and matrices of one row may be rows, blanks may be omitted.

    A wrong shape stays if a known mistake gives it; otherwise the result is None.
    """
    shape, values, tolerance = quantity.key.shape, answer.values, answer.tolerance
    if answer.blank:
        return SheetAnswer(np.full(shape, np.nan), np.zeros(shape), answer.place)
    while values.ndim and values.shape[-1] > (shape[-1] if shape else 1) and np.isnan(values[..., -1]).all():
        values, tolerance = values[..., :-1], tolerance[..., :-1]
    is_line = 1 in (values.shape if len(shape) == 1 and values.ndim == 2 else shape if values.ndim == 1 else ())
    if values.shape != shape and values.size == quantity.key.size and (is_line or not shape or not values.ndim):
        values, tolerance = values.reshape(shape), tolerance.reshape(shape)
    fitted = SheetAnswer(values, tolerance, answer.place)
    if values.shape == shape:
        return fitted
    is_transposed = values.ndim == 2 and values.shape[::-1] == shape
    is_unsummed = quantity.summed and values.shape == (chain.batch, *shape)
    if np.isfinite(values).all() and (is_transposed or is_unsummed or values.shape in chain.shapes(quantity)):
        return fitted
    return None
