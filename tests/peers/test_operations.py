"""The rows of the table of operations compute what PyTorch's operations do, and their gradients are autograd's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from operation_examples import EXAMPLES, Example

from gatewise.network.operations import FLAT, OPERATIONS

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.peers

ALIKE = (  # of one name there
    *("neg", "abs", "exp", "log", "log1p", "expm1", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh", "relu", "sign", "floor", "ceil", "round"),
    *("trunc", "maximum", "minimum", "pow", "where", "matmul"),
)


def ints(array: Any) -> list[int]:
    return [int(one) for one in array]


def axes_of(axes: Any, x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else tuple(axes)


def reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axes=None, keepdims=False: function(x, axes_of(axes, x), keepdims)


def product_of(x: Any, axes: Any = None, keepdims: bool = False) -> Any:
    for axis in sorted((one % x.ndim for one in axes_of(axes, x)), reverse=True):
        x = x.prod(axis, keepdim=keepdims)
    return x


def padded(x: Any, pads: Any, value: Any = None, mode: str = "constant") -> Any:
    """Return a padding as functional.pad computes it, of the two axes of the examples."""
    (a, b), (c, d) = np.asarray(pads).reshape(2, -1)
    names = {"edge": "replicate", "wrap": "circular", "reflect": "reflect", "constant": "constant"}
    settings = {"value": 0.0 if value is None else value.item()} if mode == "constant" else {}
    widths = ints((b, d, a, c))
    if mode == "constant":
        return F.pad(x, widths, mode, **settings)
    return F.pad(x[None, None], widths, names[mode])[0, 0]


def cumulative(x: Any, axis: int, exclusive: bool = False, reverse: bool = False) -> Any:
    x = x.flip(axis) if reverse else x
    y = x.cumsum(axis) - (x if exclusive else 0)
    return y.flip(axis) if reverse else y


def pooled(function: Callable[..., Any], dilated: bool) -> Callable[..., Any]:
    def pool(x: Any, kernel: Any, strides: Any, dilations: Any) -> Any:
        if dilated:
            return function(x, kernel, strides, 0, dilations)
        assert set(dilations) == {1}
        return function(x, kernel, strides)

    return pool


def reshaped(x: Any, shape: Any, zeros: bool = False) -> Any:
    sizes = ints(shape)
    return x.reshape(sizes if zeros else [size or x.shape[place] for place, size in enumerate(sizes)])


PEERS: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in ALIKE},
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hard_swish": F.hardswish,
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "celu": lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(x / alpha)),  # functional's rounds alpha
    "thresholded_relu": lambda x, alpha: F.threshold(x, alpha, 0.0),
    "prelu": lambda x, slope: torch.where(x >= 0, x, slope * x),
    "clip": lambda x, low=None, high=None: torch.clamp(x, low, high),
    "mod": lambda a, b, truncated: torch.fmod(a, b) if truncated else torch.remainder(a, b),
    "is_nan": torch.isnan,
    "affine": lambda x, alpha, beta: alpha * x + beta,
    "linear": F.linear,
    "einsum": lambda *arrays, equation: torch.einsum(equation, *arrays),
    "conv": lambda x, w, b=None, *, strides, dilations, groups: (F.conv2d if x.ndim == 4 else F.conv1d)(
        x, w, b, strides, 0, dilations, groups
    ),
    "max_pool": pooled(F.max_pool2d, True),
    "reshape": reshaped,
    "transpose": lambda x, order=None: x.permute(order or tuple(reversed(range(x.ndim)))),
    "swap": lambda x, first, second: x.transpose(first, second),
    "move": lambda x, source, target: torch.movedim(x, source, target),
    "squeeze": lambda x, axes=None: x.squeeze(axes) if axes else x.squeeze(),
    "flatten": lambda x, start: x.flatten(start),
    "expand": lambda x, shape: torch.broadcast_to(x, torch.broadcast_shapes(x.shape, tuple(ints(shape)))),
    "tile": lambda x, repeats: x.repeat(ints(repeats)),
    "concat": lambda *arrays, axis: torch.cat(arrays, axis),
    "stack": lambda *arrays, axis: torch.stack(arrays, axis),
    "split": lambda x, sizes, axis: torch.split(x, ints(sizes), axis),
    "chunk": lambda x, count, axis: torch.chunk(x, count, axis),
    "gather": lambda x, indices, axis: torch.index_select(x, axis, (indices % x.shape[axis]).reshape(-1)).reshape(
        *x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]
    ),
    "gather_elements": lambda x, indices, axis: torch.gather(x, axis, indices % x.shape[axis]),
    "flip": lambda x, axes: x.flip(axes),
    "pad": padded,
    "triangle": lambda x, offset, upper: torch.triu(x, offset) if upper else torch.tril(x, offset),
    "reduce_sum": reduced(torch.sum),
    "reduce_mean": reduced(torch.mean),
    "reduce_max": reduced(torch.amax),
    "reduce_min": reduced(torch.amin),
    "reduce_prod": product_of,
    "reduce_norm2": reduced(lambda x, axes, keepdims: torch.linalg.vector_norm(x, 2, axes, keepdims)),
    "reduce_logsumexp": reduced(torch.logsumexp),
    "cumsum": cumulative,
    "softmax": lambda x, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
    "normalise": lambda x, axes, epsilon: F.layer_norm(x, x.shape[-1:], eps=epsilon),
}
ELSEWHERE = {  # of the rest: what PyTorch lacks under such a name, or the LSTM, whose own laws have autograd in them
    *("identity", "selu", "hard_sigmoid", "scaled_tanh", "cast", "cast_like", "is_inf", "choose", "unsqueeze", "slice"),
    *("mean_pool", "shape", "fill", "range", "one_hot", "lstm", "unknown", "scan", "loop", "reduce_any", "reduce_all"),
    *("argmax", "argmin", "equal", "less", "greater", "less_equal", "greater_equal", "and", "or", "xor", "not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"),
}
CASES = [pytest.param(one, id=f"{one.op}-{place}") for place, one in enumerate(EXAMPLES) if one.op in PEERS]


def test_every_operation_has_a_peer_or_a_reason():
    assert OPERATIONS.keys() == PEERS.keys() | ELSEWHERE
    assert PEERS.keys().isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("example", CASES)
def test_an_operation_and_its_gradient_are_those_of_pytorch(example: Example):
    places = [n for n, one in enumerate(example.inputs) if getattr(one, "dtype", None) == np.float64]
    tensors = [None if one is None else torch.as_tensor(np.array(one)) for one in example.inputs]
    smooth = [tensors[n].requires_grad_() for n in places]
    theirs = PEERS[example.op](*tensors, **example.settings)
    theirs = theirs if isinstance(theirs, (tuple, list)) else (theirs,)
    ours = example.forward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-12, atol=1e-13)
    if OPERATIONS[example.op].vjp is FLAT:
        return
    g = [torch.as_tensor(np.random.default_rng(1).standard_normal(one.shape)) for one in theirs]
    expected = torch.autograd.grad(theirs, smooth, g, allow_unused=True)
    several = example.op in ("split", "chunk")
    arrays = tuple(one.numpy() for one in g)
    found = OPERATIONS[example.op].vjp(
        arrays if several else arrays[0], ours if several else ours[0], *example.inputs, **example.settings
    )
    for place, gradient in zip(places, expected, strict=True):
        if gradient is not None:
            np.testing.assert_allclose(found[place], gradient.numpy(), rtol=1e-10, atol=1e-12)
