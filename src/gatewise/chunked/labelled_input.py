"""The input of a model: labelled data, valid steps and states, each checked before anything runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Mask, numbers
from gatewise.chunked.graph_model import GraphModel
from gatewise.chunked.questions import Selection
from gatewise.errors import OptionError, ShapeError, importing, shown
from gatewise.interop.containers.zarr_stores import open_variable
from gatewise.layers import LSTM
from gatewise.layers.arguments import is_nested, nesting
from gatewise.layers.stack import States
from gatewise.network import Network, Run, Windows
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.step_graph import step_graph
from gatewise.opening.columns import AttributeTable, column_names
from gatewise.records.named_numbers import feature_names, features_by_name, is_table, measures_along, unit_notes
from gatewise.records.times import RawTimes, TimeRules, check_times, time_breaks
from gatewise.showing import counted

Argument = tuple[Any, tuple[str, ...]]  # a DataArray, and its dimensions that are not chunked
DIMS = ("time", "feature")


@dataclass(frozen=True, eq=False)
class LabelledInput:
    """The data for a model: a `DataArray`, the dimension of its steps, and that of its features; None for tokens."""

    data: Any
    model: Network  # of a plain LSTM, one without other parts
    time: str
    feature: str | None
    lags: tuple[tuple[int, int], ...] = ()  # of each feature that is made of these data: `Windows.sources`

    @classmethod
    def of(cls, model: object, data: object, dims: Mapping[str, str] | None, lstm: str | None = None) -> LabelledInput:
        """Return a `DataArray` as the input of a model, its dimensions and numbers checked."""
        if not isinstance(model, (LSTM, Network, GraphNetwork)):
            raise OptionError(f"the model must be an LSTM, a Network or a GraphNetwork, not {type(model).__name__}")
        if lstm is not None and not isinstance(model, GraphNetwork):
            raise OptionError("lstm names one of the LSTMs of a GraphNetwork")
        if not isinstance(data, xarray().DataArray):
            raise OptionError(
                f"the data must be an xarray.DataArray, not {type(data).__name__}. If a Dataset has a variable for each"
                ' feature, pass its .to_dataarray("feature").'
            )
        names = dict(zip(DIMS, DIMS, strict=True))
        if not isinstance(dims or {}, Mapping) or not set(dims or {}) <= set(DIMS):
            raise OptionError(f"dims must map {' and '.join(DIMS)} to dimensions of the data, but is {dims!r}")
        names |= dims or {}
        network = GraphModel(model, lstm) if isinstance(model, GraphNetwork) else model
        network = network if isinstance(network, Network) else Network(network)
        tokens = network.has_tokens if isinstance(network, GraphModel) else network.embedding is not None
        required = [names["time"]] if tokens else [names["time"], names["feature"]]
        for name in required:
            if name not in data.dims:
                raise OptionError(
                    f"the data have no dimension {shown(str(name))!r}; they have"
                    f" {shown(', '.join(map(str, data.dims)))}."
                    " Name them with dims={'time': …, 'feature': …}, or with --axes time,batch,feature of a command."
                )
        if data.dtype.kind not in ("iu" if tokens else "fiub"):
            content = "tokens, which are integers" if tokens else "real numbers"
            raise OptionError(f"the data must hold {content}, not {data.dtype}")
        if isinstance(model, GraphNetwork) and len(data.chunksizes.get(names["time"], ())) > 1:
            step_graph(model.graph)  # which names the node that needs all steps at once
        for name in required:
            require_whole("the data", data, name)
        return cls(data, network, names["time"], None if tokens else names["feature"])

    def in_time_order(self, source: object, rules: TimeRules) -> tuple[LabelledInput, tuple[str, ...]]:
        """Return labelled data with their steps in order of time, and notes on gaps; see `check_times` for errors.

        The coordinate of the steps alone is read.
        """
        if self.time not in self.data.coords:
            if rules.sort:
                raise OptionError(f"{source} cannot be sorted by time: {self.time!r} has no coordinate.")
            return self, ()
        order, _, notes = check_times(RawTimes(self.data.coords[self.time].values), source, rules)
        if order is None:
            return self, notes
        data = self.data.isel({self.time: order})
        return replace(self, data=data if data.chunks is None else data.chunk({self.time: -1})), notes

    def unit_notes(self, source: object) -> tuple[str, ...]:
        """Return the sentence about features whose units are not those of the model, in a tuple; else none."""
        if self.feature is None:
            return ()
        names = feature_names(self.data, self.feature)
        return unit_notes(source, measures_along(self.data, self.feature, names), self.model.labels.measures)

    @property
    def core(self) -> tuple[str, ...]:
        """The dimensions that are not chunked."""
        return (self.time,) if self.feature is None else (self.time, self.feature)

    @property
    def loop(self) -> tuple[str, ...]:
        """The dimensions of the sequences."""
        return tuple(name for name in self.data.dims if name not in self.core)

    @property
    def names(self) -> set[str]:
        """The names of dimensions and coordinates that the result has of the data."""
        coordinates = {name for name, values in self.data.coords.items() if self.feature not in values.dims}
        return {*self.loop, self.time, *coordinates}

    @property
    def time_first(self) -> bool:
        """Whether time comes before all dimensions of sequences."""
        order = self.data.dims
        return all(order.index(self.time) < order.index(name) for name in self.loop)

    @property
    def breaks(self) -> Mask | None:
        """The steps whose dates do not follow the ones before them; None if all do."""
        return time_breaks(self.data.coords[self.time].values) if self.time in self.data.coords else None

    def evaluation(self, state: object, continuous: bool) -> Windows | None:
        """Return the windows of a result; None of a continuous run, which alone begins with a `state`."""
        if continuous and self.model.windows is None:
            raise OptionError(
                "continuous is for a network that is evaluated in windows, and this one is not. Leave it out."
            )
        if self.model.windows is not None and not continuous and state is not None:
            raise OptionError(
                "each window starts from the model's own state. Pass continuous=True to start from another state."
            )
        return None if continuous else self.model.windows

    @property
    def by_itself(self) -> bool:
        """Whether something before the LSTM mixes the sequences of a batch, in their last bits."""
        if isinstance(self.model, GraphModel):
            return True
        return not all(layer.row_by_row for branch in self.model.branches for layer in branch.layers)

    def trial(self, selection: Selection, engine: str) -> Run:
        """Return a run of one step, which shows the variables of the labelled result, or fails as the whole would."""
        if isinstance(self.model, GraphModel):
            return self.model.example_run(engine, selection.options)
        value = 1 if self.model.masked == 0 else 0
        if self.feature is None:
            return self.model.trace(np.full((1, 1), value), engine=engine, **selection.options)
        ones = np.full((1, 1, self.model.num_features), value, self.model.lstm.dtype)
        return self.model.trace(ones, engine=engine, **selection.options)

    def select_features(self, features: Sequence[str] | None) -> LabelledInput:
        """Return labelled data with the features that the model reads, by their names where both have some."""
        if self.feature is None:
            return self
        inputs, data, names = self, self.data, feature_names(self.data, self.feature)
        if features is not None and len(features) == self.model.num_features and names is not None:
            columns = features if self.model.windows is None else self.model.windows.columns(features)
            features_by_name(columns, names, "the data")
            if names != list(columns):
                inputs = replace(self, data=data.isel({self.feature: [names.index(name) for name in columns]}))
            if self.model.windows is not None and self.model.windows.lags:
                return replace(inputs, lags=self.model.windows.sources(features, columns))
        count = inputs.data.sizes[self.feature]
        if count != self.model.num_features:
            raise ShapeError(f"the data have {counted(count, 'feature')}; the model reads {self.model.num_features}")
        return inputs

    def with_attributes(self, attributes: Any, features: Sequence[str] | None) -> LabelledInput:
        """Return labelled data with the attributes of each basin, by name or from tables, as features at every step.

        The basins are the dimension of sequences whose coordinate has their ids. A feature that the data have stays.
        """
        if attributes is None or (not is_table(attributes) and not attributes):
            return self
        names = None if self.feature is None else feature_names(self.data, self.feature)
        if features is None or names is None:
            whose = "a model" if features is None else "data"
            raise OptionError(f"attributes need {whose} whose features have names")
        asked, coordinates = {*features} - {*names}, {}
        if isinstance(attributes, Mapping):
            rows = [{str(name): float(value) for name, value in attributes.items() if name in asked}]
        else:
            single = is_table(attributes) or isinstance(attributes, (str, os.PathLike))
            tables = [AttributeTable.of(table) for table in ([attributes] if single else attributes)]
            basins = self._basins(tables[0])
            coordinates, rows = {basins.name: basins.values}, []
            for basin in map(str, basins.values):
                rows.append({name: value for table in tables for name, value in table.attributes(basin, asked).items()})
        if not rows or not rows[0]:
            return self
        values = np.array([[*row.values()] for row in rows])
        coordinates[self.feature] = [*rows[0]]
        static = xarray().DataArray(values if len(coordinates) > 1 else values[0], coordinates, [*coordinates])
        like = self.data.isel({self.feature: [0] * len(rows[0])}).assign_coords({self.feature: [*rows[0]]})
        if self.data.chunks is None:
            static = static.broadcast_like(like).transpose(*self.data.dims)
            return replace(self, data=xarray().concat([self.data, static], dim=self.feature))
        static = static.chunk().broadcast_like(like).transpose(*self.data.dims).chunk(like.chunksizes)
        return replace(self, data=xarray().concat([self.data, static], dim=self.feature).chunk({self.feature: -1}))

    def _basins(self, table: AttributeTable) -> Any:
        """Return the coordinate of the dimension whose entries are basins of a table, or raise OptionError."""
        coordinates = [self.data.coords[name] for name in self.loop if name in self.data.coords]
        for coordinate in coordinates:
            if len(self.loop) == 1 or {*map(str, coordinate.values)} <= table.by_basin.keys():
                return coordinate
        raise OptionError(
            f"attributes go with data that have a dimension of basins, with their ids in the first column of"
            f" {table.path} as its coordinate; the dimensions besides {', '.join(map(str, self.core))} are"
            f" {shown(', '.join(map(str, self.loop))) or 'none'}"
        )


def stored_data(path: Path, key: str | None, dims: Mapping[str, str] | None, model: object) -> Any:
    """Return a variable of a zarr store in chunks of whole sequences, as many as the store's own chunks hold.

    Variables that are called as the features of the model are one.
    """
    data = open_variable(path, key, column_names(model if isinstance(model, Network) else None))
    core = {(dims or {}).get(name, name) for name in DIMS}
    return in_chunks(data, core, data.encoding.get("preferred_chunks", {}))


def in_chunks(data: Any, core: Collection[str], sizes: Mapping[str, int]) -> Any:
    """Return data in chunks of whole sequences with these sizes; `core` are the dimensions of time and features."""
    return data.chunk({name: -1 if name in core else sizes.get(name, 1) for name in data.dims})


def validity_arguments(inputs: LabelledInput, lengths: Any, mask: Any) -> tuple[list[Argument], tuple[str, ...]]:
    """Return the lengths or the mask as an argument of `apply_ufunc` beside the data, and its name."""
    if lengths is not None and mask is not None:
        raise OptionError("give lengths or a mask, not both")
    name, array, core = ("lengths", lengths, ()) if mask is None else ("mask", mask, (inputs.time,))
    if array is None:
        return [], ()
    dims = (*core, *inputs.loop)
    if not isinstance(array, xarray().DataArray):
        if np.ndim(array) != len(dims):
            raise ShapeError(f"{name} must have the dimensions {', '.join(dims)}, or be a DataArray with some of them")
        array = xarray().DataArray(np.asarray(array), dims=dims)
    kinds, content = ("iu", "integers") if mask is None else ("b", "true or false")
    if array.dtype.kind not in kinds:
        raise OptionError(f"{name} must be {content}, not {array.dtype}")
    return [_as_argument(inputs, name, array, core)], (name,)


def state_arguments(inputs: LabelledInput, state: States | None) -> list[Argument]:
    """Return initial states as arguments of `apply_ufunc` beside the data."""
    if state is None:
        return []
    zeros = inputs.model.lstm.zero_state()
    if not is_nested(state, zeros):
        raise ShapeError(f"the state must have {nesting(inputs.model.lstm)}, each a State(h, c)")
    arguments = []
    for number, (row, blank) in enumerate(zip(state, zeros, strict=True)):
        for direction, pair, zero in zip(inputs.model.lstm.directions, row, blank, strict=True):
            for letter, part, empty in zip("hc", pair, zero, strict=True):
                name = f"{letter} of layer {number}, {direction},"
                arguments.append(_state_argument(inputs, name, part, len(empty)))
    return arguments


def _state_argument(inputs: LabelledInput, name: str, part: Any, size: int) -> Argument:
    """Return an initial h or c of one cell as an argument of `apply_ufunc`: (unit,), or also over the sequences."""
    unit = name.replace(" ", "_")  # a dimension of no other array
    if isinstance(part, xarray().DataArray):
        rest = [dim for dim in part.dims if dim not in inputs.loop]
        shape = tuple(part.sizes[dim] for dim in rest)
        if part.dtype.kind not in "fiub":
            raise OptionError(f"{name} must hold real numbers, not {part.dtype}")
        if shape == (size,):
            require_whole(name, part, rest[0])
            return _as_argument(inputs, name, part.rename({rest[0]: unit}).drop_vars(unit, errors="ignore"), (unit,))
    else:
        part = numbers(name, part, inputs.model.lstm.dtype)
        if part.shape == (size,):
            return xarray().DataArray(part, dims=(unit,)), (unit,)
        shape = part.shape
    raise ShapeError(
        f"{name} has shape {shape} beside the dimensions of the sequences; it must be ({size},). If it differs"
        " from sequence to sequence, pass a DataArray."
    )


def _as_argument(inputs: LabelledInput, name: str, array: Any, core: tuple[str, ...]) -> Argument:
    """Return a DataArray as an argument of `apply_ufunc`, if its dimensions and coordinates are those of the data."""
    if extra := [dim for dim in array.dims if dim not in (*core, *inputs.loop)]:
        raise ShapeError(f"{name} has a dimension {shown(str(extra[0]))!r}, which the data's sequences do not have")
    if missing := [dim for dim in core if dim not in array.dims]:
        raise ShapeError(f"{name} must have the dimension {missing[0]!r}")
    for dim in core:
        require_whole(name, array, dim)
    try:
        xarray().align(inputs.data, array, join="exact", copy=False)
    except ValueError:
        raise ShapeError(
            f"{name} and the data must have the same sizes and coordinates where they share dimensions"
        ) from None
    return array, core


def require_whole(name: str, array: Any, dim: str) -> None:
    """Raise ShapeError where a dimension of labelled data is in several chunks."""
    count = len(array.chunksizes.get(dim, ()))
    if count > 1:
        raise ShapeError(
            f"{name} are in {count} chunks along {dim!r}. Each step needs the previous one, so they must be in one"
            f" chunk: .chunk({{{dim!r}: -1}})"
        )


def xarray() -> Any:
    """Return the package xarray, or raise MissingExtraError."""
    with importing("xarray", "apply needs"):
        import xarray
    return xarray
