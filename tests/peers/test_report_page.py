"""Reports in a browser: axe-core finds nothing, they fit a telephone and a sheet of paper, and ask for nothing."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from peers import browser

import gatewise as gw
from tests.test_report import rain

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(browser.found() is None, reason=f"none of {', '.join(browser.NAMES)} is here"),
]

DAYS = np.datetime64("1999-12-01") + np.arange(400)


def one_cell():
    """A network of one cell, on days."""
    rng = np.random.default_rng(0)
    network = gw.Network(gw.LSTM(3, 8, rng=0), head=gw.Linear(rng.normal(size=(1, 8)).astype(np.float32)))
    labels = gw.Labels(features=["rain", "warmest", "coldest"], outputs=["q"], times=DAYS)
    return gw.report(network, rng.gamma(0.5, 1, (400, 3)), labels=labels, title="A model of rain")


def eight_cells():
    """A batch through four bidirectional layers, of which some steps are not valid."""
    lstm = gw.LSTM(2, 5, num_layers=4, bidirectional=True, rng=0)
    return gw.report(lstm, np.random.default_rng(0).normal(size=(30, 3, 2)), lengths=[30, 12, 21])


def refused():
    """A variant that most questions cannot be asked of, with names that are too long."""
    variant = gw.Variant(
        cell_clip=0.5, input_activation="softplus", forget_activation="tanh", layer_norm="haste", epsilon=1e-5
    )
    cell = gw.LSTMCell(2, 3, variant=variant, rng=0)
    labels = gw.Labels(features=["a" * 90, "<b>"], units=["unit " * 20, "u" * 90, "</svg>"], times=["t" * 40] * 6)
    return gw.report(gw.LSTM.from_cells(cell), np.ones((6, 2)), labels=labels, title="x" * 120)


def tokens():
    head = gw.Linear(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), None, "softmax")
    embedding = np.random.default_rng(1).normal(size=(9, 2))
    network = gw.Network(gw.LSTM(2, 3, rng=0), embedding=embedding, head=head, reads="last")
    return gw.report(network, np.arange(12) % 9)


REPORTS = {"one cell": one_cell, "eight cells": eight_cells, "refused": refused, "tokens": tokens}


@pytest.fixture(scope="module")
def tab():
    with browser.page() as page:
        yield page


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return a function that writes a page, each once, and returns its address."""
    folder, written = tmp_path_factory.mktemp("pages"), {}

    def address(name):
        if name not in written:
            path = folder / f"{len(written)}.html"
            REPORTS[name]().save(path)
            written[name] = path.as_uri()
        return written[name]

    return address


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", REPORTS)
def test_axe_finds_nothing(tab, pages, name, scheme, width):
    tab.look(width=width, scheme=scheme)
    tab.open(pages(name))
    tab.check_axe(15)


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_asks_for_nothing_reports_nothing_and_fits_a_telephone(tab, pages, name):
    tab.look(width=390, height=800)
    tab.open(pages(name))
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    asked = [event["params"]["request"]["url"] for event in tab.reported("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:image/png")] == [pages(name)]
    assert not tab.reported("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


@pytest.mark.parametrize("name", REPORTS)
def test_the_text_of_pictures_can_be_read_on_a_telephone_and_is_not_cut(tab, pages, name):
    sizes = """[...document.querySelectorAll('svg text')].map(t => {
      const {a, b} = t.getScreenCTM();
      return parseFloat(getComputedStyle(t).fontSize) * Math.hypot(a, b);
    })"""
    for width, least in ((390, 5.0), (1280, 8.0)):
        tab.look(width=width)
        tab.open(pages(name))
        assert min(tab.evaluate(sizes)) > least
    cut = """[...document.querySelectorAll('svg text')].filter(t => {
      const [text, all] = [t.getBoundingClientRect(), t.ownerSVGElement.getBoundingClientRect()];
      return text.left < all.left - 2 || text.right > all.right + 2 || text.bottom > all.bottom + 2;
    }).map(t => t.textContent)"""
    assert tab.evaluate(cut) == []


def test_pictures_follow_the_reader_s_ground(tab, pages):
    colours = "[...document.querySelectorAll('svg text')].map(t => getComputedStyle(t).fill)"
    tab.open(pages("one cell"))
    found = {}
    for scheme in ("light", "dark"):
        tab.look(scheme=scheme)
        found[scheme] = set(tab.evaluate(colours))
    assert found["light"] == {"rgb(29, 33, 37)"}
    assert found["dark"] == {"rgb(228, 231, 234)"}


@pytest.mark.parametrize("name", ["one cell", "eight cells"])
def test_no_picture_is_cut_by_the_end_of_a_sheet(tab, pages, name):
    tab.look(width=794, height=1123)
    tab.open(pages(name))
    printed = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    boxes = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)
    assert boxes
    assert {tuple(round(float(one)) for one in box.split()[2:]) for box in boxes} == {(595, 842)}
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        height = tab.evaluate("Math.max(...[...document.querySelectorAll('figure')].map(f => f.offsetHeight))")
        assert height < 1123 / 2  # so that it never need be cut; that it must not is in the style sheet
        kept = "[...document.querySelectorAll('figure')].every(f => getComputedStyle(f).breakInside === 'avoid')"
        assert tab.evaluate(kept)
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")


def test_the_questions_are_links_that_a_keyboard_follows(tab, pages):
    tab.look()
    tab.open(pages("one cell"))
    tab.press("Tab", 9)
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.press("Tab", 9)
    tab.press("Tab", 9)
    tab.press("Enter", 13, "\r")
    assert tab.evaluate("document.querySelector(':target').id") == "q1"


def test_the_same_run_gives_the_same_bytes():
    network, x, labels = rain()
    first, second = (gw.report(network, x, labels=labels).html() for _ in range(2))
    assert first == second
