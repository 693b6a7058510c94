"""The times of data: which texts are dates, and whether steps are in order, unique and without gaps.

`check_times` is the one place where times are checked, whatever they came in: a column, an index or a coordinate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Mask
from gatewise.errors import GatewiseError, OptionError, join_names, shown
from gatewise.showing import counted

TIME_HEADS = ("", "time", "times", "date", "datetime", "timestamp", "step", "t", "index")  # of a table's first column
ROW_HEADS = ("", "index")  # of them, those under which numbers count rows: they may begin anew, and have no gaps
MISSING = frozenset(  # texts without a number or a date
    ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NaT", "null", "None", "<NA>", "missing", "-", "--", "---", ".", "?")
)
GAP = 1.5  # of the least time from step to step: one that is longer is a gap
GAPS = " in time: "  # between the number of gaps and their places, in notes
MAX_LISTED = 3  # gaps in a sentence
MAX_YEARS = 10_000  # of a series in which leap days are looked for
WEEKENDS = ((5, 6), (6,), (4, 5))  # days off, counted from Monday: a series without them may be of working days
STEP_MARGIN = 0.01  # by which a step may differ from the one that a model was trained on: times may be rounded
SORT_OPTION = "Pass --sort-time (in Python sort_time=True) to sort the rows."

_PER_DAY = {unit: 86400 * 1000**power for power, unit in enumerate(("s", "ms", "us", "ns"))} | {
    "D": 1,
    "h": 24,
    "m": 1440,
}
_DATE = re.compile(r"\d{4}([-/])\d\d(\1\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?)?")
_OTHER_DATE = re.compile(  # compact, without leading zeros, with points, or with a time zone
    r"(\d{4})(?:([-/.])(\d\d?)\2(\d\d?)|(\d\d)(\d\d))"
    r"(?:[T ](\d\d?)(?::?(\d\d)(?::?(\d\d(?:\.\d{1,9})?))?)?(Z|[+-]\d\d:?\d\d|[+-]\d\d)?)?"
)
_DAY_FIRST = r"\d\d?([-/.])\d\d?\1\d{2,4}\b.*"  # or the month: which, a text does not say
_FREQUENCY = r"([1-9]\d{0,5}|) *([A-Za-z]+)(?:-[A-Z]{3})?"
_UNITS = {  # of a frequency as pandas writes it: its name, and the shortest and the longest in seconds
    **dict.fromkeys(("D", "d"), ("day", 86400, 86400)),
    **dict.fromkeys(("h", "H"), ("hour", 3600, 3600)),
    **dict.fromkeys(("min", "T"), ("minute", 60, 60)),
    **dict.fromkeys(("s", "S"), ("second", 1, 1)),
    "W": ("week", 604800, 604800),
    **dict.fromkeys(("M", "ME", "MS"), ("month", 28 * 86400, 31 * 86400)),
    **dict.fromkeys(("Q", "QE", "QS"), ("quarter", 90 * 86400, 92 * 86400)),
    **dict.fromkeys(("Y", "YE", "YS", "A", "AS"), ("year", 365 * 86400, 366 * 86400)),
}

Ticks = npt.NDArray[Any]  # int64 in the unit of dates, or float64


# Texts that are dates.


def dates_of(times: Sequence[str] | Any) -> Any:
    """Return times as dates where all are written year first, in UTC, which gives steps a length; else as names."""
    if isinstance(times, np.ndarray):
        return times
    try:
        if all(map(_DATE.fullmatch, times)):
            return np.array([time.replace("/", "-") for time in times], "datetime64")
    except ValueError:  # 24:00, or the 31st of February
        pass
    dates: list[np.datetime64] = []
    for time in times:
        date = _date(time)
        if not isinstance(date, np.datetime64):
            return times
        dates.append(date)
    return np.array(dates)


def _date(text: str) -> np.datetime64 | bool:
    """Return the date that a text is, in UTC; True if it is written as one that does not exist, False if as none.

    24:00 ends a day. Eight digits without a date are a number.
    """
    if not text[:4].isdigit():
        return False
    match = _OTHER_DATE.fullmatch(text)
    try:
        if match is None:
            return np.datetime64(text.replace("/", "-")) if _DATE.fullmatch(text) else False
        return _utc(match)
    except ValueError:
        return match is None or match[2] is not None


def _utc(match: re.Match[str]) -> np.datetime64:
    """Return the date in the groups of `_OTHER_DATE`, in UTC."""
    year, _, month, day, compact_month, compact_day, hour, minute, second, zone = match.groups()
    date = np.datetime64(f"{year}-{month or compact_month:0>2}-{day or compact_day:0>2}")
    if hour is None:
        return date
    if hour == "24" and not float(minute or 0) and not float(second or 0):
        date, hour = date + 1, "00"
    instant = np.datetime64(f"{date}T{hour:0>2}:{minute or '00'}" + (f":{second}" if second else ""))
    if zone in (None, "Z"):
        return instant
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    return instant - np.timedelta64((60 * hours + minutes) * (-1 if zone[0] == "-" else 1), "m")


def undated_note(times: Any) -> str:
    """Return the sentence about times of a series that are not read as dates; empty where there are dates or none."""
    if times is None or not len(times) or not isinstance(times[0], str) or isinstance(dates_of(times), np.ndarray):
        return ""
    return f"{shown(times[0], 40)!r} is not read as a date, such as 2000-01-31, so that a gap between steps is not seen"


def _number(text: str) -> float | None:
    """Return the finite number that a text is, with a decimal point or a decimal comma; None if it is none."""
    if not text[:1].isdigit() and text[:1] not in ("+", "-", ".", ","):  # which is faster than an exception
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def are_numbers(cells: Iterable[str]) -> bool:
    """Return whether a column holds numbers, some of which may be missing or misspelled: most of its entries are."""
    numbers = others = missing = 0
    for cell in cells:
        if cell in MISSING:
            missing += cell != ""
        elif cell[:1].isalpha() or _number(cell) is None:
            others += 1
        else:
            numbers += 1
    return numbers > others or (missing > 0 and not others)


# What is asked of times.


@dataclass(frozen=True)
class TimeStep:
    """The time from step to step that a model was trained on.

    Attributes
    ----------
    frequency : str
        As pandas writes it, for example ``1D``, ``3h`` or ``1MS``.
    shortest, longest : int
        In seconds: months and years differ.
    """

    frequency: str
    name: str
    shortest: int
    longest: int

    @classmethod
    def of(cls, frequency: object) -> TimeStep | None:
        """Return the step of a frequency; None for one of another kind, such as business days."""
        match = re.fullmatch(_FREQUENCY, frequency) if isinstance(frequency, str) else None
        if match is None or match[2] not in _UNITS:
            return None
        count, (noun, shortest, longest) = int(match[1] or 1), _UNITS[match[2]]
        return cls(match[0], counted(count, noun), count * shortest, count * longest)


@dataclass(frozen=True)
class TimeRules:
    """What is asked of the times of data.

    Attributes
    ----------
    sort : bool
        Whether rows in another order are sorted; otherwise they are refused.
    strict : bool
        Whether gaps are refused; otherwise there is a note of them.
    step : TimeStep or None
        The only time from step to step that is allowed.
    remedy : str
        The sentence that says how rows are sorted.
    """

    sort: bool = False
    strict: bool = False
    step: TimeStep | None = None
    remedy: str = SORT_OPTION


DEFAULT_RULES = TimeRules()


@dataclass(frozen=True, eq=False)
class RawTimes:
    """The times of the steps of data as they were read.

    Attributes
    ----------
    values : array of dates, durations, numbers or objects, or sequence of str
    lines : sequence of int or None
        The line of each row in a file.
    head : str
        The name of their column or index in small letters: under one of `ROW_HEADS` numbers are not times but count
        rows, and under ``t`` they may also be temperatures.
    origin : str
        The sentence that says which column was read as times and why; empty without such a column.
    """

    values: Any
    lines: Sequence[int] | None = None
    head: str = "time"
    origin: str = ""

    def row(self, place: int) -> str:
        """Return the name of a row for a sentence."""
        return f"step {place}" if self.lines is None else f"line {self.lines[place]}"

    def text(self, place: int) -> str:
        """Return a time for a sentence."""
        value = self.values[place]
        is_date = isinstance(value, np.datetime64)
        return str(np.datetime_as_string(value, unit="auto")) if is_date else shown(str(value), 40)


class CheckedTimes(NamedTuple):
    """Times that were checked.

    Attributes
    ----------
    order : array of int or None
        The places of the rows in order of time; None if that is their order.
    dates : array or None
        The dates that texts are, in the order of the rows.
    notes : tuple of str
        Sentences on gaps and calendars.
    """

    order: npt.NDArray[np.intp] | None = None
    dates: Any = None
    notes: tuple[str, ...] = ()


@np.errstate(all="ignore")
def check_times(
    raw: RawTimes, source: object, rules: TimeRules = DEFAULT_RULES, error: type[GatewiseError] = OptionError
) -> CheckedTimes:
    """Check the times of data for order, repetitions, gaps and their step; names that are no times pass.

    Parameters
    ----------
    raw : RawTimes
    source : object
        What errors and notes call the data.
    rules : TimeRules
    error : type
        The error that is raised.

    Raises
    ------
    GatewiseError
        If a time is missing or does not exist, times repeat, go back and are not to be sorted, have gaps and `strict`
        is set, or another step than the model's.

    Notes
    -----
    Dates and integers are compared exactly. A step is a gap if it is longer than 1.5 times the shortest one; of
    numbers with decimals, by more than their rounding. Months, years and their parts of unequal length, working days,
    calendars without leap days and the hours of daylight saving time have no gaps of their own.
    """
    times = _read(raw, source, error)
    if times is None:
        if rules.sort:
            first = f"{raw.text(0)!r} is not read as a date" if len(raw.values) else "there are none"
            raise error(f"{source} cannot be sorted by time: {first}. Write dates such as 2000-01-31.")
        texts = [str(value) for value in raw.values[:1]]
        day_first = texts and re.fullmatch(_DAY_FIRST, texts[0])
        return CheckedTimes(notes=(undated_note(texts),) if day_first else ())
    ticks, dates = times
    notes: list[str] = []
    places, counts_rows = np.arange(len(ticks)), raw.head in ROW_HEADS and dates is None
    standard, repeats = _without_daylight_saving(ticks, dates)
    if not _increases(standard):
        if not rules.sort and dates is None and _are_names(raw.head, ticks):
            named = f"{source}: the numbers of column 't' are read as names of steps: they are not in order of time"
            return CheckedTimes(notes=() if counts_rows else (named,))
        places = _sorted_places(raw, ticks, dates, source, rules, error)
        standard, repeats = _without_daylight_saving(ticks[places], dates)
    if len(repeats):
        when = join_names((raw.text(places[place]) for place in repeats), most=MAX_LISTED)
        notes.append(f"{source}: an hour repeats at {when}, which is read as the end of daylight saving time")
    if dates is not None and rules.step is not None:
        _require_step(raw, standard, dates, places, rules.step, source, error)
    if not counts_rows:
        notes += _gap_notes(raw, standard, dates, places, source, rules, error)
    return CheckedTimes(None if _increases(places) else places, dates, tuple(notes))


# Reading.


def _read(raw: RawTimes, source: object, error: type[GatewiseError]) -> tuple[Ticks, Any] | None:
    """Return times as numbers that grow with time, and as dates if they are; None if they are names.

    Raise the error for a time that is missing or does not exist.
    """
    values = raw.values
    if not isinstance(values, np.ndarray) or values.dtype.kind in "OUT":
        if isinstance(values, np.ndarray) and all(hasattr(value, "calendar") for value in values):  # of cftime
            apart = ((value - values[0]) // timedelta(microseconds=1) for value in values)
            return np.fromiter(apart, np.int64, len(values)), None
        return _read_texts(raw, [str(value) for value in values], source, error)
    if values.dtype.kind in "Mmf":
        missing = ~np.isfinite(values) if values.dtype.kind == "f" else np.isnat(values)
        if missing.any():
            raise error(f"{source} has no time in {raw.row(int(missing.argmax()))}. Give each row a time.")
    if values.dtype.kind == "M":
        return _ticks(values), values
    if values.dtype.kind == "m":
        return values.astype(np.int64), None
    if values.dtype.kind in "iuf":
        return values.astype(np.float64 if values.dtype.kind == "f" or values.dtype == np.uint64 else np.int64), None
    return None


def _ticks(dates: Any) -> Ticks:
    ticks: Ticks = dates.astype(f"datetime64[{np.datetime_data(dates.dtype)[0]}]").astype(np.int64)
    return ticks


def _read_texts(
    raw: RawTimes, texts: list[str], source: object, error: type[GatewiseError]
) -> tuple[Ticks, Any] | None:
    """Return times that are texts as `_read` does: dates or numbers if most of them are."""
    if not texts:
        return None
    dates = dates_of(texts)
    if isinstance(dates, np.ndarray):
        return _ticks(dates), dates
    if 8 not in set(map(len, texts)) and (whole := _whole_numbers(texts)) is not None:
        return whole, None
    begun = sum(text[:4].isdigit() for text in texts)
    found = [_date(text) for text in texts] if 2 * begun > len(texts) else []
    if 2 * sum(date is not False for date in found) > len(texts):
        if (thirty := _thirty_day_ticks(texts)) is not None:
            return thirty, None
        place = next(place for place, date in enumerate(found) if not isinstance(date, np.datetime64))
        if texts[place] in MISSING:
            raise error(f"{source} has no date in {raw.row(place)}. Give each row a date.")
        raise error(
            f"{source}: {raw.row(place)} has {raw.text(place)!r}, which is not a date. Write dates such as 2000-01-31."
        )
    numbers = []
    for text in texts:
        number = _number(text)
        if number is None and text not in MISSING:
            return None
        numbers.append(number)
    if None in numbers:
        if not are_numbers(texts):
            return None
        raise error(f"{source} has no time in {raw.row(numbers.index(None))}. Give each row a time.")
    return np.array(numbers, np.float64) if (whole := _whole_numbers(texts)) is None else whole, None


def _whole_numbers(texts: Sequence[str]) -> Ticks | None:
    try:
        return None if any("_" in text for text in texts) else np.array([*map(int, texts)], np.int64)
    except (ValueError, OverflowError):
        return None


def _thirty_day_ticks(texts: Sequence[str]) -> Ticks | None:
    """Return dates as seconds of a calendar whose months all have 30 days; None if they are not of that calendar.

    They are if they are in order, no month has a 31st, and the 30th of a month that has 31 days elsewhere comes before
    a 1st.
    """
    matches = [match for match in map(_OTHER_DATE.fullmatch, texts) if match is not None and match[10] is None]
    if len(matches) < len(texts):
        return None
    year, month, day, hour, minute, second = (
        np.array([float(match[part] or match[compact or part] or 0) for match in matches])
        for part, compact in ((1, 0), (3, 5), (4, 6), (7, 0), (8, 0), (9, 0))
    )
    if (month > 12).any() or (day > 30).any() or (np.minimum(month, day) < 1).any() or (hour > 23).any():
        return None
    days = 360 * year + 30 * (month - 1) + day - 1
    present = np.unique(days)
    ends = present[:-1][(np.diff(present) == 1) & (present[:-1] % 30 == 29)]
    long = np.isin(ends // 30 % 12, (0, 2, 4, 6, 7, 9, 11))
    seconds = 86400 * days + 3600 * hour + 60 * minute + second
    in_order = (np.diff(seconds) > 0).all() or (np.diff(seconds) < 0).all()  # else one date may be misspelled
    return seconds if in_order and long.any() else None


# Order.


def _are_names(head: str, ticks: Ticks) -> bool:
    """Return whether numbers in no order are not times: as their column is called, they repeat or are decimals."""
    repeat = len(np.unique(ticks)) < len(ticks)
    measures = repeat or (ticks != np.rint(ticks)).any()
    return (head in ROW_HEADS and repeat) or (head == "t" and bool(measures) and not _increases(ticks[::-1]))


def _increases(ticks: npt.NDArray[Any]) -> bool:
    return bool((ticks[1:] > ticks[:-1]).all())


def _sorted_places(
    raw: RawTimes, ticks: Ticks, dates: Any, source: object, rules: TimeRules, error: type[GatewiseError]
) -> npt.NDArray[np.intp]:
    """Return the places of rows in order of time; raise the error if times repeat, or rows are not to be sorted."""
    reverse, origin = np.arange(len(ticks))[::-1], f" {raw.origin}" if raw.origin and dates is None else ""
    flipped, _ = _without_daylight_saving(ticks[::-1], dates)
    backwards = _increases(flipped)
    order = reverse if backwards else np.argsort(ticks, kind="stable")
    if not backwards and len(same := np.flatnonzero(np.diff(ticks[order]) == 0)):
        first, second = order[same[0]], order[same[0] + 1]
        rest = f", and {counted(len(same) - 1, 'other repetition')}" if len(same) > 1 else ""
        local = "T" in raw.text(first) or " " in raw.text(first)
        zone = " If these are local times, write their offset from UTC, such as +01:00." if local else ""
        raise error(
            f"{source} has {raw.text(first)} twice, in {raw.row(first)} and {raw.row(second)}{rest}. Remove one of the"
            f" rows, or run each series by itself.{zone}{origin}"
        )
    if rules.sort:
        return order
    if backwards:
        ends = f"from {raw.text(0)} back to {raw.text(len(ticks) - 1)}"
        raise error(f"{source} runs backwards in time, {ends}. {rules.remedy}{origin}")
    back = int(np.flatnonzero(ticks[1:] < ticks[:-1])[0]) + 1
    raise error(
        f"{source} is shuffled in time, not just reversed: {raw.text(back)} in {raw.row(back)} comes after"
        f" {raw.text(back - 1)}. {rules.remedy}{origin}"
    )


def _without_daylight_saving(ticks: Ticks, dates: Any) -> tuple[Ticks, npt.NDArray[np.intp]]:
    """Return local times without daylight saving time, and the places at which an hour repeats.

    Times are local if steps divide an hour, and every step that does not go forward goes back to the hour before in a
    night from Saturday to Sunday, whose whole hour follows again. The hours that are left out in such nights are then
    of the same clock. Other times are returned as they are.
    """
    nowhere = np.empty(0, np.intp)
    per_day = 0 if dates is None else _PER_DAY.get(np.datetime_data(dates.dtype)[0], 0)
    apart, hour = ticks[1:] - ticks[:-1], per_day // 24
    if not hour or (apart > 0).all() or not (apart > 0).any():
        return ticks, nowhere
    step = apart[apart > 0].min()
    back = np.flatnonzero(apart <= 0) + 1
    if hour % step or (apart[back - 1] != step - hour).any() or not _at_night(ticks[back], per_day).all():
        return ticks, nowhere
    again = back[:, None] + np.arange(hour // step)  # the steps of the hour that repeats, and the one after it
    if (apart[again[again < len(apart)]] != step).any():
        return ticks, nowhere
    ahead = np.flatnonzero(apart == step + hour) + 1
    shift = np.zeros_like(ticks)
    shift[back] = hour
    shift[ahead[_at_night(ticks[ahead], per_day)]] = -hour
    return ticks + np.cumsum(shift), back


def _at_night(ticks: Ticks, per_day: int) -> Mask:
    """Return whether each date lies between 22:00 on a Saturday and 4:59 on a Sunday."""
    days, clock = np.divmod(ticks, per_day)
    weekday, hour = (days + 3) % 7, clock * 24 // per_day  # 1970 began on a Thursday
    night: Mask = ((weekday == 5) & (hour >= 22)) | ((weekday == 6) & (hour <= 4))
    return night


# Gaps, and the step.


@np.errstate(all="ignore")
def time_breaks(times: Any) -> Mask | None:
    """Return the steps whose dates do not follow the date before them: after a gap, or going back; None if none.

    `times` are dates (time,); names of steps, and None, have no breaks.
    """
    dates = np.asarray(times)
    if dates.dtype.kind != "M" or len(dates) < 2:
        return None
    ticks, _ = _without_daylight_saving(_ticks(dates), dates)
    forward = ticks[1:] > ticks[:-1]
    long = _steps(ticks, dates, forward)[1] if forward.any() else forward
    breaks = np.concatenate([[False], ~forward | long])
    return breaks if breaks.any() else None


def _gap_notes(
    raw: RawTimes,
    ticks: Ticks,
    dates: Any,
    places: npt.NDArray[np.intp],
    source: object,
    rules: TimeRules,
    error: type[GatewiseError],
) -> list[str]:
    """Return sentences about the gaps of increasing times and about their calendar; raise the error if `strict`."""
    if len(ticks) < 2:
        return []
    apart, long, least, calendar = _steps(ticks, dates, np.ones(len(ticks) - 1, bool))
    notes = [f"{source}: its dates are read as {calendar}"] if calendar else []
    gaps = np.flatnonzero(long).tolist()
    if not gaps:
        return notes
    listed = []
    for gap in gaps[:MAX_LISTED]:
        ends = f"{raw.text(places[gap])} to {raw.text(places[gap + 1])}"
        missing = max(1, round(min(float(apart[gap] / least), 2.0**53)) - 1)
        listed.append(f"{ends} ({counted(missing, 'step')} missing)")
    more = [f"and {len(gaps) - MAX_LISTED:,} more"] if len(gaps) > MAX_LISTED else []
    sentence = f"{counted(len(gaps), 'gap')}{GAPS}{', '.join(listed + more)}"
    if rules.strict:
        raise error(f"{source} has {sentence}. Fill the {'gaps' if len(gaps) > 1 else 'gap'}, or leave out --strict.")
    return [*notes, f"{source}: {sentence}"]


def _require_step(
    raw: RawTimes,
    ticks: Ticks,
    dates: Any,
    places: npt.NDArray[np.intp],
    step: TimeStep,
    source: object,
    error: type[GatewiseError],
) -> None:
    """Raise the error if a step of increasing dates is shorter than the model's, or if all are longer."""
    if len(ticks) < 2 or np.datetime_data(dates.dtype)[0] not in (*_PER_DAY, "Y", "M", "W"):
        return
    unit = np.datetime_data(dates.dtype)[0]
    if unit in ("Y", "M", "W"):
        ticks, unit = _ticks(dates[places].astype("datetime64[D]")), "D"
    seconds = _apart(ticks).astype(np.float64) * (86400 / _PER_DAY[unit])
    least = int(seconds.argmin())
    if step.shortest * (1 - STEP_MARGIN) <= seconds[least] <= step.longest * (1 + STEP_MARGIN):
        return
    nouns = {86400: "day", 3600: "hour", 60: "minute", 1: "second"}
    length = next((length for length in nouns if seconds[least] % length == 0), 0)
    duration = counted(int(seconds[least]) // length, nouns[length]) if length else f"{seconds[least]:.6g} seconds"
    ends = f"from {raw.text(places[least])} to {raw.text(places[least + 1])}"
    raise error(
        f"{source} has a step of {duration}, {ends}, but the model was trained on steps of {step.name}. Resample the"
        " data."
    )


def _steps(ticks: Ticks, dates: Any, forward: Mask) -> tuple[npt.NDArray[Any], Mask, Any, str]:
    """Return the steps of times as they count in their calendar, which are gaps, the least one, and the calendar.

    Only steps that go `forward` count, of which there must be one.
    """
    apart = _apart(ticks)
    least = apart[forward].min()
    long = _longer(apart, least, ticks)
    unit = "" if dates is None else np.datetime_data(dates.dtype)[0]
    if not (long & forward).any() or unit not in _PER_DAY:
        return apart, long, least, ""
    even, calendar = _even(ticks, _PER_DAY[unit])
    apart = _apart(even)
    # Parts of a month or a year, such as 5 or 8 days, end with a shorter one.
    days = (ticks // _PER_DAY[unit]).astype("datetime64[D]")
    ends = (days == days.astype("datetime64[M]"))[1:] & (apart >= _PER_DAY[unit])
    inner, least = forward & ~ends, apart[forward].min()
    if inner.sum() > 1 or (inner.any() and apart[inner].min() <= 2 * least):  # else one gap would be the step
        least = apart[inner].min()
    return apart, _longer(apart, least, even), least, calendar


def _apart(ticks: Ticks) -> npt.NDArray[Any]:
    """Return the times from step to step; those of integers have no sign, so that they are as large as they can be."""
    if ticks.dtype.kind == "f":
        return np.diff(ticks)
    return np.diff(ticks.view(np.uint64))


def _longer(apart: npt.NDArray[Any], least: Any, ticks: Ticks) -> Mask:
    """Return whether each step is a gap: longer than `GAP` times the least, of floats by more than their rounding."""
    beyond = apart - least  # and not apart, which may be as large as an integer can be
    longer: Mask = (apart > least) & (beyond > least // 2)
    if apart.dtype.kind == "f":
        longer = beyond > (GAP - 1) * least + 8 * np.spacing(np.abs(ticks).max())
    return longer


def _even(ticks: Ticks, per_day: int) -> tuple[Ticks, str]:
    """Return dates as numbers that are even in their calendar, and its name: working days, or no leap days."""
    days, clock = np.divmod(ticks, per_day)
    weeks, weekday = np.divmod(days + 3, 7)  # 1970 began on a Thursday
    present = np.unique(weekday)
    off = tuple(day for day in range(7) if day not in present)
    daily = (clock == clock[0]).all() and (np.diff(days) == 1).any()
    if daily and off in WEEKENDS and len(np.unique(weeks)) > 2:
        return weeks * len(present) + np.searchsorted(present, weekday), "working days"
    first, last = days.min(), days.max()
    start, stop = np.array([first, last], "datetime64[D]").astype("datetime64[Y]")
    if int((stop - start).astype(np.int64)) > MAX_YEARS:
        return ticks, ""
    years = np.arange(start, stop + 1)
    ends = ((years.astype("datetime64[M]") + 2).astype("datetime64[D]") - 1).astype(np.int64)  # of each February
    lengths = ends - (years.astype("datetime64[M]") + 1).astype("datetime64[D]").astype(np.int64) + 1
    leap_days = ends[(lengths == 29) & (ends > first) & (ends < last)]
    beside = np.isin(leap_days - 1, days) & np.isin(leap_days + 1, days)
    if not beside.any() or np.isin(leap_days, days).any():
        return ticks, ""
    return ticks - per_day * np.searchsorted(leap_days, days), "those of a calendar without leap days"
