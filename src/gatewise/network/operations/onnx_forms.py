"""How each operation is written in ONNX: the operators of a node, by the name of its row.

A form is the name of an operator that takes the node's inputs as they are, or a function of a `Writer` and the node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from gatewise.network.operations.table import AnyArray

SMALL = 0.5  # numbers below which ln(1 + x) and exp(x) - 1 are written without cancellation


class NodeCall(Protocol):
    """A node of a graph, as a form reads it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the values that it reads."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the values that it makes."""

    @property
    def settings(self) -> Any:
        """By name; those that are left out have their defaults."""


class Writer(Protocol):
    """What a form is written with."""

    def emit(self, operator: str, inputs: Sequence[Any], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add an operator, and return its first output. Inputs that are no names become arrays."""

    def rank(self, value: str) -> int:
        """Return the number of axes of a value."""

    def dtype(self, value: str) -> np.dtype[Any]:
        """Return the type of a value's numbers."""

    def constant(self, value: str) -> AnyArray | None:
        """Return the array of a value that is one; else None."""

    def type_number(self, dtype: Any) -> int:
        """Return ONNX's number of a type."""


Form = str | Callable[[Writer, NodeCall], Any]
FORMS: dict[str, Form] = {
    **{
        name: name.title()
        for name in (
            *("neg", "abs", "exp", "log", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan", "sinh"),
            *("cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh", "relu", "softplus", "softsign", "mish"),
            *("identity", "floor", "ceil", "round", "sign", "not", "and", "or", "xor", "expand", "tile", "shape"),
            *("range", "gelu"),
        )
    },
    "is_nan": "IsNaN",
    "matmul": "MatMul",
    "hard_swish": "HardSwish",
    "bitwise_and": "BitwiseAnd",
    "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
    "bitwise_not": "BitwiseNot",
}


def onnx_form(*names: str) -> Callable[[Callable[[Writer, NodeCall], Any]], Callable[[Writer, NodeCall], Any]]:
    """Let the decorated function write operations of some names."""

    def add(function: Callable[[Writer, NodeCall], Any]) -> Callable[[Writer, NodeCall], Any]:
        FORMS.update(dict.fromkeys(names, function))
        return function

    return add


def _with_settings(operator: str, **attributes: str) -> Callable[[Writer, NodeCall], Any]:
    """Return the form of an operator whose attributes are settings of the same kind."""

    def write(w: Writer, n: NodeCall) -> None:
        values = {name: n.settings[setting] for name, setting in attributes.items() if setting in n.settings}
        values = {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
        w.emit(operator, n.inputs, n.outputs, **values)

    return write


FORMS |= {
    "leaky_relu": _with_settings("LeakyRelu", alpha="alpha"),
    "elu": _with_settings("Elu", alpha="alpha"),
    "celu": _with_settings("Celu", alpha="alpha"),
    "selu": _with_settings("Selu", alpha="alpha", gamma="gamma"),
    "hard_sigmoid": _with_settings("HardSigmoid", alpha="alpha", beta="beta"),
    "thresholded_relu": _with_settings("ThresholdedRelu", alpha="alpha"),
    "softmax": _with_settings("Softmax", axis="axis"),
    "log_softmax": _with_settings("LogSoftmax", axis="axis"),
    "einsum": _with_settings("Einsum", equation="equation"),
    "conv": _with_settings("Conv", strides="strides", dilations="dilations", group="groups"),
    "max_pool": _with_settings("MaxPool", kernel_shape="kernel", strides="strides", dilations="dilations"),
    "mean_pool": _with_settings("AveragePool", kernel_shape="kernel", strides="strides", dilations="dilations"),
    "flatten": _with_settings("Flatten", axis="start"),
    "concat": _with_settings("Concat", axis="axis"),
    "split": _with_settings("Split", axis="axis"),
    "chunk": _with_settings("Split", axis="axis", num_outputs="count"),
    "slice": _with_settings("Slice"),
    "gather": _with_settings("Gather", axis="axis"),
    "gather_elements": _with_settings("GatherElements", axis="axis"),
    "is_inf": _with_settings("IsInf", detect_negative="negative", detect_positive="positive"),
    "reshape": _with_settings("Reshape", allowzero="zeros"),
}


# Functions of one number.


@onnx_form("silu")
def _silu(w: Writer, n: NodeCall) -> None:
    w.emit("Mul", [*n.inputs, w.emit("Sigmoid", n.inputs)], n.outputs)


@onnx_form("gelu_tanh")
def _gelu_tanh(w: Writer, n: NodeCall) -> None:
    w.emit("Gelu", n.inputs, n.outputs, approximate="tanh")


@onnx_form("trunc")
def _trunc(w: Writer, n: NodeCall) -> None:
    w.emit("Mul", [w.emit("Sign", n.inputs), w.emit("Floor", [w.emit("Abs", n.inputs)])], n.outputs)


def _number(w: Writer, like: str, number: float) -> AnyArray:
    return np.array(number, w.dtype(like))


@onnx_form("log1p")
def _log1p(w: Writer, n: NodeCall) -> None:
    (x,) = n.inputs
    near = w.emit("Div", [x, w.emit("Add", [x, _number(w, x, 2)])])
    near = w.emit("Mul", [w.emit("Atanh", [near]), _number(w, x, 2)])
    far = w.emit("Log", [w.emit("Add", [x, _number(w, x, 1)])])
    w.emit("Where", [w.emit("Less", [w.emit("Abs", [x]), _number(w, x, SMALL)]), near, far], n.outputs)


@onnx_form("expm1")
def _expm1(w: Writer, n: NodeCall) -> None:
    (x,) = n.inputs
    half = w.emit("Tanh", [w.emit("Mul", [x, _number(w, x, 0.5)])])
    near = w.emit("Div", [w.emit("Mul", [half, _number(w, x, 2)]), w.emit("Sub", [_number(w, x, 1), half])])
    far = w.emit("Sub", [w.emit("Exp", [x]), _number(w, x, 1)])
    w.emit("Where", [w.emit("Less", [w.emit("Abs", [x]), _number(w, x, SMALL)]), near, far], n.outputs)


@onnx_form("affine")
def _affine(w: Writer, n: NodeCall) -> None:
    (x,) = n.inputs
    scaled = w.emit("Mul", [x, _number(w, x, n.settings["alpha"])])
    w.emit("Add", [scaled, _number(w, x, n.settings["beta"])], n.outputs)


@onnx_form("scaled_tanh")
def _scaled_tanh(w: Writer, n: NodeCall) -> None:
    (x,) = n.inputs
    tanh = w.emit("Tanh", [w.emit("Mul", [x, _number(w, x, n.settings["beta"])])])
    w.emit("Mul", [tanh, _number(w, x, n.settings["alpha"])], n.outputs)


@onnx_form("clip")
def _clip(w: Writer, n: NodeCall) -> None:
    x, *bounds = n.inputs
    given = [bound for bound in bounds if bound]
    arrays = [w.constant(bound) for bound in given]
    if all(array is not None and array.size == 1 for array in arrays):
        numbers = iter([array.reshape(()).astype(w.dtype(x)) for array in arrays if array is not None])
        w.emit("Clip", [x, *(next(numbers) if bound else "" for bound in bounds)], n.outputs)
        return
    low, high = (*bounds, "")[:2]
    x = w.emit("Max", [x, low], () if high else n.outputs) if low else x
    if high:
        w.emit("Min", [x, high], n.outputs)


@onnx_form("cast", "cast_like")
def _cast(w: Writer, n: NodeCall) -> None:
    w.emit("Cast", n.inputs[:1], n.outputs, to=w.type_number(w.dtype(n.outputs[0])))


# Functions of two numbers, which NumPy takes in the type that both fit.

TWO = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min"}
TWO |= {"equal": "Equal", "less": "Less", "greater": "Greater"}
TWO |= {"less_equal": "LessOrEqual", "greater_equal": "GreaterOrEqual"}


def _alike(w: Writer, names: Sequence[str]) -> list[str]:
    """Return values in the type that they have together."""
    dtype = np.result_type(*(w.dtype(name) for name in names))
    return [name if w.dtype(name) == dtype else w.emit("Cast", [name], to=w.type_number(dtype)) for name in names]


def _binary(operator: str) -> Callable[[Writer, NodeCall], Any]:
    return lambda w, n: w.emit(operator, _alike(w, n.inputs), n.outputs)


for _name, _operator in TWO.items():
    FORMS[_name] = _binary(_operator)


@onnx_form("pow")
def _pow(w: Writer, n: NodeCall) -> None:
    w.emit("Pow", n.inputs, n.outputs)


@onnx_form("prelu")
def _prelu(w: Writer, n: NodeCall) -> None:
    x, slope = n.inputs
    low = w.emit("Less", [x, _number(w, x, 0)])
    w.emit("Where", [low, w.emit("Mul", [slope, x]), x], n.outputs)


@onnx_form("mod")
def _mod(w: Writer, n: NodeCall) -> None:
    a, b = _alike(w, n.inputs)
    if n.settings.get("truncated", False) or w.dtype(n.outputs[0]).kind != "f":
        w.emit("Mod", [a, b], n.outputs, fmod=int(n.settings.get("truncated", False)))
    else:
        whole = w.emit("Floor", [w.emit("Div", [a, b])])
        w.emit("Sub", [a, w.emit("Mul", [b, whole])], n.outputs)


@onnx_form("where")
def _where(w: Writer, n: NodeCall) -> None:
    condition, *values = n.inputs
    if w.dtype(condition).kind != "b":
        condition = w.emit("Cast", [condition], to=w.type_number(bool))
    w.emit("Where", [condition, *_alike(w, values)], n.outputs)


# Products.


@onnx_form("linear")
def _linear(w: Writer, n: NodeCall) -> None:
    x, weight, bias = (*n.inputs, "")[:3]
    array = w.constant(weight)
    turned: Any = w.emit("Transpose", [weight], perm=[1, 0]) if array is None else np.ascontiguousarray(array.T)
    y = w.emit("MatMul", [x, turned], () if bias else n.outputs)
    if bias:
        w.emit("Add", [y, bias], n.outputs)


# Axes.


def _axis(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


@onnx_form("transpose")
def _transpose(w: Writer, n: NodeCall) -> None:
    rank, order = w.rank(n.inputs[0]), n.settings.get("order")
    w.emit("Transpose", n.inputs, n.outputs, perm=[_axis(a, rank) for a in order or range(rank - 1, -1, -1)])


@onnx_form("swap")
def _swap(w: Writer, n: NodeCall) -> None:
    order = list(range(w.rank(n.inputs[0])))
    first, second = n.settings["first"], n.settings["second"]
    order[first], order[second] = order[second], order[first]
    w.emit("Transpose", n.inputs, n.outputs, perm=order)


@onnx_form("move")
def _move(w: Writer, n: NodeCall) -> None:
    rank = w.rank(n.inputs[0])
    order = list(range(rank))
    order.insert(_axis(n.settings["target"], rank), order.pop(n.settings["source"]))
    w.emit("Transpose", n.inputs, n.outputs, perm=order)


@onnx_form("squeeze", "unsqueeze")
def _squeeze(w: Writer, n: NodeCall) -> None:
    operator = "Squeeze" if w.rank(n.outputs[0]) <= w.rank(n.inputs[0]) else "Unsqueeze"
    axes = n.settings.get("axes")
    w.emit(operator, [*n.inputs, *([] if axes is None else [np.array(axes, np.int64)])], n.outputs)


@onnx_form("stack")
def _stack(w: Writer, n: NodeCall) -> None:
    axis = _axis(n.settings["axis"], w.rank(n.outputs[0]))
    apart = [w.emit("Unsqueeze", [name, np.array([axis])]) for name in n.inputs]
    w.emit("Concat", apart, n.outputs, axis=axis)


@onnx_form("flip")
def _flip(w: Writer, n: NodeCall) -> None:
    axes = np.array(n.settings["axes"], np.int64)
    ends = np.full_like(axes, np.iinfo(np.int64).min)
    w.emit("Slice", [*n.inputs, np.full_like(axes, -1), ends, axes, np.full_like(axes, -1)], n.outputs)


@onnx_form("pad")
def _pad(w: Writer, n: NodeCall) -> None:
    x, pads, value = (*n.inputs, "")[:3]
    array = w.constant(value) if value else None
    if array is not None:
        filling: Any = array.reshape(()).astype(w.dtype(x))
    else:
        filling = w.emit("Cast", [value], to=w.type_number(w.dtype(x))) if value else ""
    w.emit("Pad", [x, pads, filling] if value else [x, pads], n.outputs, mode=n.settings.get("mode", "constant"))


@onnx_form("fill")
def _fill(w: Writer, n: NodeCall) -> None:
    shape, value = n.inputs
    array = w.constant(value)
    number: Any = w.emit("Reshape", [value, np.zeros(0, np.int64)]) if array is None else array.reshape(())
    w.emit("Expand", [number, shape], n.outputs)


@onnx_form("one_hot")
def _one_hot(w: Writer, n: NodeCall) -> None:
    indices, values = n.inputs
    w.emit("OneHot", [indices, np.array(n.settings["depth"]), values], n.outputs, axis=n.settings.get("axis", -1))


@onnx_form("triangle")
def _triangle(w: Writer, n: NodeCall) -> None:
    w.emit("Trilu", [*n.inputs, np.array(n.settings["offset"])], n.outputs, upper=int(n.settings["upper"]))


# Reductions.

REDUCTIONS = {"sum": "Sum", "mean": "Mean", "max": "Max", "min": "Min", "prod": "Prod"}
REDUCTIONS |= {"logsumexp": "LogSumExp", "norm2": "L2"}


def _reduce(w: Writer, operator: str, n: NodeCall, x: str, outputs: Sequence[str] = ()) -> str:
    """Add a reduction over the axes of a node."""
    axes, keepdims = n.settings.get("axes"), int(n.settings.get("keepdims", False))
    if axes == ():  # of each number by itself
        return w.emit("Abs" if operator == "ReduceL2" else "Identity", [x], outputs)
    return w.emit(operator, [x, *([] if axes is None else [np.array(axes)])], outputs, keepdims=keepdims)


def _reduction(operator: str) -> Callable[[Writer, NodeCall], Any]:
    return lambda w, n: _reduce(w, operator, n, n.inputs[0], n.outputs)


for _name, _operator in REDUCTIONS.items():
    FORMS[f"reduce_{_name}"] = _reduction(f"Reduce{_operator}")


def _truth(operator: str) -> Callable[[Writer, NodeCall], Any]:
    def write(w: Writer, n: NodeCall) -> None:
        holds = w.emit("Cast", n.inputs, to=w.type_number(bool))
        found = _reduce(w, operator, n, w.emit("Cast", [holds], to=w.type_number(np.int32)))
        w.emit("Cast", [found], n.outputs, to=w.type_number(bool))

    return write


FORMS |= {"reduce_any": _truth("ReduceMax"), "reduce_all": _truth("ReduceMin")}


def _place(operator: str) -> Callable[[Writer, NodeCall], Any]:
    def write(w: Writer, n: NodeCall) -> None:
        keepdims, last = (int(n.settings.get(name, False)) for name in ("keepdims", "last"))
        axis = n.settings["axis"]
        w.emit(operator, n.inputs, n.outputs, axis=axis, keepdims=keepdims, select_last_index=last)

    return write


FORMS |= {"argmax": _place("ArgMax"), "argmin": _place("ArgMin")}


@onnx_form("cumsum")
def _cumsum(w: Writer, n: NodeCall) -> None:
    exclusive, reverse = (int(n.settings.get(name, False)) for name in ("exclusive", "reverse"))
    axis = np.array(n.settings["axis"])
    w.emit("CumSum", [*n.inputs, axis], n.outputs, exclusive=exclusive, reverse=reverse)


@onnx_form("normalise")
def _normalise(w: Writer, n: NodeCall) -> None:
    (x,), axes = n.inputs, np.array(n.settings["axes"])
    centred = w.emit("Sub", [x, w.emit("ReduceMean", [x, axes])])
    variance = w.emit("ReduceMean", [w.emit("Mul", [centred, centred]), axes])
    root = w.emit("Sqrt", [w.emit("Add", [variance, _number(w, x, n.settings["epsilon"])])])
    w.emit("Div", [centred, root], n.outputs)
