"""A term or a factor that is left out, doubled or put in; a sign; a power."""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.gates import LETTERS
from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit, Scene, places
from gatewise.render import text
from gatewise.symbolic.formula import (
    ONE,
    TWO,
    ZERO,
    Concatenation,
    Formula,
    FunctionCall,
    Holds,
    MatMul,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Slice,
    Slope,
    Sum,
    Symbol,
    Transpose,
    add,
    less,
    times,
)
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, DH, H_PREV, UNITS, C, Z, d


def of_terms(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Leave out, double and turn the sign of each term of each sum."""
    for path, node in places(one.right):
        if not isinstance(node, Sum) or one.left.time is not None:
            continue
        for n, term in enumerate(node.terms):
            others = (*node.terms[:n], *node.terms[n + 1 :])
            named, bias = _called(term), _is_bias(term)
            likely = LIKELY if not path or not isinstance(term, Number) else STRUCTURAL
            if len(node.terms) > 1:
                kind = "missing bias" if bias else "missing term"
                yield Edit(kind, f"{named} is missing from {{}}", one.left, path, add(*others), likely)
            if len(node.terms) > 2:
                told = f"only {named} is left of the sum in {{}}"
                yield Edit("one term alone", told, one.left, path, term)
            if n and node.terms[0] == ONE and len(node.terms) == 2 and isinstance(term, Negative):
                told = f"{_bare(term.term)} is used instead of 1 - {_bare(term.term)} in {{}}"
                yield Edit("1 - left out", told, one.left, path, term.term, LIKELY)
            doubled = add(*node.terms[:n], times(TWO, term), *node.terms[n + 1 :])
            kind, tier = ("doubled bias", LIKELY) if bias else ("doubled term", STRUCTURAL)
            yield Edit(kind, f"{named} is added twice in {{}}", one.left, path, doubled, tier)
            turned = term.term if isinstance(term, Negative) else Negative(term)
            signed = add(*node.terms[:n], turned, *node.terms[n + 1 :])
            yield Edit("wrong sign", f"{named} has the wrong sign in {{}}", one.left, path, signed, likely)


def of_factors(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Leave out and square each factor of each product."""
    for path, node in places(one.right):
        if not isinstance(node, Product) or len(node.factors) < 2:
            continue
        for n, factor in enumerate(node.factors):
            others = (*node.factors[:n], *node.factors[n + 1 :])
            left = Product(others) if len(others) > 1 else others[0]
            if isinstance(factor, Slope):
                kind, told = "forgotten derivative", "the derivative of the nonlinearity is missing from {}"
            else:
                kind, told = "missing factor", f"the factor {_bare(factor)} is missing from {{}}"
            yield Edit(kind, told, one.left, path, left, LIKELY)
            twice = Product((*node.factors, factor))
            if isinstance(factor, Slope):
                told = "the derivative of the nonlinearity is applied twice in {}"
                yield Edit("derivative twice", told, one.left, path, twice, LIKELY)
            else:
                told = f"the factor {_bare(factor)} is there twice in {{}}"
                yield Edit("doubled factor", told, one.left, path, twice)


def put_in(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Multiply each term of an equation by a gate, or by 1 minus it, and add a state."""
    if scene.program.axes[one.left] != (UNITS,):
        return
    sums = isinstance(one.right, Sum)
    terms = one.right.terms if isinstance(one.right, Sum) else (one.right,)
    order = list(scene.program.assignments)
    known = {symbol.base for symbol in order[: order.index(one.left)] if not symbol.sub and not symbol.d}
    for gate in (Symbol(letter) for letter in LETTERS if letter in known):
        for factor, named in ((gate, words.the(gate)), (less(ONE, gate), f"1 - {gate.base}")):
            for n, term in enumerate(terms):
                if isinstance(term, MatMul) or _is_bias(term):
                    continue
                where = f"the term {_bare(term)} in {{}}" if sums else "{}"
                made = add(*terms[:n], times(term, factor), *terms[n + 1 :])
                told = f"{named} is an extra factor of {where}"
                likely = gate == Symbol("o") and one.left == Symbol("o", d=True) and factor == gate
                yield Edit("extra factor", told, one.left, (), made, LIKELY if likely else STRUCTURAL)
            if sums:
                told = f"{named} is an extra factor of {{}}"
                yield Edit("extra factor", told, one.left, (), times(one.right, factor))
    for state in (DH, DC_NEXT) if one.left.d else (C_PREV, H_PREV, C):
        if scene.program.axes.get(state) != (UNITS,) or state.base == one.left.base:
            continue
        if state in scene.program.assignments and state.base not in known:
            continue
        told = f"{words.the(state)} is an extra term in {{}}"
        yield Edit("extra term", told, one.left, (), add(*terms, state))


def other_operations(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Add instead of multiplying, and the other way round; leave out a clip, a mean or a division."""
    for path, node in places(one.right):
        match node:
            case Product((first, second)):
                told = f"{_bare(first)} and {_bare(second)} are added instead of multiplied in {{}}"
                yield Edit("sum for product", told, one.left, path, add(first, second))
            case Sum((first, second)) if not path and not _is_bias(second):
                told = f"{_bare(first)} and {_bare(second)} are multiplied instead of added in {{}}"
                yield Edit("product for sum", told, one.left, path, times(first, second))
            case FunctionCall("clip", (argument, *_)):
                yield Edit("missing clip", "the clip is missing from {}", one.left, path, argument, LIKELY)
            case Product((arrived, Holds())):
                yield Edit("missing clip", "the clip is missing from {}", one.left, path, arrived, LIKELY)
            case Quotient(over, _):
                told = "the division by the standard deviation is missing from {}"
                yield Edit("missing division", told, one.left, path, over, LIKELY)
                if isinstance(over, Sum):
                    told = "layer norm is left out of {}"
                    yield Edit("missing layer norm", told, one.left, path, over.terms[0], LIKELY)
            case MatMul(Symbol("R") | Transpose(Symbol("R")), vector):
                yield Edit("missing projection", "the projection is missing from {}", one.left, path, vector, LIKELY)
    b = Symbol("b", one.left.sub)
    if one.left == d(b):
        told = f"{words.the(b)} is an extra factor of {{}}"
        yield Edit("extra factor", told, one.left, (), times(one.right, b))


def brackets(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Multiply a whole sum by factors of one of its terms."""
    if not isinstance(one.right, Sum) or one.left.time is not None:
        return
    terms = one.right.terms
    for n, term in enumerate(terms):
        if isinstance(term, Product) and len(term.factors) > 1:
            inner = add(*terms[:n], term.factors[0], *terms[n + 1 :])
            outer = term.factors[1:]
            told = f"the whole sum is multiplied by {_bare(times(*outer))} in {{}}"
            yield Edit("misplaced bracket", told, one.left, (), times(inner, *outer))


def signs_and_powers(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Turn the sign of the whole or of an argument, and raise to another power."""
    told = "the sign of {} is wrong"
    yield Edit("wrong sign", told, one.left, (), Negative(one.right), LIKELY)
    for path, node in places(one.right):
        match node:
            case FunctionCall(name, (argument,), activation) if activation is not None:
                made = FunctionCall(name, (Negative(argument),), activation)
                told = "the argument of the nonlinearity has the wrong sign in {}"
                yield Edit("wrong sign", told, one.left, path, made, LIKELY)
            case Power(base, Number(exponent)):
                told = (
                    f"{_bare(base)} is not squared in {{}}"
                    if exponent == 2
                    else f"the exponent of {_bare(base)} is missing from {{}}"
                )
                yield Edit("missing power", told, one.left, path, base, LIKELY)
            case Symbol() | FunctionCall() if path and _in_slope(one.right, path):
                told = f"{_bare(node)} is squared in {{}}"
                yield Edit("extra power", told, one.left, path, Power(node, TWO))


def _in_slope(formula: Formula, path: tuple[int, ...]) -> bool:
    return any(isinstance(node, Slope) and path[: len(at)] == at for at, node in places(formula)) and not any(
        isinstance(node, Power) and path[: len(at)] == at for at, node in places(formula)
    )


def without_a_part(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Leave the old hidden state, or the input, out of the combined input or of the sums made of it."""
    for path, node in places(one.right):
        match node:
            case Concatenation((h, x)) if one.left == Z:
                pass
            case Symbol() if node == Z:
                h, x = Slice(Z, 0, scene.recurrent), Slice(Z, scene.recurrent, scene.columns)
            case _:
                continue
        for told, stack in (
            ("the old hidden state h_prev is left out of {}", (times(ZERO, h), x)),
            ("the input x is left out of {}", (h, times(ZERO, x))),
        ):
            yield Edit("missing part", told, one.left, path, Concatenation(stack), LIKELY)


def _is_bias(term: Formula) -> bool:
    return isinstance(term, Symbol) and term.base == "b" and not term.d


def _called(term: Formula) -> str:
    """Return what a term is called; a bias, and a product with weights, the same for every gate."""
    term = term.term if isinstance(term, Negative) else term
    if _is_bias(term):
        return "the bias"
    match term:
        case MatMul(_, Symbol(d=False)):
            return "the product of weights and inputs"
        case Product((Symbol(base="p"), Symbol() as seen)):
            return f"the peephole's product with {words.the(seen)}"
    return f"the term {_bare(term)}"


def _bare(formula: Formula) -> str:
    formula = formula.body if isinstance(formula, Slope) else formula
    shown = text.formula(formula)
    return f"({shown})" if isinstance(formula, Sum) else shown
