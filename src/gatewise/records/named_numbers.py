"""Numbers with the names that came with them: of pandas' tables, xarray's arrays, and arrays on named axes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, Array, array_of, numbers, require_memory, split_names
from gatewise.errors import OptionError, ShapeError, join_names, shown
from gatewise.records.labels import Labels, Measure

TIME_HEADS = ("", "time", "times", "date", "datetime", "timestamp", "step", "t", "index")  # of a table's first column
Choice = Callable[[Sequence[str]], Sequence[str]]  # of the features to take among those that there are
MOST_NAMES = 10  # that a sentence lists
AXES_BEFORE = ("time", "direction")  # before the batch
OUTPUT_AXES = ("output", "unit")
_DATE = re.compile(r"\d{4}([-/])\d\d(\1\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?)?")
_OTHER_DATE = re.compile(  # compact, without leading zeros, with points, or with a time zone
    r"(\d{4})(?:([-/.])(\d\d?)\2(\d\d?)|(\d\d)(\d\d))"
    r"(?:[T ](\d\d?)(?::?(\d\d)(?::?(\d\d(?:\.\d{1,9})?))?)?(Z|[+-]\d\d:?\d\d|[+-]\d\d)?)?"
)


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
    """

    values: Array
    features: tuple[str, ...] | None = None
    times: Sequence[str] | Any = None
    sequences: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)
    dtype: Any = None

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


def dates_of(times: Sequence[str] | Any) -> Any:
    """Return times as dates where all are written year first, in UTC, which gives steps a length; else as names."""
    if isinstance(times, np.ndarray):
        return times
    try:
        if all(map(_DATE.fullmatch, times)):
            return np.array([time.replace("/", "-") for time in times], "datetime64")
        matches = [_OTHER_DATE.fullmatch(time) for time in times]
        return times if None in matches else np.array([_utc(match) for match in matches if match is not None])
    except ValueError:  # the 31st of February
        return times


def undated_note(times: Any) -> str:
    """Return the sentence about times of a series that are not read as dates; empty where there are dates or none."""
    if times is None or not len(times) or not isinstance(times[0], str) or isinstance(dates_of(times), np.ndarray):
        return ""
    return f"{shown(times[0], 40)!r} is not read as a date, such as 2000-01-31, so that a gap between steps is not seen"


def _utc(match: re.Match[str]) -> np.datetime64:
    """Return the date in the groups of `_OTHER_DATE`, in UTC."""
    year, _, month, day, compact_month, compact_day, hour, minute, second, zone = match.groups()
    date = f"{year}-{month or compact_month:0>2}-{day or compact_day:0>2}"
    if hour is None:
        return np.datetime64(date)
    instant = np.datetime64(f"{date}T{hour:0>2}:{minute or '00'}" + (f":{second}" if second else ""))
    if zone in (None, "Z"):
        return instant
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    return instant - np.timedelta64((60 * hours + minutes) * (-1 if zone[0] == "-" else 1), "m")


def features_by_name(reads: Sequence[str], names: Sequence[str], source: object = "x", hint: str = "") -> list[str]:
    """Return the features that a model reads by name; raise OptionError unless each is once among the `names`.

    `hint` is the end of the error about features that are not among them.
    """
    counts = {name: list(names).count(name) for name in reads}
    missing = [name for name, count in counts.items() if not count]
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise OptionError(f"{source} has {counts[repeated[0]]} columns called {shown(repeated[0], 60)!r}")
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
    measures = {str(name): _measure(str(name), data[name].attrs) for name in getattr(data, "data_vars", ())}
    if hasattr(data, "data_vars"):
        if not measures:
            raise OptionError(f"{source} is a Dataset without variables; each of them is a feature")
        if choose is not None:
            data, choose = data[[*choose([*measures])]], None
        data = data.to_dataarray("feature").transpose(..., "feature")
    kinds = dimension_kinds(data, axes, source, order)
    named = array_numbers(data, source, kinds, choose)
    known = {name: measure for name, measure in measures.items() if measure is not None}
    return replace(named, measures=known | {**named.measures}), dict(zip(map(str, data.dims), kinds, strict=True))


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
            f"the dimensions of {title} {shown(', '.join(names))}: {option} says what they are, for example"
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
    return NamedNumbers(
        values,
        None if names is None else tuple(names),
        _names_or_dates(data.coords[dims["time"]].values) if dims.get("time") in getattr(data, "coords", ()) else None,
        _sequence_names(data, sequence_dims),
        measures=_measures_of(data, dims.get("feature"), names),
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


def _measures_of(data: Any, feature: str | None, names: Sequence[str] | None) -> dict[str, Measure]:
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
    measures = {}
    for n, name in enumerate(names):
        attributes = shared | {key: column[n] for key, column in columns.items() if column[n]}
        if (measure := _measure(name, attributes)) is not None:
            measures[name] = measure
    return measures


def _measure(name: str, attributes: Mapping[Any, Any]) -> Measure | None:
    """Return what a variable with attributes of the CF conventions measures; None where they do not say."""
    quantity = next((attributes[key] for key in ("quantity", "long_name", "standard_name") if key in attributes), name)
    unit = next((attributes[key] for key in ("unit", "units") if key in attributes), "")
    return Measure(str(quantity), str(unit)) if unit or quantity != name else None


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
    times = _times_of_index(data.index, source)
    if not all(isinstance(name, (int, np.integer)) for name in data.columns):
        names = [str(name) for name in data.columns]
        column = _time_column(data) if times is None and len(names) > 1 and data.columns.is_unique else None
        chosen = names if choose is None else list(choose(names))
        numeric = column is None or getattr(data.dtypes.iloc[column], "kind", "O") in "fiub"
        if column is not None and not (numeric and names[column] in chosen):
            data = data.set_index(data.columns[column])
            times, names = _times_of_index(data.index, source, counts=False), [str(name) for name in data.columns]
            chosen = names if choose is None else list(choose(names))
        if choose is not None:
            data = data[[name for each in chosen for name in data.columns if str(name) == each]]
        names = chosen
    others = [str(name) for name, kind in data.dtypes.items() if getattr(kind, "kind", "O") not in "fiub"]
    if others:
        raise ShapeError(
            f"{source} must have columns of numbers, and {join_names(map(repr, others), most=10)} is not one; dates go"
            " into its index: .set_index(…)"
        )
    values = data.to_numpy()
    if values.dtype == object:  # of numbers beside pandas' own NA
        values = data.to_numpy(dtype=np.float64, na_value=np.nan)
    features = None if names is None else tuple(names)
    units = dict.fromkeys(features or (), units) if isinstance(units, str) else units
    by_name = units if isinstance(units, Mapping) else {}
    measures = {str(name): Measure(str(name), str(unit)) for name, unit in by_name.items() if unit}
    return NamedNumbers(values, features, times, measures=measures)


def _time_column(data: Any) -> int | None:
    """Return the place of the only column of dates in a table, or of a first one with times, as in a .csv file."""
    dated = [place for place, kind in enumerate(data.dtypes) if getattr(kind, "kind", "O") == "M"]
    if len(dated) == 1:
        return dated[0]
    named = str(data.columns[0]).lower() in TIME_HEADS
    return 0 if not dated and (named or getattr(data.dtypes.iloc[0], "kind", "O") not in "fiub") else None


def _times_of_index(index: Any, source: str, *, counts: bool = True) -> Any:
    """Return the times of the rows of a table; None where integers of its index, which `counts` rows, are no dates."""
    if getattr(index, "nlevels", 1) > 1:
        levels = shown(", ".join(map(str, index.names)))
        raise OptionError(
            f"{source} has an index of several levels, {levels}, and its rows are the steps of one sequence:"
            " .to_xarray() keeps them apart"
        )
    index = index.to_timestamp() if hasattr(index, "to_timestamp") and index.dtype.kind == "O" else index
    values = np.asarray(index)
    times = _names_or_dates(values)
    return None if counts and values.dtype.kind in "iu" and not isinstance(dates_of(times), np.ndarray) else times
