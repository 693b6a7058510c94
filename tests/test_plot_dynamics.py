"""The pictures of influence and of fixed points."""

from __future__ import annotations

from dataclasses import replace

import cases
import numpy as np
import planted
import pytest
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw
from gatewise.examples import latch


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def rained_on(steps=200, **options):
    lstm, x, _ = planted.bucket(timescale=6.0, steps=steps)
    return lstm.trace(x, **options)


def drawn(ax):
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata()) for line in ax.get_lines() if "∂" in line.get_label()
    }


def test_the_influence_on_a_leaky_bucket_is_drawn_as_it_was():
    dates = np.datetime64("2001-01-01") + np.arange(200)
    golden("influence", gw.plot.influence(rained_on(labels=gw.Labels(times=dates))[0]))


def test_the_influence_on_an_output_in_the_midst_of_a_run_is_drawn_as_it_was():
    valid = np.ones(30, bool)
    valid[9:12] = False
    x = np.random.default_rng(0).normal(size=(30, 2))
    trace = gw.LSTM(2, 3, bidirectional=True, rng=0, dtype=np.float64).trace(x, mask=valid)
    golden("influence_of_a_model", gw.plot.influence(trace, t=15))


def test_the_fixed_points_of_the_bistable_cell_are_drawn_as_they_were():
    golden("fixed_points", gw.plot.fixed_points(planted.bistable().lstm))


@pytest.mark.parametrize("name", ["influence", "fixed_points"])
def test_a_record_is_drawn_as_what_it_is_of(name):
    subject = rained_on(20)[0]
    record = getattr(gw.plot.data, name)(subject)
    draw = getattr(gw.plot, name)
    assert described(draw(subject).figure) == described(draw(record).figure)
    figure = pyplot.figure()
    assert draw(record, ax=figure).figure is figure
    with pytest.raises(gw.OptionError) as caught:
        draw(record, share=0.5)
    cases.one_sentence(caught.value, "share")


def test_a_curve_ends_where_it_is_a_millionth_and_the_picture_with_the_last():
    ax = gw.plot.influence(rained_on(1000)[0])
    curves = drawn(ax)
    assert len(curves) == 3
    for places, values in curves.values():
        assert np.nanmin(values) >= 1e-6 * np.nanmax(values)
        assert places.min() == 999 - int(6 * np.log(1e6))
    assert ax.get_yscale() == "log"


def test_of_many_steps_the_least_and_the_greatest_of_each_pixel_are_drawn():
    steps, few = np.arange(30_000), gw.plot.data.influence(rained_on(20)[0])
    inputs = np.where(steps % 999 == 500, 3.0, np.where(steps % 777 == 300, 0.5, 1.0))
    columns = {"time": steps, "lag": steps[::-1], "input": inputs, "along_cell": inputs}
    long = replace(
        few, columns=columns, inputs=inputs, cell_state=inputs, along_cell=inputs[:, None], lag=29_000, times=steps
    )
    for places, values in drawn(gw.plot.influence(long)).values():
        assert len(places) <= 2000
        assert (values == 3).sum() >= (inputs == 3).sum()
        assert (values == 0.5).sum() >= (inputs == 0.5).sum()


def test_where_nothing_has_an_influence_the_picture_says_so():
    silent = gw.LSTM.from_cells(gw.Parameters(np.zeros((4, 2, 3)), np.zeros((4, 2))))
    ax = gw.plot.influence(silent.trace(np.ones((3, 1)))[0])
    assert ax.get_title() == "No input has an influence on the hidden state at step 2."
    weight = np.zeros((4, 1, 2))
    shut = gw.LSTM.from_cells(gw.Parameters(weight, np.zeros((4, 1)))).trace(np.ones((3, 1)))
    assert "No input" in gw.plot.influence(shut).get_title()


def test_many_points_have_a_line_of_the_legend_for_each_kind():
    ax = gw.plot.fixed_points(planted.counter().lstm)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(texts) == 1
    assert texts[0].endswith(" neutral")


def test_the_circle_and_every_eigenvalue_are_within_the_axes():
    ax = gw.plot.fixed_points(planted.bistable(gain=9).lstm)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left < -1
    assert right > 5
    assert low < -1 < 1 < high
    assert "grows" in "".join(text.get_text() for text in ax.get_legend().get_texts())


def test_where_no_point_was_found_the_picture_says_so():
    variant = gw.Variant(forget_activation="affine:0,1", candidate_activation="affine:0,1")
    ax = gw.plot.fixed_points(gw.LSTMCell(1, 1, variant=variant, rng=0), starts=1, settle=0)
    assert ax.get_title().startswith("None of 1 start led")


def test_what_is_asked_of_the_latch_can_be_drawn_without_a_trace():
    assert "404 steps" in gw.plot.fixed_points(latch().cell).get_legend().get_texts()[0].get_text()
