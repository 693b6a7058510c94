"""The mistakes that people make, each as a formula in place of the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from gatewise.activations import SIGMOID, TANH
from gatewise.gates import LETTERS, NAMES
from gatewise.symbolic.formula import (
    Call,
    Formula,
    MatMul,
    Part,
    Product,
    Slope,
    Stack,
    Sum,
    Symbol,
    Transpose,
    add,
    nodes,
    rebuild,
)
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.symbols import C_PREV, DZ, H_PREV, C, F, G, H, I, Z
from gatewise.walkthrough.parts import Equation

Changed = tuple[Formula, Mapping[Symbol, Any]]  # a formula, and what its new symbols stand for


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes
    ----------
    name : str
        The class of mistakes that it belongs to.
    says : str
        What was done, in words; ``{}`` stands for the quantity.
    change : callable
        Returns the formula that replaces an equation's right side, or None where the mistake cannot be made.
    """

    name: str
    says: str
    change: Callable[[Equation], Changed | None]

    def __call__(self, equation: Equation) -> Changed | None:
        """Return the formula of the mistake, or None where it cannot be made or changes nothing."""
        changed = self.change(equation)
        return None if changed is None or changed[0] == equation.right else changed


def mistakes(size: int) -> Iterator[Mistake]:
    """Go through all known mistakes, the likeliest first; `size` entries of the combined input are h, before x."""
    yield Mistake("order of [h; x]", "{} uses [x; h] instead of [h; x]", lambda e: _reversed(e, size))
    yield Mistake("missing bias", "the bias is missing from {}", lambda e: _bias(e, 0))
    yield Mistake("doubled bias", "the bias is added twice in {}", lambda e: _bias(e, 2))
    yield Mistake("forget and input exchanged", "the forget gate and the input gate are swapped in {}", _exchanged)
    for one, other in combinations(LETTERS, 2):
        names = [NAMES[LETTERS.index(k)].replace("_", " ") for k in (one, other)]
        yield Mistake(
            "two gates swapped",
            f"the {names[0]} and the {names[1]} are swapped in {{}}",
            lambda e, one=one, other=other: _swapped(e, one, other),  # type: ignore[misc]
        )
    yield Mistake("sigmoid for tanh", "{} uses a sigmoid instead of tanh", lambda e: _other(e, TANH, SIGMOID))
    yield Mistake("tanh for sigmoid", "{} uses tanh instead of a sigmoid", lambda e: _other(e, SIGMOID, TANH))
    yield Mistake("no tanh on the cell", "the tanh of the cell state is missing from {}", _bare_cell)
    yield Mistake("no nonlinearity", "the nonlinearity is missing from {}", _bare_gate)
    for sides in ("recurrent", "input", "both"):
        which = {"recurrent": "recurrent weights", "input": "input's weights", "both": "weights"}[sides]
        yield Mistake(
            "transposed weights",
            f"the {which} are transposed in {{}}",
            lambda e, sides=sides: _transposed(e, sides, size),  # type: ignore[misc]
        )
    for inverse in (False, True):
        yield Mistake(
            "transposed weights",
            "the weights of {} are read column by column, as if transposed",
            lambda e, inverse=inverse: _read_by_column(e, inverse),  # type: ignore[misc]
        )
    yield Mistake("h from the old cell", "{} comes from the old cell state", _from_old_cell)
    yield Mistake("old cell for the new", "{} uses the old cell state instead of the new one", _old_for_new)
    yield Mistake("old cell for the new", "{} is the old cell state, not the new one", _not_updated)
    yield Mistake("new cell for the old", "{} uses the new cell state instead of the old one", _new_for_old)
    yield Mistake("hidden for cell", "{} uses the old hidden state instead of the old cell state", _hidden_for_cell)
    yield Mistake("forgotten derivative", "the derivative of the nonlinearity is missing from {}", _no_slope)
    yield Mistake(
        "derivative of the other nonlinearity", "{} uses the derivative of a sigmoid instead of tanh", _sigmoid_slope
    )
    yield Mistake(
        "derivative of the other nonlinearity", "{} uses the derivative of tanh instead of a sigmoid", _tanh_slope
    )
    yield Mistake("derivative of the sum", "{} has the pre-activation in the derivative, not the gate", _slope_of_sum)
    yield Mistake("derivative twice", "the derivative of the nonlinearity is applied twice in {}", _slope_twice)
    yield Mistake("missing output gate", "the output gate is missing from {}", _no_output_gate)
    yield Mistake("sum over the steps missing", "{} is that of the last step only", lambda e: _one_step(e, 0))
    yield Mistake("sum over the steps missing", "{} is that of the first step only", lambda e: _one_step(e, -1))


def _replaced(equation: Equation, old: Symbol, new: Formula) -> Changed:
    return rebuild(equation.right, lambda node: new if node == old else None), {}


def _reversed(equation: Equation, size: int) -> Changed | None:
    """[x; h] for [h; x]: in the combined input, where it is used, or in the parts of its gradient."""

    def change(node: Formula) -> Formula | None:
        match node:
            case Stack((h, x)) if equation.left == Z:
                return Stack((x, h))
            case Symbol() if node == Z:
                columns = len(equation.env[Z])
                return Stack((Part(Z, size, columns), Part(Z, 0, size)))
            case Part(vector, int(start), int(stop)) if vector == DZ:
                columns = len(equation.env[DZ])
                return Part(DZ, 0, stop - start) if start else Part(DZ, columns - stop, columns)
        return None

    return rebuild(equation.right, change), {}


def _bias(equation: Equation, times: int) -> Changed | None:
    if not isinstance(equation.right, Sum):
        return None
    terms: list[Formula] = []
    for term in equation.right.terms:
        terms += [term] * times if isinstance(term, Symbol) and term.base == "b" and not term.d else [term]
    return (add(*terms), {}) if terms else None


def _exchanged(equation: Equation) -> Changed | None:
    return _swapped(equation, "i", "f", everywhere=True) if _makes_cell(equation) else None


def _makes_cell(equation: Equation) -> bool:
    return equation.left.base in ("c", "c_raw", "c_new") and not equation.left.d and G in equation.env


def _swapped(equation: Equation, one: str, other: str, everywhere: bool = False) -> Changed | None:
    """Swap the symbols of two gates; i and f in the cell state are a mistake of their own."""
    if _makes_cell(equation) and {one, other} == {"i", "f"} and not everywhere:
        return None
    letters = {one: other, other: one}

    def change(node: Formula) -> Formula | None:
        if not isinstance(node, Symbol):
            return None
        if node.base in letters and not node.sub:
            return Symbol(letters[node.base], "", node.d, node.time)
        side, sub = ("", node.sub) if node.sub[:1] not in ("u", "w") else (node.sub[0], node.sub[1:])
        gate, comma, rest = sub.partition(",")
        if gate in letters:
            return Symbol(node.base, side + letters[gate] + comma + rest, node.d, node.time)
        return None

    return rebuild(equation.right, change), {}


def _other(equation: Equation, right: Any, wrong: Any) -> Changed | None:
    def change(node: Formula) -> Formula | None:
        return apply(wrong, node.arguments[0]) if isinstance(node, Call) and node.activation == right else None

    return rebuild(equation.right, change), {}


def _bare_cell(equation: Equation) -> Changed | None:
    if equation.left not in (H, Symbol("m"), Symbol("o", d=True)):
        return None
    return _bare(equation)


def _bare_gate(equation: Equation) -> Changed | None:
    return _bare(equation) if equation.left in (I, F, G, Symbol("o")) else None


def _bare(equation: Equation) -> Changed:
    def change(node: Formula) -> Formula | None:
        return node.arguments[0] if isinstance(node, Call) and node.activation is not None else None

    return rebuild(equation.right, change), {}


def _transposed(equation: Equation, sides: str, size: int) -> Changed | None:
    """Transpose a square part of the weights."""
    new: dict[Symbol, Any] = {}

    def change(node: Formula) -> Formula | None:
        if not isinstance(node, (MatMul, Transpose)):
            return None
        matrix = node.matrix if isinstance(node, Transpose) else node.left
        if not isinstance(matrix, Symbol) or matrix not in equation.env:
            return None
        turned = _turned(np.asarray(equation.env[matrix]), matrix, sides, size)
        if turned is None:
            return None
        other = Symbol(f"{matrix.base}, turned", matrix.sub)
        new[other] = turned
        return Transpose(other) if isinstance(node, Transpose) else MatMul(other, node.right)

    changed = rebuild(equation.right, change)
    return (changed, new) if new else None


def _turned(array: Any, matrix: Symbol, sides: str, size: int) -> Any:
    """Return weights with a square part of them transposed, or None where that part is not square."""
    rows, columns = array.shape
    if rows == 1:
        return None
    if matrix.base != "W":  # U, or R
        return array.T if rows == columns and sides == "recurrent" else None
    h, x = array[:, :size], array[:, size:]
    if (sides != "input" and h.shape[1] != rows) or (sides != "recurrent" and x.shape[1] != rows):
        return None
    return np.concatenate([h.T if sides != "input" else h, x.T if sides != "recurrent" else x], axis=1)


def _read_by_column(equation: Equation, inverse: bool) -> Changed | None:
    """The numbers of a matrix in another order: filled, or read, column by column."""
    new: dict[Symbol, Any] = {}

    def change(node: Formula) -> Formula | None:
        if not isinstance(node, MatMul) or not isinstance(node.left, Symbol) or node.left not in equation.env:
            return None
        array = np.asarray(equation.env[node.left])
        if 1 in array.shape:
            return None
        turned = array.T.reshape(array.shape) if inverse else array.reshape(array.shape[::-1]).T
        other = Symbol(f"{node.left.base}, by column", node.left.sub)
        new[other] = turned
        return MatMul(other, node.right)

    changed = rebuild(equation.right, change)
    return (changed, new) if new else None


def _from_old_cell(equation: Equation) -> Changed | None:
    if equation.left not in (H, Symbol("m"), Symbol("h_raw")):
        return None
    return _replaced(equation, C, C_PREV)


def _old_for_new(equation: Equation) -> Changed | None:
    return None if equation.left in (H, Symbol("m")) else _replaced(equation, C, C_PREV)


def _not_updated(equation: Equation) -> Changed | None:
    return (C_PREV, {}) if _makes_cell(equation) else None


def _new_for_old(equation: Equation) -> Changed | None:
    return None if _makes_cell(equation) else _replaced(equation, C_PREV, C)


def _hidden_for_cell(equation: Equation) -> Changed | None:
    if C_PREV not in equation.env or not _makes_cell(equation):
        return None
    return _replaced(equation, C_PREV, H_PREV)


def _no_slope(equation: Equation) -> Changed | None:
    def change(node: Formula) -> Formula | None:
        if isinstance(node, Product):
            kept = tuple(factor for factor in node.factors if not isinstance(factor, Slope))
            if 0 < len(kept) < len(node.factors):
                return Product(kept) if len(kept) > 1 else kept[0]
        return None

    return rebuild(equation.right, change), {}


def _sigmoid_slope(equation: Equation) -> Changed | None:
    return _other_slope(equation, TANH, SIGMOID)


def _tanh_slope(equation: Equation) -> Changed | None:
    return _other_slope(equation, SIGMOID, TANH)


def _other_slope(equation: Equation, right: Any, wrong: Any) -> Changed | None:
    outputs = [node for node in nodes(equation.right) if isinstance(node, (Symbol, Call))]

    def change(node: Formula) -> Formula | None:
        if isinstance(node, Slope):
            for y in outputs:
                if node == slope(right, y):
                    return slope(wrong, y)
        return None

    return rebuild(equation.right, change), {}


def _slope_of_sum(equation: Equation) -> Changed | None:
    """The derivative as a function of the output, with the pre-activation in its place."""
    left = equation.left
    if left.base != "a" or not left.d or left.sub not in LETTERS:
        return None

    def change(node: Formula) -> Formula | None:
        if isinstance(node, Slope):
            return rebuild(node, lambda one: Symbol("a", left.sub) if one == Symbol(left.sub) else None)
        return None

    return rebuild(equation.right, change), {}


def _slope_twice(equation: Equation) -> Changed | None:
    return rebuild(equation.right, lambda node: Product((node, node)) if isinstance(node, Slope) else None), {}


def _no_output_gate(equation: Equation) -> Changed | None:
    def change(node: Formula) -> Formula | None:
        if isinstance(node, Product) and Symbol("o") in node.factors and len(node.factors) > 1:
            kept = tuple(factor for factor in node.factors if factor != Symbol("o"))
            return Product(kept) if len(kept) > 1 else kept[0]
        return None

    return (rebuild(equation.right, change), {}) if equation.left.sub != "o" else None


def _one_step(equation: Equation, which: int) -> Changed | None:
    """One term of a sum over all steps, of which the last step comes first."""
    if not isinstance(equation.right, Sum) or equation.left.time is not None:
        return None
    terms = equation.right.terms
    if not all(isinstance(term, Symbol) and term.time is not None for term in terms):
        return None
    return terms[which], {}
