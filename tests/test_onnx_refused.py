"""ONNX files that cannot be read, or are hostile, or spoiled: refused in a sentence, before they take memory."""

from __future__ import annotations

import sys
from functools import partial

import cases
import numpy as np
import pytest
from fuzzing import SOME, everything, fuzz

import gatewise as gw
from gatewise.files.budget import Budget

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_exported import Exported  # noqa: E402
from onnx_fuzz import in_model, messages  # noqa: E402
from onnx_reading import contents_of, edited, found_in, network, quantised, refused_in, small, tensor_of, written_out  # noqa: E402
from test_onnx_networks import HEAD, chained  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402
from gatewise.interop.containers import protobuf  # noqa: E402

# What cannot be read.


def with_attribute(**attributes):
    return models.lstm_model(small(), **({"hidden_size": 4} | attributes))


def with_array(**changes):
    return models.lstm_model(small(peepholes=True) | changes, hidden_size=4)


def another_operator(name, domain=""):
    def edit(model):
        model.graph.node[-1].op_type, model.graph.node[-1].domain = name, domain

    return edit


def from_a(operator):
    def edit(model):
        tensor_of(model).name = "before"
        model.graph.node.insert(0, helper.make_node(operator, ["before"], ["W"], name="strange"))

    return edit


def sparse(model):
    array = numpy_helper.to_array(tensor_of(model)).reshape(-1)
    model.graph.initializer.remove(tensor_of(model))
    values = numpy_helper.from_array(array, "W")
    places = numpy_helper.from_array(np.arange(len(array)), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1, 16, 3]))


REFUSED = {
    "a GRU": (edited(another_operator("GRU")), ["GRU", "not an LSTM"]),
    "an RNN": (edited(another_operator("RNN")), ["RNN", "not an LSTM"]),
    "an LSTM of another domain": (edited(another_operator("AttnLSTM", "com.microsoft")), ["AttnLSTM", "com.microsoft"]),
    "an unknown activation": (with_attribute(activations=["Sigmoid", "Swish", "Tanh"]), ["'Swish'", "Sigmoid"]),
    "too few activations": (with_attribute(activations=["Sigmoid", "Tanh"]), ["2 activations", "3"]),
    "an unknown direction": (with_attribute(direction="sideways"), ["'sideways'", "bidirectional"]),
    "an unknown layout": (with_attribute(layout=2), ["layout is 2"]),
    "a clip of zero": (with_attribute(clip=0.0), ["gate_clip", "positive"]),
    "another hidden_size": (with_attribute(hidden_size=5), ["hidden_size is 5", "4"]),
    "an unknown attribute": (with_attribute(temperature=1.0), ["'temperature'"]),
    "an attribute of another type": (with_attribute(clip="much"), ["clip", "FLOAT"]),
    "no R": (edited(lambda model: model.graph.node[0].input.__setitem__(2, "")), ["lacks its R"]),
    "W with two axes": (with_array(W=small()["W"][0]), ["W", "(16, 3)"]),
    "W of other units": (with_array(W=small(hidden=5)["W"]), ["W", "(1, 20, 3)", "(1, 16, 3)"]),
    "B of other units": (with_array(B=np.zeros((1, 7), np.float32)), ["B", "(1, 7)", "(1, 32)"]),
    "P of other units": (with_array(P=np.zeros((1, 5), np.float32)), ["P", "(1, 5)", "(1, 12)"]),
    "two types": (with_array(R=small()["R"].astype(np.float64)), ["float64", "one floating-point type"]),
    "integers": (with_array(**{one: small()[one].astype(np.int32) for one in "WRB"}), ["int32"]),
    "fewer bytes than the shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, 30)), ["1920", "192"]),
    "a huge shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, 2**60)), ["bytes", "192"]),
    "a negative shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, -3)), ["-3"]),
    "an unknown type": (edited(lambda model: setattr(tensor_of(model), "data_type", 8)), ["type 8"]),
    "no such name": (edited(lambda model: model.graph.node[0].input.__setitem__(1, "V")), ["'V'"]),
    "an operator that is not computed": (edited(from_a("Softmax")), ["Softmax", "strange"]),
    "sparse weights": (edited(sparse), ["sparse"]),
    "tensors that lie outside a model in memory": (
        edited(lambda model: setattr(tensor_of(model), "data_location", TensorProto.EXTERNAL)),
        ["another file"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_and_told_why(case):
    model, words = REFUSED[case]
    refused_in(model, "rnn", *words)


def test_a_graph_with_a_circle_is_refused():
    model = edited(lambda model: model.graph.node[0].input.__setitem__(0, "W"), how="identity")
    with pytest.raises(gw.FileError, match="reads 'W', which depends on its own output: the graph has a circle"):
        contents_of(model)


def test_a_file_without_any_lstm_says_what_it_holds():
    weight = numpy_helper.from_array(np.zeros((3, 2), np.float32), "fc.weight")
    node = helper.make_node("Gemm", ["X", "fc.weight"], ["Y"])
    with cases.refusal("no LSTM", "fc.weight", "linear layer"):
        contents_of(helper.make_model(helper.make_graph([node], "g", [], [], [weight]))).pick()


# Hostile files.


def chain(count):
    """Return a model whose W goes through an Identity many times."""

    def edit(model):
        tensor_of(model).name = "w0"
        for n in range(count):
            out = "W" if n + 1 == count else f"w{n + 1}"
            model.graph.node.insert(n, helper.make_node("Identity", [f"w{n}"], [out]))

    return edited(edit)


def nested(depth):
    """Return a model with its LSTM so deep in branches of If; protobuf itself ends at 100 messages."""
    model = models.lstm_model(small(), hidden_size=4)
    node = model.graph.node[0]
    for n in range(depth):
        node = helper.make_node("If", ["yes"], [], name=f"if{n}", then_branch=helper.make_graph([node], "b", [], []))
    del model.graph.node[:]
    model.graph.node.append(node)
    return model


def nested_bytes(depth):
    """Return a file whose graphs lie in attributes of nodes of graphs, so deep, as bytes."""
    data = b""
    for _ in range(depth):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            length, left = b"", len(data)
            while left >= 128:
                length, left = length + bytes([left % 128 + 128]), left // 128
            data = tag + length + bytes([left]) + data
    length = len(data).to_bytes(4, "little")
    whole = b"".join(bytes([(int.from_bytes(length, "little") >> 7 * n) % 128 + 128 * (n < 4)]) for n in range(5))
    return b"\x08\x08\x3a" + whole + data


def calling_itself():
    model = models.lstm_model(small(), hidden_size=4)
    call = helper.make_node("f", [], ["y"], domain="local")
    model.functions.append(helper.make_function("local", "f", [], [], [call], []))
    model.graph.node.append(call)
    return model


def test_a_node_may_lie_in_many_graphs():
    found = found_in(nested(20))
    assert found.where.count("then_branch") == 20


def test_weights_that_are_made_in_too_many_steps_are_refused():
    refused_in(chain(5000), "100 steps")
    assert found_in(chain(90)).lstm.hidden_size == 4


def many_nodes(count, hidden):
    """Return a model of many nodes LSTM that share their arrays."""
    model = models.lstm_model(small(hidden=hidden), hidden_size=hidden)
    node = model.graph.node[0]
    del model.graph.node[:]
    for n in range(count):
        node.name = str(n)
        node.output[:] = [f"Y{n}"]
        model.graph.node.add().CopyFrom(node)
    return model


@pytest.mark.usefixtures("small_budgets")
def test_nodes_that_share_their_weights_do_not_fill_the_memory():
    contents = contents_of(many_nodes(300, 64))
    assert len(contents.lstms) > 8
    assert "8 MiB are allowed" in contents.refused[-1].reason


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (many_nodes(800, 1), ["recurrent nodes", "too long"]),
        (calling_itself(), ["100 deep"]),
    ],
    ids=["many nodes", "calling itself"],
)
@pytest.mark.usefixtures("small_budgets")
def test_graphs_without_end_are_refused(model, words):
    with cases.refusal(*words):
        contents_of(model)


WRONG_FILES = {
    "text": (b"this is no model", ["not an intact ONNX model"]),
    "cut short": (models.lstm_model(small(), hidden_size=4).SerializeToString()[:-9], ["not an intact ONNX model"]),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), ["no graph"]),
    "onnxruntime's own format": (b"\x08\x00\x00\x00ORTM" + bytes(60), ["onnxruntime's own format"]),
    "nested without end": (nested_bytes(5000), ["not an intact ONNX model"]),
    "a name that is no text": (
        models.lstm_model(small(), hidden_size=4).SerializeToString().replace(b"rnn", b"\xff\xfe\xfd"),
        ["not an intact ONNX model", "not text"],
    ),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_is_no_model_is_refused_in_one_sentence(case, tmp_path):
    data, words = WRONG_FILES[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert gw_onnx.recognises(path, data[:4096])
    with cases.refusal(str(path), *words):
        gw_onnx.read(path)


def pieces(message):
    """Count the stretches of bytes that a message is made of: messages by their weight, texts, bytes, packed arrays."""
    count = 0
    for one in messages(message):
        count += protobuf.MESSAGE * (one is not message)
        for field, value in one.ListFields():
            if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                count += len(value) if hasattr(value, "append") else 1
            elif field.message_type is None and field.GetOptions().packed:
                count += 1
    return count


@pytest.mark.parametrize("how", models.STORED)
def test_the_pieces_of_a_file_are_counted_before_they_take_memory(how):
    wrapped = models.WRAPPED[models.STORED.index(how) % len(models.WRAPPED)]
    model = models.lstm_model(small(), how=how, wrapped=wrapped, hidden_size=4)
    budget = Budget(1)
    protobuf.shorten_message(model.SerializeToString(), model.DESCRIPTOR, budget)
    assert budget._elements == pieces(model)


def test_a_model_is_recognised_by_its_first_bytes_whatever_its_name():
    data = models.lstm_model(small(), hidden_size=4).SerializeToString()
    assert gw_onnx.recognises("model.bin", data[:4096])
    assert not gw_onnx.recognises("model.json", b'{"layers": []}')
    assert not gw_onnx.recognises("model.bin", b"\x80\x02}q\x00.")


@pytest.mark.parametrize("package", ["onnx"])
def test_without_the_onnx_package_one_sentence_names_what_to_install(package, monkeypatch, tmp_path):
    path = models.save(models.lstm_model(small(), hidden_size=4), tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    for ask in (lambda: gw_onnx.read(path), lambda: gw_onnx.write(gw.LSTM(2, 3))):
        with cases.refusal("needs onnx", "pip install '.[onnx]'", by=gw.MissingExtraError):
            ask()


def test_weights_that_are_not_finite_are_read_with_a_warning_that_names_them(tmp_path):
    arrays = small()
    arrays["W"][0, 0, :2] = np.nan, np.inf
    path = models.save(models.lstm_model(arrays, hidden_size=4), tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning) as said:
        gw_onnx.read(path)
    assert "rnn" in str(said[0].message)
    assert "2 of 112" in str(said[0].message)


# Fuzzing.


def spoil(folder, count=SOME, seed=0):
    """Read so many spoiled files, of every form that weights have in a file."""
    paths = []
    for number, how in enumerate(models.STORED):
        arrays = small(number, directions=2, peepholes=True, state=True, hidden=2, inputs=2, lengths=(5, 2, 1))
        options = {"direction": "bidirectional", "hidden_size": 2, "clip": 1.0, "activation_alpha": [0.2, 0.3]}
        model = models.lstm_model(
            arrays,
            how=how,
            wrapped=models.WRAPPED[number % len(models.WRAPPED)],
            activations=["HardSigmoid", "Tanh", "Elu"] * 2,
            **options,
        )
        paths.append(models.save(model, folder / f"{number}.onnx"))
    lstm = gw.LSTM(3, 2, num_layers=2, bidirectional=True, rng=0)
    for gates in (False, True):
        paths.append(folder / f"written{gates}.onnx")
        gw_onnx.write(lstm, paths[-1], gates=gates)
    exported = (Exported(shape="computed", state="given", batch_first=True).model, Exported(state="expanded").model)
    exported += (chained([*HEAD[:3], ("Identity", ["r"], ["last"]), *HEAD[3:]])[0],)
    for model in (network()[0], written_out()[0], quantised(directions=2)[0], *exported):
        paths.append(models.save(model, folder / f"more{len(paths)}.onnx"))
    subjects = [path.read_bytes() for path in paths]
    return fuzz(subjects, partial(everything, reader="onnx"), count, folder, seed=seed, also=[in_model])


TWICE = {  # a name that comes twice in a graph of an LSTM, by what has it
    "two nodes": lambda graph: graph.node.add().CopyFrom(helper.make_node("Neg", ["X"], ["Y"])),
    "a node and an input": lambda graph: graph.node.add().CopyFrom(helper.make_node("Neg", ["W"], ["X"])),
    "a node and an initializer": lambda graph: graph.node.add().CopyFrom(helper.make_node("Neg", ["X"], ["W"])),
    "two initializers": lambda graph: graph.initializer.add().CopyFrom(graph.initializer[0]),
    "two attributes": lambda graph: graph.node[-1].attribute.add().CopyFrom(helper.make_attribute("hidden_size", 4)),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_name_that_comes_twice_is_refused(case, tmp_path):
    model = models.lstm_model(small(), hidden_size=4)
    assert gw.load(models.save(model, tmp_path / "model.onnx")).hidden_size == 4
    TWICE[case](model.graph)
    path = models.save(model, tmp_path / "model.onnx")
    for read in (gw.inspect, gw.load, gw.load_network):
        with cases.refusal("two ", "named '", str(path)):
            read(path)
