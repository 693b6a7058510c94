"""Keras' layers as nodes of a graph: which of them let masks through, and what their settings do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
from peers.keras_live import L, keras

from gatewise.interop.keras import table
from gatewise.interop.keras.graph_reader import ACTIVATIONS, LAYERS, PASS_MASKS
from gatewise.network.operations import OPERATIONS

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")]

assert table.read_dense in LAYERS.values()  # importing it fills the table
ARGUMENTS = {
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"), (0.1,)),
    **dict.fromkeys(("AlphaDropout",), (0.1,)),
    "Activation": ("tanh",),
    "Dense": (2,),
    "Reshape": ((2, 3),),
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
