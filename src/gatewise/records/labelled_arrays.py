"""Arrays with names on their axes: runs as a `Dataset` or a `DataTree` of xarray, or a `DataFrame` of pandas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import importing
from gatewise.records.labels import Labels, Measure


def cell_dataset(cell: Any) -> Any:
    """Return a `Trace` as an `xarray.Dataset`: a variable for each kept quantity, with named dimensions and labels."""
    stored, labels, projected = cell.stored, cell.labels, cell.parameters.projection is not None
    variables: dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]] = {}
    for name in cell.distinct():
        last = "projected" if projected and name == "hidden_state" else "unit"
        variables[name] = (("time", "batch", last), stored.quantity(name))
    if cell.input is not None:
        variables["input"] = (("time", "batch", "feature"), cell.input)
    if cell.valid is not None:
        variables["valid"] = (("time", "batch"), cell.valid[:: cell.keep.every])
    axes = {"time": cell.times, "batch": labels.sequences, "feature": labels.features, "unit": cell.unit_names}
    attributes = {"direction": cell.direction, "engine": cell.engine}
    attributes |= {"edits": cell.edits_said(len(cell.edits))} if cell.edits else {}
    return _run_dataset(variables, axes, "feature", labels.measures, attributes)


class Frame:
    """The columns of a table of a run, with a row for each kept step, and for each sequence if it is `batched`."""

    def __init__(self, cell: Any) -> None:
        self.times, self.batched = cell.times, cell.batched
        self.sequences = cell.labels.sequences or range(cell.batch_size)
        self.names: list[tuple[Any, ...]] = []
        self.blocks: list[Array] = []

    def add(self, name: tuple[str, ...], array: Array, units: Sequence[Any] | None) -> None:
        """Add the columns of a quantity of a run (time, batch, unit), one for each unit, which may have names."""
        width = math.prod(array.shape[2:])
        self.names += [(*name, unit) for unit in (range(width) if units is None or len(units) != width else units)]
        self.blocks.append(array.reshape(len(self.times) * len(self.sequences), width))

    def add_cell(self, cell: Any, *names: str) -> None:
        """Add the columns of a `Trace` of the run, the name of each beginning with `names`."""
        stored, p = cell.stored, cell.parameters
        if cell.input is not None:
            self.add((*names, "input"), cell.input, [cell.labels.feature(k) for k in range(p.input_size)])
        for name in cell.distinct():
            projected = p.projection is not None and name == "hidden_state"
            self.add((*names, name), stored.quantity(name), range(p.recurrent_size) if projected else cell.unit_names)

    def table(self, levels: tuple[str, ...]) -> Any:
        """Return the columns of a run as a `pandas.DataFrame`; `levels` are the names of the levels of its columns."""
        with importing("pandas", "to_dataframe needs"):
            import pandas
        times = _coordinate_values(self.times) if not isinstance(self.times, np.ndarray) else self.times
        rows = pandas.Index(times, name="time")
        if self.batched:
            rows = pandas.MultiIndex.from_product([rows, list(self.sequences)], names=["time", "sequence"])
        blocks = self.blocks or [np.zeros((len(rows), 0))]
        return pandas.DataFrame(
            np.concatenate(blocks, axis=1), rows, pandas.MultiIndex.from_tuples(self.names, names=levels)
        )


def cell_frame(cell: Any) -> Frame:
    """Return a `Trace` as columns of a table for pandas."""
    frame = Frame(cell)
    frame.add_cell(cell)
    return frame


def lstm_frame(run: Any) -> Frame:
    """Return an `LSTMTrace` as columns of a table for pandas: those of its cells, and its output."""
    frame = Frame(run.first)
    for (layer, way), cell in run.cells().items():
        frame.add_cell(cell, f"layer_{layer}/{way}")
    frame.add(("output", "y"), run.kept_output, run.labels.outputs)
    return frame


def tree(datasets: Mapping[str, Any]) -> Any:
    """Return an `xarray.DataTree` of the datasets of a run, by their paths in it."""
    with importing("xarray", "to_xarray needs"):
        from xarray import DataTree
    return DataTree.from_dict(datasets)


def labelled_output(output: Array, labels: Labels, directions: Sequence[str], times: Any) -> Any:
    """Return the output ``y`` of a run as an `xarray.Dataset`; that of the last step alone has no `times`.

    It is (time, batch, output), or (time, batch, direction, output) of directions that are not merged.
    """
    leading = ("batch",) if times is None else ("time", "batch")
    dimensions = (*leading, *["direction"] * (output.ndim - len(leading) - 1), "output")
    named = labels.outputs is not None and len(labels.outputs) == output.shape[-1]  # not if some units alone were kept
    outputs = labels.outputs if named else None
    axes = {"time": times, "batch": labels.sequences, "direction": directions, "output": outputs}
    return _run_dataset({"y": (dimensions, output)}, axes, "output", labels.measures, {})


def _run_dataset(
    variables: Mapping[str, tuple[tuple[str, ...], npt.NDArray[Any]]],
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None],
    measured: str,
    measures: Mapping[str, Measure],
    attributes: Mapping[str, str],
) -> Any:
    """Return quantities of a run as an `xarray.Dataset`; the axis `measured` also has measures as coordinates."""
    used = {dimension for dimensions, _ in variables.values() for dimension in dimensions}
    named_axes = {name: names for name, names in axes.items() if name in used}
    with importing("xarray", "to_xarray needs"):
        from xarray import Dataset
    return Dataset(variables, coordinates(named_axes, measured, measures), attributes)


def coordinates(
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None], measured: str, measures: Mapping[str, Measure]
) -> dict[str, Any]:
    """Return xarray's coordinates of axes; the axis `measured` also has the measured quantities and their units."""
    result: dict[str, Any] = {
        name: names if isinstance(names, np.ndarray) else _coordinate_values(names)
        for name, names in axes.items()
        if names is not None
    }
    names = axes.get(measured)
    if names is not None and any(name in measures for name in names):
        each = [measures.get(name, Measure("")) for name in names]
        result[f"{measured}_quantity"] = (measured, [measure.quantity for measure in each])
        result[f"{measured}_unit"] = (measured, [measure.unit for measure in each])
    return result


def _coordinate_values(names: Sequence[Any]) -> Any:
    """Return names of an axis as a list (xarray reads a tuple otherwise), and dates as an array that xarray keeps."""
    if not len(names) or not isinstance(names[0], np.datetime64):
        return list(names)
    dates = np.array(names)
    nanoseconds = dates.astype("datetime64[ns]")  # which reaches from 1678 to 2262
    if np.array_equal(nanoseconds.astype(dates.dtype), dates, equal_nan=True):
        return nanoseconds
    return dates.astype("datetime64[s]") if np.datetime_data(dates.dtype)[0] in "Dhm" else dates
