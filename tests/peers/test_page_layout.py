"""What is seen together: two panes or one column, what is lit, what looks like a button, and what goes out of sight."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path

import numpy as np
import pytest
from peers import node
from peers.reader import Reader, seen
from peers.test_page_axe import chapter_addresses
from test_pages import shades

pytestmark = pytest.mark.peers

OPEN = {
    "teaching": "#v1&step=3&show=f&level=step&chapter=2",
    "own": "#v1&step=4&level=step",
    "large": "#v1&step=40&level=step&unit=3",
}
PLACES = ("#stage", "#player", "#strip", "#step")
PRESSED = "button, [role=button], [role=slider], [role=gridcell], [role=tab], summary, input, select, canvas"
THINGS = f"""(place => [...document.querySelectorAll(place)].flatMap(one => [...one.querySelectorAll("{PRESSED}")])
    .filter(one => one.checkVisibility() && !one.matches(":disabled, [aria-disabled=true], .marker")))"""
STAYS = """(() => {
    const key = ["data-key", "data-ref", "aria-label"].find(name => window.one.hasAttribute(name));
    const same = one => one.getAttribute(key) === window.one.getAttribute(key) && one.tagName === window.one.tagName;
    const others = [...document.querySelectorAll(window.one.tagName)];
    const now = window.one.isConnected || !key ? window.one : others.find(same);
    if (!now?.checkVisibility()) return "gone";
    const {left, top, width, height} = now.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + Math.min(height, innerHeight) / 2];
    return x >= 0 && x < innerWidth && y >= 0 && y < innerHeight ? "seen" : `at ${x}, ${y}`;
})()"""


def rectangle(reader: Reader, element: str) -> tuple[float, ...]:
    """Return the left, top, right and bottom of an element in the window."""
    return tuple(reader.ask(f"(b => [b.left, b.top, b.right, b.bottom])({element}.getBoundingClientRect())"))


def by_id(name: str) -> str:
    return f"document.getElementById({name!r})"


@pytest.mark.parametrize(("width", "height"), [(1000, 800), (1280, 800), (1600, 900), (1280, 600)])
@pytest.mark.parametrize("name", OPEN)
def test_from_1000_pixels_stage_and_strip_stay_in_view_beside_what_is_open(reader, pages, name, width, height):
    reader.open(pages(name) + OPEN[name].replace("level=step", "level=number&name=f"), width=width, height=height)
    reader.sees("#number h2")
    for part in ("step", "number", "foot"):
        reader.ask(f"{by_id(part)}.scrollIntoView({{behavior: 'instant'}})")
        assert reader.ask("[scrollX, scrollY, document.scrollingElement.scrollHeight]") == [0, 0, height]
        middle = rectangle(reader, by_id("left-pane"))[2]
        for place in ("stage", "player", "strip"):
            left, top, right, bottom = rectangle(reader, by_id(place))
            assert 0 <= left < right <= middle
            assert 0 <= top < bottom <= height, place
        left, top, right, _ = rectangle(reader, by_id(part))
        assert middle <= left < right <= width
        assert 0 <= top < height
        assert 0 <= rectangle(reader, by_id("path"))[1] < 120


@pytest.mark.parametrize(
    ("name", "width"), [("teaching", n) for n in (360, 700, 1000, 1280)] + [(name, 360) for name in ("own", "large")]
)
def test_nothing_that_is_pressed_goes_out_of_view(reader, pages, name, width):
    found = {}
    for place in PLACES:
        reader.open(pages(name) + OPEN[name], width=width, height=800)
        reader.tab.rest()
        count = reader.ask(f"{THINGS}({place!r}).length")
        for n in range(0, count, 1 if count < 10 else 4):
            reader.open(pages(name) + OPEN[name], width=width, height=800)
            reader.tab.rest()
            label = reader.ask(f"(window.one = {THINGS}({place!r})[{n}]).getAttribute('aria-label') ?? one.textContent")
            reader.tab.click("window.one")
            reader.tab.rest()
            found[place, label] = reader.ask(STAYS)
    assert {key: said for key, said in found.items() if said not in ("seen", "gone")} == {}
    assert list(found.values()).count("gone") <= 2
    assert len(found) > 15


# Stage and strip stand in the first view of every scene and chapter.

VIEWS = ["", "#v1&scene=reader", "#v1&scene=learner", "#v1&scene=learner&task=echo&update=3"]
OPENED = ["#v1&scene=reader&step=20&unit=3&level=step", "#v1&scene=learner&update=3&level=number&name=f&unit=2"]
SMALLEST = """Math.min(...[...document.querySelectorAll(".picture text, .picture tspan")]
    .filter(one => [...one.childNodes].some(({nodeType, data}) => nodeType === 3 && data.trim()))
    .map(one => parseFloat(getComputedStyle(one).fontSize) * one.ownerSVGElement.getScreenCTM().a))"""
BEYOND = """(name => {
    const {clientWidth, clientHeight, scrollWidth, scrollHeight} = document.querySelector(name);
    return [scrollWidth - clientWidth, scrollHeight - clientHeight];
})"""


def check_first_view(reader: Reader, width: int, height: int, view: str) -> None:
    """Assert that the stage is in view with readable text, and in two panes the strip, with all of its rows."""
    reader.tab.rest()
    left, top, right, bottom = rectangle(reader, "document.querySelector('.stage-place')")
    assert 0 <= left < right <= width, view
    assert 0 <= top < bottom <= height, view
    assert reader.ask("document.querySelector('.stage-place').checkVisibility()"), view
    assert reader.ask(SMALLEST) >= 12, view
    wide, high = reader.ask(f"{BEYOND}('#field .scroller')")
    assert high <= 0, view
    if width >= 1000:
        assert wide <= 0, view
        assert reader.ask(f"{BEYOND}('#left-pane')") == [0, 0], view
        assert bottom < rectangle(reader, by_id("strip"))[3] <= height, view


SIZES = [(1280, 800), (1280, 600), (1000, 700), (1600, 900), (360, 740)]


def check_first_views(reader: Reader, view: str) -> None:
    """Assert that in windows of all sizes, and in one column below, too."""
    for width, height in SIZES:
        reader.tab.look(width=width, height=height, still=True)
        reader.ask("scrollTo({top: 0, behavior: 'instant'})")
        check_first_view(reader, width, height, f"{view}, {width}")
        if width < 1000:
            reader.ask("scrollTo({top: 1e6, behavior: 'instant'})")
            assert reader.ask("scrollY") > height
            check_first_view(reader, width, height, f"{view}, below")


FIRST_VIEWS = {"teaching": [*VIEWS, *OPENED, *chapter_addresses().values()], "german": VIEWS}


@pytest.mark.parametrize(("language", "view"), [(name, view) for name, views in FIRST_VIEWS.items() for view in views])
def test_stage_and_strip_stand_in_every_scene_and_chapter(reader, pages, language, view):
    reader.open(pages(language) + view, width=SIZES[0][0], height=SIZES[0][1])
    check_first_views(reader, view)
    if reader.has("#margin .primary", "Begin the chapter"):
        reader.click("#margin .primary", "Begin the chapter")
        reader.sees("#margin .question")
        check_first_views(reader, f"{view}, begun")


WORDS_OF_CHAPTERS = "#margin .question, #margin .answer input, #margin .answer button, #margin .verdict"


@pytest.mark.parametrize("language", ["teaching", "german"])
def test_question_field_and_feedback_are_in_view_in_every_chapter(reader, pages, language):
    for name, address in chapter_addresses().items():
        reader.open(pages(language) + address, width=1280, height=800)
        reader.sees("#margin .question")
        for (width, height), press in itertools.product(((1280, 800), (1440, 900)), (False, True)):
            reader.tab.look(width=width, height=height, still=True)
            if press:
                reader.ask("(one => { one.value = '0.123'; one.form.requestSubmit(); })"
                           "(document.querySelector('#margin .answer input'))")  # fmt: skip
            reader.tab.rest()
            tops = reader.ask(f"""[...document.querySelectorAll("{WORDS_OF_CHAPTERS}")]
                .filter(one => one.checkVisibility() && one.textContent + one.tagName !== "P")
                .map(one => (b => [b.top, b.bottom, document.elementFromPoint(b.left + 2, b.top + b.height / 2)
                    ?.closest(".asking") !== null])(one.getBoundingClientRect()))""")
            assert len(tops) >= 3 + press, name
            assert all(0 <= top < bottom <= height and is_uppermost for top, bottom, is_uppermost in tops), name


def test_in_one_column_the_next_chapter_begins_below_the_stage(reader, pages):
    reader.open(pages("teaching"), width=390, height=844)
    for name in [*chapter_addresses()][1:]:
        reader.click("#margin .controls button", "Next chapter")
        reader.sees("#margin .count", f"Chapter {int(name.split()[1]) + 1} of")
        reader.tab.rest()
        below = rectangle(reader, "document.querySelector('#stage .stage-place')")[3]
        top, bottom = (rectangle(reader, "document.querySelector('#margin h2')")[side] for side in (1, 3))
        assert below <= top < bottom <= 844 / 2 + 40, name


@pytest.mark.parametrize("height", [600, 643, 700, 800])
def test_a_strip_shows_whole_rows(reader, pages, height):
    for view in ("#v1", "#v1&step=40&unit=3&level=step"):
        reader.open(pages("large") + view, width=1280, height=height)
        reader.hash()  # it is laid out again once its size is known
        reader.tab.rest()
        seen_height, all_height = reader.ask("""[".scroller", ".plane"].map(name =>
            document.querySelector("#field " + name).clientHeight)""")
        rows = (seen_height - 6 - 22) / ((all_height - 22) / 40)  # less what is around it, and the axis
        assert rows == pytest.approx(round(rows), abs=0.2)
        assert 10 < rows < 40.5


# Nothing overlaps in the drawing, also where each number is as long as it may be.

CROSSINGS = (node.SCRIPTS / "crossings.mjs").read_text(encoding="utf-8").replace("export function", "return function")
WINDOWS = [(390, 800), (768, 1024), (1280, 800), (1920, 1080)]
ACROSS = [*chapter_addresses().values(), "#v1&step=3&level=step&backward=1&show=dc", "#v1&scene=reader&step=30&unit=3"]


@pytest.mark.parametrize("language", ["teaching", "german"])
def test_no_text_of_the_stage_overlaps_another_or_an_arrow(reader, pages, language):
    found = {}
    for address in ACROSS:
        reader.open(pages(language) + address)
        reader.sees("#stage svg")
        for longest, (width, height) in itertools.product(("", "\u22120.8888"), WINDOWS):
            reader.tab.look(width=width, height=height, still=True)
            reader.tab.rest()
            found[address, longest, width] = reader.ask(f"(() => {{{CROSSINGS}}})()({longest!r})")
    assert {key: crossings for key, crossings in found.items() if crossings} == {}


# The stage: what goes in, and what is lit.


def lit(reader: Reader) -> dict[str, list[str]]:
    """Return the lit lines, valves and pipes of the stage."""
    return reader.ask("""(all => ({
        lines: all.filter(one => one.matches(".feed")).map(one => one.firstElementChild.getAttribute("d")),
        valves: all.filter(one => one.matches(".valve")).map(one => one.getAttribute("aria-label")),
        pipes: all.filter(one => one.matches(".pipe")).map(one => one.firstElementChild.getAttribute("d")),
        levels: all.filter(one => one.matches(".level")).map(one => one.getAttribute("class").split("-")[1][0]),
    }))([...document.querySelectorAll(".picture .lit")])""")


@pytest.mark.parametrize("width", [360, 1280])
def test_input_and_hidden_state_lead_into_every_gate_and_the_hidden_state_comes_back(reader, pages, width):
    reader.open(pages("teaching") + "#v1&step=3", width=width)
    ends = reader.ask("""(() => {
        const middle = one => (b => [b.left + b.width / 2, b.bottom])(one.getBoundingClientRect());
        const heads = [...document.querySelectorAll(".feed .head")].map(one => one.getBoundingClientRect());
        const valves = [...document.querySelectorAll(".valve .frame")];
        return [valves.map(middle), heads.map(b => [b.left + b.width / 2, b.top])];
    })()""")
    valves, heads = ends
    assert (len(valves), len(heads)) == (3, 4)  # and the candidate
    for x, bottom in valves:
        assert any(abs(x - at) < 2 and 0 <= top - bottom < 12 for at, top in heads), (x, bottom, heads)
    for name in ("x", "previous h"):
        assert reader.has(".caption[role=button]", name)


def test_what_is_open_is_lit_on_the_stage(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=step")
    assert not any(lit(reader).values())
    for name, valve in (("f", "forget gate"), ("a_i", "input gate"), ("o", "output gate")):
        reader.open(pages("teaching") + f"#v1&step=3&level=number&name={name}")
        assert lit(reader)["valves"] == [f"{valve} of latch"]
        assert len(lit(reader)["lines"]) == 3  # of x, of h, and into the gate
    sources = {}
    for product in (0, 2):
        reader.open(pages("teaching") + f"#v1&step=3&level=product&name=a_f&product={product}")
        sources[product] = lit(reader)["lines"]
        assert len(sources[product]) == 2
    assert set(sources[0]) & set(sources[2]) == {sources[0][0]}
    for state, levels in (("&name=c", ["c"]), ("&backward=1&show=dc&name=dc", ["c"]), ("&name=h", ["h"])):
        reader.open(pages("teaching") + f"#v1&step=3&level=number{state}")
        assert lit(reader)["levels"] == levels
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=W_f[0,1]")
    assert lit(reader)["lines"] == [sources[2][0], sources[2][1]]
    reader.keys("Escape")
    reader.sees(".path", "step 3")
    assert not any(lit(reader).values())


# Buttons, panels and names.

FILLED = """[...document.querySelectorAll("main > * > *, header")].map(view => [...view.querySelectorAll("button")]
    .filter(one => one.checkVisibility() && !one.disabled)
    .filter(one => getComputedStyle(one).backgroundColor === getComputedStyle(one).borderTopColor
        && getComputedStyle(one).color === getComputedStyle(document.body).backgroundColor).length)"""

PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("name", OPEN)
def test_a_view_has_at_most_one_filled_button_and_the_others_have_an_edge(reader, pages, name):
    for address in ("", OPEN[name], OPEN[name].replace("level=step", "level=number&name=f")):
        reader.open(pages(name) + address)
        filled = reader.ask(FILLED)
        assert max(filled) == 1
        bare = """[...document.querySelectorAll("button:not(.open, .link, .product, .rest, .open-it, [role=tab])")]
            .filter(one => one.checkVisibility())
            .filter(one => /transparent|, 0\\)/.test(getComputedStyle(one).borderTopColor))
            .map(one => one.textContent)"""
        assert reader.ask(bare) == []


@pytest.mark.parametrize("address", [*VIEWS, *(f"#v1{'&scene=reader' * (n > 8)}&chapter={n}" for n in range(11))])
def test_one_thing_comes_next_on_the_whole_page(reader, pages, address):
    reader.open(pages("teaching") + address)
    assert sum(reader.ask(FILLED)) == 1
    if reader.has("#margin .answer:not(.compact)"):
        reader.click("#margin .answer input")
        for text, word in (("12.5", "Check"), ("", "Train" if "learner" in address else "Play")):
            reader.ask("document.activeElement.select()")
            reader.keys(*(text or ["Backspace"]))
            assert sum(reader.ask(FILLED)) == 1
            assert reader.ask(f"getComputedStyle({seen('button.primary', word)}).color") == reader.ask(PAPER)
        reader.type("12.5")
        reader.click("#margin button", "Show it")
        assert sum(reader.ask(FILLED)) == 1


@pytest.mark.parametrize("scene", VIEWS)
def test_on_a_telephone_play_is_under_the_stage_and_the_scenes_are_in_one_row(reader, pages, scene):
    reader.open(pages("teaching") + scene, width=360, height=740)
    assert reader.ask("new Set([...document.querySelectorAll('.scenes button')].map(one => one.offsetTop)).size") == 1
    assert reader.ask("document.querySelector('.scenes').offsetHeight") < 40
    begins = {by_id(one): rectangle(reader, by_id(one)) for one in ("player", "strip", "scene")}
    _, top, _, bottom = begins[by_id("scene" if scene else "player")]
    assert top == pytest.approx(rectangle(reader, "document.querySelector('.stage-place')")[3], abs=2)
    assert begins[by_id("player")][1] < rectangle(reader, "document.querySelector('.moment')")[1]
    if scene:
        assert bottom <= begins[by_id("player")][1]
    else:
        assert bottom < rectangle(reader, by_id("path"))[1]


def test_escape_closes_every_panel_before_it_leads_up(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=step")
    panels = reader.ask("[...document.querySelectorAll('[aria-controls][aria-expanded]')].map(one => one.textContent)")
    assert len(panels) >= 2
    for words in panels:
        reader.click("[aria-controls]", words)
        reader.sees(".panel")
        reader.keys("Escape")
        assert not reader.has(".panel")
        assert reader.has("#step h2")
        reader.click("[aria-controls]", words)
        reader.ask("document.querySelector('#step input').focus()")
        reader.keys("Escape")
        assert not reader.has(".panel")
        assert reader.has("#step h2")
    reader.keys("?")
    reader.ask("document.querySelector('#keys input').focus()")
    reader.keys("Escape")
    assert not reader.has(".panel")
    assert "keys" in reader.ask("document.activeElement.textContent")
    reader.keys("Escape")
    reader.tab.wait_until("document.getElementById('step').hidden")


# Large text, and paper.

OVERLAPS = """(() => {
    const texts = [...document.querySelectorAll("h1, h2, h3, p, button, select, label, th, td, .head, .sources, .name")]
        .filter(one => one.checkVisibility() && !one.closest(".visually-hidden, svg, #path, .stage-place, .scroller"))
        .filter(one => one.textContent.trim() && getComputedStyle(one).position === "static");
    const boxes = texts.map(one => [one, one.getBoundingClientRect()]).filter(([, b]) => b.width > 2 && b.height > 2);
    const found = [];
    boxes.forEach(([one, a], n) => {
        for (const [other, b] of boxes.slice(n + 1)) {
            if (one.contains(other) || other.contains(one)) continue;
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 3 && high > 4) found.push([one.textContent.slice(0, 30), other.textContent.slice(0, 30)]);
        }
    });
    return found;
})()"""


@pytest.mark.parametrize(
    "view", ["", "#v1&step=3&level=number&name=f&chapter=2", "#v1&step=3&level=step&backward=1&show=dc", *VIEWS[1:]]
)
def test_nothing_overlaps_where_text_is_twice_as_large(reader, pages, view):
    reader.tab.call("Page.setFontSizes", fontSizes={"standard": 32, "fixed": 26})
    try:
        reader.open(pages("teaching") + view)
        assert float(reader.ask("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)")) > 36
        reader.ask("document.querySelectorAll('.training details').forEach(one => { one.open = true; })")
        for width in (360, 1000, 1280):
            reader.tab.look(width=width, still=True)
            reader.tab.rest()
            assert reader.ask(OVERLAPS) == [], width
            assert reader.ask("document.documentElement.scrollWidth") <= width
    finally:
        reader.tab.call("Page.setFontSizes", fontSizes={"standard": 16, "fixed": 13})


def test_the_picture_of_the_page_in_the_documentation_is_how_it_opens(reader, pages, tmp_path):
    reader.open(pages("teaching"), width=1280, height=780)
    shot = tmp_path / "page.png"
    shot.write_bytes(base64.b64decode(reader.tab.call("Page.captureScreenshot")["data"]))
    shown = Path(__file__).parents[2] / "docs" / "page.png"
    assert np.abs(shades(shot) - shades(shown)).mean() < 0.02
