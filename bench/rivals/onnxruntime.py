"""onnxruntime, with every input and output bound in advance."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import onnxruntime as ort

from bench import onnx_model
from bench.problems import Answer, Array, Problem, Run, Way
from bench.start import starting

START = """
import numpy as np, onnxruntime as ort
state = np.zeros((1, 1, 32), np.float32)
ort.InferenceSession("lstm.onnx").run(None, {"x": np.zeros((1, 1, 8), np.float32), "h": state, "c": state})
"""


def version() -> str:
    """Return the version."""
    return ort.__version__


def _session(problem: Problem) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = problem.threads, 1
    return ort.InferenceSession(onnx_model.build(problem), options, providers=["CPUExecutionProvider"])


def _bound(session: ort.InferenceSession, **values: ort.OrtValue) -> ort.IOBinding:
    binding = session.io_binding()
    for put in session.get_inputs():
        binding.bind_ortvalue_input(put.name, values[put.name])
    for put in session.get_outputs():
        if put.name in values:
            binding.bind_ortvalue_output(put.name, values[put.name])
    return binding


def _value(array: Array) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def stream(problem: Problem) -> Run:
    """Two alternating bindings: the output of one is the input of the other."""
    session, x = _session(problem), _value(problem.x)
    here = [_value(problem.h[None]), _value(problem.c[None])]
    there = [_value(problem.h[None].copy()), _value(problem.c[None].copy())]
    turns = cycle(
        (_bound(session, x=x, h=one[0], c=one[1], last_h=other[0], last_c=other[1]), other[0])
        for one, other in ((here, there), (there, here))
    )
    last = there[0]

    def call() -> None:
        nonlocal last
        binding, last = next(turns)
        session.run_with_iobinding(binding)

    return Run(call, lambda: {"y": last.numpy()}, keeps=(x, here, there))


def infer(problem: Problem) -> Run:
    """A whole sequence."""
    session = _session(problem)
    y = _value(np.empty((problem.case.time, 1, *problem.h.shape), np.float32))
    given = {"x": _value(problem.x), "h": _value(problem.h[None]), "c": _value(problem.c[None])}
    binding = _bound(session, **given, y=y)

    def answer() -> Answer:
        return {"y": y.numpy()[:, 0]}

    return Run(lambda: session.run_with_iobinding(binding), answer, keeps=given)


WAYS = (
    Way("onnxruntime", "stream", stream),
    Way("onnxruntime", "infer", infer),
    Way("onnxruntime untraced", "trace", infer, "untraced"),
    Way("onnxruntime", "start", starting(START, "onnxruntime", lambda p: {"lstm.onnx": onnx_model.build(p)})),
)
