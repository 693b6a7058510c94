"""Right sheets, as people work and write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from slips.by_hand import Cell, Numbers
from slips.judging import Draw, Planted, chain_of, random_cell
from slips.work import NONE, Slip, work
from spellings import SPELLINGS

import gatewise as gw
from gatewise.errors import FileError
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking
from gatewise.grading.sheet import Fault

WAYS = ("from memory", "on the way", "now and then", "cut off", "float32")  # how numbers are worked out, and rounded


def in_single(cell: Cell) -> Cell:
    """Return a cell with its numbers in float32, as PyTorch has them."""
    arrays = {name: getattr(cell, name).astype(np.float32) for name in ("x", "h", "c", "dh", "dc")}
    return replace(cell, p=cell.p.astype(np.float32), **arrays)


def right_work(cell: Cell, way: str, digits: int, rng: np.random.Generator) -> Numbers:
    """Return every number of a cell, worked out in one way: now and then from the paper, else from memory."""
    if way == "float32":
        return work(in_single(cell), dtype=np.float32)
    if way == "now and then":
        return work(cell, carry_on=lambda _, value: np.round(value, digits) if rng.random() < 0.5 else value)
    found = work(cell, NONE, digits, way == "on the way")
    return {name: cut(value, digits) for name, value in found.items()} if way == "cut off" else found


def cut(value: np.ndarray, digits: int) -> np.ndarray:
    """Return numbers without the digits after the last that is written."""
    text = [f"{one:.{digits + 9}f}" for one in value.reshape(-1)]
    return np.array([float(one[: one.index(".") + digits + 1]) for one in text]).reshape(value.shape)


@dataclass(frozen=True, eq=False)
class Right:
    """A right sheet, and what was said of it."""

    way: str
    spelling: str
    says: str
    marking: Marking

    @property
    def accused(self) -> bool:
        return bool(self.marking.count("wrong", "right from a wrong line") or self.marking.faults)

    def __str__(self) -> str:
        told = [
            f"{one.name} {one.status}: {one.written!r} for {one.right!r}"
            for one in self.marking.verdicts
            if one.status in ("wrong", "right from a wrong line")
        ]
        return f"{self.way}, {self.spelling}: {self.says} → {'; '.join([*told[:4], *map(str, self.marking.faults)])}"


def right_sheets(seed: int, count: int, folder: str, each: int = 10, draw: Draw = random_cell) -> Iterator[Right]:
    """Go through so many right sheets, so many of each cell, every spelling in turn; they are written into a folder."""
    made = n = 0
    while made < count:
        rng = np.random.default_rng([seed, n])
        cell = draw(rng)
        chain = chain_of(cell)
        for _ in range(min(each, count - made)):
            yield right_sheet(list(SPELLINGS)[made % len(SPELLINGS)], cell, chain, rng, folder)
            made += 1
        n += 1


def right_sheet(spelling: str, cell: Cell, chain: Chain, rng: np.random.Generator, folder: str) -> Right:
    """Return one right sheet, worked in any way."""
    way = "float32" if spelling.startswith("float32") else str(rng.choice(WAYS))
    digits = int(rng.integers(4, 11) if way == "float32" else rng.integers(3, 7 if way == "cut off" else 11))
    backward = bool(rng.random() < 0.5)
    sheets = Planted(cell, chain, Slip("", "", backward=backward), False, backward).sheets()
    names = sheets[str(rng.choice(list(sheets)))]
    if rng.random() < 0.3:
        names = [str(name) for name in rng.permutation(names)[: rng.integers(1, len(names) + 1)]]
    numbers = right_work(cell, way, digits, rng)
    ending, content = SPELLINGS[spelling]({name: numbers[name] for name in names}, digits)
    path = Path(folder) / f"sheet.{ending}"
    path.write_bytes(content)
    sizes = f"{cell.kind}, {cell.inputs} inputs, {cell.hidden} hidden, {cell.steps} steps, batch {cell.batch}"
    says = f"{sizes}; {len(names)} lines at {digits} digits"
    try:
        return Right(way, spelling, says, gw.check(path, chain))
    except FileError as refused:
        return Right(way, spelling, says, Marking((), faults=(Fault("", "", str(refused)),)))
