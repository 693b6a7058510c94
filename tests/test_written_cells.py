"""LSTM cells that a graph spells out in elementary operations become LSTM nodes that can be traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.network import running
from gatewise.network.graph import Builder, Graph
from gatewise.network.written_cells import with_lstm_nodes

INPUTS, HIDDEN, BATCH = 3, 4, 2
LSTM = gw.LSTM(INPUTS, HIDDEN, rng=0, dtype=np.float64)
CELL = LSTM.layers[0][0].parameters
RECURRENT, INPUT = (array.reshape(4 * HIDDEN, -1) for array in (CELL.recurrent_weight, CELL.input_weight))
BIAS = np.asarray(CELL.bias).reshape(-1)


def gates_of(build: Builder, how: str, x: str, h: Any, weights: Any = None) -> list[str]:
    """Add the sums of the gates: of all at once, cut in one way or another, or gate by gate."""
    recurrent = RECURRENT if weights is None else weights
    if how == "apart":
        rows = [slice(gate * HIDDEN, (gate + 1) * HIDDEN) for gate in range(4)]
        return [
            build.add("add", build.add("linear", x, INPUT[row], BIAS[row]), build.add("linear", h, recurrent[row]))
            for row in rows
        ]
    if how == "matmul":
        sums = build.add("add", build.add("matmul", x, INPUT.T.copy()), build.add("matmul", h, recurrent.T.copy()))
        sums = build.add("add", BIAS[None], sums)
    else:
        sums = build.add("add", build.add("linear", h, recurrent), build.add("linear", x, INPUT, BIAS))
    if how == "slice":
        bounds = [[np.int64([one]) for one in (gate * HIDDEN, (gate + 1) * HIDDEN, 1, 1)] for gate in range(4)]
        return [build.add("slice", sums, *one) for one in bounds]
    if how == "split":
        return list(build.add("split", sums, np.int64([HIDDEN] * 4), axis=1, outputs=4))
    return list(build.add("chunk", sums, count=4, axis=1, outputs=4))


def cell(build: Builder, how: str, x: str, h: Any, c: Any, *, squash: str = "tanh", weights: Any = None) -> Any:
    """Add one step of the cell; return its hidden state and its cell state."""
    i, f, g, o = gates_of(build, how, x, h, weights)
    i, f, o = (build.add("sigmoid", one) for one in (i, f, o))
    kept, written = build.add("mul", c, f), build.add("mul", i, build.add(squash, g))
    c = build.add("add", written, kept)
    return build.add("mul", build.add("tanh", c), o), c


def loop(how: str, steps: int, start: str = "zeros", **options: Any) -> Graph:
    """Return a graph of some steps of the cell over the first axis of its input."""
    build = Builder()
    x = build.input("x", (steps, None, INPUTS), np.float64)
    if start == "zeros":
        h: Any = np.zeros((BATCH, HIDDEN))
        c: Any = h
    else:
        h, c = (build.input(name, (None, HIDDEN), np.float64) for name in "hc")
    outputs = []
    for step in range(steps):
        h, c = cell(build, how, build.add("gather", x, np.int64(step), axis=0), h, c, **options)
        outputs.append(h)
    return build.graph([build.add("stack", *outputs, axis=0, name="y"), c])


def run(graph: Graph, x: Any, *states: Any) -> Any:
    return running.trace(graph, running.feeds_of(graph, [x, *states], {}))


@pytest.mark.parametrize("how", ["chunk", "split", "slice", "matmul", "apart"])
@pytest.mark.parametrize(("steps", "start"), [(5, "zeros"), (5, "given"), (1, "given")])
def test_steps_of_a_cell_become_one_lstm(how, steps, start):
    graph = loop(how, steps, start)
    found = with_lstm_nodes(graph)
    (lstm,) = found.lstms.values()
    np.testing.assert_array_equal(lstm.layers[0][0].parameters.weight, CELL.weight)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((steps, BATCH, INPUTS))
    states = [] if start == "zeros" else list(rng.standard_normal((2, BATCH, HIDDEN)))
    before, after = run(graph, x, *states), run(found, x, *states)
    for a, b in zip(before.outputs, after.outputs, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    (trace,) = after.lstms.values()
    expected = LSTM.trace(x, [[gw.State(*states)]] if states else None)
    np.testing.assert_allclose(trace[0].forget_gate, expected[0].forget_gate, rtol=1e-12)
    ones = {name: np.ones_like(before.values[name]) for name in graph.outputs}
    gradients = [running.backward_through(one, ones)["x"] for one in (before, after)]
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)


def test_a_cell_that_reads_its_own_output_stays_one_step_at_a_time():
    build = Builder()
    x = build.input("x", (None, INPUTS), np.float64)
    h = c = np.zeros((BATCH, HIDDEN))
    back = np.random.default_rng(0).standard_normal((INPUTS, HIDDEN))
    for _ in range(3):
        h, c = cell(build, "chunk", x, h, c)
        x = build.add("linear", h, back)
    graph = build.graph([x])
    found = with_lstm_nodes(graph)
    x = np.random.default_rng(1).standard_normal((BATCH, INPUTS))
    np.testing.assert_allclose(run(found, x).outputs[0], run(graph, x).outputs[0], rtol=1e-12)
    assert len(found.lstms) == 2  # the first one starts from zeros, and hides its recurrent weights
    assert len({id(lstm) for lstm in found.lstms.values()}) == 1


def test_a_cell_state_that_is_read_on_the_way_is_the_end_of_an_lstm():
    build = Builder()
    x = build.input("x", (4, None, INPUTS), np.float64)
    h, c = (build.input(name, (None, HIDDEN), np.float64) for name in "hc")
    read = []
    for step in range(4):
        h, c = cell(build, "chunk", build.add("gather", x, np.int64(step), axis=0), h, c)
        read += [c] if step == 1 else []
    graph = build.graph([h, *read])
    found = with_lstm_nodes(graph)
    assert len(found.lstms) == 2
    rng = np.random.default_rng(0)
    given = rng.standard_normal((4, BATCH, INPUTS)), *rng.standard_normal((2, BATCH, HIDDEN))
    for a, b in zip(run(graph, *given).outputs, run(found, *given).outputs, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


@pytest.mark.parametrize("options", [{"squash": "relu"}, {"weights": RECURRENT[:, ::-1].copy()}])
def test_what_is_another_cell_is_not_taken_for_this_one(options):
    graph = loop("chunk", 3, "given", **options)
    found = with_lstm_nodes(graph)
    if "squash" in options:
        assert found is graph
    else:
        assert not np.array_equal(next(iter(found.lstms.values())).layers[0][0].parameters.weight, CELL.weight)
    rng = np.random.default_rng(0)
    given = rng.standard_normal((3, BATCH, INPUTS)), *rng.standard_normal((2, BATCH, HIDDEN))
    np.testing.assert_allclose(run(found, *given).outputs[0], run(graph, *given).outputs[0], rtol=1e-12)


def test_a_graph_without_cells_stays_as_it_is():
    build = Builder()
    x = build.input("x", (None, 3))
    graph = build.graph([build.add("mul", build.add("tanh", x), build.add("sigmoid", x))])
    assert with_lstm_nodes(graph) is graph
