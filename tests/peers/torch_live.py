"""PyTorch's own LSTMs, run as its users run them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

INPUTS = 4
TOLERANCE = {
    "float64": 1e-12,
    "float32": 32 * float(np.finfo(np.float32).eps),
}  # some roundings, or much more than them


def lstm_module(case, hidden=6, projected=3):
    """Return an LSTM with random weights; what a case does not name is PyTorch's default."""
    torch.manual_seed(0)
    return torch.nn.LSTM(
        INPUTS,
        case.get("hidden", hidden),
        case["layers"],
        bias=case["bias"],
        batch_first=case.get("batch_first", False),
        bidirectional=case["bidirectional"],
        proj_size=projected if case["projected"] else 0,
        dtype=getattr(torch, case["dtype"]),
    )


def tensor(array, *, leaf=False):
    """Return a tensor with an array's numbers, of its own."""
    return torch.tensor(np.array(array), requires_grad=leaf)


def tensors(arrays, *, leaf=False):
    """Return tensors by the names of arrays."""
    return {name: tensor(array, leaf=leaf) for name, array in arrays.items()}


def run(module, x, state=None, lengths=None):
    """Return the output of an LSTM and its final states: of packed sequences if lengths are given; time comes first."""
    rnn, first = torch.nn.utils.rnn, module.batch_first
    given = x.transpose(0, 1) if first else x
    if lengths is None:
        y, state = module(given, state)
    else:
        packed, state = module(rnn.pack_padded_sequence(given, tensor(lengths), first, enforce_sorted=False), state)
        y, _ = rnn.pad_packed_sequence(packed, first, total_length=len(x))
    return y.transpose(0, 1) if first else y, state
