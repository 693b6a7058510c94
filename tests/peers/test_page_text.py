"""No text of the page lies on other text, at its own size and at twice that; numbers and quantities are typeset."""

from __future__ import annotations

import itertools

import pytest
from peers.overlaps import OVERLAPPING
from peers.test_page_axe import PLACES

pytestmark = pytest.mark.peers
TYPED = """[...document.querySelectorAll("body *:not(script, style, math *, code, option)")]
    .filter(one => one.checkVisibility()).flatMap(one => [...one.childNodes])
    .filter(node => node.nodeType === 3).map(node => node.data)
    .filter(text => /(?<![\\p{L}\\p{N}_).-])-\\d|(?:^|\\W)d?(?:[WUpab]_[ifgo]|[ch]_prev)(?!\\w)/u.test(text))"""


@pytest.mark.parametrize("place", PLACES)
def test_no_text_lies_on_other_text(reader, pages, place):
    name, address = PLACES[place]
    reader.open(pages(name) + address)
    for size, width in itertools.product(("100%", "200%"), (360, 700, 1280)):
        reader.tab.look(width=width, still=True)
        reader.ask(f"document.documentElement.style.setProperty('font-size', '{size}')")
        reader.tab.rest()
        texts, overlapping = reader.ask(OVERLAPPING)
        assert overlapping == [], (size, width)
        assert texts > 10


@pytest.mark.parametrize(("how", "found"), [("", True), ("visually-hidden", False)])
def test_text_that_lies_on_other_text_is_found(reader, pages, how, found):
    reader.open(pages("teaching"))
    reader.ask(f"""document.getElementById('foot').append(...['first', 'second'].map((text, n) => {{
        const one = document.createElement('p');
        one.textContent = text;
        if (n) one.className = '{how}';
        if (n) one.style.setProperty('margin-top', '-2em');
        return one;
    }}))""")
    assert ("first" in str(reader.ask(OVERLAPPING)[1])) == found


@pytest.mark.parametrize("place", PLACES)
def test_numbers_have_a_minus_and_quantities_their_symbols(reader, pages, place):
    name, address = PLACES[place]
    reader.open(pages(name) + address)
    assert reader.tab.evaluate(TYPED) == []
    reader.ask("document.querySelector('#foot p').textContent = 'It is -0.5.'")
    assert reader.tab.evaluate(TYPED) == ["It is -0.5."]
