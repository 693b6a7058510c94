"""Walkthroughs: a step of a cell line by line, as parts that every face renders."""

from gatewise.views.walkthrough.build import walk
from gatewise.views.walkthrough.parts import Walkthrough

__all__ = ["Walkthrough", "walk"]
