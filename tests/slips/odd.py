"""Sheets that are wrong by no single slip, so that nothing can be proven of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from slips.by_hand import Cell, Numbers, Page
from slips.enumeration import slips
from slips.judging import CLEAR, NONE, Draw, Planted, chain_of, first_off, random_cell, written
from slips.work import Slip, work

import gatewise as gw
from gatewise.grading.marking import Marking

HOW = (
    "random numbers in one line",
    "random numbers in many lines",
    "another cell's numbers",
    "another cell's numbers in one line",
    "two slips in one line",
    "one digit wrong",
    "one number off by some percent",
    "a line off by some percent",
    "noise",
)
SUMS = ("a_", "q_", "c", "dc", "dz")  # lines in which two slips add up; in the others they multiply


@dataclass(frozen=True, eq=False)
class Odd:
    """A sheet that is wrong by no single slip, and what was said of it."""

    how: str
    says: str
    expected: str  # the first line that is wrong
    marking: Marking

    @property
    def located(self) -> bool:
        """Whether its first wrong line was found."""
        return self.marking.first is not None and self.marking.first.name == self.expected

    @property
    def first(self) -> bool:
        """Whether its first wrong line was given a cause."""
        return self.marking.first is not None and bool(self.marking.first.causes)

    @property
    def any(self) -> bool:
        """Whether any line was."""
        return any(one.causes for one in self.marking.verdicts)

    def __str__(self) -> str:
        told = "; ".join(f"{one.name}: {cause}" for one in self.marking.verdicts for cause in one.causes)
        return f"{self.how}: {self.says}, {self.expected} is wrong → {told or self.marking.first}"


def odd_sheets(seed: int, count: int, digits: int | None = None, draw: Draw = random_cell) -> Iterator[Odd]:
    """Go through so many sheets, every way in turn; at 3 to 8 digits, unless their number is given."""
    n = made = 0
    while made < count:
        rng = np.random.default_rng([seed, n])
        one = odd_sheet(HOW[n % len(HOW)], rng, digits, draw)
        n += 1
        if one is not None:
            made += 1
            yield one


def odd_sheet(how: str, rng: np.random.Generator, digits: int | None, draw: Draw = random_cell) -> Odd | None:
    """Return a sheet that is wrong in one way, or None where that makes no visible difference."""
    cell = draw(rng)
    at = digits or int(rng.choice([3, 4, 4, 4, 6, 8]))
    on_the_way = bool(rng.random() < 0.5)
    chain = chain_of(cell)
    backward = bool(rng.random() < 0.5)
    sheets = Planted(cell, chain, Slip("", "", backward=backward), on_the_way, backward).sheets()
    names = sheets[str(rng.choice(list(sheets)))]
    right = work(cell, NONE, at, on_the_way)
    name = str(rng.choice(names))
    if how == "two slips in one line":
        with np.errstate(over="ignore"):  # of two slips, sums may grow beyond all numbers
            pair = two_slips(cell, rng, at)
        if pair is None:
            return None
        wrong, says = work(cell, pair, at, on_the_way), pair.says
    else:
        wrong, says = spoiled(how, cell, right, names, name, at, rng), name
    mine = written(wrong, names, at)
    off = first_off(mine, written(right, names, at), names, at)
    if off is None or off[1] < CLEAR:
        return None
    sizes = f"{cell.kind}, {cell.inputs} inputs, {cell.hidden} hidden, {cell.steps} steps, batch {cell.batch}"
    says = f"{says} ({sizes}; {len(names)} lines at {at} digits)"
    return Odd(how, says, off[0], gw.check(mine, chain, digits=at))


def spoiled(
    how: str, cell: Cell, right: Numbers, names: list[str], name: str, digits: int, rng: np.random.Generator
) -> Numbers:
    """Return numbers of which some are wrong."""
    wrong = {one: value.copy() for one, value in right.items()}
    flat = wrong[name].reshape(-1)
    place = int(rng.integers(flat.size))
    if how == "random numbers in one line":
        wrong[name] = unrelated(wrong[name], rng)
    elif how == "random numbers in many lines":
        for one in names:
            wrong[one] = unrelated(wrong[one], rng) if rng.random() < 0.5 else wrong[one]
    elif how.startswith("another cell's numbers"):
        other = like(cell, rng)
        wrong = work(other) if how.endswith("numbers") else wrong | {name: work(other)[name]}
    elif how == "one digit wrong":
        unit = 10.0 ** -int(rng.integers(1, max(2, digits - 1)))
        digit = int(abs(flat[place]) / unit) % 10
        flat[place] += unit * (int(rng.choice([k for k in range(10) if k != digit])) - digit) * np.sign(flat[place])
    elif how == "one number off by some percent":
        flat[place] *= 1 + percent(rng)
    elif how == "a line off by some percent":
        flat *= 1 + percent(rng)
    else:
        flat += rng.normal(0, 0.05, flat.shape)
    return wrong


def percent(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.02, 0.3) * rng.choice([-1, 1]))


def unrelated(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return numbers of the same range."""
    size = max(float(np.abs(value).max(initial=0)), 0.05)
    low = 0.0 if (value >= 0).all() else -size
    return rng.uniform(low, size, value.shape)


def like(cell: Cell, rng: np.random.Generator) -> Cell:
    """Return another cell of the same kind and size."""
    while True:
        other = Cell.random(rng, cell.kind, steps=cell.steps, batch=cell.batch)
        if other.p.weight.shape == cell.p.weight.shape and other.h.shape == cell.h.shape:
            return replace(other, dh=cell.dh, dc=cell.dc)  # which would show as a mistake of one factor


def two_slips(cell: Cell, rng: np.random.Generator, digits: int) -> Slip | None:
    """Return two slips in one line that are at no step, to so many digits, a single one together."""
    single = [one for one in slips(cell, rng) if len(one.lines) == 1 and one.at is None]
    first = single[rng.integers(len(single))]
    (name,) = first.lines
    others = [one for one in single if name in one.lines and one.kind != first.kind]
    if not others:
        return None
    second = others[rng.integers(len(others))]
    right = cell.lines[first.backward][name]
    adds = name.startswith(SUMS) and not name.startswith("dz_")

    def line(s: Page) -> np.ndarray:
        one, other, good = (each(s) for each in (first.lines[name], second.lines[name], right))
        if one.shape != good.shape or other.shape != good.shape:
            return good
        return one + other - good if adds else one * other / np.where(good == 0, 1, good)

    def of(each: Slip | None) -> list[np.ndarray]:
        found = work(cell, each or NONE)
        return [found[name if cell.steps == 1 else f"{name}[{at}]"] for at in range(cell.steps)]

    both = Slip("two", f"{first.says} and {second.says}", {name: line}, backward=first.backward)
    made = of(both)
    for one in (None, *[each for each in single if name in each.lines]):
        for ours, theirs in zip(made, of(one), strict=True):
            if ours.shape == theirs.shape and np.abs(ours - theirs).max() < 3 * 10.0**-digits:
                return None
    return both
