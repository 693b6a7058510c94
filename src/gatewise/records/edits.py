"""Edit: a gate or a state that a run sets, scales, clamps or patches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import ReadOnlyArrays, array_of, frozen, index, numbers, size
from gatewise.errors import OptionError, ShapeError, join_names, one_of
from gatewise.parameters import Parameters
from gatewise.records.keep import DIRECTIONS
from gatewise.records.labels import Labels
from gatewise.records.places import is_time, place_of, step_place, step_slice
from gatewise.showing import counted

EDITABLE = dict(zip((*gates.NAMES, "cell_state", "hidden_state"), "ifgoch", strict=True))  # with their letters
ACTIONS = ("set", "scale", "clamp", "patch")
Places = tuple[int, ...] | range | slice | None


@dataclass(frozen=True, eq=False, repr=False)
class Edit(ReadOnlyArrays):
    """A gate or a state that a run sets, scales, clamps or patches, instead of computing it alone.

    `set`, `scale`, `clamp` and `patch` make one. What is not named is all: every unit, step, sequence, layer and
    direction. The edit acts as soon as the quantity is computed, before anything uses it: an edited gate enters the
    cell state, or the hidden state; an edited cell state enters the output gate's peephole, the hidden state and the
    next step; an edited hidden state is the output of the step, and enters the next one. The hidden state of a
    projected cell is the projected one. Under zoneout, an edited state is that at the end of the step, after zoneout
    (so that an edited cell state enters the next step alone). At steps that are not valid, nothing is edited.

    Parameters
    ----------
    quantity : {"input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"}
    action : {"set", "scale", "clamp", "patch"}
    value : number, array, (low, high), or trace
        To set or to scale by, in any shape that broadcasts to (steps, sequences, units) of those that are named, or to
        (steps, units) where the input has no batch axis; the bounds of a clamp, either of which may be None; or what is
        patched from.
    units, steps, sequences : int, sequence of int, range or slice, optional
        Steps are those of the input's time, and may be named by their dates or names, and sequences by their names. A
        slice of dates has its last one, too. Negative numbers count from the end.
    layer : int, optional
    direction : {"forward", "backward"}, optional

    Raises
    ------
    OptionError
        If a name, a value or a place is not allowed.

    Examples
    --------
    >>> Edit.set("forget_gate", 1.0, units=3, steps=range(10, 20))
    <Edit: forget_gate of unit 3 set to 1 at steps 10 to 19>
    """

    quantity: str
    action: str
    value: Any
    units: Any = None
    steps: Any = None
    sequences: Any = None
    layer: int | None = None
    direction: str | None = None

    def __post_init__(self) -> None:
        one_of("an edit's quantity", self.quantity, tuple(EDITABLE))
        one_of("an edit's action", self.action, ACTIONS)
        object.__setattr__(self, "value", _checked_value(self.action, self.value))
        for axis in ("units", "steps", "sequences"):
            object.__setattr__(self, axis, _named_places(axis, getattr(self, axis)))
        if self.layer is not None and (isinstance(self.layer, bool) or not isinstance(self.layer, (int, np.integer))):
            raise OptionError(f"an edit's layer must be an integer, not {self.layer!r}")
        if self.direction is not None:
            one_of("an edit's direction", self.direction, DIRECTIONS)

    @classmethod
    def set(cls, quantity: str, value: npt.ArrayLike, **where: Any) -> Edit:
        """Return an edit that replaces a quantity by numbers; `where` is as in `Edit`."""
        return cls(quantity, "set", value, **where)

    @classmethod
    def scale(cls, quantity: str, by: npt.ArrayLike, **where: Any) -> Edit:
        """Return an edit that multiplies a quantity; `where` is as in `Edit`."""
        return cls(quantity, "scale", by, **where)

    @classmethod
    def clamp(cls, quantity: str, low: float | None = None, high: float | None = None, **where: Any) -> Edit:
        """Return an edit that keeps a quantity between two bounds; `where` is as in `Edit`."""
        return cls(quantity, "clamp", (low, high), **where)

    @classmethod
    def patch(cls, quantity: str, source: Any, **where: Any) -> Edit:
        """Return an edit that takes a quantity from another run, at the same steps, sequences and units.

        Parameters
        ----------
        quantity : str
        source : Trace, LSTMTrace or NetworkTrace
            A run of as many steps and sequences, which kept the quantity at every step; an LSTM's, in which every
            cell is patched from its own trace, or one cell's.
        **where
            As in `Edit`.
        """
        return cls(quantity, "patch", source, **where)

    def __str__(self) -> str:
        return self.described()

    def __repr__(self) -> str:
        return f"<Edit: {self}>"

    def described(self, unit: Callable[[int], str] = str, start: int = 0) -> str:
        """Return the edit in words; `unit` gives the name of a hidden unit, `start` the number of the first step."""
        text = self.quantity
        if self.units is not None:
            text += f" of {_describe_places('unit', self.units, unit)}"
        text += f" {_DONE[self.action]}{_describe_value(self.action, self.value)}"
        if self.steps is not None:
            text += f" at {_describe_places('step', self.steps, lambda step: str(step + start))}"
        if self.sequences is not None:
            text += f" in {_describe_places('sequence', self.sequences, str)}"
        cell = [self.direction or "", "" if self.layer is None else f"layer {self.layer}"]
        return f"{text} ({', '.join(part for part in reversed(cell) if part)})" if any(cell) else text

    # In the run of one cell.

    def placed(self, labels: Labels, time: int, batch: int) -> Edit:
        """Return the edit with the numbers of the steps and sequences that it names, in a run with these labels."""
        steps, sequences = self.steps, self.sequences
        if isinstance(steps, slice):
            steps = slice(*step_slice(steps.start, steps.stop, time, labels.times), steps.step)
        elif isinstance(steps, tuple):
            steps = tuple(step_place(t, time, labels.times) for t in steps)
        if isinstance(sequences, tuple):
            sequences = tuple(place_of("sequence", name, batch, labels.sequences) for name in sequences)
        return replace(self, steps=steps, sequences=sequences)

    def settled(self, p: Parameters, time: int, batch: int, **cell: Any) -> Edit:
        """Return the edit fitted to the run of one cell: places as numbers from 0, and its value broadcast to them."""
        width = p.recurrent_size if self.quantity == "hidden_state" else p.hidden_size
        counts = {"steps": (time, "this run"), "sequences": (batch, "this run"), "units": (width, "this cell")}
        places: dict[str, Any] = {
            axis: _places_in_run(axis[:-1], getattr(self, axis), *count) for axis, count in counts.items()
        }
        value = self.value
        if self.action != "clamp":
            shape = tuple(counts[axis][0] if indices is None else len(indices) for axis, indices in places.items())
            value = numbers("an edit's value", value, p.dtype)
            try:
                value = np.broadcast_to(value, shape)
            except ValueError:
                raise ShapeError(
                    f"an edit's value has shape {value.shape}; it must broadcast to (steps, sequences, units), {shape}"
                ) from None
        return replace(self, value=value, **places, **cell)

    def within(self, steps: range, sequences: range) -> Edit | None:
        """Return a settled edit as it acts in a slice of its run, or None if it does not act there."""
        places: dict[str, Any] = {}
        value = self.value
        for number, (axis, part) in enumerate((("steps", steps), ("sequences", sequences))):
            named = getattr(self, axis)
            inside = None if named is None else [n for n, place in enumerate(named) if place in part]
            if inside is not None and not inside:
                return None
            if self.action != "clamp":
                key = slice(part.start, part.stop) if inside is None else value_index(inside)
                value = value[(slice(None),) * number + (key,)]
            if inside is not None and named is not None:
                shifted = [named[n] - part.start for n in inside]
                contiguous = isinstance(named, range) and named.step == 1
                places[axis] = range(shifted[0], shifted[-1] + 1) if contiguous else shifted
        return replace(self, value=value, **places)

    def to_json(self) -> dict[str, Any]:
        """Return a settled edit as plain data for a trace's file, without the numbers of `value` that are an array."""

        def plain(places: Any) -> Any:
            if isinstance(places, range):
                return {"start": places.start, "stop": places.stop, "step": places.step}
            return None if places is None else list(places)

        data = {name: getattr(self, name) for name in ("quantity", "action", "layer", "direction")}
        data |= {name: plain(getattr(self, name)) for name in ("units", "steps", "sequences")}
        return data | ({"bounds": list(self.value)} if self.action == "clamp" else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any], value: Any) -> Edit:
        """Return the edit that `to_json` wrote; `value` is its array, where it has one."""
        fields = dict(data)
        value = fields.pop("bounds", None) if value is None else value
        for name in ("units", "steps", "sequences"):
            if isinstance(fields[name], Mapping):
                fields[name] = range(*(size(f"an edit's {name}", fields[name][end], least=0) for end in _RANGE))
        return cls(value=value, **fields)


_RANGE = ("start", "stop", "step")
_DONE = {"set": "set", "scale": "scaled", "clamp": "clamped", "patch": "patched"}


def _checked_value(action: str, value: Any) -> Any:
    """Return the value of an edit: bounds, an array of numbers, or for a patch also a trace."""
    if action == "clamp":
        return _clamp_bounds(value)
    if action == "patch" and not isinstance(value, np.ndarray):
        if not hasattr(value, "only_cell"):  # as every RunRecord has, which this module cannot import
            raise OptionError(f"a patch takes a Trace, LSTMTrace or NetworkTrace, not {type(value).__name__}")
        return value
    array = numbers(f"the value of a {action}", value)
    if action != "patch" and not np.isfinite(array).all():
        amount = f"{array.flat[0]:.6g}" if array.size == 1 else f"an array of shape {array.shape} that is not"
        raise OptionError(f"the value of a {action} must be finite, not {amount}")
    return frozen(array, array.shape, "an edit's value") if array.flags.writeable else array


def _clamp_bounds(value: Any) -> tuple[float | None, float | None]:
    """Return the lower and upper bound of a clamp edit, None for an infinite one, or raise OptionError."""
    try:
        low, high = value
        bounds = tuple(None if bound is None or math.isinf(float(bound)) else float(bound) for bound in (low, high))
    except (TypeError, ValueError):
        raise OptionError(f"a clamp needs two bounds, numbers or None, not {value!r}") from None
    if bounds == (None, None) or any(bound is not None and math.isnan(bound) for bound in bounds):
        raise OptionError(f"a clamp needs at least one bound that is a number, not {value!r}")
    if None not in bounds and bounds[0] > bounds[1]:  # type: ignore[operator]
        raise OptionError(f"the lower bound of a clamp must be at most the upper one, not {low!r} and {high!r}")
    return bounds[0], bounds[1]


def _named_places(axis: str, places: Any) -> Places:
    """Return the units, steps or sequences that an edit names as a range, a slice or a tuple; None for all."""
    if places is None or isinstance(places, slice):
        return places
    if isinstance(places, range):
        indices: Any = places
    else:
        entries = [places] if is_time(places) else places
        if axis != "units" and isinstance(entries, Iterable) and (names := tuple(entries)) and all(map(is_time, names)):
            return names
        array = np.atleast_1d(array_of(f"an edit's {axis}", places))
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise OptionError(f"an edit's {axis} must be integers, a range or a slice, not {places!r}")
        indices = tuple(array.tolist())
    if not len(indices):
        raise OptionError(f"an edit's {axis} are empty, {places!r}. Give at least one.")
    result: Places = indices
    return result


def _places_in_run(noun: str, places: Places, count: int, owner: str) -> range | tuple[int, ...] | None:
    """Return an edit's units, steps or sequences as numbers from 0 to `count` - 1, each once; None for all."""
    if places is None:
        return None
    if isinstance(places, slice):
        places = range(*places.indices(count))
        if not places:
            raise OptionError(f"the slice of an edit's {noun}s is empty; there are {count}")
    if isinstance(places, range):
        index(noun, places[0], count, owner), index(noun, places[-1], count, owner)
        if places[0] >= 0 and places.step > 0:
            return places
    indices = tuple(index(noun, place, count, owner) for place in places)
    if len(set(indices)) < len(indices):
        raise OptionError(f"an edit has {noun} {next(place for place in indices if indices.count(place) > 1)} twice")
    return indices


def value_index(places: Sequence[int] | None) -> slice | list[int]:
    """Return an edit's places, or None for all, as an index: a slice, which copies nothing, where they are in a row."""
    if places is None:
        return slice(None)
    if places[-1] - places[0] == len(places) - 1 and list(places) == sorted(places):
        return slice(places[0], places[-1] + 1)
    return list(places)


def _describe_places(noun: str, places: Any, name: Callable[[int], str]) -> str:
    """Return an edit's units, steps or sequences in words: "units 3 to 7"."""
    if isinstance(places, tuple) and not isinstance(places[0], int):
        return f"{noun}{'s' * (len(places) > 1)} {join_names(map(str, places), most=7)}"
    if isinstance(places, slice):
        ends = ":".join("" if end is None else str(end) for end in (places.start, places.stop))
        return f"{noun}s {ends}"
    if len(places) == 1:
        return f"{noun} {name(places[0])}"
    if len(places) > 2 and all(b - a == 1 for a, b in pairwise(places)):
        return f"{noun}s {name(places[0])} to {name(places[-1])}"
    if len(places) > 6:
        return counted(len(places), noun)
    return f"{noun}s {', '.join(name(place) for place in places)}"


def _describe_value(action: str, value: Any) -> str:
    """Return the end of an edit's description: " to 1", " by 0.5", " to at most 2", " from another run"."""
    if action == "clamp":
        low, high = value
        if low is None or high is None:
            return f" to at most {high:.6g}" if low is None else f" to at least {low:.6g}"
        return f" to {low:.6g} to {high:.6g}"
    if action == "patch":
        return " from another run"
    word = " to" if action == "set" else " by"
    first = value.flat[0] if value.size else math.nan
    same = value.size and (value.size == 1 or not any(value.strides) or (value == first).all())
    return f"{word} {first:.6g}" if same else f"{word} given numbers"


def in_words(edits: Sequence[Edit], most: int = 3, **words: Any) -> str:
    """Return edits in words, at most so many of them; `words` as in `Edit.described`."""
    return join_names((edit.described(**words) for edit in edits), most=most + 1, separator="; ")


def states_apart(edits: Sequence[Edit]) -> bool:
    """Return whether an edit of the hidden state makes a trace keep the unprojected state as well."""
    return any(edit.quantity == "hidden_state" for edit in edits)
