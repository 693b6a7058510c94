"""Formulas as small trees: written once, then shown in any notation, evaluated, differentiated, or translated."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gatewise.activations import Activation, erf, sigmoid


class Function(NamedTuple):
    """A function of formulas.

    Attributes
    ----------
    compute : callable
        Of arrays; a function over a vector takes `axis` too.
    source : str
        In Python, over NumPy arrays; empty where no source has it.
    operator : str
        In ONNX; empty where no graph has it.
    latex : str
        Empty for its name in upright letters.
    """

    compute: Callable[..., Any]
    source: str = ""
    operator: str = ""
    latex: str = ""


FUNCTIONS = {
    "σ": Function(sigmoid, "sigmoid", "Sigmoid"),
    "tanh": Function(np.tanh, "np.tanh", "Tanh", r"\tanh"),
    "max": Function(np.maximum, "np.maximum", "Max", r"\max"),
    "min": Function(np.minimum, "np.minimum", "Min", r"\min"),
    "exp": Function(np.exp, "np.exp", "Exp"),
    "ln": Function(np.log, "np.log", "Log", r"\ln"),
    "abs": Function(np.abs, "np.abs", "Abs"),
    "erf": Function(erf, "", "Erf", r"\operatorname{erf}"),
    "sqrt": Function(np.sqrt, "np.sqrt", "Sqrt"),
    "clip": Function(np.clip, "np.clip", "Clip"),
    "tan": Function(np.tan),  # which is mistaken for tanh
    "by column": Function(lambda matrix: matrix.reshape(matrix.shape[::-1]).T),  # written by row, read by column
    "by row": Function(lambda matrix: matrix.T.reshape(matrix.shape)),  # and the other way round
}
OVER_A_VECTOR = {
    "mean": Function(np.mean, "np.mean"),
    "sum": Function(np.sum, "np.sum"),
    "greatest": Function(np.max, "np.max"),
}
RELATIONS = {
    ">": Function(np.greater, ">", "Greater", ">"),
    "<": Function(np.less, "<", "Less", "<"),
    "≤": Function(np.less_equal, "<=", "LessOrEqual", r"\le"),
}


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


# What a vector runs over: units, entries of the hidden state, features, entries of the combined input, or the units of
# every gate one after the other.
UNITS, RECURRENT, FEATURES, COLUMNS, ALL_GATES = "units", "recurrent", "features", "columns", "all gates"

X, H_PREV, C_PREV, Z = Symbol("x"), Symbol("h_prev"), Symbol("c_prev"), Symbol("z")
Z_H, Z_X = Symbol("z", "h"), Symbol("z", "x")  # the two parts of the combined input, where they go apart
D_H, D_X = Symbol("mask", "h"), Symbol("mask", "x")  # their dropout masks
K_H, K_C = Symbol("k", "h"), Symbol("k", "c")  # what zoneout keeps
MASKS = {"recurrent": D_H, "input": D_X, "zoneout_cell": K_C, "zoneout_hidden": K_H}  # by `DropoutMasks`' names
I, F, G, O, C, H = (Symbol(letter) for letter in "ifgoch")
C_RAW, C_NEW, C_NORM = Symbol("c_raw"), Symbol("c_new"), Symbol("c_norm")  # before its clip, zoneout; normalised
C_CLIP = Symbol("c_clip")  # clipped for the output alone
OF_EDITS = ("scale", "low", "high", "set")  # of a gate or a state: what edits do to it
COMPUTED = "computed"  # below a gate or a state: as its equation gives it, before an edit
M, R, H_RAW, H_NEW = Symbol("m"), Symbol("R"), Symbol("h_raw"), Symbol("h_new")


def symbol_named(name: str) -> Symbol:
    """Return the symbol of a name with an underscore before what stands below its letter: W_f."""
    base, _, sub = name.partition("_")
    return Symbol(base, sub)


def d(symbol: Symbol) -> Symbol:
    """Return the gradient of the loss with respect to a symbol."""
    return replace(symbol, d=True)


DX, DZ, DH, DH_PREV, DC_PREV = d(X), d(Z), d(H), d(H_PREV), d(C_PREV)
DY = Symbol("y", d=True)  # with respect to the output of a step itself
DH_NEXT, DC_NEXT = Symbol("h_next", d=True), Symbol("c_next", d=True)  # what arrives from the step after
