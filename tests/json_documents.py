"""Small documents of each kind of JSON model, written number by number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import gatewise as gw


def drawn(seed, *shape):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def keras_arrays(p):
    """Return the kernel, the recurrent kernel and the bias of a cell as Keras has them: gates along the columns."""
    kernel = [
        [float(p.input_weight[g, u, n]) for g in range(4) for u in range(p.hidden_size)] for n in range(p.input_size)
    ]
    recurrent = [
        [float(p.recurrent_weight[g, u, n]) for g in range(4) for u in range(p.hidden_size)]
        for n in range(p.recurrent_size)
    ]
    return [kernel, recurrent, [float(p.bias[g, u]) for g in range(4) for u in range(p.hidden_size)]]


def rtneural(cells, head=None, before=()):
    """Return a document of RTNeural's: LSTM layers and a dense one."""
    layers = list(before)
    for p in cells:
        layer = {"type": "lstm", "activation": "tanh", "shape": [None, None, p.hidden_size]}
        layers.append(layer | {"weights": keras_arrays(p)})
    if head is not None:
        weights = [head.weight.T.tolist(), head.bias.tolist()]
        layers.append({"type": "dense", "activation": "", "shape": [None, None, len(head.weight)], "weights": weights})
    return {"in_shape": [None, None, cells[0].input_size], "layers": layers}


def nam(cells, states, head):
    """Return a document of Neural Amp Modeler's."""
    flat = []
    for p, state in zip(cells, states, strict=True):
        for gate in range(4):
            for unit in range(p.hidden_size):
                flat += p.input_weight[gate, unit].tolist() + p.recurrent_weight[gate, unit].tolist()
        flat += p.bias.reshape(-1).tolist() + state.h[0].tolist() + state.c[0].tolist()
    flat += head.weight.reshape(-1).tolist() + head.bias.tolist()
    config = {"num_layers": len(cells), "input_size": cells[0].input_size, "hidden_size": cells[0].hidden_size}
    if len(head.weight) > 1:
        config["out_channels"] = len(head.weight)
    return {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": flat, "sample_rate": 48000}


def cells_of(*sizes):
    """Return the parameters of a stack of cells, of (input, hidden, hidden, …) units."""
    return [
        gw.Parameters(drawn(n, 4, hidden, hidden + inputs), drawn(n + 100, 4, hidden))
        for n, (inputs, hidden) in enumerate(pairwise(sizes))
    ]


def head_of(features, outputs):
    return gw.Linear(drawn(50, outputs, features), drawn(51, outputs))


def states_of(cells):
    return [gw.State(drawn(n + 200, 1, p.hidden_size), drawn(n + 300, 1, p.hidden_size)) for n, p in enumerate(cells)]


def state_dict():
    arrays = {}
    for layer, p in enumerate(cells_of(2, 3, 3)):
        arrays |= {
            f"rec.weight_ih_l{layer}": p.input_weight.reshape(12, -1).tolist(),
            f"rec.weight_hh_l{layer}": p.recurrent_weight.reshape(12, -1).tolist(),
            f"rec.bias_ih_l{layer}": p.bias.reshape(-1).tolist(),
            f"rec.bias_hh_l{layer}": [0] * 12,
        }
    head = head_of(3, 1)
    return arrays | {"lin.weight": head.weight.tolist(), "lin.bias": head.bias.tolist()}


def guitarml():
    """Return a document of Automated-GuitarAmpModelling's, as Proteus and NeuralPi play it: audio and one knob."""
    data = {"model": "SimpleRNN", "input_size": 2, "skip": 1, "output_size": 1, "unit_type": "LSTM", "num_layers": 2}
    return {"model_data": data | {"hidden_size": 3, "bias_fl": True}, "state_dict": state_dict()}


def a_nam():
    cells = cells_of(1, 3, 3)
    return nam(cells, states_of(cells), head_of(3, 1))


FORMATS = {
    "RTNeural": lambda: rtneural(cells_of(1, 4, 3), head_of(3, 2)),
    "Neural Amp Modeler": a_nam,
    "state dict": state_dict,
    "GuitarML": guitarml,
}
