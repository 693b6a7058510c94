"""Steps of networks in the native engine: each operation is what NumPy computes, or refused by its node."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
import test_graph_stream as graphs
from native_subjects import needs_native
from operation_examples import EXAMPLES

from gatewise.engine import native
from gatewise.errors import OptionError, ShapeError
from gatewise.network import step_program
from gatewise.network.graph import Builder
from gatewise.network.running import run, trace
from gatewise.network.step_graph import Carried, StepGraph, step_graph
from gatewise.network.step_program import native_program

pytestmark = needs_native
PRECISION = {np.float32: 2e-5, np.float64: 1e-12}
MATRIX = {
    "linear": (0,),
    "conv": (0,),
    "matmul": (0,),
    "einsum": (0,),
    "gather": (0,),
    "clip": (0,),
}  # inputs, not constants
# What NumPy alone computes: integers and truths, tables of them, and what a program has no instruction for.
REFUSED = {
    "cast",
    "is_inf",
    "mod",
    "equal",
    "less",
    "greater",
    "less_equal",
    "greater_equal",
    "and",
    "or",
    "xor",
    "not",
}
REFUSED |= {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "is_nan", "where", "choose", "gather_elements"}
REFUSED |= {"shape", "fill", "range", "one_hot", "triangle", "reduce_any", "reduce_all", "argmax", "argmin", "cumsum"}
REFUSED |= {"scan", "loop", "unknown"}


def step_of(example, dtype):
    """Return one step of a graph of one node, and its inputs; numbers are inputs, integers arrays."""
    build, read, fed = Builder(), [], {}
    for place, item in enumerate(example.inputs):
        if item is None:
            read.append("")
            continue
        array = np.asarray(item)
        array = array.astype(dtype) if array.dtype.kind == "f" else array
        if array.dtype == dtype and (example.op not in MATRIX or place in MATRIX[example.op]):
            read.append(build.input(f"in{place}", array.shape, dtype))
            fed[read[-1]] = array
        else:
            read.append(build.constant(array))
    results = build.add(example.op, *read, outputs=len(example.forward()), name="node", **example.settings)
    ends = [results] if isinstance(results, str) else list(results)
    memory = build.input("memory", (1,), dtype)
    state = Carried(memory, build.add("add", memory, memory), np.ones(1, dtype))
    graph = build.graph([*ends, state.following])
    return StepGraph(
        graph, dict.fromkeys(fed), dict.fromkeys(ends), (state,), {}, trace(graph, fed | {memory: state.initial})
    ), fed


def tuple_of(results):
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("dtype", PRECISION)
def test_every_operation_computes_the_same_in_the_native_engine_or_is_refused_by_its_node(dtype):
    found, refused = set(), set()
    for example in EXAMPLES:
        if example.op == "lstm" or all(np.asarray(item).dtype.kind != "f" for item in example.inputs[:1]):
            continue
        step, fed = step_of(example, dtype)
        if not fed or any(not array.size for array in fed.values()):
            continue
        try:
            program = native_program(step, 1, tuple)
        except OptionError:
            refused.add(example.op)
            with pytest.raises(OptionError, match="native form"):
                native_program(step, 1, tuple)
            continue
        found.add(example.op)
        rng = np.random.default_rng(len(found))
        holed = {
            name: np.where(rng.random(array.shape) < 0.2, np.nan, array).astype(dtype) for name, array in fed.items()
        }
        for given in (fed, holed, fed):
            ours = tuple_of(program.run(None, [np.ascontiguousarray(array) for array in given.values()]))
            with np.errstate(all="ignore"):
                theirs = run(step.graph, given | step.initial)[:-1]
            for y, expected in zip(ours, theirs, strict=True):
                scale = np.nanmax(np.abs(expected[np.isfinite(expected)]), initial=1)
                bound = PRECISION[dtype]
                np.testing.assert_allclose(y, expected, rtol=bound, atol=bound * scale, err_msg=example.op)
                assert y.dtype == expected.dtype == dtype
    assert refused - found <= REFUSED
    assert not found & REFUSED - {"cast"}
    assert len(found) > 70


@pytest.mark.parametrize("make", graphs.CAUSAL)
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_a_native_stream_equals_one_by_numpy_and_its_state_goes_to_the_other(make, batch):
    net = graphs.network(make)
    ours, theirs = net.stream(batch), net.stream(batch, engine="reference")
    if make is graphs.merged_axes and batch == 3:  # of which each step has three rows on the axis of time
        assert "several entries" in ours.not_native
        assert (ours.push(np.zeros((3, 3))).shape, ours.push(np.zeros((2, 3, 3))).shape) == ((3, 5), (6, 5))
        return
    assert (ours.engine, ours.not_native, theirs.engine) == ("native", None, "reference")
    x = graphs.drawn(graphs.STEPS, *([] if batch is None else [batch]), 3)
    for step in x[:4]:
        np.testing.assert_allclose(ours.push(step), theirs.push(step), rtol=1e-5, atol=1e-6)
    assert list(ours.state) == list(theirs.state)
    for name, array in theirs.state.items():
        np.testing.assert_allclose(ours.state[name], array, rtol=1e-5, atol=1e-6)
    ours.state = theirs.state
    assert all(np.array_equal(ours.state[name], array) for name, array in theirs.state.items())
    np.testing.assert_allclose(ours.push(x[4:]), theirs.push(x[4:]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", graphs.CAUSAL)
def test_blocks_and_arrays_of_any_layout_change_no_bit(make):
    net, x = graphs.network(make), graphs.drawn(graphs.STEPS, 3)
    (time,) = step_graph(net.graph).outputs.values()
    steps = net.stream()
    rows = [steps.push(step) for step in x]
    wide = np.zeros((graphs.STEPS, 6), np.float32)
    wide[:, ::2] = x
    for block in (x, np.asfortranarray(x), wide[:, ::2], x.tolist(), x.astype(np.float64), x[::-1].copy()[::-1]):
        y = net.stream().push(block)
        np.testing.assert_array_equal(y, rows[-1] if time is None else np.stack(rows).reshape(y.shape))


def test_a_native_stream_refuses_wrong_shapes_and_keeps_its_state():
    stream = graphs.network(graphs.chomped).stream(2)
    stream.push(graphs.drawn(4, 2, 3))
    before = stream.state
    for x in (np.zeros(3), np.zeros((3, 3), np.float32), np.zeros((2, 2, 4), np.float32), np.zeros((1, 1, 2, 3))):
        with pytest.raises(ShapeError, match=r"^x has shape"):
            stream.push(x)
    for x in (np.zeros((2, 3), complex), np.full((2, 3), "a")):
        with pytest.raises(OptionError):
            stream.push(x)
    with pytest.raises(OptionError, match="takes 1 inputs"):
        stream.push()
    assert all(np.array_equal(before[name], array) for name, array in stream.state.items())
    for name in before:
        with pytest.raises(ShapeError, match="it must be"):
            stream.state = before | {name: before[name][..., :1]}
    assert all(np.array_equal(before[name], array) for name, array in stream.state.items())
    assert stream.push(np.zeros((0, 2, 3), np.float32)).shape == (0, 2, 5)
    assert all(np.array_equal(before[name], array) for name, array in stream.state.items())


@pytest.mark.parametrize("make", [graphs.chomped, graphs.running_sums, graphs.residual])
def test_a_nan_stays_until_the_state_is_reset_and_a_copy_has_it_too(make):
    stream, x = graphs.network(make).stream(), graphs.drawn(graphs.STEPS, 3)
    first = stream.push(x)
    other = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(other.push(x), stream.push(x))
    assert stream.is_finite
    assert np.isnan(stream.push(np.full(3, np.nan, np.float32))).any()
    assert not stream.is_finite
    assert not pickle.loads(pickle.dumps(stream)).is_finite
    stream.reset()
    assert stream.is_finite
    np.testing.assert_array_equal(stream.push(x), first)


def test_what_has_no_native_form_is_stepped_by_numpy_and_named():
    def positive(build, x):
        y = graphs.every_step(build, x)
        return build.add("where", build.add("less", y, np.float32(0), name="sign"), build.add("neg", y), y)

    net = graphs.network(positive)
    stream = net.stream()
    assert stream.engine == "reference"
    assert "no native form" in stream.not_native
    with pytest.raises(OptionError, match=r"no native form\. Without engine='native', NumPy computes the steps$"):
        net.stream(engine="native")
    assert graphs.network(graphs.every_step).stream(engine="native").engine == "native"
    with pytest.raises(OptionError, match="engine"):
        net.stream(engine="fast")


def test_a_program_that_computes_something_else_is_refused(monkeypatch):
    real = step_program._Writer._add

    def wrong(self, code, *arguments, **more):
        return real(self, {"relu": "abs"}.get(code, code), *arguments, **more)

    monkeypatch.setattr(step_program._Writer, "_add", wrong)
    stream = graphs.network(graphs.causal_convolution).stream()
    assert stream.engine == "reference"
    assert "is not that of a whole run" in stream.not_native


def test_a_program_cannot_reach_outside_of_its_memory():
    memory = np.zeros(4, np.float32)
    right = {"memory": memory, "lstms": [], "matrices": [], "places": [], "instructions": [], "batch": 1}
    right |= {"inputs": [(0, (2,), 0)], "outputs": [(2, (2,), 0)], "carried": (0, 2, 2), "converter": tuple}
    one = {"places": [np.array([1, 4])], "instructions": [("move", 0, 0, 0, 0, 0, 0, 0.0, 0.0)]}
    wrong = [{"inputs": [(3, (2,), 0)]}, {"outputs": [(-1, (2,), 0)]}, {"carried": (0, 3, 2)}, {"batch": 0}, one]
    wrong += [{"inputs": [(0, (2**62, 2**62), 0)]}, {"carried": (0, 0, -1)}]
    wrong += [
        {"instructions": [(code, 0, 0, 1, 2, 3, 1, 0.0, 0.0)]}
        for code in ("add", "copy", "exp", "sum", "lstm", "matrix")
    ]
    wrong += [{"instructions": [("softmax", 0, 0, 0, 2, 2**62, 2**62, 0.0, 0.0)]}]
    native.program(memory.dtype, **right)
    for parts in wrong:
        with pytest.raises(ValueError, match=r"outside of its memory|no instruction"):
            native.program(memory.dtype, **(right | parts))


def test_two_threads_in_one_stream_are_refused_and_streams_of_one_network_run_at_once():
    net, x = graphs.network(graphs.causal_convolution), graphs.drawn(20_000, 3)
    expected, results = net.stream().push(x), {}

    def work(number):
        results[number] = net.stream().push(x)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[number], expected) for number in range(3))
