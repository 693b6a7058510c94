"""The graph of a network that is built from parts: an LSTM with what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.layers import LSTM
from gatewise.network.dense import SOFTMAX, Linear
from gatewise.network.graph import Builder, Graph
from gatewise.network.network import Network

OPERATIONS = {"exponential": "exp"}  # of activations whose operation has another name
SETTINGS = {  # of activations: the constants that their operation has
    **dict.fromkeys(("leaky_relu", "elu", "thresholded_relu"), ("alpha",)),
    **dict.fromkeys(("hard_sigmoid", "scaled_tanh", "affine"), ("alpha", "beta")),
    "selu": ("alpha", "gamma"),
}


def graph_of(network: Network) -> Graph:
    """Return the graph of a network of parts; its axes are (time, batch, feature), and it computes the same bits.

    Windows and labels are not part of it.
    """
    build, dtype = Builder(), network.lstm.dtype.name
    x, scaled, features = _before_lstm(build, network, dtype)
    valid = _valid_steps(build, network, x, dtype)
    y, h = _lstm(build, network, features, valid)
    if network.reads == "last":
        y = _merged(build, h, network.lstm)
    y = _chain(build, y, network.dense, "head")
    if network.skip:
        added = build.add("slice", scaled, _ints(0), _ints(network.skip), _ints(-1), _ints(1), name="skip.features")
        y = build.add("add", y, added, name="skip")
    if network.outputs is not None:
        scaling = network.outputs
        with build.layer("outputs"):
            y = build.add("mul", build.add("cast", y, dtype="float64"), scaling.scale)
            y = build.add("add", y, scaling.center)
            if scaling.least is not None:
                y = build.add("maximum", y, scaling.least)
            y = build.add("cast", y, dtype=dtype, name="outputs")
    return build.graph([y], names=["y"])


def _ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def _before_lstm(build: Builder, network: Network, dtype: str) -> tuple[str, str, str]:
    """Add what is before the LSTM; return the input, the scaled features, and what the LSTM reads."""
    if network.embedding is not None:
        x = build.input("x", (None, None), np.int64)
        return (
            x,
            x,
            build.add("gather", build.constant(network.embedding, "embedding.weight"), x, axis=0, name="embedding"),
        )
    kind = dtype if network.inputs is None else "float64"
    x = scaled = build.input("x", (None, None, network.num_features), kind)
    if network.inputs is not None:
        with build.layer("inputs"):
            centred = build.add("sub", x, network.inputs.center)
            scaled = build.add("cast", build.add("div", centred, network.inputs.scale), dtype=dtype, name="inputs")
    ends = []
    for place, branch in enumerate(network.branches):
        stem = f"branches.{place}"
        used = build.add("gather", scaled, _ints(*branch.features), axis=-1, name=f"{stem}.features")
        ends.append(_chain(build, used, branch.layers, stem))
    joined = build.add("concat", *ends, axis=-1, name="branches") if ends else scaled
    return x, scaled, joined


def _valid_steps(build: Builder, network: Network, x: str, dtype: str) -> str:
    """Add the mask of steps that are valid; empty if all are."""
    if network.masked is None:
        return ""
    with build.layer("masked"):
        if network.embedding is not None:
            return build.add("not", build.add("equal", x, np.asarray(network.masked)), name="masked")  # type: ignore[no-any-return]
        same = build.add("equal", x, np.asarray(network.masked, dtype))
        return build.add("not", build.add("reduce_all", same, axes=(-1,)), name="masked")  # type: ignore[no-any-return]


def _lstm(build: Builder, network: Network, y: str, valid: str) -> tuple[str, str]:
    """Add the LSTM, a node for each layer; return its output, and the final hidden states of the last layer."""
    lstm, h = network.lstm, ""
    with build.layer("lstm"):
        for place, (row, merge) in enumerate(zip(lstm.layers, lstm.merge, strict=True)):
            layer = LSTM.from_cells([row], direction=lstm.directions[0], merge=merge)
            states: list[Any] = ["", ""]
            if network.initial is not None:
                pairs = zip(*network.initial[place], strict=True)
                states = [np.stack(parts)[:, None] for parts in pairs]
            name = f"lstm.{place}" if lstm.num_layers > 1 else "lstm"
            settings: dict[str, Any] = {"lstm": layer, "masked_output": network.masked_output}
            y, h, _ = build.add("lstm", y, *states, valid, name=name, **settings)
    return y, h


def _merged(build: Builder, h: str, lstm: LSTM) -> str:
    """Add the merge of the final hidden states of the directions."""
    how = lstm.merge[-1]
    with build.layer("last"):
        ends = [build.add("gather", h, np.int64(place), axis=0) for place in range(len(lstm.directions))]
        if len(ends) == 1:
            return ends[0]  # type: ignore[no-any-return]
        if how in ("concat", "none"):
            op, axis = ("concat", -1) if how == "concat" else ("stack", -2)
            return build.add(op, *ends, axis=axis, name="last")  # type: ignore[no-any-return]
        y = build.add("mul" if how == "mul" else "add", *ends)
        return build.add("div", y, np.asarray(2, lstm.dtype), name="last") if how == "average" else y  # type: ignore[no-any-return]


def _chain(build: Builder, y: str, layers: Sequence[Linear], name: str) -> str:
    """Add dense layers one after another."""
    for place, layer in enumerate(layers):
        stem = f"{name}.{place}"
        with build.layer(stem):
            arrays = build.constant(layer.weight, f"{stem}.weight"), build.constant(layer.bias, f"{stem}.bias")
            y = build.add("linear", y, *arrays, name=f"{stem}.linear" if layer.activation is not None else stem)
            how = layer.activation
            if how == SOFTMAX:
                y = build.add("softmax", y, axis=-1, name=stem)
            elif isinstance(how, Activation):
                names = SETTINGS.get(how.name, ())
                values: dict[str, Any] = {
                    constant: how.beta if constant == "gamma" else getattr(how, constant) for constant in names
                }
                y = build.add(OPERATIONS.get(how.name, how.name), y, name=stem, **values)
            elif how is not None:
                y = build.add(how, y, name=stem)
    return y
