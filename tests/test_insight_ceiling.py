"""The ceiling: that no input exceeds it, that what was lost adds up, and ceilings that were planted."""

from __future__ import annotations

import itertools
import re

import cases
import numpy as np
import planted
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import insight
from gatewise.showing import counted

UNBOUNDED = ("softsign, relu", "leaky relu, affine")  # the cell state, the output gate
BOUNDED = [name for name in cases.VARIANTS if name not in UNBOUNDED]
HEADS = (None, "sigmoid", "relu", "scaled_tanh:2,-0.5", "affine:-3,1", "softmax")


def head_of(size, activation=None, outputs=2, seed=1):
    rng = np.random.default_rng(seed)
    return gw.Linear(rng.normal(size=(outputs, size)), rng.normal(size=outputs), activation)


@pairs(variant=BOUNDED, **cases.RUNS, thin=True)
def test_an_output_and_what_it_lost_add_up_to_the_ceiling(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=5)
    head = head_of(run.p.recurrent_size)
    trace = run.lstm.trace(run.x, **run.options())
    for sequence in (0, 2):
        if run.valid is not None and not run.valid[:, sequence].any():
            continue
        found = insight.ceiling(trace, head, sequence=sequence)
        assert found.residual < 1e-10
        on = ~np.isnan(found.output[:, 0])
        assert on.tolist() == (np.ones(5, bool) if run.valid is None else run.valid[:, sequence]).tolist()
        np.testing.assert_allclose(found.output[on], head(trace.output)[on, sequence], rtol=0, atol=1e-13)
        np.testing.assert_allclose(
            found.output[on] + sum(found.losses.values())[on], found.ceiling + 0 * found.output[on]
        )
        assert (found.output[on] <= found.ceiling + 1e-12).all()
        assert (found.output[on] >= found.floor - 1e-12).all()
        for name in ("lost_to_readout", "lost_to_cell", "lost_to_gate"):
            assert (found.losses[name][on] >= -1e-12).all()
        assert ("lost_to_clip" in found.losses) == (projection == "projected and clipped")
        assert ("lost_to_zoneout" in found.losses) == dropout
        assert f"of {counted(int(on.sum()), 'step')} of the run, none exceed it." in found.reading[0]
        short, width = short_of_the_ceiling(found)
        lost, total = lost_in_words(str(found))  # with three digits, and none of less than a thousandth of the range
        assert lost == pytest.approx(short, abs=0.005 * total + 0.001 * width * len(found.losses))


def lost_in_words(sentence):
    """Return the sum of the losses in the sentence of a ceiling, and that of their sizes."""
    lost, _, less = sentence.partition("losing ")[2].partition(", less ")
    amounts = [sum(map(float, re.findall(r"([\d.]+(?:e-\d+)?) (?:to|by) ", part))) for part in (lost, less)]
    return amounts[0] - amounts[1], sum(amounts)


def short_of_the_ceiling(found):
    """Return how far the largest output is from its ceiling, and its range; of the output that is closest."""
    short, width = found.ceiling - np.nanmax(found.output, 0), found.ceiling - found.floor
    place = np.argmin(short / width)
    return short[place], width[place]


@pairs(merge=("concat", "sum", "average", "mul"), head=HEADS, reads=("every", "last"), valid=cases.VALID)
def test_directions_and_heads_are_decomposed_exactly(merge, head, reads, valid):
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 3, num_layers=2, bidirectional=True, merge=merge, rng=0, dtype=np.float64)
    network = gw.Network(lstm, head=head_of(lstm.output_size, head), reads=reads)
    trace = network.trace(3 * rng.normal(size=(6, 3, 2)), mask=cases.valid_of(valid, 6, 3, rng))
    found = insight.ceiling(trace, sequence=0, scale=2.5, shift=[1, -1])
    assert found.residual < 1e-10
    assert len(found.times) == (1 if reads == "last" else 6)
    out = trace.output[None, 0] if reads == "last" else trace.output[:, 0]
    if head == "softmax":
        assert "before the softmax" in str(found)
    else:
        on = ~np.isnan(found.output)
        np.testing.assert_allclose(found.output[on], (2.5 * out + [1, -1])[on], rtol=1e-12)


@pairs(variant=BOUNDED, projection=cases.PROJECTIONS, kind=("random", "extreme", "optimised"), thin=True)
def test_no_input_exceeds_the_ceiling(variant, projection, kind):
    p = cases.run_of(variant, projection=projection).p
    lstm, head = gw.LSTM.from_cells(p), head_of(p.recurrent_size, outputs=1)
    found, rng = insight.ceiling(lstm, head), np.random.default_rng(2)
    x = rng.normal(0, {"random": 3, "extreme": 1e3, "optimised": 1}[kind], (4, 8, 2))
    for _ in range(5 if kind == "optimised" else 1):
        trace = lstm.trace(x)
        y = head(trace.output)
        y = y[np.isfinite(y)]
        assert (y <= found.ceiling + 1e-9).all()
        assert (y >= found.floor - 1e-9).all()
        x = x + 20 * gw.backward(trace, np.broadcast_to(head.weight[0], trace.output.shape)).x


def test_the_ceiling_of_a_plain_cell_is_the_sum_of_the_weights_and_the_best_of_all_corners():
    lstm, head = gw.LSTM(1, 4, rng=0, dtype=np.float64), head_of(4, outputs=3)
    found = insight.ceiling(lstm, head)
    np.testing.assert_allclose(found.ceiling, np.abs(head.weight).sum(1) + head.bias)
    corners = [head(np.array(h)) for h in itertools.product((-1.0, 0.0, 1.0), repeat=4)]
    np.testing.assert_allclose([found.floor, found.ceiling], [np.min(corners, 0), np.max(corners, 0)])


@pytest.mark.parametrize(
    ("switches", "largest"),
    [
        ({}, 1),
        ({"cell_clip": 0.5}, np.tanh(0.5)),
        ({"coupling": "forget=1-input"}, np.tanh(1)),  # a mean of candidates
        ({"cell_activation": "relu", "cell_clip": 3.0}, 3),
        (
            {"output_activation": "hard_sigmoid:0.2,0.5", "gate_clip": 1.0},
            0.7 * np.tanh(0.7310585786 * np.tanh(1) / (1 - 0.7310585786)),
        ),
        ({"cell_activation": "scaled_tanh:2,1"}, 2),
    ],
)
def test_the_switches_of_a_cell_bound_its_states(switches, largest):
    p = cases.parameters(switches, np.random.default_rng(0), hidden=3)
    np.testing.assert_allclose(insight.ceiling(gw.LSTM.from_cells(p)).ceiling, largest)


def test_a_planted_ceiling_is_found_and_never_rained_through():
    network, limit = planted.rain_gauge()
    trace = network.trace(np.full((60, 1), 1e3))
    found = insight.ceiling(trace)
    np.testing.assert_allclose(found.ceiling, limit)
    assert limit - 0.01 < found.output.max() <= limit  # it is not only a bound: so much can be said
    assert str(insight.ceiling(network)) == "No input can bring the output above 61.3, or below -58.7."


def test_what_was_lost_is_told_apart_and_in_the_unit_of_the_data():
    network, _ = planted.rain_gauge()
    days = np.datetime64("2001-07-01") + np.arange(4)
    labels = gw.Labels(times=days, outputs=["q"], measures={"q": ("discharge", "mm/d")})
    found = insight.ceiling(network.trace([[0.0], [20.0], [0.0], [-99.0]], labels=labels))
    c = np.array([0, np.tanh(1), 0.9 * np.tanh(1), 0.81 * np.tanh(1) - np.tanh(4.95)])
    np.testing.assert_allclose(found.losses["lost_to_cell"][:3, 0], 60 * (1 - np.tanh(c[:3])))
    np.testing.assert_allclose(found.losses["lost_to_readout"][3, 0], 60 * (1 - np.tanh(c[3])))
    assert not found.losses["lost_to_readout"][:3].any()
    np.testing.assert_allclose(found.losses["lost_to_gate"], 0, atol=1e-10)
    assert str(found) == (
        "No input can bring discharge above 61.3 mm/d; here it reaches 39.82 mm/d at most, on 2001-07-02,"
        " losing 21.5 to cell states short of their bound."
    )
    assert found.columns["time"].tolist() == days.tolist()


@pytest.mark.parametrize(
    ("head", "own"),
    [
        (head_of(3, "sigmoid"), False),
        (gw.Linear(np.full((2, 3), 9.0), None, "sigmoid"), True),
        (gw.Linear(np.full((2, 3), 9.0), None, "softsign"), False),  # which comes to 27 / 28
        (gw.Linear(np.full((2, 3), 9.0), None, "tanh"), True),
        (gw.Linear(np.full((2, 3), 9.0), None, "relu"), False),
        (gw.Linear(np.full((2, 3), 9.0), None, "softmax"), False),
        (head_of(3), False),
        (None, True),
    ],
)
def test_the_end_of_a_nonlinearity_is_no_ceiling_of_the_model(head, own):
    lstm = gw.LSTM(1, 3, rng=0, dtype=np.float64)
    for subject in (lstm, lstm.trace(np.ones((4, 1)))):
        found = insight.ceiling(subject, head)
        assert found.own_range.tolist() == [own] * len(found.ceiling)
        assert ("above 1, about where its own nonlinearity ends" in str(found)) == own
    clipped = gw.LSTM(1, 3, variant=gw.Variant(cell_clip=0.5), rng=0)
    assert not insight.ceiling(clipped).own_range.any()


def test_the_sequence_that_comes_closest_is_told_of():
    network, _ = planted.rain_gauge()
    labels = gw.Labels(sequences=["dry", "wet"])
    found = insight.ceiling(network.trace(np.array([[[0.0], [5.0]]] * 3), labels=labels))
    assert found.sequence == "wet"
    assert "at step 2 of wet" in str(found)
    assert insight.ceiling(network.trace(np.zeros((3, 2, 1)))).sequence == "sequence 0"


def test_an_output_is_chosen_by_its_place_or_its_name():
    lstm, head = gw.LSTM(1, 4, rng=0), head_of(4, outputs=3)
    trace = gw.Network(lstm.astype(np.float64), head=head).trace(np.ones((5, 1)), labels=gw.Labels(outputs=[*"abc"]))
    all_of_them = insight.ceiling(trace)
    for chosen in (1, -2, "b"):
        one = insight.ceiling(trace, output=chosen)
        assert one.outputs == ("b",)
        np.testing.assert_allclose(one.losses["lost_to_gate"], all_of_them.losses["lost_to_gate"][:, 1:2])
    assert len(all_of_them.columns["value"]) == 15
    assert "bring " in str(all_of_them)


LSTM1 = gw.LSTM(1, 3, rng=0)
REFUSED = {
    "a cell state without bound": (lambda: (gw.LSTM(1, 3, variant=gw.Variant(cell_activation="relu")),), {}, "relu"),
    "a gate without bound": (
        lambda: (gw.LSTM(1, 3, variant=gw.Variant(output_activation="softplus")),),
        {},
        "softplus",
    ),
    "unmerged directions": (lambda: (gw.LSTM(1, 3, bidirectional=True, merge="none"),), {}, "does not merge them"),
    "a product of projections": (
        lambda: (gw.LSTM(1, 3, bidirectional=True, merge="mul", projection_size=2),),
        {},
        "multiplied",
    ),
    "a cell": (lambda: (LSTM1[0],), {}, "LSTMCell"),
    "two heads": (lambda: (gw.Network(LSTM1), head_of(3)), {}, "already has its head"),
    "no head": (lambda: (LSTM1, 3), {}, "Linear"),
    "another head": (lambda: (LSTM1, head_of(4)), {}, "4 features"),
    "a negative scale": (lambda: (LSTM1,), {"scale": -1}, "scale"),
    "a shift that is none": (lambda: (LSTM1,), {"shift": np.nan}, "shift"),
    "too many scales": (lambda: (LSTM1,), {"scale": [1, 2]}, "scale"),
    "no such output": (lambda: (LSTM1,), {"output": 3}, "output 3"),
    "no such name": (lambda: (LSTM1,), {"output": "q"}, "'q'"),
    "a sequence of no run": (lambda: (LSTM1,), {"sequence": 0}, "run"),
    "no such sequence": (lambda: (LSTM1.trace([[1.0]]),), {"sequence": 1}, "sequence 1"),
    "NaN": (lambda: (LSTM1.trace([[np.nan]]),), {}, "NaN"),
    "a head of NaN": (lambda: (LSTM1, gw.Linear([[np.nan] * 3])), {}, "finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_ceiling_is_refused_in_one_sentence(case):
    given, options, part = REFUSED[case]
    with cases.refusal(part, by=gw.GatewiseError):
        insight.ceiling(*given(), **options)


def test_what_a_skip_connection_adds_is_under_no_ceiling_and_is_left_out():
    lstm = gw.LSTM(1, 3, rng=0, dtype=np.float64)
    x = np.array([[0.0], [100.0], [-100.0]])
    for skip in (0, 1):
        network = gw.Network(lstm, head=head_of(3, outputs=1), skip=skip)
        trace = network.trace(x)
        of_network, of_run = insight.ceiling(network), insight.ceiling(trace)
        for found in (of_network, of_run):
            assert ("the output, without the skip connection, above" in found.sentence) == bool(skip)
        assert (trace.output.max() > of_run.ceiling[0]) == bool(skip)
        np.testing.assert_allclose(of_run.output + skip * x, trace.output, rtol=0, atol=1e-12)
        assert (of_run.output <= of_run.ceiling).all()


def test_a_head_whose_nonlinearity_falls_has_no_ceiling():
    head = gw.Linear(np.ones((1, 3)), None, "silu")
    with cases.refusal("ceiling", "silu", by=gw.OptionError):
        insight.ceiling(gw.Network(gw.LSTM(2, 3, rng=0, dtype=np.float64), head=head))
