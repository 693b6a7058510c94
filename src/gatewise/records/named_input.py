"""An input of any kind as a model reads it: by the names of its dimensions and features, or in a caller's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, Array, array_of, axis_names, time_first
from gatewise.errors import OptionError, ShapeError, warn_of_data
from gatewise.records import named_numbers
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.named_numbers import NamedNumbers, is_labelled, is_table
from gatewise.records.times import TimeRules, TimeStep, check_times


@dataclass(frozen=True, eq=False)
class NamedInput:
    """An input as a model reads it, its names, and its axes in the caller's order.

    Attributes
    ----------
    x : array (time, batch, feature) or (time, feature); of tokens without the last axis
    labels : Labels
    order : tuple of str
        The axes of the caller's array, in its order.
    dims : mapping of str to str
        The axis of each dimension, where these have names.
    """

    x: npt.NDArray[Any]
    labels: Labels
    order: tuple[str, ...]
    dims: Mapping[str, str] = field(default_factory=dict)

    @property
    def axes(self) -> tuple[str, ...]:
        """The order of the axes of an output at every step."""
        return self.order if "feature" in self.order else (*self.order, "feature")

    def mask(self, mask: Any) -> Any:
        """Return a mask with time first, from the order of the input's axes or by the names of its own dimensions."""
        order = tuple(name for name in self.order if name != "feature")
        if is_labelled(mask):
            kinds = tuple(self.dims.get(str(name), "") for name in mask.dims)
            return named_numbers.array_numbers(
                mask, "mask", kinds if all(kinds) else named_numbers.dimension_kinds(mask, None, "mask", order)
            ).values
        if mask is None or order == AXES[: len(order)] or array_of("mask", mask).ndim != 2:
            return mask
        return ordered_array("mask", mask, AXES[:2], order)

    def out(self, out: Any) -> Any:
        """Return the caller's array for the output; raise OptionError where it would have axes in another order."""
        if out is not None and self.axes != tuple(name for name in AXES if name in self.axes):
            raise OptionError("out has time first. Put time first in x, or leave out out=.")
        return out

    def in_order(self, y: Array, *, timed: bool = True) -> Array:
        """Return an output in the order of the input's axes; `timed` is whether it has a step for each of the input."""
        names = [name for name in AXES if name in self.axes and (timed or name != "time")]
        places = {name: [place] for place, name in enumerate(names)}
        places["feature"] = list(range(len(names) - 1, y.ndim))  # two directions that are not merged are apart
        return y.transpose([place for name in self.axes if name in names for place in places[name]])

    def complete(self, labels: Any) -> Any:
        """Return the caller's labels of a run, a `Labels` or one for each layer, completed by those of the input."""
        if labels is None or isinstance(labels, Labels):
            return self.labels if labels is None else labels.or_else(self.labels)
        if not isinstance(labels, Sequence) or not all(isinstance(names, Labels) for names in labels):
            return labels  # the LSTM says what is wrong with them
        rest = self.labels.replace(features=None)
        return [names.or_else(rest if number else self.labels) for number, names in enumerate(labels)]


def named_input(
    x: Any,
    axes: str | Sequence[str] | None,
    reads: Sequence[str] | None,
    *,
    tokens: bool = False,
    quiet: bool = False,
    step: TimeStep | None = None,
) -> NamedInput:
    """Return an input of any kind as a model reads it: by the names of its dimensions and features, where it has some.

    Parameters
    ----------
    x : array, tensor, DataFrame, Series, DataArray or Dataset
    axes : str or sequence of str or None
        The order of its axes.
    reads : sequence of str or None
        The names of the features that the model reads.
    tokens : bool
        Whether the model reads tokens, which have no axis of features.
    quiet : bool
        Whether to warn of no gap in time.
    step : TimeStep or None
        The only time from step to step that is allowed.

    Warns
    -----
    DataWarning
        If the times of `x` have gaps.
    """
    order = AXES[:2] if tokens else AXES
    choose = None if reads is None or tokens else lambda names: named_numbers.features_by_name(reads, names)
    dims: dict[str, str] = {}
    if is_labelled(x):
        data, dims = named_numbers.labelled_array_numbers(x, "x", axes, choose, order)
        given = tuple(dict.fromkeys(dims.values()))
        data = replace(data, features=None if tokens else data.features)
        along = next((name for name, kind in dims.items() if kind == "time"), "time")
        rules = TimeRules(step=step, remedy=f"Sort it with .sortby({along!r}).")
    elif is_table(x):
        data, given = named_numbers.table_numbers(x, "x", choose), ("time", order[-1])
        sorting = ".sort_values(…)" if data.times_origin else ".sort_index()"
        remedy = f"Sort it with {sorting}, or give .to_numpy() to run the rows as they are."
        rules = TimeRules(step=step, remedy=remedy)
        if axes is not None and named_numbers.cut_order(axis_names(axes), 2) != given:
            raise OptionError(f"the axes of x, which is a {type(x).__name__}, are {','.join(given)}, not {axes!r}")
        if tokens:  # of a text in each column
            alone = data.values.shape[1] == 1
            data = NamedNumbers(data.values[:, 0] if alone else data.values, None, data.times, data.features)
            data, given = (replace(data, sequences=None), given[:1]) if alone else (data, given)
    else:
        array = array_of("x", x)
        names = order if axes is None else [name for name in axis_names(axes) if name in order]
        given = named_numbers.cut_order(names, array.ndim)
        return NamedInput(array if axes is None else time_first(array, given), NO_LABELS, given)
    data = data.in_time_order("x", rules)
    if not quiet:
        warn_of_data(data.notes)
    if not tokens and data.values.ndim == 1:
        data, given = replace(data, values=data.values[:, None]), ("time", "feature")
    return NamedInput(data.values, data.labels, given, dims)


def steps_by_name(x: Any, reads: Sequence[str] | None) -> Any:
    """Return the steps in a table, or the one in a Series, with the features that a model reads by name, as an array.

    What is no table, or has no names, is returned as it is. Raise OptionError where the model has no names, or the
    steps are not in order of time.
    """
    if is_table(x) and hasattr(x, "columns"):
        _, raw = named_numbers.times_of_index(x.index, "x")
        warn_of_data(check_times(raw, "x", TimeRules(remedy="Sort it with .sort_index().")).notes)
    heads = (x.columns if hasattr(x, "columns") else x.index) if is_table(x) else ()
    if all(isinstance(head, (int, np.integer)) for head in heads):
        return x
    if reads is None:
        raise OptionError("x has names, but the features of this model have none. Pass .to_numpy() of its columns.")
    names = list(map(str, heads))
    return x.to_numpy()[..., [names.index(name) for name in named_numbers.features_by_name(reads, names)]]


def ordered_array(
    name: str, value: Any, order: Sequence[str], axes: str | Sequence[str] | None = None
) -> npt.NDArray[Any]:
    """Return a value as an array on the axes `order`: by the names of its dimensions, or from the order `axes`.

    An array may have one more dimension: that of two directions, before the features.
    """
    array = array_of(name, value.values if is_labelled(value) else value)
    if axes is not None:
        given = [axis for axis in axis_names(axes) if axis in order]
    elif is_labelled(value) and array.ndim <= len(order):
        given = [*named_numbers.dimension_kinds(value, None, name, order)]
    else:
        return array
    wanted = [axis for axis in order if axis in given]
    if array.ndim == len(given) + 1:
        for names in (given, wanted):
            names.insert(names.index("feature") if "feature" in names else len(names), "direction")
    if array.ndim != len(given):
        raise ShapeError(f"{name} has shape {array.shape}; its axes must be {', '.join(given)}")
    return array.transpose([given.index(axis) for axis in wanted])
