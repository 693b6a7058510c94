"""ONNX operators over whole axes: reductions, softmax, running sums, norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.interop.onnx.table.call import FileNode, Values, ints, reads
from gatewise.network.graph import Unsupported

REDUCED = {
    "Sum": "sum",
    "Mean": "mean",
    "Max": "max",
    "Min": "min",
    "Prod": "prod",
    "L2": "norm2",
    "LogSumExp": "logsumexp",
}
REDUCED |= {"L1": "sum", "LogSum": "sum", "SumSquare": "sum"}  # of something else, or before something else


@reads(*(f"Reduce{name}" for name in REDUCED))
def read_reduce(call: FileNode) -> Values:
    """Return the sum, mean, maximum … over some axes, by default over all."""
    kind = call.kind.removeprefix("Reduce")
    axes, keepdims = call.ints(1, "axes"), call.flag("keepdims", True)
    nothing = call.flag("noop_with_empty_axes")
    x = call.needed()
    if kind == "L1":
        x = call.add("abs", x)
    elif kind == "SumSquare":
        x = call.add("mul", x, x)
    if nothing and not axes:
        return x if kind in ("L1", "SumSquare", "Sum", "Mean", "Max", "Min", "Prod") else _of_one_number(call, kind, x)
    y = call.add(f"reduce_{REDUCED[kind]}", x, axes=axes or None, keepdims=keepdims)
    return call.add("log", y) if kind == "LogSum" else y


def _of_one_number(call: FileNode, kind: str, x: str) -> Values:
    """Return the reduction of each number alone."""
    if kind == "LogSumExp":
        return x
    return call.add({"LogSum": "log", "L2": "abs"}[kind], x)


@reads("ArgMax", "ArgMin")
def read_argmax(call: FileNode) -> Values:
    """Return the place of the largest or smallest number along an axis."""
    settings = {"axis": call.get("axis", "i", 0), "keepdims": call.flag("keepdims", True)}
    return call.add(call.kind.lower(), call.needed(), last=call.flag("select_last_index"), **settings)


@reads("CumSum")
def read_cumsum(call: FileNode) -> Values:
    """Return running sums along an axis."""
    axis = call.number(1, "axis")
    if axis is None:
        raise Unsupported("it lacks its axis")
    exclusive, reverse = call.flag("exclusive"), call.flag("reverse")
    return call.add("cumsum", call.needed(), axis=int(axis), exclusive=exclusive, reverse=reverse)


@reads("Softmax", "LogSoftmax")
def read_softmax(call: FileNode) -> Values:
    """Return a softmax along an axis, or its logarithm."""
    return call.add(_softmax_of(call), call.needed(), axis=call.get("axis", "i", -1))


@reads("Softmax-1", "LogSoftmax-1")
def read_flat_softmax(call: FileNode) -> Values:
    """Return a softmax as before opset 13: over all axes from one on, together."""
    flat = call.add("flatten", call.needed(), start=call.get("axis", "i", 1))
    y = call.add(_softmax_of(call), flat, axis=1)
    return call.add("reshape", y, call.add("shape", call.needed()), zeros=True)


def _softmax_of(call: FileNode) -> str:
    return "softmax" if call.kind == "Softmax" else "log_softmax"


# Norms.


@reads("LayerNormalization")
def read_layer_norm(call: FileNode) -> Values:
    """Return numbers normalised over all axes from one on, scaled and shifted."""
    axis, epsilon = call.get("axis", "i", -1), call.get("epsilon", "f", 1e-5)
    if call.get("stash_type", "i", 1) != 1:
        raise Unsupported("its stash_type is not float32")
    x = call.needed()
    if axis < 0:
        y = call.add("normalise", x, axes=tuple(range(axis, 0)), epsilon=epsilon)
    else:  # of so many axes as there are from it on
        y = call.add("normalise", call.add("flatten", x, start=axis), axes=(1,), epsilon=epsilon)
        y = call.add("reshape", y, call.add("shape", x), zeros=True)
    y = call.add("mul", y, call.needed(1))
    return (call.add("add", y, call.needed(2)) if call.input(2) else y,)


@reads("RMSNormalization", "SimplifiedLayerNormalization")
def read_rms_norm(call: FileNode) -> Values:
    """Return numbers divided by the root of their mean square over all axes from one on, scaled."""
    axis, epsilon = call.get("axis", "i", -1), call.get("epsilon", "f", 1e-5)
    if call.get("stash_type", "i", 1) != 1:
        raise Unsupported("its stash_type is not float32")
    x = y = call.needed()
    if axis >= 0:
        y = call.add("flatten", x, start=axis)
    axes = (1,) if axis >= 0 else tuple(range(axis, 0))
    mean = call.add("reduce_mean", call.add("mul", y, y), axes=axes, keepdims=True)
    y = call.add("div", y, call.add("sqrt", call.add("affine", mean, alpha=1.0, beta=epsilon)))
    if axis >= 0:
        y = call.add("reshape", y, call.add("shape", x), zeros=True)
    return call.add("mul", y, call.needed(1))


@reads("BatchNormalization", ignoring=("momentum",))
def read_batch_norm(call: FileNode) -> Values:
    """Return numbers scaled and shifted, channel by channel, by the statistics of the training."""
    if call.flag("training_mode") or len(call.outputs) > 1:
        raise Unsupported("it is in training mode")
    if not call.flag("spatial", True):
        raise Unsupported("it normalises each place by itself")
    x, scale, shift, mean, variance = (call.needed(place) for place in range(5))
    root = call.add("sqrt", call.add("affine", variance, alpha=1.0, beta=call.get("epsilon", "f", 1e-5)))
    factor = call.add("div", scale, root)
    offset = call.add("sub", shift, call.add("mul", mean, factor))
    factor, offset = (call.add("reshape", item, _beside_channels(call, -1)) for item in (factor, offset))
    return (call.add("add", call.add("mul", x, factor), offset),)


def _beside_channels(call: FileNode, first: int) -> Any:
    """Return sizes: the first, and 1 for each axis of the input after (batch, channel)."""
    rank = call.add("shape", call.add("shape", call.needed()))
    ones = call.add("fill", call.add("sub", rank, ints(2)), np.int64(1))
    return call.add("concat", ints(first), ones, axis=0)


@reads("InstanceNormalization")
def read_instance_norm(call: FileNode) -> Values:
    """Return each channel of each sequence normalised over its places, scaled and shifted."""
    flat = call.add("reshape", call.needed(), ints(0, 0, -1))
    y = call.add("normalise", flat, axes=(2,), epsilon=call.get("epsilon", "f", 1e-5))
    scale, shift = (call.add("unsqueeze", call.needed(place), axes=(1,)) for place in (1, 2))
    y = call.add("add", call.add("mul", y, scale), shift)
    return call.add("reshape", y, call.add("shape", call.needed()), zeros=True)


@reads("GroupNormalization")
def read_group_norm(call: FileNode) -> Values:
    """Return channels normalised in groups, scaled and shifted channel by channel."""
    groups = call.get("num_groups", "i", 0)
    if groups < 1 or call.get("stash_type", "i", 1) != 1:
        raise Unsupported("it lacks its num_groups, or its stash_type is not float32")
    if call.opset < 21:
        raise Unsupported("before opset 21 it scales group by group")
    flat = call.add("reshape", call.needed(), ints(0, groups, -1))
    y = call.add("normalise", flat, axes=(2,), epsilon=call.get("epsilon", "f", 1e-5))
    y = call.add("reshape", y, call.add("shape", call.needed()), zeros=True)
    scale, shift = (call.add("reshape", call.needed(place), _beside_channels(call, -1)) for place in (1, 2))
    return call.add("add", call.add("mul", y, scale), shift)


@reads("LpNormalization")
def read_lp_norm(call: FileNode) -> Values:
    """Return numbers divided by their norm along an axis."""
    axis, p, x = call.get("axis", "i", -1), call.get("p", "i", 2), call.needed()
    if p not in (1, 2):
        raise Unsupported(f"its p is {p}")
    norm = call.add(
        "reduce_norm2" if p == 2 else "reduce_sum", x if p == 2 else call.add("abs", x), axes=(axis,), keepdims=True
    )
    zero = call.add("equal", norm, call.add("affine", norm, alpha=0.0, beta=0.0))
    return call.add("div", x, call.add("where", zero, call.add("affine", norm, alpha=0.0, beta=1.0), norm))


@reads("MeanVarianceNormalization")
def read_mean_variance(call: FileNode) -> Values:
    """Return numbers of mean 0 and variance 1 over some axes."""
    axes = tuple(call.get("axes", "ints", [0, 2, 3]))
    x = call.needed()
    centred = call.add("sub", x, call.add("reduce_mean", x, axes=axes, keepdims=True))
    square = call.add("reduce_mean", call.add("mul", centred, centred), axes=axes, keepdims=True)
    return call.add("div", centred, call.add("affine", call.add("sqrt", square), alpha=1.0, beta=1e-9))
