"""Weights that are transposed or read in another order, [x; h] for [h; x], and outer products."""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, EquationEdit, Path, Scene, of_each_part
from gatewise.render import text
from gatewise.symbolic.formula import (
    Concatenation,
    Formula,
    FunctionCall,
    MatMul,
    Outer,
    Slice,
    Symbol,
    Transpose,
    add,
    nodes,
    rebuild,
)
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, COLUMNS, DZ, H_PREV, C, H, X, Z

ORDER = "order of [h; x]"
_ORDERED = "[x; h] is used instead of [h; x] in {}"
_TRANSPOSED = "transposed weights"
_READINGS = {
    "by column": "the weights are read column by column in {}",
    "by row": "the weights are read as if they were written column by column in {}",
}


@of_each_part
def reorder_combined_input(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that use [x; h] for [h; x]: in z, where z is used, and in the parts of its gradient."""
    recurrent, columns = scene.recurrent, scene.columns
    swapped = Concatenation((Slice(Z, recurrent, columns), Slice(Z, 0, recurrent)))
    match node:
        case Concatenation((h, x)) if equation.left == Z:
            yield EquationEdit(ORDER, "the order is [x; h] instead of [h; x] in {}", Concatenation((x, h)), LIKELY)
        case Symbol() if node == Z:
            yield EquationEdit(ORDER, _ORDERED, swapped, LIKELY)
            for state in (C_PREV, H, C):
                if scene.is_known_before(state, equation) and scene.program.axes[state] == scene.program.axes[H_PREV]:
                    mixed = Concatenation((state, Slice(Z, recurrent, columns)))
                    clause = f"{words.used_clause(state)} instead of the old hidden state h_prev in {{}}"
                    yield EquationEdit("another state", clause, mixed, LIKELY)
            for part, name in ((X, "the input x alone"), (H_PREV, "the old hidden state h_prev alone")):
                clause = f"{name} is used instead of the combined input z in {{}}"
                yield EquationEdit("another shape", clause, part)
        case Slice(vector, int(start), int(stop)) if vector == DZ:
            other = Slice(DZ, 0, stop - start) if start else Slice(DZ, columns - stop, columns)
            yield EquationEdit(ORDER, "the wrong end of dz is taken for {}", other, LIKELY)


@of_each_part
def transpose_weights(scene: Scene, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that transpose weights, skip that or read them by columns, or turn an outer product."""
    match node:
        case MatMul(Symbol(d=False) as matrix, vector):
            for clause, product in _transposed_products(scene, matrix, vector):
                yield EquationEdit(_TRANSPOSED, clause, product, LIKELY)
            for name, clause in _READINGS.items():
                yield EquationEdit(_TRANSPOSED, clause, MatMul(FunctionCall(name, (matrix,)), vector), LIKELY)
        case Outer(left, right):
            clause = "the rows and columns of {} are exchanged"
            yield EquationEdit(_TRANSPOSED, clause, Outer(right, left), LIKELY)
        case MatMul(Transpose(matrix), vector):
            clause = f"{text.formula(matrix)} is not transposed in {{}}"
            yield EquationEdit(_TRANSPOSED, clause, MatMul(matrix, vector))


def _transposed_products(scene: Scene, matrix: Symbol, vector: Formula) -> Iterator[tuple[str, Formula]]:
    """Yield the products of a vector with a matrix of which a block is transposed, each with its mistake's words."""
    if scene.program.axes[matrix][1] != COLUMNS:
        yield "the weights are transposed in {}", MatMul(Transpose(matrix), vector)
    elif vector == Z:
        h, x = Slice(Z, 0, scene.recurrent), Slice(Z, scene.recurrent, scene.columns)
        for clause, (h_weights, x_weights) in _blocks_with_transposes(scene, matrix):
            yield clause, add(MatMul(h_weights, h), MatMul(x_weights, x))


def _blocks_with_transposes(scene: Scene, matrix: Symbol) -> Iterator[tuple[str, tuple[Formula, Formula]]]:
    """Yield a weight matrix's blocks for h and for x, with one or both transposed, and the mistake's words."""
    h, x = Slice(matrix, 0, scene.recurrent), Slice(matrix, scene.recurrent, scene.columns)
    yield "the recurrent weights are transposed in {}", (Transpose(h), x)
    yield "the input's weights are transposed in {}", (h, Transpose(x))
    yield "the weights are transposed in {}", (Transpose(h), Transpose(x))


def transpose_in_gradient(scene: Scene, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that transpose weights in the gradient of the combined input z."""
    mistaken: dict[str, dict[Formula, Formula]] = {}  # by the words of the mistake, what becomes of each product
    for node in nodes(equation.right) if equation.left == DZ else ():
        match node:
            case MatMul(Transpose(Symbol() as matrix), vector):
                for clause, (h, x) in _blocks_with_transposes(scene, matrix):
                    product = Concatenation((MatMul(Transpose(h), vector), MatMul(Transpose(x), vector)))
                    mistaken.setdefault(clause, {})[node] = product
                for name, clause in _READINGS.items():
                    reread = Transpose(FunctionCall(name, (matrix,)))
                    mistaken.setdefault(clause, {})[node] = MatMul(reread, vector)
    for clause, products in mistaken.items():
        yield EquationEdit(_TRANSPOSED, clause, rebuild(equation.right, products.get), LIKELY)
