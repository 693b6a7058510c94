"""Layout shared by the formats of a walkthrough: which equations go together, and the steps of each line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from gatewise.symbolic import formula as tree
from gatewise.symbolic.evaluation import evaluate, substitute
from gatewise.symbolic.formula import (
    ALL_GATES,
    UNITS,
    Concatenation,
    Formula,
    MatMul,
    Number,
    Outer,
    Symbol,
    factors,
    nodes,
    parts,
    rebuild,
    with_parts,
)
from gatewise.symbolic.nonlinearities import textbook
from gatewise.walkthrough.parts import Block, Definition, NumberTable, Section, Walkthrough, Words, WorkedEquation

MAX_UNITS = 6  # worked line by line; beyond that the first ones, and how many more there are
MAX_ROWS = 8  # of one table; beyond that the first ones, the last one, and how many between
MAX_WHOLE_ROWS = 200  # rows of a table that is shown whole, under one line of heads
MAX_CLOSED, MIN_OPEN = 0.1, 0.9  # up to where a gate is nearly closed, and from where it is nearly open


@dataclass(frozen=True)
class Line:
    """An equation with the numbers of one entry in it, and what it gives: a number, or a row of a matrix."""

    equation: WorkedEquation
    entry: int
    right: Formula
    value: Any


@dataclass(frozen=True)
class Entry:
    """The lines of one unit, or of another entry; `head` is its name, or None for a number of all units."""

    head: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Rest:
    """How many entries are not shown; units can be expanded one by one."""

    count: int
    over: str = UNITS

    def __str__(self) -> str:
        hint = " (--unit K, or unit=K, expands one)" if self.over == UNITS else ""
        return f"… and {self.count} more{hint}"


class Equations(tuple[WorkedEquation, ...]):
    """Equations of a section that follow each other."""


class Definitions(tuple[Definition, ...]):
    """Definitions of a section that follow each other."""


GROUPS: Mapping[type, type[Equations | Definitions]] = {WorkedEquation: Equations, Definition: Definitions}
BlockGroup = Block | Equations | Definitions


def numbered(sections: Iterable[Section]) -> Iterator[tuple[int, Section, bool]]:
    """Yield the sections of a walkthrough, each with its place, counted anew in every step, and whether a step begins
    with it (or what comes after them all).
    """
    time, place = None, 0
    for section in sections:
        begins = section.time != time
        time, place = section.time, 1 if begins else place + 1
        yield place, section, begins


def grouped(blocks: Sequence[Block]) -> Iterator[BlockGroup]:
    """Yield the blocks of a walkthrough's section, equations that follow each other together, and so definitions."""
    for kind, neighbours in groupby(blocks, type):
        if kind in GROUPS:
            yield GROUPS[kind](neighbours)  # type: ignore[arg-type]
        else:
            yield from neighbours


def worked(group: Sequence[WorkedEquation], walk: Walkthrough, most: int | None = MAX_UNITS) -> Iterator[Entry | Rest]:
    """Yield a walkthrough's equations with numbers in them, in the order in which they follow from each other:
    unit by unit up to a number of all units, that number, unit by unit again.
    """
    with_numbers = [equation for equation in group if equation.worked]
    for (is_vector, over), neighbours in groupby(
        with_numbers, lambda equation: (np.ndim(equation.value) > 0, equation.over)
    ):
        equations = list(neighbours)
        if not is_vector:
            yield from (Entry(None, (_line(equation, 0),)) for equation in equations)
            continue
        names = walk.names[over]
        entries = walk.units if over == UNITS and walk.units is not None else range(len(names))
        for k in entries[:most]:
            yield Entry(names[k], tuple(_line(equation, k) for equation in equations))
        if most is not None and len(entries) > most:
            yield Rest(len(entries) - most, over)


def _line(equation: WorkedEquation, k: int) -> Line:
    value = equation.value if np.ndim(equation.value) == 0 else equation.value[k]
    return Line(equation, k, substitute(equation.right, equation.env, k), value)


def shapes(equation: WorkedEquation, rows: bool) -> str:
    """Return the shapes of an equation as text: "(2, 3) · (3, 1) → (2, 1)" of a matrix product and its value."""
    result = shape(equation.value, rows)
    if isinstance(equation.right, Concatenation):
        parts = [shape(equation.env[part], rows) for part in equation.env if np.ndim(equation.env[part])]
        return f"{', '.join(parts)} → {result}"
    product = next((node for node in nodes(equation.right) if isinstance(node, (MatMul, Outer))), None)
    if product is None:
        return f"→ {result}" if np.ndim(equation.value) else "→ one number"
    left, right = (evaluate(side, equation.env) for side in (product.left, product.right))
    if isinstance(product, Outer):
        return f"({len(left)}, 1) · (1, {len(right)}) → {result}"
    return f"{shape(left, rows)} · {shape(right, rows)} → {result}"


def shape(value: Any, rows: bool) -> str:
    """Return a shape; a vector is a column, or where vectors are rows, a row."""
    sizes = np.shape(value)
    return str(sizes if len(sizes) != 1 else (1, *sizes) if rows else (*sizes, 1))


def write_words(words: Words, symbol: Callable[[Symbol], str], plain: Callable[[str], str] = str) -> str:
    """Return text, its symbols written by one function and what is between them by another."""
    parts = words if isinstance(words, tuple) else (words,)
    return "".join(plain(part) if isinstance(part, str) else symbol(part) for part in parts)


class TableRows(NamedTuple):
    """Rows of a table that are shown, and how many are not, which lie before the last of these."""

    rows: Sequence[tuple[Words, Sequence[Any]]]
    left_out: int = 0


def pieces(table: NumberTable) -> Iterator[TableRows]:
    """Yield the rows of a walkthrough's table that are shown; of a long one, as many at a time as share a layout."""
    if table.whole and len(table.rows) > MAX_WHOLE_ROWS:
        for start in range(0, len(table.rows), MAX_WHOLE_ROWS):
            yield TableRows(tuple(table.rows[start : start + MAX_WHOLE_ROWS]))
    else:
        yield rows(table)


def rows(table: NumberTable) -> TableRows:
    """Return the rows of a table that a format shows, and how many it leaves out before the last one."""
    omitted = 0 if table.whole else max(len(table.rows) - MAX_ROWS, 0)
    visible = [*table.rows[: MAX_ROWS - 1], table.rows[-1]] if omitted else list(table.rows)
    return TableRows(visible, omitted + table.left_out)


def shares(values: Sequence[Any]) -> list[float | None]:
    """Return the share of each term of a sum in the sum of absolute values; None where that is not finite."""
    total = sum(abs(value) for value in values)
    parts = (abs(value) / total if total else 0.0 for value in values)
    return [part if np.isfinite(part) else None for part in parts]


@dataclass(frozen=True)
class Computation:
    """A formula of numbers, and what it gives."""

    formula: Formula
    value: Any


@dataclass(frozen=True)
class UnfoldedTerm:
    """A term of a sum: its name or its symbols, what is computed before it, and its formula and value."""

    name: str | Formula
    before: tuple[Computation | UnfoldedTerms, ...]
    computation: Computation


@dataclass(frozen=True)
class UnfoldedTerms:
    """All terms of a sum, or the entries of a row, which have no total."""

    terms: tuple[UnfoldedTerm, ...]
    total: Any = None


def unfolded(line: Line, names: Mapping[str, tuple[str, ...]]) -> list[Computation | UnfoldedTerms]:
    """Return the steps by which an equation's line with numbers is computed, in their order."""
    equation, right = line.equation, line.right
    if np.ndim(line.value):
        across = names[equation.across]
        return [UnfoldedTerms(tuple(_unfold_term(name, _entry(right, k)) for k, name in enumerate(across)))]
    if isinstance(right, tree.Sum):
        return [_unfold_terms(right.terms, _term_names(equation), line.value)]
    steps: list[Computation | UnfoldedTerms] = list(_factor_steps(equation.right, right))
    simple = _simplify(right, steps, names)
    if isinstance(simple, (Number, tree.NumberRow)):
        return steps
    if isinstance(simple, tree.FunctionCall) and (definition := _definition_steps(simple, line.value)):
        return [*steps, *definition]
    return [*steps, Computation(simple, line.value)]


def _factor_steps(symbols: Formula, numbers: Formula) -> Iterator[Computation]:
    if isinstance(symbols, tree.Product) and isinstance(numbers, tree.Product):
        for symbol, factor in zip(factors(symbols), factors(numbers), strict=True):
            if isinstance(factor, Number) and not isinstance(symbol, Number):
                yield Computation(symbol, factor.value)


def _entry(node: Formula, k: int) -> Formula:
    """Return a formula of rows for one of their entries."""
    return rebuild(node, lambda node: Number(node.values[k]) if isinstance(node, tree.NumberRow) else None)


def _unfold_term(name: str | Formula, node: Formula) -> UnfoldedTerm:
    """Return a term of a worked sum as a rendered walkthrough unfolds it: with the steps that compute it."""
    before: list[Computation | UnfoldedTerms] = []
    simple = _simplify(node, before, {})
    return UnfoldedTerm(name, tuple(before), Computation(simple, _value(node)))


def _unfold_terms(terms: Sequence[Formula], names: Sequence[str | Formula], total: Any) -> UnfoldedTerms:
    every = [*names, *[""] * (len(terms) - len(names))]
    return UnfoldedTerms(tuple(map(_unfold_term, every, terms)), total)


def _simplify(node: Formula, steps: list[Computation | UnfoldedTerms], names: Mapping[str, tuple[str, ...]]) -> Formula:
    """Return a formula whose parts are numbers; the steps that gave those are appended to `steps`, to be shown."""
    match node:
        case Number() | tree.NumberRow():
            return node
        case tree.Slope(body):
            return _simplify(body, steps, names)
        case tree.Negative(term):
            return tree.Negative(_simplify(term, steps, names))
        case tree.Product():
            return tree.Product(tuple(_as_number(factor, steps, names) for factor in factors(node)))
    return with_parts(node, [_as_number(part, steps, names) for part in parts(node)])


def _as_number(
    node: Formula, steps: list[Computation | UnfoldedTerms], names: Mapping[str, tuple[str, ...]]
) -> Formula:
    """Return a formula of numbers as one number; the steps that gave it are appended to `steps`, to be shown."""
    if isinstance(node, tree.Negative) and isinstance(inner := _as_number(node.term, steps, names), Number):
        return Number(-inner.value)
    value = _value(node)
    if isinstance(node, tree.Sum) and len(node.terms) > 2:  # a mean, before it is divided
        over = [names[axis] for axis in (UNITS, ALL_GATES) if len(names.get(axis, ())) == len(node.terms)]
        steps.append(_unfold_terms(node.terms, over[0] if over else (), value))
        return Number(value)
    simple = _simplify(node, steps, names)
    if isinstance(simple, (Number, tree.NumberRow)):
        return simple
    steps.append(Computation(simple, value))
    return Number(value)


def _value(node: Formula) -> Any:
    """Return the value of a formula of numbers: a number, or the entries of a row."""
    return np.asarray(evaluate(node, {}))[()]


def _definition_steps(call: tree.FunctionCall, value: Any) -> list[Computation | UnfoldedTerms]:
    """Return a nonlinearity's formula unfolded into rendered steps, or none if they do not end in its value."""
    if call.activation is None:
        return []
    (argument,), a = call.arguments, Symbol("a")
    steps: list[Computation | UnfoldedTerms] = []
    formula = rebuild(textbook(call.activation), lambda node: argument if node == a else None)
    last = _simplify(formula, steps, {})
    close = np.isclose(evaluate(formula, {}), value, rtol=1e-6, atol=1e-12)
    return [*dict.fromkeys(steps), Computation(last, value)] if close and not isinstance(last, Number) else []


def _term_names(equation: WorkedEquation) -> list[str | Formula]:
    """Return the name of each term of an equation with numbers in it: products with a matrix have names, others their
    symbols.
    """
    products, names = iter(equation.products), list[str | Formula]()
    for term in equation.right.terms if isinstance(equation.right, tree.Sum) else (equation.right,):
        if isinstance(term, tree.MatMul):
            sides = (evaluate(side, equation.env) for side in (term.left, term.right))
            size = min((side for side in sides), key=np.ndim).size
            names += [next(products, "") for _ in range(size)]
        else:
            names.append(term.term if isinstance(term, tree.Negative) else term)
    return names
