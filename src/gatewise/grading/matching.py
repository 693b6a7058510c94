"""The answers of a sheet, by the quantities of a run."""

from __future__ import annotations

import numpy as np

from gatewise.grading import names
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.problem import INPUTS
from gatewise.grading.sheet import Fault, Sheet, SheetAnswer
from gatewise.render.text import clean


def match_answers(chain: Chain, sheet: Sheet) -> tuple[dict[str, SheetAnswer], list[Fault]]:
    """Return a sheet's answers by the names of the run's quantities, and faults for all its other lines."""
    answers: dict[str, SheetAnswer] = {}
    faults, names_by_quantity = list(sheet.faults), dict[str, str]()
    for name, answer in sheet.answers.items():
        place = answer.place if answer.place.startswith("line") else ""
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


def shape_fault(name: str, answer: SheetAnswer, quantity: Quantity) -> Fault:
    """Return the fault of numbers of a wrong shape."""
    place = answer.place if answer.place.startswith("line") else ""
    return Fault(place, name, f"{name!r} has shape {answer.values.shape}; it must be {quantity.key.shape}")


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
    """Return an answer in its quantity's shape: a column may be written as a row, and blanks may be omitted.

    A wrong shape stays if a known mistake gives it; otherwise the result is None.
    """
    shape, values, tolerance = quantity.key.shape, answer.values, answer.tolerance
    if answer.blank:
        return SheetAnswer(np.full(shape, np.nan), np.zeros(shape), answer.place)
    while values.ndim and values.shape[-1] > (shape[-1] if shape else 1) and np.isnan(values[..., -1]).all():
        values, tolerance = values[..., :-1], tolerance[..., :-1]
    is_vector = values.ndim == 2 and 1 in values.shape and len(shape) == 1
    if values.shape != shape and values.size == quantity.key.size and (is_vector or not shape or not values.ndim):
        values, tolerance = values.reshape(shape), tolerance.reshape(shape)
    fitted = SheetAnswer(values, tolerance, answer.place)
    if values.shape == shape:
        return fitted
    is_transposed = values.ndim == 2 and values.shape[::-1] == shape
    is_unsummed = quantity.summed and values.shape == (chain.batch, *shape)
    if np.isfinite(values).all() and (is_transposed or is_unsummed or values.shape in chain.shapes(quantity)):
        return fitted
    return None
