"""Networks with everything that may be around an LSTM, and their ONNX models as any runtime runs them."""

from __future__ import annotations

from itertools import product

import cases
import numpy as np
import pytest
from agreement import distance
from pairwise import cover

import gatewise as gw
from gatewise.gates import NAMES
from gatewise.interop import onnx as gw_onnx

TIME, BATCH, FEATURES = 5, 3, 4
ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "elu", "elu:0.7", "leaky_relu:0.2", "selu", "softplus", "softsign", "exponential"),
    *("hard_sigmoid:0.3,0.4", "thresholded_relu:0.5", "scaled_tanh:1.7,0.6", "affine:2,1"),
    *("gelu", "gelu_tanh", "silu", "mish", "hard_swish", "softmax"),
)
FACTORS = {
    "before": ("nothing", "embedding", "scaling", "layers", "some features", "branches"),
    "layers": ("one", "two", "two sizes"),
    "ways": ("forward", "backward", "concat", "sum", "none"),
    "variant": tuple(cases.VARIANTS),
    "head": ("none", "one", *ACTIVATIONS),
    "after": ("nothing", "skip one", "skip all", "scaled", "least", "skip, scaled"),
    "reads": ("every", "last"),
    "initial": (False, True),
    "gates": (False, True),
    "stream": (False, True),
    "dtype": ("float32", "float64"),
}


def networks(factors=FACTORS, strength=2, **settled):
    """Return cases in which values of the factors meet, each changed where ONNX, or a network, does not have it.

    `settled` changes a case further, where a runtime has no operators for it.
    """
    every = {}
    for case in map(dict, cover(factors, strength)):
        if case["stream"]:
            case |= {"ways": "forward", "initial": False}
        if case["ways"] == "none":
            case |= {"head": "none", "after": "nothing"}
        if case["after"].startswith("skip"):
            case |= {"reads": "every", "before": "layers" if case["before"] == "embedding" else case["before"]}
        case["gates"] |= case["variant"] not in NODES
        case |= {name: value(case) for name, value in settled.items()}
        every["-".join(map(str, case.values()))] = case
    return pytest.mark.parametrize("case", every.values(), ids=every.keys())


NODES = ("plain", "peephole", "forget=1-input", "gate clip", "softsign, relu", "elu, scaled tanh")


def linear(rng, outputs, inputs, dtype, activation=None):
    arrays = rng.normal(0, inputs**-0.5, (outputs, inputs)), rng.normal(size=outputs)
    return gw.Linear(*(array.astype(dtype) for array in arrays), activation)


def network_of(case, seed=0):
    """Return the network of a case."""
    rng, dtype = np.random.default_rng(seed), np.dtype(case["dtype"])
    options = {"reads": case["reads"]}
    if case["before"] == "scaling":
        options["inputs"] = gw.Scaling([1e5, 0, -3, 2], [10, 1, 0.5, 2])
    if case["before"] == "layers":
        options["branches"] = [gw.Branch(range(FEATURES), [linear(rng, 3, 4, dtype, "tanh"), linear(rng, 4, 3, dtype)])]
    if case["before"] == "some features":
        options["branches"] = [gw.Branch([2, 0, 1], [linear(rng, 4, 3, dtype, "gelu")])]
    if case["before"] == "branches":
        options["branches"] = [gw.Branch([0, 2], [linear(rng, 3, 2, dtype, "relu")]), gw.Branch([1])]
        options["inputs"] = gw.Scaling([1, 2, 3], [3, 2, 1])
    lstm = lstm_of(case, rng, dtype)
    if case["before"] == "embedding":
        options["embedding"] = rng.normal(size=(7, FEATURES)).astype(dtype)
    width = lstm.output_size
    if case["head"] != "none":
        hidden = [linear(rng, 4, width, dtype, case["head"])] if case["head"] != "one" else []
        options["head"] = [*hidden, linear(rng, 3, 4 if hidden else width, dtype)]
        width = 3
    if "scaled" in case["after"] or case["after"] == "least":
        least = np.full(width, 0.1) if case["after"] == "least" else None
        options["outputs"] = gw.Scaling(rng.normal(size=width), rng.uniform(1, 3, width), least)
    if case["initial"]:
        options["initial"] = [
            [gw.State(*rng.normal(size=(2, cell.hidden_size)).astype(dtype)) for cell in row] for row in lstm.layers
        ]
    if case["after"].startswith("skip"):
        features = gw.Network(lstm, **options).num_features
        options["skip"] = width if case["after"] != "skip one" and width <= features else 1
    return gw.Network(lstm, **options)


def lstm_of(case, rng, dtype):
    """Return the LSTM of a case, with cells of its variant."""
    both, rows, inputs = case["ways"] in ("concat", "sum", "none"), [], FEATURES
    for layer in range(1 if case["layers"] == "one" else 2):
        hidden = 3 if case["layers"] == "two sizes" and layer else 4
        drawn = [
            cases.parameters(cases.VARIANTS[case["variant"]], rng, inputs=inputs, hidden=hidden, dtype=dtype.type)
            for _ in range(2 if both else 1)
        ]
        rows.append([gw.LSTMCell.from_parameters(p) for p in drawn])
        inputs = hidden * (2 if case["ways"] == "concat" or (case["ways"] == "none" and not layer) else 1)
    merges = ["concat"] * (len(rows) - 1) + ["none"] if case["ways"] == "none" else case["ways"] if both else "concat"
    return gw.LSTM.from_cells(rows, direction="backward" if case["ways"] == "backward" else "forward", merge=merges)


def input_of(network, seed=1):
    """Return an input of a network, of usual size in its units."""
    rng = np.random.default_rng(seed)
    if network.embedding is not None:
        return rng.integers(0, len(network.embedding), (TIME, BATCH))
    x = rng.normal(size=(TIME, BATCH, network.num_features))
    return (x if network.inputs is None else network.inputs.undo(x)).astype(network.lstm.dtype)


def run_model(model, run, network, x):
    """Return what a model puts out over an input by name, given what runs it once; states begin at zero."""
    dtype = network.lstm.dtype
    zeros = {
        value.name: np.zeros([axis.dim_value or BATCH for axis in value.type.tensor_type.shape.dim], dtype)
        for value in model.graph.input
        if value.name != "X"
    }
    if len(model.graph.input[0].type.tensor_type.shape.dim) == x.ndim:
        return run(model, {"X": x} | zeros)
    state, steps = zeros, []
    for step in x:
        steps.append(run(model, {"X": step} | state))
        state = {name: steps[-1][name.replace("_in", "_out")] for name in state}
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def expected_of(network, x, *, gates):
    """Return what a model of a network puts out: Y, and every gate by name."""
    trace = network.trace(x, engine="reference")
    want = {"Y": trace.output}
    for (layer, direction), cell in trace.cells().items() if gates else ():
        end = "" if len(trace.cells()) == 1 else f"_{layer}_{direction}"
        want |= {f"{name}{end}": getattr(cell, name) for name in (*NAMES, "cell_state", "hidden_state")}
    return want


def hold(case, run, tolerance):
    """Write a network, run it, and hold what it puts out against its trace; return the model."""
    network = network_of(case)
    model = gw_onnx.write(network, gates=case["gates"], stream=case["stream"])
    x = input_of(network)
    found, want = run_model(model, run, network, x), expected_of(network, x, gates=case["gates"])
    if case["stream"] and case["reads"] == "last":  # a step is the last
        want["Y"] = network.replace(reads="every").trace(x, engine="reference").output
    far = {name: error for name, y in want.items() if not (error := distance(found[name], y)) <= tolerance}
    assert not far, f"further apart than {tolerance:.1e}: {far}"
    assert not found.keys() - want.keys() - {*(f"{h}{n}{end}" for h, n, end in product("hc", ("n", "_out"), ENDS))}
    return network, model, x


ENDS = ("", "_0", "_1")
