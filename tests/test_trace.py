"""What a run leaves behind: slices, steps, terms, labels, keeping less, tables, files."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import cases
import numpy as np
import oracle
import pytest

import gatewise as gw
from gatewise.keep import QUANTITIES, Keep

every_variant = pytest.mark.parametrize("variant", cases.VARIANTS)
every_projection = pytest.mark.parametrize("projection", cases.PROJECTIONS)
every_direction = pytest.mark.parametrize("direction", cases.DIRECTIONS)
every_live = pytest.mark.parametrize("live", cases.LIVES)
with_and_without_noise = pytest.mark.parametrize("noise", [False, True], ids=["no noise", "noise"])

LABELS = gw.Labels(
    features=("rain", "sun"),
    units=("u", "v", "w", "z"),
    series=("north", "south", "west"),
    times=[f"day {day}" for day in range(5)],
)
BIDIRECTIONAL = {"input_size": 2, "hidden_size": 4, "bidirectional": True, "dtype": np.float64}


def assert_same_trace(found, expected):
    """Assert that two traces of a cell are the same, bit for bit and name for name."""
    for name in ("arrays", "initial", "final", "input", "live", "masks"):
        pair = [getattr(trace, name) for trace in (found, expected)]
        pair = [
            one if isinstance(one, dict) else one._asdict() if isinstance(one, gw.State) else
            one.arrays() if isinstance(one, gw.Masks) else {name: one}
            for one in pair
        ]  # fmt: skip
        assert set(pair[0]) == set(pair[1]), name
        for key in pair[1]:
            if pair[1][key] is None:
                assert pair[0][key] is None
                continue
            assert pair[0][key].dtype == pair[1][key].dtype, key
            np.testing.assert_array_equal(pair[0][key], pair[1][key], err_msg=f"{name} {key}")
    for name in ("direction", "keep", "engine", "labels"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.parameters.variant == expected.parameters.variant
    assert set(found.parameters.arrays()) == set(expected.parameters.arrays())
    for name, array in expected.parameters.arrays().items():
        np.testing.assert_array_equal(found.parameters.arrays()[name], array)


def assert_same_traces(found, expected):
    """Assert that two traces of an LSTM are the same."""
    np.testing.assert_array_equal(found.output, expected.output)
    assert found.output.dtype == expected.output.dtype
    assert (found.merge, found.masked_output, found.batched) == (
        expected.merge,
        expected.masked_output,
        expected.batched,
    )
    assert [tuple(layer) for layer in found.layers] == [tuple(layer) for layer in expected.layers]
    for one, other in zip(found, expected, strict=True):
        assert_same_trace(one, other)


# Names.


@every_projection
def test_every_quantity_goes_by_its_name(projection):
    trace = cases.run_of("plain", projection=projection).trace()
    gates = (trace.input_gate, trace.forget_gate, trace.candidate, trace.output_gate)
    np.testing.assert_array_equal(np.stack(gates, axis=2), trace.gates)
    for name in QUANTITIES:
        np.testing.assert_array_equal(trace.quantity(name), getattr(trace, name))
    for row, name in enumerate(gw.gates.NAMES):
        np.testing.assert_array_equal(trace.preactivation(name), trace.preactivations[:, :, row])
    assert (len(trace), trace.batch) == (3, 3)


@pytest.mark.parametrize("name", ["gates", "h", "forget", ""])
def test_a_quantity_that_does_not_exist_is_refused_by_name(name):
    with pytest.raises(gw.OptionError) as caught:
        cases.run_of("plain").trace().quantity(name)
    cases.one_sentence(caught.value, repr(name), *QUANTITIES)


@pytest.mark.parametrize("gate", ["forget_gate", "f"])
def test_a_coupled_gate_has_no_preactivation(gate):
    run = cases.run_of("forget=1-input")
    for ask in (run.trace(), run.trace().step(0)):
        with pytest.raises(gw.OptionError) as caught:
            ask.preactivation(gate)
        cases.one_sentence(caught.value, gate, "forget=1-input")
    with pytest.raises(gw.OptionError) as caught:
        run.trace().step(0).terms("forget_gate", unit=0)
    cases.one_sentence(caught.value, "forget_gate", "forget=1-input")


# Steps.


@every_variant
@every_projection
@with_and_without_noise
def test_a_step_shows_what_the_trace_kept(variant, projection, noise):
    run = cases.run_of(variant, projection=projection, noise=noise, live="mask", time=5)
    trace = run.trace()
    for t, row in np.argwhere(run.live):
        step = trace.step(t, batch=row)
        assert (step.time, step.row) == (t, row)
        for name in (*QUANTITIES, "gates", "combined_input", "preactivations"):
            expected = getattr(trace, name)[t, row]
            np.testing.assert_allclose(getattr(step, name), expected, rtol=0, atol=1e-14, err_msg=name)
        np.testing.assert_array_equal(step.x, run.x[t, row])
        np.testing.assert_array_equal(step.previous.h, trace.previous.h[t, row])
        np.testing.assert_array_equal(step.previous.c, trace.previous.c[t, row])
        np.testing.assert_array_equal(step.state.c, trace.cell_state[t, row])
        for name in gw.gates.NAMES:
            if oracle.LETTERS[gw.gates.index(name)] in run.p.variant.own:
                np.testing.assert_array_equal(step.preactivation(name), step.preactivations[gw.gates.index(name)])


@every_direction
def test_the_state_before_a_step_respects_the_direction(direction):
    run = cases.run_of("plain", direction=direction, time=4)
    trace = run.trace()
    order = range(4) if direction == "forward" else range(3, -1, -1)
    h = run.state.h[1]
    for t in order:
        step = trace[t, 1]
        np.testing.assert_array_equal(step.previous.h, h)
        h = step.hidden_state
    np.testing.assert_array_equal(trace.final.h[1], h)


def test_steps_are_counted_from_the_end_by_negative_numbers():
    trace = cases.run_of("plain", time=4).trace()
    step = trace.step(-1, batch=-2)
    assert (step.time, step.row) == (3, 1)
    np.testing.assert_array_equal(trace[-1, -2].gates, trace.gates[3, 1])


@pytest.mark.parametrize(
    ("ask", "parts"),
    [
        (lambda trace: trace.step(5), ["step", "5", "0 to 4"]),
        (lambda trace: trace.step(-6), ["step", "-6", "0 to 4"]),
        (lambda trace: trace.step(0, batch=3), ["row", "3", "0 to 2"]),
        (lambda trace: trace.step(1.0), ["step", "1.0"]),
        (lambda trace: trace.step("2024-01-01"), ["step", "2024-01-01"]),
        (lambda trace: trace.step(True), ["step", "True"]),
        (lambda trace: trace[9], ["step", "9"]),
        (lambda trace: trace[0, 7], ["row", "7"]),
        (lambda trace: trace[:, "a"], ["'a'"]),
        (lambda trace: trace[::2], ["contiguous", "every"]),
        (lambda trace: trace[::-1], ["contiguous", "every"]),
        (lambda trace: trace[:, ::2], ["contiguous", "every"]),
        (lambda trace: trace[0, 1, 2], ["(0, 1, 2)"]),
    ],
)
def test_a_step_or_slice_that_does_not_exist_is_refused_in_one_sentence(ask, parts):
    trace = cases.run_of("plain", time=5).trace()
    with pytest.raises(gw.OptionError) as caught:
        ask(trace)
    cases.one_sentence(caught.value, *parts)


@pytest.mark.parametrize("live", ["lengths", "mask"])
def test_a_step_that_did_not_take_place_cannot_be_shown(live):
    run = cases.run_of("plain", live=live, time=5)
    t, row = np.argwhere(~run.live)[0]
    with pytest.raises(gw.OptionError) as caught:
        run.trace().step(t, batch=row)
    cases.one_sentence(caught.value, f"step {t}", f"row {row}", "did not take place")


def test_a_trace_can_be_gone_through():
    """A class with `len` and numbers in brackets is gone through by Python, to its end and no further."""
    trace = cases.run_of("plain", time=4).trace()
    found = list(trace)
    assert len(found) == 4
    np.testing.assert_array_equal(np.concatenate([one.gates for one in found]), trace.gates)
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    whole = lstm.trace(np.zeros((3, 1, 2)))
    assert [one.direction for one in whole] == ["forward", "backward"] * 2
    gradients = gw.backward(whole, np.zeros_like(whole.output))
    assert len(list(gradients)) == len(list(whole))


# Slices.


@every_variant
@every_direction
@every_live
def test_the_steps_of_a_slice_are_those_of_the_whole(variant, direction, live):
    run = cases.run_of(variant, direction=direction, live=live, noise=True, time=6, batch=4)
    trace = run.trace(labels=gw.Labels(LABELS.features, LABELS.units, tuple("abcd"), tuple("012345")))
    part = trace[1:4, 1:3]
    assert (len(part), part.batch) == (3, 2)
    np.testing.assert_array_equal(part.gates, trace.gates[1:4, 1:3])
    np.testing.assert_array_equal(part.preactivations, trace.preactivations[1:4, 1:3])
    np.testing.assert_array_equal(part.combined_input, trace.combined_input[1:4, 1:3])
    np.testing.assert_array_equal(part.previous.h, trace.previous.h[1:4, 1:3])
    np.testing.assert_array_equal(part.previous.c, trace.previous.c[1:4, 1:3])
    first, last = (0, -1) if direction == "forward" else (-1, 0)
    np.testing.assert_array_equal(part.initial.h, trace.previous.h[1:4, 1:3][first])
    np.testing.assert_array_equal(part.final.c, trace.cell_state[1:4, 1:3][last])
    assert part.labels.series == ("b", "c")
    assert part.labels.times == ("1", "2", "3")
    assert part.labels.features == LABELS.features
    for t, row in np.argwhere(run.live[1:4, 1:3] if run.live is not None else np.ones((3, 2), bool)):
        one, other = part.step(t, batch=row), trace.step(t + 1, batch=row + 1)
        np.testing.assert_array_equal(one.gates, other.gates)
        np.testing.assert_array_equal(one.hidden_state, other.hidden_state)
        if variant == "plain":
            assert str(one.terms("forget_gate", 2)) == str(other.terms("forget_gate", 2))


@pytest.mark.parametrize("key", [2, -1, (slice(None), 1), (2, slice(1, 3)), (slice(-2, None), slice(None, -1))])
def test_a_number_in_brackets_keeps_its_axis(key):
    trace = cases.run_of("plain", time=4).trace()
    part = trace[key]
    as_slices = tuple(
        one if isinstance(one, slice) else slice(one, one + 1 or None)
        for one in (key if isinstance(key, tuple) else (key,))
    )
    assert isinstance(part, gw.Trace)
    np.testing.assert_array_equal(part.gates, trace.gates[as_slices])


@every_direction
@every_live
@pytest.mark.parametrize("cut", range(6))
def test_a_cut_trace_meets_itself_at_the_cut(direction, live, cut):
    """Also where one side is empty: the state there is what the one leaves behind and the other starts from."""
    trace = cases.run_of("plain", direction=direction, live=live, time=5).trace()
    sides = [trace[:cut], trace[cut:]]
    earlier, later = sides if direction == "forward" else reversed(sides)
    for found, expected in (
        (earlier.initial, trace.initial),
        (earlier.final, later.initial),
        (later.final, trace.final),
    ):
        np.testing.assert_array_equal(found.h, expected.h)
        np.testing.assert_array_equal(found.c, expected.c)
    assert len(trace[cut:cut]) == 0
    np.testing.assert_array_equal(trace[cut:cut].initial.c, later.initial.c)
    np.testing.assert_array_equal(trace[cut:cut].final.c, later.initial.c)


@every_variant
@every_direction
@every_live
def test_the_gradient_goes_through_slices_as_through_the_whole(variant, direction, live):
    run = cases.run_of(variant, direction=direction, live=live, noise=True, time=6)
    trace, rng = run.trace(), np.random.default_rng(4)
    dy = rng.normal(size=trace.hidden_state.shape)
    end = gw.State(*(rng.normal(size=array.shape) for array in trace.final))
    whole = gw.backward(trace, dy, end)
    pieces = [slice(0, 2), slice(2, 5), slice(5, 6)]
    total, dx = {}, np.empty_like(run.x)
    for piece in reversed(pieces) if direction == "forward" else pieces:
        found = gw.backward(trace[piece], dy[piece], end)
        end, dx[piece] = found.state, found.x
        total = {name: total.get(name, 0) + array for name, array in found.parameters.items()}
    np.testing.assert_array_equal(dx, whole.x)
    np.testing.assert_array_equal(end.h, whole.state.h)
    np.testing.assert_array_equal(end.c, whole.state.c)
    for name, array in total.items():
        np.testing.assert_allclose(array, whole.parameters[name], rtol=0, atol=1e-12, err_msg=name)


@every_variant
def test_the_gradients_of_a_batch_are_the_sum_over_its_rows(variant):
    run = cases.run_of(variant, live="mask", noise=True, time=4)
    trace = run.trace()
    dy = np.random.default_rng(4).normal(size=trace.hidden_state.shape)
    whole = gw.backward(trace, dy)
    rows = [gw.backward(trace[:, row], dy[:, row : row + 1]) for row in range(3)]
    np.testing.assert_allclose(np.concatenate([one.x for one in rows], axis=1), whole.x, rtol=0, atol=1e-13)
    for name, array in whole.parameters.items():
        np.testing.assert_allclose(sum(one.parameters[name] for one in rows), array, rtol=0, atol=1e-12, err_msg=name)


# Terms.


@every_variant
@every_projection
@with_and_without_noise
def test_the_terms_sum_to_the_preactivation_largest_first(variant, projection, noise):
    run = cases.run_of(variant, projection=projection, noise=noise)
    trace, v = run.trace(), run.p.variant
    moments = oracle.run(run.p, run.x, run.state, masks=run.masks)
    step, M = trace.step(1, batch=2), moments[1, 2]
    for row, name in enumerate(gw.gates.NAMES):
        letter = oracle.LETTERS[row]
        if letter not in v.own:
            continue
        for unit in range(4):
            terms = step.terms(name, unit)
            sizes = [abs(term.product) for term in terms]
            assert sizes == sorted(sizes, reverse=True)
            assert all(term.product == term.weight * term.value for term in terms)
            np.testing.assert_allclose(sum(term.product for term in terms), terms.total, atol=1e-14)
            peeps = v.peephole == "full" and letter in "ifo"
            products = 2 if v.layer_norm == "haste" else run.p.recurrent_size + 2
            assert len(terms) == products + peeps + (v.layer_norm != "gates")
            for part, count in (("recurrent", run.p.recurrent_size), ("input", 2)):
                assert step.terms(name, unit, part=part).of == f"{part} sum"
                assert len(step.terms(name, unit, part=part)) == count
            if v.layer_norm != "gates":
                assert terms.of == "pre-activation" + (" before its clip" if v.gate_clip else "")
                np.testing.assert_allclose(terms.total, M.unclipped[letter][unit], atol=1e-13)
            else:
                assert terms.of == "weighted sum"
    for unit in range(4):
        terms = step.terms("cell_state", unit)
        np.testing.assert_allclose(terms.total, M.c_raw[unit], atol=1e-13)
        assert {term.name for term in terms} == {"old memory", "new content"}
    for unit in range(run.p.recurrent_size):
        terms = step.terms("hidden_state", unit)
        np.testing.assert_allclose(terms.total, M.r_raw[unit], atol=1e-13)
        assert len(terms) == (4 if projection != "unprojected" else 1)


def test_every_product_is_its_weight_times_its_value():
    run = cases.run_of("peephole")
    step = run.trace().step(2, batch=1)
    found = {term.name: term for term in step.terms("output_gate", unit=3)}
    weight = run.p.weight[3, 3]
    previous = step.previous.h
    for k in range(4):
        assert found[f"h{k}"][1:] == (weight[k], previous[k], weight[k] * previous[k])
    for k in range(2):
        assert found[f"x{k}"][1:3] == (weight[4 + k], run.x[2, 1, k])
    assert found["new cell state"][1:3] == (run.p.peephole[2, 3], step.cell_state[3])
    assert found["bias"][1:] == (run.p.bias[3, 3], 1.0, run.p.bias[3, 3])
    assert "old cell state" in {term.name for term in step.terms("input_gate", unit=0)}


def test_terms_are_a_sequence_and_print_as_a_table():
    step = cases.run_of("plain").trace().step(0)
    terms = step.terms("forget_gate", unit=-1)
    assert terms.total == step.terms("forget_gate", unit=3).total
    assert len(terms) == len(list(terms)) == 7
    assert terms[0] == next(iter(terms))
    lines = str(terms).splitlines()
    assert lines[-1] == f"pre-activation = {terms.total:.8f}"
    assert lines[0].split()[0] == terms[0].name
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("quantity", "unit", "parts"),
    [
        ("forget", 0, ["'forget'", "forget_gate", "cell_state"]),
        ("forget_gate", 4, ["unit", "4", "0 to 3"]),
        ("forget_gate", -5, ["unit", "-5"]),
        ("forget_gate", 1.0, ["unit", "1.0"]),
        ("forget_gate", "u", ["unit", "'u'"]),
        ("hidden_state", 3, ["unit", "3", "0 to 2"]),
    ],
)
def test_terms_of_what_does_not_exist_are_refused_in_one_sentence(quantity, unit, parts):
    step = cases.run_of("plain", projection="projected").trace().step(0)
    with pytest.raises(gw.OptionError) as caught:
        step.terms(quantity, unit)
    cases.one_sentence(caught.value, *parts)


# Labels.


def test_labels_reach_the_terms():
    step = cases.run_of("plain", time=5).trace(labels=LABELS).step(1)
    names = {term.name for term in step.terms("candidate", unit=0)}
    assert names == {"h(u)", "h(v)", "h(w)", "h(z)", "rain", "sun", "bias"}
    projected = cases.run_of("plain", projection="projected", time=5).trace(labels=LABELS).step(1)
    names = {term.name for term in projected.terms("candidate", unit=0)}
    assert names == {"h0", "h1", "h2", "rain", "sun", "bias"}  # what is projected mixes the units
    assert {term.name for term in projected.terms("hidden_state", unit=0)} == {"m(u)", "m(v)", "m(w)", "m(z)"}


def test_the_labels_of_a_cell_travel_with_it():
    run = cases.run_of("plain", time=5)
    cell = gw.LSTMCell(run.p, gw.Labels(LABELS.features, LABELS.units))
    assert {term.name for term in cell.step([1, 2]).terms("candidate", 0)} >= {"h(u)", "rain"}
    trace = gw.LSTM.from_cells(cell).trace(run.x)[0]
    assert trace.labels == cell.labels
    timed = gw.LSTM.from_cells(cell).trace(run.x, labels=gw.Labels(times=LABELS.times))[0]
    assert timed.labels == gw.Labels(LABELS.features, LABELS.units, None, LABELS.times)


def test_the_labels_of_every_cell_travel_with_it_to_its_own_layer():
    first, second = cases.run_of("plain").p, cases.run_of("plain", inputs=4).p
    cells = [gw.LSTMCell(first), gw.LSTMCell(second, gw.Labels(units=LABELS.units))]
    trace = gw.LSTM.from_cells(cells).trace(np.zeros((2, 1, 2)))
    assert trace[1].labels.units == LABELS.units


def test_one_set_of_labels_names_the_features_of_the_first_layer_and_the_rows_of_all():
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    labels = gw.Labels(features=("rain", "sun"), series=("a", "b", "c"), times=range(5))
    trace = lstm.trace(np.zeros((5, 3, 2)), labels=labels)
    assert trace[0].labels == trace[0, "backward"].labels == labels
    assert trace[1].labels == gw.Labels(series=("a", "b", "c"), times=range(5))
    each = [gw.Labels(units=tuple("pqrs")), gw.Labels(units=tuple("wxyz"))]
    trace = lstm.trace(np.zeros((5, 3, 2)), labels=each)
    assert [trace[layer].labels.units for layer in (0, 1)] == [tuple("pqrs"), tuple("wxyz")]


@pytest.mark.parametrize(
    ("labels", "kind", "parts"),
    [
        (gw.Labels(features=["a"]), gw.ShapeError, ["1 labels of features", "2"]),
        (gw.Labels(times=["a"]), gw.ShapeError, ["1 labels of times", "5"]),
        (gw.Labels(series=["a"]), gw.ShapeError, ["1 labels of series", "3"]),
        (gw.Labels(units=list("abcd")), gw.OptionError, ["units", "each layer"]),
        ([gw.Labels()], gw.ShapeError, ["1 labels", "2 layers"]),
        (["rain", "sun"], gw.OptionError, ["labels", "Labels", "'rain'"]),
        (5, gw.OptionError, ["labels", "Labels", "5"]),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_one_sentence(labels, kind, parts):
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    with pytest.raises(kind) as caught:
        lstm.trace(np.zeros((5, 3, 2)), labels=labels)
    cases.one_sentence(caught.value, *parts)


# Keeping less.


@pytest.mark.parametrize("projection", ["unprojected", "projected"])
@every_direction
@pytest.mark.parametrize("keep", [*QUANTITIES, ("forget_gate", "cell_state"), ("output_gate", "input_gate"), None])
@pytest.mark.parametrize("units", [None, [2], [3, 0, 3]])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_what_is_kept_is_exactly_that_part_of_the_whole(projection, direction, keep, units, every):
    run = cases.run_of("plain", projection=projection, live="mask", direction=direction, time=5)
    whole, part = run.trace(), run.trace(keep=keep, units=units, every=every)
    names = QUANTITIES if keep is None else (keep,) if isinstance(keep, str) else keep
    assert len(part) == len(range(0, 5, every))
    for name in QUANTITIES:
        if name not in names:
            if name != "unprojected_state" or projection != "unprojected" or "hidden_state" not in names:
                with pytest.raises(gw.NotKeptError):
                    part.quantity(name)
            continue
        expected = whole.quantity(name)[::every]
        if units is not None and not (name == "hidden_state" and projection != "unprojected"):
            expected = expected[..., units]
        np.testing.assert_array_equal(part.quantity(name), expected, err_msg=name)
    for when in ("initial", "final"):
        np.testing.assert_array_equal(getattr(part, when).c, getattr(whole, when).c)


def test_the_gates_side_by_side_are_those_that_were_kept():
    run = cases.run_of("plain")
    np.testing.assert_array_equal(run.trace(keep=["output_gate", "forget_gate"]).gates, run.trace().gates[:, :, [1, 3]])


@pytest.mark.parametrize("less", [{"keep": ["forget_gate"]}, {"units": [0, 1, 2, 3]}, {"every": 2}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda trace: trace.step(0),
        lambda trace: trace[0, 0],
        lambda trace: trace[0:2],
        lambda trace: trace.previous,
        lambda trace: trace.combined_input,
        lambda trace: trace.preactivations,
        lambda trace: trace.preactivation("forget_gate"),
        lambda trace: gw.backward(trace, np.zeros((3, 3, 4))),
    ],
)
def test_a_trace_that_kept_less_says_what_it_cannot_tell(less, ask):
    with pytest.raises(gw.NotKeptError) as caught:
        ask(cases.run_of("plain").trace(**less))
    cases.one_sentence(caught.value, "needs a whole trace", "keep, units or every")


def test_a_quantity_that_was_not_kept_is_missed_by_name():
    trace = cases.run_of("plain").trace(keep=["forget_gate", "cell_state"])
    for name in ("input_gate", "candidate", "hidden_state"):
        with pytest.raises(gw.NotKeptError) as caught:
            trace.quantity(name)
        cases.one_sentence(caught.value, f"did not keep {name}", "forget_gate, cell_state")
    with pytest.raises(gw.NotKeptError) as caught:
        _ = cases.run_of("plain").trace(keep=["cell_state"]).gates
    cases.one_sentence(caught.value, "did not keep gates", "cell_state")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"keep": "gates"}, ["'gates'", "input_gate", "unprojected_state"]),
        ({"keep": ["cell_state", "h"]}, ["'h'", "hidden_state"]),
        ({"keep": 5}, ["keep", "5"]),
        ({"units": [4]}, ["unit 4", "0 to 3"]),
        ({"units": [-1]}, ["units", "[-1]"]),
        ({"units": []}, ["units", "[]"]),
        ({"units": ["a"]}, ["units", "['a']"]),
        ({"units": [1.7]}, ["units", "1.7"]),
        ({"every": 0}, ["every", "at least 1", "0"]),
        ({"every": 1.5}, ["every", "whole number", "1.5"]),
    ],
)
def test_a_wrong_wish_for_less_is_refused_in_one_sentence(options, parts):
    with pytest.raises(gw.OptionError) as caught:
        cases.run_of("plain").trace(**options)
    cases.one_sentence(caught.value, *parts)


def test_memory_is_estimated_before_anything_is_computed(monkeypatch):
    run = cases.run_of("plain", time=200, batch=3)  # whole: 200 · 3 · (4 + 2) · 4 numbers of 8 bytes, 112 KiB

    def never(*_, **__):
        raise AssertionError("the engine ran")

    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 2**16)
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    assert run.trace(keep="forget_gate", every=10).forget_gate.shape == (20, 3, 4)
    monkeypatch.setattr("gatewise.engine.reference.run", never)
    with pytest.raises(gw.CapacityError) as caught:
        run.trace(engine="reference")
    cases.one_sentence(caught.value, "200 steps of 3 rows", "KiB", "64 KiB are available")


# A trace is plain data that nobody changes any more.


def test_what_was_kept_is_read_only():
    trace = cases.run_of("plain", projection="projected").lstm.trace(cases.run_of("plain").x)
    for array in (trace.output, *trace[0].arrays.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("changed", ["x", "h", "c", "live", "noise", "weight"])
def test_a_trace_does_not_change_when_the_caller_s_arrays_do(changed):
    run = cases.run_of("plain", live="mask", noise=True, time=4)
    expected = gw.backward(run.trace(), np.ones((4, 3, 4)))
    given = cases.run_of("plain", live="mask", noise=True, time=4)
    trace = given.trace()
    array = {
        "x": given.x,
        "h": given.state.h,
        "c": given.state.c,
        "live": given.live,
        "noise": given.masks.recurrent,
    }.get(changed)
    if array is None:
        array = np.array(given.p.weight)
        trace = given.replace(p=given.p.replace(weight=array)).trace()
    array[...] = ~array if array.dtype == bool else 7
    found = gw.backward(trace, np.ones((4, 3, 4)))
    np.testing.assert_array_equal(found.x, expected.x)
    np.testing.assert_array_equal(found.weight, expected.weight)


# Tables.


def test_a_table_names_its_axes_and_their_entries():
    run = cases.run_of("plain", time=5, live="mask")
    trace = run.trace(labels=LABELS)
    table = trace.to_xarray()
    assert set(table.variables) - set(table.coords) == {*QUANTITIES, "input", "live"} - {"unprojected_state"}
    assert table.forget_gate.dims == ("time", "batch", "unit")
    assert table.hidden_state.dims == ("time", "batch", "unit")
    assert table.input.dims == ("time", "batch", "feature")
    assert table.live.dims == ("time", "batch")
    assert table.unit.values.tolist() == list(LABELS.units)
    assert table.feature.values.tolist() == list(LABELS.features)
    assert table.batch.values.tolist() == list(LABELS.series)
    assert table.time.values.tolist() == list(LABELS.times)
    assert table.attrs == {"direction": "forward", "engine": trace.engine}
    one = table.forget_gate.sel(time="day 3", batch="south", unit="w")
    np.testing.assert_array_equal(one, trace.forget_gate[3, 1, 2])
    np.testing.assert_array_equal(table.live, run.live)
    np.testing.assert_array_equal(table.input, run.x)


def test_a_table_of_a_projected_cell_tells_units_from_what_is_projected():
    table = cases.run_of("plain", projection="projected").trace().to_xarray()
    assert table.hidden_state.dims == ("time", "batch", "projected")
    assert table.unprojected_state.dims == ("time", "batch", "unit")
    assert dict(table.sizes) == {"time": 3, "batch": 3, "unit": 4, "projected": 3, "feature": 2}
    assert table.unit.values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("live", ["all live", "mask"])
def test_a_table_of_less_keeps_the_names_of_what_is_left(live):
    run = cases.run_of("plain", time=5, live=live)
    table = run.trace(keep="cell_state", units=[3, 1], every=2, labels=LABELS).to_xarray()
    assert table.unit.values.tolist() == ["z", "v"]
    assert table.time.values.tolist() == ["day 0", "day 2", "day 4"]
    np.testing.assert_array_equal(table.cell_state, run.trace().cell_state[::2, :, [3, 1]])
    bare = run.trace(keep="cell_state", units=[3, 1], every=2).to_xarray()
    assert bare.time.values.tolist() == [0, 2, 4]
    assert bare.unit.values.tolist() == [3, 1]
    assert "input" not in bare
    nothing = run.trace(keep=()).to_xarray()
    assert not set(nothing.variables) - {"live", "time"}


def test_tables_of_an_lstm_go_by_layer_and_direction():
    trace = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 1, 2)))
    tables = trace.to_xarray()
    assert set(tables) == {(layer, direction) for layer in (0, 1) for direction in cases.DIRECTIONS}
    np.testing.assert_array_equal(tables[1, "backward"].candidate, trace[1, "backward"].candidate)
    assert tables[1, "backward"].attrs["direction"] == "backward"


def test_without_xarray_one_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(gw.MissingExtraError) as caught:
        cases.run_of("plain").trace().to_xarray()
    cases.one_sentence(caught.value, "xarray", "pip install 'gatewise[xarray]'")


# An LSTM's traces.


def test_the_traces_of_an_lstm_go_by_layer_and_direction():
    trace = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 2, 2)))
    assert (len(trace), trace.directions) == (2, cases.DIRECTIONS)
    assert trace[1] is trace[1, "forward"] is trace[-1]
    assert [one.direction for one in (trace[0], trace[0, "backward"])] == list(cases.DIRECTIONS)
    np.testing.assert_array_equal(
        trace[1].input, np.concatenate([t.hidden_state for t in trace.layers[0].values()], -1)
    )
    assert trace.state[1][1] is trace[1, "backward"].final
    gradients = gw.backward(trace, np.ones_like(trace.output))
    assert gradients[1] is gradients[1, "forward"]
    assert len(gradients) == 2


@pytest.mark.parametrize("key", [2, -3, (0, "sideways"), "forward", (5, "forward"), 1.0, True])
def test_a_layer_or_direction_that_does_not_exist_is_refused_by_name(key):
    lstm = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0)
    trace = lstm.trace(np.ones((3, 2, 2)))
    for subject in (lstm, trace, gw.backward(trace)):
        with pytest.raises(gw.OptionError) as caught:
            _ = subject[key]
        wrong = key[1] if key == (0, "sideways") else key[0] if isinstance(key, tuple) else key
        cases.one_sentence(caught.value, repr(wrong))


def test_traces_say_what_they_are():
    run = cases.run_of("plain")
    assert repr(run.trace()) == f"<Trace of 3 steps, 3 rows, forward, of {run.p!r}>"
    assert "kept forget_gate" in repr(run.trace(keep="forget_gate"))
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0).trace(np.ones((3, 2, 2)))
    assert repr(lstm) == "<LSTMTrace of 1 layers, forward and backward, output (3, 2, 8)>"
    assert repr(run.trace().step(1, 2)) == f"<Step at time 1, row 2, of {run.p!r}>"


# Files.


@every_variant
@every_projection
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_cell_s_trace_is_the_same_after_saving_and_loading(variant, projection, dtype, tmp_path):
    run = cases.run_of(
        variant, projection=projection, live="mask", noise=True, time=5, dtype=dtype, direction="backward"
    )
    trace = run.trace(labels=LABELS)
    gw.save(trace, tmp_path / "trace.safetensors")
    loaded = gw.load_trace(tmp_path / "trace.safetensors")
    assert_same_trace(loaded, trace)
    dy = np.ones_like(trace.hidden_state)
    np.testing.assert_array_equal(gw.backward(loaded, dy).weight, gw.backward(trace, dy).weight)


OPTIONS = {
    "whole": {},
    "labels": {"labels": gw.Labels(series=["a", "b", "c"], times=range(5))},
    "lengths": {"lengths": [5, 0, 3], "masked_output": "repeat"},
    "less": {"keep": ["forget_gate", "hidden_state"], "units": [1, 3], "every": 2},
    "less of lengths": {"keep": ["cell_state"], "lengths": [5, 2, 3], "every": 3},
    "nothing": {"keep": []},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("merge", ["concat", "mul", "none"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_lstm_s_trace_is_the_same_in_memory_saved_and_written_as_it_goes(options, merge, dtype, tmp_path):
    merges = ("concat", merge)
    lstm = gw.LSTM(2, 4, num_layers=2, bidirectional=True, merge=merges, projection_size=3, dtype=dtype, rng=0)
    x = np.random.default_rng(0).normal(size=(5, 3, 2))
    trace = lstm.trace(x, **OPTIONS[options])
    written = lstm.trace(x, **OPTIONS[options], out=tmp_path / "written.safetensors")
    gw.save(trace, tmp_path / "saved.safetensors")
    assert_same_traces(written, trace)
    assert_same_traces(gw.load_trace(tmp_path / "written.safetensors"), trace)
    assert_same_traces(gw.load_trace(tmp_path / "saved.safetensors"), trace)
    assert (tmp_path / "written.safetensors").read_bytes() == (tmp_path / "saved.safetensors").read_bytes()


@pytest.mark.parametrize("time", [0, 1])
@pytest.mark.parametrize("batch", [0, 1])
def test_a_trace_of_nothing_can_be_written_too(time, batch, tmp_path):
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0)
    written = lstm.trace(np.zeros((time, batch, 2)), out=tmp_path / "trace")
    assert_same_traces(gw.load_trace(tmp_path / "trace"), written)


def test_an_unbatched_trace_stays_so_in_its_file(tmp_path):
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0)
    trace = lstm.trace(np.ones((4, 2)), out=tmp_path / "trace")
    loaded = gw.load_trace(tmp_path / "trace")
    dy = np.ones((4, 8))
    assert gw.backward(loaded, dy).x.shape == (4, 2)
    np.testing.assert_array_equal(gw.backward(loaded, dy).x, gw.backward(trace, dy).x)


def test_a_written_trace_reads_from_its_file_and_gives_the_gradients(tmp_path):
    lstm, x = gw.LSTM(**BIDIRECTIONAL, rng=0), np.random.default_rng(0).normal(size=(6, 2, 2))
    plain, written = lstm.trace(x), lstm.trace(x, out=tmp_path / "trace")
    assert isinstance(written[0].gates, np.memmap)
    assert not written[0].gates.flags.writeable
    dy = np.ones_like(plain.output)
    np.testing.assert_array_equal(gw.backward(written, dy).x, gw.backward(plain, dy).x)
    np.testing.assert_array_equal(
        gw.backward(written, dy)[0, "backward"].weight, gw.backward(plain, dy)[0, "backward"].weight
    )


def test_any_reader_of_safetensors_reads_a_trace(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    lstm, x = gw.LSTM(**BIDIRECTIONAL, rng=0), np.random.default_rng(0).normal(size=(5, 3, 2))
    trace = lstm.trace(x, lengths=[5, 1, 2], out=tmp_path / "trace")
    arrays = load_file(tmp_path / "trace")
    for direction in cases.DIRECTIONS:
        cell = trace[0, direction]
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.gates"], cell.gates)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.cell_state"], cell.cell_state)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.parameters.weight"], cell.parameters.weight)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.live"], cell.live)
    np.testing.assert_array_equal(arrays["output"], trace.output)
    with safe_open(tmp_path / "trace", framework="numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["gatewise"]
    header = json.loads(metadata["gatewise"])
    assert header["kind"] == "lstm_trace"
    assert header["conventions"]["gate_order"] == "input, forget, candidate, output"


@pytest.mark.parametrize("before", [None, b"what was here before"])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_a_run_that_fails_midway_leaves_the_folder_as_it_was(before, call, tmp_path, monkeypatch):
    from gatewise.engine import reference

    calls, run = [], reference.run

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError
        return run(*arguments, **options)

    monkeypatch.setattr(reference, "run", failing)
    path = tmp_path / "trace"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(ZeroDivisionError):
        gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 1, 2)), out=path, engine="reference")
    assert len(calls) == call
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["trace"])
    if before is not None:
        assert path.read_bytes() == before


def test_a_trace_that_is_written_over_does_not_change_under_its_reader(tmp_path):
    """The new file takes the old one's place; who has the old one open keeps it."""
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0)
    first = lstm.trace(np.ones((3, 1, 2)), out=tmp_path / "trace")
    gates = np.array(first[0].gates)
    lstm.trace(np.zeros((3, 1, 2)), out=tmp_path / "trace")
    np.testing.assert_array_equal(first[0].gates, gates)


def test_keep_is_settled_once():
    assert Keep("cell_state").quantities == ("cell_state",)
    assert Keep(("hidden_state", "input_gate")).quantities == ("input_gate", "hidden_state")  # in the order of all
    assert Keep().everything
    assert not Keep(units=(0,)).everything


@pytest.mark.parametrize("time", [3, 3000])
@pytest.mark.parametrize("again", [False, True])
def test_everything_a_trace_holds_is_read_only_and_no_view_opens_it(time, again):
    lstm, x = gw.LSTM(3, 8, rng=0), np.ones((time, 1, 3), np.float32)
    trace = lstm.trace(x, out=lstm.trace(x) if again else None)[0]
    for array in (trace.input, *trace.arrays.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array[:, 0].flags.writeable = True


def test_the_input_counts_before_a_trace_takes_memory_for_it(monkeypatch):
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 10**6)
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    lstm, x = gw.LSTM(1000, 1, rng=0), np.zeros((1000, 1, 1000), np.float32)
    with pytest.raises(gw.CapacityError) as caught:
        lstm.trace(x)
    cases.one_sentence(caught.value, "a run of 1000 steps of 1 rows", "976.6 KiB are available")
    assert lstm(x)[0].shape == (1000, 1, 1)


def test_a_step_keeps_what_it_was_made_of_when_the_caller_s_arrays_change():
    p = cases.run_of("peephole").p
    x, h, c = np.ones(2), np.full(4, 0.1), np.full(4, 0.2)
    step = gw.LSTMCell(p).step(x, gw.State(h, c))
    kept = [step.x.copy(), step.preactivations, step.terms("cell_state", 0).total]
    x[:], h[:], c[:] = 9, 9, 9
    np.testing.assert_array_equal(step.x, kept[0])
    np.testing.assert_array_equal(step.preactivations, kept[1])
    assert step.terms("cell_state", 0).total == kept[2]
    for array in (step.x, step.forget_gate, step.cell_state, *step.previous):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_the_two_directions_of_a_layer_have_names_and_sizes_of_their_own(tmp_path):
    cells = [
        gw.LSTMCell(cases.run_of("plain", hidden=hidden).p, gw.Labels(units=tuple(names)))
        for hidden, names in ((2, "ab"), (3, "cde"))
    ]
    trace = gw.LSTM.from_cells([tuple(cells)]).trace(np.zeros((2, 1, 2)), out=tmp_path / "trace")
    assert trace[0].labels.units == ("a", "b")
    assert trace[0, "backward"].labels.units == ("c", "d", "e")
    assert gw.load_trace(tmp_path / "trace")[0, "backward"].labels.units == ("c", "d", "e")


def test_a_slice_remembers_when_its_steps_were():
    trace = cases.run_of("plain", time=6).trace()
    assert trace[2:5][1:3].step(0).time == 3
    assert trace[2:5].to_xarray().time.values.tolist() == [2, 3, 4]


def test_parameters_stay_read_only_when_copied_and_pickled():
    p = cases.run_of("plain").p
    for again in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        np.testing.assert_array_equal(again.weight, p.weight)
        with pytest.raises(ValueError, match="read-only"):
            again.weight[...] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        p.weight.flags.writeable = True
