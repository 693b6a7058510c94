"""Numbers with the names that came with them: of pandas' tables, xarray's arrays, and arrays on named axes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, Array, array_of, numbers, require_memory, split_names
from gatewise.errors import GatewiseError, OptionError, ShapeError, join_names, shown
from gatewise.records.labels import Labels, Measure
from gatewise.records.spelled_units import same_unit
from gatewise.records.times import (
    DEFAULT_RULES,
    TIME_HEADS,
    RawTimes,
    TimeRules,
    are_numbers,
    check_times,
    dates_of,
)

Choice = Callable[[Sequence[str]], Sequence[str]]  # of the features to take among those that there are
MOST_NAMES = 10  # that a sentence lists
AXES_BEFORE = ("time", "direction")  # before the batch
OUTPUT_AXES = ("output", "unit")


@dataclass(frozen=True, eq=False)
class NamedNumbers:
    """Numbers with the names that came with them.

    Attributes
    ----------
    values : array
        One dimension for a vector, two (time, feature) for a sequence, three for a batch.
    features, sequences : tuple of str or None
    times : sequence of str, or array of dates, or None
        One for each step.
    notes : tuple of str
        Sentences about columns that were left out.
    measures : mapping of str to Measure
        What features measure, by their names.
    dtype : dtype or None
        The type that integers had; None for floats.
    raw_times : RawTimes or None
        The times as they were read, until `in_time_order` has checked them.
    times_origin : str
        The sentence that says which column was read as times and why; empty without such a column.
    """

    values: Array
    features: tuple[str, ...] | None = None
    times: Sequence[str] | Any = None
    sequences: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)
    dtype: Any = None
    raw_times: RawTimes | None = None
    times_origin: str = ""

    def in_time_order(
        self, source: object, rules: TimeRules = DEFAULT_RULES, error: type[GatewiseError] = OptionError
    ) -> NamedNumbers:
        """Return the numbers with their steps in order of time, and notes on gaps; see `check_times` for errors."""
        if self.raw_times is None:
            if rules.sort and self.times is None:
                raise error(f"{source} cannot be sorted by time, because it has no times. Leave out --sort-time.")
            return self
        order, dates, notes = check_times(self.raw_times, source, rules, error)
        times = self.times if self.times is None or dates is None else dates
        values = self.values
        if order is not None:
            values = values[order]
            if times is not None:
                times = times[order] if isinstance(times, np.ndarray) else tuple(times[place] for place in order)
        return replace(self, values=values, times=times, raw_times=None, notes=(*self.notes, *notes))

    @property
    def labels(self) -> Labels:
        """The names as labels of a run; times that are written as dates are dates."""
        times = None if self.times is None else dates_of(self.times)
        named = self.features or ()
        measures = {name: measure for name, measure in self.measures.items() if name in named}
        return Labels(self.features, None, self.sequences, times, measures=measures)


def unnamed_numbers(name: str, value: Any) -> NamedNumbers:
    """Return an array without names as floats, with the type that its integers had; `name` is an error's subject."""
    array = array_of(name, value)
    return NamedNumbers(np.array(numbers(name, array)), dtype=array.dtype if array.dtype.kind in "iub" else None)


def features_by_name(reads: Sequence[str], names: Sequence[str], source: object = "x", hint: str = "") -> list[str]:
    """Return the features that a model reads by name; raise OptionError unless each is once among the `names`.

    `hint` is the end of the error about features that are not among them.
    """
    counts = {name: list(names).count(name) for name in reads}
    missing = [name for name, count in counts.items() if not count]
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise OptionError(f"{source} has {counts[repeated[0]]} columns called {shown(repeated[0], 60)!r}. Rename them.")
    if missing:
        absent = listed_names(missing)
        raise OptionError(f"{source} has no column {absent}, which the model takes; it has {listed_names(names)}{hint}")
    return list(reads)


def columns_by_name(
    values: npt.NDArray[Any], heads: Sequence[str] | None, names: Sequence[str] | None, source: object
) -> npt.NDArray[Any]:
    """Return the columns of an output that have the names of a model's outputs; all where some of these are missing."""
    if heads is None or names is None or not {*names} <= {*heads}:
        return values
    return values[..., [list(heads).index(name) for name in features_by_name(names, heads, source)]]


def listed_names(names: Sequence[str]) -> str:
    """Return names in one line, at most `MOST_NAMES` of them."""
    return join_names((shown(name, 30) for name in names), most=MOST_NAMES) or "none"


# Of xarray.


def is_labelled(data: object) -> bool:
    """Whether an object is an `xarray.DataArray`, a `Dataset` or a `Variable`."""
    xarray = sys.modules.get("xarray")  # imported by whoever has one of its objects
    return xarray is not None and isinstance(data, (xarray.DataArray, xarray.Dataset, xarray.Variable))


def labelled_array_numbers(
    data: Any,
    source: str,
    axes: str | Sequence[str] | None,
    choose: Choice | None = None,
    order: Sequence[str] = (),
) -> tuple[NamedNumbers, dict[str, str]]:
    """Return a `DataArray`, or `Dataset` with a variable for each feature, as numbers, and the axis of each dimension.

    The numbers are (time, batch, feature), or without the axes that it lacks. All its dimensions of sequences are one
    axis. `choose` takes features by name; `axes` and `order` are those of `dimension_kinds`.
    """
    measures = measures_of({str(name): data[name].attrs for name in getattr(data, "data_vars", ())})
    if hasattr(data, "data_vars"):
        if not data.data_vars:
            raise OptionError(f"{source} is a Dataset without variables. Give it a variable for each feature.")
        if choose is not None:
            data, choose = data[[*choose([str(name) for name in data.data_vars])]], None
        if decoded := [str(name) for name, variable in data.data_vars.items() if variable.dtype.kind in "Mm"]:
            raise OptionError(
                f"{source} has dates or durations in {listed_names(decoded)}, but features must be numbers. Open the"
                f" file with decode_times={{{decoded[0]!r}: False}}, decode_timedelta=False."
            )
        data = data.to_dataarray("feature").transpose(..., "feature")
    kinds = dimension_kinds(data, axes, source, order)
    named = array_numbers(data, source, kinds, choose)
    return replace(named, measures=measures | {**named.measures}), dict(zip(map(str, data.dims), kinds, strict=True))


def dimension_kinds(
    data: Any, axes: str | Sequence[str] | None, source: str | Path, order: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return for each dimension of a `DataArray` whether it is time, batch or feature; several may be batch.

    `axes` says it; by default their names do, and time is also the only one with dates. With the `order` of an array's
    axes, dimensions of other names are the axes that are left; without it, they are batch.
    """
    names = [str(name) for name in data.dims]
    option = "axes" if order else "--axes"
    if axes is not None:
        kinds = tuple(kind for kind in split_names(axes) if not order or kind in order or kind not in AXES)
        repeated = {kind for kind in kinds if kind != "batch" and kinds.count(kind) > 1}
        if len(kinds) != len(names) or repeated or not {"time"} <= set(kinds) <= set(AXES):
            raise OptionError(
                f"{option} must say of each dimension, {shown(', '.join(names))}, whether it is time, batch or feature,"
                f" not {axes!r}"
            )
        return kinds
    known = [name.lower() if name.lower() in AXES else "" for name in names]
    if "feature" not in known:  # as gatewise calls the axis of what comes out
        known = ["feature" if name in OUTPUT_AXES else kind for name, kind in zip(names, known, strict=True)]
    dates = {name for name, values in getattr(data, "coords", {}).items() if values.dtype.kind == "M"}
    dated = [n for n, name in enumerate(names) if not known[n] and name in dates]
    if "time" not in known and len(dated) == 1:
        known[dated[0]] = "time"
    if order and len(names) <= len(AXES):
        resolved = _kinds_by_order(known, cut_order(order, len(names)))
    else:
        resolved = [kind or "batch" for kind in known] if {"time", *order[2:]} <= set(known) else None
    if resolved is None:
        title = f"{source} are" if order else f"{shown(str(data.name))!r} in {source} are"
        raise OptionError(
            f"the dimensions of {title} {shown(', '.join(names))}. Say what they are with"
            f" {option}{'=' if order else ' '}batch,time,feature"
        )
    return tuple(resolved)


def cut_order(order: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the order of so many axes: without the batch, or time alone, where there are fewer."""
    if count == len(order) - 1:
        order = [name for name in order if name != "batch"]
    return tuple(order[:1] if count == 1 and order[0] == "time" else order)


def _kinds_by_order(known: Sequence[str], order: tuple[str, ...]) -> Sequence[str] | None:
    """Return the axes that dimensions are, of which some are not known (""); None where that cannot be told."""
    left = [axis for axis in order if axis not in known]
    if len(known) != len(order) or len(left) != known.count(""):
        return None
    if not left or (len(left) == 1 and order != ("time", "feature")):  # of these two, it might be a batch
        return [kind or left[0] for kind in known]
    return order if all(kind in ("", axis) for kind, axis in zip(known, order, strict=True)) else None


def feature_names(data: Any, feature: str) -> list[str] | None:
    """Return the names along a dimension of features, or None where its coordinate has none."""
    names = data.coords[feature].values if feature in getattr(data, "coords", ()) else np.empty(0)
    return [str(name) for name in names] if names.dtype.kind in "UOT" else None


def array_numbers(data: Any, source: str, kinds: Sequence[str], choose: Choice | None = None) -> NamedNumbers:
    """Return a `DataArray`, whose dimensions are of these kinds, as numbers (time, direction, batch, feature)."""
    dims = dict(zip(kinds, data.dims, strict=True))
    sequence_dims = [name for name, kind in zip(data.dims, kinds, strict=True) if kind == "batch"]
    names = feature_names(data, dims["feature"]) if "feature" in dims else None
    if len(dims) == 1 and getattr(data, "name", None) is not None:
        names = [str(data.name)]
    if choose is not None and names is not None:
        chosen = list(choose(names))
        if "feature" in dims:
            data = data.isel({dims["feature"]: [names.index(name) for name in chosen]})
        names = chosen
    require_memory(data.size, 8, f"reading {source}")
    first, last = ([dims[kind] for kind in kinds_there if kind in dims] for kinds_there in (AXES_BEFORE, AXES[2:]))
    values = array_of("the input", data.transpose(*first, *sequence_dims, *last).values)
    batch = [int(np.prod([data.sizes[name] for name in sequence_dims]))] if sequence_dims else []
    values = values.reshape(*values.shape[: len(first)], *batch, *values.shape[len(first) + len(sequence_dims) :])
    times = data.coords[dims["time"]].values if dims.get("time") in getattr(data, "coords", ()) else None
    return NamedNumbers(
        values,
        None if names is None else tuple(names),
        None if times is None else _names_or_dates(times),
        _sequence_names(data, sequence_dims),
        measures=measures_along(data, dims.get("feature"), names),
        raw_times=None if times is None else RawTimes(times),
    )


def _names_or_dates(values: npt.NDArray[Any]) -> Any:
    """Return the entries of a coordinate or an index: dates as an array, else as names."""
    return values if values.dtype.kind == "M" else tuple(map(str, values))


def _sequence_names(data: Any, dims: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names of a `DataArray`'s sequences, where every dimension that counts them has a coordinate."""
    if not dims or not all(name in getattr(data, "coords", ()) for name in dims):
        return None
    grids = np.meshgrid(*(np.array([str(value) for value in data.coords[name].values]) for name in dims), indexing="ij")
    return tuple(", ".join(names) for names in zip(*(grid.reshape(-1) for grid in grids), strict=True))


def measures_along(data: Any, feature: str | None, names: Sequence[str] | None) -> dict[str, Measure]:
    """Return what the features of a `DataArray` measure, as its coordinates beside them say, or its own attributes."""
    if names is None:
        return {}
    coordinates = {key: data.coords.get(f"{feature}_{key}") for key in ("quantity", "unit")}
    if coordinates["unit"] is None:
        coordinates["unit"] = next((data.coords[key] for key in ("units", "unit") if key in data.coords), None)
    columns = {
        key: [str(entry) for entry in array.values]
        for key, array in coordinates.items()
        if array is not None and array.dims == (feature,)
    }
    shared = data.attrs if len(names) == 1 else {}
    return measures_of(
        {
            name: shared | {key: column[n] for key, column in columns.items() if column[n]}
            for n, name in enumerate(names)
        }
    )


def measures_of(attributes: Mapping[str, Mapping[Any, Any]]) -> dict[str, Measure]:
    """Return the measures of variables by name, as far as their attributes of the CF conventions give them."""
    measures = {}
    for name, stated in attributes.items():
        quantity = next((stated[key] for key in ("quantity", "long_name", "standard_name") if key in stated), name)
        unit = next((stated[key] for key in ("unit", "units") if key in stated), "")
        if unit or quantity != name:
            measures[name] = Measure(str(quantity), str(unit))
    return measures


def unit_notes(source: object, measures: Mapping[str, Measure], known: Mapping[str, Measure]) -> tuple[str, ...]:
    """Return the sentence about features whose units are not the `known` ones of a model, in a tuple; else none."""
    others = [
        f"{shown(name, 60)} in {shown(known[name].unit, 40)}, not {shown(measure.unit, 40)}"
        for name, measure in measures.items()
        if name in known and not same_unit(measure.unit, known[name].unit)
    ]
    listing = join_names(others, most=MOST_NAMES)
    return (f"{source}: the model was trained on other units: {listing}",) if others else ()


def output_numbers(y: Any, source: str = "y", *, last: bool = False) -> NamedNumbers:
    """Return an output, a table or labelled data, as numbers (time, direction, batch, feature), as far as it has these.

    A Dataset has it as its variable y, or a variable for each output. `last` says that it may be the last step's.
    """
    if is_table(y):
        return table_numbers(y, source)
    if hasattr(y, "data_vars"):
        y = y["y"] if "y" in y.data_vars else y.to_dataarray("feature").transpose(..., "feature")
    names = [str(name) for name in y.dims]
    of_last_step = "time" not in names and (last or "batch" in names)
    one_way = y.isel(direction=0) if "direction" in names else y
    kinds = [*dimension_kinds(one_way, None, source, AXES[1:] if of_last_step else AXES)]
    if "direction" in names:
        kinds.insert(names.index("direction"), "direction")
    return array_numbers(y, source, kinds)


# Of pandas.


def is_table(data: object) -> bool:
    """Whether an object is a `DataFrame` or a `Series`."""
    return all(hasattr(data, name) for name in ("index", "to_numpy", "iloc"))


def table_numbers(data: Any, source: str, choose: Choice | None = None) -> NamedNumbers:
    """Return a `DataFrame`, or a `Series` as its only column, as numbers (time, feature).

    Its index has the times; where it only counts rows, a column of dates has them, or a first column under one of
    `TIME_HEADS` that is no feature. What columns measure is in its ``attrs["units"]``.
    """
    units = getattr(data, "attrs", {}).get("units")
    data = data if hasattr(data, "columns") else data.to_frame()
    names: list[str] | None = None
    times, raw = times_of_index(data.index, source)
    origin = ""
    if not all(isinstance(name, (int, np.integer)) for name in data.columns):
        names = [str(name) for name in data.columns]
        column = _time_column(data) if times is None and len(names) > 1 and data.columns.is_unique else None
        chosen = names if choose is None else list(choose(names))
        numeric = column is None or getattr(data.dtypes.iloc[column], "kind", "O") in "fiub"
        if column is not None and not (numeric and names[column] in chosen):
            kind = getattr(data.dtypes.iloc[column], "kind", "O")
            why = "it holds dates" if kind == "M" else "of its name" if kind in "fiub" else "it holds no numbers"
            origin = f"Column {shown(names[column], 60)!r} was read as times because {why}."
            data = data.set_index(data.columns[column])
            times, raw = times_of_index(data.index, source, counts=False, origin=origin)
            names = [str(name) for name in data.columns]
            chosen = names if choose is None else list(choose(names))
        if choose is not None:
            data = data[[name for each in chosen for name in data.columns if str(name) == each]]
        names = chosen
    others = [str(name) for name, kind in data.dtypes.items() if getattr(kind, "kind", "O") not in "fiub"]
    if others:
        raise ShapeError(
            f"{source} must have columns of numbers, but {join_names(map(repr, others), most=10)} is not one. Put"
            " dates into its index with .set_index(…)."
        )
    values = data.to_numpy()
    if values.dtype == object:  # of numbers beside pandas' own NA
        values = data.to_numpy(dtype=np.float64, na_value=np.nan)
    features = None if names is None else tuple(names)
    units = dict.fromkeys(features or (), units) if isinstance(units, str) else units
    by_name = units if isinstance(units, Mapping) else {}
    measures = {str(name): Measure(str(name), str(unit)) for name, unit in by_name.items() if unit}
    return NamedNumbers(values, features, times, measures=measures, raw_times=raw, times_origin=origin)


def _time_column(data: Any) -> int | None:
    """Return the place of the only column of dates in a table, or of a first one with times, as in a .csv file."""
    kinds = [getattr(kind, "kind", "O") for kind in data.dtypes]
    if kinds.count("M") == 1:
        return kinds.index("M")
    if "M" in kinds:
        return None
    if str(data.columns[0]).lower() in TIME_HEADS:
        return 0
    return None if kinds[0] in "fiub" or are_numbers(map(str, data.iloc[:, 0])) else 0


def times_of_index(index: Any, source: str, *, counts: bool = True, origin: str = "") -> tuple[Any, RawTimes]:
    """Return the times of the rows of a table, and the same as they are checked, with their `origin`.

    There are none where integers of its index, which `counts` rows, are no dates.
    """
    if getattr(index, "nlevels", 1) > 1:
        levels = shown(", ".join(map(str, index.names)))
        raise OptionError(
            f"{source} has an index of several levels, {levels}, and its rows are the steps of one sequence:"
            " .to_xarray() keeps them apart"
        )
    index = index.to_timestamp() if hasattr(index, "to_timestamp") and index.dtype.kind == "O" else index
    values = np.asarray(index)
    times = _names_or_dates(values)
    head = "" if index.name is None else str(index.name).lower()
    if values.dtype.kind in "Mm" or head not in TIME_HEADS:
        head = "time" if values.dtype.kind in "Mm" else "index"
    if counts and values.dtype.kind in "iu" and not isinstance(dates_of(times), np.ndarray):
        return None, RawTimes(values, head=head)
    return times, RawTimes(values if values.dtype.kind not in "iu" else times, head=head, origin=origin)
