"""Labels: the names of features, units, outputs, sequences and times, and their measures."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import array_of
from gatewise.errors import OptionError, ShapeError, join_names

LONGEST_NAME = 1000  # characters
NAMES = ("features", "units", "sequences", "times", "outputs")  # the kinds of names that Labels hold
RESOLUTIONS = ("D", "h", "m", "s", "ms", "us", "ns")  # of dates, coarsest first
FINER = ("ps", "fs", "as")  # in which there are no dates beyond a few months around 1970


def brief_name(name: object) -> str:
    """Return a name as text, of one that is too long for a page or a table its beginning."""
    text = str(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


class Measure(NamedTuple):
    """The quantity that a feature or an output measures, and its unit.

    Attributes
    ----------
    quantity : str
        For instance ``precipitation``.
    unit : str
        For instance ``mm/d``; empty where there is none.

    Examples
    --------
    >>> str(gw.Measure("discharge", "mm/d"))
    'discharge (mm/d)'
    """

    quantity: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.quantity} ({self.unit})" if self.unit else self.quantity


@dataclass(frozen=True, repr=False)
class Labels:
    """Names of features, hidden units, sequences, times and outputs, and the quantities that they measure.

    Each may be absent. They appear in every table, file and picture. Without names, features are called x0, x1, … and
    everything else has its index. Reports and pages show the beginning of a name with more than 1,000 characters.

    Parameters
    ----------
    features : sequence of str, optional
        Of the input.
    units : sequence of str, optional
        Of the hidden units.
    sequences : sequence of str, optional
        Of the sequences of a batch: basins, speakers, patients.
    times : sequence of str, or of dates, optional
        Of the steps. Dates are kept as such: an array of `numpy.datetime64`, a pandas ``DatetimeIndex`` without a time
        zone, or `datetime` objects.
    outputs : sequence of str, optional
        Of the outputs of an LSTM or a network.
    measures : mapping, optional
        Maps the name of a feature or an output to what it measures: a `Measure`, a pair (quantity, unit), or the
        quantity alone.

    Raises
    ------
    OptionError
        If something else is given, or a measure belongs to no name.

    Examples
    --------
    >>> labels = Labels(
    ...     features=["prcp", "tmax"],
    ...     outputs=["q"],
    ...     times=np.arange("2001-01-01", "2001-01-04", dtype="datetime64[D]"),
    ...     measures={"prcp": ("precipitation", "mm/d"), "q": ("discharge", "mm/d")},
    ... )
    >>> str(labels.measures["prcp"]), str(labels.times[0])
    ('precipitation (mm/d)', '2001-01-01')
    """

    features: Sequence[str] | None = None
    units: Sequence[str] | None = None
    sequences: Sequence[str] | None = None
    times: Sequence[str] | Sequence[np.datetime64] | None = None
    outputs: Sequence[str] | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for kind in NAMES:
            value = getattr(self, kind)
            if value is not None:
                if isinstance(value, (str, bytes, Set)) or not isinstance(value, Iterable):
                    raise OptionError(f"the labels of {kind} must be a sequence of names, not {value!r}")
                if len(shape := getattr(value, "shape", (0,))) != 1:
                    raise OptionError(f"the labels of {kind} must be a sequence of names, not of shape {shape}")
                value = value if hasattr(value, "dtype") else [*value]  # an iterator can be read once
                dates = _times_as_dates(value) if kind == "times" else None
                object.__setattr__(self, kind, tuple(map(str, value)) if dates is None else dates)
        if not isinstance(self.measures, Mapping):
            raise OptionError(f"measures must map names of features and outputs to measures, not {self.measures!r}")
        measures = {str(name): _as_measure(name, measure) for name, measure in self.measures.items()}
        names = {*(self.features or ()), *(self.outputs or ())}
        for name in measures:
            if name not in names:
                raise OptionError(
                    f"measures has {name!r}, which is not the name of a feature or an output;"
                    f" there are {join_names(sorted(names)) or 'no names'}"
                )
        object.__setattr__(self, "measures", measures)

    def __repr__(self) -> str:
        entries = {
            kind: list(map(brief_name, value))
            for kind, value in vars(self).items()
            if kind in NAMES and value is not None
        }
        if self.measures:
            entries["measures"] = [
                f"{brief_name(name)}: {brief_name(measure)}" for name, measure in self.measures.items()
            ]
        texts = [f"{kind}=[{', '.join(names[:5] + ['…'] * (len(names) > 5))}]" for kind, names in entries.items()]
        return f"Labels({', '.join(texts)})"

    def or_else(self, other: Labels) -> Labels:
        """Return these labels, completed by those of another."""
        mine = {kind: getattr(self, kind) for kind in NAMES if getattr(self, kind) is not None}
        return other.replace(**mine, measures={**other.measures, **self.measures}) if mine else other

    def replace(self, **changes: Any) -> Labels:
        """Return the labels with some kinds of names replaced; measures of names that no longer exist are dropped."""
        measures = changes.pop("measures", self.measures)
        changed = replace(self, **changes, measures={})
        names = {*(changed.features or ()), *(changed.outputs or ())}
        return replace(changed, measures={name: measure for name, measure in measures.items() if name in names})

    def require(self, **counts: int) -> None:
        """Raise ShapeError if labels of a kind (features, units, …) are present, but not as many as `counts` says."""
        for kind, count in counts.items():
            names = getattr(self, kind)
            if names is not None and len(names) != count:
                raise ShapeError(f"the number of labels of {kind} must be {count}, not {len(names)}")

    def feature(self, index: int) -> str:
        """Return the name of a feature."""
        return f"x{index}" if self.features is None else self.features[index]

    def unit(self, index: int) -> str:
        """Return the name of a hidden unit."""
        return str(index) if self.units is None else self.units[index]

    def states(self, recurrent_size: int, hidden_size: int) -> list[str]:
        """Return the names of a hidden state's entries; those of a projected one are not units."""
        named = self.units is not None and recurrent_size == hidden_size
        return [f"h({self.unit(k)})" if named else f"h{k}" for k in range(recurrent_size)]

    def to_json(self) -> dict[str, Any]:
        """Return the labels as plain data: names as lists of text, dates as ISO 8601 with their resolution."""
        data: dict[str, Any] = {kind: names and list(names) for kind, names in vars(self).items() if kind in NAMES}
        if self.times and isinstance(self.times[0], np.datetime64):
            dates = np.array(self.times)
            data |= {"times": np.datetime_as_string(dates).tolist(), "resolution": np.datetime_data(dates.dtype)[0]}
        return data | {"measures": {name: list(measure) for name, measure in self.measures.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Labels:
        """Return the labels that `to_json` wrote."""
        fields = dict(data)
        if (resolution := fields.pop("resolution", None)) is not None:
            if resolution not in RESOLUTIONS:
                raise OptionError(f"there are no dates with a resolution of {resolution!r}")
            fields["times"] = np.array(fields["times"], f"datetime64[{resolution}]")
        return cls(**fields)


def _times_as_dates(times: Iterable[Any]) -> tuple[np.datetime64, ...] | None:
    """Return the labels of times as dates at the coarsest resolution that keeps them exact; None if they are names."""
    array = array_of("the labels of times", times)  # type: ignore[arg-type]  # whatever can be an array
    dates = (isinstance(time, datetime.date) and getattr(time, "tzinfo", None) is None for time in array.flat)
    if array.dtype.kind == "O" and array.size and all(dates):
        array = np.array([instant(time) for time in array])
    if array.dtype.kind != "M" or not array.size:
        return None
    if (unit := np.datetime_data(array.dtype)[0]) in FINER:
        raise OptionError(f"dates of times must have a resolution of nanoseconds or coarser, not of {unit}")
    for unit in RESOLUTIONS:
        coarse = array.astype(f"datetime64[{unit}]")
        if (coarse == array).all():
            return tuple(coarse)
    return tuple(array)


def instant(date: Any) -> np.datetime64:
    """Return a date as NumPy's; a Timestamp of pandas has nanoseconds, which a `datetime` has not."""
    result: np.datetime64 = date.to_datetime64() if hasattr(date, "to_datetime64") else np.datetime64(date)
    return result


def _as_measure(name: object, value: object) -> Measure:
    """Return the measure of a feature or an output as a `Measure`, or raise OptionError."""
    parts = (value,) if isinstance(value, str) else value
    if not isinstance(parts, (tuple, list)) or len(parts) not in (1, 2) or not all(isinstance(p, str) for p in parts):
        raise OptionError(
            f"the measure of {name!r} must be a quantity and its unit, such as ('rain', 'mm'), not {value!r}"
        )
    return Measure(*parts)


NO_LABELS = Labels()
