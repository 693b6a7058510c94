"""What formulas are worth: evaluated for numbers that symbols stand for, or shown with the numbers of one unit.

Own axes come last, leading axes broadcast: a vector of units is (units,) in one step of one sequence, and
(batch, units) or (time, batch, units) where there are more. How many of a value's axes are its own is its *rank*: 0 for
one number, such as a mean over all units, 1 for a vector, 2 for a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.activations import sigmoid
from gatewise.symbolic.formula import (
    Call,
    Formula,
    Holds,
    MatMul,
    Negative,
    Number,
    Outer,
    Part,
    Power,
    Product,
    Quotient,
    Row,
    Slope,
    Stack,
    Sum,
    Symbol,
    Transpose,
)

Env = Mapping[Symbol, Any]
Ranks = Mapping[Symbol, int]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "σ": sigmoid,
    "tanh": np.tanh,
    "max": np.maximum,
    "min": np.minimum,
    "exp": np.exp,
    "ln": np.log,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "clip": np.clip,
}
OVER_A_VECTOR: dict[str, Callable[..., Any]] = {"mean": np.mean, "sum": np.sum, "greatest": np.max}
RELATIONS: dict[str, Callable[..., Any]] = {">": np.greater, "<": np.less, "≤": np.less_equal}


def evaluate(formula: Formula, env: Env, ranks: Ranks | None = None) -> Any:
    """Return what a formula is, given what its symbols stand for.

    Parameters
    ----------
    formula : Formula
    env : mapping of Symbol to array or number
    ranks : mapping of Symbol to int, optional
        How many axes of each are its own, where there are leading axes; by default all are.
    """
    return Evaluator(env, ranks).value(formula)


class Evaluator:
    """Evaluates formulas in one environment."""

    def __init__(self, env: Env, ranks: Ranks | None = None) -> None:
        self.env, self.ranks = env, ranks

    def value(self, formula: Formula) -> Any:
        """Return what a formula is."""
        return self._ranked(formula)[0]

    def _ranked(self, formula: Formula) -> tuple[Any, int]:
        """Return what a formula is, and its rank."""
        match formula:
            case Symbol():
                value = self.env[formula]
                return value, np.ndim(value) if self.ranks is None else self.ranks[formula]
            case Number(number):
                return number, 0
            case Row(values):
                return np.array(values), 1
            case Sum(terms):
                found, rank = self._together(terms)
                return sum(found), rank
            case Negative(term):
                value, rank = self._ranked(term)
                return -value, rank
            case Product(factors):
                found, rank = self._together(factors)
                product = found[0]
                for factor in found[1:]:
                    product = product * factor
                return product, rank
            case Slope(body):
                return self._ranked(body)
            case Quotient(over, under):
                (first, second), rank = self._together((over, under))
                return first / second, rank
            case Power(base, exponent):
                (first, second), rank = self._together((base, exponent))
                return first**second, rank
            case Holds(left, relation, right):
                (first, second), rank = self._together((left, right))
                return np.where(RELATIONS[relation](first, second), 1.0, 0.0), rank
            case Call(name, (argument,)) if name in OVER_A_VECTOR:
                return OVER_A_VECTOR[name](self.value(argument), axis=-1), 0
            case Call(name, arguments, activation):
                found, rank = self._together(arguments)
                function: Callable[..., Any] = activation or FUNCTIONS[name]
                return function(*found), rank
            case _:
                return self._of_matrices(formula)

    def _of_matrices(self, formula: Formula) -> tuple[Any, int]:
        match formula:
            case MatMul(left, right):
                (first, rank), (second, other) = self._ranked(left), self._ranked(right)
                if rank == 2 and np.ndim(second) > other:  # a matrix times vectors with leading axes
                    return second @ first.mT, 1
                return first @ second, rank + other - 2
            case Transpose(matrix):
                return np.swapaxes(self.value(matrix), -1, -2), 2
            case Outer(left, right):
                return self.value(left)[..., :, None] * self.value(right)[..., None, :], 2
            case Part(vector, start, stop):
                return self.value(vector)[..., start:stop], 1
            case Stack(parts):
                return np.concatenate([self.value(part) for part in parts], axis=-1), 1
            case _:
                raise TypeError(f"not a formula: {formula!r}")

    def _together(self, formulas: Sequence[Formula]) -> tuple[list[Any], int]:
        """Return what formulas are, so that one broadcasts against another: fewer own axes are filled up."""
        found = [self._ranked(formula) for formula in formulas]
        rank = max(own for _, own in found)
        return [_filled(value, rank - own) for value, own in found], rank


def _filled(value: Any, missing: int) -> Any:
    return value if not missing or not np.ndim(value) else value[(..., *(None,) * missing)]


def substitute(formula: Formula, env: Env, unit: int) -> Formula:
    """Return the formula with the numbers of one unit in place of its symbols.

    A matrix times a vector becomes the sum of the unit's products, a mean the sum of all units over their count, and
    what makes a matrix shows the unit's row.
    """
    match formula:
        case Symbol():
            value = env[formula]
            if np.ndim(value) == 2:
                return Row(tuple(value[unit]))
            return Number(value if np.ndim(value) == 0 else value[unit])
        case Number() | Row():
            return formula
        case Sum(terms):
            flat: list[Formula] = []
            for term in terms:
                done = substitute(term, env, unit)
                flat += done.terms if isinstance(done, Sum) and isinstance(term, MatMul) else (done,)
            return Sum(tuple(flat))
        case Negative(term):
            return Negative(substitute(term, env, unit))
        case Product(factors):
            return Product(tuple(substitute(factor, env, unit) for factor in factors))
        case MatMul(left, right):
            first, second = evaluate(left, env), evaluate(right, env)
            pairs = (
                zip(first[unit], second, strict=True) if first.ndim == 2 else zip(first, second[:, unit], strict=True)
            )
            return Sum(tuple(Product((Number(one), Number(other))) for one, other in pairs))
        case Outer(left, right):
            return Product((Number(evaluate(left, env)[unit]), Row(tuple(evaluate(right, env)))))
        case Part(vector, int(start)):
            return Number(env[vector][start + unit])
        case Slope(body):
            return Slope(substitute(body, env, unit))
        case Quotient(over, under):
            return Quotient(substitute(over, env, unit), substitute(under, env, unit))
        case Power(base, exponent):
            return Power(substitute(base, env, unit), substitute(exponent, env, unit))
        case Call("mean", (argument,)):
            count = np.size(evaluate(argument, env))
            terms = tuple(substitute(argument, env, k) for k in range(count))
            return Quotient(Sum(terms), Number(count))
        case Call(name, arguments, activation):
            return Call(name, tuple(substitute(argument, env, unit) for argument in arguments), activation)
        case Holds(left, relation, right):
            return Holds(substitute(left, env, unit), relation, substitute(right, env, unit))
        case _:
            raise TypeError(f"no numbers go into {formula!r}")
