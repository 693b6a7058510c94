"""A cell reads what is typed: on the page as in Python, letter by letter, whatever is typed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from peers import node
from peers.reader import Reader
from peers.test_page_chapters import predict
from peers.test_page_models import saved

from gatewise.playground import scenes as reading
from tests.test_reader import FORGETTING, MARKS, SENTENCES, UNIT, network, shut

pytestmark = pytest.mark.peers
SCENE = "#v1&scene=reader&show=c"
TEXT = 'He said "please help me" and left.'
SPEECH = quote('I said "I will')
ODD = {
    "emoji": "She said 🦊👩‍👧 “yes” 𝒳",
    "lines": 'one\ntwo "three\r\nfour"\tfive',
    "right to left": 'abc \u202e"אבג" \u2067xyz\u2069',
    "html": "</textarea><img src=x onerror=alert(1)> \"<b>bold</b>\" &lt; ${1} {0}",
    "accents": "Zoë's naïve café: «ÀÉ» ﬁ İ ß",
}  # fmt: skip
FIELD = "document.getElementById('reader-text')"
COLOURS = "[...document.querySelectorAll('.letters span')].map(one => one.style.backgroundColor)"


def states(text: str, unit: int = UNIT) -> np.ndarray:
    return np.asarray(network().trace(np.array(reading.tokens(text))).lstm[0].cell_state)[:, unit]


def paste(reader: Reader, text: str) -> None:
    """Paste a text over all that the field holds."""
    reader.click("#reader-text")
    reader.ask(f"{FIELD}.select()")
    reader.tab.call("Input.insertText", text=text)
    reader.tab.wait_until(f"document.querySelector('.letters').textContent === {FIELD}.value")


def colours(reader: Reader) -> list[tuple[int, ...]]:
    return [tuple(map(int, re.findall(r"\d+", colour))) for colour in reader.ask(COLOURS)]


def test_the_page_reads_texts_as_python_does(tmp_path: Path):
    texts = [*SENTENCES, *ODD.values(), "x" * 5000, "a"]
    found = node.answer("reader.mjs", tmp_path, {"doc": reading.reader_scene("en"), "texts": texts})
    for text, answer in zip(texts, found, strict=True):
        assert answer["text"] == text[:200]
        assert answer["tokens"] == reading.tokens(text[:200])
        expected = np.asarray(network().trace(np.array(answer["tokens"])).lstm[0].cell_state).T
        assert np.abs(np.array(answer["states"]) - expected).max() <= 1e-12 * np.abs(expected).max()


def test_a_sentence_is_read_letter_by_letter_and_coloured_at_its_marks(reader: Reader, pages, tmp_path: Path):
    reader.open(pages("teaching") + f"{SCENE}&unit={UNIT}")
    reader.click("#reader-text")
    reader.ask(f"{FIELD}.select()")
    for count, letter in enumerate(TEXT, 1):
        reader.keys(letter)
        reader.tab.wait_until(f"document.querySelectorAll('.letters span').length === {count}")
        assert reader.ask("document.activeElement.id") == "reader-text"
        assert reader.ask("document.querySelector('.letters .now').textContent") == letter
    assert reader.ask(f"{FIELD}.value") == TEXT
    expected = states(TEXT)
    for (red, _, blue), state in zip(colours(reader), expected, strict=True):
        assert abs(state) < 0.2 or (red > blue) == (state > 0)
    inside = slice(TEXT.index('"') + 1, TEXT.rindex('"'))
    assert all(red > blue for red, _, blue in colours(reader)[inside])
    source = saved(reader, tmp_path, "NumPy", f"step_{len(TEXT) - 1}.py")
    before = re.search(r"^c_prev = np.array\(\[([^\]]*)", source, re.MULTILINE)[1]
    assert abs(float(before.split(",")[UNIT]) - expected[-2]) <= 1e-12
    at = f"&step={len(TEXT) - 1}&unit={UNIT}&show=c&text={quote(TEXT, safe=',.')}"
    assert reader.hash() == f"#v1&scene=reader{at}"


def test_it_expects_capitals_inside_the_marks(reader: Reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&unit={UNIT}&step=1&text={SPEECH}")
    assert re.search(r"expects: [a-z␣] \d+ %", reader.says(".expected"))
    reader.ask("document.querySelectorAll('.letters span')[10].click()")
    reader.sees(".expected", "After “w”")
    assert re.search(r"expects: [A-Z] \d+ %, [A-Z]", reader.says(".expected"))


def test_an_address_holds_the_text_and_leads_back_to_it(reader: Reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&step=3&text=first")
    assert reader.ask(f"{FIELD}.value") == "first"
    reader.ask(f"location.hash = '{SCENE}&step=8&text=the%20second'")
    reader.sees(".letters", "the second")
    reader.ask("history.back()")
    reader.sees(".letters", "first")
    assert reader.ask(f"{FIELD}.value") == "first"
    assert "step 3 of 0–4" in reader.says("#player, .player")


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_letters_are_letters_and_nothing_else(reader: Reader, pages, text):
    reader.open(pages("teaching") + SCENE)
    paste(reader, text)
    typed = reader.ask(f"{FIELD}.value")
    assert reader.ask("document.querySelector('.letters').textContent") == typed
    assert reader.ask("document.querySelectorAll('.letters img, .letters b, #scene img').length") == 0
    assert len(colours(reader)) == len(typed)
    assert reader.hash().endswith(f"&text={quote(typed, safe='(),.!*~' + chr(39))}".replace("%3B", ";"))


def test_no_text_and_one_that_is_too_long(reader: Reader, pages):
    reader.open(pages("teaching") + SCENE)
    paste(reader, "ab" * 2500)
    reader.sees("#scene", "of up to 200 letters")
    assert reader.ask(f"{FIELD}.value") == "ab" * 100
    assert len(colours(reader)) == 200
    reader.ask(f"{FIELD}.select()")
    reader.keys("Backspace")
    reader.sees(".expected", "After “␣”")
    reader.tab.wait_until("document.querySelector('.letters').textContent === ''")
    assert colours(reader) == []
    assert reader.hash().endswith("&text=")
    reader.keys("a")
    reader.sees(".letters", "a")
    reader.open(pages("teaching") + f"{SCENE}&step=0&text={'x' * 1500}")
    assert len(colours(reader)) == 200


def test_with_its_forget_gate_shut_its_colours_follow_the_marks_no_more(reader: Reader, pages):
    reader.open(pages("teaching") + f"{SCENE}&unit={UNIT}&edits=0,0,b_f,,{UNIT},-20&text={quote(TEXT)}")
    titles = reader.ask("[...document.querySelectorAll('.letters span')].map(one => Number(one.title))")
    broken = np.asarray(shut(UNIT).trace(np.array(reading.tokens(TEXT))).lstm[0].cell_state)[:, UNIT]
    assert titles == pytest.approx(broken, abs=6e-4)
    reader.keys("Backspace")
    reader.sees(".letters", TEXT)
    titles = reader.ask("[...document.querySelectorAll('.letters span')].map(one => Number(one.title))")
    assert titles == pytest.approx(states(TEXT), abs=6e-4)
    paste(reader, "again")
    reader.click("#player [aria-keyshortcuts=ArrowDown]")
    reader.sees(".reader", "unit 4")


def test_its_chapters_ask_for_the_unit_and_then_for_what_is_left_without_its_gate(reader: Reader, pages):
    reader.open(pages("teaching"))
    reader.click(".scenes button", "reads")
    reader.sees("#margin h2", MARKS["title"])
    assert reader.says("#margin label") == "the number of the unit"
    for mistake in MARKS["mistakes"]:
        assert predict(reader, str(mistake["value"])) == mistake["says"]
    paste(reader, TEXT)
    assert predict(reader, "9") == "Not yet."
    assert reader.says(".letters") == TEXT
    assert predict(reader, "3") == f"Right: 3. {MARKS['after']}"
    reader.click("#margin button", "Next chapter")
    reader.sees("#margin h2", FORGETTING["title"])
    assert reader.says(".letters") == reading.SENTENCE
    reader.sees("#changes", "2.13 → -20")
    assert reader.ask("document.querySelectorAll('.letters span')[25].title") == "?"
    broken = np.asarray(shut(UNIT).trace(np.array(reading.tokens(reading.SENTENCE))).lstm[0].cell_state)[25, UNIT]
    assert predict(reader, "1.5539") == FORGETTING["mistakes"][0]["says"]
    assert predict(reader, f"{broken:.4f}").startswith(f"Right: {broken:.4f}.")
    assert reader.ask("document.querySelectorAll('.letters span')[25].title") == f"{broken:.3g}"
    paste(reader, "Something else.")
    assert not reader.has("#margin h2")
    assert reader.has("#changes", "2.13 → -20")
    reader.click("button", "chapters")
    reader.click("#margin nav button", FORGETTING["title"])
    reader.sees(".letters", "Anna said")


def test_what_cannot_be_known_of_a_unit_is_shown_when_it_is_given_up(reader: Reader, pages):
    reader.open(pages("teaching"))
    reader.click(".scenes button", "reads")
    predict(reader, "9")
    reader.click("#margin button", "Show it")
    reader.sees("#margin .verdict", "It is 3.")


def test_a_chapter_that_asks_for_a_text_stays_while_one_is_typed(reader: Reader, pages):
    reader.open(pages("teaching"))
    reader.click(".scenes button", "reads")
    reader.sees("#margin h2", MARKS["title"])
    for text in (TEXT, "Oh", "", "a"):  # also shorter than the step at which the chapter begins
        paste(reader, text)
        assert reader.says("#margin h2") == MARKS["title"]
        assert "chapter=9" in reader.hash()
    assert predict(reader, "9") == "Not yet."
    assert reader.says(".letters") == "a"
    assert predict(reader, "3") == f"Right: 3. {MARKS['after']}"
    reader.click("button", "chapters")
    paste(reader, "Oh.")
    reader.click("button", "chapters")
    reader.sees("#margin h2", MARKS["title"])


@pytest.mark.parametrize("text", ["hello world x", "hello world how are you x you y x", "", "x" * 900])
@pytest.mark.parametrize("edits", [f"0,0,b_f,,{UNIT},-20", ""])
def test_a_chapter_on_one_text_is_asked_of_that_text_whatever_the_address_says(reader: Reader, pages, text, edits):
    reader.open(pages("teaching") + f"{SCENE}&step=10&unit={UNIT}&chapter=10&edits={edits}&text={quote(text)}")
    assert reader.says(".letters") == reading.SENTENCE
    assert reader.ask(f"{FIELD}.value") == reading.SENTENCE
    assert "text=" not in reader.hash()
    broken = np.asarray(shut(UNIT).trace(np.array(reading.tokens(reading.SENTENCE))).lstm[0].cell_state)[25, UNIT]
    assert predict(reader, f"{broken:.4f}").startswith(f"Right: {broken:.4f}.")
    reader.sees("#margin h2", FORGETTING["title"])
