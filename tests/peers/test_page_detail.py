"""On a page, every number of every variant opens into the products that it is the sum of."""

from __future__ import annotations

import json
import re

import cases
import numpy as np
import pytest
from peers import node

import gatewise as gw
from gatewise.examples import latch

pytestmark = pytest.mark.peers
node.require()


def document_of(page: gw.playground.Page) -> dict:
    """Return the data of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def runs() -> dict[str, gw.playground.Page]:
    """Return a page of every variant, and of what is made of several cells."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(4, 3))
    made = {"latch": gw.page()}
    for name, switches in cases.VARIANTS.items():
        for projection in (None, 2):
            variant = gw.Variant(**switches)
            cell = gw.LSTMCell(3, 4, projection_size=projection, variant=variant, rng=2, dtype=np.float64)
            made[f"{name}, {projection}"] = gw.page(cell, x=x)
    two = gw.LSTM(input_size=3, hidden_size=3, num_layers=2, bidirectional=True, rng=3)
    made["two layers"] = gw.page(two, x=x)
    for merge, reads in (("sum", "every"), ("mul", "last"), ("average", "every")):
        lstm = gw.LSTM(3, 3, num_layers=2, bidirectional=True, merge=merge, rng=3, dtype=np.float64)
        head = gw.Linear(rng.normal(size=(4, 3)), rng.normal(size=4), "softmax")
        made[merge] = gw.page(gw.Network(lstm, head=head, reads=reads), x=x)
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return what the script finds on all pages."""
    pages = [{"name": name, "document": document_of(page)} for name, page in runs().items()]
    return node.answer("detail.mjs", tmp_path_factory.mktemp("pages"), pages)


def test_every_number_is_the_sum_of_its_products_and_opens_by_its_name(found: dict) -> None:
    for page in found["pages"]:
        assert page["numbers"] > 50
        assert page["wrong"] == [], page["name"]


def test_a_number_that_is_merged_of_both_directions_leads_to_both(found: dict) -> None:
    pages = {page["name"]: page for page in found["pages"]}
    for merge in ("sum", "mul", "average"):
        assert pages[merge]["merged"] == {"count": 3, "how": merge, "wrong": []}
        assert pages[merge]["summed"] == "a_y"
    assert pages["two layers"]["merged"]["count"] == 0  # whose inputs are each a hidden state of one direction


def test_a_step_shows_each_quantity_once_and_behind_what_it_needs(found: dict) -> None:
    for page in found["pages"]:
        assert page["misplaced"] == [], page["name"]
        assert {"x", "h_prev", "c_prev", "c", "h"} <= set(page["nodes"])


def test_the_gradient_along_the_latch_is_the_product_of_its_forget_gates(found: dict) -> None:
    path = next(page["path"] for page in found["pages"] if page["name"] == "latch")
    example = latch()
    trace = gw.LSTM.from_cells(example.cell).trace(example.x, state=[[example.state]]).stored[0]
    products = np.cumprod(trace.forget_gate[:0:-1, 0])[::-1]
    assert (path["name"], path["factors"], path["from"], path["to"]) == ("dc", ["f"], 6, 0)
    assert np.allclose(path["direct"][:-1], path["gradient"][-1] * products, rtol=1e-12)
    assert np.allclose(path["direct"], path["gradient"], rtol=1e-12)


def test_arrow_keys_change_the_last_digit_and_what_is_no_number_is_refused(found: dict) -> None:
    assert found["nudged"] == ["-11", "0.4", "0.51", "0.45", "19", "1.3e-05", "0.0", None]
    assert found["read"] == [1, -0.5, -1.5, 2000, 0.5, None, None, None, None, None, None, None]


def test_how_far_an_effect_travels_is_said_in_steps(found: dict) -> None:
    assert found["reach"] == [
        "The largest change of h is 1; after 1 step the effect is below 1 % of it.",
        "It has no effect on h here.",
        "The largest change of h is 1; the effect lasts to the end of the run.",
        "The largest change of h is 1, at this step; one step on, the effect is below 1 % of it.",
    ]
