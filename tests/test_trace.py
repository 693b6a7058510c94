"""What a run leaves behind: its names, steps and slices; plain data that nobody changes."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from stacks import BIDIRECTIONAL, LABELS

import gatewise as gw
from gatewise.records.keep import QUANTITIES

every_projection = pytest.mark.parametrize("projection", cases.PROJECTIONS)
every_direction = pytest.mark.parametrize("direction", cases.DIRECTIONS)


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
    assert (len(trace), trace.batch_size) == (3, 3)


@pytest.mark.parametrize("name", ["gates", "h", "forget", ""])
def test_a_quantity_that_does_not_exist_is_refused_by_name(name):
    with cases.refusal(repr(name), *QUANTITIES, by=gw.OptionError):
        cases.run_of("plain").trace().quantity(name)


# Steps.


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
    step = trace.step(-1, sequence=-2)
    assert (step.time, step.sequence) == (3, 1)
    np.testing.assert_array_equal(trace[-1, -2].gates, trace.gates[3, 1])


@pytest.mark.parametrize(
    ("ask", "parts"),
    [
        (lambda trace: trace.step(5), ["step", "5", "0 to 4"]),
        (lambda trace: trace.step(-6), ["step", "-6", "0 to 4"]),
        (lambda trace: trace.step(0, sequence=3), ["sequence", "3", "0 to 2"]),
        (lambda trace: trace.step("2024-01-01"), ["step", "2024-01-01"]),
        (lambda trace: trace.step(True), ["step", "True"]),
        (lambda trace: trace[0, 7], ["sequence", "7"]),
        (lambda trace: trace[:, "a"], ["'a'"]),
        (lambda trace: trace[::2], ["contiguous", "every"]),
        (lambda trace: trace[:, ::2], ["contiguous", "every"]),
        (lambda trace: trace[0, 1, 2], ["(0, 1, 2)"]),
    ],
)
def test_a_step_or_slice_that_does_not_exist_is_refused_in_one_sentence(ask, parts):
    trace = cases.run_of("plain", time=5).trace()
    with cases.refusal(*parts, by=gw.OptionError):
        ask(trace)


@pytest.mark.parametrize("valid", ["lengths", "mask"])
def test_a_step_that_did_not_take_place_cannot_be_shown(valid):
    run = cases.run_of("plain", valid=valid, time=5)
    t, row = np.argwhere(~run.valid)[0]
    with cases.refusal(f"step {t}", f"sequence {row}", "not valid", by=gw.OptionError):
        run.trace().step(t, sequence=row)


def test_the_trace_of_a_cell_is_iterated_over_its_steps():
    """A class with `len` and numbers in brackets is iterated over by Python, to its end and no further."""
    trace = cases.run_of("plain", time=4).trace()
    found = list(trace)
    assert len(found) == 4
    np.testing.assert_array_equal(np.concatenate([one.gates for one in found]), trace.gates)


# Slices.


@cases.meeting(variant=cases.VARIANTS, direction=cases.DIRECTIONS, valid=cases.VALID)
def test_the_steps_of_a_slice_are_those_of_the_whole(variant, direction, valid):
    run = cases.run_of(variant, direction=direction, valid=valid, dropout=True, time=6, batch=4)
    trace = run.trace(labels=gw.Labels(LABELS.features, LABELS.units, tuple("abcd"), tuple("012345")))
    part = trace[1:4, 1:3]
    assert (len(part), part.batch_size) == (3, 2)
    np.testing.assert_array_equal(part.gates, trace.gates[1:4, 1:3])
    np.testing.assert_array_equal(part.preactivations, trace.preactivations[1:4, 1:3])
    np.testing.assert_array_equal(part.combined_input, trace.combined_input[1:4, 1:3])
    np.testing.assert_array_equal(part.previous.h, trace.previous.h[1:4, 1:3])
    np.testing.assert_array_equal(part.previous.c, trace.previous.c[1:4, 1:3])
    first, last = (0, -1) if direction == "forward" else (-1, 0)
    np.testing.assert_array_equal(part.initial.h, trace.previous.h[1:4, 1:3][first])
    np.testing.assert_array_equal(part.final.c, trace.cell_state[1:4, 1:3][last])
    assert part.labels.sequences == ("b", "c")
    assert part.labels.times == ("1", "2", "3")
    assert part.labels.features == LABELS.features
    for t, row in np.argwhere(run.valid[1:4, 1:3] if run.valid is not None else np.ones((3, 2), bool)):
        one, other = part.step(t, sequence=row), trace.step(t + 1, sequence=row + 1)
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


@cases.meeting(direction=cases.DIRECTIONS, valid=cases.VALID, cut=range(6))
def test_a_cut_trace_meets_itself_at_the_cut(direction, valid, cut):
    """Also where one side is empty: the state there is what the one leaves behind and the other starts from."""
    trace = cases.run_of("plain", direction=direction, valid=valid, time=5).trace()
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


def test_a_slice_remembers_when_its_steps_were():
    trace = cases.run_of("plain", time=6).trace()
    assert trace[2:5][1:3].step(0).time == 3
    assert trace[2:5].to_xarray().time.values.tolist() == [2, 3, 4]


# A trace is plain data that nobody changes any more.


@pytest.mark.parametrize("time", [3, 3000])
@pytest.mark.parametrize("again", [False, True])
def test_everything_a_trace_holds_is_read_only_and_no_view_opens_it(time, again):
    lstm, x = gw.LSTM(3, 8, projection_size=4, rng=0), np.ones((time, 1, 3), np.float32)
    trace = lstm.trace(x, out=lstm.trace(x) if again else None)
    for array in (trace.output, trace[0].input, *trace[0].arrays.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array[:, 0].flags.writeable = True


@pytest.mark.parametrize("changed", ["x", "h", "c", "valid", "dropout", "weight"])
def test_a_trace_does_not_change_when_the_caller_s_arrays_do(changed):
    run = cases.run_of("plain", valid="mask", dropout=True, time=4)
    expected = gw.backward(run.trace(), np.ones((4, 3, 4)))
    given = cases.run_of("plain", valid="mask", dropout=True, time=4)
    trace = given.trace()
    array = {
        "x": given.x,
        "h": given.state.h,
        "c": given.state.c,
        "valid": given.valid,
        "dropout": given.dropout.recurrent,
    }.get(changed)
    if array is None:
        array = np.array(given.p.weight)
        trace = given.replace(p=given.p.replace(weight=array)).trace()
    array[...] = ~array if array.dtype == bool else 7
    found = gw.backward(trace, np.ones((4, 3, 4)))
    np.testing.assert_array_equal(found.x, expected.x)
    np.testing.assert_array_equal(found.weight, expected.weight)


# An LSTM's traces.


def test_the_traces_of_an_lstm_go_by_layer_and_direction():
    trace = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 2, 2)))
    assert (trace.num_layers, trace.num_steps, trace.batch_size, trace.directions) == (2, 3, 2, cases.DIRECTIONS)
    assert [trace[0, one].direction for one in cases.DIRECTIONS] == list(cases.DIRECTIONS)
    np.testing.assert_array_equal(
        trace[1, "forward"].input, np.concatenate([t.hidden_state for t in trace.layers[0].values()], -1)
    )
    assert trace.state[1][1] is trace[1, "backward"].final


@pytest.mark.parametrize("options", [{}, {"direction": "backward"}, {"bidirectional": True}])
def test_what_belongs_to_a_cell_is_found_by_layer_and_direction_alike_everywhere(options):
    """A layer alone names a cell where there is one direction, and is refused with both names where there are two."""
    lstm = gw.LSTM(2, 4, **options, num_layers=2, rng=0)
    trace = lstm.trace(np.ones((3, 2, 2)))
    for subject in (lstm, trace, gw.backward(trace)):
        cells = subject.cells()
        assert list(cells) == [(layer, direction) for layer in range(2) for direction in lstm.directions]
        for (layer, direction), cell in cells.items():
            assert subject[layer, direction] is cell is subject[layer - 2, direction]
            if len(lstm.directions) == 1:
                assert subject[layer] is cell is subject[layer - 2]
                continue
            with cases.refusal(f"[{layer}, 'forward']", f"[{layer}, 'backward']", by=gw.OptionError):
                _ = subject[layer]
        for wrong in (iter, len):  # over layers, or over cells?
            with pytest.raises(TypeError):
                wrong(subject)


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
    title, *lines = repr(run.trace()).splitlines()
    assert title == "<Trace: forward, 3 steps of 3 sequences, 2 features, 4 units, float64"
    assert [line.split()[0] for line in lines] == [*gw.records.keep.QUANTITIES[:-1]]
    less = repr(run.trace(keep="forget_gate", every=2, units=[1])).splitlines()
    assert less[0].endswith("every 2nd step kept, 1 unit kept")
    assert less[1].split()[0] == "forget_gate"
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0).trace(np.ones((3, 2, 2)))
    title, output, *cells = repr(lstm).splitlines()
    assert title == "<LSTMTrace: 1 layer, forward and backward, 3 steps of 2 sequences, float64, everything kept"
    assert output.split()[:4] == ["output", "(3,", "2,", "8)"]
    assert cells == ["  [0, 'forward']: 2 features -> 4 units", "  [0, 'backward']: 2 features -> 4 units>"]
    assert repr(run.trace().step(1, 2)).startswith("<Step 1 of sequence 2: 2 features, 4 units, float64\n")
