"""Numbers with the names of their features and steps, out of .csv, .npy, .npz and .nc files."""

from __future__ import annotations

import re
import warnings
from array import array
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import require_memory
from gatewise.errors import FileError, OptionError, ShapeError, importing, join_names, reason, shown
from gatewise.files import tables
from gatewise.files.budget import BYTES, Budget
from gatewise.files.storage import guarded, nonempty, npz_names, read_npy, read_npz, read_text
from gatewise.interop.containers.netcdf import open_netcdf
from gatewise.interop.refusals import reading
from gatewise.interop.trace_tables import HEADS
from gatewise.number_text import parse_number, spelling_hint
from gatewise.opening.columns import FeatureSelection
from gatewise.records.named_numbers import NamedNumbers, listed_names, measures_of, unnamed_numbers
from gatewise.records.times import TIME_HEADS, RawTimes, are_numbers, dates_of

NUMBER_LIKE = r"[+\-−–]?(?=.*[\d½⅓¼¾])[\d½⅓¼¾²³.,'\s_]+%?"  # no name of a column, even if it is no number
MISSING = frozenset(("", "NA", "N/A", "null", "None"))  # cells without a number, where some may be missing; nan is one
NETCDF = (".nc", ".nc4")


def read_numbers(path: Path, key: str | None = None, selection: FeatureSelection | None = None) -> NamedNumbers:
    """Return the numbers of a .npy, .npz, .csv or .nc file, with one to three axes.

    `key` is the name of the array in an .npz file with several; a `selection` takes columns and series by name.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv", *NETCDF):
        raise OptionError(f"the input must be a .npy, .npz, .csv or .nc file, not {path}")
    if key is not None and suffix != ".npz":
        raise OptionError(f"--key is for an .npz file, not {path}. Leave it out.")
    if suffix == ".npz":
        data = _array_of_archive(path, key)
    elif suffix in NETCDF:
        data = read_netcdf(path, selection)
    else:
        data = read_csv(path, selection) if suffix == ".csv" else load_npy(path)
    return require_axes(data, str(path))


def require_axes(data: NamedNumbers, source: str) -> NamedNumbers:
    """Return the numbers of an input, or raise ShapeError unless they have one to three axes."""
    if data.values.ndim not in (1, 2, 3):
        raise ShapeError(f"{source} has shape {data.values.shape}; it must have one to three axes")
    return data


def chosen_name(names: Collection[str], key: str | None, source: object) -> str | None:
    """Return the name of the array `key` of several by name, or without a key of the only one; None if there is none.

    Raise OptionError for a key that is no name.
    """
    if key is not None and key not in names:
        raise OptionError(f"there is no array {key!r} in {source}; it has {join_names(names) or 'none'}")
    return key if key is not None or len(names) != 1 else next(iter(names))


def _array_of_archive(path: Path, key: str | None) -> NamedNumbers:
    """Return the array `key` of an .npz file as numbers; without a key, the only one."""
    names = npz_names(path)
    if (name := chosen_name(names, key, path)) is None:
        raise OptionError(f"{path} holds {len(names)} arrays. Choose one with --key: {join_names(names) or 'none'}")
    return unnamed_numbers(name, read_npz(path, [name])[name])


def load_npy(path: Path) -> NamedNumbers:
    """Return the numbers of an .npy file, in memory."""
    mapped = read_npy(path)
    require_memory(mapped.size, 4 if mapped.dtype == np.float32 else 8, f"reading {path}")
    return unnamed_numbers(str(path), mapped)


def read_csv(path: Path, selection: FeatureSelection | None = None) -> NamedNumbers:
    """Return the numbers of a .csv table (time, feature), with the names of features and the times that it has.

    The first line may name the features. A first column that is no feature of the `selection` has the times if its name
    is one of `TIME_HEADS`, or if most of its entries are not numbers.
    """
    size = nonempty(path).stat().st_size
    Budget(size).hold(size, BYTES.each, f"reading {path}")
    text = read_text(path)
    beginning = [cells for _, cells in islice(tables.iterate_rows(path, text), 2)]
    if not beginning:
        raise FileError(f"cannot read {path}: it has no rows")
    first, heads = beginning[0], None
    if tuple(first) == HEADS:
        raise FileError(
            f"cannot read {path}: it is a long table of gatewise trace, with a row for each number. Give a table with a"
            " row for each step, or write the trace as .nc."
        )
    if not any(re.fullmatch(NUMBER_LIKE, cell) or _is_number(cell) for cell in first) and any(first):
        heads = first
        if len(beginning) == 1:
            raise FileError(f"cannot read {path}: its only line holds no numbers: {shown(', '.join(heads))}")
    table = _NumericCells(path, text, len(first), has_heads=heads is not None)
    if heads is None or len(heads) == 1 or (selection is not None and heads[0] in selection.names):
        return _read_table(table, heads, selection)
    named, first_cell = heads[0].lower() in TIME_HEADS, beginning[1][0]
    dated = isinstance(dates_of([first_cell]), np.ndarray)
    why = "of its name" if named else "it holds dates" if dated else "most of its entries are not numbers"
    origin = f"Column {shown(heads[0], 60)!r} was read as times because {why}."
    if named or not _is_number(first_cell):
        data = _read_table(table, heads, selection, origin)
        has_times = named or isinstance(data.times, np.ndarray) or not are_numbers(data.times or ())
        return data if has_times else _read_table(table, heads, selection)
    try:
        return _read_table(table, heads, selection)
    except FileError:
        if are_numbers(table.first_cells()):
            raise
    return _read_table(table, heads, selection, origin)


def _read_table(
    table: _NumericCells, heads: list[str] | None, selection: FeatureSelection | None, origin: str = ""
) -> NamedNumbers:
    """Return the numbers of a .csv table; `origin` says why its first column is read as times; empty: it is not."""
    path, text = table.path, table.text
    notes: tuple[str, ...] = ()
    table.places, table.times, head = [*range(table.width)], None, "" if heads is None else heads[0]
    if heads is not None and origin:
        table.times, heads, table.places = [], heads[1:], table.places[1:]
    if selection is not None and heads is not None:
        names, notes = selection.choose(path, heads, origin)
        heads, table.places = names, [table.places[heads.index(name)] for name in names]
    values, parse = array("d"), parse_number if "_" in text else float
    missing = MISSING if selection is not None and selection.missing else frozenset[str]()
    for line, row in tables.numerals(path, text, table):
        if not missing.isdisjoint(row):
            row = ["nan" if cell in missing else cell for cell in row]
        try:
            values.extend(map(parse, row))
            continue
        except ValueError:
            del values[len(values) - len(values) % len(row) :]
        try:  # spellings that `float` does not know
            values.extend(map(parse_number, row))
        except ValueError:
            wrong = next(cell for cell in row if not _is_number(cell))
            raise FileError(
                f"cannot read {path}: line {line} has {shown(wrong)!r}, which is not a number{spelling_hint(wrong)}"
            ) from None
    numbers_read = np.array(values).reshape(table.count, len(table.places))
    features = tuple(heads) if heads else None
    if table.times is None:
        return NamedNumbers(numbers_read, features, notes=notes)
    dates = dates_of(table.times)
    times = dates if isinstance(dates, np.ndarray) else tuple(table.times)
    raw = RawTimes(times, table.lines, head.lower(), origin)
    return NamedNumbers(numbers_read, features, times, notes=notes, raw_times=raw, times_origin=origin)


class _NumericCells:
    """The rows of a .csv table below its heads, cut to the columns of numbers; each iteration reads the text anew.

    So a table takes its text and its numbers, and never the memory of all its cells, which is a hundred times its size.
    `times` is None, or has the first cell of each row that has been gone through, of which there are `count`; `lines`
    has their lines then.
    """

    def __init__(self, path: Path, text: str, width: int, *, has_heads: bool) -> None:
        self.path, self.text, self.width, self.has_heads = path, text, width, has_heads
        self.places = [*range(width)]
        self.times: list[str] | None = None
        self.lines = array("q")
        self.count = 0

    def first_cells(self) -> Iterator[str]:
        """Yield the first cell of each row."""
        for _, row in islice(tables.iterate_rows(self.path, self.text), int(self.has_heads), None):
            yield row[0]

    def __iter__(self) -> Iterator[tables.Row]:
        self.count, is_whole = 0, len(self.places) == self.width and self.places == sorted(self.places)
        if self.times is not None:
            self.times, self.lines = [], array("q")
        for line, row in islice(tables.iterate_rows(self.path, self.text), int(self.has_heads), None):
            if len(row) != self.width:
                apart = tables.SEPARATORS[tables.separator(self.text)]
                raise FileError(
                    f"cannot read {self.path}: line {line} has {len(row)} entries, not {self.width} ({apart} separate)"
                )
            self.count += 1
            if self.times is not None:
                self.times.append(row[0])
                self.lines.append(line)
            yield line, row if is_whole else [row[place] for place in self.places]


def read_netcdf(path: Path, selection: FeatureSelection | None) -> NamedNumbers:
    """Return the selected series of a netCDF file (time, feature), with their names and the times.

    A selection without names takes all that are numbers over one dimension.
    """
    if selection is None:
        raise OptionError(f"{path} has its series by name, and the model's file names no features")
    with importing("xarray", f"reading {path} needs"):
        import xarray  # noqa: F401
    source = nonempty(path)
    with guarded(path), reading(str(path)), open(source, "rb") as file:
        container = open_netcdf(file, Budget.of(source))
        listed = container.series_names()
        series = {name: container.read(name) for name in selection.names or listed if container.has_values(name)}
        if not selection.names:
            series = {name: series[name] for name in series if _is_series(name, series[name])}
        dims = {variable.dims for variable in series.values()}
        axes = {names[0] for names in dims if names}
        coordinates = {name: container.read(name) for name in axes if container.has_values(name)}
        variables = container.fill_up(coordinates | series) if len(axes) == 1 else {}
    heads = [name for name in dict.fromkeys([*series, *(listed * bool(selection.names))]) if name not in coordinates]
    names, notes = selection.choose(path, heads)
    if len(dims) != 1 or len(*dims) != 1:
        raise FileError(f"{path} must hold {listed_names(names)} over one dimension, and the same one")
    with _refusing(path):
        decoded = _decoded(variables, coordinates)
        if texts := [name for name in names if decoded[name].dtype.kind not in "fiubmM"]:
            raise ValueError(f"{texts[0]!r} holds no numbers")
        values = np.stack([np.asarray(decoded[name].values, np.float64) for name in names], axis=-1)
        times: Any = next((decoded[name].values for name in coordinates), np.arange(len(values)))
        if len(times) != len(values):
            raise ValueError(f"its dimension has {len(times)} entries, not {len(values)}")
    raw, measures = RawTimes(times), measures_of({name: decoded[name].attrs for name in names})
    times = times if times.dtype.kind == "M" else tuple(map(str, times))
    return NamedNumbers(values, tuple(names), times, notes=notes, measures=measures, raw_times=raw)


def read_netcdf_array(path: Path, name: str) -> Any:
    """Return a variable of a netCDF file as a `DataArray` with its coordinates; None without a variable of the name."""
    with importing("xarray", f"reading {path} needs"):
        from xarray import Dataset
    source = nonempty(path)
    with guarded(path), reading(str(path)), open(source, "rb") as file:
        container = open_netcdf(file, Budget.of(source))
        if not container.has_values(name):
            return None
        variable = container.read(name)
        others = {each: container.read(each) for each in variable.dims if container.has_values(each)}
    with _refusing(path):
        return Dataset(_decoded({**others, name: variable}, others))[name]


def _decoded(variables: Mapping[str, Any], coordinates: Collection[str]) -> dict[str, Any]:
    """Return the variables of a netCDF file as those of xarray, with what their attributes say of their numbers.

    Of these, the coordinates alone become dates: a feature in ``days since 2000-01-01`` is a number.
    """
    from xarray import Variable
    from xarray.conventions import decode_cf_variable

    return {
        name: decode_cf_variable(
            name, Variable(*variable), decode_times=name in coordinates, decode_timedelta=False
        ).load()
        for name, variable in variables.items()
    }


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Raise FileError for whatever xarray and pandas raise of attributes and numbers that make no sense."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of attributes that xarray doubts
            yield
    except Exception as problem:
        raise FileError(f"cannot read {path}: {reason(problem)}") from None


def _is_series(name: str, variable: Any) -> bool:
    """Whether a variable of a netCDF file holds numbers over one dimension, of which it is not the coordinate."""
    return len(variable.dims) == 1 and name not in variable.dims and variable.values.dtype.kind in "fiu"


def _is_number(text: str) -> bool:
    """Whether a cell of a table is a number, with a decimal point or a decimal comma."""
    try:
        parse_number(text.replace(",", "."))
    except ValueError:
        return False
    return True
