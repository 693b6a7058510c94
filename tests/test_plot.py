"""Pictures: what they show of a run, and that a visible change does not pass unseen."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw
from gatewise.examples import latch
from gatewise.plot import drawing
from gatewise.plot.picture import PICTURES
from gatewise.plot.records.gates import Gates


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def held():
    cell, x, *_ = latch()
    return gw.LSTM.from_cells(cell).trace(x)[0]


def series(steps=12, units=3, sequences=2, **options):
    """Return the trace of a cell whose features, sequences and times have names and measures; one ends early."""
    labels = gw.Labels(
        features=["rain", "$t_{max}$", "温度"],
        sequences=[f"basin {n}" for n in range(sequences)],
        times=np.datetime64("2001-02-01") + np.arange(steps),
        measures={"rain": ("precipitation", "mm/d"), "$t_{max}$": ("temperature", "°C")},
    )
    x = np.random.default_rng(0).normal(size=(steps, sequences, 3))
    lstm = gw.LSTM(3, units, rng=0, dtype=np.float64, **options)
    return lstm.trace(x, labels=labels, lengths=[steps] * (sequences - 1) + [steps * 2 // 3])


def test_the_forget_gate_of_the_latch_is_drawn_as_it_was():
    golden("gates", gw.plot.gates(held()))


def test_a_gate_with_dates_and_invalid_steps_is_drawn_as_it_was():
    golden("gates_dates", gw.plot.gates(series()[0], gate="candidate", sequence="basin 1", sort="cluster"))


def test_states_are_drawn_as_they_were():
    golden("states", gw.plot.states(series()[0], sequence=1, sort="timescale"))


def test_the_story_of_a_unit_is_drawn_as_it_was():
    golden("unit", gw.plot.unit(series()[0], unit=1, sequence=1))


def test_a_text_is_drawn_as_it_was():
    text = "to be\tor\nnot $\x00日"
    trace = gw.LSTM(1, 1, rng=0, dtype=np.float64).trace(np.linspace(-9, 9, len(text))[:, None, None], lengths=[15])[0]
    golden("text", gw.plot.text(trace, text=text, quantity="hidden_state"))
    tokens = list(held().labels.units * 7)
    golden("text_tokens", gw.plot.text(held(), text=tokens, quantity="forget_gate", width=20))


def test_in_a_dark_notebook_text_and_the_cell_state_are_light():
    with pyplot.style.context("dark_background"):
        golden("unit_dark", gw.plot.unit(held()))


@pytest.mark.parametrize("name", ["gates", "states", "unit", "text"])
def test_a_record_is_drawn_as_the_trace_that_it_is_of(name):
    trace = series()[0]
    options = {"sequence": 1} | ({"text": "a picture ha"} if name == "text" else {})
    draw, data = getattr(gw.plot, name), getattr(gw.plot.data, name)
    record = data(trace, **options)
    some, others = (np.atleast_1d(drawn).ravel()[0].figure for drawn in (draw(trace, **options), draw(record)))
    assert described(some) == described(others)
    assert len(record.to_dataframe()) == len(record.to_csv().splitlines()) - 1 == len(trace)
    with pytest.raises(gw.OptionError, match=f"a record of {name.title()} is drawn as it is, without sequence"):
        draw(record, sequence=1)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_names_and_documents_the_options_of_its_record(name):
    arguments = list(inspect.signature(getattr(gw.plot, name)).parameters)
    subject, *options = inspect.signature(getattr(gw.plot.data, name)).parameters
    assert arguments[:2] == [subject, "ax"]
    assert set(options) <= set(arguments[2:])
    section = getattr(gw.plot, name).__doc__.partition("Parameters\n")[2].partition("\n\n")[0]
    heads = [line.partition(" :")[0] for line in section.splitlines()[1:] if not line.startswith(" ")]
    documented = [word.strip("*") for head in heads for word in head.split(", ")]
    assert sorted(documented) == sorted(arguments)


def test_the_numbers_of_a_picture_are_the_trace_s_and_none_where_a_step_is_not_valid():
    trace = series()[0]
    found = gw.plot.data.gates(trace, "output_gate", sequence=1, units=[2, 0])
    assert np.array_equal(found.values[:8], trace.output_gate[:8, 1][:, [2, 0]])
    assert np.isnan(found.values[8:]).all()
    assert found.units == ("2", "0")
    states = gw.plot.data.states(trace, sequence=1)
    assert np.isnan(states.values["cell_state"][8:]).all()
    assert states.limits["cell_state"][1] == -states.limits["cell_state"][0] == np.abs(trace.cell_state[:8, 1]).max()


def test_what_a_trace_did_not_keep_is_left_out_or_named():
    x = np.random.default_rng(0).normal(size=(7, 1, 3))
    lstm = gw.LSTM(3, 4, projection_size=2, rng=0)
    less = lstm.trace(x, keep=["input_gate", "cell_state"], units=[3, 1], every=3)[0]
    assert gw.plot.data.gates(less, "i", units=[1]).units == ("1",)
    assert gw.plot.data.gates(less, "i").times.tolist() == [0, 3, 6]
    assert list(gw.plot.data.states(less).values) == ["cell_state"]
    assert len(gw.plot.states(less)) == 1
    assert list(gw.plot.data.unit(less, 3).values) == ["input_gate", "cell_state"]
    assert len(gw.plot.unit(less, unit=-1)) == 2
    assert gw.plot.data.states(lstm.trace(x)[0]).units["hidden_state"] == ("h0", "h1")
    with pytest.raises(gw.NotKeptError, match="did not keep unit 0; it kept 3, 1"):
        gw.plot.data.unit(less)
    with pytest.raises(gw.NotKeptError, match="did not keep the input"):
        gw.plot.data.unit(less, 3, features=0)
    with pytest.raises(gw.NotKeptError, match="kept neither cell_state nor hidden_state"):
        gw.plot.data.states(lstm.trace(x, keep="input_gate")[0])


def test_a_cell_that_runs_backward_says_so_and_keeps_the_input_s_time():
    trace = series(bidirectional=True)[0, "backward"]
    assert gw.plot.data.gates(trace).title == "forget gate, sequence basin 0, backward"
    assert gw.plot.data.gates(trace).times[0] == np.datetime64("2001-02-01")


def test_a_gate_that_is_not_between_0_and_1_has_a_scale_about_0():
    variant = gw.Variant(output_activation="relu")
    lstm = gw.LSTM.from_cells(gw.LSTMCell(2, 3, variant=variant, rng=0, init="pytorch").parameters)
    trace = lstm.trace(np.random.default_rng(0).normal(size=(5, 1, 2)))[0]
    limits = {gate: gw.plot.data.gates(trace, gate).limits for gate in gw.plot.data.unit(trace).limits if "_g" in gate}
    assert limits["forget_gate"] == (0, 1)
    assert limits["output_gate"] == (-trace.output_gate.max(), trace.output_gate.max())
    assert gw.plot.data.gates(trace, "g").limits == (-1, 1)


def test_no_extreme_is_lost_where_there_are_more_steps_and_units_than_pixels():
    values = np.zeros((5000, 600))
    values[3123, 321], values[77, 599], values[4999, 0] = 1, -1, 0.5
    record = Gates({}, "candidate", "", values, (-1, 1), ("u",) * 600, np.arange(5000), None)
    image = gw.plot.gates(record).images[0].get_array()
    assert image.shape[0] < 500
    assert image.shape[1] < 500
    assert sorted(image[image != 0].tolist()) == [-1, 0.5, 1]


def test_dates_with_gaps_leave_them_blank():
    days = np.concatenate([np.arange(50), np.arange(150, 200)]) + np.datetime64("2001-01-01")
    times = drawing.set_time_axis(drawing.single_panel(None), days)
    shown = drawing.keep_extremes(np.ones((100, 1)), 400, times)[:, 0]
    assert np.isnan(shown[110:290]).all()
    assert not np.isnan(shown[:90]).any()


REFUSED = {
    "there is no gate 'reset'": lambda t: gw.plot.gates(t, gate="reset"),
    "there is no unit 3; this cell has units 0 to 2": lambda t: gw.plot.gates(t, units=[3]),
    "there is no unit 'a'": lambda t: gw.plot.unit(t, unit="a"),
    "units must name at least one unit": lambda t: gw.plot.states(t, units=[]),
    "there is no sequence 2": lambda t: gw.plot.states(t, sequence=2),
    "sequence must be one of basin 0, basin 1, not 'basin 9'": lambda t: gw.plot.states(t, sequence="basin 9"),
    "there is no feature 'wind'": lambda t: gw.plot.unit(t, features=["wind"]),
    "sort must be one of none, timescale, cluster, not 'size'": lambda t: gw.plot.gates(t, sort="size"),
    "quantity must be one of": lambda t: gw.plot.text(t, text="a", quantity="gate"),
    "the text is missing": lambda t: gw.plot.text(t),
    "not 'abc'; the options of a picture have names": lambda t: gw.plot.text(t, "abc"),
    "the text has 1 characters or tokens; this trace has 12 steps": lambda t: gw.plot.text(t, text="a"),
    "ax must be matplotlib Axes or a Figure, not 3": lambda t: gw.plot.states(t, 3),
    "ax must be 2 matplotlib Axes or a Figure": lambda t: gw.plot.states(t, pyplot.figure().add_subplot()),
    "a question takes a Trace, LSTMTrace or NetworkTrace, not LSTM": lambda t: gw.plot.states(gw.LSTM(1, 1)),
    "a picture needs at least one step; this trace has none": lambda t: gw.plot.unit(t[:0]),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(sentence):
    with pytest.raises((gw.OptionError, gw.ShapeError), match=sentence):
        REFUSED[sentence](series()[0])
