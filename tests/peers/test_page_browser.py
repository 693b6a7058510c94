"""The page that is played with: valves, strip, numbers, changes, gradients, each as a person meets it."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from peers.page_files import CELL, LAST, LATCH, edited, numbers
from peers.reader import Reader, seen, shown

import gatewise as gw
from gatewise.examples import latch

pytestmark = pytest.mark.peers
PRODUCTS = "[...document.querySelectorAll('#number .product .value')].map(one => one.textContent)"


def gate(reader: Reader, name: str) -> float:
    """Return how far a valve says that it is open."""
    return float(reader.ask(f"{seen('[role=slider]', name)}.getAttribute('aria-valuetext')").split(",")[0])


# 1: untouched, it reads well.


def test_untouched_the_latch_waits_and_once_played_says_what_happens(reader, pages):
    reader.open(pages("teaching"), still=False)
    assert reader.says("h1") == "An LSTM you can see through"
    assert reader.says(".moment").count(". ") == 1
    assert reader.says(".moment").startswith("An LSTM reads a sequence")
    time.sleep(2)
    reader.sees(".player", f"step 0 of 0–{LAST}")
    reader.click("button", "Play")
    for step, word in ((0, "writes"), (1, "holds"), (2, "holds")):
        reader.sees(".player", f"step {step} of 0–{LAST}")
        assert word in reader.says(".moment")
        assert reader.has("svg text, svg .caption", shown(CELL.cell_state[step, 0, 0]))
    reader.keys(" ")
    reader.sees("button", "Play")
    here = reader.says(".player")
    time.sleep(1.8)
    assert reader.says(".player") == here
    for step in range(3, LAST + 1):
        reader.keys("ArrowRight")
        reader.sees(".player", f"step {step} of")
        for name, values in (("input gate", CELL.input_gate), ("forget gate", CELL.forget_gate)):
            assert gate(reader, name) == pytest.approx(values[step, 0, 0], abs=1e-4)
    assert "releases" in reader.says(".moment")
    reader.click("button", "A step back")
    reader.sees(".player", f"step {LAST - 1} of")
    assert "holds" in reader.says(".moment")


def test_the_level_of_the_water_is_the_cell_state(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    level = f"{seen('.picture .water.quantity-c')}.getBoundingClientRect().height"
    full = reader.ask(level)
    assert full > 20
    reader.open(pages("teaching") + "#v1&step=3&edits=0,0,x,3,1,0.5")
    assert reader.ask(level) / full == pytest.approx(0.4938 / 0.9852, rel=0.05)


def test_a_valve_is_dragged_with_the_pointer(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    assert gate(reader, "forget gate") == pytest.approx(0.9975, abs=1e-4)
    valve = seen("[role=slider]", "forget gate")
    reader.click("[role=slider]", "forget gate")
    reader.sees(".turned", "Drag it to change the bias of the forget gate, at every step.")
    assert gate(reader, "forget gate") == pytest.approx(0.9975, abs=1e-4)
    height = reader.ask(f"{valve}.querySelector('.frame').getBoundingClientRect().height")
    reader.tab.drag(valve, 0, 0.2 * height)
    reader.sees(".turned", "The bias of the forget gate is now")
    opened = gate(reader, "forget gate")
    assert opened == pytest.approx(0.3, abs=0.03)
    cell = gw.LSTM.from_cells(latch().cell)
    bias = float(re.search(r"is now (-?[\d.]+)", reader.says(".turned"))[1])
    parameters = cell.layers[0][0].parameters
    biases = np.array(parameters.bias)
    biases[1, 0] = bias
    expected = gw.LSTM.from_cells(parameters.replace(bias=biases)).trace(latch().x).stored[0].cell_state[3, 0, 0]
    assert reader.has("svg text, svg .caption", shown(expected))
    reader.keys("Backspace")
    reader.tab.wait_until(f"!{seen('.turned')}?.textContent.includes('is now')")
    assert gate(reader, "forget gate") == pytest.approx(0.9975, abs=1e-4)


def test_a_valve_is_turned_with_the_keyboard(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    reader.tab_to("[role=slider]", "input gate")
    for key, opened in (("PageUp", 0.2), ("PageUp", 0.4), ("ArrowRight", 0.45), ("ArrowDown", 0.4)):
        reader.keys(key)
        now = f"{seen('[role=slider]', 'input gate')}.getAttribute('aria-valuenow')"
        reader.tab.wait_until(f"Math.abs({now} - {opened}) < 0.001")
    assert reader.has(".turned", "The bias of the input gate is now")
    reader.keys("Home")
    reader.tab.wait_until(f"parseFloat({seen('[role=slider]', 'input gate')}.getAttribute('aria-valuenow')) < 0.01")
    reader.keys("Backspace")
    reader.tab.wait_until(f"!{seen('.turned')}?.textContent.includes('is now')")
    assert gate(reader, "input gate") == pytest.approx(0.0025, abs=1e-4)


# 2: the strip.


def test_the_strip_is_walked_with_the_keyboard_and_with_the_pointer(reader, pages):
    reader.open(pages("teaching"))
    assert not reader.has("#step h2")
    reader.tab_to("[role=gridcell]")
    reader.keys("ArrowRight", "ArrowRight")
    reader.sees(".player", "step 2 of")
    value = shown(CELL.forget_gate[2, 0, 0])
    assert value in reader.ask("document.activeElement.getAttribute('aria-label')")
    reader.keys("End")
    reader.sees(".player", f"step {LAST} of")
    reader.keys("Enter")
    reader.sees("#step h2", f"Step {LAST}, latch")
    reader.click("[role=gridcell]", "step 3")
    reader.sees("#step h2", "Step 3, latch")
    for name in ("a_f", "f", "c", "h"):
        assert reader.has(f'#step [data-ref="0|0|{name}|3|0"]'), name
    assert reader.has("#step [data-ref]", shown(CELL.cell_state[3, 0, 0]))
    reader.keys("Escape")
    reader.tab.wait_until("document.getElementById('step').hidden")


def test_the_strip_shows_any_quantity(reader, pages):
    reader.open(pages("teaching"))
    expected = {"c": CELL.cell_state, "h": CELL.hidden_state, "o": CELL.output_gate, "g": CELL.candidate}
    for name, values in expected.items():
        reader.ask(f"{seen('#quantity')}.focus()")
        options = reader.ask("[...document.getElementById('quantity').options].map(one => one.value)")
        reader.keys("Home", *["ArrowDown"] * options.index(name))
        reader.sees("[role=gridcell]", shown(values[2, 0, 0]))
        texts = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
        assert [float(text) for text in texts] == pytest.approx(values[:, 0, 0], abs=5e-5)


def test_a_large_strip_is_drawn_and_has_a_grid_behind_it(reader, pages):
    reader.open(pages("large"))
    trace = gw.LSTM(5, 40, rng=0).trace(np.random.default_rng(0).normal(size=(300, 5))).stored[0]
    reader.sees("#strip canvas")
    reader.tab_to("[role=gridcell]")
    reader.keys("ArrowRight", "ArrowRight", "ArrowRight")
    reader.sees(".player", "step 3 of 0–299")
    reader.keys("End")
    reader.sees(".player", "step 299 of 0–299")
    reader.ask(f"{seen('#strip select', 'Order')}.focus()")
    reader.keys("End")
    reader.ask(f"{seen('[role=gridcell]')}.focus()")
    reader.keys(*["ArrowUp"] * 40)
    slowest = int(gw.insight.timescales(trace).timescale.argmax())
    assert re.match(rf"(unit )?{slowest}, step 299: forget gate ", reader.says(".reading"))
    assert shown(trace.forget_gate[299, 0, slowest]) in reader.says(".reading")
    reader.click("#strip canvas")
    reader.sees("#step h2", "Step ")


# 3: any number opens.


def test_a_number_opens_into_its_sum_and_a_product_into_its_weight(reader, pages):
    reader.open(pages("teaching") + "#v1&step=6&level=step")
    reader.click('#step [data-ref="0|0|o|6|0"]')
    reader.sees("#number h2", "0.9975")
    assert reader.has("#number svg.curve, #number svg", "")
    assert reader.ask("document.querySelectorAll('#number math').length") >= 2
    assert reader.has("#number .sentence", "latch")
    products = [float(text) for text in reader.ask(PRODUCTS)]
    assert products == sorted(products, key=abs, reverse=True)
    assert sum(products) == pytest.approx(float(re.search(r"together\D*(-?[\d.]+)", reader.says("#number .total"))[1]))
    assert sum(products) == pytest.approx(5.998, abs=0.01)
    assert reader.ask("document.querySelectorAll('#step .lit').length") == 0
    reader.click("#number .product", "release")
    reader.sees("#number .factors-open", "release")
    assert reader.ask("document.querySelectorAll('#step .lit').length") >= 2
    reader.click("#number .factors-open [data-ref^='0|0|W_o|']")
    reader.sees("#number h2", "12")
    assert reader.says("#number h2") == "Wo of latch, release: 12"
    reader.keys("Escape")
    reader.tab.wait_until("document.getElementById('number').hidden")


def test_formulas_are_labelled_and_never_inside_of_buttons_or_live_regions(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=number&name=c")
    texts = reader.ask("[...document.querySelectorAll('[role=math]')].map(one => one.getAttribute('aria-label') ?? '')")
    assert len(texts) >= 2
    assert all(len(text) > 5 for text in texts), texts
    assert reader.ask(
        "[...document.querySelectorAll('math')].every(one => one.closest('[role=math], [aria-hidden=true]'))"
    )
    assert reader.ask("document.querySelectorAll('button math, [aria-live] math, [role=status] math').length") == 0


# 4: any number can be changed.

NOTE = """window.glowed = []; new MutationObserver(() => {
    for (const one of document.querySelectorAll('.glows')) window.glowed.push(one.dataset.ref ?? one.className);
}).observe(document.body, {subtree: true, childList: true, attributes: true})"""


def test_an_input_is_changed_and_what_is_downstream_follows(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=step")
    reader.ask(NOTE)
    reader.click("#step input[aria-label^='x of write']")
    reader.type("0.5")
    reader.keys("Enter")
    reader.sees("#changes", "You changed one number")

    run = edited([("x", 3, [1], 0.5)])[0]
    for name, values in (("c", run.cell_state), ("h", run.hidden_state), ("f", run.forget_gate)):
        assert shown(values[3, 0, 0]) in reader.says(f'#step [data-ref="0|0|{name}|3|0"]')
    assert shown(CELL.cell_state[3, 0, 0]) in reader.says('#step [data-ref="0|0|c|3|0"] .was')
    glowed = set(reader.ask("window.glowed"))
    assert {"0|0|c|3|0", "0|0|a_f|3|0", "0|0|h|3|0"} <= glowed
    assert "0|0|c_prev|3|0" not in glowed
    assert "0|0|g|3|0" not in glowed
    most = np.abs(run.hidden_state - CELL.hidden_state).max()
    assert f"The largest change of h is {shown(most)}" in reader.says("#changes .reach")
    reader.keys("Escape", "Backspace")
    reader.tab.wait_until("document.getElementById('changes').hidden")
    assert shown(CELL.cell_state[3, 0, 0]) in reader.says('#step [data-ref="0|0|c|3|0"]')


def test_a_weight_a_bias_and_a_state_are_changed_with_arrows(reader, pages):
    reader.open(pages("teaching") + "#v1&step=0&level=step")
    reader.click("#step summary")
    for label in ("W_g of latch, bit", "b_f of latch", "c_prev of latch"):
        reader.sees(f"#step input[aria-label^='{label}']")
    reader.click("#step input[aria-label^='W_g of latch, bit']")
    reader.keys("ArrowDown")
    reader.sees("#changes", "3 → 2")
    reader.click("#step input[aria-label^='b_f of latch']")
    reader.keys("ArrowUp", shift=True)
    reader.sees("#changes", "6 → 16")
    reader.click("#step input[aria-label^='c_prev of latch']")
    reader.type("0,5")
    reader.keys("Enter")
    reader.sees("#changes", "3 numbers")

    run = edited([("W_g", 0, [0, 1], 2), ("b_f", 0, [0], 16), ("c_prev", 0, [0], 0.5)])[0]
    assert shown(run.cell_state[0, 0, 0]) in reader.says('#step [data-ref="0|0|c|0|0"]')
    reader.click("#step input[aria-label^='b_f of latch']")
    reader.type("1x")
    reader.keys("Enter")
    reader.sees("#step .why", "“1x” isn't a number. The number stays 16")
    reader.keys("Escape")
    reader.click("button", "Back to the original")
    reader.tab.wait_until("document.getElementById('changes').hidden")


# 5: backward.


def test_backward_the_gradient_lives_along_the_strip_and_a_weights_opens_into_its_sum(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=step")
    reader.keys("b")
    reader.sees("#loss", "The loss is")
    reader.sees(".player", "step 3 of")
    found = numbers(LATCH)
    assert shown(found["dc"][3, 0]) in reader.says('#step [data-ref="0|0|dc|3|0"]')
    assert "is left: exactly the product of f" in reader.says("#loss figcaption")
    reader.click("#loss input[aria-label='at step']")
    reader.type("4")
    reader.keys("Enter")
    found = numbers(LATCH, 4)
    reader.sees('#step [data-ref="0|0|dc|3|0"]', shown(found["dc"][3, 0]))
    cells = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    assert cells[5:] == ["0", "0"]
    assert [float(one) for one in cells[:5]] == pytest.approx(found["dc"][:5, 0], abs=1e-4)
    reader.click("#step [data-ref^='0|0|dW_g|'][data-ref$='|0.1']")
    reader.sees("#number h2", "dWg of latch, bit")
    assert "The sum over steps" in reader.says("#number")
    terms = [float(text) for text in reader.ask(PRODUCTS)]
    total = float(re.search(r"([-\d.e]+)$", reader.says("#number .total"))[1])
    assert sum(terms) == pytest.approx(total, rel=1e-3)
    assert total == pytest.approx(found["dW_g"][0, 1], rel=1e-3)
    reader.click("#number .product")
    reader.sees("#number h2", "dag of latch, step 0")
    reader.keys("b")
    reader.tab.wait_until("document.getElementById('loss').hidden")
