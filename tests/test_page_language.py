"""The page's words are in one file a language: the same keys and slots in each, every one used, and none missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from program import refusal_of

import gatewise as gw
from gatewise.languages import language
from gatewise.playground import lesson

ASSETS = Path(str(files("gatewise.playground"))) / "assets"
SLOT = re.compile(r"\{\w*(?::\w+)?\}|`[^`]*`")
OTHERS = [lang for lang in language.LANGUAGES if lang != "en"]
BY_VALUE = {  # keys of which a part is computed
    "lesson": ("right", "close", "coarse", "follows", "wrong", "unread", "ambiguous"),
    "percent": ("less", "more"),
    "demo": ("plain", "lstm"),
    "tour": tuple(f"{to}{key}" for to in ("", "to ") for key in ("strip", "unit", "step", "backward")),
    "own": ("needs table", "needs model", "columns", "no table", "unsupported"),
    "merge": ("sum", "mul", "average"),
    "cells": ("forward", "backward", "layer"),
    "loss": ("of", "unit", "step"),
    "quantities": ("gates", "states", "pre-activations", "input", "output", "gradients"),
    "strip": ("forward", "backward", "time", "step", "time and token", "step and token"),
    "weights": ("bias", "peephole"),
}

OF_PROGRAM = {  # literals of several words that are none of the page's words
    *("by row", "by column", "one direction"),  # names in formulas
    *("weights hidden", "weights shown", "all weights"),  # what a reader opened or closed
    *("less than", "more than"),  # of numbers, where a document has no words
    *("(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"),
    *("gatewise page", "gatewise page model.onnx --x rain.csv -o rain.html"),
    # said where the data cannot be read, and so the words in it
    *("The data of this page is not gatewise's.", "The data of this page is of another version than its program."),
}


def leaves(words: Any, *keys: str) -> Iterator[tuple[str, str]]:
    """Yield all texts of a tree of words, by their keys."""
    if isinstance(words, str):
        yield "/".join(keys), words
        return
    for key, part in words.items() if isinstance(words, dict) else enumerate(words):
        yield from leaves(part, *keys, str(key))


@cache
def texts(lang: str) -> dict[str, str]:
    sections = {
        key: part for key, part in language.words_in(lang).items() if key not in language.OF_PYTHON | language.OF_SHEETS
    }
    return dict(leaves(sections))


@cache
def code() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ASSETS.rglob("*.js")))


@cache
def known_keys() -> frozenset[str]:
    """Return the keys of phrases, with those of their sections and without."""
    sections = language.phrases("en", lessons=True).items()
    return frozenset(name for section, words in sections for key in words for name in (key, f"{section}.{key}"))


@pytest.mark.parametrize("lang", OTHERS)
def test_every_language_has_the_same_words_with_the_same_slots(lang: str) -> None:
    assert list(texts(lang)) == list(texts("en"))
    for key, text in texts("en").items():
        assert sorted(SLOT.findall(texts(lang)[key])) == sorted(SLOT.findall(text)), key
        assert bool(texts(lang)[key]) == bool(text), key


@pytest.mark.parametrize("lang", OTHERS)
def test_no_words_are_left_in_english(lang: str) -> None:
    same = {key for key, text in texts("en").items() if text == texts(lang)[key]}
    assert not {key for key in same if re.search(r"[a-z]{4,}", SLOT.sub("", texts("en")[key]))}


def test_every_phrase_that_a_module_asks_for_is_there_and_every_one_is_asked_for() -> None:
    known = {f"{section}.{key}" for section, words in language.phrases("en", lessons=True).items() for key in words}
    literals = set(re.findall(r"\"((?:\w+\.)?[\w ]+)\"", code()))
    asked = set(re.findall(r"(?:pagePhrase\([\w.]+|phrase\(phrases),\s*\"([\w. ]+)\"", code()))
    assert {key if "." in key else f"lesson.{key}" for key in asked} <= known
    unused = {key for key in known if key not in literals and key.removeprefix("lesson.") not in literals}
    in_markup = {
        f"{name}.title" for name in re.findall(r"\$(\w+)", (ASSETS / "skeleton.html").read_text(encoding="utf-8"))
    }
    assert unused - in_markup <= {f"{section}.{key}" for section, keys in BY_VALUE.items() for key in keys} <= known


def test_the_markup_has_its_words() -> None:
    names = set(re.findall(r"\$(\w+)", (ASSETS / "skeleton.html").read_text(encoding="utf-8")))
    assert names - {"policy", "title", "style", "data", "script", "lang"} <= set(language.words_of_markup("en"))
    assert set(language.words_in("en")["skeleton"]) <= names


def test_modules_hold_no_words_of_their_own() -> None:
    """Literals of two words are classes, keys, errors of the program, or code."""
    found = []
    for path in sorted(ASSETS.rglob("*.js")):
        source = re.sub(r"/\*.*?\*/|(?<=[ \n])//[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for line in source.splitlines():
            if re.search(r"\bError\(|class: |className|data-key|^import |pagePhrase\(\w+, `", line):
                continue
            for literal in re.findall(r"\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`", line):
                text = re.sub(r"\$\{[^}]*\}", "", "".join(literal))
                is_code = text.startswith(("scene step layer", "input:not(", "button, a,", "into "))  # names; selectors
                if (
                    not is_code
                    and re.search(r"[A-Za-z]{2,}[,.:;]? [a-z]{2,}", text)
                    and text not in known_keys() | OF_PROGRAM
                ):
                    found.append(f"{path.name}: {text}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("lang", language.LANGUAGES)
def test_a_page_says_its_language(lang: str) -> None:
    page = gw.page(lang=lang)
    assert f'<html lang="{lang}">' in page.html
    assert [chapter["title"] for chapter in lesson.chapters(lang)] == [
        text for key, text in texts(lang).items() if re.fullmatch("chapters/[^/]+/title", key)
    ]


@pytest.mark.parametrize("lang", ["fr", "", None, "EN"])
def test_an_unknown_language_is_refused_in_one_sentence(lang: Any) -> None:
    with pytest.raises(gw.OptionError) as refusal:
        gw.page(lang=lang)
    assert str(refusal.value) == f"lang must be one of en, de, not {lang!r}"


def test_an_unknown_language_is_refused_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "must be one of en, de" in refusal_of(capsys, "page", "--lang", "fr")


def test_the_files_of_words_are_sections_of_strings() -> None:
    for path in sorted(Path(str(files("gatewise.languages"))).glob("*.json")):
        assert path.stem in language.LANGUAGES
        assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
