"""A slip, and the work of somebody who makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from slips.by_hand import PARAMETERS, Cell, Line, Numbers, Page

Into = tuple[np.ndarray, np.ndarray, np.ndarray]  # the x, h_prev and c_prev of a step
Carry = Callable[[Cell, int, Sequence[Page]], Into]
Back = Callable[[Cell, int, Sequence[Page]], tuple[np.ndarray, np.ndarray]]  # the dh and dc_next of a step
Spoil = Callable[[np.ndarray, int], np.ndarray]  # what becomes of a value that is written with so many decimals
Total = Callable[[Sequence[np.ndarray]], np.ndarray]  # what is made of the gradients of all steps, in time's order


@dataclass(frozen=True, eq=False)
class Slip:
    """One slip."""

    kind: str  # as a list of slips has it
    says: str  # where it is made, and what is written there instead
    lines: Mapping[str, Line] = field(default_factory=dict)  # in place of the right ones
    at: tuple[int, ...] | None = None  # the steps at which they are; None for all
    carry: Carry | None = None  # what a step is given by the one before it
    back: Back | None = None  # and backward by the one after it
    totals: Mapping[str, Total] = field(default_factory=dict)  # of a gradient, instead of the sum over all steps
    spoil: Mapping[str, Spoil] = field(default_factory=dict)  # of single quantities as they are written, by full names
    copied: bool = False  # whether those are slips in copying, so that the right value is carried on
    backward: bool = False  # whether it is made in the backward pass

    def __str__(self) -> str:
        return f"{self.kind}: {self.says}" + ("" if self.at is None else f", at step {', '.join(map(str, self.at))}")


NONE = Slip("none", "nothing")


def carried(cell: Cell, t: int, pages: Sequence[Page]) -> Into:
    """Return what a step is given: its x, and the states of the step before."""
    return (cell.x[t], pages[t - 1]["h"], pages[t - 1]["c"]) if t else (cell.x[0], cell.h, cell.c)


def carried_back(cell: Cell, t: int, pages: Sequence[Page]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a step is given backward, by the step after it."""
    return (pages[t + 1]["dh_prev"], pages[t + 1]["dc_prev"]) if t < cell.steps - 1 else (cell.dh, cell.dc)


def work(
    cell: Cell,
    slip: Slip = NONE,
    digits: int = 15,
    on_the_way: bool = False,
    dtype: type = np.float64,
    carry_on: Callable[[str, np.ndarray], np.ndarray] | None = None,
) -> Numbers:
    """Return every quantity by name, as somebody computes it who makes a slip.

    `digits` is the number of decimals that are written, and, where rounding happens on the way, carried on. `carry_on`
    returns the value of a quantity with which the work goes on, from its name and the value that is written.
    """
    numbers: Numbers = {}
    several = cell.steps > 1

    def write(name: str, value: np.ndarray) -> np.ndarray:
        value = np.asarray(value, dtype=dtype)
        if on_the_way and not name.startswith("z"):  # whose numbers are copied, and were rounded before
            value = np.round(value, digits)
        numbers[name] = slip.spoil[name](value, digits) if name in slip.spoil else value
        value = value if slip.copied else numbers[name]
        return value if carry_on is None else carry_on(name, value)

    def fill(t: int, page: Page, which: int) -> None:
        slips = slip.at is None or t in slip.at
        for name, line in cell.lines[which].items():
            full = f"{name}[{t}]" if several else name
            page.found[name] = write(full, (slip.lines.get(name, line) if slips else line)(page))

    pages: list[Page] = []
    for t in range(cell.steps):
        pages.append(Page(cell, *(slip.carry or carried)(cell, t, pages)))
        fill(t, pages[t], 0)
    for t in reversed(range(cell.steps)):
        pages[t].dh, pages[t].dc_next = (slip.back or carried_back)(cell, t, pages)
        fill(t, pages[t], 1)
    for name in cell.lines[1] if several else ():
        if name[:2] in PARAMETERS:
            write(name, slip.totals.get(name, sum)([page[name] for page in pages]))
    single = cell.batch == 1
    return {name: value[0] if single and name[:2] not in PARAMETERS else value for name, value in numbers.items()}


def wrong_work(
    cell: Cell,
    lines: Mapping[str, Line] | None = None,
    spoiled: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    carry_on: Callable[[str, np.ndarray], np.ndarray] | None = None,
) -> Numbers:
    """Return every quantity by name, with lines in place of the right ones, and with single quantities changed."""
    spoil = {name: lambda value, _, change=change: change(value) for name, change in (spoiled or {}).items()}
    return work(cell, Slip("", "", lines or {}, spoil=spoil), carry_on=carry_on)
