"""CellRecord: the fields of the record of a cell's run, and the quantities that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array, Mask, lock, quiet
from gatewise.equations import NO_DROPOUT, DropoutMasks, Moment
from gatewise.errors import NotKeptError, one_of
from gatewise.parameters import Parameters
from gatewise.records.edited_steps import EditedRun
from gatewise.records.edits import Edit
from gatewise.records.keep import EVERYTHING, QUANTITIES, Keep
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.run_record import RunRecord
from gatewise.records.step import State, own_letter

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False, repr=False)
class CellRecord(RunRecord):
    """The record of a run of one cell; see `Trace`. Fields have a batch axis, quantities only if the input had one."""

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
    batched: bool = True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.locked()  # what is unpickled is as read-only as what was pickled

    def locked(self) -> Self:
        """Make every array read-only, and return the record."""
        lock(self.input, self.valid, *self.initial, *self.final, *self.arrays.values())
        return self

    @property
    def batch_size(self) -> int:
        """The number of sequences in the batch."""
        return int(self.initial.h.shape[0])

    def __len__(self) -> int:
        """The number of steps that are kept."""
        return len(range(0, self.num_steps, self.keep.every))

    @property
    def unit_names(self) -> list[Any]:
        """The names of the hidden units that are kept, or their numbers if they have none."""
        units = self.keep.units or range(self.parameters.hidden_size)
        return [self.labels.unit(unit) if self.labels.units else unit for unit in units]

    @property
    def times(self) -> Any:
        """The times of the steps that are kept: their dates or names, or their numbers if they have none."""
        every, times = self.keep.every, self.labels.times
        return self.start + np.arange(len(self)) * every if times is None else times[::every]

    def _by_sequence(self, array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return a stored quantity (time, batch, …) without its batch axis if the input had none."""
        return array if self.batched else array[:, 0]

    # Kept quantities.

    def _require_kept(self, name: str, is_kept: bool) -> None:
        if not is_kept:
            names = ", ".join(self.keep.quantities) or "nothing"
            raise NotKeptError(f"this trace did not keep {name}; it kept {names}")

    def _kept_array(self, name: str) -> Array:
        """Return a gate or state that the trace kept (time, batch, ·); without the batch if the input had none."""
        self._require_kept(name, name in self.keep.quantities)
        if name not in gates.NAMES:
            return self._by_sequence(self.arrays[name])
        return self._by_sequence(self.arrays["gates"][:, :, self.keep.places[gates.index(name)]])

    def quantity(self, name: str) -> Array:
        """Return a gate or state of the trace by its name (time, batch, ·); without the batch if the input had none."""
        one_of("quantity", name, QUANTITIES)
        array: Array = getattr(self, name)
        return array

    def distinct(self) -> list[str]:
        """Return the quantities that are kept, the unprojected state only where it differs from the hidden state."""
        same = "hidden_state" in self.keep.quantities and "unprojected_state" not in self.arrays
        return [name for name in self.keep.quantities if not (same and name == "unprojected_state")]

    @property
    def gates(self) -> Array:
        """All kept gates after their nonlinearities (time, batch, 4, hidden): input, forget, candidate, output."""
        self._require_kept("gates", bool(self.keep.gate_letters))
        return self._by_sequence(self.arrays["gates"])

    @property
    def input_gate(self) -> Array:
        """The input gate (time, batch, hidden)."""
        return self._kept_array("input_gate")

    @property
    def forget_gate(self) -> Array:
        """The forget gate (time, batch, hidden)."""
        return self._kept_array("forget_gate")

    @property
    def candidate(self) -> Array:
        """The candidate (time, batch, hidden)."""
        return self._kept_array("candidate")

    @property
    def output_gate(self) -> Array:
        """The output gate (time, batch, hidden)."""
        return self._kept_array("output_gate")

    @property
    def cell_state(self) -> Array:
        """The cell state after each step (time, batch, hidden)."""
        return self._kept_array("cell_state")

    @property
    def hidden_state(self) -> Array:
        """The hidden state after each step (time, batch, recurrent)."""
        return self._kept_array("hidden_state")

    @property
    def unprojected_state(self) -> Array:
        """The hidden state before any projection and zoneout (time, batch, hidden)."""
        self._require_kept("unprojected_state", "unprojected_state" in self.keep.quantities)
        separate = "unprojected_state" in self.arrays  # else nothing comes between it and the hidden state
        return self._by_sequence(self.arrays["unprojected_state" if separate else "hidden_state"])

    # Quantities that follow from them.

    def require(self, purpose: str) -> Array:
        """Return the input (time, batch, input) of a run that kept everything; see `RunRecord.require`."""
        if self.input is None or not self.keep.everything:
            raise NotKeptError(f"{purpose} needs a whole trace. Trace again without keep, units and every.")
        return self.input

    @property
    def previous(self) -> State:
        """The states before each step, in the trace's direction; arrays (time, batch, ·)."""
        return State(*(self._by_sequence(array) for array in self._previous))

    @cached_property
    def _previous(self) -> State:
        self.require("the state before each step")
        hidden, cell = self.arrays["hidden_state"], self.arrays["cell_state"]
        return State(self._shifted(self.initial.h, hidden), self._shifted(self.initial.c, cell))

    def _shifted(self, first: Array, states: Array) -> Array:
        if self.direction == "forward":
            return np.concatenate([first[None], states[:-1]])[: len(states)]
        return np.concatenate([states[1:], first[None]])[-len(states) or 1 :]

    def moment(self, key: Any) -> Moment:
        """Return the steps of the trace that `key` selects from (time, batch) as the batch of one `Moment`."""
        x, arrays = self.require("a step"), self.arrays
        known = {letter: arrays["gates"][key][..., place, :] for place, letter in enumerate(gates.LETTERS)}
        known |= {"h": arrays["hidden_state"][key], "c": arrays["cell_state"][key]}
        if self.dropout.zoneout_cell is None:
            known["c_new"] = known["c"]
        known["m"] = arrays.get("unprojected_state", arrays["hidden_state"])[key]
        before = State(*(array[key] for array in self._previous))
        if self.edits:
            return self._edited_run.moment(key, x[key], before.h, before.c, self.dropout.at(key), **known)
        return Moment(self.parameters, x[key], before.h, before.c, self.dropout.at(key), **known)

    @cached_property
    def _edited_run(self) -> EditedRun:
        """The edits by step."""
        return EditedRun(self.edits, self.parameters, len(self), self.batch_size)

    @cached_property
    def _all_steps(self) -> Moment:
        """Every step of every sequence of the trace, as the batch of one moment."""
        x = self.require("a pre-activation")
        time, sequence = np.divmod(np.arange(x.shape[0] * self.batch_size), max(self.batch_size, 1))
        return self.moment((time, sequence))

    def _by_step(self, flat: Array) -> Array:
        """Return a quantity of `_all_steps` on the axes of time and batch."""
        return self._by_sequence(flat.reshape(len(self), self.batch_size, flat.shape[-1]))

    def _where_valid(self, array: Array) -> Array:
        """Return a quantity (time, batch, ·) with NaN where a step is not valid."""
        return array if self.valid is None else np.where(self._by_sequence(self.valid)[..., None], array, np.nan)

    @property
    @quiet
    def combined_input(self) -> Array:
        """[h; x] of each step (time, batch, recurrent + input)."""
        return self._by_step(self._all_steps.z)

    @property
    @quiet
    def activated_cell_state(self) -> Array:
        """tanh(c), which the output gate multiplies (time, batch, hidden), recomputed; NaN where a step is not valid.

        In a variant, the corresponding factor of its equation for the hidden state.
        """
        return self._where_valid(self._by_step(self._all_steps.t))

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
        letter = own_letter(self.parameters, gate)
        return self._where_valid(self._by_step(self._all_steps.a(letter)))

    @property
    def preactivations(self) -> Array:
        """The pre-activation of each gate (time, batch, 4, hidden); NaN for a coupled gate, which has none."""
        self.require("a pre-activation")
        computed = self.parameters.variant.own
        missing = np.full_like(self.cell_state, np.nan)
        pairs = zip(gates.LETTERS, gates.NAMES, strict=True)
        return np.stack(
            [self.preactivation(name) if letter in computed else missing for letter, name in pairs], axis=-2
        )
