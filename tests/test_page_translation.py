"""All that Python can say on a page has its words in every language: names, sentences, mistakes, and the run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.activations import KINDS
from gatewise.grading.edits.edit import EditContext
from gatewise.languages import language
from gatewise.languages.language import name_in, sentence_in
from gatewise.layers.wired import wiring_of
from gatewise.playground import quantities, words
from gatewise.playground.document import run_document
from gatewise.playground.scenes import teaching
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.symbolic.heads import Dense, Head

OTHERS = [lang for lang in language.LANGUAGES if lang != "en"]
SLOT = re.compile(r"\{\w*(?::\w+)?\}")
WORD = re.compile(r"(?<![\w\[({|^.])[A-Za-zÄÖÜäöüß]{2,}(?:-[A-Za-zÄÖÜäöüß]+)*(?![\w\[(|^])")
FEW = ("plain", "peephole, coupling, clips", "leaky relu, affine", "layer norm")
RUNS = [(projection, dropout) for projection in ("unprojected", "projected and clipped") for dropout in (False, True)]
SYMBOLS = {"dc", "dh", "df", "di", "dg", "do", "dz", "dx", "dm", "dk", "du", "dw", "dv", "dy", "da", "db", "dR"}
SAME = {*SYMBOLS, *KINDS, "ReLU", "NaN", "mask", "h", "raw"}


@cache
def vocabulary(lang: str) -> frozenset[str]:
    """Return the words with which a language says what Python says."""
    texts = (text for section in language.OF_PYTHON for text in language.words_in(lang)[section].values())
    return frozenset(word for text in texts for word in WORD.findall(SLOT.sub("", text)))


def foreign(lang: str, text: str) -> set[str]:
    """Return the words of a translated text that the language does not have."""
    return set(WORD.findall(SLOT.sub("", text))) - vocabulary(lang) - SAME


def wiring(name: str, projection: str, dropout: bool) -> Any:
    run = cases.run_of(name, projection=projection, dropout=dropout, batch=1, time=2)
    return wiring_of(run.lstm, [[run.trace().dropout]], "zeros")


def sentences(said: dict[str, Any]) -> Iterator[str]:
    """Yield the sentences on the units of a program."""
    for saying in (*said["sayings"].values(), said["moment"]):
        yield from (
            [saying["words"]] if "words" in saying else (case["words"] for part in saying["parts"] for case in part)
        )
    yield from (text for key, text in said["each"].items() if key != "most")
    yield from (text for key, text in said["weights"].items() if key != "of")


@pytest.mark.subjects(1)
@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.peers) for name in cases.VARIANTS]
)
def test_every_name_sentence_and_mistake_of_a_cell_is_in_every_language(lang: str, name: str) -> None:
    for projection, dropout in RUNS:
        made = wiring(name, projection, dropout)
        (said,) = words.words(made)
        compared = {saying.get("what", "") for saying in (*said["sayings"].values(), said["moment"])}
        for text in {*said["names"].values(), *compared}:
            assert not foreign(lang, name_in(lang, text)), text
        for text in sentences(said):
            translation = sentence_in(lang, text)
            assert not foreign(lang, translation), text
            assert sorted(SLOT.findall(translation)) == sorted(SLOT.findall(text))
        if (projection, dropout) != RUNS[0] and name in FEW[1:]:
            continue
        ((program, p),) = made.programs.items()
        likely = quantities.edits_document(EditContext(program, p.recurrent_size, p.recurrent_size + p.input_size))
        for text in {edit["words"] for edit in likely["edits"]}:
            translation = sentence_in(lang, text)
            assert not foreign(lang, translation), text
            assert translation.count("{}") == text.count("{}")


@pytest.mark.parametrize("lang", OTHERS)
def test_every_name_of_a_head_is_in_every_language(lang: str) -> None:
    rng = np.random.default_rng(0)
    layers = tuple(Dense(rng.normal(size=(2, 2)), rng.normal(size=2), "tanh") for _ in "ab")
    head = Head(layers, skip=2, scale=np.ones(2), center=np.zeros(2), least=np.zeros(2))
    for name in words._names_of_head(head).values():
        assert not foreign(lang, re.sub(r"\d", "", name_in(lang, name))), name


@pytest.mark.parametrize("lang", OTHERS)
def test_all_that_is_said_of_a_run_is_in_every_language(lang: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 2, 2))
    for labels in (None, gw.Labels(sequences=["dry", "wet"])):
        for dtype in (np.float32, np.float64):
            for lstm in (gw.LSTM(2, 1, dtype=dtype, rng=0), gw.LSTM(2, 3, num_layers=2, dtype=dtype, rng=0)):
                run = sequence_run_of(lstm.trace(x.astype(dtype), labels=labels), None, 1, {})
                document = run_document(run, None, ["Note: it is read."], lang)
                for text in document["about"]:
                    text = text.replace("it is read", "").replace("(wet)", "").replace("float", "")
                    assert not foreign(lang, text), text


@pytest.mark.parametrize("lang", OTHERS)
def test_a_page_in_another_language_says_the_same_in_other_words(lang: str) -> None:
    english, other = teaching("en"), teaching(lang)
    assert other["title"] != english["title"]
    for key in ("words", "formulas", "edits"):
        assert (other.get(key) or other["scenes"][key]) != (english.get(key) or english["scenes"][key])
    texts, translations = (
        {text for scene in document["scenes"].get("about", [document.get("about", ())]) for text in scene}
        for document in (english, other)
    )
    assert not texts & translations
    assert len(texts) == len(translations)
    for text in translations:
        assert not foreign(lang, text.replace("float", "")), text


def test_what_somebody_named_is_not_translated() -> None:
    labels = gw.Labels(features=["input", "forget gate"], units=["candidate"], sequences=["output"])
    run = sequence_run_of(gw.LSTM(2, 1, rng=0).trace(np.zeros((3, 1, 2)), labels=labels), None, 0, {})
    document = run_document(run, "candidate", ["the bias"], "de")
    assert document["labels"]["features"] == ["input", "forget gate"]
    assert document["labels"]["units"] == [["candidate"]]
    assert (document["title"], document["about"][0]) == ("candidate", "the bias")


@pytest.mark.parametrize(
    ("mistake", "german"),
    [
        ("the term f ⊙ c_prev is missing from {}", "fehlt in {} der Summand f ⊙ c_prev"),
        ("the tanh of the cell state is missing from {}", "fehlt in {} der tanh des Zellzustands"),
        ("the clip is missing from {}", "fehlt in {} die Begrenzung"),
        ("the bias has the wrong sign in {}", "hat in {} der Bias das falsche Vorzeichen"),
        (
            "the weights W_f are used instead of the weights W_i in {}",
            "stehen in {} die Gewichte W_f, wo die Gewichte W_i hingehören",
        ),
        (
            "the old cell state c_prev is used instead of the input gate i in {}",
            "steht in {} der alte Zellzustand c_prev, wo das Input-Gate i hingehört",
        ),
    ],
)
def test_a_mistake_is_a_german_clause_with_its_articles(mistake: str, german: str) -> None:
    assert sentence_in("de", mistake) == german


@pytest.mark.parametrize("lang", OTHERS)
def test_a_comma_that_marks_thousands_is_not_read_as_a_decimal_mark(lang: str) -> None:
    text = sentence_in(lang, "The model has 1 layer, 1 unit, 12,345,678 parameters; the run has 1,000 steps.")
    assert not re.search(r"\d,\d", text)
    assert re.sub(r"\D", "", text) == "11123456781000"


@pytest.mark.parametrize("lang", OTHERS)
def test_the_columns_of_the_table_of_gates_are_in_every_language(lang: str) -> None:
    run = sequence_run_of(gw.LSTM(1, 2, rng=0), np.zeros((2, 1)), 0, {})
    names = [
        [name.replace("_", " ") for _, name in run_document(run, None, (), code)["words"][0]["gates"]]
        for code in ("en", lang)
    ]
    assert names[1] == [name_in(lang, name) for name in names[0]]
    assert not {*names[0]} & {*names[1]}
