"""Operators of torch.export as nodes of a graph: each computes what PyTorch computes, also where it changes a value."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import OptionError

torch = pytest.importorskip("torch")
from gatewise.interop.torch.aten import TABLE  # noqa: E402
from gatewise.network.graph_network import GraphNetwork  # noqa: E402

F = torch.nn.functional
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:::torch|copyreg"),
    pytest.mark.filterwarnings("ignore:the network takes:UserWarning"),
]

PLACES = torch.tensor([2, 0, 1])
TENSORS = {
    "x": torch.linspace(-2.3, 2.9, 36).reshape(2, 6, 3)[:, torch.tensor([3, 0, 5, 1, 4, 2])],
    "w": torch.linspace(-1, 1, 12).reshape(4, 3),
    "n": torch.arange(36).reshape(2, 6, 3) % 7 - 3,
    "b": (torch.arange(36).reshape(2, 6, 3) % 5) > 2,
    "image": torch.linspace(-1, 1, 2 * 3 * 6 * 5).reshape(2, 3, 6, 5) ** 3,
}
KERNEL = torch.linspace(-1, 1, 48).reshape(2, 6, 4)
DEPTHWISE = torch.linspace(0, 1, 18).reshape(3, 1, 3, 2)
WEIGHTS = torch.tensor([0.5, -2.0])
LIMITED = ("acos", "asin", "log", "log1p", "sqrt")  # of numbers between 0 and 1
UNARY = sorted(
    {*("abs", "exp", "expm1", "reciprocal", "sin", "cos", "tan", "atan", "sinh", "cosh", "erf", "sigmoid", "tanh")}
    | {*("neg", "floor", "ceil", "round", "sign", "trunc", "isnan", "logical_not", *LIMITED)}
)
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "eq", "lt", "gt", "le", "ge")
BINARY += ("logical_and", "logical_or", "logical_xor")


def in_range(x, name):
    return torch.sigmoid(x) if name in LIMITED else x


PROGRAMS = {
    **{name: lambda x, name=name: getattr(torch, name)(in_range(x, name)) for name in UNARY},
    **{
        f"{name}_": lambda x, name=name: getattr(in_range(x, name).clone(), f"{name}_")()
        for name in UNARY
        if name != "isnan"
    },
    **{name: lambda x, name=name: getattr(torch, name)(x, x.flip(1)) for name in BINARY},
    **{
        f"{name}_": lambda x, name=name: getattr(x.clone(), f"{name}_")(x.flip(1))
        for name in BINARY
        if name not in ("maximum", "minimum")
    },
    "numbers": lambda x: (x + 2.5) * 3 - x / 4 + (1 - x) + x**2,
    "alpha": lambda x: torch.add(x, x * x, alpha=2) + torch.sub(x, x.abs(), alpha=3) + torch.rsub(x, x.exp(), alpha=2),
    "powers": lambda x: torch.pow(x.abs(), x) + x.abs().clone().pow_(1.5) + 2**x,
    "whole": lambda n: (n + 2) * 3 - n,
    "whole by a float": lambda n: n * 0.5 + 1,
    "whole divided": lambda n: n / 4,
    "whole and float": lambda n, x: n * x + n,
    "whole compared with a float": lambda n: (n > 0.5).float() + (n <= 1).float(),
    "whole exponential": lambda n: torch.exp(n) + torch.sigmoid(n),
    "whole mean": lambda n: n.float().mean(1) + n.sum(1),
    "truths": lambda b: (~b).float() + b.sum(1, keepdim=True) + b.any(2, keepdim=True) + b.all(1, keepdim=True),
    "activations": lambda x: torch.relu(x) + F.silu(x) + F.mish(x) + F.hardswish(x) + F.hardsigmoid(x) + F.relu6(x * 4),
    "activations in place": lambda x: (
        torch.relu_(x.clone()) + F.silu(x.clone(), inplace=True) + F.mish(x.clone(), inplace=True)
    ),
    "hardswish_": lambda x: F.hardswish(x.clone(), inplace=True),
    "slopes": lambda x: F.leaky_relu(x, 0.3) + F.elu(x, 0.7) + F.leaky_relu_(x.clone(), 0.2) + F.elu_(x.clone(), 0.4),
    "gelu": lambda x: F.gelu(x) + 2 * F.gelu(x, approximate="tanh"),
    "softplus": lambda x: F.softplus(x * 9),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.3])),
    "glu": lambda image: F.glu(image, 2),
    "limits": lambda x: x.clamp(-1, 0.5) + x.clamp(min=0.1) + x.clamp(max=-0.2) + F.hardtanh(x, -0.4, 1.2),
    "limits in place": lambda x: x.clone().clamp_(-1, 0.5) + F.hardtanh_(x.clone()) + torch.clamp_min(x, 0.3),
    "clamp_max": lambda x: torch.clamp_max(x, 0.3),
    "where": lambda x: torch.where(x > 0, x, -2.0) + x.masked_fill(x < -1, 0.5) + x.clone().masked_fill_(x > 1, 9.0),
    "casts": lambda x, n: x.to(torch.int64) + n.float() + n.type_as(x) + x.double().float(),
    "copies": lambda x: x.clone() + x.contiguous() + x.detach() + F.dropout(x, training=False),
    "feature_dropout": lambda image: F.dropout2d(image, training=False),
    "views": lambda x: x.reshape(2, 18).view(4, 9).flatten().unflatten(0, (6, 6)).view_as(x.reshape(6, 6)),
    "parts of axes": lambda x: x.flatten(0, 1).unflatten(0, (2, -1)).unflatten(-1, (3, 1)).flatten(1, 2),
    "order": lambda x: x.permute(2, 0, 1).transpose(0, 2).swapaxes(1, 2).swapdims(0, 1) + 0,
    "t": lambda w: w.t() + w.T,
    "axes of one": lambda x: x.unsqueeze(1).unsqueeze(-1).squeeze(1).squeeze(),
    "squeeze of others": lambda x: x.squeeze(1) + x.squeeze(),
    "select": lambda x: x[:, 0] + x.select(1, -1) + x[:, 1:6:2].sum(1) + x[:, -2:].sum(1),
    "index": lambda x: x[:, PLACES] + x.index_select(1, PLACES),
    "gather": lambda x: x.gather(2, PLACES.expand(2, 6, 3)),
    "concat": lambda x, n: torch.cat([x, n], 1) + torch.concat([x, x], 1),
    "stack": lambda x, n: torch.stack([x, n, x], 1),
    "split": lambda x: sum(part.sum(1) * k for k, part in enumerate(torch.split(x, [1, 3, 2], 1), 1)),
    "split evenly": lambda x: sum(part.sum(1) * k for k, part in enumerate(torch.split(x, 4, 1), 1)),
    "chunk": lambda x: sum(part.sum(1) * k for k, part in enumerate(torch.chunk(x, 4, 1), 1)),
    "unbind": lambda x: sum(part * k for k, part in enumerate(x.unbind(1), 1)),
    "expand": lambda x: x[:, :1].expand(-1, 6, -1) + x[:, :1].expand_as(x),
    "repeat": lambda x: x.repeat(2, 1, 1, 2),
    "flip": lambda x: x.flip(0, 2),
    "fills": lambda x: (
        x + torch.zeros(2, 6, 3) + torch.ones(3) + torch.full((1, 3), 2.5) + x.new_zeros(3) + x.new_ones(3)
    ),
    "fills like": lambda x: x.new_full((3,), 7.0) + torch.zeros_like(x) + torch.ones_like(x) + torch.full_like(x, 0.25),
    "arange": lambda x: x + torch.arange(3) + torch.arange(2, 8, 2) + torch.arange(0.0, 3.0),
    "pad": lambda x: F.pad(x, (1, 2)) + F.pad(x, (2, 1), value=3.0),
    "pad two axes": lambda x: F.pad(x, (1, 2, 3, 0), value=-1.0),
    "pad by its own": lambda x: F.pad(x, (1, 1), mode="reflect") + F.pad(x, (1, 1), mode="replicate"),
    "pad in a circle": lambda x: F.pad(x, (2, 1), mode="circular"),
    "triangles": lambda x: torch.tril(x, 1) + torch.triu(x, -1),
    "reductions": lambda x: x.mean(1) + x.sum((1,)) + x.amax(1) + x.amin(1) + x.prod(1) + x.logsumexp(1),
    "reductions of all": lambda x: x.mean() + x.sum() + x.max() + x.min(),
    "extremes": lambda x: x.max(1)[0] + x.min(1).values + x.max(1).indices + x.argmax(1) + x.argmin(1),
    "extremes of two": lambda x: torch.max(x, -x) + torch.min(x, x * x),
    "norms": lambda x: torch.linalg.vector_norm(x, dim=1) + x.norm(dim=1),
    "cosine": lambda x: F.cosine_similarity(x, x.flip(1), dim=2),
    "cumsum": lambda x: x.cumsum(1),
    "softmax": lambda x: torch.softmax(x, 1) + torch.log_softmax(x, 2),
    "layer_norm": lambda x, w: F.layer_norm(x, (3,), w[0], w[1], eps=0.1) + F.layer_norm(x, (6, 3)),
    "batch_norm": lambda image: F.batch_norm(image, torch.ones(3) / 3, torch.ones(3) * 2, eps=0.1),
    "linear": lambda x, w: F.linear(x, w, w[:, 0]) + F.linear(x, w),
    "products": lambda x, w: x @ w.T + torch.bmm(x, w.T.expand(2, 3, 4)),
    "matrices": lambda w: torch.mm(w, w.T) @ torch.mv(w, w[0]) + torch.dot(w[0], w[1]) + torch.addmm(w[:, 0], w, w.T),
    "einsum": lambda x, w: torch.einsum("btf, kf", x, w),
    "conv": lambda x: F.conv1d(x, KERNEL[..., :2], WEIGHTS, padding=1, dilation=2),
    "conv of groups": lambda image: F.conv2d(image, DEPTHWISE, stride=(2, 1), groups=3),
    "conv of the same size": lambda x: F.conv1d(x, KERNEL, padding="same"),
    "pools": lambda image: F.max_pool2d(image, 2, padding=1, stride=1)[:, :, :5, :4] + F.avg_pool2d(image, 2, 1),
    "pools of one axis": lambda x: F.max_pool1d(x, 2, 1) + F.avg_pool1d(x, 2, 1),
    "adaptive": lambda x: F.adaptive_avg_pool1d(x, 1) + F.adaptive_max_pool1d(x, 1),
    "attention": lambda image: F.scaled_dot_product_attention(image, image * 2, image - 1, scale=0.3),
    "attention with a mask": lambda image: F.scaled_dot_product_attention(image, image, image, torch.ones(6, 6).tril()),
}


def exported(tmp_path, program, decomposed):
    """Return the program of a function in a file, and its inputs."""
    names = program.__code__.co_varnames[: program.__code__.co_argcount - len(program.__defaults__ or ())]
    inputs = tuple(TENSORS[name] for name in names)

    class Module(torch.nn.Module):
        def forward(self, *tensors):
            return program(*tensors)

    model = torch.export.export(Module().eval(), inputs)
    model = model.run_decompositions() if decomposed else model
    path = tmp_path / "program.pt2"
    torch.export.save(model, path)
    return path, inputs


def unknown_operators(graph):
    return {node.settings["kind"] for node in graph.nodes if node.op == "unknown"}


CASES = [(name, False) for name in PROGRAMS] + [(name, True) for name in PROGRAMS if " " in name]


@pytest.mark.parametrize(("name", "decomposed"), CASES)
def test_an_operator_computes_what_pytorch_computes(name, decomposed, tmp_path):
    path, inputs = exported(tmp_path, PROGRAMS[name], decomposed)
    expected = PROGRAMS[name](*inputs).numpy()
    network = GraphNetwork(gw.inspect(path).graph())
    if decomposed and (unknown := unknown_operators(network.graph)):  # operators that only decompositions have
        assert {kind.partition(".")[0] for kind in unknown}.isdisjoint(TABLE)
        return
    y, _ = network(*(tensor.numpy() for tensor in inputs))
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_every_operator_of_the_table_is_in_a_program(tmp_path):
    kinds = set()
    for program in PROGRAMS.values():
        path, _ = exported(tmp_path, program, decomposed=False)
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("models/model.json"))
            nodes = json.loads(archive.read(name))["graph_module"]["graph"]["nodes"]
        kinds |= {node["target"].removeprefix("torch.ops.aten.").rpartition(".")[0] for node in nodes}
    assert TABLE.keys() - kinds - ELSEWHERE == set()


ELSEWHERE = {
    # These come from decompositions.
    *("_log_softmax", "_native_batch_norm_legit_no_training", "_softmax", "_to_copy", "_unsafe_view", "alias", "copy"),
    *("constant_pad_nd", "convolution", "scalar_tensor"),
    # These are in the architectures of test_architectures.py.
    *("_operator.add", "_operator.floordiv", "_operator.mul", "_operator.sub", "embedding", "lstm", "lstm_cell"),
    *("size", "sym_size"),
    # These are not what the exporter of this PyTorch writes.
    *("bitwise_not_", "contiguous", "isnan_", "maximum_", "minimum_", "norm"),
}

# Operators that change a value in place: whoever shares its numbers sees the change.


def doubled(x):
    y = x + 1
    z = y * 3
    y.mul_(2)
    return y + z


def through_a_view(x):
    y = x + 1
    y[:, :2].mul_(2)
    return y


def of_its_base(x):
    y = x + 1
    view = y.transpose(1, 2)
    y.add_(1.5)
    return view


def one_place(x):
    y = x + 1
    y[:, 0] = 0
    return y


def of_another_name(x):
    y = x + 1
    z = y.detach()
    y.add_(1.5)
    y.mul_(z)
    return z


def by_a_mask(x):
    y = x + 1
    y[y < 0] = 0.5
    return y


IN_PLACE = {doubled: True, through_a_view: False, of_its_base: False, one_place: False, of_another_name: True}
IN_PLACE |= {by_a_mask: False}


@pytest.mark.parametrize("program", IN_PLACE, ids=lambda program: program.__name__)
@pytest.mark.parametrize("decomposed", [False, True])
def test_what_changes_a_value_in_place_is_exact_or_refused(program, decomposed, tmp_path):
    path, inputs = exported(tmp_path, program, decomposed)
    network = GraphNetwork(gw.inspect(path).graph())
    if unknown_operators(network.graph):
        assert not IN_PLACE[program]
        with pytest.raises(OptionError, match="is not supported"):
            network(inputs[0].numpy())
    else:
        expected = program(*inputs).numpy()
        np.testing.assert_allclose(network(inputs[0].numpy())[0], expected, rtol=0, atol=1e-6)
