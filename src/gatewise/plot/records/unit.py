"""The record of the story of one unit: its input, gates, cell state and hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, index
from gatewise.errors import NotKeptError, join_names
from gatewise.insight.answer import StepTable
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import valid_steps
from gatewise.plot.ordering import unit_places
from gatewise.plot.records.picking import cell_and_sequence, columns_of, limits_of, title_of, values_of
from gatewise.records.keep import QUANTITIES
from gatewise.records.trace import Trace

MOST_FEATURES = 5  # of a picture, if none are chosen


@dataclass(frozen=True, eq=False, repr=False)
class Unit(StepTable):
    """One unit of a cell, step by step.

    Attributes
    ----------
    title : str
        The unit and the sequence.
    input : array (time, features)
        The chosen features; none if the trace did not keep the input.
    features : tuple of str
        Their names.
    measures : tuple of str
        The measure of each feature; empty if unknown.
    values : dict of array (time,)
        The gates and states of the unit that the trace kept, by name; NaN at invalid steps. With a projection, the
        hidden state is the unprojected one.
    limits : dict of (float, float)
        The range of each gate or state.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.
    """

    title: str
    input: Array
    features: tuple[str, ...]
    measures: tuple[str, ...]
    values: dict[str, Array]
    limits: dict[str, tuple[float, float]]


def unit(
    trace: Trace,
    unit: int | str = 0,
    *,
    sequence: int | str = 0,
    features: int | str | Sequence[int | str] | None = None,
) -> Unit:
    """Return the input, the gates, the cell state and the hidden state of one unit of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept at least one of them.
    unit : int or str
        A hidden unit, or its name.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    features : int, str or a sequence of them, optional
        Features of the input, or their names. By default the 5 with the largest effect on the unit: the sum over its
        gates of the absolute weight, times the feature's standard deviation.

    Returns
    -------
    Unit
        With a row for each step: ``time``, each feature, and each quantity.

    Raises
    ------
    OptionError
        If there is no such unit, feature or sequence, there is no step, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the unit, or kept nothing of it.
    """
    trace, sequence = cell_and_sequence(trace, sequence)
    place = unit_places(trace, unit)
    projected = trace.parameters.projection is not None
    left_out = "hidden_state" if projected else "unprojected_state"
    quantities = [name for name in QUANTITIES if name in trace.keep.quantities and name != left_out]
    if not quantities:
        raise NotKeptError(
            f"this trace kept nothing of a unit; it kept {join_names(trace.keep.quantities) or 'nothing'}"
        )
    values = {name: values_of(trace, name, sequence, place)[:, 0] for name in quantities}
    chosen = _feature_places(trace, int(place[0]), sequence, features)
    x = np.zeros((len(trace), 0)) if trace.input is None else trace.input[:, sequence][:, chosen].astype(np.float64)
    labels, times = trace.labels, times_of(trace)
    names = tuple(labels.feature(place) for place in chosen)
    return Unit(
        columns=columns_of(times, [*names, *quantities], [*x.T, *values.values()]),
        title=title_of(f"unit {unit_names(trace)[place[0]]}", trace, sequence),
        input=x,
        features=names,
        measures=tuple(str(labels.measures.get(name, "")) for name in names),
        values=values,
        limits={name: limits_of(trace, name, values[name]) for name in quantities},
        times=times,
        valid=valid_steps(trace, which=sequence),
    )


def _feature_places(trace: Trace, unit: int, sequence: int, features: Any) -> npt.NDArray[np.intp]:
    """Return the places of the features in a unit's picture: the chosen ones, or those with the largest effect."""
    count = trace.parameters.input_size
    if trace.input is None:
        if features is not None:
            raise NotKeptError("this trace did not keep the input; it kept less (keep, units or every)")
        return np.zeros(0, np.intp)
    if features is not None:
        names: list[Any] = list(trace.labels.features or ())
        several = [features] if isinstance(features, (int, str, np.integer)) else features
        places = [
            names.index(name) if name in names else index("feature", name, count, "this trace") for name in several
        ]
        return np.array(places, np.intp)
    if count <= MOST_FEATURES:
        return np.arange(count)
    valid = valid_steps(trace, which=sequence)
    x = trace.input[:, sequence] if valid is None else trace.input[valid, sequence]
    effects = np.abs(trace.parameters.input_weight[:, unit]).sum(0) * (x.std(0) if len(x) else 1.0)
    return np.sort(np.argsort(-effects, kind="stable")[:MOST_FEATURES])
