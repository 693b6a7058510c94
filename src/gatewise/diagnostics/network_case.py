"""A network to be compared with the answers of its runtime: its outputs, exact and as rounding changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import AXES, Array, numbers, time_first
from gatewise.diagnostics.claims import nested_start
from gatewise.diagnostics.rounding import Case, Perturbation, answers_by_name
from gatewise.errors import OptionError
from gatewise.layers.arguments import valid_steps
from gatewise.layers.merging import merge
from gatewise.layers.stack import States
from gatewise.network import SOFTMAX, Branch, Linear, Network


@dataclass(frozen=True, eq=False)
class NetworkCase(Case):
    """A network in float64, and the run of its LSTM."""

    network: Network | None = None

    def named_answers(self, y: Array, final: States, perturbation: Perturbation | None = None) -> dict[str, Array]:
        """Return the outputs of a verified network and the final states of its LSTM, by name."""
        network = self.network
        assert network is not None
        answers = {
            name: array for name, array in answers_by_name(self.lstm, y, final).items() if not name.endswith("y")
        }
        read = {"y": (y, self.x[..., : network.skip])} if network.reads == "every" else {}
        if len(y):
            is_last_step = network.reads == "every" and self.lstm.directions != ("forward",)
            last = y[-1] if is_last_step else merge([state.h for state in final[-1]], self.lstm.merge[-1])
            read["last y"] = last, self.x[-1, :, : network.skip]
        for name, (features, added) in read.items():
            for layer in network.dense:
                features = _perturbed_layer(layer, features, perturbation)
            if network.skip:  # for each of the runs that are perturbed
                features = features + np.concatenate([added] * (y.shape[1] // max(self.x.shape[1], 1)), axis=-2)
            answers[name] = features if network.outputs is None else network.outputs.undo(features)
        return answers


def network_case(model: Network, x: Any, state: Any, lengths: Any, mask: Any) -> NetworkCase:
    """Return the float64 run of a network to verify over an input with time first; arguments as in `verify`."""
    if model.skip and model.branches:
        raise OptionError("verify cannot compare a network with a skip connection around dense layers before its LSTM")
    network = in_float64(model)
    if network.embedding is None:
        inputs = time_first(numbers("x", x), AXES).astype(np.float64)
    else:
        inputs = x if x.ndim == 2 else x[:, None]
    features, tokens = network.embed(inputs)
    sequence = np.asarray(features, np.float64)
    time, batch = sequence.shape[:2]
    start = network.initial_state(batch) if state is None else nested_start(network.lstm, state, batch)
    valid, masked_output = valid_steps(lengths, mask, time, batch), "zeros"
    if valid is None and (marked := network.valid_steps(sequence, tokens)) is not None:
        valid, masked_output = marked, network.masked_output
    return NetworkCase(network.lstm, sequence, start, valid, masked_output, network)


def _perturbed_layer(layer: Linear, features: Array, perturbation: Perturbation | None) -> Array:
    """Return a dense layer's output, its sums perturbed by about as much as rounding may change them."""
    if perturbation is None:
        return layer(features)
    sums = features @ layer.weight.T + np.asarray(layer.bias)
    terms = np.abs(features) @ np.abs(layer.weight).T + np.abs(np.asarray(layer.bias))
    size = np.sqrt(terms**2 / 2 + layer.weight.shape[1] / 3 * sums**2)
    sums = sums + perturbation.roundoff * size * perturbation.rng.standard_normal(sums.shape)
    count = len(layer.weight)
    y = Linear(np.eye(count), None, layer.activation)(sums)
    if layer.activation is None:
        return y
    size = 2 * np.abs(y) + (0 if layer.activation == SOFTMAX else 0.5)
    noise: Array = perturbation.roundoff * size * perturbation.rng.standard_normal(y.shape)
    return y + noise


def in_float64(network: Network) -> Network:
    """Return the float64 copy of a network to verify."""
    return network.replace(
        lstm=network.lstm.astype(np.float64),
        embedding=None if network.embedding is None else np.asarray(network.embedding, np.float64),
        head=[layer.astype(np.float64) for layer in network.dense],
        branches=[
            Branch(branch.features, [layer.astype(np.float64) for layer in branch.layers])
            for branch in network.branches
        ],
    )
