"""The scenes of a teaching page: one after the other in the same file, and nothing of the one before stays."""

from __future__ import annotations

import numpy as np
import pytest
from peers.reader import Reader

import gatewise as gw
from gatewise.playground.scenes import SCENES

pytestmark = pytest.mark.peers
CHANGES = 54  # which lead to the scene where they began, of two scenes and of three
TRACE = gw.LSTM(2, 3, rng=5).trace(np.random.default_rng(5).normal(size=(9, 2)))[0]
THREE = "#v1&scene=three&step=2&unit=1&show=h&chapter=2&edits="


def enter(reader: Reader, title: str) -> None:
    reader.click(".scenes button", title)
    reader.sees(".scenes [aria-pressed=true]", title)


def test_one_scene_has_no_buttons(reader, pages):
    reader.open(pages("one scene"))
    assert not reader.has(".scenes")
    reader.open(pages("teaching"))
    assert reader.ask("document.querySelectorAll('.scenes button').length") == len(SCENES)


def test_a_scene_is_drawn_anew_with_its_own_numbers_and_address(reader, pages):
    reader.open(pages("scenes"))
    assert reader.says("#head .scenes") == "the cell three units"
    assert reader.hash() == ""
    enter(reader, "three units")
    assert reader.ask("document.activeElement.textContent") == "three units"
    reader.sees("#foot", "It is random.")
    reader.sees("#margin .count", "Chapter 3 of 3")
    assert reader.hash().startswith("#v1&scene=three&step=2&unit=1&show=h&chapter=2")
    assert "step 2 of 0–8" in reader.says(".player")
    reader.ask("history.back()")
    reader.sees(".player", "step 0 of 0–6")
    assert "#" not in reader.ask("location.href") or reader.hash() == ""
    reader.ask("history.forward()")
    reader.sees(".player", "step 2 of 0–8")
    reader.keys("ArrowRight")
    assert reader.hash().startswith("#v1&scene=three&step=3")
    assert reader.has("#strip", f"{TRACE.hidden_state[3, 0]:.4f}"[:5])


def test_an_address_leads_into_its_scene_and_old_ones_to_the_first(reader, pages):
    reader.open(pages("scenes") + "#v1&scene=three&step=4&show=c&level=step&word=mine&other=x")
    reader.sees(".scenes [aria-pressed=true]", "three units")
    reader.keys("ArrowRight")
    assert reader.hash() == "#v1&scene=three&step=5&show=c&level=step&word=mine"
    reader.open(pages("scenes") + "#v1&step=3&level=number&name=f&edits=0,0,x,3,1,0.5")
    reader.sees("#number", "0.5")
    reader.sees(".scenes [aria-pressed=true]", "the cell")


@pytest.mark.parametrize("wrong", ["scene=nowhere&step=1", "scene=three&chapter=0", "chapter=2", "scene=&step=1"])
def test_an_address_of_no_scene_opens_the_page_as_it_was_made(reader, pages, wrong):
    reader.open(pages("scenes") + "#v1&" + wrong)
    reader.expects = "The address points to something this model doesn't have, so the page opens as new."
    reader.sees("#strip", "unit")
    assert reader.hash().startswith(f"#v1{'&scene=three' if 'three' in wrong else ''}&step=0&show=f")


def test_the_next_chapter_leads_into_the_next_scene_and_is_answered_there(reader, pages):
    reader.open(pages("scenes") + "#v1&step=3&show=c&chapter=1")
    reader.click("#margin button", "Next chapter")
    reader.sees("#margin h2", "Three")
    reader.tab.wait_until("document.activeElement.textContent === 'Three'")
    assert reader.hash() == THREE
    reader.click("#margin .answer input")
    reader.type(f"{TRACE.hidden_state[2, 1]:.4f}")
    reader.keys("Enter")
    reader.sees("#margin .verdict", "Right")
    reader.click("#margin nav button", "Chapter 1")
    reader.sees("#margin h2", "A gate")
    reader.sees(".scenes [aria-pressed=true]", "the cell")
    assert reader.hash().startswith("#v1&step=3&show=f&chapter=0")
    reader.ask("history.back()")
    reader.sees("#margin h2", "Three")


@pytest.mark.parametrize("name", ["scenes", "teaching"])
def test_nothing_grows_however_often_the_scene_changes(reader, pages, name):
    """Nor goes on: half of the scenes are left while they play, and no timer fires once all is quiet."""
    reader.open(pages(name))
    reader.tab.call("Performance.enable")
    reader.ask("""(() => {
      window.calls = [];
      for (const name of ["setTimeout", "requestAnimationFrame"]) {
        const original = window[name];
        window[name] = (...given) => { window.calls.push(String(given[0])); return original(...given); };
      }
    })()""")

    def counts() -> dict[str, int]:
        reader.ask("new Promise(done => setTimeout(done, 400))")
        for _ in range(3):
            reader.tab.call("HeapProfiler.collectGarbage")
        metrics = reader.tab.call("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in metrics if one["name"] in ("JSEventListeners", "Nodes")}

    def change(times: int) -> None:
        for n in range(times):
            press = "document.querySelector('[aria-keyshortcuts=Space]').click();" * (n % 4 > 1)
            chosen = "document.querySelector('.scenes [aria-pressed=true]')"
            reader.ask(f"{press} ({chosen}.nextElementSibling ?? {chosen}.parentElement.firstElementChild).click()")
            reader.tab.rest()

    change(12)
    before = counts()
    change(CHANGES)
    after = counts()
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["Nodes"] <= 1.02 * before["Nodes"]
    assert before["JSEventListeners"] > 20
    reader.ask("window.calls = []")
    reader.ask("new Promise(done => setTimeout(done, 2500))")
    assert len(reader.ask("window.calls")) == 1, reader.ask("window.calls")
