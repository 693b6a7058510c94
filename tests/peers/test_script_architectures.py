"""Ordinary networks saved by torch.jit.save, scripted and traced, are exact, with exact gradients, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gatewise as gw
from gatewise.interop.torch.script_calls import ALIASES, SCHEMAS

torch = pytest.importorskip("torch")
from peers import torch_architectures as ordinary  # noqa: E402

nn = torch.nn
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:::torch|copyreg")]
CLOSE = 1e-5  # of the largest output or gradient
HERE: dict = {}  # more architectures, of what only code has


def more(*inputs):
    def register(kind):
        HERE[kind.__name__] = kind, inputs
        return kind

    return register


@more((6, 2, 3))
class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2), nn.Linear(4, 2)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        return self.head(y), h, c


@more((6, 2, 3), (1, 2, 5), (1, 2, 5))
class GivenState(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, (h, c))
        return y, h, c


@more((2, 6, 3))
class CellsInALoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(3, 5), nn.Linear(5, 2)

    def forward(self, x):
        h, c = torch.zeros(x.size(0), 5), torch.zeros(x.size(0), 5)
        outputs = []
        for t in range(6):
            h, c = self.cell(x[:, t], (h, c))
            outputs.append(self.head(h))
        return torch.stack(outputs, 1)


@more((2, 6, 3))
class LayersInALoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5, batch_first=True)
        self.layers = nn.ModuleList(nn.Linear(5, 5) for _ in range(3))

    def forward(self, x):
        y = self.lstm(x)[0]
        for layer in self.layers:
            y = torch.relu(layer(y)) + y
        return y


@more((2, 6, 3))
class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(5, 4), nn.ELU(inplace=True), nn.Dropout(0.5), nn.Linear(4, 2), nn.Sigmoid())

    def forward(self, x):
        y = self.lstm(x)[0].clone()
        y += 1.0
        y.mul_(2)
        return self.mlp(y)


@more((2, 6, 4))
class AttentionWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.attention = nn.LSTM(4, 4, batch_first=True), nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        y = self.lstm(x)[0]
        return self.attention(y, y, y)


@more((2, 11, 3))
class UnevenParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 11, batch_first=True)

    def forward(self, x):
        a, b, c = torch.split(self.lstm(x)[0], 5, dim=2)
        parts = torch.chunk(x, 4, 1)
        return a * 2, b, c, parts[0], parts[3]


@more((2, 6, 3), (2, 6, 3))
class Comparisons(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)

    def forward(self, x, other):
        y = self.lstm(x)[0]
        z = torch.where(other > 0.2, y, x * 2 - 1).masked_fill(other < -1, 0.5)
        return z, y**2, 1 - y, 2 / (y + 3), torch.maximum(y, other), x.norm(2, dim=-1), y / x.size(1)


@more((2, 3, 8, 6))
class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3, padding="same"), nn.MaxPool2d((2, 1))
        self.lstm = nn.LSTM(16, 5, batch_first=True)

    def forward(self, x):
        y = self.pool(torch.relu(self.conv(x))).permute(0, 3, 1, 2).flatten(2)
        return self.lstm(y)[0]


@more((2, 6, 3))
class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.position = nn.LSTM(3, 5, batch_first=True), nn.Embedding(20, 3)

    def forward(self, x):
        return self.lstm(x + self.position(torch.arange(x.size(1))).unsqueeze(0))[0]


REFUSED = {f"LSTMThenGRU {form}": "gru is not supported" for form in ("script", "trace")}
NOT_TO_SCRIPT = {"AttentiveDecoder", "ParallelLSTMs", "LoopOfCells"}  # PyTorch refuses
NOT_TO_TRACE = {"SelfAttention"}
CASES = [
    (name, form)
    for name in (*ordinary.ARCHITECTURES, *HERE)
    for form in ("script", "trace")
    if name not in (NOT_TO_SCRIPT if form == "script" else NOT_TO_TRACE)
]


def built(name):
    """Return an architecture and its inputs."""
    if name in ordinary.ARCHITECTURES:
        return ordinary.ARCHITECTURES[name]()
    kind, shapes = HERE[name]
    torch.manual_seed(0)
    module = kind().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module, tuple(torch.randn(*shape) for shape in shapes)


def saved(module, inputs, form, path):
    """Write a module as it is scripted or traced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module) if form == "script" else torch.jit.trace(module, inputs, check_trace=False)
        torch.jit.save(made, path)
    return path


def assert_close(ours, theirs):
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE * max(1.0, np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_an_ordinary_network_is_exact_with_its_gradients_or_refused_by_name(name, form, tmp_path):
    module, inputs = built(name)
    network = gw.load_network(saved(module, inputs, form, tmp_path / "net.pt"))
    arrays = [one.numpy() for one in inputs]
    if refusal := REFUSED.get(f"{name} {form}"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of axes
            with pytest.raises(gw.OptionError, match=rf"{refusal}.*line \d+ of code/"):
                network(*arrays)
        return
    tensors = [one.clone().requires_grad_(one.is_floating_point()) for one in inputs]
    outputs = module(*tensors)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [torch.randn(one.shape, generator=torch.Generator().manual_seed(7)) for one in outputs]
    smooth = [one for one in tensors if one.requires_grad]
    loss = sum((y * w).sum() for y, w in zip(outputs, weights, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of axes
        y, _ = network(*arrays)
        trace = network.trace(*arrays)
    for ours, theirs in zip(y if isinstance(y, tuple) else (y,), outputs, strict=True):
        assert_close(ours, theirs)
    if smooth:
        gradients = torch.autograd.grad(loss, smooth, allow_unused=True)
        found = gw.backward(trace, weights[0].numpy() if len(weights) == 1 else tuple(w.numpy() for w in weights))
        names = [
            one.name for one, array in zip(network.inputs.values(), arrays, strict=True) if array.dtype.kind == "f"
        ]
        for one, theirs in zip(names, gradients, strict=True):
            assert_close(found[one], theirs)


@pytest.mark.parametrize("name", ["EveryStep", "BidirectionalTagger", "StaticFeatures", "TimeFirst"])
@pytest.mark.parametrize("form", ["script", "trace"])
def test_other_sizes_than_those_of_the_example_are_exact(name, form, tmp_path):
    module, inputs = built(name)
    network = gw.load_network(saved(module, inputs, form, tmp_path / "net.pt"))
    other = [
        torch.randn(*(size + 3 if n < one.ndim - 1 else size for n, size in enumerate(one.shape))) for one in inputs
    ]
    theirs = module(*other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, _ = network(*(one.numpy() for one in other))
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
    for one, expected in pairs:
        assert_close(one, expected)


def test_the_names_of_arguments_are_those_of_pytorch():
    schemas = {}
    for schema in torch._C._jit_get_all_schemas():
        space, _, kind = schema.name.partition("::")
        if space == "aten":
            schemas.setdefault(kind, []).append([argument.name for argument in schema.arguments])
    for kind, text in SCHEMAS.items():
        names = text.split()
        known = schemas["_convolution" if kind == "convolution" else kind]
        assert any(row[: len(names)] == names for row in known), kind
    assert {*ALIASES} <= {*schemas}
