"""Marked sheets in every language: whatever can be said of one is said in its words, with the same numbers."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import class_of_thirty
import numpy as np
import pytest
import schemas
from markings import MARKINGS
from program import exit_code, output_of, refusal_of
from slips import judging
from test_page_translation import SAME, SLOT, WORD, wiring

import gatewise as gw
from gatewise.grading import classroom, hand_ins, sheet
from gatewise.grading.edits.edit import EditContext
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.grading.marking import Marking
from gatewise.grading.report import EquationText, describe_fault, rows, sentences
from gatewise.languages import language
from gatewise.languages.language import CLASS, PLACES, feedback_in

pytestmark = pytest.mark.usefixtures("here")
ROOT = Path(__file__).parent.parent
OTHERS = [lang for lang in language.LANGUAGES if lang != "en"]


@cache
def vocabulary(lang: str) -> frozenset[str]:
    """Return the words with which a language speaks of a marked sheet."""
    words = language.words_in(lang)
    groups = [words[section] for section in (*language.OF_PYTHON, "feedback", "places", "class")]
    texts = (text for group in (*groups, *words["phrases"].values()) for text in group.values())
    return frozenset(word for text in texts for word in WORD.findall(SLOT.sub("", text)))


def foreign_words(lang: str, text: str) -> set[str]:
    """Return the words of a text that the language does not have, but for what somebody wrote."""
    return set(WORD.findall(re.sub(r"'[^']*'", "", text))) - vocabulary(lang) - SAME


def texts_of(marking: Marking, lang: str) -> Iterator[str]:
    """Yield every text about a marked sheet in a language, but for equations."""
    for sentence in sentences(marking, lang):
        yield from (part for part in sentence if not isinstance(part, EquationText))
    for row in rows(marking, lang):
        yield from (row.entry, *row.notes, feedback_in(lang, row.status))
    yield from (describe_fault(fault, lang) for fault in marking.faults)


def slips_of(kind: str, seed: int) -> Iterator[Marking]:
    """Yield the markings of the sheets of one cell with a slip of a kind."""
    for planted in judging.planted(kind, seed, 0, 3):
        wrong = judging.work(planted.cell, planted.slip, 4, planted.on_the_way)
        for names in planted.sheets().values():
            yield gw.check(judging.written(wrong, names, 4), planted.chain, digits=4)
        return


KINDS = judging.kinds()


@pytest.mark.thorough
@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize(
    ("kinds", "seed"),
    [
        (KINDS[::60], 1),
        *(pytest.param(KINDS[n::6], 2 + n % 2, marks=pytest.mark.peers) for n in range(6)),
    ],
)
def test_every_sentence_about_a_sheet_with_a_slip_is_in_every_language(lang, kinds, seed):
    for marking in (marking for kind in kinds for marking in slips_of(kind, seed)):
        english, other = ([*texts_of(marking, code)] for code in ("en", lang))
        for text, translation in zip(english, other, strict=True):
            assert not foreign_words(lang, translation), text
            assert sorted(re.findall(r"\d+\.\d+", translation)) == sorted(re.findall(r"\d+\.\d+", text))


@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize(
    "variant",
    [
        "plain",
        *(pytest.param(name, marks=pytest.mark.peers) for name in ("peephole, coupling, clips", "layer norm of Haste")),
    ],
)
@pytest.mark.parametrize("projection", ["unprojected", "projected and clipped"])
def test_every_mistake_that_is_searched_for_is_in_every_language(lang, variant, projection):
    ((program, p),) = wiring(variant, projection, False).programs.items()
    edits = enumerate_edits(EditContext(program, p.recurrent_size, p.recurrent_size + p.input_size))
    for text in {edit.words.format("c[1]") for group in edits.values() for edit in group}:
        translation = feedback_in(lang, text)
        assert not foreign_words(lang, translation), text
        assert translation.startswith(language.words_in(lang)["feedback"]["perhaps"])
        assert "c[1]" in translation or "c[1]" not in text


@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize("name", MARKINGS)
def test_every_outcome_is_in_every_language_and_every_format(lang, name):
    marking = MARKINGS[name]
    for text in texts_of(marking, lang):
        assert not foreign_words(lang, re.sub("c uses .*? instead of c_prev| is not a line of numbers", "", text))
    for format in ("text", "markdown", "html"):
        assert marking.render(format, lang) != marking.render(format)
    assert f'<html lang="{lang}">' in marking.render("html", lang)


LINES = {
    "f,0.4q,0.5": "'0.4q' ist keine Zahl",
    "q,0.5,0.5": "die Größe 'q' gibt es nicht; erlaubt: ",
    "W_f,0.5,0.5": "'W_f' ist gegeben, nicht gesucht",
    "f,0.5,0.5,0.5": "'f' hat die Form (3,); verlangt ist (2,)",
    "f,0.5,0.5\nforget_gate,0.5,0.5": "'forget_gate' und 'f' sind dieselbe Größe",
    "f,0.5,0.5\n\ni,0.6,0.6": "'i' steht noch einmal da, mit anderen Zahlen",
    "f = [0.5, 0.5": "eine Klammer ist nicht geschlossen",
    "f = [[0.5, 0.5], [0.5]]": "die Zeilen sind nicht gleich lang",
    "f,1e999,0.5": "'1e999' ist zu groß",
    "f = 1,234": "'1,234' kann 1.234 sein, oder zwei Zahlen",
    "candidat,0.5,0.5": "meintest du ",
}


@pytest.mark.parametrize(("line", "german"), LINES.items())
def test_a_line_that_cannot_be_read_is_explained_in_german(line, german, capsys):
    Path("mine.csv").write_text(f"i,0.5,0.5\n{line}\n", encoding="utf-8")
    assert exit_code(["check", "mine.csv", "--lang", "de"]) == 1
    assert german in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("lang", OTHERS)
def test_every_kind_of_file_that_is_no_sheet_is_named_in_every_language(lang):
    for _, _, endings in sheet.FOREIGN_FILES:
        reason = sheet.refusal_of(endings.split()[0])
        text = feedback_in(lang, f"Your sheet could not be marked: cannot read Ada{endings.split()[0]}: {reason}.")
        assert not foreign_words(lang, text.replace("Ada", "")) - {"pdf"}, text


DAMAGED = {
    "Ada.xlsx": (b"PK\x03\x04 no archive", "sie ist beschädigt ("),
    "Ada.npz": (b"PK\x03\x04 no archive", "sie ist beschädigt ("),
    "Ada.json": (b'{"f":\n[0.5,,]}', "Zeile 2 ist kein JSON ("),
    "Ada.ipynb": (
        b'{"f": "\xff"}',
        "sie ist kein Text in UTF-8 oder UTF-16 (Byte 0xff in Zeile 1; speichere sie als UTF-8).",
    ),
    "Ada.csv": (b"f,0.5000,0.2500,0.1250\x00", "sie ist kein Text, denn sie enthält NUL-Zeichen"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_explained_in_german(name):
    content, german = DAMAGED[name]
    Path(name).write_bytes(content)
    with pytest.raises(gw.FileError) as refusal:
        sheet.read(name)
    text = feedback_in("de", f"Your sheet could not be marked: {refusal.value}.")
    assert text.startswith(f"Dein Blatt konnte nicht bewertet werden: {name} ist nicht lesbar: {german}")


SENTENCES = {
    "Everything up to c[1] is right.": "Bis c[1] stimmt alles.",
    " The first wrong line is ": " Die erste falsche Zeile ist ",
    ". At unit 1, you wrote 0.5; it should be 0.4. Also wrong: unit 0.": (
        ". Bei Einheit 1 hast du 0.5 geschrieben; richtig ist 0.4. Auch falsch: Einheit 0."
    ),
    "Likely cause: the bias is missing from a_f, or the sign of f at step 1 is wrong. Either mistake gives exactly"
    " these numbers. So do 2 other mistakes.": (
        "Wahrscheinlich fehlt in a_f der Bias, oder vielleicht ist das Vorzeichen von f in Schritt 1 falsch. Jeder der"
        " beiden Fehler ergibt genau diese Zahlen. Ebenso 2 weitere Fehler."
    ),
    "Still blank: unit 1 in c and h.": "Noch leer: Einheit 1 in c und h.",
    "i and o repeat the slip made in f.": "i und o wiederholen den Fehler aus f.",
    "There aren't enough digits to tell what went wrong. Give 5 decimals.": (
        "Die Ziffern reichen nicht aus, um den Fehler zu erkennen. Nötig sind 5 Nachkommastellen."
    ),
    "12 lines: 9 right, 2 right from a wrong line, 1 missing.": (
        "12 Zeilen: 9 richtig, 2 richtig weitergerechnet, 1 nicht ausgefüllt."
    ),
    "the factor f is missing from df_k at every step but the first, where k is the gate of each": (
        "vielleicht fehlt in df_k in jedem Schritt außer dem ersten, wobei k das jeweilige Gate ist der Faktor f"
    ),
}


@pytest.mark.parametrize(("english", "german"), SENTENCES.items())
def test_a_sentence_about_a_sheet_is_german_as_a_teacher_writes_it(english, german):
    assert feedback_in("de", english) == german
    assert feedback_in("en", english) == english


def words_of_page(page: str) -> str:
    """Return what a feedback page says below its title, without equations."""
    page = re.sub(r"<head>.*?</head>|<h1>.*?</h1>|<code>.*?</code>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


@pytest.mark.peers
def test_a_class_is_answered_in_the_language_of_its_sheets(capsys):
    class_of_thirty.make(Path())
    shutil.copytree("hw", "de")
    for path in Path("de", "keys").glob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"lang": "en"', '"lang": "de"'), encoding="utf-8")
    assert {hand_ins.read_key(path).lang for path in hand_ins.key_paths(Path("de"))} == {"de"}
    english, german = (output_of(capsys, "check", folder, code=1) for folder in ("hw", "de"))
    students = "|".join(map(re.escape, class_of_thirty.STUDENTS))
    names = (rf"(?:{students})", r"\b[\w']+(?: [\w']+)*\.(?:url|docx|pdf|jpg|csv|xlsx|ipynb|json)\b", r"'[^']*'")
    pages = {folder: Path(folder, "class.html").read_text(encoding="utf-8") for folder in ("hw", "de")}
    assert '<html lang="de">' in pages["de"]
    labels = re.findall(r'aria-label="([^"]*)"', pages["de"])
    assert len(labels) == 4
    table = "\n".join(re.sub(r"^\S.*?(?=  )", "", line) for line in german.splitlines()[:-2])
    for text in (words_of_page(pages["de"]), html.unescape(" ".join(labels)), table):
        for name in names:
            text = re.sub(name, " ", text)
        assert not foreign_words("de", text)
    for texts in ([words_of_page(page) for page in pages.values()], (english, german)):
        first, second = (sorted(re.findall(r"\d+(?:\.\d+)?", text.rpartition("wrote")[0] or text)) for text in texts)
        assert first == second
    for path in Path("de", "feedback").glob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert '<html lang="de">' in page
        assert re.search(r"<h1>.* von [\d.]+ Punkten", page)
        text = words_of_page(page)
        for name in names:
            text = re.sub(name, " ", text)
        assert not foreign_words("de", text), path
        in_english = Path("hw", "feedback", path.name).read_text(encoding="utf-8")
        assert re.findall(r"<td>(−?\d[\d.]*)", page) == re.findall(r"<td>(−?\d[\d.]*)", in_english)
    assert output_of(capsys, "check", "de", "--lang", "en", code=1) == english.replace("hw:", "de:")
    assert Path("de", "class.html").read_text(encoding="utf-8").replace(">de<", ">hw<") == pages["hw"]
    assert all(
        path.read_bytes() == Path("hw", "feedback", path.name).read_bytes()
        for path in Path("de", "feedback").glob("*.html")
    )


@pytest.mark.parametrize("lang", OTHERS)
def test_every_kind_of_mistake_has_a_name_of_its_own_that_fits_beside_a_bar(lang):
    kinds = schemas.kinds_of_mistakes()
    assert len(kinds) > 70
    names = {kind: feedback_in(lang, kind, PLACES) for kind in kinds}
    for kind, name in names.items():
        assert not foreign_words(lang, name), kind
        assert name != kind
        assert len(name) <= classroom.MAX_LABEL_LETTERS
    assert len({*names.values()}) == len(names)


CLASS_SENTENCES = {
    "1 student: 1 not handed in.": "1 Person: 1 nicht abgegeben.",
    "12 lines on 1 sheet: 12 right.": "12 Zeilen (1 Blatt): 12 richtig.",
    "1 sheet from 2.5 to 2.5 of 11 points. The median is 2.5.": (
        "1 Blatt mit 2.5 bis 2.5 von 11 Punkten. Der Median ist 2.5."
    ),
    "Sheets by points. 2 points to a bar, from": "Blätter nach Punkten. Je Balken 2 Punkte, ab",
    "A.csv (could belong to A, B or C)": "A.csv (gehört vielleicht A, B oder C)",
    "A.csv (matches Ada less well than Ada.csv)": "A.csv (passt schlechter zu Ada als Ada.csv)",
    "A.csv (Lovelace, Ada: B.csv has the same numbers)": "A.csv (Lovelace, Ada: in B.csv stehen dieselben Zahlen)",
    "A, B's, C's and D's sheets have the same numbers.": "Auf den Blättern von A, B, C und D stehen dieselben Zahlen.",
}


@pytest.mark.parametrize(("english", "german"), CLASS_SENTENCES.items())
def test_a_sentence_about_a_class_is_german_as_a_teacher_writes_it(english, german):
    assert feedback_in("de", english, CLASS) == german
    assert feedback_in("en", english, CLASS) == english


def test_a_language_is_refused_where_there_is_none(capsys):
    Path("mine.csv").write_text("i,0.5,0.5\n", encoding="utf-8")
    assert "--lang must be one of en, de, not 'fr'" in refusal_of(capsys, "check", "mine.csv", "--lang", "fr")
    asked = ("check", "mine.csv", "--lang", "de")
    assert "the JSON of a marking is in English" in refusal_of(capsys, *asked, "--format", "json")
    assert "--lang" in refusal_of(capsys, *asked, "--template")
    with pytest.raises(gw.OptionError, match="lang must be one of en, de, not 'fr'"):
        MARKINGS["one right"].render("text", "fr")


def test_a_key_with_an_unknown_language_is_refused():
    Path("class.csv").write_text("Ada\n", encoding="utf-8")
    assert exit_code(["exercise", "--students", "class.csv", "-o", "hw"]) == 0
    path = hand_ins.key_paths(Path("hw"))[0]
    key = json.loads(path.read_text(encoding="utf-8")) | {"lang": "fr"}
    path.write_text(json.dumps(key), encoding="utf-8")
    with pytest.raises(gw.FileError, match="its lang must be one of en, de"):
        hand_ins.read_key(path)


def test_the_numbers_of_a_sheet_are_the_same_in_every_language():
    step = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).step(np.ones(3), gw.State(np.zeros(2), np.zeros(2)))
    marking = gw.check({"f": step.forget_gate + 0.1, "c": step.cell_state}, step, digits=4)
    for format in ("text", "markdown", "html"):
        numbers = [re.findall(r"\d\.\d+", marking.render(format, lang)) for lang in language.LANGUAGES]
        assert all(each == numbers[0] for each in numbers)
