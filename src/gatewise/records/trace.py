"""Trace: the record of a run of one cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask, index, lock, quiet
from gatewise.dropout import NO_DROPOUT, DropoutMasks
from gatewise.equations import Moment
from gatewise.errors import NotKeptError, OptionError, one_of
from gatewise.parameters import Parameters
from gatewise.records.edited_steps import Acting
from gatewise.records.edits import Edit, in_words
from gatewise.records.keep import EVERYTHING, QUANTITIES, Keep
from gatewise.records.labelled_arrays import dataset
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.step import State, Step
from gatewise.showing import brief, counted, inline, nth


@dataclass(frozen=True, eq=False)
class Trace:
    """All steps of a run of one cell, with its parameters: what the backward pass needs, as plain arrays.

    Axes are (time, batch, feature); time is the input's time in both directions. At steps that are masked or lie
    beyond a sequence's length (`valid` is False) the gates are NaN, and the states are those that were carried over.
    A trace can be sliced by time and by sequence: ``trace[10:20]``, ``trace[:, 2:3]``; ``trace[t, sequence]`` is a
    `Step`.

    Attributes
    ----------
    parameters : Parameters
    initial, final : State
        Before the first and after the last step of the trace's direction; arrays (batch, ·).
    num_steps : int
        How many steps the run had.
    arrays : dict
        What was kept: ``gates`` (time, batch, 4, hidden), ``cell_state`` and ``hidden_state`` (time, batch, ·), and
        with a projection ``unprojected_state``; less where `keep` says less.
    input : array (time, batch, input) or None
        None where the trace does not keep everything.
    direction : {"forward", "backward"}
    valid : boolean array (time, batch) or None
        Which steps are valid; None means all.
    dropout : DropoutMasks
        The dropout masks that were applied, broadcast to the run.
    keep : Keep
    engine : str
        Which engine ran.
    labels : Labels
    start : int
        The time of the first step: 0, except in a slice of a trace.
    edits : tuple of Edit
        What was set, scaled, clamped or patched, in this order; steps count from the first one of the trace. The
        gates and states are what the edits made of them, and those that follow from them.
    """

    parameters: Parameters
    initial: State
    final: State
    num_steps: int
    arrays: dict[str, Array]
    input: Array | None
    direction: str = "forward"
    valid: Mask | None = None
    dropout: DropoutMasks = NO_DROPOUT
    keep: Keep = EVERYTHING
    engine: str = "reference"
    labels: Labels = NO_LABELS
    start: int = 0
    edits: tuple[Edit, ...] = ()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.locked()  # what is unpickled is as read-only as what was pickled

    def locked(self) -> Trace:
        """Make every array read-only, and return the trace."""
        lock(self.input, self.valid, *self.initial, *self.final, *self.arrays.values())
        return self

    # What was kept.

    def _require(self, name: str, kept: bool) -> None:
        if not kept:
            found = ", ".join(self.keep.quantities) or "nothing"
            raise NotKeptError(f"this trace did not keep {name}; it kept {found}")

    def _kept(self, name: str) -> Array:
        self._require(name, name in self.keep.quantities)
        return self.arrays[name]

    def _gate(self, name: str) -> Array:
        self._require(name, name in self.keep.quantities)
        letter = gates.LETTERS[gates.index(name)]
        return self.arrays["gates"][:, :, self.keep.gate_letters.index(letter)]

    def quantity(self, name: str) -> Array:
        """Return one of `QUANTITIES` (time, batch, ·)."""
        one_of("quantity", name, QUANTITIES)
        found: Array = getattr(self, name)
        return found

    def distinct(self) -> list[str]:
        """Return the quantities that are kept, the unprojected state only where it differs from the hidden state."""
        same = "hidden_state" in self.keep.quantities and "unprojected_state" not in self.arrays
        return [name for name in self.keep.quantities if not (same and name == "unprojected_state")]

    @property
    def gates(self) -> Array:
        """All kept gates after their nonlinearities (time, batch, 4, hidden): input, forget, candidate, output."""
        self._require("gates", bool(self.keep.gate_letters))
        return self.arrays["gates"]

    @property
    def input_gate(self) -> Array:
        """The input gate (time, batch, hidden)."""
        return self._gate("input_gate")

    @property
    def forget_gate(self) -> Array:
        """The forget gate (time, batch, hidden)."""
        return self._gate("forget_gate")

    @property
    def candidate(self) -> Array:
        """The candidate (time, batch, hidden)."""
        return self._gate("candidate")

    @property
    def output_gate(self) -> Array:
        """The output gate (time, batch, hidden)."""
        return self._gate("output_gate")

    @property
    def cell_state(self) -> Array:
        """The cell state after each step (time, batch, hidden)."""
        return self._kept("cell_state")

    @property
    def hidden_state(self) -> Array:
        """The hidden state after each step (time, batch, recurrent)."""
        return self._kept("hidden_state")

    @property
    def unprojected_state(self) -> Array:
        """The hidden state before any projection and zoneout (time, batch, hidden)."""
        self._require("unprojected_state", "unprojected_state" in self.keep.quantities)
        separate = "unprojected_state" in self.arrays  # else nothing comes between it and the hidden state
        return self.arrays["unprojected_state" if separate else "hidden_state"]

    @property
    @quiet
    def activated_cell_state(self) -> Array:
        """tanh(c), which the output gate multiplies (time, batch, hidden), recomputed; NaN where a step is not valid.

        In a variant, the corresponding factor of its equation for the hidden state.
        """
        t = self._by_step(self._all_steps.t)
        return t if self.valid is None else np.where(self.valid[..., None], t, np.nan)

    @property
    def batch_size(self) -> int:
        """How many sequences the batch has."""
        return int(self.initial.h.shape[0])

    def __len__(self) -> int:
        """How many steps are kept."""
        return len(range(0, self.num_steps, self.keep.every))

    def __iter__(self) -> Iterator[Trace]:
        """Go through the trace in the input's time, each step a trace of its own."""
        return (self[t : t + 1] for t in range(len(self)))

    # What follows from it.

    def _require_everything(self, purpose: str) -> Array:
        if self.input is None or not self.keep.everything:
            raise NotKeptError(f"{purpose} needs a whole trace; this one kept less (keep, units or every)")
        return self.input

    @cached_property
    def previous(self) -> State:
        """The states before each step, in the trace's direction; arrays (time, batch, ·)."""
        self._require_everything("the state before each step")
        return State(self._shifted(self.initial.h, self.hidden_state), self._shifted(self.initial.c, self.cell_state))

    def _shifted(self, first: Array, states: Array) -> Array:
        if self.direction == "forward":
            return np.concatenate([first[None], states[:-1]])[: len(states)]
        return np.concatenate([states[1:], first[None]])[-len(states) or 1 :]

    def moment(self, key: Any) -> Moment:
        """Return the steps that `key` selects from (time, batch) as the batch of one `Moment`, with what was kept."""
        x = self._require_everything("a step")
        known = {letter: self.gates[key][..., place, :] for place, letter in enumerate(gates.LETTERS)}
        known |= {"h": self.hidden_state[key], "c": self.cell_state[key]}
        if self.dropout.zoneout_cell is None:
            known["c_new"] = known["c"]
        known["m"] = self.unprojected_state[key]
        previous = self.previous
        if self.edits:
            return self._acting.moment(key, x[key], previous.h[key], previous.c[key], self.dropout.at(key), **known)
        return Moment(self.parameters, x[key], previous.h[key], previous.c[key], self.dropout.at(key), **known)

    @cached_property
    def _acting(self) -> Acting:
        """The edits by step."""
        return Acting(self.edits, self.parameters, len(self), self.batch_size)

    def require_unedited(self, purpose: str) -> None:
        """Raise OptionError where the run was edited; `purpose` is the subject of the sentence."""
        if self.edits:
            raise OptionError(f"{purpose} needs a run without edits; this one is edited: {self.edits_said()}")

    @cached_property
    def _all_steps(self) -> Moment:
        """Every step of every sequence, as the batch of one moment."""
        x = self._require_everything("a pre-activation")
        time, sequence = np.divmod(np.arange(x.shape[0] * self.batch_size), max(self.batch_size, 1))
        return self.moment((time, sequence))

    @property
    @quiet
    def combined_input(self) -> Array:
        """[h; x] of each step (time, batch, recurrent + input)."""
        return self._by_step(self._all_steps.z)

    def _by_step(self, flat: Array) -> Array:
        """Return a quantity of `_all_steps` on the axes of time and batch."""
        return flat.reshape(len(self), self.batch_size, flat.shape[-1])

    @quiet
    def preactivation(self, gate: str) -> Array:
        """Return a gate's pre-activation (time, batch, hidden), recomputed; NaN where a step is not valid.

        Raises
        ------
        OptionError
            If there is no such gate, or it is coupled to another and has no pre-activation.
        NotKeptError
            If the trace did not keep everything.
        """
        letter = gates.LETTERS[gates.index(gate)]
        variant = self.parameters.variant
        if letter == variant.coupled:
            raise OptionError(f"the {gate} is coupled ({variant.coupling}): it has no pre-activation of its own")
        a = self._by_step(self._all_steps.a(letter))
        return a if self.valid is None else np.where(self.valid[..., None], a, np.nan)

    @property
    def preactivations(self) -> Array:
        """The pre-activation of each gate (time, batch, 4, hidden); NaN for a coupled gate, which has none."""
        self._require_everything("a pre-activation")
        own = self.parameters.variant.own
        missing = np.full_like(self.cell_state, np.nan)
        pairs = zip(gates.LETTERS, gates.NAMES, strict=True)
        return np.stack([self.preactivation(name) if letter in own else missing for letter, name in pairs], axis=2)

    # Smaller pieces of it.

    def step(self, t: int, sequence: int = 0) -> Step:
        """Return one step of one sequence, with everything in it.

        Parameters
        ----------
        t : int
            The step, in the input's time; negative counts from the end.
        sequence : int
            Which sequence of the batch; negative counts from the end.

        Raises
        ------
        OptionError
            If there is no such step or sequence, or the step is not valid: masked, or beyond the sequence's length.
        NotKeptError
            If the trace did not keep everything.
        """
        x = self._require_everything("a step")
        t = index("step", t, x.shape[0], "this trace")
        sequence = index("sequence", sequence, self.batch_size, "this trace")
        if self.valid is not None and not self.valid[t, sequence]:
            raise OptionError(
                f"step {t} of sequence {sequence} is not valid: it is masked, or beyond the sequence's length"
            )
        name = None if self.labels.times is None else str(self.labels.times[t])
        return Step(self.moment((slice(t, t + 1), sequence)), self.labels, self.start + t, sequence, name)

    def __getitem__(self, key: Any) -> Any:
        when, which = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(when, (int, np.integer)) and isinstance(which, (int, np.integer)):
            return self.step(int(when), int(which))
        return self._slice(_as_slice(when, len(self)), _as_slice(which, self.batch_size))

    def _slice(self, when: slice, which: slice) -> Trace:
        x = self._require_everything("a slice")
        first, stop, stride = when.indices(len(self))
        if stride != 1 or which.step not in (None, 1):
            raise OptionError("a slice of a trace must be contiguous; `every` of `Keep` keeps every nth step")
        key = (slice(first, max(first, stop)), which)
        ends = self._between(first, which), self._between(max(first, stop), which)
        initial, final = ends if self.direction == "forward" else reversed(ends)
        labels = self.labels.replace(
            sequences=self.labels.sequences and self.labels.sequences[which],
            times=self.labels.times and self.labels.times[key[0]],
        )
        inside = [range(*part.indices(count)) for part, count in zip(key, (len(self), self.batch_size), strict=True)]
        edits = [edit.within(*inside) for edit in self.edits]
        dropout = DropoutMasks(**{n: a if n == "weight" else a[key] for n, a in self.dropout.arrays().items()})
        return replace(
            self,
            initial=initial,
            final=final,
            num_steps=max(first, stop) - first,
            start=self.start + first,
            arrays={name: array[key] for name, array in self.arrays.items()},
            input=x[key],
            valid=None if self.valid is None else self.valid[key],
            dropout=dropout,
            labels=labels,
            edits=tuple(edit for edit in edits if edit is not None),
        )

    def _between(self, t: int, which: slice) -> State:
        """Return the state that passes between steps t - 1 and t."""
        before = t - 1 if self.direction == "forward" else t
        if 0 <= before < len(self):
            return State(self.hidden_state[before, which], self.cell_state[before, which])
        outside = self.initial if (before < 0) == (self.direction == "forward") else self.final
        return State(*(array[which] for array in outside))

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` of what was kept: a variable for each quantity, with named dimensions and labels.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        kept, labels = slice(None, None, self.keep.every), self.labels
        units = self.keep.units or range(self.parameters.hidden_size)
        return dataset(
            {name: self.quantity(name) for name in self.distinct()},
            input=self.input,
            valid=None if self.valid is None else self.valid[kept],
            projected=self.parameters.projection is not None,
            times=self.start + np.arange(len(self)) * self.keep.every if labels.times is None else labels.times[kept],
            sequences=labels.sequences,
            features=labels.features,
            measures=labels.measures,
            units=[labels.unit(unit) for unit in units] if labels.units else units,
            attributes={"direction": self.direction, "engine": self.engine}
            | ({"edits": self.edits_said(len(self.edits))} if self.edits else {}),
        )

    def edits_said(self, most: int = 3) -> str:
        """Return the edits in words, at most so many of them; nothing where there are none."""
        return in_words(self.edits, most, unit=self.labels.unit, start=self.start)

    def __repr__(self) -> str:
        p, keep = self.parameters, self.keep
        said = [f"{self.direction}, {counted(self.num_steps, 'step')} of {counted(self.batch_size, 'sequence')}"]
        said.append(f"{counted(p.input_size, 'feature')}, {counted(p.hidden_size, 'unit')}, {p.dtype.name}")
        if keep.every > 1:
            said.append(f"every {nth(keep.every)} step kept")
        if keep.units is not None:
            said.append(f"{counted(len(keep.units), 'unit')} kept")
        if self.edits:
            said.append(f"edited: {self.edits_said()}")
        return brief(f"Trace: {', '.join(said)}", {name: self.quantity(name) for name in self.distinct()})

    def _repr_html_(self) -> str:
        return inline(self)


def _as_slice(key: Any, count: int) -> slice:
    if isinstance(key, slice):
        return key
    place = index("step or sequence", key, count, "this trace")
    return slice(place, place + 1)
