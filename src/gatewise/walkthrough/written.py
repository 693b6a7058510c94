"""The parts of a walkthrough as a notation writes them: symbols, shapes, and the order of what is multiplied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewise.walkthrough.lazy import Lazy
from gatewise.walkthrough.notation import DEFAULT, Notation
from gatewise.walkthrough.parts import Block, Expanded, NumberTable, Section, Sentence, Words, WorkedEquation


def write_section(section: Section, notation: Notation) -> Section:
    """Return a walkthrough's section, written in gatewise's symbols, in the symbols and shapes of a notation."""
    if notation is DEFAULT:
        return section
    return replace(section, blocks=tuple(_write_block(block, notation) for block in section.blocks))


def _write_block(block: Block, notation: Notation) -> Block:
    match block:
        case WorkedEquation():
            return write_equation(block, notation)
        case NumberTable():
            rows = Lazy(len(block.rows), lambda n: (_write_words(block.rows[n][0], notation), block.rows[n][1]))
            columns = tuple(_write_words(head, notation) for head in block.columns)
            return replace(block, title=_write_words(block.title, notation), columns=columns, rows=rows)
        case Expanded():
            return replace(block, left=notation.symbol(block.left))
        case Sentence():
            return replace(block, text=_write_words(block.text, notation))
    return block


def _write_words(words: Words, notation: Notation) -> Words:
    if isinstance(words, tuple):
        return tuple(part if isinstance(part, str) else notation.symbol(part) for part in words)
    return words if isinstance(words, str) else notation.symbol(words)


def write_equation(equation: WorkedEquation, notation: Notation) -> WorkedEquation:
    """Return a walkthrough's equation in the symbols and matrix shapes of a notation."""
    matrix = np.ndim(equation.value) == 2 and notation.rows
    return replace(
        equation,
        left=notation.symbol(equation.left),
        right=notation.formula(equation.right),
        env={notation.symbol(name): notation.value(value) for name, value in equation.env.items()},
        value=notation.value(equation.value),
        over=equation.across if matrix else equation.over,
        across=equation.over if matrix else equation.across,
    )
