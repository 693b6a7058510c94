"""Mistakes in terms, factors and nonlinearities: left out, doubled, of a wrong sign, function or derivative."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.gates import LETTERS
from gatewise.grading.edits import edit
from gatewise.grading.edits.edit import (
    LIKELY,
    STRUCTURAL,
    EditContext,
    EquationEdit,
    Path,
    for_each_subformula,
    full_name,
    replace_item,
    subformulas,
)
from gatewise.render import text
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import (
    C_PREV,
    DC_NEXT,
    DH,
    DZ,
    H_PREV,
    ONE,
    TWO,
    UNITS,
    ZERO,
    C,
    Formula,
    G,
    H,
    M,
    Number,
    Symbol,
    X,
    Z,
    add,
    d,
    less,
    nodes,
    rebuild,
    symbols,
    times,
)
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.program import Assignment

SIGNED_SYMBOLS = ("x", "h_prev", "c_prev", "z", "a", "g", "c", "m", "W", "U", "b", "p", "R")  # what may be negative


@for_each_subformula
def change_terms(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that leave out or double a term of a sum, or turn its sign."""
    if not isinstance(node, tree.Sum) or equation.left.time is not None:
        return
    for n, term in enumerate(node.terms):
        others = replace_item(node.terms, n)
        name, bias = _term_name(term), _is_bias(term)
        sign_tier = LIKELY if not path or not isinstance(term, Number) else STRUCTURAL
        if len(node.terms) > 1:
            kind = "missing bias" if bias else "missing term"
            yield EquationEdit(kind, f"{name} is missing from {{}}", add(*others), sign_tier)
        if len(node.terms) > 2:
            clause = f"only {name} is left of the sum in {{}}"
            yield EquationEdit("one term alone", clause, term)
        if n and node.terms[0] == ONE and len(node.terms) == 2 and isinstance(term, tree.Negative):
            clause = f"{_formula_text(term.term)} is used instead of 1 - {_formula_text(term.term)} in {{}}"
            yield EquationEdit("1 - left out", clause, term.term, LIKELY)
        double_sum = add(*replace_item(node.terms, n, times(TWO, term)))
        kind, tier = ("doubled bias", LIKELY) if bias else ("doubled term", STRUCTURAL)
        yield EquationEdit(kind, f"{name} is added twice in {{}}", double_sum, tier)
        negative = term.term if isinstance(term, tree.Negative) else tree.Negative(term)
        new_sum = add(*replace_item(node.terms, n, negative))
        yield EquationEdit("wrong sign", f"{name} has the wrong sign in {{}}", new_sum, sign_tier)


@for_each_subformula
def change_factors(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that leave out or square a factor of a product."""
    if not isinstance(node, tree.Product) or len(node.factors) < 2:
        return
    for n, factor in enumerate(node.factors):
        others = replace_item(node.factors, n)
        rest, twice = tree.Product(others) if len(others) > 1 else others[0], tree.Product((*node.factors, factor))
        if isinstance(factor, tree.Slope):
            name = "the derivative of the nonlinearity"
            yield EquationEdit("forgotten derivative", f"{name} is missing from {{}}", rest, LIKELY)
            yield EquationEdit("derivative twice", f"{name} is applied twice in {{}}", twice, LIKELY)
        else:
            name = f"the factor {_formula_text(factor)}"
            yield EquationEdit("missing factor", f"{name} is missing from {{}}", rest, LIKELY)
            yield EquationEdit("doubled factor", f"{name} appears twice in {{}}", twice)


def insert_factors_and_states(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that multiply by a gate, by 1 minus a gate or by the bias, or that add a state."""
    if context.program.axes[equation.left] != (UNITS,):
        return
    is_sum = isinstance(equation.right, tree.Sum)
    terms = equation.right.terms if isinstance(equation.right, tree.Sum) else (equation.right,)
    for gate in map(Symbol, LETTERS):
        for factor, name in ((gate, edit.full_name(gate)), (less(ONE, gate), f"1 - {gate.base}")):
            for n, term in enumerate(terms):
                if isinstance(term, tree.MatMul) or _is_bias(term):
                    continue
                where = f"the term {_formula_text(term)} in {{}}" if is_sum else "{}"
                new_sum = add(*replace_item(terms, n, times(term, factor)))
                clause = f"{name} is an extra factor of {where}"
                likely = gate == Symbol("o") and equation.left == Symbol("o", d=True) and factor == gate
                yield EquationEdit("extra factor", clause, new_sum, LIKELY if likely else STRUCTURAL)
            if is_sum:
                clause = f"{name} is an extra factor of {{}}"
                yield EquationEdit("extra factor", clause, times(equation.right, factor))
    for state in (DH, DC_NEXT) if equation.left.d else (C_PREV, H_PREV, C):
        if context.program.axes.get(state) != (UNITS,) or state.base == equation.left.base:
            continue
        clause = f"{edit.full_name(state)} is an extra term in {{}}"
        yield EquationEdit("extra term", clause, add(*terms, state))
    if equation.left == d(bias := Symbol("b", equation.left.sub)):
        yield EquationEdit(
            "extra factor", f"{edit.full_name(bias)} is an extra factor of {{}}", times(equation.right, bias)
        )


@for_each_subformula
def change_operations(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that exchange sum and product, or leave out a clip, a division or the projection."""
    match node:
        case tree.Product((first, second)):
            clause = f"{_formula_text(first)} and {_formula_text(second)} are added instead of multiplied in {{}}"
            yield EquationEdit("sum for product", clause, add(first, second))
        case tree.Sum((first, second)) if not path and not _is_bias(second):
            clause = f"{_formula_text(first)} and {_formula_text(second)} are multiplied instead of added in {{}}"
            yield EquationEdit("product for sum", clause, times(first, second))
        case tree.FunctionCall("clip", (argument, *_)):
            yield EquationEdit("missing clip", "the clip is missing from {}", argument, LIKELY)
        case tree.Product((arrived, tree.Holds())):
            yield EquationEdit("missing clip", "the clip is missing from {}", arrived, LIKELY)
        case tree.Quotient(over, _):
            clause = "the division by the standard deviation is missing from {}"
            yield EquationEdit("missing division", clause, over, LIKELY)
            if isinstance(over, tree.Sum):
                clause = "layer norm is left out of {}"
                yield EquationEdit("missing layer norm", clause, over.terms[0], LIKELY)
        case tree.MatMul(Symbol("R") | tree.Transpose(Symbol("R")), vector):
            yield EquationEdit("missing projection", "the projection is missing from {}", vector, LIKELY)


def misplace_bracket(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that multiply a whole sum by the factors of one of its terms."""
    if not isinstance(equation.right, tree.Sum) or equation.left.time is not None:
        return
    terms = equation.right.terms
    for n, term in enumerate(terms):
        if isinstance(term, tree.Product) and len(term.factors) > 1:
            inner = add(*replace_item(terms, n, term.factors[0]))
            outer = term.factors[1:]
            clause = f"the whole sum is multiplied by {_formula_text(times(*outer))} in {{}}"
            yield EquationEdit("misplaced bracket", clause, times(inner, *outer))


@for_each_subformula
def change_signs_and_powers(
    context: EditContext, equation: Assignment, path: Path, node: Formula
) -> Iterator[EquationEdit]:
    """Yield the mistakes that turn the sign of an equation or argument, or take another power."""
    if not path:
        yield EquationEdit("wrong sign", "the sign of {} is wrong", tree.Negative(node), LIKELY)
    match node:
        case tree.FunctionCall(name, (argument,), nonlinearity) if nonlinearity is not None:
            negated = tree.FunctionCall(name, (tree.Negative(argument),), nonlinearity)
            has_exponentials = nonlinearity in (SIGMOID, TANH)
            clause = "e^a is used instead of e^(-a) in {}" if has_exponentials else "-a is used instead of a in {}"
            yield EquationEdit("wrong sign", clause, negated, LIKELY)
        case tree.Power(base, Number(exponent)):
            clause = (
                f"{_formula_text(base)} is not squared in {{}}"
                if exponent == 2
                else f"the exponent of {_formula_text(base)} is missing from {{}}"
            )
            yield EquationEdit("missing power", clause, base, LIKELY)
        case Symbol() | tree.FunctionCall() if path and _is_in_unsquared_slope(equation.right, path):
            clause = f"{_formula_text(node)} is squared in {{}}"
            yield EquationEdit("extra power", clause, tree.Power(node, TWO))


def _is_in_unsquared_slope(formula: Formula, path: tuple[int, ...]) -> bool:
    """Return whether a part lies in a derivative but in no power, so that it may be squared by mistake."""
    return any(isinstance(node, tree.Slope) and path[: len(at)] == at for at, node in subformulas(formula)) and not any(
        isinstance(node, tree.Power) and path[: len(at)] == at for at, node in subformulas(formula)
    )


def lose_signs(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that lose the minus signs of all numbers of a quantity."""
    h, x = tree.Slice(Z, 0, context.recurrent), tree.Slice(Z, context.recurrent, context.columns)
    sizes = {part: tree.FunctionCall("abs", (part,)) for part in (h, x, *symbols(equation.right))}
    parts_of_z = {H_PREV: tree.Concatenation((sizes[h], x)), X: tree.Concatenation((h, sizes[x]))}
    for symbol in symbols(equation.right):
        for name, new in ({symbol: sizes[symbol]} | (parts_of_z if symbol == Z else {})).items():
            if symbol.base in SIGNED_SYMBOLS or symbol.d:
                replaced: dict[Formula, Formula] = {symbol: new}
                clause = f"the signs of {edit.full_name(name)} are lost in {{}}"
                yield EquationEdit("signs lost", clause, rebuild(equation.right, replaced.get), LIKELY)


def leave_out_gate(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that leave a gate's share out of a part of the gradient of the combined input z."""
    match equation.right:
        case tree.Slice(vector, start, stop) if vector == DZ:
            for k in context.program.form.weighted_gates:
                weights = tree.Slice(Symbol("W", k), start, stop)
                share = tree.MatMul(tree.Transpose(weights), d(context.program.form.weighted(k)))
                clause = f"the share of the {edit.GATE_NAMES[k]} is missing from {{}}"
                yield EquationEdit("missing term", clause, less(equation.right, share), LIKELY)


@for_each_subformula
def drop_input_part(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that leave the old hidden state or the input out of z, or out of a product with z."""
    match node:
        case tree.Concatenation((h, x)) if equation.left == Z:
            pass
        case Symbol() if node == Z:
            h, x = tree.Slice(Z, 0, context.recurrent), tree.Slice(Z, context.recurrent, context.columns)
        case _:
            return
    for clause, stack in (
        ("the old hidden state h_prev is left out of {}", (times(ZERO, h), x)),
        ("the input x is left out of {}", (h, times(ZERO, x))),
    ):
        yield EquationEdit("missing part", clause, tree.Concatenation(stack), LIKELY)


def _is_bias(term: Formula) -> bool:
    return isinstance(term, Symbol) and term.base == "b" and not term.d


def _term_name(term: Formula) -> str:
    """Return the name of a term in the words of a mistake; a bias has the same name for every gate."""
    term = term.term if isinstance(term, tree.Negative) else term
    if _is_bias(term):
        return "the bias"
    match term:
        case tree.MatMul(_, Symbol(d=False)):
            return "the product of weights and inputs"
        case tree.Product((Symbol(base="p"), Symbol() as state)):
            return f"the peephole's product with {edit.full_name(state)}"
    return f"the term {_formula_text(term)}"


def _formula_text(formula: Formula) -> str:
    formula = formula.body if isinstance(formula, tree.Slope) else formula
    formula_text = text.formula(formula)
    return f"({formula_text})" if isinstance(formula, tree.Sum) else formula_text


HARD_SIGMOIDS = (
    Activation("hard_sigmoid", 1 / 6, 0.5),
    Activation("hard_sigmoid", 0.2, 0.5),
)  # Keras 3's; Keras 2's and ONNX's
_FUNCTION_NAMES = {
    SIGMOID: "a sigmoid",
    TANH: "tanh",
    HARD_SIGMOIDS[0]: "a hard sigmoid (a / 6 + 0.5)",
    HARD_SIGMOIDS[1]: "a hard sigmoid (0.2 × a + 0.5)",
    Activation("relu"): "ReLU",
}
_COMPUTED = "the derivative is computed with {} instead of {} in {{}}"


@for_each_subformula
def change_nonlinearities(
    context: EditContext, equation: Assignment, path: Path, node: Formula
) -> Iterator[EquationEdit]:
    """Yield the mistakes that replace a nonlinearity of an equation by another, or leave it out."""
    if not isinstance(node, tree.FunctionCall) or node.activation is None:
        return
    (argument,) = node.arguments
    function = _FUNCTION_NAMES.get(node.activation, node.activation.name)
    kind, clause = "no nonlinearity", "the nonlinearity is missing from {}"
    if path:
        kind = "no tanh on the cell"
        clause = f"the {node.activation.name} of {argument_name(argument)} is missing from {{}}"
    yield EquationEdit(kind, clause, argument, LIKELY)
    for other, name in _FUNCTION_NAMES.items():
        if other == node.activation:
            continue
        kind = f"{_name_in_words(other)} for {_name_in_words(node.activation)}"
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
    for part, written in ((exponential, "e^(-a)"), (add(ONE, exponential), "1 + e^(-a)")):
        clause = f"{written} is used instead of 1 / (1 + e^(-a)) in {{}}"
        yield EquationEdit("incomplete sigmoid", clause, part, LIKELY)


def add_nonlinearity(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
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


@for_each_subformula
def change_derivatives(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
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
    clause = (
        f"the derivative of {_FUNCTION_NAMES[other]} is used instead of that of {_FUNCTION_NAMES[activation]} in {{}}"
    )
    yield EquationEdit("other function's derivative", clause, slope(other, output), LIKELY)
    clause = f"the output of the {activation.name} is used instead of its derivative in {{}}"
    yield EquationEdit("function for the derivative", clause, output, LIKELY)
    for argument, clause in _wrong_arguments(context, equation, output):
        yield EquationEdit("derivative of the sum", clause, slope(activation, argument), LIKELY)


def _wrong_arguments(context: EditContext, equation: Assignment, output: Formula) -> Iterator[tuple[Formula, str]]:
    match output:
        case tree.FunctionCall(name, (argument,)):
            yield argument, _COMPUTED.format(argument_name(argument), f"its {name}")
            for state in (H, M):
                if context.is_known_before(state, equation) and context.program.axes[state] == context.program.axes[C]:
                    yield state, _COMPUTED.format(full_name(state), f"the {name} of {argument_name(argument)}")
        case Symbol(sub=""):
            yield Symbol("a", output.base), _COMPUTED.format("the pre-activation", "the gate")
            yield (
                apply(SIGMOID if output.base != "g" else TANH, output),
                "the nonlinearity is applied once more in the derivative in {}",
            )


@for_each_subformula
def multiply_inside(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
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


@for_each_subformula
def repeat_nonlinearities(
    context: EditContext, equation: Assignment, path: Path, node: Formula
) -> Iterator[EquationEdit]:
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


def _name_in_words(activation: Activation) -> str:
    return "hard sigmoid" if activation in HARD_SIGMOIDS else activation.name
