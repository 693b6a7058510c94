"""A file whose graph contradicts itself, or asks for a terabyte, is refused by every command in one sentence."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_programs
from onnx import TensorProto, helper, numpy_helper
from program import refusal_of

import gatewise as gw
from gatewise.interop import torch

pytest.importorskip("h5py")

from keras_files import INPUTS, UNITS, functional, kernels, layer, legacy, lstm_layer, named, new, wired

SECONDS = 2
COMMANDS = {
    "inspect": (),
    "trace": ("x.csv", "-o", "out.npz"),
    "plot": ("x.csv", "-o", "out.svg"),
    "report": ("x.csv", "-o", "out.html"),
    "page": ("x.csv", "-o", "out.html"),
    "verify": ("x.csv", "y.csv"),
    "convert": ("-o", "out.onnx"),
    "convert to weights": ("-o", "out.pt"),
    "export": ("-o", "out.h"),
}

# ONNX.


def node(inputs: str, output: str, kind: str = "Neg") -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=f"make {output}")


HUGE = TensorProto(name="a", data_type=TensorProto.FLOAT, dims=[2**20, 2**18])
SIZE = numpy_helper.from_array(np.array([10**12]), "size")
LATER, CIRCLE, NOTHING = "which a later node makes", "the graph has a circle", "there is nothing named"
OF_ONNX: dict[str, tuple[list[Any], list[Any], str]] = {
    "a circle": ([node("h b", "a", "Add"), node("a", "b"), node("b", "y")], [], CIRCLE),
    "a circle that no output needs": ([node("h", "y"), node("h b", "a", "Add"), node("a", "b")], [], CIRCLE),
    "a node that reads itself": ([node("h y", "y", "Add")], [], CIRCLE),
    "a node that reads a later node": ([node("a", "y"), node("h", "a")], [], LATER),
    "a value that is made twice": ([node("h", "y"), node("h", "y", "Exp")], [], "two values named 'y'"),
    "an input that is made again": ([node("h", "x"), node("x", "y")], [], "two values named 'x'"),
    "an array that is made again": ([node("h", "W"), node("W", "y")], [], "two values named 'W'"),
    "an unknown name": ([node("h z", "y", "Add")], [], f"{NOTHING} 'z'"),
    "an unknown output": ([node("h", "a")], [], f"{NOTHING} 'y'"),
    "100,000 nodes": ([node("h", "y")] * 100_000, [], "nodes is too large"),
    "an array of a terabyte": ([node("h a", "y", "Add")], [HUGE], "its tensor 'a' is damaged"),
    "a constant of a terabyte": ([node("size", "a", "ConstantOfShape"), node("h a", "y", "Add")], [SIZE], "7.276 TiB"),
}


def onnx_file(path: Path, nodes: list[Any], tensors: list[Any]) -> None:
    """Write a model whose nodes follow an LSTM with the output h."""
    shapes = {"W": (1, 4 * UNITS, INPUTS), "R": (1, 4 * UNITS, UNITS)}
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    lstm = helper.make_node("LSTM", ["x", "W", "R"], ["h"], hidden_size=UNITS)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in PORTS.items())
    graph = helper.make_graph([lstm, *nodes], "graph", [x], [y], [*weights, *tensors])
    path.write_bytes(helper.make_model(graph).SerializeToString())


PORTS = {"x": [None, None, INPUTS], "y": None}

# Keras.

INPUT = layer("InputLayer", "in", batch_input_shape=[None, None, INPUTS]) | wired(True)
AFTER = partial(wired, True)
LSTM = lstm_layer("rnn", return_sequences=True) | AFTER("in")


def drop(name: str, *sources: str) -> dict[str, Any]:
    return layer("Dropout", name, rate=0.1) | AFTER(*sources)


OF_KERAS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a circle": ([drop("a", "b"), drop("b", "a")], "reads its own output"),
    "an unknown layer": ([drop("a", "z")], "reads its own output, or does not exist"),
    "two layers of a name": ([drop("a", "rnn"), drop("a", "rnn")], "the same name"),
    "a layer that reads nothing": ([drop("a", "b"), drop("b")], "reads nothing"),
    "100,000 layers": ([drop("a", "rnn")] * 100_000, "layers is too large"),
}


def keras_file(path: Path, layers: list[dict[str, Any]]) -> None:
    weights = {"rnn": named("rnn/", kernels(new()[0]), ":0")}
    legacy(path, weights, "2.9.0", functional(INPUT, LSTM, *layers))


# Programs of torch.export.

ARRAYS = {f"rnn.{name}": array for name, array in torch.state_dict(gw.LSTM(INPUTS, UNITS, rng=0)).items()}


def relu(source: str, output: str) -> Any:
    return torch_programs.node("aten.relu.default", (output,), self=torch_programs.tensor(source))


OF_PROGRAMS: dict[str, tuple[list[Any], str]] = {
    "a circle": ([relu("b", "a"), relu("a", "b")], CIRCLE),
    "a node that reads a later node": ([relu("b", "a"), relu("y", "b")], LATER),
    "a value that is made twice": ([relu("y", "a"), relu("y", "a")], "two values named 'a'"),
    "100,000 nodes": ([relu("y", "a")] * 100_000, "nodes is too large"),
}


def program_file(path: Path, nodes: list[Any]) -> None:
    lstm = torch_programs.lstm_node(ARRAYS, "rnn")
    document = torch_programs.graph(ARRAYS, lstm, *nodes, outputs=("a",))
    path.write_bytes(torch_programs.exported(ARRAYS, document))


FILES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    **{
        f"ONNX: {case}": ("m.onnx", partial(onnx_file, nodes=n, tensors=t), said)
        for case, (n, t, said) in OF_ONNX.items()
    },
    **{
        f"Keras: {case}": ("m.h5", partial(keras_file, layers=layers), said)
        for case, (layers, said) in OF_KERAS.items()
    },
    **{f"torch: {case}": ("m.pt2", partial(program_file, nodes=n), said) for case, (n, said) in OF_PROGRAMS.items()},
}


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.peers) if "100,000" in case else case for case in FILES]
)
def test_every_command_refuses_a_broken_graph_in_one_sentence(case, here, capsys):
    name, write, sentence = FILES[case]
    write(here / name)
    np.savetxt("x.csv", np.ones((4, INPUTS)), delimiter=",")
    np.savetxt("y.csv", np.ones((4, UNITS)), delimiter=",")
    gc.collect()
    gc.freeze()  # what other tests left is not looked through while these commands run
    try:
        for command, line in COMMANDS.items():
            start = time.process_time()
            error = refusal_of(capsys, command.split()[0], name, *line)
            assert time.process_time() - start < SECONDS, command
            assert sentence in error, command
    finally:
        gc.unfreeze()
