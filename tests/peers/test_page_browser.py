"""The page that is played with: each thing that it promises, done as a person does it."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from page_cases import expected, run_of
from peers import browser
from peers.page_files import LENGTH, addresses
from peers.reader import Reader, seen
from test_report import rain

import gatewise as gw
from gatewise.examples import latch
from gatewise.playground.lesson import chapters
from gatewise.playground.subject import subject_of

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(browser.found() is None, reason=f"none of {', '.join(browser.NAMES)} is here"),
]
LATCH = gw.LSTM.from_cells(latch().cell).trace(latch().x)
CELL = LATCH[0]
LAST = len(latch().x) - 1


@pytest.fixture(scope="module")
def tab():
    with browser.page() as page:
        yield page


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return addresses(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def reader(tab):
    """Someone at the page, who in the end has seen no error and nothing that was asked of a network."""
    yield Reader(tab)
    assert not tab.reported("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    asked = [event["params"]["request"]["url"] for event in tab.reported("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    assert tab.evaluate("document.getElementById('status').textContent") == ""


def shown(value: float, digits: int = 4) -> str:
    """Return a number as the page writes it, where it is neither very small nor very large."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def gate(reader: Reader, name: str) -> float:
    """Return how far a valve says that it is open."""
    return float(reader.ask(f"{seen('[role=slider]', name)}.getAttribute('aria-valuetext')").split(",")[0])


def edited(edits) -> gw.LSTMTrace:
    """Return the run of the latch with other numbers: the name, step, place and value of each."""
    parameters, x, state = latch().cell.parameters, np.array(latch().x), np.zeros((2, 1))
    weight, bias = np.array(parameters.weight), np.array(parameters.bias)
    for name, step, at, value in edits:
        if name == "x":
            x[step, at[0]] = value
        elif name in ("h_prev", "c_prev"):
            state["hc".index(name[0]), 0] = value
        else:
            (weight if name[0] == "W" else bias)[("ifgo".index(name[2]), *at)] = value
    lstm = gw.LSTM.from_cells(parameters.replace(weight=weight, bias=bias))
    return lstm.trace(x, [[gw.State(*state)]])


def numbers(trace: gw.LSTMTrace, loss_at: int = LAST) -> dict[str, np.ndarray]:
    """Return by their names all quantities of a run of the latch, by step; the loss is h at a step."""
    run = run_of(subject_of(trace, None, 0, {}))
    run.dy = np.zeros_like(run.output)
    run.dy[loss_at] = 1
    run.backward()
    return {one["name"]: np.array(one["values"], float) for one in expected(run) if one["layer"] == 0}


# 1: untouched, it reads well.


def test_untouched_the_latch_runs_and_says_what_happens(reader, pages):
    reader.open(pages("teaching"), still=False)
    assert reader.says("h1") == "An LSTM you can see through"
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
    level = f"{seen('.picture .water, .picture .level')}.getBoundingClientRect().height"
    full = reader.ask(level)
    assert full > 20
    reader.open(pages("teaching") + "#v1&step=3&edits=0,0,x,3,1,0.5")
    assert reader.ask(level) / full == pytest.approx(0.4938 / 0.9852, rel=0.05)


def test_a_valve_is_dragged_with_the_pointer(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    assert gate(reader, "forget gate") == pytest.approx(0.9975, abs=1e-4)
    valve = seen("[role=slider]", "forget gate")
    width, height = reader.ask(f"(b => [b.width, b.height])({valve}.querySelector('.frame').getBoundingClientRect())")
    reader.tab.drag(valve, *((0, 0.2 * height) if height > width else (-0.2 * width, 0)))
    reader.sees(".turned", "The bias of the forget gate is now")
    opened = gate(reader, "forget gate")
    assert opened == pytest.approx(0.3, abs=0.03)
    cell = gw.LSTM.from_cells(latch().cell)
    bias = float(re.search(r"is now (-?[\d.]+)", reader.says(".turned"))[1])
    parameters = cell.layers[0][0].parameters
    biases = np.array(parameters.bias)
    biases[1, 0] = bias
    expected = gw.LSTM.from_cells(parameters.replace(bias=biases)).trace(latch().x)[0].cell_state[3, 0, 0]
    assert reader.has("svg text, svg .caption", shown(expected))
    reader.keys("Backspace")
    reader.tab.wait_until(f"!{seen('.turned')}?.textContent")
    assert gate(reader, "forget gate") == pytest.approx(0.9975, abs=1e-4)


def test_a_valve_is_turned_with_the_keyboard(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    reader.tab_to("[role=slider]", "input gate")
    reader.keys("PageUp", "PageUp", "ArrowUp")
    reader.sees(".turned", "The bias of the input gate is now")
    assert gate(reader, "input gate") == pytest.approx(0.45, abs=0.01)
    reader.keys("Home")
    reader.tab.wait_until(f"parseFloat({seen('[role=slider]', 'input gate')}.getAttribute('aria-valuenow')) < 0.01")
    reader.keys("Backspace")
    reader.tab.wait_until(f"!{seen('.turned')}?.textContent")
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
    trace = gw.LSTM(5, 40, rng=0).trace(np.random.default_rng(0).normal(size=(300, 5)))[0]
    assert reader.has("#strip canvas")
    reader.tab_to("[role=gridcell], [role=grid]")
    reader.keys("ArrowRight", "ArrowRight", "ArrowRight")
    reader.sees(".player", "step 3 of 0–299")
    reader.keys("End")
    reader.sees(".player", "step 299 of 0–299")
    order = gw.insight.timescales(trace).timescale.argsort(kind="stable")[::-1]
    longest = gw.insight.timescales(trace).timescale.argmax()
    first = int(re.search(r"unit (\d+)|^(\d+),", reader.says(".reading"))[0].strip(" ,unit"))
    assert first in (longest, order[0], 0)
    assert shown(trace.forget_gate[299, 0, first]) in reader.says(".reading")
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
    products = reader.ask(
        "[...document.querySelectorAll('#number .product .value')].map(one => Number(one.textContent))"
    )
    assert products == sorted(products, key=abs, reverse=True)
    assert sum(products) == pytest.approx(float(re.search(r"together\D*(-?[\d.]+)", reader.says("#number .total"))[1]))
    assert sum(products) == pytest.approx(5.998, abs=0.01)
    assert reader.ask("document.querySelectorAll('.lit').length") == 0
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
    texts = reader.ask("[...document.querySelectorAll('math')].map(one => one.getAttribute('aria-label') ?? '')")
    assert len(texts) >= 2
    assert all(len(text) > 5 for text in texts), texts
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
    reader.sees("#changes", "One number is changed")

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
    reader.sees("#changes", "3 numbers are changed")

    run = edited([("W_g", 0, [0, 1], 2), ("b_f", 0, [0], 16), ("c_prev", 0, [0], 0.5)])[0]
    assert shown(run.cell_state[0, 0, 0]) in reader.says('#step [data-ref="0|0|c|0|0"]')
    reader.click("#step input[aria-label^='b_f of latch']")
    reader.type("1x")
    reader.keys("Enter")
    reader.sees("#step .why", "“1x” is no number: it stays 16")
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
    assert "The one is the other." in reader.says("#loss figcaption")
    reader.click("#loss input[aria-label='at which step']")
    reader.type("4")
    reader.keys("Enter")
    found = numbers(LATCH, 4)
    reader.sees('#step [data-ref="0|0|dc|3|0"]', shown(found["dc"][3, 0]))
    cells = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    assert cells[5:] == ["0", "0"]
    assert [float(one) for one in cells[:5]] == pytest.approx(found["dc"][:5, 0], abs=1e-4)
    reader.click("#step summary")
    reader.click("#step [data-ref^='0|0|dW_g|'][data-ref$='|0.1']")
    reader.sees("#number h2", "dWg of latch, bit")
    assert "The sum over steps" in reader.says("#number")
    terms = reader.ask("[...document.querySelectorAll('#number .product .value')].map(one => Number(one.textContent))")
    total = float(re.search(r"([-\d.e]+)$", reader.says("#number .total"))[1])
    assert sum(terms) == pytest.approx(total, rel=1e-3)
    assert total == pytest.approx(found["dW_g"][0, 1], rel=1e-6)
    reader.click("#number .product")
    reader.sees("#number h2", "dag of latch, step 0")
    reader.keys("b")
    reader.tab.wait_until("document.getElementById('loss').hidden")


# 6 and 7: chapters, predictions, worked lines.


def predict(reader: Reader, text: str) -> str:
    """Type a number into the chapter's field and return what is said of it."""
    reader.click("#margin .answer input")
    reader.type(text)
    reader.keys("Enter")
    reader.tab.wait_until(f"!!{seen('#margin .verdict')}?.textContent")
    return reader.says("#margin .verdict")


@pytest.mark.parametrize("number", range(7))
def test_a_chapter_hides_a_number_and_judges_what_is_typed(reader, pages, number):
    chapter = chapters()[number]
    ask, edits = chapter["ask"], [(one["name"], one["step"], one["at"], one["value"]) for one in chapter["edits"]]
    right = float(numbers(edited(edits))[ask["name"]][ask["step"], 0])
    reader.open(pages("teaching"))
    if number:
        reader.click("#margin nav button", f"Chapter {number}")
        reader.click("#margin button", "Next chapter")
        reader.sees("#margin .count", f"Chapter {number + 1} of 8")
    assert reader.says("#margin h2") == chapter["title"]
    assert len(reader.says("#margin .question")) > 20
    said = predict(reader, "12.345")
    assert said.startswith("That is not it.")
    assert not reader.has("#margin .after", " ")
    hidden = "[...document.querySelectorAll('#stage, #strip, #step, #number')].map(one => one.innerText).join(' ')"
    assert shown(right) not in reader.ask(hidden).split()
    assert "?" in reader.ask(hidden).split()
    assert predict(reader, shown(right)).startswith("Right")
    assert shown(right) in reader.ask(hidden)
    assert "?" not in reader.ask(hidden).split()
    reader.click("#margin button", "Ask me again")
    reader.tab.wait_until(f"{hidden}.includes('?')")
    reader.click("#margin button", "Show it")
    reader.sees("#margin .verdict", f"It is {shown(right)[:5]}")


def test_a_wrong_number_is_told_its_likely_cause_and_a_rounded_one_is_right(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 4")
    said = predict(reader, shown(float((CELL.output_gate * CELL.cell_state)[6, 0, 0])))
    assert "The likely cause: the tanh of the cell state is missing from h." in said
    assert "is no number" in predict(reader, "much") or "is not a number" in predict(reader, "much")
    assert predict(reader, "0.75").startswith("Right")


def test_the_lines_of_a_step_fade_until_all_are_ones_own(reader, pages):
    reader.open(pages("teaching"))
    reader.click("#margin nav button", "Chapter 8")
    reader.sees("#margin .worked-lines")
    written = re.search(r"edits=([^&]*)", reader.hash())[1]
    edits = []
    for one in written.split(";"):
        _, _, name, step, at, value = one.split(",")
        edits.append((name, int(step or 0), [int(n) for n in at.split(".")], float(value)))
    values = numbers(edited(edits))
    lines = "[...document.querySelectorAll('.worked-lines li')].map(one => [one.querySelector('[role=math]')"
    lines += ".getAttribute('aria-label').split(' = ')[0], one.querySelector('.number')?.textContent ?? null])"
    for choice, count in ((None, 1), ("the last two", 2), (" all", 10)):
        if choice:
            reader.click("#margin .choice label", choice)
        reader.tab.wait_until(f"document.querySelectorAll('.worked-lines .yours').length === {count}")
        for name, text in reader.ask(lines):
            if text is not None:
                assert float(text) == pytest.approx(values[name][0, 0], abs=5e-5), name
        for name in [name for name, text in reader.ask(lines) if text is None]:
            reader.click(f"#margin #answer-{name}-line")
            reader.type(f"{values[name][0, 0]:.6f}")
            reader.keys("Enter")
            reader.sees(f"#margin #answer-{name}-line-verdict", "Right")
        reader.sees("#margin .outcome", "All your lines hold.")
    reader.click("#margin #answer-a_f-line")
    reader.type("9.5")
    reader.keys("Enter")
    reader.sees("#answer-a_f-line-verdict", "That is not it.")
    first = reader.says("#margin .worked-lines")
    reader.click("#margin button", "Another cell")
    reader.tab.wait_until(f"!{seen('.outcome')}?.textContent")
    assert reader.says("#margin .worked-lines") != first


# 8: one's own model.


def test_a_model_of_ones_own_opens_with_its_layers_names_and_dates(reader, pages):
    network, x, labels = rain()
    trace = network.trace(x[:, None], lengths=[LENGTH])
    reader.open(pages("own"))
    assert reader.says("h1") == "own.safetensors on own.csv"
    assert reader.has("#strip")
    assert not reader.has("#stage")
    assert not reader.has("#margin")
    assert reader.has("[role=columnheader]", str(labels.times[0]))
    reader.click("#strip [role=tab]", "layer 1")
    reader.click("#strip [role=tab]", "backward in time")
    cell = trace.lstm[1, "backward"]
    texts = "[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)"
    reader.sees("[role=gridcell]", shown(cell.forget_gate[0, 0, 0]))
    for row in range(3):
        found = reader.ask(texts)[row * len(x) : (row + 1) * len(x)]
        assert [float(one) for one in found[:LENGTH]] == pytest.approx(cell.forget_gate[:LENGTH, 0, row], abs=5e-5)
        assert found[LENGTH:] == ["–", "–"]
    reader.click("[role=gridcell]", f"step 4 ({labels.times[4]})", nth=2)
    reader.sees("#step h2", f"Step 4 ({labels.times[4]}), unit 2")
    assert reader.has("#stage")
    assert reader.has('#step [data-ref="1|1|c|4|2"]', shown(cell.cell_state[4, 0, 2]))
    assert reader.has("#step [data-ref^='2|0|y|4|']", shown(trace.output[4, 0, 1]))
    reader.click("#step [data-ref^='2|0|y|4|']", nth=1)
    reader.sees("#number h2", shown(trace.output[4, 0, 1]))
    reader.click("#strip [role=tab]", "layer 0")
    reader.sees("#step [data-ref^='0|']", "rain")
    assert "398 parameters" in reader.says("#foot")


def test_the_order_of_units_follows_their_timescales(reader, pages):
    reader.open(pages("exported"))
    network, x, _ = rain()
    cell = network.lstm.trace(x)[0, "forward"]
    order = np.argsort(-gw.insight.timescales(cell).timescale, kind="stable")
    rows = "[...document.querySelectorAll('[role=rowheader]')].map(one => one.textContent.replace('unit ', ''))"
    found = reader.ask(rows)
    assert found == [str(unit) for unit in order]
    reader.ask(f"{seen('#strip select', 'Order')}.focus()")
    reader.keys("Home")
    reader.tab.wait_until(f"{rows}.join() === '0,1,2'")


# 9: taken away.


def test_the_address_brings_back_what_was_seen_and_changed_in_a_new_tab(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3&level=step")
    reader.click("#step input[aria-label^='x of write']")
    reader.type("0.5")
    reader.keys("Enter", "Escape")
    reader.click('#step [data-ref="0|0|a_f|3|0"]')
    reader.click("#number .product", "write")
    reader.sees("#number .factors-open")
    reader.hash()
    before, url = reader.says("body"), reader.ask("location.href")
    with reader.tab.another():
        reader.open(url)
        assert reader.says("body") == before
        assert reader.ask("document.querySelectorAll('#step .lit').length") >= 2
        reader.keys("Backspace")
        reader.tab.wait_until("document.getElementById('changes').hidden")


def test_going_back_in_the_browser_goes_back_on_the_page(reader, pages):
    reader.open(pages("teaching") + "#v1&step=3")
    reader.keys("Enter")
    reader.sees("#step h2")
    reader.hash()
    reader.click('#step [data-ref="0|0|f|3|0"]')
    reader.sees("#number h2")
    reader.hash()
    reader.ask("history.back()")
    reader.tab.wait_until("document.getElementById('number').hidden")
    assert reader.has("#step h2")


def saved(reader: Reader, folder, button: str, name: str) -> str:
    """Press a button that saves a file, and return what is in it."""
    reader.tab.save_to(folder)
    reader.click("#foot button", button)
    until = time.monotonic() + 20
    while not (folder / name).exists() and time.monotonic() < until:
        time.sleep(0.02)
    return (folder / name).read_text(encoding="utf-8")


def test_the_step_taken_away_as_numpy_prints_the_numbers_of_the_page(reader, pages, tmp_path):
    reader.open(pages("own") + "#v1&step=3&layer=1&direction=1&unit=1&level=step")
    code = saved(reader, tmp_path, "NumPy", "step_3.py")
    assert "gatewise" not in re.sub(r"#.*|\"\"\".*?\"\"\"", "", code, flags=re.DOTALL)
    assert compile(code, "step_3.py", "exec")
    run = subprocess.run(
        [sys.executable, str(tmp_path / "step_3.py")], capture_output=True, text=True, timeout=60, check=True
    )
    network, x, _ = rain()
    cell = network.trace(x[:, None], lengths=[LENGTH]).lstm[1, "backward"]
    for name, values in (("f", cell.forget_gate), ("c", cell.cell_state), ("h", cell.hidden_state)):
        printed = re.search(rf"^{name} = \[?([^\]\n]*)", run.stdout, re.MULTILINE)[1]
        assert [float(one) for one in printed.replace(",", " ").split()] == pytest.approx(values[3, 0], abs=1e-6)
        assert reader.has(f'#step [data-ref="1|1|{name}|3|1"]', shown(values[3, 0, 1]))


def test_the_gates_taken_away_as_csv_are_gatewises_own(reader, pages, tmp_path):
    reader.open(pages("own"))
    rows = list(csv.reader(saved(reader, tmp_path, "CSV", "gates.csv").splitlines()))
    network, x, labels = rain()
    trace = network.trace(x[:, None], lengths=[LENGTH])
    assert [row[0] for row in rows[1:]] == [str(time) for time in labels.times]
    assert len(rows[0]) == 1 + 4 * 12
    assert len(set(rows[0])) == len(rows[0])
    for layer in range(2):
        for direction in ("forward", "backward"):
            cell = trace.lstm[layer, direction]
            for gate_name, values in (("forget gate", cell.forget_gate), ("output gate", cell.output_gate)):
                for unit in range(3):
                    (column,) = [
                        n
                        for n, name in enumerate(rows[0])
                        if re.fullmatch(rf"layer {layer} {direction} {gate_name} .*\b{unit}", name)
                    ]
                    found = [row[column] for row in rows[1:]]
                    assert [float(one) for one in found[:LENGTH]] == pytest.approx(values[:LENGTH, 0, unit], rel=1e-12)
                    assert set(found[LENGTH:]) <= {"", "nan", "NaN"}
