"""ONNX models as graphs: the table of operators against onnx's own tests, and what is refused by name."""

from __future__ import annotations

import copy
import pickle
import re
import time
import tracemalloc
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_nodes import outcome_of

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop.onnx.file import OnnxFile
from gatewise.interop.onnx.graph_reader import graph_of_model
from gatewise.interop.onnx.table import TABLE
from gatewise.network import running
from gatewise.network.graph import Graph

FLOAT = TensorProto.FLOAT
MODULES = ("lstm", "softmax", "layernormalization", "gemm", "slice", "pad", "averagepool", "reducemean", "if_")


def test_the_tests_of_onnx_are_exact_or_refused_by_name():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node as tests

        for name in MODULES:
            import_module(f"{tests.__name__}.{name}")
    cases = [case for case in tests._NodeTestCases if "expanded" not in case.name]
    outcomes = {case.name: outcome_of(case) for case in cases}
    assert {name: one.why for name, one in outcomes.items() if one.kind == "wrong"} == {}
    assert sum(one.kind == "exact" for one in outcomes.values()) > 40


def model_of(
    nodes: Sequence[Any],
    inputs: dict[str, Sequence[Any]],
    outputs: Sequence[str],
    tensors: dict[str, Any] | None = None,
    opset: int = 20,
    types: dict[str, int] | None = None,
) -> Any:
    protos = [
        helper.make_tensor_value_info(name, (types or {}).get(name, FLOAT), shape) for name, shape in inputs.items()
    ]
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in (tensors or {}).items()]
    graph = helper.make_graph(nodes, "graph", protos, ends, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def graph_of(*args: Any, **options: Any) -> Graph:
    model = model_of(*args, **options)
    return graph_of_model(OnnxFile(model, None, {}, Budget(model.ByteSize())))


def run(graph: Graph, *inputs: Any) -> Any:
    return running.run(graph, running.feeds_of(graph, inputs, {}))


def node(operator: str, inputs: str, outputs: str = "y", **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


X = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", sorted(kind for kind in TABLE if "." not in kind and "-" not in kind))
def test_an_attribute_that_nobody_reads_refuses_its_node(kind):
    graph = graph_of([node(kind, "x x x", colour=1, name="paint")], {"x": [None, 3, 2]}, ["y"])
    with pytest.raises(gw.OptionError, match=rf"node 'paint' \({kind}\): {kind} is not supported: "):
        run(graph, X)


def test_an_operator_without_a_row_is_refused_by_name_and_lstms_before_it_are_traced():
    tensors = {"w": np.ones((1, 8, 2), np.float32), "r": np.ones((1, 8, 2), np.float32)}
    nodes = [node("LSTM", "x w r", "y", hidden_size=2, name="first"), node("Det", "y", "z", name="strange")]
    graph = graph_of(nodes, {"x": [None, None, 2]}, ["z"], tensors)
    trace = running.trace(graph, running.feeds_of(graph, [X], {}))
    assert trace.lstms["first"][0].forget_gate.shape == (4, 3, 2)
    with pytest.raises(gw.OptionError, match=r"node 'strange' \(Det\): Det is not supported: gatewise has no such"):
        run(graph, X)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_constant_lengths_of_sequences_are_applied(direction):
    rng, ways = np.random.default_rng(1), 1 + (direction == "bidirectional")
    tensors = {
        "w": rng.standard_normal((ways, 12, 2)).astype(np.float32),
        "r": rng.standard_normal((ways, 12, 3)).astype(np.float32),
        "lengths": np.array([2, 4, 1], np.int32),
    }
    lstm = node("LSTM", "x w r  lengths", "y h c", hidden_size=3, direction=direction)
    lstm.input[:] = ["x", "w", "r", "", "lengths"]
    graph = graph_of([lstm], {"x": [None, None, 2]}, ["y", "h", "c"], tensors)
    y, h, _ = run(graph, X)
    assert not y[2:, :, 0].any()
    assert not y[1:, :, 2].any()
    assert y[3, :, 1].all()
    alone = run(
        graph_of(
            [node("LSTM", "x w r", "y h c", hidden_size=3, direction=direction)],
            {"x": [None, None, 2]},
            ["y", "h"],
            tensors,
        ),
        X[:2, :1],
    )
    np.testing.assert_allclose(y[:2, :, :1], alone[0], atol=1e-7)  # BLAS may round a batch otherwise
    np.testing.assert_allclose(h[:, :1], alone[1], atol=1e-7)


OLD = {  # opset: what was an attribute, or meant something else, before
    "Squeeze of opset 11": (11, node("Squeeze", "x", axes=[2]), lambda x: x[:, :, 0], (4, 3, 1)),
    "Unsqueeze of opset 11": (11, node("Unsqueeze", "x", axes=[0]), lambda x: x[None], (4, 3)),
    "ReduceSum of opset 11": (11, node("ReduceSum", "x", axes=[1], keepdims=0), lambda x: x.sum(1), (4, 3)),
    "ReduceMean of opset 13": (13, node("ReduceMean", "x", axes=[1]), lambda x: x.mean(1, keepdims=True), (4, 3)),
    "Slice of opset 9": (9, node("Slice", "x", starts=[1], ends=[3], axes=[0]), lambda x: x[1:3], (4, 3)),
    "Slice of opset 9 without axes": (9, node("Slice", "x", starts=[1, 0], ends=[3, 2]), lambda x: x[1:3, :2], (4, 3)),
    "Pad of opset 10": (
        10,
        node("Pad", "x", pads=[0, 1, 0, 0], value=2.0),
        lambda x: np.pad(x, ((0, 0), (1, 0)), constant_values=2),
        (4, 3),
    ),
    "Clip of opset 10": (10, node("Clip", "x", min=-0.5), lambda x: np.maximum(x, np.float32(-0.5)), (4, 3)),
    "Softmax of opset 12": (12, node("Softmax", "x"), lambda x: softmax(x.reshape(4, 6)).reshape(4, 3, 2), (4, 3, 2)),
    "Softmax of opset 13": (13, node("Softmax", "x"), lambda x: softmax(x), (4, 3, 2)),
    "Dropout of opset 10": (10, node("Dropout", "x", ratio=0.5), lambda x: x, (4, 3)),
}


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("case", OLD)
def test_older_opsets_are_raised_to_the_newest_form(case):
    opset, proto, expected, shape = OLD[case]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (y,) = run(graph_of([proto], {"x": shape}, ["y"], opset=opset), x)
    np.testing.assert_allclose(y, expected(x), rtol=1e-6)


def test_an_attribute_of_an_older_opset_is_refused_in_a_newer_one():
    with pytest.raises(gw.OptionError, match="attribute 'axes' is not supported"):
        run(graph_of([node("Squeeze", "x", axes=[2])], {"x": [4, 3, 1]}, ["y"], opset=13), X[:, :, :1])


def branch(name: str, operator: str, inputs: str) -> Any:
    return helper.make_graph(
        [node(operator, inputs, name)], name, [], [helper.make_tensor_value_info(name, FLOAT, None)]
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_of_an_if_the_chosen_branch_alone_is_computed(sign):
    nodes = [
        node("ReduceSum", "x", "sum", keepdims=0),
        node("Greater", "sum zero", "positive"),
        node(
            "If", "positive", "y", then_branch=branch("a", "Neg", "x"), else_branch=branch("b", "Exp", "x"), name="if"
        ),
    ]
    graph = graph_of(nodes, {"x": [None]}, ["y"], {"zero": np.float32(0)})
    x = np.array([1.0, 2.0], np.float32) * sign
    np.testing.assert_array_equal(run(graph, x)[0], -x if sign > 0 else np.exp(x))
    trace = running.trace(graph, running.feeds_of(graph, [x], {}))
    assert len({"a", "b"} & trace.values.keys()) == 1


def test_of_an_if_whose_condition_is_known_one_branch_is_read():
    nodes = [node("If", "yes", "y", then_branch=branch("a", "Neg", "x"), else_branch=branch("b", "Det", "x"))]
    graph = graph_of(nodes, {"x": [None]}, ["y"], {"yes": np.array(True)})
    assert [one.op for one in graph.nodes] == ["neg"]


BAD = {
    "a name that nothing has": ([node("Neg", "z")], "there is nothing named 'z'"),
    "a node that reads a later one": ([node("Neg", "z"), node("Neg", "x", "z")], "there is nothing named 'z'"),
    "a circle": ([node("Neg", "y", "z"), node("Neg", "z", "y")], "there is nothing named 'y'"),
    "a name that is made twice": ([node("Neg", "x"), node("Exp", "x")], "two values named 'y'"),
    "an attribute that is given twice": ([twice := node("Softmax", "x", axis=1)], "two attributes named 'axis'"),
}
twice.attribute.append(helper.make_attribute("axis", 0))


@pytest.mark.parametrize("case", BAD)
def test_a_bad_model_is_refused_in_a_sentence(case):
    nodes, sentence = BAD[case]
    with pytest.raises((gw.FileError, gw.OptionError), match=sentence):
        run(graph_of(nodes, {"x": [None, 3]}, ["y"]), np.ones((2, 3)))


def test_two_initializers_of_one_name_are_refused():
    graph = helper.make_graph([node("Neg", "a")], "graph", [], [helper.make_tensor_value_info("y", FLOAT, None)])
    graph.initializer.extend(numpy_helper.from_array(np.ones(n, np.float32), "a") for n in (2, 3))
    model = helper.make_model(graph)
    with pytest.raises(gw.FileError, match="two initializers named 'a'"):
        graph_of_model(OnnxFile(model, None, {}, Budget(model.ByteSize())))


def test_a_small_file_cannot_ask_for_much():
    """119 bytes ask for 745 GiB by a number in a shape."""
    nodes = [node("ConstantOfShape", "shape", "zeros"), node("Add", "x zeros", "y")]
    with pytest.raises(gw.FileError, match=r"would bring what it takes to 745\.1 GiB"):
        graph_of(nodes, {"x": [None]}, ["y"], {"shape": np.array([100_000_000_000])})


# Scans.

HIDDEN = 3


def scan_of(cell: Any, **attributes: Any) -> Any:
    """Return a model with a Scan of a body over x (time, batch, feature), from states h and c of zeros."""
    shapes = {"h": [None, HIDDEN], "c": [None, HIDDEN], "x": [None, 2]}
    inputs = [helper.make_tensor_value_info(f"{name}_in", FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in ("h_out", "c_out", "y_out")]
    body = helper.make_graph(cell, "body", inputs, outputs)
    nodes = [node("Scan", "h c x", "h_n c_n y", body=body, num_scan_inputs=1, name="scan", **attributes)]
    rng = np.random.default_rng(0)
    shapes = {"w": (2, 4 * HIDDEN), "r": (HIDDEN, 4 * HIDDEN), "b": (4 * HIDDEN,)}
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    values = [
        helper.make_tensor_value_info(name, FLOAT, [None] * 3 if name == "x" else [None, HIDDEN]) for name in "xhc"
    ]
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in ("y", "h_n", "c_n")]
    arrays = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "graph", values, ends, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


CELL = [
    node("MatMul", "x_in w", "xw"),
    node("MatMul", "h_in r", "hr"),
    node("Add", "xw hr", "sums"),
    node("Add", "sums b", "a"),
    node("Split", "a", "ai ao af ag", axis=1),
    *(node("Sigmoid", f"a{gate}", gate) for gate in "iof"),
    node("Tanh", "ag", "g"),
    node("Mul", "f c_in", "kept"),
    node("Mul", "i g", "written"),
    node("Add", "kept written", "c_out"),
    node("Tanh", "c_out", "t"),
    node("Mul", "o t", "h_out"),
    node("Identity", "h_out", "y_out"),
]
GATED = [*CELL[:-1], node("Mul", "h_out f", "y_out")]  # its output is not the hidden state


def run_scan(model: Any, *inputs: Any) -> Any:
    graph = graph_of_model(OnnxFile(model, None, {}, Budget(model.ByteSize())))
    return graph, run(graph, *inputs)


@pytest.mark.parametrize("cell", [CELL, GATED])
@pytest.mark.parametrize(("read", "made"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_scan_goes_through_its_sequences_in_its_directions(cell, read, made):
    rng = np.random.default_rng(1)
    x, h, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 2, 2), (2, HIDDEN), (2, HIDDEN)))
    expected = ReferenceEvaluator(scan_of(cell)).run(None, {"x": x[::-1] if read else x, "h": h, "c": c})
    ways = {"scan_input_directions": [read], "scan_output_directions": [made]}
    graph, outputs = run_scan(scan_of(cell, **ways), x, h, c)
    expected[0] = expected[0][::-1] if made else expected[0]
    for ours, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert [*graph.lstms] == (["scan"] if cell is CELL else [])


@pytest.mark.parametrize("ways", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 0)])
def test_a_scan_of_two_sequences_goes_through_each_in_its_own_direction(ways, tmp_path):
    """One is the LSTM's input, and the other scales its output."""
    *read, made = ways
    cell = [*CELL[:-1], node("Mul", "h_out s_in", "y_out")]
    model = scan_of(cell, scan_input_directions=read, scan_output_directions=[made])
    (scan,) = model.graph.node
    scan.input.append("s")
    body = next(one for one in scan.attribute if one.name == "body").g
    for port, graph, shape in (("s_in", body, [None, 1]), ("s", model.graph, [None, None, 1])):
        graph.input.append(helper.make_tensor_value_info(port, FLOAT, shape))
    next(one for one in scan.attribute if one.name == "num_scan_inputs").i = 2
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    rng = np.random.default_rng(1)
    shapes = {"x": (5, 2, 2), "h": (2, HIDDEN), "c": (2, HIDDEN), "s": (5, 2, 1)}
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    x, h, c, s = feeds.values()
    stored = gw.inspect(path).find()
    assert stored.lstm.directions == (("backward",) if read[0] else ("forward",))
    y = stored.lstm(x, [[gw.State(h, c)]])[0]
    y = y[::-1] if read[0] else y  # in the order of the steps
    y = y * (s[::-1] if read[1] else s)
    expected = y[::-1] if made else y
    np.testing.assert_allclose(gw.load_network(path)(**feeds)[0][0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("read", "made"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_an_lstm_of_a_scan_says_whether_its_file_puts_the_last_step_first(read, made, tmp_path):
    path = tmp_path / "model.onnx"
    model = scan_of(CELL, scan_input_directions=[read], scan_output_directions=[made])
    path.write_bytes(model.SerializeToString())
    stored = gw.inspect(path).find()
    assert stored.lstm.directions == (("backward",) if read else ("forward",))
    assert stored.time_reversed == (read != made)


def test_a_scan_takes_and_makes_steps_on_other_axes():
    rng = np.random.default_rng(1)
    x, h, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 2, 2), (2, HIDDEN), (2, HIDDEN)))
    expected = ReferenceEvaluator(scan_of(CELL)).run(None, {"x": x, "h": h, "c": c})
    for cell in (CELL, [*CELL[:-1], node("Abs", "h_out", "y_out")]):
        _, outputs = run_scan(scan_of(cell, scan_input_axes=[2], scan_output_axes=[-1]), np.moveaxis(x, 0, 2), h, c)
        y = np.moveaxis(expected[0], 0, -1)
        np.testing.assert_allclose(outputs[0], y if cell is CELL else np.abs(y), rtol=1e-5, atol=1e-6)


def test_a_body_reads_values_outside_and_its_unknown_operations_refuse_the_scan():
    cell = [*CELL[:-1], node("Mul", "h_out scale", "y_out")]
    model = scan_of(cell)
    model.graph.node.insert(0, node("ReduceMean", "x", "scale", keepdims=0))
    rng = np.random.default_rng(1)
    x, h, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 2, 2), (2, HIDDEN), (2, HIDDEN)))
    expected = ReferenceEvaluator(model).run(None, {"x": x, "h": h, "c": c})
    graph, outputs = run_scan(model, x, h, c)
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-5, atol=1e-6)
    trace = running.trace(graph, running.feeds_of(graph, [x, h, c], {}))
    (name,) = (one for one, value in trace.values.items() if value is trace.outputs[0])
    gradient = running.backward_through(trace, {name: np.ones_like(outputs[0])})["x"]
    step = 1e-2 * rng.standard_normal(x.shape).astype(np.float32)
    above, below = (run(graph, x + sign * step, h, c)[0].sum() for sign in (1, -1))
    assert (gradient * step).sum() == pytest.approx((above - below) / 2, rel=1e-2)
    with pytest.raises(gw.OptionError, match=r"Scan is not supported: of its body, node 'y_out' \(Det\) is not supp"):
        run_scan(scan_of([*CELL[:-1], node("Det", "h_out", "y_out")]), x, h, c)


def test_the_table_of_operators_is_in_the_documentation():
    page = (Path(__file__).parents[1] / "docs" / "supported.md").read_text(encoding="utf-8")
    rows = page.split("| kind | operators |\n")[1].split("\n\n")[0]
    assert sorted(re.findall(r"`([\w.]+)`", rows)) == sorted(kind for kind in TABLE if "-" not in kind)


def test_weights_that_are_not_finite_are_said(tmp_path):
    tensors = {"w": np.full((1, 8, 2), np.nan, np.float32), "r": np.ones((1, 8, 2), np.float32)}
    nodes = [node("LSTM", "x w r", "y", hidden_size=2, name="first"), node("Exp", "y", "z")]
    proto = model_of(nodes, {"x": [None, None, 2]}, ["z"], tensors)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.warns(gw.WeightsWarning, match="first has weights that are not finite"):
        network = gw.load_network(tmp_path / "model.onnx")
    assert [*network.lstms] == ["first"]


def test_a_network_is_copied_and_pickled(tmp_path):
    proto = scan_of(GATED)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    network = gw.load_network(tmp_path / "model.onnx")
    x, h, c = np.ones((5, 2, 2)), np.ones((2, HIDDEN)), np.ones((2, HIDDEN))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(other(x, h, c)[0][0], network(x, h, c)[0][0])


# Files that ask for too much, or are not in order: one sentence each.

TERABYTE = TensorProto(name="c", data_type=FLOAT, dims=[2**20, 2**18], raw_data=b"\0" * 16)
HUGE = {"size": np.array([2**30, 2**20])}
FILES = {
    "a tensor of a terabyte without its numbers": ([node("Add", "x c")], [TERABYTE], "tensor .* takes 1099511627776"),
    "a size of a terabyte": (
        [node("ConstantOfShape", "size", "z"), node("Add", "x z")],
        HUGE,
        "would bring what it takes to 8 PiB of memory",
    ),
    "a size of a terabyte that is computed": (
        [node("Shape", "x", "s"), node("Mul", "s size", "t"), node("ConstantOfShape", "t", "y")],
        HUGE,
        "would bring the run to .* of memory",
    ),
    "a circle": ([node("Add", "x b", "a"), node("Neg", "a", "b"), node("Neg", "b")], {}, "the graph has a circle"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused_in_a_sentence_within_seconds(case, tmp_path):
    nodes, tensors, sentence = FILES[case]
    proto = model_of(nodes, {"x": [None, 3]}, ["y"], tensors if isinstance(tensors, dict) else {})
    if isinstance(tensors, list):
        proto.graph.initializer.extend(tensors)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    tracemalloc.start()
    try:
        start = time.process_time()
        with pytest.raises(gw.GatewiseError, match=sentence):
            gw.load_network(tmp_path / "model.onnx")(np.ones((2, 3)))
        assert time.process_time() - start < 2
        assert tracemalloc.get_traced_memory()[1] < 500 * 2**20
    finally:
        tracemalloc.stop()


def test_100_000_nodes_are_refused_in_a_sentence():
    nodes = [node("Neg", f"v{n - 1}" if n else "x", f"v{n}" if n < 99_999 else "y") for n in range(100_000)]
    proto = model_of(nodes, {"x": [None, 3]}, ["y"])
    start = time.process_time()
    with pytest.raises(gw.CapacityError, match="100,000 nodes is too large"):
        graph_of_model(OnnxFile(proto, None, {}, Budget(proto.ByteSize())))
    assert time.process_time() - start < 2
