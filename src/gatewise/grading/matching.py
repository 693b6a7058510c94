"""The answers of a sheet, by the quantities of a run."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from gatewise.arrays import Array
from gatewise.grading import names
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.problem import INPUTS
from gatewise.grading.sheet import ANYTHING, Asked, Fault, Sheet, SheetAnswer
from gatewise.render.text import clean

_OF_SYMBOLS = re.compile(r"[_^\\\[{]")  # in the names of quantities, and hardly in a heading


def match_answers(chain: Chain, sheet: Sheet, asked: Asked = ANYTHING) -> tuple[dict[str, SheetAnswer], list[Fault]]:
    """Return a sheet's answers by the names of the run's quantities, and faults for all its other lines.

    A heading, such as a name or a date, is neither: see `_without_headings`.
    """
    answers: dict[str, SheetAnswer] = {}
    sheet = _without_headings(chain, gather_indexed(chain, sheet))
    faults, names_by_quantity = list(sheet.faults), dict[str, str]()
    allowed, known = _allowed_names(chain, sheet, asked), list(chain.by_name if asked.names is None else asked.names)
    for name, answer in sheet.answers.items():
        place = _line_of(answer)
        quantity = chain.named(name)
        if quantity is None:
            faults.append(Fault(place, name, _describe_unknown(clean(name), allowed, known)))
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


def _without_headings(chain: Chain, sheet: Sheet) -> Sheet:
    """Return a sheet without its headings: lines that name no quantity and have no numbers of one.

    A heading may have a single number, as in Homework 3. If no line names a quantity, all lines are kept, since then
    nothing tells which are headings.
    """

    def names_quantity(name: str) -> bool:
        indexed = names.split_index(name)
        return chain.named(name) is not None or (indexed is not None and chain.named(indexed[0]) is not None)

    if not any(map(names_quantity, (*sheet.answers, *(fault.name for fault in sheet.faults)))):
        return sheet

    def is_heading(name: str, has_numbers: bool, is_empty: bool) -> bool:
        if has_numbers or names_quantity(name) or _is_given(name):
            return False
        return is_empty or not (_OF_SYMBOLS.search(name) or names.suggestion(name, chain.by_name))

    answers = {
        name: answer
        for name, answer in sheet.answers.items()
        if not is_heading(name, np.isfinite(answer.values).sum() > 1, answer.blank)
    }
    faults = tuple(fault for fault in sheet.faults if not is_heading(fault.name, fault.has_numbers, is_empty=False))
    return replace(sheet, answers=answers, faults=faults)


def _is_given(name: str) -> bool:
    return name.partition("[")[0] in INPUTS or name[:2] in ("W_", "b_")


def _allowed_names(chain: Chain, sheet: Sheet, asked: Asked) -> list[str]:
    """Return the names that a line of a sheet may have; of the backward pass only if the sheet goes that far."""
    if asked.names is not None:
        return [name for name in chain.by_name if name in asked.names]
    quantities = [quantity for name in sheet.answers if (quantity := chain.named(name)) is not None]
    goes_back = any(quantity.backward for quantity in quantities) or not quantities
    return [name for name, quantity in chain.by_name.items() if goes_back or not quantity.backward]


def _line_of(answer: SheetAnswer) -> str:
    """Return the line of a sheet that an answer stands on; empty if it has none."""
    return answer.place if re.search(r"(?:line|cell) \d+$", answer.place) else ""


def shape_fault(name: str, answer: SheetAnswer, quantity: Quantity) -> Fault:
    """Return the fault of numbers of a wrong shape."""
    return Fault(_line_of(answer), name, f"{name!r} has shape {answer.values.shape}; it must be {quantity.key.shape}")


def _describe_unknown(name: str, allowed_names: list[str], known_names: list[str]) -> str:
    short_name = name if len(name) <= 40 else f"{name[:40]}…"
    if _is_given(name):
        return f"{short_name!r} is given, not asked"
    if (similar := names.suggestion(name, known_names)) is not None:
        return f"there is no quantity {short_name!r}; did you mean {similar!r}?"
    allowed = allowed_names if len(allowed_names) <= 24 else [*allowed_names[:20], "…", allowed_names[-1]]
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
    return padded_with_blanks(fitted, shape)


def padded_with_blanks(answer: SheetAnswer, shape: tuple[int, ...]) -> SheetAnswer | None:
    """Return a sheet's answer with blanks behind its rows, which are too short; None if it has another fault."""
    values, tolerance = answer.values, answer.tolerance
    if values.ndim < len(shape) and shape[:-1] in ((), (1,)):  # a single number or row
        values, tolerance = (array.reshape(*shape[:-1], -1) for array in (values, tolerance))
    if not shape or values.ndim != len(shape) or values.shape[:-1] != shape[:-1] or values.shape[-1] > shape[-1]:
        return None
    missing = [(0, 0)] * (values.ndim - 1) + [(0, shape[-1] - values.shape[-1])]
    return SheetAnswer(np.pad(values, missing, constant_values=np.nan), np.pad(tolerance, missing), answer.place)
