"""Answers of a sheet by name, assembled from its lines, and the lines that could not be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.grading import layouts
from gatewise.grading.layouts import SheetPiece
from gatewise.grading.numerals import MOST, DecimalMarks, Nested, iterate_numerals, parse_numbers
from gatewise.render.text import clean


@dataclass(frozen=True, eq=False)
class SheetAnswer:
    """The numbers written for one quantity."""

    values: Array  # NaN where nothing is written
    tolerance: Array  # half of the last digit written of each number
    place: str  # line 3, or the quantity's name

    @property
    def blank(self) -> bool:
        """Whether nothing is written."""
        return bool(np.isnan(self.values).all())

    def agrees(self, values: Array, slack: Array) -> bool:
        """Return whether the written numbers equal others to within their own tolerance and `slack`."""
        written = np.isfinite(self.values)
        return bool((np.abs(self.values - values) <= self.tolerance + slack)[written].all())


@dataclass(frozen=True)
class Fault:
    """A line of a sheet that could not be read.

    Attributes
    ----------
    place : str
        ``line 3``, or empty if the sheet has no lines.
    name : str
        The quantity as it was written; empty if unknown.
    says : str
        The fault, without a full stop.
    """

    place: str
    name: str
    says: str

    def __str__(self) -> str:
        name = "" if quoted(self.name) in self.says else short(self.name)  # told once
        return ": ".join(part for part in (self.place, name, self.says) if part)


@dataclass(frozen=True, eq=False)
class Sheet:
    """The content of a file: answers by name, and everything else."""

    answers: dict[str, SheetAnswer]
    source: str  # the file's name
    more: dict[str, Any] = field(default_factory=dict)  # in a JSON file what is beside the object of answers
    faults: tuple[Fault, ...] = ()


def short(text: str) -> str:
    """Return text on one line, shortened if it is long."""
    return clean(text[:60]) + ("…" if len(text) > 60 else "")


def quoted(text: str) -> str:
    """Return text in quotes, on one line, shortened if it is long."""
    return repr(short(text))


BLANK = (math.nan, 0.0)


class SheetBuilder:
    """Collects the answers of a sheet, and the lines that could not be read."""

    def __init__(self, place: str = "line") -> None:
        self.place = place  # what the numbers of its lines count: the line, a cell, the line of a worksheet
        self.answers: dict[str, SheetAnswer] = {}
        self.faults: list[Fault] = []

    def sheet(self, source: Path, more: dict[str, Any] | None = None) -> Sheet:
        """Return the sheet that was read, with the faults in the order of its lines."""
        faults = sorted(self.faults, key=lambda fault: int(fault.place.rpartition(" ")[2]))
        return Sheet(self.answers, str(source), more=more or {}, faults=tuple(faults))

    def fault(self, name: str, line: int, says: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(f"{self.place} {line}", short(name), says))

    def add(self, name: str, answer: SheetAnswer, line: int) -> None:
        """Add the answer for one quantity of a sheet; the first one counts, unless that is blank."""
        first = self.answers.setdefault(name, answer)
        if first.blank:
            self.answers[name] = answer
        elif first is not answer and not answer.blank and not np.array_equal(first.values, answer.values, True):
            self.fault(name, line, f"{quoted(name)} is written again, with other numbers")

    def add_text(self, source: Path, text: str, separator: str | None = None) -> None:
        """Add all answers in the text of a hand-worked sheet, in any of its layouts; `separator` is that of cells."""
        pieces = list(layouts.iterate_pieces(source, text, separator))
        cells = [self._parse_piece(piece) for piece in pieces]
        marks = DecimalMarks(numeral for nested in cells if nested is not None for numeral in iterate_numerals(nested))
        units: dict[str, list[tuple[SheetPiece, Nested]]] = {}
        rows: list[tuple[SheetPiece, Nested]] = []
        for piece, nested in zip(pieces, cells, strict=True):
            if rows and not (piece.row and piece.name == rows[0][0].name):
                self._add_rows(rows, marks)
                rows = []
            if nested is None:
                continue
            if piece.unit is not None:
                units.setdefault(piece.name, []).append((piece, nested))
            elif piece.row:
                rows.append((piece, nested))
            else:
                self._add_array(piece.name, nested, piece.line, marks)
        if rows:
            self._add_rows(rows, marks)
        for name, unit_cells in units.items():
            self._add_units(name, unit_cells, marks)

    def _parse_piece(self, piece: SheetPiece) -> Nested | None:
        """Return the numerals in a piece of a sheet; None, with a fault added, if they cannot be read."""
        try:
            if piece.says or not any(map(str.isalpha, piece.name)):
                raise ValueError(piece.says or f"{quoted(piece.name)} is not the name of a quantity")
            if isinstance(piece.cells, str):
                return parse_numbers(piece.cells)
            filled = [cell for cell in piece.cells if cell]
            return parse_numbers(filled[0]) if len(filled) == 1 and filled[0].endswith(("]", ")")) else piece.cells
        except ValueError as problem:
            self.fault(piece.name, piece.line, str(problem))
            return None

    def _add_array(self, name: str, nested: Nested, line: int, marks: DecimalMarks) -> None:
        """Add the answer for a quantity of a sheet whose numbers are written in one place."""
        try:
            self.add(name, answer_of(nested, f"{self.place} {line}", marks.number), line)
        except ValueError as problem:
            self.fault(name, line, str(problem))

    def _add_rows(self, rows: Sequence[tuple[SheetPiece, Nested]], marks: DecimalMarks) -> None:
        """Add the answer for a vector or matrix of a sheet that is written in successive rows."""
        name, line = rows[0][0].name, rows[0][0].line
        if len(rows) == 1:
            self._add_array(name, rows[0][1], line, marks)
            return
        width = max(len(cells) if isinstance(cells, list) else 1 for _, cells in rows)
        if width * len(rows) > MOST:
            self.fault(name, line, f"{quoted(name)} has more than {MOST:,} numbers")
            return
        table, lost_rows = np.full((2, len(rows), width), np.nan), 0
        for n, (piece, cells) in enumerate(rows):
            try:
                row_answer = answer_of(cells, "", marks.number)
                if row_answer.values.ndim > 1:
                    raise ValueError("it is a matrix, in a row of one")
                table[:, n, : row_answer.values.size] = row_answer.values.reshape(-1), row_answer.tolerance.reshape(-1)
            except ValueError as problem:
                self.fault(name, piece.line, str(problem))
                lost_rows += 1
        if lost_rows < len(rows):
            self.add(name, SheetAnswer(table[0], np.nan_to_num(table[1]), f"{self.place} {line}"), line)

    def _add_units(self, name: str, unit_cells: Sequence[tuple[SheetPiece, Nested]], marks: DecimalMarks) -> None:
        """Add the answer for a vector of a sheet whose units have a line each, counted from 0 or from 1."""
        numbers: dict[int, tuple[float, float]] = {}
        lost_units: set[int] = set()
        line = unit_cells[0][0].line
        for piece, nested in unit_cells:
            assert piece.unit is not None
            try:
                answer = answer_of(nested, "", marks.number)
                if answer.values.size > 1:
                    raise ValueError(f"unit {piece.unit} has several numbers")
                number = (float(answer.values.sum()), float(answer.tolerance.sum())) if answer.values.size else BLANK
                first = numbers.get(piece.unit, BLANK)
                if math.isnan(first[0]):
                    numbers[piece.unit] = number
                elif not math.isnan(number[0]) and first[0] != number[0]:
                    raise ValueError(f"unit {piece.unit} of {quoted(name)} is written again, with another number")
            except ValueError as problem:
                self.fault(name, piece.line, str(problem))
                lost_units.add(piece.unit)
        if not numbers:
            return
        numbers |= dict.fromkeys(lost_units - set(numbers), BLANK)
        first_unit, last = min(numbers), max(numbers)
        if first_unit > 1 or last - first_unit + 1 != len(numbers):
            missing = next(unit for unit in range(first_unit == 1, last) if unit not in numbers)
            self.fault(name, line, f"unit {missing} of {quoted(name)} is missing before unit {last}")
            return
        values, tolerance = np.array([numbers[unit] for unit in sorted(numbers)]).T
        self.add(name, SheetAnswer(values, tolerance, f"{self.place} {line}"), line)


def answer_of(nested: Nested, place: str, number: Callable[[str], tuple[float, float] | None]) -> SheetAnswer:
    """Return nested lists of numerals as the answer of a sheet: an array of numbers and their tolerances."""
    shape: list[int] = []
    inner = nested
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else ""
    items = [nested]
    for size in shape:
        if not all(isinstance(row, list) and len(row) == size for row in items):
            raise ValueError("its rows are not equally long")
        items = [item for row in items for item in row]
    if len(items) > MOST:
        raise ValueError(f"it has more than {MOST:,} numbers")
    if any(isinstance(item, list) for item in items):
        raise ValueError("its rows are not equally long")
    numbers = np.array([number(item) or BLANK for item in items], dtype=np.float64).reshape(-1, 2)
    return SheetAnswer(numbers[:, 0].reshape(shape), numbers[:, 1].reshape(shape), place)
