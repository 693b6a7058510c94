"""The strip beside what is opened: where an opened product came from, and gradients along it, from the loss back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from peers.reader import seen

import gatewise as gw

pytestmark = pytest.mark.peers

LIT = "[...document.querySelectorAll('{}')].map(one => one.getAttribute('aria-label') ?? one.textContent)"


def test_an_opened_product_lights_up_where_its_input_came_from_in_the_strip(reader, pages):
    address = pages("teaching") + "#v1&step=3&level=product&name=a_f&chapter=4&edits=&show="
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
    canvas, drawn = "document.querySelector('#strip canvas')", []
    for product in (7, 8):
        reader.open(pages("large") + f"#v1&step=30&show=h&level=product&name=a_f&product={product}")
        reader.sees("#number .factors-open", f"h of unit {product} at step 29")
        reader.tab.wait_until(f"!!{canvas}?.style.width")  # it is drawn when the whole run is known, and not before
        reader.tab.rest()
        drawn.append(reader.ask(f"{canvas}.toDataURL()"))
    reader.keys("Escape")
    reader.sees("#number .product[aria-expanded=false]")
    reader.tab.wait_until("document.querySelectorAll('#number .factors-open').length === 0")
    reader.tab.rest()
    assert len({*drawn, reader.ask(f"{canvas}.toDataURL()")}) == 3


def test_backward_the_strip_itself_shows_the_gradient_at_the_cell_state_and_goes_back(reader, pages):
    names = {"teaching": "dc", "own": "dc", "zoneout": "dc_new"}
    for page, name in names.items():
        reader.open(pages(page) + "#v1&step=1&level=step")
        shown = "document.getElementById('quantity').value"
        reader.sees("#strip .way", "the cell goes forward in time")
        reader.keys("b")
        reader.tab.wait_until(f"{shown} === '{name}'")
        reader.sees("#strip .way", "the gradient goes backward in time")
        assert reader.says("#strip .way").count("←") == 2
        assert reader.ask(f"!!{seen('#strip .ramp.signed')}")
        reader.sees("#loss .along h3", "The gradient with respect to c")
        assert f"show={name}&" in reader.hash()
        assert len(reader.says(".moment")) > 20
        lowest, highest = (float(reader.says("#strip .legend .number", nth=k)) for k in (0, 1))
        assert lowest == -highest < 0
    reader.open(pages("own") + "#v1&direction=1")
    reader.sees("#strip .way", "the cell goes backward in time")
    reader.keys("b")
    reader.sees("#strip .way", "the gradient goes forward in time")


def test_the_stage_of_a_cell_with_zoneout_has_water_in_all_pipes(reader, pages):
    for backward in ("", "&backward=1"):
        reader.open(pages("zoneout") + "#v1&step=3&unit=1&level=step" + backward)
        widths = reader.ask(
            "[...document.querySelectorAll('.picture .flow')].map(one => parseFloat(one.style.strokeWidth))"
        )
        assert len(widths) == 8
        assert all(one > 0 for one in widths), widths


def test_what_is_merged_of_both_directions_leads_to_them_and_a_softmax_has_its_curve(reader, pages):
    reader.open(pages("averaged") + "#v1&step=3&layer=1&level=number&name=x[1]")
    reader.sees("#number .what", "It is the average of h of unit 1 at step 3 forward in time and h of unit 1")
    reader.click("#number .what button", nth=1)
    reader.sees("#number h2", "h of unit 1, step 3")
    reader.sees("#strip .tabs [aria-selected=true]", "backward in time")
    reader.open(pages("averaged") + "#v1&step=3&layer=1&level=product&name=a_f&product=3&show=x")
    reader.sees("#number .factors-open", "which is the average of h of")
    assert reader.ask("document.querySelectorAll('.cell.lit').length") == 1
    reader.open(pages("averaged") + "#v1&step=3&layer=1&level=number&name=y[1]@head")
    value = float(reader.says("#number h2 .number"))
    reader.sees("#number .curve figcaption", "while the others stay, at ay")
    assert float(reader.says("#number .curve figcaption").split()[-1]) == pytest.approx(value, abs=1e-4)
    reader.sees("#number h3", "The sum ay")


def test_tokens_are_named_wherever_their_step_is(reader, pages):
    reader.open(pages("tokens") + "#v1&step=1&level=step", width=360)
    headers = reader.ask("[...document.querySelectorAll('.grid .times > *')].map(one => one.textContent)")
    assert headers == ["step: token", "0: 4", "1: 17", "2: 30", "3: 2", "4: 9"]
    assert reader.has(".player .where", "token 17")
    assert reader.has("[role=gridcell][aria-selected=true]", "step 1 (token 17)")
    assert reader.says("#step h2") == "Step 1 (token 17), unit 0"
    assert reader.says("#step .node .head") == "x of token 17"
    reader.keys("b")
    reader.sees("#step h2", "Backward through step 1 (token 17)")
    boxes = reader.ask("""[...document.querySelectorAll('#step .graph .bar > span')].map(one => {
        const [own, row] = [one.getBoundingClientRect(), one.parentElement.getBoundingClientRect()];
        return [own.width, row.right - own.right];
    })""")
    assert len(boxes) > 3
    assert all(width > 2 and abs(right) < 0.5 for width, right in boxes), boxes


def test_colours_are_as_strong_as_the_numbers_and_none_is_near_black(reader, pages):
    lights = """[...document.querySelectorAll('.cell')].map(one => {
        const [r, g, b] = getComputedStyle(one).backgroundColor.match(/\\d+/g).map(Number);
        return 0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2;
    })"""
    for chapter in ("", "&chapter=4&edits="):  # which asks for the last number, the one that is large
        reader.open(pages("teaching") + "#v1&step=3&show=h" + chapter)
        pale = reader.ask(lights)[:-1]
        assert min(pale) > 0.7, "h shows nothing"
        assert [reader.says("#strip .legend .number", nth=k) for k in (0, 1)] == ["-1", "1"]
    reader.open(pages("teaching") + "#v1&step=3&show=c")
    held = reader.ask(lights)
    assert all(0.08 < light < 0.35 for light in held), "a held bit is strong, but not near black"


def test_gradients_are_on_a_logarithmic_scale_on_ones_own_page_until_it_is_turned_off(reader, pages):
    button, pressed = "#strip .legend .scale", "[...document.querySelectorAll('.scale')].map(one => one.ariaPressed)"
    reader.open(pages("teaching") + "#v1&step=1&backward=1")
    reader.sees("#loss .scale")
    assert reader.ask(pressed) == ["false", "false"]
    reader.open(pages("large") + "#v1&step=280&backward=1")
    reader.sees("#strip .legend", "Logarithmic: 12 powers of ten")
    reader.sees("#loss figcaption", "Logarithmic: ")
    drawn = reader.ask("document.querySelector('#strip canvas').toDataURL()")
    reader.click(button)
    reader.tab.wait_until(f"{pressed}.join() === 'false,false'")
    assert "&scale=linear" in reader.hash()
    assert "Logarithmic" not in reader.says("main")
    assert reader.ask("document.querySelector('#strip canvas').toDataURL()") != drawn
    reader.open(pages("teaching") + "#v1&step=1&backward=1&scale=log")
    reader.tab.wait_until(f"{pressed}.join() === 'true,true'")
    reader.keys("b")
    reader.tab.wait_until(f"{pressed}.length === 0")


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_dates_and_names_of_steps_stand_beside_each_other(reader, tmp_path, width):
    rng = np.random.default_rng(0)
    hours = np.datetime64("2021-03-01T00:00") + np.arange(14) * np.timedelta64(1, "h")
    names = [f"the {'hundred and ' * (n % 3)}{n}th day" for n in range(30)]
    for times in (hours, names, hours.astype("datetime64[D]")[0] + np.arange(60)):
        x = rng.normal(size=(len(times), 2))
        gw.page(gw.LSTM(2, 3, rng=0), x, labels=gw.Labels(times=times)).save(tmp_path / "page.html")
        for step in (0, 5, len(times) - 1):
            reader.open((tmp_path / "page.html").as_uri() + f"#v1&step={step}", width=width)
            reader.tab.rest()
            boxes = reader.ask("""[...document.querySelectorAll('.time span:not(.visually-hidden)')].map(one => {
                const {left, right} = one.getBoundingClientRect();
                return [left, right, getComputedStyle(one).fontWeight];
            }).sort((a, b) => a[0] - b[0])""")
            assert len([weight for *_, weight in boxes if weight == "600"]) == 1  # that of the chosen step
            assert all(left - right > 8 for (_, right, _), (left, *_) in itertools.pairwise(boxes))
            assert len(boxes) > 1
