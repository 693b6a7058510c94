"""The chapters beside the teaching page, and the constants by which a page judges numbers."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from gatewise.grading.causes import MOST_CAUSES, MOST_FITS, MOST_GRID, NEAR, TRIVIAL
from gatewise.grading.chain import LEAST_ROUNDED, ROUNDING
from gatewise.grading.chance import BOUND
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.error_propagation import LEAST_SINGLE, SINGLE_SHARE
from gatewise.grading.judging import FEWEST_CUT, MOST_SHARE, MOST_UNITS, VAGUE
from gatewise.playground import language
from gatewise.playground.assembly import asset

FILE = "chapters.json"


@cache
def chapters(lang: str = "en") -> list[dict[str, Any]]:
    """Return the chapters of the teaching page in a language.

    A chapter is the page's state and question in it, from the file of chapters; with its title, text, question and
    closing sentence, which the language's file has under the same key.
    """
    words = language.words_in(lang)["chapters"]
    return [language.with_words(chapter, words[chapter["key"]]) for chapter in json.loads(asset(FILE))]


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
