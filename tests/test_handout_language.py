"""The sheets to hand out in every language: their words are those of its file, and their numbers are the same."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise.grading.exercise import Plan
from gatewise.languages import language

pytestmark = pytest.mark.usefixtures("here")
OTHERS = [lang for lang in language.LANGUAGES if lang != "en"]
WORD = re.compile(r"[A-Za-zÄÖÜäöüß]{2,}")
KINDS = [
    (),
    ("--backward", "--steps", "2", "--batch-size", "2", "--given", "partly"),
    ("--layer-norm", "haste", "--epsilon", "1e-5", "--backward", "--given", "all"),
    ("--projection-size", "1", "--steps", "3"),
]


def sheets(lang: str, *options: str) -> tuple[str, str, dict]:
    """Return the page, the empty table and the notebook of a student's sheet in a language."""
    Path("roster.csv").write_text("student\nXaver\n", encoding="utf-8")
    made = ("exercise", "--students", "roster.csv", "-o", lang, "--seed", "1", "--lang", lang)
    assert exit_code([*made, *options]) == 0
    page, table, notebook = (
        Path(lang, "sheets", f"Xaver.{ending}").read_text(encoding="utf-8") for ending in ("html", "csv", "ipynb")
    )
    return page, table, json.loads(notebook)


def words_of_page(page: str) -> set[str]:
    """Return the words that a page shows or reads aloud, without its formulas and their names."""
    page = re.sub(r"<style>.*?</style>|<math.*?</math>|<meta[^>]*>", " ", page, flags=re.DOTALL)
    page = re.sub(r'<span class="unseen">[^<]*</span>', " ", page)  # equations
    labels = " ".join(re.findall(r'aria-label="([^"]*)"', page))
    return set(WORD.findall(re.sub(r"\w+_\w+|\w+\[\d\]", " ", html.unescape(re.sub(r"<[^>]*>", " ", page) + labels))))


def words_of_notebook(notebook: dict) -> set[str]:
    """Return the words of a notebook's Markdown, and of the comments in its code."""
    texts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        is_code = cell["cell_type"] == "code"
        texts += re.findall(r"# (.*)", source) if is_code else [re.sub(r"`[^`]*`", " ", source)]
    return set(WORD.findall(re.sub(r"\w+_\w+|\w+\[\d\]", " ", " ".join(texts))))


def vocabulary(lang: str) -> set[str]:
    words = language.words_in(lang)["handout"]
    texts = [*(text for text in words.values() if isinstance(text, str)), *words["kinds"].values()]
    return set(WORD.findall(re.sub(r"\{\w+\}|\w+_\w+", " ", " ".join(texts))))


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("lang", OTHERS)
def test_a_sheet_in_another_language_has_no_word_of_english(lang, options):
    page, table, notebook = sheets(lang, *options)
    assert f'<html lang="{lang}">' in page
    named = {"Xaver", "dx", "df", "dc", "dh", "do", "di", "dg", "dz", "tanh"}
    for words in (words_of_page(page), words_of_notebook(notebook)):
        assert len(words) > 40
        assert words <= vocabulary(lang) | named
    english, of_english, in_english = sheets("en", *options)
    only_english = vocabulary("en") - vocabulary(lang)
    assert len(only_english) > 40
    assert not (words_of_page(page) | words_of_notebook(notebook)) & only_english
    assert words_of_page(english) <= vocabulary("en") | named
    assert (table, re.findall(r">(−?\d[\d.]*)<", page)) == (of_english, re.findall(r">(−?\d[\d.]*)<", english))
    assert [cell["id"] for cell in notebook["cells"]] == [cell["id"] for cell in in_english["cells"]]


@pytest.mark.parametrize("lang", OTHERS)
def test_the_notebook_of_a_sheet_in_another_language_is_read_when_it_comes_back(lang, capsys):
    sheets(lang)
    key = json.loads(Path(lang, "keys", "Xaver.json").read_text(encoding="utf-8"))["answers"]
    notebook = json.loads(Path(lang, "sheets", "Xaver.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        name = cell["source"][0].removesuffix(" = None") if cell["id"].startswith("answer-") else ""
        if name:
            cell["source"] = [f"{name} = {key[name]}"]
    Path(lang, "answers", "Xaver.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    capsys.readouterr()
    assert re.search(r"^Xaver +11 +11", output_of(capsys, "check", lang), re.MULTILINE)


@pytest.mark.parametrize("lang", language.LANGUAGES)
def test_the_teacher_is_told_what_lies_where_in_the_language_of_the_sheets(lang):
    sheets(lang)
    readme = Path(lang, "README.md").read_text(encoding="utf-8")
    named = {path.name for path in Path(lang).iterdir() if path.name != "README.md"}
    named = {name if "." in name else f"{name}/" for name in named} | {"marks.csv", "class.html", "feedback/"}
    assert named < set(re.findall("`([^`]*)`", readme))
    prose = set(WORD.findall(re.sub(r"`[^`]*`", "", readme)))
    english = {"the", "and", "that"}
    assert prose & english == (english if lang == "en" else set())


def test_an_unknown_language_of_sheets_is_refused(capsys):
    with pytest.raises(gw.OptionError, match="lang must be one of en, de, not 'fr'"):
        Plan(lang="fr")
    Path("roster.csv").write_text("student\nXaver\n", encoding="utf-8")
    refusal = refusal_of(capsys, "exercise", "--students", "roster.csv", "-o", "hw", "--lang", "fr")
    assert "--lang must be one of en, de, not 'fr'" in refusal
