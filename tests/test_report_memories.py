"""Does a report tell how long a network remembers? Memories of known length, among other units and layers."""

from __future__ import annotations

import re

import numpy as np
import planted
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise.reporting import build

TITLE = "How long does a change of the input show?"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def of_memory(monkeypatch):
    """Leave a report its question about memory alone, since the others take longer."""
    monkeypatch.setattr(build, "QUESTIONS", [each for each in build.QUESTIONS if each.title == TITLE])


def memory_of(model, x, **options):
    """Return the sentence on top of a report, the one of its finding, and the answer that both rest on."""
    report = gw.report(model, x, **options)
    (finding,) = report.headlines
    assert finding.reading[0].startswith("Tested: ")
    return finding.headline.split(";")[0], finding.sentence, finding.answer  # what a unit keeps follows


def steps_in(headline):
    """Return the number of steps for which a headline says that changes show in the output."""
    (found,) = re.findall(r"shows in the output for (?:at least )?([\d,]+) steps", headline)
    return int(found.replace(",", ""))


@pytest.mark.subjects(1)
@pairs(
    kind=planted.MEMORIES,
    where=("alone", "above", "below"),
    regular=(True, False),
    others=(0, 2, 9),
    dtype=(np.float64, np.float32),
    thin=True,
)
def test_a_report_tells_how_long_a_planted_memory_lasts_and_where_it_lives(kind, where, regular, others, dtype):
    seed = [*planted.MEMORIES].index(kind) + 10 * others
    memory = planted.memory(kind, where=where, regular=regular, others=others, dtype=dtype, seed=seed)
    headline, sentence, answer = memory_of(memory.network, memory.x)
    assert memory.least <= steps_in(headline) == answer.steps <= memory.most
    for_ever = memory.most == len(memory.x)
    assert ("at least" in headline, answer.at_least) == (for_ever, for_ever)
    if kind.startswith("held"):
        assert "until the input ends it" in sentence or "and then no more" in sentence
        assert regular or "until" in sentence
    if kind == "fading":
        assert "nine tenths of its effect have come" in sentence
    layers, units, steps, through = (answer.columns[name] for name in ("layer", "unit", "steps", "through"))
    (row,) = np.flatnonzero((layers == memory.place[0]) & (units.astype(int) == memory.place[1]))
    assert memory.least - 1 <= steps[row] <= memory.most
    assert through[row] == memory.through
    if not others:
        assert row == np.argmax(steps)


@pytest.mark.subjects(1)
@pytest.mark.parametrize("others", [0, 5])
@pytest.mark.parametrize("kind", ["held in c", "held in h"])
def test_what_a_backward_direction_holds_shows_ahead(kind, others):
    memory = planted.memory(kind, others=others)
    backward = gw.LSTM.from_cells(memory.network.lstm[0], direction="backward")
    headline, sentence, answer = memory_of(memory.network.replace(lstm=backward), memory.x[::-1])
    assert (answer.steps, answer.stable) == (0, True)
    assert memory.least <= answer.ahead <= memory.most
    assert f"at up to {answer.ahead} steps before it" in headline
    assert f"at the {answer.ahead} steps before it" in sentence


@pytest.mark.thorough
@pytest.mark.parametrize(("units", "gain"), [(24, 3.5), pytest.param(80, 2.5, marks=pytest.mark.peers)])
def test_a_run_that_small_changes_upset_is_called_unstable(units, gain):
    weight, bias = planted.gate_arrays(units, 1)
    rng = np.random.default_rng(0)  # not all weights of this size do so
    weight[2] = rng.normal(0, gain / np.sqrt(units), weight[2].shape)
    headline, sentence, answer = memory_of(gw.LSTM.from_cells(gw.Parameters(weight, bias)), rng.normal(size=(200, 1)))
    assert not answer.stable
    assert "The run is unstable" in headline
    assert "No horizon can be told, since the run is unstable" in sentence


@pytest.mark.thorough
def test_a_report_on_a_sequence_of_a_batch_tells_how_long_that_one_remembers():
    slow, fast = (planted.memory("held in c", gap=gap, others=2, steps=200) for gap in (25, 10))
    x = np.stack([slow.x, fast.x], axis=1)
    for sequence, memory in ((None, slow), (0, slow), (1, fast)):
        headline, *_ = memory_of(slow.network, x, sequence=sequence)
        assert memory.least <= steps_in(headline) <= memory.most


@pytest.mark.parametrize("gaps", [(25, 25), (10, 25)])
def test_a_horizon_that_differs_between_halves_of_the_sequences_is_no_headline(gaps):
    pair = [planted.memory("held in c", gap=gap, others=0) for gap in gaps]
    x = np.stack([memory.x for memory in pair * 3], axis=1)  # sequence by sequence, the one and the other
    report = gw.report(pair[0].network, x)
    (said,) = (finding.checks for finding in report.findings if finding.checks)
    if gaps[0] == gaps[1]:
        assert "even and odd sequences agree" in said
        assert report.headlines
    else:
        assert "even and odd sequences differ" in said
        assert not report.headlines
        assert "differs between halves of the data" in str(report)
