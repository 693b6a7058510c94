"""Numbers with the names of their features and steps, out of .csv, .npy, .npz and .nc files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gatewise.arrays import Array, numbers, require_memory
from gatewise.errors import FileError, OptionError, ShapeError, importing, join_names, reason, shown
from gatewise.files import tables
from gatewise.files.storage import npz_names, read_npy, read_npz, read_text, readable
from gatewise.opening.columns import FeatureSelection, NamedNumbers, listed_names

NUMBER_LIKE = r"[+-]?[\d.,'\s_]*\d[\d.,'\s_]*%?"  # no name of a column, even if it is no number
TIME_HEADS = ("", "time", "times", "date", "datetime", "timestamp", "step", "t", "index")
NETCDF = (".nc", ".nc4")


def read_numbers(path: Path, key: str | None = None, selection: FeatureSelection | None = None) -> NamedNumbers:
    """Return the numbers of a .npy, .npz, .csv or .nc file, with one to three axes.

    `key` is the name of the array in an .npz file with several; a `selection` takes columns and series by name.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv", *NETCDF):
        raise OptionError(f"the input must be a .npy, .npz, .csv or .nc file, not {path}")
    if key is not None and suffix != ".npz":
        raise OptionError(f"--key belongs to an .npz file, not to {path}")
    if suffix == ".npz":
        data = NamedNumbers(_array_of_archive(path, key))
    elif suffix in NETCDF:
        data = read_netcdf(path, selection)
    else:
        data = read_csv(path, selection) if suffix == ".csv" else NamedNumbers(load_npy(path))
    return require_axes(data)


def require_axes(data: NamedNumbers) -> NamedNumbers:
    """Return the numbers of an input, or raise ShapeError unless they have one to three axes."""
    if data.values.ndim not in (1, 2, 3):
        raise ShapeError(f"the input has shape {data.values.shape}; it must have one to three axes")
    return data


def _array_of_archive(path: Path, key: str | None) -> Array:
    """Return the array `key` of an .npz file as numbers; without a key, the only one."""
    names = npz_names(path)
    listing = join_names(names) or "none"
    if key is None and len(names) != 1:
        raise OptionError(f"{path} holds {len(names)} arrays; --key names one of them: {listing}")
    if key is not None and key not in names:
        raise OptionError(f"there is no array {key!r} in {path}; it has {listing}")
    name = names[0] if key is None else key
    return numbers(name, read_npz(path, [name])[name])


def load_npy(path: Path) -> Array:
    """Return the numbers of an .npy file, in memory."""
    mapped = read_npy(path)
    require_memory(mapped.size, 4 if mapped.dtype == np.float32 else 8, f"reading {path}")
    return np.array(numbers(str(path), mapped))


def read_csv(path: Path, selection: FeatureSelection | None = None) -> NamedNumbers:
    """Return the numbers of a .csv table (time, feature), with the names of features and the times that it has.

    The first line may name the features; a first column under one of `TIME_HEADS`, or without numbers, has the times.
    """
    require_memory(readable(path).stat().st_size, 40, f"reading {path}")  # bytes that Python takes for each of text
    text = read_text(path)
    rows = tables.rows(path, text)
    if not rows:
        raise FileError(f"cannot read {path}: it holds no row")
    heads = None
    if not any(re.fullmatch(NUMBER_LIKE, cell) or _is_number(cell) for cell in rows[0][1]) and any(rows[0][1]):
        heads, rows = rows[0][1], rows[1:]
        if not rows:
            raise FileError(f"cannot read {path}: its only line holds no numbers: {shown(', '.join(heads))}")
    width = len(heads or rows[0][1])
    for line, row in rows:
        if len(row) != width:
            apart = tables.SEPARATORS[tables.separator(text)]
            raise FileError(f"cannot read {path}: line {line} has {len(row)} entries, not {width} ({apart} separate)")
    times: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    if heads is not None and width > 1 and _are_times(heads[0], rows[0][1][0]):
        times, heads = tuple(row[0] for _, row in rows), heads[1:]
        rows = [(line, row[1:]) for line, row in rows]
    if selection is not None and heads is not None:
        heads, rows, notes = selection.columns(path, heads, rows)
    values, parse = [], parse_number if "_" in text else float
    for line, row in tables.numerals(path, text, rows):
        try:
            values.append([*map(parse, row)])
        except ValueError:
            wrong = next(cell for cell in row if not _is_number(cell))
            raise FileError(f"cannot read {path}: line {line} has {shown(wrong)!r}, which is not a number") from None
    return NamedNumbers(np.array(values), tuple(heads) if heads else None, times, notes=notes)


def read_netcdf(path: Path, selection: FeatureSelection | None) -> NamedNumbers:
    """Return the selected series of a netCDF file (time, feature), with their names and the times."""
    if selection is None:
        raise OptionError(f"{path} has its series by name, and the model's file names no features")
    with importing("xarray", f"reading {path} needs"):
        import xarray
    readable(path)
    try:
        with xarray.open_dataset(path) as data:
            series = {str(name): variable.load() for name, variable in data.data_vars.items() if variable.ndim == 1}
    except Exception as problem:  # whatever the engine raises of a damaged file, or xarray without an engine
        raise FileError(
            f"cannot read {path}: {reason(problem)}; netCDF 4 needs one of xarray's engines: pip install netCDF4"
        ) from None
    names, notes = selection.choose(path, list(series))
    if len(axes := {series[name].dims for name in names}) != 1:
        raise FileError(f"{path} must hold {listed_names(names)} over one dimension, not over {len(axes)}")
    ((dimension,),) = axes
    times = series[names[0]][dimension].values
    if times.dtype.kind == "M":
        days = bool((times == times.astype("datetime64[D]")).all())
        times = np.datetime_as_string(times, unit="D" if days else "s")
    values = np.stack([np.asarray(series[name].values, np.float64) for name in names], axis=-1)
    return NamedNumbers(values, tuple(names), tuple(map(str, times)), notes=notes)


def _are_times(head: str, first: str) -> bool:
    """Whether a first column holds times and not a feature: by its name, by having none, or by its entries."""
    return head.lower() in TIME_HEADS or not _is_number(first)


def _is_number(text: str) -> bool:
    """Whether a cell of a table is a number, with a decimal point or a decimal comma."""
    try:
        parse_number(text.replace(",", "."))
    except ValueError:
        return False
    return True


def parse_number(text: str) -> float:
    """Return a number in a table as `float` reads it, except that digits may not be grouped by underscores."""
    if "_" in text:
        raise ValueError
    return float(text)
