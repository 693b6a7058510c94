"""How far off a formula's value may be, to first order, when its symbols may be off by their tolerances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gatewise.arrays import Array
from gatewise.symbolic.evaluation import OVER_A_VECTOR, Ranks, evaluate, rank
from gatewise.symbolic.formula import (
    Concatenation,
    Formula,
    FunctionCall,
    Holds,
    MatMul,
    Negative,
    Number,
    Outer,
    Power,
    Product,
    Quotient,
    Slice,
    Slope,
    Sum,
    Symbol,
    rebuild,
    symbols,
)

# Single precision rounds each number by 2^-24 of it at most; what is computed of some, by a few times that.
SINGLE = 4 * 2.0**-24
SINGLE_SHARE, LEAST_SINGLE = 8 * SINGLE, 1e-2  # of a whole computation; where terms cancel, of a number of this size
_BY_ENTRY = (Symbol, Number, Sum, Negative, Product, Quotient, Power, Slope)


def single(values: Array) -> Array:
    """Return the tolerance of numbers that were computed in single precision from beginning to end."""
    tolerance: Array = SINGLE_SHARE * np.maximum(np.nan_to_num(np.abs(values)), LEAST_SINGLE)
    return tolerance


def spread(
    formula: Formula, env: Mapping[Symbol, Array], tolerances: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array]:
    """Return a formula's value, and how far off it may be.

    What is computed entry by entry is moved by one symbol after the other, and the differences are added; products with
    matrices and the like add the magnitudes of what goes into each entry. Every number may have been rounded to single
    precision besides.

    Parameters
    ----------
    formula : Formula
    env : mapping of Symbol to array
    tolerances : mapping of Symbol to array or None
        None where a symbol is exact.
    ranks : mapping of Symbol to int
        How many axes of each are its own: see `gatewise.symbolic.evaluation.evaluate`.
    """
    env, off, ranks = dict(env), dict(tolerances), {symbol: ranks[symbol] for symbol in env}

    def hold(node: Formula) -> Formula | None:
        """Put a symbol in the place of what is not computed entry by entry."""
        if isinstance(node, _BY_ENTRY) or (isinstance(node, FunctionCall) and node.name not in OVER_A_VECTOR):
            return None
        held = Symbol("held", str(len(env)))
        ranks[held] = rank(node, ranks)
        env[held], off[held] = _vector(node, env, off, ranks)
        return held

    held = rebuild(formula, hold)
    value = np.asarray(evaluate(held, env, ranks), dtype=np.float64)
    total = np.zeros_like(value)
    for symbol in symbols(held):
        moved = env[symbol] + _off(symbol, env, off)
        total = total + np.abs(evaluate(held, {**env, symbol: moved}, ranks) - value)
    return value, total


def _off(symbol: Symbol, env: Mapping[Symbol, Array], off: Mapping[Symbol, Array | None]) -> Array:
    """Return how far off a symbol may be, with the rounding of single precision."""
    single, tolerance = SINGLE * np.abs(env[symbol]), off[symbol]
    return single if tolerance is None else tolerance + single


def _vector(
    node: Formula, env: Mapping[Symbol, Array], off: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array | None]:
    """Return the value of what is not computed entry by entry, and how far off it may be."""
    match node:
        case MatMul(left, right):
            matrix = evaluate(left, env, ranks)
            value, tolerance = spread(right, env, off, ranks)
            return value @ matrix.mT, (tolerance + SINGLE * np.abs(value)) @ np.abs(matrix).mT
        case Outer(left, right):
            (one, one_off), (other, other_off) = (spread(side, env, off, ranks) for side in (left, right))
            one, one_off, other, other_off = (
                one[..., None],
                one_off[..., None],
                other[..., None, :],
                other_off[..., None, :],
            )
            return one * other, np.abs(one) * other_off + one_off * np.abs(other)
        case Slice(vector, int(start), int(stop)):
            cut = off[vector]
            return env[vector][..., start:stop], None if cut is None else cut[..., start:stop]
        case Concatenation(parts):
            pairs = [spread(part, env, off, ranks) for part in parts]
            values, tolerances = (np.concatenate([pair[n] for pair in pairs], axis=-1) for n in (0, 1))
            return values, tolerances
        case FunctionCall(name, (argument,)):
            value, tolerance = spread(argument, env, off, ranks)
            total = np.mean(tolerance, axis=-1) if name == "mean" else np.sum(tolerance, axis=-1)
            return OVER_A_VECTOR[name](value, axis=-1), total
        case Holds(left, _, right):  # on which side of a kink a number is: on either where rounding may bring it over
            (one, one_off), (other, other_off) = (spread(side, env, off, ranks) for side in (left, right))
            return evaluate(node, env, ranks), np.where(np.abs(one - other) <= one_off + other_off, 1.0, 0.0)
    return evaluate(node, env, ranks), None  # constants
