"""The German page speaks German wherever one goes: no word of the English page is left on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers.reader import Reader

import gatewise as gw
from gatewise.languages import language

pytestmark = pytest.mark.peers
WORD = re.compile(r"(?<![\w.@-])[A-Za-zÄÖÜäöüß]{3,}(?![\w(])")
NAMED = {"bit", "write", "release", "latch", "gatewise", "rain", "sun", "high", "low"}
COMMON = {
    "the",
    "and",
    "with",
    "from",
    "step",
    "unit",
    "open",
    "input",
    "cell",
    "gate",
    "number",
    "not",
    "this",
    "that",
}
TEXTS = """(() => {
    const texts = new Set(), walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const {parentElement: parent, data} = walk.currentNode;
        if (!parent.closest("script, style, math, code")) texts.add(data);
    }
    for (const element of document.querySelectorAll("*"))
        for (const name of ["aria-label", "aria-description", "aria-valuetext", "title", "placeholder", "label"])
            if (element.hasAttribute(name)) texts.add(element.getAttribute(name));
    return [...texts];
})()"""


def texts(node: Any) -> Iterator[str]:
    """Yield all texts of a tree of words, without their slots."""
    if isinstance(node, str):
        yield re.sub(r"\{\w*(?::\w+)?\}", "", node)
    else:
        for part in node.values() if isinstance(node, dict) else node:
            yield from texts(part)


@cache
def english() -> frozenset[str]:
    """Return the words that the English page says and the German one does not."""
    german = language.words_in("de")
    said = [*texts(language.words_in("en")), *texts([[*german[name]] for name in language.OF_PYTHON])]
    known = {word.lower() for text in texts(german) for word in WORD.findall(text)}
    return frozenset({word.lower() for text in said for word in WORD.findall(text)} | COMMON) - known - NAMED


def left(reader: Reader) -> dict[str, list[str]]:
    """Return the texts on the page with words of the English one."""
    reader.ask("new Promise(done => setTimeout(done, 150))")
    found = {}
    for text in reader.ask(TEXTS):
        if words := [word for word in WORD.findall(text) if word.lower() in english()]:
            found[text] = words
    return found


def test_english_words_are_known() -> None:
    assert {"chapter", "weights", "hidden", "nothing", "largest", "backward"} <= english()


def test_every_chapter_and_what_is_said_of_answers_is_german(reader: Reader, tmp_path: Path) -> None:
    gw.page(lang="de").save(tmp_path / "de.html")
    reader.open((tmp_path / "de.html").as_uri())
    assert reader.ask("document.documentElement.lang") == "de"
    assert not left(reader)
    for number in range(reader.ask("document.querySelectorAll('#margin nav button').length")):
        reader.click("#margin nav button", nth=number)
        assert not left(reader), number
        if reader.has("#margin .answer input"):
            for answer in ("12.345", "x", "0"):
                reader.click("#margin .answer input")
                reader.type(answer)
                reader.keys("Enter")
                assert not left(reader), (number, answer)
        if reader.has("#margin button", "Zeig es mir"):
            reader.click("#margin button", "Zeig es mir")
            assert not left(reader), number


@pytest.mark.parametrize(
    "view",
    [
        "v1&step=3&level=step&name=f",
        "v1&step=3&level=number&name=c",
        "v1&step=3&level=product&name=a_f&product=1",
        "v1&step=3&level=product&name=h&product=0",
        "v1&step=2&backward=1&show=dc&level=step&name=dc",
        "v1&step=2&backward=1&show=dc&level=number&name=dW_f[0,1]",
        "v1&step=3&level=number&name=x[1]&edits=0,0,x,3,1,0.5;0,0,b_f,,0,2",
        "v1&step=99",
        "v2&step=1",
        "v1&show=zz",
    ],
)
def test_every_level_of_the_latch_is_german(reader: Reader, tmp_path: Path, view: str) -> None:
    gw.page(lang="de").save(tmp_path / "de.html")
    reader.open(f"{(tmp_path / 'de.html').as_uri()}#{view}")
    assert not left(reader)
    reader.expects = reader.says("#status") if "level" not in view else ""


def test_a_model_of_many_parts_is_german(reader: Reader, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 5, num_layers=2, bidirectional=True, merge="sum", rng=0, dtype=np.float64)
    network = gw.Network(lstm, head=gw.Linear(rng.normal(size=(3, 5)), rng.normal(size=3), "softmax"), reads="last")
    dates = np.arange("2001-01-01", "2001-01-31", dtype="datetime64[D]")
    labels = gw.Labels(features=["rain", "sun"], times=dates)
    x = rng.normal(size=(30, 2, 2))
    gw.page(network, x=x, lengths=[20, 30], labels=labels, sequence=0, lang="de").save(tmp_path / "de.html")
    views = ["", "step=25&level=number&name=c", "step=4&layer=1&direction=1&level=step&name=h&backward=1&show=dc"]
    views += ["step=4&level=product&layer=1&name=a_f&product=3", "step=4&level=number&layer=1&name=y[1]@head"]
    for view in views:
        reader.open(f"{(tmp_path / 'de.html').as_uri()}#v1&{view}")
        assert not left(reader), view
