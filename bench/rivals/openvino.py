"""OpenVINO, forced to float32 (it may compute in bf16 by default), with shared tensors."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import openvino as ov

from bench import onnx_model
from bench.problems import Array, Problem, Run, Way
from bench.start import starting

START = """
import numpy as np, openvino as ov
state = np.zeros((1, 1, 32), np.float32)
ov.Core().compile_model("lstm.onnx", "CPU")({"x": np.zeros((1, 1, 8), np.float32), "h": state, "c": state})
"""


def version() -> str:
    """Return the version."""
    return ov.__version__


def _compiled(problem: Problem) -> ov.CompiledModel:
    core = ov.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": problem.threads,
        "NUM_STREAMS": 1,
    }
    return core.compile_model(core.read_model(onnx_model.build(problem)), "CPU", options)


def _request(compiled: ov.CompiledModel, **arrays: Array) -> ov.InferRequest:
    request = compiled.create_infer_request()
    for name, array in arrays.items():
        request.set_tensor(name, ov.Tensor(array, shared_memory=True))
    return request


def stream(problem: Problem) -> Run:
    """Two alternating requests: the output of one is the input of the other."""
    compiled = _compiled(problem)
    here = [problem.h[None].copy(), problem.c[None].copy()]
    there = [array.copy() for array in here]
    turns = cycle(
        (_request(compiled, x=problem.x, h=one[0], c=one[1], last_h=other[0], last_c=other[1]), other[0])
        for one, other in ((here, there), (there, here))
    )
    last = there[0]

    def call() -> None:
        nonlocal last
        request, last = next(turns)
        request.infer(share_outputs=True)

    return Run(call, lambda: {"y": last}, keeps=(problem, here, there))


def infer(problem: Problem) -> Run:
    """A whole sequence."""
    y = np.empty((problem.case.time, 1, *problem.h.shape), np.float32)
    request = _request(_compiled(problem), x=problem.x, h=problem.h[None], c=problem.c[None], y=y)
    return Run(lambda: request.infer(share_outputs=True), lambda: {"y": y[:, 0]}, keeps=problem)


WAYS = (
    Way("OpenVINO", "stream", stream),
    Way("OpenVINO", "infer", infer),
    Way("OpenVINO untraced", "trace", infer, "untraced"),
    Way("OpenVINO", "start", starting(START, "openvino", lambda p: {"lstm.onnx": onnx_model.build(p)})),
)
