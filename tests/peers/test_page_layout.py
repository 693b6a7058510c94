"""What is seen together: two panes or one column, and nothing that is pressed goes out of sight."""

from __future__ import annotations

import pytest
from peers.reader import Reader

pytestmark = pytest.mark.peers

OPEN = {
    "teaching": "#v1&step=3&show=f&level=step&chapter=1",
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
        for seen in ("stage", "player", "strip"):
            left, top, right, bottom = rectangle(reader, by_id(seen))
            assert 0 <= left < right <= middle
            assert 0 <= top < bottom <= height, seen
        left, top, right, _ = rectangle(reader, by_id(part))
        assert middle <= left < right <= width
        assert 0 <= top < height
        assert 0 <= rectangle(reader, by_id("path"))[1] < 120


@pytest.mark.parametrize("width", [360, 700, 1000, 1280])
@pytest.mark.parametrize("name", OPEN)
def test_nothing_that_is_pressed_goes_out_of_view(reader, pages, name, width):
    found = {}
    for place in PLACES:
        reader.open(pages(name) + OPEN[name], width=width, height=800)
        reader.tab.rest()
        count = reader.ask(f"{THINGS}({place!r}).length")
        for n in range(0, count, 1 if count < 20 else 5):
            reader.open(pages(name) + OPEN[name], width=width, height=800)
            reader.tab.rest()
            label = reader.ask(f"(window.one = {THINGS}({place!r})[{n}]).getAttribute('aria-label') ?? one.textContent")
            reader.tab.click("window.one")
            reader.tab.rest()
            found[place, label] = reader.ask(STAYS)
    assert {key: said for key, said in found.items() if said not in ("seen", "gone")} == {}
    assert list(found.values()).count("gone") <= 2
    assert len(found) > 20
