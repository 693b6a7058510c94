"""The steps of a line with numbers in it: formulas of numbers, each computed from those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.render.layout import Line
from gatewise.symbolic import formula as tree
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Formula, Number, Symbol, factors, parts, rebuild, with_parts
from gatewise.symbolic.nonlinearities import textbook
from gatewise.symbolic.symbols import ALL_GATES, UNITS
from gatewise.walkthrough.parts import WorkedEquation


@dataclass(frozen=True)
class Computation:
    """A formula of numbers, and what it gives."""

    formula: Formula
    value: Any


@dataclass(frozen=True)
class UnfoldedTerm:
    """A term of a sum: its name or its symbols, what is computed before it, and its formula and value."""

    name: str | Formula
    before: tuple[Computation | UnfoldedTerms, ...]
    computation: Computation


@dataclass(frozen=True)
class UnfoldedTerms:
    """All terms of a sum, or the entries of a row, which have no total."""

    terms: tuple[UnfoldedTerm, ...]
    total: Any = None


def unfolded(line: Line, names: Mapping[str, tuple[str, ...]]) -> list[Computation | UnfoldedTerms]:
    """Return the steps by which an equation's line with numbers is computed, in their order."""
    equation, right = line.equation, line.right
    if np.ndim(line.value):
        across = names[equation.across]
        return [UnfoldedTerms(tuple(_unfold_term(name, _entry(right, k)) for k, name in enumerate(across)))]
    if isinstance(right, tree.Sum):
        return [_unfold_terms(right.terms, _term_names(equation), line.value)]
    steps: list[Computation | UnfoldedTerms] = list(_factor_steps(equation.right, right))
    simple = _simplify(right, steps, names)
    if isinstance(simple, (Number, tree.NumberRow)):
        return steps
    if isinstance(simple, tree.FunctionCall) and (definition := _definition_steps(simple, line.value)):
        return [*steps, *definition]
    return [*steps, Computation(simple, line.value)]


def _factor_steps(symbols: Formula, numbers: Formula) -> Iterator[Computation]:
    """Yield the factors of a product that are numbers, each as a step with its symbol."""
    if isinstance(symbols, tree.Product) and isinstance(numbers, tree.Product):
        for symbol, factor in zip(factors(symbols), factors(numbers), strict=True):
            if isinstance(factor, Number) and not isinstance(symbol, Number):
                yield Computation(symbol, factor.value)


def _entry(node: Formula, k: int) -> Formula:
    """Return a formula of rows for one of their entries."""
    return rebuild(node, lambda node: Number(node.values[k]) if isinstance(node, tree.NumberRow) else None)


def _unfold_term(name: str | Formula, node: Formula) -> UnfoldedTerm:
    """Return a term of a worked sum as a rendered walkthrough unfolds it: with the steps that compute it."""
    before: list[Computation | UnfoldedTerms] = []
    simple = _simplify(node, before, {})
    return UnfoldedTerm(name, tuple(before), Computation(simple, _value(node)))


def _unfold_terms(terms: Sequence[Formula], names: Sequence[str | Formula], total: Any) -> UnfoldedTerms:
    every = [*names, *[""] * (len(terms) - len(names))]
    return UnfoldedTerms(tuple(map(_unfold_term, every, terms)), total)


def _simplify(node: Formula, steps: list[Computation | UnfoldedTerms], names: Mapping[str, tuple[str, ...]]) -> Formula:
    """Return a formula whose parts are numbers; the steps that gave those are appended to `steps`, to be shown."""
    match node:
        case Number() | tree.NumberRow():
            return node
        case tree.Slope(body):
            return _simplify(body, steps, names)
        case tree.Negative(term):
            return tree.Negative(_simplify(term, steps, names))
        case tree.Product():
            return tree.Product(tuple(_as_number(factor, steps, names) for factor in factors(node)))
    return with_parts(node, [_as_number(part, steps, names) for part in parts(node)])


def _as_number(
    node: Formula, steps: list[Computation | UnfoldedTerms], names: Mapping[str, tuple[str, ...]]
) -> Formula:
    """Return a formula of numbers as one number; the steps that gave it are appended to `steps`, to be shown."""
    if isinstance(node, tree.Negative) and isinstance(inner := _as_number(node.term, steps, names), Number):
        return Number(-inner.value)
    value = _value(node)
    if isinstance(node, tree.Sum) and len(node.terms) > 2:  # a mean, before it is divided
        over = [names[axis] for axis in (UNITS, ALL_GATES) if len(names.get(axis, ())) == len(node.terms)]
        steps.append(_unfold_terms(node.terms, over[0] if over else (), value))
        return Number(value)
    simple = _simplify(node, steps, names)
    if isinstance(simple, (Number, tree.NumberRow)):
        return simple
    steps.append(Computation(simple, value))
    return Number(value)


def _value(node: Formula) -> Any:
    """Return the value of a formula of numbers: a number, or the entries of a row."""
    return np.asarray(evaluate(node, {}))[()]


def _definition_steps(call: tree.FunctionCall, value: Any) -> list[Computation | UnfoldedTerms]:
    """Return a nonlinearity's formula unfolded into rendered steps, or none if they do not end in its value."""
    if call.activation is None:
        return []
    (argument,), a = call.arguments, Symbol("a")
    steps: list[Computation | UnfoldedTerms] = []
    formula = rebuild(textbook(call.activation), lambda node: argument if node == a else None)
    last = _simplify(formula, steps, {})
    close = np.isclose(evaluate(formula, {}), value, rtol=1e-6, atol=1e-12)
    return [*dict.fromkeys(steps), Computation(last, value)] if close and not isinstance(last, Number) else []


def _term_names(equation: WorkedEquation) -> list[str | Formula]:
    """Return the name of each term of an equation with numbers in it: products with a matrix have names, others their
    symbols.
    """
    products, names = iter(equation.products), list[str | Formula]()
    for term in equation.right.terms if isinstance(equation.right, tree.Sum) else (equation.right,):
        if isinstance(term, tree.MatMul):
            sides = (evaluate(side, equation.env) for side in (term.left, term.right))
            size = min((side for side in sides), key=np.ndim).size
            names += [next(products, "") for _ in range(size)]
        else:
            names.append(term.term if isinstance(term, tree.Negative) else term)
    return names
