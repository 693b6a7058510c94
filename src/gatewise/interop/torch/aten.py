"""The table from ATen's operators to nodes of a graph. Arguments have the names of ATen's schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gatewise.errors import shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.torch.aten_lstms import read_lstm, read_lstm_cell
from gatewise.interop.torch.program_reader import TABLE, OperatorNode, ProgramReader, Value, reads
from gatewise.network.graph import Graph, Unsupported

END = int(np.iinfo(np.int64).max)

# Element by element.

UNARY = {
    *("abs", "exp", "log", "log1p", "expm1", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "erf", "sigmoid", "tanh", "relu", "silu", "mish", "neg", "floor", "ceil", "round", "sign"),
    *("trunc",),
}
RENAMED = {"hardswish": "hard_swish", "isnan": "is_nan", "logical_not": "not", "bitwise_not": "bitwise_not"}
BINARY = {
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum")),
    "eq": "equal",
    "lt": "less",
    "gt": "greater",
    "le": "less_equal",
    "ge": "greater_equal",
    "logical_and": "and",
    "logical_or": "or",
    "logical_xor": "xor",
}
TRUTHS = ("equal", "less", "greater", "less_equal", "greater_equal", "and", "or", "xor")
SIZES = {"add": "add", "sub": "sub", "mul": "mul", "floordiv": "div"}  # Python's operators on sizes
UNCHANGED = ("clone", "contiguous", "detach", "detach_", "alias", "lift_fresh_copy", "dropout", "feature_dropout")


def in_own_type(call: OperatorNode, y: Value) -> Value:
    """Return an operator's output; one in place gives truth values in the type of the tensor that it changes."""
    name = call.kind.removesuffix("_")
    is_truth = name in ("isnan", "logical_not") or BINARY.get(name) in TRUTHS
    return str(call.add("cast", y, dtype=call.output_dtype)) if is_truth and call.output_dtype != "bool" else y


def read_unary(call: OperatorNode) -> Value:
    """Return a function of each number."""
    kind = call.kind.removesuffix("_")
    x = call.x
    if kind == "round" and call.get("decimals", 0):
        raise Unsupported("it rounds to decimals")
    if call.dtype("self") is not None and call.output_dtype != call.dtype("self") and call.output_dtype != "bool":
        x = call.add("cast", x, dtype=call.output_dtype)
    return in_own_type(call, call.add(RENAMED.get(kind, kind), x))


for _kind in (*UNARY, *RENAMED):
    TABLE[_kind] = TABLE[f"{_kind}_"] = read_unary


def read_binary(call: OperatorNode) -> Value:
    """Return two operands combined, as ATen promotes their types."""
    kind = call.kind.removesuffix("_")
    if kind == "div" and call.get("rounding_mode"):
        raise Unsupported("it rounds its quotients")
    a, b = call.operands()
    if (alpha := call.get("alpha", 1)) != 1:
        b = call.add("mul", b, np.asarray(alpha, call.output_dtype))
    return in_own_type(call, call.add(BINARY[kind] or kind, a, b))


for _kind in BINARY:
    TABLE[_kind] = TABLE[f"{_kind}_"] = read_binary


@reads("pow", "pow_")
def read_power(call: OperatorNode) -> Value:
    """Return the power of two operands, in the type that ATen promotes them to."""
    return str(call.add("pow", *(call.operand(name, call.output_dtype) for name in ("self", "exponent"))))


@reads("rsub")
def read_rsub(call: OperatorNode) -> Value:
    """Return other − alpha · self."""
    a, b = call.operands()
    if (alpha := call.get("alpha", 1)) != 1:
        a = call.add("mul", a, np.asarray(alpha, call.output_dtype))
    return str(call.add("sub", b, a))


def read_size_arithmetic(call: OperatorNode) -> Value:
    """Return sizes combined."""
    numbers = [
        number if isinstance(number, str) else np.asarray(number, np.int64) for number in call.arguments.values()
    ]
    call.known.update(call.arguments)
    return str(call.add(SIZES[call.kind.rpartition(".")[2]], *numbers))


for _kind in SIZES:
    TABLE[f"_operator.{_kind}"] = read_size_arithmetic


@reads(*UNCHANGED)
def read_unchanged(call: OperatorNode) -> Value:
    """Return the input: what only concerns memory, and dropout outside of training."""
    if call.get("train") is True:
        raise Unsupported("it is dropout in training")
    return call.x


@reads("to", "_to_copy", "type_as")
def read_cast(call: OperatorNode) -> Value:
    """Return the numbers in the type of the output."""
    call.get("dtype"), call.get("other")
    return call.x if call.dtype("self") == call.output_dtype else str(call.add("cast", call.x, dtype=call.output_dtype))


@reads("where")
def read_where(call: OperatorNode) -> Value:
    """Return numbers of one or the other, by a condition."""
    dtype = call.output_dtype
    return str(call.add("where", call.needed("condition"), call.operand("self", dtype), call.operand("other", dtype)))


@reads("masked_fill", "masked_fill_")
def read_masked_fill(call: OperatorNode) -> Value:
    """Return one number where a mask holds."""
    return str(call.add("where", call.needed("mask"), call.operand("value", call.output_dtype), call.x))


@reads("softplus")
def read_softplus(call: OperatorNode) -> Value:
    """Return log(1 + exp(x))."""
    if call.get("beta", 1) != 1:
        raise Unsupported("its beta is not 1")
    call.get("threshold")  # above it, PyTorch returns x, which is the same to the last digit or two
    return str(call.add("softplus", call.x))


@reads("leaky_relu", "leaky_relu_")
def read_leaky_relu(call: OperatorNode) -> Value:
    """Return x, and a part of it if it is negative."""
    return str(call.add("leaky_relu", call.x, alpha=call.get("negative_slope", 0.01)))


@reads("elu", "elu_")
def read_elu(call: OperatorNode) -> Value:
    """Return x, and alpha · (exp(x) − 1) if it is negative."""
    if call.get("scale", 1) != 1 or call.get("input_scale", 1) != 1:
        raise Unsupported("it is scaled")
    return str(call.add("elu", call.x, alpha=call.get("alpha", 1.0)))


@reads("gelu")
def read_gelu(call: OperatorNode) -> Value:
    """Return x Φ(x), or its approximation by tanh."""
    return str(call.add("gelu_tanh" if call.get("approximate") == "tanh" else "gelu", call.x))


@reads("hardsigmoid")
def read_hard_sigmoid(call: OperatorNode) -> Value:
    """Return x / 6 + 0.5, limited to 0 and 1."""
    return str(call.add("hard_sigmoid", call.x, alpha=1 / 6, beta=0.5))


@reads("clamp", "clamp_", "clamp_min", "clamp_max", "hardtanh", "hardtanh_", "relu6")
def read_clip(call: OperatorNode) -> Value:
    """Return the numbers limited to a range."""
    low, high = {"hardtanh": (-1.0, 1.0), "relu6": (0.0, 6.0)}.get(call.kind.removesuffix("_"), (None, None))
    limits = [call.get("min_val", call.get("min", low)), call.get("max_val", call.get("max", high))]
    bounds = [
        "" if limit is None else limit if isinstance(limit, str) else np.asarray(limit, call.output_dtype)
        for limit in limits
    ]
    while bounds and isinstance(bounds[-1], str) and not bounds[-1]:
        bounds.pop()
    return str(call.add("clip", call.x, *bounds))


@reads("prelu")
def read_prelu(call: OperatorNode) -> Value:
    """Return x, and a part of it if it is negative: the same part everywhere."""
    slope = call.build.value(call.needed("weight"))
    if slope is None or slope.size > 1:
        raise Unsupported("each channel has a slope of its own")
    return str(call.add("prelu", call.x, call.needed("weight")))


@reads("glu")
def read_glu(call: OperatorNode) -> Value:
    """Return the first half of an axis times the sigmoid of the second."""
    first, second = call.add("chunk", call.x, count=2, axis=call.get("dim", -1), outputs=2)
    return str(call.add("mul", first, call.add("sigmoid", second)))


# Axes and parts.


@reads("sym_size", "size")
def read_size(call: OperatorNode) -> Value:
    """Return the size of an axis."""
    return str(call.add("gather", call.add("shape", call.x), np.array(call.needed("dim"), np.int64), axis=0))


@reads("view", "reshape", "_unsafe_view")
def read_view(call: OperatorNode) -> Value:
    """Return the same numbers in another shape."""
    return str(call.add("reshape", call.x, call.sizes(call.get("size") or call.needed("shape")), zeros=True))


@reads("view_as", "expand_as")
def read_like(call: OperatorNode) -> Value:
    """Return the numbers in the shape of another value."""
    op = "expand" if call.kind == "expand_as" else "reshape"
    return str(call.add(op, call.x, call.add("shape", call.needed("other"))))


@reads("unflatten")
def read_unflatten(call: OperatorNode) -> Value:
    """Return an axis as several."""
    axis, sizes = call.get("dim", 0), call.sizes(call.needed("sizes"))
    if axis < 0:
        before = [np.array(0), np.array(axis)]
        after = [np.array(axis + 1), np.array(END)] if axis != -1 else None
    else:
        before, after = [np.array(0), np.array(axis)], [np.array(axis + 1), np.array(END)]
    shape = call.add("shape", call.x)
    zero, step = np.array([0]), np.array([1])
    parts = [call.add("slice", shape, *(np.reshape(bound, 1) for bound in before), zero, step), sizes]
    if after is not None:
        parts.append(call.add("slice", shape, *(np.reshape(bound, 1) for bound in after), zero, step))
    return str(call.add("reshape", call.x, call.add("concat", *parts, axis=0), zeros=True))


@reads("flatten")
def read_flatten(call: OperatorNode) -> Value:
    """Return several axes as one."""
    start, end = call.get("start_dim", 0), call.get("end_dim", -1)
    shape, zero, step = call.add("shape", call.x), np.array([0]), np.array([1])
    parts = [call.add("slice", shape, zero, np.array([start]), zero, step), np.array([-1])]
    if end != -1:
        parts.append(call.add("slice", shape, np.array([end + 1]), np.array([END]), zero, step))
    return str(call.add("reshape", call.x, call.add("concat", *parts, axis=0), zeros=True))


@reads("permute")
def read_permute(call: OperatorNode) -> Value:
    """Return the axes in another order."""
    return str(call.add("transpose", call.x, order=tuple(call.needed("dims"))))


@reads("transpose", "swapaxes", "swapdims", "t", "numpy_T")
def read_transpose(call: OperatorNode) -> Value:
    """Return two axes exchanged."""
    if call.kind == "numpy_T":
        return str(call.add("transpose", call.x))
    pairs = {"swapaxes": ("axis0", "axis1")}.get(call.kind, ("dim0", "dim1"))
    first, second = (call.get(name, place) for place, name in enumerate(pairs))
    return str(call.add("swap", call.x, first=first, second=second))


@reads("unsqueeze")
def read_unsqueeze(call: OperatorNode) -> Value:
    """Return a new axis of size 1."""
    return str(call.add("unsqueeze", call.x, axes=(call.needed("dim"),)))


@reads("squeeze")
def read_squeeze(call: OperatorNode) -> Value:
    """Return the numbers without axes of size 1; an axis of another size stays."""
    shape, axes = call.shape("self"), call.axes()
    if shape is None or any(shape[axis] is None for axis in axes or range(len(shape))):
        raise Unsupported("the size of an axis is known in a run only")
    every = range(-len(shape), 0) if axes is None else axes
    return str(call.add("squeeze", call.x, axes=tuple(axis for axis in every if shape[axis] == 1)))


@reads("select")
def read_select(call: OperatorNode) -> Value:
    """Return one place of an axis."""
    index = call.needed("index")
    index = index if isinstance(index, str) else np.array(index, np.int64)
    return str(call.add("gather", call.x, index, axis=call.needed("dim")))


@reads("slice")
def read_slice(call: OperatorNode) -> Value:
    """Return a part of an axis."""
    start, end, step = call.get("start", 0), call.get("end", END), call.get("step", 1)
    axis = call.get("dim", 0)
    if (start, end, step) == (0, END, 1):
        return call.x
    bounds = [call.sizes([start]), call.sizes([end]), np.array([axis], np.int64), np.array([step], np.int64)]
    return str(call.add("slice", call.x, *bounds))


@reads("index_select", "embedding", "index")
def read_gather(call: OperatorNode) -> Value:
    """Return rows of an axis by their numbers."""
    if call.kind == "embedding":
        return str(call.add("gather", call.needed("weight"), call.needed("indices"), axis=0))
    if call.kind == "index_select":
        return str(call.add("gather", call.x, call.needed("index"), axis=call.needed("dim")))
    indices = call.needed("indices")
    places = [place for place, index in enumerate(indices) if index is not None]
    if len(places) != 1:
        raise Unsupported("it takes numbers by several axes at once")
    dtypes = [call.reader.dtypes.get(name) for name in call.described["indices"]]
    if dtypes != ["int64"]:
        raise Unsupported("it takes numbers by a mask")
    return str(call.add("gather", call.x, indices[places[0]], axis=places[0]))


@reads("gather")
def read_gather_elements(call: OperatorNode) -> Value:
    """Return numbers of an axis, each by its own place."""
    return str(call.add("gather_elements", call.x, call.needed("index"), axis=call.needed("dim")))


@reads("cat", "concat", "stack")
def read_concat(call: OperatorNode) -> Value:
    """Return values one behind another, or on a new axis, as ATen promotes their types."""
    dtype, parts = call.output_dtype, []
    for name, value in zip(call.described["tensors"], call.needed("tensors"), strict=True):
        parts.append(value if call.reader.dtypes.get(name) in (None, dtype) else call.add("cast", value, dtype=dtype))
    return str(call.add("stack" if call.kind == "stack" else "concat", *parts, axis=call.get("dim", 0)))


@reads("split_with_sizes", "split", "chunk")
def read_split(call: OperatorNode) -> Any:
    """Return the parts of an axis."""
    axis, count = call.get("dim", 0), len(call.outputs)
    sizes = call.get("split_sizes")
    if sizes is None and isinstance(call.get("split_size"), list):
        sizes = call.get("split_size")
    if sizes is not None:
        parts = call.add("split", call.x, call.sizes(sizes), axis=axis, outputs=count)
        return [parts] if isinstance(parts, str) else parts
    if (size := call.get("split_size")) is not None and count > 1:  # of each part but the last
        total = call.add("gather", call.add("shape", call.x), np.array(axis), axis=0)
        rest = call.add("sub", total, np.array(size * (count - 1)))
        return call.add("split", call.x, call.sizes([size] * (count - 1) + [rest]), axis=axis, outputs=count)
    call.get("chunks")
    return call.add("chunk", call.x, count=count, axis=axis, outputs=count) if count > 1 else call.x


@reads("unbind")
def read_unbind(call: OperatorNode) -> list[Value]:
    """Return each place of an axis."""
    axis = call.get("dim", 0)
    return [call.add("gather", call.x, np.array(n, np.int64), axis=axis) for n in range(len(call.outputs))]


@reads("expand")
def read_expand(call: OperatorNode) -> Value:
    """Return the numbers repeated along axes of size 1; −1 keeps an axis."""
    sizes = [1 if size == -1 else size for size in call.needed("size")]
    return str(call.add("expand", call.x, call.sizes(sizes)))


@reads("repeat")
def read_repeat(call: OperatorNode) -> Value:
    """Return the numbers repeated so often along each axis; new axes come first."""
    repeats = call.needed("repeats")
    rank = call.add("shape", call.add("shape", call.x))
    missing = call.add("sub", np.array([len(repeats)]), rank)
    ones = call.add("fill", missing, np.array(1, np.int64))
    x = call.add("reshape", call.x, call.add("concat", ones, call.add("shape", call.x), axis=0), zeros=True)
    return str(call.add("tile", x, call.sizes(repeats)))


@reads("flip")
def read_flip(call: OperatorNode) -> Value:
    """Return axes in reverse order."""
    return str(call.add("flip", call.x, axes=tuple(call.needed("dims"))))


@reads("zeros", "ones", "full", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like")
def read_fill(call: OperatorNode) -> Value:
    """Return an array of one number."""
    call.get("dtype")
    number = call.get("fill_value", float("ones" in call.kind))
    if isinstance(number, str):
        raise Unsupported("its number is computed as the model runs")
    shape = call.add("shape", call.x) if "like" in call.kind else call.sizes(call.needed("size"))
    if "new" in call.kind:
        call.get("self")
    value = str(call.add("fill", shape, np.asarray(number, call.output_dtype)))
    if not number:
        call.reader.zeros.add(value)
    return value


@reads("scalar_tensor")
def read_scalar(call: OperatorNode) -> Value:
    """Return a number."""
    call.get("dtype")
    return call.build.constant(np.asarray(call.needed("s"), call.output_dtype))


@reads("copy")
def read_copy(call: OperatorNode) -> Value:
    """Return the numbers of another value, in the shape of the first."""
    return str(call.add("expand", call.operand("src", call.output_dtype), call.add("shape", call.x)))


@reads("arange")
def read_range(call: OperatorNode) -> Value:
    """Return numbers in equal steps."""
    call.get("dtype")
    bounds = [call.get("start", 0), call.needed("end"), call.get("step", 1)]
    numbers = [bound if isinstance(bound, str) else np.asarray(bound) for bound in bounds]
    return str(call.add("cast", call.add("range", *numbers), dtype=call.output_dtype))


@reads("pad", "constant_pad_nd")
def read_pad(call: OperatorNode) -> Value:
    """Return more before and after the last axes."""
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    name = str(call.get("mode", "constant"))
    if name not in mode:
        raise Unsupported(f"it pads by {shown(name, 40)!r}")
    value = call.get("value")
    number = np.asarray(value, call.output_dtype) if value is not None and name == "constant" else None
    return call.pad_last(call.x, call.needed("pad"), number, mode[name])


@reads("tril", "triu")
def read_triangle(call: OperatorNode) -> Value:
    """Return the numbers below or above a diagonal."""
    return str(call.add("triangle", call.x, offset=call.get("diagonal", 0), upper=call.kind == "triu"))


# Over whole axes.


@reads("mean", "sum", "amax", "amin", "prod", "logsumexp", "any", "all")
def read_reduction(call: OperatorNode) -> Value:
    """Return one number for each row of some axes."""
    call.get("dtype")
    x = call.x
    if call.kind not in ("any", "all") and call.dtype("self") != call.output_dtype:
        x = call.add("cast", x, dtype=call.output_dtype)
    op = f"reduce_{ {'amax': 'max', 'amin': 'min'}.get(call.kind, call.kind) }"
    return str(call.add(op, x, axes=call.axes(), keepdims=call.flag("keepdim")))


@reads("max", "min")
def read_extreme(call: OperatorNode) -> Any:
    """Return the largest or the smallest number of all, of an axis with its place, or of two values."""
    if "other" in call.arguments:
        return call.add(f"{call.kind}imum", *call.operands())
    axes, keepdims = call.axes(), call.flag("keepdim")
    y = call.add(f"reduce_{call.kind}", call.x, axes=axes, keepdims=keepdims)
    if axes is None:
        return y
    return [y, call.add(f"arg{call.kind}", call.x, axis=axes[0], keepdims=keepdims)]


@reads("argmax", "argmin")
def read_place(call: OperatorNode) -> Value:
    """Return the place of the largest or the smallest number."""
    return str(call.add(call.kind, call.x, axis=call.needed("dim"), keepdims=call.flag("keepdim")))


@reads("linalg_vector_norm", "norm")
def read_norm(call: OperatorNode) -> Value:
    """Return the root of the sum of squares."""
    call.get("dtype")
    if call.get("ord", call.get("p", 2)) != 2:
        raise Unsupported("it is a norm of another order than 2")
    return str(call.add("reduce_norm2", call.x, axes=call.axes(), keepdims=call.flag("keepdim")))


@reads("cosine_similarity")
def read_cosine_similarity(call: OperatorNode) -> Value:
    """Return the product of two values that have length 1 along an axis; epsilon limits their lengths."""
    axis, epsilon = (call.get("dim", 1),), np.asarray(call.get("eps", 1e-8), call.output_dtype)
    parts = []
    for name in ("x1", "x2"):
        x = call.needed(name)
        length = call.add("reduce_norm2", x, axes=axis, keepdims=True)
        parts.append(call.add("div", x, call.add("maximum", length, epsilon)))
    return str(call.add("reduce_sum", call.add("mul", *parts), axes=axis))


@reads("cumsum")
def read_cumsum(call: OperatorNode) -> Value:
    """Return running sums."""
    call.get("dtype")
    return str(call.add("cumsum", call.x, axis=call.needed("dim")))


@reads("softmax", "log_softmax", "_softmax", "_log_softmax")
def read_softmax(call: OperatorNode) -> Value:
    """Return the softmax of an axis, or its logarithm."""
    if call.get("half_to_float") or call.get("dtype") not in (None, call.dtype("self")):
        raise Unsupported("it changes the type")
    return str(call.add(call.kind.removeprefix("_"), call.x, axis=call.needed("dim")))


@reads("layer_norm")
def read_layer_norm(call: OperatorNode) -> Value:
    """Return features of mean 0 and variance 1, scaled and shifted."""
    axes = tuple(range(-len(call.needed("normalized_shape")), 0))
    y = call.add("normalise", call.x, axes=axes, epsilon=call.get("eps", 1e-5))
    y = call.add("mul", y, call.get("weight")) if call.get("weight") else y
    return str(call.add("add", y, call.get("bias")) if call.get("bias") else y)


@reads("batch_norm", "_native_batch_norm_legit_no_training")
def read_batch_norm(call: OperatorNode) -> Value:
    """Return channels, on the second axis, scaled and shifted by stored means and variances."""
    if call.flag("training"):
        raise Unsupported("it is a batch norm in training")
    mean, variance = (call.build.value(call.needed(name)) for name in ("running_mean", "running_var"))
    if mean is None or variance is None:
        raise Unsupported("its mean or variance is not stored")
    deviation = np.sqrt(variance + variance.dtype.type(call.get("eps", 1e-5)))
    weight, bias = call.get("weight"), call.get("bias")
    factor = call.add("mul", weight, 1 / deviation) if weight else call.build.constant(1 / deviation)
    shift = call.add("mul", factor, -mean)
    shift = call.add("add", bias, shift) if bias else shift
    rank = call.add("shape", call.add("shape", call.x))  # the channels are the second axis
    ones = call.add("fill", call.add("sub", rank, np.array([2])), np.array(1, np.int64))
    shape = call.add("concat", np.array([-1]), ones, axis=0)
    scaled = call.add("mul", call.x, call.add("reshape", factor, shape))
    return str(call.add("add", scaled, call.add("reshape", shift, shape)))


# Products.


@reads("linear")
def read_linear(call: OperatorNode) -> Value:
    """Return W x + b."""
    bias = [call.get("bias")] if call.get("bias") else []
    return str(call.add("linear", call.x, call.needed("weight"), *bias))


@reads("matmul", "bmm", "mm", "mv", "dot", "addmm")
def read_matmul(call: OperatorNode) -> Value:
    """Return a product of matrices; addmm adds to it."""
    if call.kind == "addmm":
        if call.get("alpha", 1) != 1 or call.get("beta", 1) != 1:
            raise Unsupported("it is scaled")
        product = call.add("matmul", call.needed("mat1"), call.needed("mat2"))
        return str(call.add("add", product, call.needed("self")))
    other = next(name for name in ("other", "mat2", "vec", "tensor") if name in call.arguments)
    return str(call.add("matmul", call.x, call.needed(other)))


@reads("einsum")
def read_einsum(call: OperatorNode) -> Value:
    """Return sums of products by the letters of axes."""
    equation = str(call.needed("equation")).replace(" ", "")
    if call.get("path"):
        raise Unsupported("it has a path")
    if "->" not in equation:
        letters = sorted({letter for letter in equation if letter.isalpha() and equation.count(letter) == 1})
        equation += "->" + "".join(letters)
    return str(call.add("einsum", *call.needed("tensors"), equation=equation))


@reads("conv1d", "conv2d", "convolution")
def read_convolution(call: OperatorNode) -> Value:
    """Return a convolution over one or two axes."""
    weight = call.build.value(call.needed("weight"))
    if weight is None or call.flag("transposed"):
        raise Unsupported("its kernel is computed as the model runs" if weight is None else "it is transposed")
    rank = weight.ndim - 2
    strides, dilations = call.spatial("stride", rank, 1), call.spatial("dilation", rank, 1)
    padding = call.get("padding", 0)
    if padding == "valid":
        pads = (0,) * rank * 2
    elif padding == "same":
        totals = [dilation * (size - 1) for dilation, size in zip(dilations, weight.shape[2:], strict=True)]
        pads = tuple(part for total in reversed(totals) for part in (total // 2, total - total // 2))
    else:
        pads = tuple(part for size in reversed(call.spatial("padding", rank, 0)) for part in (size, size))
    if any(np.ravel(call.get("output_padding", 0))):
        raise Unsupported("it pads its output")
    bias = [call.get("bias")] if call.get("bias") else []
    x, groups = call.pad_last(call.x, pads), call.get("groups", 1)
    return str(call.add("conv", x, call.needed("weight"), *bias, strides=strides, dilations=dilations, groups=groups))


@reads("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")
def read_pool(call: OperatorNode) -> Value:
    """Return the largest number or the mean of each window."""
    rank, largest = int(call.kind[-2]), call.kind.startswith("max")
    kernel = call.spatial("kernel_size", rank, 1)
    strides = call.spatial("stride", rank, 1) if call.get("stride") else kernel
    padding = call.spatial("padding", rank, 0)
    if call.flag("ceil_mode") or call.get("divisor_override") or (any(padding) and not largest):
        raise Unsupported("it has ceil_mode, a divisor, or a mean with padding")
    call.get("count_include_pad")  # nothing is padded
    pads = tuple(part for size in reversed(padding) for part in (size, size))
    settings = {"kernel": kernel, "strides": strides, "dilations": call.spatial("dilation", rank, 1)}
    lowest = np.asarray(-np.inf, call.output_dtype)
    return str(call.add("max_pool" if largest else "mean_pool", call.pad_last(call.x, pads, lowest), **settings))


@reads("adaptive_avg_pool1d", "adaptive_max_pool1d")
def read_adaptive_pool(call: OperatorNode) -> Any:
    """Return the mean or the largest number of the last axis."""
    if call.needed("output_size") != [1]:
        raise Unsupported("its output has several places")
    if "avg" in call.kind:
        return call.add("reduce_mean", call.x, axes=(-1,), keepdims=True)
    y = call.add("reduce_max", call.x, axes=(-1,), keepdims=True)
    return [y, call.add("argmax", call.x, axis=-1, keepdims=True)]


@reads("scaled_dot_product_attention")
def read_attention(call: OperatorNode) -> Value:
    """Return softmax(Q Kᵀ / √size + mask) V (Vaswani et al. 2017, equation 1)."""
    if call.flag("is_causal") or call.get("dropout_p", 0.0) or call.flag("enable_gqa"):
        raise Unsupported("it is causal, has dropout, or groups its queries")
    query, key, value = (call.needed(name) for name in ("query", "key", "value"))
    scores = call.add("matmul", query, call.add("swap", key, first=-2, second=-1))
    if (factor := call.get("scale")) is not None:
        scores = call.add("mul", scores, np.asarray(factor, call.output_dtype))
    else:
        size = call.add("gather", call.add("shape", query), np.array(-1), axis=0)
        scores = call.add("div", scores, call.add("sqrt", call.add("cast", size, dtype=call.output_dtype)))
    if mask := call.get("attn_mask"):
        if call.dtype("attn_mask") == "bool":
            raise Unsupported("its mask is boolean")
        scores = call.add("add", scores, mask)
    return str(call.add("matmul", call.add("softmax", scores, axis=-1), value))


for _kind, _row in (("lstm", read_lstm), ("lstm_cell", read_lstm_cell)):
    TABLE[_kind] = _row


def graph_of_program(document: Any, weights: Mapping[str, Tensor], budget: Budget) -> Graph:
    """Return the graph of a program of torch.export.

    Raises
    ------
    FileError
        If the document is not a program, or changes its buffers or inputs.
    """
    return ProgramReader(weights, budget).graph(document)
