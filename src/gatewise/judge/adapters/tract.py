"""tract, Sonos' inference engine in Rust, on the CPU."""

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tract


def version() -> str:
    """Return the engine's version."""
    return importlib.metadata.version("tract")


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of an ONNX model, whose inputs are passed in its order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(arrays.pop("model").tobytes())
        model = tract.onnx().load(path)
    inputs = [arrays[model.input_name(place)] for place in range(model.input_count())]
    results = model.into_model().into_runnable().run(inputs)
    return {n: np.array(result.to_numpy()) for n, result in zip(settings["outputs"], results, strict=True)}
