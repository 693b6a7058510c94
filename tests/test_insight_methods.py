"""Which method names the step that an output rests on, and what none of them makes a share of."""

from __future__ import annotations

import re
import sys

import numpy as np
import planted
import pytest
from cases import DIRECTIONS, refusal, run_of
from matplotlib.figure import Figure
from program import exit_code, refusal_of
from stacks import random_lstm, random_state, random_x

import gatewise as gw
from gatewise import insight
from gatewise.insight.attribution import METHODS
from gatewise.reporting import questions


@pytest.mark.thorough
def test_experiments_name_the_step_that_was_let_in_and_some_methods_do_not():
    """The docstrings of `attribution` and `word_scores` say how often each does, of 48."""
    right = dict.fromkeys([*METHODS, "occlusion", "beta", "gamma"], 0)
    for seed in range(12):
        network, x, opened = planted.sampled(seed)
        trace = network.trace(x)
        for t in (48, 51, 54, 59):
            step = opened[opened <= t][-1]
            named = {name: insight.attribution(trace, 0, t, method=name).scores for name in METHODS}
            words = insight.word_scores(trace, 0, t)
            named |= {"beta": words.beta, "gamma": words.gamma}
            named["occlusion"] = np.nan_to_num(insight.occlusion(trace, 0, t, steps=20).columns["size"])
            for name, scores in named.items():
                right[name] += int(np.argmax(np.abs(scores)) == step)
    assert right.pop("occlusion") == 48
    assert right == {
        "gradient_input": 48,
        "integrated_gradients": 37,
        "lrp": 48,
        "contextual_decomposition": 12,
        "beta": 5,
        "gamma": 48,
    }
    titles = [question.title for question in questions.QUESTIONS]
    assert titles.index("Why this output {}?") < titles.index("What do gradients say of the output {}?")


def test_the_sentence_of_word_scores_is_about_what_is_left():
    network, x, opened = planted.sampled(1)
    found = insight.word_scores(network.trace(x), 0, 59)
    assert np.argmax(np.abs(found.beta)) != opened[-1]
    assert f"what is left of the writing at step {opened[-1]} moved it most, by {found.gamma[opened[-1]]:.4g}" in str(
        found
    )


# Only a part of a run.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_nearest_steps_are_explained_as_a_run_of_their_own(method, direction):
    run = run_of("peephole", direction=direction, valid="mask", time=9)
    trace, forward = run.trace(), direction == "forward"
    t = int(np.flatnonzero(trace.valid[:, 0])[-2 if forward else 1])
    found = insight.attribution(trace, 1, t, method=method, nearest=3)
    part = trace[t - 2 : t + 1] if forward else trace[t : t + 3]
    other = insight.attribution(part, 1, 2 if forward else 0, method=method)
    np.testing.assert_array_equal(found.scores, other.scores)
    assert (found.initial, found.left, found.start) == (other.initial, other.left, part.start)
    where = f"before step {t - 2}" if forward else f"after step {t + 2}"
    assert f"that of the state {where} is" in str(found)
    assert found.columns["time"][0] == f"state {where}"
    whole = insight.attribution(trace, 1, t, method=method, nearest=100)
    assert whole.initial == insight.attribution(trace, 1, t, method=method).initial
    assert "initial state's" in str(whole)


def test_both_directions_have_their_nearest_steps_and_final_states_all():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    trace = lstm.trace(random_x(lstm, 12, 1), random_state(lstm, 1))
    for method in METHODS:
        found = insight.attribution(trace, 1, 5, method=method, nearest=2)
        assert len(found.scores) == 3
        assert "that of the state before step 4 and after step 6 is" in str(found)
        total = found.scores.sum() + found.initial + found.left
        assert total == pytest.approx(found.value - found.baseline_value, abs=1e-12)
    last = gw.Network(lstm, reads="last").trace(random_x(lstm, 12, 1))
    assert len(insight.attribution(last, 1, nearest=2, method="lrp").scores) == 12


def test_a_picture_names_the_state_before_the_nearest_steps():
    network, x, _ = planted.sampled(1)
    axes = gw.plot.attribution(network.trace(x), Figure(), t=50, method="lrp", nearest=20)
    assert axes[1].texts[0].get_text().startswith("state\nbefore\n")
    axes = gw.plot.attribution(network.trace(x), Figure(), t=50, method="lrp")
    assert axes[1].texts[0].get_text().startswith("initial\nstate\n")


def test_of_a_memory_within_the_nearest_steps_the_state_before_has_no_share():
    network, x, opened = planted.sampled(3)
    for method in ("lrp", "gradient_input"):
        found = insight.attribution(network.trace(x), 0, opened[-1] + 2, method=method, nearest=5)
        assert abs(found.initial) < 1e-6
    missed = insight.attribution(network.trace(x), 0, opened[-1] + 3, method="lrp", nearest=2)
    assert abs(missed.initial) > 100 * np.abs(missed.scores).max()


def test_a_largest_share_that_others_have_too_is_said_to_be_theirs():
    lstm, x = planted.tally()
    found = insight.attribution(lstm.trace(x), method="gradient_input")
    assert f"(and nearly that of {int(x.sum()) - 1} other steps)" in str(found)


# What is refused, or not told.


def test_a_long_contextual_decomposition_is_refused_until_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys.modules["gatewise.insight.attribution"], "MANY", 20)
    trace = gw.LSTM(2, 3, rng=0).trace(np.random.default_rng(0).normal(size=(30, 2)))
    ask = {"method": "contextual_decomposition"}
    with refusal("needs 30 runs, one for each step", "nearest=20", "long=True", by=gw.OptionError):
        insight.attribution(trace, **ask)
    assert len(insight.attribution(trace, **ask, nearest=20).scores) == 20
    assert len(insight.attribution(trace, **ask, long=True).scores) == 30
    assert len(insight.attribution(trace, t=10, **ask).scores) == 30  # of which 11 have a share


def test_at_the_command_line_it_is_asked_for_by_an_option(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys.modules["gatewise.insight.attribution"], "MANY", 20)
    monkeypatch.chdir(tmp_path)
    gw.save(gw.LSTM(2, 3, rng=0), "m.safetensors")
    np.save("x.npy", np.random.default_rng(0).normal(size=(30, 2)))
    command = ["plot", "m.safetensors", "x.npy", "--kind", "attribution", "--method", "contextual_decomposition"]
    assert "needs 30 runs, one for each step" in refusal_of(capsys, *command)
    assert exit_code([*command, "--long"]) == 0
    assert "by contextual decomposition" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-300, 1e-40])
def test_no_share_is_made_of_rounding(method, scale):
    network = gw.Network(gw.LSTM(2, 3, rng=0, dtype=np.float64), head=gw.Linear(np.full((1, 3), scale), [1.0]))
    trace = network.trace(np.random.default_rng(0).normal(size=(5, 2)))
    found = insight.attribution(trace, method=method)
    assert "rounding" in found.unshared
    assert "largest share" not in str(found)
    with refusal("no picture", by=gw.OptionError):
        gw.plot.attribution(found)


@pytest.mark.parametrize("method", METHODS)
def test_no_share_is_made_of_what_is_not_finite(method):
    network = gw.Network(gw.LSTM(2, 3, rng=0, dtype=np.float64), head=gw.Linear(np.full((1, 3), 1e308), None))
    trace = network.trace(1e300 * np.random.default_rng(0).normal(size=(5, 2)))
    found = insight.attribution(trace, method=method)
    assert not re.search(r"\b(nan|inf)\b", str(found))
    assert found.unshared or np.isfinite(found.scores).all()


def switching(seed):
    """Return the trace of a small network between smooth and nearly switching."""
    rng = np.random.default_rng(seed)
    hidden, steps, gain = int(rng.integers(1, 6)), int(rng.integers(3, 25)), float(rng.choice([0.3, 1, 4, 15, 60]))
    cell = gw.Parameters(rng.normal(0, gain, (4, hidden, hidden + 2)), rng.normal(0, gain / 2, (4, hidden)))
    return gw.LSTM.from_cells(cell).trace(rng.normal(0, 1, (steps, 2)))


@pytest.mark.parametrize("seed", [*range(12), 30, 43, 59])
def test_an_integral_that_names_a_step_has_converged(seed):
    """Compared with a sum over 3,000 points."""
    found = insight.attribution(switching(seed), points=(50, 100, 200))
    if not found.unshared:
        fine = insight.attribution(switching(seed), points=3000, rule="riemann_middle")
        error = np.abs(found.scores - fine.scores).max()
        assert error <= 0.02 * max(abs(found.difference), np.abs(fine.scores).max())


def test_an_integral_whose_sum_is_right_by_chance_names_no_step():
    found = insight.attribution(switching(4), points=200)
    assert abs(found.left) < 0.005 * abs(found.difference)
    assert "every other of them gives shares that are off by 0.29, so no share is given" in str(found)
