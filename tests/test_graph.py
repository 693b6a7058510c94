"""A network as a graph: how it is built and checked, run, traced, repeated and differentiated."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.network import running
from gatewise.network.graph import Builder, Graph, Input, Node

SECONDS, BYTES = 2.0, 500 * 2**20


def encoder_decoder(dtype: Any = np.float64) -> Graph:
    """Return a graph in which one LSTM's final state starts another, between a layer norm and a softmax."""
    rng, build = np.random.default_rng(0), Builder()
    x, y = build.input("x", (None, None, 3), dtype), build.input("y", (None, None, 2), dtype)
    encoder, decoder = gw.LSTM(3, 4, rng=1, dtype=dtype), gw.LSTM(2, 4, rng=2, dtype=dtype)
    out, h, c = build.add("lstm", x, name="encoder", lstm=encoder)
    with build.layer("layer_norm"):
        normed = build.add("normalise", out, axes=(-1,), epsilon=1e-3)
        normed = build.add("mul", normed, rng.standard_normal(4).astype(dtype), name="layer_norm")
    out, *_ = build.add("lstm", y, h, c, name="decoder", lstm=decoder)
    joined = build.add("concat", out, normed, axis=-1)
    logits = build.add(
        "linear", joined, rng.standard_normal((5, 8)).astype(dtype), rng.standard_normal(5).astype(dtype)
    )
    return build.graph([build.add("softmax", logits, axis=-1), "layer_norm"])


def feeds(graph: Graph, *arrays: Any, **named: Any) -> dict[str, Any]:
    return running.feeds_of(graph, arrays, named)


RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((6, 2, 3)), RNG.standard_normal((6, 2, 2))


@pytest.mark.parametrize("size", [-1, 2.5, True, "2", [2], {"as_int": 2}, 2**63])
def test_an_input_whose_size_is_no_size_is_refused(size):
    with pytest.raises(gw.OptionError, match="the input 'x' has the shape"):
        Builder().input("x", (None, size))


def test_a_run_and_a_trace_give_the_same_outputs():
    graph = encoder_decoder()
    outputs = running.run(graph, feeds(graph, X, Y))
    trace = running.trace(graph, feeds(graph, X, y=Y))
    for a, b in zip(outputs, trace.outputs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert trace.lstms["encoder"][0].forget_gate.shape == (6, 2, 4)
    np.testing.assert_array_equal(trace.lstms["encoder"].output, trace.values["encoder"])
    assert graph.layers == {"layer_norm": "layer_norm"}
    assert [*graph.lstms] == ["encoder", "decoder"]


def test_gradients_of_a_graph_equal_central_differences_for_every_value():
    graph = encoder_decoder()
    trace = running.trace(graph, feeds(graph, X, Y))
    rng = np.random.default_rng(4)
    g = {name: rng.standard_normal(trace.values[name].shape) for name in graph.outputs}
    gradients = running.backward_through(trace, g)

    def loss(run: Any) -> float:
        return sum(float((run.values[name] * part).sum()) for name, part in g.items())

    for name in ("x", "y", "encoder", "encoder.h", "encoder.c", "layer_norm", "decoder", "concat", *graph.constants):
        value, got = trace.values[name], gradients[name]
        direction = rng.standard_normal(value.shape)
        above, below = (loss(running.rerun(trace, {name: value + sign * 1e-6 * direction})) for sign in (1, -1))
        assert (got * direction).sum() == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-8), name
    assert gradients.lstms["decoder"][0].weight.shape == (4, 4, 6)


def test_a_repeated_run_computes_what_depends_on_the_replaced_value_alone():
    graph = encoder_decoder()
    trace = running.trace(graph, feeds(graph, X, Y))
    again = running.rerun(trace, {"encoder.h": np.zeros((1, 2, 4))})
    assert again.values["encoder"] is trace.values["encoder"]
    assert again.lstms["encoder"] is trace.lstms["encoder"]
    assert again.lstms["decoder"] is not trace.lstms["decoder"]
    assert not again.values["encoder.h"].any()
    assert np.abs(again.outputs[0] - trace.outputs[0]).max() > 1e-3
    whole = running.rerun(trace, {"x": 2 * X})
    np.testing.assert_array_equal(whole.outputs[0], running.run(graph, feeds(graph, 2 * X, Y))[0])
    with pytest.raises(gw.ShapeError, match=r"x has shape \(1,\); it must be \(6, 2, 3\)"):
        running.rerun(trace, {"x": [1.0]})
    with pytest.raises(gw.OptionError, match="no value 'z'"):
        running.rerun(trace, {"z": X})


@pytest.mark.parametrize(
    ("op", "inputs", "affine"),
    [
        ("tanh", ["y"], False),
        ("mul", ["y", "y"], False),
        ("add", ["y", "y"], True),
        ("mul", ["y", "x"], True),
        ("div", ["x", "y"], False),
        ("where", ["x", "y", "y"], True),
        ("where", ["y", "x", "y"], False),
    ],
)
def test_a_graph_says_whether_its_output_is_affine_in_that_of_an_lstm(op, inputs, affine):
    build = Builder()
    names = {"x": build.input("x", (None, None, 4))}
    names["y"], *_ = build.add("lstm", names["x"], lstm=gw.LSTM(4, 4, rng=0), name="lstm")
    end = build.add(op, *(names[name] for name in inputs))
    curved = build.add("tanh", names["y"], name="aside")
    graph = build.graph([build.add("reduce_mean", end, axes=(0,)), curved])
    assert running.is_affine_after(graph, "lstm", graph.outputs[:1]) == affine
    assert not running.is_affine_after(graph, "lstm")


def test_a_choice_computes_the_chosen_value_alone():
    build = Builder()
    x = build.input("x", (None,))
    first = build.add("mul", x, np.float32(2), name="first")
    second = build.add("reshape", x, [7, 7], name="second")  # which fails
    condition = build.add("greater", build.add("reduce_sum", x), np.float32(0))
    graph = build.graph([build.add("choose", condition, first, second)])
    np.testing.assert_array_equal(running.run(graph, feeds(graph, [1.0, 2.0]))[0], [2, 4])
    trace = running.trace(graph, feeds(graph, [1.0, 2.0]))
    np.testing.assert_array_equal(trace.outputs[0], [2, 4])
    assert "second" not in trace.values
    np.testing.assert_array_equal(running.backward_through(trace, {"choose": [1.0, 3.0]})["x"], [2, 6])
    with pytest.raises(gw.ShapeError, match=r"node 'second' \(reshape\) cannot take arrays of \(2,\)"):
        running.run(graph, feeds(graph, [-1.0, -2.0]))


def test_lstms_before_an_unknown_operation_are_traced_and_its_value_is_refused_by_name():
    build = Builder()
    x = build.input("x", (None, None, 3))
    y, *_ = build.add("lstm", x, lstm=gw.LSTM(3, 2, rng=0), name="first")
    (z,) = build.unknown("GRU", "gatewise has no GRU", y, name="gru")
    end, *_ = build.add("lstm", z, lstm=gw.LSTM(2, 2, rng=0), name="second")
    graph = build.graph([end])
    trace = running.trace(graph, feeds(graph, X))
    assert [*trace.lstms] == ["first"]
    for name in ("gru", "second"):
        with pytest.raises(gw.NotKeptError, match=r"node 'gru' \(GRU\): GRU is not supported: gatewise has no GRU"):
            trace.value(name)
    with pytest.raises(gw.OptionError, match=r"node 'gru' \(GRU\): GRU is not supported"):
        running.run(graph, feeds(graph, X))


def test_what_is_constant_is_computed_as_the_graph_is_built():
    build = Builder()
    weight = build.add("transpose", np.ones((2, 3)), order=(1, 0), name="weight")
    assert build.value(weight).shape == (3, 2)
    assert build.nodes == []


# Bad input: one sentence each, in 2 seconds and 500 MB.


def of_nodes(*nodes: Node, outputs: tuple[str, ...] = ()) -> Graph:
    return Graph((Input("x", (None, 3)),), {"a": np.ones(3)}, nodes, outputs)


def node(name: str, *inputs: str, **settings: Any) -> Node:
    return Node(name, "add", inputs, (name,), settings)


CHAIN = [node(f"n{n}", f"n{n - 1}" if n else "x", "a") for n in range(100_000)]
TERABYTE = np.broadcast_to(np.float32(1), (2**20, 2**18))

BAD_GRAPHS = {
    "it has a circle": (lambda: of_nodes(node("b", "x", "c"), node("c", "b", "a")), "reads 'c', which depends on its"),
    "a node reads a later node": (
        lambda: of_nodes(node("b", "x", "c"), node("c", "x", "a")),
        "which a later node makes",
    ),
    "a node reads an unknown name": (lambda: of_nodes(node("b", "x", "z")), "reads 'z', which no node makes"),
    "a node is named twice": (lambda: of_nodes(node("b", "x", "a"), node("b", "x", "a")), "two nodes .* named 'b'"),
    "a value is named twice": (lambda: of_nodes(Node("b", "add", ("x", "a"), ("a",))), "two values .* named 'a'"),
    "an input is named as an array": (lambda: Graph((Input("a"),), {"a": np.ones(3)}, (), ()), "two values .* 'a'"),
    "an output is unknown": (lambda: of_nodes(outputs=("z",)), "no value 'z'"),
    "an operation is unknown": (lambda: of_nodes(Node("b", "gru", ("x",), ("b",))), "unknown operation 'gru'"),
    "a setting is unknown": (lambda: of_nodes(node("b", "x", "a", alpha=1)), "no setting 'alpha'"),
    "a setting is missing": (lambda: of_nodes(Node("b", "softmax", ("x",), ("b",))), "lacks the setting 'axis'"),
    "an input is too many": (lambda: of_nodes(node("b", "x", "a", "a")), "it has 3 inputs; the operation takes 2"),
    "it has 100,000 nodes": (lambda: of_nodes(*CHAIN), "100,000 nodes is too large"),
    "its array has a terabyte": (lambda: Graph((), {"a": TERABYTE}, (), ("a",)), "2 TiB of memory"),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_a_bad_graph_is_refused_in_one_sentence(case):
    make, sentence = BAD_GRAPHS[case]
    tracemalloc.start()
    try:
        start = time.perf_counter()
        with pytest.raises(gw.GatewiseError, match=sentence) as error:
            make()
        assert time.perf_counter() - start < SECONDS
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)


BAD_INPUTS = {
    "of wrong rank": ((X[0], Y), {}, r"x has shape \(2, 3\); it must be \(\*, \*, 3\)"),
    "of a wrong size": ((X[..., :2], Y), {}, r"x has shape \(6, 2, 2\); it must be \(\*, \*, 3\)"),
    "missing": ((X,), {}, "the input 'y' is missing; the network takes x, y"),
    "one too many": ((X, Y, Y), {}, "takes 2 inputs"),
    "given twice": ((X, Y), {"x": X}, "'x' is given twice"),
    "of an unknown name": ((X,), {"z": Y}, "no input 'z'; it has x, y"),
    "text": (("text", Y), {}, "x must hold numbers"),
    "complex": ((X + 1j, Y), {}, "x must hold numbers, not complex128"),
    "of another length than the other": ((X, Y[:-1]), {}, r"node 'concat' \(concat\) cannot take arrays of"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_refused_in_one_sentence(case):
    given, named, sentence = BAD_INPUTS[case]
    graph = encoder_decoder()
    with pytest.raises(gw.GatewiseError, match=sentence) as error:
        running.run(graph, running.feeds_of(graph, given, named))
    assert "\n" not in str(error.value)


def test_numbers_with_a_fraction_are_no_tokens():
    with pytest.raises(gw.OptionError, match="tokens must be int64, not float64"):
        Input("tokens", (None,), np.dtype(np.int64)).read([1.5])


# Budgets.


def huge(build: Builder, x: str) -> str:
    """Add nodes that ask for a terabyte, whatever the input."""
    return build.add("fill", build.add("add", build.add("shape", x), np.int64([2**40])), np.float32(1), name="huge")


def test_a_fold_is_held_to_the_budget_of_its_file():
    build = Builder(Budget(101))
    with pytest.raises(gw.FileError, match=r"node 'fill' \(fill\) would bring what it takes to 372.5 GiB"):
        build.add("fill", [50_000_000_000], np.float32(0))
    one = build.constant(np.ones((1000, 1000), np.float32))
    with pytest.raises(gw.FileError, match="too long"):
        build.add("einsum", one, one, np.ones((1000, 8)), equation="ij,jk,kl->il")


def test_a_run_is_held_to_a_budget_before_anything_is_allocated():
    build = Builder()
    graph = build.graph([huge(build, build.input("x", (None,)))])
    tracemalloc.start()
    try:
        with pytest.raises(gw.CapacityError, match=r"node 'huge' \(fill\) would bring the run to 8 TiB of memory"):
            running.run(graph, feeds(graph, [1.0]))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_run_that_would_take_too_long_is_refused():
    build = Builder()
    x = build.input("x", (None, None))
    graph = build.graph([build.add("einsum", *[x] * 6, equation="ab,cd,ef,gh,ij,kl->a")])
    with pytest.raises(gw.CapacityError, match="would take too long"):
        running.run(graph, feeds(graph, np.ones((10, 10))))
