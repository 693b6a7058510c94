"""The chapters of the teaching page: right to the digit for the latch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.examples import latch
from gatewise.playground import lesson

ANSWERS = {
    "A gate": "0.5",
    "Memory": "0.7624",
    "Write, hold, release": "-0.9902",
    "What is put out": "0.7503",
    "A sequence": "0.4635",
    "The backward pass": "0.4331",
    "Why gradients vanish": "0.0156",
    "Your own cell": None,
    "Which unit remembers?": None,
    "Shut its forget gate": None,  # both: tests/test_reader.py
}
CHAPTERS = lesson.chapters()


def supposed(chapter: dict[str, Any]) -> tuple[gw.Trace, dict[str, list[float]]]:
    """Return the latch's run as a chapter has it, and the gradients of its states for the loss h at the last step."""
    example = latch()
    x, p = example.x.copy(), example.cell.parameters
    bias = p.bias.copy()
    for edit in () if chapter["edits"] == "drawn" else chapter["edits"]:
        if edit["name"] == "x":
            x[edit["step"], edit["at"][0]] = edit["value"]
        else:
            bias["ifgo".index(edit["name"][2:]), edit["at"][0]] = edit["value"]
    cell = gw.LSTMCell.from_parameters(gw.Parameters(p.weight, bias), example.cell.labels)
    trace = gw.LSTM.from_cells(cell).trace(x[:, None]).layers[0]["forward"]
    o, c, f = (getattr(trace, name)[:, 0, 0] for name in ("output_gate", "cell_state", "forget_gate"))
    dc = np.zeros(len(x))
    dc[-1] = o[-1] * (1 - np.tanh(c[-1]) ** 2)
    for t in reversed(range(len(x) - 1)):
        dc[t] = dc[t + 1] * f[t + 1]  # the latch's output goes nowhere but out
    return trace, {"dc": list(dc)}


def named(chapter: dict[str, Any], name: str, step: int) -> float:
    trace, gradients = supposed(chapter)
    if name in gradients:
        return gradients[name][step]
    of_steps = {"f": "forget_gate", "c": "cell_state", "h": "hidden_state", "g": "candidate"}
    return float(getattr(trace, of_steps[name])[step, 0, 0])


def test_the_chapters_are_in_the_order_of_a_lesson() -> None:
    assert [one["title"] for one in CHAPTERS] == list(ANSWERS)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda one: one["title"])
def test_each_chapter_asks_after_a_few_sentences(chapter: dict[str, Any]) -> None:
    sentences = re.findall(r"[.?:](?=\s|$)", " ".join(chapter["text"]))
    assert 3 <= len(sentences) <= 7
    assert len(" ".join(chapter["text"])) <= 420
    assert chapter["question"].endswith("?")
    assert chapter["question"].count("`") % 2 == 0


@pytest.mark.parametrize("chapter", CHAPTERS[:7], ids=lambda one: one["title"])
def test_what_a_chapter_asks_for_is_this_number(chapter: dict[str, Any]) -> None:
    right = named(chapter, chapter["ask"]["name"], chapter["ask"]["step"])
    assert f"{right:.4f}".rstrip("0") == ANSWERS[chapter["title"]]


def test_the_numbers_in_the_texts_are_those_of_the_latch() -> None:
    texts = {one["title"]: " ".join([*one["text"], one["question"], one["after"]]) for one in CHAPTERS}
    p = latch().cell.parameters
    assert "the bias is 6" in texts["A gate"]
    assert "`write` has the weight −12" in texts["A gate"]
    assert (p.bias[1, 0], p.weight[1, 0, 2]) == (6, -12)
    put_out, sequence, backward, vanish = CHAPTERS[3:7]
    c = named(put_out, "c", 6)
    assert f"of {c:.3f} it leaves {np.tanh(c):.4f}" in texts["What is put out"]
    assert f"open by {named(sequence, 'f', 6):.4f} only" in texts["A sequence"]
    assert f"a factor of {named(sequence, 'f', 6) ** 6:.4f}" in texts["A sequence"]
    assert f"here that is {1 - np.tanh(named(backward, 'c', 6)) ** 2:.4f}" in texts["The backward pass"]
    assert named(vanish, "f", 6) == 0.5
    assert named(vanish, "dc", 0) / named(vanish, "dc", 6) == pytest.approx(1 / 64)
