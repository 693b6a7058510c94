"""Layout shared by the formats of a walkthrough: which equations go together, and what of them is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from gatewise.symbolic.evaluation import evaluate, substitute
from gatewise.symbolic.formula import Concatenation, Formula, MatMul, Outer, Symbol, nodes
from gatewise.symbolic.symbols import UNITS
from gatewise.walkthrough.parts import Block, Definition, NumberTable, Section, Walkthrough, Words, WorkedEquation

MOST_UNITS = 6  # worked line by line; beyond that the first ones, and how many more there are
MOST_ROWS = 8  # of one table; beyond that the first ones, the last one, and how many between
MOST_TOGETHER = 200  # rows of a table that is shown whole, under one line of heads
CLOSED, OPEN = 0.1, 0.9  # up to where a gate is nearly closed, and from where it is nearly open


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


def worked(group: Sequence[WorkedEquation], walk: Walkthrough, most: int | None = MOST_UNITS) -> Iterator[Entry | Rest]:
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
    if table.whole and len(table.rows) > MOST_TOGETHER:
        for start in range(0, len(table.rows), MOST_TOGETHER):
            yield TableRows(tuple(table.rows[start : start + MOST_TOGETHER]))
    else:
        yield rows(table)


def rows(table: NumberTable) -> TableRows:
    """Return the rows of a table that a format shows, and how many it leaves out before the last one."""
    omitted = 0 if table.whole else max(len(table.rows) - MOST_ROWS, 0)
    visible = [*table.rows[: MOST_ROWS - 1], table.rows[-1]] if omitted else list(table.rows)
    return TableRows(visible, omitted + table.left_out)


def shares(values: Sequence[Any]) -> list[float | None]:
    """Return the share of each term of a sum in the sum of absolute values; None where that is not finite."""
    total = sum(abs(value) for value in values)
    parts = (abs(value) / total if total else 0.0 for value in values)
    return [part if np.isfinite(part) else None for part in parts]
