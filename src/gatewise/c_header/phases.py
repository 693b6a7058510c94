"""The equations of a stage in phases: loops over one kind of axis, after each of which a vector is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gatewise.arrays import Array
from gatewise.c_header.stages import Stage
from gatewise.symbolic.formula import (
    OVER_A_VECTOR,
    Concatenation,
    Formula,
    FunctionCall,
    MatMul,
    Product,
    Sum,
    Symbol,
    nodes,
    rebuild,
    symbols,
)
from gatewise.symbolic.program import Assignment

HALVED = "σ of half"  # of a pre-activation whose weights were halved: 1/2 + 1/2 tanh(a)


@dataclass(frozen=True)
class ProductGroup:
    """Matrices that are multiplied by the same vector: the rows of each are those of the phase."""

    vector: Symbol
    products: tuple[MatMul, ...]
    weights: Array  # (products, rows, columns)


@dataclass
class Phase:
    """One loop over the entries of an axis, with what is computed in it.

    Attributes
    ----------
    axis : str
    size : int
    lines : list of Assignment
        What has this axis, in order.
    groups : list of ProductGroup
    reductions : list of Assignment
        Single numbers from vectors, computed after the loop.
    """

    axis: str
    size: int
    lines: list[Assignment] = field(default_factory=list)
    groups: list[ProductGroup] = field(default_factory=list)
    reductions: list[Assignment] = field(default_factory=list)


class Schedule:
    """The phases of a stage.

    Attributes
    ----------
    phases : list of Phase
    axes : dict of Symbol to tuple of str
        Of every quantity.
    sizes : dict of str to int
        Of every axis.
    kept : set of Symbol
        Vectors that a later phase needs.
    constants : dict of Symbol to array
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.constants: dict[Symbol, Array] = dict(stage.constants)
        lines = list(_without_nested_reductions(self._halved(stage.lines)))
        self.stacks = {line.left: line.right for line in lines if isinstance(line.right, Concatenation)}
        self.lines = [line for line in lines if line.left not in self.stacks]
        self.axes: dict[Symbol, tuple[str, ...]] = dict(stage.axes) | {line.left: line.axes for line in self.lines}
        self.sizes = self._axis_sizes()
        self.kept: set[Symbol] = set()
        self.phase_of: dict[Symbol, tuple[int, str]] = {}
        self.phases = self._phases()

    def parts(self, vector: Formula) -> tuple[Symbol, ...]:
        """Return the vectors of memory that stand one behind another in a vector."""
        if isinstance(vector, Symbol):
            return self.parts(self.stacks[vector]) if vector in self.stacks else (vector,)
        if isinstance(vector, Concatenation):
            return tuple(part for entry in vector.parts for part in self.parts(entry))
        raise TypeError(f"a matrix is multiplied by {vector}, which is no vector")

    def size_of(self, symbol: Symbol) -> int:
        """Return the number of entries of a vector."""
        return self.stage.inputs[symbol].size if symbol in self.stage.inputs else self.sizes[self.axes[symbol][0]]

    def _axis_sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for symbol, array in self.constants.items():
            sizes |= dict(zip(self.axes[symbol], np.shape(array), strict=True))
        for symbol, vector in (*self.stage.inputs.items(), *self.stage.outputs.items()):
            sizes[self.axes[symbol][0]] = vector.size
        return sizes

    def _halved(self, lines: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
        """Return equations in which σ(a) is 1/2 + 1/2 tanh(a/2), with the 1/2 of a in the weights where a is their sum.

        Half of a number is exact, so no digit depends on it.
        """
        counts: dict[Symbol, int] = {}
        for line in lines:
            for node in nodes(line.right):
                if isinstance(node, Symbol):
                    counts[node] = counts.get(node, 0) + 1
        by_left = {line.left: line for line in lines}

        def half(node: Formula) -> Formula | None:
            if not (isinstance(node, FunctionCall) and node.name == "σ" and isinstance(node.arguments[0], Symbol)):
                return None
            a = node.arguments[0]
            weights = self._linear_in(by_left[a].right) if counts[a] == 1 and a in by_left else None
            if weights is None or any(counts[symbol] != 1 for symbol in weights):
                return None
            self.constants |= {symbol: self.constants[symbol] * 0.5 for symbol in weights}
            return FunctionCall(HALVED, (a,))

        return tuple(replace(line, right=rebuild(line.right, half)) for line in lines)

    def _linear_in(self, formula: Formula) -> list[Symbol] | None:
        """Return one constant of each term of a sum, in which the sum is linear; None if a term has none."""
        weights = []
        for term in formula.terms if isinstance(formula, Sum) else (formula,):
            factors = term.factors if isinstance(term, Product) else (term.left if isinstance(term, MatMul) else term,)
            constants = [factor for factor in factors if isinstance(factor, Symbol) and factor in self.constants]
            if not constants:
                return None
            weights.append(constants[0])
        return weights

    def _phases(self) -> list[Phase]:
        """Return the phases: each quantity is computed as early as what it needs is there."""
        phases: dict[tuple[int, str], Phase] = {}
        for line in self.lines:
            reduces = _is_reduction(line.right)
            axis = self._reduced_axis(line) if reduces else line.axes[0]
            whole = self._needed_whole(line)
            level = 0
            for symbol in symbols(line.right):
                for part in self.parts(symbol) if symbol in self.stacks else (symbol,):
                    if part in self.phase_of:
                        number, other = self.phase_of[part]
                        later = part in whole or not self.axes[part] or other != axis
                        level = max(level, number + (later and not (reduces and self.axes[part])))
            key = level, axis
            phase = phases.setdefault(key, Phase(axis, self.sizes[axis]))
            (phase.reductions if reduces else phase.lines).append(line)
            self.phase_of[line.left] = key
            self._keep(line, key, reduces)
            if not reduces:
                self._add_products(phase, line)
        return [phases[key] for key in sorted(phases, key=lambda key: (key[0], list(phases).index(key)))]

    def _reduced_axis(self, line: Assignment) -> str:
        """Return the axis over which a reduction runs; over several vectors, that of each."""
        vectors = (part for symbol in symbols(line.right) for part in self.parts(symbol) if self.axes[part])
        return next(self.axes[part][0] for part in vectors)

    def _needed_whole(self, line: Assignment) -> set[Symbol]:
        """Return the vectors of which an equation needs more than the entry at its own place."""
        products = [node for node in nodes(line.right) if isinstance(node, MatMul)]
        return {part for product in products for part in self.parts(product.right)}

    def _keep(self, line: Assignment, key: tuple[int, str], reduces: bool) -> None:
        """Note which vectors a later phase, a product or a reduction needs, so that they go to memory."""
        whole = self._needed_whole(line)
        for symbol in symbols(line.right):
            for part in self.parts(symbol) if symbol in self.stacks else (symbol,):
                if (
                    part in self.phase_of
                    and self.axes[part]
                    and (reduces or part in whole or self.phase_of[part] != key)
                ):
                    self.kept.add(part)

    def _add_products(self, phase: Phase, line: Assignment) -> None:
        """Add an equation's products of matrices to those of the same vector in its phase."""
        for product in (node for node in nodes(line.right) if isinstance(node, MatMul)):
            assert isinstance(product.left, Symbol)
            matrix, begin = self.constants[product.left], 0
            for part in self.parts(product.right):
                columns = matrix[:, begin : begin + self.size_of(part)][None]
                begin += columns.shape[2]
                for n, group in enumerate(phase.groups):
                    if group.vector == part:
                        stacked = np.concatenate([group.weights, columns])
                        phase.groups[n] = ProductGroup(part, (*group.products, product), stacked)
                        break
                else:
                    phase.groups.append(ProductGroup(part, (product,), columns))


def identifier(symbol: Symbol) -> str:
    """Return a symbol as a C name."""
    names = {"μ": "mean", "v": "variance", "γ": "gain", "β": "shift", "z": "z"}
    base = names.get(symbol.base, symbol.base)
    return "_".join(part for part in (base, *symbol.sub.replace(",", "_").split()) if part)


def _is_reduction(formula: Formula) -> bool:
    return isinstance(formula, FunctionCall) and formula.name in OVER_A_VECTOR


def _without_nested_reductions(lines: tuple[Assignment, ...]) -> Iterator[Assignment]:
    """Yield equations in which no sum, mean or maximum of a vector stands within another formula."""
    for line in lines:
        lifted: list[Assignment] = []

        def lift(node: Formula, line: Assignment = line, lifted: list[Assignment] = lifted) -> Formula | None:
            if not _is_reduction(node) or node is line.right:
                return None
            assert isinstance(node, FunctionCall)
            inner = rebuild(node.arguments[0], lift)
            name = Symbol(node.name, identifier(line.left))
            lifted.append(Assignment(name, FunctionCall(node.name, (inner,)), ()))
            return name

        right = rebuild(line.right, lift)
        yield from lifted
        yield replace(line, right=right)
