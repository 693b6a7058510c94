"""What does one change do? The changed run, made by hand, and what is said of it."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from cases import refusal
from pairwise import pairs

import gatewise as gw
from gatewise.insight import effect

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3, 2))
NAMES = gw.Labels(features=["rain", "wind"], outputs=["q", "snow"], measures={"q": ("discharge", "mm/d")})


def network(activation=None, *, layers=2, bidirectional=False, **options):
    lstm = gw.LSTM(2, 4, num_layers=layers, bidirectional=bidirectional, rng=1, dtype=np.float64)
    head = gw.Linear(RNG.normal(size=(2, lstm.output_size)), np.array([0.1, -0.2]), activation)
    return gw.Network(lstm, head=head, **({"labels": NAMES} if activation is None else {}) | options)


@pairs(activation=(None, "softmax", "sigmoid"), bidirectional=(False, True), reads=("every", "last"), thin=True)
def test_a_changed_input_is_the_run_of_that_input_and_classes_are_compared_as_logits(activation, bidirectional, reads):
    model = network(activation, bidirectional=bidirectional, reads=reads)
    other = X.copy()
    other[5:7, :, 0] += 3
    found = effect(model.trace(X), input=0, by=3, at=[5, 6])
    raw = model.replace(head=gw.Linear(model.head.weight, model.head.bias))
    expected = raw(other)[0] - raw(X)[0]
    np.testing.assert_allclose(found.difference, expected.reshape(found.difference.shape), atol=1e-12)
    np.testing.assert_allclose(found.run.output, model(other)[0], atol=1e-12)
    assert ("logit" in str(found)) == (activation is not None)
    assert "changed by +3 at 2 steps" in str(found)


def test_a_unit_and_a_gate_are_edited_as_an_edit_does():
    model = network()
    run = model.trace(X)
    for given, edit in (
        ({"unit": 2, "layer": 0, "scale": 0}, gw.Edit.set("output_gate", 0.0, units=2, layer=0)),
        ({"unit": [1, 2], "layer": 1, "value": 0.5}, gw.Edit.set("hidden_state", 0.5, units=[1, 2], layer=1)),
        ({"gate": "forget", "value": 1}, gw.Edit.set("forget_gate", 1.0)),
        (
            {"gate": "forget_gate", "scale": 0.5, "at": slice(3, 9)},
            gw.Edit.scale("forget_gate", 0.5, steps=slice(3, 9)),
        ),
        ({"gate": "input", "unit": 0, "layer": 0, "value": 0}, gw.Edit.set("input_gate", 0.0, units=0, layer=0)),
    ):
        found = effect(run, **given)
        expected = model.trace(X, edit=edit).output - run.output
        np.testing.assert_allclose(found.difference, expected, atol=1e-12)
        size = np.sqrt((expected**2).mean((0, 1)))
        np.testing.assert_allclose(found.columns["size"], size)
        np.testing.assert_allclose(found.columns["share"], size / run.output.std((0, 1)))
        np.testing.assert_allclose(found.columns["largest"], np.abs(expected).max((0, 1)))


def test_the_sentence_speaks_of_the_output_that_is_asked_for_in_its_unit():
    run = network().trace(X)
    assert "output q changes by" in str(effect(run, input="rain", scale=0, output="q"))
    assert "mm/d" in str(effect(run, input="rain", scale=0, output=0))
    assert "output snow changes by" in str(effect(run, input="rain", scale=0, output="snow"))
    assert "mm/d" not in str(effect(run, input="rain", scale=0, output="snow"))
    deaf = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(np.zeros((1, 3), np.float32), None)).trace(X[:, 0])
    assert str(effect(deaf, unit=1, scale=0)) == "With unit 1 scaled by 0, no output changes."


def test_a_unit_that_moves_a_logit_but_no_class_is_not_said_to_do_nothing():
    model = network("softmax", layers=1)
    sure = model.replace(head=gw.Linear(model.head.weight, np.array([50.0, 0.0]), "softmax"))
    found = effect(sure.trace(X), unit=0, scale=0)
    assert not found.columns["classes"].any()
    assert found.columns["size"].all()
    assert "the logit of output" in str(found)
    assert "no predicted class changes" in str(found)


def test_what_is_not_valid_does_not_count():
    model, lengths = network(), [40, 10, 25]
    found = effect(model.trace(X, lengths=lengths), input="wind", value=1.0)
    for sequence, length in enumerate(lengths):
        assert not found.difference[length:, sequence].any()
        assert found.difference[length - 1, sequence].any()


def test_what_cannot_be_changed_is_refused_in_a_sentence():
    model = network()
    run = model.trace(X)
    tokens = gw.Network(gw.LSTM(2, 3, rng=0), embedding=np.eye(5, 2)).trace(np.array([1, 2, 3]))
    for given, words in (
        ({"unit": 0}, "one of scale, by and value"),
        ({"unit": 0, "scale": 0, "value": 1}, "one of scale, by and value"),
        ({"scale": 0}, "Pass input=, or unit= or gate="),
        ({"unit": 0, "input": 0, "scale": 0}, "Pass input=, or unit= or gate="),
        ({"unit": 0, "scale": 0}, "Choose one with layer="),
        ({"unit": 9, "layer": 0, "scale": 0}, "no unit 9"),
        ({"unit": 0, "layer": 5, "scale": 0}, "no layer 5"),
        ({"gate": "door", "value": 0}, "gate"),
        ({"gate": "forget", "by": 1}, "by is for an input"),
        ({"input": "snow", "by": 1}, "no input 'snow'"),
        ({"input": 0, "by": np.nan}, "by"),
        ({"input": 0, "by": "ten"}, "by"),
        ({"input": 0, "by": 1, "at": 99}, "no step 99"),
        ({"input": 0, "by": 1, "at": []}, "at is empty"),
        ({"input": 0, "by": 1, "layer": 0}, "Leave them out for an input"),
        ({"input": 0, "by": 1, "output": "x"}, "no output 'x'"),
    ):
        with refusal(words, by=gw.OptionError):
            effect(run, **given)
    with refusal("reads tokens", by=gw.OptionError):
        effect(tokens, input=0, by=1)
    with refusal("takes a run", by=gw.OptionError):
        effect(model, unit=0, scale=0)


def test_the_trace_of_a_cell_is_asked_like_the_run_of_its_lstm():
    run = gw.LSTM(2, 4, rng=0, dtype=np.float64).trace(X[:, 0])
    assert str(effect(run[0], unit=1, scale=0)) == str(effect(run, unit=1, scale=0))
    assert str(gw.insight.ablation(run[0], output=2)) == str(gw.insight.ablation(run, output=2))


def test_an_opened_run_is_explored_by_hand(tmp_path):
    gw.save(network(), tmp_path / "m.safetensors")
    opened = gw.open_run(tmp_path / "m.safetensors", X[:, 0])
    found = effect(opened, input="rain", by=10, at=5)
    assert found.run.output.shape == (40, 1, 2)
    assert "<svg" in found._repr_html_()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_no_effect(dtype):
    lstm = planted.memory("held in c", dtype=dtype).network.lstm
    head = gw.Linear(np.eye(1, lstm.hidden_size).astype(dtype), None)
    run = gw.Network(lstm, head=head).trace(planted.memory("held in c", dtype=dtype).x)
    found = effect(run, gate="output", scale=1.0)
    assert str(found) == "With the output gate scaled by 1, no output changes."
