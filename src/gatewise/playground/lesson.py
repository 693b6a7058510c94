"""The chapters beside the teaching page, and the constants by which a page judges numbers.

A chapter's ``ask`` is a number: the quantity ``name`` at a ``step`` and entry ``at``. An answer is right if it is
within `TOLERANCE`, has as many digits, and equals none of ``mistakes``, the wrong answers that the chapter expects.
Each has a ``value`` and a sentence, ``says``. A value is a number, or a sum of products: ``[["f", "c_prev"], [-1,
"g"]]`` is f * c_prev - g, of numbers and of quantities of the asked unit. Other entries are written ``x[1]`` and
``W_f[0,2]``, other steps ``f@1``. The quantities are those of the asked step in the cell as the chapter supposes it; of
another ``step``, or with more ``edits``, if the mistake has these. If a chapter has a ``right``, it asks for that.

``draws`` are other numbers for the same question. Asking again takes the next of them: values for ``edits`` in their
order (whole edits, if the chapter has none); or, if the chapter has a ``right``, another one, ``put`` and values for
``mistakes``. Texts have slots: ``{0}`` is the value of the first edit, ``{f}`` a quantity at the asked step, ``{f@1}``
at step 1, and other names are those of ``put``. ``hints`` are where to look, and perhaps the formula with names and
with numbers; the page adds both where a chapter has only the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from gatewise.grading.causes import CHANCE_TOLERANCE, MAX_CHANCES, MAX_GRID_DECIMALS, TRIVIAL_NUMBER
from gatewise.grading.chain import MIN_ROUNDED, MIN_SINGLE, RELATIVE_ROUNDING, SINGLE_SHARE
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.judging import MAX_SHARE_OFF, MAX_UNITS_OFF, MIN_CUT_SHARE, MIN_VAGUE
from gatewise.languages import language
from gatewise.playground.assembly import asset

CHAPTERS_FILE = "chapters.json"
TOLERANCE = 0.0005  # of every number that a chapter of the page asks for: three decimals


@cache
def chapters(lang: str = "en") -> list[dict[str, Any]]:
    """Return the chapters of the teaching page in a language.

    A chapter is the page's state and question in it, from the file of chapters; with its title, text, question, closing
    sentence and what was learned, and a sentence for each mistake, which the language's file has under the same key.
    """
    words = language.words_in(lang)["chapters"]
    return [_with_texts(chapter, words[chapter["key"]]) for chapter in json.loads(asset(CHAPTERS_FILE))]


def _with_texts(chapter: dict[str, Any], texts: Mapping[str, Any]) -> dict[str, Any]:
    pairs = zip(chapter.get("mistakes", ()), texts.get("mistakes", ()), strict=True)
    mistakes = [{**mistake, "says": sentence} for mistake, sentence in pairs]
    tolerance = {} if "lines" in chapter["ask"] else {"tolerance": TOLERANCE}
    return {**chapter, **texts, "ask": chapter["ask"] | tolerance, "mistakes": mistakes}


def grader() -> dict[str, float]:
    """Return the constants of `gatewise.grading` by which a page judges numbers and names causes."""
    return {
        "rounding": RELATIVE_ROUNDING,
        "least_rounded": MIN_ROUNDED,
        "single_share": SINGLE_SHARE,
        "least_single": MIN_SINGLE,
        "vague": MIN_VAGUE,
        "tolerance": TOLERANCE,
        "most_units": MAX_UNITS_OFF,
        "most_share": MAX_SHARE_OFF,
        "fewest_cut": MIN_CUT_SHARE,
        "bound": MAX_CHANCES[LIKELY],
        "equal_chances": CHANCE_TOLERANCE,
        "trivial": TRIVIAL_NUMBER,
        "grid_decimals": MAX_GRID_DECIMALS - 1,
    }
