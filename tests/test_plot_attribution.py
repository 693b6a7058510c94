"""The picture of an attribution: the input and the shares, features as colours, and coloured tokens."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def rainy(steps=8):
    """Return the trace of a network with names, dates, measures, a state to start from and a step that is not valid."""
    rng = np.random.default_rng(0)
    times = np.datetime64("2001-01-01") + np.arange(steps)
    measures = {"rain": ("precipitation", "mm/d"), "q": ("discharge", "mm/d")}
    labels = gw.Labels(features=["rain", "sun"], outputs=["q"], times=times, measures=measures)
    net = gw.Network(gw.LSTM(2, 5, rng=0, dtype=np.float64), head=gw.Linear(rng.normal(size=(1, 5))))
    state = [[gw.State(*rng.normal(size=(2, 5)))]]
    return net.trace(rng.normal(size=(steps, 2)), state, mask=np.arange(steps) != 2, labels=labels)


def spoken():
    """Return the trace of a network that reads words, and the words."""
    rng = np.random.default_rng(1)
    lstm = gw.LSTM(3, 4, bidirectional=True, rng=0, dtype=np.float64)
    head = gw.Linear(rng.normal(size=(2, 8)), activation="softmax")
    net = gw.Network(lstm, embedding=rng.normal(size=(5, 3)), head=head, reads="last", masked=4)
    return net.trace([0, 1, 2, 1, 3, 4]), ["never", "mind", "the $5", "ends", "<pad>"]


def test_the_shares_of_steps_are_drawn_under_the_input():
    golden("attribution", gw.plot.attribution(rainy(), method="lrp", t=6))


def test_the_shares_of_features_are_drawn_as_colours():
    golden("attribution_features", gw.plot.attribution(rainy(), method="gradient_input", kind="features"))


def test_tokens_are_drawn_on_the_colours_of_their_shares():
    trace, words = spoken()
    golden("attribution_tokens", gw.plot.attribution(trace, output=1, vocabulary=words, method="lrp"))


def test_a_record_is_drawn_as_the_trace_that_it_is_of():
    lstm, x = planted.held_bit()
    record = gw.plot.data.attribution(lstm.trace(x), method="contextual_decomposition")
    drawn = gw.plot.attribution(lstm.trace(x), method="contextual_decomposition")
    assert described(drawn[0].figure) == described(gw.plot.attribution(record)[0].figure)


def test_of_a_long_run_the_part_that_has_the_shares_is_drawn():
    trace = gw.LSTM(2, 3, rng=0).trace(np.random.default_rng(0).normal(size=(3000, 2)))
    record = gw.insight.attribution(trace, t=2000, method="gradient_input")
    low, high = gw.plot.attribution(record)[1].get_xlim()
    assert 1900 < low < 2000 < high < 2100
    low, high = gw.plot.attribution(record, steps=(0, 3000))[1].get_xlim()
    assert low < 0 < 2999 < high
    low, high = gw.plot.attribution(record, steps=(10, 20))[1].get_xlim()
    assert 8 < low < 10 < 19 < high < 20


def test_the_names_of_times_are_drawn_as_tokens_where_nothing_was_embedded():
    lstm = gw.LSTM(1, 2, rng=0)
    trace = lstm.trace([[1], [0], [2]], labels=gw.Labels(times=["h", "e", "y"]))
    ax = gw.plot.attribution(trace, kind="tokens", method="lrp")
    assert [text.get_text() for text in ax.texts] == ["h", "e", "y"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "heat"}, "kind must be one of"),
        ({"kind": "tokens"}, "no tokens"),
        ({"kind": "features", "method": "contextual_decomposition"}, "of steps alone"),
        ({"steps": (3, 3)}, "(3, 3)"),
        ({"steps": (0, 9)}, "0 to 8"),
        ({"steps": 4}, "not 4"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, words):
    with pytest.raises(gw.OptionError) as caught:
        gw.plot.attribution(rainy(), **{"method": "gradient_input", **options})
    cases.one_sentence(caught.value, words)


def test_features_that_a_network_scales_are_drawn_in_their_own_units_each_in_its_range():
    x = np.stack([[0.0, 5.0, 40.0, 2.0], [281.0, 282.0, 283.5, 284.0], [950.0] * 4], axis=-1)
    names = gw.Labels(features=["rain", "t", "height"], outputs=["q"], measures={"rain": ("rain", "mm/d")})
    network = gw.Network(
        gw.LSTM(3, 2, rng=0, dtype=np.float64),
        head=gw.Linear(np.ones((1, 2))),
        inputs=gw.Scaling([3, 280, 900], [6, 9, 100]),
        labels=names,
    )
    record = gw.insight.attribution(network.trace(x), method="gradient_input")
    np.testing.assert_allclose(record.input, x, atol=1e-9)
    assert record.measures == ("rain (mm/d)", "", "")
    legend = gw.plot.attribution(record)[0].get_legend()
    texts = [one.get_text() for one in legend.get_texts()]
    assert texts == ["rain (mm/d)\n0 to 40", "t\n281 to 284", "height\n950"]
