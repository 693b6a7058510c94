"""Answers to the chapters are judged as a teacher would: no mistake is called right, and the truth is never accused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from peers import node
from peers.page_files import edited, numbers

from gatewise.languages import language
from gatewise.playground import lesson
from gatewise.playground.scenes import teaching

pytestmark = pytest.mark.peers
node.require()
Plain = dict[str, Any]
Verdict = tuple[float, float, str, str]  # the number and half a unit of its last digit; the status and the sentence

ASKED = [chapter for chapter in lesson.chapters() if "tolerance" in chapter["ask"]]
# What a learner may think, by chapter: what is typed then, and words of the sentence that explains it.
MISCONCEPTIONS = {
    "why": {
        "0.4": "left out tanh",
        "0.5": "keep its memory",
        "0.462": "the weight",
        "0": "not at once",
        "0.8": "the weight",
    },
    "gate": {
        "0.0025": "left out the bias",
        "0": "is the sum",
        "0.0": "is the sum",
        "0.9975": "when `write` is 0",
        "50": "50 %",
        "1": "fully open",
        "1.0": "fully open",
        "-3": "between 0 and 1",
        "1.2": "between 0 and 1",
        "6": "between 0 and 1",
    },
    "memory": {
        "0.4939": "only the part the cell keeps",
        "0.27": "only the new part",
        "1.52": "passes its gate first",
        "0.5939": "not the bit itself",
        "1.031": "input gate first",
        "1.256": "forget gate first",
        "0.9877": "before step 3",
        "0.537": "the candidate",
        "1": "all or nothing",
        "0": "neither empty nor full",
    },
    "write": {
        "0.9877": "the old bit",
        "-1": "not the bit",
        "0.9926": "lost the sign",
        "0.9902": "negative number",
        "0": "writes the new",
        "-0.9926": "only the new part",
        "-0.9951": "the candidate",
        "1": "a bit of 1",
        "-0.0049": "still in your sum",
    },
    "output": {
        "0.9756": "left out tanh",
        "0.7522": "That is tanh",
        "0.752": "That is tanh",
        "0.98": "the cell state",
        "1": "nearly open",
        "0.9975": "the output gate",
        "0": "opens",
    },
    "sequence": {
        "0.5262": "One step is missing",
        "0.41": "too many",
        "0.4669": "left of 1",
        "0.8743": "after one step",
        "0.28": "subtracted",
        "0.9926": "what step 0 wrote",
        "0.88": "one gate",
        "0": "slowly",
        "1": "loses a part",
    },
    "backward": {
        "0.9975": "left out the slope",
        "0.4342": "slope of tanh",
        "0.434": "slope of tanh",
        "0.5644": "used tanh²",
        "0.2472": "squares",
        "1": "is `dh`",
        "0": "open at step 6",
    },
    "vanishing": {
        "0.0312": "is missing",
        "0.0078": "too many",
        "0.4987": "one step back",
        "0": "not 0",
        "0.5": "one gate",
        "0.9973": "at step 6",
        "0.1662": "divided by six",
        "1": "loses a part",
    },
    "marks": {"4": "Count from 0", "0": "spaces", "6": "wavers"},
    "forgetting": {"1.5539": "own bias", "0": "something new", "1": "not fully open"},
    "update": {
        "0.8964": "along the gradient",
        "0.7311": "left out the learning rate",
        "0.0551": "That is the step",
        "0.8413": "before the update",
        "0.11": "the gradient",
        "-0.0551": "the change",
        "0.42": "Multiply the gradient",
    },
    "bias": {
        "0.0897": "missing",
        "0.8808": "one gate",
        "0.88": "one gate",
        "17.6": "added",
        "0": "not 0",
        "1": "takes a part",
        "0.0696": "too many",
        "0.000001": "bias 0",
    },
    "clipping": {
        "0.1044": "Divide by the norm",
        "0.1": "not each entry",
        "0.057": "That is the step",
        "1.0444": "before clipping",
        "0.0182": "the factor",
        "0": "not 0",
    },
}
LATCH = {chapter["key"]: chapter for chapter in ASKED if {"scene", "right"}.isdisjoint(chapter)}
PLAIN = language.words_in("en")["lesson"]


def sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def mistaken(key: str) -> list[float]:
    """Return the expected wrong answers of a chapter of the latch, worked out by hand."""
    chapter = LATCH[key]
    ask = chapter["ask"]
    run = numbers(edited([(one["name"], one["step"], one["at"], one["value"]) for one in chapter["edits"]]))
    at = {name: float(run[name][ask["step"], 0]) for name in ("c", "f")}
    c, f = run["c"][:, 0], at["f"]
    before = float(c[ask["step"] - 1])
    g, i = float(run["g"][ask["step"], 0]), float(run["i"][ask["step"], 0])
    dc6 = float(run["dc"][6, 0])
    return {
        "gate": [sigmoid(-6), 0, sigmoid(6), 50, 1],
        "memory": [
            *(0.5 * before, 0.5 * math.tanh(0.6), before + math.tanh(0.6), 0.5 * before + 0.1),
            *(0.5 * before + math.tanh(0.6), before + 0.5 * math.tanh(0.6), before, math.tanh(0.6), 1, 0),
        ],
        "write": [before, before - sigmoid(6) * math.tanh(3), -1, sigmoid(6) * math.tanh(3), -at["c"], i * g, g, 0, 1],
        "output": [sigmoid(6) * at["c"], math.tanh(at["c"]), at["c"], sigmoid(6), 1, 0],
        "sequence": [c[0] * f**5, c[0] * f**7, f**6, c[0] * f, c[0] - 6 * (1 - f), c[0], f, 0, 1],
        "backward": [sigmoid(6), 1 - math.tanh(at["c"]) ** 2]
        + [sigmoid(6) * one for one in (math.tanh(at["c"]) ** 2, 1 - math.tanh(at["c"]))]
        + [1, 0],
        "vanishing": [dc6 / 2**5, dc6 / 2**7, dc6 / 2, 0, 0.5, dc6, dc6 / 6, 1],
    }[key]


def answered(typed: dict[str, list[str]]) -> dict[str, Plain]:
    """Return what the page's JavaScript expects of each chapter, and its verdicts on what is typed."""
    with TemporaryDirectory() as folder:
        found = node.answer("chapters.mjs", Path(folder), {"document": teaching(), "typed": typed})
    return {chapter["key"]: chapter for chapter in found}


def texts_of(chapter: Plain) -> Iterator[tuple[str, float, float]]:
    """Yield texts with the number that each is, and half a unit of its last digit."""
    rng = np.random.default_rng(11)
    near = [chapter["right"] + chapter["tolerance"] * factor for factor in (-20, -3, -1.5, -0.7, 0.7, 1.5, 3, 20)]
    drawn = [*rng.uniform(-1.5, 1.5, size=20), *chapter["right"] * rng.uniform(0.5, 1.5, size=30), *near]
    values = [(value, digits) for digits in range(9) for value in (chapter["right"], 0, 1, -1)]
    values += [(one["value"], digits) for one in chapter["mistakes"] for digits in range(2, 7)]
    values += [(float(value), digits) for value in drawn for digits in (2, 4, 6)]
    for value, digits in values:
        text = f"{value:.{digits}f}"
        yield text, float(text), 0.5 * 10**-digits
    for one in chapter["mistakes"]:
        for digits in range(2, 7):  # significant ones
            text = f"{one['value']:.{digits - 1}e}"
            exponent = int(text.partition("e")[2]) if one["value"] else 0
            yield text, float(text), 0.5 * 10.0 ** (exponent - digits + 1)


@cache
def verdicts() -> dict[str, tuple[Plain, list[Verdict]]]:
    """Return the verdicts on all texts, by chapter."""
    expected = answered({})
    typed = {key: list(texts_of(chapter)) for key, chapter in expected.items()}
    found = answered({key: [text for text, _, _ in texts] for key, texts in typed.items()})
    return {
        key: (chapter, [(value, half, status, says) for (_, value, half), (_, status, says, _) in pairs])
        for key, chapter in found.items()
        for pairs in [zip(typed[key], chapter["verdicts"], strict=True)]
    }


def agrees(verdict: Verdict, number: float) -> bool:
    """Return whether a number, rounded, is the one that was typed."""
    return abs(verdict[0] - number) <= verdict[1] * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("key", LATCH)
def test_a_chapter_computes_the_wrong_answers_that_it_expects(key: str) -> None:
    right = verdicts()[key][0]["right"]
    found = [one["value"] for one in verdicts()[key][0]["mistakes"]]
    assert all(abs(number - right) > lesson.TOLERANCE for number in found)
    assert found == pytest.approx(mistaken(key), abs=1e-12)


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED])
def test_a_number_is_right_only_if_it_is_near_and_its_digits_separate_it_from_every_mistake(key: str) -> None:
    chapter, found = verdicts()[key]
    wrong = [one["value"] for one in chapter["mistakes"]]
    for verdict in found:
        is_near = abs(verdict[0] - chapter["right"]) <= chapter["tolerance"] * (1 + 1e-9)
        if verdict[2] == "right":
            assert is_near, verdict
            assert not any(agrees(verdict, number) for number in wrong), verdict
        elif is_near and verdict[1] <= chapter["tolerance"]:
            assert verdict[2] == "coarse" or min(abs(verdict[0] - one) for one in wrong) <= chapter["tolerance"], (
                verdict
            )


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED])
def test_the_truth_is_never_accused_unless_its_few_digits_are_those_of_a_mistake(key: str) -> None:
    chapter, found = verdicts()[key]
    wrong = {one["value"] for one in chapter["mistakes"]}
    rounded = [verdict for verdict in found if agrees(verdict, chapter["right"])]
    true = [verdict for verdict in rounded if verdict[0] not in wrong]
    assert {status for _, _, status, _ in true} <= {"right", "coarse"}
    assert len(rounded) >= 9
    finest = min(true, key=lambda verdict: verdict[1])
    assert finest[2] == "right"
    said = {says: half for _, half, status, says in true if status == "coarse"}
    assert {says: PLAIN["whole" if half >= 0.5 else "coarse"] for says, half in said.items()} == {
        one: one for one in said
    }


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED])
def test_each_mistake_has_its_own_sentence_at_two_digits_and_more(key: str) -> None:
    chapter, found = verdicts()[key]
    wrong = {one["says"]: one["value"] for one in chapter["mistakes"]}
    assert len(wrong) == len(chapter["mistakes"])
    for own, number in wrong.items():
        others = [other for says, other in wrong.items() if says != own] + [chapter["right"]]
        told = [one for one in found if agrees(one, number) and one[1] <= 0.005 * max(1, abs(number))]
        alone = [one for one in told if not any(agrees(one, other) for other in others)]
        assert {says for *_, says in alone} == {own}
        assert len(alone) >= 4
        if not agrees((number, 0.005 * max(1, abs(number)), "", ""), chapter["right"]):
            assert all(says in wrong for *_, says in told)  # of two that agree, one


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED])
def test_one_answer_has_one_sentence(key: str) -> None:
    chapter, found = verdicts()[key]
    own = {one["says"] for one in chapter["mistakes"]} | {PLAIN["no gate"]}
    for _, half, status, says in found:
        if status == "right":
            assert says.startswith("Right: ")
        elif status == "wrong":
            first, _, slip = says.partition(" Perhaps ")
            assert first == PLAIN["wrong"]
            assert slip.count(".") <= 1
        else:
            assert says in (
                own if status == "expected" else {PLAIN[status], *([PLAIN["whole"]] if half >= 0.5 else [])}
            )


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED])
def test_a_number_may_be_written_as_people_write_it(key: str) -> None:
    right = verdicts()[key][0]["right"]
    text = f"{right:.6f}"
    texts = [text, text.replace(".", ","), text.replace("-", "−"), f" {text} ", f"{100 * right:.4f} %"]
    texts += [f"{right:.6e}", f"{round(right * 1e6)}/1000000", text.replace("0.", "."), f"{text}0"]
    texts += ["1/0", "much", "0.5.5"]
    found = answered({key: texts})[key]["verdicts"]
    assert [status for _, status, _, _ in found] == ["right"] * (len(texts) - 3) + ["unread"] * 3


@pytest.mark.parametrize("key", MISCONCEPTIONS)
def test_a_misconception_is_explained_however_close_its_number_is(key: str) -> None:
    expected = MISCONCEPTIONS[key]
    found = {text: (status, says) for text, status, says, _ in answered({key: [*expected]})[key]["verdicts"]}
    assert {text: status for text, (status, _) in found.items()} == dict.fromkeys(expected, "expected")
    assert [(text, says) for text, (_, says) in found.items() if expected[text] not in says] == []


def test_every_chapter_that_asks_for_a_number_has_misconceptions() -> None:
    assert [*MISCONCEPTIONS] == [chapter["key"] for chapter in ASKED]


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED if chapter["key"] not in ("gate", "marks")])
def test_one_tolerance_holds_on_the_whole_page(key: str) -> None:
    right = answered({})[key]["right"]
    texts = [f"{right:.2f}", f"{right:.3f}", f"{right:.4f}", f"{right:.6f}"]
    statuses = [status for _, status, _, _ in answered({key: texts})[key]["verdicts"]]
    assert statuses == ["right" if float(texts[0]) == right else "coarse", "right", "right", "right"]


@pytest.mark.parametrize("key", [chapter["key"] for chapter in ASKED if chapter["key"] != "marks"])
def test_no_whole_number_is_close_to_one_that_asks_for_decimals(key: str) -> None:
    found = answered({key: [str(number) for number in range(-3, 4)]})[key]["verdicts"]
    assert {status for _, status, _, _ in found} <= {"wrong", "expected", "coarse"}
    assert not any(says.startswith(("Close", "Nearly")) for _, _, says, _ in found)


def test_halves_are_written_in_every_way() -> None:
    texts = ["0.5", ".5", "0,5", "50 %", "50%", "1/2", "½", "5e-1", "0.50", "+0.5"]
    assert {status for _, status, _, _ in answered({"gate": texts})["gate"]["verdicts"]} == {"right"}
    chapter = answered({"gate": ["0", "0.0", "1"]})["gate"]
    own = next(one["says"] for one in chapter["mistakes"] if one["value"] == 0)
    open_wide = next(one["says"] for one in chapter["mistakes"] if one["value"] == 1)
    assert [says for *_, says, _ in chapter["verdicts"]] == [own, own, open_wide]


def test_a_unit_is_a_number_and_no_measurement() -> None:
    found = answered({"marks": ["3", "3.0", "2.9", "3.09", "3.4", "4"]})["marks"]
    statuses = [status for _, status, _, _ in found["verdicts"]]
    assert statuses == ["right", "right", "wrong", "wrong", "wrong", "expected"]
