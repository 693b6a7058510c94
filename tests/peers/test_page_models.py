"""The page of a model of one's own, and what is taken away from it."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from peers.page_files import LENGTH
from peers.reader import Reader, seen, shown

import gatewise as gw
from tests.test_report import rain

pytestmark = pytest.mark.peers


# 8: one's own model.


def rows_of(reader: Reader) -> list[int]:
    """Return the units of the strip from top to bottom."""
    names = reader.ask("[...document.querySelectorAll('[role=rowheader]')].map(one => one.textContent)")
    return [int(name.removeprefix("unit ")) for name in names]


def test_a_model_opens_with_a_tour_of_it_and_no_column_is_cut_off(reader, pages, tmp_path):
    lstm, x = gw.LSTM(3, 6, rng=0), np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    gw.page(lstm, x, title="Six units").save(tmp_path / "six.html")
    trace = lstm.trace(x)[0]
    unit = int(np.argmax(trace.forget_gate.mean(axis=0)))
    step = 1 + int(np.argmax(np.abs(np.diff(trace.cell_state[:, unit]))))
    reader.open((tmp_path / "six.html").as_uri(), height=800)
    reader.sees("[role=gridcell]")
    edge = "document.querySelector('#field .scroller')"
    assert reader.ask(f"{edge}.scrollWidth - {edge}.clientWidth") <= 0
    assert reader.says("#path h2") == "Overview"
    share = f"{100 * trace.forget_gate[:, unit].mean():.1f}\u00a0% open"
    assert f"unit {unit}: its forget gate is {share}" in reader.ask("document.querySelector('.tour').textContent")
    reader.click(".tour button", "Open this step")
    reader.sees("#step h2", f"Step {step}, unit {unit}")
    assert not reader.has("#margin")
    reader.keys("Escape")
    reader.click(".tour button", "Show the gradients")
    reader.sees("#loss h2")
    assert not reader.has("#margin")


def test_a_model_of_ones_own_opens_with_its_layers_names_and_dates(reader, pages):
    network, x, labels = rain()
    trace = network.trace(x[:, None], lengths=[LENGTH])
    reader.open(pages("own"))
    assert reader.says("h1") == "own.safetensors on own.csv"
    assert reader.has("#strip")
    assert not reader.has("#stage")
    assert reader.says("#margin h2") == "A tour of this model"
    assert reader.has("[role=columnheader]", str(labels.times[0]))
    reader.click("#strip [role=tab]", "layer 1")
    reader.click("#strip [role=tab]", "backward in time")
    cell = trace.lstm[1, "backward"]
    texts = "[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)"
    reader.sees("[role=gridcell]", shown(cell.forget_gate[0, 0, 0]))
    for row, unit in enumerate(rows_of(reader)):
        found = reader.ask(texts)[row * len(x) : (row + 1) * len(x)]
        assert [float(one) for one in found[:LENGTH]] == pytest.approx(cell.forget_gate[:LENGTH, 0, unit], abs=5e-5)
        assert found[LENGTH:] == ["–", "–"]
    reader.click("[role=gridcell]", f"step 4 ({labels.times[4]})", nth=rows_of(reader).index(2))
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
    assert rows_of(reader) == list(order)
    reader.ask(f"{seen('#strip select', 'Order')}.focus()")
    reader.keys("Home")
    reader.sees("[role=rowheader]:first-child", "0")
    assert rows_of(reader) == [0, 1, 2]


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
    before, url = reader.says("main"), reader.ask("location.href")
    with reader.tab.another():
        reader.open(url)
        assert reader.says("main") == before
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
            for gate_name, values in (("forget_gate", cell.forget_gate), ("output_gate", cell.output_gate)):
                for unit in range(3):
                    (column,) = [
                        n
                        for n, name in enumerate(rows[0])
                        if re.fullmatch(rf"layer {layer} {direction} {gate_name} .*\b{unit}", name)
                    ]
                    found = [row[column] for row in rows[1:]]
                    assert [float(one) for one in found[:LENGTH]] == pytest.approx(values[:LENGTH, 0, unit], rel=1e-12)
                    assert set(found[LENGTH:]) <= {"", "nan", "NaN"}
