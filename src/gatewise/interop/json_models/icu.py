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
from gatewise.interop.containers.json_document import array, entry, said, single
from gatewise.interop.found import Contents, Found
from gatewise.interop.json_models.parts import KERAS, cell, part, version
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network

MATRICES = tuple(f"mat{number}" for number in range(1, 10))


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return what is in a document of ICU's."""
    table, *kernels, weight, bias = (_matrix(document, name, budget) for name in MATRICES)
    forward, backward = cell(*kernels[:3]), cell(*kernels[3:])
    lstm = LSTM.from_cells([(forward, backward)])
    head = Linear(single(weight.T), single(bias), SOFTMAX)
    network = Network(lstm, embedding=single(table), head=head)
    found = Found("lstm", lstm, f"ICU, from Keras: {KERAS}, directions side by side", "mat2 to mat7")
    parts = (
        part("embedding", "embedding", single(table)),
        part("head", "linear layer", head.weight, head.bias, SOFTMAX),
    )
    kind = f"ICU word segmenter{version(document.get('model'))}"
    return Contents(path, kind, (found,), parts, network=lambda: network)


def _matrix(document: dict[str, Any], name: str, budget: Budget) -> Array:
    one = entry(document, name, dict, "the model")
    dim = entry(one, "dim", list, name)
    if not 1 <= len(dim) <= 2 or not all(type(n) is int and n > 0 for n in dim):
        raise FileError(f"'dim' of {name} must be one or two integers, not {said(dim)}")
    data = array(f"'data' of {name}", entry(one, "data", list, name), budget)
    if data.shape != (prod(dim),):
        raise FileError(f"'data' of {name} has shape {data.shape}; its dim asks for {said(prod(dim))} numbers")
    return data.reshape(dim)
