"""States and gradients between gatewise and PyTorch, Keras and onnxruntime, live; and one `capture` for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from peers.keras_live import L, keras
from peers.onnx_running import CLOSE

import gatewise as gw
from gatewise.interop import keras as gw_keras
from gatewise.interop import onnx as gw_onnx
from gatewise.interop import torch as gw_torch
from tests.test_states import drawn

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

EXACT = 1e-12


def by_place(state):
    return {
        f"{letter}{layer}{place}": part
        for layer, row in enumerate(state)
        for place, one in enumerate(row)
        for letter, part in one._asdict().items()
    }


def test_states_and_modules_of_half_precision_are_read():
    module = torch.nn.LSTM(3, 4, dtype=torch.bfloat16)
    lstm = gw_torch.read(module)
    h = torch.randn(1, 2, 4, dtype=torch.bfloat16)
    ((found,),) = gw_torch.read_state((h, h), lstm)
    np.testing.assert_array_equal(found.h, h[0].float().numpy(), strict=True)


def test_the_lstm_of_a_module_is_read_by_its_name():
    model = torch.nn.ModuleDict({"a": torch.nn.LSTM(3, 4), "b": torch.nn.LSTMCell(4, 5), "c": torch.nn.Linear(5, 1)})
    assert gw_torch.read(model, "b").hidden_size == 5
    del model["a"]
    assert gw_torch.read(model).hidden_size == 5
    model["a"] = torch.nn.LSTM(3, 4)
    with pytest.raises(gw.OptionError, match=r"holds 2 LSTMs. Choose one by its name: 'b', 'a'"):
        gw_torch.read(model)
    with pytest.raises(gw.OptionError, match=r"no LSTM 'd' in this ModuleDict; it has 'b', 'a'"):
        gw_torch.read(model, "d")
    with pytest.raises(gw.OptionError, match=r"gatewise\.interop\.torch\.read"):
        gw.load(model)


# Keras, on PyTorch.


def of_keras(kind):
    more = {"return_sequences": True, "return_state": True, "dtype": "float64"}
    if kind == "stacked":
        return L.RNN([L.LSTMCell(4, dtype="float64"), L.LSTMCell(2, dtype="float64")], **more)
    inner = L.LSTM(4, **more)
    return inner if kind == "lstm" else L.Bidirectional(inner, dtype="float64")


@pytest.mark.parametrize("kind", ["lstm", "bidirectional", "stacked"])
def test_keras_runs_and_learns_from_a_given_state_as_gatewise_does(kind):
    close = CLOSE if kind == "stacked" else EXACT  # Keras rounds to float32 in an RNN of cells, whatever its dtype
    rng, layer = np.random.default_rng(0), of_keras(kind)
    layer.build((5, 6, 3))
    for one in layer.trainable_variables:
        one.assign(rng.normal(size=one.shape))
    lstm = gw_keras.read(layer)
    x, state = rng.normal(size=(6, 5, 3)), drawn(lstm, 5, rng)
    written = gw_keras.write_state(state)
    given = torch.from_numpy(x.swapaxes(0, 1).copy())
    y, *finals = layer(given, initial_state=written if kind == "stacked" else written[0])
    ours, after = lstm(x, state)
    want = by_place(gw_keras.read_state(finals, lstm)) | {"y": y.detach().numpy().swapaxes(0, 1)}
    assert_agree(by_place(after) | {"y": ours}, want, close)

    dy = rng.normal(size=ours.shape)
    (y * torch.from_numpy(dy.swapaxes(0, 1).copy())).sum().backward()
    found = gw_keras.write_gradients(gw.backward(lstm.trace(x, state), dy), lstm)
    theirs = [one.value.grad.numpy() for one in layer.trainable_variables]
    assert_agree(found, dict(zip(found, theirs, strict=True)), close)


@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_gradients_bear_the_paths_of_the_variables_of_the_model_that_is_written(options):
    lstm = gw.LSTM(3, 4, rng=0, dtype=np.float64, **options)
    model, rng = gw_keras.write(lstm), np.random.default_rng(0)
    x = rng.normal(size=(6, 5, 3))
    y = model(torch.from_numpy(x.swapaxes(0, 1).copy()))
    dy = rng.normal(size=(6, 5, lstm.output_size))
    (y * torch.from_numpy(dy.swapaxes(0, 1).copy())).sum().backward()
    found = gw_keras.write_gradients(gw.backward(lstm.trace(x), dy), lstm)
    assert list(found) == [one.path for one in model.trainable_variables]
    assert_agree(found, {one.path: one.value.grad.numpy() for one in model.trainable_variables}, EXACT)


# One verb for all.


def test_one_verb_captures_a_module_a_keras_model_and_an_onnx_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    lstm = gw.LSTM(3, 4, rng=0)
    gw_onnx.write(lstm, tmp_path / "model.onnx")
    zeros = np.zeros((1, 5, 4), np.float32)
    seen = [
        gw.capture(gw_torch.write(lstm), torch.from_numpy(x)),
        gw.capture(gw_keras.write(lstm), x.swapaxes(0, 1)),
        gw.capture(tmp_path / "model.onnx", x, zeros, zeros),
        gw.capture(str(tmp_path / "model.onnx"), x, c0=zeros, h0=zeros),
        gw.capture(gw_onnx.write(lstm), X=x, h0=zeros, c0=zeros),
    ]
    for (one,) in seen:
        assert isinstance(one, gw.interop.Captured)
        assert one.difference < CLOSE
        np.testing.assert_array_equal(one.trace[0].forget_gate, lstm.trace(x)[0].forget_gate)


@pytest.mark.parametrize(
    ("inputs", "named", "words"),
    [
        ((1, 2, 3, 4), {}, "4 inputs are given by position; .* has 3 inputs: X, h0, c0"),
        ((1,), {"X": 1}, "'X' is given twice"),
        ((1,), {"h0": 1}, "the input 'c0' is missing"),
        (({"X": 1},), {}, r"capture\(model, \*\*inputs\)"),
    ],
    ids=["too many", "twice", "missing", "a mapping"],
)
def test_inputs_of_a_graph_are_refused_in_a_sentence_where_they_do_not_fit(inputs, named, words, tmp_path):
    gw_onnx.write(gw.LSTM(3, 4, rng=0), tmp_path / "model.onnx")
    with pytest.raises(gw.OptionError, match=words):
        gw.capture(tmp_path / "model.onnx", *inputs, **named)


def test_a_keras_model_that_is_also_a_module_of_pytorch_is_read_as_keras():
    assert isinstance(gw_keras.write(gw.LSTM(3, 4, rng=0)), torch.nn.Module) == (keras.backend.backend() == "torch")
    with pytest.raises(gw.OptionError, match=r"gatewise\.interop\.keras\.read"):
        gw.load(gw_keras.write(gw.LSTM(3, 4, rng=0)))
