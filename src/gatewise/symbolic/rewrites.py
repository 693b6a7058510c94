"""Programs rewritten: the same quantities in other equations, as other sources write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial

from gatewise.symbolic.formula import (
    Formula,
    MatMul,
    Outer,
    Product,
    Slice,
    Sum,
    Symbol,
    Transpose,
    add,
    rebuild,
    times,
)
from gatewise.symbolic.forward import apart, vectors
from gatewise.symbolic.program import MASK, Assignment, Carry, Form, Program, ProgramInput
from gatewise.symbolic.symbols import (
    COLUMNS,
    DH,
    DH_NEXT,
    DY,
    DZ,
    FEATURES,
    RECURRENT,
    UNITS,
    Z_H,
    Z_X,
    Z,
    d,
)


def with_h_and_x_apart(program: Program) -> Program:
    """Return a program in which h and x each have a matrix of their own, U and W, and there is no combined input."""
    form = replace(program.form, split=True)
    if form.haste:  # they are apart already
        return replace(program, form=form)
    gradients = _apart(program, form)
    return Program(
        form,
        tuple(line for quantity in program.given for line in _given_apart(quantity)),
        (*apart(form), *(_line_apart(line, form) for line in program.forward if line.left != Z)),
        tuple(part for line in program.backward for part in _lines_back(line, form, gradients)),
        program.carry,
        program.carry_backward,
    )


def _line_apart(line: Assignment, form: Form) -> Assignment:
    """Return an equation of a program with W x + U h in the place of W [h; x]."""
    h, x = vectors(form)

    def split_product(term: Formula) -> tuple[Formula, ...]:
        """Return the product of weights and z as the products of W and x, U and h; any other term as it is."""
        match term:
            case MatMul(left, right) if right == Z:
                return MatMul(_matrix_of(left, "W"), x), MatMul(_matrix_of(left, "U"), h)
        return (term,)

    match line.right:
        case Sum(terms_of_z):
            return replace(line, right=add(*(part for term in terms_of_z for part in split_product(term))))
        case MatMul(right=vector) if vector == Z:
            return replace(line, right=add(*split_product(line.right)))
    return line


def _apart(program: Program, form: Form) -> dict[Symbol, Assignment]:
    """Return the equations of the gradients of h and of x, as the weights pass them on, in the place of that of z."""
    gradient_of_z = program.assignments[DZ].right
    gradients = {}
    for left, base, axis in ((d(Z_H), "U", form.hidden), (d(Z_X), "W", FEATURES)):
        side = rebuild(gradient_of_z, partial(_side, base=base))
        gradients[left] = Assignment(left, side, (axis,))
    return gradients


def _lines_back(line: Assignment, form: Form, gradients: dict[Symbol, Assignment]) -> Iterator[Assignment]:
    """Yield the equations that replace one of the backward pass where h and x have matrices of their own."""
    h, x = vectors(form)
    # Under dropout, the gradients of h and x have names of their own.
    named = {d(Z_H): "recurrent" in form.dropout, d(Z_X): "input" in form.dropout}

    def gradient_of_slice(node: Formula) -> Formula | None:
        """Return the gradient of h or of x for a part of the gradient of z; None keeps the node."""
        match node:
            case Slice(vector, start) if vector == DZ:
                left = d(Z_H) if start == 0 else d(Z_X)
                return left if named[left] else gradients[left].right
        return None

    match line:
        case Assignment(left, Outer(arrived, vector) | Product((Outer(arrived, vector), *_))) if vector == Z:
            dropped = line.right.factors[1:] if isinstance(line.right, Product) else ()
            of_h: Formula = Outer(arrived, h)
            yield replace(line, right=Outer(arrived, x), axes=(UNITS, FEATURES))
            right = times(of_h, *dropped) if dropped else of_h
            yield replace(line, left=replace(left, base="U"), right=right, axes=(UNITS, RECURRENT))
        case Assignment(left) if left == DZ:
            yield from (gradient for name, gradient in gradients.items() if named[name])
        case _:
            yield replace(line, right=rebuild(line.right, gradient_of_slice))


def _matrix_of(left: Formula, base: str) -> Formula:
    """Return the part of the weights that meets x (W) or h (U); DropConnect is of those that meet h."""
    match left:
        case Product((Symbol() as weights, mask)):
            return times(replace(weights, base=base), mask) if base == "U" else replace(weights, base=base)
        case Symbol():
            return replace(left, base=base)
    raise TypeError(f"no weights: {left!r}")


def _side(node: Formula, base: str) -> Formula | None:
    return Transpose(_matrix_of(node.matrix, base)) if isinstance(node, Transpose) else None


def _given_apart(quantity: ProgramInput) -> Iterator[ProgramInput]:
    """Yield a program's input with, for weights of z, those of x (W) and of h (U) in their place."""
    if quantity.axes != (UNITS, COLUMNS):
        yield quantity
        return
    if quantity.kind != MASK:
        yield replace(quantity, axes=(UNITS, FEATURES))
        yield replace(quantity, symbol=replace(quantity.symbol, base="U"), axes=(UNITS, RECURRENT))
    else:
        yield replace(quantity, axes=(UNITS, RECURRENT))


def with_z_inlined(program: Program) -> Program:
    """Return a program whose gates write the combined input out."""
    form = replace(program.form, inline=True)
    if form.haste or form.split:  # there is none
        return replace(program, form=form)
    z = program.assignments[Z].right

    def write_out_z(node: Formula) -> Formula | None:
        return MatMul(node.left, z) if isinstance(node, MatMul) and node.right == Z else None

    return replace(program, form=form, forward=_changed(program.forward, write_out_z))


def with_two_biases(program: Program) -> Program:
    """Return a program in which the parts of x and of h each have a bias: b beside W x and b2 beside U h."""

    def add_second_bias(node: Formula) -> Formula | None:
        """Return the sum of a gate with a second bias behind the products with h; None keeps any other node."""
        if not isinstance(node, Sum):
            return None
        match node.terms:
            case (MatMul() as x, MatMul() as h, *rest, Symbol("b") as bias):
                return Sum((x, bias, h, _second(bias), *rest))
            case (*rest, Symbol("b") as bias):
                return Sum((*rest, bias, _second(bias)))
        return None

    return replace(
        program,
        form=replace(program.form, two_biases=True),
        given=tuple(
            version
            for entry in program.given
            for version in dict.fromkeys((entry, replace(entry, symbol=_second(entry.symbol))))
        ),
        forward=_changed(program.forward, add_second_bias),
        backward=tuple(
            version
            for entry in program.backward
            for version in dict.fromkeys((entry, replace(entry, left=_second(entry.left))))
        ),
    )


def _second(symbol: Symbol) -> Symbol:
    """Return the second bias of a bias; any other symbol as it is."""
    return replace(symbol, base="b2") if symbol.base == "b" else symbol


REWRITES: Mapping[str, Callable[[Program], Program]] = {  # by the switches of a form that ask for them, in this order
    "split": with_h_and_x_apart,
    "inline": with_z_inlined,
    "two_biases": with_two_biases,
}


@lru_cache(256)
def of_last_states(program: Program) -> Program:
    """Return a program for a loss that depends on the last states alone: all that arrives at h is carried to it."""
    return replace(
        program,
        given=tuple(
            replace(entry, symbol=DH) if entry.symbol == DH_NEXT else entry
            for entry in program.given
            if entry.symbol != DY
        ),
        backward=tuple(entry for entry in program.backward if entry.left != DH),
        carry_backward=tuple(
            Carry(DH, entry.source) if entry.into == DH_NEXT else entry for entry in program.carry_backward
        ),
    )


@lru_cache(256)
def with_weights_as_they_act(program: Program) -> Program:
    """Return a program whose weights are those that DropConnect leaves; their gradients are as they were."""

    def drop_mask(node: Formula) -> Formula | None:
        """Return the weights of a product of weights and their DropConnect mask; None keeps any other node."""
        match node:
            case Product((Symbol("W" | "U") as weights, Symbol("D"))):
                return weights
        return None

    return replace(
        program, forward=_changed(program.forward, drop_mask), backward=_changed(program.backward, drop_mask)
    )


@lru_cache(256)
def sized(program: Program, recurrent: int, columns: int) -> Program:
    """Return a program for a cell of these sizes: its slices of vectors begin and end at numbers."""
    return with_ends(program, {RECURRENT: recurrent, COLUMNS: columns})


def with_ends(program: Program, ends: Mapping[int | str, int]) -> Program:
    """Return a program whose slices of vectors begin and end at other places, by name or number."""
    return replace(program, backward=_changed(program.backward, partial(at_ends, ends=ends)))


def at_ends(node: Formula, ends: Mapping[int | str, int]) -> Formula | None:
    """Return a slice of a vector that begins and ends at other places, or None for another node: for `rebuild`."""
    if not isinstance(node, Slice):
        return None
    return Slice(node.vector, *(ends.get(end, end) for end in (node.start, node.stop)))


def _changed(assignments: Iterable[Assignment], change: Callable[[Formula], Formula | None]) -> tuple[Assignment, ...]:
    return tuple(replace(line, right=rebuild(line.right, change)) for line in assignments)
