"""The languages of pages and sheets: their words, and translations of what Python says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from gatewise.errors import OptionError

LANGUAGES = ("en", "de")
OF_PYTHON = frozenset({"sentences", "patterns", "names", "endings"})  # sections of what Python says: see `translation`
OF_SHEETS = frozenset({"class", "feedback", "phrases", "places"})  # and of what it says of a marked sheet
SERVER_SECTIONS = OF_PYTHON | OF_SHEETS | {"skeleton", "chapters", "titles", "handout"}  # sections that no view reads
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
    left_out = SERVER_SECTIONS if lessons else SERVER_SECTIONS | OF_LESSONS
    return {section: words for section, words in words_in(lang).items() if section not in left_out}


SLOT = re.compile(r"\{(\w+)\}")
VERBATIM_SLOTS = frozenset({"name", "note", "symbol"})  # slots
TERMS = "phrases"
FEEDBACK, PLACES = (TERMS, "feedback", "patterns"), (TERMS, "places")  # sections
CLASS = ("class", *FEEDBACK)
PLACE_SLOTS = frozenset({"entry", "place", "unit"})  # slots
COUNT_SLOTS = frozenset({"m", "n"})  # slots
NAME_KEYS = frozenset({"names", "what", "of", "gates"})  # keys of a document's words behind which names stand


def translated(document: Object) -> Object:
    """Return a page's document with the sentences and names of Python in its language."""
    lang = document["lang"]
    if "sentences" not in words_in(lang):
        return document
    about = [sentence_in(lang, text) if text.endswith(".") else text for text in document["about"]]
    features = [re.sub(", scaled$", sentence_in(lang, ", scaled"), name) for name in document["labels"]["features"]]
    formulas = [part | {"elided": _in_language(lang, part["elided"])} for part in document["formulas"]]
    document = document | {key: _in_language(lang, document[key]) for key in ("words", "edits")}
    return document | {"about": about, "formulas": formulas, "labels": document["labels"] | {"features": features}}


def _in_language(lang: str, node: Any, key: str = "") -> Any:
    """Return data with its texts translated: those behind `NAMES` as names; source and formulas have none."""
    if isinstance(node, str):
        return name_in(lang, node.replace("_gate", " gate")) if key in NAME_KEYS else sentence_in(lang, node)
    if isinstance(node, list):
        return [_in_language(lang, part, key) for part in node]
    if not isinstance(node, dict) or key in ("source", "of", "forms", "conditions", "variables"):
        return node
    return {name: _in_language(lang, part, "names" if key == "names" else name) for name, part in node.items()}


@lru_cache(1 << 13)
def sentence_in(lang: str, text: str) -> str:
    """Return a sentence of Python, or a part of one, in a language; an unknown one as it is.

    Examples
    --------
    >>> sentence_in("de", "the bias b_f is used instead of the bias b_i in {}")
    'steht in {} der Bias b_f, wo der Bias b_i hingehört'
    """
    return _translation(lang, text, ("patterns",))


@lru_cache(1 << 13)
def feedback_in(lang: str, text: str, sections: tuple[str, ...] = FEEDBACK) -> str:
    """Return a text about a marked sheet, or a class, in a language: a sentence, or a part of one between any blanks.

    Examples
    --------
    >>> feedback_in("de", "the term f ⊙ c_prev is missing from c at every step")
    'vielleicht fehlt in c in jedem Schritt der Summand f ⊙ c_prev'
    """
    start, core, end = re.fullmatch(r"(\s*)(.*?)(\s*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if "feedback" not in words_in(lang):
        return text
    return f"{start}{_translation(lang, core, sections)}{end}"


def _translation(lang: str, text: str, sections: tuple[str, ...]) -> str:
    """Return a text translated by the patterns of some sections; an unknown one as it is."""
    if text in (sentences := words_in(lang)["sentences"]):
        return str(sentences[text])
    for pattern, translation in _patterns(lang, sections):
        if match := pattern.fullmatch(text):
            return _filled(lang, translation, match, sections)
    return text


def _filled(lang: str, translation: str, match: re.Match[str], sections: tuple[str, ...]) -> str:
    """Return a translation with what stood in the slots of the English text, translated as well."""

    def part(slot: re.Match[str]) -> str:
        text = match[slot[1]]
        if slot[1] in VERBATIM_SLOTS:
            return text
        if slot[1] in COUNT_SLOTS:
            return text.replace(",", words_in(lang)["training"]["thousands"])
        if slot[1] == "noun":
            return name_in(lang, text, 1)
        if slot[1] in PLACE_SLOTS:
            return _translation(lang, text, PLACES) if "feedback" in sections else text
        said = _translation(lang, text, sections)
        return said.removeprefix(words_in(lang)["feedback"]["perhaps"]) if slot[1] == "cause" else said

    return SLOT.sub(part, translation)


@lru_cache(8)
def _patterns(lang: str, sections: tuple[str, ...]) -> Sequence[tuple[re.Pattern[str], str]]:
    patterns, words = [], words_in(lang)
    groups = [words[section] for section in sections if section != TERMS]
    if TERMS in sections:
        groups = [*words[TERMS].values(), *groups]
    for english, translation in (pair for group in groups for pair in group.items()):
        perhaps = words["feedback"]["perhaps"] if "{}" in english and "feedback" in sections else ""
        escaped = re.escape(english.replace("{}", "{place}")).replace(r"\{symbol\}", r"(?P<symbol>\w{1,3}(?:_\S+)?)")
        escaped = re.sub(r"\\\{([mn])\\\}", r"(?P<\1>\\d[\\d,]*)", escaped)
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", escaped), re.DOTALL)
        patterns.append((pattern, perhaps + translation.replace("{}", "{place}")))
    return patterns


@lru_cache(1 << 10)
def name_in(lang: str, name: str, case: int = 0) -> str:
    """Return the name of a quantity in a language: in the nominative (0), or with its article (1).

    Examples
    --------
    >>> name_in("de", "gradient of the weights of the forget gate")
    'Gradient der Gewichte des Forget-Gates'
    """
    first, *others = name.split(" of the ")
    return " ".join([_part_of_name(lang, first, case), *(_part_of_name(lang, part, -1) for part in others)])


def _part_of_name(lang: str, part: str, case: int) -> str:
    """Return a part of a name in the nominative (0), with its article (1) or in the genitive (-1)."""
    words = words_in(lang)
    for ending, translation in words["endings"].items():
        noun, found, rest = part.partition(ending)
        if found:
            return _part_of_name(lang, noun, case) + str(translation) + rest
    return str(words["names"].get(part, f"{part} | {part}")).split(" | ")[case]
