"""A network as stages that a step runs through: scaling, branches, layers and head, each a list of equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.layers.wired import wiring_of as lstm_wiring
from gatewise.network import Network
from gatewise.network.wired import dense_of, head_of
from gatewise.symbolic.cell import parameter_values
from gatewise.symbolic.formula import C_PREV, H_PREV, C, H, Symbol, X
from gatewise.symbolic.heads import OUTPUT, READ, SKIPPED, Head, constants, head_forward, head_inputs
from gatewise.symbolic.program import PARAMETER, Assignment
from gatewise.symbolic.wiring import WiredCell


@dataclass(frozen=True)
class Vector:
    """Numbers in memory: a C expression that points to them, and how many there are."""

    pointer: str
    size: int


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a step: equations from vectors in memory to others.

    Attributes
    ----------
    name : str
        What its functions and tables are called.
    lines : tuple of Assignment
        Each after those that it needs.
    inputs, outputs : dict of Symbol to Vector
        What the equations read, and where their results go.
    constants : dict of Symbol to array
    axes : dict of Symbol to tuple of str
        The kinds of the axes of inputs and constants.
    gates : tuple of Symbol
        Those that ``step_gates`` stores, in this order.
    cell : Symbol or None
        The cell state, whose smallest numbers are flushed to zero.
    """

    name: str
    lines: tuple[Assignment, ...]
    inputs: Mapping[Symbol, Vector]
    outputs: Mapping[Symbol, Vector]
    constants: Mapping[Symbol, Array]
    axes: Mapping[Symbol, tuple[str, ...]]
    gates: tuple[Symbol, ...] = ()
    cell: Symbol | None = None


def flat_state(states: Any) -> Array:
    """Return the states of an LSTM ``[layer][direction]`` as numbers in a row, layer by layer: h, c."""
    arrays = [array for layer in states for state in layer for array in (state.h, state.c)]
    return np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in arrays])


def require_forward(network: Network) -> None:
    """Refuse a network that cannot run step by step."""
    lstm = network.lstm
    if lstm.bidirectional or any(direction != "forward" for direction in lstm.directions):
        raise OptionError("a header runs step by step, but this network also runs backward in time")
    if network.masked is not None and network.masked_output == "repeat":
        raise OptionError("a header outputs zeros at masked steps, but this network repeats its last output")


def stages_of(network: Network) -> Iterator[Stage]:
    """Yield the stages of a network, from what its branches read to its output."""
    features = Vector("t->x", network.num_features) if network.inputs is not None else Vector("x", network.num_features)
    read = features
    if network.embedding is not None:
        read = Vector("row", network.lstm.input_size)
    elif network.branches:
        yield from _branch_stages(network, features)
        read = Vector("t->z", network.lstm.input_size)
    for number, (cell,) in enumerate(lstm_wiring(network.lstm).cells):
        yield cell_stage(number, cell, read)
        read = Vector(f"s->h{number}", cell.parameters.recurrent_size)
    if (head := head_of(network)) is not None:
        if network.masked is not None:
            read = Vector("top", read.size)
        yield head_stage("head", head, read, Vector("y", network.num_outputs), features)


def _branch_stages(network: Network, features: Vector) -> Iterator[Stage]:
    """Yield the stages of the dense layers before the LSTM; what they take was gathered in ``t->f<number>``."""
    begin = 0
    for number, branch in enumerate(network.branches):
        if branch.layers:
            gathered, target = Vector(f"t->f{number}", len(branch.features)), Vector(f"(t->z + {begin})", branch.size)
            yield head_stage(f"branch{number}", Head(dense_of(branch.layers)), gathered, target, features)
        begin += branch.size


def cell_stage(number: int, cell: WiredCell, read: Vector) -> Stage:
    """Return the stage of a layer, which reads `read` and the state that it keeps."""
    p, program = cell.parameters, cell.sized
    form, hidden, recurrent = program.form, p.hidden_size, p.recurrent_size
    inputs = {
        X: read,
        H_PREV: Vector(f"s->h{number}", recurrent),
        C_PREV: Vector(f"s->c{number}", hidden),
    }
    values = parameter_values(form, p)
    return Stage(
        f"layer{number}",
        program.forward,
        inputs,
        {H: Vector(f"s->h{number}", recurrent), C: Vector(f"s->c{number}", hidden)},
        {symbol: values[symbol] for symbol in program.of_kind(PARAMETER)},
        {given.symbol: given.axes for given in program.given},
        tuple(map(Symbol, "ifgo")),
        C,
    )


def head_stage(name: str, head: Head, read: Vector, target: Vector, features: Vector | None = None) -> Stage:
    """Return the stage of dense layers, with a skip connection from features and a scaling where it has these."""
    inputs = {READ: read}
    if head.skip and features is not None:
        inputs[SKIPPED] = Vector(features.pointer, head.skip)
    axes = {symbol: axes for symbol, (axes, _) in head_inputs(head).items()}
    return Stage(name, head_forward(head), inputs, {OUTPUT: target}, constants(head), axes)
