"""Keras' layers as nodes of a graph: which of them let masks through, and what their settings do."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import gatewise as gw

pytest.importorskip("torch")
from peers.keras_live import L, flat, keras

from gatewise.interop.keras import graph_reader, table
from gatewise.interop.keras.graph_reader import ACTIVATIONS, LAYERS, PASS_MASKS
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.operations import OPERATIONS

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")]

assert table.read_dense in LAYERS.values()  # importing it fills the table
ARGUMENTS = {
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"), (0.1,)),
    **dict.fromkeys(("AlphaDropout",), (0.1,)),
    "Activation": ("tanh",),
    "Dense": (2,),
    "Reshape": ((3, 4),),
    "Permute": ((2, 1),),
    "RepeatVector": (3,),
    "Rescaling": (2.0,),
    "Embedding": (5, 2),
    "Dot": (1,),
    "MultiHeadAttention": (2, 3),
    **dict.fromkeys(("Conv1D", "SeparableConv1D"), (3, 2)),
    **dict.fromkeys(("DepthwiseConv1D", "AveragePooling1D", "MaxPooling1D"), (2,)),
    "LSTM": (2,),
}
MADE = {"TimeDistributed": lambda: L.TimeDistributed(L.Dense(2)), "Bidirectional": lambda: L.Bidirectional(L.LSTM(2))}
MADE |= {"RNN": lambda: L.RNN(L.LSTMCell(2))}
OLD = {"CuDNNLSTM"}  # which Keras 3 does not have
OWN_MASKS = {"Embedding", "Masking", "LSTM", "RNN", "Bidirectional", "Attention", "AdditiveAttention", "Dot"}
OWN_MASKS |= {"GlobalAveragePooling1D"}  # whose output has no steps


@pytest.mark.parametrize("kind", sorted(LAYERS.keys() - OLD - OWN_MASKS))
def test_masks_pass_through_the_layers_through_which_they_pass_in_keras(kind):
    layer = MADE[kind]() if kind in MADE else getattr(L, kind)(*ARGUMENTS.get(kind, ()))
    assert layer.supports_masking == (kind in PASS_MASKS)


def test_every_activation_by_name_is_the_one_of_keras():
    x = np.linspace(-8, 8, 97, dtype=np.float32).reshape(1, -1)
    for name, (op, inputs, settings) in ACTIVATIONS.items():
        ours = OPERATIONS[op].forward(x, *inputs, **settings)
        theirs = keras.ops.convert_to_numpy(keras.activations.get(name)(keras.ops.convert_to_tensor(x)))
        np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=1e-6, err_msg=name)


SHAPES = {"Embedding": (4,), "RepeatVector": (3,), "SpatialDropout2D": (4, 3, 2)}  # of one input; others have (4, 3)
SEVERAL = {*graph_reader.MERGES, "Concatenate", "Dot", "Attention", "AdditiveAttention"}


def model_of(kind):
    """Return a model with one layer, and inputs of it."""
    layer = MADE[kind]() if kind in MADE else getattr(L, kind)(*ARGUMENTS.get(kind, ()))
    rng, shape = np.random.default_rng(0), SHAPES.get(kind, (4, 3))
    inputs = [keras.Input(shape) for _ in range(1 + (kind in SEVERAL))]
    y = layer(*inputs, *inputs) if kind == "MultiHeadAttention" else layer(inputs if len(inputs) > 1 else inputs[0])
    model = keras.Model(inputs, y)
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape).astype(np.float32)
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    arrays = [rng.normal(size=(2, *shape)).astype(np.float32) for _ in inputs]
    return model, [np.abs(x * 2).astype(int) for x in arrays] if kind == "Embedding" else arrays


@pytest.mark.filterwarnings("ignore:the network takes:UserWarning")
@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("kind", sorted(LAYERS.keys() - OLD))
def test_every_layer_of_the_table_computes_what_keras_computes(kind, form, tmp_path):
    model, inputs = model_of(kind)
    path = tmp_path / f"model.{form}"
    model.save(path)
    network = GraphNetwork(gw.inspect(path).graph())
    np.testing.assert_allclose(network(*inputs)[0], flat(model(inputs))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(LAYERS.keys() - OLD))
def test_a_setting_that_no_layer_has_is_refused_by_its_name(kind, tmp_path):
    model, _ = model_of(kind)
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1]["config"]["zoneout_gain"] = 0.5
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(gw.FileError, match="zoneout_gain"):
        gw.load_network(path, strict=True)
