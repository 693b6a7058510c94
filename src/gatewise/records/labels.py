"""Labels: the names of features, units, outputs, sequences and times, and what is measured."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.errors import OptionError, ShapeError, join_names

NAMES = ("features", "units", "sequences", "times", "outputs")  # the kinds of names that Labels hold
RESOLUTIONS = ("D", "h", "m", "s", "ms", "us", "ns")  # of dates, coarsest first
FINER = ("ps", "fs", "as")  # in which there are no dates beyond a few months around 1970


class Measure(NamedTuple):
    """What a feature or an output measures.

    Attributes
    ----------
    quantity : str
        For instance ``precipitation``.
    unit : str
        For instance ``mm/d``; empty where there is none.
    """

    quantity: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.quantity} ({self.unit})" if self.unit else self.quantity


@dataclass(frozen=True, repr=False)
class Labels:
    """Names of features, hidden units, sequences, times and outputs, and the quantities that they measure.

    Each may be absent. They appear in every table, file and picture. Without names, features are called x0, x1, … and
    everything else has its index.

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
            given = getattr(self, kind)
            if given is not None:
                if isinstance(given, (str, bytes, Set)) or not isinstance(given, Iterable):
                    raise OptionError(f"the labels of {kind} must be a sequence of names, not {given!r}")
                if len(shape := getattr(given, "shape", (0,))) != 1:
                    raise OptionError(f"the labels of {kind} must be a sequence of names, not of shape {shape}")
                given = given if hasattr(given, "dtype") else [*given]  # which an iterator gives once
                dates = _dates(given) if kind == "times" else None
                object.__setattr__(self, kind, tuple(map(str, given)) if dates is None else dates)
        if not isinstance(self.measures, Mapping):
            raise OptionError(f"measures must map names of features and outputs to measures, not {self.measures!r}")
        measures = {str(name): _measure(name, given) for name, given in self.measures.items()}
        names = {*(self.features or ()), *(self.outputs or ())}
        for name in measures:
            if name not in names:
                raise OptionError(
                    f"there is a measure of {name!r}, which is not the name of a feature or an output;"
                    f" there are {join_names(sorted(names)) or 'no names'}"
                )
        object.__setattr__(self, "measures", measures)

    def __repr__(self) -> str:
        given = {
            kind: list(map(str, value)) for kind, value in vars(self).items() if kind in NAMES and value is not None
        }
        if self.measures:
            given["measures"] = [f"{name}: {one}" for name, one in self.measures.items()]
        said = [f"{kind}=[{', '.join(names[:5] + ['…'] * (len(names) > 5))}]" for kind, names in given.items()]
        return f"Labels({', '.join(said)})"

    def or_else(self, other: Labels) -> Labels:
        """Return these labels, and the other's where there are none."""
        mine = {kind: getattr(self, kind) for kind in NAMES if getattr(self, kind) is not None}
        return other.replace(**mine, measures={**other.measures, **self.measures}) if mine else other

    def replace(self, **changes: Any) -> Labels:
        """Return the labels with the given kinds replaced; measures of names that no longer exist are dropped."""
        measures = changes.pop("measures", self.measures)
        changed = replace(self, **changes, measures={})
        names = {*(changed.features or ()), *(changed.outputs or ())}
        return replace(changed, measures={name: one for name, one in measures.items() if name in names})

    def require(self, **counts: int) -> None:
        """Raise ShapeError unless each kind of name that is present has as many names as `counts` says."""
        for kind, count in counts.items():
            given = getattr(self, kind)
            if given is not None and len(given) != count:
                raise ShapeError(f"the number of labels of {kind} must be {count}, not {len(given)}")

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
        found: dict[str, Any] = {kind: given and list(given) for kind, given in vars(self).items() if kind in NAMES}
        if self.times and isinstance(self.times[0], np.datetime64):
            dates = np.array(self.times)
            found |= {"times": np.datetime_as_string(dates).tolist(), "resolution": np.datetime_data(dates.dtype)[0]}
        return found | {"measures": {name: list(one) for name, one in self.measures.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Labels:
        """Return the labels that `to_json` wrote."""
        found = dict(data)
        if (resolution := found.pop("resolution", None)) is not None:
            if resolution not in RESOLUTIONS:
                raise OptionError(f"there are no dates with a resolution of {resolution!r}")
            found["times"] = np.array(found["times"], f"datetime64[{resolution}]")
        return cls(**found)


def _dates(given: Iterable[Any]) -> tuple[np.datetime64, ...] | None:
    """Return dates at the coarsest resolution that keeps them exact; None where these are names."""
    array: npt.NDArray[Any] = np.asarray(given)
    if array.dtype.kind == "O" and array.size and all(_is_date(one) for one in array.flat):
        array = np.array([_instant(one) for one in array])
    if array.dtype.kind != "M" or not array.size:
        return None
    if (unit := np.datetime_data(array.dtype)[0]) in FINER:
        raise OptionError(f"dates of times must have a resolution of nanoseconds or coarser, not of {unit}")
    for unit in RESOLUTIONS:
        coarse = array.astype(f"datetime64[{unit}]")
        if (coarse == array).all():
            return tuple(coarse)
    return tuple(array)


def _is_date(one: object) -> bool:
    return isinstance(one, datetime.date) and getattr(one, "tzinfo", None) is None


def _instant(date: Any) -> np.datetime64:
    """Return a date as NumPy's; a Timestamp of pandas has nanoseconds, which a `datetime` has not."""
    found: np.datetime64 = date.to_datetime64() if hasattr(date, "to_datetime64") else np.datetime64(date)
    return found


def _measure(name: object, given: object) -> Measure:
    parts = (given,) if isinstance(given, str) else given
    if not isinstance(parts, (tuple, list)) or len(parts) not in (1, 2) or not all(isinstance(p, str) for p in parts):
        raise OptionError(
            f"the measure of {name!r} must be a quantity and its unit, such as ('rain', 'mm'), not {given!r}"
        )
    return Measure(*parts)


NO_LABELS = Labels()
