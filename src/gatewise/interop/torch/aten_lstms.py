"""The LSTMs among ATen's operators, as nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatewise.interop import conventions
from gatewise.interop.torch.program_reader import OperatorNode, Value
from gatewise.layers import LSTM
from gatewise.network.graph import Unsupported


def lstm_of(call: OperatorNode, params: Sequence[Value], layers: int, ways: int) -> LSTM:
    """Return the LSTM of weights in ATen's order: for each layer and direction W, U, two biases, a projection."""
    if (known := call.reader.lstms.get(tuple(params))) is not None:
        return known
    each, rest = divmod(len(params), layers * ways)
    if each not in (2, 3, 4, 5) or rest:
        raise Unsupported(f"it has {len(params)} weights for {layers} layers in {ways} directions")
    arrays = [array for name in params if (array := call.build.value(name)) is not None]
    if len(arrays) < len(params):
        raise Unsupported("its weights are computed as the model runs")
    cells = []
    for start in range(0, len(arrays), each):
        weight, recurrent, *biases = arrays[start : start + each]
        projection = biases.pop() if each in (3, 5) else None
        cells.append(conventions.parameters("pytorch", weight, recurrent, biases, projection=projection))
    lstm = LSTM.from_cells([cells[at : at + ways] for at in range(0, len(cells), ways)])
    call.reader.lstms[tuple(params)] = lstm
    return lstm


def read_lstm(call: OperatorNode) -> list[Value]:
    """Return the output and the final states of stacked layers, each of which is a node."""
    if "data" in call.arguments:
        raise Unsupported("it runs over a packed sequence")
    if call.flag("train") and call.get("dropout", 0):
        raise Unsupported("it has dropout in training")
    ways, layers = 1 + call.flag("bidirectional"), int(call.needed("num_layers"))
    lstm = lstm_of(call, call.needed("params"), layers, ways)
    first = call.flag("batch_first")
    x = call.add("transpose", call.x, order=(1, 0, 2)) if first else call.x
    states = ["" if state in call.reader.zeros else state for state in call.needed("hx")]
    finals = []
    for number in range(layers):
        single = LSTM.from_cells([lstm.layers[number]]) if layers > 1 else lstm
        rows = np.arange(number * ways, (number + 1) * ways)
        initial = [state and (call.add("gather", state, rows, axis=0) if layers > 1 else state) for state in states]
        name = call.module or "lstm"
        x, h, c = call.add("lstm", x, *initial, name=f"{name}.{number}" if layers > 1 else name, lstm=single)
        finals.append((h, c))
    h, c = finals[0] if layers == 1 else (call.add("concat", *parts, axis=0) for parts in zip(*finals, strict=True))
    return [call.add("transpose", x, order=(1, 0, 2)) if first else x, h, c]


def read_lstm_cell(call: OperatorNode) -> list[Value]:
    """Return the states after one step."""
    params = [value for name in ("w_ih", "w_hh", "b_ih", "b_hh") if (value := call.get(name))]
    lstm = lstm_of(call, params, 1, 1)
    states = ["" if state in call.reader.zeros else state for state in call.needed("hx")]
    initial = [state and call.add("unsqueeze", state, axes=(0,)) for state in states]
    x = call.add("unsqueeze", call.x, axes=(0,))
    _, h, c = call.add("lstm", x, *initial, name=call.module or "lstm", lstm=lstm)
    return [call.add("squeeze", state, axes=(0,)) for state in (h, c)]
