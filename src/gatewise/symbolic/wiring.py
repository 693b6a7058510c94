"""How cells are wired: layers and directions, their merging, an embedding before them and a head after them, as data.

A wiring says of an LSTM or a network what a program says of a cell; `wired.WiredRun` computes one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.parameters import Parameters
from gatewise.step import State
from gatewise.symbolic.formula import (
    TWO,
    Call,
    Formula,
    MatMul,
    Negative,
    Outer,
    Part,
    Quotient,
    Stack,
    Symbol,
    Transpose,
    add,
    times,
)
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.symbols import d

FORWARD, BACKWARD = Symbol("h", "forward"), Symbol("h", "backward")  # the outputs of the two directions
MERGED, READ = Symbol("y"), Symbol("r")  # the output of a layer, and what the head reads
V, B_Y, A_Y = Symbol("V"), Symbol("b", "y"), Symbol("a", "y")  # the head's weight, bias and pre-activation
E = Symbol("E")  # the embedding
SOFTMAX = "softmax"
OUTPUTS, MERGED_AXIS, ONE_DIRECTION = "outputs", "merged", "one direction"  # what the vectors here run over


@dataclass(frozen=True, eq=False)
class WiredCell:
    """A cell in its place: its program, its numbers, and its direction in time."""

    program: Program
    parameters: Parameters
    direction: str = "forward"


@dataclass(frozen=True, eq=False)
class Head:
    """y = φ(V r + b), at each step alike; φ may be the identity (None) or ``softmax``."""

    weight: Array
    bias: Array
    activation: Activation | str | None = None


@dataclass(frozen=True, eq=False)
class Wiring:
    """An LSTM, with what may come before and after it.

    Attributes
    ----------
    cells : tuple of tuple of WiredCell
        ``[layer][direction]``.
    merge : tuple of str
        How each layer's directions become one output.
    masked_output : {"zeros", "repeat"}
        The output of a direction at steps that are not valid.
    embedding : array (vocabulary, input) or None
    marked : float or None
        The token, or the value of all features, that marks a step that is not valid.
    initial : tuple of tuple of State, or None
        What every sequence starts from where nothing else is given.
    reads : {"every", "last"}
        Whether the head reads the output of every step or the last hidden states, merged.
    head : Head or None
    """

    cells: tuple[tuple[WiredCell, ...], ...]
    merge: tuple[str, ...] = ("concat",)
    masked_output: str = "zeros"
    embedding: Array | None = None
    marked: float | None = None
    initial: tuple[tuple[State, ...], ...] | None = None
    reads: str = "every"
    head: Head | None = None


def merging(how: str, directions: int) -> tuple[Assignment, ...]:
    """Return the equation of a layer's output in terms of its directions' outputs; none if they are not merged."""
    if directions == 1:
        return (Assignment(MERGED, FORWARD, (MERGED_AXIS,)),)
    both: dict[str, Formula] = {
        "concat": Stack((FORWARD, BACKWARD)),
        "sum": add(FORWARD, BACKWARD),
        "mul": times(FORWARD, BACKWARD),
        "average": Quotient(add(FORWARD, BACKWARD), TWO),
    }
    return (Assignment(MERGED, both[how], (MERGED_AXIS,)),) if how != "none" else ()


def unmerging(how: str, directions: int) -> tuple[Assignment, ...]:
    """Return the equations of the backward pass of `merging`."""
    dy = d(MERGED)
    if directions == 1:
        return (Assignment(d(FORWARD), dy, (ONE_DIRECTION,)),)
    parts: dict[str, tuple[Formula, Formula]] = {
        "concat": (Part(dy, 0, ONE_DIRECTION), Part(dy, ONE_DIRECTION, MERGED_AXIS)),
        "sum": (dy, dy),
        "mul": (times(dy, BACKWARD), times(dy, FORWARD)),
        "average": (Quotient(dy, TWO), Quotient(dy, TWO)),
    }
    if how == "none":
        return ()
    outputs = zip((FORWARD, BACKWARD), parts[how], strict=True)
    return tuple(Assignment(d(output), part, (ONE_DIRECTION,)) for output, part in outputs)


def reading(activation: Activation | str | None) -> tuple[Assignment, ...]:
    """Return the equations of a head."""
    put_out: Formula = A_Y
    if isinstance(activation, Activation):
        put_out = apply(activation, A_Y)
    elif activation == SOFTMAX:  # the greatest is subtracted so that no exponential overflows
        e = Call("exp", (add(A_Y, Negative(Call("greatest", (A_Y,)))),))
        put_out = Quotient(e, Call("sum", (e,)))
    return (
        Assignment(A_Y, add(MatMul(V, READ), B_Y), (OUTPUTS,)),
        Assignment(MERGED, put_out, (OUTPUTS,)),
    )


def unreading(activation: Activation | str | None) -> tuple[Assignment, ...]:
    """Return the equations of the backward pass of `reading`."""
    dy = d(MERGED)
    da: Formula = dy
    if isinstance(activation, Activation):
        da = times(dy, slope(activation, MERGED))
    elif activation == SOFTMAX:
        da = times(MERGED, add(dy, Negative(Call("sum", (times(dy, MERGED),)))))
    return (
        Assignment(d(A_Y), da, (OUTPUTS,)),
        Assignment(d(V), Outer(d(A_Y), READ), (OUTPUTS, MERGED_AXIS), sums=True),
        Assignment(d(B_Y), d(A_Y), (OUTPUTS,), sums=True),
        Assignment(d(READ), MatMul(Transpose(V), d(A_Y)), (MERGED_AXIS,)),
    )
