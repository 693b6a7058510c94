"""Examples of every operation: inputs, settings, and for each setting another value that must change the output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gatewise as gw
from gatewise.network import loops
from gatewise.network.graph import Builder, Graph
from gatewise.network.operations import OPERATIONS


@dataclass(frozen=True)
class Example:
    """Inputs of an operation (float64 are differentiated), its settings, and other values of them."""

    op: str
    inputs: tuple[Any, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def forward(self, *inputs: Any, **settings: Any) -> tuple[Any, ...]:
        """Return the outputs, as a tuple, of other inputs or settings if there are some."""
        made = OPERATIONS[self.op].forward(*(inputs or self.inputs), **{**self.settings, **settings})
        return tuple(map(np.asarray, made if isinstance(made, tuple) else (made,)))


RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def away(*shape: int) -> Any:
    """Return numbers that are no closer to 0 than 0.2, where many functions have a kink."""
    return RNG.uniform(0.2, 0.9, shape) * RNG.choice([-1, 1], shape)


def positive(*shape: int) -> Any:
    return RNG.uniform(0.3, 2.0, shape)


def distinct(*shape: int) -> Any:
    """Return numbers no two of which are close."""
    return RNG.permutation(np.arange(np.prod(shape)) * 0.37 - 2.1).reshape(shape)


def ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


ABOVE_ONE = {"acosh"}
POSITIVE = {"log", "log1p", "sqrt"}
WITHIN_ONE = {"asin", "acos", "atanh"}
ONE = (
    *("neg", "abs", "exp", "log", "log1p", "expm1", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh", "relu", "softplus", "softsign", "identity"),
    *("gelu", "gelu_tanh", "silu", "mish", "hard_swish", "sign", "floor", "ceil", "round", "trunc", "is_nan"),
)


def of_one(op: str) -> Example:
    x = positive(3, 4) + 1.1 if op in ABOVE_ONE else positive(3, 4) if op in POSITIVE else away(3, 4)
    return Example(op, (x,))


x2, x3 = distinct(3, 4), distinct(2, 3, 4)
TRUE = np.array([[True, False, True, False]])
CELL = gw.LSTM(3, 2, bidirectional=True, merge="none", rng=1, dtype=np.float64)
OTHER = gw.LSTM(3, 2, bidirectional=True, merge="none", rng=2, dtype=np.float64)
ONE_WAY = gw.LSTM(3, 4, projection_size=2, direction="backward", rng=1, dtype=np.float64)
KERNEL = {"strides": (2, 1), "dilations": (1, 2)}
OTHER_KERNEL = {"strides": (1, 1), "dilations": (2, 1)}

EXAMPLES = [
    *map(of_one, ONE),
    *(Example(op, (away(3, 4),), {"alpha": 0.3}, {"alpha": 0.7}) for op in ("leaky_relu", "elu", "celu")),
    Example("selu", (away(3, 4),), {"alpha": 1.7, "gamma": 1.1}, {"alpha": 1.3, "gamma": 0.9}),
    Example("hard_sigmoid", (3 * normal(3, 4),), {"alpha": 0.2, "beta": 0.5}, {"alpha": 0.3, "beta": 0.4}),
    Example("scaled_tanh", (normal(3, 4),), {"alpha": 1.2, "beta": 0.5}, {"alpha": 0.3, "beta": 0.4}),
    Example("thresholded_relu", (distinct(3, 4),), {"alpha": 0.4}, {"alpha": 0.8}),
    Example("clip", (distinct(3, 4), np.array(-1.0), np.array(1.0))),
    Example("clip", (distinct(3, 4), np.array(-1.0))),
    Example("clip", (distinct(3, 4), None, np.array(0.5))),
    Example("cast", (normal(3, 4) * 5,), {"dtype": "float64"}, {"dtype": "int64"}),
    Example("cast_like", (normal(3, 4) * 5, np.zeros(()))),
    Example("affine", (normal(3, 4),), {"alpha": 2.0, "beta": 0.5}, {"alpha": 3.0, "beta": 0.4}),
    Example(
        "is_inf",
        (np.array([np.inf, -np.inf, 1.0]),),
        {"negative": True, "positive": True},
        {"negative": False, "positive": False},
    ),
    *(Example(op, (normal(2, 3, 4), away(3, 1))) for op in ("add", "sub", "mul", "div", "maximum", "minimum")),
    *(Example(op, (away(4), away(2, 1, 4))) for op in ("mul", "div", "prelu")),
    Example("pow", (positive(3, 4), normal(4))),
    Example("pow", (away(3, 4), np.array(2))),
    Example("mod", (away(3, 4) * 9, np.array(1.7)), {"truncated": False}, {"truncated": True}),
    *(
        Example(op, (np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])))
        for op in ("equal", "less", "greater", "less_equal", "greater_equal")
    ),
    *(Example(op, (TRUE, ~TRUE[:, ::-1])) for op in ("and", "or", "xor")),
    *(Example(op, (ints(5, 6), ints(3, 2))) for op in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    Example("not", (TRUE,)),
    Example("bitwise_not", (ints(5, 6),)),
    Example("where", (TRUE, normal(3, 1), normal(3, 4))),
    Example("choose", (np.array(True), normal(3), None)),
    Example("choose", (np.array(False), None, normal(3))),
    # Products.
    *(Example("matmul", shapes) for shapes in ((normal(3), normal(3)), (normal(2, 3), normal(3)))),
    Example("matmul", (normal(3), normal(2, 3, 4))),
    Example("matmul", (normal(2, 1, 3, 4), normal(5, 4, 2))),
    Example("linear", (normal(2, 5, 3), normal(4, 3), normal(4))),
    Example("linear", (normal(2, 3), normal(4, 3))),
    Example("einsum", (normal(2, 3), normal(3, 4)), {"equation": "ij,jk->ik"}, {"equation": "ij,jk->ki"}),
    Example("einsum", (normal(2, 3, 4),), {"equation": "ijk->j"}, {"equation": "ijk->k"}),
    Example(
        "einsum", (normal(2, 3), normal(2, 3), normal(4)), {"equation": "bi,bi,c->bc"}, {"equation": "bi,bi,c->cb"}
    ),
    Example(
        "conv",
        (normal(2, 4, 7, 7), normal(6, 2, 3, 2), normal(6)),
        {**KERNEL, "groups": 2},
        OTHER_KERNEL,
    ),
    Example("conv", (normal(2, 4, 7), normal(6, 4, 3)), {"strides": (2,), "dilations": (1,), "groups": 1}),
    *(
        Example(op, (distinct(2, 2, 7, 7),), {"kernel": (2, 3), **KERNEL}, {"kernel": (3, 2), **OTHER_KERNEL})
        for op in ("max_pool", "mean_pool")
    ),
    # Axes.
    Example("reshape", (x3, ints(0, -1)), {"zeros": False}),
    Example("reshape", (np.ones((0, 3)), ints(3, 0)), {"zeros": True}, {"zeros": False}),
    Example("transpose", (x3,), {"order": (2, 0, 1)}, {"order": (1, 0, 2)}),
    Example("transpose", (x3,)),
    Example("transpose", (x3,), {"order": (-1, 0, -2)}),
    Example("swap", (x3,), {"first": 0, "second": 2}, {"first": 1, "second": 0}),
    Example("move", (x3,), {"source": 0, "target": -1}, {"source": 1, "target": 0}),
    Example("squeeze", (normal(1, 3, 1),), {"axes": (0,)}, {"axes": None}),
    Example("unsqueeze", (x2,), {"axes": (0, -1)}, {"axes": (1,)}),
    Example("flatten", (x3,), {"start": 1}, {"start": -1}),
    Example("expand", (normal(3, 1), ints(2, 1, 4))),
    Example("tile", (x2, ints(2, 3))),
    Example("concat", (normal(2, 2), normal(2, 2)), {"axis": 0}, {"axis": -1}),
    Example("stack", (normal(2, 3), normal(2, 3)), {"axis": -1}, {"axis": 0}),
    Example("split", (normal(4, 4), ints(1, 3)), {"axis": 1}, {"axis": 0}),
    Example("chunk", (normal(5, 5),), {"count": 2, "axis": 1}, {"count": 3, "axis": 0}),
    Example("slice", (x3, ints(1, -1), ints(9, -99), ints(1, -1), ints(1, -2))),
    Example("gather", (x3, np.array([[0, -1], [1, 1]])), {"axis": 1}, {"axis": 2}),
    Example("gather_elements", (normal(2, 2), np.array([[0, 0], [-1, 0]])), {"axis": 1}, {"axis": 0}),
    Example("flip", (x3,), {"axes": (0, 2)}, {"axes": (1,)}),
    Example("pad", (x2, ints(1, 2, 0, 1), np.array(0.7)), {"mode": "constant"}, {"mode": "edge"}),
    *(Example("pad", (x2, ints(1, 2, 0, 1)), {"mode": mode}, {"mode": "constant"}) for mode in ("edge", "wrap")),
    Example("pad", (x2, ints(1, -2, -1, 1)), {"mode": "reflect"}, {"mode": "edge"}),
    Example("shape", (x3,)),
    Example("fill", (ints(2, 3), np.array([0.5]))),
    Example("range", (np.array(1), np.array(9), np.array(3))),
    Example("range", (np.array(2.0), np.array(0.5), np.array(-0.5))),
    Example("one_hot", (ints(0, 3, -1), np.array([0.0, 1.0])), {"depth": 4, "axis": -1}, {"depth": 5, "axis": 0}),
    Example("triangle", (normal(4, 4),), {"offset": 0, "upper": True}, {"offset": 1, "upper": False}),
    # Reductions.
    *(
        Example(
            f"reduce_{op}", (distinct(2, 3, 4),), {"axes": (0, -1), "keepdims": False}, {"axes": None, "keepdims": True}
        )
        for op in ("sum", "mean", "max", "min", "prod", "norm2", "logsumexp")
    ),
    Example("reduce_prod", (np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 2.0]]),), {"axes": (1,)}),
    *(
        Example(
            f"reduce_{op}",
            (np.array([[True, False]]),),
            {"axes": (0,), "keepdims": False},
            {"axes": (1,), "keepdims": True},
        )
        for op in ("any", "all")
    ),
    *(
        Example(
            op,
            (np.array([[1.0, 3.0, 3.0, 1.0], [0.0, 1.0, 0.5, 0.0]]),),
            {"axis": 1, "keepdims": False, "last": False},
            {"axis": 0, "keepdims": True, "last": True},
        )
        for op in ("argmax", "argmin")
    ),
    Example(
        "cumsum",
        (x3,),
        {"axis": 1, "exclusive": False, "reverse": False},
        {"axis": -1, "exclusive": True, "reverse": True},
    ),
    Example("cumsum", (x3,), {"axis": 1, "exclusive": True, "reverse": True}),
    *(Example(op, (normal(3, 4),), {"axis": -1}, {"axis": 0}) for op in ("softmax", "log_softmax")),
    Example("normalise", (normal(3, 4),), {"axes": (-1,), "epsilon": 0.1}, {"axes": (0,), "epsilon": 0.01}),
    # The LSTM.
    Example("lstm", (normal(4, 2, 3),), {"lstm": CELL}, {"lstm": OTHER}),
    Example(
        "lstm",
        (normal(4, 2, 3), normal(2, 2, 2), normal(2, 1, 2), ints(2, 4)),
        {"lstm": CELL, "masked_output": "zeros"},
        {"masked_output": "repeat"},
    ),
    Example("lstm", (normal(4, 2, 3), None, normal(1, 2, 4), RNG.random((4, 2)) < 0.6), {"lstm": ONE_WAY}),
]


def running_sum(scale: float = 1.0) -> Graph:
    """Return a body: s + tanh(x w) is the next state, and what it makes is s x, scaled."""
    build = Builder()
    s, x, w = (build.input(name, None, np.float64) for name in "sxw")
    after = build.add("add", s, build.add("tanh", build.add("mul", x, w)))
    return build.graph([after, build.add("affine", build.add("mul", s, x), alpha=scale, beta=0.0)])


def halving(*, far: float = 0.5) -> Graph:
    """Return the body of a loop that halves a state while it is large, and makes its square."""
    build = Builder()
    for name, dtype in (("step", np.int64), ("go_on", bool), ("s", np.float64), ("w", np.float64)):
        build.input(name, None, dtype)
    after = build.add("mul", build.add("affine", "s", alpha=0.5, beta=0.0), "w")
    more = build.add("greater", build.add("reduce_sum", after), np.float64(far))
    return build.graph([more, after, build.add("mul", "s", "s")])


LOOP = np.array(9), np.array(True), np.array([3.0, 2.0]), np.array([1.1, 0.9])
BACKWARD, FORWARD = ((1, True),), ((1, False),)
EXAMPLES += [
    Example(
        "scan",
        (normal(2), normal(2, 3), normal(2)),
        {"body": running_sum(), "states": 1, "reads": BACKWARD, "makes": ((0, True),)},
        {"reads": FORWARD, "makes": ((1, False),), "body": running_sum(2.0), "states": 2},
    ),
    Example("loop", LOOP, {"body": halving(), "states": 1}, {"body": halving(far=2.0), "states": 2}),
    Example("loop", (np.array(2), None, *LOOP[2:]), {"body": halving(), "states": 1}),
]
assert loops  # whose rows are in the table then
NO_EXAMPLE = {"unknown"}  # it refuses
