"""A case as an ONNX model: a single node LSTM, or the network that gatewise writes for two layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.diagnostics.rounding import name_of
from gatewise.interop.onnx.building import GraphWriter
from gatewise.interop.onnx.lstm import ACTIVATIONS
from gatewise.interop.onnx.writing import model_of, node_arrays, node_attributes
from gatewise.judge import designs
from gatewise.judge.designs import Design, Trial
from gatewise.judge.messages import AnyArray, CaseMessage

NAME = "onnx"
OUTPUTS = ("Y", "Y_h", "Y_c")
DEFAULT_ACTIVATIONS = ["Sigmoid", "Tanh", "Tanh"]
ATTRIBUTES = (
    designs.CLIP,
    designs.COUPLED,
    designs.PEEPHOLES,
    designs.REVERSE,
    designs.BIDIRECTIONAL,
    designs.LENGTHS,
    designs.EMPTY,
    designs.INITIAL_H,
    designs.INITIAL_C,
    designs.BATCH_FIRST,
    designs.NO_BIAS,
    designs.LAYERS,
    *designs.ONNX_ACTIVATIONS,
)
PAIRED = (  # one activation for each slot stands for all
    *(attribute for attribute in ATTRIBUTES if attribute not in (*designs.ONNX_ACTIVATIONS, designs.LAYERS)),
    "f = HardSigmoid with alpha, beta",
    "g = LeakyRelu with alpha",
    "h = Relu",
)
NAMES = {designs.LENGTHS: "sequence_lens", designs.EMPTY: "sequence_lens with 0", designs.BATCH_FIRST: "layout = 1"}
LABELS = NAMES | {  # of the rows of the table
    attribute: f"activation {attribute.partition(' = ')[2].partition(' with')[0]}"
    for attribute in designs.ONNX_ACTIVATIONS
}
_NOT_IN_NETWORKS = {designs.LENGTHS, designs.EMPTY, designs.BATCH_FIRST, designs.NO_BIAS, designs.REVERSE}
OPSETS = (7, 13, 14, 21, 22)


def inexpressible(design: Design) -> str:
    """Return why ONNX cannot express a design, or nothing."""
    if beyond := sorted(design.attributes - {*ATTRIBUTES}):
        return f"ONNX's operator LSTM has no {beyond[0]}"
    if designs.BATCH_FIRST in design.attributes and design.opset < 14:
        return "the attribute layout came with opset 14"
    if designs.LAYERS in design.attributes and design.attributes & _NOT_IN_NETWORKS:
        return "networks are written without lengths"
    return ""


def message(trial: Trial, *, outputs: tuple[str, ...] = OUTPUTS, stored: bool = False) -> CaseMessage:
    """Return a case as a model's bytes and its inputs; `stored` puts all but X into the model."""
    design = trial.design
    dtype = np.dtype(design.dtype)
    x = trial.case.x.astype(dtype)
    if designs.LAYERS in design.attributes:
        model, states = _network(trial, dtype)
        return _packed(model, {"X": x} | states, stored=stored)
    graph = GraphWriter(dtype)
    steps, batch, features = x.shape
    first = designs.BATCH_FIRST in design.attributes
    graph.input("X", [batch, steps, features] if first else [steps, batch, features])
    inputs: dict[str, AnyArray] = {"X": x.swapaxes(0, 1) if first else x}
    (row,), (second,) = trial.case.lstm.layers, trial.second_bias
    cells = [cell.parameters for cell in row]
    arrays = node_arrays(
        [p.replace(bias=p.bias - other) for p, other in zip(cells, second, strict=True)], np.zeros_like
    )
    others = node_arrays([p.replace(bias=other) for p, other in zip(cells, second, strict=True)], np.zeros_like)
    half = arrays["B"].shape[1] // 2
    arrays["B"][:, half:] = others["B"][:, :half]
    if designs.NO_BIAS in design.attributes:
        del arrays["B"]
    names = {name: graph.constant(array, name) for name, array in arrays.items()}
    hidden, count = design.hidden_size, len(cells)
    if trial.lengths is not None:
        inputs["sequence_lens"] = trial.lengths.astype(np.int32)
        names["sequence_lens"] = graph.input("sequence_lens", [batch], np.int32)
    for letter in "hc":
        name = f"initial_{letter}"
        if name in design.attributes and trial.case.state is not None:
            state = np.stack([getattr(part, letter) for part in trial.case.state[0]]).astype(dtype)
            inputs[name] = state.swapaxes(0, 1) if first else state
            names[name] = graph.input(name, [batch, count, hidden] if first else [count, batch, hidden])
    roles = ["W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    operands = ["X", *(names.get(role, "") for role in roles)]
    while not operands[-1]:
        operands.pop()
    attributes = node_attributes(trial.case.lstm)
    if attributes["activations"] == DEFAULT_ACTIVATIONS * count:
        del attributes["activations"]
    elif _has_default_constants(attributes):
        attributes.pop("activation_alpha", None)
        attributes.pop("activation_beta", None)
    if first:
        attributes["layout"] = 1
    graph.node("LSTM", operands, *outputs, name="lstm", **attributes)
    shapes: dict[str, list[str | int]] = {
        "Y": [batch, steps, count, hidden] if first else [steps, count, batch, hidden],
        **dict.fromkeys(("Y_h", "Y_c"), [batch, count, hidden] if first else [count, batch, hidden]),
    }
    for name in outputs:
        graph.output(name, shapes[name])
    return _packed(graph.model(design.opset), inputs, stored=stored)


def _has_default_constants(attributes: dict[str, Any]) -> bool:
    given = {letter: list(attributes.get(f"activation_{letter}", [])) for letter in ("alpha", "beta")}
    for name in attributes["activations"]:
        for letter, default in ACTIVATIONS[name][1].items():
            if not given[letter] or given[letter].pop(0) != default:
                return False
    return True


def _network(trial: Trial, dtype: Any) -> tuple[Any, dict[str, AnyArray]]:
    """Return the model that gatewise writes for several layers, and its initial states."""
    lstm = trial.case.lstm.astype(dtype)
    state = lstm.zero_state(trial.case.x.shape[1]) if trial.case.state is None else trial.case.state
    model = model_of(lstm, gates=False, stream=False, opset=max(14, trial.design.opset))
    inputs = {
        f"{letter}0_{layer}": np.stack([getattr(part, letter) for part in row]).astype(dtype)
        for layer, row in enumerate(state)
        for letter in "hc"
    }
    return model, inputs


def _packed(model: Any, inputs: dict[str, AnyArray], *, stored: bool) -> CaseMessage:
    """Return a model and its inputs as a message; `stored` makes initializers of all inputs but X."""
    from onnx import numpy_helper

    if stored:
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in inputs.items() if name != "X"
        )
        kept = [value for value in model.graph.input if value.name == "X"]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        inputs = {"X": inputs["X"]}
    names = [value.name for value in model.graph.output]
    data = np.frombuffer(model.SerializeToString(), np.uint8)
    return CaseMessage({"outputs": names}, {"model": data, **inputs})


def claims(trial: Trial, outputs: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Return an engine's outputs under the names of the truth.

    Raises
    ------
    ValueError
        If an output has another shape than ONNX says.
    """
    case, design, found = trial.case, trial.design, dict[str, AnyArray]()
    steps, batch = case.x.shape[:2]
    count, hidden = len(case.lstm.directions), design.hidden_size
    if designs.LAYERS in design.attributes:
        require_shape("Y", outputs, (steps, batch, count * hidden))
        found["y"] = outputs["Y"]
        states = {f"{letter}n_{layer}": (letter, layer) for layer in range(case.lstm.num_layers) for letter in "hc"}
        for name, (letter, layer) in states.items():
            require_shape(name, outputs, (count, batch, hidden))
            for place, direction in enumerate(case.lstm.directions):
                found[name_of(f"{letter}n", case.lstm, layer, direction)] = outputs[name][place]
        return found
    first = designs.BATCH_FIRST in design.attributes
    require_shape("Y", outputs, (batch, steps, count, hidden) if first else (steps, count, batch, hidden))
    y = outputs["Y"].transpose((1, 0, 2, 3) if first else (0, 2, 1, 3))
    found["y"] = y.reshape(steps, batch, count * hidden)
    for name, letter in (("Y_h", "h"), ("Y_c", "c")):
        if name in outputs:
            require_shape(name, outputs, (batch, count, hidden) if first else (count, batch, hidden))
            for place, direction in enumerate(case.lstm.directions):
                part = outputs[name][:, place] if first else outputs[name][place]
                found[name_of(f"{letter}n", case.lstm, 0, direction)] = part
    return found


def require_shape(name: str, outputs: dict[str, AnyArray], shape: tuple[int, ...]) -> None:
    """Raise ValueError if an output is missing or has another shape."""
    if name not in outputs:
        raise ValueError(f"the output {name} is missing")
    if outputs[name].shape != shape:
        raise ValueError(f"{name} has shape {outputs[name].shape}; it must be {shape}")
