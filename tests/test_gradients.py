"""The backward pass through stacks, slices and batches, and what it refuses."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest
from pairwise import pairs
from stacks import ZEROS, random_lstm, random_state, random_x

import gatewise as gw
from gatewise.layers.merging import MASKED_OUTPUTS, MERGES


@pairs(rest=pytest.mark.peers, merge=MERGES, masked_output=MASKED_OUTPUTS, valid=cases.VALID, projection=[None, 2])
def test_the_gradients_of_a_stack_equal_central_differences(merge, masked_output, valid, projection):
    ways = ("concat" if merge == "none" else merge, merge)
    lstm = random_lstm(num_layers=2, bidirectional=True, projection_size=projection, merge=ways, input_size=1)
    x, state = random_x(lstm, time=3, batch=2), random_state(lstm, 2)
    rng = np.random.default_rng(5)
    mask = cases.valid_of(valid, 3, 2, rng)
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


@cases.meeting(variant=cases.VARIANTS, direction=cases.DIRECTIONS, valid=cases.VALID)
def test_the_gradient_goes_through_slices_as_through_the_whole(variant, direction, valid):
    run = cases.run_of(variant, direction=direction, valid=valid, dropout=True, time=6)
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
    nothing = gw.backward(trace)
    assert not any(array.any() for array in (*nothing.parameters.values(), nothing.x, *nothing.state))


# What is refused.


@pytest.mark.parametrize(
    ("dy", "dstate", "parts"),
    [
        (np.zeros((4, 3, 4)), None, ["dy", "(4, 3, 4)", "(4, 3, 3)"]),
        (np.zeros(3), None, ["dy", "(3,)"]),
        ("text", None, ["dy", "real numbers"]),
        (None, 5, ["dstate", "1 layer of 1 direction"]),
        (None, [[ZEROS], [ZEROS]], ["dstate", "1 layer of 1 direction"]),
        (None, [[gw.State(np.zeros((3, 2)), np.zeros((3, 3)))]], ["dh", "(3, 2)", "(3, 3)"]),
        (None, [[gw.State(np.zeros((3, 3)), np.zeros(3))]], ["dc", "(3,)", "(3, 3)"]),
        (None, [[5]], ["dstate", "State(h, c)"]),
        (None, [[(np.zeros((3, 3)),)]], ["dstate", "State(h, c)"]),
    ],
)
def test_a_wrong_gradient_is_refused_in_one_sentence(dy, dstate, parts):
    lstm = random_lstm()
    with cases.refusal(*parts, by=gw.GatewiseError):
        gw.backward(lstm.trace(random_x(lstm)), dy, dstate)


@pytest.mark.parametrize("dstate", [5, (np.zeros((3, 3)),), [[ZEROS]]])
def test_a_wrong_gradient_of_a_cell_s_state_is_refused_in_one_sentence(dstate):
    lstm = random_lstm()
    with cases.refusal(by=gw.GatewiseError):
        gw.backward(lstm.trace(random_x(lstm))[0], None, dstate)


@pytest.mark.parametrize("thing", [None, 5, np.zeros(3), "trace"])
def test_gradients_come_from_a_trace_and_from_nothing_else(thing):
    with cases.refusal("Trace", "LSTMTrace", type(thing).__name__, by=gw.OptionError):
        gw.backward(thing, np.zeros(3))
