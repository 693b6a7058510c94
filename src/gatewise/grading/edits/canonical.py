"""Formulas in a form that tells whether two of them are equal: as polynomials of what is no sum and no product."""

from __future__ import annotations

from collections.abc import Hashable

from gatewise.symbolic.formula import (
    Formula,
    FunctionCall,
    MatMul,
    Negative,
    Number,
    NumberRow,
    Power,
    Product,
    Quotient,
    Slope,
    Sum,
    Symbol,
    parts,
)

Monomial = frozenset[tuple[Hashable, float]]  # each factor with its exponent
Polynomial = dict[Monomial, float]  # each term with its coefficient
ONE: Monomial = frozenset()


def canonical(formula: Formula) -> Hashable:
    """Return a value that equal formulas share: the order of terms and factors, brackets, signs and what cancels do not
    matter. Of what is no sum, product or power, only the same functions of equal arguments are equal.
    """
    return frozenset(_polynomial(formula).items())


def _polynomial(formula: Formula) -> Polynomial:
    match formula:
        case Number(value):
            return {ONE: float(value)} if value else {}
        case Negative(term):
            return {one: -count for one, count in _polynomial(term).items()}
        case Slope(body):
            return _polynomial(body)
        case Sum(terms):
            found: Polynomial = {}
            for term in terms:
                for one, count in _polynomial(term).items():
                    found[one] = found.get(one, 0.0) + count
            return {one: count for one, count in found.items() if count}
        case Product(factors):
            found = {ONE: 1.0}
            for factor in factors:
                found = _times(found, _polynomial(factor))
            return found
        case Power(base, Number(exponent)):
            return _power(_polynomial(base), float(exponent))
        case Quotient(over, under):
            return _times(_polynomial(over), _power(_polynomial(under), -1.0))
        case MatMul(left, right):
            return _linear(left, right)
    return {frozenset({(_atom(formula), 1.0)}): 1.0}


def _times(first: Polynomial, second: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for one, count in first.items():
        for other, times in second.items():
            exponents = dict(one)
            for factor, exponent in other:
                exponents[factor] = exponents.get(factor, 0.0) + exponent
            product = frozenset((factor, exponent) for factor, exponent in exponents.items() if exponent)
            found[product] = found.get(product, 0.0) + count * times
    return {one: count for one, count in found.items() if count}


def _power(base: Polynomial, exponent: float) -> Polynomial:
    if len(base) == 1:
        ((one, count),) = base.items()
        if count > 0:
            return {frozenset((factor, power * exponent) for factor, power in one): count**exponent}
    if exponent.is_integer() and 0 < exponent <= 3:
        found: Polynomial = {ONE: 1.0}
        for _ in range(int(exponent)):
            found = _times(found, base)
        return found
    return {frozenset({(("sum", frozenset(base.items())), exponent)}): 1.0}


def _linear(left: Formula, right: Formula) -> Polynomial:
    """Return a product with a matrix: a number before the vector is one before the product."""
    vector = _polynomial(right)
    if len(vector) == 1:
        ((one, count),) = vector.items()
        return {frozenset({(("@", canonical(left), one), 1.0)}): count}
    return {frozenset({(("@", canonical(left), frozenset(vector.items())), 1.0)}): 1.0} if vector else {}


def _atom(formula: Formula) -> Hashable:
    match formula:
        case Symbol() | NumberRow():
            return formula
        case FunctionCall(name, arguments, activation):
            return ("call", activation or name, *map(canonical, arguments))
    plain = [getattr(formula, one) for one in map(str, formula.__match_args__)]
    kept = [one for one in plain if not isinstance(one, (Formula, tuple))]
    return (formula.kind, *kept, *map(canonical, parts(formula)))
