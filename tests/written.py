"""Sheets of numbers as students write them: rounded, in part, of cells of all sizes, in files of every kind."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import run_of
from slips.by_hand import Cell, Line
from spellings import SPELLINGS

import gatewise as gw
from gatewise.grading import problem
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking
from gatewise.grading.verdicts import Cause

CLEAR = 60  # units of the last digit by which a wrong number is off, so that no rounding before it explains it
NEAR = 10  # units by which it is off where numbers that were not rounded on the way lead to it
PROVEN = 7  # digits that the wrong numbers tell together: enough to tell one mistake among hundreds from chance

Numbers = dict[str, np.ndarray]


Cells = Sequence[tuple[Cell, Chain]]
OTHER_ORDER: dict[str, Line] = {"z": lambda s: np.concatenate([s.x, s.h_prev], 1)}  # a known mistake


def rounded(numbers: Numbers, digits: int) -> Numbers:
    return {name: np.round(value, digits) for name, value in numbers.items()}


def off(written: np.ndarray, right: np.ndarray, digits: int) -> np.ndarray:
    """Return by how many units of the last digit each number is off."""
    if written.shape != right.shape:
        return np.full(right.shape, 1e9)
    return np.abs(written - right) * 10.0**digits


def first_off(written: Numbers, right: Numbers, digits: int) -> tuple[str | None, float]:
    """Return the first quantity that rounding alone does not explain, and how many digits its numbers tell.

    Where it is off by so little that the rounding of what comes before it may explain it, there are -1 digits.
    """
    for name in right:
        if name in written:
            units = off(written[name], right[name], digits)
            if units.max() > 0.5 + 1e-6:
                return name, float(np.log10(np.maximum(units, 1)).sum()) if units.max() >= CLEAR else -1.0
    return None, -1.0


def given(marking: Marking, written: Numbers, digits: int) -> tuple[Cause, ...]:
    """Return the causes that give what is written for the first wrong quantity, but for rounding before it."""
    if marking.first is None:
        return ()
    mine = written[marking.first.name]
    return tuple(
        one
        for one in marking.first.causes
        if one.predicted.shape == mine.shape and off(mine, one.predicted, digits).max() <= NEAR
    )


def shown(marking: Marking) -> str:
    first = marking.first
    if first is None:
        return "nothing"
    return f"{first.name}: {'; '.join(map(str, first.causes)) or 'no cause'} ({first.written} for {first.right})"


def subset(names: list[str], rng: np.random.Generator, whole: float = 1 / 3) -> list[str]:
    """Return some of the names, in any order; so often all of them."""
    if rng.random() < whole:
        return list(names)
    return [names[n] for n in rng.permutation(len(names))[: rng.integers(1, len(names) + 1)]]


def plain_cell(rng: np.random.Generator, *, inputs: int = 0, hidden: int = 0, batch: int = 1, steps: int = 1) -> Cell:
    """Return a random cell without switches; a size of 0 is drawn, too."""
    inputs, hidden = inputs or int(rng.integers(1, 7)), hidden or int(rng.integers(2, 8))
    p = gw.Parameters(
        weight=rng.normal(0, 0.7, (4, hidden, hidden + inputs)),
        bias=rng.uniform(0.2, 0.9, (4, hidden)) * rng.choice([-1, 1], (4, hidden)),
    )
    h, c = rng.uniform(-0.8, 0.8, (batch, hidden)), rng.normal(0, 0.8, (batch, hidden))
    return Cell("plain", p, rng.normal(0, 1, (steps, batch, inputs)), h, c, np.ones_like(h), np.zeros_like(c))


FEW, MANY, MOST = (5, 0), (10, 1), (20, 3)  # how many cells are drawn, from which seed: of the last two by the peers


def sheets(few: int, many: int, more: tuple[int, int] = MANY) -> pytest.MarkDecorator:
    """Parametrize a test by the cells that it draws and how often it takes each; the peers' tests take more of both."""
    return pytest.mark.parametrize(("drawn", "each"), [(FEW, few), pytest.param(more, many, marks=pytest.mark.peers)])


@cache
def cells(count: int, seed: int) -> tuple[tuple[Cell, Chain], ...]:
    """Return random cells of random runs, each with all that is checked against it: among five, of every length."""
    rng, found = np.random.default_rng(seed), []
    for n in range(count):
        steps = (1, 2, 1, 1, 3, 1, 1, 1, 2, 1)[n % 10]
        subject = plain_cell(rng, batch=(1, 1, 2, 1, 3)[n % 5], steps=steps)
        found.append((subject, Chain(subject.trace())))
    return tuple(found)


# In files.


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file, over what is there: to empty it first takes some file systems a hundred times as long."""
    path = folder / name
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        file.truncate()
    return path


def as_csv(numbers: dict[str, np.ndarray], digits: int) -> str:
    return SPELLINGS["csv"](numbers, digits)[1].decode()


def as_json(numbers: dict[str, np.ndarray], digits: int) -> str:
    return SPELLINGS["json"](numbers, digits)[1].decode()


def as_npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def problem_of(variant: str, projection: str, steps: int = 2, rows: int = 2) -> tuple[problem.Problem, dict]:
    """Return a problem, and its variant's switches as JSON has them."""
    run = run_of(variant, projection=projection, time=steps, batch=rows)
    p = run.p
    made = problem.Problem(p, run.x, run.state, np.full((rows, p.recurrent_size), 2.0), np.ones((rows, p.hidden_size)))
    switches = {name: value for name, value in p.variant.differences().items() if value is not None}
    return made, {name: value if isinstance(value, float) else str(value) for name, value in switches.items()}


def as_problem(switches: object, numbers: Mapping[str, object]) -> str:
    """Return what a problem gives as JSON."""
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in numbers.items()}
    return json.dumps({"variant": switches, "given": plain})
