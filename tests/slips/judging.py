"""Sheets with one slip on them, and whether `gatewise.check` says what it was."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from slips.by_hand import KINDS, Cell, Numbers
from slips.enumeration import slips
from slips.work import NONE, PARAMETERS, Slip, work

import gatewise as gw
from gatewise.errors import FileError
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking
from gatewise.grading.verdicts import Cause, Verdict

CLEAR = 60  # units of the last digit by which a number is off, so that no rounding before it explains it
EXACT = 12  # decimals at which numbers that agree are those of one and the same slip
DIGITS = (4, 3, 6, 8)
GATES_AND_STATES = ("f", "i", "g", "o", "c", "h")


@dataclass(frozen=True, eq=False)
class Planted:
    """A slip in a cell; `on_the_way` says whether what is written is what is carried on."""

    cell: Cell
    chain: Chain
    slip: Slip
    on_the_way: bool
    whole: bool  # whether a full sheet goes on to the backward pass

    def __str__(self) -> str:
        cell = self.cell
        sizes = f"{cell.kind}, {cell.inputs} inputs, {cell.hidden} hidden"
        sizes += f", {cell.steps} steps, batch {cell.batch}" if cell.steps > 1 or cell.batch > 1 else ""
        return f"{self.slip} ({sizes}{', rounded on the way' if self.on_the_way else ''})"

    def sheets(self) -> dict[str, list[str]]:
        """Return the names on each sort of sheet."""
        several, names = self.cell.steps > 1, list(self.chain.by_name)
        asked = [name for name in names if not (several and "[" in name and name[:2] in PARAMETERS)]
        backward = [name for name in asked if self.chain.by_name[name].backward]
        there = [name for name in asked if name not in set(backward)]
        if self.slip.backward:
            gradients = [name for name in backward if name[:2] in PARAMETERS]
            return {"full": asked, "backward": backward, "gradients": gradients}
        sheets = {"full": asked if self.whole else there}
        for says, some in (("gates and states", GATES_AND_STATES), ("c and h", ("c", "h"))):
            sheets[says] = [name for name in there if name.partition("[")[0] in some]
        return sheets


@dataclass(frozen=True, eq=False)
class Judged:
    """What was said of one sheet."""

    planted: Planted
    digits: int
    sheet: str
    expected: str  # the first line that the slip makes wrong
    written: Numbers
    first: Verdict | None

    @property
    def causes(self) -> tuple[Cause, ...]:
        return () if self.first is None else self.first.causes

    @cached_property
    def fits(self) -> tuple[bool, ...]:
        """Of each cause, whether it gives what is written, or is what was planted."""
        near = [self.gives(cause.predicted) for cause in self.causes]
        return tuple(near) if all(near) else tuple(one or other for one, other in zip(near, self.same, strict=True))

    def gives(self, predicted: np.ndarray) -> bool:
        """Return whether numbers are those that are written: to within one unit of the last digit."""
        assert self.first is not None
        mine, unit = self.written[self.first.name], 10.0**-self.digits
        if predicted.shape != mine.shape:
            return False
        return bool((np.abs(np.round(predicted, self.digits) - mine) <= 1.01 * unit).all())

    @cached_property
    def same(self) -> tuple[bool, ...]:
        """Of each cause, whether it is what was planted: whether it is said of the slip at many digits as well."""
        said = self._said_of_exact() if self.causes else set()
        slip = self.planted.slip
        return tuple(str(cause) in said or (bool(slip.spoil) and cause.tier == "one entry") for cause in self.causes)

    def _said_of_exact(self) -> set[str]:
        one, names = self.planted, self.planted.sheets()[self.sheet]
        exact = work(one.cell, one.slip, self.digits if one.slip.spoil else EXACT)
        first = gw.check(written(exact, names, EXACT), one.chain, digits=EXACT).first
        return set() if first is None else {str(cause) for cause in first.causes}

    @property
    def located(self) -> bool:
        return self.first is not None and self.first.name == self.expected

    @property
    def named(self) -> bool:
        return self.located and (any(self.fits) or any(self.same))

    @property
    def foremost(self) -> bool:
        return self.located and (self.fits[:1] == (True,) or self.same[:1] == (True,))

    @property
    def few(self) -> bool:
        return self.first is not None and not self.causes and self.first.digits is not None

    def __str__(self) -> str:
        said = "nothing is wrong"
        if self.first is not None:
            same = self.same if "same" in vars(self) else (False,) * len(self.causes)
            causes = "; ".join(
                f"{'=' if exact else '~' if fits else '!'} {cause}"
                for cause, fits, exact in zip(self.causes, self.fits, same, strict=True)
            )
            said = f"{self.first.name}: {causes or ('too few digits' if self.few else 'no cause')}"
        return f"{self.planted}; {self.sheet} at {self.digits} digits, {self.expected} is wrong → {said}"


def random_cell(rng: np.random.Generator) -> Cell:
    """Return a cell of any kind and size, with given numbers of one digit, of two, or of all."""
    others = [kind for kind in KINDS if kind != "plain"]
    kind = "plain" if rng.random() < 0.4 else str(rng.choice(others))
    steps, batch = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 1, 1, 1, 2]))
    digits = (None, 1, 2)[rng.integers(3)]
    return Cell.random(rng, kind, steps=steps, batch=batch, digits=digits)


@cache
def small_cells() -> tuple[Cell, ...]:
    return tuple(Cell.random(np.random.default_rng(24), steps=steps, digits=2) for steps in (1, 2))


def small_cell(rng: np.random.Generator) -> Cell:
    """Return one of two cells of which a sheet takes little time."""
    return small_cells()[rng.integers(2)]


@cache
def shared_cells() -> tuple[Cell, ...]:
    rng = np.random.default_rng(7)
    return tuple(random_cell(rng) for _ in range(30))


def shared_cell(rng: np.random.Generator) -> Cell:
    """Return one of thirty cells of many kinds, so that the mistakes in each are enumerated once for many sheets."""
    return shared_cells()[rng.integers(30)]


def plain_shared_cell(rng: np.random.Generator) -> Cell:
    """Return one of them without switches."""
    plain = [cell for cell in shared_cells() if cell.kind == "plain"]
    return plain[rng.integers(len(plain))]


@lru_cache(maxsize=30)  # a chain is dear where many mistakes are tried against it
def chain_of(cell: Cell) -> Chain:
    """Return what a person's numbers are compared with."""
    return Chain(cell.trace(), cell.dh, cell.dc)


Draw = Callable[[np.random.Generator], Cell]


def planted(kind: str, seed: int, n: int, tries: int = 200, draw: Draw = random_cell) -> Iterator[Planted]:
    """Go through cells with a slip of a kind, each drawn from its number and the seed."""
    rng = np.random.default_rng([seed, n, zlib.crc32(kind.encode())])
    for _ in range(tries):
        cell = draw(rng)
        there = [slip for slip in slips(cell, rng) if slip.kind == kind]
        if there:
            slip = there[rng.integers(len(there))]
            yield Planted(cell, chain_of(cell), slip, bool(rng.random() < 0.5), bool(rng.random() < 0.5))


def kinds(seed: int = 0) -> list[str]:
    """Return every kind of slip."""
    rng, found = np.random.default_rng(seed), dict[str, None]()
    for kind in KINDS:
        for steps, batch in ((1, 1), (3, 2), (2, 1)) * 2:
            found |= dict.fromkeys(slip.kind for slip in slips(Cell.random(rng, kind, steps=steps, batch=batch), rng))
    return list(found)


def written(numbers: Numbers, names: Iterable[str], digits: int) -> Numbers:
    return {name: np.round(numbers[name], digits) for name in names}


def first_off(wrong: Numbers, right: Numbers, names: Iterable[str], digits: int) -> tuple[str, float] | None:
    """Return the first line in which two sheets differ, and by how many units of the last digit."""
    for name in names:
        if wrong[name].shape != right[name].shape:
            return name, np.inf
        units = np.abs(wrong[name] - right[name]).max(initial=0) * 10.0**digits
        if units > 0.5:
            return name, float(units)
    return None


def judged(one: Planted, digits: int, only: Iterable[str] | None = None) -> Iterator[Judged]:
    """Go through the sheets on which a slip is visible, with what is said of them."""
    wrong, right = (work(one.cell, slip, digits, one.on_the_way) for slip in (one.slip, NONE))
    for sheet, names in one.sheets().items():
        if only is not None and sheet not in only:
            continue
        mine = written(wrong, names, digits)
        off = first_off(mine, written(right, names, digits), names, digits)
        if off is None or off[1] < CLEAR:
            continue
        try:
            marking = gw.check(mine, one.chain, digits=digits)
        except FileError:  # nothing is said of a sheet that is refused
            marking = Marking(())
        yield Judged(one, digits, sheet, off[0], mine, marking.first)


def measured(
    kind: str, seed: int, cells: int, digits: Iterable[int], tries: int = 40, draw: Draw = random_cell
) -> Iterator[Judged]:
    """Go through the sheets of so many cells in which a slip of a kind is visible."""
    for n in range(cells):
        for one in planted(kind, seed, n, tries, draw):
            found = [judged_one for d in digits for judged_one in judged(one, d)]
            if found:
                yield from found
                break
