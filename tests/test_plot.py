"""Pictures: each is drawn as it was, a record as its run, on whatever Axes are given, and the rest is refused."""

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
from pictures import described, golden, touching

import gatewise as gw
from gatewise import insight, plot
from gatewise.examples import latch
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


def less_kept():
    """Return the trace of a projected cell that kept little."""
    x = np.random.default_rng(0).normal(size=(7, 1, 3))
    return gw.LSTM(3, 4, projection_size=2, rng=0).trace(x, keep=["input_gate", "cell_state"], units=[3, 1], every=3)[0]


def spiky():
    """Return the record of more steps and units than pixels, in which three stand out."""
    values = np.zeros((5000, 600))
    values[3123, 321], values[77, 599], values[4999, 0] = 1, -1, 0.5
    return Gates({}, "candidate", "", values, (-1, 1), ("u",) * 600, times=np.arange(5000), valid=None)


def scaled():
    """Return the run of a network whose features it scales; one of them is constant."""
    x = np.stack([[0.0, 5.0, 40.0, 2.0], [281.0, 282.0, 283.5, 284.0], [950.0] * 4], axis=-1)
    names = gw.Labels(features=["rain", "t", "height"], outputs=["q"], measures={"rain": ("rain", "mm/d")})
    parts = {"head": gw.Linear(np.ones((1, 2))), "inputs": gw.Scaling([3, 280, 900], [6, 9, 100])}
    return gw.Network(gw.LSTM(3, 2, rng=0, dtype=np.float64), labels=names, **parts).trace(x)


def cell(variant=None, steps=5, **options):
    """Return the trace of a random cell."""
    made = gw.LSTMCell(2, 3, variant=variant or gw.Variant(), rng=0, init="pytorch", **options)
    return gw.LSTM.from_cells(made.parameters).trace(np.random.default_rng(0).normal(size=(steps, 1, 2)))[0]


def ones(steps, units=2, **options):
    return gw.LSTM(1, units, rng=0, dtype=np.float64, **options).trace(np.ones((steps, 1)))


def flood():
    """Return the run of a rain gauge with one flood in a long drought."""
    x = np.zeros((5000, 1))
    x[3210] = 1e3
    return planted.rain_gauge()[0].trace(x)


def silent():
    return gw.LSTM.from_cells(gw.Parameters(np.zeros((4, 2, 3)), np.zeros((4, 2)))).trace(np.ones((3, 1)))[0]


def seen_rarely():
    lstm, rain, storage = planted.leaky_bucket(40, 3)
    storage[np.arange(40) % 5 > 0] = np.nan
    return insight.probe(lstm.trace(rain)[0], storage)


def bracketed():
    lstm, x, places = planted.bracket_detector([[(2, 4), (1, 4)]] * 50)
    return lstm.trace(x)[0], dict(zip(("start", "stop"), places[0][1:], strict=True))


def gapped():
    days = np.concatenate([np.arange(500), np.arange(1500, 2000)]) + np.datetime64("2001-01-01")
    return gw.LSTM(1, 2, rng=0).trace(np.ones((1000, 1)), labels=gw.Labels(times=days))[0]


def drawn(ax):
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata()) for line in ax.get_lines() if "∂" in line.get_label()
    }


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
    "effect": lambda: plot.effect(rainy(), input=0, by=2.0, at=[3, 4]),
    "attribution": lambda: plot.attribution(rainy(), method="lrp", t=6),
    "attribution_features": lambda: plot.attribution(rainy(), method="gradient_input", kind="features"),
    "attribution_tokens": lambda: plot.attribution(spoken()[0], output=1, vocabulary=spoken()[1], method="lrp"),
    "probe": lambda: plot.probe(stored()[0], **stored()[1]),
    "matches": lambda: plot.matches(matched()[0], edges=True, **matched()[1]),
}
UNUSUAL = {  # what is less, longer, or empty
    "gates_less": lambda: plot.gates(less_kept(), gate="i", units=[1]),
    "states_less": lambda: plot.states(less_kept()),
    "unit_less": lambda: plot.unit(less_kept(), unit=-1),
    "gates_backward": lambda: plot.gates(series(bidirectional=True)[0, "backward"]),
    "gates_relu": lambda: plot.gates(cell(gw.Variant(output_activation="relu")), gate="output_gate"),
    "gates_spiky": lambda: plot.gates(spiky()),
    "states_projected": lambda: plot.states(ones(4, 3, projection_size=2)[0]),
    "attribution_long": lambda: plot.attribution(cell(steps=3000), t=2000, method="gradient_input"),
    "attribution_steps": lambda: plot.attribution(
        cell(steps=300, dtype=np.float64), steps=(10, 20), method="gradient_input"
    ),
    "attribution_names": lambda: plot.attribution(
        gw.LSTM(1, 2, rng=0).trace([[1], [0], [2]], labels=gw.Labels(times=["h", "e", "y"])),
        kind="tokens",
        method="lrp",
    ),
    "attribution_scaled": lambda: plot.attribution(scaled(), method="gradient_input"),
    "timescales_days": lambda: plot.timescales(dated()),
    "ceiling_long": lambda: plot.ceiling(flood()),
    "ceiling_two": lambda: plot.ceiling(ones(4, 9), head=gw.Linear(np.eye(9)[:2])),
    "contributions_long": lambda: plot.contributions(ones(300)[0]),
    "contributions_long_backward": lambda: plot.contributions(ones(300, direction="backward")[0]),
    "contributions_many": lambda: plot.contributions(dated(units=60, names=False)),
    "saturation_many": lambda: plot.saturation(dated(units=60, names=False), low=0.3, high=0.7),
    "change_none": lambda: plot.change(ones(4, 3, projection_size=2), after=ones(4, 3, projection_size=2)),
    "influence_long": lambda: plot.influence(rained_on(1000)[0]),
    "influence_backward": lambda: plot.influence(ones(30, direction="backward"), t=3),
    "influence_forward": lambda: plot.influence(ones(30), t=15),
    "influence_none": lambda: plot.influence(silent()),
    "fixed_points_many": lambda: plot.fixed_points(planted.counter().lstm),
    "fixed_points_far": lambda: plot.fixed_points(planted.bistable(gain=9).lstm),
    "probe_rare": lambda: plot.probe(seen_rarely()),
    "matches_many": lambda: plot.matches(bracketed()[0], edges=True, **bracketed()[1]),
    "dates_with_gaps": lambda: plot.gates(gapped()),
}

# The same numbers are seen in a record, whatever it is drawn on.


@pytest.mark.parametrize("name", [*DRAWN, *(pytest.param(name, marks=pytest.mark.peers) for name in UNUSUAL)])
def test_a_picture_is_drawn_as_it_was(name):
    golden(name, (DRAWN | UNUSUAL)[name]())


def test_in_a_dark_notebook_text_and_the_cell_state_are_light():
    with pyplot.style.context("dark_background"):
        golden("unit_dark", plot.unit(held()))
        golden("text_dark", plot.text(letters()[0], **letters()[1]))


SUBJECTS = {  # of each picture, with options
    **{name: lambda: (series()[0], {"sequence": 1}) for name in ("gates", "states", "unit")},
    "text": lambda: (series()[0], {"sequence": 1, "text": "a picture ha"}),
    **{name: lambda: (dated(), {}) for name in ("activity", "attention", "contributions", "saturation", "timescales")},
    "ablation": lambda: (rained_on(20)[0], {"parts": "gates"}),
    "attribution": lambda: (rainy(), {"method": "contextual_decomposition"}),
    "ceiling": lambda: (discharge(), {}),
    "change": lambda: (held(engine="reference"), {"after": held(edit=FORGOTTEN), "unit": 0}),
    "effect": lambda: (rainy(), {"input": 0, "scale": 0.5}),
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
    figure = pyplot.figure(figsize=(9, 9), layout="constrained")
    axes = draw(record, ax=figure.subfigures(1, 2)[1])
    rows = np.ravel(figure.subplots(max(2, np.size(axes)), 2)[: np.size(axes), 0])
    assert np.ravel(draw(record, ax=rows)).tolist() == rows.tolist()
    with pytest.raises(gw.OptionError, match=f"ax must be {len(rows)} matplotlib Axes.* or a Figure"):
        draw(record, ax=[*rows, rows[0]])


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


@pytest.mark.parametrize("name", ["attention", "contributions", "saturation"])
def test_the_text_of_a_small_picture_with_long_names_fits(name):
    names = [f"the precipitation of the whole catchment of a river with a very long name {n}" for n in range(6)]
    labels = gw.Labels(units=names, times=DAYS + np.arange(40))
    trace = gw.LSTM(3, 6, rng=0).trace(np.random.default_rng(0).normal(size=(40, 3)), labels=labels)[0]
    figure = pyplot.figure(figsize=(3.9, 4.5), layout="constrained", dpi=100)
    getattr(plot, name)(trace, ax=figure)
    assert touching(figure) == []


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


def test_where_little_has_an_influence_the_picture_says_so():
    weight, bias = np.zeros((4, 1, 2)), np.array([[40.0], [-3.0], [0.0], [40.0]])
    weight[2, 0] = [10, 40]  # a bit that is held, all saturated
    pulses = np.where(np.arange(60) % 20 == 0, (-1.0) ** (np.arange(60) // 20), 0.0)[:, None]
    title = plot.influence(gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(pulses)).get_title()
    assert title == "No small change of the input has much influence on the output at step 59"


def test_where_no_point_was_found_the_picture_says_so():
    variant = gw.Variant(forget_activation="affine:0,1", candidate_activation="affine:0,1")
    ax = plot.fixed_points(gw.LSTMCell(1, 1, variant=variant, rng=0), starts=1, settle=0)
    assert ax.get_title().startswith("None of 1 start led")


def test_the_numbers_of_a_picture_are_the_trace_s_and_none_where_a_step_is_not_valid():
    trace = series()[0]
    found = plot.data.gates(trace, "output_gate", sequence=1, units=[2, 0])
    assert np.array_equal(found.values[:8], trace.output_gate[:8, 1][:, [2, 0]])
    assert np.isnan(found.values[8:]).all()
    assert found.units == ("2", "0")
    states = plot.data.states(trace, sequence=1)
    assert np.isnan(states.values["cell_state"][8:]).all()
    assert states.limits["cell_state"][1] == -states.limits["cell_state"][0] == np.abs(trace.cell_state[:8, 1]).max()


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch):
    record = insight.timescales(held())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with cases.refusal("matplotlib", "pip install", by=gw.MissingExtraError):
        plot.timescales(record)


REFUSED = {
    "did not keep unit 0; it kept 3, 1": lambda t: plot.unit(less_kept()),
    "did not keep the input": lambda t: plot.unit(less_kept(), unit=3, features=0),
    "kept neither cell_state nor hidden_state": lambda t: plot.states(
        gw.LSTM(1, 1).trace(np.ones((2, 1)), keep="input_gate")[0]
    ),
    "without a run": lambda t: plot.ceiling(gw.LSTM(1, 9, rng=0)),
    "room for 8 outputs, not 9": lambda t: plot.ceiling(ones(4, 9)),
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
    "compare two runs of the same kind": lambda t: plot.change("before", after="after"),
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
    with pytest.raises((gw.OptionError, gw.ShapeError, gw.NotKeptError), match=sentence):
        REFUSED[sentence](series()[0])
