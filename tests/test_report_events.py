"""What a report explains: different events, none of them where the state builds up, or what the caller names."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import planted
import pytest
from cases import refusal

import gatewise as gw
from gatewise.network import Windows
from gatewise.opening.run import run_of
from gatewise.reporting import build, events, questions
from gatewise.reporting import subject as subjects
from gatewise.reporting.subject import subject_of

pytestmark = pytest.mark.usefixtures("planted_horizon")
STUDY = subjects.HorizonStudy
RNG = np.random.default_rng(0)
STEPS = np.arange(400)


def echo(count=1, activation=None, keep=None, weight=None, **options):
    """Return a network whose outputs are its inputs, in a bucket that keeps a share of its content if that is given."""
    cell, bias = np.zeros((4, count, 2 * count)), np.zeros((4, count))
    bias[0] = bias[3] = planted.SURE
    bias[1] = -planted.SURE if keep is None else np.log(keep / (1 - keep))
    cell[2, :, count:] = 1e-4 * np.eye(count)  # where tanh is a line
    lstm = gw.LSTM.from_cells(gw.Parameters(cell, bias))
    head = gw.Linear(1e4 * np.eye(count) if weight is None else 1e4 * weight, None, activation)
    return gw.Network(lstm, head=head, **options)


def explained(model, x, sequence=None, at=None, target=None, **options):
    """Return the subject of a report."""
    return subject_of(run_of(model, x, options, "", ""), sequence=sequence, at=at, target=target)


def lasting(steps=0, ahead=0, **others):
    """Return a horizon as far as events look at one."""
    return SimpleNamespace(
        steps=steps, ahead=ahead, **{"stable": True, "output": "", "at_least": False, "ahead_at_least": False} | others
    )


@pytest.fixture
def planted_horizon(monkeypatch):
    """Tell the horizon of an echo, or of its bucket, instead of looking for it: that takes the time."""

    def told(run, **options):
        forget = np.nan_to_num(run.lstm.first.forget_gate).max()
        steps = 0 if forget < 1e-9 else int(np.log(0.1) / np.log(forget))
        found = lasting(*((0, steps) if run.lstm.directions == ("backward",) else (steps, 0)))
        return SimpleNamespace(answer=lambda output=None: found)

    monkeypatch.setattr(subjects, "HorizonStudy", told)


def peak(at, width, size=1.0):
    return size * np.exp(-0.5 * ((STEPS - at) / width) ** 2)


def noise(size=1e-3):
    return np.random.default_rng(0).normal(0, size, 400)


# One event, or two.


@pytest.mark.parametrize("width", [1, 8, 25])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_peak_is_one_event_however_broad_it_is(width, sign):
    y = sign * peak(200, width) + noise() + 7
    for keep in (None, 0.5):
        subject = explained(echo(keep=keep), y[:, None])
        assert len(subject.steps) == 1
        assert abs(subject.steps[0] - 200) <= 3
        assert ", where it is furthest from its mean" in subject.reason


@pytest.mark.parametrize(("size", "count"), [(0.8, 2), (-0.8, 2), (0.4, 1), (-0.4, 1)])
def test_two_peaks_are_two_events_if_the_second_is_half_as_large(size, count):
    y = peak(150, 5) + peak(300, 5, size) + noise()
    subject = explained(echo(), y[:, None])
    assert [abs(t - at) < 3 for t, at in zip(subject.steps, (150, 300), strict=False)] == [True] * count
    assert ("the two events" in subject.reason) == (count == 2)


def test_a_half_return_makes_two_events_only_if_a_horizon_lies_between_them():
    y = peak(200, 8) + peak(230, 8, 0.95) + noise()
    y = np.where((STEPS > 200) & (STEPS < 230), np.maximum(y, 0.4), y)
    assert len(explained(echo(), y[:, None]).steps) == 2  # its horizon is 0
    valid = np.ones((400, 1), bool)
    for steps, count in ((25, 2), (40, 1)):
        horizon = lasting(steps)
        chosen = events.choose_events(None, y[:, None, None], valid, np.ones(1, bool), None, horizon, ())
        assert len(chosen.steps) == count


@pytest.mark.parametrize("seed", range(20))
def test_events_are_those_of_a_search_through_all_pairs(seed):
    rng = np.random.default_rng(seed)
    y = np.convolve(rng.normal(size=80) ** 3, np.ones(1 + seed % 4), "same")
    valid = rng.uniform(size=80) < (0.8 if seed % 2 else 1.0)
    lags = int(rng.integers(0, 15))
    horizon = lasting(lags)
    found = events.choose_events(None, y[:, None, None], valid[:, None], np.ones(1, bool), None, horizon, ())
    places = np.flatnonzero(valid)
    deviation = np.where(valid, y - y[valid].mean(), 0)
    able = places[min(2 * lags, len(places) // 4) :]
    first = max(able, key=lambda t: abs(deviation[t]))
    seconds = []
    for t in able:
        inside = places[(places >= min(t, first)) & (places <= max(t, first))]
        between = deviation[inside] * np.sign(deviation[first])
        share = max(0, between.min()) / abs(deviation[t])
        apart = share <= 0.1 or (share <= 0.5 and abs(t - first) >= max(1, lags))
        if apart and abs(deviation[t]) >= abs(deviation[first]) / 2:
            seconds.append(t)
    second = max(seconds, key=lambda t: abs(deviation[t])) if seconds else None
    assert found.steps == ((first,) if second is None else (first, second))


def test_what_repeats_with_its_inputs_is_one_event():
    period = np.random.default_rng(0).normal(0, 0.1, 26)
    period[[3, 11]] = 5.0, 4.0
    y = np.tile(period, 12)[:, None]
    first, second = explained(echo(keep=0.5), y).steps
    assert {first % 26, second % 26} == {3, 11}
    once = np.where(np.arange(26) == 11, 0.0, period)
    assert len(explained(echo(keep=0.5), np.tile(once, 12)[:, None]).steps) == 1


# Of classes, what is predicted.


@pytest.mark.parametrize("kind", ["softmax", "tokens"])
def test_of_classes_the_one_that_is_predicted_is_explained_where_the_model_is_most_sure(kind):
    logits = RNG.normal(0, 0.3, (60, 4))
    logits[30, 2] = -500.0  # what is most impossible is no event
    logits[40, 1], logits[50, 1] = 9.0, 8.0
    if kind == "softmax":
        network, x = echo(4, "softmax"), logits
    else:
        network, x = echo(4, embedding=logits[[30, 40, 50, 0]]), np.repeat([3, 0, 3, 1, 3, 2, 3], 8)
    subject = explained(network, x)
    assert subject.target == 1
    assert subject.steps == ((40, 50) if kind == "softmax" else (24, 40))
    assert "where the model is most sure of it" in subject.reason
    named = explained(network, x, target=2)
    assert named.target == 2
    assert named.steps[0] != 30 if kind == "softmax" else x[named.steps[0]] != 0


def test_of_a_sigmoid_it_is_where_it_says_yes_and_else_where_that_is_most_probable():
    logits = np.where(np.isin(STEPS, (100, 101, 300)), 3.0, -9.0) + noise()
    subject = explained(echo(activation="sigmoid"), logits[:, None])
    assert {t // 10 for t in subject.steps} == {10, 30}
    never = explained(echo(activation="sigmoid"), logits[:, None] - 5)
    assert never.steps[0] in (100, 101, 300)
    assert "where it is most probable" in never.reason


# Where the state has built up.


def test_no_event_is_where_the_state_builds_up(monkeypatch):
    monkeypatch.setattr(subjects, "HorizonStudy", STUDY)
    y = peak(3, 2, 5.0) + peak(250, 5) + noise()
    for keep in (0.9, 0.999):  # of which the second never builds up, and only a quarter is left out
        subject = explained(echo(keep=keep), y[:, None])
        left_out = int(re.search(r"leaving out the first (\d+) steps", subject.reason)[1])
        assert left_out == min(100, 2 * subject.horizon.steps)
        assert min(subject.steps) >= left_out > 15


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
def test_a_run_shorter_than_its_spin_up_is_explained_all_the_same(steps):
    y = RNG.normal(size=(steps, 1))
    subject = explained(echo(keep=0.9999), y)
    assert all(steps // 4 <= t < steps for t in subject.steps)
    assert subject.steps


def test_a_backward_run_builds_up_at_the_end():
    run = echo(keep=0.9)
    lstm = gw.LSTM.from_cells(run.lstm[0].parameters, direction="backward")
    y = (peak(396, 2, 5.0) + peak(150, 5) + noise())[:, None]
    subject = explained(gw.Network(lstm, head=run.head), y)
    assert "leaving out the last" in subject.reason
    assert max(subject.steps) <= 399 - 2 * subject.horizon.ahead


@pytest.mark.parametrize("length", [30, 399, 400, 401])
def test_one_run_of_a_model_trained_on_windows_is_explained_after_one(length):
    y = peak(3, 2, 9.0) + peak(28, 1, 7.0) + peak(150, 4) + noise()
    network = echo(windows=Windows(length))
    subject = subject_of(gw.open_run(network, y[:, None], continuous=True), sequence=None, at=None, target=None)
    assert subject.steps[0] >= (length - 1 if length <= 400 else 0)


def test_a_step_that_is_not_valid_is_no_event():
    y = (peak(150, 5) + peak(200, 2, 9.0) + noise())[:, None, None]
    subject = explained(echo(), y, mask=np.abs(STEPS - 200)[:, None] > 20)
    assert abs(subject.steps[0] - 150) < 3
    gap = explained(echo(), (peak(150, 20) + noise())[:, None, None], mask=np.abs(STEPS - 145)[:, None] > 2)
    assert len(gap.steps) == 1  # what is missing is no return to the mean
    both = np.concatenate([0 * y, peak(12, 1)[:, None, None]], axis=1)
    of_shorter = explained(echo(keep=0.9), both, lengths=[400, 20])
    assert (of_shorter.sequence, of_shorter.steps[0] >= 5) == (1, True)
    assert "the first 5 steps" in of_shorter.reason
    short = explained(echo(keep=0.9), y, lengths=[20])
    assert 5 <= min(short.steps) <= max(short.steps) < 20


# Of which sequence, and which output.


def test_of_a_batch_the_sequence_and_the_output_are_explained_that_are_furthest_from_their_mean():
    y = noise()[:, None, None] + np.zeros((400, 3, 2))
    y[:, 0] += 100  # is large, and hardly changes
    y[:, 2, 1] -= peak(200, 3)
    subject = explained(echo(2), y)
    assert (subject.sequence, subject.target, subject.steps) == (2, 1, (200,))
    named = explained(echo(2), y, sequence=1, target=0)
    assert (named.sequence, named.target) == (1, 0)
    assert "it is furthest from its mean" in named.reason
    at = explained(echo(2), y, at=[5, 200])
    assert (at.sequence, at.target, at.steps) == (2, 1, (5, 200))
    assert at.reason == ", the sequence in which it is furthest from its mean at these steps"
    assert explained(echo(2), y, at=5).reason.endswith("mean at this step")
    assert explained(echo(2), y, at=[5, 200], sequence=2).reason == ""


def test_a_constant_output_is_explained_at_the_last_step():
    for y in (np.zeros((40, 1)), np.full((40, 1), 0.1, np.float32), np.full((40, 2), 1e-3)):
        x = np.concatenate([y, RNG.normal(size=(40, 1))], axis=1)
        weight = np.eye(x.shape[1])[: y.shape[1]]
        subject = explained(echo(x.shape[1], weight=weight), x)
        assert subject.steps == (39,)
        assert subject.reason.startswith(", as everywhere")
        assert explained(echo(x.shape[1], weight=weight), x, sequence=0, target=0).reason.startswith(", as everywhere")
    certain = explained(echo(2, "softmax", weight=np.zeros((2, 2))), RNG.normal(size=(40, 2)))
    assert (certain.steps, certain.reason[:15]) == ((39,), ", as everywhere")


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_an_event_does_not_depend_on_the_unit(scale):
    y = (peak(150, 5) + peak(300, 5, 0.8) + noise())[:, None, None]
    given = (np.ones((400, 1), bool), np.ones(1, bool), None, None, ())
    assert events.choose_events(None, scale * y, *given).steps == events.choose_events(None, y, *given).steps


def test_an_output_at_the_end_is_that_of_the_sequence_furthest_from_the_mean_of_all():
    x = np.zeros((6, 4, 1))
    x[-1, :, 0] = [5.0, 5.1, 2.0, 4.9]
    subject = explained(echo(reads="last"), x, lengths=[6, 6, 6, 6])
    assert (subject.sequence, subject.steps) == (2, (None,))
    one = explained(echo(2, reads="last"), [[0.0, 0.0], [1.0, -3.0]])
    assert (one.target, one.steps, one.reason) == (1, (None,), "")


def test_a_sequence_without_a_valid_step_is_refused():
    with refusal("step 3 of sequence 0 is not valid", by=gw.OptionError):
        explained(echo(), np.ones((5, 2, 1)), lengths=[2, 2], at=3)
    with refusal("sequence 1 has none", by=gw.OptionError):
        explained(echo(), np.ones((5, 2, 1)), lengths=[5, 0], sequence=1)


def test_the_horizon_is_asked_once_and_the_page_says_how_steps_were_chosen(monkeypatch):
    calls = []

    def counted(*given, **options):
        calls.append(options)
        return STUDY(*given, **options)

    monkeypatch.setattr(subjects, "HorizonStudy", counted)
    monkeypatch.setattr(build, "QUESTIONS", [q for q in questions.QUESTIONS if "How long" in q.title])
    y = peak(150, 5) + peak(300, 5, 0.8) + noise()
    found = gw.report(echo(keep=0.5), y[:, None])
    assert len(calls) == 1
    assert re.fullmatch(
        r"This page explains output 0: its values at step 15\d and at step 30\d, the two events where it is furthest"
        r" from its mean, leaving out the first \d+ steps, in which its state builds up\.",
        found.lead,
    )


def test_integrated_gradients_of_a_long_run_are_of_its_nearest_steps_or_say_why_not(monkeypatch):
    monkeypatch.setattr(questions, "WORK", 50 * 5000 * 30.0)
    network, x, _ = planted.sampled(1, steps=120)
    subject = explained(network, x, at=100)
    found = questions._attribution(subject, 100)
    assert (len(found.scores), found.start) == (29, 72)
    assert "that of the state before step 72 is" in str(found)
    assert found.reading[0].startswith("Inferred: gradients at")
    assert found.reading[1].startswith("Tested: ")
    both = gw.Network(gw.LSTM(2, 3, rng=0, bidirectional=True), reads="last")
    with refusal("need all 120 steps", by=gw.OptionError):
        questions._attribution(explained(both, x), None)
