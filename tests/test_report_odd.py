"""Reports on odd input: constant, short, equal, missing, very wide. Each is true, and says first what is odd."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import refusal

import gatewise as gw
from gatewise.reporting import build, questions

RNG = np.random.default_rng
MAX_LINES = 130  # of a report: it would fill three pages
X = RNG(0).normal(size=(60, 2))


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(questions, "STARTS", 1)
    monkeypatch.setattr(build, "svg", lambda draw, sentence, key, height: "")


def network(outputs=1, weight=None, bias=None, activation=None, **options):
    weight = RNG(1).normal(size=(outputs, 6)) if weight is None else weight
    return gw.Network(gw.LSTM(2, 6, rng=0, dtype=np.float64), head=gw.Linear(weight, bias, activation), **options)


def report_of(model, x, **options):
    """Return a report, and its headlines without that of the untrained weights; it is short and says NaN nowhere."""
    report = gw.report(model, x, **options)
    assert len(str(report).splitlines()) < MAX_LINES
    findings = [*report.sections, *report.unanswered]
    assert not [each.sentence for each in findings if re.search(r"\b(nan|inf)\b", each.sentence)]
    headlines = [each.headline for each in report.headlines if "untrained" not in each.headline]
    assert all(headlines)
    return report, headlines


def test_of_a_constant_input_no_use_of_inputs_is_claimed():
    report, headlines = report_of(network(), np.ones((60, 2)))
    assert "The input is the same at every step, so this run cannot show what the output uses." in headlines
    assert "standard deviation" not in "".join(headlines)
    assert "No input moves" not in str(report)
    assert "horizon needs an input that is not the same at every step" in str(report)
    headlines = report_of(network(labels=gw.Labels(features=["rain", "area"])), np.stack([X[:, 0], 0 * X[:, 0]], 1))[1]
    assert any("area never changes here" in each for each in headlines)


@pytest.mark.parametrize("targets", [3.0, 0.0])
def test_constant_targets_are_said_to_be_constant(targets):
    headlines = report_of(network(), X, targets=np.full((60, 1), targets))[1]
    assert headlines[0] == "The targets of output 0 never change."


@pytest.mark.parametrize("batch", [1, 3])
def test_a_report_on_one_step_claims_nothing_about_time(batch):
    x = RNG(0).normal(size=(1, batch, 2))
    report, headlines = report_of(network(), x if batch > 1 else x[:, 0])
    text = str(report)
    assert "both halves of the data" not in text if batch == 1 else True
    assert " on average" not in report.findings[0].reading[0]
    assert "has a standard deviation of 0" not in text
    assert not any("shows in" in each for each in headlines)
    assert "needs a sequence of 2 valid steps or more" in text


def test_of_two_steps_an_input_moves_the_output_if_it_does():
    network_of_one, x = network(weight=np.eye(1, 6)), X[:2]
    report, headlines = report_of(network_of_one, x)
    assert "No input moves" not in str(report)
    assert "standard deviation" not in "".join(headlines)
    swapped = x.copy()
    swapped[:, 0] = x[::-1, 0]
    moved = np.sqrt(np.mean((network_of_one(swapped)[0] - network_of_one(x)[0]) ** 2))
    (use,) = (each.answer for each in report.findings if each.topic.startswith("What does it use"))
    assert dict(zip(use.names, use.shares, strict=True))["x0"] * network_of_one(x)[0].std() == pytest.approx(moved)


def test_one_sequence_of_a_batch_has_the_report_of_a_single_one():
    alone, batch = (str(report_of(network(), x, at=30)[0]) for x in (X, X[:, None]))
    assert alone == batch


@pytest.mark.parametrize("headless", [False, True])
def test_a_report_on_an_input_with_nan_is_about_the_steps_before(headless):
    model = gw.LSTM(2, 6, rng=0, dtype=np.float64) if headless else network()
    x = X.copy()
    x[40, 1] = np.nan
    report, headlines = report_of(model, x)
    assert report.lead.startswith("Input x1 is NaN at step 40, and so is every later state: this report is about what")
    clean = report_of(model, X[:40])[1]
    assert headlines == clean
    several = np.stack([X, x], axis=1)
    assert "Input x1 is NaN at step 40 of sequence 1" in report_of(model, several)[0].lead
    x[0, 0] = np.nan
    with refusal("the input of the run at step 0 of sequence 0 is not finite", by=gw.OptionError):
        gw.report(model, x)
    x[0, 0], x[40, 1] = np.inf, 0
    with refusal("at step 0 of sequence 0 is not finite", by=gw.OptionError):
        gw.report(model, x)


def test_outputs_that_are_equal_or_never_change_are_told_first():
    equal = report_of(network(weight=np.tile(RNG(0).normal(size=(1, 6)), (3, 1))), X)[1]
    assert equal[0] == "All 3 outputs are equal at every step."
    report, still = report_of(network(weight=np.zeros((1, 6)), bias=np.array([2.0])), X)
    assert still[0] == "The output is 2 at every step."
    assert "no unit changes the output where it is silenced" in report.nothing
    two = report_of(network(weight=np.zeros((2, 6)), bias=np.array([2.0, 3.0])), X)[1]
    assert two[0] == "No output of 2 ever changes."
    labels = gw.Labels(outputs=["flow Q", "stage"])
    one = report_of(network(weight=np.eye(2, 6) * [[0], [1]], bias=np.ones(2), labels=labels), X)[1]
    assert one[0] == "Output flow Q never changes."
    assert not report_of(network(2), X)[0].findings[0].answer.still


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_of_a_thousand_outputs_the_report_picks_one_and_says_which(activation):
    net = network(1000, activation=activation)
    report, headlines = report_of(net, X)
    y = net(X)[0]
    output = int(report.lead.split("output ")[1].split(",")[0])
    assert ", one of 1,000:" in report.lead
    if activation is None:
        left = slice(int(report.lead.partition("first ")[2].split()[0]), None)
        assert output == np.abs(y - y.mean(0))[left].max(0).argmax()
    assert all(f"utput {output}" in each for each in headlines if each.startswith("Output"))
    assert "over the 16 outputs that vary most" in str([each.headline for each in report.findings])
