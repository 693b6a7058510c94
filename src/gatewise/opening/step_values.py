"""Values beside a run: columns with a number for each step, such as what a probe is to find in the states."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError
from gatewise.opening.answers import steps_of_run
from gatewise.opening.columns import FeatureSelection
from gatewise.opening.inputs import read_input
from gatewise.opening.runs import OpenedRun
from gatewise.records.labels import brief_name
from gatewise.records.named_numbers import features_by_name
from gatewise.records.times import TimeRules
from gatewise.showing import counted


def step_values(values: Any, run: OpenedRun, sequence: int | None = None) -> dict[str, Array]:
    """Return columns of values of the steps of a run, in a file or an array, by their names; see `steps_of_run`.

    Of one sequence, each is (time, 1), otherwise (time, batch); NaN where there is no number. Raise OptionError or
    ShapeError unless there is a row for each step, and of a batch a value for each sequence.
    """
    selection = FeatureSelection((), missing=True, title="values")
    data = read_input(values, None, None, selection, TimeRules(run.sort_time))
    if data.single is None:
        raise OptionError(f"{data.source} holds several arrays. Give one array with a column for each quantity.")
    array, (steps, batch) = data.single.values, (run.trace.lstm.num_steps, run.trace.lstm.batch_size)
    if array.ndim == 1 or (data.axes is not None and "feature" not in data.axes):
        array = array[..., None]
    array = steps_of_run(run, array, data.single.times, data.source)
    if array.ndim == 2 and batch > 1 and sequence is None:
        raise OptionError(
            f"{data.source} has one row for each step, but the run has {batch:,} sequences. Choose one with"
            " --sequence, or give values (time, batch, column)."
        )
    is_alone = array.ndim == 2
    array = array[:, None] if is_alone else array
    if array.shape[:2] != (steps, 1 if is_alone else batch) or not array.size:
        found = " of ".join(map(counted, array.shape, ("step", "sequence", "column")))
        raise ShapeError(f"{data.source} has {found}, but the run has {steps:,} of {batch:,}")
    array = array if is_alone or sequence is None else array[:, [sequence]]
    names = data.single.features or [f"column {place}" for place in range(array.shape[-1])]
    labels = [
        str(data.single.measures.get(name, brief_name(name))) for name in features_by_name(names, names, data.source)
    ]
    return dict(zip(labels, np.moveaxis(array, -1, 0), strict=True))
