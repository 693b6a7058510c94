"""The chapters beside the teaching page, its phrases, and the constants by which it judges numbers."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from gatewise.grading.causes import MOST_CAUSES, MOST_FITS, MOST_GRID, NEAR, TRIVIAL
from gatewise.grading.chain import LEAST_ROUNDED, ROUNDING
from gatewise.grading.chance import BOUND
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.error_propagation import LEAST_SINGLE, SINGLE_SHARE
from gatewise.grading.judging import FEWEST_CUT, MOST_SHARE, MOST_UNITS, VAGUE

FILE = "chapters.json"


def chapters() -> list[dict[str, Any]]:
    """Return the chapters: title, text, question, a closing sentence, and the page's state and question in each."""
    chapters: list[dict[str, Any]] = _lesson()["chapters"]
    return chapters


def phrases() -> dict[str, str]:
    """Return by their keys the phrases in which a page asks for numbers and judges them."""
    phrases: dict[str, str] = _lesson()["phrases"]
    return phrases


def grader() -> dict[str, float]:
    """Return the constants of `gatewise.grading` by which a page judges numbers and names causes."""
    return {
        "rounding": ROUNDING,
        "least_rounded": LEAST_ROUNDED,
        "single_share": SINGLE_SHARE,
        "least_single": LEAST_SINGLE,
        "vague": VAGUE,
        "most_units": MOST_UNITS,
        "most_share": MOST_SHARE,
        "fewest_cut": FEWEST_CUT,
        "bound": BOUND[LIKELY],
        "trivial": TRIVIAL,
        "near": NEAR,
        "grid_decimals": MOST_GRID - 1,
        "most_causes": MOST_CAUSES,
        "most_fits": MOST_FITS,
    }


@cache
def _lesson() -> dict[str, Any]:
    lesson: dict[str, Any] = json.loads(files(__package__).joinpath("assets", FILE).read_text(encoding="utf-8"))
    return lesson
