"""Whether sheets are marked fairly: `PYTHONPATH=tests python -m tests.fairness 20000`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from paper import GATES, SPELLINGS, Allowance, Lesson, Paper, half_unit, half_unit_unpadded, lesson, paper

import gatewise as gw
from gatewise.errors import FileError
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking

STATUSES = ("right", "right from a wrong line", "close", "too coarse", "incomplete", "wrong", "missing")
EARNING = STATUSES[:3]
SHEETS_EACH = 50  # of a lesson


@dataclass(frozen=True, eq=False)
class Outcome:
    """A sheet, how it was marked, and the laws that this breaks."""

    paper: Paper
    spelling: str
    marking: Marking
    broken: list[str] = field(default_factory=list)

    @property
    def statuses(self) -> set[str]:
        return {verdict.status for verdict in self.marking.verdicts}

    def __str__(self) -> str:
        return f"{self.paper.says}; {self.spelling}: {'; '.join(self.broken[:3])}"


def chain_of(s: Lesson) -> Chain:
    """Return what the sheets of a lesson are compared with."""
    p = gw.Parameters(weight=np.stack([s.W[k] for k in GATES]), bias=np.stack([s.b[k] for k in GATES]))
    trace = gw.LSTM.from_cells(p).trace(s.x[:, None], [[gw.State(s.h[None], s.c[None])]])[0]
    return Chain(trace, s.dh)


def outcomes(seed: int, count: int, folder: str) -> Iterator[Outcome]:
    """Yield so many sheets, half of them right, with how they were marked."""
    for n in range(count):
        if n % SHEETS_EACH == 0:
            rng = np.random.default_rng([seed, n])
            subject = lesson(rng)
            chain = chain_of(subject)
        sheet, spelling = paper(rng, subject, right=n % 2 == 0), list(SPELLINGS)[n % len(SPELLINGS)]
        ending, spell = SPELLINGS[spelling]
        path = Path(folder) / f"sheet.{ending}"
        path.write_text(spell(sheet.texts) + "\n", encoding="utf-8")
        try:
            marking = gw.check(path, chain, repeat="every")
        except FileError as refusal:
            yield Outcome(sheet, spelling, Marking(()), [str(refusal)])
            continue
        yield Outcome(sheet, spelling, marking, list(broken_laws(sheet, marking)))


def broken_laws(sheet: Paper, marking: Marking) -> Iterator[str]:
    """Yield a sentence for each law that the marking of a sheet breaks."""
    yield from map(str, marking.faults)
    status = {verdict.name: verdict.status for verdict in marking.verdicts}
    if set(status) != set(sheet.texts) and not marking.faults:
        yield f"{set(sheet.texts) ^ set(status)} are not on both"
    if not set(status.values()) <= set(STATUSES) or marking.marks != sum(map(marking.count, EARNING)):
        yield "the verdicts do not add up"
    fine = {n for n, texts in sheet.texts.items() if (off(texts, sheet.key[n]) <= half_unit(texts)).all()}
    yield from (f"{n} is {s}" for n, s in status.items() if n in fine and s not in ("right", "too coarse"))
    if sheet.right:
        yield from (f"{n} is {s}" for n, s in status.items() if s not in ("right", "close", "too coarse"))
    yield from (f"{n} is too coarse" for n, s in status.items() if s == "too coarse" and not is_coarse(sheet, n))
    vague = (n for n, s in status.items() if s in ("right", "close") and tells_nothing(sheet, n))
    yield from (f"{n} is {status[n]} with so few digits" for n in vague)
    rounded, cut_off = (Allowance(sheet, factor) for factor in (1.0, 2.0))
    if any(status.get(n) in EARNING for n, _ in rounded.broken()):
        wrong = dict(cut_off.broken())
        yield from (f"{n} is {status[n]}: {values}" for n, values in wrong.items() if status.get(n) in EARNING)
        if wrong and marking.correct:
            yield "a wrong sheet is called right"


def off(texts: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return how far written numbers are from the right ones."""
    return np.abs(texts.astype(float) - key)


def is_coarse(sheet: Paper, name: str) -> bool:
    """Return whether half a unit of the last digit is a fifth of a line's right or written numbers, or more."""
    texts = sheet.texts[name]
    half, values = 3 * half_unit_unpadded(sheet, name), np.abs(texts.astype(float))
    sizes = [np.abs(sheet.key[name]), values]
    return any(
        bool((half >= 0.2 * size.max()).any() or (half >= size)[size >= 0.1 * size.max()].any()) for size in sizes
    )


def tells_nothing(sheet: Paper, name: str) -> bool:
    """Return whether half a unit of the last digit is more than a quarter of a line's numbers, none of them exact."""
    texts, key = sheet.texts[name], sheet.key[name]
    sizes = np.maximum(np.abs(key), np.abs(texts.astype(float)))
    return bool((half_unit(texts) > 0.25 * sizes.max()).all() and (off(texts, key) > 1e-6).all())


def main(count: int) -> None:
    tally, shown = Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for outcome in outcomes(2, count, folder):
            kind = "right" if outcome.paper.right else "wrong"
            tally[f"{kind} sheets"] += 1
            tally.update(f"{kind}: lines {verdict.status}" for verdict in outcome.marking.verdicts)
            tally[f"{kind}: broken"] += bool(outcome.broken)
            if outcome.broken and shown < 40:
                shown += 1
                print(outcome)
    for name, number in sorted(tally.items()):
        print(f"{number:8,} {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
