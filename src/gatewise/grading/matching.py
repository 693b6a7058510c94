"""The answers of a sheet, by the quantities of a run."""

from __future__ import annotations

import numpy as np

from gatewise.grading import names
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.sheet import Answer, Fault, Sheet
from gatewise.render.text import clean

GIVEN = ("x", "h_prev", "c_prev", "dh", "dc_next")


def matched(chain: Chain, sheet: Sheet) -> tuple[dict[str, Answer], list[Fault]]:
    """Return the answers by the names of their quantities, and what on the sheet is none."""
    answers: dict[str, Answer] = {}
    faults, found = list(sheet.faults), dict[str, str]()
    for name, answer in sheet.answers.items():
        place = answer.place if answer.place.startswith("line") else ""
        quantity = chain.named(name)
        if quantity is None:
            faults.append(Fault(place, name, _unknown(chain, clean(name))))
        elif quantity.name in found:
            faults.append(Fault(place, name, f"{name!r} and {found[quantity.name]!r} are the same quantity"))
        else:
            found[quantity.name] = name
            fitted = _fitted(chain, quantity, answer)
            if fitted is None:
                faults.append(misshapen(name, answer, quantity))
            else:
                answers[quantity.name] = fitted
    return answers, faults


def misshapen(name: str, answer: Answer, quantity: Quantity) -> Fault:
    """Return what is wrong with numbers of another shape."""
    place = answer.place if answer.place.startswith("line") else ""
    return Fault(place, name, f"{name!r} has shape {answer.values.shape}; it must be {quantity.key.shape}")


def _unknown(chain: Chain, name: str) -> str:
    every, shown = list(chain.by_name), name if len(name) <= 40 else f"{name[:40]}…"
    if name.partition("[")[0] in GIVEN or name[:2] in ("W_", "b_"):
        return f"{shown!r} is given, not asked"
    if (near := names.suggestion(name, chain.by_name)) is not None:
        return f"there is no quantity {shown!r}; did you mean {near!r}?"
    allowed = every if len(every) <= 24 else [*every[:20], "…", every[-1]]
    return f"there is no quantity {shown!r}; allowed: {', '.join(allowed)}"


def _fitted(chain: Chain, quantity: Quantity, answer: Answer) -> Answer | None:
    """Return an answer in its quantity's shape: a column may be written as a row, and blanks may be omitted.

    What has another shape is left as it is where a mistake gives that shape; where none does, None.
    """
    shape, values, tolerance = quantity.key.shape, answer.values, answer.tolerance
    if answer.blank:
        return Answer(np.full(shape, np.nan), np.zeros(shape), answer.place)
    while values.ndim and values.shape[-1] > (shape[-1] if shape else 1) and np.isnan(values[..., -1]).all():
        values, tolerance = values[..., :-1], tolerance[..., :-1]
    vector = values.ndim == 2 and 1 in values.shape and len(shape) == 1
    if values.shape != shape and values.size == quantity.key.size and (vector or not shape or not values.ndim):
        values, tolerance = values.reshape(shape), tolerance.reshape(shape)
    fitted = Answer(values, tolerance, answer.place)
    if values.shape == shape:
        return fitted
    turned = values.ndim == 2 and values.shape[::-1] == shape
    unsummed = quantity.summed and values.shape == (chain.batch, *shape)
    if np.isfinite(values).all() and (turned or unsummed or values.shape in chain.shapes(quantity)):
        return fitted
    return None
