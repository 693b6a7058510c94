"""Heads of networks in ONNX, as PyTorch writes them and after onnxruntime's optimiser, compute what it computes."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from onnx_reading import contents_of
from peers.onnx_running import CLOSE, ask
from peers.test_onnx_exported import exported
from test_onnx_heads import KINDS, computed_model

import gatewise as gw
from gatewise.activations import GATED, activate
from gatewise.interop.onnx.nonlinearities import KNOWN, POINTS

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
runtime = pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:::torch|onnxscript|copyreg")]

TIME, BATCH, INPUTS, HIDDEN = 5, 7, 3, 4
nn = torch.nn
MODULES = {
    "some": [nn.ReLU(), nn.ELU(0.7), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.LeakyReLU(0.2)],
    "others": [nn.Hardsigmoid(), nn.Hardswish(), nn.Softplus(), nn.SELU(), nn.Softsign(), nn.CELU(), nn.PReLU()],
}
READS = {
    "every": lambda y, h: y,
    "last": lambda y, h: y[-1],
    "h[-1]": lambda y, h: h[-1],
    "squeezed": lambda y, h: h.squeeze(0),
    "concatenated": lambda y, h: torch.cat([h[-2], h[-1]], 1),
    "turned": lambda y, h: h.permute(1, 0, 2).reshape(h.shape[1], -1),
    "flattened": lambda y, h: h.transpose(0, 1).flatten(1),
    "sum": lambda y, h: h[-2] + h[-1],
}


class Model(nn.Module):
    def __init__(self, reads, activations, *, both=False, layers=1, batch_first=False):
        super().__init__()
        self.rnn = nn.LSTM(INPUTS, HIDDEN, layers, bidirectional=both, batch_first=batch_first)
        sizes = [HIDDEN * (1 + (both and reads != "sum")), *[6] * len(activations)]
        self.head = nn.Sequential(
            *(part for n, last in enumerate(activations) for part in (nn.Linear(sizes[n], 6), last)), nn.Linear(6, 2)
        )
        self.reads = READS[reads]

    def forward(self, x):
        y, (h, _) = self.rnn(x)
        return self.head(self.reads(y, h))


def optimised(path, level):
    """Return the path of a model as onnxruntime's optimiser writes it."""
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath, options.log_severity_level = str(path.with_suffix(f".{level}.onnx")), 4
    runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return path.with_suffix(f".{level}.onnx")


def assert_all_levels(model, tmp_path, *, dynamo=False, axes=None):
    """Require that a model and its optimised forms are read, and compute what onnxruntime does; return their nodes."""
    torch.manual_seed(3)
    path, x = tmp_path / "model.onnx", torch.randn(TIME, BATCH, INPUTS)
    proto = exported(model, (x,), path, dynamo=dynamo, axes=axes, inputs=["x"], outputs=["y"])
    want, operators = ask(proto, {"x": x.numpy()})["y"], set()
    for each in (path, *(optimised(path, level) for level in ("BASIC", "EXTENDED", "ALL"))):
        operators |= {node.op_type for node in onnx.load(each).graph.node}
        network = gw.load_network(each)
        assert network.reads == ("every" if want.ndim == 3 else "last")
        assert_agree({"y": network(x.numpy())[0]}, {"y": want}, CLOSE)
    return operators


@pytest.mark.parametrize(
    ("which", "reads", "dynamo"),
    [("some", "every", False), ("others", "every", True), ("some", "h[-1]", True), ("others", "h[-1]", False)],
)
def test_every_nonlinearity_after_a_dense_layer_is_read_at_every_level_of_optimisation(which, reads, dynamo, tmp_path):
    operators = assert_all_levels(Model(reads, MODULES[which]), tmp_path, dynamo=dynamo)
    assert "Reshape" in operators if reads == "every" else "FusedGemm" in operators


@pytest.mark.parametrize(
    ("reads", "both", "layers"),
    [
        ("every", True, 1),
        ("last", False, 2),
        ("h[-1]", False, 1),
        ("h[-1]", False, 2),
        ("squeezed", False, 1),
        ("concatenated", True, 2),
        ("turned", True, 1),
        ("flattened", True, 1),
        ("sum", True, 1),
    ],
)
@pytest.mark.parametrize("axes", [None, [{0: "time", 1: "batch"}]], ids=["fixed", "open"])
def test_whatever_the_head_reads_is_read_at_every_level_of_optimisation(reads, both, layers, axes, tmp_path):
    assert_all_levels(Model(reads, [nn.ReLU()], both=both, layers=layers), tmp_path, axes=axes)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_computed_of_constants_are_those_of_onnxruntime(kind):
    model, _ = computed_model(kind)
    x = np.random.default_rng(2).normal(size=(3, 2, 3)).astype(np.float32)
    assert_agree({"y": contents_of(model).network()(x)[0]}, {"y": ask(model, {"X": x})["Z"]}, CLOSE)


def test_what_is_recognised_by_its_values_is_told_from_all_others():
    """No two of the nonlinearities that are known by their values are as near to each other as is asked for."""
    values = [activate(known, POINTS) for known in KNOWN]
    assert {known for known in KNOWN if isinstance(known, str)} == set(GATED)
    for number, first in enumerate(values):
        assert all(np.abs(first - second).max() > 1e-4 for second in values[:number])
