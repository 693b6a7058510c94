"""What every picture picks of a trace: one sequence, its valid steps, the scale of a quantity, a title."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight import naming
from gatewise.insight.retention import of_one_cell, require_between_0_and_1, valid_steps
from gatewise.plot.drawing import about_zero
from gatewise.records.trace import Trace

BOTH_SIDES = ("tanh", "softsign")  # nonlinearities between -1 and 1


def sequence_of(trace: Trace, sequence: int | str) -> int:
    """Return the place of a sequence of the batch, given it or its name, of the trace of one cell that has steps.

    Raises
    ------
    OptionError
        If there is no such sequence, no step, or this is not the trace of one cell.
    """
    if not len(of_one_cell(trace)):
        raise OptionError("a picture needs at least one step; this trace has none")
    return naming.sequence_of(trace, sequence)


def values_of(trace: Trace, quantity: str, sequence: int, chosen: Any) -> Array:
    """Return a quantity (time, chosen) of one sequence in float64, NaN at steps that are not valid."""
    values = trace.quantity(quantity)[:, sequence][:, chosen].astype(np.float64)
    valid = valid_steps(trace, which=sequence)
    if valid is not None:
        values[~valid] = np.nan
    return values


def limits_of(trace: Trace, quantity: str, values: Array) -> tuple[float, float]:
    """Return between which numbers a quantity is coloured: 0 and 1 for a gate, else symmetric about 0."""
    if quantity in gates.NAMES:
        try:
            require_between_0_and_1(trace, quantity, "a picture")
        except OptionError:
            name = trace.parameters.variant.activation(gates.LETTERS[gates.index(quantity)]).name
            return (-1.0, 1.0) if name in BOTH_SIDES else about_zero(values)
        beyond = trace.edits and ((values < 0) | (values > 1)).any()
        return about_zero(values) if beyond else (0.0, 1.0)
    return about_zero(values)


def called(what: str, trace: Trace, sequence: int) -> str:
    """Return the title of a picture: what is drawn, of which sequence of several, and if the cell runs backward."""
    names = trace.labels.sequences
    if trace.batch_size > 1 or names is not None:
        what += f", sequence {sequence if names is None else names[sequence]}"
    return what if trace.direction == "forward" else f"{what}, backward"


def table(times: npt.NDArray[Any], names: Sequence[str], values: Iterable[Array]) -> dict[str, npt.NDArray[Any]]:
    """Return columns by their names, which say the place as well where two are the same; the first are the times."""
    columns: dict[str, npt.NDArray[Any]] = {"time": times}
    for place, (name, column) in enumerate(zip(names, values, strict=True)):
        columns[name if name not in columns else f"{name} ({place})"] = column
    return columns
