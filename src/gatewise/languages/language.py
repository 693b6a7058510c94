"""The words of pages and sheets, which lie beside this module: one file a language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from gatewise.errors import OptionError

LANGUAGES = ("en", "de")
OF_PYTHON = frozenset({"sentences", "patterns", "names", "endings"})  # sections of what Python says: see `translation`
OF_SHEETS = frozenset({"class", "feedback", "phrases", "places"})  # and of what it says of a marked sheet
APART = OF_PYTHON | OF_SHEETS | {"skeleton", "chapters", "titles", "handout"}  # sections that no view reads
OF_LESSONS = frozenset({"scenes", "reader", "training", "demo"})  # sections that the page of a model does not need
Object = dict[str, Any]


def require_language(lang: object) -> None:
    """Refuse a language that the page does not speak."""
    if lang not in LANGUAGES:
        raise OptionError(f"lang must be one of {', '.join(LANGUAGES)}, not {lang!r}")


@cache
def words_in(lang: str) -> Mapping[str, Any]:
    """Return all words of the page in a language, in sections: strings with ``{slots}``, by their keys."""
    sections: Mapping[str, Any] = json.loads(files(__package__).joinpath(f"{lang}.json").read_text(encoding="utf-8"))
    return sections


def words_of_markup(lang: str) -> Mapping[str, str]:
    """Return the words of the page's markup, which has places for the ``title`` of sections by their names."""
    titles = {section: words["title"] for section, words in words_in(lang).items() if "title" in words}
    return {**titles, **words_in(lang)["skeleton"]}


def phrases(lang: str, *, lessons: bool) -> Object:
    """Return the words that views write in a language, by section and key; on a model's page, without `lessons`."""
    left_out = APART if lessons else APART | OF_LESSONS
    return {section: words for section, words in words_in(lang).items() if section not in left_out}
