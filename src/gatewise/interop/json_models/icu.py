"""ICU's word segmenters.

Their nine matrices are the embedding, kernel, recurrent kernel and bias forward and backward, in Keras' order, and a
dense layer with softmax.
"""

from __future__ import annotations

from math import prod
from typing import Any

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import array, describe, entry, to_float32
from gatewise.interop.contents import Contents, StoredLSTM, held_layer
from gatewise.interop.json_models.parts import KERAS, keras_cell, version_suffix
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network

MATRICES = tuple(f"mat{number}" for number in range(1, 10))


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the contents of the JSON of an ICU word segmenter."""
    table, *kernels, weight, bias = (_read_matrix(document, name, budget) for name in MATRICES)
    forward, backward = keras_cell(*kernels[:3]), keras_cell(*kernels[3:])
    lstm = LSTM.from_cells([(forward, backward)])
    head = Linear(to_float32(weight.T), to_float32(bias), SOFTMAX)
    embedding = to_float32(table)
    network = Network(lstm, embedding=embedding, head=head)
    stored = StoredLSTM("lstm", lstm, f"ICU, from Keras: {KERAS}, directions side by side", "mat2 to mat7")
    parts = (held_layer("embedding", embedding), held_layer("head", head))
    kind = f"ICU word segmenter{version_suffix(document.get('model'))}"
    return Contents(path, kind, (stored,), parts, network=lambda: network)


def _read_matrix(document: dict[str, Any], name: str, budget: Budget) -> Array:
    """Return a matrix of the JSON of an ICU word segmenter, whose dim gives its shape."""
    matrix = entry(document, name, dict, "the model")
    dim = entry(matrix, "dim", list, name)
    if not 1 <= len(dim) <= 2 or not all(type(n) is int and n > 0 for n in dim):
        raise FileError(f"'dim' of {name} must be one or two integers, not {describe(dim)}")
    data = array(f"'data' of {name}", entry(matrix, "data", list, name), budget)
    if data.shape != (prod(dim),):
        raise FileError(f"'data' of {name} has shape {data.shape}; its dim asks for {describe(prod(dim))} numbers")
    return data.reshape(dim)
