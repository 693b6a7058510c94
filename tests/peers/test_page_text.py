"""No text of the page lies on other text, at the size that it has and at twice that size."""

from __future__ import annotations

import pytest
from pairwise import pairs
from peers.overlaps import OVERLAPPING
from peers.test_page_axe import PLACES

pytestmark = pytest.mark.peers


@pairs(place=PLACES, width=(360, 700, 1280), size=("100%", "200%"))
def test_no_text_lies_on_other_text(reader, pages, place, width, size):
    name, address = PLACES[place]
    reader.open(pages(name) + address, width=width)
    reader.ask(f"document.documentElement.style.setProperty('font-size', '{size}')")
    reader.hash()
    texts, overlapping = reader.ask(OVERLAPPING)
    assert overlapping == []
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
