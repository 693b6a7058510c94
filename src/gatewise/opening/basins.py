"""The series of several basins, a file for each, as one array with the dimensions time, basin and feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import require_memory
from gatewise.errors import FileError, OptionError, ShapeError, importing
from gatewise.network import Network
from gatewise.opening.columns import select_features
from gatewise.opening.model_input import require_finite
from gatewise.opening.number_files import read_numbers
from gatewise.records.named_numbers import NamedNumbers, listed_names, unit_notes
from gatewise.records.times import DEFAULT_RULES, GAPS, TimeRules, dates_of, undated_note
from gatewise.showing import counted

DIMS = ("time", "basin", "feature")


def open_basins(
    paths: Sequence[Path],
    network: Network | None,
    attributes: Sequence[str],
    key: str | None = None,
    *,
    continuous: bool = False,
    rules: TimeRules = DEFAULT_RULES,
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return the series of several basins as a `DataArray`, the steps that each basin has, and notes.

    Parameters
    ----------
    paths : sequence of path
        The files of the basins, whose names without their endings are those of the basins.
    network : Network or None
        What takes features by name, if it has names.
    attributes : sequence of str
        The features that need not be columns, since a table of attributes has them.
    key : str, optional
        The array of each .npz file.
    continuous : bool
        Whether a network with windows runs without them, so that no number may be missing.
    rules : TimeRules
        What is asked of the times of each basin.

    Returns
    -------
    data : DataArray (time, basin, feature)
        At all dates of any basin: NaN where one has no row. Without dates all have as many steps.
    present : boolean DataArray (time, basin), or None if every basin has a row for every step
    notes : tuple of str

    Raises
    ------
    FileError, OptionError, ShapeError
        If a file cannot be read, or the files do not have the same features, or dates that increase.
    """
    with importing("xarray", "several basins need"):
        from xarray import DataArray
    basins = [path.stem for path in paths]
    if repeated := {basin for basin in basins if basins.count(basin) > 1}:
        raise OptionError(f"two files are called {min(repeated)!r}, but each file names a basin. Rename one.")
    constants: Mapping[str, float] = dict.fromkeys(attributes, np.nan)
    windowed = network is not None and network.windows is not None and not continuous
    series = []
    for path in paths:
        selection = select_features(network, path.stem, constants or None, continuous=continuous)
        numbers = read_numbers(path, key, selection).in_time_order(path, rules, FileError)
        if selection is not None:
            units = unit_notes(path, numbers.measures, selection.measures)
            numbers = replace(numbers, notes=(*numbers.notes, *units))
        series.append(_series(path, numbers, np.float64 if network is None else network.lstm.dtype, missing=windowed))
    for path, numbers in zip(paths, series, strict=True):
        first = series[0]
        if (numbers.features, numbers.values.shape[1]) != (first.features, first.values.shape[1]):
            has, other = (
                listed_names(each.features or [counted(each.values.shape[1], "feature")]) for each in (numbers, first)
            )
            raise FileError(f"{path} has {has}, and {paths[0]} {other}. All files must have the same features.")
        kinds = {np.asarray(each.times).dtype.kind for each in (numbers, first)}
        if len(kinds) > 1:
            raise FileError(f"{path} and {paths[0]} must both have dates, or neither")
        if kinds != {"M"} and (count := len(numbers.values)) != len(first.values):
            raise FileError(
                f"{path} has {counted(count, 'step')}, and {paths[0]} {len(first.values):,}: give dates, such as"
                " 2000-01-31, or files of equal length"
            )
    steps = np.unique(np.concatenate([numbers.times for numbers in series]))
    shape = (len(steps), len(paths), series[0].values.shape[1])
    require_memory(int(np.prod(shape)), 8, f"reading {counted(len(paths), 'file')}")
    values, present = np.full(shape, np.nan), np.zeros(shape[:2], bool)
    for place, numbers in enumerate(series):
        rows = np.searchsorted(steps, numbers.times)
        values[rows, place], present[rows, place] = numbers.values, True
    features = series[0].features
    names = {"time": steps, "basin": basins} | ({} if features is None else {"feature": list(features)})
    data = DataArray(values, dims=DIMS, coords=names, name="input")
    where = None if present.all() else DataArray(present, dims=DIMS[:2], coords={"time": steps, "basin": basins})
    return data, where, _joined_notes(paths, series)


def _series(path: Path, numbers: NamedNumbers, dtype: Any, *, missing: bool) -> NamedNumbers:
    """Return the numbers of a file (time, feature), some of which may be `missing`, with the dates of its steps.

    Without dates, the steps have numbers. Raise GatewiseError unless they are finite in the model's precision.
    """
    if numbers.values.ndim != 2:
        raise ShapeError(f"{path} has shape {numbers.values.shape}; the series of a basin is (time, feature)")
    require_finite(numbers.values, dtype, None, path, numbers.features, missing=missing)
    notes, count = numbers.notes, int(np.isnan(numbers.values).sum())
    dates = np.asarray(None if numbers.times is None else dates_of(numbers.times))
    if dates.dtype.kind != "M":
        dates = np.arange(len(numbers.values))
        notes = tuple(note for note in notes if note != undated_note(numbers.times))
        notes += (f"{path}: {undated_note(numbers.times) or 'it has no dates'}; its steps are counted",)
    elif (backward := dates[1:] <= dates[:-1]).any():
        raise FileError(
            f"{path} has {dates[1:][backward][0]} twice, and several basins are joined by their dates. Write their"
            " offset from UTC, such as +01:00."
        )
    if count:
        notes += (f"{path}: {counted(count, 'number')} missing, so that the windows with them are NaN",)
    return NamedNumbers(numbers.values, numbers.features, dates, notes=notes)


def _joined_notes(paths: Sequence[Path], series: Sequence[NamedNumbers]) -> tuple[str, ...]:
    """Return the notes about several files, each once: those of many files name the first one, and how many more."""
    files: dict[str, list[Path]] = {}
    gaps: list[str] = []
    for path, numbers in zip(paths, series, strict=True):
        for note in numbers.notes:
            if GAPS in note:
                gaps.append(note)
            else:
                files.setdefault(note.removeprefix(str(path)), []).append(path)
    more = {note: f" and {len(names) - 1:,} more" if len(names) > 1 else "" for note, names in files.items()}
    others = f"; {counted(len(gaps) - 1, 'more file')} with gaps" if len(gaps) > 1 else ""
    return (
        *(f"{gap}{others}" for gap in gaps[:1]),
        *(f"{names[0]}{more[note]}{note}" for note, names in files.items()),
    )
