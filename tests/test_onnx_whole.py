"""A whole network as ONNX: what is written runs in ONNX's own evaluator, and is what is read."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import distance
from written_networks import FACTORS, hold, input_of, network_of, networks

import gatewise as gw

onnx = pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_reading import contents_of  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

PLAIN = {name: values[0] for name, values in FACTORS.items()}


def evaluate(model, inputs):
    evaluator = ReferenceEvaluator(model)
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def shapes_of(values):
    """Return the sizes of a graph's inputs or outputs by name."""
    return {
        value.name: [axis.dim_value or axis.dim_param for axis in value.type.tensor_type.shape.dim] for value in values
    }


def precision(case):
    """Return the precision in which ONNX's evaluator has the operators of a case: no Scan goes backward there."""
    return "float32" if case["gates"] and case["ways"] != "forward" else case["dtype"]


@networks(FACTORS | {"variant": ("plain",)}, strength=1, dtype=precision)  # it ignores attributes of the operator LSTM
def test_a_written_network_runs_and_is_what_is_read(case, tmp_path):
    network, model, x = hold(case, evaluate, 2e-5 if case["dtype"] == "float32" else 1e-7)  # whose erf has 32 bits
    onnx.checker.check_model(model, full_check=True)
    if case["gates"] and case["dtype"] == "float64":
        return  # of standard operators in a Scan, since runtimes have no operator LSTM in double precision
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    back = gw.load_network(tmp_path / "model.onnx", strict=True)
    steps = network.replace(reads="every") if case["stream"] else network
    assert distance(back(x)[0], steps(x)[0]) <= (1e-6 if case["dtype"] == "float32" else 1e-14)


@pytest.mark.parametrize("layers", ["one", "two", "two sizes"])
def test_a_stream_has_its_state_by_name(layers):
    network = network_of(PLAIN | {"layers": layers, "head": "elu"})
    model = gw_onnx.write(network, stream=True)
    states = {
        "one": {"_in": [1, "batch", 4]},
        "two": {"_in": [2, "batch", 4]},
        "two sizes": {"_in_0": [1, "batch", 4], "_in_1": [1, "batch", 3]},
    }[layers]
    given = {f"{letter}{name}": shape for name, shape in states.items() for letter in "hc"}
    assert shapes_of(model.graph.input) == {"X": ["batch", 4]} | given
    returned = {name.replace("_in", "_out"): shape for name, shape in given.items()}
    assert shapes_of(model.graph.output) == {"Y": ["batch", 3]} | returned


def test_an_initial_state_is_in_a_sequence_and_not_in_a_stream():
    network = network_of(PLAIN | {"initial": True})
    model = gw_onnx.write(network)
    assert [value.name for value in model.graph.input] == ["X"]
    assert [value.name for value in model.graph.output] == ["Y", "hn", "cn"]
    with cases.refusal("h_in", "initial state", by=gw.OptionError):
        gw_onnx.write(network, stream=True)


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (network_of(PLAIN).replace(masked=0.0), {}, ["masks", "the value 0"]),
        (network_of(PLAIN | {"ways": "concat"}), {"stream": True}, ["only runs forward", "forward and backward"]),
        (network_of(PLAIN | {"ways": "backward"}), {"stream": True}, ["only runs forward", "runs backward"]),
        (network_of(PLAIN | {"variant": "cell clip"}), {"stream": True}, ["cell_clip", "gates=True"]),
        (network_of(PLAIN).lstm[0], {}, ["Network", "LSTMCell"]),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(network, options, words, tmp_path):
    with cases.refusal(*words, by=gw.OptionError):
        gw_onnx.write(network, tmp_path / "model.onnx", **options)
    assert not [*tmp_path.iterdir()]


def rewired(model, operator, new, place=0):
    """Return a model in which the first node of an operator reads another name."""
    node = next(node for node in model.graph.node if node.op_type == operator)
    node.input[place] = new
    return model


@pytest.mark.parametrize(
    ("words", "tampered"),
    [
        ("do not begin at the same features", lambda write, branches: rewired(write(branches), "Concat", "X", 1)),
        ("an Add, which a network does not have", lambda write, branches: rewired(write(branches), "Slice", "X")),
        ("it must be (3,)", lambda write, branches: rewired(write(branches), "Div", "one", 1)),
        ("its head does not read", lambda write, branches: one_step_read_as_many(write(branches, stream=True))),
    ],
)
def test_what_only_resembles_a_written_network_is_refused_by_name(words, tampered, tmp_path):
    branches = network_of(PLAIN | {"before": "branches", "head": "elu", "after": "skip, scaled"})
    model = tampered(gw_onnx.write, branches)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1), "one"))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with cases.refusal(words):
        gw.inspect(tmp_path / "model.onnx").network()


def one_step_read_as_many(model):
    """Return a stream whose head reads all steps that its LSTM puts out."""
    squeeze = [node for node in model.graph.node if node.op_type == "Squeeze"][-1]
    squeeze.op_type = "Identity"
    del squeeze.input[1:]
    return model


def test_a_graph_with_gates_is_used_whole():
    network = network_of(PLAIN | {"before": "scaling", "layers": "two", "ways": "concat", "head": "elu"})
    contents = contents_of(gw_onnx.write(network, gates=True))
    assert [entry.name for entry in contents.ledger if not entry.used] == []
    assert [part.name for part in contents.parts] == ["head.V1", "head.V"]
    x = input_of(network)
    assert distance(contents.network()(x)[0], network(x)[0]) <= 1e-6
