"""A case as a stack of Keras' layers LSTM and Bidirectional: their settings and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.diagnostics.rounding import name_of
from gatewise.interop.keras.writing import NAMES as ACTIVATION_NAMES
from gatewise.interop.keras.writing import arrays as keras_arrays
from gatewise.judge import designs
from gatewise.judge.designs import Design, Trial
from gatewise.judge.formats.onnx_model import require_shape
from gatewise.judge.messages import AnyArray, CaseMessage

NAME = "keras"
_GATES = ("HardSigmoid of slope 1/6", "Relu", "Softsign", "Softplus", "Elu", "Tanh")
ATTRIBUTES = (
    designs.REVERSE,
    designs.BIDIRECTIONAL,
    designs.LENGTHS,
    designs.EMPTY,
    designs.INITIAL_H,
    designs.INITIAL_C,
    designs.NO_BIAS,
    designs.LAYERS,
    *designs.activation_attributes(_GATES, ["f"]),
    *designs.activation_attributes(("Sigmoid", "Relu", "Softsign", "Softplus", "Elu"), ["g and h"]),
)
PAIRED = (
    *(attribute for attribute in ATTRIBUTES if attribute[:4] not in ("f = ", "g an")),
    "f = HardSigmoid of slope 1/6",
    "g and h = Softsign",
)
NAMES = {
    designs.REVERSE: "go_backwards",
    designs.BIDIRECTIONAL: "Bidirectional",
    designs.LENGTHS: "mask",
    designs.EMPTY: "mask of no step",
    designs.INITIAL_H: "initial_state h",
    designs.INITIAL_C: "initial_state c",
    designs.NO_BIAS: "use_bias = False",
}
NAMES |= {
    attribute: attribute.replace("f = ", "recurrent_activation = ").replace("g and h = ", "activation = ")
    for attribute in ATTRIBUTES
    if attribute[:4] in ("f = ", "g an")
}
LABELS = NAMES
OPSETS: tuple[int, ...] = ()


def inexpressible(design: Design) -> str:
    """Return why Keras' layers cannot express a design, or nothing."""
    beyond = sorted(design.attributes - {*ATTRIBUTES})
    if beyond:
        return f"Keras' LSTM has no {beyond[0]}"
    if design.attributes & {designs.LENGTHS, designs.EMPTY} and design.attributes & {designs.LAYERS, designs.REVERSE}:
        return "Keras repeats the last output at masked steps, which the next layer reads"
    return ""


def activation_name(activation: Activation) -> str:
    """Return Keras' name of an activation."""
    return ACTIVATION_NAMES[activation]


def message(trial: Trial) -> CaseMessage:
    """Return a case as the settings and weights of Keras' layers, and its inputs with the batch first."""
    design, case = trial.design, trial.case
    dtype = np.dtype(design.dtype)
    settings: dict[str, Any] = {
        "units": design.hidden_size,
        "bidirectional": case.lstm.bidirectional,
        "layers": case.lstm.num_layers,
        "go_backwards": case.lstm.directions == ("backward",),
        "use_bias": designs.NO_BIAS not in design.attributes,
        "dtype": design.dtype,
    }
    variant = case.lstm.layers[0][0].variant
    settings["activation"] = activation_name(variant.activation("g"))
    settings["recurrent_activation"] = activation_name(variant.activation("i"))
    arrays: dict[str, AnyArray] = {"x": np.ascontiguousarray(case.x.astype(dtype).swapaxes(0, 1))}
    for number, row in enumerate(case.lstm.layers):
        weights = [array for cell in row for array in keras_arrays(cell)[: 3 if settings["use_bias"] else 2]]
        arrays |= {f"w{number}_{place}": array.astype(dtype) for place, array in enumerate(weights)}
    if case.state is not None:
        for number, states in enumerate(case.state):
            parts = [part for state in states for part in (state.h, state.c)]
            arrays |= {f"s{number}_{place}": part.astype(dtype) for place, part in enumerate(parts)}
    if case.valid is not None:
        arrays["mask"] = np.ascontiguousarray(case.valid.T)
    return CaseMessage(settings, arrays)


def claims(trial: Trial, outputs: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Return Keras' outputs under the names of the truth; ValueError if one has another shape."""
    lstm = trial.case.lstm
    steps, batch = trial.case.x.shape[:2]
    require_shape("y", outputs, (batch, steps, lstm.output_size))
    y = outputs["y"].swapaxes(0, 1)
    if trial.case.valid is not None:  # there Keras repeats the last output
        y = np.where(trial.case.valid[:, :, None], y, 0)
    found = {"y": y}
    for layer in range(lstm.num_layers):
        for place, direction in enumerate(lstm.directions):
            for part, letter in enumerate("hc"):
                name = f"s{layer}_{2 * place + part}"
                require_shape(name, outputs, (batch, lstm.hidden_size))
                found[name_of(f"{letter}n", lstm, layer, direction)] = outputs[name]
    return found
