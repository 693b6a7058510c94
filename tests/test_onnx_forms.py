"""Networks that are graphs, written as ONNX: onnxruntime computes the same, operation by operation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from operation_examples import EXAMPLES, Example
from program import output_of, refusal_of

import gatewise as gw
from gatewise.errors import OptionError
from gatewise.interop import onnx as onnx_format
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.operations import OPERATIONS

# Operations that ONNX cannot express, or that are written only as a part of something else.
WITHOUT = {"choose", "scan", "loop", "unknown"}
FOLDED = {"range"}  # a run of zeros has no numbers for it
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def cannot_be_written(example: Example) -> bool:
    """Say whether an LSTM has a projection, for which ONNX needs a Scan, and lengths, which a Scan has not."""
    has_projection = example.op == "lstm" and example.settings["lstm"].layers[0][0].parameters.projection is not None
    return has_projection and len(example.inputs) > 3


EACH = [
    pytest.param(example, id=f"{example.op}-{place}")
    for place, example in enumerate(EXAMPLES)
    if example.op not in WITHOUT | FOLDED and not cannot_be_written(example)
]


def single(array):
    return np.asarray(array, np.float32) if np.asarray(array).dtype == np.float64 else np.asarray(array)


def network_of(example: Example):
    """Return a network of one node, whose numbers are inputs and whose integers are arrays, and the inputs."""
    build, read, given = Builder(), [], []
    for place, item in enumerate(example.inputs):
        array = None if item is None else single(item)
        if array is None:
            read.append("")
        elif array.dtype == np.float32 or place == 0:
            read.append(build.input(f"in{place}", array.shape, array.dtype))
            given.append(array)
        else:
            read.append(build.constant(array))
    settings = dict(example.settings)
    if example.op == "lstm":
        settings["lstm"] = settings["lstm"].astype(np.float32)
    if settings.get("dtype") == "float64":
        settings["dtype"] = "int32"
    count = len(example.forward())
    results = build.add(example.op, *read, outputs=count, name="node", **settings)
    return GraphNetwork(build.graph([results] if isinstance(results, str) else list(results))), given


def session_of(model):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def answers(model, inputs):
    session = session_of(model)
    names = [port.name for port in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def test_every_operation_has_a_form_in_onnx():
    assert {name for name, row in OPERATIONS.items() if row.onnx is None and name != "lstm"} == WITHOUT


@pytest.mark.peers
@pytest.mark.parametrize("example", EACH)
def test_an_operation_written_as_onnx_computes_the_same(example):
    network, given = network_of(example)
    ours = network(*given)[0]
    theirs = answers(onnx_format.write(network), given)
    for y, other in zip(ours if isinstance(ours, tuple) else (ours,), theirs, strict=True):
        assert y.dtype == other.dtype
        np.testing.assert_allclose(other, y, **CLOSE)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if cannot_be_written(example)])
def test_a_projection_and_lengths_are_refused_by_the_node(example):
    network, _ = network_of(example)
    with pytest.raises(OptionError, match=r"node 'node' \(lstm\) cannot be written as ONNX: .* has a projection"):
        onnx_format.write(network)


def graph_of_two(*, causal=True):
    """Return an LSTM with a stored initial state, a norm, and another LSTM."""
    rng, build = np.random.default_rng(0), Builder()
    start = [rng.normal(size=(1, 1, 4)).astype(np.float32) for _ in "hc"]
    y, *_ = build.add("lstm", build.input("x", (None, None, 3)), *start, lstm=gw.LSTM(3, 4, rng=1), name="first")
    y = build.add("normalise", y, axes=(-1,) if causal else (0, -1), epsilon=1e-5)
    y, *_ = build.add("lstm", y, lstm=gw.LSTM(4, 2, rng=2), name="second")
    labels = gw.Labels(features=["rain", "sun", "wind"], measures={"rain": ("precipitation", "mm/d")})
    return GraphNetwork(build.graph([y], names=["flow"]), labels)


@pytest.mark.peers
def test_states_are_inputs_with_defaults_and_outputs_where_the_network_is_causal():
    network, x = graph_of_two(), np.random.default_rng(3).normal(size=(7, 2, 3)).astype(np.float32)
    model = onnx_format.write(network)
    session = session_of(model)
    states = [port.name for port in session.get_overridable_initializers()]
    assert states == ["first.h0", "first.c0", "second.h0", "second.c0"]
    whole, *_ = session.run(None, {"x": x})
    np.testing.assert_allclose(whole, network(x)[0], **CLOSE)
    before, *ends = session.run(None, {"x": x[:3]})
    after, *_ = session.run(None, {"x": x[3:], **dict(zip(states, ends, strict=True))})
    np.testing.assert_allclose(np.concatenate([before, after]), whole, **CLOSE)
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert metadata["features"] == ["rain", "sun", "wind"]
    assert metadata["units"] == {"rain": "mm/d"}
    assert [entry["input"] for entry in metadata["states"]] == states
    np.testing.assert_array_equal(
        np.array(metadata["states"][0]["initial"], np.float32),
        network.graph.constants[network.nodes["first"].inputs[1]],
    )
    assert metadata["states"][2]["initial"] == "zeros"
    whole_runs_only = onnx_format.write(graph_of_two(causal=False))
    assert len(whole_runs_only.graph.output) == 1


@pytest.mark.peers
def test_one_step_as_onnx_carries_the_state_that_a_stream_does():
    network, x = graph_of_two(), np.random.default_rng(3).normal(size=(5, 1, 3)).astype(np.float32)
    session = session_of(onnx_format.write(network, stream=True))
    states = [port.name for port in session.get_overridable_initializers()]
    stream, carried = network.stream(1), {}
    for step in x:
        y, *ends = session.run(None, {"x": step[None], **carried})
        carried = dict(zip(states, ends, strict=True))
        np.testing.assert_allclose(y[0], stream.push(step), **CLOSE)
    for name, array in stream.state.items():
        np.testing.assert_allclose(carried[name], array, **CLOSE)


def test_gates_and_old_opsets_of_a_graph_are_refused():
    with pytest.raises(OptionError, match="this network is a graph of operations"):
        onnx_format.write(graph_of_two(), gates=True)
    with pytest.raises(OptionError, match="an opset between 20 and 22, not 17"):
        onnx_format.write(graph_of_two(), opset=17)


def test_convert_and_export_write_the_whole_graph_of_a_file(here, capsys):
    onnx_format.write(graph_of_two(), "net.onnx")
    network = gw.load_network("net.onnx")
    assert isinstance(network, GraphNetwork)
    shown = output_of(capsys, "convert", "net.onnx", "-o", "again.onnx")
    assert "2 LSTMs (ONNX" in shown
    assert "the whole network" in shown
    x = np.random.default_rng(3).normal(size=(7, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(gw.load_network("again.onnx")(x)[0][0], network(x)[0][0])
    assert "net_step" in output_of(capsys, "export", "net.onnx", "-o", "net.h", "--rest", "none")
    assert "y[0..1]: flow" in (here / "net.h").read_text()
    onnx_format.write(graph_of_two(causal=False), "whole.onnx")
    assert "needs all steps at once" in refusal_of(capsys, "export", "whole.onnx", "-o", "whole.h")
    assert not (here / "whole.h").exists()
