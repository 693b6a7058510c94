"""Parse an ONNX file, once its bytes have been checked against the budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, reason
from gatewise.files.budget import Budget
from gatewise.interop.containers.protobuf import shorten_message
from gatewise.interop.onnx import packages
from gatewise.interop.refusals import reading

ARRAYS = "onnx.TensorProto.raw_data"


def parse_model(source: Path, budget: Budget) -> Any:
    """Return the model of a file; tensors stored outside it are not loaded."""
    return parse_without_arrays(source, budget, "")[0]


def parse_without_arrays(source: Path, budget: Budget, arrays: str = ARRAYS) -> tuple[Any, Sequence[memoryview]]:
    """Return the model of a file, and the arrays that are kept out of it: `protobuf.restore_value` returns each."""
    onnx = packages.import_onnx()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    model = onnx.ModelProto()
    with reading(str(source)):
        budget.hold(2 * budget.size, 1, f"reading {source}")
        try:
            data = source.read_bytes()
        except OSError as problem:
            raise FileError(str(problem.strerror or problem)) from None
        if data[4:8] == b"ORTM":
            raise FileError("it is in onnxruntime's own format; give the ONNX model it was made from")
        try:
            data, kept_out = shorten_message(data, model.DESCRIPTOR, budget, arrays)
            model.ParseFromString(data)
        except UnicodeDecodeError:
            raise FileError("it is not an intact ONNX model (a name in it is not text)") from None
        except (DecodeError, RuntimeError, ValueError) as problem:
            raise FileError(f"it is not an intact ONNX model ({reason(problem)})") from None
        if not model.HasField("graph"):
            raise FileError("it is not an ONNX model: it has no graph")
    return model, kept_out
