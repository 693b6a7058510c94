"""What captures a model, and how far a captured trace is from what the model computed."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from itertools import permutations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.interop import torch as gw_torch
from gatewise.interop.captured import difference

NAN, INF = float("nan"), float("inf")


def pairs(*numbers):
    return [(np.array([one, 0.0]), np.array([other, 0.0])) for one, other in numbers]


@pytest.mark.parametrize(("one", "largest"), [((NAN, 1.0), NAN), ((2.0, 1.0), 1.0)])
def test_the_largest_difference_of_all_arrays_is_told_or_a_nan_in_any(one, largest):
    for order in permutations([(1.0, 1.5), one, (0.0, 0.25)]):
        np.testing.assert_equal(difference(pairs(*order)), largest)


def test_the_same_infinity_is_no_difference_and_another_is_an_infinite_one():
    assert difference(pairs((INF, INF), (-INF, -INF), (1.0, 1.0))) == 0.0
    assert difference(pairs((INF, -INF))) == INF
    assert difference(pairs((INF, 3.0))) == INF


def test_nothing_is_not_apart_and_other_shapes_are_infinitely_apart():
    assert difference([]) == 0.0
    assert difference([(np.zeros((0, 2)), np.zeros((0, 2)))]) == 0.0
    assert difference([(np.zeros(2), np.zeros((2, 1)))]) == INF


# Which framework captures, and what is refused.

FAKES = {
    "torch": type("Net", (type("Module", (), {"__module__": "torch.nn.modules.module"}),), {"__module__": "mine"}),
    "keras": type(  # as Keras' layers on PyTorch are
        "Net",
        (
            type("Layer", (), {"__module__": "keras.src.layers.layer"}),
            type("Module", (), {"__module__": "torch.nn.modules.module"}),
        ),
        {"__module__": "mine"},
    ),
    "onnx": type("ModelProto", (), {"__module__": "onnx.onnx_ml_pb2"}),
}


@pytest.mark.parametrize("framework", FAKES)
def test_a_model_s_classes_say_which_framework_captures_it(framework, monkeypatch):
    model, calls = FAKES[framework](), []
    module = import_module(f"gatewise.interop.{framework}")
    monkeypatch.setattr(module, "capture", lambda *inputs, **named: calls.append((inputs, named)) or ())
    assert gw.capture(model, 1, x=2) == ()
    assert calls == [((model, 1), {"x": 2})]


@pytest.mark.parametrize("ask", [gw.load, gw.load_network, gw.inspect])
@pytest.mark.parametrize("framework", FAKES)
def test_a_live_model_in_the_place_of_a_path_is_told_where_it_is_read(framework, ask):
    with cases.refusal(f"gatewise.interop.{framework}.read", "gatewise.capture", by=gw.OptionError):
        ask(FAKES[framework]())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ([1, 2], ["builtins.list", "a PyTorch module, a Keras model, an ONNX model"]),
        (None, ["NoneType"]),
        (gw.LSTM(3, 2, rng=0), ["gatewise.layers.lstm.LSTM", "Call its trace"]),
    ],
    ids=["a list", "None", "an LSTM of gatewise's"],
)
def test_what_is_no_model_is_refused_in_one_sentence(model, words):
    with cases.refusal(*words, by=gw.OptionError):
        gw.capture(model)


def test_a_file_that_cannot_be_run_is_refused_in_one_sentence(tmp_path):
    gw_torch.write(gw.LSTM(3, 2, rng=0), tmp_path / "model.pt")
    gw.save(gw.LSTM(3, 2, rng=0), tmp_path / "model.safetensors")
    for name in ("model.pt", "model.safetensors"):
        for path in (tmp_path / name, str(tmp_path / name)):
            with cases.refusal("capture runs ONNX files", name, "trace(x)", by=gw.OptionError):
                gw.capture(path, np.zeros((2, 3)))
    with pytest.raises(gw.FileError, match="no such file"):
        gw.capture(tmp_path / "model.onnx")


def test_capture_loads_no_framework_but_the_model_s():
    code = """
import sys, gatewise
for model in ([1], "no.onnx", gatewise.LSTM(3, 2, rng=0)):
    try:
        gatewise.capture(model)
    except gatewise.GatewiseError:
        pass
print(*{"torch", "keras", "onnx", "onnxruntime", "tensorflow", "jax"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
