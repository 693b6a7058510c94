"""What a model is to run over: labelled data, which steps are valid, and states; each checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.arrays import numbers
from gatewise.chunked.wanted import Run, Wanted
from gatewise.errors import OptionError, ShapeError, importing, shown
from gatewise.layers import LSTM
from gatewise.layers.arguments import nesting
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.showing import counted

Argument = tuple[Any, tuple[str, ...]]  # a DataArray, and those of its dimensions that a chunk has whole
DIMS = ("time", "feature")


@dataclass(frozen=True, eq=False)
class Input:
    """The data.

    Attributes
    ----------
    data : DataArray
    model : LSTM or Network
    time : str
        The dimension of the steps.
    feature : str or None
        That of the features; None where the data are tokens.
    """

    data: Any
    model: LSTM | Network
    time: str
    feature: str | None

    @classmethod
    def of(cls, model: object, data: object, dims: Mapping[str, str] | None) -> Input:
        """Return the data for a model, checked.

        Raises
        ------
        OptionError, ShapeError
            If they are no DataArray, have other dimensions, or do not fit the model.
        MissingExtraError
            If xarray is not installed.
        """
        if not isinstance(model, (LSTM, Network)):
            raise OptionError(f"the model must be an LSTM or a Network, not {type(model).__name__}")
        if not isinstance(data, xarray().DataArray):
            raise OptionError(
                f"the data must be an xarray.DataArray, not {type(data).__name__}; of a Dataset with a variable for"
                ' each feature, .to_dataarray("feature") makes one'
            )
        names = dict(zip(DIMS, DIMS, strict=True))
        if not isinstance(dims or {}, Mapping) or not set(dims or {}) <= set(DIMS):
            raise OptionError(f"dims must map {' and '.join(DIMS)} to dimensions of the data, not be {dims!r}")
        names |= dims or {}
        tokens = isinstance(model, Network) and model.embedding is not None
        wanted = [names["time"]] if tokens else [names["time"], names["feature"]]
        for name in wanted:
            if name not in data.dims:
                raise OptionError(
                    f"the data have no dimension {shown(str(name))!r}, but {shown(', '.join(map(str, data.dims)))};"
                    " dims={'time': …, 'feature': …} says which they are"
                )
        found = cls(data, model, names["time"], None if tokens else names["feature"])
        found._require_numbers()
        return found

    def _require_numbers(self) -> None:
        kind, allowed = self.data.dtype.kind, "iu" if self.feature is None else "fiub"
        if kind not in allowed:
            what = "tokens, which are integers" if self.feature is None else "real numbers"
            raise OptionError(f"the data must hold {what}, not {self.data.dtype}")
        for name in self.core:
            require_whole("the data", self.data, name)

    @property
    def core(self) -> tuple[str, ...]:
        """The dimensions that a chunk has whole."""
        return (self.time,) if self.feature is None else (self.time, self.feature)

    @property
    def loop(self) -> tuple[str, ...]:
        """The dimensions of the sequences."""
        return tuple(name for name in self.data.dims if name not in self.core)

    @property
    def names(self) -> set[str]:
        """The names of dimensions and coordinates that the result has of the data."""
        coordinates = {name for name, one in self.data.coords.items() if self.feature not in one.dims}
        return {*self.loop, self.time, *coordinates}

    @property
    def time_first(self) -> bool:
        """Whether time comes before all dimensions of sequences."""
        order = self.data.dims
        return all(order.index(self.time) < order.index(name) for name in self.loop)

    @property
    def lstm(self) -> LSTM:
        """The LSTM of the model."""
        return self.model.lstm if isinstance(self.model, Network) else self.model

    @property
    def num_features(self) -> int:
        """How many features the model reads."""
        return self.model.num_features if isinstance(self.model, Network) else self.model.input_size

    @property
    def by_itself(self) -> bool:
        """Whether something before the LSTM mixes the sequences of a batch, in their last bits."""
        branches = self.model.branches if isinstance(self.model, Network) else ()
        return not all(layer.row_by_row for branch in branches for layer in branch.layers)

    def trial(self, wanted: Wanted, engine: str) -> Run:
        """Return a run over one step of one sequence, which shows what there will be and what goes wrong."""
        masked = self.model.masked if isinstance(self.model, Network) else None
        value = 1 if masked == 0 else 0
        if self.feature is None:
            return self.model.trace(np.full((1, 1), value), engine=engine, **wanted.options)
        ones = np.full((1, 1, self.num_features), value, self.lstm.dtype)
        return self.model.trace(ones, engine=engine, **wanted.options)

    def named(self, features: Sequence[str] | None) -> Input:
        """Return the data with the features that the model reads, by their names where both have some.

        Raises
        ------
        OptionError
            If one of them is not in the data, or there more than once.
        ShapeError
            If there are more or fewer than the model reads.
        """
        if self.feature is None:
            return self
        found, data, names = self, self.data, names_of(self.data, self.feature)
        if features is not None and len(features) == self.num_features and names is not None:
            if missing := [name for name in features if name not in names]:
                raise OptionError(
                    f"the model reads the feature {shown(missing[0])!r}, which is not in the data:"
                    f" {shown(', '.join(names))}"
                )
            if twice := [name for name in features if names.count(name) > 1]:
                raise OptionError(
                    f"the model reads the feature {shown(twice[0])!r}, which is {names.count(twice[0])} times in the"
                    f" data: {shown(', '.join(names))}"
                )
            if names != list(features):
                found = replace(self, data=data.isel({self.feature: [names.index(name) for name in features]}))
        count = found.data.sizes[self.feature]
        if count != self.num_features:
            raise ShapeError(f"the data have {counted(count, 'feature')}; the model reads {self.num_features}")
        return found


def names_of(data: Any, feature: str) -> list[str] | None:
    """Return the names that data give their features, or None where they give none."""
    own = data.coords[feature].values if feature in data.coords else np.empty(0)
    return [str(one) for one in own] if own.dtype.kind in "UOT" else None


def steps_of(given: Input, lengths: Any, mask: Any) -> tuple[list[Argument], tuple[str, ...]]:
    """Return the lengths or the mask as an argument beside the data, and its name.

    Raises
    ------
    OptionError, ShapeError
        If both are given, or one does not fit the data.
    """
    if lengths is not None and mask is not None:
        raise OptionError("give lengths or a mask, not both")
    name, found, core = ("lengths", lengths, ()) if mask is None else ("mask", mask, (given.time,))
    if found is None:
        return [], ()
    dims = (*core, *given.loop)
    if not isinstance(found, xarray().DataArray):
        if np.ndim(found) != len(dims):
            raise ShapeError(f"{name} must have the dimensions {', '.join(dims)}, or be a DataArray with some of them")
        found = xarray().DataArray(np.asarray(found), dims=dims)
    kinds, what = ("iu", "integers") if mask is None else ("b", "true or false")
    if found.dtype.kind not in kinds:
        raise OptionError(f"{name} must be {what}, not {found.dtype}")
    return [_fitting(given, name, found, core)], (name,)


def states_of(given: Input, state: States | None) -> tuple[list[Argument], tuple[int, ...]]:
    """Return the states that runs start from as arguments beside the data, and how many directions each layer has.

    Raises
    ------
    ShapeError
        If they do not fit the model or the data.
    """
    if state is None:
        return [], ()
    zeros = given.lstm.zero_state()
    try:
        fits = [[len(one) for one in row] for row in state] == [[2 for _ in row] for row in zeros]
    except TypeError:
        fits = False
    if not fits:
        raise ShapeError(f"the state must have {nesting(given.lstm)}, each a State(h, c)")
    found = []
    for number, (row, blank) in enumerate(zip(state, zeros, strict=True)):
        for way, one, zero in zip(given.lstm.directions, row, blank, strict=True):
            for letter, part, empty in zip("hc", one, zero, strict=True):
                what = f"{letter} of layer {number}, {way},"
                found.append(_state(given, what, part, len(empty)))
    return found, tuple(len(row) for row in zeros)


def _state(given: Input, what: str, part: Any, size: int) -> Argument:
    own = what.replace(" ", "_")  # a dimension that nothing else has
    if isinstance(part, xarray().DataArray):
        rest = [name for name in part.dims if name not in given.loop]
        shape = tuple(part.sizes[name] for name in rest)
        if part.dtype.kind not in "fiub":
            raise OptionError(f"{what} must hold real numbers, not {part.dtype}")
        if shape == (size,):
            require_whole(what, part, rest[0])
            return _fitting(given, what, part.rename({rest[0]: own}).drop_vars(own, errors="ignore"), (own,))
    else:
        part = numbers(what, part, given.lstm.dtype)
        if part.shape == (size,):
            return xarray().DataArray(part, dims=(own,)), (own,)
        shape = part.shape
    raise ShapeError(
        f"{what} has shape {shape} beside the dimensions of the sequences; it must be ({size},), and one for each"
        " sequence a DataArray"
    )


def _fitting(given: Input, what: str, found: Any, core: tuple[str, ...]) -> Argument:
    """Return a DataArray as an argument, if its dimensions and coordinates are those of the data."""
    if extra := [name for name in found.dims if name not in (*core, *given.loop)]:
        raise ShapeError(f"{what} has a dimension {shown(str(extra[0]))!r}, which the data's sequences do not have")
    if missing := [name for name in core if name not in found.dims]:
        raise ShapeError(f"{what} must have the dimension {missing[0]!r}")
    for name in core:
        require_whole(what, found, name)
    try:
        xarray().align(given.data, found, join="exact", copy=False)
    except ValueError:
        raise ShapeError(
            f"{what} and the data must have the same sizes and coordinates where they share dimensions"
        ) from None
    return found, core


def require_whole(what: str, array: Any, name: str) -> None:
    """Raise ShapeError where a dimension is in several chunks."""
    count = len(array.chunksizes.get(name, ()))
    if count > 1:
        raise ShapeError(
            f"{what} are in {count} chunks along {name!r}, and a chunk must have all of it, since each step goes on"
            f" from the one before it: .chunk({{{name!r}: -1}}) makes one of them"
        )


def xarray() -> Any:
    """Return the package xarray.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    with importing("xarray", "apply needs"):
        import xarray
    return xarray
