"""ONNX: nodes at random beside onnxruntime, odd graphs, and tensors in other files."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import Refused, agree, asked, hostile, numbers, silent

GATES = ("Sigmoid", "HardSigmoid", "Affine", "Relu", "Softsign", "LeakyRelu", "Tanh")
STATES = ("Tanh", "ScaledTanh", "Elu", "Softplus", "ThresholdedRelu", "Softsign", "Relu")
CLOSE = 1e-4  # float32, two runtimes that sum in different orders


def runtime(model: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """Return onnxruntime's outputs; None if it refuses the model."""
    from peers.onnx_running import ask

    try:
        return [*ask(model, inputs).values()]
    except Exception:  # onnxruntime's errors have no base of their own
        return None


def node(chance: random.Random) -> tuple[Any, dict[str, np.ndarray], dict[str, Any], list[np.ndarray]]:
    """Return a model of one LSTM node, its inputs, its attributes, and what the operator's words say it computes."""
    import onnx_models as models

    rng = numbers(chance)
    direction = chance.choice(["forward", "reverse", "bidirectional"])
    both, hidden = direction == "bidirectional", chance.randrange(1, 5)
    attributes: dict[str, Any] = {"direction": direction, "hidden_size": hidden}
    activations: list[str] = []
    if chance.random() < 0.7:
        activations = [chance.choice(STATES if n % 3 else GATES) for n in range(6 if both else 3)]
        attributes["activations"] = activations
        for letter, name in (("a", "activation_alpha"), ("b", "activation_beta")):
            values = [round(chance.uniform(0.1, 0.9), 2) for one in activations if letter in models.TAKES.get(one, "")]
            if values:
                attributes[name] = values
    if chance.random() < 0.3:
        attributes["clip"] = round(chance.uniform(0.05, 2), 2)
    if chance.random() < 0.3:
        attributes["input_forget"] = 1
    time, batch = chance.randrange(1, 6), chance.randrange(1, 4)
    arrays = models.random_arrays(
        rng, directions=1 + both, time=time, batch=batch, inputs=chance.randrange(1, 4), hidden=hidden,
        bias=chance.random() < 0.8, peepholes=chance.random() < 0.3, state=chance.random() < 0.4,
        lengths=[chance.randrange(1, time + 1) for _ in range(batch)] if chance.random() < 0.3 else None,
    )  # fmt: skip
    hows = [one for one in models.STORED if one != "cast" and not (one == "split" and both)]
    model = models.lstm_model(
        arrays,
        how=chance.choice(hows),
        wrapped=chance.choice(models.WRAPPED),
        opset=chance.choice([7, 13, 14, 22]),
        **attributes,
    )
    return model, arrays, attributes, models.spec(arrays, **attributes)


@hostile("ONNX nodes at random, beside onnxruntime", needs=("onnx", "onnxruntime", "pytest"), share=2)
def nodes(chance: random.Random, folder: Path) -> None:
    """What gatewise reads of a node computes what the operator's words say, and what onnxruntime computes."""
    import onnx_models as models
    from onnx_reading import contents_of

    model, arrays, attributes, expected = node(chance)
    contents = asked(contents_of, model)
    if len(contents.lstms) != 1:
        raise Refused(contents.refused[0].reason if contents.refused else "no LSTM is found")
    found = models.run_ours(contents.lstms[0], arrays)
    what = f"{attributes}, {sorted(arrays)}"
    theirs = runtime(model, arrays)
    for name, ours, wanted in zip(("Y", "Y_h", "Y_c"), found, expected, strict=True):
        if np.isfinite(wanted).all():  # else the words overflow where a runtime need not
            agree(ours, wanted, f"{name} by the operator's words: {what}", CLOSE)
    if theirs is not None and np.isfinite(theirs[0]).all():  # its softplus overflows
        agree(found[0], theirs[0], f"Y by onnxruntime: {what}", CLOSE)


ODD: dict[str, list[Any]] = {
    "hidden_size": [0, -1, 1, 3, 5, 2**31, None],
    "clip": [0.0, -1.0, float("nan"), float("inf"), 1e-30],
    "input_forget": [2, -1],
    "direction": ["Forward", "backward", "", "bidirectional", "reverse", b"\xff"],
    "activations": [
        [],
        ["Sigmoid"],
        ["Sigmoid", "Tanh", "Nothing"],
        ["sigmoid", "tanh", "tanh"],
        ["Tanh"] * 3,
        ["Sigmoid", "Tanh"] * 3,
    ],
    "activation_alpha": [[], [0.3], [float("nan")] * 3, [0.3] * 9],
    "layout": [1, 2, -1],
    "linear_before_reset": [1],
    "output_sequence": [0, 1],
    "unknown": [1, "x", 0.5],
}


@hostile(
    "ONNX nodes with an odd attribute or shape, beside onnxruntime", needs=("onnx", "onnxruntime", "pytest"), share=2
)
def odd_nodes(chance: random.Random, folder: Path) -> None:
    """Where both gatewise and onnxruntime run an odd node, they compute the same."""
    import onnx_models as models
    from onnx import helper, numpy_helper
    from onnx_reading import contents_of

    model, arrays, _attributes, _ = node(chance)
    lstms = [one for one in model.graph.node if one.op_type == "LSTM"]
    if not lstms:
        raise Refused("the node is inside of another")
    (lstm,) = lstms
    ways = []
    for _ in range(chance.choice([1, 1, 2])):
        way = chance.choice(
            [
                "attribute",
                "attribute",
                "attribute twice",
                "an input less",
                "empty input",
                "shape",
                "order",
                "tensor twice",
                "type",
            ]
        )
        ways.append(way)
        match way:
            case "attribute":
                name = chance.choice([*ODD])
                for one in [one for one in lstm.attribute if one.name == name and chance.random() < 0.8]:
                    lstm.attribute.remove(one)
                if (value := chance.choice(ODD[name])) is not None:
                    lstm.attribute.append(
                        helper.make_attribute(
                            name, value, attr_type=6 if value == [] and "alpha" in name else 8 if value == [] else None
                        )
                    )
            case "attribute twice":
                if lstm.attribute:
                    lstm.attribute.append(chance.choice(lstm.attribute))
            case "an input less":
                del lstm.input[-1]
            case "empty input":
                lstm.input[chance.randrange(len(lstm.input))] = ""
            case "shape" | "type":
                for tensor in model.graph.initializer:
                    if tensor.name in ("W", "R", "B", "P") and chance.random() < 0.5:
                        array = numpy_helper.to_array(tensor)
                        changed = (
                            array[..., :-1]
                            if way == "shape"
                            else array.astype(chance.choice([np.float16, np.float64, np.int64]))
                        )
                        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name))
            case "order":
                nodes = list(model.graph.node)
                chance.shuffle(nodes)
                del model.graph.node[:]
                model.graph.node.extend(nodes)
                (lstm,) = [one for one in model.graph.node if one.op_type == "LSTM"]
            case "tensor twice":
                if model.graph.initializer:
                    array = numpy_helper.to_array(first := chance.choice(model.graph.initializer))
                    twice = model.graph.initializer.add(name=first.name)
                    twice.CopyFrom(numpy_helper.from_array(np.zeros_like(array), twice.name))
    contents = asked(contents_of, model)
    if len(contents.lstms) != 1:
        raise Refused(contents.refused[0].reason if contents.refused else "no LSTM is found")
    theirs = runtime(model, arrays)
    arrays = {name: array for name, array in arrays.items() if name in lstm.input}
    for name, other in (("initial_h", "initial_c"), ("initial_c", "initial_h")):
        if other in arrays:
            arrays.setdefault(name, np.zeros_like(arrays[other]))
    try:
        found = models.run_ours(contents.lstms[0], arrays)
    except Exception as problem:  # an input that the odd node does not take
        raise Refused(str(problem)) from None
    if theirs is not None and np.isfinite(theirs[0]).all():
        agree(found[0], theirs[0], f"Y by onnxruntime: {ways}, {lstm.input}, {lstm.attribute}"[:900], CLOSE)


@hostile("ONNX graphs of an odd structure", needs=("onnx",), seconds=60)
def structures(chance: random.Random, folder: Path) -> None:
    """Circles, thousands of nodes, names that occur twice, subgraphs in subgraphs: answered or refused, soon."""
    import onnx_models as models
    from fuzzing import everything
    from onnx import helper
    from onnx_reading import network, small

    model = (
        network()[0]
        if chance.random() < 0.5
        else models.lstm_model(small(), hidden_size=4, wrapped=chance.choice(models.WRAPPED))
    )
    graph = model.graph
    for _ in range(chance.choice([1, 2])):
        match chance.choice(
            ["many", "circle", "twice", "deep", "no name", "self", "long name", "outputs", "functions", "version"]
        ):
            case "many":
                count = chance.choice([10, 300, 3000])
                first = next((one for one in graph.node if one.op_type == "LSTM"), graph.node[0])
                for n in range(count):
                    copied = graph.node.add()
                    copied.CopyFrom(first)
                    copied.name = f"{first.name}{n}" if chance.random() < 0.9 else first.name
                    for k, name in enumerate(copied.output):
                        copied.output[k] = f"{name}{n}"
            case "circle":
                last = graph.node[-1]
                if last.output and graph.node[0].input:
                    graph.node[0].input[0] = last.output[0]
            case "twice":
                one = chance.choice(graph.node)
                graph.node.add().CopyFrom(one)
            case "deep":
                inner = helper.make_graph([], "g", [], [])
                for _ in range(chance.choice([5, 25])):
                    inner = helper.make_graph(
                        [
                            helper.make_node(
                                "If", ["x"], ["y"], then_branch=inner, else_branch=helper.make_graph([], "e", [], [])
                            )
                        ],
                        "g",
                        [],
                        [],
                    )
                graph.node.extend(inner.node)
            case "no name":
                for one in graph.node:
                    one.name = ""
            case "self":
                if graph.node[0].input:
                    graph.node[0].input[0] = graph.node[0].output[0]
            case "long name":
                chance.choice(graph.node).name = "x" * chance.choice([1000, 100_000])
            case "outputs":
                del graph.output[:]
            case "functions":
                model.functions.append(
                    helper.make_function(
                        "local",
                        "F",
                        ["a"],
                        ["b"],
                        [helper.make_node("F", ["a"], ["b"], domain="local")],
                        [helper.make_opsetid("local", 1)],
                    )
                )
                graph.node.append(helper.make_node("F", [graph.node[0].output[0]], ["q"], domain="local"))
            case "version":
                model.ir_version = chance.choice([0, 1, 99, 2**40])
                model.opset_import[0].version = chance.choice([0, 1, 99])
    Path("x.onnx").write_bytes(model.SerializeToString())
    asked(everything, Path("x.onnx"))


@hostile("ONNX tensors in other files", needs=("onnx",))
def external(chance: random.Random, folder: Path) -> None:
    """A tensor is read from a file of the model's folder, exactly there, and from nowhere else."""
    import onnx_models as models
    from onnx import TensorProto
    from onnx_reading import small, tensor_of

    from gatewise.interop import onnx as gw_onnx

    model = models.lstm_model(small(), hidden_size=4)
    expected = np.asarray(gw_onnx.read(model)[0].parameters.weight)
    tensor = tensor_of(model, "W")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    offset = chance.choice([0, 0, 64, 7, 4096])
    keys = {"location": "w.bin", "offset": str(offset), "length": str(len(data))}
    Path("m").mkdir()
    Path("m/w.bin").write_bytes(os.urandom(offset) + data + os.urandom(chance.choice([0, 50])))
    Path("secret.bin").write_bytes(bytes(offset) + bytes(len(data)))
    way = chance.choice(
        [
            "plain",
            "plain",
            "outside",
            "absolute",
            "link",
            "device",
            "length",
            "offset",
            "missing",
            "twice",
            "text",
            "folder",
            "cut",
        ]
    )
    match way:
        case "outside":
            keys["location"] = chance.choice(
                ["../secret.bin", "a/../../secret.bin", "..\\secret.bin", "./../secret.bin", "\u002e\u002e/secret.bin"]
            )
        case "absolute":
            keys["location"] = os.path.abspath("secret.bin")
        case "link":
            os.symlink("../secret.bin", "m/link.bin")
            keys["location"] = "link.bin"
        case "device":
            keys["location"] = chance.choice(["/dev/zero", "../../../../dev/zero", "/proc/self/mem"])
        case "length":
            keys["length"] = chance.choice(
                ["0", "-1", str(len(data) - 1), str(len(data) + 1), "9" * 30, "x", "", "1_000", "１９２"]
            )
        case "offset":
            keys["offset"] = chance.choice(["-1", "9" * 30, "x", "1e3", str(2**63), "1_0"])
        case "missing":
            keys["location"] = chance.choice(["none.bin", "", " ", "W.BIN", "a" * 5000, "w\x00.bin"])
        case "twice":
            tensor.external_data.add(key="location", value="../secret.bin")
        case "text":
            tensor.external_data.add(key=chance.choice(["checksum", "basepath", "x"]), value="../")
        case "folder":
            keys["location"] = "."
        case "cut":
            Path("m/w.bin").write_bytes(Path("m/w.bin").read_bytes()[: offset + len(data) - 4])
    for key, value in keys.items():
        tensor.external_data.add(key=key, value=value)
    Path("m/x.onnx").write_bytes(model.SerializeToString())
    found = asked(gw_onnx.read, Path("m/x.onnx"))
    agree(found[0].parameters.weight, expected, f"{way} {keys}"[:300])
    if way in ("outside", "absolute", "link", "device", "cut", "missing", "folder"):
        silent(f"a tensor is read that lies elsewhere: {way} {keys}"[:300])
