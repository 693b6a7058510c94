"""The node tests of the package onnx: read as graphs, and run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop.onnx.file import OnnxFile
from gatewise.interop.onnx.graph_reader import graph_of_model
from gatewise.interop.onnx.reading import input_array
from gatewise.network import running


class Outcome(NamedTuple):
    """What became of a test: exact, wrong or refused, and why."""

    kind: str
    why: str = ""


def outcome_of(case: Any) -> Outcome:
    """Run a test of onnx's with its inputs as they come or, if that is refused, with all but the first as constants."""
    model = case.model
    names = [proto.name for proto in model.graph.input]
    for inputs, outputs in case.data_sets:
        inputs = dict(zip(names, inputs, strict=False))
        fixed = {name: inputs[name] for name in names[1:]}
        for given in ({}, fixed):
            try:
                got = run_case(model, {name: inputs[name] for name in names if name not in given}, given)
                break
            except gw.GatewiseError as problem:
                refusal = Outcome("refused", str(problem))
        else:
            return refusal
        for a, b in zip(got, outputs, strict=True):
            if not close(a, np.asarray(b), case.rtol, case.atol):
                return Outcome("wrong", f"{a.dtype} {a.shape} {a.ravel()[:5]}, not {b.dtype} {b.shape} {b.ravel()[:5]}")
    return Outcome("exact")


def run_case(model: Any, inputs: dict[str, Any], given: dict[str, Any]) -> Sequence[Any]:
    arrays = {name: input_array(name, array) for name, array in given.items()}
    graph = graph_of_model(OnnxFile(model, None, arrays, Budget(model.ByteSize())))
    return running.run(graph, running.feeds_of(graph, (), inputs))


def close(a: Any, b: Any, rtol: float, atol: float) -> bool:
    """Say whether two arrays are equal in type and shape, and as equal in numbers as the test asks for."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    return np.allclose(a.astype(float), b.astype(float), rtol=rtol, atol=atol, equal_nan=True)
