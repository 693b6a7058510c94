"""What an address holds of chapters, changes and the strip, and where going back leads."""

from __future__ import annotations

import pytest
from peers.reader import seen

pytestmark = pytest.mark.peers

CHANGED = "[...document.querySelectorAll('#changes .edits li .number')].map(one => one.textContent.trim())"
STATUS = "document.getElementById('status').textContent"


@pytest.mark.parametrize(("number", "bias"), [(6, "2"), (8, "0")])
def test_back_leads_to_what_the_chapter_supposes(number, bias, reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", f"Chapter {number}")
    reader.sees("#changes", f"6 → {bias}")
    assert not reader.has("button", "Back to")
    reader.click("#margin h2")
    reader.keys("Enter")
    reader.sees("#step h2")
    before = reader.hash()
    if number == 8:
        reader.keys("b")
        reader.tab.wait_until("document.getElementById('loss').hidden")
    reader.click("#step summary")
    reader.click("#step input[aria-label^='b_f of latch']")
    reader.type("-1")
    reader.keys("Enter")
    reader.sees("#changes", "6 → -1")
    reader.keys("Escape")
    reader.sees("button", "Back to the chapter's numbers")
    reader.ask("document.activeElement.blur()")
    reader.keys("Backspace")
    reader.sees("#changes", f"6 → {bias}")
    assert not reader.has("button", "Back to")
    assert before.split("edits=")[1] == reader.hash().split("edits=")[1]


def test_back_leads_to_the_numbers_that_were_drawn(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 9")
    drawn = reader.hash().split("edits=")[1]
    assert len(drawn.split(";")) > 10
    reader.click("#step input[aria-label^='x of bit']")
    reader.type("0.05")
    reader.keys("Enter", "Escape")
    reader.sees("button", "Back to the chapter's numbers")
    assert reader.hash().split("edits=")[1] != drawn
    reader.click("button", "Back to the chapter's numbers")
    reader.tab.wait_until(f"!{seen('button', 'Back to')}")
    assert sorted(reader.hash().split("edits=")[1].split(";")) == sorted(drawn.split(";"))


def test_a_chapter_in_an_address_supposes_what_it_does(reader, pages):
    reader.open(pages("teaching") + "#v1&chapter=5")
    reader.sees("#changes", "6 → 2")
    reader.sees("#margin .count", "Chapter 6 of ")
    reader.ask("location.hash = 'v1&chapter=7&step=0&show=dc&backward=1'")
    reader.sees("#changes", "6 → 0")
    assert reader.has("[role=gridcell]", "?")
    reader.ask("location.hash = 'v1'")
    reader.tab.wait_until("document.getElementById('changes').hidden")


def test_a_chapter_that_has_not_begun_is_none_after_a_reload_either(reader, pages):
    reader.open(pages("teaching"))
    reader.keys("ArrowRight")
    reader.sees(".player", "step 1 of")
    written = reader.hash()
    reader.open(pages("teaching") + written)
    reader.sees(".player", "step 1 of")
    assert reader.ask("document.getElementById('changes').hidden")
    assert not reader.has("[role=gridcell]", "asked for")
    reader.click("#margin nav button", "Chapter 2")
    reader.sees("#changes", "0 → 0.5")


def test_a_quantity_that_there_is_not_is_said_and_the_address_corrected(reader, pages):
    reader.expects = "The strip can't show “<b>nonsense</b>” here, so it shows f."
    reader.open(pages("teaching") + "#v1&step=2&show=%3Cb%3Enonsense%3C/b%3E")
    assert reader.ask(STATUS) == reader.expects
    assert "&show=f" in reader.hash()
    assert "step=2" in reader.hash()
    reader.expects = "The strip can't show “c” here, so it shows dc."
    reader.open(pages("teaching") + "#v1&backward=1&show=c")
    assert reader.ask(STATUS) == reader.expects
    assert "show=dc&" in reader.hash()


def test_of_a_number_that_is_changed_twice_in_an_address_the_last_holds(reader, pages):
    reader.open(pages("teaching") + "#v1&edits=0,0,b_f,,0,2;0,0,x,3,0,1;0,0,b_f,,0,3")
    reader.sees("#changes", "2 numbers")
    assert reader.ask(CHANGED) == ["6 → 3", "0 → 1"]
