"""Where a model is wrong: a report's errors are PyTorch's, and planted ones are found, with what makes them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import refusal
from planted import rain_gauge

import gatewise as gw
from gatewise.network import Windows
from gatewise.opening.run import run_of
from gatewise.reporting import build, questions
from gatewise.reporting.misfit import target_errors

TITLE = "Where is it wrong?"
RNG = np.random.default_rng
LABELS = gw.Labels(outputs=["q"], measures={"q": ("discharge", "mm/d")})


@pytest.fixture(autouse=True)
def this_question_alone(monkeypatch):
    """Ask no other question: they would take most of the time."""
    monkeypatch.setattr(build, "QUESTIONS", [each for each in questions.QUESTIONS if each.title == TITLE])


def network(outputs=1, activation=None, units=5, seed=0, **options):
    head = gw.Linear(RNG(seed).normal(size=(outputs, units)), RNG(seed).normal(size=outputs), activation)
    return gw.Network(gw.LSTM(2, units, rng=seed, dtype=np.float64), head=head, **options)


def errors_of(model, x, targets, sequence=None):
    run = run_of(model, x, {}, "", "").trace.stored
    return target_errors(run.lstm if run.network is None else run, targets, sequence)


def found_in(model, x, targets, **options):
    report = gw.report(model, x, targets=targets, **options)
    return report, report.findings[0]


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["numbers", "softmax", "tokens", "sigmoid", "flags"])
def test_errors_are_those_that_pytorch_computes(kind):
    torch = pytest.importorskip("torch")
    rng, x = RNG(1), RNG(0).normal(size=(30, 3, 2))
    count, activation = {"numbers": (2, None), "sigmoid": (1, "sigmoid"), "flags": (3, "sigmoid")}.get(
        kind, (4, "softmax" if kind == "softmax" else None)
    )
    net = network(count, activation)
    if kind == "tokens":
        net, x = net.replace(embedding=rng.normal(size=(9, 2))), rng.integers(0, 9, (30, 3))
    plain = net.replace(head=gw.Linear(net.head.weight, net.head.bias))
    raw = torch.tensor(plain(x)[0])
    if kind == "numbers":
        targets = rng.normal(size=raw.shape)
        expected = raw.numpy() - targets
    elif kind in ("softmax", "tokens"):
        targets = rng.integers(0, count, (30, 3))
        loss = torch.nn.functional.cross_entropy(raw.movedim(-1, 1), torch.tensor(targets), reduction="none")
        expected = loss.numpy() / np.log(2)
    else:
        targets = rng.integers(0, 2, raw.shape)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(raw, torch.tensor(targets * 1.0), reduction="none")
        expected = loss.numpy() / np.log(2)
    holes = targets.astype(float)
    holes[4, 1] = np.nan
    for given in (targets, holes):
        errors = errors_of(net, x, given).errors
        errors = np.nansum(errors, -1) if kind in ("softmax", "tokens") else errors
        known = np.isfinite(given)
        np.testing.assert_allclose(errors[known], expected[known], atol=1e-9)
        assert not np.nansum(np.abs(errors[~known]))
    report, finding = found_in(net, x, targets)
    answer = finding.answer
    if kind == "numbers":
        expected = expected[..., [int(report.lead.split("output ")[1][0])]] ** 2
        assert answer.size == pytest.approx(np.sqrt(expected.mean()))
    elif kind != "flags":
        assert answer.size == pytest.approx(expected.mean())
    else:
        expected = expected[..., int(report.lead.split("output ")[1][0])]
    rows = np.sort(expected.ravel())[::-1]
    assert answer.share == pytest.approx(rows[: round(0.1 * len(rows))].sum() / rows.sum())


def test_the_steps_with_the_largest_errors_are_explained():
    net, x = network(labels=LABELS), RNG(0).normal(size=(200, 2))
    targets = net(x)[0] + RNG(1).uniform(-0.01, 0.01, (200, 1))
    targets[120] -= 3
    targets[60] += 2
    report, finding = found_in(net, x, targets)
    assert "its values at step 120 and at step 60, the two events where its error is largest" in report.lead
    assert re.search(r"the largest, (2\.9\d|3\.?0?\d?) mm/d, is at step 120", finding.sentence)
    assert {60, 120} <= {*finding.answer.worst}
    assert finding.answer.columns["error"][120] == pytest.approx(3, abs=0.1)
    assert len(finding.answer.worst) == 20
    assert finding in report.headlines  # of each half of the data, one step makes nearly all of the error
    targets[60] -= 2
    assert found_in(net, x, targets)[1].unstable == "differs between halves of the data"
    assert "at step 5, the" not in report.lead
    assert "step 5" in found_in(net, x, targets, at=5)[0].lead


def test_the_input_and_the_unit_that_make_an_error_are_told():
    gauge, _ = rain_gauge()
    rain = RNG(0).gamma(0.3, 5, (300, 1))
    finding = found_in(gauge.replace(labels=LABELS), rain, gauge(rain)[0] + 0.5)[1]
    inputs, units = finding.reading[1:3]
    assert inputs.startswith("Tested: with x0 in 3 other orders, the error rises from 0.5 to ")
    assert units.startswith("Tested: 2 units silenced; the error is 0.5, and without unit 0 it rises most to ")
    spoiled = network(units=3).replace(head=gw.Linear(np.array([[1.0, 0.0, 0.0]])))
    x = RNG(0).normal(size=(300, 2))
    noisy = spoiled.replace(head=gw.Linear(np.array([[1.0, 2.0, 0.0]])))
    sentence = found_in(noisy, x, spoiled(x)[0])[1].reading[2]
    assert "without unit 1 it falls most to 0" in sentence


def test_a_model_that_is_worse_than_a_constant_is_told_first():
    net, x = network(), RNG(0).normal(size=(200, 2))
    report, finding = found_in(net, x, net(x)[0] + 5 + RNG(1).normal(0, 0.1, (200, 1)))
    assert report.headlines[0] is finding
    assert finding.headline.startswith(
        "A constant would fit output 0 at least as well as the model: its error would be"
    )
    _, finding = found_in(net, x, np.full((200, 1), 3.0))
    assert finding.headline == "The targets of output 0 never change."
    _, finding = found_in(net, x, net(x)[0])
    assert finding.sentence == "Output 0 equals every target."
    assert not finding.headline


def test_of_a_named_sequence_or_output_its_own_errors_are_told():
    net, x = network(2), RNG(0).normal(size=(40, 3, 2))
    targets = net(x)[0].copy()
    targets[10, 0, 1] += 7
    targets[20, 2, 0] += 3
    for options, where in (({}, "step 10"), ({"sequence": 2}, "step 20"), ({"target": 0}, "step 20")):
        report, finding = found_in(net, x, targets, **options)
        assert f"at {where}" in report.lead
        assert f"at {where}" in finding.sentence
    _, finding = found_in(net, x, targets[:, 2], sequence=2)
    assert "is at step 20" in finding.sentence
    last = net.replace(reads="last")
    ends = last(x)[0] + np.array([[0, 0], [0, 5], [0, 1.0]])
    report, finding = found_in(last, x, ends)
    assert "of sequence 1, where its error is largest" in report.lead
    assert "the largest, 5, is that of sequence 1" in finding.sentence


def test_of_windows_that_with_the_largest_error_is_explained_and_all_errors_are_told():
    gauge, _ = rain_gauge()
    net, x = gauge.replace(labels=LABELS, windows=Windows(10)), RNG(0).gamma(0.3, 5, (60, 1))
    targets = np.full((60, 1), np.nan)
    targets[9:, 0] = [gw.open_run(net, x, at=step).trace.output[-1, 0] for step in range(9, 60)]
    targets[33] += 4
    report, finding = found_in(net, x, targets)
    assert "at step 33" in report.lead
    assert "the largest, 4 mm/d, is that of step 33" in finding.sentence
    assert "51 steps with a target" in finding.reading[0]
    assert len(finding.answer.columns["error"]) == 60
    assert "at step 20" in found_in(net, x, targets, at=20)[0].lead


def test_targets_that_do_not_fit_are_refused_and_without_them_nothing_is_asked():
    net, x = network(), RNG(0).normal(size=(40, 2))
    for wrong in (np.ones((39, 1)), np.ones((40, 2))):
        with refusal("observed has shape", by=gw.ShapeError):
            found_in(net, x, wrong)
    with refusal("no number at a valid step", by=gw.OptionError):
        found_in(net, x, np.full((40, 1), np.nan))
    assert not gw.report(net, x).findings


def test_the_picture_has_the_targets_and_the_errors():
    net, x = network(labels=LABELS), RNG(0).normal(size=(50, 2))
    finding = found_in(net, x, net(x)[0] + RNG(1).normal(size=(50, 1)))[1]
    for text in ("target", "output", "error (mm/d)"):
        assert text in finding.picture
