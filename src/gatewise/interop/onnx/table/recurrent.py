"""ONNX's operator LSTM, and onnxruntime's quantised one, as nodes of a graph."""

from __future__ import annotations

import numpy as np

from gatewise.interop.onnx.file import AnyArray
from gatewise.interop.onnx.lstm import lstm_of
from gatewise.interop.onnx.scopes import INPUTS
from gatewise.interop.onnx.table.call import FileNode, Values, reads
from gatewise.network.graph import Unsupported


class LstmNode:
    """A node LSTM as `gatewise.interop.onnx.lstm` reads it: its weights are arrays in the builder."""

    def __init__(self, call: FileNode) -> None:
        self.call, self.attributes, self.operator = call, call.attributes, call.proto.op_type
        self.file = call.scope.file

    def constant(self, role: str) -> AnyArray | None:
        """Return the array of an input by its role, such as W; None where it is left out."""
        return self.call.constant(INPUTS.index(role), role)


@reads("LSTM", "com.microsoft.DynamicQuantizeLSTM")
def read_lstm(call: FileNode) -> Values:
    """Return y (time, direction, batch, ·), and the final h and c (direction, batch, ·), on the axes of its layout."""
    merge = "none" if call.attributes.get("direction", "s") == b"bidirectional" else "concat"
    lstm, batch_first = lstm_of(LstmNode(call), [], merge)
    call.ignore(*call.attributes.names())  # which were read, or refused
    x, lengths, h, c = (call.input(INPUTS.index(role)) for role in ("X", "sequence_lens", "initial_h", "initial_c"))
    for name, state in (("initial_h", h), ("initial_c", c)):
        array = call.build.value(state)
        if array is not None and (array.ndim != 3 or array.shape[2] != lstm.hidden_size):
            raise Unsupported(f"its {name} has shape {array.shape}; it has {lstm.hidden_size} units")
    if batch_first:
        x, h, c = (call.add("swap", value, first=0, second=1) if value else "" for value in (x, h, c))
    h, c = ("" if _is_zeros(call, item) else item for item in (h, c))
    y, h, c = call.add("lstm", x, h, c, lengths, lstm=lstm, name=call.label)
    if len(lstm.directions) == 2:
        y = call.add("transpose", y, order=(1, 0, 2, 3) if batch_first else (0, 2, 1, 3))
    elif batch_first:
        y = call.add("unsqueeze", call.add("swap", y, first=0, second=1), axes=(2,))
    else:
        y = call.add("unsqueeze", y, axes=(1,))
    if batch_first:
        h, c = (call.add("swap", state, first=0, second=1) for state in (h, c))
    return [y, h, c]


def _is_zeros(call: FileNode, state: str) -> bool:
    """Say whether an initial state is zeros for one sequence or several, which is none."""
    array = call.build.value(state)
    return array is not None and not np.any(array)
