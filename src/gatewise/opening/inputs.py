"""The numbers of an input: out of a file or a store, or of an array, a table or labelled data in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import array_of, axis_names, numbers
from gatewise.errors import FileError, GatewiseError, OptionError
from gatewise.files.storage import npz_names, read_npz, readable
from gatewise.interop.containers import zarr_stores
from gatewise.opening import sound
from gatewise.opening.columns import FeatureSelection
from gatewise.opening.number_files import NETCDF, chosen_name, read_numbers, require_axes
from gatewise.records import named_numbers
from gatewise.records.named_numbers import NamedNumbers, is_labelled, is_table, unit_notes
from gatewise.records.times import DEFAULT_RULES, TimeRules

TABLE = ["time", "feature"]  # the axes of one


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


def is_store(path: Path) -> bool:
    """Whether a path is that of a zarr store, or has its ending."""
    return path.suffix.lower() == ".zarr" or zarr_stores.is_store(path)


def read_input(
    input: Any, key: str | None, axes: Any, selection: FeatureSelection | None, rules: TimeRules = DEFAULT_RULES
) -> InputNumbers:
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
    rules : TimeRules
        What is asked of the times.
    """
    is_file = isinstance(input, (str, os.PathLike))
    if is_file:
        data = _numbers_in_file(Path(input), key, axes, selection)
    else:
        data = _numbers_in_memory(input, key, axes, selection)
    if data.table and axes is not None and [name for name in axis_names(axes, "--axes") if name != "batch"] != TABLE:
        raise OptionError(f"the axes of {data.source}, which is a table, are {','.join(TABLE)}, not {axes!r}")
    if data.single is None or data.rate is not None:
        if rules.sort:
            raise OptionError(
                f"{data.source} cannot be sorted by time, because it has no times. Leave out --sort-time."
            )
        return data
    error: type[GatewiseError] = FileError if is_file else OptionError
    single = data.single.in_time_order(data.source, rules, error)
    if selection is not None:
        notes = unit_notes(data.source, single.measures, selection.measures)
        single = selection.complete(data.source, replace(single, notes=(*single.notes, *notes)))
    return replace(data, single=single)


def _numbers_in_memory(input: Any, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input in memory: an array, a table, labelled data, or arrays by name."""
    source = "the input" if selection is None else selection.title
    if isinstance(input, Mapping) and not is_labelled(input):
        arrays = {
            str(name): array if is_labelled(array) or is_table(array) else _finite_array(str(name), array, source)
            for name, array in input.items()
        }
        if not arrays:
            raise OptionError(f"{source} has no arrays, but a run needs an input")
        if (name := chosen_name(arrays, key, source)) is None:
            return InputNumbers(source, several=arrays)
        input = arrays[name]
    elif key is not None:
        raise OptionError("--key is for an .npz file, a store or a mapping. Leave it out for an array.")
    if is_labelled(input) or is_table(input):
        return _labelled(input, source, axes, selection)
    return InputNumbers(source, require_axes(named_numbers.unnamed_numbers(source, input), source))


def _numbers_in_file(path: Path, key: str | None, axes: Any, selection: FeatureSelection | None) -> InputNumbers:
    """Return the numbers of an input in a .csv, .npy, .npz, .nc or .wav file, or in a zarr store."""
    suffix = path.suffix.lower()
    if is_store(path):
        data = zarr_stores.open_variable(path, key, () if selection is None else selection.names)
        with zarr_stores.reading(path):
            return _labelled(data, str(path), axes, selection, zarr_stores.features_note(path, data))
    if suffix == ".wav":
        if key is not None:
            raise OptionError(f"--key is for an .npz file, not {path}. Leave it out.")
        values, rate = sound.samples(path)
        return InputNumbers(str(path), NamedNumbers(values), rate=rate, on_file=True)
    if suffix not in (".csv", ".npy", ".npz", *NETCDF):
        title = "the input" if selection is None else selection.title
        raise OptionError(f"{title} must be a .csv, .npy, .npz, .nc or .wav file, not {readable(path)}")
    if suffix == ".npz" and key is None and len(names := npz_names(path)) > 1:
        arrays = {name: _finite_array(name, array, str(path)) for name, array in read_npz(path, names).items()}
        return InputNumbers(str(path), several=arrays, on_file=True)
    return InputNumbers(str(path), read_numbers(path, key, selection), table=suffix == ".csv", on_file=True)


def _labelled(
    data: Any, source: str, axes: Any, selection: FeatureSelection | None, notes: tuple[str, ...] = ()
) -> InputNumbers:
    """Return the numbers of labelled data, or of a table, and their own axes in their order where labels say it."""
    others: tuple[str, ...] = ()

    def choose(names: Sequence[str]) -> Sequence[str]:
        """Return the features that the network takes; notes tell of the others."""
        nonlocal others
        if selection is not None:
            names, others = selection.choose(source, names)
        return names

    if is_table(data):
        named, order = named_numbers.table_numbers(data, source, choose), None
    else:
        named, dims = named_numbers.labelled_array_numbers(data, source, axes, choose)
        order = tuple(dict.fromkeys(dims.values())) if named.values.ndim > 1 else None
    plain = named_numbers.unnamed_numbers(source, named.values)
    single = replace(named, values=plain.values, dtype=plain.dtype, notes=(*notes, *others))
    return InputNumbers(source, single, axes=order, table=is_table(data))


def _finite_array(name: str, array: Any, source: str) -> Any:
    """Return an array of an input as numbers, integers as they are, or raise OptionError if some are not finite."""
    array = array_of(name, array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"{name} in {source} must hold finite numbers")
    return array if array.dtype.kind in "iub" else numbers(name, array)
