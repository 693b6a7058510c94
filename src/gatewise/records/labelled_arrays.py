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

VariableTuple = tuple[tuple[str, ...], npt.NDArray[Any], dict[str, str]]  # dimensions, numbers, attributes
TIME = {"standard_name": "time", "long_name": "time", "axis": "T"}  # of dates
AXES = {"time": "step", "batch": "sequence", "unit": "hidden unit", "direction": "direction in time"}  # long names


def quantity_attributes(name: str) -> dict[str, str]:
    """Return the long name and the units of a cell's quantity, as the CF conventions have them."""
    return {"long_name": name.replace("_", " "), "units": "1"}


def output_attributes(labels: Labels, *, of_network: bool) -> dict[str, str]:
    """Return the long name of an output ``y``, and its units if they are known and the same for all outputs.

    The hidden states of a plain LSTM have the units "1"; a network's are known where its outputs have measures.
    """
    measures = {labels.measures.get(name, Measure("")) for name in labels.outputs or ()} or {Measure("")}
    quantities, units = {measure.quantity for measure in measures}, {measure.unit for measure in measures}
    owner = "network" if of_network else "LSTM"
    attributes = {"long_name": (quantities.pop() if len(quantities) == 1 else "") or f"output of the {owner}"}
    unit = units.pop() if len(units) == 1 else ""
    if measures == {Measure("")} and not of_network:
        unit = "1"
    return attributes | ({"units": unit} if unit else {})


def cell_dataset(cell: Any) -> Any:
    """Return a `Trace` as an `xarray.Dataset`: a variable for each kept quantity, with named dimensions and labels."""
    stored, labels, projected = cell.stored, cell.labels, cell.parameters.projection is not None
    variables: dict[str, VariableTuple] = {}
    for name in cell.distinct():
        last = "projected" if projected and name == "hidden_state" else "unit"
        variables[name] = (("time", "batch", last), stored.quantity(name), quantity_attributes(name))
    if cell.input is not None:
        variables["input"] = (("time", "batch", "feature"), cell.input, {"long_name": "input"})
    if cell.valid is not None:
        valid = cell.valid[:: cell.keep.every]
        variables["valid"] = (("time", "batch"), valid, {"long_name": "whether the step is valid"})
    axes = {"time": cell.times, "batch": labels.sequences, "feature": labels.features, "unit": cell.unit_names}
    attributes = {"direction": cell.direction, "engine": cell.engine}
    attributes |= {"edits": cell.edits_said(len(cell.edits))} if cell.edits else {}
    return _run_dataset(variables, axes, "feature", labels.measures, attributes)


class Frame:
    """The columns of a table of a run, with a row for each kept step, and for each sequence if it is `batched`."""

    def __init__(self, times: Sequence[Any], sequences: Sequence[Any], *, batched: bool = True) -> None:
        self.times, self.sequences, self.batched = times, sequences, batched
        self.names: list[tuple[Any, ...]] = []
        self.blocks: list[Array] = []  # (time, batch, unit)

    @classmethod
    def of_cell(cls, cell: Any) -> Frame:
        """Return the table of the run of a `Trace`, without columns."""
        return cls(cell.times, cell.labels.sequences or range(cell.batch_size), batched=cell.batched)

    def add(self, name: tuple[Any, ...], array: Array, units: Sequence[Any] | None) -> None:
        """Add the columns of a quantity of a run (time, batch, unit), one for each unit, which may have names."""
        width = math.prod(array.shape[2:])
        self.names += [(*name, unit) for unit in (range(width) if units is None or len(units) != width else units)]
        self.blocks.append(array.reshape(*array.shape[:2], width))

    def add_cell(self, cell: Any, *names: Any, with_input: bool = True) -> None:
        """Add the columns of a `Trace` of the run, the name of each beginning with `names`."""
        stored, p = cell.stored, cell.parameters
        if with_input and cell.input is not None:
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
        blocks = [block.reshape(len(rows), block.shape[2]) for block in self.blocks] or [np.zeros((len(rows), 0))]
        return pandas.DataFrame(
            np.concatenate(blocks, axis=1), rows, pandas.MultiIndex.from_tuples(self.names, names=levels)
        )


def cell_frame(cell: Any) -> Frame:
    """Return a `Trace` as columns of a table for pandas."""
    frame = Frame.of_cell(cell)
    frame.add_cell(cell)
    return frame


def lstm_frame(run: Any) -> Frame:
    """Return an `LSTMTrace` as columns of a table for pandas: those of its cells, and its output."""
    frame = Frame.of_cell(run.first)
    for (layer, way), cell in run.cells().items():
        frame.add_cell(cell, f"layer_{layer}/{way}")
    frame.add(("output", "y"), run.kept_output, run.labels.outputs)
    return frame


def tree(datasets: Mapping[str, Any]) -> Any:
    """Return an `xarray.DataTree` of the datasets of a run, by their paths in it."""
    with importing("xarray", "to_xarray needs"):
        from xarray import DataTree
    return DataTree.from_dict(datasets)


def labelled_output(
    output: Array, labels: Labels, directions: Sequence[str], times: Any, *, of_network: bool = False
) -> Any:
    """Return the output ``y`` of a run as an `xarray.Dataset`; that of the last step alone has no `times`.

    It is (time, batch, output), or (time, batch, direction, output) of directions that are not merged.
    """
    leading = ("batch",) if times is None else ("time", "batch")
    dimensions = (*leading, *["direction"] * (output.ndim - len(leading) - 1), "output")
    named = labels.outputs is not None and len(labels.outputs) == output.shape[-1]  # not if some units alone were kept
    outputs = labels.outputs if named else None
    axes = {"time": times, "batch": labels.sequences, "direction": directions, "output": outputs}
    attributes = output_attributes(labels, of_network=of_network)
    return _run_dataset({"y": (dimensions, output, attributes)}, axes, "output", labels.measures, {})


def _run_dataset(
    variables: Mapping[str, VariableTuple],
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None],
    measured: str,
    measures: Mapping[str, Measure],
    attributes: Mapping[str, str],
) -> Any:
    """Return quantities of a run as an `xarray.Dataset`; the axis `measured` also has measures as coordinates."""
    used = {dimension for dimensions, *_ in variables.values() for dimension in dimensions}
    named_axes = {name: names for name, names in axes.items() if name in used}
    with importing("xarray", "to_xarray needs"):
        from xarray import Dataset
    return Dataset(variables, coordinates(named_axes, measured, measures), attributes)


def coordinates(
    axes: Mapping[str, npt.NDArray[Any] | Sequence[Any] | None], measured: str, measures: Mapping[str, Measure]
) -> dict[str, Any]:
    """Return xarray's coordinates of axes; the axis `measured` also has the measured quantities and their units."""
    result: dict[str, Any] = {}
    for name, names in axes.items():
        if names is not None:
            values = names if isinstance(names, np.ndarray) else _coordinate_values(names)
            dates = isinstance(values, np.ndarray) and values.dtype.kind == "M"
            result[name] = (name, values, TIME if dates else {"long_name": AXES.get(name, name)})
    names = axes.get(measured)
    if names is not None and any(name in measures for name in names):
        each = [measures.get(name, Measure("")) for name in names]
        for part in Measure._fields:
            attributes = {"long_name": f"{part} of the {measured}"}
            result[f"{measured}_{part}"] = (measured, [getattr(measure, part) for measure in each], attributes)
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
