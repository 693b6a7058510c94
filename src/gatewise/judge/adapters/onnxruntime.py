"""onnxruntime, on the CPU."""

from typing import Any

import numpy as np
import onnxruntime

_OPTIONS = onnxruntime.SessionOptions()
_OPTIONS.intra_op_num_threads = 1
_OPTIONS.log_severity_level = 4


def version() -> str:
    """Return the engine's version."""
    return str(onnxruntime.__version__)


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of an ONNX model."""
    model = arrays.pop("model").tobytes()
    session = onnxruntime.InferenceSession(model, _OPTIONS, providers=["CPUExecutionProvider"])
    return dict(zip(settings["outputs"], map(np.asarray, session.run(settings["outputs"], arrays)), strict=True))
