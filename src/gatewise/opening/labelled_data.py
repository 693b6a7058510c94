"""Labelled data of xarray and tables of pandas as numbers with names; zarr stores; features by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import numbers, require_memory
from gatewise.errors import OptionError, ShapeError, shown
from gatewise.opening.columns import FeatureSelection, NamedNumbers

STORE_MARKS = ("zarr.json", ".zgroup")


def is_labelled(data: object) -> bool:
    """Whether an object is an `xarray.DataArray` or a `Dataset`."""
    return type(data).__module__.partition(".")[0] == "xarray" and hasattr(data, "dims")


def is_table(data: object) -> bool:
    """Whether an object is a `DataFrame`."""
    return all(hasattr(data, name) for name in ("columns", "index", "to_numpy"))


def is_store(path: Path) -> bool:
    """Whether a path is that of a zarr store, or has its ending."""
    return path.suffix.lower() == ".zarr" or any(os.path.isfile(path / name) for name in STORE_MARKS)


def open_store(path: Path, key: str | None) -> Any:
    """Return a variable of a zarr store as a `DataArray` whose numbers are read when they are needed."""
    from gatewise.interop.containers.zarr_stores import open_variable

    return open_variable(path.absolute(), key)


def reading_store(path: Path) -> AbstractContextManager[None]:
    """Raise whatever goes wrong within the block, where a store's numbers are read, as one of gatewise's errors."""
    from gatewise.interop.containers.zarr_stores import reading

    return reading(path)


def dimension_names(data: Any, axes: str | Sequence[str] | None, source: str | Path) -> dict[str, str]:
    """Return an input's dimensions (of a `DataArray`) of time and feature; data without features are tokens.

    `axes` names each dimension ``time``, ``batch`` or ``feature``; by default those that are called time and feature
    are. `source` says in errors where the data come from.
    """
    names = [str(name) for name in data.dims]
    if axes is None:
        if "time" not in names:
            raise OptionError(
                f"the dimensions of {shown(str(data.name))!r} in {source} are {shown(', '.join(names))}: --axes says"
                " what they are, for example --axes batch,time,feature"
            )
        return {name: name for name in ("time", "feature") if name in names}
    kinds = [kind.strip() for kind in (axes.split(",") if isinstance(axes, str) else axes)]
    repeated = {kind for kind in kinds if kind != "batch" and kinds.count(kind) > 1}
    if len(kinds) != len(names) or repeated or not {"time"} <= set(kinds) <= {"time", "batch", "feature"}:
        raise OptionError(
            f"--axes must say of each dimension, {shown(', '.join(names))}, whether it is time, batch or feature,"
            f" not {axes!r}"
        )
    return {kind: name for kind, name in zip(kinds, names, strict=True) if kind != "batch"}


def feature_names(data: Any, feature: str) -> list[str] | None:
    """Return the names along a dimension of features, or None where its coordinate has none."""
    names = data.coords[feature].values if feature in data.coords else np.empty(0)
    return [str(name) for name in names] if names.dtype.kind in "UOT" else None


def array_numbers(
    data: Any, source: str, axes: str | Sequence[str] | None, selection: FeatureSelection | None
) -> tuple[NamedNumbers, tuple[str, ...]]:
    """Return an opened input's `DataArray`, or `Dataset` with a variable for each feature, as numbers, and their axes.

    All dimensions but the time and the feature count sequences; without any there is no batch.
    """
    if hasattr(data, "data_vars"):
        data = data.to_dataarray("feature")
    dims = dimension_names(data, axes, source)
    sequence_dims = [name for name in map(str, data.dims) if name not in dims.values()]
    notes: tuple[str, ...] = ()
    names = feature_names(data, dims["feature"]) if "feature" in dims else None
    if selection is not None and names is not None:
        chosen, notes = selection.choose(source, names)
        data, names = data.isel({dims["feature"]: [names.index(name) for name in chosen]}), chosen
    require_memory(data.size, 8, f"reading {source}")
    ordered = data.transpose(dims["time"], *sequence_dims, *([dims["feature"]] if "feature" in dims else []))
    values = np.array(numbers("the input", ordered.values))
    batch = [int(np.prod([data.sizes[name] for name in sequence_dims]))] if sequence_dims else []
    order = ("time", *["batch"] * bool(sequence_dims), *["feature"] * ("feature" in dims))
    values = values.reshape(len(values), *batch, *values.shape[1 + len(sequence_dims) :])
    features = None if names is None else tuple(names)
    times, sequences = _times_of(data, dims["time"]), _sequence_names(data, sequence_dims)
    return NamedNumbers(values, features, times, sequences, notes), order


def _times_of(data: Any, time: str) -> Any:
    """Return the times of the steps of a `DataArray`, dates as an array, else as names; None without a coordinate."""
    if time not in data.coords:
        return None
    values = data.coords[time].values
    return values if values.dtype.kind == "M" else tuple(map(str, values))


def _sequence_names(data: Any, dims: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names of a `DataArray`'s sequences, where every dimension that counts them has a coordinate."""
    if not dims or not all(name in data.coords for name in dims):
        return None
    grids = np.meshgrid(*(np.array([str(value) for value in data.coords[name].values]) for name in dims), indexing="ij")
    return tuple(", ".join(names) for names in zip(*(grid.reshape(-1) for grid in grids), strict=True))


def table_numbers(data: Any, source: str, selection: FeatureSelection | None) -> NamedNumbers:
    """Return a `DataFrame` as numbers (time, feature); its index has the times, unless it only counts rows."""
    names: list[str] | None = None
    notes: tuple[str, ...] = ()
    if not all(isinstance(name, (int, np.integer)) for name in data.columns):
        names = [str(name) for name in data.columns]
        if selection is not None:
            names, notes = selection.choose(source, names)
            data = data[[name for chosen in names for name in data.columns if str(name) == chosen]]
    values = data.to_numpy()
    if values.dtype.kind not in "fiub":
        raise ShapeError(f"{source} must have columns of numbers; {values.dtype} is the type that holds all of them")
    index = np.asarray(data.index)
    times = None if index.dtype.kind in "iu" else index if index.dtype.kind == "M" else tuple(map(str, index))
    return NamedNumbers(
        np.array(numbers("the input", values)), None if names is None else tuple(names), times, notes=notes
    )
