"""axe-core finds nothing on the page that is played with, however it is looked at."""

from __future__ import annotations

import pytest
from pairwise import pairs

from gatewise.playground import scenes

pytest.importorskip("axe_playwright_python")
pytestmark = pytest.mark.peers


def chapter_addresses() -> dict[str, str]:
    """Return the address of every chapter of the teaching page; those of the first scene do not name it."""
    names = [chapter["scene"] for chapter in scenes.teaching()["chapters"]]
    return {
        f"chapter {n}": f"#v1&{'' if name == names[0] else f'scene={name}&'}chapter={n}" for n, name in enumerate(names)
    }


SCENES = scenes.teaching()["scenes"]["scene"][1:]
PLACES = {
    "untouched": ("teaching", ""),
    "a step": ("teaching", "#v1&step=3&level=step"),
    "a number": ("teaching", "#v1&step=3&level=number&name=f&edits=0,0,x,3,1,0.5"),
    "a product": ("teaching", "#v1&step=6&level=product&name=a_o&product=3"),
    "a weight": ("teaching", "#v1&step=6&level=number&name=W_o[0,3]"),
    "backward": ("teaching", "#v1&step=3&level=step&backward=1&show=dc&name=dc"),
    "a gradient": ("teaching", "#v1&step=3&level=number&backward=1&show=dc&name=dW_g[0,1]&loss=h,0,0,0,6"),
    "a chapter": ("teaching", "#v1&step=6&show=h&level=step&chapter=4"),
    "worked lines": ("teaching", "#v1&step=0&show=h&level=step&chapter=8&edits=0,0,x,0,0,-0.1"),
    **{name: ("teaching", address) for name, address in chapter_addresses().items()},
    **{f"{scene}, untouched": ("teaching", f"#v1&scene={scene}") for scene in SCENES},
    "keys": ("teaching", ""),
    **{f"{name}, untouched": (name, "") for name in ("own", "large", "hostile", "spoiled")},
    "own": ("own", "#v1&step=4&layer=1&direction=1&level=number&name=c"),
    "large": ("large", "#v1&step=40&level=number&name=f&unit=3"),
    "hostile": ("hostile", "#v1&step=3&level=product&name=a_f&product=1"),
    "spoiled": ("spoiled", "#v1&step=3&level=number&name=a_f"),
}


@pairs(place=PLACES, width=(360, 1280), scheme=("light", "dark"))
def test_axe_finds_nothing_on_any_page(reader, pages, place, width, scheme):
    name, address = PLACES[place]
    reader.open(pages(name) + address, width=width, scheme=scheme)
    if place == "keys":
        reader.keys("?")
        reader.sees("#keys kbd")
        reader.click("button", "your model")
    reader.tab.check_axe()


def test_axe_finds_nothing_on_paper(reader, pages):
    reader.open(pages("teaching") + PLACES["a number"][1], media="print", width=794)
    reader.tab.check_axe()


# Before an old number "was" is spoken, which nobody sees.
NAMED = """axe.run({include: ['#strip', '#step', '#number', '#loss', '#changes', '#foot', '#margin']}, {
    runOnly: {type: 'rule', values: ['label-content-name-mismatch']},
}).then(({violations}) => violations.flatMap(({nodes}) => nodes).filter(({target: [selector]}) =>
    !document.querySelector(selector).querySelector('.was')).map(({html}) => html))"""


@pytest.mark.parametrize("place", ["a number", "a product", "a gradient", "a chapter", "own", "hostile"])
def test_what_is_read_on_a_button_is_in_its_accessible_name(reader, pages, place):
    name, address = PLACES[place]
    reader.open(pages(name) + address)
    reader.tab.check_axe()
    assert reader.ask(NAMED) == []
