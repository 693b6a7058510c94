"""Walkthroughs: a step of a cell line by line, as parts that every format renders."""

from gatewise.walkthrough.parts import (
    Bound,
    Definition,
    Equation,
    Facts,
    Opened,
    Section,
    Sentence,
    Table,
    Walkthrough,
)

__all__ = ["Bound", "Definition", "Equation", "Facts", "Opened", "Section", "Sentence", "Table", "Walkthrough"]
