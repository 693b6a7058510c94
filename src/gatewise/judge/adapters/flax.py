"""Flax' LSTM on JAX: `OptimizedLSTMCell` in `RNN` and `Bidirectional`, on the CPU."""

from typing import Any

import flax
import jax
import numpy as np
from flax import linen

jax.config.update("jax_enable_x64", True)


def version() -> str:
    """Return the engine's version."""
    return f"{flax.__version__} (JAX {jax.__version__})"


def cell_parameters(arrays: dict[str, Any], ending: str) -> dict[str, Any]:
    """Return the parameters of a cell; Flax has one bias, and the units on the last axis."""
    parameters = {}
    weights = [np.split(arrays[f"state.weight_{kind}_{ending}"], 4) for kind in ("ih", "hh")]
    bias = sum(
        arrays[f"state.bias_{kind}_{ending}"] for kind in ("ih", "hh") if f"state.bias_{kind}_{ending}" in arrays
    )
    biases = np.split(np.zeros(4 * len(weights[0][0]), weights[0][0].dtype) + bias, 4)
    for place, gate in enumerate("ifgo"):
        parameters[f"i{gate}"] = {"kernel": weights[0][place].T}
        parameters[f"h{gate}"] = {"kernel": weights[1][place].T, "bias": biases[place]}
    return parameters


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the final states."""
    options = settings["arguments"]
    first, hidden, lengths = options["batch_first"], options["hidden_size"], arrays.get("lengths")
    y = jax.numpy.asarray(arrays["x"])
    sizes = (2 if options["bidirectional"] else 1) * options["num_layers"], y.shape[0 if first else 1], hidden
    h0, c0 = (arrays.get(name, np.zeros(sizes, y.dtype)) for name in ("h0", "c0"))
    finals: list[Any] = []
    for layer in range(options["num_layers"]):
        outputs = []
        for reverse in (False, True) if options["bidirectional"] else (False,):
            cell = linen.OptimizedLSTMCell(hidden, dtype=y.dtype, param_dtype=y.dtype)
            rnn = linen.RNN(cell, time_major=not first, reverse=reverse, keep_order=True, return_carry=True)
            state = (c0[len(finals)], h0[len(finals)])
            parameters = {"params": {"cell": cell_parameters(arrays, f"l{layer}" + "_reverse" * reverse)}}
            carry, output = rnn.apply(parameters, y, initial_carry=state, seq_lengths=lengths)
            finals.append(carry)
            outputs.append(output)
        y = jax.numpy.concatenate(outputs, axis=-1)
    if lengths is not None:  # past the end of a sequence, Flax leaves y to its caller
        steps = jax.numpy.arange(y.shape[1 if first else 0])
        valid = steps < lengths[:, None] if first else steps[:, None] < lengths
        y = jax.numpy.where(valid[..., None], y, 0)
    states = {name: np.stack([np.asarray(carry[place]) for carry in finals]) for place, name in enumerate(("cn", "hn"))}
    return {"y": np.asarray(y), **states}
