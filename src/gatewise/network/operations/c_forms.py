"""How each operation is written in C: an expression of each number, or a kind of loop that `c_header` writes.

In an expression ``a``, ``b`` and ``c`` are the numbers of the inputs at one place, all of them floats, and ``{name}``
is a setting, or ``tanh`` and ``sigmoid`` of a header's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Elementwise:
    """An operation on each number by itself.

    Attributes
    ----------
    text : str
    real : bool
        Whether it is for floating-point numbers alone: C's division of floats is not that of integers.
    """

    text: str
    real: bool = False


ROOT = f"{math.sqrt(0.5):.9g}f"
TANH_OF_GELU = "{tanh}(0.797884561f * (a + 0.044715f * a * a * a))"
EXPRESSIONS = {
    "neg": "-a",
    "abs": "fabsf(a)",
    "exp": "expf(a)",
    "log": "logf(a)",
    "log1p": "log1pf(a)",
    "expm1": "expm1f(a)",
    "sqrt": "sqrtf(a)",
    "reciprocal": "1.0f / a",
    "sin": "sinf(a)",
    "cos": "cosf(a)",
    "tan": "tanf(a)",
    "asin": "asinf(a)",
    "acos": "acosf(a)",
    "atan": "atanf(a)",
    "sinh": "sinhf(a)",
    "cosh": "coshf(a)",
    "asinh": "asinhf(a)",
    "acosh": "acoshf(a)",
    "atanh": "atanhf(a)",
    "erf": "erff(a)",
    "sigmoid": "{sigmoid}(a)",
    "tanh": "{tanh}(a)",
    "relu": "a < 0.0f ? 0.0f : a",
    "softplus": "(a > 0.0f ? a : 0.0f) + log1pf(expf(-fabsf(a)))",
    "softsign": "a / (1.0f + fabsf(a))",
    "silu": "a * {sigmoid}(a)",
    "gelu": f"0.5f * a * (1.0f + erff(a * {ROOT}))",
    "gelu_tanh": f"0.5f * a * (1.0f + {TANH_OF_GELU})",
    "mish": "a * {tanh}((a > 0.0f ? a : 0.0f) + log1pf(expf(-fabsf(a))))",
    "hard_swish": "a * fminf(fmaxf(a / 6.0f + 0.5f, 0.0f), 1.0f)",
    "leaky_relu": "a >= 0.0f ? a : {alpha} * a",
    "elu": "a > 0.0f ? a : {alpha} * expm1f(a)",
    "celu": "a > 0.0f ? a : {alpha} * expm1f(a / {alpha})",
    "selu": "a > 0.0f ? {gamma} * a : {gamma} * ({alpha} * expm1f(a))",
    "hard_sigmoid": "fminf(fmaxf({alpha} * a + {beta}, 0.0f), 1.0f)",
    "scaled_tanh": "{alpha} * {tanh}({beta} * a)",
    "thresholded_relu": "a > {alpha} ? a : 0.0f",
    "affine": "a * {alpha} + {beta}",
    "sign": "a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a",
    "floor": "floorf(a)",
    "ceil": "ceilf(a)",
    "round": "rintf(a)",
    "trunc": "truncf(a)",
    "is_nan": "a != a ? 1.0f : 0.0f",
    "not": "a == 0.0f ? 1.0f : 0.0f",
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "maximum": "a > b ? a : b == b ? b : a + b",
    "minimum": "a < b ? a : b == b ? b : a + b",
    "prelu": "a >= 0.0f ? a : b * a",
    "equal": "a == b ? 1.0f : 0.0f",
    "less": "a < b ? 1.0f : 0.0f",
    "greater": "a > b ? 1.0f : 0.0f",
    "less_equal": "a <= b ? 1.0f : 0.0f",
    "greater_equal": "a >= b ? 1.0f : 0.0f",
    "and": "a != 0.0f && b != 0.0f ? 1.0f : 0.0f",
    "or": "a != 0.0f || b != 0.0f ? 1.0f : 0.0f",
    "xor": "(a != 0.0f) != (b != 0.0f) ? 1.0f : 0.0f",
    "where": "a != 0.0f ? b : c",
}
REAL = {"div": "a / b", "pow": "powf(a, b)"}
KINDS = {  # of the loops that write the others
    "moves": (
        *("reshape", "transpose", "swap", "move", "squeeze", "unsqueeze", "flatten", "expand", "tile", "concat"),
        *("stack", "split", "chunk", "slice", "flip", "pad", "identity", "cast_like"),
    ),
    "cast": ("cast",),
    "clip": ("clip",),
    "gather": ("gather",),
    "matrix": ("linear", "matmul"),
    "contraction": ("einsum",),
    "convolution": ("conv",),
    "pool": ("max_pool", "mean_pool"),
    "reduction": (
        *(f"reduce_{name}" for name in ("sum", "mean", "max", "min", "prod", "norm2", "logsumexp")),
        *("softmax", "log_softmax", "normalise", "argmax", "argmin"),
    ),
    "lstm": ("lstm",),
}
FORMS: dict[str, Elementwise | str] = {
    **{name: Elementwise(text) for name, text in EXPRESSIONS.items()},
    **{name: Elementwise(text, real=True) for name, text in REAL.items()},
    **{name: kind for kind, names in KINDS.items() for name in names},
}
