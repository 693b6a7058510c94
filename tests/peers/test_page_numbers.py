"""The page computes what the programs compute in Python, within 1e-12 of the largest entry of every tensor.

The laws are in tests/page/laws.mjs. Node runs them with the page's modules, and a browser with the page's own script.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import page_cases
import pytest
from number_spellings import SPELLINGS
from peers import node
from peers.browser import Page

from gatewise.playground import assembly
from gatewise.playground.assembly import squeezed_script
from tests.test_golden import WALKS

pytestmark = pytest.mark.peers
LARGEST = 1e-12  # of the largest entry of a tensor


CHECKS = f"""JSON.parse(document.querySelector("[type='application/json']").textContent).map((one, seed) => {{
    const found = [check(createModel, one)];
    if (one.loss.of === "all") found.push(checkEdits(createModel, decode, one, seed));
    return [found[0].tensors, ...found.filter(({{worst}}) => !(worst <= {LARGEST}))];
}})"""


@pytest.fixture
def hold(one_browser: Page, tmp_path: Path) -> Callable[[Iterable[dict]], int]:
    """Return a function that lets node and the browser compute what is expected, and counts the tensors."""

    def held(found: Iterable[dict]) -> int:
        cases = [*found]
        in_node(tmp_path / "cases.json", cases)
        one_browser.open(page_of(tmp_path / "laws.html", cases))
        answers = one_browser.evaluate(CHECKS)
        assert [answer for answer in answers if len(answer) > 1] == []
        assert [answer[0] for answer in answers] == [len(one["expected"]) for one in cases]
        return sum(answer[0] for answer in answers)

    return held


def in_node(path: Path, cases: list[dict]) -> None:
    """Let node compute what is expected."""
    path.write_text(json.dumps(cases), encoding="utf-8")
    node.run("--test", node.SCRIPTS, GATEWISE_PAGE_CASES=str(path))


def page_of(path: Path, cases: list[dict]) -> str:
    """Write a page that has the script of the page, the laws and what is expected; return its address."""
    names = [name for name in assembly.modules() if name != assembly.ENTRY]
    laws = assembly.EXPORT.sub("", (node.SCRIPTS / "laws.mjs").read_text(encoding="utf-8"))
    needed = "const {createModel} = engine$model, {decode} = engine$arrays;"
    script = squeezed_script("\n".join([assembly.joined(names), needed, laws]))
    data = json.dumps(cases).replace("<", "\\u003c")
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><script>{script}</script>'
        f'<script type="application/json">{data}</script>',
        encoding="utf-8",
    )
    return path.as_uri()


def test_every_variant(hold):
    assert hold(page_cases.of_variants()) > 1500


def test_random_cells(hold):
    assert hold(page_cases.of_random_cells(80)) > 2000


def test_random_stacks(hold):
    assert hold([*page_cases.of_random_stacks(30), *page_cases.of_hidden_losses(15)]) > 1200


def test_the_golden_walkthroughs(hold, capsys):
    programs = {name: arguments for name, arguments in WALKS.items() if "--format" not in arguments}
    assert hold([page_cases.of_walk(name, arguments, capsys) for name, arguments in programs.items()]) > 300


def test_a_number_that_is_typed_is_what_the_documentation_says(tmp_path):
    expected = SPELLINGS | {"0,5": 0.5, "1,234": None, "50 %": 0.5, "1/2": 0.5, "½": 0.5, "-½": -0.5, "½½": None}
    found = node.answer("numbers.mjs", tmp_path, [*expected])
    assert dict(zip(expected, found, strict=True)) == {text: [value, value] for text, value in expected.items()}
