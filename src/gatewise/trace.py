"""What a run leaves behind: the Trace of one cell, and the LSTMTrace of a stack of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask, index, lock, quiet
from gatewise.equations import Moment
from gatewise.errors import NotKeptError, OptionError, one_of
from gatewise.keep import EVERYTHING, QUANTITIES, Keep
from gatewise.labelled import dataset
from gatewise.parameters import NO_MASKS, Masks, Parameters
from gatewise.step import NO_LABELS, Labels, State, Step


@dataclass(frozen=True, eq=False)
class Trace:
    """All steps of one cell, with the parameters that made them: the cache of the backward pass, and plain data.

    Axes are (time, batch, feature); time is the input's time in both directions. At steps that are masked or lie
    beyond a row's length (`live` is False) the gates are NaN, and the states are those that were carried over.
    A trace can be sliced by time and batch row: ``trace[10:20]``, ``trace[:, 2:3]``, and ``trace[t, row]`` is a `Step`.

    Attributes
    ----------
    parameters : Parameters
    initial, final : State
        Before the first and after the last step of the trace's direction; arrays (batch, ·).
    time : int
        How many steps the run had.
    arrays : dict
        What was kept: ``gates`` (time, batch, 4, hidden), ``cell_state`` and ``hidden_state`` (time, batch, ·), and
        with a projection ``unprojected_state``; less where `keep` says less.
    input : array (time, batch, input) or None
        None where the trace does not keep everything.
    direction : {"forward", "backward"}
    live : boolean array (time, batch) or None
        Which steps took place; None means all.
    masks : Masks
        The noise that was applied, fitted to the run.
    keep : Keep
    engine : str
        Which engine ran.
    labels : Labels
    start : int
        When the first step was: 0, but in a slice of a trace.
    """

    parameters: Parameters
    initial: State
    final: State
    time: int
    arrays: dict[str, Array]
    input: Array | None
    direction: str = "forward"
    live: Mask | None = None
    masks: Masks = NO_MASKS
    keep: Keep = EVERYTHING
    engine: str = "reference"
    labels: Labels = NO_LABELS
    start: int = 0

    def locked(self) -> Trace:
        """Make every array read-only, and return the trace."""
        lock(self.input, self.live, *self.initial, *self.final, *self.arrays.values())
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
    def batch(self) -> int:
        """How many rows ran side by side."""
        return int(self.initial.h.shape[0])

    def __len__(self) -> int:
        """How many steps are kept."""
        return len(range(0, self.time, self.keep.every))

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
        """Return the steps that `key` picks of (time, batch), as rows of one `Moment`, with what was kept filled in."""
        x = self._require_everything("a step")
        known = {letter: self.gates[key][..., row, :] for row, letter in enumerate(gates.LETTERS)}
        known |= {"h": self.hidden_state[key], "c": self.cell_state[key]}
        if self.masks.zoneout_cell is None:
            known["c_new"] = known["c"]
        known["m"] = self.unprojected_state[key]
        previous = self.previous
        return Moment(self.parameters, x[key], previous.h[key], previous.c[key], self.masks.at(key), **known)

    @cached_property
    def _all_steps(self) -> Moment:
        """Every step as a row of one moment."""
        x = self._require_everything("a pre-activation")
        time, row = np.divmod(np.arange(x.shape[0] * self.batch), max(self.batch, 1))
        return self.moment((time, row))

    @property
    @quiet
    def combined_input(self) -> Array:
        """[h; x] of each step (time, batch, recurrent + input)."""
        return self._by_step(self._all_steps.z)

    def _by_step(self, rows: Array) -> Array:
        """Return the rows of `_all_steps` on the axes of time and batch."""
        return rows.reshape(len(self), self.batch, rows.shape[-1])

    @quiet
    def preactivation(self, gate: str) -> Array:
        """Return what went into one gate's nonlinearity (time, batch, hidden), recomputed; NaN where not live.

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
        return a if self.live is None else np.where(self.live[..., None], a, np.nan)

    @property
    def preactivations(self) -> Array:
        """What went into each gate's nonlinearity (time, batch, 4, hidden); NaN for a coupled gate, which has none."""
        self._require_everything("a pre-activation")
        own = self.parameters.variant.own
        missing = np.full_like(self.cell_state, np.nan)
        pairs = zip(gates.LETTERS, gates.NAMES, strict=True)
        return np.stack([self.preactivation(name) if letter in own else missing for letter, name in pairs], axis=2)

    # Smaller pieces of it.

    def step(self, t: int, batch: int = 0) -> Step:
        """Return one step of one row, with everything in it.

        Parameters
        ----------
        t, batch : int
            The step in the input's time and the row; negative counts from the end.

        Raises
        ------
        OptionError
            If there is no such step or row, or the step did not take place (masked, or beyond the row's length).
        NotKeptError
            If the trace did not keep everything.
        """
        x = self._require_everything("a step")
        t, row = index("step", t, x.shape[0], "this trace"), index("row", batch, self.batch, "this trace")
        if self.live is not None and not self.live[t, row]:
            raise OptionError(f"step {t} of row {row} did not take place: it is masked, or beyond the row's length")
        name = None if self.labels.times is None else self.labels.times[t]
        return Step(self.moment((slice(t, t + 1), row)), self.labels, self.start + t, row, name)

    def __getitem__(self, key: Any) -> Any:
        when, row = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(when, (int, np.integer)) and isinstance(row, (int, np.integer)):
            return self.step(int(when), int(row))
        return self._slice(_as_slice(when, len(self)), _as_slice(row, self.batch))

    def _slice(self, when: slice, row: slice) -> Trace:
        x = self._require_everything("a slice")
        first, stop, stride = when.indices(len(self))
        if stride != 1 or row.step not in (None, 1):
            raise OptionError("a slice of a trace must be contiguous; `every` of `Keep` keeps every nth step")
        key = (slice(first, max(first, stop)), row)
        ends = self._between(first, row), self._between(max(first, stop), row)
        initial, final = ends if self.direction == "forward" else reversed(ends)
        labels = replace(
            self.labels,
            series=self.labels.series and self.labels.series[row],
            times=self.labels.times and self.labels.times[key[0]],
        )
        masks = Masks(**{n: a if n == "weight" else a[key] for n, a in self.masks.arrays().items()})
        return replace(
            self,
            initial=initial,
            final=final,
            time=max(first, stop) - first,
            start=self.start + first,
            arrays={name: array[key] for name, array in self.arrays.items()},
            input=x[key],
            live=None if self.live is None else self.live[key],
            masks=masks,
            labels=labels,
        )

    def _between(self, t: int, row: slice) -> State:
        """Return the state that passes between steps t - 1 and t."""
        before = t - 1 if self.direction == "forward" else t
        if 0 <= before < len(self):
            return State(self.hidden_state[before, row], self.cell_state[before, row])
        outside = self.initial if (before < 0) == (self.direction == "forward") else self.final
        return State(*(array[row] for array in outside))

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` of what was kept: a variable for each quantity, with named dimensions and labels.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        same = "hidden_state" in self.keep.quantities and "unprojected_state" not in self.arrays
        names = [name for name in self.keep.quantities if not (same and name == "unprojected_state")]
        kept, labels = slice(None, None, self.keep.every), self.labels
        units = self.keep.units or range(self.parameters.hidden_size)
        return dataset(
            {name: self.quantity(name) for name in names},
            input=self.input,
            live=None if self.live is None else self.live[kept],
            projected=self.parameters.projection is not None,
            times=self.start + np.arange(len(self)) * self.keep.every if labels.times is None else labels.times[kept],
            rows=labels.series,
            features=labels.features,
            units=[labels.unit(unit) for unit in units] if labels.units else units,
            attributes={"direction": self.direction, "engine": self.engine},
        )

    def __repr__(self) -> str:
        kept = "" if self.keep.everything else f", kept {', '.join(self.keep.quantities)}"
        return f"<Trace of {len(self)} steps, {self.batch} rows, {self.direction}, of {self.parameters!r}{kept}>"


def _as_slice(key: Any, count: int) -> slice:
    if isinstance(key, slice):
        return key
    place = index("step or row", key, count, "this trace")
    return slice(place, place + 1)


@dataclass(frozen=True, eq=False)
class LSTMTrace:
    """The traces of all cells of an LSTM: ``trace[layer]``, and ``trace[layer, "backward"]`` where there are two.

    Attributes
    ----------
    layers : tuple of dict
        The `Trace` of each direction, for each layer.
    output : array (time, batch, ·)
        What the LSTM put out.
    merge : tuple of str
        How each layer's directions were merged.
    masked_output : {"zeros", "repeat"}
        What was put out where a step did not take place.
    batched : bool
        Whether the input had a batch axis.
    """

    layers: tuple[dict[str, Trace], ...]
    output: Array
    merge: tuple[str, ...]
    masked_output: str = "zeros"
    batched: bool = True

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that every layer has."""
        return tuple(self.layers[0])

    @property
    def state(self) -> tuple[tuple[State, ...], ...]:
        """The final state of each layer and direction."""
        return tuple(tuple(trace.final for trace in layer.values()) for layer in self.layers)

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def __getitem__(self, key: int | tuple[int, str]) -> Trace:
        layer, direction = key if isinstance(key, tuple) else (key, self.directions[0])
        place = index("layer", layer, len(self.layers), "this trace")
        return self.layers[place][one_of("direction", direction, self.directions)]

    def __iter__(self) -> Iterator[Trace]:
        return (trace for layer in self.layers for trace in layer.values())

    def to_xarray(self) -> Any:
        """Return one `xarray.Dataset` for each cell, by ``(layer, direction)``."""
        return {(n, d): trace.to_xarray() for n, layer in enumerate(self.layers) for d, trace in layer.items()}

    def __repr__(self) -> str:
        return f"<LSTMTrace of {len(self.layers)} layers, {' and '.join(self.directions)}, output {self.output.shape}>"
