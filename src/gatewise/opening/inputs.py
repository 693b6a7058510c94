"""The numbers of an input: out of a file or a store, or of an array, a table or labelled data in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import numbers
from gatewise.errors import OptionError, ShapeError, join_names
from gatewise.files.storage import npz_names, read_npz, readable
from gatewise.opening import labelled_data, sound
from gatewise.opening.columns import FeatureSelection, NamedNumbers
from gatewise.opening.number_files import NETCDF, read_numbers


@dataclass(frozen=True, eq=False)
class InputNumbers:
    """The numbers of an input: one array with its names, or several by name.

    Attributes
    ----------
    source : str
        The file, or words for an object in memory.
    name : str
        The same without the folder.
    single : NamedNumbers or None
    several : mapping of str to array, or None
    axes : tuple of str or None
        The order of the axes, where labels say it.
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
    name: str
    single: NamedNumbers | None = None
    several: Mapping[str, Any] | None = None
    axes: tuple[str, ...] | None = None
    rate: int | None = None
    hop: int = 1
    framed: bool = False
    table: bool = False
    on_file: bool = False

    def with_seconds(self, steps: int) -> NamedNumbers:
        """Return the numbers with the seconds at which the steps of a sound begin."""
        data = self.single
        if data is None or self.rate is None or data.times is not None:
            return data or NamedNumbers(np.zeros((0, 1)))
        return replace(data, times=tuple(f"{step * self.hop / self.rate:.6g} s" for step in range(steps)))

    def cut(self, frames: Any) -> InputNumbers:
        """Return samples cut into rows; see `gatewise.opening.sound.frames`."""
        if frames is None or self.single is None:
            return self
        values = self.single.values
        rows, hop = sound.frames(values.reshape(len(values), -1), frames)
        return replace(self, single=NamedNumbers(rows), hop=hop, framed=True, table=False)


def read_input(input: Any, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input.

    Parameters
    ----------
    input : path, array, DataFrame, DataArray, Dataset, or mapping of str to array
    key : str or None
        The array of an .npz file, or the variable of a store, if there are several.
    axes : str or sequence of str or None
        The meaning of each dimension of labelled data, where they are not called time and feature.
    selection : FeatureSelection or None
        The features to take by name.

    Raises
    ------
    FileError, OptionError, ShapeError
        If it cannot be read, or holds no numbers of one to three axes.
    """
    if isinstance(input, (str, os.PathLike)):
        return _read_file(Path(input), key, axes, selection)
    if isinstance(input, Mapping) and not labelled_data.is_labelled(input):
        arrays = {str(name): _require_finite(str(name), array, "the input") for name, array in input.items()}
        if not arrays:
            raise OptionError("the input holds no array: a run needs one")
        if key is None and len(arrays) != 1:
            return InputNumbers("the input", "the input", several=arrays)
        if key is not None and key not in arrays:
            raise OptionError(f"there is no array {key!r} in the input; it has {join_names(arrays) or 'none'}")
        input = arrays[next(iter(arrays)) if key is None else key]
    elif key is not None:
        raise OptionError("--key belongs to an .npz file, a store or a mapping, not to an array")
    if labelled_data.is_labelled(input):
        return _labelled(input, "the input", axes, selection)
    if labelled_data.is_table(input):
        data = labelled_data.table_numbers(input, "the input", selection)
        return InputNumbers("the input", "the input", _require_steps(data, "the input"), table=True)
    data = NamedNumbers(np.array(numbers("the input", input)))
    if data.values.ndim not in (1, 2, 3):
        raise ShapeError(f"the input has shape {data.values.shape}; it must have one to three axes")
    _require_steps(data, "the input")
    return InputNumbers("the input", "the input", data if selection is None else selection.complete("the input", data))


def _read_file(path: Path, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    suffix = path.suffix.lower()
    if labelled_data.is_store(path):
        return _labelled(labelled_data.open_store(path, key), str(path), axes, selection)
    if suffix == ".wav":
        if key is not None:
            raise OptionError(f"--key belongs to an .npz file, not to {path}")
        values, rate = sound.samples(path)
        return InputNumbers(str(path), path.name, NamedNumbers(values), rate=rate, on_file=True)
    if suffix not in (".csv", ".npy", ".npz", *NETCDF):
        raise OptionError(f"the input must be a .csv, .npy, .npz, .nc or .wav file, not {readable(path)}")
    if suffix == ".npz" and key is None and len(names := npz_names(path)) > 1:
        arrays = {name: _require_finite(name, array, str(path)) for name, array in read_npz(path, names).items()}
        return InputNumbers(str(path), path.name, several=arrays, on_file=True)
    data = _require_steps(read_numbers(path, key, selection), str(path))
    return InputNumbers(str(path), path.name, data, table=suffix == ".csv", on_file=True)


def _labelled(data: Any, source: str, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    single, order = labelled_data.array_numbers(data, source, axes, selection)
    return InputNumbers(source, Path(source).name, _require_steps(single, source), axes=order)


def _require_steps(data: NamedNumbers, source: str) -> NamedNumbers:
    if not data.values.size:
        raise OptionError(f"{source} holds an empty array, of shape {data.values.shape}: a run needs a step")
    return data


def _require_finite(name: str, array: Any, source: str) -> Any:
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"{name} in {source} must hold finite numbers")
    return array if array.dtype.kind in "iub" else numbers(name, array)
