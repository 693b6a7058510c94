"""Slips in one entry: a product that is left out or has the wrong sign, and slips in writing a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.grading.edits.edit import ONE_ENTRY, EquationEdit, full_name
from gatewise.render import text
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import TWO, Formula, Number, Symbol, add, less, rebuild, times
from gatewise.symbolic.program import Assignment

MAX_POINT_SHIFT = 3  # of ten, by which a number is off where its point is misplaced
MAX_DIGITS = 12  # of a number, of which two may be exchanged


def product_edits(
    equation: Assignment, unit: int, entries: Sequence[str], products: tuple[str, ...]
) -> Iterator[EquationEdit]:
    """Yield the slips that leave out one product in the sum of a single unit, or turn its sign.

    `products` are the names of the products with a matrix, in the order of their sum.
    """
    terms = equation.right.terms if isinstance(equation.right, tree.Sum) else (equation.right,)
    if len(equation.axes) != 1 or not (products or len(terms) > 1):
        return
    entry, selector, count = entries[unit], one_hot(unit, len(entries)), 0
    for term in terms:
        for product, inner in _split_products(term, products[count:]):
            term_name = f"the product with {inner}" if inner else f"the term {text.formula(product)}"
            count += bool(inner)
            at_unit = times(selector, product)
            kinds = (
                ("one product missing", f"{term_name} is missing from {{}} at {entry}", at_unit),
                ("one wrong sign", f"{term_name} has the wrong sign in {{}} at {entry}", times(TWO, at_unit)),
            )
            for kind, clause, difference in kinds:
                yield EquationEdit(kind, clause, add(equation.right, tree.Negative(difference)), ONE_ENTRY)


def _split_products(term: Formula, names: tuple[str, ...]) -> Iterator[tuple[Formula, str]]:
    """Yield the products in which a slip can be made: a matrix's with a vector one by one, or the term itself."""
    match term:
        case tree.MatMul(Symbol() | tree.Transpose() as matrix, vector) if names:
            of_gate = [name.partition(":")[0] == names[0].partition(":")[0] for name in names]  # backward
            count = sum(of_gate) if isinstance(matrix, tree.Transpose) else len(names)
            for n, name in enumerate(names[:count]):
                yield tree.MatMul(matrix, times(one_hot(n, count), vector)), name
        case _:
            yield term, ""


def one_hot(place: int, size: int) -> tree.NumberRow:
    """Return a row of numbers, 1 at one place and 0 elsewhere, for the formula of a slip in one entry."""
    return tree.NumberRow(tuple(1.0 if n == place else 0.0 for n in range(size)))


def number_edits(
    equation: Assignment, selector: Formula, entry: str, value: float, tolerance: float
) -> Iterator[EquationEdit]:
    """Yield the slips in writing the number of one entry, 1 in `selector`: of `value` to within a tolerance."""
    right = equation.right
    slips: list[tuple[str, str, Formula]] = [
        ("one wrong sign", "the sign is wrong", tree.Negative(right)),
        ("power of ten", "the decimal point is one place too far to the right", times(Number(10.0), right)),
        ("power of ten", "the decimal point is one place too far to the left", times(Number(0.1), right)),
    ]
    for other in _swap_digits(value, tolerance, tolerance) if tolerance else ():
        slips.append(("digits exchanged", "two digits are exchanged", Number(other)))
    for kind, clause, new in slips:
        changed = add(right, times(selector, less(new, right)))
        yield EquationEdit(kind, f"{clause} in {{}} at {entry}", changed, ONE_ENTRY)


def unit_edits(equation: Assignment, unit: int, entries: Sequence[str]) -> Iterator[EquationEdit]:
    """Yield the slips that write another unit's number for a unit's; in an outer product, for its row."""
    right = equation.right
    part = right.left if isinstance(right, tree.Outer) else right
    if part is right and len(equation.axes) != 1:
        return
    size = len(entries)
    for n in range(size):
        if n != unit:
            other = tree.FunctionCall("sum", (times(one_hot(n, size), part),))
            changed = add(part, times(one_hot(unit, size), less(other, part)))
            clause = f"the number of {entries[n]} is written at {entries[unit]} in {{}}"
            written = tree.Outer(changed, right.right) if isinstance(right, tree.Outer) else changed
            yield EquationEdit("another unit", clause, written, ONE_ENTRY)


def exchange_edits(
    equation: Assignment, units: Sequence[int], entries: Sequence[str], vectors: Sequence[Symbol]
) -> Iterator[EquationEdit]:
    """Yield the slips that exchange two units in a vector of an equation."""
    turn = tree.NumberRow(tuple(float(n == units[0]) - float(n == units[1]) for n in range(len(entries))))
    for vector in vectors:
        difference = times(turn, tree.FunctionCall("sum", (times(turn, vector),)))
        replaced: dict[Formula, Formula] = {vector: add(vector, tree.Negative(difference))}
        clause = f"{entries[units[0]]} and {entries[units[1]]} of {full_name(vector)} are exchanged in {{}}"
        yield EquationEdit("another unit", clause, rebuild(equation.right, replaced.get), ONE_ENTRY)


# How a number was written.


def writing_slips(
    expected: Array, written: Array, wrong: Mask, tolerance: Array, margin: Array, is_matrix: bool
) -> Iterator[tuple[str, str, Array, float]]:
    """Yield the wrong numbers that people write down for right ones by a slip: a wrong sign, exchanged digits.

    Each is a kind, its words, the numbers that it gives, and the factor by which their error grows. `tolerance` is half
    of the last digit of each number, `margin` the largest error of a right one; a row of a matrix belongs to one unit.
    """
    several = wrong.sum() > 1
    entries = "numbers" if several else "number"
    clause = "the signs are wrong" if several else "the sign is wrong"
    yield "one wrong sign", clause, np.where(wrong, -expected, expected), 1.0
    for power in (signed for k in range(1, MAX_POINT_SHIFT + 1) for signed in (k, -k)):
        clause = f"the decimal point of the {entries} is {abs(power)} place{'s' if abs(power) > 1 else ''} off"
        yield "power of ten", clause, np.where(wrong, expected * 10.0**power, expected), 10.0 ** max(0, power)
    if several:
        for value in swap_entries(expected, wrong):
            yield "another unit", "two numbers are swapped", value, 1.0
        return
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    *row, column = place or (0,)
    for n in {*range(expected.shape[-1])} - {column} if is_matrix else ():  # of a vector, `_unit_edits` does that
        clause = f"the number that belongs at entry {n} is written"
        yield "another unit", clause, np.where(wrong, expected[*row, n], expected), 1.0
    right, number, half, margin_here = (float(array[place]) for array in (expected, written, tolerance, margin))
    for other in _swap_digits(number, half, margin_here):  # which gives the right number back
        yield "digits exchanged", "two digits are exchanged", np.where(wrong, right + number - other, expected), 1.0


def swap_entries(expected: Array, wrong: Mask) -> Iterator[Array]:
    """Yield the expected numbers with their two wrong entries exchanged, if exactly two are wrong."""
    if wrong.sum() == 2:
        swapped = expected.copy()
        swapped[wrong] = expected[wrong][::-1]
        yield swapped


def _swap_digits(value: float, tolerance: float, margin: float) -> Iterator[float]:
    """Yield a hand-written number with two digits exchanged, except where the margin would hide the exchange."""
    decimals = max(0, round(-np.log10(2 * tolerance))) if tolerance > 0 else 0
    text = f"{abs(value):.{decimals}f}"
    digits = [n for n, character in enumerate(text) if character.isdigit()]
    if len(digits) > MAX_DIGITS:
        return
    numbers_so_far = {float(text)}
    for first, second in combinations(digits, 2):
        difference = abs(int(text[first]) - int(text[second])) * 10.0 ** (len(text) - 1 - second - decimals)
        if difference <= 2 * margin:
            continue
        swapped = list(text)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        other = float("".join(swapped))
        if other not in numbers_so_far:
            numbers_so_far.add(other)
            yield float(np.copysign(other, value))
