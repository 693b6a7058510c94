"""The exception types of gatewise, and their common messages.

Each message is one sentence: what was wrong, what was given, what is allowed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST = 500  # characters of a message, whatever a file says in it
PACKAGES = {  # that are optional, by their modules: their names, and the extras of gatewise that bring them
    "dask": ("dask", "dask"),
    "h5py": ("h5py", "keras"),
    "keras": ("Keras 3 with a backend (torch, jax or tensorflow, as KERAS_BACKEND says)", None),
    "matplotlib": ("matplotlib", "plot"),
    "onnx": ("onnx", "onnx"),
    "onnxruntime": ("onnxruntime", None),
    "openpyxl": ("openpyxl", "excel"),
    "pandas": ("pandas", "plot"),
    "scipy": ("SciPy", "plot"),
    "threadpoolctl": ("threadpoolctl", "dask"),
    "torch": ("PyTorch", None),
    "xarray": ("xarray 2024.10 or newer", "xarray"),
    "yaml": ("PyYAML", "neuralhydrology"),
    "zarr": ("zarr", "dask"),
}


def sentence(text: str) -> str:
    """Return an error's message as one line of at most 500 characters; bytes that are not UTF-8 are spelled out."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}…"
    if not text.isprintable():
        text = " ".join(text.splitlines())
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half of a pair, which stands for no byte
            data = text.encode("utf-8", "backslashreplace")
        text = data.decode("utf-8", "backslashreplace")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class GatewiseError(Exception):
    """The base class of the errors that gatewise raises. Its message is one line of at most 500 characters.

    Examples
    --------
    >>> issubclass(gw.ShapeError, gw.GatewiseError)
    True
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(sentence(argument) if isinstance(argument, str) else argument for argument in args))


class ShapeError(GatewiseError, ValueError):
    """Sizes that do not match.

    Examples
    --------
    >>> try:
    ...     gw.LSTM(3, 2, rng=0)(np.ones((5, 4)))
    ... except gw.ShapeError as error:
    ...     print(error)
    x has shape (5, 4); it must be (time, batch, 3) or (time, 3)
    """


class OptionError(GatewiseError, ValueError):
    """A value, a name or a combination of switches that is not allowed.

    Examples
    --------
    >>> try:
    ...     gw.LSTM(1, 2, merge="mean")
    ... except gw.OptionError as error:
    ...     print(error)
    merge must be one of concat, sum, mul, average, none, not 'mean'
    """


class NotKeptError(GatewiseError, LookupError):
    """A request for something that a trace did not keep.

    Examples
    --------
    >>> trace = gw.LSTM(1, 2, rng=0).trace([[1.0]], keep=["cell_state"])
    >>> try:
    ...     trace[0].forget_gate
    ... except gw.NotKeptError as error:
    ...     print(error)
    this trace did not keep forget_gate; it kept cell_state
    """


class FileError(GatewiseError, OSError):
    """A file that cannot be read or written, or does not hold what was asked of it.

    Examples
    --------
    >>> try:
    ...     gw.load("no-such-file.pt")
    ... except gw.FileError as error:
    ...     print(error)
    cannot read no-such-file.pt: there is no such file
    """


class CapacityError(GatewiseError, MemoryError):
    """A request for more memory than is available.

    Examples
    --------
    >>> try:
    ...     gw.LSTM(1, 2**40)
    ... except gw.CapacityError:
    ...     print("larger than memory")
    larger than memory
    """


class MissingExtraError(GatewiseError, ImportError):
    """An optional package that is needed here and is not installed.

    Examples
    --------
    >>> issubclass(gw.MissingExtraError, ImportError)
    True
    """


@contextmanager
def importing(package: str, use: str) -> Iterator[None]:
    """Turn an ImportError of one of `PACKAGES` into a MissingExtraError that says which command installs it.

    `use` is the beginning of the sentence, up to its verb: ``pictures need``. The package may also be too old, or lack
    one that it needs itself.
    """
    try:
        yield
    except ImportError as problem:
        name, extra = PACKAGES[package]
        broken = problem.name is not None and problem.name.partition(".")[0] != package
        state = f", which cannot be imported ({reason(problem)})" if broken else ""
        command = f"pip install {package}" if extra is None else f"from a clone, pip install '.[{extra}]'"
        raise MissingExtraError(f"{use} {name}{state}: {command}") from None


class WeightsWarning(UserWarning):
    """Weights that are not finite, or that differ slightly from those the file's own runtime computes with.

    Examples
    --------
    >>> issubclass(gw.WeightsWarning, UserWarning)
    True
    """

    def __init__(self, message: str) -> None:
        super().__init__(sentence(message))


class DataWarning(UserWarning):
    """Data that a model runs on, but that may not be what it expects: with gaps in time, or in other units."""

    def __init__(self, message: str) -> None:
        super().__init__(sentence(message))


def warn_of_data(notes: Iterable[str]) -> None:
    """Warn of data, at the line that called gatewise."""
    for note in notes:
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "gatewise":
            level, frame = level + 1, frame.f_back
        warnings.warn(note, DataWarning, stacklevel=level)


def shown(text: str, most: int = 120) -> str:
    """Return a text out of a file fit for a line of an error: unprintable letters become ?, and a long text is cut."""
    line = text[:most]
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(text) <= most else f"{line}…"


def join_names(names: Iterable[object], last: str = "", *, most: int = 20, separator: str = ", ") -> str:
    """Return names as a list in an error's sentence; of a long list, the first names and how many more there are.

    `last` is the word before the last name, ``and`` or ``or``; by default the separator alone. The list has at most
    `most` entries, of which the last may be the number of names that are left out.
    """
    entries = [str(name) for name in names]
    if len(entries) > most:
        entries[most - 1 :] = [f"{'' if last else 'and '}{len(entries) - most + 1:,} more"]
    if last and len(entries) > 1:
        entries[-2:] = [f"{entries[-2]} {last} {entries[-1]}"]
    return separator.join(entries)


def reason(problem: BaseException, most: int = 120) -> str:
    """Return the message of another library's error in one short line, to be quoted in brackets."""
    lines = str(problem).strip().splitlines() or [""]
    return shown(lines[0], most) or type(problem).__name__


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return a value that is one of `allowed`, or raise OptionError; `name` is the subject of the error."""
    if isinstance(value, str) and value in allowed:
        return value
    raise OptionError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
