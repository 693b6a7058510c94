"""Mistakes in nonlinearities: a wrong one, a wrong derivative, a product on the wrong side of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, EquationEdit, Path, Scene, of_each_part, replace_item
from gatewise.grading.edits.words import full_name
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import ONE, TWO, Formula, Number, Symbol, add, less, nodes, times
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, C, G, H, M

HARD = (Activation("hard_sigmoid", 1 / 6, 0.5), Activation("hard_sigmoid", 0.2, 0.5))  # Keras 3's; Keras 2's and ONNX's
_NAMES = {
    SIGMOID: "a sigmoid",
    TANH: "tanh",
    HARD[0]: "a hard sigmoid (a / 6 + 0.5)",
    HARD[1]: "a hard sigmoid (0.2 × a + 0.5)",
    Activation("relu"): "ReLU",
}
_COMPUTED = "the derivative is computed with {} instead of {} in {{}}"


@of_each_part
def change_nonlinearities(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that replace a nonlinearity of an equation by another, or leave it out."""
    if not isinstance(node, tree.FunctionCall) or node.activation is None:
        return
    (argument,) = node.arguments
    function = _NAMES.get(node.activation, node.activation.name)
    kind, clause = "no nonlinearity", "the nonlinearity is missing from {}"
    if path:
        kind = "no tanh on the cell"
        clause = f"the {node.activation.name} of {argument_name(argument)} is missing from {{}}"
    yield EquationEdit(kind, clause, argument, LIKELY)
    for other, name in _NAMES.items():
        if other == node.activation:
            continue
        kind = f"{_short_name(other)} for {_short_name(node.activation)}"
        replaced = function if name != "ReLU" else "the nonlinearity"  # it is taken for all of them
        yield EquationEdit(kind, f"{name} is used instead of {replaced} in {{}}", apply(other, argument), LIKELY)
    yield from _misread_exponentials(node.activation, argument)
    scaled = less(times(TWO, apply(SIGMOID, argument)), ONE)
    clause = f"a scaled sigmoid (2 × σ(a) - 1) is used instead of {function} in {{}}"
    yield EquationEdit("scaled sigmoid", clause, scaled, LIKELY)


def _misread_exponentials(activation: Activation, argument: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that take another base for e, a part of the sigmoid for all of it, or tan for tanh."""
    if activation not in (SIGMOID, TANH):
        return
    base_ten = apply(activation, times(Number(math.log(10)), argument))
    yield EquationEdit("10^ for e^", "10^a is used instead of e^a in {}", base_ten, LIKELY)
    if activation == TANH:
        tangent = tree.FunctionCall("tan", (argument,))
        yield EquationEdit("tan for tanh", "tan is used instead of tanh in {}", tangent, LIKELY)
        return
    exponential = tree.FunctionCall("exp", (tree.Negative(argument),))
    for part, text in ((exponential, "e^(-a)"), (add(ONE, exponential), "1 + e^(-a)")):
        clause = f"{text} is used instead of 1 / (1 + e^(-a)) in {{}}"
        yield EquationEdit("incomplete sigmoid", clause, part, LIKELY)


def add_nonlinearity(scene: Scene, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that apply a nonlinearity to an equation without one."""
    if (
        not equation.left.d
        and not isinstance(equation.right, tree.FunctionCall)
        and equation.left.base not in ("z", "n", "u", "w", "μ", "v")
    ):
        for activation in (SIGMOID, TANH):
            clause = f"an extra {activation.name} is applied to {{}}"
            yield EquationEdit("extra nonlinearity", clause, apply(activation, equation.right))


def argument_name(argument: Formula) -> str:
    """Return the name of a nonlinearity's argument in the sentence about a mistake."""
    if argument == C:
        return "the cell state"
    return full_name(argument) if isinstance(argument, Symbol) else "the argument"


@of_each_part
def change_derivatives(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes in a derivative: of another nonlinearity, left out, or taken at another argument."""
    if not isinstance(node, tree.Slope):
        return
    outputs = [part for part in nodes(equation.right) if isinstance(part, (Symbol, tree.FunctionCall))]
    functions = ((activation, output) for output in outputs for activation in (SIGMOID, TANH))
    function = next((pair for pair in functions if node == slope(*pair)), None)
    if function is None:
        return
    activation, output = function
    other = TANH if activation == SIGMOID else SIGMOID
    clause = f"the derivative of {_NAMES[other]} is used instead of that of {_NAMES[activation]} in {{}}"
    yield EquationEdit("other function's derivative", clause, slope(other, output), LIKELY)
    clause = f"the output of the {activation.name} is used instead of its derivative in {{}}"
    yield EquationEdit("function for the derivative", clause, output, LIKELY)
    for argument, clause in _wrong_arguments(scene, equation, output):
        yield EquationEdit("derivative of the sum", clause, slope(activation, argument), LIKELY)


def _wrong_arguments(scene: Scene, equation: Assignment, output: Formula) -> Iterator[tuple[Formula, str]]:
    """Yield the wrong arguments that people use in a derivative instead of the output, each with its clause."""
    match output:
        case tree.FunctionCall(name, (argument,)):
            yield argument, _COMPUTED.format(argument_name(argument), f"its {name}")
            for state in (H, M):
                if scene.is_known_before(state, equation) and scene.program.axes[state] == scene.program.axes[C]:
                    yield state, _COMPUTED.format(full_name(state), f"the {name} of {argument_name(argument)}")
        case Symbol(sub=""):
            yield Symbol("a", output.base), _COMPUTED.format("the pre-activation", "the gate")
            yield (
                apply(SIGMOID if output.base != "g" else TANH, output),
                "the nonlinearity is applied once more in the derivative in {}",
            )


@of_each_part
def multiply_inside(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that multiply before the nonlinearity instead of after it: tanh(o * c)."""
    if not isinstance(node, tree.Product):
        return
    for n, factor in enumerate(node.factors):
        others = replace_item(node.factors, n)
        if isinstance(factor, tree.FunctionCall) and factor.activation is not None and others:
            inner = tree.Product((*others, *factor.arguments))
            inside = tree.FunctionCall(factor.name, (inner,), factor.activation)
            clause = f"the product is taken before the {factor.activation.name} instead of after it in {{}}"
            tier = LIKELY if equation.left == H else STRUCTURAL
            yield EquationEdit("order of operations", clause, inside, tier)


@of_each_part
def repeat_nonlinearities(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that apply a nonlinearity twice, or where none belongs, or take its derivative."""
    match node:
        case tree.FunctionCall(name, _, activation) if activation is not None:
            again = tree.FunctionCall(name, (node,), activation)
            yield EquationEdit("extra nonlinearity", f"the {activation.name} is applied twice in {{}}", again)
            clause = f"the derivative of the {activation.name} is used instead of the {activation.name} itself in {{}}"
            yield EquationEdit("derivative for the function", clause, slope(activation, node))
        case Symbol() if path and node in (C_PREV, C, G):
            clause = f"an extra tanh is applied to {full_name(node)} in {{}}"
            yield EquationEdit("extra nonlinearity", clause, apply(TANH, node))


def _short_name(activation: Activation) -> str:
    return "hard sigmoid" if activation in HARD else activation.name
