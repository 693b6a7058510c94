"""Warnings and notes on standard error, and the check of an output's name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatewise.errors import OptionError, WeightsWarning


@contextmanager
def printing_warnings() -> Iterator[None]:
    """Print each warning about weights once, on a line of standard error, while the block runs."""
    printed: set[str] = set()

    def show(message: Warning | str, *context: Any) -> None:
        text = str(message)
        if text not in printed:
            printed.add(text)
            print_notes([text])

    with warnings.catch_warnings():
        warnings.simplefilter("always", WeightsWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def print_notes(notes: Iterable[str]) -> None:
    """Print sentences on standard error, each on a line."""
    from gatewise.render.text import clean

    for note in notes:
        print(f"gatewise: {clean(note)}", file=sys.stderr)


def require_other(output: Path, *sources: Path | None) -> None:
    """Raise OptionError where a file would be written over one that is read."""
    for source in sources:
        if source is not None and output.exists() and source.exists() and output.samefile(source):
            raise OptionError(f"{output} is the file that is read; give the output another name")
