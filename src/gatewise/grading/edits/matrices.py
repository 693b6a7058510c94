"""Weights that are transposed or read in another order, [x; h] for [h; x], and outer products."""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit, Scene, places
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
    rebuild,
)
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, COLUMNS, DZ, H_PREV, C, H, X, Z

_ORDER = "order of [h; x]"
_ORDERED = "[x; h] is used instead of [h; x] in {}"
_TURNED = "transposed weights"
_READ = {
    "by column": "the weights are read column by column in {}",
    "by row": "the weights are read as if they were written column by column in {}",
}


def combined(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """[x; h] for [h; x]: in the combined input, where it is used, and in the parts of its gradient."""
    recurrent, columns = scene.recurrent, scene.columns
    turned = Concatenation((Slice(Z, recurrent, columns), Slice(Z, 0, recurrent)))
    for path, node in places(one.right):
        match node:
            case Concatenation((h, x)) if one.left == Z:
                yield Edit(
                    _ORDER, "the order is [x; h] instead of [h; x] in {}", one.left, path, Concatenation((x, h)), LIKELY
                )
            case Symbol() if node == Z:
                yield Edit(_ORDER, _ORDERED, one.left, path, turned, LIKELY)
                for state in (C_PREV, H, C):
                    if scene.knows(state, one) and scene.program.axes[state] == scene.program.axes[H_PREV]:
                        mixed = Concatenation((state, Slice(Z, recurrent, columns)))
                        told = f"{words.is_used(state)} instead of the old hidden state h_prev in {{}}"
                        yield Edit("another state", told, one.left, path, mixed, LIKELY)
                for part, told in ((X, "the input x alone"), (H_PREV, "the old hidden state h_prev alone")):
                    said = f"{told} is used instead of the combined input z in {{}}"
                    yield Edit("another shape", said, one.left, path, part)
            case Slice(vector, int(start), int(stop)) if vector == DZ:
                other = Slice(DZ, 0, stop - start) if start else Slice(DZ, columns - stop, columns)
                yield Edit(_ORDER, "the wrong end of dz is taken for {}", one.left, path, other, LIKELY)


def transposed(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Transpose a square part of the weights, read them column by column, and turn outer products round."""
    for path, node in places(one.right):
        match node:
            case MatMul(Symbol(d=False) as matrix, vector):
                for told, made in _parts_turned(scene, matrix, vector):
                    yield Edit(_TURNED, told, one.left, path, made, LIKELY)
                for name, told in _READ.items():
                    yield Edit(_TURNED, told, one.left, path, MatMul(FunctionCall(name, (matrix,)), vector), LIKELY)
            case Outer(left, right):
                told = "the rows and columns of {} are exchanged"
                yield Edit(_TURNED, told, one.left, path, Outer(right, left), LIKELY)
    yield from _turned_back(scene, one)


def _parts_turned(scene: Scene, matrix: Symbol, vector: Formula) -> Iterator[tuple[str, Formula]]:
    """Go through the products with a part of a matrix transposed; what is not square cannot be computed."""
    if scene.program.axes[matrix][1] != COLUMNS:
        yield "the weights are transposed in {}", MatMul(Transpose(matrix), vector)
        return
    for told, made in _blocks(scene, matrix):
        sides = (Slice(Z, 0, scene.recurrent), Slice(Z, scene.recurrent, scene.columns))
        if vector == Z:
            yield told, add(*(MatMul(block, side) for block, side in zip(made, sides, strict=True)))


def _blocks(scene: Scene, matrix: Symbol) -> Iterator[tuple[str, tuple[Formula, Formula]]]:
    """Go through the parts of a matrix for h and for x with one of them or both transposed."""
    h, x = Slice(matrix, 0, scene.recurrent), Slice(matrix, scene.recurrent, scene.columns)
    yield "the recurrent weights are transposed in {}", (Transpose(h), x)
    yield "the input's weights are transposed in {}", (h, Transpose(x))
    yield "the weights are transposed in {}", (Transpose(h), Transpose(x))


def _turned_back(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Transpose parts of all the weights on the way back to the combined input."""
    matrices = [node for _, node in places(one.right) if isinstance(node, MatMul) and isinstance(node.left, Transpose)]
    if one.left != DZ or not matrices:
        return
    for n, told in enumerate(("the recurrent weights", "the input's weights", "the weights")):

        def change(node: Formula, n: int = n) -> Formula | None:
            match node:
                case MatMul(Transpose(Symbol() as matrix), vector):
                    _, (h, x) = list(_blocks(scene, matrix))[n]
                    return Concatenation((MatMul(Transpose(h), vector), MatMul(Transpose(x), vector)))
            return None

        yield Edit(_TURNED, f"{told} are transposed in {{}}", one.left, (), rebuild(one.right, change), LIKELY)
    for name, told in _READ.items():
        made = rebuild(one.right, lambda node, name=name: _read(node, name))  # type: ignore[misc]
        yield Edit(_TURNED, told, one.left, (), made, LIKELY)


def _read(node: Formula, name: str) -> Formula | None:
    match node:
        case Transpose(Symbol() as matrix):
            return Transpose(FunctionCall(name, (matrix,)))
    return None


def forgotten_transposition(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Multiply with a matrix itself where its transpose belongs."""
    for path, node in places(one.right):
        match node:
            case MatMul(Transpose(matrix), vector):
                told = f"{text.formula(matrix)} is not transposed in {{}}"
                yield Edit(_TURNED, told, one.left, path, MatMul(matrix, vector), STRUCTURAL)
