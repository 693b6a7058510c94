"""The smallest case that still fails: attributes, steps, sequences, units and features are left out while it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gatewise.judge.designs import Design, draw
from gatewise.judge.subjects import Subject
from gatewise.judge.verdicts import IGNORED, WRONG, CaseVerdict

SIZES = ("num_steps", "batch_size", "hidden_size", "input_size")
MAX_RUNS = 200  # of the engine, for one case


def shrink(subject: Subject, verdict: CaseVerdict) -> CaseVerdict:
    """Return the verdict on the smallest case that fails as a given one does; the engine is started if need be."""
    runs, smallest = 0, verdict

    def failing(design: Design) -> CaseVerdict | None:
        """Return the verdict on a smaller case if it fails in the same way."""
        nonlocal runs
        if runs >= MAX_RUNS or not subject.can_express(design):
            return None
        runs += 1
        trial = draw(design)
        found = subject.judge.verdict(trial, subject.process.run(subject.message(trial)), explain=False)
        if (found.difference is None) != (verdict.difference is None):
            return None  # a wrong shape is another fault than a wrong number
        wrong = {WRONG, IGNORED}
        return found if found.kind == verdict.kind or {found.kind, verdict.kind} <= wrong else None

    changed = True
    while changed:
        changed, design = False, smallest.design
        for attribute in sorted(design.attributes):
            if (found := failing(smallest.design.without(attribute))) is not None:
                smallest, changed = found, True
        for name in SIZES:
            for size in range(1, min(getattr(smallest.design, name), 12)):
                resized: dict[str, Any] = {name: size}
                if (found := failing(replace(smallest.design, **resized))) is not None:
                    smallest, changed = found, True
                    break
    if smallest is verdict:
        return verdict
    sentence = smallest.sentence or verdict.sentence  # that about a wrong shape has its numbers
    return replace(smallest, kind=verdict.kind, sentence=sentence, about=verdict.about, causes=verdict.causes)
