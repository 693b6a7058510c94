"""Questions asked of a cell: their laws on every variant, what was planted, traces that kept less, and costs."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import arrays, insight
from gatewise.arrays import chunks
from gatewise.examples import latch

CLIPPED = [name for name, switches in cases.VARIANTS.items() if "cell_clip" in switches]
RATES = [  # whose input, forget and output gate lie between 0 and 1
    name
    for name in cases.VARIANTS
    for variant in [cases.run_of(name).p.variant]
    if all(variant.activation(letter).name in ("sigmoid", "hard_sigmoid") for letter in variant.own.replace("g", ""))
]
UNBOUNDED = ["relu", "tanh", "softplus", "affine:2,0.5"]  # of a forget gate


def planted(forget, steps=40):
    """Return the trace of a cell whose units forget at given rates and write 1 at the first step alone."""
    hidden = len(forget)
    weight, bias = np.zeros((4, hidden, hidden + 1)), np.zeros((4, hidden))
    bias[1] = np.log(np.asarray(forget) / (1 - np.asarray(forget)))
    bias[0], weight[0, :, hidden] = -40, 80  # the input gate opens where x is 1
    bias[2] = 20
    x = np.zeros((steps, 1, 1))
    x[0] = 1
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x)[0]


# Timescales.


@pairs(variant=RATES, **cases.RUNS, thin=True)
def test_the_product_of_what_is_kept_decays_with_the_timescale(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=6)
    trace = run.trace()
    found = insight.timescales(trace)
    assert found.residual < 1e-10
    kept = run.dropout.fit(run.p, 6, 3).zoneout_cell if dropout else 0.0
    factors = kept + (1 - kept) * trace.forget_gate
    on = np.ones(run.x.shape[:2], bool) if run.valid is None else run.valid
    for unit, timescale in enumerate(found.timescale):
        product = np.prod(np.broadcast_to(factors, trace.cell_state.shape)[on][:, unit])
        np.testing.assert_allclose(np.exp(-on.sum() / timescale) if timescale else 0.0, product, rtol=1e-9, atol=1e-300)
        each = np.broadcast_to(factors, trace.cell_state.shape)[on][:, unit]
        between = each[each >= 0.1]
        assert found.columns["resets"][unit] == len(each) - len(between)
        if len(between):
            np.testing.assert_allclose(found.between_resets[unit], -len(between) / np.log(between).sum(), rtol=1e-9)


def test_a_latch_that_is_reset_once_is_the_slowest_between_resets():
    weight, bias = np.zeros((4, 3, 4)), np.zeros((4, 3))
    bias[1] = np.log([0.999 / 0.001, 0.9 / 0.1, 0.05 / 0.95])
    weight[1, 0, 3] = -60
    x = np.zeros((40, 1))
    x[20] = 1
    trace = gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x)[0]
    found = insight.timescales(trace)
    assert found.columns["resets"].tolist() == [1, 0, 40]
    np.testing.assert_allclose(found.between_resets, -1 / np.log([0.999, 0.9, 0.05]), rtol=1e-9)
    assert found.timescale.argmax() == 1
    assert "includes resets, between which the slowest, unit 0, decays with a timescale of 999 steps" in str(found)
    bias[1] = np.log([0.999 / 0.001, 0.9999 / 0.0001, 0.9 / 0.1])  # now it is second, and still the fastest with resets
    found = insight.timescales(gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x)[0])
    assert found.timescale.argmin() == 0
    assert "includes resets, between which unit 0 decays with a timescale of 999 steps" in str(found)


def test_a_planted_memory_has_the_timescale_that_was_planted():
    forget = np.array([0.5, 0.9, 0.99])
    found = insight.timescales(planted(forget))
    np.testing.assert_allclose(found.timescale, -1 / np.log(forget), rtol=1e-12)
    np.testing.assert_allclose(forget**found.half_life, 0.5, rtol=1e-12)
    np.testing.assert_allclose(forget**found.span, 0.01, rtol=1e-12)
    assert "unit 2 decays slowest, in 99 steps" in str(found)
    assert "unit 0 fastest, in 1.4 steps" in str(found)


@pytest.mark.parametrize(
    ("timescale", "words"), [(1.0, "1 step"), (0.99999, "1 step"), (2.34, "2.3 steps"), (1234.4, "1,234 steps")]
)
def test_a_memory_is_counted_as_one_speaks(timescale, words):
    assert f" {words} along" in str(insight.timescales(planted([np.exp(-1 / timescale)])))


@pytest.mark.parametrize(
    ("first", "step", "unit", "length"),
    [
        ("2001-01-01", "D", "days", 1),
        ("2001-01-01T00", "6h", "hours", 6),
        ("2001-01-01T00:00:00", "30s", "seconds", 30),
    ],
)
def test_a_memory_is_given_in_the_time_of_the_data_too(first, step, unit, length):
    count = int(step.rstrip("Dhs") or 1)
    times = np.datetime64(first) + np.arange(40) * np.timedelta64(count, step[-1])
    lstm = gw.LSTM.from_cells(planted([0.5, 0.9]).parameters)
    found = insight.timescales(lstm.trace(np.zeros((40, 1, 1)), labels=gw.Labels(times=times))[0])
    for name in ("timescale", "half_life", "span", "between_resets"):
        np.testing.assert_array_equal(found.columns[f"{name}_{unit}"], length * found.columns[name])
    assert (f" {unit}," if length == 1 else f" {unit}),") in str(found)


@pytest.mark.parametrize(
    "times",
    [
        [f"day {n}" for n in range(3)],
        *(np.datetime64("2001-01-03") + np.array(days) for days in ([0, 1, 8], [0, 0, 0], [0, -1, -2])),
    ],
)
def test_times_at_unequal_distances_have_no_unit(times):
    lstm = gw.LSTM.from_cells(planted([0.5, 0.9]).parameters)
    found = insight.timescales(lstm.trace(np.zeros((3, 1, 1)), labels=gw.Labels(times=times))[0])
    assert list(found.columns) == ["unit", "forget_gate", "timescale", "half_life", "span", "between_resets", "resets"]


def test_a_unit_that_forgets_all_remembers_nothing_and_one_that_forgets_none_everything():
    weight, bias = np.zeros((4, 2, 3)), np.zeros((4, 2))
    bias[1] = [-9, 9]
    variant = gw.Variant(forget_activation="hard_sigmoid:0.2,0.5")
    trace = gw.LSTM.from_cells(gw.Parameters(weight, bias, variant=variant)).trace(np.ones((5, 1)))[0]
    found = insight.timescales(trace)
    assert found.timescale.tolist() == [0, np.inf]
    assert found.residual == 0


# Contributions.


@pairs(variant=[name for name in cases.VARIANTS if name not in CLIPPED], **cases.RUNS, thin=True)
def test_what_every_step_wrote_adds_up_to_the_cell_state(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=6)
    trace = run.trace()
    for t in (None, 0, 3, -1):
        for sequence in range(3):
            found = insight.contributions(trace, t, sequence)
            assert found.residual < 1e-10
            place = (5 if direction == "forward" else 0) if t is None else t
            later = slice(place % 6 + 1, None) if direction == "forward" else slice(0, place % 6)
            assert not found.by_step[later].any()
            np.testing.assert_array_equal(found.cell_state, trace.cell_state[place, sequence])
            np.testing.assert_allclose(found.by_step.sum(0) + found.initial, found.cell_state, atol=1e-11)


def test_the_latch_holds_what_it_wrote_at_step_0():
    cell, x, *_ = latch()
    found = insight.contributions(gw.LSTM.from_cells(cell).trace(x)[0])
    assert str(found) == "Of the cell state at step 6, 100 % was written at step 0."
    assert found.by_step[0, 0] > 0.97
    assert np.abs(found.by_step[1:]).max() < 1e-5


def test_a_cell_that_nothing_was_written_to_says_so():
    trace = planted([0.5, 0.9])[1:]
    silent = gw.LSTM.from_cells(trace.parameters.replace(bias=np.zeros((4, 2)))).trace(np.zeros((3, 1)))[0]
    assert str(insight.contributions(silent)) == "The cell state at step 2 is zero: nothing was written."


def test_contributions_are_those_of_a_cell_from_which_the_step_is_taken_out():
    """With gates that see the input alone, leaving out what a step writes changes the cell by its contribution."""
    forget = np.array([0.5, 0.9])
    trace = planted(forget)
    found = insight.contributions(trace, 10)
    np.testing.assert_allclose(found.by_step[0], np.tanh(20) * forget**10, rtol=1e-9)


@pytest.mark.parametrize("variant", CLIPPED)
@pytest.mark.parametrize("ask", [insight.contributions, insight.attention])
def test_a_clipped_cell_state_is_no_sum_and_is_refused(ask, variant):
    with cases.refusal("clip", by=gw.OptionError):
        ask(cases.run_of(variant).trace())


# Saturation.


@pairs(variant=RATES, **cases.RUNS, thin=True)
def test_every_gate_is_closed_open_or_between(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=6)
    trace = run.trace()
    found = insight.saturation(trace, 0.3, 0.7)
    assert found.residual < 1e-12
    on = np.ones(run.x.shape[:2], bool) if run.valid is None else run.valid
    for place, name in enumerate(("input_gate", "forget_gate", "output_gate")):
        gate = trace.quantity(name)[on]
        np.testing.assert_allclose(found.closed[place], (gate < 0.3).mean(0))
        np.testing.assert_allclose(found.open[place], (gate > 0.7).mean(0))


def test_a_gate_that_never_moves_from_one_end_is_stuck():
    found = insight.saturation(planted([0.5, 0.99]))
    columns = [found.columns[name] for name in ("gate", "unit", "stuck")]
    table = {(gate, unit): stuck for gate, unit, stuck in zip(*columns, strict=True)}
    assert table["forget_gate", "1"]
    assert not table["forget_gate", "0"]
    assert not table["input_gate", "0"]  # it is open once
    assert not table["output_gate", "0"]
    assert str(found) == (
        "1 of the 6 gates of 2 units is stuck, nearly closed or nearly open at every step: 1 forget gate."
    )


# Activity.


@pytest.mark.parametrize("projection_size", [None, 2])
def test_activity_is_the_deviation_of_the_valid_steps(projection_size):
    x = np.random.default_rng(0).normal(size=(20, 3, 2))
    trace = gw.LSTM(2, 5, rng=0, projection_size=projection_size).trace(x, lengths=[20, 1, 7])[0]
    rows = trace.unprojected_state[trace.valid].astype(float)
    found = insight.activity(trace)
    np.testing.assert_allclose(found.deviation, rows.std(0), rtol=1e-12)
    np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-12)
    most, least = rows.std(0).argmax(), rows.std(0).argmin()
    assert str(found).startswith(f"Of the 5 units, unit {most} moves most (")
    assert f"and unit {least} least (" in str(found)


# All of them.


@pytest.mark.parametrize("activation", UNBOUNDED)
@pytest.mark.parametrize("ask", [insight.timescales, insight.saturation])
def test_a_gate_that_does_not_lie_between_0_and_1_is_refused(ask, activation):
    lstm = gw.LSTM(2, 3, variant=gw.Variant(forget_activation=activation), rng=0)
    with cases.refusal("between 0 and 1", activation.partition(":")[0], by=gw.OptionError):
        ask(lstm.trace(np.ones((4, 2)))[0])


def test_a_cell_that_many_steps_wrote_says_within_how_many_half_of_it_was_written():
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[0], bias[1], bias[2] = 40, np.log(0.95 / 0.05), 1
    days = gw.Labels(times=np.datetime64("2001-01-01") + np.arange(200))
    found = insight.contributions(
        gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(np.ones((200, 1)), labels=days)[0]
    )
    assert "half was written in the last 14 days" in str(found)  # 0.95 ** 14 is below a half


@pytest.mark.parametrize("reverse", [False, True])
def test_chunks_hold_every_row_once_and_few_numbers(reverse):
    for count, numbers, most in ((10, 3, 12), (10, 3, 2), (5, 0, 3), (7, 1, 100), (0, 4, 4)):
        parts = list(chunks(count, numbers, most, reverse=reverse))
        ordered = parts[::-1] if reverse else parts
        assert [n for part in ordered for n in range(part.start, part.stop)] == list(range(count))
        sizes = [part.stop - part.start for part in parts]
        assert all(size == 1 or 0 < size * max(numbers, 1) <= most for size in sizes)


def still_units():
    """Return the trace of a cell whose unit 0 follows the input, unit 1 is constant and unit 2's output gate shut."""
    weight, bias = np.zeros((4, 3, 4)), np.zeros((4, 3))
    weight[2, :, 3] = 1, 0, 1
    bias[1], bias[3, 2] = -40, -40
    bias[2, 1] = 0.5
    x = np.random.default_rng(0).normal(size=(20, 2, 1))
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x)[0]


# Dead units.


def test_a_unit_whose_hidden_state_does_not_move_is_dead():
    trace = still_units()
    found = insight.saturation(trace)
    assert found.dead.tolist() == [False, True, True]
    np.testing.assert_allclose(found.moves, np.ptp(trace.hidden_state.reshape(-1, 3), axis=0))
    assert found.columns["dead"].tolist() == [False, True, True] * 3
    assert str(found).endswith("; 2 units hardly move: 1 and 2.")


def test_the_bound_of_a_dead_unit_is_the_user_s():
    trace = still_units()
    most = float(np.ptp(trace.hidden_state[..., 0]))
    assert insight.saturation(trace, still=most).dead.all()
    assert insight.saturation(trace, still=0).dead.tolist() == [False, True, False]


def test_a_single_step_shows_no_unit_dead():
    found = insight.saturation(still_units()[:1, :1])
    assert not found.dead.any()
    assert not found.moves.any()


def test_a_unit_that_moves_only_where_no_step_is_valid_is_dead():
    run = cases.run_of("plain", time=8, batch=1)
    mask = np.zeros((8, 1), bool)
    mask[3:5] = True
    trace = run.lstm.trace(np.ones_like(run.x), [[gw.State(*(0 * one for one in run.state))]], mask=mask)[0]
    move = np.abs(np.diff(trace.hidden_state[3:5, 0], axis=0))[0]
    np.testing.assert_allclose(insight.saturation(trace).moves, move)


def test_what_is_dead_is_not_told_where_no_hidden_state_was_kept():
    trace = cases.run_of("plain").trace(keep=("input_gate", "forget_gate", "output_gate"))
    found = insight.saturation(trace)
    assert found.dead is None
    assert "dead" not in found.columns


# Traces that kept less.


@pytest.mark.parametrize("ask", [insight.saturation, insight.timescales])
@pytest.mark.parametrize("dropout", [False, True])
def test_some_units_and_steps_answer_as_the_same_of_the_whole(ask, dropout):
    run = cases.run_of("plain", valid="mask", dropout=dropout, time=9)
    some = ask(run.trace(units=[2, 0], every=2))
    whole = run.trace()
    keep = gw.DropoutMasks(**{name: a[::2] for name, a in whole.dropout.arrays().items() if name != "weight"})
    half = gw.Trace(
        whole.parameters, whole.initial, whole.final, 5, {n: a[::2] for n, a in whole.arrays.items()}, None,
        valid=whole.valid[::2], dropout=keep,
    )  # fmt: skip
    expected = ask(half)
    for name, column in some.columns.items():
        by_unit = expected.columns[name].reshape(-1, 4)[:, [2, 0]].ravel()
        assert column.tolist() == by_unit.tolist()


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_who_wrote_some_units_needs_no_others(direction):
    run = cases.run_of("plain", direction=direction, dropout=True, time=6)
    some, whole = insight.contributions(run.trace(units=[3, 1])), insight.contributions(run.trace())
    np.testing.assert_array_equal(some.by_step, whole.by_step[:, [3, 1]])
    np.testing.assert_array_equal(some.initial, whole.initial[[3, 1]])
    assert some.units == ("3", "1")


@pytest.mark.parametrize("ask", [insight.contributions, insight.attention])
def test_who_wrote_the_cell_needs_every_step(ask):
    with cases.refusal("every step", "1 in 2", by=gw.OptionError):
        ask(cases.run_of("plain").trace(every=2))


# Long traces.


@pytest.mark.parametrize(
    ("ask", "cost_of", "parts"),
    [
        (insight.contributions, insight.cost_of_contributions, ("6 steps",)),
        (insight.attention, insight.cost_of_attention, ("attention of 6 steps", "every")),
    ],
)
def test_a_cost_is_known_beforehand_and_refused_where_it_is_too_high(ask, cost_of, parts, monkeypatch):
    trace = cases.run_of("plain", time=6).trace()
    cost = cost_of(trace)
    assert cost.memory >= 8 * 6 * 4
    assert "MB of memory" in str(cost)
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(arrays, "available_memory", lambda: cost.memory - 1)
    with cases.refusal(*parts, by=gw.CapacityError):
        ask(trace)


# Names, and what is no number.


def test_contributions_name_the_sequence_and_the_date():
    cell, x, *_ = latch()
    days = np.datetime64("2001-01-01") + np.arange(7)
    labels = gw.Labels(times=days, sequences=["rest", "held"])
    trace = gw.LSTM.from_cells(cell).trace(np.stack([0 * x, x], axis=1), labels=labels)[0]
    found = insight.contributions(trace, sequence=1)
    assert str(found) == "Of the cell state of held on 2001-01-07, 100 % was written on 2001-01-01."
    assert found.columns["time"].tolist()[:2] == ["initial state", "2001-01-01"]
    np.testing.assert_array_equal(found.times, days)
    assert found.step == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *[
            ({"low": low, "high": high}, "low < high")
            for low, high in ((0.9, 0.1), (-0.1, 0.5), (0.2, 1.1), (0.5, 0.5))
        ],
        ({"still": -1}, "still"),
        ({"still": np.nan}, "still"),
        ({"low": "a"}, "low"),
        ({"high": None}, "high"),
    ],
)
def test_a_bound_that_is_none_is_refused(options, words):
    with cases.refusal(words, by=gw.OptionError):
        insight.saturation(still_units(), **options)
