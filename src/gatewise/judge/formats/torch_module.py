"""A case as PyTorch's LSTM: its settings and its state dict."""

from __future__ import annotations

import numpy as np

from gatewise.diagnostics.rounding import name_of
from gatewise.interop import conventions
from gatewise.judge import designs
from gatewise.judge.designs import Design, Trial
from gatewise.judge.formats.onnx_model import require_shape
from gatewise.judge.messages import AnyArray, CaseMessage

NAME = "pytorch"
ATTRIBUTES = (
    designs.BIDIRECTIONAL,
    designs.LENGTHS,
    designs.INITIAL_H,
    designs.INITIAL_C,
    designs.BATCH_FIRST,
    designs.NO_BIAS,
    designs.LAYERS,
    designs.PROJECTION,
)
PAIRED = ATTRIBUTES
NAMES = {
    designs.LENGTHS: "packed sequences",
    designs.BATCH_FIRST: "batch_first",
    designs.NO_BIAS: "bias = False",
    designs.LAYERS: "num_layers = 2",
    designs.PROJECTION: "proj_size",
    designs.BIDIRECTIONAL: "bidirectional",
}
LABELS = NAMES
OPSETS: tuple[int, ...] = ()


def inexpressible(design: Design) -> str:
    """Return why PyTorch's LSTM cannot express a design, or nothing."""
    if beyond := sorted(design.attributes - {*ATTRIBUTES}):
        return f"PyTorch's LSTM has no {beyond[0]}"
    is_small = designs.PROJECTION in design.attributes and design.hidden_size == 1
    return "proj_size must be smaller than hidden_size" if is_small else ""


def message(trial: Trial) -> CaseMessage:
    """Return a case as the arguments of torch.nn.LSTM, its state dict and its inputs."""
    design, case = trial.design, trial.case
    dtype = np.dtype(design.dtype)
    cell = case.lstm.layers[0][0].parameters
    settings = {
        "input_size": design.input_size,
        "hidden_size": design.hidden_size,
        "num_layers": case.lstm.num_layers,
        "bias": designs.NO_BIAS not in design.attributes,
        "batch_first": designs.BATCH_FIRST in design.attributes,
        "bidirectional": case.lstm.bidirectional,
        "proj_size": 0 if cell.projection is None else cell.recurrent_size,
    }
    arrays: dict[str, AnyArray] = {}
    for number, (row, seconds) in enumerate(zip(case.lstm.layers, trial.second_bias, strict=True)):
        for ending, part, second in zip(("", "_reverse"), row, seconds, strict=False):
            p = part.parameters
            first = conventions.stacked("pytorch", p.replace(bias=p.bias - second))
            values = {"weight_ih": first.input_weight, "weight_hh": first.recurrent_weight}
            if settings["bias"]:
                values |= {
                    "bias_ih": first.bias,
                    "bias_hh": conventions.stacked("pytorch", p.replace(bias=second)).bias,
                }
            if p.projection is not None:
                values["weight_hr"] = p.projection
            arrays |= {f"state.{name}_l{number}{ending}": array.astype(dtype) for name, array in values.items()}
    x = case.x.astype(dtype)
    arrays["x"] = np.ascontiguousarray(x.swapaxes(0, 1)) if settings["batch_first"] else x
    if case.state is not None:
        for letter in "hc":
            parts = [getattr(state, letter) for row in case.state for state in row]
            arrays[f"{letter}0"] = np.stack(parts).astype(dtype)
    if trial.lengths is not None:
        arrays["lengths"] = trial.lengths.astype(np.int64)
    return CaseMessage({"arguments": settings}, arrays)


def claims(trial: Trial, outputs: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Return PyTorch's outputs under the names of the truth; ValueError if one has another shape."""
    lstm = trial.case.lstm
    steps, batch = trial.case.x.shape[:2]
    first = designs.BATCH_FIRST in trial.design.attributes
    width = lstm.output_size
    require_shape("y", outputs, (batch, steps, width) if first else (steps, batch, width))
    found = {"y": outputs["y"].swapaxes(0, 1) if first else outputs["y"]}
    for letter, size in (("h", lstm.layers[0][0].recurrent_size), ("c", lstm.hidden_size)):
        name = f"{letter}n"
        require_shape(name, outputs, (lstm.num_layers * len(lstm.directions), batch, size))
        rows = iter(outputs[name])
        for layer in range(lstm.num_layers):
            for direction in lstm.directions:
                found[name_of(name, lstm, layer, direction)] = next(rows)
    return found
