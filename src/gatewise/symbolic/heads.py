"""A head as data: the equations from the output of an LSTM to that of its network, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gatewise.activations import GATED, Activation
from gatewise.arrays import Array
from gatewise.symbolic.formula import (
    Formula,
    FunctionCall,
    Holds,
    MatMul,
    Negative,
    Outer,
    Quotient,
    Symbol,
    Transpose,
    add,
    d,
    times,
)
from gatewise.symbolic.nonlinearities import apply, gated_slope, gated_weight, slope
from gatewise.symbolic.program import Assignment

READ, OUTPUT = Symbol("r"), Symbol("y")  # what the head reads, and what it puts out
V, B_Y, A_Y = Symbol("V"), Symbol("b", "y"), Symbol("a", "y")  # the weight, the bias and the pre-activation of the last
U_Y, SKIPPED = Symbol("u", "y"), Symbol("s")  # what the last layer gives, and what a skip connection adds to it
SCALE, CENTER, LEAST = Symbol("scale", "y"), Symbol("center", "y"), Symbol("least", "y")  # to physical units
SOFTMAX = "softmax"
OUTPUTS, READ_AXIS, SKIPPED_AXIS = "outputs", "merged", "skipped"  # what the vectors here run over


@dataclass(frozen=True, eq=False)
class Dense:
    """φ(V r + b), at each step alike; φ may be the identity (None), ``softmax`` or a key of `GATED`."""

    weight: Array
    bias: Array
    activation: Activation | str | None = None


@dataclass(frozen=True, eq=False)
class Head:
    """Dense layers one after another, then a skip connection and a scaling, where there are these.

    Attributes
    ----------
    layers : tuple of Dense
    skip : int
        How many of the first features of the input are added to the outputs: as many as there are, or one to each.
    scale, center, least : array (outputs,) or None
        Outputs are scale · y + center, and not less than `least`.
    """

    layers: tuple[Dense, ...]
    skip: int = 0
    scale: Array | None = None
    center: Array | None = None
    least: Array | None = None

    @property
    def num_outputs(self) -> int:
        """How many outputs there are."""
        return len(self.layers[-1].weight)

    @property
    def activations(self) -> list[Activation]:
        """The nonlinearities that work on each number."""
        return [layer.activation for layer in self.layers if isinstance(layer.activation, Activation)]


class _Layer(NamedTuple):
    """The symbols of one layer, and what their vectors run over."""

    weight: Symbol
    bias: Symbol
    sums: Symbol  # the pre-activation
    output: Symbol
    axis: str
    read: Symbol  # what the layer reads
    read_axis: str


def constants(head: Head) -> Mapping[Symbol, Array]:
    """Return the values of a head's weights, biases and scaling, which are the same at every step."""
    values: dict[Symbol, Array] = {}
    for layer, names in zip(head.layers, _layers(head), strict=True):
        values |= {names.weight: layer.weight, names.bias: layer.bias}
    scaling = {SCALE: head.scale, CENTER: head.center, LEAST: head.least}
    return values | {symbol: array for symbol, array in scaling.items() if array is not None}


def head_inputs(head: Head) -> Mapping[Symbol, tuple[tuple[str, ...], str]]:
    """Return the quantities that a head takes, each with its axes and its kind: input, parameter or gradient."""
    inputs: dict[Symbol, tuple[tuple[str, ...], str]] = {READ: ((READ_AXIS,), "input")}
    if head.skip:
        inputs[SKIPPED] = (SKIPPED_AXIS,), "input"
    for names in _layers(head):
        inputs |= {names.weight: ((names.axis, names.read_axis), "parameter"), names.bias: ((names.axis,), "parameter")}
    for symbol in constants(head):
        inputs.setdefault(symbol, ((OUTPUTS,), "parameter"))
    return inputs | {d(OUTPUT): ((OUTPUTS,), "gradient")}


def head_forward(head: Head) -> tuple[Assignment, ...]:
    """Return the equations of a network's head: of its dense layers, skip connection and scaling."""
    lines: list[Assignment] = []
    for layer, names in zip(head.layers, _layers(head), strict=True):
        lines.append(Assignment(names.sums, add(MatMul(names.weight, names.read), names.bias), (names.axis,)))
        put_out: Formula = names.sums
        if isinstance(layer.activation, Activation):
            put_out = apply(layer.activation, names.sums)
        elif layer.activation in GATED:
            put_out = times(names.sums, gated_weight(layer.activation, names.sums))
        elif layer.activation == SOFTMAX:  # the greatest is subtracted so that no exponential overflows
            e = FunctionCall("exp", (add(names.sums, Negative(FunctionCall("greatest", (names.sums,)))),))
            put_out = Quotient(e, FunctionCall("sum", (e,)))
        if names.output != names.sums:
            lines.append(Assignment(names.output, put_out, (names.axis,)))
    if lines[-1].left == OUTPUT:
        return tuple(lines)
    output: Formula = add(lines[-1].left, SKIPPED) if head.skip else lines[-1].left
    if head.scale is not None:
        output = add(times(SCALE, output), CENTER)
    if head.least is not None:
        output = FunctionCall("max", (LEAST, output))
    return (*lines, Assignment(OUTPUT, output, (OUTPUTS,)))


def head_equations(head: Head) -> tuple[Assignment, ...]:
    """Return the equations of a head, forward and backward."""
    return (*head_forward(head), *head_backward(head))


def head_backward(head: Head) -> tuple[Assignment, ...]:
    """Return the equations of the backward pass of a head: `head_forward` differentiated, from the output on."""
    layers = list(zip(head.layers, _layers(head), strict=True))
    lines: list[Assignment] = []
    last, dy = layers[-1][1], d(OUTPUT)
    if last.output != OUTPUT:
        factors: list[Formula] = [dy]
        if head.scale is not None:
            factors.append(SCALE)
        if head.least is not None:
            factors.append(Holds(OUTPUT, ">", LEAST))
        lines.append(Assignment(d(last.output), times(*factors) if factors[1:] else dy, (OUTPUTS,)))
        if head.skip:
            lines.append(Assignment(d(SKIPPED), d(last.output), (OUTPUTS,)))
    for layer, names in reversed(layers):
        arriving = d(names.output)
        da: Formula = arriving
        if isinstance(layer.activation, Activation):
            da = times(arriving, slope(layer.activation, names.output))
        elif layer.activation in GATED:
            da = times(arriving, gated_slope(layer.activation, names.sums))
        elif layer.activation == SOFTMAX:
            da = times(names.output, add(arriving, Negative(FunctionCall("sum", (times(arriving, names.output),)))))
        if names.output != names.sums:
            lines.append(Assignment(d(names.sums), da, (names.axis,)))
        lines += [
            Assignment(d(names.weight), Outer(d(names.sums), names.read), (names.axis, names.read_axis), sums=True),
            Assignment(d(names.bias), d(names.sums), (names.axis,), sums=True),
            Assignment(d(names.read), MatMul(Transpose(names.weight), d(names.sums)), (names.read_axis,)),
        ]
    return tuple(lines)


def _layers(head: Head) -> Iterator[_Layer]:
    read, axis = READ, READ_AXIS
    for number in range(1, len(head.layers)):
        weight, bias, sums, output = (Symbol(base, str(number)) for base in "Vbar")
        yield _Layer(weight, bias, sums, output, f"dense {number}", read, axis)
        read, axis = output, f"dense {number}"
    output = OUTPUT  # which comes after what is added, and scaled
    if head.skip or head.scale is not None or head.least is not None:
        output = A_Y if head.layers[-1].activation is None else U_Y
    yield _Layer(V, B_Y, A_Y, output, OUTPUTS, read, axis)
