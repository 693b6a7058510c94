"""Arrays with names on their axes: traces as a `Dataset` or a `DataTree` of xarray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import importing
from gatewise.records.labels import Labels, Measure


def dataset(
    quantities: Mapping[str, Array],
    *,
    input: Array | None,
    valid: Mask | None,
    projected: bool,
    times: npt.NDArray[Any] | Sequence[str] | Sequence[np.datetime64],
    sequences: Sequence[str] | None,
    features: Sequence[str] | None,
    measures: Mapping[str, Measure],
    units: Sequence[str | int],
    attributes: Mapping[str, str],
) -> Any:
    """Return an `xarray.Dataset`: a variable for each array, with named dimensions and labels on them.

    Parameters
    ----------
    quantities : dict of arrays (time, batch, unit)
        By name; of a `projected` cell, the hidden state has an axis of its own in place of the units.
    input : array (time, batch, feature) or None
    valid : boolean array (time, batch) or None
    times, sequences, features, units : sequence
        What stands at each place of the four axes; None where an axis has no labels.
    measures : mapping
        What features measure, by their names.
    attributes : dict of str

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    """
    variables: dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]] = {}
    for name, array in quantities.items():
        last = "projected" if projected and name == "hidden_state" else "unit"
        variables[name] = (("time", "batch", last), array)
    if input is not None:
        variables["input"] = (("time", "batch", "feature"), input)
    if valid is not None:
        variables["valid"] = (("time", "batch"), valid)
    axes = {"time": times, "batch": sequences, "feature": features, "unit": units}
    return _labelled(variables, axes, "feature", measures, attributes)


def tree(output: Array, labels: Labels, directions: Sequence[str], cells: Mapping[str, Any]) -> Any:
    """Return an `xarray.DataTree` of the datasets of all cells, and of the LSTM's output.

    Parameters
    ----------
    output : array (time, batch, output), or (time, batch, direction, output) of directions that are not merged
    labels : Labels
        Of the run.
    directions : sequence of str
    cells : dict of Dataset
        By their paths in the tree.

    Raises
    ------
    MissingExtraError
        If xarray is not installed, or is older than its `DataTree`.
    """
    dimensions = ("time", "batch", *["direction"] * (output.ndim - 3), "output")
    times = np.arange(len(output)) if labels.times is None else labels.times
    axes = {"time": times, "batch": labels.sequences, "direction": directions, "output": labels.outputs}
    whole = _labelled({"y": (dimensions, output)}, axes, "output", labels.measures, {})
    with importing("xarray", "to_xarray needs"):
        from xarray import DataTree
    return DataTree.from_dict({"output": whole, **cells})


def _labelled(
    variables: Mapping[str, tuple[tuple[str, ...], npt.NDArray[Any]]],
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None],
    measured: str,
    measures: Mapping[str, Measure],
    attributes: Mapping[str, str],
) -> Any:
    """Return a Dataset; the axis whose names are `measured` also has coordinates of what is measured, and its unit."""
    used = {dimension for dimensions, _ in variables.values() for dimension in dimensions}
    found = {name: names for name, names in axes.items() if name in used}
    with importing("xarray", "to_xarray needs"):
        from xarray import Dataset
    return Dataset(variables, coordinates(found, measured, measures), attributes)


def coordinates(
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None], measured: str, measures: Mapping[str, Measure]
) -> dict[str, Any]:
    """Return the coordinates of axes; the one whose names are `measured` also has what is measured, and its unit."""
    found: dict[str, Any] = {
        name: names if isinstance(names, np.ndarray) else _plain(names)
        for name, names in axes.items()
        if names is not None
    }
    names = axes.get(measured)
    if names is not None and any(name in measures for name in names):
        each = [measures.get(name, Measure("")) for name in names]
        found[f"{measured}_quantity"] = (measured, [one.quantity for one in each])
        found[f"{measured}_unit"] = (measured, [one.unit for one in each])
    return found


def _plain(names: Sequence[Any]) -> Any:
    """Return names as a list, for a tuple is more than a list to xarray, and dates as an array that xarray keeps."""
    if not len(names) or not isinstance(names[0], np.datetime64):
        return list(names)
    dates = np.array(names)
    fine = dates.astype("datetime64[ns]")  # which reaches from 1678 to 2262
    if np.array_equal(fine.astype(dates.dtype), dates, equal_nan=True):
        return fine
    return dates.astype("datetime64[s]") if np.datetime_data(dates.dtype)[0] in "Dhm" else dates
