"""A problem as an ONNX model, for the runtimes that read one."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.problems import Problem


def build(problem: Problem) -> bytes:
    """Return a model of one LSTM: inputs x, h, c; outputs y (time, 1, batch, hidden), h and c after the last step."""
    case = problem.case
    inputs, recurrent, bias = problem.stacked("iofg")
    state = (1, case.batch, case.hidden_size)
    shapes = {
        "x": problem.x.shape,
        "h": state,
        "c": state,
        "y": (case.time, *state),
        "last_h": state,
        "last_c": state,
    }
    declared = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    weights = {"inputs": inputs, "recurrent": recurrent, "bias": np.concatenate([bias, np.zeros_like(bias)])}
    node = helper.make_node(
        "LSTM",
        ["x", *weights, "", "h", "c"],
        ["y", "last_h", "last_c"],
        hidden_size=case.hidden_size,
    )
    graph = helper.make_graph(
        [node],
        "lstm",
        [declared[name] for name in ("x", "h", "c")],
        [declared[name] for name in ("y", "last_h", "last_c")],
        [numpy_helper.from_array(array[None], name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
