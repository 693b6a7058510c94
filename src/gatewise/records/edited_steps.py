"""Steps with edited quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.equations import DropoutMasks, Moment
from gatewise.parameters import Parameters
from gatewise.records.edits import EDITABLE, Edit


class EditEffect:
    """The effect of all edits of a step on a quantity q (batch, ·): a fixed value, or clip(scale * q, low, high)."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.fixed = np.zeros(shape, bool)
        self.patched = np.zeros(shape, bool)  # by a fixed value from another run
        self.value, self.scale = np.zeros(shape, dtype), np.ones(shape, dtype)
        self.low, self.high = np.full(shape, -np.inf, dtype), np.full(shape, np.inf, dtype)

    def add(self, action: str, where: Any, value: Any) -> None:
        """Add one edit (set, patch, scale or clamp) of a gate or state at some places, after those added before."""
        if action in ("set", "patch"):
            self.fixed[where], self.patched[where], self.value[where] = True, action == "patch", value
            self.scale[where], self.low[where], self.high[where] = 0, -np.inf, np.inf
            return
        free = ~self.fixed[where]
        if action == "scale":
            self.value[where] *= value
            self.scale[where] *= np.where(free, value, 1)
            with np.errstate(invalid="ignore"):  # no bound times 0 is no bound
                low, high = self.low[where] * value, self.high[where] * value
            low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
            self.low[where] = np.where(free, np.minimum(low, high), -np.inf)
            self.high[where] = np.where(free, np.maximum(low, high), np.inf)
            return
        low, high = (end if bound is None else bound for bound, end in zip(value, (-np.inf, np.inf), strict=True))
        self.value[where] = np.where(free, 0, np.clip(self.value[where], low, high))
        self.low[where] = np.where(free, np.clip(self.low[where], low, high), -np.inf)
        self.high[where] = np.where(free, np.clip(self.high[where], low, high), np.inf)

    @property
    def touched(self) -> Mask:
        """Where the quantity is edited at all."""
        touched: Mask = self.fixed | (self.scale != 1) | np.isfinite(self.low) | np.isfinite(self.high)
        return touched

    def __call__(self, q: Array) -> Array:
        """Return the edited quantity."""
        return np.where(self.fixed, self.value, np.clip(self.scale * q, self.low, self.high))

    def slope(self, q: Array) -> Array:
        """Return the derivative of the edited gate or state with respect to q: 0 if it is fixed or beyond a bound."""
        scaled = self.scale * q
        within = (self.low <= scaled) & (scaled <= self.high)
        return np.where(self.fixed, 0, np.where(within, self.scale, 0)).astype(q.dtype)


def _edited_gate(k: str) -> Any:
    """Return the property of an edited step that is gate `k` after its edits."""
    return cached_property(lambda step: step._edited(k, getattr(super(EditedMoment, step), k)))


class EditedMoment(Moment):
    """One step of a cell with edits: each quantity is computed, then edited, then used.

    `effects` are by the letter of the quantity; the other arguments are as in `Moment`, and known quantities are edited
    already.
    """

    edited = True

    def __init__(
        self,
        p: Parameters,
        x: Array,
        h_prev: Array,
        c_prev: Array,
        dropout: DropoutMasks,
        effects: Mapping[str, EditEffect],
        **known: Array,
    ) -> None:
        super().__init__(p, x, h_prev, c_prev, dropout, **known)
        self.effects = effects

    def with_inputs(self, p: Parameters, x: Array, h_prev: Array, c_prev: Array) -> Moment:
        """Return the step with other parameters and inputs, under the same masks and edits."""
        return EditedMoment(p, x, h_prev, c_prev, self.dropout, self.effects)

    def edit_gradient(self, k: str, dy: Array) -> Array:
        """Return the gradient with respect to a quantity before its edits, given that after them."""
        return dy * self.effects[k].slope(self.before_edits(k)) if k in self.effects else dy

    def before_edits(self, k: str) -> Array:
        """Return a gate or state before its own edits: its equation, in a step with the other edits alone."""
        if k not in self.effects:
            return super().before_edits(k)
        operands = {"c": ["i", "f", "g"], "o": ["c_new"], "h": ["r"]}.get(k, [])
        if k == self.p.variant.coupled:
            operands = ["i" if k == "f" else "f"]
        known = {name: getattr(self, name) for name in operands}
        others = {letter: effect for letter, effect in self.effects.items() if letter != k}
        step = EditedMoment(self.p, self.x, self.h_prev, self.c_prev, self.dropout, others, **known)
        return step.before_edits(k)

    def _edited(self, k: str, q: Array) -> Array:
        return self.effects[k](q) if k in self.effects else q

    # The equation of each is that of `Moment`, with edited operands.

    i: Array = _edited_gate("i")
    f: Array = _edited_gate("f")
    g: Array = _edited_gate("g")
    o: Array = _edited_gate("o")

    @cached_property
    def c_new(self) -> Array:
        """The new cell state, as the output gate and the output see it."""
        return self._edited("c", super().c_new) if self.dropout.zoneout_cell is None else super().c_new

    @cached_property
    def c(self) -> Array:
        """The cell state at the end of the step, after zoneout."""
        return super().c if self.dropout.zoneout_cell is None else self._edited("c", super().c)

    @cached_property
    def h(self) -> Array:
        """The hidden state at the end of the step, after zoneout."""
        return self._edited("h", super().h)


class EditedRun:
    """The edits, which are settled, of the run of one cell, looked up by step."""

    def __init__(self, edits: Sequence[Edit], p: Parameters, time: int, batch: int) -> None:
        self.p = p
        self.times = np.broadcast_to(np.arange(time)[:, None], (time, batch))
        self.sequences = np.broadcast_to(np.arange(batch), (time, batch))
        self.edits = [(edit, _positions_of(edit.steps, time), _positions_of(edit.sequences, batch)) for edit in edits]

    def effects(self, key: Any) -> dict[str, EditEffect]:
        """Return the effects of the run's edits, by the letter of the quantity, at the steps `key` of (time, batch)."""
        times, members = np.atleast_1d(self.times[key]), np.atleast_1d(self.sequences[key])
        effects: dict[str, EditEffect] = {}
        for edit, steps, sequences in self.edits:
            step, sequence = steps[times], sequences[members]
            affected = np.flatnonzero((step >= 0) & (sequence >= 0))
            if not len(affected):
                continue
            letter = EDITABLE[edit.quantity]
            if letter not in effects:
                width = self.p.recurrent_size if letter == "h" else self.p.hidden_size
                effects[letter] = EditEffect((len(times), width), self.p.dtype)
            value = edit.value if edit.action == "clamp" else edit.value[step[affected], sequence[affected]]
            units = np.arange(effects[letter].value.shape[1]) if edit.units is None else np.array(edit.units)
            effects[letter].add(edit.action, np.ix_(affected, units), value)
        return effects

    def moment(self, key: Any, x: Array, h_prev: Array, c_prev: Array, dropout: DropoutMasks, **known: Array) -> Moment:
        """Return the steps of the run that `key` selects as one Moment, an edited one where edits act."""
        if not (effects := self.effects(key)):
            return Moment(self.p, x, h_prev, c_prev, dropout, **known)
        return EditedMoment(self.p, x, h_prev, c_prev, dropout, effects, **known)


def _positions_of(places: Any, count: int) -> npt.NDArray[np.intp]:
    """Return the position of each of `count` steps or sequences among those that an edit names; -1 if it does not."""
    if places is None:
        return np.arange(count)
    positions = np.full(count, -1, np.intp)
    positions[np.array(places, np.intp)] = np.arange(len(places))
    return positions


def effects_of(moment: Moment) -> Mapping[str, EditEffect]:
    """Return the effects of edits on the quantities of a step, by letter; none if it was not edited."""
    return moment.effects if isinstance(moment, EditedMoment) else {}
