"""The chapters of the page: what is asked, and what is said of the answer."""

from __future__ import annotations

import re

import pytest
from peers.page_files import CELL, edited, numbers
from peers.reader import Reader, seen, shown

from gatewise.playground import lesson

pytestmark = pytest.mark.peers


def predict(reader: Reader, text: str) -> str:
    """Type a number into the chapter's field and return what is said of it."""
    reader.click("#margin .answer input")
    reader.type(text)
    reader.keys("Enter")
    reader.tab.wait_until(f"!!{seen('#margin .verdict')}?.textContent")
    return reader.says("#margin .verdict")


@pytest.mark.parametrize("number", range(7))
def test_a_chapter_hides_a_number_and_judges_what_is_typed(reader, pages, number):
    chapter = lesson.chapters()[number]
    ask, edits = chapter["ask"], [(one["name"], one["step"], one["at"], one["value"]) for one in chapter["edits"]]
    right = float(numbers(edited(edits))[ask["name"]][ask["step"], 0])
    reader.open(pages("teaching"))
    if number:
        reader.click("#margin nav button", f"Chapter {number}")
        reader.click("#margin button", "Next chapter")
        reader.sees("#margin .count", f"Chapter {number + 1} of 8")
    assert reader.says("#margin h2") == chapter["title"]
    assert len(reader.says("#margin .question")) > 20
    said = predict(reader, "12.345")
    assert said.startswith("That is not it.")
    assert not reader.has("#margin .after", " ")
    hidden = "[...document.querySelectorAll('#stage, #strip, #step, #number')].map(one => one.innerText).join(' ')"
    if number:  # of the first, the number is that of a changed input too
        assert shown(right) not in reader.ask(hidden)
    assert "?" in reader.ask(hidden).split()
    assert predict(reader, shown(right)).startswith("Right")
    assert shown(right) in reader.ask(hidden)
    assert "?" not in reader.ask(hidden).split()
    reader.click("#margin button", "Ask me again")
    reader.tab.wait_until(f"{hidden}.includes('?')")
    reader.click("#margin button", "Show it")
    reader.sees("#margin .verdict", f"It is {shown(right)[:5]}")


def test_a_wrong_number_is_told_its_likely_cause_and_a_rounded_one_is_right(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 4")
    said = predict(reader, shown(float((CELL.output_gate * CELL.cell_state)[6, 0, 0])))
    assert "The likely cause: the tanh of the cell state is missing from h." in said
    assert "is no number" in predict(reader, "much") or "is not a number" in predict(reader, "much")
    assert predict(reader, "0.75").startswith("Right")


def test_the_lines_of_a_step_fade_until_all_are_ones_own(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 8")
    reader.sees("#margin .worked-lines")
    written = re.search(r"edits=([^&]*)", reader.hash())[1]
    edits = []
    for one in written.split(";"):
        _, _, name, step, at, value = one.split(",")
        edits.append((name, int(step or 0), [int(n) for n in at.split(".")], float(value)))
    values = numbers(edited(edits))
    lines = "[...document.querySelectorAll('.worked-lines li')].map(one => [one.querySelector('[role=math]')"
    lines += ".getAttribute('aria-label').split(' = ')[0], one.querySelector('.number')?.textContent ?? null])"
    for choice, count in ((None, 1), ("the last two", 2), (" all", 10)):
        if choice:
            reader.click("#margin .choice label", choice)
        reader.tab.wait_until(f"document.querySelectorAll('.worked-lines .yours').length === {count}")
        for name, text in reader.ask(lines):
            if text is not None:
                assert float(text) == pytest.approx(values[name][0, 0], abs=5e-5), name
        for name in [name for name, text in reader.ask(lines) if text is None]:
            reader.click(f"#margin #answer-{name}-line")
            reader.type(f"{values[name][0, 0]:.6f}")
            reader.keys("Enter")
            reader.sees(f"#margin #answer-{name}-line-verdict", "Right")
        reader.sees("#margin .outcome", "All your lines hold.")
    reader.click("#margin #answer-a_f-line")
    reader.type("9.5")
    reader.keys("Enter")
    reader.sees("#answer-a_f-line-verdict", "That is not it.")
    first = reader.says("#margin .worked-lines")
    reader.click("#margin button", "Another cell")
    reader.tab.wait_until(f"!{seen('.outcome')}?.textContent")
    assert reader.says("#margin .worked-lines") != first
