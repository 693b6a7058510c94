"""Places in a run: steps, sequences and others by their numbers, names and dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import index
from gatewise.errors import OptionError, join_names
from gatewise.number_text import parse_integer
from gatewise.records.labels import instant
from gatewise.records.times import dates_of
from gatewise.showing import counted

LARGEST = 10**18  # of the number of a part of a run
Times = Sequence[Any] | npt.NDArray[Any] | None  # the labels of a run's steps


def place_of(noun: str, name: Any, count: int, names: Sequence[str] | None, owner: str = "this run") -> int:
    """Return the place of a part of `owner`, such as a sequence or an output, by its number (also as text) or name."""
    if isinstance(name, str):
        if names is not None and name in names:
            return list(names).index(name)
        if (number := _number(name)) is None:
            listing = join_names(map(repr, names)) if names else f"{counted(count, noun)} without names"
            raise OptionError(f"there is no {noun} {name!r}; {owner} has {listing}")
        name = number
    return index(noun, name, count, owner)


def _number(text: str) -> int | None:
    """Return the number of a part of a run that a text is; None for other texts, and for numbers that none has."""
    try:
        number = parse_integer(text)
    except ValueError:
        return None
    return number if abs(number) < LARGEST else None


def is_time(value: object) -> bool:
    """Whether a value names a step by its date or its name, and not by its number."""
    return isinstance(value, (str, np.datetime64, datetime.date))


def step_place(t: Any, count: int, times: Times, owner: str = "this run") -> int:
    """Return the place of a step from its number (negative from the end, also as text), its date or its name.

    A text may be a part of a date that only one step has, such as the day of daily steps that are instants.
    """
    if not is_time(t):
        return index("step", t, count, owner)
    names = () if times is None else times
    if (bounds := _bounds(t, times)) is None:
        places = np.flatnonzero([str(time) == str(t) for time in names])
    else:
        dates = np.array(names)
        places = np.flatnonzero((dates >= bounds[0]) & (dates < bounds[1]))
    if not len(places) and isinstance(t, str) and (number := _number(t)) is not None:
        return index("step", number, count, owner)
    if not len(places):
        has = f"{owner} has {names[0]} to {names[-1]}" if len(names) else f"the steps of {owner} have numbers alone"
        raise OptionError(f"there is no step {str(t)!r}; {has}")
    first, last = names[places[0]], names[places[-1]]
    if first != last:
        raise OptionError(
            f"{str(t)!r} is {counted(len(places), 'step')} of {owner}, {first} to {last}. Choose one of them."
        )
    return int(places[0])


def step_slice(start: Any, stop: Any, count: int, times: Times, owner: str = "this run") -> tuple[Any, Any]:
    """Return the ends of a slice of steps as numbers; one by its date or name takes the last step, too.

    Numbers and None are returned as they are. A part of a date, such as a month, is all of its steps.
    """
    return _edge(start, count, times, owner, last=False), _edge(stop, count, times, owner, last=True)


def _edge(t: Any, count: int, times: Times, owner: str, *, last: bool) -> Any:
    """Return an end of a slice of steps as a number: the first step that it names, or the one after the last."""
    if not is_time(t):
        if t is not None and not hasattr(t, "__index__"):
            raise OptionError(f"the {'stop' if last else 'start'} of steps is a number, a date or a name, not {t!r}")
        return t
    if (bounds := _bounds(t, times, year=True)) is None:
        return step_place(t, count, times, owner) + last
    dates = np.array(times)
    if (dates[1:] < dates[:-1]).any():
        raise OptionError(f"the dates of {owner} go back in time. Slice it by numbers of steps.")
    return int(np.searchsorted(dates, bounds[last]))


def _bounds(t: Any, times: Times, *, year: bool = False) -> tuple[np.datetime64, np.datetime64] | None:
    """Return the beginning of a date, or of a text's part of one, and what it lies before; None where one is no date.

    A text of four digits may be a `year`.
    """
    if times is None or not len(times) or not isinstance(times[0], np.datetime64):
        return None
    if isinstance(t, str):
        parsed = np.array([t], "datetime64[Y]") if year and re.fullmatch(r"\d{4}", t) else dates_of((t,))
        return (parsed[0], parsed[0] + 1) if isinstance(parsed, np.ndarray) else None
    if getattr(t, "tzinfo", None) is not None:
        raise OptionError(
            f"{str(t)!r} has a time zone, but the dates of a run have none. Drop it with .replace(tzinfo=None)."
        )
    low = instant(t)
    low = low.astype(np.promote_types(low.dtype, "datetime64[us]"))  # and not all of the day that a date is
    return low, low + 1
