"""Slips in one entry: one product that is left out or has the wrong sign, and how a number was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.grading.edits.edit import ONE_ENTRY, Edit, Path
from gatewise.render import text
from gatewise.symbolic.formula import (
    TWO,
    Formula,
    FunctionCall,
    MatMul,
    Negative,
    Number,
    NumberRow,
    Outer,
    Sum,
    Symbol,
    Transpose,
    add,
    times,
)
from gatewise.symbolic.program import Assignment

MOST_POWER = 3  # of ten, by which a number is off where its point is misplaced
MOST_DIGITS = 12  # of a number, of which two may be exchanged


def of_products(one: Assignment, unit: int, size: int, products: tuple[str, ...], entry: str) -> Iterator[Edit]:
    """Leave out each product in the sum of one unit, or turn its sign.

    Parameters
    ----------
    one : Assignment
    unit : int
        Which entry of its value.
    size : int
        How many entries that has.
    products : tuple of str
        What the products with a matrix are called, in the order in which they are summed.
    entry : str
        What the entry is called.
    """
    terms = one.right.terms if isinstance(one.right, Sum) else (one.right,)
    if len(one.axes) != 1 or not (products or len(terms) > 1):
        return
    here, count = mask(unit, size), 0
    for term in terms:
        for product, inner in _products(term, products[count:]):
            named = f"the product with {inner}" if inner else f"the term {text.formula(product)}"
            count += bool(inner)
            taken = times(here, product)
            kinds = (
                ("one product missing", f"{named} is missing from {{}} at {entry}", taken),
                ("one wrong sign", f"{named} has the wrong sign in {{}} at {entry}", times(TWO, taken)),
            )
            for kind, told, off in kinds:
                yield Edit(kind, told, one.left, (), add(one.right, Negative(off)), ONE_ENTRY)


def _products(term: Formula, names: tuple[str, ...]) -> Iterator[tuple[Formula, str]]:
    """Go through the products of a term: those of a matrix one by one, with their names; the term itself otherwise."""
    match term:
        case MatMul(Symbol() | Transpose() as matrix, vector) if names:
            count = _columns(matrix, names)
            for n, name in enumerate(names[:count]):
                yield MatMul(matrix, times(mask(n, count), vector)), name
        case _:
            yield term, ""


def _columns(matrix: Formula, names: tuple[str, ...]) -> int:
    """Return how many of the names are those of one matrix: backward, of the gate named before the colon."""
    if not isinstance(matrix, Transpose):
        return len(names)
    gate = names[0].partition(":")[0]
    return sum(name.partition(":")[0] == gate for name in names)


def mask(place: int, size: int) -> NumberRow:
    """Return 1 at a place, and 0 elsewhere."""
    return NumberRow(tuple(1.0 if n == place else 0.0 for n in range(size)))


def of_signs(one: Assignment, here: Formula, entry: str) -> Iterator[Edit]:
    """Lose the sign of an entry, or misplace its point; `here` is 1 at that and 0 elsewhere."""
    for kind, told, factor in (
        ("sign lost", f"the sign is lost in {{}} at {entry}", -1.0),
        ("power of ten", f"the decimal point is one place too far to the right in {{}} at {entry}", 10.0),
        ("power of ten", f"the decimal point is one place too far to the left in {{}} at {entry}", 0.1),
    ):
        more = times(Number(factor - 1), here, one.right)
        yield Edit(kind, told, one.left, (), add(one.right, more), ONE_ENTRY)


def of_units(one: Assignment, unit: int, entries: Sequence[str]) -> Iterator[Edit]:
    """Write the number of another unit in the place of one; of an outer product, make its row with that."""
    path: Path = ()
    right = one.right
    if isinstance(right, Outer):
        path, right = (0,), right.left
    elif len(one.axes) != 1:
        return
    size = len(entries)
    others = NumberRow(tuple(float(n != unit) for n in range(size)))
    for n in range(size):
        if n != unit:
            taken = times(mask(unit, size), FunctionCall("sum", (times(mask(n, size), right),)))
            told = f"the number of {entries[n]} is written at {entries[unit]} in {{}}"
            yield Edit("another unit", told, one.left, path, add(times(others, right), taken), ONE_ENTRY)


def of_digits(one: Assignment, unit: int, size: int, value: float, tolerance: float, entry: str) -> Iterator[Edit]:
    """Exchange two digits of one entry, which is such a value when it is rounded to within a tolerance."""
    others = NumberRow(tuple(float(n != unit) for n in range(size)))
    for other in _digits_exchanged(value, tolerance, tolerance):
        put = NumberRow(tuple(other if n == unit else 0.0 for n in range(size)))
        told = f"two digits are exchanged in {{}} at {entry}"
        yield Edit("digits exchanged", told, one.left, (), add(times(others, one.right), put), ONE_ENTRY)


# How a number was written.


def of_writing(
    expected: Array, written: Array, wrong: Mask, tolerance: Array, margin: Array, is_matrix: bool
) -> Iterator[tuple[str, str, Array, float]]:
    """Go through what may have happened as right numbers were written down.

    Of each the class, the words, what the numbers become, and by what factor they are further off than the right ones.

    Parameters
    ----------
    expected, written : array
        The right numbers, and those that are written.
    wrong : boolean array
        Where the two differ.
    tolerance : array
        Half of the last digit of each.
    margin : array
        How far off each may be and still be right.
    is_matrix : bool
        Whether a row of them belongs to one unit.
    """
    several = wrong.sum() > 1
    entries = "numbers" if several else "number"
    yield "sign lost", f"the sign of the {entries} is lost", np.where(wrong, -expected, expected), 1.0
    for power in (one for k in range(1, MOST_POWER + 1) for one in (k, -k)):
        told = f"the decimal point of the {entries} is {abs(power)} place{'s' if abs(power) > 1 else ''} off"
        yield "power of ten", told, np.where(wrong, expected * 10.0**power, expected), 10.0 ** max(0, power)
    if several:
        for value in _exchanged(expected, wrong):
            yield "another unit", "two numbers have changed places", value, 1.0
        return
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    *row, column = place or (0,)
    for n in {*range(expected.shape[-1])} - {column} if is_matrix else ():  # of a vector, `of_units` does that
        yield (
            "another unit",
            f"the number that belongs at entry {n} is written",
            _put(expected, place, expected[*row, n]),
            1.0,
        )
    right, own, half, off = (float(one[place]) for one in (expected, written, tolerance, margin))
    for other in _digits_exchanged(own, half, off):  # which gives the right number back
        yield "digits exchanged", "two digits are exchanged", _put(expected, place, right + own - other), 1.0


def _put(values: Array, place: tuple[int, ...], value: float) -> Array:
    found = np.array(values)
    found[place] = value
    return found


def _exchanged(expected: Array, wrong: Mask) -> Iterator[Array]:
    """Two entries in each other's place."""
    places = [tuple(int(n) for n in place) for place in np.argwhere(wrong)]
    if len(places) == 2:
        first, second = places
        found = expected.copy()
        found[first], found[second] = expected[second], expected[first]
        yield found


def _digits_exchanged(value: float, tolerance: float, margin: float) -> Iterator[float]:
    """Go through a number with two digits exchanged; where the margin hides one of them, it is one wrong digit."""
    decimals = max(0, round(-np.log10(2 * tolerance))) if tolerance > 0 else 0
    text = f"{abs(value):.{decimals}f}"
    digits = [n for n, one in enumerate(text) if one.isdigit()]
    if len(digits) > MOST_DIGITS:
        return
    seen = {float(text)}
    for first, second in combinations(digits, 2):
        off = abs(int(text[first]) - int(text[second])) * 10.0 ** (len(text) - 1 - second - decimals)
        if off <= 2 * margin:
            continue
        spelled = list(text)
        spelled[first], spelled[second] = spelled[second], spelled[first]
        other = float("".join(spelled))
        if other not in seen:
            seen.add(other)
            yield float(np.copysign(other, value))
