"""The packages that read and run ONNX, which are loaded when they are needed."""

from __future__ import annotations

from typing import Any

from gatewise.errors import importing


def import_onnx() -> Any:
    """Return the package onnx; MissingExtraError if it is not installed."""
    with importing("onnx", "reading and writing ONNX files needs"):
        import onnx
    return onnx


def import_onnxruntime() -> Any:
    """Return the package onnxruntime; MissingExtraError if it is not installed."""
    with importing("onnxruntime", "running an ONNX model needs"):
        import onnxruntime
    return onnxruntime
