"""First-order propagation of errors: the tolerance of a formula from the tolerances of its symbols."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from gatewise.arrays import Array
from gatewise.symbolic import formula as tree
from gatewise.symbolic.evaluation import Ranks, evaluate, rank
from gatewise.symbolic.formula import Formula, Number, Symbol, rebuild, symbols
from gatewise.symbolic.functions import OVER_A_VECTOR

ROUNDING, LEAST_ROUNDED = 1e-9, 1e-3  # the relative error of a rounded double, and the least size it is relative to
# Single precision rounds each number by at most 2^-24 of it; a computed number is off by a few times that.
SINGLE = 4 * 2.0**-24
SINGLE_SHARE, LEAST_SINGLE = 8 * SINGLE, 1e-2  # of a whole computation; where terms cancel, of a number of this size
_BY_ENTRY = (Symbol, Number, tree.Sum, tree.Negative, tree.Product, tree.Quotient, tree.Power, tree.Slope)


def rounding(values: Array) -> Array:
    """Return the tolerance of numbers for the rounding of doubles, on any CPU."""
    tolerance: Array = ROUNDING * (np.abs(values) + LEAST_ROUNDED)
    return tolerance


def single_precision_error(values: Array) -> Array:
    """Return the tolerance of hand-checked numbers that were computed in single precision throughout."""
    tolerance: Array = SINGLE_SHARE * np.maximum(np.nan_to_num(np.abs(values)), LEAST_SINGLE)
    return tolerance


def propagate(
    formula: Formula, env: Mapping[Symbol, Array], tolerances: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array]:
    """Return the value and tolerance of a hand-worked formula, by first-order error propagation.

    In entrywise parts each symbol is moved by its tolerance, and the differences are added. In products with matrices
    and the like the magnitudes of the terms of each entry are added. Every number may also be rounded to single
    precision. The tolerance of an exact symbol is None.
    """
    env, tolerances, ranks = dict(env), dict(tolerances), {symbol: ranks[symbol] for symbol in env}

    def replace_by_symbol(node: Formula) -> Formula | None:
        """Replace a part of a hand-worked formula whose entries mix by a symbol with its value and tolerance."""
        if isinstance(node, _BY_ENTRY) or (isinstance(node, tree.FunctionCall) and node.name not in OVER_A_VECTOR):
            return None
        placeholder = Symbol("held", str(len(env)))
        ranks[placeholder] = rank(node, ranks)
        env[placeholder], tolerances[placeholder] = _propagate_jointly(node, env, tolerances, ranks)
        return placeholder

    entrywise = rebuild(formula, replace_by_symbol)
    value = np.asarray(evaluate(entrywise, env, ranks), dtype=np.float64)
    total = np.zeros_like(value)
    for symbol in symbols(entrywise):
        single_error, tolerance = SINGLE * np.abs(env[symbol]), tolerances[symbol]
        shifted = env[symbol] + (single_error if tolerance is None else tolerance + single_error)
        total = total + np.abs(evaluate(entrywise, {**env, symbol: shifted}, ranks) - value)
    return value, total


def _propagate_jointly(
    node: Formula, env: Mapping[Symbol, Array], tolerances: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array | None]:
    """Return the value and the error tolerance of a part whose entries mix: a matrix product, a slice, a mean."""
    spread = partial(propagate, env=env, tolerances=tolerances, ranks=ranks)
    match node:
        case tree.MatMul(left, right):
            matrix, (value, tolerance) = evaluate(left, env, ranks), spread(right)
            return value @ matrix.mT, (tolerance + SINGLE * np.abs(value)) @ np.abs(matrix).mT
        case tree.Outer(left, right):
            (left_value, left_error), (right_value, right_error) = spread(left), spread(right)
            left_value, left_error = left_value[..., None], left_error[..., None]
            right_value, right_error = right_value[..., None, :], right_error[..., None, :]
            return left_value * right_value, np.abs(left_value) * right_error + left_error * np.abs(right_value)
        case tree.Slice(vector, int(start), int(stop)):
            vector_tolerance = tolerances[vector]
            return env[vector][..., start:stop], None if vector_tolerance is None else vector_tolerance[..., start:stop]
        case tree.Concatenation(parts):
            values, errors = zip(*map(spread, parts), strict=True)
            return np.concatenate(values, axis=-1), np.concatenate(errors, axis=-1)
        case tree.FunctionCall(name, (argument,)):
            value, tolerance = spread(argument)
            total = np.mean(tolerance, axis=-1) if name == "mean" else np.sum(tolerance, axis=-1)
            return OVER_A_VECTOR[name].compute(value, axis=-1), total
        case tree.Holds(left, _, right):  # the side of a kink: either where rounding may bring the number over
            (left_value, left_error), (right_value, right_error) = spread(left), spread(right)
            within = left_error + right_error + rounding(left_value) + rounding(right_value)
            may_change = np.abs(left_value - right_value) <= within
            return evaluate(node, env, ranks), np.where(may_change, 1.0, 0.0)
    return evaluate(node, env, ranks), None  # constants
