"""Formulas as small trees: written once, then shown in any notation, evaluated, and shown with numbers in their place.

A walkthrough holds each equation as a tree of symbols and what every symbol stands for. `evaluate` computes it,
`substitute` puts the numbers of one unit into it; both read the same tree, so what is shown is what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.activations import Activation, sigmoid


@dataclass(frozen=True)
class Formula:
    """The base of all nodes."""


@dataclass(frozen=True)
class Symbol(Formula):
    """A named quantity, like W_f or h_prev; with `d`, the derivative of the loss by it; `time`, at which step."""

    base: str
    sub: str = ""
    d: bool = False
    time: int | None = None


@dataclass(frozen=True)
class Number(Formula):
    """A number: a constant of an equation, or one put in a symbol's place."""

    value: float


@dataclass(frozen=True)
class Row(Formula):
    """Numbers side by side: a row of a matrix, put in a symbol's place."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Sum(Formula):
    """The sum of its terms."""

    terms: tuple[Formula, ...]


@dataclass(frozen=True)
class Negative(Formula):
    """Minus its term."""

    term: Formula


@dataclass(frozen=True)
class Product(Formula):
    """The product of its factors, element by element."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True)
class MatMul(Formula):
    """A matrix times a vector, or a vector times a matrix."""

    left: Formula
    right: Formula


@dataclass(frozen=True)
class Transpose(Formula):
    """A matrix whose rows are the columns of another."""

    matrix: Symbol


@dataclass(frozen=True)
class Outer(Formula):
    """Each entry of one vector times each of another: a column times a row; `rows` says that vectors are rows."""

    left: Formula
    right: Formula
    rows: bool = False


@dataclass(frozen=True)
class Part(Formula):
    """The entries of a vector from `start` on, before `stop`."""

    vector: Symbol
    start: int
    stop: int


@dataclass(frozen=True)
class Quotient(Formula):
    """One formula over another."""

    over: Formula
    under: Formula


@dataclass(frozen=True)
class Power(Formula):
    """One formula to the power of another."""

    base: Formula
    exponent: Formula


@dataclass(frozen=True)
class Call(Formula):
    """A function of formulas: a key of `FUNCTIONS`, or an activation of gatewise."""

    name: str
    arguments: tuple[Formula, ...]
    activation: Activation | None = None


@dataclass(frozen=True)
class Holds(Formula):
    """1 where a relation of two formulas, a key of `RELATIONS`, holds, else 0."""

    left: Formula
    relation: str
    right: Formula


@dataclass(frozen=True)
class Slope(Formula):
    """The derivative of a nonlinearity, as a formula of its output."""

    body: Formula


@dataclass(frozen=True)
class Stack(Formula):
    """Vectors, one below the other: [h; x]; what stands between them."""

    parts: tuple[Formula, ...]
    mark: str = ";"


Env = Mapping[Symbol, Any]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "σ": sigmoid,
    "tanh": np.tanh,
    "max": np.maximum,
    "min": np.minimum,
    "exp": np.exp,
    "ln": np.log,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "mean": np.mean,
    "clip": np.clip,
}

RELATIONS: dict[str, Callable[..., Any]] = {">": np.greater, "<": np.less, "≤": np.less_equal}


def evaluate(formula: Formula, env: Env) -> Any:
    """Return what a formula is, given what its symbols stand for."""
    match formula:
        case Symbol():
            return env[formula]
        case Number(value):
            return value
        case Row(values):
            return np.array(values)
        case Sum(terms):
            return sum(evaluate(term, env) for term in terms)
        case Negative(term):
            return -evaluate(term, env)
        case Product(factors):
            product = evaluate(factors[0], env)
            for factor in factors[1:]:
                product = product * evaluate(factor, env)
            return product
        case MatMul(left, right):
            return evaluate(left, env) @ evaluate(right, env)
        case Transpose(matrix):
            return env[matrix].T
        case Outer(left, right):
            return np.outer(evaluate(left, env), evaluate(right, env))
        case Part(vector, start, stop):
            return env[vector][start:stop]
        case Slope(body):
            return evaluate(body, env)
        case Quotient(over, under):
            return evaluate(over, env) / evaluate(under, env)
        case Power(base, exponent):
            return evaluate(base, env) ** evaluate(exponent, env)
        case Call(name, arguments, activation):
            function = activation or FUNCTIONS[name]
            return function(*(evaluate(argument, env) for argument in arguments))
        case Holds(left, relation, right):
            return np.where(RELATIONS[relation](evaluate(left, env), evaluate(right, env)), 1.0, 0.0)
        case Stack(parts):
            return np.concatenate([evaluate(part, env) for part in parts])
        case _:
            raise TypeError(f"not a formula: {formula!r}")


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
        case Part(vector, start):
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


# Shorthands in which the equations are written.


def add(*terms: Formula) -> Formula:
    """Return the sum of terms; one term is left as it is."""
    return terms[0] if len(terms) == 1 else Sum(terms)


def times(*factors: Formula) -> Product:
    """Return the product of factors."""
    return Product(factors)


def less(first: Formula, second: Formula) -> Sum:
    """Return first - second."""
    return Sum((first, Negative(second)))


ONE, TWO, ZERO = Number(1), Number(2), Number(0)
_A = Symbol("a")
_E, _E_MINUS = Call("exp", (_A,)), Call("exp", (Negative(_A),))
NAMES = {"sigmoid": "σ"}


def definition(activation: Activation) -> Formula:
    """Return an activation's formula in the symbol a, with its constants in it."""
    alpha, beta = Number(activation.alpha or 0.0), Number(activation.beta or 0.0)
    positive, negative = Call("max", (ZERO, _A)), Call("min", (ZERO, _A))
    elu = add(positive, times(alpha, Call("min", (ZERO, less(_E, ONE)))))
    return {
        "sigmoid": Quotient(ONE, add(ONE, _E_MINUS)),
        "tanh": Quotient(less(_E, _E_MINUS), add(_E, _E_MINUS)),
        "hard_sigmoid": Call("max", (ZERO, Call("min", (ONE, add(times(alpha, _A), beta))))),
        "relu": positive,
        "leaky_relu": add(positive, times(alpha, negative)),
        "thresholded_relu": times(_A, Holds(_A, ">", alpha)),
        "affine": add(times(alpha, _A), beta),
        "scaled_tanh": times(alpha, Call("tanh", (times(beta, _A),))),
        "elu": elu,
        "selu": times(beta, elu),
        "softsign": Quotient(_A, add(ONE, Call("abs", (_A,)))),
        "softplus": Call("ln", (add(ONE, _E),)),
        "exponential": _E,
    }[activation.name]


def slope(activation: Activation, y: Formula) -> Slope:
    """Return an activation's derivative as a formula of its output y, as `Activation.derivative` has it."""
    alpha, beta = Number(activation.alpha or 0.0), Number(activation.beta or 0.0)
    positive, flat = Holds(y, ">", ZERO), Holds(y, "≤", ZERO)
    bodies: dict[str, Callable[[], Formula]] = {
        "sigmoid": lambda: times(y, less(ONE, y)),
        "tanh": lambda: less(ONE, Power(y, TWO)),
        "hard_sigmoid": lambda: times(alpha, positive, Holds(y, "<", ONE)),
        "relu": lambda: positive,
        "leaky_relu": lambda: add(positive, times(alpha, flat)),
        "thresholded_relu": lambda: positive,
        "affine": lambda: alpha,
        "scaled_tanh": lambda: times(beta, less(alpha, Quotient(Power(y, TWO), alpha))),
        "elu": lambda: add(positive, times(add(y, alpha), flat)),
        "selu": lambda: add(times(beta, positive), times(add(y, times(alpha, beta)), flat)),
        "softsign": lambda: Power(less(ONE, Call("abs", (y,))), TWO),
        "softplus": lambda: less(ONE, Call("exp", (Negative(y),))),
        "exponential": lambda: y,
    }
    return Slope(bodies[activation.name]())


def factors(product: Product) -> tuple[Formula, ...]:
    """Return the factors of a product, with those of a derivative that is itself a product among them."""
    flat: list[Formula] = []
    for factor in product.factors:
        body = factor.body if isinstance(factor, Slope) else factor
        flat += factors(body) if isinstance(body, Product) else (body,)
    return tuple(flat)


def nodes(formula: Formula) -> Iterator[Formula]:
    """Go through a formula and all that it is made of, from the left."""
    yield formula
    for value in vars(formula).values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Formula):
                yield from nodes(one)


def rebuild(formula: Formula, change: Callable[[Formula], Formula | None]) -> Formula:
    """Return a formula in which each part that `change` has another for is that other, from the outside in."""
    if (other := change(formula)) is not None:
        return other
    parts: dict[str, Any] = {}
    for name, value in vars(formula).items():
        if isinstance(value, Formula):
            parts[name] = rebuild(value, change)
        elif isinstance(value, tuple):
            parts[name] = tuple(rebuild(one, change) if isinstance(one, Formula) else one for one in value)
    return replace(formula, **parts) if parts else formula


def apply(activation: Activation, argument: Formula) -> Call:
    """Return the call of an activation."""
    return Call(NAMES.get(activation.name, activation.name), (argument,), activation)
