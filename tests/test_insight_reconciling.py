"""What three answers about memory say together: of memories that were planted in c, in h, in gates and in a layer."""

from __future__ import annotations

import numpy as np
import planted
import pytest

import gatewise as gw
from gatewise import insight
from gatewise.examples import latch
from gatewise.insight.reconciling import reconcile

SURE = planted.SURE
RNG = np.random.default_rng(0)
PULSES = np.zeros((600, 1))
PULSES[np.cumsum(RNG.integers(20, 60, 14)), 0] = RNG.choice([-1.0, 1.0], 14)
NOISE = RNG.normal(size=(600, 1))


def cell_of(forget, gain, *, again=0.0, inputs=1):
    """Return the parameters of a unit: the bias of its forget gate, and the gains of its input and of its output."""
    weight, bias = np.zeros((4, 1, 1 + inputs)), np.array([[SURE], [forget], [0.0], [SURE]])
    weight[2, 0, :2] = again, gain
    return gw.Parameters(weight, bias)


def written(gap=40):
    """Return the input of the latch: bits, written now and then."""
    x = np.zeros((800, 3))
    x[:, 0], x[::gap, 1] = RNG.choice([-1.0, 1.0], 800), 1
    return x


def in_gates():
    """Return an LSTM whose unit 0 holds whether a flag was up, which opens the output gate of unit 1, and its input."""
    weight, bias = np.zeros((4, 2, 4)), np.zeros((4, 2))
    bias[0], bias[3], bias[1] = [-SURE, SURE], [SURE, -3], [SURE, -SURE]
    weight[0, 0, 3], weight[1, 0, 3], weight[2, 0, 2] = 2 * SURE, -2 * SURE, 2  # the flag's step writes its sign
    weight[2, 1, 2], weight[3, 1, 0] = 1, 6
    x = np.stack([RNG.choice([-1.0, 1.0], 800), np.arange(800) % 30 == 0], axis=1)
    return gw.Network(gw.LSTM.from_cells(gw.Parameters(weight, bias)), head=gw.Linear(np.array([[0.0, 1.0]]))), x


def chaotic():
    weight, bias = np.zeros((4, 40, 41)), np.zeros((4, 40))
    bias[0] = bias[3] = SURE
    bias[1] = -SURE
    weight[2] = np.random.default_rng(1).normal(0, 3 / np.sqrt(40), (40, 41))
    return gw.LSTM.from_cells(gw.Parameters(weight, bias))


def decay(timescale):
    return float(np.log(1 / np.expm1(1 / timescale)))  # the bias whose sigmoid is exp(-1 / timescale)


def unread():
    """Return a network that reads only the quick one of two stores."""
    weight, bias = np.zeros((4, 2, 3)), np.zeros((4, 2))
    bias[0] = bias[3] = SURE
    bias[1], weight[2, :, 2] = [decay(4.0), SURE], 0.01
    return gw.Network(gw.LSTM.from_cells(gw.Parameters(weight, bias)), head=gw.Linear(np.array([[1.0, 0.0]])))


def written_and_read_in_turn():
    """Return an LSTM that writes at even steps and reads at odd ones, when little is left, and its input."""
    weight, bias = np.zeros((4, 1, 3)), np.zeros((4, 1))
    bias[:, 0], weight[2, 0, 1] = [SURE, -3, 0, -SURE], 1
    weight[0, 0, 2], weight[3, 0, 2] = -2 * SURE, 2 * SURE
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), np.stack([NOISE[:, 0], np.arange(600) % 2], axis=1)


LATCH = gw.LSTM.from_cells(latch().cell)
IN_GATES, FLAGS = in_gates()
TWO_LAYERS = gw.LSTM.from_cells([[cell_of(-SURE, 1.0)], [cell_of(decay(20.0), 1e-2)]])
SLOW_OVER_SLOW = gw.LSTM.from_cells([[cell_of(decay(30.0), 1e-3)], [cell_of(decay(30.0), 1e-3)]])
BIT_IN_H, QUICK = (gw.LSTM.from_cells(cell) for cell in (cell_of(-3, 40.0, again=10.0), cell_of(-SURE, 1.0)))
COUNTS = RNG.integers(0, 2, (600, 1)) * 1.0
PLANTED = {
    "c": (LATCH, written(), "between resets the slowest, unit latch, halves in", "39 steps, and resets end it"),
    "h": (BIT_IN_H, PULSES, "halves in 0.23 steps", "since it is written again through h"),
    "gates": (IN_GATES, FLAGS, "between resets the slowest, unit 0, never decays", "30 steps, and resets end it"),
    "layer 2": (TWO_LAYERS, NOISE, "the slowest, unit 0 of layer 1, halves in 14 steps", "46 steps, which agrees"),
    "two layers": (SLOW_OVER_SLOW, NOISE, "halves in 21 steps", "which is longer, though most of it is kept along"),
    "for ever": (planted.tally()[0], COUNTS, "never decays", "at least 582 steps, which agrees"),
    "unread": (unread(), NOISE, "unit 1, never decays", "the output shows a change for 9 steps only"),
    "none": (QUICK, NOISE, "halves in", "little or nothing of a change after its own step"),
    "in turn": (*written_and_read_in_turn(), "halves in", "1 step, though no cell state keeps much of it"),
    "chaos": (chaotic(), RNG.normal(size=(300, 1)), "halves in", "the run is unstable"),
}


def asked(model, x):
    trace = model.trace(x)
    timescales = [insight.timescales(cell) for cell in trace.lstm.cells().values()]
    return insight.horizon(trace), timescales, insight.influence(trace)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_memory_is_where_it_was_planted(name):
    model, x, decays, verdict = PLANTED[name]
    horizon, timescales, influence = asked(model, x)
    sentence = reconcile(horizon, timescales, influence)
    assert decays in sentence
    assert verdict in sentence
    assert sentence.startswith(reconcile(horizon, timescales)[:-1])
    if name not in ("c", "chaos"):  # where all is saturated, derivatives vanish
        assert ("derivatives see none of it" in sentence) == (name in ("h", "gates"))


def test_a_sentence_is_in_the_time_of_the_data_and_names_the_direction():
    days = np.datetime64("2001-01-01") + np.arange(600)
    both = gw.LSTM.from_cells([[cell_of(-SURE, 1e-3), cell_of(decay(20.0), 1e-2)]], merge="sum")
    trace = both.trace(NOISE, labels=gw.Labels(times=days))
    timescales = [insight.timescales(cell) for cell in trace.lstm.cells().values()]
    sentence = reconcile(insight.horizon(trace), timescales)
    assert "unit 0 (backward), halves in 14 days; a change shows for 45 days before it, which agrees." in sentence


def clocked_beside_a_fading():
    """Return an LSTM whose unit 0 fades, and whose unit 1 holds in h the bit of each 23rd step, and its input."""
    weight, bias = planted.gate_arrays(2, 2)
    bias[1, 0], weight[2, 0, 3], weight[2, 1, 1:3] = decay(10.0), 1e-3, (10, 40)
    x = np.stack([np.zeros(600), np.random.default_rng(1).normal(size=600)], axis=1)
    x[::23, 0] = np.random.default_rng(0).choice([-1.0, 1.0], 27)
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), x


def reset_beside_a_fading():
    """Return an LSTM whose unit 0 is empty and reset now and then, and whose unit 1 fades, and its input."""
    weight, bias = planted.gate_arrays(2, 2)
    bias[0, 0], bias[1], weight[1, 0, 3], weight[2, 1, 2] = -SURE, [SURE, decay(5.0)], -2 * SURE, 1e-3
    x = np.stack([np.random.default_rng(0).choice([-1.0, 1.0], 400), np.arange(400) % 40 == 0], axis=1)
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), x


@pytest.mark.parametrize(
    ("planting", "verdict"),
    [
        (clocked_beside_a_fading, "22 steps, since it is written again through h."),
        (reset_beside_a_fading, "never decays; the output shows a change for 11 steps."),
    ],
)
def test_a_unit_that_nothing_reads_is_not_the_cause(planting, verdict):
    lstm, x = planting()
    network = gw.Network(lstm, head=gw.Linear(np.array([[0.0, 1.0]])))
    horizon, timescales, _ = asked(network, x)
    assert reconcile(horizon, timescales).endswith(verdict)
    assert horizon.columns["as_long"].tolist() == [False, True]


@pytest.mark.thorough
def test_the_horizon_of_an_output_stands_beside_the_influence_on_the_same_one():
    lstm, x = clocked_beside_a_fading()
    network = gw.Network(lstm, head=gw.Linear(np.array([[0.0, 1.0], [1.0, 0.0]])))
    for target, steps, derivatives in ((0, 22, "derivatives see none of it"), (1, 23, "by derivatives, 95 %")):
        text = str(gw.report(network, x, target=target))
        assert f"shows in output {target} for {steps} steps" in text
        assert derivatives in text
