"""The classes of mistakes: every one that can be named is documented, and short enough for a label."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cases import run_of

from gatewise.grading.candidates import Catalogue, entry_slips
from gatewise.grading.chain import Chain
from gatewise.grading.classroom import MOST_NAME
from gatewise.grading.edits.entries import writing_slips

PAGE = Path(__file__).parent.parent / "docs" / "marking-json.md"
RUNS = {
    "peephole, coupling, clips": {"projection": "projected", "time": 1},
    "layer norm of the gates": {"time": 1},
    "plain": {"time": 3},
}
OF_NONLINEARITIES = re.compile(r"(hard sigmoid|sigmoid|tanh|relu) for [a-z_ ]+")


def documented() -> set[str]:
    """Return the kinds in the table of the page."""
    section = PAGE.read_text(encoding="utf-8").partition("### Kinds")[2].partition("\n## ")[0]
    return set(re.findall(r"`([^`]+)`", section))


def kinds_of(run: str) -> set[str]:
    """Return the kinds of all edits of a cell, of slips in its sums, and of how numbers are written."""
    chain = Chain(run_of(run, batch=1, inputs=2, hidden=2, **RUNS[run]).trace())
    lines = [chain.by_name[name if chain.steps == 1 else f"{name}[0]"] for name in ("f", "c")]
    values = {line.place: line.key for line in lines}
    made = [
        one for effect, _ in entry_slips(chain, lines, np.array([True, False]), values, 5e-5) for one in effect.values()
    ]
    found = {kind for kind, *_ in Catalogue(chain).families} | {one.edit.kind for one in made}
    right, written, margin = np.array([0.1234, 0.5]), np.array([0.1324, 0.2]), np.full(2, 5e-5)
    for wrong in ([True, False], [True, True]):
        found |= {kind for kind, *_ in writing_slips(right, written, np.array(wrong), margin, margin, is_matrix=False)}
    return found


@pytest.mark.parametrize("run", RUNS)
def test_every_kind_is_documented_and_fits_beside_a_bar(run):
    found = kinds_of(run)
    assert len(found) > 40
    assert not {kind for kind in found if not OF_NONLINEARITIES.fullmatch(kind)} - documented()
    assert max(map(len, found)) <= MOST_NAME
