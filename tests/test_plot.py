"""Pictures: what they show of a run, that a record is drawn as its run, and that no visible change passes unseen."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace

import cases
import numpy as np
import planted
import pytest
from matplotlib import pyplot
from pictures import agg as agg
from pictures import described, golden

import gatewise as gw
from gatewise import insight, plot
from gatewise.examples import latch
from gatewise.plot import drawing
from gatewise.plot.picture import PICTURES
from gatewise.plot.run_records import Gates

DAYS = np.datetime64("2001-02-01")


def held(**options):
    cell, x, *_ = latch()
    return gw.LSTM.from_cells(cell).trace(x, **options)[0]


def series(steps=12, units=3, sequences=2, **options):
    """Return the trace of a cell whose features, sequences and times have names and measures; one ends early."""
    labels = gw.Labels(
        features=["rain", "$t_{max}$", "温度"],
        sequences=[f"basin {n}" for n in range(sequences)],
        times=DAYS + np.arange(steps),
        measures={"rain": ("precipitation", "mm/d"), "$t_{max}$": ("temperature", "°C")},
    )
    x = np.random.default_rng(0).normal(size=(steps, sequences, 3))
    lstm = gw.LSTM(3, units, rng=0, dtype=np.float64, **options)
    return lstm.trace(x, labels=labels, lengths=[steps] * (sequences - 1) + [steps * 2 // 3])


def dated(units=3, steps=12, *, names=True, direction="forward"):
    """Return the trace of a cell with dates; the last third is not valid."""
    labels = gw.Labels(times=DAYS + np.arange(steps), units=[f"$u_{n}$" for n in range(units)] if names else None)
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
    labels = gw.Labels(outputs=["q"], measures={"q": ("discharge", "mm/d")}, times=DAYS + np.arange(6))
    x = np.array([0, 20, 5, 0, -40, 0.0]).reshape(6, 1, 1)
    return network.trace(x, labels=labels, mask=np.array([True] * 5 + [False]))


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


def rained_on(steps=200, **options):
    lstm, x, _ = planted.bucket(timescale=6.0, steps=steps)
    return lstm.trace(x, **options)


def both_ways():
    """Return the trace of an LSTM in both directions with some steps in the midst that are not valid."""
    x, valid = np.random.default_rng(0).normal(size=(30, 2)), np.abs(np.arange(30) - 10) > 1
    return gw.LSTM(2, 3, bidirectional=True, rng=0, dtype=np.float64).trace(x, mask=valid)


def stored():
    """Return the trace of a leaky bucket in two rivers, and the storage, which is unknown at some steps."""
    lstm, rain, storage = planted.leaky_bucket(40, 2)
    days = np.datetime64("2001-01-01") + np.arange(40)
    storage[10:14] = np.nan
    labels = gw.Labels(times=days, sequences=["Elbe", "Rhine"])
    return lstm.trace(rain, labels=labels, lengths=[30, 40])[0], {"values": storage, "name": ("storage", "mm")}


def matched():
    lstm, x, places = planted.bracket_detector([[(2, 4), (3, 4), (5, 1)], [(6, 3)], []])
    return lstm.trace(x)[0], dict(zip(("start", "stop"), places[0][1:], strict=True))


def letters():
    text = "to be\tor\nnot $\x00日"
    x = np.linspace(-9, 9, len(text))[:, None, None]
    return gw.LSTM(1, 1, rng=0, dtype=np.float64).trace(x, lengths=[15])[0], {"text": text, "quantity": "hidden_state"}


FORGOTTEN = gw.Edit.set("forget_gate", 0.0, steps=3)
NEWER = np.datetime64("2001-01-01")


def faded(lags=64, both_ways=False):
    """Return the record of a horizon of 23 steps, and of 23 ahead, of three units."""
    lag = np.arange(-lags if both_ways else 0, lags + 1)
    curve = np.exp(-np.abs(lag) / 10) * np.array([[0.9], [1.0], [1.0]])
    ways = np.array(["forward", "forward", "backward" if both_ways else "forward"])
    columns = {"direction": ways, "steps": np.array([23, 5, 23])}
    units = np.exp(-np.arange(lags + 1)[:, None] / [10.0, 2.0, 10.0])
    ahead = 23 if both_ways else 0
    return insight.Horizon(columns, "", 23, ahead, False, False, True, lags, lag, curve, "q", units, None)


def rested_on(steps=60):
    """Return the record of an occlusion of an output that rests on two steps."""
    sizes = np.full(steps, np.nan)
    sizes[10:] = 0.001
    sizes[[40, 55]] = 2.0, 1.0
    change = np.where(np.arange(steps) == 40, -sizes, 0.5 * sizes)
    columns = {"time": np.arange(steps), "change": change, "without": 3 + change, "size": sizes, "error": 0 * sizes}
    numbers = {"step": 59, "value": 3.0, "together": 0.9, "moved": 2.1, "past": 0.0}
    named = {"tried": (40, 55), "shares": {"rain": 1.0}, "times": np.arange(steps), "valid": None}
    numbers |= {"sets": 200, "rivals": 0, "width": 1}
    return insight.Occlusion(columns, "", target="output q at step 59", **numbers, **named)


def ablated(parts=34):
    """Return the record of an ablation of so many units, of which one makes the error smaller."""
    names = tuple(f"unit {n} of layer {n % 2} ({'back' if n % 3 else 'for'}ward)" for n in range(parts))
    effects = 0.5 / (1 + np.arange(parts)) * np.where(np.arange(parts) == 2, -1, 1)
    return insight.Ablation({"edit": np.array(names)}, "", 0.25, names, (), 0.25 + effects, effects, "error (mm/d)")


DRAWN = {
    "ablation": lambda: plot.ablation(ablated()),
    "ablation_few": lambda: plot.ablation(ablated(2)),
    "gates": lambda: plot.gates(held()),
    "gates_dates": lambda: plot.gates(series()[0], gate="candidate", sequence="basin 1", sort="cluster"),
    "states": lambda: plot.states(series()[0], sequence=1, sort="timescale"),
    "unit": lambda: plot.unit(series()[0], unit=1, sequence=1),
    "text": lambda: plot.text(letters()[0], **letters()[1]),
    "text_tokens": lambda: plot.text(held(), text=[*held().labels.units * 7], quantity="forget_gate", width=20),
    "activity": lambda: plot.activity(
        gw.LSTM(2, 5, rng=0, dtype=np.float64).trace(np.sin(np.arange(12.0)).reshape(6, 2))[0]
    ),
    "saturation": lambda: plot.saturation(dated(), low=0.3, high=0.7, still=1.2),
    "timescales": lambda: plot.timescales(extremes()),
    "contributions": lambda: plot.contributions(dated(units=7)),
    "contributions_unit": lambda: plot.contributions(dated(), unit="$u_1$"),
    "attention": lambda: plot.attention(dated()),
    "attention_unit": lambda: plot.attention(dated(direction="backward"), unit=1),
    "ceiling": lambda: plot.ceiling(discharge()),
    "change": lambda: plot.change(held(engine="reference"), after=held(edit=FORGOTTEN)),
    "horizon": lambda: plot.horizon(faded()),
    "horizon_both_ways": lambda: plot.horizon(faded(both_ways=True)),
    "influence": lambda: plot.influence(rained_on(labels=gw.Labels(times=NEWER + np.arange(200)))[0]),
    "influence_of_a_model": lambda: plot.influence(both_ways(), t=15),
    "fixed_points": lambda: plot.fixed_points(planted.bistable().lstm),
    "occlusion": lambda: plot.occlusion(rested_on()),
    "attribution": lambda: plot.attribution(rainy(), method="lrp", t=6),
    "attribution_features": lambda: plot.attribution(rainy(), method="gradient_input", kind="features"),
    "attribution_tokens": lambda: plot.attribution(spoken()[0], output=1, vocabulary=spoken()[1], method="lrp"),
    "probe": lambda: plot.probe(stored()[0], **stored()[1]),
    "matches": lambda: plot.matches(matched()[0], edges=True, **matched()[1]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn_as_it_was(name):
    golden(name, DRAWN[name]())


def test_in_a_dark_notebook_text_and_the_cell_state_are_light():
    with pyplot.style.context("dark_background"):
        golden("unit_dark", plot.unit(held()))


SUBJECTS = {  # of each picture, with options
    **{name: lambda: (series()[0], {"sequence": 1}) for name in ("gates", "states", "unit")},
    "text": lambda: (series()[0], {"sequence": 1, "text": "a picture ha"}),
    **{name: lambda: (dated(), {}) for name in ("activity", "attention", "contributions", "saturation", "timescales")},
    "ablation": lambda: (rained_on(20)[0], {"parts": "gates"}),
    "attribution": lambda: (rainy(), {"method": "contextual_decomposition"}),
    "ceiling": lambda: (discharge(), {}),
    "change": lambda: (held(engine="reference"), {"after": held(edit=FORGOTTEN), "unit": 0}),
    "fixed_points": lambda: (planted.bistable().lstm, {"starts": 4}),
    "horizon": lambda: (rained_on(40)[0], {"lags": 10}),
    "influence": lambda: (rained_on(20)[0], {}),
    "matches": matched,
    "occlusion": lambda: (rainy(), {"t": 6}),
    "probe": lambda: (stored()[0], stored()[1] | {"draws": 10}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_record_is_drawn_as_what_it_is_of(name):
    subject, options = SUBJECTS[name]()
    draw, record = getattr(plot, name), getattr(plot.data, name)(subject, **options)
    drawn = np.atleast_1d(draw(subject, **options)).ravel()[0].figure
    figure = pyplot.figure(figsize=drawn.get_size_inches(), layout="constrained")
    assert np.atleast_1d(draw(record, ax=figure)).ravel()[0].figure is figure
    assert described(figure) == described(drawn)
    assert len(record.to_dataframe()) == len(record.to_csv().splitlines()) - 1
    with pytest.raises(gw.OptionError, match=f"of {type(record).__name__} is drawn as it is, without sequence"):
        draw(record, sequence=1)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_names_and_documents_the_options_of_its_record(name):
    arguments = list(inspect.signature(getattr(plot, name)).parameters)
    subject, *options = inspect.signature(getattr(plot.data, name)).parameters
    assert arguments[:2] == [subject, "ax"]
    assert set(options) <= set(arguments[2:])
    section = getattr(plot, name).__doc__.partition("Parameters\n")[2].partition("\n\n")[0]
    heads = [line.partition(" :")[0] for line in section.splitlines()[1:] if not line.startswith(" ")]
    documented = [word.strip("*") for head in heads for word in head.split(", ")]
    assert sorted(documented) == sorted(arguments)


def test_pictures_are_drawn_on_what_is_given():
    trace, stretch = matched()
    ax = pyplot.figure().add_subplot()
    assert plot.matches(trace, ax=ax, **stretch) is ax
    with cases.refusal("2 matplotlib Axes", by=gw.OptionError):
        plot.probe(stored()[0], ax=ax, **stored()[1])


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch):
    record = insight.timescales(held())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with cases.refusal("matplotlib", "pip install", by=gw.MissingExtraError):
        plot.timescales(record)


# Gates, states, a unit and a text.


def test_the_numbers_of_a_picture_are_the_trace_s_and_none_where_a_step_is_not_valid():
    trace = series()[0]
    found = plot.data.gates(trace, "output_gate", sequence=1, units=[2, 0])
    assert np.array_equal(found.values[:8], trace.output_gate[:8, 1][:, [2, 0]])
    assert np.isnan(found.values[8:]).all()
    assert found.units == ("2", "0")
    states = plot.data.states(trace, sequence=1)
    assert np.isnan(states.values["cell_state"][8:]).all()
    assert states.limits["cell_state"][1] == -states.limits["cell_state"][0] == np.abs(trace.cell_state[:8, 1]).max()


def test_what_a_trace_did_not_keep_is_left_out_or_named():
    x = np.random.default_rng(0).normal(size=(7, 1, 3))
    lstm = gw.LSTM(3, 4, projection_size=2, rng=0)
    less = lstm.trace(x, keep=["input_gate", "cell_state"], units=[3, 1], every=3)[0]
    assert plot.data.gates(less, "i", units=[1]).units == ("1",)
    assert plot.data.gates(less, "i").times.tolist() == [0, 3, 6]
    assert list(plot.data.states(less).values) == ["cell_state"]
    assert len(plot.states(less)) == 1
    assert list(plot.data.unit(less, 3).values) == ["input_gate", "cell_state"]
    assert len(plot.unit(less, unit=-1)) == 2
    assert plot.data.states(lstm.trace(x)[0]).units["hidden_state"] == ("h0", "h1")
    with pytest.raises(gw.NotKeptError, match="did not keep unit 0; it kept 3, 1"):
        plot.data.unit(less)
    with pytest.raises(gw.NotKeptError, match="did not keep the input"):
        plot.data.unit(less, 3, features=0)
    with pytest.raises(gw.NotKeptError, match="kept neither cell_state nor hidden_state"):
        plot.data.states(lstm.trace(x, keep="input_gate")[0])


def test_a_cell_that_runs_backward_says_so_and_keeps_the_input_s_time():
    trace = series(bidirectional=True)[0, "backward"]
    assert plot.data.gates(trace).title == "forget gate, sequence basin 0, backward"
    assert plot.data.gates(trace).times[0] == np.datetime64("2001-02-01")


def test_a_gate_that_is_not_between_0_and_1_has_a_scale_about_0():
    variant = gw.Variant(output_activation="relu")
    lstm = gw.LSTM.from_cells(gw.LSTMCell(2, 3, variant=variant, rng=0, init="pytorch").parameters)
    trace = lstm.trace(np.random.default_rng(0).normal(size=(5, 1, 2)))[0]
    limits = {gate: plot.data.gates(trace, gate).limits for gate in plot.data.unit(trace).limits if "_g" in gate}
    assert limits["forget_gate"] == (0, 1)
    assert limits["output_gate"] == (-trace.output_gate.max(), trace.output_gate.max())
    assert plot.data.gates(trace, "g").limits == (-1, 1)


def test_no_extreme_is_lost_where_there_are_more_steps_and_units_than_pixels():
    values = np.zeros((5000, 600))
    values[3123, 321], values[77, 599], values[4999, 0] = 1, -1, 0.5
    record = Gates({}, "candidate", "", values, (-1, 1), ("u",) * 600, times=np.arange(5000), valid=None)
    image = plot.gates(record).images[0].get_array()
    assert image.shape[0] < 500
    assert image.shape[1] < 500
    assert sorted(image[image != 0].tolist()) == [-1, 0.5, 1]


def test_dates_with_gaps_leave_them_blank():
    days = np.concatenate([np.arange(50), np.arange(150, 200)]) + np.datetime64("2001-01-01")
    times = drawing.set_time_axis(drawing.single_panel(None), days)
    shown = drawing.keep_extremes(np.ones((100, 1)), 400, times)[:, 0]
    assert np.isnan(shown[110:290]).all()
    assert not np.isnan(shown[:90]).any()


# Answers.


def test_of_a_long_run_the_part_that_has_the_shares_is_drawn():
    trace = gw.LSTM(2, 3, rng=0).trace(np.random.default_rng(0).normal(size=(3000, 2)))
    record = gw.insight.attribution(trace, t=2000, method="gradient_input")
    low, high = plot.attribution(record)[1].get_xlim()
    assert 1900 < low < 2000 < high < 2100
    low, high = plot.attribution(record, steps=(0, 3000))[1].get_xlim()
    assert low < 0 < 2999 < high
    low, high = plot.attribution(record, steps=(10, 20))[1].get_xlim()
    assert 8 < low < 10 < 19 < high < 20


def test_the_names_of_times_are_drawn_as_tokens_where_nothing_was_embedded():
    lstm = gw.LSTM(1, 2, rng=0)
    trace = lstm.trace([[1], [0], [2]], labels=gw.Labels(times=["h", "e", "y"]))
    ax = plot.attribution(trace, kind="tokens", method="lrp")
    assert [text.get_text() for text in ax.texts] == ["h", "e", "y"]


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
    legend = plot.attribution(record)[0].get_legend()
    texts = [one.get_text() for one in legend.get_texts()]
    assert texts == ["rain (mm/d)\n0 to 40", "t\n281 to 284", "height\n950"]


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
        with cases.refusal(part, by=gw.OptionError):
            plot.ceiling(given)


def test_of_sixty_units_the_five_most_saturated_and_the_five_that_wrote_most_are_named():
    trace = dated(units=60, names=False)
    record = insight.saturation(trace, low=0.3, high=0.7)
    for place, ax in enumerate(plot.saturation(record)):
        share = np.maximum(record.closed, record.open)[place]
        names = [re.match(r"\d+", text.get_text())[0] for text in ax.texts]
        assert 0 < len(names) <= 5
        assert min(share[int(name)] for name in names) >= np.sort(share)[-5]
    wrote = plot.contributions(trace).get_legend().get_texts()
    sizes = insight.contributions(trace).shares[0].sum(0)
    names = [str(unit) for unit in np.argsort(sizes)[-5:]]
    assert [text.get_text() for text in wrote] == ["55 others", *names]


def test_two_runs_that_are_the_same_have_a_picture_too():
    run = cases.run_of("plain", projection="projected")
    axes = plot.change(run.trace(), after=run.trace())
    assert [ax.get_ylabel() for ax in axes] == ["distance", "cell\nstate"]  # a projected state has no units


def drawn(ax):
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata()) for line in ax.get_lines() if "∂" in line.get_label()
    }


def test_the_picture_of_an_influence_ends_where_99_percent_of_it_lies():
    record = insight.influence(rained_on(1000)[0])
    ax = plot.influence(record)
    curves, held = drawn(ax), np.cumsum(record.inputs[::-1]) / record.inputs.sum()
    assert len(curves) == 3
    for places, values in curves.values():
        assert np.nanmin(values) >= 1e-6 * np.nanmax(values)
        lags = 999 - int(places.min())
        assert held[lags - 1] < 0.99 <= held[lags]
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_only_the_side_of_a_step_that_a_model_reads_is_shaded(direction):
    options = {"bidirectional": True} if direction == "both" else {"direction": direction}
    trace = gw.LSTM(2, 3, rng=0, dtype=np.float64, **options).trace(np.random.default_rng(0).normal(size=(30, 2)))
    for t in (0, 3, 15, 29):
        ax = plot.influence(trace, t=t)
        ends = np.array([patch.get_path().transformed(patch.get_patch_transform()).vertices for patch in ax.patches])
        low, high = ends[..., 0].min(), ends[..., 0].max()
        assert low >= (t - 0.5 if direction == "backward" else -0.5)
        assert high <= (t + 0.5 if direction == "forward" else 29.5)
        assert low <= t <= high
        if direction != "both" and t not in (0, 29):
            assert (ax.get_xlim()[1] == t + 0.5) == (direction == "forward")


def test_of_many_steps_the_least_and_the_greatest_of_each_pixel_are_drawn():
    steps, few = np.arange(30_000), plot.data.influence(rained_on(20)[0])
    inputs = np.where(steps % 999 == 500, 3.0, np.where(steps % 777 == 300, 0.5, 1.0))
    columns = {"time": steps, "lag": steps[::-1], "input": inputs, "along_cell": inputs}
    long = replace(
        few, columns=columns, inputs=inputs, cell_state=inputs, along_cell=inputs[:, None], lag=29_000, times=steps
    )
    for places, values in drawn(plot.influence(long)).values():
        assert len(places) <= 2000
        assert (values == 3).sum() >= (inputs == 3).sum()
        assert (values == 0.5).sum() >= (inputs == 0.5).sum()


def test_where_nothing_has_an_influence_the_picture_says_so():
    silent = gw.LSTM.from_cells(gw.Parameters(np.zeros((4, 2, 3)), np.zeros((4, 2))))
    ax = plot.influence(silent.trace(np.ones((3, 1)))[0])
    assert ax.get_title() == "No small change of the input has an influence on the hidden state at step 2."
    weight = np.zeros((4, 1, 2))
    shut = gw.LSTM.from_cells(gw.Parameters(weight, np.zeros((4, 1)))).trace(np.ones((3, 1)))
    assert "No small change" in plot.influence(shut).get_title()
    weight[2, 0], bias = [10, 40], np.array([[40.0], [-3.0], [0.0], [40.0]])  # a bit that is held, all saturated
    pulses = np.where(np.arange(60) % 20 == 0, (-1.0) ** (np.arange(60) // 20), 0.0)[:, None]
    held_bit = gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(pulses)
    assert (
        plot.influence(held_bit).get_title()
        == "No small change of the input has much influence on the output at step 59"
    )


def test_many_points_have_a_line_of_the_legend_for_each_kind():
    ax = plot.fixed_points(planted.counter().lstm)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(texts) == 1
    assert texts[0].endswith(" neutral")


def test_the_circle_and_every_eigenvalue_are_within_the_axes():
    ax = plot.fixed_points(planted.bistable(gain=9).lstm)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left < -1
    assert right > 5
    assert low < -1 < 1 < high
    assert "grows" in "".join(text.get_text() for text in ax.get_legend().get_texts())


def test_where_no_point_was_found_the_picture_says_so():
    variant = gw.Variant(forget_activation="affine:0,1", candidate_activation="affine:0,1")
    ax = plot.fixed_points(gw.LSTMCell(1, 1, variant=variant, rng=0), starts=1, settle=0)
    assert ax.get_title().startswith("None of 1 start led")


def test_values_at_few_steps_are_seen_as_dots():
    lstm, rain, storage = planted.leaky_bucket(40, 3)
    storage[np.arange(40) % 5 > 0] = np.nan
    axes = plot.probe(insight.probe(lstm.trace(rain)[0], storage))
    assert {line.get_marker() for line in axes[0].lines} == {"."}


def test_of_many_sequences_those_with_the_best_matches_are_drawn():
    lstm, x, places = planted.bracket_detector([[(2, 4), (1, 4)]] * 50)
    axes = plot.matches(lstm.trace(x)[0], start=places[0][1], stop=places[0][2], edges=True)
    assert len(axes.get_yticks()) == 30


# What is refused.

REFUSED = {
    "there is no gate 'reset'": lambda t: plot.gates(t, gate="reset"),
    "there is no unit 3; this cell has units 0 to 2": lambda t: plot.gates(t, units=[3]),
    "there is no unit 'a'": lambda t: plot.unit(t, unit="a"),
    "units must name at least one unit": lambda t: plot.states(t, units=[]),
    "there is no sequence 2": lambda t: plot.states(t, sequence=2),
    "there is no sequence 'basin 9'; this trace has 'basin 0', 'basin 1'": lambda t: plot.states(t, sequence="basin 9"),
    "there is no feature 'wind'": lambda t: plot.unit(t, features=["wind"]),
    "sort must be one of none, timescale, cluster, not 'size'": lambda t: plot.gates(t, sort="size"),
    "quantity must be one of": lambda t: plot.text(t, text="a", quantity="gate"),
    "the text is missing": lambda t: plot.text(t),
    "not 'abc'; the options of a picture have names": lambda t: plot.text(t, "abc"),
    "the text has 1 characters or tokens; this trace has 12 steps": lambda t: plot.text(t, text="a"),
    "ax must be matplotlib Axes or a Figure, not 3": lambda t: plot.states(t, 3),
    r"ax must be 2 matplotlib Axes \(cell_state, hidden_state\) or a Figure, not 1": lambda t: plot.states(
        t, pyplot.figure().add_subplot()
    ),
    "a question takes a Trace, LSTMTrace or NetworkTrace, not LSTM": lambda t: plot.states(gw.LSTM(1, 1)),
    "a picture needs at least one step; this trace has none": lambda t: plot.unit(t[:0]),
    "two runs of one kind can be compared": lambda t: plot.change("before", after="after"),
    "kind must be one of": lambda t: plot.attribution(t, kind="heat", method="lrp"),
    "no tokens": lambda t: plot.attribution(t, kind="tokens", method="lrp"),
    "of steps alone": lambda t: plot.attribution(t, kind="features", method="contextual_decomposition"),
    **{
        rf"steps must be two of 0 to 12, the first below the second, not {re.escape(repr(steps))}": (
            lambda t, steps=steps: plot.attribution(t, steps=steps, method="lrp")
        )
        for steps in ((3, 3), (0, 13), 4)
    },
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(sentence):
    with pytest.raises((gw.OptionError, gw.ShapeError), match=sentence):
        REFUSED[sentence](series()[0])
