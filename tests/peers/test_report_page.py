"""Reports in a browser: axe-core finds nothing, they fit a telephone and a sheet of paper, and ask for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from pairwise import pairs
from peers.page_files import addresses

import gatewise as gw
from tests.test_report import rain

pytestmark = pytest.mark.peers

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
def pages(tmp_path_factory):
    """Return a function that writes a page, each once, and returns its address."""
    return addresses(tmp_path_factory.mktemp("pages"), lambda name, path: REPORTS[name]().save(path))


@pairs(name=REPORTS, scheme=("light", "dark"), width=(390, 1280))
def test_axe_finds_nothing(tab, pages, name, scheme, width):
    tab.look(width=width, scheme=scheme)
    tab.open(pages(name))
    tab.check_axe(15)


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_asks_for_nothing_reports_nothing_and_fits_a_telephone(tab, pages, name):
    tab.check_alone(pages(name), 390)


@pytest.mark.parametrize("name", REPORTS)
def test_the_text_of_pictures_can_be_read_on_a_telephone_and_is_not_cut(tab, pages, name):
    tab.check_pictures(pages(name), (390, 5), (1280, 8))


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
    assert {tuple(map(round, sheet)) for sheet in tab.sheets(printBackground=True)} == {(595, 842)}
    tab.look(width=794, height=1123, media="print")
    height = tab.evaluate("Math.max(...[...document.querySelectorAll('figure')].map(f => f.offsetHeight))")
    assert height < 1123 / 2  # so that it never need be cut; that it must not is in the style sheet
    kept = "[...document.querySelectorAll('figure')].every(f => getComputedStyle(f).breakInside === 'avoid')"
    assert tab.evaluate(kept)


def test_the_sentences_on_top_are_links_that_a_keyboard_follows(tab, pages):
    tab.open(pages("one cell"))
    first = tab.evaluate("document.querySelector('nav a').getAttribute('href')")
    tab.keys("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keys("Tab", "Enter")
    assert tab.evaluate("'#' + document.querySelector(':target').id") == first


def test_the_same_run_gives_the_same_bytes():
    network, x, labels = rain()
    first, second = (gw.report(network, x, labels=labels).html() for _ in range(2))
    assert first == second
