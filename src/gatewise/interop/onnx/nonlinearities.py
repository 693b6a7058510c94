"""The nonlinearities after the dense layers of an ONNX graph: single operators, and what exporters build of several.

What is built of several operators, such as x · Sigmoid(x), is recognised by its values: they are those of one of the
`KNOWN` at every one of the `POINTS`, and around the constants of the operators, where a function may have a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gatewise.activations import GATED, KINDS, Activation, activate
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.interop.onnx import lstm
from gatewise.interop.onnx.attributes import NotConstant, text_of
from gatewise.interop.onnx.edges import is_identity
from gatewise.interop.onnx.file import AnyArray
from gatewise.interop.onnx.operators import ELEMENTWISE, is_elementwise
from gatewise.interop.onnx.scopes import OnnxNode
from gatewise.network import SOFTMAX

MICROSOFT = "com.microsoft"  # the domain of the operators that onnxruntime's optimiser makes
FUSED_BIAS = {"BiasGelu": "gelu", "FastGelu": "gelu_tanh"}  # which also add a bias, their second input
MOST = 16  # operators of one nonlinearity
STEPS = 40  # of work that the values of one operator take
# Operators with a constant alpha: what they are if it is 1, and its default.
WITH_ALPHA: dict[str, tuple[Activation | str, float]] = {
    "Swish": ("silu", 1.0),
    "Celu": (Activation("elu"), 1.0),
    "QuickGelu": ("silu", 1.702),
}
ACTIVATIONS: dict[str, tuple[str, dict[str, float | None]]] = {  # those of the operator LSTM, and others
    **lstm.ACTIVATIONS,
    "Selu": ("selu", {"alpha": None, "gamma": None}),
    "Exp": ("exponential", {}),
    "Mish": ("mish", {}),
    "HardSwish": ("hard_swish", {}),
    "Softmax": (SOFTMAX, {}),
}
POINTS = np.concatenate([np.linspace(-12, 12, 97), [-300.0, -60.0, 60.0, 300.0]])
KNOWN: tuple[Activation | str, ...] = (
    *(Activation(name) for name in sorted(KINDS.keys() - {"affine", "hard_sigmoid", "scaled_tanh", "exponential"})),
    *(Activation("hard_sigmoid", slope, 0.5) for slope in (1 / 6, 0.2)),
    *GATED,
)


class Nonlinearity(NamedTuple):
    """The nonlinearity that ends in a node: its name in `Linear`, the name that it reads, and its nodes."""

    activation: Activation | str
    argument: str
    nodes: frozenset[OnnxNode]


def nonlinearity_at(node: OnnxNode) -> Nonlinearity | None:
    """Return the nonlinearity that ends in an ONNX node, of whatever axis it is over; None if there is none.

    NotConstant if a constant cannot be read.
    """
    known: dict[OnnxNode, Nonlinearity | None] = node.scope.nonlinearities
    if node not in known:
        known[node] = _find_nonlinearity(node)
    return known[node]


def _find_nonlinearity(node: OnnxNode) -> Nonlinearity | None:
    activation = _of_operator(node)
    if activation is not None:
        return Nonlinearity(activation, node.inputs[0], frozenset([node]))
    return _of_several(node) if node.operator in ELEMENTWISE else None


def _of_operator(node: OnnxNode) -> Activation | str | None:
    """Return the nonlinearity of one ONNX operator, with its constants; None of other nodes."""
    operator, attributes = node.operator, node.attributes
    if not (node.is_standard or node.proto.domain == MICROSOFT):
        return None
    if operator == "PRelu" and len(node.inputs) == 2:
        slope = node.scope.value(node.inputs[1])
        return _activation("leaky_relu", float(slope.reshape(-1)[0])) if slope.size == 1 else None
    if len([name for name in node.inputs if name]) != 1:
        return None
    if operator == "Gelu":
        form = text_of(attributes.get("approximate", "s", b"none"))
        return {"none": "gelu", "tanh": "gelu_tanh"}.get(form)
    if operator in WITH_ALPHA:
        activation, default = WITH_ALPHA[operator]
        return activation if attributes.get("alpha", "f", default) == 1 else None
    return FUSED_BIAS.get(operator) or _with_constants(operator, lambda name: attributes.get(name, "f"))


def fused_activation(node: OnnxNode) -> Activation | str | None:
    """Return the nonlinearity in a FusedGemm of onnxruntime; None if it is not known."""
    operator = text_of(node.attributes.get("activation", "s", b""))
    return _with_constants(operator, lambda name: node.attributes.get(f"activation_{name}", "f"))


def _with_constants(operator: str, constant: Callable[[str], float | None]) -> Activation | str | None:
    """Return the nonlinearity of an ONNX operator of one input, whose constants are given by name; None of others."""
    kind, defaults = ACTIVATIONS.get(operator, (None, {}))
    if kind is None or kind in (*GATED, SOFTMAX):
        return kind
    values = [
        default if (value := constant(name)) is None else lstm.number(value) for name, default in defaults.items()
    ]
    return _activation(kind, *values)


@lru_cache
def _activation(kind: str, *constants: Any) -> Activation | None:
    try:
        return Activation(kind, *constants)
    except OptionError:  # a constant that gatewise's does not have
        return None


def _of_several(end: OnnxNode) -> Nonlinearity | None:
    """Return the nonlinearity that several ONNX operators compute, one number at a time; None if it is not known.

    Of several it is the longest: the max(0, ·) that ends a hard sigmoid is a ReLU by itself.
    """
    longest = None
    for part in _functions_to(end):
        kinks = [sign * value * near for value in part.constants.values() for sign in (-1, 1) for near in (0.9, 1, 1.1)]
        points = np.concatenate([POINTS, [kink for kink in kinks if abs(kink) < 1e30]])
        result = part.values(points)
        if result.shape != points.shape:
            continue
        values = _known_values()
        near = (np.abs(values - result[: len(POINTS)]) <= 1e-6 * (1 + np.abs(values))).all(axis=1)
        for known in (*(KNOWN[number] for number in np.flatnonzero(near)), *_with_own_constants(part)):
            if np.allclose(result, activate(known, points), rtol=1e-6, atol=1e-6):
                longest = Nonlinearity(known, part.argument, frozenset(part.nodes))
    return longest


def _with_own_constants(part: _Function) -> Iterator[Activation]:
    """Yield the nonlinearities that have the constants of an ONNX function."""
    own = [*{value for value in part.constants.values() if value not in (0, 1)}, 1.0]
    for kind in KINDS if 1 < len(own) <= 3 else ():
        count = 2 - [KINDS[kind].alpha, KINDS[kind].beta].count(None)
        for constants in product(own, repeat=count) if count else ():
            if (activation := _activation(kind, *constants)) is not None:
                yield activation


@cache
def _known_values() -> Array:
    """Return the values of the known nonlinearities at the points, a row for each."""
    return np.stack([activate(known, POINTS) for known in KNOWN])


def unchanged_tokens(end: OnnxNode, count: int) -> str | None:
    """Return the name that ONNX nodes read, if they change no whole number from 0 to below `count`; None if they do.

    Keras counts negative tokens from the end of an embedding.
    """
    end.scope.file.budget.work(count // 16, "looking at its tokens")
    tokens = np.arange(count)
    unchanged = (part for part in _functions_to(end) if np.array_equal(part.values(tokens), tokens))
    return next((part.argument for part in unchanged), None)


@dataclass(frozen=True)
class _Function:
    """ONNX nodes that compute each number from one of `argument` and from constants; in their order."""

    argument: str
    nodes: Sequence[OnnxNode]
    constants: Mapping[str, float]

    def values(self, points: AnyArray) -> AnyArray:
        """Return the function of points; an empty array if an operator has constants that gatewise's does not have."""
        values: dict[str, Any] = {**self.constants, self.argument: points, "": None}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                operands = [values.get(name) for name in node.inputs]
                if any(operand is None for operand in operands) and node.operator in ELEMENTWISE:
                    return np.empty(0)
                if node.operator in ELEMENTWISE:
                    result = ELEMENTWISE[node.operator](*operands)
                elif is_identity(node):
                    result = operands[0]
                elif node.operator == "Cast":
                    result = np.asarray(operands[0]).astype(node.scope.file.dtype(node.attributes.get("to", "i", 0)))
                elif (activation := _of_operator(node)) is not None:
                    result = activate(activation, np.asarray(operands[0]))
                else:
                    return np.empty(0)
                values[node.outputs[0]] = result
        return np.asarray(result)


def _functions_to(end: OnnxNode) -> Iterator[_Function]:
    """Yield the functions of one argument that end in an ONNX node, the shortest first."""
    scope, nodes = end.scope, {end}
    constants: dict[str, float] = {}
    while len(nodes) <= MOST and all(map(is_elementwise_node, nodes)):
        scope.file.budget.work(STEPS, "looking for nonlinearities")
        computed = {node.outputs[0] for node in nodes}
        arguments = {name for node in nodes for name in node.inputs if name} - computed - constants.keys()
        for name in sorted(arguments):
            try:
                array = scope.value(name)
            except NotConstant:
                continue
            if array.size != 1 or array.ndim > 2:
                return
            constants[name] = float(array.reshape(-1)[0])
        arguments -= constants.keys()
        if len(arguments) == 1:
            (argument,) = arguments
            yield _Function(argument, sorted(nodes, key=lambda node: node.number), constants)
        before = [source.node for name in arguments if (source := scope.source(name)) is not None]
        last = max(before, key=lambda node: node.number, default=None)  # none of the others depends on it
        if last is None or last.scope is not scope:
            return
        nodes.add(last)


def is_elementwise_node(node: OnnxNode) -> bool:
    """Say whether an ONNX node computes each number of its output from one of its input's."""
    if not (node.is_standard and node.outputs):
        return False
    if node.operator in ELEMENTWISE:
        return is_elementwise(node.operator, len(node.inputs), node.attributes)
    return (node.operator in ACTIVATIONS and node.operator != "Softmax") or node.operator in (
        "Cast",
        "Identity",
        "Dropout",
    )
