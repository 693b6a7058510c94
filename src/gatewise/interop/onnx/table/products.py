"""ONNX operators that multiply: matrices, sums of products, convolutions, and pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatewise.interop.onnx.file import AnyArray
from gatewise.interop.onnx.table.call import FileNode, Values, ints, reads
from gatewise.network.graph import Unsupported


@reads("Gemm")
def read_gemm(call: FileNode) -> Values:
    """Return alpha A B + beta C, either of A and B transposed: a linear layer where the numbers are 1."""
    a, b, alpha, beta = call.needed(), call.needed(1), call.get("alpha", "f", 1.0), call.get("beta", "f", 1.0)
    if call.flag("transA"):
        a = call.add("transpose", a, order=(1, 0))
    if not call.flag("transB"):
        b = call.add("transpose", b, order=(1, 0), name=f"{call.label}.weight")
    bias = call.build.value(call.input(2)) if call.input(2) else None
    weight = call.build.value(b)
    if alpha == beta == 1 and bias is not None and weight is not None and bias.shape == weight.shape[:1]:
        return call.add("linear", a, b, call.needed(2))
    y = call.add("linear", a, b)
    y = y if alpha == 1 else call.add("affine", y, alpha=alpha, beta=0.0)
    if not call.input(2):
        return y
    c = call.needed(2)
    return call.add("add", y, c if beta == 1 else call.add("affine", c, alpha=beta, beta=0.0))


@reads("Einsum")
def read_einsum(call: FileNode) -> Values:
    """Return the sum of products of an equation; without an output, its letters that occur once, in their order."""
    equation = str(call.get("equation", "s", b"")).replace(" ", "")
    if "->" not in equation:
        letters = equation.replace(",", "")
        equation += "->" + "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    return call.add("einsum", *call.inputs, equation=equation)


@reads("Conv")
def read_conv(call: FileNode) -> Values:
    """Return a convolution."""
    weight = call.constant(1, "kernel")
    if weight is None or weight.ndim < 3:
        raise Unsupported("it lacks its kernel")
    kernel = tuple(call.get("kernel_shape", "ints", weight.shape[2:]))
    if kernel != weight.shape[2:]:
        raise Unsupported(f"its kernel_shape is {kernel}; its kernel has shape {weight.shape}")
    strides, dilations = _steps(call, "strides", kernel), _steps(call, "dilations", kernel)
    widths = _widths(call, kernel, strides, dilations)
    x = call.needed() if widths is None else call.add("pad", call.needed(), widths)
    rest = [call.needed(1), *([call.needed(2)] if call.input(2) else [])]
    return call.add("conv", x, *rest, strides=strides, dilations=dilations, groups=call.get("group", "i", 1))


def _steps(call: FileNode, name: str, kernel: Sequence[int]) -> tuple[int, ...]:
    steps = tuple(call.get(name, "ints", [1] * len(kernel)))
    if len(steps) != len(kernel) or min(steps) < 1:
        raise Unsupported(f"its {name} are {steps}")
    return steps


def _widths(call: FileNode, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> AnyArray | None:
    """Return the padding of a convolution or a pool, as `pad` takes it; None for none."""
    auto = call.get("auto_pad", "s", b"NOTSET")
    pads = list(call.get("pads", "ints", [0] * 2 * len(kernel)))
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        if set(strides) != {1}:
            raise Unsupported(f"its auto_pad is {auto}, with strides")
        total = [step * (size - 1) for size, step in zip(kernel, dilations, strict=True)]
        small, large = [size // 2 for size in total], [size - size // 2 for size in total]
        pads = small + large if auto == "SAME_UPPER" else large + small
    elif auto == "VALID":
        pads = [0] * len(pads)
    elif auto != "NOTSET":
        raise Unsupported(f"its auto_pad is {auto!r}")
    half = len(kernel)
    if len(pads) != 2 * half or min(pads) < 0:
        raise Unsupported(f"its pads are {pads}")
    return ints(0, 0, *pads[:half], 0, 0, *pads[half:]) if any(pads) else None


@reads("MaxPool", "AveragePool")
def read_pool(call: FileNode) -> Values:
    """Return the largest number or the mean of each window."""
    kernel = tuple(call.get("kernel_shape", "ints", []))
    if not kernel or min(kernel) < 1:
        raise Unsupported("it lacks its kernel_shape")
    strides, dilations = _steps(call, "strides", kernel), _steps(call, "dilations", kernel)
    if call.flag("ceil_mode"):
        raise Unsupported("its windows reach beyond the input (ceil_mode)")
    settings = {"kernel": kernel, "strides": strides, "dilations": dilations}
    x, widths = call.needed(), _widths(call, kernel, strides, dilations)
    if call.kind == "MaxPool":
        call.ignore("storage_order")  # of its second output, the places, which is not made
        x = x if widths is None else call.add("pad", x, widths, np.array(-np.inf, np.float32))
        return (call.add("max_pool", x, **settings),)
    counts_padding = call.flag("count_include_pad")
    if widths is None:
        return call.add("mean_pool", x, **settings)
    y = call.add("mean_pool", call.add("pad", x, widths), **settings)
    if counts_padding:
        return y
    ones = call.add("cast_like", call.add("fill", call.add("shape", x), np.ones((), np.float32)), x)
    return call.add("div", y, call.add("mean_pool", call.add("pad", ones, widths), **settings))


@reads("GlobalAveragePool", "GlobalMaxPool")
def read_global_pool(call: FileNode) -> Values:
    """Return the mean or the largest number of each channel."""
    op = "reduce_mean" if call.kind == "GlobalAveragePool" else "reduce_max"
    x = call.needed()
    flat = call.add("reshape", x, ints(0, 0, -1))
    rank = call.add("shape", call.add("shape", x))
    ones = call.add("fill", call.add("sub", rank, ints(2)), np.int64(1))
    shape = call.add("concat", ints(0, 0), ones, axis=0)
    return call.add("reshape", call.add(op, flat, axes=(2,)), shape)
