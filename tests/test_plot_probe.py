"""Pictures of probes and matches: what they show, and that a visible change does not pass unseen."""

from __future__ import annotations

import sys

import cases
import numpy as np
import pytest
from matplotlib import pyplot
from pictures import described, golden
from planted import bracket_detector, leaky_bucket

import gatewise as gw
from gatewise import insight


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def probed(**options):
    lstm, rain, storage = leaky_bucket(40, 2)
    days = np.datetime64("2001-01-01") + np.arange(40)
    trace = lstm.trace(rain, labels=gw.Labels(times=days, sequences=["Elbe", "Rhine"]), lengths=[30, 40])[0]
    storage[10:14] = np.nan
    return insight.probe(trace, storage, name=("storage", "mm"), **options)


def matched():
    lstm, x, places = bracket_detector([[(2, 4), (3, 4), (5, 1)], [(6, 3)], []])
    return lstm.trace(x)[0], dict(zip(("start", "stop"), places[0][1:], strict=True))


def test_a_probe_is_drawn_over_time_among_its_shifts_and_with_its_best_units():
    golden("probe", gw.plot.probe(probed()))


def test_matches_are_drawn_where_they_are():
    trace, stretch = matched()
    golden("matches", gw.plot.matches(trace, edges=True, **stretch))


def test_a_record_is_drawn_as_the_trace_that_it_is_of():
    lstm, rain, storage = leaky_bucket(40)
    trace, options = lstm.trace(rain)[0], {"values": storage, "draws": 10}
    drawn, again = gw.plot.probe(trace, **options), gw.plot.probe(gw.plot.data.probe(trace, **options))
    assert described(drawn[0].figure) == described(again[0].figure)
    trace, stretch = matched()
    drawn, again = gw.plot.matches(trace, **stretch), gw.plot.matches(gw.plot.data.matches(trace, **stretch))
    assert described(drawn.figure) == described(again.figure)


def test_values_at_few_steps_are_seen_as_dots():
    lstm, rain, storage = leaky_bucket(40, 3)
    storage[np.arange(40) % 5 > 0] = np.nan
    axes = gw.plot.probe(insight.probe(lstm.trace(rain)[0], storage))
    assert {line.get_marker() for line in axes[0].lines} == {"."}


def test_of_many_sequences_those_with_the_best_matches_are_drawn():
    lstm, x, places = bracket_detector([[(2, 4), (1, 4)]] * 50)
    axes = gw.plot.matches(lstm.trace(x)[0], start=places[0][1], stop=places[0][2], edges=True)
    assert len(axes.get_yticks()) == 30


def test_pictures_are_drawn_on_what_is_given():
    figure = pyplot.figure()
    axes = gw.plot.probe(probed(), ax=figure)
    assert [ax.figure for ax in axes] == [figure] * 3
    trace, stretch = matched()
    (ax,) = pyplot.figure().subplots(1, 1, squeeze=False)[0]
    assert gw.plot.matches(trace, ax=ax, **stretch) is ax
    with pytest.raises(gw.OptionError) as caught:
        gw.plot.probe(probed(), ax=ax)
    cases.one_sentence(caught.value, "3 matplotlib Axes")


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch):
    found = probed()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(gw.MissingExtraError) as caught:
        gw.plot.probe(found)
    cases.one_sentence(caught.value, "matplotlib", "pip install")
