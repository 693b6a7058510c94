"""Translations of the sentences and names that Python writes into a page: texts and patterns in assets/words.

======================== ==========================================================================================
section of a language
======================== ==========================================================================================
``sentences``            texts, also with slots that the page fills
``patterns``             texts with slots that are filled here; what stands in them is translated too, but for names
``names``                the parts of quantities' names, in the nominative and in the genitive
``endings``              what may stand behind such a part
======================== ==========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from gatewise.playground.language import words_in

SLOT = re.compile(r"\{(\w+)\}")
KEPT = frozenset({"name", "note"})  # slots of what others named or said
SCALED = ", scaled"
Object = dict[str, Any]
Say = Callable[[str], str]


def translated(document: Object) -> Object:
    """Return a page's document with the sentences and names of Python in its language."""
    lang = document["lang"]
    if "sentences" not in words_in(lang):
        return document

    def say(text: str) -> str:
        return sentence_in(lang, text)

    return _with_words_of_programs(_with_own_words(document, say), say, lang)


def _with_own_words(page: Object, say: Say) -> Object:
    """Return a page whose sentences about the run and names of features are translated."""
    features = [
        name.removesuffix(SCALED) + say(SCALED) if name.endswith(SCALED) else name
        for name in page["labels"]["features"]
    ]
    about = [say(text) if text.endswith(".") else text for text in page["about"]]
    return page | {"about": about, "labels": page["labels"] | {"features": features}}


def _with_words_of_programs(page: Object, say: Say, lang: str) -> Object:
    """Return a page whose words about its programs, formulas and likely mistakes are translated."""
    return page | {
        "words": [_words_of_program(words, say, lang) for words in page["words"]],
        "formulas": [
            formulas | {"elided": formulas["elided"] | {"text": say(formulas["elided"]["text"])}}
            for formulas in page["formulas"]
        ],
        "edits": [
            mistakes | {"edits": [edit | {"words": say(edit["words"])} for edit in mistakes["edits"]]}
            for mistakes in page["edits"]
        ],
    }


def _words_of_program(words: Object, say: Say, lang: str) -> Object:
    """Return the words about a cell's program, or a head, translated."""
    names = {symbol: name_in(lang, name) for symbol, name in words["names"].items()}
    sayings = {key: _saying(saying, say) for key, saying in words["sayings"].items()}
    words = words | {"names": names, "sayings": sayings}
    if "moment" not in words:
        return words
    of = [[matrix, name_in(lang, gate, genitive=True)] for matrix, gate in words["weights"]["of"]]
    weights = {key: of if key == "of" else say(text) for key, text in words["weights"].items()}
    each = {key: text if key == "most" else say(text) for key, text in words["each"].items()}
    return words | {"moment": _saying(words["moment"], say), "weights": weights, "each": each}


def _saying(saying: Object, say: Say) -> Object:
    """Return a sentence on each unit, or on all alike, translated."""
    if "words" in saying:
        return {"words": say(saying["words"])}
    parts = [[case | {"words": say(case["words"])} for case in cases] for cases in saying["parts"]]
    return saying | {"parts": parts, "what": say(saying["what"])}


@lru_cache(1 << 13)
def sentence_in(lang: str, text: str) -> str:
    """Return a sentence of Python, or a part of one, in a language; an unknown one as it is.

    Examples
    --------
    >>> sentence_in("de", "the factor f is missing from {}")
    'in {} fehlt der Faktor f'
    """
    if text in (sentences := words_in(lang)["sentences"]):
        return str(sentences[text])
    for pattern, translation in _patterns(lang):
        if match := pattern.fullmatch(text):
            return _filled(lang, translation, match)
    return text


def _filled(lang: str, translation: str, match: re.Match[str]) -> str:
    """Return a translation with what stood in the slots of the English text, translated but for names."""
    return SLOT.sub(lambda slot: match[slot[1]] if slot[1] in KEPT else sentence_in(lang, match[slot[1]]), translation)


@lru_cache(4)
def _patterns(lang: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """Return the patterns of English texts, and their translations with the same slots."""
    return [
        (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(english)), re.DOTALL), translation)
        for english, translation in words_in(lang)["patterns"].items()
    ]


@lru_cache(1 << 10)
def name_in(lang: str, name: str, *, genitive: bool = False) -> str:
    """Return the name of a quantity in a language.

    Examples
    --------
    >>> name_in("de", "gradient of the weights of the forget gate")
    'Gradient der Gewichte des Forget-Gates'
    """
    first, *others = name.split(" of the ")
    return " ".join([_part_of_name(lang, first, genitive), *(_part_of_name(lang, part, True) for part in others)])


def _part_of_name(lang: str, part: str, genitive: bool) -> str:
    words = words_in(lang)
    for ending, translation in words["endings"].items():
        noun, found, rest = part.partition(ending)
        if found:
            return _part_of_name(lang, noun, genitive) + str(translation) + rest
    nominative, _, of = str(words["names"].get(part, part)).partition(" | ")
    return of if genitive and of else nominative
