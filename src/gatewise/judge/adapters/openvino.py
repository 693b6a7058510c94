"""OpenVINO, on the CPU, in float32."""

from typing import Any

import numpy as np
import openvino

_CORE = openvino.Core()
_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def version() -> str:
    """Return the engine's version."""
    return str(openvino.__version__).partition("-")[0]


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of an ONNX model."""
    model = _CORE.read_model(arrays.pop("model").tobytes())
    results = _CORE.compile_model(model, "CPU", _FLOAT32)(arrays)
    return {name: np.array(results[name]) for name in settings["outputs"]}
