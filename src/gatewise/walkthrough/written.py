"""The parts of a walkthrough as a notation writes them: symbols, shapes, and the order of what is multiplied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewise.walkthrough.lazy import Lazy
from gatewise.walkthrough.notation import DEFAULT, Notation
from gatewise.walkthrough.parts import Block, Expanded, NumberTable, Section, Sentence, Words, WorkedEquation


def section(section: Section, notation: Notation) -> Section:
    """Return a walkthrough's section, written in gatewise's symbols, in the symbols and shapes of a notation."""
    if notation is DEFAULT:
        return section
    return replace(section, blocks=tuple(_block_in_notation(block, notation) for block in section.blocks))


def _block_in_notation(block: Block, notation: Notation) -> Block:
    """Return a block of a walkthrough with its symbols and matrices as a notation writes them."""
    match block:
        case WorkedEquation():
            return equation(block, notation)
        case NumberTable():
            rows = Lazy(len(block.rows), lambda n: (_words_in_notation(block.rows[n][0], notation), block.rows[n][1]))
            columns = tuple(_words_in_notation(head, notation) for head in block.columns)
            return replace(block, title=_words_in_notation(block.title, notation), columns=columns, rows=rows)
        case Expanded():
            return replace(block, left=notation.symbol(block.left))
        case Sentence():
            return replace(block, text=_words_in_notation(block.text, notation))
    return block


def _words_in_notation(words: Words, notation: Notation) -> Words:
    """Return text with its symbols as they are in a notation."""
    if isinstance(words, tuple):
        return tuple(part if isinstance(part, str) else notation.symbol(part) for part in words)
    return words if isinstance(words, str) else notation.symbol(words)


def equation(equation: WorkedEquation, notation: Notation) -> WorkedEquation:
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
