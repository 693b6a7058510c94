"""Operations on each number by itself: functions of one number, of two, comparisons and choices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gatewise.activations import GATED, KINDS, activate, erf, gated_derivative, sigmoid
from gatewise.network.operations.table import (
    FLAT,
    AnyArray,
    Estimate,
    Gradients,
    add_operation,
    broadcast_numbers,
    operation,
    same_numbers,
    unbroadcast,
)

Function = Callable[[AnyArray], AnyArray]
Slope = Callable[[AnyArray, AnyArray], AnyArray]

# Functions of one number: the function, and its derivative as a function of x and y.
UNARY: dict[str, tuple[Function, Slope]] = {
    "neg": (np.negative, lambda x, y: np.full_like(x, -1)),
    "abs": (np.abs, lambda x, y: np.sign(x)),
    "exp": (np.exp, lambda x, y: y),
    "log": (np.log, lambda x, y: 1 / x),
    "log1p": (np.log1p, lambda x, y: 1 / (1 + x)),
    "expm1": (np.expm1, lambda x, y: y + 1),
    "sqrt": (np.sqrt, lambda x, y: 0.5 / y),
    "reciprocal": (lambda x: 1 / x, lambda x, y: -y * y),
    "sin": (np.sin, lambda x, y: np.cos(x)),
    "cos": (np.cos, lambda x, y: -np.sin(x)),
    "tan": (np.tan, lambda x, y: 1 + y * y),
    "asin": (np.arcsin, lambda x, y: 1 / np.sqrt(1 - x * x)),
    "acos": (np.arccos, lambda x, y: -1 / np.sqrt(1 - x * x)),
    "atan": (np.arctan, lambda x, y: 1 / (1 + x * x)),
    "sinh": (np.sinh, lambda x, y: np.cosh(x)),
    "cosh": (np.cosh, lambda x, y: np.sinh(x)),
    "asinh": (np.arcsinh, lambda x, y: 1 / np.sqrt(x * x + 1)),
    "acosh": (np.arccosh, lambda x, y: 1 / np.sqrt(x * x - 1)),
    "atanh": (np.arctanh, lambda x, y: 1 / (1 - x * x)),
    "erf": (erf, lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
    "sigmoid": (sigmoid, lambda x, y: y * (1 - y)),
    "tanh": (np.tanh, lambda x, y: 1 - y * y),
    "relu": (lambda x: np.maximum(x, 0), lambda x, y: x > 0),
    "softplus": (lambda x: np.logaddexp(0, x).astype(x.dtype), lambda x, y: sigmoid(x)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x, y: 1 / (1 + np.abs(x)) ** 2),
    "identity": (lambda x: x, lambda x, y: np.ones_like(x)),
}
SLOW = {"erf": 300, "gelu": 300}  # steps for each number: a function of Python
AFFINE = {"neg", "identity"}


def _add_unary(name: str, forward: Function, slope: Slope) -> None:
    def vjp(g: AnyArray, y: AnyArray, x: AnyArray) -> Gradients:
        return ((g * slope(x, y)).astype(x.dtype, copy=False),)

    def named(x: AnyArray) -> AnyArray:  # ufuncs have no signature
        return forward(x.astype(np.float32)).astype(x.dtype) if x.dtype == np.float16 else forward(x)

    affine = "first" if name in AFFINE else "none"
    add_operation(name, named, vjp, same_numbers(SLOW.get(name, 20)), time="each", affine=affine)


for _name, (_forward, _slope) in UNARY.items():
    _add_unary(_name, _forward, _slope)
for _name in GATED:
    _add_unary(
        _name,
        lambda x, _name=_name: activate(_name, x),  # type: ignore[misc]
        lambda x, y, _name=_name: gated_derivative(_name, x),  # type: ignore[misc]
    )


# Functions of one number with settings; each gives its derivative beside it.


def _scaled(slope: Callable[..., AnyArray]) -> Callable[..., Gradients]:
    """Return the vjp of a function of one number whose derivative is ``slope(x, y, **settings)``."""

    def vjp(g: AnyArray, y: AnyArray, x: AnyArray, **settings: Any) -> Gradients:
        return ((g * slope(x, y, **settings)).astype(x.dtype, copy=False),)

    return vjp


def _slope_of(name: str) -> Callable[..., AnyArray]:
    """Return the derivative of one of the gates' nonlinearities, as a function of x, y and its settings."""
    return lambda x, y, alpha=0.0, beta=0.0: KINDS[name].derivative(y, alpha, beta)


@operation("leaky_relu", _scaled(lambda x, y, alpha: np.where(x > 0, 1, alpha)), time="each")
def leaky_relu(x: AnyArray, *, alpha: float) -> AnyArray:
    """Return x, and alpha x where x is negative."""
    return np.where(x >= 0, x, x.dtype.type(alpha) * x)


@operation("elu", _scaled(lambda x, y, alpha: np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))), time="each")
def elu(x: AnyArray, *, alpha: float) -> AnyArray:
    """Return x, and alpha (exp(x) - 1) where x is negative."""
    return KINDS["elu"].function(x, alpha, 0.0).astype(x.dtype, copy=False)


@operation("celu", _scaled(lambda x, y, alpha: np.where(x > 0, 1, np.exp(np.minimum(x, 0) / alpha))), time="each")
def celu(x: AnyArray, *, alpha: float) -> AnyArray:
    """Return x, and alpha (exp(x / alpha) - 1) where x is negative."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)).astype(x.dtype, copy=False)


@operation(
    "selu",
    _scaled(lambda x, y, alpha, gamma: np.where(x > 0, gamma, gamma * alpha * np.exp(np.minimum(x, 0)))),
    time="each",
)
def selu(x: AnyArray, *, alpha: float, gamma: float) -> AnyArray:
    """Return gamma x, and gamma alpha (exp(x) - 1) where x is negative."""
    return KINDS["selu"].function(x, alpha, gamma).astype(x.dtype, copy=False)


@operation("hard_sigmoid", _scaled(_slope_of("hard_sigmoid")), time="each")
def hard_sigmoid(x: AnyArray, *, alpha: float, beta: float) -> AnyArray:
    """Return alpha x + beta, between 0 and 1."""
    return KINDS["hard_sigmoid"].function(x, alpha, beta).astype(x.dtype, copy=False)


@operation("scaled_tanh", _scaled(_slope_of("scaled_tanh")), time="each")
def scaled_tanh(x: AnyArray, *, alpha: float, beta: float) -> AnyArray:
    """Return alpha tanh(beta x)."""
    return KINDS["scaled_tanh"].function(x, alpha, beta).astype(x.dtype, copy=False)


@operation("thresholded_relu", _scaled(lambda x, y, alpha: x > alpha), time="each")
def thresholded_relu(x: AnyArray, *, alpha: float) -> AnyArray:
    """Return x where it is greater than alpha, and 0 elsewhere."""
    return np.where(x > alpha, x, x.dtype.type(0))


def _clip_vjp(g: AnyArray, y: AnyArray, x: AnyArray, low: AnyArray | None = None, high: Any = None) -> Gradients:
    over = np.zeros(g.shape, bool) if high is None else (x if low is None else np.maximum(x, low)) > high
    under = np.zeros(g.shape, bool) if low is None else (x < low) & ~over
    return (
        np.where(over | under, 0, g).astype(x.dtype, copy=False),
        None if low is None else unbroadcast(np.where(under, g, 0), low),
        None if high is None else unbroadcast(np.where(over, g, 0), high),
    )


@operation("clip", _clip_vjp, broadcast_numbers(), time="each")
def clip(x: AnyArray, low: AnyArray | None = None, high: AnyArray | None = None) -> AnyArray:
    """Return x, at least `low` and at most `high`."""
    y = x if low is None else np.maximum(x, low)
    return y if high is None else np.minimum(y, high)


@operation("cast", lambda g, y, x, dtype: (g.astype(x.dtype),), time="each", affine="first")
def cast(x: AnyArray, *, dtype: str) -> AnyArray:
    """Return the same numbers in another type."""
    return x.astype(dtype)


@operation("cast_like", lambda g, y, x, like: (g.astype(x.dtype), None), time="each", affine="first")
def cast_like(x: AnyArray, like: AnyArray) -> AnyArray:
    """Return the same numbers in the type of another array."""
    return x.astype(like.dtype)


@operation("affine", _scaled(lambda x, y, alpha, beta: alpha), time="each", affine="first")
def affine(x: AnyArray, *, alpha: float, beta: float) -> AnyArray:
    """Return alpha x + beta, in the type of x."""
    return np.asarray(np.add(x * x.dtype.type(alpha), x.dtype.type(beta), dtype=x.dtype))


@operation("is_inf", FLAT, time="each")
def is_inf(x: AnyArray, *, negative: bool = True, positive: bool = True) -> AnyArray:
    """Say where x is infinite, of the signs that are asked for."""
    return np.asarray((np.isneginf(x) & negative) | (np.isposinf(x) & positive))


# Functions of two numbers: the function, its gradients with respect to both, and in which inputs it is affine.


def _divide(a: AnyArray, b: AnyArray) -> AnyArray:
    """Return a / b; of integers, without the fraction, as C divides."""
    if np.result_type(a, b).kind == "f":
        return np.asarray(np.divide(a, b))
    quotient: AnyArray = a // b
    rest = (a % b != 0) & ((a < 0) != (b < 0))
    return np.asarray(quotient + rest.astype(quotient.dtype))


def _pow_gradients(g: AnyArray, y: AnyArray, a: AnyArray, b: AnyArray) -> tuple[AnyArray, AnyArray]:
    return g * np.where(b == 0, 0, b * np.power(a, b - 1)), g * y * np.log(np.where(a > 0, a, 1))


BINARY: dict[str, tuple[Callable[..., AnyArray], Callable[..., tuple[AnyArray, AnyArray]], str]] = {
    "add": (np.add, lambda g, y, a, b: (g, g), "all"),
    "sub": (np.subtract, lambda g, y, a, b: (g, -g), "all"),
    "mul": (np.multiply, lambda g, y, a, b: (g * b, g * a), "each"),
    "div": (_divide, lambda g, y, a, b: (g / b, -g * y / b), "first"),
    "pow": (lambda a, b: np.power(a, b).astype(a.dtype), _pow_gradients, "none"),
    "maximum": (np.maximum, lambda g, y, a, b: (g * (a >= b), g * (a < b)), "none"),
    "minimum": (np.minimum, lambda g, y, a, b: (g * (a <= b), g * (a > b)), "none"),
    "prelu": (
        lambda x, slope: np.where(x >= 0, x, slope * x),
        lambda g, y, x, slope: (g * np.where(x > 0, 1, slope), g * np.minimum(x, 0)),
        "none",
    ),
}


def _add_binary(name: str, forward: Callable[..., AnyArray], gradients: Callable[..., Any], affine: str) -> None:
    def vjp(g: AnyArray, y: AnyArray, a: AnyArray, b: AnyArray) -> Gradients:
        da, db = gradients(g, y, a, b)
        return unbroadcast(da, a), unbroadcast(db, b)

    def named(a: AnyArray, b: AnyArray) -> AnyArray:
        return forward(a, b)

    add_operation(name, named, vjp, broadcast_numbers(5), time="each", affine=affine)


for _name, (_function, _gradients, _affine) in BINARY.items():
    _add_binary(_name, _function, _gradients, _affine)


def _mod_vjp(g: AnyArray, y: AnyArray, a: AnyArray, b: AnyArray, truncated: bool = False) -> Gradients:
    total = np.trunc(a / b) if truncated else np.floor(a / b)
    return unbroadcast(g * np.ones_like(y), a), unbroadcast(-g * total, b)


@operation("mod", _mod_vjp, broadcast_numbers(10), time="each")
def mod(a: AnyArray, b: AnyArray, *, truncated: bool = False) -> AnyArray:
    """Return the rest of a / b with the sign of b, or of a where the quotient is truncated."""
    return np.fmod(a, b) if truncated else np.mod(a, b)


# What has no gradient, because it is constant almost everywhere.

COMPARISONS: dict[str, Callable[..., AnyArray]] = {
    "equal": np.equal,
    "less": np.less,
    "greater": np.greater,
    "less_equal": np.less_equal,
    "greater_equal": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
}
STEPS: dict[str, Callable[..., AnyArray]] = {
    "not": np.logical_not,
    "bitwise_not": np.bitwise_not,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "is_nan": np.isnan,
}


def _add_flat(name: str, function: Callable[..., AnyArray], *, binary: bool) -> None:
    def of_one(x: AnyArray) -> AnyArray:
        return function(x)

    def of_two(a: AnyArray, b: AnyArray) -> AnyArray:
        return function(a, b)

    add_operation(name, of_two if binary else of_one, FLAT, broadcast_numbers(), time="each")


for _name, _function in COMPARISONS.items():
    _add_flat(_name, _function, binary=True)
for _name, _function in STEPS.items():
    _add_flat(_name, _function, binary=False)


# Choices.


def _where_vjp(g: AnyArray, y: AnyArray, condition: AnyArray, a: AnyArray, b: AnyArray) -> Gradients:
    return None, unbroadcast(np.where(condition, g, 0), a), unbroadcast(np.where(condition, 0, g), b)


@operation("where", _where_vjp, broadcast_numbers(), time="each", affine="all")
def where(condition: AnyArray, a: AnyArray, b: AnyArray) -> AnyArray:
    """Return a where the condition holds, and b elsewhere."""
    return np.where(condition.astype(bool, copy=False), a, b)


def _choose_vjp(g: AnyArray, y: AnyArray, condition: AnyArray, a: Any = None, b: Any = None) -> Gradients:
    return (None, g, None) if condition.all() else (None, None, g)


def _choose_cost(condition: AnyArray, a: Any = None, b: Any = None) -> Estimate:
    return Estimate(0, 1)


@operation("choose", _choose_vjp, _choose_cost)
def choose(condition: AnyArray, a: AnyArray | None = None, b: AnyArray | None = None) -> AnyArray | None:
    """Return one of two values; the other is never computed, and is None here."""
    return a if condition.all() else b
