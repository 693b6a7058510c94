"""Pictures of what a cell does, remembers and holds: they show what the answers say, and do not change unseen."""

from __future__ import annotations

import cases
import numpy as np
import planted
import pytest
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw
from gatewise import insight, plot


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def dated(units=3, steps=12, *, names=True, direction="forward"):
    """Return the trace of a cell with dates; the last third is not valid."""
    labels = gw.Labels(
        times=np.datetime64("2001-02-01") + np.arange(steps),
        units=[f"$u_{n}$" for n in range(units)] if names else None,
    )
    lstm = gw.LSTM(2, units, rng=0, dtype=np.float64, direction=direction)
    x = np.random.default_rng(0).normal(size=(steps, 1, 2))
    state = [[gw.State(np.full((1, units), 0.1), np.full((1, units), 0.5))]]
    return lstm.trace(3 * x, state, labels=labels, lengths=[steps * 2 // 3])[0]


def extremes():
    """Return the trace of a cell whose units forget nothing, all, and slowly."""
    weight, bias = np.zeros((4, 4, 5)), np.zeros((4, 4))
    bias[1] = [9, -9, 2.4, 1]
    variant = gw.Variant(forget_activation="hard_sigmoid:0.2,0.5")
    return gw.LSTM.from_cells(gw.Parameters(weight, bias, variant=variant)).trace(np.ones((5, 1)))[0]


def discharge():
    """Return the run of a network that measures something."""
    network, _ = planted.rain_gauge()
    labels = gw.Labels(
        outputs=["q"], measures={"q": ("discharge", "mm/d")}, times=np.datetime64("2001-02-01") + np.arange(6)
    )
    x = np.array([0, 20, 5, 0, -40, 0.0]).reshape(6, 1, 1)
    return network.trace(x, labels=labels, mask=np.array([True] * 5 + [False]))


PICTURES = {
    "saturation": lambda: plot.saturation(dated(), low=0.3, high=0.7, still=1.2),
    "timescales": lambda: plot.timescales(extremes()),
    "contributions": lambda: plot.contributions(dated(units=7)),
    "contributions_unit": lambda: plot.contributions(dated(), unit="$u_1$"),
    "attention": lambda: plot.attention(dated()),
    "attention_unit": lambda: plot.attention(dated(direction="backward"), unit=1),
    "ceiling": lambda: plot.ceiling(discharge()),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_as_it_was(name):
    golden(name, PICTURES[name]())


@pytest.mark.parametrize("name", ["timescales", "contributions"])
def test_an_answer_is_drawn_as_the_trace_that_it_is_of(name):
    trace, draw = dated(), getattr(plot, name)
    record = getattr(plot.data, name)(trace)
    axes = draw(record)
    assert described(np.atleast_1d(axes)[0].figure) == described(np.atleast_1d(draw(trace))[0].figure)
    with pytest.raises(gw.OptionError) as caught:
        draw(record, sequence=0)
    cases.one_sentence(caught.value, "sequence")


def test_timescales_are_drawn_in_the_time_of_the_data():
    assert plot.timescales(dated()).get_ylabel() == "timescale (days)"


def test_a_long_run_is_drawn_with_its_extremes():
    network, _ = planted.rain_gauge()
    x = np.zeros((5000, 1))
    x[3210] = 1e3
    trace = network.trace(x)
    drawn = plot.ceiling(trace).patches[0].get_data().values
    assert len(drawn) < 5000
    assert drawn.max() == trace.output.max()


def test_of_a_long_past_only_the_steps_that_hold_something_are_drawn():
    lstm = gw.LSTM(1, 2, rng=0, dtype=np.float64)
    for direction, near in (("forward", 299), ("backward", 0)):
        lstm = gw.LSTM(1, 2, rng=0, dtype=np.float64, direction=direction)
        axes = plot.contributions(lstm.trace(np.ones((300, 1)))[0])
        first, last = axes.get_xlim()
        assert first <= near <= last
        assert last - first < 60
        assert "earlier steps" in axes.get_title(loc="right")


def test_each_output_has_a_panel_and_too_many_have_none():
    lstm = gw.LSTM(1, 9, rng=0)
    trace = lstm.trace(np.ones((4, 1)))
    assert len(plot.ceiling(trace, head=gw.Linear(np.eye(9)[:2]))) == 2
    for given, part in ((trace, "9"), (lstm, "run")):
        with pytest.raises(gw.OptionError) as caught:
            plot.ceiling(given)
        cases.one_sentence(caught.value, part)


def test_pictures_of_sixty_units_have_no_names_beside_points():
    trace = dated(units=60, names=False)
    assert not plot.saturation(trace)[0].texts
    assert plot.contributions(trace).get_legend() is None  # none of them holds a tenth
    some = plot.contributions(dated(units=12)).get_legend().get_texts()
    assert some[0].get_text().endswith(" others")
    assert insight.saturation(trace).closed.shape == (3, 60)
