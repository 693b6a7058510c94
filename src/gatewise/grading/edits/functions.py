"""A nonlinearity for another, a derivative of something else, and operations in another order."""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit, Scene, places
from gatewise.grading.edits.words import the
from gatewise.symbolic.formula import ONE, TWO, Formula, FunctionCall, Product, Slope, Symbol, less, nodes, times
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, C, G, H, M

HARD = (Activation("hard_sigmoid", 1 / 6, 0.5), Activation("hard_sigmoid", 0.2, 0.5))  # Keras 3's; Keras 2's and ONNX's
_CALLED = {
    SIGMOID: "a sigmoid",
    TANH: "tanh",
    HARD[0]: "a hard sigmoid (a / 6 + 0.5)",
    HARD[1]: "a hard sigmoid (0.2 * a + 0.5)",
    Activation("relu"): "ReLU",
}
_COMPUTED = "the derivative is computed with {} instead of {} in {{}}"


def nonlinearities(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Put another nonlinearity in the place of each, or none, and one where there is none."""
    for path, node in places(one.right):
        if not isinstance(node, FunctionCall) or node.activation is None:
            continue
        (argument,) = node.arguments
        own = _called(node.activation)
        for other, called in _CALLED.items():
            if other == node.activation:
                continue
            likely = other in (SIGMOID, TANH, *HARD)
            kind = f"{_short(other)} for {_short(node.activation)}"
            told = f"{called} is used instead of {own} in {{}}"
            yield Edit(kind, told, one.left, path, apply(other, argument), LIKELY if likely else STRUCTURAL)
        scaled = less(times(TWO, apply(SIGMOID, argument)), ONE)
        told = f"a scaled sigmoid (2 * σ(a) - 1) is used instead of {own} in {{}}"
        yield Edit("scaled sigmoid", told, one.left, path, scaled, LIKELY)
        if path:
            kind, told = (
                "no tanh on the cell",
                f"the {node.activation.name} of {the_argument(argument)} is missing from {{}}",
            )
        else:
            kind, told = "no nonlinearity", "the nonlinearity is missing from {}"
        yield Edit(kind, told, one.left, path, argument, LIKELY)
    if (
        not one.left.d
        and not isinstance(one.right, FunctionCall)
        and one.left.base not in ("z", "n", "u", "w", "μ", "v")
    ):
        for activation in (SIGMOID, TANH):
            told = f"an extra {_called_plain(activation)} is applied to {{}}"
            yield Edit("extra nonlinearity", told, one.left, (), apply(activation, one.right))


def the_argument(argument: Formula) -> str:
    """Return what the argument of a nonlinearity is called."""
    if argument == C:
        return "the cell state"
    return the(argument) if isinstance(argument, Symbol) else "the argument"


def derivatives(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Take the derivative of another nonlinearity, or at another argument."""
    outputs: list[Formula] = [node for node in nodes(one.right) if isinstance(node, (Symbol, FunctionCall))]
    for path, node in places(one.right):
        if not isinstance(node, Slope):
            continue
        for activation, output in _owners(node, outputs):
            for other in (SIGMOID, TANH):
                if other != activation:
                    told = (
                        f"the derivative of {_called(other)} is used instead of that of {_called(activation)} in {{}}"
                    )
                    kind = "other function's derivative"
                    yield Edit(kind, told, one.left, path, slope(other, output), LIKELY)
            told = f"the output of the {_called_plain(activation)} is used instead of its derivative in {{}}"
            yield Edit("function for the derivative", told, one.left, path, output, LIKELY)
            for argument, told in _arguments(scene, one, output):
                yield Edit("derivative of the sum", told, one.left, path, slope(activation, argument), LIKELY)


def _owners(node: Slope, outputs: list[Formula]) -> Iterator[tuple[Activation, Formula]]:
    """Return whose derivative it is, and which output it is a function of."""
    for output in outputs:
        for activation in (SIGMOID, TANH):
            if node == slope(activation, output):
                yield activation, output
                return


def _arguments(scene: Scene, one: Assignment, output: Formula) -> Iterator[tuple[Formula, str]]:
    """Go through what may stand in a derivative instead of the output."""
    match output:
        case FunctionCall(name, (argument,)):
            yield argument, _COMPUTED.format(the_argument(argument), f"its {name}")
            for state in (H, M):
                if scene.knows(state, one) and scene.program.axes[state] == scene.program.axes[C]:
                    yield state, _COMPUTED.format(the(state), f"the {name} of {the_argument(argument)}")
        case Symbol(sub=""):
            yield Symbol("a", output.base), _COMPUTED.format("the pre-activation", "the gate")
            yield (
                apply(SIGMOID if output.base != "g" else TANH, output),
                "the nonlinearity is applied once more in the derivative in {}",
            )


def order(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Multiply before the nonlinearity instead of after it: tanh(o * c)."""
    for path, node in places(one.right):
        if not isinstance(node, Product):
            continue
        for n, factor in enumerate(node.factors):
            others = (*node.factors[:n], *node.factors[n + 1 :])
            if isinstance(factor, FunctionCall) and factor.activation is not None and others:
                inner = Product((*others, *factor.arguments))
                made = FunctionCall(factor.name, (inner,), factor.activation)
                told = f"the product is taken before the {_called_plain(factor.activation)} instead of after it in {{}}"
                yield Edit("order of operations", told, one.left, path, made, LIKELY if one.left == H else STRUCTURAL)


def twice(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Apply a nonlinearity twice, put one on a state or the candidate, or take its derivative instead."""
    for path, node in places(one.right):
        match node:
            case FunctionCall(name, _, activation) if activation is not None:
                again, plain = FunctionCall(name, (node,), activation), _called_plain(activation)
                yield Edit("extra nonlinearity", f"the {plain} is applied twice in {{}}", one.left, path, again)
                told = f"the derivative of the {plain} is used instead of the {plain} itself in {{}}"
                yield Edit("derivative for the function", told, one.left, path, slope(activation, node))
            case Symbol() if path and node in (C_PREV, C, G):
                told = f"an extra tanh is applied to {the(node)} in {{}}"
                yield Edit("extra nonlinearity", told, one.left, path, apply(TANH, node))


def _called_plain(activation: Activation) -> str:
    return "sigmoid" if activation == SIGMOID else activation.name


def _called(activation: Activation) -> str:
    return _CALLED.get(activation, activation.name)


def _short(activation: Activation) -> str:
    return "hard sigmoid" if activation in HARD else activation.name
