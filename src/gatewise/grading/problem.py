"""What a sheet is about: a cell, its inputs and its states, as named numbers in a file."""

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

_SPELLED = {"γ": "gamma", "β": "beta"}
RUN = ("x", "h_prev", "c_prev", "dh", "dc_next")  # what is given besides the parameters


@dataclass(frozen=True, eq=False)
class Problem:
    """A run of one cell, and the derivatives of a loss with respect to its final states.

    Attributes
    ----------
    parameters : Parameters
    x : array (time, batch, input)
    state : State
        Before the first step; arrays (batch, ·).
    dh, dc : array (batch, recurrent), (batch, hidden)
        The derivatives with respect to the final hidden and cell states.
    """

    parameters: Parameters
    x: Array
    state: State
    dh: Array
    dc: Array

    def sequences(self) -> list[list[Step]]:
        """Return the steps of every sequence."""
        trace = LSTM.from_cells(self.parameters).trace(self.x, ((self.state,),), engine="reference")[0]
        return [[trace.step(t, sequence) for t in range(len(trace))] for sequence in range(trace.batch_size)]

    def given(self) -> dict[str, Array]:
        """Return everything that is given, by name; without the axes of a single sequence and a single step."""
        found = dict(_named(self.parameters))
        one, single = len(self.x) == 1, self.x.shape[1] == 1
        found["x"] = self.x[0, 0] if one and single else self.x[:, 0] if single else self.x
        states = {"h_prev": self.state.h, "c_prev": self.state.c, "dh": self.dh, "dc_next": self.dc}
        for name, array in states.items():
            found[name] = array[0] if single else array
        return found


def of_sheet(sheet: Sheet, switches: Mapping[str, Any] | None = None) -> Problem:
    """Return the problem in a file: its weights, inputs and states, and in a JSON file its variant.

    Raises
    ------
    FileError
        If something cannot be read, or is missing, unknown, blank or of the wrong size.
    """
    if sheet.faults:
        raise FileError(f"{sheet.source}: {sheet.faults[0]}")
    variant = _variant(sheet, switches or {})
    given = {name: answer.values for name, answer in sheet.answers.items()}
    for name, values in given.items():
        if np.isnan(values).any():
            raise FileError(f"{sheet.source}: {sheet.answers[name].place}: {name!r} is not filled in")
    arrays = dict(_assembled(sheet, given, variant))
    try:
        p = Parameters(variant=variant, **arrays)
    except (ShapeError, OptionError) as problem:
        raise FileError(f"{sheet.source}: {problem}") from None
    x = _taken(sheet, given, "x")
    if x.ndim == 2 and x.shape == (p.input_size, 1) and p.input_size > 1:  # a column
        x = x.T
    x = x[None, None] if x.ndim == 1 else x[:, None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[-1] != p.input_size or not x.size:
        told = f"({p.input_size},), (time, {p.input_size}) or (time, batch, {p.input_size})"
        raise FileError(f"{sheet.source}: x has shape {given['x'].shape}; it must be {told}")
    batch = x.shape[1]

    def of_batch(name: str, size: int, default: float | None) -> Array:
        if name not in given and default is not None:
            return np.full((batch, size), default)
        found = _taken(sheet, given, name)
        if found.shape in ((size,), (size, 1)):
            return np.tile(found.reshape(size), (batch, 1))
        if found.shape != (batch, size):
            raise FileError(
                f"{sheet.source}: {name} has shape {found.shape}; it must be ({size},) or ({batch}, {size})"
            )
        return found

    state = State(of_batch("h_prev", p.recurrent_size, 0.0), of_batch("c_prev", p.hidden_size, 0.0))
    dh, dc = of_batch("dh", p.recurrent_size, 1.0), of_batch("dc_next", p.hidden_size, 0.0)
    unknown = set(given) - {name for name, _ in _named(p)} - {*RUN}
    if unknown:
        name = min(unknown)
        allowed = ", ".join([*(name for name, _ in _named(p)), *RUN])
        raise FileError(
            f"{sheet.source}: {sheet.answers[name].place}: there is no {name!r} among what is given; allowed: {allowed}"
        )
    return Problem(p, x, state, dh, dc)


def _variant(sheet: Sheet, switches: Mapping[str, Any]) -> Variant:
    written = sheet.more.get("variant", {})
    if not isinstance(written, dict) or not all(isinstance(key, str) for key in written):
        raise FileError(f'{sheet.source}: its variant must be an object of switches, like {{"peephole": "full"}}')
    try:
        plain = {key: float(one) if isinstance(one, Decimal) else one for key, one in written.items()}
        return Variant(**{**plain, **switches})
    except (TypeError, ValueError, OptionError) as problem:
        said = str(problem).replace("Variant.__init__() got an unexpected keyword argument", "there is no switch")
        raise FileError(f"{sheet.source}: {said}") from None


def _names(variant: Variant) -> Iterable[tuple[str, str, tuple[int, ...]]]:
    """Yield the names of a variant's parameters in a file, each with its array and its position there."""
    rows = [row for row in named_rows(variant) if row[1] != "projection"]
    order = list(array_declarations(variant))
    for name, array, position in sorted(rows, key=lambda row: max(order.index(row[1]), 1)):  # W and b gate by gate
        base, _, sub = name.partition("_")
        yield f"{_SPELLED.get(base, base)}_{sub}", array, position


def _named(p: Parameters) -> Iterable[tuple[str, Array]]:
    """Go through the parameters by their names in the equations."""
    arrays = p.arrays()
    for name, owner, place in _names(p.variant):
        yield name, np.asarray(arrays[owner][place])
    if p.projection is not None:
        yield "R", p.projection


def _assembled(sheet: Sheet, given: Mapping[str, Array], variant: Variant) -> Iterable[tuple[str, Array]]:
    """Assemble the arrays of Parameters from the named numbers of a file."""
    first = next(iter(variant.own))
    shape = _taken(sheet, given, f"W_{first}").shape
    if len(shape) != 2:
        raise FileError(f"{sheet.source}: W_{first} has shape {shape}; it must be (hidden, recurrent + input)")
    hidden = shape[0]
    shapes = array_shapes(variant, shape[1], hidden, 0)  # the states say which columns are recurrent
    whole = {name: np.zeros(size) for name, size in shapes.items() if size}
    used = set()
    for name, owner, place in _names(variant):
        expected = whole[owner][place].shape
        values = _taken(sheet, given, name)
        if len(expected) == 1 and values.shape == (hidden, 1):
            values = values[:, 0]
        if values.shape != expected:
            where = sheet.answers[name].place
            raise FileError(f"{sheet.source}: {where}: {name} has shape {values.shape}; it must be {expected}")
        whole[owner][place] = values
        used.add(owner)
    yield from ((owner, whole[owner]) for owner in used)
    if "R" in given:
        yield "projection", given["R"]


def _taken(sheet: Sheet, given: Mapping[str, Array], name: str) -> Array:
    if name not in given:
        raise FileError(f"{sheet.source}: {name} is missing")
    return given[name]
