"""Walkthroughs: a step of a cell line by line, as parts that every format renders."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewise.walkthrough.parts import Bound as Bound
    from gatewise.walkthrough.parts import Definition as Definition
    from gatewise.walkthrough.parts import Expanded as Expanded
    from gatewise.walkthrough.parts import Facts as Facts
    from gatewise.walkthrough.parts import NumberTable as NumberTable
    from gatewise.walkthrough.parts import Section as Section
    from gatewise.walkthrough.parts import Sentence as Sentence
    from gatewise.walkthrough.parts import Walkthrough as Walkthrough
    from gatewise.walkthrough.parts import WorkedEquation as WorkedEquation

__all__ = [
    "Bound",
    "Definition",
    "Expanded",
    "Facts",
    "NumberTable",
    "Section",
    "Sentence",
    "Walkthrough",
    "WorkedEquation",
]


def __getattr__(name: str) -> object:  # the program starts without its parts
    if name not in __all__:
        raise AttributeError(f"module 'gatewise.walkthrough' has no attribute {name!r}")
    from gatewise.walkthrough import parts

    return getattr(parts, name)
