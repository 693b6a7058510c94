"""Wirings equal LSTMs and networks: outputs, states and every gradient."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_close
from pairwise import pairs
from program_run import gather_gradients
from wired_run import WiredRun

import gatewise as gw
from gatewise.layers.wired import wiring_of
from gatewise.network import wiring_of as wiring_of_network
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.heads import B_Y, V
from gatewise.symbolic.wiring import E


def assert_cells(run: WiredRun, gradients: gw.LSTMGradients) -> None:
    for layer, row in enumerate(run.cells):
        for place, (direction, one) in enumerate(gradients.layers[layer].items()):
            made = gather_gradients(row[place].program.form, row[place].parameters, row[place])
            for name, array in one.parameters.items():
                assert_close(made[name], array, f"{name} of layer {layer}, {direction}")
            assert_close(row[place].dinitial.h, gradients.state[layer][place].h, "dh of the initial state")
            assert_close(row[place].dinitial.c, gradients.state[layer][place].c, "dc of the initial state")


LSTMS = {
    "one layer": {},
    "one layer backward": {"direction": "backward"},
    "three layers": {"num_layers": 3},
    **{
        f"two ways, {merge}": {"bidirectional": True, "num_layers": 2, "merge": merge}
        for merge in ("concat", "sum", "mul", "average")
    },
    "two ways, none": {"bidirectional": True, "num_layers": 2, "merge": ["concat", "none"]},
    "two ways, projected": {"bidirectional": True, "num_layers": 2, "projection_size": 2},
}


@pairs(rest=pytest.mark.peers, kind=LSTMS, valid=cases.VALID, masked_output=["zeros", "repeat"])
def test_a_wiring_equals_its_lstm(kind, valid, masked_output):
    rng = np.random.default_rng(3)
    variant = gw.Variant(peephole="full") if "layers" in kind else None
    lstm = gw.LSTM(2, 3, variant=variant, rng=0, dtype=np.float64, **LSTMS[kind])
    x = rng.normal(size=(5, 3, 2))
    valid = cases.valid_of(valid, 5, 3, rng)
    state = [[gw.State(*(rng.normal(size=part.shape) for part in one)) for one in row] for row in lstm.zero_state(3)]
    dropout = (
        [[cases.dropout_of(c.parameters, 5, 3, rng) for c in row] for row in lstm.layers] if "sum" in kind else None
    )
    trace = lstm.trace(x, state, mask=valid, dropout=dropout, masked_output=masked_output, engine="reference")
    dy = rng.normal(size=trace.output.shape)
    gradients = gw.backward(trace, dy)
    fitted = dropout and [
        [m.fit(c.parameters, 5, 3) for m, c in zip(*two, strict=True)] for two in zip(dropout, lstm.layers, strict=True)
    ]
    run = WiredRun(wiring_of(lstm, dropout, masked_output), x, state, valid=valid, dropout=fitted, dy=dy)
    assert_close(run.output, trace.output, "output")
    for made, one in zip(run.final, trace.state, strict=True):
        for a, b in zip(made, one, strict=True):
            assert_close(a.h, b.h, "h")
            assert_close(a.c, b.c, "c")
    run.backward()
    assert_close(run.dfeatures, gradients.x, "dx")
    assert_cells(run, gradients)


NETWORKS = {
    "a head": {"head": "identity"},
    "a head that reads the last": {"head": "sigmoid", "reads": "last"},
    "softmax of every step": {"head": "softmax", "embedding": True},
    "softmax of the last": {"head": "softmax", "embedding": True, "reads": "last", "masked": 0},
    "no head, the last": {"reads": "last"},
    "marked features": {"masked": 0.0, "head": "tanh"},
    "a learned state": {"initial": True, "head": "identity", "embedding": True, "masked": 1},
    "layers of a head": {"layers": ("tanh", "softmax", None), "reads": "last"},
    "a skip connection": {"head": "sigmoid", "skip": 1},
    "as many features as outputs": {"layers": ("relu", None), "skip": 3},
    "physical units": {"head": "identity", "outputs": True, "inputs": True},
    "all of it": {"layers": ("sigmoid", "tanh"), "skip": 3, "outputs": True, "inputs": True},
    "gated nonlinearities": {"layers": ("gelu", "gelu_tanh", "silu", "mish", "hard_swish")},
    "units without a head": {"outputs": True, "reads": "last"},
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("two_directions", [False, True], ids=["one direction", "two directions"])
def test_a_wiring_equals_its_network(kind, two_directions):
    rng, switches = np.random.default_rng(4), dict(NETWORKS[kind])
    lstm = gw.LSTM(3, 4, bidirectional=two_directions, num_layers=2, rng=1, dtype=np.float64)
    if activation := switches.pop("head", None):
        weight, bias = rng.normal(size=(5, lstm.output_size)), rng.normal(size=5)
        switches["head"] = gw.Linear(weight, bias, None if activation == "identity" else activation)
    if given := switches.pop("layers", None):
        sizes = [lstm.output_size, *range(4, 3 + len(given)), 3]
        switches["head"] = [
            gw.Linear(rng.normal(size=(after, before)), rng.normal(size=after), activation)
            for before, after, activation in zip(sizes[:-1], sizes[1:], given, strict=True)
        ]
    x = rng.normal(size=(6, 3, 3))
    if switches.pop("inputs", None):
        switches["inputs"] = gw.Scaling(rng.normal(size=3), rng.uniform(1, 2, 3))
    if switches.pop("outputs", None):
        count = gw.Network(lstm, head=switches.get("head")).num_outputs
        least = np.where(np.arange(count), -np.inf, 0.0)
        switches["outputs"] = gw.Scaling(rng.normal(size=count), rng.uniform(1, 2, count), least)
    if switches.pop("embedding", None):
        switches["embedding"], x = rng.normal(size=(7, 3)), rng.integers(0, 7, (6, 3))
    elif "masked" in switches:
        x[1, 0] = x[4:, 2] = 0
    if switches.pop("initial", None):
        switches["initial"] = [[gw.State(rng.normal(size=4), rng.normal(size=4)) for _ in row] for row in lstm.layers]
    network = gw.Network(lstm, **switches)
    trace = network.trace(x, engine="reference")
    dy = rng.normal(size=trace.output.shape)
    gradients = gw.backward(trace, dy)
    run = WiredRun(wiring_of_network(network), x if network.inputs is None else network.scaled(x), dy=dy)
    assert_close(run.output, trace.output, "output")
    found = run.backward()
    assert_cells(run, gradients.lstm)
    scale = 1 if network.inputs is None else network.inputs.scale
    assert_close(run.dfeatures, gradients.lstm.x if gradients.x is None else gradients.x * scale, "dx")
    for number, (weight, bias) in enumerate(gradients.hidden, 1):
        assert_close(found[Symbol("V", str(number))], weight, "V")
        assert_close(found[Symbol("b", str(number))], bias, "b")
    for symbol, expected in ((V, gradients.head_weight), (B_Y, gradients.head_bias), (E, gradients.embedding)):
        assert expected is None or symbol in found
        if expected is not None:
            assert_close(found[symbol], expected, symbol.base)
