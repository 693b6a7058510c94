"""Translations of the sentences and names that Python writes into a page or a marked sheet, from the files of words.

============= ========================================================================================================
``sentences`` texts, also with slots that the page fills
``patterns``  texts with slots that are filled here: ``{noun}`` is a name, ``{symbol}`` a symbol, as dc and W_f, and
              ``{}`` the place of a mistake; ``{cause}`` is a mistake without the word that else precedes it
``feedback``  such texts about a marked sheet, and the word that precedes a mistake, behind ``perhaps``
``phrases``   texts about a marked sheet without slots, by topic
``class``     such texts about a class
``places``    the lines, steps, units and counts in a text about a marked sheet; kinds of mistakes
``names``     parts of the names of quantities: in the nominative, with its article, in the genitive
``endings``   what may stand behind such a part
============= ========================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from gatewise.languages.language import words_in

SLOT = re.compile(r"\{(\w+)\}")
AS_IT_IS = frozenset({"name", "note", "symbol"})  # slots
TERMS = "phrases"
FEEDBACK, PLACES = (TERMS, "feedback", "patterns"), (TERMS, "places")  # sections
CLASS = ("class", *FEEDBACK)
OF_PLACES = frozenset({"entry", "place", "unit"})  # slots
COUNTS = frozenset({"m", "n"})  # slots
NAMES = frozenset({"names", "what", "of", "gates"})  # keys of a document's words behind which names stand
Object = dict[str, Any]


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
        return name_in(lang, node.replace("_gate", " gate")) if key in NAMES else sentence_in(lang, node)
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
        if slot[1] in AS_IT_IS:
            return text
        if slot[1] in COUNTS:
            return text.replace(",", words_in(lang)["training"]["thousands"])
        if slot[1] == "noun":
            return name_in(lang, text, 1)
        if slot[1] in OF_PLACES:
            return _translation(lang, text, PLACES) if "feedback" in sections else text
        said = _translation(lang, text, sections)
        return said.removeprefix(words_in(lang)["feedback"]["perhaps"]) if slot[1] == "cause" else said

    return SLOT.sub(part, translation)


@lru_cache(8)
def _patterns(lang: str, sections: tuple[str, ...]) -> Sequence[tuple[re.Pattern[str], str]]:
    """Return the patterns of English texts in some sections, and their translations with the same slots."""
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
