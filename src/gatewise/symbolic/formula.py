"""Formulas as small trees: written once, then shown in any notation, evaluated, differentiated, or translated.

A formula is made of symbols and constants. It holds no data: whoever evaluates it says what its symbols are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gatewise.activations import Activation


@dataclass(frozen=True)
class Formula:
    """The base of all nodes. Each keeps its hash and its parts, which are needed often.

    `kind` is what documents of programs and walkthroughs call a class of nodes.
    """

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, kind: str = "") -> None:
        cls.kind = kind or cls.__name__.lower()
        cls.__hash__ = Formula.__hash__  # type: ignore[method-assign]  # or dataclass would write one for each

    def __hash__(self) -> int:
        try:
            cached: int = self._hash  # type: ignore[attr-defined]
        except AttributeError:
            cached = self.__dict__["_hash"] = hash((type(self), *(getattr(self, name) for name in _fields(self))))
        return cached

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in _fields(self))  # a hash is of one process alone


@dataclass(frozen=True)
class Symbol(Formula):
    """A named quantity, like W_f; `d`: the gradient of the loss with respect to it; `time`: at which step."""

    base: str
    sub: str = ""
    d: bool = False
    time: int | None = None


@dataclass(frozen=True)
class Number(Formula):
    """A number: a constant of an equation, or one put in a symbol's place."""

    value: float


@dataclass(frozen=True)
class NumberRow(Formula, kind="row"):
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

    matrix: Formula


@dataclass(frozen=True)
class Outer(Formula):
    """Each entry of one vector times each of another: a column times a row; `rows` says that vectors are rows."""

    left: Formula
    right: Formula
    rows: bool = False


@dataclass(frozen=True)
class Slice(Formula, kind="part"):
    """The entries of a vector from `start` on, before `stop`; in a program those are the names of sizes."""

    vector: Symbol
    start: int | str
    stop: int | str


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
class FunctionCall(Formula, kind="call"):
    """A function of formulas: a key of `functions.FUNCTIONS` or `OVER_A_VECTOR`, or an activation of gatewise."""

    name: str
    arguments: tuple[Formula, ...]
    activation: Activation | None = None


@dataclass(frozen=True)
class Holds(Formula):
    """1 where a relation of two formulas, a key of `functions.RELATIONS`, holds, else 0."""

    left: Formula
    relation: str
    right: Formula


@dataclass(frozen=True)
class Slope(Formula):
    """The derivative of a nonlinearity, as a formula of its output."""

    body: Formula


@dataclass(frozen=True)
class Concatenation(Formula, kind="stack"):
    """Vectors, one below the other: [h; x]; `mark` is written between them."""

    parts: tuple[Formula, ...]
    mark: str = ";"


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


def factors(product: Product) -> tuple[Formula, ...]:
    """Return the factors of a product; of one among them that is a derivative and a product, its own factors."""
    flat: list[Formula] = []
    for factor in product.factors:
        body = factor.body if isinstance(factor, Slope) else factor
        flat += factors(body) if isinstance(body, Product) else (body,)
    return tuple(flat)


def _fields(formula: Formula) -> tuple[str, ...]:
    return formula.__match_args__


def parts(formula: Formula) -> tuple[Formula, ...]:
    """Return the direct parts of a formula's tree, from the left; kept in it."""
    cached: tuple[Formula, ...] | None = formula.__dict__.get("_parts")
    if cached is None:
        formulas: list[Formula] = []
        for name in _fields(formula):
            value: Any = getattr(formula, name)
            if isinstance(value, Formula):
                formulas.append(value)
            elif isinstance(value, tuple):
                formulas += (entry for entry in value if isinstance(entry, Formula))
        cached = formula.__dict__["_parts"] = tuple(formulas)
    return cached


def nodes(formula: Formula) -> tuple[Formula, ...]:
    """Return all nodes of a formula's tree, itself first, from the left; kept in it."""
    cached: tuple[Formula, ...] | None = formula.__dict__.get("_nodes")
    if cached is None:
        formulas = [formula]
        for part in parts(formula):
            formulas += nodes(part)
        cached = formula.__dict__["_nodes"] = tuple(formulas)
    return cached


def with_parts(formula: Formula, new_parts: Iterable[Formula]) -> Formula:
    """Return a formula with other direct parts in the place of its own, as many as it has."""
    following, fields = iter(new_parts), dict[str, Any]()
    for name in _fields(formula):
        value: Any = getattr(formula, name)
        if isinstance(value, Formula):
            fields[name] = next(following)
        elif isinstance(value, tuple):
            fields[name] = tuple(next(following) if isinstance(entry, Formula) else entry for entry in value)
    return replace(formula, **fields)


def rebuild(formula: Formula, change: Callable[[Formula], Formula | None]) -> Formula:
    """Return a formula whose nodes are replaced by what `change` returns for them, unless None, from the outside in.

    What is not changed is not copied.
    """
    if (other := change(formula)) is not None:
        return other
    before = parts(formula)
    after = [rebuild(part, change) for part in before]
    return formula if all(map(operator.is_, before, after)) else with_parts(formula, after)


def symbols(formula: Formula) -> tuple[Symbol, ...]:
    """Return the symbols of a formula, each once, from the left."""
    if isinstance(formula, Symbol):
        return (formula,)
    cached: tuple[Symbol, ...] | None = formula.__dict__.get("_symbols")
    if cached is None:
        distinct: dict[Symbol, None] = {}
        for part in parts(formula):
            distinct.update(dict.fromkeys(symbols(part)))
        cached = formula.__dict__["_symbols"] = tuple(distinct)
    return cached
