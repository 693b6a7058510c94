"""Windows: a network evaluated on a series as NeuralHydrology does it, each output from a window of its own.

`Network.run_windows` returns the outputs of a series. Other quantities of each window's last step come from the same
parts: `window_ends` says which windows there are, and `window_batches` cuts them out, for a trace of each batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks, size

MAX_NUMBERS = 2**22  # numbers of a batch of windows, about

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Windows:
    """How a network is evaluated on a series: each output comes from a window of its own, run from the initial state.

    Parameters
    ----------
    steps : int
        The length of a window, which ends with the step of its output (NeuralHydrology's ``seq_length``).
    lags : mapping of str to (str, int)
        Features that are made of the data: the name of the column, and how many steps before it is read; 0 for a copy.

    Raises
    ------
    OptionError
        If the number of steps is not positive.
    """

    steps: int
    lags: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size("the steps of a window", self.steps, most=None)

    @property
    def continuous_note(self) -> str:
        """The sentence about a run that is not of windows."""
        return f"one continuous run over all steps, where the model is evaluated in windows of {self.steps:,}"

    def columns(self, features: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the data that the features of these names are made of."""
        return tuple(dict.fromkeys(self.lags.get(name, (name, 0))[0] for name in features))

    def sources(self, features: Sequence[str], columns: Sequence[str]) -> tuple[tuple[int, int], ...]:
        """Return for each feature the place of its column, and how many steps before it this is read."""
        pairs = (self.lags.get(name, (name, 0)) for name in features)
        return tuple((columns.index(column), steps) for column, steps in pairs)

    def inside(self, steps: int) -> slice:
        """Return the steps of a series of so many whose features are all read from inside of it."""
        shifts = [0, *(shift for _, shift in self.lags.values())]
        return slice(max(shifts), steps + min(shifts))


def window_ends(x: npt.ArrayLike, steps: int, breaks: Mask | None = None) -> Mask:
    """Return which steps of a series end a window that is whole.

    Parameters
    ----------
    x : array (time, …, feature)
        NaN where a number is missing.
    steps : int
        The length of a window.
    breaks : boolean array (time,), optional
        The steps that do not follow the one before them; see `gatewise.records.times.time_breaks`.

    Returns
    -------
    boolean array (time, …)
        False where the series is too short before a step, or the window has a NaN or a break.
    """
    ends: Mask = _recent(np.isnan(np.asarray(x)).any(-1), steps) == 0
    if breaks is not None:
        ends[_recent(breaks, steps - 1) > 0] = False
    ends[: steps - 1] = False
    return ends


def _recent(flags: Mask, steps: int) -> npt.NDArray[np.int64]:
    """Return for each step how many of the last `steps` flags up to it are set."""
    counts = np.cumsum(flags, axis=0, dtype=np.int64)
    return np.concatenate([counts[:steps], counts[steps:] - counts[: max(0, len(counts) - steps)]])


def lagged(column: Array, steps: int, breaks: Mask | None = None) -> Array:
    """Return a column (time, …) as it is so many steps earlier: NaN where that is outside, or beyond a break."""
    places = np.arange(len(column)) - steps
    inside = (places >= 0) & (places < len(column))
    places = np.where(inside, places, 0)
    if breaks is not None:
        counts = np.cumsum(breaks)
        inside &= counts == counts[places]
    earlier = np.array(column[places])
    earlier[~inside] = np.nan
    return earlier


def made_features(x: Array, sources: Sequence[tuple[int, int]], breaks: Mask | None = None) -> Array:
    """Return the features with these `Windows.sources`, made of columns (time, …, column); NaN as of `lagged`."""
    return np.stack([lagged(x[..., column], steps, breaks if steps else None) for column, steps in sources], axis=-1)


def window_batches(x: Array, ends: Mask, steps: int, numbers: int) -> Iterator[tuple[Places, Places, Array]]:
    """Yield the windows of a series in batches that fit into little memory.

    Parameters
    ----------
    x : array (time, sequence, feature)
    ends : boolean array (time, sequence)
        The steps at which a window ends; see `window_ends`.
    steps : int
        The length of a window.
    numbers : int
        How many numbers a run keeps of each step of a window: a batch has at most `MAX_NUMBERS` of them, or one window.

    Yields
    ------
    times, sequences : array of int (window,)
        The step and the sequence at which each window ends.
    windows : array (steps, window, feature)
    """
    times, sequences = np.nonzero(ends)
    before = np.arange(1 - steps, 1)[:, None]
    for piece in chunks(len(times), steps * numbers, MAX_NUMBERS):
        yield times[piece], sequences[piece], x[times[piece] + before, sequences[piece]]
