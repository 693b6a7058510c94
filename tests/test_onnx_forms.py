"""Networks that are graphs, written as ONNX: onnxruntime computes the same, operation by operation."""

from __future__ import annotations

import numpy as np
import pytest
from operation_examples import EXAMPLES, Example

from gatewise.errors import OptionError
from gatewise.interop import onnx as onnx_format
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.operations import OPERATIONS

ort = pytest.importorskip("onnxruntime")

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


def answers(model, inputs):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def test_every_operation_has_a_form_in_onnx():
    assert {name for name, row in OPERATIONS.items() if row.onnx is None and name != "lstm"} == WITHOUT


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
