"""The browser computes what the programs compute in Python, too: node's laws once more, with the page's own script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import page_cases
import pytest
from peers.browser import Page
from test_golden import WALKS

from gatewise.playground import assembly
from gatewise.playground.squeeze import squeezed

pytestmark = pytest.mark.peers
LAWS = Path(__file__).parents[1] / "page" / "laws.mjs"
LARGEST = 1e-12  # of the largest entry of a tensor


@pytest.fixture(scope="module")
def hold(one_browser: Page) -> Callable[[Iterable[dict]], int]:
    """Return a function that lets the browser compute what is expected, and returns how many tensors there were."""
    names = [name for name in assembly.modules() if name != assembly.ENTRY]
    modules = [assembly.EXPORT.sub("", assembly.IMPORT.sub("", assembly.asset(name))) for name in names]
    one_browser.open("about:blank")
    one_browser.evaluate(squeezed("\n".join(modules)))
    one_browser.evaluate(assembly.EXPORT.sub("", LAWS.read_text(encoding="utf-8")))

    def held(found: Iterable[dict]) -> int:
        tensors = 0
        for seed, one in enumerate(found):
            one_browser.evaluate(f"one = {json.dumps(one)}; 0")
            answer = one_browser.evaluate("check(createModel, one)")
            assert answer["worst"] <= LARGEST, answer
            assert answer["tensors"] == len(one["expected"])
            tensors += answer["tensors"]
            if one["loss"]["of"] == "all":
                answer = one_browser.evaluate(f"checkEdits(createModel, decode, one, {seed})")
                assert answer["worst"] <= LARGEST, answer
        return tensors

    return held


def test_every_variant(hold):
    assert hold(page_cases.of_variants(["unprojected", "projected", "projected and clipped"], [False, True])) > 3000


def test_random_cells(hold):
    assert hold(page_cases.of_random_cells(200)) > 5000


def test_random_stacks(hold):
    assert hold([*page_cases.of_random_stacks(50), *page_cases.of_hidden_losses(20)]) > 2000


def test_the_golden_walkthroughs(hold, capsys):
    programs = {name: arguments for name, arguments in WALKS.items() if "--format" not in arguments}
    assert hold([page_cases.of_walk(name, arguments, capsys) for name, arguments in programs.items()]) > 300
