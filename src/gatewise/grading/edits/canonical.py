"""Canonical forms of formulas, to compare them: polynomials whose atoms are neither sums nor products."""

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
    """Return a hashable value that equal formulas share, so that equal mistakes are found once.

    The order of terms and factors, brackets, signs and terms that cancel do not matter. Functions are equal if they
    have the same name and equal arguments.
    """
    return frozenset(_to_polynomial(formula).items())


def _to_polynomial(formula: Formula) -> Polynomial:
    """Return a formula as a polynomial, to compare what mistakes make of an equation."""
    match formula:
        case Number(value):
            return {ONE: float(value)} if value else {}
        case Negative(term):
            return {monomial: -count for monomial, count in _to_polynomial(term).items()}
        case Slope(body):
            return _to_polynomial(body)
        case Sum(terms):
            polynomial: Polynomial = {}
            for term in terms:
                for monomial, count in _to_polynomial(term).items():
                    polynomial[monomial] = polynomial.get(monomial, 0.0) + count
            return {monomial: count for monomial, count in polynomial.items() if count}
        case Product(factors):
            polynomial = {ONE: 1.0}
            for factor in factors:
                polynomial = _multiply_polynomials(polynomial, _to_polynomial(factor))
            return polynomial
        case Power(base, Number(exponent)):
            return _raise_polynomial(_to_polynomial(base), float(exponent))
        case Quotient(over, under):
            return _multiply_polynomials(_to_polynomial(over), _raise_polynomial(_to_polynomial(under), -1.0))
        case MatMul(left, right):
            return _matrix_product_polynomial(left, right)
    return {frozenset({(_polynomial_atom(formula), 1.0)}): 1.0}


def _multiply_polynomials(first: Polynomial, second: Polynomial) -> Polynomial:
    products: Polynomial = {}
    for monomial, count in first.items():
        for factors, times in second.items():
            exponents = dict(monomial)
            for factor, exponent in factors:
                exponents[factor] = exponents.get(factor, 0.0) + exponent
            product = frozenset((factor, exponent) for factor, exponent in exponents.items() if exponent)
            products[product] = products.get(product, 0.0) + count * times
    return {monomial: count for monomial, count in products.items() if count}


def _raise_polynomial(base: Polynomial, exponent: float) -> Polynomial:
    """Return a power of a polynomial of formulas; with a large or fractional exponent a sum becomes an atom."""
    if len(base) == 1:
        ((monomial, count),) = base.items()
        if count > 0:
            return {frozenset((factor, power * exponent) for factor, power in monomial): count**exponent}
    if exponent.is_integer() and 0 < exponent <= 3:
        result: Polynomial = {ONE: 1.0}
        for _ in range(int(exponent)):
            result = _multiply_polynomials(result, base)
        return result
    return {frozenset({(("sum", frozenset(base.items())), exponent)}): 1.0}


def _matrix_product_polynomial(left: Formula, right: Formula) -> Polynomial:
    """Return a matrix product as a polynomial; a factor of the vector becomes a factor of the product."""
    vector = _to_polynomial(right)
    if len(vector) == 1:
        ((monomial, count),) = vector.items()
        return {frozenset({(("@", canonical(left), monomial), 1.0)}): count}
    return {frozenset({(("@", canonical(left), frozenset(vector.items())), 1.0)}): 1.0} if vector else {}


def _polynomial_atom(formula: Formula) -> Hashable:
    """Return a hashable value for a part of a formula (no sum, no product), to compare a mistake with an equation."""
    match formula:
        case Symbol() | NumberRow():
            return formula
        case FunctionCall(name, arguments, activation):
            return ("call", activation or name, *map(canonical, arguments))
    values = [getattr(formula, name) for name in map(str, formula.__match_args__)]
    constants = [value for value in values if not isinstance(value, (Formula, tuple))]
    return (formula.kind, *constants, *map(canonical, parts(formula)))
