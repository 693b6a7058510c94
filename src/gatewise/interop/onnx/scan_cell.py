"""The equations of one step of a cell, written out in ONNX's standard operators: the body of a Scan.

They follow `gatewise.equations` line by line, and have every variant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise import gates as gate_names
from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.interop.onnx.building import Graph
from gatewise.parameters import Parameters


def fill(body: Graph, p: Parameters, name: str) -> list[str]:
    """Fill the body of a Scan with the equations of one step; return the names of what is kept of each step."""
    variant, hidden = p.variant, p.hidden_size
    h, c = body.input("h_prev", ["batch", p.recurrent_size]), body.input("c_prev", ["batch", hidden])
    x = body.input("x", ["batch", p.input_size])

    def row(array: Any) -> str:
        return body.constant(np.asarray(array).reshape(1, -1))

    s = _sums(body, p, h, x)

    def q(letter: str, seen: str) -> str:
        """The pre-activation of a gate whose peephole sees a cell state."""
        found = s[letter]
        if p.peephole is not None and letter in gate_names.PEEPHOLES:
            found = body.add(found, body.mul(row(gate_names.of(p.peephole, letter, gate_names.PEEPHOLES)), seen))
        if variant.layer_norm == "gates":
            gain = row(gate_names.of(np.asarray(p.norm_gain), letter))
            found = body.mul(gain, _standardized(body, found, variant.epsilon or 0.0, hidden))
        if not _bias_comes_first(p):
            found = body.add(found, row(gate_names.of(p.bias, letter)))
        return _activation(body, variant.activation(letter), body.clip(found, variant.gate_clip))

    made: dict[str, str] = {letter: q(letter, c) for letter in variant.own if letter != "o"}
    if variant.coupled:
        other = {"f": "i", "i": "f"}[variant.coupled]
        made[variant.coupled] = body.sub(body.constant(1.0), made[other])
    new = body.clip(body.add(body.mul(made["f"], c), body.mul(made["i"], made["g"])), variant.cell_clip)
    made["o"] = q("o", new)
    shown = new
    if p.cell_norm is not None:
        gain, bias = (row(one) for one in p.cell_norm)
        shown = body.add(body.mul(gain, _standardized(body, new, variant.epsilon or 0.0, hidden)), bias)
    out = body.node("Mul", [made["o"], _activation(body, variant.activation("c"), shown)], name=name)
    if p.projection is not None:
        out = body.clip(body.node("MatMul", [out, body.constant(p.projection.T)]), variant.projection_clip)
    body.node("Identity", [out], "h_next")
    body.node("Identity", [new], "c_next")
    results = [*(made[letter] for letter in "ifgo"), new, out]
    names = [body.node("Identity", [one], f"kept_{number_}") for number_, one in enumerate(results)]
    for one, width in zip(
        ("h_next", "c_next", *names), (p.recurrent_size, *[hidden] * 6, p.recurrent_size), strict=True
    ):
        body.output(one, ["batch", width])
    return names


def _bias_comes_first(p: Parameters) -> bool:
    """Say whether nothing stands between a gate's weighted sum and its bias: then one Add serves all gates."""
    return p.peephole is None and p.variant.layer_norm != "gates"


def _sums(body: Graph, p: Parameters, h: str, x: str) -> dict[str, str]:
    """Return the weighted sum of each gate that has weights of its own, before its peephole, and its bias if that is
    not added here already.
    """
    own, hidden = p.variant.own, p.hidden_size
    places = [gate_names.LETTERS.index(letter) for letter in own]

    def product(weight: Array, name: str) -> str:
        return body.node("MatMul", [name, body.constant(weight[places].reshape(len(own) * hidden, -1).T)])

    if p.variant.layer_norm == "haste":
        gains = np.asarray(p.norm_gain)[:, places].reshape(2, 1, -1)
        epsilon, count = p.variant.epsilon or 0.0, len(own) * hidden
        u, w = product(p.recurrent_weight, h), product(p.input_weight, x)
        whole = body.add(
            body.mul(_standardized(body, u, epsilon, count), body.constant(gains[0])),
            body.mul(_standardized(body, w, epsilon, count), body.constant(gains[1])),
        )
    else:
        whole = product(p.weight, body.node("Concat", [h, x], axis=1))
    if _bias_comes_first(p):
        whole = body.add(whole, body.constant(p.bias[places].reshape(1, -1)))
    parts = [body.new(letter) for letter in own]
    body.node("Split", [whole, body.constant([hidden] * len(own))], *parts, axis=1)
    return dict(zip(own, parts, strict=True))


def _standardized(body: Graph, q: str, epsilon: float, count: int) -> str:
    """Return q (batch, count) with mean 0 and variance 1 over its last axis."""
    share, last = body.constant(1 / count), body.constant([-1])

    def mean(a: str) -> str:
        return body.mul(body.node("ReduceSum", [a, last], keepdims=1), share)

    centred = body.sub(q, mean(q))
    deviation = body.node("Sqrt", [body.add(mean(body.mul(centred, centred)), body.constant(epsilon))])
    return body.node("Div", [centred, deviation])


def _activation(body: Graph, activation: Activation, a: str) -> str:
    """Return an activation of a; its constants are tensors, since attributes have 32 bits."""
    alpha, beta = (None if one is None else body.constant(one) for one in (activation.alpha, activation.beta))
    one, zero = body.constant(1.0), body.constant(0.0)
    match activation.name:
        case "sigmoid" | "tanh":
            return body.node(activation.name.capitalize(), [a])
        case "relu":
            return body.node("Max", [a, zero])
        case "exponential":
            return body.node("Exp", [a])
        case "softsign":
            return body.node("Div", [a, body.add(one, body.node("Abs", [a]))])
        case "softplus":
            e = body.node("Exp", [body.node("Neg", [body.node("Abs", [a])])])
            return body.add(body.node("Max", [a, zero]), body.node("Log", [body.add(one, e)]))
        case "affine":
            return body.add(body.mul(str(alpha), a), str(beta))
        case "scaled_tanh":
            return body.mul(str(alpha), body.node("Tanh", [body.mul(str(beta), a)]))
        case "hard_sigmoid":
            return body.node("Clip", [body.add(body.mul(str(alpha), a), str(beta)), zero, one])
        case "leaky_relu":
            return body.add(body.node("Max", [a, zero]), body.mul(str(alpha), body.node("Min", [a, zero])))
        case "thresholded_relu":
            return body.node("Where", [body.node("Greater", [a, str(alpha)]), a, zero])
        case "elu" | "selu":
            low = body.mul(str(alpha), body.sub(body.node("Exp", [body.node("Min", [a, zero])]), one))
            whole = body.add(body.node("Max", [a, zero]), low)
            return whole if beta is None else body.mul(beta, whole)
    raise OptionError(f"there is no way to write the activation {activation.name} in ONNX")
