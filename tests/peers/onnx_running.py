"""onnxruntime on one thread, and what a written model is given."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.interop import onnx as gw_onnx
from tests.test_states import drawn

runtime = pytest.importorskip("onnxruntime")

CLOSE = 2e-5  # float32, two runtimes that sum in different orders


def session(model):
    """Return a session on one thread, without a word."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    data = model if isinstance(model, str) else model.SerializeToString()
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def ask(model, inputs):
    """Return onnxruntime's answers by their names."""
    live = session(model)
    names = [one.name for one in live.get_outputs()]
    wanted = {one.name for one in live.get_inputs()}
    return dict(zip(names, live.run(None, {k: v for k, v in inputs.items() if k in wanted}), strict=True))


def ends_of(lstm):
    """Return what a written model puts behind the names of a layer's states, layer by layer."""
    return [f"_{layer}" for layer in range(lstm.num_layers)] if lstm.num_layers > 1 else [""]


def inputs_of(lstm, rng, time=5, batch=3):
    """Return a model's inputs by their names, and the state that they make."""
    given, state = {"X": rng.normal(size=(time, batch, lstm.input_size)).astype(lstm.dtype)}, drawn(lstm, batch, rng)
    for end, (h, c) in zip(ends_of(lstm), gw_onnx.write_state(state), strict=True):
        given |= {f"h0{end}": h, f"c0{end}": c}
    return given, state


def lstm_of(variant, *, projection=None, directions=1, layers=1, merge="concat", direction="forward", dtype="float32"):
    rng = np.random.default_rng(7)
    rows, inputs = [], 3
    for layer in range(layers):
        row = [
            cases.parameters(
                cases.VARIANTS[variant], rng, inputs=inputs, projection=projection, dtype=np.dtype(dtype).type
            )
            for _ in range(directions)
        ]
        rows.append([gw.LSTMCell.from_parameters(p) for p in row])
        out = row[0].recurrent_size
        inputs = out * (directions if merge == "concat" or layer + 1 == layers else 1)
    ways = merge if merge != "none" else ["concat"] * (layers - 1) + ["none"]
    return gw.LSTM.from_cells(rows, direction=direction, merge=ways)


def weights(rng, *names, inputs=3):
    return {name: rng.normal(0, 0.5, (1, 12, 3 if "r" in name else inputs)).astype(np.float32) for name in names}
