"""The strip beside what is opened: where an opened product came from, and gradients along it, from the loss back."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.peers

LIT = "[...document.querySelectorAll('{}')].map(one => one.getAttribute('aria-label') ?? one.textContent)"


def test_an_opened_product_lights_up_where_its_input_came_from_in_the_strip(reader, pages):
    address = pages("teaching") + "#v1&step=3&level=product&name=a_f&chapter=3&edits=&show="
    reader.open(address + "h&product=0")  # that of the hidden state
    cells, steps = LIT.format(".cell.lit"), LIT.format(".grid .time.lit")
    assert reader.has("#number .factors-open", "h of latch at step 2")
    (told,) = reader.ask(cells)
    assert told.startswith("latch, step 2: hidden state ")
    assert told.endswith(", in the opened product")
    assert reader.ask(steps) == ["2", "3"]
    reader.click("#number .product", "write")
    reader.tab.wait_until(f"{cells}.length === 0")
    assert reader.ask(steps) == ["3"]
    reader.open(address + "x&product=2")
    (told,) = reader.ask(cells)
    assert told.startswith("write, step 3: input ")
    reader.open(address + "f&product=0")  # whose strip has none of its numbers, but their steps
    assert reader.ask(cells) == []
    assert reader.ask(steps) == ["2", "3"]
    reader.keys("Escape")
    reader.tab.wait_until(f"{steps}.length === 0")


def test_an_opened_product_is_ringed_in_a_strip_that_is_drawn(reader, pages):
    picture = "document.querySelector('#strip canvas').toDataURL()"
    drawn = []
    for product in (7, 8):
        reader.open(pages("large") + f"#v1&step=30&show=h&level=product&name=a_f&product={product}")
        reader.sees("#number .factors-open", f"h of unit {product} at step 29")
        drawn.append(reader.ask(picture))
    reader.keys("Escape")
    reader.sees("#number .product[aria-expanded=false]")
    reader.tab.wait_until("document.querySelectorAll('#number .factors-open').length === 0")
    assert len({*drawn, reader.ask(picture)}) == 3
