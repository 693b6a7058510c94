"""What a sheet holds: answers by name, put together from what its lines hold, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.grading import layouts
from gatewise.grading.layouts import Piece
from gatewise.grading.numerals import MOST, Marks, Nested, flat, listed
from gatewise.render.text import clean


@dataclass(frozen=True, eq=False)
class Answer:
    """The numbers written for one quantity.

    Attributes
    ----------
    values : array
        NaN where nothing is written.
    tolerance : array
        Half of the last digit written of each number.
    place : str
        Where they are: ``line 3``, or the quantity's name.
    """

    values: Array
    tolerance: Array
    place: str

    @property
    def blank(self) -> bool:
        """Whether nothing is written."""
        return bool(np.isnan(self.values).all())


@dataclass(frozen=True)
class Fault:
    """What on a sheet could not be read; it costs that line alone.

    Attributes
    ----------
    place : str
        Where it is: ``line 3``, or empty where there are no lines.
    name : str
        The quantity that it is about, as it was written; empty where that is unknown.
    says : str
        What is wrong, without a full stop.
    """

    place: str
    name: str
    says: str

    def __str__(self) -> str:
        name = "" if quoted(self.name) in self.says else short(self.name)  # told once
        return ": ".join(part for part in (self.place, name, self.says) if part)


@dataclass(frozen=True, eq=False)
class Sheet:
    """The content of a file: answers by name, and whatever else it holds.

    Attributes
    ----------
    answers : dict of str to Answer
    source : str
        The file's name.
    more : dict
        In a JSON file with an object of answers, everything beside it.
    faults : tuple of Fault
        What could not be read.
    """

    answers: dict[str, Answer]
    source: str
    more: dict[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def short(text: str) -> str:
    """Return text on one line, shortened if it is long."""
    return clean(text[:60]) + ("…" if len(text) > 60 else "")


def quoted(text: str) -> str:
    """Return text in quotes, on one line, shortened if it is long."""
    return repr(short(text))


BLANK = (math.nan, 0.0)


class Filled:
    """The answers of a sheet as they are found, and what could not be read."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.faults: list[Fault] = []

    def sheet(self, source: Path, more: dict[str, Any] | None = None) -> Sheet:
        """Return all of it, with the faults in the order of their lines."""
        faults = sorted(self.faults, key=lambda fault: int(fault.place.removeprefix("line ")))
        return Sheet(self.answers, str(source), more=more or {}, faults=tuple(faults))

    def fault(self, name: str, line: int, says: str) -> None:
        """Say what could not be read."""
        self.faults.append(Fault(f"line {line}", short(name), says))

    def add(self, name: str, answer: Answer, line: int) -> None:
        """Take an answer; of one that is written twice, the first counts, unless that is blank."""
        first = self.answers.setdefault(name, answer)
        if first.blank:
            self.answers[name] = answer
        elif first is not answer and not answer.blank and not np.array_equal(first.values, answer.values, True):
            self.fault(name, line, f"{quoted(name)} is written again, with other numbers")

    def written(self, source: Path, text: str) -> None:
        """Take what is in a text."""
        found = list(layouts.pieces(source, text))
        cells = [self._cells(piece) for piece in found]
        marks = Marks(one for nested in cells if nested is not None for one in flat(nested))
        units: dict[str, list[tuple[Piece, Nested]]] = {}
        rows: list[tuple[Piece, Nested]] = []
        for piece, nested in zip(found, cells, strict=True):
            if rows and not (piece.row and piece.name == rows[0][0].name):
                self._matrix(rows, marks)
                rows = []
            if nested is None:
                continue
            if piece.unit is not None:
                units.setdefault(piece.name, []).append((piece, nested))
            elif piece.row:
                rows.append((piece, nested))
            else:
                self._array(piece.name, nested, piece.line, marks)
        if rows:
            self._matrix(rows, marks)
        for name, ones in units.items():
            self._units(name, ones, marks)

    def _cells(self, piece: Piece) -> Nested | None:
        """Return the numerals of a piece; None where there is a fault in it."""
        try:
            if piece.says or not any(map(str.isalpha, piece.name)):
                raise ValueError(piece.says or f"{quoted(piece.name)} is not the name of a quantity")
            if isinstance(piece.cells, str):
                return listed(piece.cells)
            filled = [cell for cell in piece.cells if cell]
            return listed(filled[0]) if len(filled) == 1 and filled[0].endswith(("]", ")")) else piece.cells
        except ValueError as problem:
            self.fault(piece.name, piece.line, str(problem))
            return None

    def _array(self, name: str, nested: Nested, line: int, marks: Marks) -> None:
        """Take what is written in one place."""
        try:
            self.add(name, answer_of(nested, f"line {line}", marks.number), line)
        except ValueError as problem:
            self.fault(name, line, str(problem))

    def _matrix(self, rows: Sequence[tuple[Piece, Nested]], marks: Marks) -> None:
        """Take rows of cells in succession: a vector, or a matrix."""
        name, line = rows[0][0].name, rows[0][0].line
        if len(rows) == 1:
            self._array(name, rows[0][1], line, marks)
            return
        width = max(len(cells) if isinstance(cells, list) else 1 for _, cells in rows)
        if width * len(rows) > MOST:
            self.fault(name, line, f"{quoted(name)} has more than {MOST:,} numbers")
            return
        table, lost = np.full((2, len(rows), width), np.nan), 0
        for n, (piece, cells) in enumerate(rows):
            try:
                one = answer_of(cells, "", marks.number)
                if one.values.ndim > 1:
                    raise ValueError("it is a matrix, in a row of one")
                table[:, n, : one.values.size] = one.values.reshape(-1), one.tolerance.reshape(-1)
            except ValueError as problem:
                self.fault(name, piece.line, str(problem))
                lost += 1
        if lost < len(rows):
            self.add(name, Answer(table[0], np.nan_to_num(table[1]), f"line {line}"), line)

    def _units(self, name: str, ones: Sequence[tuple[Piece, Nested]], marks: Marks) -> None:
        """Take numbers that each have a place of their own: those of units counted from 0, or from 1."""
        found: dict[int, tuple[float, float]] = {}
        lost: set[int] = set()
        line = ones[0][0].line
        for piece, nested in ones:
            assert piece.unit is not None
            try:
                one = answer_of(nested, "", marks.number)
                if one.values.size > 1:
                    raise ValueError(f"unit {piece.unit} has several numbers")
                number = (float(one.values.sum()), float(one.tolerance.sum())) if one.values.size else BLANK
                first = found.get(piece.unit, BLANK)
                if math.isnan(first[0]):
                    found[piece.unit] = number
                elif not math.isnan(number[0]) and first[0] != number[0]:
                    raise ValueError(f"unit {piece.unit} of {quoted(name)} is written again, with another number")
            except ValueError as problem:
                self.fault(name, piece.line, str(problem))
                lost.add(piece.unit)
        if not found:
            return
        found |= dict.fromkeys(lost - set(found), BLANK)
        first_unit, last = min(found), max(found)
        if first_unit > 1 or last - first_unit + 1 != len(found):
            missing = next(unit for unit in range(first_unit == 1, last) if unit not in found)
            self.fault(name, line, f"unit {missing} of {quoted(name)} is missing before unit {last}")
            return
        values, tolerance = np.array([found[unit] for unit in sorted(found)]).T
        self.add(name, Answer(values, tolerance, f"line {line}"), line)


def answer_of(nested: Nested, place: str, number: Callable[[str], tuple[float, float] | None]) -> Answer:
    """Return the answer that nested lists of numerals are."""
    shape: list[int] = []
    inner = nested
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else ""
    one_by_one = [nested]
    for size in shape:
        if not all(isinstance(row, list) and len(row) == size for row in one_by_one):
            raise ValueError("its rows are not equally long")
        one_by_one = [one for row in one_by_one for one in row]
    if len(one_by_one) > MOST:
        raise ValueError(f"it has more than {MOST:,} numbers")
    if any(isinstance(one, list) for one in one_by_one):
        raise ValueError("its rows are not equally long")
    numbers = np.array([number(one) or BLANK for one in one_by_one], dtype=np.float64).reshape(-1, 2)
    return Answer(numbers[:, 0].reshape(shape), numbers[:, 1].reshape(shape), place)
