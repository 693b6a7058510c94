"""Answers of a sheet by name, assembled from its lines, and the lines that could not be read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.grading import layouts, notebooks
from gatewise.grading.layouts import SheetPiece
from gatewise.grading.numerals import MOST, DecimalMarks, Nested, is_number, iterate_numerals, parse_numbers
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

    def excess(self, values: Array, slack: Array) -> Array:
        """Return by how much more than their own tolerance and `slack` the written numbers differ from others."""
        with np.errstate(invalid="ignore"):
            excess = np.abs(self.values - values) - self.tolerance - slack
        return np.where(np.isfinite(self.values), np.where(np.isnan(excess), np.inf, excess), -1.0)

    def agrees(self, values: Array, slack: Array) -> bool:
        """Return whether the written numbers equal others to within their own tolerance and `slack`."""
        return bool((self.excess(values, slack) <= 0).all())


@dataclass(frozen=True)
class Fault:
    """A line of a sheet that could not be read.

    Attributes
    ----------
    place : str
        ``line 3``, ``cell 5`` of a notebook, or empty if the sheet has neither.
    name : str
        The quantity as it was written; empty if unknown.
    says : str
        The fault, without a full stop.
    has_numbers : bool
        Whether the line has numbers like those of a quantity. A heading has none, or a single whole one.
    """

    place: str
    name: str
    says: str
    has_numbers: bool = True

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

    def fault(self, name: str, line: int, says: str, *, has_numbers: bool = True) -> None:
        """Add a fault."""
        self.faults.append(Fault(f"{self.place} {line}", short(name), says, has_numbers))

    def add(self, name: str, answer: SheetAnswer, line: int) -> None:
        """Add the answer for one quantity of a sheet; the first one counts, unless that is blank."""
        first = self.answers.setdefault(name, answer)
        if first.blank:
            self.answers[name] = answer
        elif first is not answer and not answer.blank and not np.array_equal(first.values, answer.values, True):
            has_numbers = max(first.values.size, answer.values.size) > 1
            self.fault(name, line, f"{quoted(name)} is written again, with other numbers", has_numbers=has_numbers)

    def add_text(self, source: Path, text: str, separator: str | None = None) -> None:
        """Add all answers in the text of a hand-worked sheet, in any of its layouts; `separator` is that of cells."""
        pieces = list(layouts.iterate_pieces(source, text, separator))
        cells = [self._parse_piece(piece) for piece in pieces]
        marks = DecimalMarks(numeral for nested in cells if nested is not None for numeral in iterate_numerals(nested))
        stacks: dict[tuple[str, int], list[tuple[SheetPiece, Nested]]] = {}  # the lines of each answer
        stack = 0
        for before, piece, nested in zip([None, *pieces], pieces, cells, strict=False):
            stack += before is None or not (before.row and piece.row and before.name == piece.name)
            if nested is not None:
                stacks.setdefault((piece.name, stack if piece.unit is None else 0), []).append((piece, nested))
        for lines in stacks.values():
            self._add_stack(lines, marks)

    def _parse_piece(self, piece: SheetPiece) -> Nested | None:
        """Return the numerals in a piece of a sheet; None, with a fault added, if they cannot be read."""
        try:
            if piece.says or not any(map(str.isalpha, piece.name)):
                raise ValueError(piece.says or f"{quoted(piece.name)} is not the name of a quantity")
            if piece.cells in ([notebooks.NOT_RUN], [notebooks.COMPUTED]):
                raise ValueError(piece.cells[0])
            if isinstance(piece.cells, str):
                return parse_numbers(piece.cells)
            filled = [cell for cell in piece.cells if cell]
            return parse_numbers(filled[0]) if len(filled) == 1 and filled[0].endswith(("]", ")")) else piece.cells
        except ValueError as problem:
            self.fault(piece.name, piece.line, str(problem), has_numbers=_has_numbers(piece.cells))
            return None

    def _add_array(self, name: str, nested: Nested, line: int, marks: DecimalMarks) -> None:
        """Add the answer for a quantity of a sheet whose numbers are written in one place."""
        try:
            self.add(name, answer_of(nested, f"{self.place} {line}", marks.number), line)
        except ValueError as problem:
            self.fault(name, line, str(problem), has_numbers=_has_numbers([*iterate_numerals(nested)]))

    def _add_stack(self, lines: Sequence[tuple[SheetPiece, Nested]], marks: DecimalMarks) -> None:
        """Add the answer for a quantity with a line for each row or unit; of several, what cannot be read is blank."""
        (first, nested), *others = lines
        if first.unit is None and not others:
            self._add_array(first.name, nested, first.line, marks)
            return
        stacked, labels = SheetBuilder(self.place), dict[int, str]()
        for row, (piece, nested) in enumerate(lines):
            index = row if piece.unit is None else piece.unit
            labels[index] = f"unit {index}"
            items = nested if isinstance(nested, list) else [nested]
            if any(isinstance(item, list) for item in items) or (piece.unit is not None and len(items) > 1):
                stacked.fault("", piece.line, f"{labels[index]} has several numbers")
            else:
                stacked._add_array(labels[index], items, piece.line, marks)
        self.faults += [replace(fault, name=short(first.name)) for fault in stacked.faults]
        last, width = max(labels), max((answer.values.size for answer in stacked.answers.values()), default=0)
        missing = [index for index in range(min(labels, default=0) == 1, last) if index not in labels]
        if missing and stacked.answers:
            self.fault(
                first.name, first.line, f"unit {missing[0]} of {quoted(first.name)} is missing before unit {last}"
            )
        elif len(lines) * width > MOST:
            self.fault(first.name, first.line, f"{quoted(first.name)} has more than {MOST:,} numbers")
        elif stacked.answers:
            table = np.full((2, len(labels), max(width, 1)), np.nan)
            for row, index in enumerate(sorted(labels)):
                if (answer := stacked.answers.get(labels[index])) is not None:
                    table[:, row, : answer.values.size] = answer.values, answer.tolerance
            values, tolerance = table if first.unit is None else table[..., 0]
            self.add(
                first.name, SheetAnswer(values, np.nan_to_num(tolerance), f"{self.place} {first.line}"), first.line
            )


def _has_numbers(cells: str | Sequence[str]) -> bool:
    """Return whether a line has several numbers, or one that is not whole, as no heading has."""
    words = re.split(r"[\s;|\[\]()]+", cells if isinstance(cells, str) else " ".join(cells))
    numbers = [word for word in words if is_number(word)]
    return len(numbers) > 1 or any(not word.isdecimal() for word in numbers)


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
