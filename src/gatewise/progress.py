"""How far long work has come, shown on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 1.0  # seconds of work before anything is shown
MANY = 30  # things: work on no more of them is never shown, and work on more is from the beginning


_shown: list[Progress] = []  # the bars on the terminal: there is only one at a time, and inner work is a line of it


class _Here(threading.local):
    """What is so in a thread alone."""

    unshown = False


_here = _Here()


@contextmanager
def working(purpose: str, total: int | None, expected: float = 0.0) -> Iterator[Callable[[int], None]]:
    """Show the progress of work on standard error, where that is a terminal and it takes longer than `PATIENCE`.

    `purpose` says what is being done, "integrating gradients"; `total` how many pieces the work has, None if it does
    not tell how far it is. Work that is `expected` to take more seconds than `PATIENCE` is shown from the beginning.
    What is given takes how many more pieces are done.
    """
    if sys.stderr is None or _here.unshown or not sys.stderr.isatty():
        yield lambda count: None
        return
    bar = _Bar(purpose, total)
    if expected > PATIENCE:
        bar.show()
    try:
        yield bar.advance
    finally:
        bar.close()


@contextmanager
def unshown() -> Iterator[None]:
    """Show no progress of this thread's work while the block runs: it is part of work that is shown as a whole."""
    before, _here.unshown = _here.unshown, True
    try:
        yield
    finally:
        _here.unshown = before


@contextmanager
def working_through(purpose: str, count: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of work on `count` pieces, as `working` does, where there are more than `MANY`."""
    if count <= MANY:
        yield lambda count: None
        return
    with working(purpose, count, expected=float("inf")) as done:
        yield done


class _Bar:
    """One line of progress, which appears once the work has taken a while."""

    def __init__(self, purpose: str, total: int | None) -> None:
        self.purpose, self.total, self.done, self.start = purpose, total, 0, time.monotonic()
        self.owner = False
        self.task: int | None = None

    def advance(self, count: int) -> None:
        """Add so many pieces to those done; the progress bar appears once the work has lasted `PATIENCE`."""
        self.done += count
        if self.task is None:
            if time.monotonic() - self.start < PATIENCE:
                return
            self.show()
        _shown[0].update(self.task, completed=self.done)  # type: ignore[arg-type]

    def show(self) -> None:
        """Show this progress bar on the terminal: a line of the bars that are there, or of new ones."""
        if not _shown:
            _shown.append(_start_bars())
            self.owner = True
        self.task = _shown[0].add_task(self.purpose, total=self.total)

    def close(self) -> None:
        """Take this progress bar off the terminal, and all bars if it was the first."""
        if self.task is not None and _shown:
            _shown[0].remove_task(self.task)  # type: ignore[arg-type]
        if self.owner:
            _shown.pop().stop()


def _start_bars() -> Progress:
    """Return rich's progress bars on standard error, started."""
    from rich.console import Console
    from rich.progress import Progress, TimeElapsedColumn

    columns = *Progress.get_default_columns(), TimeElapsedColumn()
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    bars.start()
    return bars
