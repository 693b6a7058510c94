"""The page under other eyes and hands: keyboard alone, less motion, telephones, paper, and input that means no good."""

from __future__ import annotations

import base64
import re
import time

import pytest
from peers.browser import Page
from peers.page_files import HOSTILE, LAST
from peers.reader import Reader, hyphenated, literal, seen

from gatewise.playground import lesson

pytestmark = pytest.mark.peers
VIEWS = {
    "teaching": ["", "#v1&step=3&level=product&name=a_f&product=2", "#v1&step=3&level=step&backward=1&show=dc&name=dc"],
    "own": [
        "",
        "#v1&step=4&layer=1&direction=1&level=number&name=c",
        "#v1&step=2&layer=0&level=step&backward=1&show=dc",
    ],
    "large": ["", "#v1&step=40&level=product&name=a_f&unit=3&product=5", "#v1&step=40&level=step&backward=1&show=dc"],
    "hostile": [
        "",
        "#v1&step=5&unit=5&level=product&name=a_f&product=1",
        "#v1&step=4&unit=4&level=step&backward=1&show=dc",
    ],
    "spoiled": ["", "#v1&step=3&level=product&name=a_f&product=0", "#v1&step=3&level=number&name=c&backward=1&show=dc"],
}
CASES = [(name, view) for name, views in VIEWS.items() for view in views]
VISIBLE = "[...document.querySelectorAll('body *')].filter(one => one.checkVisibility())"


# Keyboard and motion.


def test_passing_by_with_tab_changes_nothing(reader, pages):
    reader.open(pages("teaching"))
    reader.sees("[role=gridcell]")
    before = reader.says("#main")
    reader.tab_to("#foot button", "CSV")
    assert reader.says("#main") == before
    assert reader.hash() == ""


LOOK = """(one => [one, ...one.querySelectorAll("*")].map(part => {
    const {outline, stroke, strokeWidth, border, boxShadow, backgroundColor, fill} = getComputedStyle(part);
    return [outline, stroke, strokeWidth, border, boxShadow, backgroundColor, fill].join();
}).join())(window.one)"""


def test_what_has_the_focus_can_be_seen(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=f")
    bare = set()
    for _ in range(100):
        reader.keys("Tab")
        reader.ask("window.one = document.activeElement; 0")
        focused = reader.ask(LOOK)
        reader.ask("window.one.blur()")
        if reader.ask(LOOK) == focused:
            bare.add(reader.ask("window.one.outerHTML.slice(0, 200)"))
    assert {one for one in bare if not one.startswith("<body")} == set()


def test_all_of_it_with_the_keyboard_alone(reader, pages):
    reader.open(pages("teaching"))
    reader.keys("Tab", "Enter")
    assert reader.ask("document.activeElement.id") == "main"
    reader.keys("ArrowRight", "ArrowRight", "ArrowRight", "Enter")
    reader.sees("#step h2", "Step 3, latch")
    reader.tab_to("#step [data-ref='0|0|a_f|3|0']")
    reader.keys("Enter")
    reader.sees("#number h2", "af of latch, step 3: 6")
    assert reader.ask("document.activeElement.tagName") == "H2"
    reader.tab_to("#number .product", "write")
    reader.keys("Enter")
    reader.sees("#number .factors-open")
    reader.tab_to("#number .factors-open [data-ref^='0|0|W_f|']")
    reader.keys("Enter")
    reader.sees("#number h2", "Wf of latch, write: -12")
    reader.keys("e")
    reader.type("-3")
    reader.keys("Enter")
    reader.sees("#changes", "-12 → -3")
    reader.keys("Escape", "Backspace")
    reader.tab.wait_until("document.getElementById('changes').hidden")
    reader.keys("b")
    reader.sees("#loss .along", "The gradient with respect to c")
    reader.tab_to("#loss select", "the loss is")
    reader.keys("b")
    reader.tab_to("#loss input")
    reader.keys("ArrowDown")
    reader.sees("#loss", "From step 5 back")
    reader.ask("document.activeElement.blur()")
    reader.keys("b", "Escape", "Escape")
    reader.tab.wait_until("document.getElementById('loss').hidden")
    reader.tab_to("#margin nav button", "Chapter 5")
    reader.keys("Enter")
    reader.sees("#margin h2", "The output")
    reader.tab_to("#margin .answer input")
    reader.type("0.7503")
    reader.keys("Enter")
    reader.sees("#margin .verdict", "Right")
    reader.tab_to("#margin button", "Next chapter")
    reader.keys("Enter")
    reader.sees("#margin h2", "A sequence")
    reader.tab_to("#foot button", "CSV")


def test_every_key_has_a_button_and_every_button_a_name(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=x[1]&edits=0,0,x,3,1,0.5")
    names = reader.ask(
        f"{VISIBLE}.flatMap(one => (one.getAttribute('aria-keyshortcuts') ?? '').split(' ')).filter(Boolean)"
    )
    assert {"ArrowLeft", "ArrowRight", "Enter", "Escape", "Space", "b", "e", "Backspace", "?"} <= set(names)
    nameless = f"{VISIBLE}.filter(one => one.matches('button') && !(one.ariaLabel || one.textContent.trim())).length"
    assert reader.ask(nameless) == 0


def test_nothing_moves_where_less_motion_is_asked_for(reader, pages):
    reader.open(pages("teaching"))
    time.sleep(2)
    assert reader.says(".player .where") == f"step 0 of 0–{LAST}"
    reader.keys("ArrowRight", "Enter")
    reader.sees("#step h2")
    assert reader.ask("document.getAnimations().filter(one => one.effect.getTiming().duration > 1).length") == 0
    reader.click("button", "Play")
    reader.sees(".player", "step 2 of")  # what is asked for plays all the same


# Telephones and paper.


@pytest.mark.parametrize(("name", "view"), CASES)
def test_a_page_never_scrolls_sideways(reader, pages, name, view):
    reader.open(pages(name) + view, width=360)
    for width in (360, 768, 1280):
        reader.tab.look(width=width, still=True)
        reader.tab.rest()
        wide = f"""{VISIBLE}.filter(one => one.getBoundingClientRect().right > {width} + 1
            && !one.closest(".scroller, .scrolls, .visually-hidden, svg")).map(one => one.outerHTML.slice(0, 120))"""
        assert reader.ask("document.documentElement.scrollWidth") <= width, reader.ask(wide)


def test_on_a_telephone_all_stands_in_one_column_and_in_order(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=f&chapter=4", width=360)
    names = ["head", "stage", "player", "margin", "strip", "step", "number", "foot"]
    tops = reader.ask(f"{names}.map(id => document.getElementById(id).getBoundingClientRect().top)")
    assert tops == sorted(tops)
    reader.open(pages("own"), width=360)
    reader.tab_to("[role=gridcell]")
    reader.keys("End")
    reader.tab.wait_until(
        f"(b => b.left >= 0 && b.right <= 360)({seen('[role=gridcell]:focus')}.getBoundingClientRect())"
    )


def test_the_names_of_units_stay_in_sight_beside_the_chosen_step(reader, pages):
    reader.open(pages("hostile") + "#v1&step=3", width=360)
    reader.tab.wait_until("document.querySelector('#field .scroller').scrollLeft > 50")
    covered = """[...document.querySelectorAll("[role=rowheader]")].filter(one => {
        const {left, top, height} = one.getBoundingClientRect();
        return document.elementFromPoint(left + 20, top + height / 2) !== one;
    }).length"""
    reader.ask(f"{seen('#field')}.scrollIntoView({{block: 'center'}})")
    assert reader.ask(covered) == 0


PRINTED = ["", "step=3&level=step&chapter=2", "scene=reader&chapter=9", "scene=reader&level=step&step=25&unit=3"]


@pytest.mark.parametrize(
    "view", [*PRINTED, "scene=learner&level=number&name=f", "step=3&backward=1&level=number&name=dc"]
)
def test_no_sheet_of_paper_is_empty(reader, pages, view):
    reader.open(pages("teaching") + f"#v1&{view}")
    texts = reader.tab.printed_texts()
    assert texts
    assert all(texts)
    reader.tab.look(width=794, media="print", still=True)
    assert not reader.has("#path")


@pytest.mark.parametrize("name", ["teaching", "own"])
def test_on_paper_it_is_dark_on_white_and_nothing_is_cut(reader, pages, name):
    reader.open(pages(name) + VIEWS[name][1], scheme="dark", width=794)
    printed = base64.b64decode(reader.tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= (8 if name == "own" else 14)
    reader.tab.look(scheme="dark", width=794, media="print", still=True)
    ink, ground = reader.ask("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    assert max(map(int, re.findall(r"\d+", ink)[:3])) < 90
    assert ground in ("rgba(0, 0, 0, 0)",) or min(map(int, re.findall(r"\d+", ground)[:3])) > 240
    assert not reader.has(".player button")
    assert reader.has("#number h2")
    assert reader.ask("document.documentElement.scrollWidth") <= 794


@pytest.mark.parametrize("language", ["teaching", "german"])
def test_the_whole_lesson_is_printed_with_lines_to_write_on_and_answers_at_the_end(reader, pages, language):
    chapters = lesson.chapters("de" if language == "german" else "en")
    reader.open(pages(language) + "#v1&scene=reader&step=3", width=794)
    assert not reader.has(".paper section")
    reader.tab.look(width=794, media="print", still=True)
    reader.tab.wait_until(f"document.querySelectorAll('.paper section').length === {len(chapters) + 1}")
    said = [
        hyphenated(text)
        for text in reader.ask("[...document.querySelectorAll('.paper section')].map(one => one.innerText)")
    ]
    for number, (chapter, text) in enumerate(zip(chapters, said, strict=False), 1):
        assert text.startswith(f"{number}. {chapter['title']}")
        assert all(literal(one) in text for one in (*chapter["text"], chapter["question"]))
    assert "f = 0.5, cprev = 0.9877, i = 0.5, g = 0.537\n" in said[2]
    assert "dh = 1, o = 0.9975, c = 0.978\n" in said[6]
    assert not any("c = 0.7624" in text for text in said[:-1])
    assert reader.ask("document.querySelectorAll('.paper .blank').length") >= 3 * len(chapters)
    answers = reader.ask("[...document.querySelectorAll('.paper .key li')].map(one => one.textContent)")
    numbers = [
        "0.3799",
        "0.5",
        "0.7624",
        "0.9902",
        "0.7503",
        "0.4635",
        "0.4331",
        "0.0156",
        "",
        "3",
        "",
        "0.7862",
        "0.079",
        "0.019",
    ]
    assert all(number in answer for number, answer in zip(numbers, answers, strict=True))
    assert "{" not in "".join([*said, *answers])


# Input that means no good.


@pytest.mark.parametrize("view", VIEWS["hostile"])
def test_hostile_names_are_text(reader, pages, view):
    reader.open(pages("hostile") + view)
    assert not reader.tab.reported("Page.javascriptDialogOpening")
    assert reader.ask("document.querySelectorAll('img, iframe, object, embed, audio, video, link').length") == 0
    assert reader.ask("document.scripts.length") == 2
    assert (
        reader.ask(f"{VISIBLE}.filter(one => [...one.attributes].some(each => each.name.startsWith('on'))).length") == 0
    )
    assert reader.says("h1") == HOSTILE[0]
    assert HOSTILE[0] in reader.says("#strip")
    assert "\u202e" not in reader.ask("document.body.textContent")
    reader.click("#foot button", "CSV")
    reader.click("#foot button", "NumPy")


@pytest.mark.parametrize("name", ["hostile", "spoiled"])
def test_a_page_of_bad_input_answers_like_any_other(reader, pages, name):
    reader.open(pages(name))
    reader.keys("ArrowRight", "ArrowRight", "Enter")
    reader.sees("#step h2", "Step 2")
    reader.keys("Enter")
    reader.sees("#number h2")
    reader.keys("b")
    reader.sees("#loss", "The loss is")
    reader.keys("b", "Escape", "Escape")
    reader.tab.wait_until("document.getElementById('step').hidden")


def test_numbers_that_are_none_are_shown_as_such_and_can_be_mended(reader, pages):
    reader.open(pages("spoiled") + "#v1&step=3&level=step")
    assert "nan" in reader.says("#stage")
    assert "nan" in reader.says("[role=gridcell]")
    reader.click("#step summary")
    assert reader.ask(f"{seen('#step input', 'W_f of unit 0, h(unit 0)')}.value") == "nan"
    assert reader.ask(f"{seen('#step input', 'W_i of unit 0, x0')}.value") == "inf"
    for label in ("W_f of unit 0, h(unit 0)", "W_i of unit 0, x0"):
        reader.click("#step input", label)
        reader.type("0")
        reader.keys("Enter", "Escape")
    reader.tab.wait_until(f"!{seen('#stage')}.textContent.includes('nan')")
    reader.keys("Backspace")
    reader.tab.wait_until(f"{seen('#stage')}.textContent.includes('nan')")


@pytest.mark.parametrize(
    ("hash", "said"),
    [
        ("v2&step=3", "This address comes from another version of the page"),
        ("v1&step=x", "can't be read"),
        ("v1&step=3&edits=0,0,W_f,,0.0,1e999", "can't be read"),
        ("<img src=x onerror=alert(1)>", "can't be read"),
        ("v1&step=99", "points to something this model doesn't have"),
        ("v1&step=3&level=number&name=%3Cimg%20src=x%20onerror=alert(1)%3E", ""),
        ("v1&step=3&edits=0,0,__proto__,3,0,1", "points to something"),
        ("v1&step=3&show=constructor&level=step", None),
        ("v1&" + "step=1&" * 5000, None),
        ("%E0%A4%A", "can't be read"),
    ],
)
def test_an_address_that_means_nothing_is_answered_in_one_sentence(reader, pages, hash, said):
    reader.open(pages("teaching") + "#" + hash)
    told = reader.ask("document.getElementById('status').textContent")
    assert told.count(". ") == 0
    if said:
        assert said in told
        assert reader.has(".player", "step 0 of")
    reader.keys("ArrowRight", "Enter")
    reader.sees("#step h2", "Step ")
    assert not reader.tab.reported("Page.javascriptDialogOpening")
    reader.expects = told


# The policy.


def test_the_policy_lets_nothing_else_run_or_leave(one_browser: Page, pages):
    reader = Reader(one_browser)
    reader.open(pages("teaching"))
    reader.ask("""(() => {
        window.ran = [];
        window.broken = [];
        document.addEventListener("securitypolicyviolation", event => window.broken.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "ran.push('script')";
        document.body.append(script);
        const button = document.createElement("button");
        button.setAttribute("onclick", "ran.push('handler')");
        document.body.append(button);
        button.click();
        const image = document.createElement("img");
        image.src = "https://example.invalid/x.png";
        document.body.append(image);
        setTimeout("ran.push('text')");
        return fetch("https://example.invalid/").then(() => window.ran.push("fetch"), () => 0);
    })()""")
    reader.tab.wait_until("window.broken.length >= 5")
    assert reader.ask("window.ran") == []
    assert not [url for url in one_browser.asked() if not url.startswith(("file:", "about:"))] or reader.ask(
        "performance.getEntriesByType('resource').every(one => one.responseStatus === 0)"
    )


def test_the_page_says_so_where_scripts_are_off(one_browser: Page, pages):
    one_browser.open("about:blank")
    one_browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        one_browser.open(pages("teaching"))
        assert "This page needs JavaScript" in one_browser.evaluate("document.body.innerText")
    finally:
        one_browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_page_works_inside_a_notebooks_frame(one_browser: Page, pages, tmp_path):
    import gatewise as gw

    path = tmp_path / "frame.html"
    path.write_text(f"<!doctype html><title>f</title>{gw.page()._repr_html_()}", encoding="utf-8")
    one_browser.look(width=1280, still=True)
    one_browser.open(path.as_uri())
    with one_browser.frame():
        reader = Reader(one_browser)
        reader.tab.wait_until("!document.getElementById('strip').hidden")
        reader.ask(f"{seen('button', 'A step on')}.click()")
        reader.sees(".player", "step 1 of")
        assert reader.says(".moment").startswith("Unit latch holds")
        reader.hash()  # a frame without an address of its own has none to write to
        assert reader.ask("document.getElementById('status').textContent") == ""
    one_browser.quiet()
