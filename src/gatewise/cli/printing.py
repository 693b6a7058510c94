"""Warnings, notes and what long work takes on standard error."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from gatewise.arrays import in_bytes, require_memory
from gatewise.errors import OptionError, WeightsWarning

COMMAND: ContextVar[str] = ContextVar("command", default="gatewise")  # as it was typed, quoted for a shell
LARGE = 64 * 2**20  # bytes from which on the size is announced
LONG = 10.0  # seconds from which on the time is announced, too
MAX_UNASKED = (20.0, 2**30)  # seconds and bytes of memory that work may take without --yes
_PRINTED: list[set[str]] = []  # of a command that runs, the sentences so far: a warning may be a note as well


@contextmanager
def printing_warnings() -> Iterator[None]:
    """Print each warning about weights once, on a line of standard error, while the block runs."""

    def print_warning(message: Warning | str, *context: Any) -> None:
        print_notes([str(message)])

    with warnings.catch_warnings():
        warnings.simplefilter("always", WeightsWarning)
        warnings.showwarning = print_warning  # type: ignore[assignment]
        _PRINTED.append(set())
        try:
            yield
        finally:
            _PRINTED.pop()


def print_line(text: str) -> None:
    """Print a sentence about what was written, without control characters of names."""
    from gatewise.render.text import clean  # not with the program's help

    print(clean(text))


def print_notes(notes: Iterable[str]) -> None:
    """Print sentences on standard error, each on a line, but for those that the command has printed already."""
    from gatewise.render.text import clean

    printed = _PRINTED[-1] if _PRINTED else set[str]()
    for note in notes:
        if note in printed:
            continue
        printed.add(note)
        _print_error_line(f"gatewise: {clean(note)}")


def _print_error_line(line: str) -> None:
    """Print a line on standard error; where nobody reads that, the work goes on without."""
    try:
        print(line, file=sys.stderr)
    except OSError:  # of a pipe or a terminal that was closed
        drop(sys.stderr)


def drop(stream: TextIO | None) -> None:
    """Drop what a stream has not written yet and all that follows; the interpreter would try again when it ends."""
    if stream is not None:  # it may be closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def name_source(file: Path, input: Path | None) -> str:
    """Return the name of a model's file or folder, and that of its input."""
    model = file.name or file.resolve().name  # of the working folder
    return model if input is None else f"{model} on {input.name}"


def announce_cost(work: str, seconds: float, size: float = 0) -> None:
    """Print on standard error what work takes, where that is much: "the run keeps 2 GiB of 100 steps"."""
    if size > LARGE or seconds > LONG:
        duration = f", and takes about {seconds:,.0f} s" if seconds > 1 else ""
        _print_error_line(f"gatewise: {work}{duration}")


def require_consent(work: str, seconds: float, memory: float, *, yes: bool) -> None:
    """Announce what work takes, or refuse it: where it takes much without --yes, or more memory than there is."""
    if not yes and (seconds > MAX_UNASKED[0] or memory > MAX_UNASKED[1]):
        raise OptionError(f"{work} takes about {seconds:,.0f} s and {in_bytes(memory)} of memory. Add --yes to go on.")
    require_memory(round(memory), 1, work)
    announce_cost(f"{work} needs {in_bytes(memory)} of memory", seconds, memory)
