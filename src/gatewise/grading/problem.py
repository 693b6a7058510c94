"""The problem of a sheet: a cell, its inputs and its states, as named numbers in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError, ShapeError
from gatewise.grading.sheet import Sheet
from gatewise.layers import LSTM
from gatewise.parameters import Parameters, Variant, array_declarations, array_shapes, named_rows
from gatewise.records.step import State, Step
from gatewise.walkthrough.notation import DEFAULT

_SPELLED = {"γ": "gamma", "β": "beta"}
INPUTS = ("x", "h_prev", "c_prev", "dh", "dc_next")  # the given arrays besides the parameters


@dataclass(frozen=True, eq=False)
class Problem:
    """A run of one cell, and the derivatives of a loss with respect to its final states."""

    parameters: Parameters
    x: Array  # (time, batch, input)
    state: State  # before the first step; arrays (batch, ·)
    dh: Array  # (batch, recurrent): the derivatives with respect to the final hidden state
    dc: Array  # (batch, hidden): those with respect to the final cell state

    def sequences(self) -> list[list[Step]]:
        """Return the steps of every sequence of the problem, run by its cell."""
        trace = LSTM.from_cells(self.parameters).trace(self.x, ((self.state,),), engine="reference")[0]
        return [[trace.step(t, sequence) for t in range(len(trace))] for sequence in range(trace.batch_size)]

    def given_arrays(self) -> dict[str, Array]:
        """Return the arrays that an exercise gives by name, without the axis of a single sequence or single step."""
        arrays = dict(_named_parameters(self.parameters))
        has_one_step, has_one_sequence = len(self.x) == 1, self.x.shape[1] == 1
        arrays["x"] = (
            self.x[0, 0] if has_one_step and has_one_sequence else self.x[:, 0] if has_one_sequence else self.x
        )
        states = {"h_prev": self.state.h, "c_prev": self.state.c, "dh": self.dh, "dc_next": self.dc}
        for name, array in states.items():
            arrays[name] = array[0] if has_one_sequence else array
        return arrays


def read_problem(sheet: Sheet, switches: Mapping[str, Any] | None = None) -> Problem:
    """Return the cell, inputs and states of an exercise in a file of numbers; in JSON also its variant.

    Raise FileError if something cannot be read, or is missing, unknown, blank or of the wrong size.
    """
    if sheet.faults:
        raise FileError(f"{sheet.source}: {sheet.faults[0]}")
    variant = _read_variant(sheet, switches or {})
    written = {name: answer.values for name, answer in sheet.answers.items()}
    for name, values in written.items():
        if np.isnan(values).any():
            raise FileError(f"{sheet.source}: {sheet.answers[name].place}: {name!r} is not filled in")
    parameter_arrays = dict(_assemble_parameters(sheet, written, variant))
    try:
        p = Parameters(variant=variant, **parameter_arrays)
    except (ShapeError, OptionError) as problem:
        raise FileError(f"{sheet.source}: {problem}") from None
    x = _require_array(sheet, written, "x")
    if x.ndim == 2 and x.shape == (p.input_size, 1) and p.input_size > 1:  # a column
        x = x.T
    x = x[None, None] if x.ndim == 1 else x[:, None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[-1] != p.input_size or not x.size:
        allowed = f"({p.input_size},), (time, {p.input_size}) or (time, batch, {p.input_size})"
        raise FileError(f"{sheet.source}: x has shape {written['x'].shape}; it must be {allowed}")
    batch = x.shape[1]

    def read_state(name: str, size: int, default: float | None) -> Array:
        """Return an exercise's initial state or final gradient for every sequence of the batch."""
        if name not in written and default is not None:
            return np.full((batch, size), default)
        values = _require_array(sheet, written, name)
        if values.shape in ((size,), (size, 1)):
            return np.tile(values.reshape(size), (batch, 1))
        if values.shape != (batch, size):
            raise FileError(
                f"{sheet.source}: {name} has shape {values.shape}; it must be ({size},) or ({batch}, {size})"
            )
        return values

    state = State(read_state("h_prev", p.recurrent_size, 0.0), read_state("c_prev", p.hidden_size, 0.0))
    dh, dc = read_state("dh", p.recurrent_size, 1.0), read_state("dc_next", p.hidden_size, 0.0)
    unknown = set(written) - {name for name, _ in _named_parameters(p)} - {*INPUTS}
    if unknown:
        name = min(unknown)
        allowed = ", ".join([*(name for name, _ in _named_parameters(p)), *INPUTS])
        raise FileError(
            f"{sheet.source}: {sheet.answers[name].place}: there is no {name!r} among what is given; allowed: {allowed}"
        )
    return Problem(p, x, state, dh, dc)


def _read_variant(sheet: Sheet, switches: Mapping[str, Any]) -> Variant:
    written = sheet.more.get("variant", {})
    if not isinstance(written, dict) or not all(isinstance(key, str) for key in written):
        raise FileError(f'{sheet.source}: its variant must be an object of switches, like {{"peephole": "full"}}')
    try:
        plain = {key: float(value) if isinstance(value, Decimal) else value for key, value in written.items()}
        return Variant(**{**plain, **switches})
    except (TypeError, ValueError, OptionError) as problem:
        fault = str(problem).replace("Variant.__init__() got an unexpected keyword argument", "there is no switch")
        raise FileError(f"{sheet.source}: {fault}") from None


def _parameter_names(variant: Variant) -> Iterable[tuple[str, str, tuple[int, ...]]]:
    rows = [row for row in named_rows(variant, DEFAULT.order) if row[1] != "projection"]
    order = list(array_declarations(variant))
    for name, array, position in sorted(rows, key=lambda row: max(order.index(row[1]), 1)):  # W and b gate by gate
        base, _, sub = name.partition("_")
        yield f"{_SPELLED.get(base, base)}_{sub}", array, position


def _named_parameters(p: Parameters) -> Iterable[tuple[str, Array]]:
    arrays = p.arrays()
    for name, owner, place in _parameter_names(p.variant):
        yield name, np.asarray(arrays[owner][place])
    if p.projection is not None:
        yield "R", p.projection


def _assemble_parameters(sheet: Sheet, written: Mapping[str, Array], variant: Variant) -> Iterable[tuple[str, Array]]:
    first = next(iter(variant.own))
    shape = _require_array(sheet, written, f"W_{first}").shape
    if len(shape) != 2:
        raise FileError(f"{sheet.source}: W_{first} has shape {shape}; it must be (hidden, recurrent + input)")
    hidden = shape[0]
    shapes = array_shapes(variant, shape[1], hidden, 0)  # the states say which columns are recurrent
    arrays = {name: np.zeros(size) for name, size in shapes.items() if size}
    owners = set()
    for name, owner, place in _parameter_names(variant):
        expected = arrays[owner][place].shape
        values = _require_array(sheet, written, name)
        if len(expected) == 1 and values.shape == (hidden, 1):
            values = values[:, 0]
        if values.shape != expected:
            where = sheet.answers[name].place
            raise FileError(f"{sheet.source}: {where}: {name} has shape {values.shape}; it must be {expected}")
        arrays[owner][place] = values
        owners.add(owner)
    yield from ((owner, arrays[owner]) for owner in owners)
    if "R" in written:
        yield "projection", written["R"]


def _require_array(sheet: Sheet, written: Mapping[str, Array], name: str) -> Array:
    if name not in written:
        raise FileError(f"{sheet.source}: {name} is missing")
    return written[name]
