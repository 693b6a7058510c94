"""The backward program is the mechanical derivative of the forward one: SymPy differentiates every equation."""

from __future__ import annotations

from functools import reduce

import cases
import numpy as np
import pytest
import sympy
from pairwise import pairs

import gatewise as gw
from gatewise.symbolic import cell
from gatewise.symbolic.cell import StepValues, program
from gatewise.symbolic.formula import (
    C_PREV,
    DC_NEXT,
    DH,
    DH_NEXT,
    DY,
    H_PREV,
    C,
    Concatenation,
    Formula,
    FunctionCall,
    H,
    Holds,
    MatMul,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    X,
    d,
    rebuild,
    symbols,
)
from gatewise.symbolic.nonlinearities import ARGUMENT, definition

pytestmark = pytest.mark.peers

FUNCTIONS = {
    "tanh": sympy.tanh,
    "exp": sympy.exp,
    "ln": sympy.log,
    "abs": sympy.Abs,
    "sqrt": sympy.sqrt,
    "erf": sympy.erf,
}
FUNCTIONS |= {"max": sympy.Max, "min": sympy.Min, "clip": lambda q, low, high: sympy.Min(sympy.Max(q, low), high)}
RELATIONS = {">": sympy.Gt, "<": sympy.Lt, "≤": sympy.Le}


class Entries:
    """Formulas of vectors as SymPy's expressions of their entries."""

    def __init__(self, scope: StepValues) -> None:
        self.scope, self.names = scope, {}

    def of(self, symbol: Symbol) -> np.ndarray:
        """Return the entries of a quantity, each a symbol of SymPy's."""
        if symbol not in self.names:
            shape = np.shape(self.scope[symbol])
            made = [sympy.Symbol(f"{symbol.base}_{symbol.sub}_{n}", real=True) for n in range(int(np.prod(shape)))]
            self.names[symbol] = np.array(made, object).reshape(shape)
        return self.names[symbol]

    def written(self, formula: Formula) -> np.ndarray:
        """Return a formula, entry by entry."""
        match formula:
            case Symbol():
                return self.of(formula)
            case Number(value):
                return np.array(sympy.Float(value, 30) if value != int(value) else sympy.Integer(int(value)), object)
            case Sum(terms):
                return sum((self.written(term) for term in terms), np.array(sympy.Integer(0), object))
            case Negative(term):
                return -self.written(term)
            case Product(factors):
                return reduce(lambda a, b: a * b, (self.written(factor) for factor in factors))
            case Quotient(over, under):
                return self.written(over) / self.written(under)
            case Power(base, exponent):
                return self.written(base) ** self.written(exponent)
            case MatMul(left, right):
                return np.asarray(self.written(left) @ self.written(right), object)
            case Concatenation(parts):
                return np.concatenate([self.written(part) for part in parts])
            case Holds(left, relation, right):
                return np.vectorize(lambda a, b: sympy.Piecewise((1, RELATIONS[relation](a, b)), (0, True)), [object])(
                    self.written(left), self.written(right)
                )
            case FunctionCall("mean", (argument,)):
                entries = self.written(argument)
                return np.array(sum(entries) / len(entries), object)
            case FunctionCall(name, arguments, activation):
                if activation is not None and activation.name != "tanh":
                    (inner,) = arguments
                    return self.written(rebuild(definition(activation), lambda n: inner if n == ARGUMENT else None))
                return np.vectorize(FUNCTIONS[name], [object])(*(self.written(one) for one in arguments))
        raise TypeError(repr(formula))


def local_derivatives(entries: Entries, right: Formula) -> dict[Symbol, np.ndarray]:
    """Return the derivative of each entry of a formula with respect to each entry of its symbols, as numbers."""
    values = np.atleast_1d(entries.written(right))
    numbers = {
        name: sympy.Float(float(value), 30)
        for symbol in symbols(right)
        for name, value in zip(entries.of(symbol).flat, np.ravel(entries.scope[symbol]), strict=True)
    }
    found = {}
    for symbol in symbols(right):
        names = entries.of(symbol)
        rows = [
            [float(sympy.diff(value, name).subs(numbers)) if name in value.free_symbols else 0.0 for name in names.flat]
            for value in values
        ]
        found[symbol] = np.array(rows).reshape(len(values), *names.shape)
    return found


def every_entry_left(dropout: gw.DropoutMasks, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return dropout masks without a zero."""
    return {name: rng.uniform(0.5, 1.5, getattr(dropout, name).shape) for name in ("input", "recurrent")}


@pairs(
    variant=cases.VARIANTS,
    projection=cases.PROJECTIONS,
    dropout=(False, True),
    apart=(False, True),
)
def test_the_backward_program_is_the_mechanical_derivative_of_the_forward_one(variant, projection, dropout, apart):
    run = cases.run_of(variant, projection=projection, dropout=dropout, time=1, batch=1, inputs=2, hidden=3, seed=7)
    rng = np.random.default_rng(5)
    # Where dropout leaves one entry of a vector, its standardised sums do not change with it: gradients cancel out.
    given = {} if run.dropout is None else {**run.dropout.arrays(), **every_entry_left(run.dropout, rng)}
    dropout = gw.DropoutMasks(**given).fit(run.p, 1, 1)
    form = cell.form_of(run.p, dropout, split=apart)
    known = {X: run.x[0, 0], H_PREV: run.state.h[0], C_PREV: run.state.c[0], **cell.parameter_values(form, run.p)}
    given = cell.mask_values(form, run.p, dropout)
    known |= {symbol: mask if symbol.base == "D" else mask[0, 0] for symbol, mask in given.items()}
    known |= {DY: rng.normal(size=run.p.recurrent_size), DH_NEXT: rng.normal(size=run.p.recurrent_size)}
    known[DC_NEXT] = rng.normal(size=run.p.hidden_size)
    scope = StepValues(program(form), run.p, known)
    entries, adjoint = Entries(scope), {H: scope[DH].copy(), C: scope[DC_NEXT].copy()}
    for one in reversed(scope.program.forward):
        arrived = np.atleast_1d(adjoint.get(one.left, np.zeros_like(scope[one.left])))
        for symbol, partial in local_derivatives(entries, one.right).items():
            adjoint[symbol] = adjoint.get(symbol, 0) + np.tensordot(arrived, partial, 1)
    compared = 0
    for symbol in (X, H_PREV, C_PREV, *scope.program.of_kind("parameter")):
        expected, found = adjoint[symbol], scope[d(symbol)]
        error, largest = np.max(np.abs(found - expected)), np.max(np.abs(expected))
        assert error <= 1e-12 * largest, f"{symbol}: {error:.3g} off, of {largest:.3g}"
        compared += np.any(expected != 0)
    assert compared > 4
