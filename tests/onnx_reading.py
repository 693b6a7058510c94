"""What tests of ONNX's reader ask for: what is in a model, or that it is refused; models of more than one node."""

from __future__ import annotations

from collections import Counter

import cases
import numpy as np
import onnx_models as models
import pytest
from onnx import FunctionProto, helper, numpy_helper

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop.onnx.reading import read_model


def contents_of(model, **omitted):
    """Return what is in a model that lies in memory."""
    return read_model(model, None, omitted, Budget(model.ByteSize()))[0]


def found_in(model, **omitted):
    """Return the one LSTM in a model."""
    (found,) = contents_of(model, **omitted).lstms
    return found


def refused_in(model, *words, **omitted):
    """Require that a model's LSTM is refused, in one sentence with the words."""
    contents = contents_of(model, **omitted)
    assert not contents.lstms
    with pytest.raises(gw.FileError) as caught:
        contents.pick()
    cases.one_sentence(caught.value, *words)


def small(seed=0, **options):
    return models.random_arrays(np.random.default_rng(seed), **options)


def counts_in(model):
    """Return how many nodes, attributes of LSTMs, tensors and inputs a model has, functions at every call."""
    functions = {(function.domain, function.name): function for function in model.functions}
    counts, graphs = Counter(input=len(model.graph.input)), [model.graph]
    while graphs:
        graph = graphs.pop()
        if not isinstance(graph, FunctionProto):
            counts["tensor"] += len(graph.initializer) + len(graph.sparse_initializer)
        for node in graph.node:
            if (node.domain, node.op_type) in functions:
                graphs.append(functions[node.domain, node.op_type])
                continue
            counts["node"] += 1
            counts["attribute"] += len(node.attribute) if "LSTM" in node.op_type else 0
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return +counts


# The quantised kind.


def quantised(*, directions=1, per_channel=False, kind=np.int8, **changes):
    """Return a model of onnxruntime's quantised LSTM, and the numbers that its weights stand for."""
    rng = np.random.default_rng(4)
    inputs, hidden = 3, 4
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    arrays, meant = {"X": small()["X"]}, {}
    for name, rows in (("W", inputs), ("R", hidden)):
        numbers = rng.integers(low, high + 1, (directions, rows, 4 * hidden)).astype(kind)
        shape = (directions, 4 * hidden) if per_channel else (directions,)
        scale = rng.uniform(0.001, 0.01, shape).astype(np.float32)
        zero = rng.integers(low // 2, high // 2, shape).astype(kind)
        arrays |= {name: numbers, f"{name}_scale": scale, f"{name}_zero_point": zero}
        spread = scale.reshape(directions, 1, -1), zero.reshape(directions, 1, -1).astype(np.int32)
        meant[name] = ((numbers.astype(np.int32) - spread[1]).astype(np.float32) * spread[0]).swapaxes(1, 2)
    meant["B"] = arrays["B"] = rng.normal(size=(directions, 8 * hidden)).astype(np.float32)
    arrays |= changes
    places = ("X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero_point", "R_scale", "R_zero_point")
    names = [one if arrays.get(one) is not None else "" for one in places]
    direction = "bidirectional" if directions == 2 else "forward"
    options = {"hidden_size": hidden, "direction": direction, "domain": "com.microsoft", "name": "rnn"}
    node = helper.make_node("DynamicQuantizeLSTM", names, ["Y"], **options)
    held = [numpy_helper.from_array(one, name) for name, one in arrays.items() if name != "X" and one is not None]
    graph = helper.make_graph([node], "g", [models.info("X", arrays["X"])], [models.info("Y", arrays["X"])], held)
    return helper.make_model(graph), meant | {"X": arrays["X"]}


def edited(edit, how="raw", **options):
    model = models.lstm_model(small(**options), how=how, hidden_size=4)
    edit(model)
    return model


def tensor_of(model, name="W"):
    return next(one for one in model.graph.initializer if one.name == name)


# Written-out cells, parts, stacks.


def written_out(order="ifgo", *, product="Gemm", inputs=3, apart=True, swap=False):
    """Return a model of one step of a cell in standard operators, and its cell."""
    rng = np.random.default_rng(3)
    p = cases.parameters({}, rng, inputs=inputs, dtype=np.float32)
    places = ["ifgo".index(letter) for letter in order]
    U, W = (array[places].reshape(16, -1) for array in (p.recurrent_weight, p.input_weight))
    b = p.bias[places].reshape(-1)
    raw = numpy_helper.from_array
    tensors = [raw(np.ascontiguousarray(W.T), "W"), raw(np.ascontiguousarray(U.T), "U"), raw(b, "b")]
    tensors += [raw(np.array(n, np.int64), f"n{n}") for n in (0, 1)]
    node = helper.make_node
    nodes = [node("Gather", ["state", f"n{n}"], [name], axis=0) for n, name in enumerate(("h", "c"))]
    if not apart:
        tensors[0] = raw(np.ascontiguousarray(np.concatenate([U, W] if swap else [W, U], 1).T), "W")
        nodes += [node("Concat", ["h", "x"] if swap else ["x", "h"], ["z"], axis=1), node("MatMul", ["z", "W"], ["zw"])]
        nodes += [node("Add", ["zw", "b"], ["a"])]
    elif product == "Gemm":
        nodes += [node("Gemm", ["x", "W", "b"], ["xw"]), node("Gemm", ["h", "U"], ["hu"])]
        nodes += [node("Add", ["hu", "xw"] if swap else ["xw", "hu"], ["a"])]
    else:
        nodes += [node("MatMul", ["x", "W"], ["xw"]), node("MatMul", ["h", "U"], ["hu"])]
        nodes += [node("Add", ["xw", "hu"], ["s"]), node("Add", ["b", "s"], ["a"])]
    nodes += [node("Split", ["a"], [f"a_{k}" for k in order], axis=1)]
    nodes += [node("Tanh" if k == "g" else "Sigmoid", [f"a_{k}"], [k]) for k in "ifgo"]
    nodes += [node("Mul", ["c", "f"] if swap else ["f", "c"], ["kept"]), node("Mul", ["i", "g"], ["new"])]
    nodes += [node("Add", ["kept", "new"], ["c_new"]), node("Tanh", ["c_new"], ["t"])]
    nodes += [node("Mul", ["t", "o"] if swap else ["o", "t"], ["h_new"], name="cell")]
    given = [helper.make_tensor_value_info(name, 1, None) for name in ("x", "state")]
    return helper.make_model(helper.make_graph(nodes, "g", given, [], tensors)), gw.LSTM.from_cells(p)


def network():
    arrays = small(directions=2)
    model = models.lstm_model(arrays, direction="bidirectional", hidden_size=4)
    rng = np.random.default_rng(1)
    table, weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((7, 3), (8, 2), (2,)))
    raw = numpy_helper.from_array
    model.graph.initializer.extend([raw(table, "words"), raw(weight, "fc.weight"), raw(bias, "fc.bias")])
    model.graph.initializer.extend([raw(weight.T.copy(), "gemm.weight"), raw(np.array([0, 0, -1]), "shape")])
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("tokens", 7, None))
    model.graph.node.insert(0, helper.make_node("Gather", ["words", "tokens"], ["X"]))
    model.graph.node.extend(
        [
            helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["turned", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "fc.weight"], ["product"]),
            helper.make_node("Add", ["fc.bias", "product"], ["out"]),
            helper.make_node("Gemm", ["flat", "gemm.weight", "fc.bias"], ["other"], transB=1),
        ]
    )
    return model, table, weight, bias
