"""Engines that are wrong on purpose: an ONNX LSTM written anew in NumPy, with one fault. Also a command to judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FUNCTIONS = {
    "Sigmoid": lambda a, alpha, beta: 1 / (1 + np.exp(-a)),
    "Tanh": lambda a, alpha, beta: np.tanh(a),
    "Relu": lambda a, alpha, beta: np.maximum(a, 0),
    "HardSigmoid": lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1),
    "Softsign": lambda a, alpha, beta: a / (1 + np.abs(a)),
    "Softplus": lambda a, alpha, beta: np.logaddexp(0, a),
    "LeakyRelu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * a),
    "ThresholdedRelu": lambda a, alpha, beta: np.where(a >= alpha, a, 0),
    "Elu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * np.expm1(np.minimum(a, 0))),
    "Affine": lambda a, alpha, beta: alpha * a + beta,
    "ScaledTanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
}
CONSTANTS = {  # and their defaults
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "ThresholdedRelu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "Affine": {"alpha": 1.0, "beta": 0.0},
    "ScaledTanh": {"alpha": 1.0, "beta": 1.0},
}
# Each fault: the row of the table that shows it, the verdict, and words of the sentence that names it.
FAULTS = {
    "ignores clip": ("clip", "ignores", "clip"),
    "clips before the recurrence": ("clip", "wrong", "before it adds the hidden state's part"),
    "clips the cell": ("clip", "wrong", "clips the cell state, too"),
    "ignores input_forget": ("input_forget", "ignores", "input_forget"),
    "couples the other way": ("input_forget", "wrong", "coupling of the gates is input=1-forget"),
    "ignores peepholes": ("peepholes", "ignores", "peepholes"),
    "peepholes in the order i f o": ("peepholes", "wrong", "reads the peepholes in the order i f o"),
    "the output gate sees the old cell": ("peepholes", "wrong", "the old cell state c_prev is used"),
    "gates in the order i f g o": ("plain LSTM", "wrong", "reads the gates in the order i f g o"),
    "one bias": ("plain LSTM", "wrong", "adds only the input's bias"),
    "forget bias of 1": ("plain LSTM", "wrong", "adds 1 to the forget gate's bias"),
    "no tanh of the cell": ("plain LSTM", "wrong", "the tanh of the cell state is missing"),
    "state not carried": ("plain LSTM", "wrong", "does not carry the hidden state"),
    "recurrent weights transposed": ("plain LSTM", "wrong", "the recurrent weights are transposed"),
    "reverse output not turned back": ("direction = reverse", "wrong", "y has the last step first"),
    "ignores reverse": ("direction = reverse", "ignores", "direction = reverse"),
    "backward output not turned back": ("direction = bidirectional", "wrong", "the backward direction of y"),
    "forward weights in both directions": (
        "direction = bidirectional",
        "wrong",
        "both directions use the forward weights",
    ),
    "ignores lengths": ("sequence_lens", "ignores", "sequence_lens"),
    "padding repeats the output": ("sequence_lens", "wrong", "repeats the last output past the end"),
    "final state of the padding": ("sequence_lens", "wrong", "final state of a shorter sequence"),
    "ignores initial_c": ("initial_c", "ignores", "initial_c"),
    "ignores initial_h": ("initial_h", "ignores", "initial_h"),
    "hard sigmoid of slope 1/6": ("activation HardSigmoid", "wrong", "hard sigmoid of Keras 3"),
    "ignores alpha and beta": ("activation HardSigmoid", "wrong", "uses the default"),
    "ignores the activation h": ("activation Relu", "ignores", "h = Relu"),
}


def version() -> str:
    """Return the version of the engine."""
    return "1.0"


def run(model: Any, inputs: dict[str, np.ndarray], fault: str = "") -> dict[str, np.ndarray]:
    """Return Y, Y_h and Y_c of a model with a single node LSTM; raise NotImplementedError for any other."""
    from onnx import helper, numpy_helper

    nodes = model.graph.node
    if len(nodes) != 1:
        raise NotImplementedError("one node only")
    attributes = {a.name: helper.get_attribute_value(a) for a in nodes[0].attribute}
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | inputs
    roles = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    given = {role: values[name] for role, name in zip(roles, nodes[0].input, strict=False) if name}
    x, W, R = given["X"].astype(float), given["W"].astype(float), given["R"].astype(float)
    batch_first = attributes.get("layout", 0) == 1
    x = x.swapaxes(0, 1) if batch_first else x
    x = np.nan_to_num(x) if fault == "NaN becomes 0" else x
    x = np.where(np.isnan(x).any(axis=1, keepdims=True), np.nan, x) if fault == "NaN spreads over the batch" else x
    steps, batch, _ = x.shape
    count, _, hidden = R.shape
    if fault == "takes one sequence" and batch > 1:
        raise NotImplementedError("batch of 1 only")
    B = given.get("B", np.zeros((count, 8 * hidden)))
    P = given.get("P", np.zeros((count, 3 * hidden)))
    states = []
    for name in ("initial_h", "initial_c"):
        state = given.get(name, np.zeros((batch, count, hidden) if batch_first else (count, batch, hidden)))
        state = np.zeros_like(state) if fault == f"ignores {name}" else state
        states.append(state.swapaxes(0, 1) if batch_first else state)
    lengths = given.get("sequence_lens", np.full(batch, steps))
    lengths = np.full(batch, steps) if fault == "ignores lengths" else lengths
    names = [name.decode() for name in attributes.get("activations", [b"Sigmoid", b"Tanh", b"Tanh"] * count)]
    constants = {letter: list(attributes.get(f"activation_{letter}", [])) for letter in ("alpha", "beta")}
    functions = []
    for name in names:
        own = {}
        for letter, default in CONSTANTS.get(name, {}).items():
            value = constants[letter].pop(0) if constants[letter] else default
            own[letter] = default if fault == "ignores alpha and beta" else value
        if name == "HardSigmoid" and fault == "hard sigmoid of slope 1/6":
            own = {"alpha": 1 / 6, "beta": 0.5}
        functions.append(lambda a, f=FUNCTIONS[name], own=own: f(a, own.get("alpha"), own.get("beta")))
    clip = np.inf if fault == "ignores clip" else attributes.get("clip", np.inf)
    direction = attributes.get("direction", b"forward").decode()
    ys, hs, cs = [], [], []
    for d in range(count):
        f, g, h_ = functions[3 * d : 3 * d + 3]
        if fault == "ignores the activation h":
            h_ = np.tanh
        reverse = direction == "reverse" or d == 1
        if reverse and fault == "ignores reverse" and direction == "reverse":
            reverse = False
        own = 0 if fault == "forward weights in both directions" else d
        order = "ifgo" if fault == "gates in the order i f g o" else "iofc"
        order = order.replace("g", "c")
        peep = "ifo" if fault == "peepholes in the order i f o" else "iof"
        recurrent = R[own].reshape(4, hidden, hidden)
        if fault == "recurrent weights transposed":
            recurrent = recurrent.swapaxes(1, 2)
        first, second = B[own].astype(float).reshape(2, 4, hidden)
        second = 0 * second if fault == "one bias" else second
        p = 0 * P[own] if fault == "ignores peepholes" else P[own]
        p = dict(zip(peep, p.reshape(3, hidden), strict=True))
        h, c = (state[d].astype(float) for state in states)
        y = np.zeros((steps, batch, hidden))
        for t in reversed(range(steps)) if reverse else range(steps):
            valid = (t < lengths)[:, None]
            previous = states[0][d] if fault == "state not carried" else h
            inputs_part = x[t] @ W[own].T + first.ravel() + second.ravel()
            recurrent_part = previous @ recurrent.reshape(4 * hidden, hidden).T
            a = {k: inputs_part[:, n * hidden : (n + 1) * hidden] for n, k in enumerate(order)}
            r = {k: recurrent_part[:, n * hidden : (n + 1) * hidden] for n, k in enumerate(order)}

            def clipped(k, extra=0.0, a=a, r=r):
                if fault == "clips before the recurrence":
                    return np.clip(a[k], -clip, clip) + r[k] + extra
                return np.clip(a[k] + r[k] + extra, -clip, clip)

            bias = 1.0 if fault == "forget bias of 1" else 0.0
            i, forget = f(clipped("i", p["i"] * c)), f(clipped("f", p["f"] * c + bias))
            if attributes.get("input_forget", 0) and fault != "ignores input_forget":
                if fault == "couples the other way":
                    i = 1 - forget
                else:
                    forget = 1 - i
            new = forget * c + i * g(clipped("c"))
            new = np.clip(new, -clip, clip) if fault == "clips the cell" else new
            o = f(clipped("o", p["o"] * (c if fault == "the output gate sees the old cell" else new)))
            before_h = np.clip(new, -clip, clip) if fault == "clips before h, too" else new
            out = o * (new if fault == "no tanh of the cell" else h_(before_h))
            y[t] = np.where(valid, out, y[t - 1] if fault == "padding repeats the output" and t else 0)
            carried = valid | (fault == "final state of the padding")
            h, c = np.where(carried, out, h), np.where(carried, new, c)
        turned = fault == "reverse output not turned back" and direction == "reverse"
        if reverse and (turned or (fault == "backward output not turned back" and d == 1)):
            y = y[::-1]
        ys.append(y), hs.append(h), cs.append(c)
    outputs = {"Y": np.stack(ys, 1), "Y_h": np.stack(hs), "Y_c": np.stack(cs)}
    if batch_first:
        outputs = {"Y": outputs["Y"].transpose(2, 0, 1, 3)} | {n: outputs[n].swapaxes(0, 1) for n in ("Y_h", "Y_c")}
    return {name: array.astype(given["X"].dtype) for name, array in outputs.items()}


def main() -> None:
    """Run a model file on in.npy or in.npz, and write out.npy or out.npz; a first word may name a fault."""
    import onnx

    *fault, model, given, written = sys.argv[1:]
    loaded = np.load(given)
    inputs = {"X": loaded} if given.endswith(".npy") else dict(loaded)
    outputs = run(onnx.load(model), inputs, *fault)
    if Path(written).suffix == ".npy":
        np.save(written, outputs["Y"])
    else:
        np.savez(written, **outputs)


if __name__ == "__main__":
    main()
