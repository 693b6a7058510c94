"""Right sheets, as people work and write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from slips.by_hand import Cell, Numbers
from slips.judging import Planted, random_cell
from slips.work import NONE, Slip, work

import gatewise as gw
from gatewise.grading import sheet
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking

Spelling = Callable[[float], str]


def cut(value: float, digits: int) -> str:
    """Return a number with its digits after the last one cut off."""
    text = f"{value:.{digits + 9}f}"
    return text[: text.index(".") + digits + 1]


def decimals(digits: int) -> Spelling:
    return lambda value: f"{value:.{digits}f}"


@dataclass(frozen=True)
class Way:
    """How somebody works and writes.

    Attributes
    ----------
    digits : int or None
        How many decimals are written; None for as many as Python writes.
    single : bool
        Whether it is worked in float32.
    on_the_way : bool
        Whether what is written is carried on, instead of what a machine still holds.
    cut : bool
        Whether further digits are cut off.
    """

    digits: int | None = None
    single: bool = False
    on_the_way: bool = False
    cut: bool = False

    def spell(self, value: float) -> str:
        if self.digits is None:
            return str(np.float32(value)) if self.single else repr(float(value))
        return cut(float(value), self.digits) if self.cut else f"{value:.{self.digits}f}"

    def work(self, cell: Cell) -> Numbers:
        if self.single:
            return work(in_single(cell), dtype=np.float32)
        return work(cell, NONE, self.digits or 15, self.on_the_way)


WAYS: dict[str, Way] = {
    **{f"{n} decimals": Way(n) for n in (3, 4, 6, 8, 10)},
    **{f"{n} decimals, on the way": Way(n, on_the_way=True) for n in (3, 4, 5, 7)},
    **{f"{n} decimals cut off": Way(n, cut=True) for n in (3, 4, 6)},
    **{f"float32, %.{n}f": Way(n, single=True) for n in (4, 6, 7, 8, 10)},
    "float32, str": Way(single=True),
    "float64, repr": Way(),
}


def in_single(cell: Cell) -> Cell:
    """Return a cell with its numbers in float32, as PyTorch has them."""
    arrays = {name: getattr(cell, name).astype(np.float32) for name in ("x", "h", "c", "dh", "dc")}
    return replace(cell, p=cell.p.astype(np.float32), **arrays)


@dataclass(frozen=True, eq=False)
class Right:
    """A right sheet, and what was said of it."""

    way: str
    says: str
    marking: Marking

    @property
    def accused(self) -> bool:
        return bool(self.marking.count("wrong", "follows") or self.marking.faults)

    def __str__(self) -> str:
        told = [
            f"{one.name} {one.status}: {one.written!r} for {one.right!r}"
            for one in self.marking.verdicts
            if one.status in ("wrong", "follows")
        ]
        return f"{self.way}: {self.says} → {'; '.join([*told[:4], *map(str, self.marking.faults)])}"


def right_sheets(seed: int, count: int, folder: str, each: int = 10) -> Iterator[Right]:
    """Go through so many right sheets, so many of each cell, every way in turn; they are written into a folder."""
    made = n = 0
    while made < count:
        rng = np.random.default_rng([seed, n])
        cell = random_cell(rng)
        chain = Chain(cell.trace(), cell.dh, cell.dc)
        for _ in range(min(each, count - made)):
            way = list(WAYS)[made % len(WAYS)]
            yield right_sheet(way, cell, chain, rng, folder)
            made += 1
        n += 1


def right_sheet(way: str, cell: Cell, chain: Chain, rng: np.random.Generator, folder: str) -> Right:
    """Return one right sheet."""
    backward = bool(rng.random() < 0.5)
    sheets = Planted(cell, chain, Slip("", "", backward=backward), False, backward).sheets()
    names = sheets[str(rng.choice(list(sheets)))]
    if rng.random() < 0.3:
        names = [str(name) for name in rng.permutation(names)[: rng.integers(1, len(names) + 1)]]
    numbers = WAYS[way].work(cell)
    lines = [
        ",".join([f'"{name}"', *map(WAYS[way].spell, row)]) for name in names for row in np.atleast_2d(numbers[name])
    ]
    path = f"{folder}/sheet.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    sizes = f"{cell.kind}, {cell.inputs} inputs, {cell.hidden} hidden, {cell.steps} steps, batch {cell.batch}"
    return Right(way, f"{sizes}; {len(names)} lines", gw.check(sheet.read(path), chain))
