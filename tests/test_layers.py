"""LSTMs of several cells: merging, stacking, lengths and masks, shapes, streams; and the way back through all of it."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.layers.merging import MERGES, merge, merged_size, shown, unmerge, unshown

every_merge = pytest.mark.parametrize("merge", MERGES)
every_masked_output = pytest.mark.parametrize("masked_output", ["zeros", "repeat"])


def random_lstm(*, rng=0, **options):
    """Return an LSTM in float64, whose weights are large enough to matter."""
    options = {"input_size": 2, "hidden_size": 3, "dtype": np.float64, **options}
    return gw.LSTM(**options, rng=rng)


def random_x(lstm, time=4, batch=3, seed=1):
    return np.random.default_rng(seed).normal(size=(time, batch, lstm.input_size))


def random_state(lstm, batch, seed=2):
    rng = np.random.default_rng(seed)
    return tuple(
        tuple(gw.State(*(rng.normal(size=array.shape) for array in one)) for one in layer)
        for layer in lstm.zero_state(batch)
    )


def assert_same_state(found, expected):
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        np.testing.assert_array_equal(one.h, other.h)
        np.testing.assert_array_equal(one.c, other.c)


# Merging.


def test_merges_are_what_their_names_say():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    found = {how: merge([a, b], how).tolist() for how in MERGES}
    assert found == {
        "concat": [[1, 2, 3, 5]],
        "sum": [[4, 7]],
        "mul": [[3, 10]],
        "average": [[2, 3.5]],
        "none": [[[1, 2], [3, 5]]],
    }
    for how in MERGES:
        assert merge([a], how) is a
        assert merged_size(how, [2, 2]) == (4 if how == "concat" else 2)


@every_merge
def test_unmerging_is_the_derivative_of_merging(merge):
    from gatewise.layers import merging

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    dy = rng.normal(size=merging.merge([a, b], merge).shape)
    found = unmerge(dy, [a, b], merge)
    cases.assert_gradient(found[0], cases.differences(lambda a: np.sum(dy * merging.merge([a, b], merge)), a), "a")
    cases.assert_gradient(found[1], cases.differences(lambda b: np.sum(dy * merging.merge([a, b], merge)), b), "b")
    np.testing.assert_array_equal(unmerge(dy, [a], merge)[0], dy)


@every_masked_output
@pytest.mark.parametrize("reverse", [False, True])
def test_unshowing_is_the_derivative_of_showing(masked_output, reverse):
    rng = np.random.default_rng(0)
    hidden, live = rng.normal(size=(4, 3, 2)), cases.live_of("mask", 4, 3, rng)
    dy = rng.normal(size=hidden.shape)
    expected = cases.differences(lambda h: np.sum(dy * shown(h, live, masked_output, reverse=reverse)), hidden)
    cases.assert_gradient(unshown(dy, live, masked_output, reverse=reverse), expected, "hidden")
    np.testing.assert_array_equal(shown(hidden, None, masked_output, reverse=reverse), hidden)


@every_merge
@every_masked_output
@pytest.mark.parametrize("live", cases.LIVES)
@pytest.mark.parametrize("projection", [None, 2])
def test_the_gradients_of_a_stack_equal_central_differences(merge, masked_output, live, projection):
    ways = ("concat" if merge == "none" else merge, merge)
    lstm = random_lstm(num_layers=2, bidirectional=True, projection_size=projection, merge=ways, input_size=1)
    x, state = random_x(lstm, time=3, batch=2), random_state(lstm, 2)
    rng = np.random.default_rng(5)
    mask = cases.live_of(live, 3, 2, rng)
    options = {"mask": mask, "masked_output": masked_output}
    trace = lstm.trace(x, state, **options)
    dy, dstate = rng.normal(size=trace.output.shape), random_state(lstm, 2, seed=6)
    found = gw.backward(trace, dy, dstate)

    def loss(lstm=lstm, x=x, state=state):
        y, end = lstm(x, state, **options)
        pairs = zip(itertools.chain(*dstate), itertools.chain(*end), strict=True)
        return np.sum(dy * y) + sum(np.sum(d.h * s.h) + np.sum(d.c * s.c) for d, s in pairs)

    cases.assert_gradient(found.x, cases.differences(lambda x: loss(x=x), x), "x")
    for layer, place in itertools.product(range(2), range(2)):
        direction, given = cases.DIRECTIONS[place], found.state[layer][place]

        def starting(part, layer=layer, place=place):
            def by(array):
                rows = [list(row) for row in state]
                rows[layer][place] = rows[layer][place]._replace(**{part: array})
                return loss(state=rows)

            return by

        for part in ("h", "c"):
            expected = cases.differences(starting(part), getattr(state[layer][place], part))
            cases.assert_gradient(getattr(given, part), expected, f"{part} of {layer}, {direction}")
        np.testing.assert_array_equal(given.h, found[layer, direction].state.h)

        def with_bias(bias, layer=layer, place=place):
            cells = [list(row) for row in lstm.layers]
            p = cells[layer][place].parameters
            cells[layer][place] = p.replace(bias=bias)
            return loss(lstm=gw.LSTM.from_cells(cells, merge=ways))

        # A bias is in every sum of its gate: if its derivative is right, so is what came down to the layer.
        expected = cases.differences(with_bias, lstm[layer, direction].parameters.bias)
        cases.assert_gradient(found[layer, direction].bias, expected, f"bias of {layer}, {direction}")


# Stacking, by hand.


def test_a_stack_is_its_layers_one_after_another():
    lstm = random_lstm(num_layers=3, projection_size=2)
    x, state = random_x(lstm), random_state(lstm, 3)
    y, ends = x, []
    for row, start in zip(lstm.layers, state, strict=True):
        y, end = gw.LSTM.from_cells(row[0])(y, [start])
        ends.append(end[0])
    found, state = lstm(x, state)
    np.testing.assert_array_equal(found, y)
    assert_same_state(state, ends)


@every_merge
def test_both_directions_are_one_forward_and_one_over_time_reversed(merge):
    lstm = random_lstm(bidirectional=True, merge=merge)
    x, (ends,) = random_x(lstm), random_state(lstm, 3)
    there, ((first,),) = gw.LSTM.from_cells(lstm[0, "forward"])(x, [[ends[0]]])
    back, ((second,),) = gw.LSTM.from_cells(lstm[0, "backward"])(x[::-1], [[ends[1]]])
    back = back[::-1]
    y, state = lstm(x, [ends])
    expected = {
        "concat": lambda: np.concatenate([there, back], axis=-1),
        "sum": lambda: there + back,
        "mul": lambda: there * back,
        "average": lambda: (there + back) / 2,
        "none": lambda: np.stack([there, back], axis=2),
    }[merge]()
    np.testing.assert_array_equal(y, expected)
    assert_same_state(state, [[first, second]])
    assert y.shape[-1] == lstm.output_size


def test_one_direction_backward_is_over_time_reversed():
    forward = random_lstm(num_layers=2)
    backward = gw.LSTM.from_cells(forward.layers, direction="backward")
    x, state = random_x(forward), random_state(forward, 3)
    expected, ends = forward(x[::-1], state)
    y, found = backward(x, state)
    np.testing.assert_array_equal(y, expected[::-1])
    assert_same_state(found, ends)
    assert backward.directions == ("backward",)
    assert backward[1].parameters is forward[1].parameters


def test_every_layer_may_merge_in_its_own_way():
    lstm = random_lstm(num_layers=3, bidirectional=True, merge=["sum", "concat", "none"])
    assert [cell.input_size for cell in (lstm[0], lstm[1], lstm[2])] == [2, 3, 6]
    y, _ = lstm(random_x(lstm))
    assert y.shape == (4, 3, 2, 3)


def test_the_directions_may_have_different_sizes_where_they_are_put_side_by_side():
    small, large = gw.LSTMCell.random(2, 3, rng=0), gw.LSTMCell.random(2, 5, rng=1)
    lstm = gw.LSTM.from_cells([(small, large)])
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    trace = lstm.trace(x)
    np.testing.assert_array_equal(trace.output[..., :3], gw.LSTM.from_cells(small)(x)[0])
    np.testing.assert_array_equal(trace.output[..., 3:], gw.LSTM.from_cells(large)(x[::-1])[0][::-1])
    found = gw.backward(trace, np.ones((4, 2, 8)))
    assert found[0, "backward"].weight.shape == large.parameters.weight.shape


# Shapes.


@every_merge
def test_an_input_without_a_batch_is_a_batch_of_one_and_comes_back_so(merge):
    lstm = random_lstm(num_layers=2, bidirectional=True, merge=("concat", merge))
    x, state = random_x(lstm, batch=1), random_state(lstm, 1)
    bare = tuple(tuple(gw.State(one.h[0], one.c[0]) for one in layer) for layer in state)
    options = {"lengths": [3], "masked_output": "repeat"}
    y, ends = lstm(x, state, **options)
    found, found_ends = lstm(x[:, 0], bare, **options)
    np.testing.assert_array_equal(found, y[:, 0])
    assert_same_state(found_ends, [[gw.State(one.h[0], one.c[0]) for one in layer] for layer in ends])
    np.testing.assert_array_equal(lstm(x[:, 0], bare, mask=[True] * 3 + [False], masked_output="repeat")[0], found)

    trace, other = lstm.trace(x[:, 0], bare, **options), lstm.trace(x, state, **options)
    dy, dstate = np.ones_like(y), random_state(lstm, 1, seed=8)
    bare_dstate = [[gw.State(one.h[0], one.c[0]) for one in layer] for layer in dstate]
    one, whole = gw.backward(trace, dy[:, 0], bare_dstate), gw.backward(other, dy, dstate)
    np.testing.assert_array_equal(one.x, whole.x[:, 0])
    assert_same_state(one.state, [[gw.State(s.h[0], s.c[0]) for s in layer] for layer in whole.state])
    np.testing.assert_array_equal(one[1].weight, whole[1].weight)


def test_the_state_that_comes_back_goes_in_again():
    lstm = random_lstm(num_layers=2)
    x = random_x(lstm, time=6)
    whole, end = lstm(x)
    first, between = lstm(x[:2])
    second, found = lstm(x[2:], between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert_same_state(found, end)


def test_a_call_starts_from_zeros_unless_told():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    x = random_x(lstm)
    np.testing.assert_array_equal(lstm(x)[0], lstm(x, lstm.zero_state(3))[0])
    assert not any(array.any() for layer in lstm.zero_state(3) for one in layer for array in one)


def test_plain_lists_are_taken():
    lstm = random_lstm()
    y, _ = lstm([[[1, 2]], [[3, 4]]])
    np.testing.assert_array_equal(y, lstm(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]))[0])


# Lengths and masks.


@every_masked_output
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_the_mask_of_the_first_steps(masked_output, bidirectional):
    lstm = random_lstm(num_layers=2, bidirectional=bidirectional)
    x, lengths = random_x(lstm), np.array([4, 0, 2])
    mask = np.arange(4)[:, None] < lengths
    found, other = (lstm.trace(x, **o, masked_output=masked_output) for o in ({"lengths": lengths}, {"mask": mask}))
    np.testing.assert_array_equal(found.output, other.output)
    assert_same_state(found.state, other.state)
    np.testing.assert_array_equal(found[0].live, other[0].live)
    dy = np.ones_like(found.output)
    np.testing.assert_array_equal(gw.backward(found, dy).x, gw.backward(other, dy).x)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_padded_row_is_the_row_without_its_padding(bidirectional):
    lstm = random_lstm(num_layers=2, bidirectional=bidirectional)
    x, lengths = random_x(lstm), [4, 1, 2]
    state = random_state(lstm, 3)
    y, ends = lstm(x, state, lengths=lengths)
    for row, length in enumerate(lengths):
        start = [[gw.State(one.h[row], one.c[row]) for one in layer] for layer in state]
        alone, end = lstm(x[:length, row], start)
        np.testing.assert_allclose(y[:length, row], alone, rtol=0, atol=1e-14)
        assert not y[length:, row].any()
        for one, other in zip(itertools.chain(*ends), itertools.chain(*end), strict=True):
            np.testing.assert_allclose(one.h[row], other.h, rtol=0, atol=1e-14)
            np.testing.assert_allclose(one.c[row], other.c, rtol=0, atol=1e-14)


def test_a_masked_run_is_the_run_without_the_masked_steps():
    lstm = random_lstm(bidirectional=True)
    x, mask = random_x(lstm, time=5, batch=1), np.array([False, True, False, True, False])
    y, ends = lstm(x, mask=mask)
    less, expected = lstm(x[mask])
    np.testing.assert_array_equal(y[mask], less)
    assert_same_state(ends, expected)


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_masked_steps_put_out_zeros_or_the_last_output_again(direction):
    lstm = random_lstm(direction=direction)
    x = random_x(lstm, time=6, batch=1)
    state = random_state(lstm, 1)
    mask = np.array([False, True, False, True, True, False])
    y, _ = lstm(x, state, mask=mask)
    repeated, _ = lstm(x, state, mask=mask, masked_output="repeat")
    assert not y[~mask].any()
    assert y[mask].all()
    np.testing.assert_array_equal(repeated[mask], y[mask])
    sources = [None, 1, 1, 3, 4, 4] if direction == "forward" else [1, 1, 3, 3, 4, None]
    for t, source in enumerate(sources):  # before the first output there is nothing to repeat, whatever the state
        np.testing.assert_array_equal(repeated[t], np.zeros_like(y[t]) if source is None else y[source])


def test_each_direction_repeats_its_own_last_output():
    lstm = random_lstm(bidirectional=True)
    x, mask = random_x(lstm, time=3, batch=1), np.array([True, False, True])
    y, _ = lstm(x, mask=mask, masked_output="repeat")
    np.testing.assert_array_equal(y[1, :, :3], y[0, :, :3])
    np.testing.assert_array_equal(y[1, :, 3:], y[2, :, 3:])


def test_noise_is_given_to_each_cell_apart():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    x, rng = random_x(lstm), np.random.default_rng(3)
    noise = [[cases.noise_of(cell.parameters, 4, 3, rng) for cell in row] for row in lstm.layers]
    noise[0][1] = None
    trace = lstm.trace(x, masks=noise)
    y = x
    for row, given in zip(lstm.layers, noise, strict=True):
        there = gw.LSTM.from_cells(row[0])(y, masks=[[given[0]]])[0]
        back = gw.LSTM.from_cells(row[1], direction="backward")(y, masks=[[given[1]]])[0]
        y = np.concatenate([there, back], axis=-1)
    np.testing.assert_array_equal(trace.output, y)
    assert not trace[0, "backward"].masks.arrays()


# What is refused.


@pytest.mark.parametrize(
    ("x", "options", "kind", "parts"),
    [
        (np.zeros(2), {}, gw.ShapeError, ["x", "(2,)", "(time, batch, 2)", "(time, 2)"]),
        (np.zeros((4, 3, 5)), {}, gw.ShapeError, ["x", "(4, 3, 5)", "(time, batch, 2)"]),
        (np.zeros((1, 4, 3, 2)), {}, gw.ShapeError, ["x", "(1, 4, 3, 2)"]),
        (np.zeros((4, 3, 2), complex), {}, gw.OptionError, ["x", "complex128"]),
        ([[1, 2], [3]], {}, gw.ShapeError, ["x", "equal lengths"]),
        ("text", {}, gw.OptionError, ["x", "real numbers"]),
        (None, {}, gw.OptionError, ["x", "real numbers"]),
        (np.zeros((4, 3, 2)), {"lengths": [1, 2]}, gw.ShapeError, ["lengths", "3", "[1, 2]"]),
        (np.zeros((4, 3, 2)), {"lengths": [1.0, 2.0, 3.0]}, gw.ShapeError, ["lengths", "whole numbers"]),
        (np.zeros((4, 3, 2)), {"lengths": [1, 2, 5]}, gw.OptionError, ["lengths", "0 and 4", "[1, 2, 5]"]),
        (np.zeros((4, 3, 2)), {"lengths": [-1, 2, 3]}, gw.OptionError, ["lengths", "[-1, 2, 3]"]),
        (np.zeros((4, 3, 2)), {"lengths": [[1], [2, 3]]}, gw.ShapeError, ["lengths"]),
        (np.zeros((4, 3, 2)), {"mask": np.ones((4, 3))}, gw.ShapeError, ["mask", "boolean", "float64"]),
        (np.zeros((4, 3, 2)), {"mask": np.ones((3, 4), bool)}, gw.ShapeError, ["mask", "(4, 3)", "(3, 4)"]),
        (np.zeros((4, 3, 2)), {"mask": [[True], [True, False]]}, gw.ShapeError, ["mask"]),
        (
            np.zeros((4, 3, 2)),
            {"mask": np.ones((4, 3), bool), "lengths": [1, 2, 3]},
            gw.OptionError,
            ["lengths", "mask", "not both"],
        ),
        (np.zeros((4, 3, 2)), {"masked_output": "nan"}, gw.OptionError, ["'nan'", "zeros, repeat"]),
        (np.zeros((4, 3, 2)), {"engine": "fast"}, gw.OptionError, ["'fast'", "reference"]),
    ],
)
@pytest.mark.parametrize("verb", ["__call__", "trace"])
def test_a_wrong_call_is_refused_in_one_sentence(x, options, kind, parts, verb):
    with pytest.raises(kind) as caught:
        getattr(random_lstm(), verb)(x, **options)
    cases.one_sentence(caught.value, *parts)


ZEROS = gw.State(np.zeros((3, 3)), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("state", "parts"),
    [
        (5, ["state", "2 layers of 1 directions"]),
        ([], ["2 layers of 1 directions"]),
        ([[ZEROS]], ["2 layers of 1 directions"]),
        ([[ZEROS, ZEROS], [ZEROS, ZEROS]], ["2 layers of 1 directions"]),
        ((np.zeros((2, 3, 3)), np.zeros((2, 3, 3))), ["2 layers of 1 directions"]),  # PyTorch's
        ([[ZEROS], [(np.zeros((3, 3)),)]], ["2 layers of 1 directions", "State(h, c)"]),
        ([[ZEROS], [(np.zeros((2, 3)), np.zeros((3, 3)))]], ["h of layer 1, forward", "(2, 3)", "(3, 3)"]),
        ([[(np.zeros((3, 3)), np.zeros((3, 4)))], [ZEROS]], ["c of layer 0, forward", "(3, 4)", "(3, 3)"]),
        ([[ZEROS], [(None, None)]], ["h", "real numbers"]),
    ],
)
def test_a_wrong_state_is_refused_in_one_sentence(state, parts):
    lstm = random_lstm(num_layers=2)
    for call in (lambda: lstm(random_x(lstm), state), lambda: lstm.trace(random_x(lstm), state)):
        with pytest.raises(gw.GatewiseError) as caught:
            call()
        cases.one_sentence(caught.value, *parts)


@pytest.mark.parametrize(
    ("dy", "dstate", "parts"),
    [
        (np.zeros((4, 3, 4)), None, ["dy", "(4, 3, 4)", "(4, 3, 3)"]),
        (np.zeros(3), None, ["dy", "(3,)"]),
        ("text", None, ["dy", "real numbers"]),
        (None, 5, ["dstate", "1 layers of 1 directions"]),
        (None, [[ZEROS], [ZEROS]], ["dstate", "1 layers of 1 directions"]),
        (None, [[gw.State(np.zeros((3, 2)), np.zeros((3, 3)))]], ["dh", "(3, 2)", "(3, 3)"]),
        (None, [[gw.State(np.zeros((3, 3)), np.zeros(3))]], ["dc", "(3,)", "(3, 3)"]),
        (None, [[5]], ["dstate", "State(h, c)"]),
        (None, [[(np.zeros((3, 3)),)]], ["dstate", "State(h, c)"]),
    ],
)
def test_a_wrong_gradient_is_refused_in_one_sentence(dy, dstate, parts):
    lstm = random_lstm()
    with pytest.raises(gw.GatewiseError) as caught:
        gw.backward(lstm.trace(random_x(lstm)), dy, dstate)
    cases.one_sentence(caught.value, *parts)


@pytest.mark.parametrize("dstate", [5, (np.zeros((3, 3)),), [[ZEROS]]])
def test_a_wrong_gradient_of_a_cell_s_state_is_refused_in_one_sentence(dstate):
    lstm = random_lstm()
    with pytest.raises(gw.GatewiseError) as caught:
        gw.backward(lstm.trace(random_x(lstm))[0], None, dstate)
    cases.one_sentence(caught.value)


@pytest.mark.parametrize("thing", [None, 5, np.zeros(3), "trace"])
def test_gradients_come_from_a_trace_and_from_nothing_else(thing):
    with pytest.raises(gw.OptionError) as caught:
        gw.backward(thing, np.zeros(3))
    cases.one_sentence(caught.value, "Trace", "LSTMTrace", type(thing).__name__)


@pytest.mark.parametrize(
    ("options", "kind", "parts"),
    [
        ({"num_layers": 0}, gw.OptionError, ["num_layers", "at least 1", "0"]),
        ({"num_layers": 1.0}, gw.OptionError, ["num_layers", "whole number", "1.0"]),
        ({"direction": "sideways"}, gw.OptionError, ["direction", "'sideways'", "forward, backward"]),
        ({"direction": "backward", "bidirectional": True}, gw.OptionError, ["direction", "bidirectional"]),
        ({"merge": "glue"}, gw.OptionError, ["merge", "'glue'", "concat"]),
        ({"merge": ["sum", "sum"]}, gw.ShapeError, ["2 merges", "1 layers"]),
        ({"merge": 5}, gw.OptionError, ["merge", "5"]),
        ({"merge": "none", "num_layers": 2, "bidirectional": True}, gw.OptionError, ["'none'", "last layer"]),
        ({"hidden_size": 0}, gw.OptionError, ["hidden_size", "0"]),
        ({"projection_size": 4}, gw.OptionError, ["projection_size", "3", "4"]),
        ({"init": "he"}, gw.OptionError, ["'he'"]),
        ({"dtype": np.float16}, gw.OptionError, ["dtype", "float16"]),
        ({"forget_bias": 1}, gw.OptionError, ["'pytorch'", "forget_bias"]),
    ],
)
def test_a_wrong_lstm_is_refused_in_one_sentence(options, kind, parts):
    with pytest.raises(kind) as caught:
        random_lstm(**options)
    cases.one_sentence(caught.value, *parts)


def cell(inputs=2, hidden=3, dtype=np.float64):
    return gw.LSTMCell.random(inputs, hidden, rng=0, dtype=dtype)


@pytest.mark.parametrize(
    ("cells", "options", "kind", "parts"),
    [
        ([], {}, gw.ShapeError, ["layers"]),
        ([[]], {}, gw.ShapeError, ["layers"]),
        ([(cell(), cell(), cell())], {}, gw.ShapeError, ["one cell each, or two"]),
        ([(cell(), cell()), cell(6)], {}, gw.ShapeError, ["one cell each, or two"]),
        ([cell(), cell(2)], {}, gw.ShapeError, ["layer 1", "2 features", "3"]),
        ([(cell(), cell()), (cell(3), cell(3))], {}, gw.ShapeError, ["layer 1", "3 features", "6"]),
        ([(cell(2), cell(1))], {}, gw.ShapeError, ["layer 0", "1 features", "2"]),
        ([cell(), cell(3, dtype=np.float32)], {}, gw.ShapeError, ["layer 1", "float32", "float64"]),
        ([(cell(), cell(hidden=4))], {"merge": "sum"}, gw.ShapeError, ["layer 0", "[3, 4]", "'sum'"]),
        ([(cell(), cell(hidden=4))], {"merge": "none"}, gw.ShapeError, ["layer 0", "[3, 4]", "'none'"]),
        ([cell()], {"direction": "sideways"}, gw.OptionError, ["'sideways'"]),
        ([cell()], {"merge": "glue"}, gw.OptionError, ["'glue'"]),
        ([5], {}, gw.GatewiseError, ["LSTMCell or Parameters", "int"]),
        (["cell"], {}, gw.OptionError, ["LSTMCell or Parameters", "str"]),
        (5, {}, gw.GatewiseError, ["LSTMCell or Parameters", "int"]),
    ],
)
def test_cells_that_do_not_fit_together_are_refused_in_one_sentence(cells, options, kind, parts):
    with pytest.raises(kind) as caught:
        gw.LSTM.from_cells(cells, **options)
    cases.one_sentence(caught.value, *parts)


# What it is.


def test_an_lstm_of_cells_holds_those_cells():
    cells = [(cell(), cell()), (cell(6), cell(6))]
    lstm = gw.LSTM.from_cells(cells)
    assert lstm[0] is cells[0][0]
    assert lstm[1, "backward"] is cells[1][1] is lstm[-1, "backward"]
    single = gw.LSTM.from_cells(cell().parameters, direction="backward")
    assert (single.directions, single.num_layers, single.bidirectional) == (("backward",), 1, False)
    np.testing.assert_array_equal(
        gw.LSTM.from_cells([cell().parameters])[0].parameters.weight, cell().parameters.weight
    )


def test_an_lstm_tells_its_sizes():
    lstm = gw.LSTM(2, 4, num_layers=2, bidirectional=True, projection_size=3, rng=0)
    assert (lstm.input_size, lstm.hidden_size, lstm.output_size, lstm.num_layers) == (2, 4, 6, 2)
    assert (lstm.bidirectional, lstm.dtype) == (True, np.float32)
    first, second = 4 * 4 * (3 + 2 + 1) + 3 * 4, 4 * 4 * (3 + 6 + 1) + 3 * 4
    assert lstm.count == 2 * (first + second)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "LSTM(input_size=2, hidden_size=3, dtype=float64)"),
        ({"num_layers": 2}, "LSTM(input_size=2, hidden_size=3, num_layers=2, dtype=float64)"),
        (
            {"bidirectional": True, "merge": "sum"},
            "LSTM(input_size=2, hidden_size=3, bidirectional=True, merge='sum', dtype=float64)",
        ),
        ({"direction": "backward"}, "LSTM(input_size=2, hidden_size=3, direction='backward', dtype=float64)"),
    ],
)
def test_an_lstm_says_what_it_is(options, text):
    assert repr(random_lstm(**options)) == text


def test_every_cell_of_a_new_lstm_is_drawn_anew():
    lstm = gw.LSTM(3, 3, num_layers=2, rng=0)
    assert (lstm[0].parameters.weight != lstm[1].parameters.weight).all()
    both = gw.LSTM(3, 3, bidirectional=True, rng=0)
    assert (both[0].parameters.weight != both[0, "backward"].parameters.weight).all()
    again = gw.LSTM(3, 3, num_layers=2, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again[1].parameters.weight, lstm[1].parameters.weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_precision_keeps_everything_else(dtype):
    labels = gw.Labels(units=("a", "b", "c"))
    cells = [(gw.LSTMCell(cell().parameters, labels), cell())]
    lstm = gw.LSTM.from_cells(cells, merge="sum").astype(dtype)
    assert (lstm.dtype, lstm.merge, lstm.directions) == (dtype, ("sum",), cases.DIRECTIONS)
    assert lstm[0].labels == labels
    np.testing.assert_array_equal(lstm[0].parameters.weight, cell().parameters.weight.astype(dtype))
    y, state = lstm(np.zeros((2, 1, 2)))
    assert y.dtype == state[0][1].c.dtype == dtype
    single = gw.LSTM.from_cells(cell(), direction="backward").astype(dtype)
    assert single.directions == ("backward",)
    with pytest.raises(gw.OptionError):
        lstm.astype("int8")


# Streams.


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_a_stream_fed_step_by_step_is_the_whole_call(variant):
    lstm = gw.LSTM(2, 4, num_layers=2, variant=gw.Variant(**cases.VARIANTS[variant]), dtype=np.float64, rng=0)
    x = np.random.default_rng(0).normal(size=(6, 2))
    whole, end = lstm(x)
    stream = lstm.stream()
    np.testing.assert_array_equal(np.stack([stream.push(step) for step in x]), whole)
    assert_same_state(stream.state, end)


@pytest.mark.parametrize("sizes", [[6], [1, 5], [2, 0, 4], [3, 3]])
@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_fed_in_chunks_is_the_whole_call(sizes, batch, dtype):
    lstm = random_lstm(num_layers=2, projection_size=2, dtype=dtype)
    x = np.random.default_rng(0).normal(size=(6, 2) if batch is None else (6, batch, 2)).astype(dtype)
    whole, end = lstm(x)
    stream, found, at = lstm.stream(batch), [], 0
    for size in sizes:
        found.append(stream.push(x[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert_same_state(stream.state, end)


def test_a_stream_of_a_batch_takes_a_step_of_all_rows():
    lstm = random_lstm()
    x = random_x(lstm)
    stream = lstm.stream(batch=3)
    found = np.stack([stream.push(step) for step in x])
    np.testing.assert_array_equal(found, lstm(x)[0])


def test_a_stream_that_is_reset_starts_from_zeros():
    stream = random_lstm().stream()
    first = stream.push([1, 2])
    second = stream.push([1, 2])
    assert (first != second).all()
    stream.reset()
    np.testing.assert_array_equal(stream.push([1, 2]), first)


def test_the_state_of_a_stream_can_be_taken_and_put_back():
    stream = random_lstm(num_layers=2).stream()
    stream.push([1, 2])
    taken = stream.state
    copy = [[gw.State(one.h.copy(), one.c.copy()) for one in layer] for layer in taken]
    later = stream.push([3, 4])
    assert_same_state(taken, copy)  # pushing on does not change what was taken
    stream.state = taken
    np.testing.assert_array_equal(stream.push([3, 4]), later)


def test_a_state_that_is_set_is_no_longer_the_caller_s():
    stream = random_lstm().stream()
    mine = [[gw.State(np.ones(3), np.ones(3))]]
    stream.state = mine
    expected = stream.push([1, 2])
    stream.state = mine
    mine[0][0].h[...] = 99
    np.testing.assert_array_equal(stream.push([1, 2]), expected)


@pytest.mark.parametrize(
    ("batch", "x", "parts"),
    [
        (None, np.zeros(3), ["(3,)", "(2,) or (time, 2)"]),
        (None, np.zeros((4, 1, 2)), ["(4, 1, 2)", "(2,) or (time, 2)"]),
        (None, 5.0, ["()", "(2,)"]),
        (3, np.zeros(2), ["(2,)", "(3, 2) or (time, 3, 2)"]),
        (3, np.zeros((2, 2)), ["(2, 2)", "(3, 2) or (time, 3, 2)"]),
        (3, np.zeros((4, 2, 2)), ["(4, 2, 2)", "(time, 3, 2)"]),
        (None, "text", ["x", "real numbers"]),
        (None, [[1, 2], [3]], ["x", "equal lengths"]),
    ],
)
def test_a_stream_refuses_a_wrong_step_in_one_sentence_and_keeps_its_state(batch, x, parts):
    stream = random_lstm().stream(batch)
    stream.push(np.ones(2) if batch is None else np.ones((3, 2)))
    before = stream.state
    with pytest.raises(gw.GatewiseError) as caught:
        stream.push(x)
    cases.one_sentence(caught.value, *parts)
    assert_same_state(stream.state, before)


@pytest.mark.parametrize("state", [5, [], [[gw.State(np.zeros(2), np.zeros(3))]], [[ZEROS]]])
def test_a_stream_refuses_a_wrong_state_in_one_sentence_and_keeps_its_own(state):
    stream = random_lstm().stream()
    stream.push([1, 2])
    before = stream.state
    with pytest.raises(gw.ShapeError) as caught:
        stream.state = state
    cases.one_sentence(caught.value)
    assert_same_state(stream.state, before)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"direction": "backward"}])
def test_a_stream_runs_forward_only(options):
    with pytest.raises(gw.OptionError) as caught:
        random_lstm(**options).stream()
    cases.one_sentence(caught.value, "forward only", "backward")


@pytest.mark.parametrize("options", [{"engine": "fast"}, {"batch": -1}, {"batch": 1.5}])
def test_a_wrong_stream_is_refused_when_it_is_made(options):
    with pytest.raises(gw.OptionError) as caught:
        random_lstm().stream(**options)
    cases.one_sentence(caught.value, *options, repr(next(iter(options.values()))))
