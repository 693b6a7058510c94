"""onnxruntime and OpenVINO, live: whole networks that gatewise writes run there as in gatewise."""

from __future__ import annotations

import io

import numpy as np
import pytest
from peers.onnx_running import CLOSE, ask
from written_networks import FACTORS, NODES, hold, networks

import gatewise as gw

openvino = pytest.importorskip("openvino")
pytestmark = pytest.mark.peers


def precision(case):
    """Return the precision in which onnxruntime has the operators of a case: only single for an LSTM and for erf."""
    has_erf = case["head"] == "gelu" or case["before"] == "some features"
    return case["dtype"] if case["gates"] and not has_erf else "float32"


@networks(dtype=precision)
def test_a_written_network_runs_in_onnxruntime_and_is_what_is_read(case, tmp_path):
    network, model, x = hold(case, ask, CLOSE if case["dtype"] == "float32" else 1e-10)
    if case["variant"] not in NODES or case["dtype"] == "float64":
        return
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    if case["gates"] and case["variant"] != "plain":
        return  # where a layer is a Scan, it is none that is recognised
    back = gw.load_network(tmp_path / "model.onnx", strict=True)
    steps = network.replace(reads="every") if case["stream"] else network
    np.testing.assert_allclose(back(x)[0], steps(x)[0], rtol=0, atol=1e-6 * (1 + np.abs(steps(x)[0]).max()))


def ask_openvino(model, inputs):
    """Return OpenVINO's answers by their names, computed in 32 bits."""
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(io.BytesIO(model.SerializeToString())),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1},
    )
    answers = compiled(inputs)
    return {value.name: answers[value.name] for value in model.graph.output}


# Its LSTM has neither peepholes nor other nonlinearities, and ignores `input_forget`.
OPENVINO = ("plain", "gate clip", "cell clip", "selu, softplus")


@networks(FACTORS | {"variant": OPENVINO, "dtype": ("float32",)})
def test_a_written_network_runs_in_openvino(case):
    hold(case, ask_openvino, CLOSE)
