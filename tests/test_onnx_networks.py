"""An ONNX graph that is a chain of an embedding or dense layers, an LSTM and a head is read as a network."""

from __future__ import annotations

from itertools import pairwise

import cases
import numpy as np
import pytest

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_reading import contents_of  # noqa: E402

make = onnx.helper.make_node
TOKENS = np.array([[1, 2], [3, 6], [0, 5]])


def chained(after, *, outputs=("Z",), before=None, directions=1, start=None, lengths=None):
    """Return a model of an embedding, an LSTM whose output is `y`, and nodes after it; and the LSTM's arrays."""
    rng = np.random.default_rng(0)
    shapes = {"words": (7, 3), "W": (directions, 16, 3), "R": (directions, 16, 4), "w": (4, 5), "v": (2, 5)}
    held = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    held |= {"b": rng.normal(size=5).astype(np.float32), "c": rng.normal(size=2).astype(np.float32)}
    held |= {"axis": np.array([1]), "end": np.array(-1), "first": np.array(0), "half": np.float32(0.5)}
    inputs = ["x", "W", "R"]
    if start is not None:
        held["h0"] = rng.normal(size=(directions, start, 4)).astype(np.float32)
        inputs += ["", "", "h0", "h0"]
    if lengths is not None:
        held["lengths"] = np.array(lengths, np.int32)
        inputs += ["", "lengths"]
    nodes = [make("Gather", ["words", "tokens"], ["x"])] if before is None else [*before]
    direction = "bidirectional" if directions == 2 else "forward"
    nodes += [make("LSTM", inputs, ["Y", "hn", "cn"], name="rnn", hidden_size=4, direction=direction)]
    nodes += [make("Squeeze", ["Y", "axis"], ["y"])] if directions == 1 else []
    nodes += [make(*one[:3], name=one[2][0], **(one[3] if len(one) > 3 else {})) for one in after]
    given = {"tokens": TOKENS} if before is None else {"X": np.zeros((3, 2, 3), np.float32)}
    return models.graph_model(nodes, held, given, outputs), held


HEAD = [
    ("MatMul", ["y", "w"], ["p"]),
    ("Add", ["b", "p"], ["a"]),
    ("Relu", ["a"], ["r"]),
    ("Gemm", ["last", "v", "c"], ["z"], {"transB": 1}),
    ("Softmax", ["z"], ["Z"]),
]
TAKEN = ("Gather", ["r", "end"], ["last"], {"axis": 0})


@pytest.mark.parametrize("last", [True, False])
def test_a_chain_is_a_network(last, tmp_path):
    step = TAKEN if last else ("Identity", ["r"], ["last"])
    model, held = chained([*HEAD[:3], step, *HEAD[3:]], start=1)
    network = gw.load_network(models.save(model, tmp_path / "model.onnx"))
    assert network.reads == ("last" if last else "every")
    h = network.lstm(held["words"][TOKENS], [[gw.State(*[np.repeat(held["h0"][0], 2, 0)] * 2)]])[0]
    h = np.maximum((h[-1] if last else h) @ held["w"] + held["b"], 0) @ held["v"].T + held["c"]
    np.testing.assert_allclose(network(TOKENS)[0], np.exp(h) / np.exp(h).sum(-1, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("last", [True, False])
def test_final_states_that_a_model_returns_are_outputs(last, tmp_path):
    step = TAKEN if last else ("Identity", ["r"], ["last"])
    nodes = [*HEAD[:3], step, *HEAD[3:]]
    alone, _ = chained(nodes, start=1)
    model, _ = chained(nodes, outputs=("Z", "hn", "cn"), start=1)
    expected, final = contents_of(model).network()(TOKENS)
    np.testing.assert_array_equal(contents_of(alone).network()(TOKENS)[0], expected)
    (y, h, c), _ = gw.load_network(models.save(model, tmp_path / "model.onnx"))(TOKENS)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(h, final[0][0].h[None])
    np.testing.assert_array_equal(c, final[0][0].c[None])


def test_what_gatewise_writes_is_a_network_without_a_head():
    for options in ({}, {"bidirectional": True, "merge": "sum"}, {"num_layers": 2}):
        lstm = gw.LSTM(3, 4, rng=0, **options)
        network = contents_of(gw.interop.onnx.write(lstm)).network()
        x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
        np.testing.assert_array_equal(network(x)[0], lstm(x)[0])


BEFORE = [make("Conv", ["X", "W"], ["x"], name="conv")]
REFUSED = {
    "operator": ({"after": [*HEAD[:2], ("LogSoftmax", ["a"], ["Z"])]}, ["'Z' is a LogSoftmax", "after the LSTM"]),
    "residual": ({"after": [*HEAD[:1], ("Add", ["p", "p"], ["Z"])]}, ["'Z' is an Add"]),
    "outputs": ({"after": HEAD[:3], "outputs": ("a", "r")}, ["2 outputs"]),
    "first step": ({"after": [("Gather", ["y", "first"], ["Z"])]}, ["'Z' is a Gather"]),
    "sequence": ({"after": [("Gather", ["y", "end"], ["Z"], {"axis": 1})]}, ["not the final one"]),
    "lengths": (
        {"after": [("Gather", ["y", "end"], ["Z"], {"axis": 0})], "lengths": [3, 2]},
        ["the last step", "zeros"],
    ),
    "twice": ({"after": [("Relu", ["y"], ["r"]), ("Tanh", ["r"], ["Z"])]}, ["'r' is a Relu"]),
    "activation": ({"after": [("Relu", ["y"], ["Z"])]}, ["Squeeze", "after the LSTM"]),
    "before": ({"after": HEAD[:2], "outputs": ("a",), "before": BEFORE}, ["'conv' is a Conv", "before the LSTM"]),
    "states": ({"after": HEAD[:2], "outputs": ("a",), "start": 2}, ["differ from sequence to sequence"]),
    "scaled": ({"after": [("Mul", ["y", "half"], ["Z"])]}, ["'Z' is a Mul"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_frame_cannot_express_is_refused_by_the_node_s_name(case):
    options, words = REFUSED[case]
    model, _ = chained(**options)
    with cases.refusal(*words, "its LSTM can be read alone"):
        contents_of(model).network()


@pytest.mark.parametrize(
    "case", [case for case in REFUSED if case not in ("before", "lengths")]
)  # onnx ignores lengths
def test_what_the_frame_cannot_express_is_read_as_a_graph(case, tmp_path):
    model, _ = chained(**REFUSED[case][0])
    network = gw.load_network(models.save(model, tmp_path / "model.onnx"))
    assert [*network.lstms] == ["rnn"]
    (name,) = network.inputs
    x = TOKENS if name == "tokens" else np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    outputs = network(x)[0]
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for y, expected in zip(outputs, ReferenceEvaluator(model).run(None, {name: x}), strict=True):
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)


def test_a_graph_whose_arrays_do_not_fit_is_refused_as_it_runs(tmp_path):
    network = gw.load_network(models.save(chained(**REFUSED["before"][0])[0], tmp_path / "model.onnx"))
    with cases.refusal("node 'conv' (conv) cannot take arrays", by=gw.ShapeError):
        network(np.zeros((3, 2, 3)))


# Layers that are named.


def test_named_layers_are_connected_as_in_the_graph(tmp_path):
    model, held = chained([*HEAD[:3], TAKEN, *HEAD[3:]], outputs=("Z", "last"))
    path = models.save(model, tmp_path / "model.onnx")
    network = gw.load_network(path, embedding="words", head="v")
    assert (network.reads, len(network.hidden)) == ("last", 1)
    assert len(gw.load_network(path)(TOKENS)[0]) == 2
    h = gw.load(path)(held["words"][TOKENS])[0]
    z = np.maximum(h[-1] @ held["w"] + held["b"], 0) @ held["v"].T + held["c"]
    np.testing.assert_allclose(network(TOKENS)[0], np.exp(z) / np.exp(z).sum(-1, keepdims=True), rtol=0, atol=1e-6)
    with pytest.warns(gw.WeightsWarning, match="leaves out 'v' "):
        first = gw.load_network(path, embedding="words", head="w")
    np.testing.assert_allclose(first(TOKENS)[0], np.maximum(h @ held["w"] + held["b"], 0), rtol=0, atol=1e-6)


BETWEEN = {
    "Mul": ([("Mul", ["y", "half"], ["m"])], ["'m' is a Mul", "after the LSTM"]),
    "ReduceMean": ([("ReduceMean", ["y"], ["m"], {"axes": [0]})], ["'m' is a ReduceMean"]),
    "first step": ([("Gather", ["y", "first"], ["m"])], ["'m' is a Gather"]),
    "other sequence": ([("Gather", ["y", "end"], ["m"], {"axis": 1})], ["not the final one"]),
    "norm": ([("LayerNormalization", ["y", "scale"], ["m"])], ["'m' is a LayerNormalization"]),
    "sum": ([("Exp", ["y"], ["e"]), ("Add", ["y", "e"], ["m"])], ["'m' is an Add"]),
    "cell state": ([("Squeeze", ["cn", "first"], ["m"])], ["after the LSTM"]),
    "another LSTM": ([("LSTM", ["y", "W4", "R"], ["m"], {"hidden_size": 4})], ["'m' is an LSTM"]),
}


@pytest.mark.parametrize("case", BETWEEN)
@pytest.mark.parametrize("product", ["Gemm", "MatMul"])
def test_between_named_layers_what_a_network_does_not_have_is_refused(case, product, tmp_path):
    between, words = BETWEEN[case]
    names = ["m", "v", "c"] if product == "Gemm" else ["m", "w"]
    head = (product, names, ["Z"], {"transB": 1} if product == "Gemm" else {})
    model, _ = chained([*between, head])
    held = {"scale": np.ones(4, np.float32), "W4": np.ones((1, 16, 4), np.float32)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in held.items())
    path = models.save(model, tmp_path / "model.onnx")
    named = {"name": "rnn"} if case == "another LSTM" else {}
    with cases.refusal("cannot make a network of", *words):
        gw.load_network(path, head=names[1], **named)


def test_a_convolution_before_named_layers_is_listed_and_between_them_refused(tmp_path):
    model, held = chained(HEAD[:2], outputs=("a",), before=BEFORE)
    path = models.save(model, tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning, match="left out: conv \\(a Conv before 'rnn'"):
        network = gw.load_network(path, head="w")
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(network(x)[0], network.lstm(x)[0] @ held["w"] + held["b"], rtol=0, atol=1e-6)
    words = [make("Gather", ["words", "tokens"], ["e"]), make("Conv", ["e", "W"], ["x"], name="conv")]
    model, _ = chained(HEAD[:2], outputs=("a",), before=words)
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("tokens", 7, None))
    with cases.refusal("'conv' is a Conv", "before the LSTM"):
        gw.load_network(models.save(model, path), embedding="words", head="w")


def test_layers_that_do_not_follow_one_another_are_no_network(tmp_path):
    model, _ = chained(HEAD[:2], outputs=("a",), before=[make("Identity", ["X"], ["x"])])
    model.graph.node.extend([make("Gather", ["words", "tokens"], ["e"]), make("Gemm", ["e", "v2"], ["b2"])])
    v2 = onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "v2")
    model.graph.initializer.append(v2)
    model.graph.input.append(onnx.helper.make_tensor_value_info("tokens", 7, None))
    path = models.save(model, tmp_path / "model.onnx")
    with cases.refusal("'rnn' does not read 'words' as its embedding"):
        gw.load_network(path, embedding="words", head="w")
    with cases.refusal("'e' is a Gather", "after the LSTM"):
        gw.load_network(path, head="v2")
    with cases.refusal("'words' is no linear layer"):
        gw.load_network(path, head="words")


def test_many_dense_layers_without_nonlinearities_are_read():
    names, nodes = ["y", *(f"d{number}" for number in range(3000)), "Z"], []
    for before, after in pairwise(names):
        options = [{"transB": 1}] if len(nodes) % 2 else []
        nodes.append(("Gemm" if options else "MatMul", [before, "w"], [after], *options))
    assert len(contents_of(chained(nodes)[0]).parts) == 2


@pytest.mark.parametrize("left_out", ["head", "embedding"])
def test_a_state_of_the_file_is_carried_or_warned_of_where_a_layer_is_left_out(left_out, tmp_path):
    x = np.random.default_rng(1).normal(size=(5, 1, 3)).astype(np.float32)
    paths, before = [], [make("Identity", ["X"], ["x"])]
    for start in (1, 2):
        model, held = chained([("Identity", ["y"], ["Z"])], before=before, start=start)
        paths.append(models.save(model, tmp_path / f"{start}.onnx"))
        if start == 1:
            state = [[gw.State(*[held["h0"][0]] * 2)]]
    for network in (gw.load_network(paths[0], **{left_out: "none"}), gw.open_run(paths[0], x, head="none").model):
        np.testing.assert_array_equal(network(x)[0], network.lstm(x, state)[0])
    with pytest.warns(gw.WeightsWarning, match="has an initial state for 'rnn': a run starts from zeros"):
        gw.load_network(paths[1], **{left_out: "none"})
    with pytest.raises(gw.FileError, match=r"from sequence to sequence; its LSTM can be read alone$"):
        contents_of(chained([("Identity", ["y"], ["Z"])], before=before, start=2)[0]).network()
