"""Networks that are read as graphs, on the command line and in Python: inspected, traced and verified."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator
from program import output_of

import gatewise as gw
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.lstm_in_graph import by_influence

pytestmark = pytest.mark.usefixtures("here")

FLOAT = TensorProto.FLOAT


def model(seed: int = 0, *, head: bool = True) -> Any:
    """Return a model that takes (batch, time, feature): an LSTM, a layer norm, another LSTM, and a head."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (1, 16, 3), "r1": (1, 16, 4), "gain": (4,), "w2": (1, 12, 4), "r2": (1, 12, 3), "v": (3, 2)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} | {
        "one": np.array([1])
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2], name="/axes"),
        helper.make_node("LSTM", ["xt", "w1", "r1"], ["y1"], name="encoder", hidden_size=4),
        helper.make_node("Squeeze", ["y1", "one"], ["y1s"], name="/squeeze"),
        helper.make_node("LayerNormalization", ["y1s", "gain"], ["n"], name="norm"),
        helper.make_node("LSTM", ["n", "w2", "r2"], ["y2"], name="decoder", hidden_size=3),
        helper.make_node("Squeeze", ["y2", "one"], ["y2s"], name="/squeeze2"),
        helper.make_node("Transpose", ["y2s"], ["y2t"], perm=[1, 0, 2], name="/back"),
        helper.make_node("MatMul", ["y2t", "v"], ["y"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", "time", 3])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", "time", 2])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


X = np.random.default_rng(5).standard_normal((2, 6, 3)).astype(np.float32)


@pytest.fixture
def answers() -> Any:
    """A file of the model, its input, and its outputs by another runtime."""
    save(model(), "model.onnx")
    y = ReferenceEvaluator(model()).run(None, {"x": X})[0]
    np.save("x.npy", X)
    np.save("y.npy", y)
    return y


def text_of(capsys: Any, *tokens: Any, code: int = 0) -> str:
    return " ".join(output_of(capsys, *tokens, code=code).split())


def test_inspect_shows_the_network_as_a_person_draws_it(answers, capsys):
    text = output_of(capsys, "inspect", "model.onnx", "--all")
    assert "The whole network" in text
    lines = [line.strip() for line in text.split("The whole network\n")[1].split("\n\n")[0].splitlines()]
    assert lines[0] == "x: input (*, *, 3), float32"
    assert "norm: normalise, mul of squeeze" in lines
    assert lines[-1] == "y: output, head"
    assert all(len(line) <= 80 for line in text.splitlines())
    assert json.loads(output_of(capsys, "inspect", "model.onnx", "--json"))["layers"][0] == lines[0]


def test_inspect_says_why_a_network_cannot_be_read(answers, capsys):
    broken = model()
    broken.graph.node[-1].input[0] = "nowhere"
    save(broken, "broken.onnx")
    sentence = "cannot read broken.onnx: there is nothing named 'nowhere' where it is read"
    for line in (["inspect"], ["inspect", "--json"]):
        assert sentence in output_of(capsys, line[0], "broken.onnx", *line[1:], code=2)


def test_verify_compares_the_outputs_of_the_network(answers, capsys):
    assert "the network, against y.npy: rounding" in text_of(capsys, "verify", "model.onnx", "x.npy", "y.npy")
    np.save("wrong.npy", answers + np.float32(1e-3))
    text = text_of(capsys, "verify", "model.onnx", "x.npy", "wrong.npy", code=1)
    assert "the network, against wrong.npy: mistake" in text


def test_verify_takes_tables_of_one_sequence(answers, capsys):
    np.savetxt("x.csv", X[0], delimiter=",", header="a,b,c", comments="")
    np.savetxt("y.csv", answers[0], delimiter=",", header="p,q", comments="", fmt="%.9g")
    assert "the network, against y.csv: rounding" in text_of(capsys, "verify", "model.onnx", "x.csv", "y.csv")


def test_networks_are_verified_in_memory(answers):
    network = gw.load_network("model.onnx")
    assert isinstance(network, GraphNetwork)
    assert gw.verify(network, X, answers).verdict == "rounding"
    assert gw.verify(network, {"x": X}, {"y": answers}).verdict == "rounding"
    in_time = [one.transpose(1, 0, 2) for one in (X, answers)]
    assert gw.verify(network, *in_time, axes="time,batch,feature").verdict == "rounding"
    wrong = answers.copy()
    wrong[1, 4, 0] += np.float32(1e-3)
    found = gw.verify(network, X, wrong)
    assert found.verdict == "mistake"
    assert found.differences[0].index == (4, 1, 0)
    assert found.precision == "float32"
    other = gw.load_network("model.onnx")
    assert gw.verify(other, X, ReferenceEvaluator(model(seed=1)).run(None, {"x": X})[0]).verdict == "mistake"
    with pytest.raises(gw.ShapeError, match=r"y has shape \(2, 6\); it must be \(2, 6, 2\)"):
        gw.verify(network, X, answers[..., 0])
    with pytest.raises(gw.OptionError, match="no output 'z'; it has 'y'"):
        gw.verify(network, X, {"z": answers})
    with pytest.raises(gw.OptionError, match="there is nothing to verify"):
        gw.verify(network, X)


def test_rounding_of_the_runtime_is_allowed_in_every_precision():
    save(model(), "model.onnx")
    network = gw.load_network("model.onnx")
    exact = ReferenceEvaluator(model()).run(None, {"x": X})[0]
    for dtype in (np.float16, np.float32):
        assert gw.verify(network, X, exact.astype(dtype)).verdict == "rounding"


def test_an_lstm_of_the_network_is_traced_at_the_input_that_it_receives(answers, capsys, monkeypatch):
    trace = gw.load_network("model.onnx").trace(X, axes="batch,time,feature")
    for runtime in (True, False):
        if not runtime:
            monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        run = gw.open_run("model.onnx", X, name="decoder", input_of="model")
        np.testing.assert_allclose(run.trace[0].forget_gate, trace["decoder"][0].forget_gate, rtol=1e-5, atol=1e-6)
    assert "which gatewise runs" in run.interpretation
    output_of(capsys, "trace", "model.onnx", "x.npy", "--name", "decoder", "--input-of", "model", "-o", "t.npz")
    assert np.load("t.npz")["layer0.forward.forget_gate"].shape == (6, 2, 3)


def test_a_network_in_memory_is_opened_and_run(answers):
    network = gw.load_network("model.onnx")
    run = gw.open_run(network, X, name="encoder", input_of="model")
    assert run.trace[0].forget_gate.shape == (6, 2, 4)
    assert run.name == "encoder"


def test_what_a_graph_cannot_do_yet_is_refused_by_what_is_missing(answers, tmp_path):
    network = gw.load_network("model.onnx")
    for use in (
        lambda: gw.save(network, "model.safetensors"),
        lambda: gw.insight.horizon(network, X),
    ):
        with pytest.raises(gw.OptionError, match="GraphNetwork"):
            use()


LONG = np.random.default_rng(6).standard_normal((2, 24, 3)).astype(np.float32)


def test_a_run_is_that_of_the_most_influential_lstm_with_the_others(answers):
    run = gw.open_run("model.onnx", LONG)
    assert {run.name, *(other.name for other in run.others)} == {"encoder", "decoder"}
    trace = gw.load_network("model.onnx").trace(LONG, axes="batch,time,feature")
    for each in (run, *run.others):
        np.testing.assert_array_equal(each.trace[0].forget_gate, trace[each.name][0].forget_gate)
        np.testing.assert_array_equal(each.trace.output, trace.output.transpose(1, 0, 2))
        mean = np.broadcast_to(trace[each.name].output.mean((0, 1)), trace[each.name].output.shape)
        off = trace.rerun(**{each.name: mean}).output - trace.output
        assert by_influence(trace)[each.name] == pytest.approx(float(np.sqrt(np.square(off).mean())) / off_of(trace))
    assert [*by_influence(trace)] == [run.name, *(other.name for other in run.others)]


def off_of(trace: Any) -> float:
    return float(trace.output.std())


def test_a_report_has_a_section_for_each_lstm(answers, capsys):
    np.save("long.npy", LONG)
    text = output_of(capsys, "report", "model.onnx", "long.npy")
    first, second = (gw.open_run("model.onnx", LONG).name, gw.open_run("model.onnx", LONG).others[0].name)
    for question in ("How long does a change of the input show?", "What do its units carry?"):
        assert text.index(f"{first}: {question}") < text.index(f"{second}: {question}")
    assert text.count("Why this output") == text.count(f"{first}: Why this output") > 0
    assert "ceiling is not for this network, because its output is not affine in the output of its LSTM 'encoder'" in (
        " ".join(text.split())
    )
    one = output_of(capsys, "report", "model.onnx", "long.npy", "--name", "decoder")
    assert "encoder:" not in one
    assert "decoder:" not in one


def test_a_run_of_a_graph_keeps_what_is_asked_for(answers):
    run = gw.open_run("model.onnx", LONG, name="decoder", keep="forget_gate", every=3)
    whole = gw.open_run("model.onnx", LONG, name="decoder")
    np.testing.assert_array_equal(run.trace[0].forget_gate, whole.trace[0].forget_gate[::3])
    with pytest.raises(gw.OptionError, match="no LSTM 'middle'"):
        gw.open_run(gw.load_network("model.onnx"), LONG, name="middle", input_of="model")
