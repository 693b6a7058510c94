"""Parts of the records of pictures: a sequence, its values, the limits of its colours, a title, the columns."""

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
from gatewise.plot.drawing import symmetric_limits
from gatewise.records.trace import Trace

BOTH_SIDES = ("tanh", "softsign")  # nonlinearities between -1 and 1


def cell_and_sequence(run: object, sequence: int | str) -> tuple[Trace, int]:
    """Return the trace of the only cell of a run to draw, and the place of a sequence from its number or name."""
    trace = of_one_cell(run)
    if not len(trace):
        raise OptionError("a picture needs at least one step; this trace has none")
    return trace, naming.sequence_of(trace, sequence)


def values_of(trace: Trace, quantity: str, sequence: int, chosen: Any) -> Array:
    """Return a quantity (time, chosen) to draw of one sequence in float64, NaN at invalid steps."""
    values = trace.quantity(quantity)[:, sequence][:, chosen].astype(np.float64)
    valid = valid_steps(trace, which=sequence)
    if valid is not None:
        values[~valid] = np.nan
    return values


def limits_of(trace: Trace, quantity: str, values: Array) -> tuple[float, float]:
    """Return the limits of a quantity's colours in a picture: 0 and 1 for a gate, else symmetric about 0."""
    if quantity in gates.NAMES:
        try:
            require_between_0_and_1(trace, quantity, "a picture")
        except OptionError:
            name = trace.parameters.variant.activation(gates.LETTERS[gates.index(quantity)]).name
            return (-1.0, 1.0) if name in BOTH_SIDES else symmetric_limits(values)
        outside = trace.edits and ((values < 0) | (values > 1)).any()
        return symmetric_limits(values) if outside else (0.0, 1.0)
    return symmetric_limits(values)


def title_of(subject: str, trace: Trace, sequence: int) -> str:
    """Return the title of a picture: its subject, the sequence of a batch, and ``backward`` if the cell runs so."""
    names = trace.labels.sequences
    if trace.batch_size > 1 or names is not None:
        subject += f", sequence {sequence if names is None else names[sequence]}"
    return subject if trace.direction == "forward" else f"{subject}, backward"


def columns_of(times: npt.NDArray[Any], names: Sequence[str], values: Iterable[Array]) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a picture's record by name, the times first; a repeated name gets its place in brackets."""
    columns: dict[str, npt.NDArray[Any]] = {"time": times}
    for place, (name, column) in enumerate(zip(names, values, strict=True)):
        columns[name if name not in columns else f"{name} ({place})"] = column
    return columns
