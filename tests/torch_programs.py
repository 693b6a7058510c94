"""Programs of torch.export, written without PyTorch: raw weights with JSON beside them, or as older ones were."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import gatewise as gw
from gatewise.interop import torch
from gatewise.interop.torch import writing

TYPES = {"<f4": 7, "<f8": 8, "<f2": 6, "<i8": 5}
LSTM = "torch.nn.modules.rnn.LSTM"


def tensor(name):
    return {"as_tensor": {"name": name}}


def node(target, outputs=("out",), stack="", **arguments):
    """Return a node of the graph; an argument that is no dictionary is a constant."""
    kinds = {bool: "as_bool", int: "as_int", float: "as_float", list: "as_ints"}
    inputs = [
        {"name": name, "arg": one if isinstance(one, dict) else {kinds[type(one)]: one}, "kind": 1}
        for name, one in arguments.items()
    ]
    return {
        "target": f"torch.ops.{target}",
        "inputs": inputs,
        "outputs": [tensor(name) for name in outputs],
        "metadata": {"nn_module_stack": stack},
    }


def stack(prefix, kind=LSTM):
    return f"L__self__,,__main__.Net;L__self___{prefix},{prefix},{kind}"


def lstm_node(arrays, prefix, *, hx=("zeros", "zeros"), x="x", layers=1, batch_first=True, **changed):
    """Return the node of an LSTM whose weights have these names; `changed` are other arguments of it."""
    own = [f"p_{name}" for name in arrays if name.startswith(f"{prefix}.") and ("weight_" in name or "bias_" in name)]
    setting = {
        "has_biases": any("bias_" in name for name in own),
        "num_layers": layers,
        "dropout": 0.0,
        "train": False,
        "bidirectional": any(name.endswith("_reverse") for name in own),
        "batch_first": batch_first,
    }
    params = {"as_tensors": [{"name": name} for name in own]}
    states = {"as_tensors": [{"name": name} for name in hx]}
    arguments = {"input": tensor(x), "hx": states, "params": params} | setting | changed
    return node("aten.lstm.input", ("y", "h", "c"), stack(prefix), **arguments)


def graph(arrays, *nodes, outputs=()):
    """Return the JSON of a program with these nodes, whose weights are inputs called p_ and their names."""
    specs = [{"parameter": {"arg": {"name": f"p_{name}"}, "parameter_name": name}} for name in arrays]
    specs.append({"user_input": {"arg": tensor("x")}})
    zeros = node("aten.zeros.default", ("zeros",), size=[1, 2, 4])
    ends = [{"user_output": {"arg": tensor(name)}} for name in outputs]
    body = {"nodes": [zeros, *nodes], "inputs": [], "outputs": []}
    return {
        "graph_module": {"graph": body, "signature": {"input_specs": specs, "output_specs": ends}},
        "schema_version": {"major": 8, "minor": 20},
        "torch_version": "2.13.0",
    }


def payload(arrays):
    """Return the JSON that describes raw tensors."""
    config = {}
    for place, (name, array) in enumerate(arrays.items()):
        sizes = [{"as_int": size} for size in array.shape]
        strides = [{"as_int": step // array.itemsize} for step in array.strides]
        meta = {"dtype": TYPES[array.dtype.str], "sizes": sizes, "strides": strides}
        meta |= {"storage_offset": {"as_int": 0}, "layout": 7}
        config[name] = {"path_name": f"weight_{place}", "is_param": True, "use_pickle": False, "tensor_meta": meta}
    return {"config": config}


def exported(arrays, document, layout="raw", change=lambda config: None):
    """Return the bytes of a program: with raw weights, or those of torch.save in the way of PyTorch 2.8, or before."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, tempfile.TemporaryDirectory() as folder:
        if layout == "raw":
            config = payload(arrays)
            change(config["config"])
            for place, array in enumerate(arrays.values()):
                archive.writestr(f"net/data/weights/weight_{place}", array.tobytes())
            archive.writestr("net/data/weights/model_weights_config.json", json.dumps(config))
            archive.writestr("net/data/constants/model_constants_config.json", json.dumps({"config": {}}))
            archive.writestr("net/models/model.json", json.dumps(document))
            archive.writestr("net/byteorder", "little")
        else:
            writing.write_archive(Path(folder) / "state.pt", arrays)
            state = (Path(folder) / "state.pt").read_bytes()
            program, weights = {
                "2.8": ("net/models/model.json", "net/data/weights/model.pt"),
                "before": ("serialized_exported_program.json", "serialized_state_dict.pt"),
            }[layout]
            archive.writestr(weights, state)
            archive.writestr(program, json.dumps(document))
    return buffer.getvalue()


def example(layout="raw"):
    """Return the bytes of a program with an embedding, an LSTM with a learned initial state, and a head."""
    arrays = {f"rnn.{name}": array for name, array in torch.state_dict(gw.LSTM(3, 4, rng=0)).items()}
    arrays |= {"embed.weight": np.ones((5, 3), np.float32), "head.weight": np.ones((1, 4), np.float32)}
    arrays["h0"] = np.ones((1, 1, 4), np.float32)
    looked_up = node("aten.embedding.default", ("e",), weight=tensor("p_embed.weight"), indices=tensor("x"))
    lstm = lstm_node(arrays, "rnn", x="e", hx=("p_h0", "zeros"))
    linear = node("aten.linear.default", input=tensor("y"), weight=tensor("p_head.weight"))
    return exported(arrays, graph(arrays, looked_up, lstm, linear), layout)
