"""The values of formulas: evaluated for the values of their symbols, or shown with the numbers of one unit.

Own axes come last, leading axes broadcast: a vector of units is (units,) in one step of one sequence, and
(batch, units) or (time, batch, units) where there are more. How many of a value's axes are its own is its *rank*: 0 for
one number, such as a mean over all units, 1 for a vector, 2 for a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import (
    FUNCTIONS,
    OVER_A_VECTOR,
    RELATIONS,
    Formula,
    Number,
    Symbol,
    parts,
    rebuild,
    times,
)


class Env(Protocol):
    """The values of symbols."""

    def __getitem__(self, symbol: Symbol, /) -> Any: ...


Ranks = Mapping[Symbol, int]


def evaluate(formula: Formula, env: Env, ranks: Ranks | None = None) -> Any:
    """Return the value of a formula, given those of its symbols.

    Parameters
    ----------
    formula : Formula
    env : mapping of Symbol to array or number
    ranks : mapping of Symbol to int, optional
        How many axes of each are its own, where there are leading axes; by default all are.
    """
    return _Evaluator(env, ranks).value(formula)


class _Evaluator:
    """Evaluates formulas whose symbols are numbers, vectors and matrices; given their ranks, also with leading axes."""

    def __init__(self, env: Env, ranks: Ranks | None) -> None:
        self.env, self.ranks = env, ranks

    def value(self, formula: Formula) -> Any:
        """Return the value of a formula: an array, or a number."""
        match formula:
            case Symbol():
                return self.env[formula]
            case Number(number):
                return number
            case tree.Sum(terms):
                return sum(self.together(terms))
            case tree.Product(factors):
                product, *others = self.together(factors)
                for factor in others:
                    product = product * factor
                return product
            case tree.Negative(term):
                return -self.value(term)
            case tree.MatMul(left, right):
                return self.product(left, right)
            case tree.Slope(body):
                return self.value(body)
            case tree.Quotient(over, under):
                first, second = self.together((over, under))
                return first / second
            case tree.Power(base, exponent):
                first, second = self.together((base, exponent))
                return first**second
            case tree.FunctionCall(name, (argument,)) if name in OVER_A_VECTOR:
                return OVER_A_VECTOR[name].compute(self.value(argument), axis=-1)
            case tree.FunctionCall(name, arguments, activation):
                function: Callable[..., Any] = activation or FUNCTIONS[name].compute
                return function(*self.together(arguments))
            case tree.Holds(left, relation, right):
                return np.where(RELATIONS[relation].compute(*self.together((left, right))), 1.0, 0.0)
        return self._of_vectors(formula)

    def _of_vectors(self, formula: Formula) -> Any:
        """Return the value of a formula that makes a vector or a matrix: a row, transpose, outer product, slice."""
        match formula:
            case tree.NumberRow(values):
                return np.array(values)
            case tree.Transpose(matrix):
                return np.swapaxes(self.value(matrix), -1, -2)
            case tree.Outer(left, right):
                return self.value(left)[..., :, None] * self.value(right)[..., None, :]
            case tree.Slice(vector, start, stop):
                return self.value(vector)[..., start:stop]
            case tree.Concatenation(parts):
                return self.stacked([self.value(part) for part in parts])
        raise TypeError(f"not a formula: {formula!r}")

    def together(self, formulas: Sequence[Formula]) -> list[Any]:
        """Return the values of formulas, made to broadcast: those of lower rank get axes at their end."""
        values = [self.value(formula) for formula in formulas]
        if self.ranks is None:
            return values
        ranks = [rank(formula, self.ranks) for formula in formulas]
        return [_filled(value, max(ranks) - own) for value, own in zip(values, ranks, strict=True)]

    def stacked(self, values: Sequence[Any]) -> Any:
        """Return vectors concatenated along their last axis, with the leading axes that any of them has."""
        leading = np.broadcast_shapes(*(value.shape[:-1] for value in values))
        return np.concatenate([np.broadcast_to(value, (*leading, value.shape[-1])) for value in values], axis=-1)

    def product(self, left: Formula, right: Formula) -> Any:
        """Return the product of a matrix and vectors; without leading axes also of a vector and a matrix."""
        if self.ranks is None:
            return self.value(left) @ self.value(right)
        return self.value(right) @ self.value(left).mT


def rank(formula: Formula, ranks: Ranks) -> int:
    """Return the rank of a formula, given the ranks of its symbols."""
    if isinstance(formula, Symbol):
        return ranks[formula]
    cached: tuple[Ranks, int] | None = formula.__dict__.get("_rank")  # needed often, for the same symbols
    if cached is None or cached[0] is not ranks:
        cached = formula.__dict__["_rank"] = ranks, _rank(formula, ranks)
    return cached[1]


def _rank(formula: Formula, ranks: Ranks) -> int:
    """Return the number of own axes of a formula's value: 0 of a number, 1 of a vector, 2 of a matrix."""
    match formula:
        case Number():
            return 0
        case tree.MatMul() | tree.Slice() | tree.Concatenation() | tree.NumberRow():
            return 1
        case tree.Transpose() | tree.Outer():
            return 2
        case tree.FunctionCall(name) if name in OVER_A_VECTOR:
            return 0
    return max(rank(part, ranks) for part in parts(formula))


def _filled(value: Any, missing: int) -> Any:
    return value if not missing or not np.ndim(value) else value[(..., *(None,) * missing)]


def substitute(formula: Formula, env: Env, unit: int) -> Formula:
    """Return the formula with the numbers of one unit in place of its symbols.

    A matrix times a vector becomes the sum of the unit's products, a mean the sum of all units over their count, and
    what makes a matrix shows the unit's row.
    """

    def put_numbers(node: Formula) -> Formula | None:
        """Return a formula's node with the numbers of one unit put in; None if they are put into its parts."""
        match node:
            case Symbol():
                value = env[node]
                if np.ndim(value) == 2:
                    return tree.NumberRow(tuple(value[unit]))
                return Number(value if np.ndim(value) == 0 else value[unit])
            case tree.Sum(terms):
                flat: list[Formula] = []
                for term in terms:
                    numeric = substitute(term, env, unit)
                    if isinstance(numeric, tree.Sum) and isinstance(term, tree.MatMul):
                        flat += numeric.terms
                    else:
                        flat.append(numeric)
                return tree.Sum(tuple(flat))
            case tree.MatMul(left, right):
                first, second = evaluate(left, env), evaluate(right, env)
                pairs = zip(*((first[unit], second) if first.ndim == 2 else (first, second[:, unit])), strict=True)
                return tree.Sum(tuple(times(Number(weight), Number(factor)) for weight, factor in pairs))
            case tree.Outer(left, right):
                return times(Number(evaluate(left, env)[unit]), tree.NumberRow(tuple(evaluate(right, env))))
            case tree.Slice(vector, int(start)):
                return Number(env[vector][start + unit])
            case tree.FunctionCall("mean", (argument,)):
                count = np.size(evaluate(argument, env))
                return tree.Quotient(tree.Sum(tuple(substitute(argument, env, k) for k in range(count))), Number(count))
        return None

    return rebuild(formula, put_numbers)
