"""Pickles of madmom's networks without madmom: classes of its names, and its layers written again in NumPy."""

from __future__ import annotations

import pickle
import sys
import types
from contextlib import contextmanager

import numpy as np

PACKAGE = "madmom.ml.nn"
FUNCTIONS = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "linear": lambda a: a,
    "elu": lambda a: np.where(a < 0, np.exp(np.minimum(a, 0)) - 1, a),
    "relu": lambda a: a * (a > 0),
}
PLAIN = ("sigmoid", "sigmoid", "tanh", "sigmoid", "tanh")
GATES = ("input_gate", "forget_gate", "cell", "output_gate")


class Named:
    """Something that is pickled as an object of a class of madmom's, or as one of its functions."""

    def __init__(self, name, **attributes):
        self.name, self.attributes = name, attributes


def gate(chance, kind, inputs, hidden, activation, peephole):
    return Named(
        f"layers.{kind}",
        weights=chance.normal(scale=0.3, size=(inputs, hidden)).astype(np.float32),
        recurrent_weights=chance.normal(scale=0.3, size=(hidden, hidden)).astype(np.float32),
        bias=chance.normal(size=hidden).astype(np.float32),
        peephole_weights=chance.normal(size=hidden).astype(np.float32) if peephole else None,
        activation_fn=Named(f"activations.{activation}"),
    )


def lstm(chance, inputs, hidden, *, peepholes="ifo", activations=PLAIN, start=False):
    """Return an LSTM layer; `peepholes` has the letters of the gates that have some."""
    kinds = ("Gate", "Gate", "Cell", "Gate")
    made = {
        name: gate(chance, kind, inputs, hidden, activation, letter in peepholes)
        for name, kind, activation, letter in zip(GATES, kinds, activations, "ifgo", strict=False)
    }
    state = {name: chance.normal(size=hidden).astype(np.float32) * start for name in ("init", "cell_init")}
    return Named("layers.LSTMLayer", **made, activation_fn=Named(f"activations.{activations[4]}"), **state)


def both(forward, backward):
    return Named("layers.BidirectionalLayer", fwd_layer=forward, bwd_layer=backward)


def linear(chance, inputs, outputs, activation="sigmoid"):
    weights, bias = chance.normal(size=(inputs, outputs)), chance.normal(size=outputs)
    return Named(
        "layers.FeedForwardLayer",
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        activation_fn=Named(f"activations.{activation}"),
    )


def network(*layers):
    return Named("NeuralNetwork", layers=list(layers), online=False)


@contextmanager
def _modules():
    names = ["madmom", "madmom.ml", PACKAGE, f"{PACKAGE}.layers", f"{PACKAGE}.activations"]
    try:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def pickled(content, protocol=2):
    """Return the pickle of a network; functions are named, objects have attributes."""

    def made(one):
        if isinstance(one, list):
            return [made(each) for each in one]
        if not isinstance(one, Named):
            return one
        module, _, name = f"{PACKAGE}.{one.name}".rpartition(".")
        held = sys.modules.setdefault(module, types.ModuleType(module))
        if not hasattr(held, name):
            thing = type(name, (), {"__module__": module})
            if not name[0].isupper():  # a function
                thing = types.FunctionType(made.__code__, {}, name, None, made.__closure__)
                thing.__module__, thing.__qualname__ = module, name
            setattr(held, name, thing)
        if not name[0].isupper():
            return getattr(held, name)
        thing = getattr(held, name)()
        thing.__dict__.update({key: made(value) for key, value in one.attributes.items()})
        return thing

    with _modules():
        return pickle.dumps(made(content), protocol)


# The layers, as madmom computes them.


def outputs(layer, x):
    """Return what a layer makes of (time, feature)."""
    if layer.name == "layers.BidirectionalLayer":
        forward, backward = layer.attributes["fwd_layer"], layer.attributes["bwd_layer"]
        return np.hstack([outputs(forward, x), outputs(backward, x[::-1])[::-1]])
    if layer.name == "layers.FeedForwardLayer":
        given = layer.attributes
        return FUNCTIONS[given["activation_fn"].name.split(".")[1]](x @ given["weights"] + given["bias"])
    h, c = layer.attributes["init"].astype(np.float64), layer.attributes["cell_init"].astype(np.float64)

    def opened(name, data, state):
        one = layer.attributes[name].attributes
        a = data @ one["weights"] + one["bias"] + h @ one["recurrent_weights"]
        if one["peephole_weights"] is not None:
            a = a + state * one["peephole_weights"]
        return FUNCTIONS[one["activation_fn"].name.split(".")[1]](a)

    rows = []
    for data in x:
        c = opened("cell", data, 0) * opened("input_gate", data, c) + c * opened("forget_gate", data, c)
        h = FUNCTIONS[layer.attributes["activation_fn"].name.split(".")[1]](c) * opened("output_gate", data, c)
        rows.append(h)
    return np.array(rows)
