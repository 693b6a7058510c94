"""Ordinary networks around LSTMs are read from their files exactly, with exact gradients, or refused by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import FileError

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
from peers import keras_architectures, torch_architectures  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:::torch|onnxscript|copyreg|keras")]

FORMS = {
    "torchscript.onnx": torch_architectures,
    "dynamo.onnx": torch_architectures,
    "program.pt2": torch_architectures,
}
FORMS |= {"model.keras": keras_architectures, "model.h5": keras_architectures}
CLOSE = 1e-5  # of the largest output or gradient

REFUSED = {  # files of architectures, by what is not read in them
    ("torchscript.onnx", "LSTMThenGRU"): "GRU is not supported",
    ("dynamo.onnx", "LSTMThenGRU"): "GRU is not supported",
    ("program.pt2", "LSTMThenGRU"): "gru.input is not supported",
    ("model.keras", "lstm_then_gru"): "GRU is not supported",
    ("model.h5", "lstm_then_gru"): "GRU is not supported",
    ("dynamo.onnx", "Projected"): "its initial_c has shape",  # the exporter drops the projection
}
NOT_EXPORTED = {("torchscript.onnx", "Projected")}  # PyTorch refuses to
CASES = [
    (form, name) for form, kind in FORMS.items() for name in kind.ARCHITECTURES if (form, name) not in NOT_EXPORTED
]


def saved(form, name, folder):
    """Return the file of an architecture, its inputs, the outputs of its framework, weights, and gradients.

    The gradients are those of the sum of outputs times weights with respect to each input of floating point.
    """
    module, inputs = FORMS[form].ARCHITECTURES[name]()
    path = folder / form
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form.endswith(".onnx"):
            torch.onnx.export(module, inputs, path, dynamo=form.startswith("dynamo"), verbose=False)
        elif form.endswith(".pt2"):
            torch.export.save(torch.export.export(module, inputs), path)
        else:
            module.save(path)
    tensors = [torch.as_tensor(one).clone() for one in inputs]
    smooth = [one.requires_grad_() for one in tensors if one.is_floating_point()]
    outputs = (
        module(*tensors) if form.endswith((".onnx", ".pt2")) else module(tensors if len(tensors) > 1 else tensors[0])
    )
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    weights = [torch.randn(one.shape, generator=torch.Generator().manual_seed(7)) for one in outputs]
    gradients = (
        torch.autograd.grad(
            sum((y * w).sum() for y, w in zip(outputs, weights, strict=True)), smooth, allow_unused=True
        )
        if smooth
        else []
    )
    arrays = [one.detach().numpy() for one in tensors]
    return (
        path,
        arrays,
        [y.detach().numpy() for y in outputs],
        [w.numpy() for w in weights],
        [g.numpy() for g in gradients],
    )


def assert_close(ours, theirs):
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE * max(1.0, np.abs(theirs).max(initial=0)))


def assert_frame(network, inputs, outputs, weights, gradients):
    """Compare a network around one LSTM, which takes (time, batch, feature)."""
    (x,), (expected,), (dy,) = inputs, outputs, weights
    axes = "batch,time" if network.embedding is not None else "batch,time,feature"
    y, _ = network(x, axes=axes)
    assert_close(y, expected)
    if gradients:
        dy = dy if network.reads == "last" else dy.swapaxes(0, 1)
        found = gw.backward(network.trace(x, axes=axes), dy)
        dx = found.lstm.x if found.x is None else found.x
        assert_close(dx.swapaxes(0, 1), gradients[0])


def assert_graph(network, inputs, outputs, weights, gradients):
    """Compare a network that is a graph, which takes the axes of its file."""
    assert len(network.outputs) == len(outputs)
    y, _ = network(*inputs)
    for ours, expected in zip(y if len(outputs) > 1 else [y], outputs, strict=True):
        assert_close(ours, expected)
    found = gw.backward(network.trace(*inputs), weights[0] if len(weights) == 1 else weights)
    smooth = [name for name, array in zip(network.inputs, inputs, strict=True) if array.dtype.kind == "f"]
    for name, expected in zip(smooth, gradients, strict=True):
        assert_close(found[name], expected)


@pytest.mark.filterwarnings("ignore:the network takes:UserWarning")
@pytest.mark.parametrize(("form", "name"), CASES)
def test_an_ordinary_network_is_exact_or_refused_by_name(form, name, tmp_path):
    path, *case = saved(form, name, tmp_path)
    if (words := REFUSED.get((form, name))) is not None:
        with pytest.raises(FileError, match=words):
            gw.load_network(path, strict=True)
    else:
        network = gw.load_network(path)
        (assert_frame if isinstance(network, gw.Network) else assert_graph)(network, *case)


def test_most_ordinary_networks_are_exact():
    assert set(REFUSED) <= set(CASES)
    assert len(REFUSED) <= 0.07 * len(CASES)
