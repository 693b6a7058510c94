"""The chapters of the page: what is asked, and what is said of the answer."""

from __future__ import annotations

import re

import pytest
from peers.page_files import CELL, edited, numbers
from peers.reader import Reader, literal, prose, seen, shown

from gatewise.playground import lesson

pytestmark = pytest.mark.peers
COUNT = len(lesson.chapters())


def predict(reader: Reader, text: str) -> str:
    """Type a number into the chapter's field and return what is said of it."""
    reader.click("#margin .answer input")
    reader.type(text)
    reader.keys("Enter")
    reader.tab.wait_until(f"!!{seen('#margin .verdict')}?.textContent")
    return reader.says("#margin .verdict")


@pytest.mark.parametrize("number", range(1, 8))
def test_a_chapter_hides_a_number_and_judges_what_is_typed(reader, pages, number):
    chapter = lesson.chapters()[number]
    ask, edits = chapter["ask"], [(one["name"], one["step"], one["at"], one["value"]) for one in chapter["edits"]]
    right = float(numbers(edited(edits))[ask["name"]][ask["step"], 0])
    reader.open(pages("teaching"))
    if number:
        reader.click("#margin nav button", f"Chapter {number}")
        reader.click("#margin button", "Next chapter")
        reader.sees("#margin .count", f"Chapter {number + 1} of {COUNT}")
    assert reader.says("#margin h2") == chapter["title"]
    assert len(reader.says("#margin .question")) > 20
    wrong = "A gate is between 0 and 1." if ask["name"] == "f" else "Not yet."
    assert predict(reader, "12.345") == wrong
    hidden = "[...document.querySelectorAll('#stage, #strip, #step, #number')].map(one => one.innerText).join(' ')"
    if number > 1:  # of the first, the number is that of a changed input too
        assert shown(right) not in reader.ask(hidden)
    assert "?" in reader.ask(hidden).split()
    for level in (1, 2, 3):
        reader.click("#margin button", f"Hint {level} of 3")
        assert reader.ask("document.querySelectorAll('#margin .hints li').length") == level
    assert reader.says("#margin .hints li") == prose(chapter["hints"][0])
    if len(chapter["hints"]) == 1:
        assert ask.get("also", [ask["name"]])[0] in reader.ask(f"{seen('#margin .hints [role=math]')}.ariaLabel")
    else:
        assert "6 = 0." in reader.says("#margin .hints li:last-child") or "0 = 0." in reader.says(
            "#margin .hints li:last-child"
        )
    assert number == 1 or shown(right) not in reader.says("#margin .hints")
    said = predict(reader, shown(right))
    assert said.startswith(f"Right: {shown(right)}. ")
    assert literal(chapter["after"]) in said
    assert "{" not in said
    assert not reader.has("#margin button", "Hint")
    assert not reader.has("#margin .hints [role=math]")
    assert shown(right) in reader.ask(hidden)
    assert "?" not in reader.ask(hidden).split()
    texts = [reader.says(f"#margin .{one}") for one in ("lesson", "question")]
    reader.click("#margin button", "Ask again")
    reader.tab.wait_until(f"{hidden}.includes('?')")
    assert [reader.says(f"#margin .{one}") for one in ("lesson", "question")] != texts
    assert predict(reader, shown(right)) != said
    drawn = [
        one if isinstance(one, dict) else chapter["edits"][n] | {"value": one}
        for n, one in enumerate(chapter["draws"][0]["edits"])
    ]
    edits = [(one["name"], one["step"], one["at"], one["value"]) for one in drawn]
    another = float(numbers(edited(edits))[ask["name"]][ask["step"], 0])
    reader.click("#margin button", "Show it")
    reader.sees("#margin .verdict", f"It is {shown(another)[:5]}")


def test_a_wrong_number_has_one_sentence_and_one_with_too_few_digits_is_close(reader, pages):
    output = lesson.chapters()[4]
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 5")
    said = predict(reader, shown(float((CELL.output_gate * CELL.cell_state)[6, 0, 0])))
    assert said == prose(output["mistakes"][0]["says"])
    assert predict(reader, "-0.7503") == "Not yet. Perhaps the sign of h is wrong."
    assert predict(reader, "much") == "“much” is not a number."
    assert predict(reader, "0.75") == "Close. Give one more decimal."
    reader.click("#margin nav button", "Chapter 12")
    assert predict(reader, "1") == "Not yet. Give three decimals."
    reader.click("#margin nav button", "Chapter 5")
    assert "hidden stateh?" in reader.says("#stage")
    assert predict(reader, "0.750").startswith("Right")


def test_progress_is_shown_and_kept_in_the_address_and_the_end_says_what_was_learned(reader, pages):
    chapters = lesson.chapters()
    reader.open(pages("teaching"))
    predict(reader, "0.3799")
    reader.click("#margin button", "Next chapter")
    reader.click("#margin .answer input")
    reader.type("3")
    reader.click("#margin button", "Show it")
    reader.sees("#margin nav button", "Chapter 1: Why gates?, solved")
    reader.sees("#margin nav button", "Chapter 2: A gate, looked up")
    address = reader.ask("location.href.split('#')[0]") + reader.hash()
    assert "progress=rs" in address
    reader.open(address)
    reader.sees("#margin nav button", "Chapter 1: Why gates?, solved")
    for number in (COUNT, 1):
        reader.click("#margin nav button", f"Chapter {number}")
        reader.tab.wait_until(f"location.hash.includes('chapter={number - 1}&')")
    reader.ask("history.back()")  # does not undo an answer
    reader.sees("#margin .count", f"Chapter {COUNT}")
    reader.sees("#margin nav button", "Chapter 1: Why gates?, solved")
    assert not reader.has("#margin .learned h3")
    reader.click("#margin button", "Show it")
    reader.sees("#margin .learned", f"You solved 1 of {COUNT} chapters without help, and looked up 2.")
    said = [prose(one["learned"]) for one in (chapters[0], chapters[1], chapters[-1])]
    assert reader.ask("[...document.querySelectorAll('#margin .learned li')].map(one => one.textContent)") == said
    left = ", ".join(str(n + 1) for n in range(2, COUNT - 1))
    assert reader.says("#margin .learned p").endswith(f"Still open: {left}.")


def test_the_numbers_of_a_drawn_cell_are_its_beginning_and_no_changes(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 9")
    reader.sees("#margin .worked-lines")
    drawn = re.search(r"edits=([^&]*)", reader.hash())[1]
    assert len(drawn.split(";")) == 25
    assert not reader.has("#changes")
    assert not reader.has(".was")
    reader.ask(f"location.hash = {reader.hash().replace(drawn, drawn)!r} + '&level=number&name=b_f'")
    reader.sees("#number input.given")
    reader.click("#number input.given")
    reader.type("5")
    reader.keys("Enter")
    reader.sees("#changes", "You changed one number")
    reader.keys("Escape")
    reader.keys("Backspace")
    reader.tab.wait_until("document.getElementById('changes').hidden")
    assert re.search(r"edits=([^&]*)", reader.hash())[1] == drawn


def test_the_lines_of_a_step_fade_until_all_are_ones_own(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 9")
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
        reader.sees("#margin .outcome", "All your lines are right.")
    reader.click("#margin #answer-a_f-line")
    reader.type("9.5")
    reader.keys("Enter")
    reader.sees("#answer-a_f-line-verdict", "Not yet.")
    first = reader.says("#margin .worked-lines")
    reader.click("#margin button", "Another cell")
    reader.tab.wait_until(f"!{seen('.outcome')}?.textContent")
    assert reader.says("#margin .worked-lines") != first
