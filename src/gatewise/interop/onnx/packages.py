"""The packages that read and run ONNX, which are loaded when they are needed."""

from __future__ import annotations

from typing import Any

from gatewise.errors import MissingExtraError


def reader() -> Any:
    """Return the package onnx.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise _missing("onnx") from None
    return onnx


def runtime() -> Any:
    """Return the package onnxruntime.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise _missing("onnxruntime") from None
    return onnxruntime


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(f"this needs the package {package}, which is not installed: pip install {package}")
