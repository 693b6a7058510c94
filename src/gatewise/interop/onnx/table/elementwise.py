"""ONNX operators on each number by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.lstm import number
from gatewise.interop.onnx.table.call import FileNode, Values, ints, reads
from gatewise.network.graph import Unsupported

SAME = {  # operators that are an operation with the same inputs, and without settings
    **{
        name.title(): name
        for name in (
            *("neg", "abs", "exp", "log", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan", "sinh"),
            *("cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh", "relu", "softplus", "softsign", "mish"),
            *("identity", "floor", "ceil", "round", "sign", "not", "add", "sub", "mul", "div", "pow", "equal", "less"),
            *("greater", "and", "or", "xor", "where", "expand", "tile"),
        )
    },
    "LessOrEqual": "less_equal",
    "GreaterOrEqual": "greater_equal",
    "PRelu": "prelu",
    "IsNaN": "is_nan",
    "MatMul": "matmul",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "BitwiseNot": "bitwise_not",
    "HardSwish": "hard_swish",
    "CastLike": "cast_like",
}
# Operators of one input with constants: the operation, and its settings with their defaults.
WITH_CONSTANTS: dict[str, tuple[str, dict[str, float]]] = {
    "LeakyRelu": ("leaky_relu", {"alpha": 0.01}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Celu": ("celu", {"alpha": 1.0}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "ThresholdedRelu": ("thresholded_relu", {"alpha": 1.0}),
    "Selu": ("selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
}


def _add_same(kind: str, op: str) -> None:
    @reads(kind, ignoring=("saturate",) if kind == "CastLike" else ())
    def read(call: FileNode) -> Values:
        return call.add(op, *call.inputs)


def _add_with_constants(kind: str, op: str, defaults: dict[str, float]) -> None:
    @reads(kind)
    def read(call: FileNode) -> Values:
        settings = {name: number(call.get(name, "f", default)) for name, default in defaults.items()}
        return call.add(op, *call.inputs, **settings)


for _kind, _op in SAME.items():
    _add_same(_kind, _op)
for _kind, (_op, _defaults) in WITH_CONSTANTS.items():
    _add_with_constants(_kind, _op, _defaults)


@reads("Max", "Min", "Sum", "Mean")
def read_several(call: FileNode) -> Values:
    """Return the maximum, minimum, sum or mean of any number of inputs."""
    op = {"Max": "maximum", "Min": "minimum"}.get(call.kind, "add")
    first, *others = (call.needed(place) for place in range(len(call.inputs)))
    for other in others:
        first = call.add(op, first, other)
    if call.kind == "Mean" and others:
        first = call.add("affine", first, alpha=1 / len(call.inputs), beta=0.0)
    return first


@reads("Mod")
def read_mod(call: FileNode) -> Values:
    """Return the rest of a division, as Python or as C defines it."""
    return call.add("mod", *call.inputs, truncated=call.flag("fmod"))


@reads("IsInf")
def read_is_inf(call: FileNode) -> Values:
    """Say where numbers are infinite."""
    negative, positive = (call.flag(f"detect_{sign}", True) for sign in ("negative", "positive"))
    return call.add("is_inf", *call.inputs, negative=negative, positive=positive)


@reads("Clip")
def read_clip(call: FileNode) -> Values:
    """Return numbers between two limits, either of which may be left out."""
    return call.add("clip", *call.inputs)


@reads("Gelu", "com.microsoft.Gelu")
def read_gelu(call: FileNode) -> Values:
    """Return the exact GELU, or the one with a tanh."""
    how = call.get("approximate", "s", b"none")
    if how not in ("none", "tanh"):
        raise Unsupported(f"its approximate is {how!r}")
    return call.add("gelu_tanh" if how == "tanh" else "gelu", *call.inputs)


@reads("Swish", "com.microsoft.QuickGelu")
def read_swish(call: FileNode) -> Values:
    """Return x sigmoid(alpha x)."""
    alpha = number(call.get("alpha", "f", 1.0 if call.kind == "Swish" else 1.702))
    x = call.needed()
    return call.add("mul", x, call.add("sigmoid", call.add("affine", x, alpha=alpha, beta=0.0)))


@reads("Shrink")
def read_shrink(call: FileNode) -> Values:
    """Return numbers shrunk towards 0 by a bias, and 0 between two limits."""
    limit, bias = number(call.get("lambd", "f", 0.5)), number(call.get("bias", "f", 0.0))
    x = call.needed()
    zero = call.add("affine", x, alpha=0.0, beta=0.0)
    below = call.add("less", x, call.add("affine", zero, alpha=1.0, beta=-limit))
    above = call.add("greater", x, call.add("affine", zero, alpha=1.0, beta=limit))
    grown, shrunk = (call.add("affine", x, alpha=1.0, beta=sign * bias) for sign in (1, -1))
    return call.add("where", below, grown, call.add("where", above, shrunk, zero))


@reads("Cast", ignoring=("saturate", "round_mode"))
def read_cast(call: FileNode) -> Values:
    """Return numbers in another type that NumPy has."""
    return call.add("cast", *call.inputs, dtype=_type(call, call.get("to", "i", 0)))


def _type(call: FileNode, kind: int) -> str:
    """Return NumPy's name of a type by its number in ONNX."""
    try:
        dtype = call.scope.file.dtype(kind)
    except NotConstant:
        raise Unsupported(f"it casts to ONNX's type {kind}") from None
    if kind == call.scope.file.onnx.TensorProto.BFLOAT16:
        raise Unsupported("it casts to bfloat16, which NumPy does not have")
    return dtype.name


@reads("Constant")
def read_constant(call: FileNode) -> Values:
    """Return the array of a Constant, from whichever attribute holds it."""
    if "value" in call.attributes:
        return call.build.constant(call.scope.file.array(call.get("value", "t")), call.label)
    for name, field, dtype in (
        *(("value_float", "f", np.float32), ("value_floats", "floats", np.float32)),
        *(("value_int", "i", np.int64), ("value_ints", "ints", np.int64)),
    ):
        if name in call.attributes:
            return call.build.constant(np.asarray(call.get(name, field), dtype), call.label)
    raise Unsupported("its value is neither numbers nor a number")


@reads("Dropout", ignoring=("ratio", "seed"))
def read_dropout(call: FileNode) -> Values:
    """Return the input, since nothing is dropped but in training."""
    if call.number(2, "training_mode", False):
        raise Unsupported("it is in training mode")
    return call.add("identity", call.needed())


@reads("DequantizeLinear")
def read_dequantize(call: FileNode) -> Values:
    """Return integers as numbers: (x - zero point) scale, of which there may be one for each place of an axis."""
    scale = call.constant(1, "scale")
    axis, block = call.get("axis", "i", 1), call.get("block_size", "i", 0)
    if scale is None or scale.ndim > 1 or block:
        raise Unsupported("its scale is not one number, or one for each place of an axis")
    if "output_dtype" in call.attributes and call.get("output_dtype", "i"):
        raise Unsupported("its output_dtype is not supported")
    x = call.add("cast", call.needed(), dtype="int32")
    if call.input(2):
        zero = call.add("cast", call.needed(2), dtype="int32")
        x = call.add("sub", x, _along(call, zero, axis))
    if scale.dtype not in (np.float32, np.float64):
        raise Unsupported(f"its scale is {scale.dtype}")
    return call.add("mul", call.add("cast", x, dtype=scale.dtype.name), _along(call, call.needed(1), axis))


def _along(call: FileNode, value: str, axis: int) -> Any:
    """Return one number, or numbers on one axis with room for the axes after it in the input."""
    array, x = call.build.value(value), call.build.value(call.needed())
    if array is None or array.size == 1:
        return call.add("reshape", value, ints()) if array is not None and array.ndim else value
    if x is None:
        raise Unsupported("its input is computed as the model runs, and its scale is not one number")
    shape = [1] * x.ndim
    shape[axis] = -1
    return call.add("reshape", value, ints(*shape))
