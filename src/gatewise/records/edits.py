"""Edit: what a run sets, scales, clamps or patches, instead of taking it as its equation gives it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import array_of, frozen, index, numbers, size
from gatewise.errors import OptionError, ShapeError, join_names, one_of
from gatewise.parameters import Parameters
from gatewise.records.keep import DIRECTIONS
from gatewise.showing import counted

EDITABLE = dict(zip((*gates.NAMES, "cell_state", "hidden_state"), "ifgoch", strict=True))  # with their letters
ACTIONS = ("set", "scale", "clamp", "patch")
Places = tuple[int, ...] | range | slice | None
Given = int | Iterable[int] | slice | None


@dataclass(frozen=True, eq=False, repr=False)
class Edit:
    """A gate or a state that a run sets, scales, clamps or patches, instead of taking it as its equation gives it.

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
        To set or to scale by, in any shape that broadcasts to (steps, sequences, units) of those that are named; the
        bounds of a clamp, either of which may be None; or what is patched from.
    units, steps, sequences : int, sequence of int, range or slice, optional
        Steps are those of the input's time. Negative numbers count from the end.
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
        object.__setattr__(self, "value", _value(self.action, self.value))
        for what in ("units", "steps", "sequences"):
            object.__setattr__(self, what, _places(what, getattr(self, what)))
        if self.layer is not None and (isinstance(self.layer, bool) or not isinstance(self.layer, (int, np.integer))):
            raise OptionError(f"an edit's layer must be an integer, not {self.layer!r}")
        if self.direction is not None:
            one_of("an edit's direction", self.direction, DIRECTIONS)

    @classmethod
    def set(cls, quantity: str, value: npt.ArrayLike, **where: Any) -> Edit:
        """Return an edit that puts given numbers in the place of a quantity; `where` is as in `Edit`."""
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
        """Return the edit in words; `unit` says what a unit is called, `start` which step the first one was."""
        said = self.quantity
        if self.units is not None:
            said += f" of {_said('unit', self.units, unit)}"
        said += f" {_DONE[self.action]}{_amount(self.action, self.value)}"
        if self.steps is not None:
            said += f" at {_said('step', self.steps, lambda step: str(step + start))}"
        if self.sequences is not None:
            said += f" in {_said('sequence', self.sequences, str)}"
        cell = [self.direction or "", "" if self.layer is None else f"layer {self.layer}"]
        return f"{said} ({', '.join(part for part in reversed(cell) if part)})" if any(cell) else said

    # In the run of one cell.

    def settled(self, p: Parameters, time: int, batch: int, **cell: Any) -> Edit:
        """Return the edit as it acts in the run of one cell: every place a non-negative number, and numbers as values.

        Raises
        ------
        OptionError
            If there is no such unit, step or sequence, or one is named twice.
        ShapeError
            If the value does not fit to them.
        """
        width = p.recurrent_size if self.quantity == "hidden_state" else p.hidden_size
        counts = {"steps": (time, "this run"), "sequences": (batch, "this run"), "units": (width, "this cell")}
        places: dict[str, Any] = {
            what: _settled(what[:-1], getattr(self, what), *count) for what, count in counts.items()
        }
        value = self.value
        if self.action != "clamp":
            shape = tuple(counts[what][0] if at is None else len(at) for what, at in places.items())
            value = numbers("an edit's value", value, p.dtype)
            try:
                value = np.broadcast_to(value, shape)
            except ValueError:
                raise ShapeError(
                    f"an edit's value has shape {value.shape}; it must fit to (steps, sequences, units), here {shape}"
                ) from None
        return replace(self, value=value, **places, **cell)

    def within(self, when: range, which: range) -> Edit | None:
        """Return a settled edit as it acts in a slice of its run, or None where it does not act in it."""
        places: dict[str, Any] = {}
        value = self.value
        for axis, (what, part) in enumerate((("steps", when), ("sequences", which))):
            given = getattr(self, what)
            inside = None if given is None else [n for n, place in enumerate(given) if place in part]
            if inside is not None and not inside:
                return None
            if self.action != "clamp":
                chosen = slice(part.start, part.stop) if inside is None else _compact(inside)
                value = value[(slice(None),) * axis + (chosen if isinstance(chosen, slice) else list(chosen),)]
            if inside is not None and given is not None:
                found = [given[n] - part.start for n in inside]
                places[what] = range(found[0], found[-1] + 1) if isinstance(given, range) and given.step == 1 else found
        return replace(self, value=value, **places)

    def to_json(self) -> dict[str, Any]:
        """Return a settled edit as plain data, without the numbers of `value` that are an array."""

        def plain(places: Any) -> Any:
            if isinstance(places, range):
                return {"start": places.start, "stop": places.stop, "step": places.step}
            return None if places is None else list(places)

        found = {name: getattr(self, name) for name in ("quantity", "action", "layer", "direction")}
        found |= {name: plain(getattr(self, name)) for name in ("units", "steps", "sequences")}
        return found | ({"bounds": list(self.value)} if self.action == "clamp" else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any], value: Any) -> Edit:
        """Return the edit that `to_json` wrote; `value` is its array, where it has one."""
        found = dict(data)
        value = found.pop("bounds", None) if value is None else value
        for name in ("units", "steps", "sequences"):
            if isinstance(found[name], Mapping):
                found[name] = range(*(size(f"an edit's {name}", found[name][end], least=0) for end in _RANGE))
        return cls(value=value, **found)


_RANGE = ("start", "stop", "step")
_DONE = {"set": "set", "scale": "scaled", "clamp": "clamped", "patch": "patched"}


def _value(action: str, given: Any) -> Any:
    """Return an edit's value: bounds, an array of numbers, or for a patch also a trace."""
    if action == "clamp":
        return _bounds(given)
    if action == "patch" and not isinstance(given, np.ndarray):
        if not any(hasattr(given, name) for name in ("quantity", "cells", "lstm")):
            raise OptionError(f"a patch takes a Trace, LSTMTrace or NetworkTrace, not {type(given).__name__}")
        return given
    array = numbers(f"the value of a {action}", given)
    if action != "patch" and not np.isfinite(array).all():
        shown = f"{array.flat[0]:.6g}" if array.size == 1 else f"an array of shape {array.shape} that is not"
        raise OptionError(f"the value of a {action} must be finite, not {shown}")
    return frozen(array, array.shape, "an edit's value") if array.flags.writeable else array


def _bounds(given: Any) -> tuple[float | None, float | None]:
    try:
        low, high = given
        bounds = tuple(None if one is None or math.isinf(float(one)) else float(one) for one in (low, high))
    except (TypeError, ValueError):
        raise OptionError(f"a clamp takes two bounds, numbers or None, not {given!r}") from None
    if bounds == (None, None) or any(one is not None and math.isnan(one) for one in bounds):
        raise OptionError(f"a clamp needs a lower or an upper bound, which is no NaN, not {given!r}")
    if None not in bounds and bounds[0] > bounds[1]:  # type: ignore[operator]
        raise OptionError(f"the lower bound of a clamp must be at most the upper one, not {low!r} and {high!r}")
    return bounds[0], bounds[1]


def _places(what: str, given: Any) -> Places:
    """Return units, steps or sequences as they were given, as a range, a slice or a tuple."""
    if given is None or isinstance(given, slice):
        return given
    if isinstance(given, range):
        found: Any = given
    else:
        array = np.atleast_1d(array_of(f"an edit's {what}", given))
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise OptionError(f"an edit's {what} must be integers, a range or a slice, not {given!r}")
        found = tuple(array.tolist())
    if not len(found):
        raise OptionError(f"an edit's {what} must be at least one, not {given!r}")
    kept: Places = found
    return kept


def _settled(what: str, given: Places, count: int, owner: str) -> range | tuple[int, ...] | None:
    """Return places from 0 to `count` - 1, each once."""
    if given is None:
        return None
    if isinstance(given, slice):
        given = range(*given.indices(count))
        if not given:
            raise OptionError(f"an edit's {what}s must be at least one; its slice holds none of {count}")
    if isinstance(given, range):
        index(what, given[0], count, owner), index(what, given[-1], count, owner)
        if given[0] >= 0 and given.step > 0:
            return given
    found = tuple(index(what, one, count, owner) for one in given)
    if len(set(found)) < len(found):
        raise OptionError(f"an edit names {what} {next(one for one in found if found.count(one) > 1)} twice")
    return found


def _compact(places: Sequence[int]) -> slice | tuple[int, ...]:
    """Return places as a slice, which copies nothing, where they follow one another."""
    if places[-1] - places[0] == len(places) - 1 and list(places) == sorted(places):
        return slice(places[0], places[-1] + 1)
    return tuple(places)


def _said(what: str, places: Any, name: Callable[[int], str]) -> str:
    if isinstance(places, slice):
        ends = ":".join("" if end is None else str(end) for end in (places.start, places.stop))
        return f"{what}s {ends}"
    if len(places) == 1:
        return f"{what} {name(places[0])}"
    if len(places) > 2 and all(b - a == 1 for a, b in pairwise(places)):
        return f"{what}s {name(places[0])} to {name(places[-1])}"
    if len(places) > 6:
        return counted(len(places), what)
    return f"{what}s {', '.join(name(place) for place in places)}"


def _amount(action: str, value: Any) -> str:
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
    """Say whether an edit comes between the output gate's product and the hidden state, so that a trace keeps both."""
    return any(edit.quantity == "hidden_state" for edit in edits)
