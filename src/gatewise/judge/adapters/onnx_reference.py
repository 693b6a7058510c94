"""The reference evaluator of the package onnx."""

from typing import Any

import onnx
from onnx.reference import ReferenceEvaluator


def version() -> str:
    """Return the engine's version."""
    return str(onnx.__version__)


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of an ONNX model."""
    model = ReferenceEvaluator(onnx.load_model_from_string(arrays.pop("model").tobytes()))
    return dict(zip(settings["outputs"], model.run(settings["outputs"], arrays), strict=True))
