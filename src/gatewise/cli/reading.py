"""Numbers on the command line: a comma-separated token, or the name of a .csv or .npy file."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gatewise.arrays import Array, numbers, require_memory
from gatewise.cli.columns import NETCDF, Wanted, netcdf
from gatewise.errors import FileError, OptionError, ShapeError, join_names, shown
from gatewise.files import tables
from gatewise.files.storage import npz_names, read_npy, read_npz, read_text, readable
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.records.step import State
from gatewise.showing import counted

T = TypeVar("T")
SUFFIXES = (".csv", ".npy")
NUMBERS = (".csv", ".json", ".npy", ".npz")  # names of files that are no models, mostly
_LIKE_NUMBER = r"[+-]?[\d.,'\s_]*\d[\d.,'\s_]*%?"  # no name of a column, be it a number or not
TIMES = ("", "time", "times", "date", "datetime", "timestamp", "step", "t", "index")  # heads of a column of times


@dataclass(frozen=True, eq=False)
class Given:
    """Numbers with the names that came with them.

    Attributes
    ----------
    values : array
        One dimension for a vector, two (time, feature) for a sequence.
    features, times : tuple of str or None
    """

    values: Array
    features: tuple[str, ...] | None = None
    times: tuple[str, ...] | None = None


def read(what: str, text: str, wanted: Wanted | None = None) -> Given:
    """Return the numbers that `text` holds or names; those of a table by the names that are wanted.

    Raises
    ------
    FileError
        If a file cannot be read.
    OptionError
        If something is not a finite number.
    """
    if text.lower().endswith(SUFFIXES):
        given = _csv(Path(text), wanted) if text.lower().endswith(".csv") else Given(_npy(Path(text)))
        given = given if wanted is None else wanted.complete(text, given)
    else:
        given = _typed(what, text)
    if given.values.ndim not in (1, 2) or given.values.size == 0:
        raise ShapeError(f"{what} has shape {given.values.shape}; it must be one row of numbers, or (time, feature)")
    if not np.isfinite(given.values).all():
        place = np.argwhere(~np.isfinite(given.values))[0]
        value = given.values[tuple(place)]
        where = f"entry {place[-1]}" + (f" of row {place[0]}" if len(place) == 2 else "")
        raise OptionError(f"{what} must hold finite numbers, but {where} (counted from 0) is {value}")
    return given


def _typed(what: str, text: str) -> Given:
    """Return numbers that stand in the command line, by the same rule as a line of a table."""
    try:
        ((_, cells),) = tables.numerals(what, text, tables.rows(what, text))
        return Given(np.array([_number(cell) for cell in cells]))
    except FileError as problem:
        raise OptionError(str(problem).removeprefix("cannot read ")) from None
    except ValueError:
        raise OptionError(
            f"{what} must be numbers with commas between them, or a .csv or .npy file, not {shown(text)!r}"
        ) from None


def vector(what: str, text: str) -> Array:
    """Return one row of numbers; a file may hold it as a row or as a column."""
    values = read(what, text).values
    if values.ndim == 2 and 1 not in values.shape:
        raise ShapeError(f"{what} has shape {values.shape}; it must be one row of numbers")
    return values.reshape(-1)


# A file with LSTMs in it.


def omitted(settings: Sequence[str] | None) -> dict[str, Any]:
    """Return what a file leaves out, given as NAME=VALUE: true and false, numbers, else text.

    Raises
    ------
    OptionError
        If one is written otherwise, or given twice.
    """
    found: dict[str, Any] = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise OptionError(f"--set must be NAME=VALUE, as in --set recurrent_activation=sigmoid, not {setting!r}")
        if name in found:
            raise OptionError(f"--set gives {name} twice")
        found[name] = _value(value.strip())
    return found


def _value(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def inspected(path: Path, settings: Sequence[str] | None) -> Contents:
    """Return what is in a file; what is to be known of its weights is said on standard error."""
    from gatewise import interop

    try:
        return aloud(lambda: interop.inspect(path, **omitted(settings)))
    except FileError as problem:
        if path.suffix.lower() not in NUMBERS or not path.is_file():
            raise
        raise FileError(
            f"{problem}; if it holds numbers that you worked out yourself, gatewise check reads it"
        ) from None


def aloud(work: Callable[[], T]) -> T:
    """Return what `work` returns, and print its warnings, each on a line, on standard error."""
    from gatewise.render.text import clean

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = work()
    for message in dict.fromkeys(str(one.message) for one in caught):
        print(f"gatewise: {clean(message)}", file=sys.stderr)
    return result


def picked(path: Path, name: str | None, settings: Sequence[str] | None) -> tuple[Contents, Found]:
    """Return what is in a file, and the LSTM of that name in it, or the only one."""
    contents = inspected(path, settings)
    return contents, aloud(lambda: contents.pick(name))


def network_of(contents: Contents, found: Found) -> Network | None:
    """Return the network that an LSTM belongs to, if the file says how all its layers are connected."""
    if contents.network is None:
        return None
    try:
        network = contents.network()
    except FileError:  # it says so, but a Network cannot express it
        return None
    only = len(contents.found) == 1 or found.stacked
    return network if network.lstm is found.lstm or (only and repr(network.lstm) == repr(found.lstm)) else None


def starting(found: Found, batch: int) -> States | None:
    """Return the initial state that a file gives, for each of `batch` sequences; None for zeros."""
    if found.state is None:
        return None

    def repeated(array: Array) -> Array:
        array = np.atleast_2d(array)
        if len(array) not in (1, batch):
            raise ShapeError(f"the file's initial state is for {counted(len(array), 'sequence')}; this run has {batch}")
        return np.broadcast_to(array, (batch, array.shape[1]))

    return tuple(tuple(State(repeated(one.h), repeated(one.c)) for one in row) for row in found.state)


def states(lstm: LSTM, h: Any, c: Any, batch: int, names: tuple[str, str] = ("h0", "c0")) -> Any:
    """Return states ``[layer][direction]`` of two arrays as frameworks stack them; None for one that is not given.

    Parameters
    ----------
    lstm : LSTM
    h, c : array or None
        (layers · directions, batch, size), or (batch, layers · directions, size); with one layer and direction also
        (batch, size); with one sequence also without the batch.
    batch : int
    names : tuple of str
        Of the arrays, in errors.
    """
    count, ways = lstm.num_layers * len(lstm.directions), len(lstm.directions)
    cells = [cell for row in lstm.layers for cell in row]
    found: list[list[Any]] = []
    for name, given, sizes in (
        (names[0], h, [cell.recurrent_size for cell in cells]),
        (names[1], c, [cell.hidden_size for cell in cells]),
    ):
        if given is None:
            found.append([None] * count)
            continue
        array, size = np.asarray(given), sizes[0]
        if len(set(sizes)) != 1:
            raise ShapeError(f"{name} cannot hold the states of layers of different sizes: {sizes}")
        allowed: list[tuple[int, ...]] = [(count, batch, size), (batch, count, size)]
        allowed += [(batch, size)] * (count == 1) + [(count, size)] * (batch == 1) + [(size,)] * (count * batch == 1)
        if array.shape not in allowed:
            raise ShapeError(
                f"{name} has shape {array.shape}; it must be {allowed[0]} (layers and directions, batch, unit)"
            )
        if array.shape == allowed[1] != allowed[0]:
            array = array.swapaxes(0, 1)
        found.append(list(array.reshape(count, batch, size)))
    pairs = [(one, other) for one, other in zip(*found, strict=True)]
    return tuple(tuple(pairs[start : start + ways]) for start in range(0, count, ways))


def integers(what: str, array: Any) -> Any:
    """Return an array as int64, or raise OptionError if a number is not an integer."""
    array = np.asarray(array)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise OptionError(f"{what} must hold integers: the network embeds them")
    if array.size and np.abs(array).max() > 2**53:
        raise OptionError(f"{what} must hold integers that an embedding has rows for")
    return array.astype(np.int64)


# Sequences.


class UnsaidAxesError(OptionError):
    """The order of the axes of an input is said nowhere, and its shape allows two."""


def axes(text: str | None, found: Found, shape: tuple[int, ...], batches: Collection[int] = ()) -> tuple[str, ...]:
    """Return the names of the axes of a sequence: as they are typed, else in the order that the file's framework has.

    Where the file does not say, the sizes that `batches` holds, or a batch of one sequence, may.

    Parameters
    ----------
    text : str or None
        What was typed.
    found : Found
    shape : tuple of int
        Of an array (time, batch) or (batch, time), with the features or, where they are embedded, without; of fewer
        axes for one sequence.
    batches : collection of int
        How many sequences there are by the lengths, the states or the outputs that came with the input.

    Raises
    ------
    OptionError
        If the names are others than time, batch and feature, or both orders are possible and none is said.
    """
    if text is None:
        first = _batch_first(found)
        if first is None and len(shape) > 1:
            first = _of_sizes(shape, batches)
        return ("batch", "time", "feature") if first else ("time", "batch", "feature")
    names = tuple(name.strip() for name in text.split(","))
    if sorted(names) not in (["batch", "feature", "time"], ["feature", "time"], ["batch", "time"], ["time"]):
        raise OptionError(f"--axes must be time,batch,feature in the order that the numbers have, not {text!r}")
    return names


def _batch_first(found: Found) -> bool | None:
    """Whether the input of an LSTM has the batch first; None where the file does not say, or says both."""
    graph = found.graph
    if graph is not None and graph.x is not None and graph.x_batch_first != bool(found.batch_first):
        return None  # the graph's input has other axes than the LSTM's, and either may be on file
    return found.batch_first


def _of_sizes(shape: tuple[int, ...], batches: Collection[int]) -> bool:
    """Whether a shape has the batch first by its sizes."""
    first, second = shape[:2]
    fitting = ({first, second} & set(batches)) or ({first, second} & {1})
    if len(fitting) == 1 and (first != second or fitting == {1}):
        return first in fitting
    rest = ",feature" * (len(shape) > 2)
    readings = (
        f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} (--axes {order}{rest})"
        for steps, sequences, order in ((first, second, "time,batch"), (second, first, "batch,time"))
    )
    raise UnsaidAxesError(
        f"the order of the axes must be given, since the file does not settle it: an input of shape {shape} is"
        f" {' or '.join(readings)}"
    )


def sequence(path: Path, key: str | None, wanted: Wanted | None = None) -> Given:
    """Return the numbers of a .npy, .npz, .csv or .nc file, of one to three axes; only the features that are wanted.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an archive holds several arrays and no `key` names one, or a name ends otherwise.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv", *NETCDF):
        raise OptionError(f"the input must be a .npy, .npz, .csv or .nc file, not {path}")
    if key is not None and suffix != ".npz":
        raise OptionError(f"--key belongs to an .npz file, not to {path}")
    if suffix == ".npz":
        names = npz_names(path)
        if key is None and len(names) != 1:
            held = join_names(names) or "none"
            raise OptionError(f"{path} holds {len(names)} arrays; --key names one of them: {held}")
        if key is not None and key not in names:
            raise OptionError(f"there is no array {key!r} in {path}; it has {join_names(names) or 'none'}")
        name = names[0] if key is None else key
        given = Given(numbers(name, read_npz(path, [name])[name]))
    elif suffix in NETCDF:
        given = Given(*netcdf(path, wanted))
    else:
        given = _csv(path, wanted) if suffix == ".csv" else Given(_npy(path))
    if given.values.ndim not in (1, 2, 3):
        raise ShapeError(f"the input has shape {given.values.shape}; it must have one to three axes")
    return given if wanted is None else wanted.complete(path, given)


def _npy(path: Path) -> Array:
    mapped = read_npy(path)
    require_memory(mapped.size, 4 if mapped.dtype == np.float32 else 8, f"reading {path}")
    return np.array(numbers(str(path), mapped))


def _csv(path: Path, wanted: Wanted | None) -> Given:
    size = readable(path).stat().st_size
    require_memory(size, 40, f"reading {path}")  # bytes of Python's own for each of text
    return _table(path, read_text(path), wanted)


def _table(path: str | Path, text: str, wanted: Wanted | None = None) -> Given:
    """Return the numbers of a table, with the names of features and the times that it has."""
    rows = tables.rows(path, text)
    if not rows:
        raise FileError(f"cannot read {path}: it holds no row")
    heads = None
    if not any(re.fullmatch(_LIKE_NUMBER, cell) or _is_number(cell) for cell in rows[0][1]) and any(rows[0][1]):
        heads, rows = rows[0][1], rows[1:]
        if not rows:
            raise FileError(f"cannot read {path}: its only line holds no numbers: {shown(', '.join(heads))}")
    width = len(heads or rows[0][1])
    for number, row in rows:
        if len(row) != width:
            apart = tables.SEPARATORS[tables.separator(text)]
            raise FileError(f"cannot read {path}: line {number} has {len(row)} entries, not {width} ({apart} separate)")
    times = None
    if heads is not None and width > 1 and _are_times(heads[0], rows[0][1][0]):
        times, heads = tuple(row[0] for _, row in rows), heads[1:]
        rows = [(number, row[1:]) for number, row in rows]
    if wanted is not None and heads is not None:
        heads, rows = wanted.columns(path, heads, rows)
    values, read = [], _number if "_" in text else float
    for number, row in tables.numerals(path, text, rows):
        try:
            values.append([*map(read, row)])
        except ValueError:
            wrong = next(cell for cell in row if not _is_number(cell))
            raise FileError(f"cannot read {path}: line {number} has {shown(wrong)!r}, which is not a number") from None
    return Given(np.array(values), tuple(heads) if heads else None, times)


def _are_times(head: str, first: str) -> bool:
    """Tell whether a first column holds times and not a feature: by its name, by having none, or by its entries."""
    return head.lower() in TIMES or not _is_number(first)


def _is_number(text: str) -> bool:
    try:
        _number(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    if "_" in text:  # which Python reads over
        raise ValueError
    return float(text)


def require_other(output: Path, *sources: Path | None) -> None:
    """Raise OptionError where a file would be written over one that is read."""
    for source in sources:
        if source is not None and output.exists() and source.exists() and output.samefile(source):
            raise OptionError(f"{output} is the file that is read; give the output another name")
