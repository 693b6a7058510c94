"""The numbers of an input: out of a file or a store, or of an array, a table or labelled data in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import array_of, numbers
from gatewise.errors import OptionError, join_names
from gatewise.files.storage import npz_names, read_npz, readable
from gatewise.opening import labelled_data, sound
from gatewise.opening.columns import FeatureSelection
from gatewise.opening.number_files import NETCDF, read_numbers, require_axes
from gatewise.records.named_numbers import NamedNumbers, is_labelled, is_table, unnamed_numbers


@dataclass(frozen=True, eq=False)
class InputNumbers:
    """The numbers of an input: one array with its names, or several by name.

    Attributes
    ----------
    source : str
        The file, or words for an object in memory.
    single : NamedNumbers or None
    several : mapping of str to array, or None
    axes : tuple of str or None
        The axes in the caller's order, where labels say it; the numbers have time first.
    rate : int or None
        The samples of a sound in a second.
    hop : int
        The samples between the beginnings of two steps.
    framed : bool
        Whether samples were cut into rows.
    table : bool
        Whether they are the columns of a table, each row a step.
    on_file : bool
        Whether they come from a file.
    """

    source: str
    single: NamedNumbers | None = None
    several: Mapping[str, Any] | None = None
    axes: tuple[str, ...] | None = None
    rate: int | None = None
    hop: int = 1
    framed: bool = False
    table: bool = False
    on_file: bool = False

    @property
    def name(self) -> str:
        """The source without its folder."""
        return Path(self.source).name

    def with_seconds(self, steps: int) -> NamedNumbers:
        """Return the numbers of the input with the seconds at which the steps of a sound begin."""
        data = self.single
        if data is None or self.rate is None or data.times is not None:
            return data or NamedNumbers(np.zeros((0, 1)))
        return replace(data, times=tuple(f"{step * self.hop / self.rate:.6g} s" for step in range(steps)))

    def cut(self, frames: Any) -> InputNumbers:
        """Return the samples of a sound cut into rows; see `gatewise.opening.sound.frames`."""
        if frames is None or self.single is None:
            return self
        values = self.single.values
        rows, hop = sound.frames(values.reshape(len(values), -1), frames)
        return replace(self, single=NamedNumbers(rows), hop=hop, framed=True, table=False)


def read_input(input: Any, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input, a file or an object in memory, or raise FileError, OptionError or ShapeError.

    Parameters
    ----------
    input : path, array, DataFrame, DataArray, Dataset, or mapping of str to array
    key : str or None
        The array of an .npz file, or the variable of a store, if there are several.
    axes : str or sequence of str or None
        The meaning of each dimension of labelled data, where they are not called time and feature.
    selection : FeatureSelection or None
        The features to take by name.
    """
    if isinstance(input, (str, os.PathLike)):
        data = _numbers_in_file(Path(input), key, axes, selection)
    else:
        data = _numbers_in_memory(input, key, axes, selection)
    if data.single is None or selection is None or data.rate is not None:
        return data
    return replace(data, single=selection.complete(data.source, data.single))


def _numbers_in_memory(input: Any, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input in memory: an array, a table, labelled data, or arrays by name."""
    source = "the input"
    if isinstance(input, Mapping) and not is_labelled(input):
        arrays = {
            str(name): array if is_labelled(array) or is_table(array) else _finite_array(str(name), array, source)
            for name, array in input.items()
        }
        if not arrays:
            raise OptionError("the input holds no array: a run needs one")
        if key is None and len(arrays) != 1:
            return InputNumbers(source, several=arrays)
        if key is not None and key not in arrays:
            raise OptionError(f"there is no array {key!r} in the input; it has {join_names(arrays) or 'none'}")
        input = arrays[next(iter(arrays)) if key is None else key]
    elif key is not None:
        raise OptionError("--key belongs to an .npz file, a store or a mapping, not to an array")
    if is_labelled(input) or is_table(input):
        return _labelled(input, source, axes, selection)
    return InputNumbers(source, require_axes(unnamed_numbers(source, input)))


def _numbers_in_file(path: Path, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input in a .csv, .npy, .npz, .nc or .wav file, or in a zarr store."""
    suffix = path.suffix.lower()
    if labelled_data.is_store(path):
        data = labelled_data.open_store(path, key)
        with labelled_data.reading_store(path):
            return _labelled(data, str(path), axes, selection)
    if suffix == ".wav":
        if key is not None:
            raise OptionError(f"--key belongs to an .npz file, not to {path}")
        values, rate = sound.samples(path)
        return InputNumbers(str(path), NamedNumbers(values), rate=rate, on_file=True)
    if suffix not in (".csv", ".npy", ".npz", *NETCDF):
        raise OptionError(f"the input must be a .csv, .npy, .npz, .nc or .wav file, not {readable(path)}")
    if suffix == ".npz" and key is None and len(names := npz_names(path)) > 1:
        arrays = {name: _finite_array(name, array, str(path)) for name, array in read_npz(path, names).items()}
        return InputNumbers(str(path), several=arrays, on_file=True)
    return InputNumbers(str(path), read_numbers(path, key, selection), table=suffix == ".csv", on_file=True)


def _labelled(data: Any, source: str, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    single, order = labelled_data.labelled_numbers(data, source, axes, selection)
    return InputNumbers(source, single, axes=order, table=is_table(data))


def _finite_array(name: str, array: Any, source: str) -> Any:
    """Return an array of an input as numbers, integers as they are, or raise OptionError if some are not finite."""
    array = array_of(name, array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"{name} in {source} must hold finite numbers")
    return array if array.dtype.kind in "iub" else numbers(name, array)
