"""Play moves: water flows and numbers travel, unless the reader wants less motion."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.peers

MOVING = """[
    document.querySelectorAll(".traveller").length,
    [...document.querySelectorAll(".stream")].filter(one => one.getAnimations().length).length,
]"""
PLAY = "document.querySelector('[aria-keyshortcuts=Space]').click()"


@pytest.mark.parametrize("address", ["#v1&step=2", "#v1&step=2&backward=1&show=dc"])
def test_numbers_travel_along_the_pipes_and_water_flows_while_it_plays(reader, pages, address):
    reader.open(pages("teaching") + address, still=False)
    assert reader.ask(MOVING) == [0, 0]
    reader.ask(PLAY)
    reader.tab.wait_until(f"{MOVING}[0] > 2 && {MOVING}[1] === 8")
    places = [reader.ask("(b => [b.x, b.y])(document.querySelector('.traveller').getBoundingClientRect())")]
    reader.tab.wait_until(f"""(b => b && Math.hypot(b.x - {places[0][0]}, b.y - {places[0][1]}) > 5)(
        document.querySelector('.traveller')?.getBoundingClientRect())""")
    reader.ask(PLAY)
    reader.tab.wait_until(f"`${{{MOVING}}}` === '0,0'")


def test_nothing_travels_that_is_asked_for(reader, pages):
    reader.open(pages("teaching") + "#v1&chapter=5&step=1", still=False)
    reader.sees("#margin .question")
    reader.ask(PLAY)
    reader.tab.wait_until(f"{MOVING}[1] === 8 && {MOVING}[0] > 0")
    said = reader.ask("[...document.querySelectorAll('.traveller')].map(one => one.textContent)")
    asked = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    assert not set(said) & {"0.8743", "0.77", "0.6782", "0.5974", "0.5262", "0.4635"}, (said, asked)


def test_nothing_moves_where_the_reader_wants_less_motion(reader, pages):
    reader.open(pages("teaching") + "#v1&step=2")
    reader.ask(PLAY)
    reader.sees(".player", "step 4 of")
    assert reader.ask(MOVING) == [0, 0]
