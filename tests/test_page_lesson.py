"""The chapters of the teaching page: right to the digit for the latch."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import training
from training import Settings

import gatewise as gw
from gatewise.examples import latch
from gatewise.playground import lesson, scenes

ANSWERS = {
    "Why gates?": "0.3799",
    "A gate": "0.5",
    "Memory": "0.7624",
    "Write, hold, release": "-0.9902",
    "The output": "0.7503",
    "A sequence": "0.4635",
    "The backward pass": "0.4331",
    "Why gradients vanish": "0.0156",
    "Your own cell": None,
    "Which unit remembers?": None,
    "Close its forget gate": None,  # both: tests/test_reader.py
    "What one update changes": "0.7862",
    "Why the forget bias helps": "0.079",
    "A step too far": "0.019",
}
ASSETS = Path(gw.__file__).parent / "playground" / "assets"
CHAPTERS = lesson.chapters()
ON_TRAINING = [chapter for chapter in CHAPTERS if chapter.get("scene") == "learner"]


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
    assert 3 <= len(sentences) <= 8
    assert len(" ".join(chapter["text"])) <= 420
    assert chapter["question"].endswith("?")
    assert chapter["question"].count("`") % 2 == 0


@pytest.mark.parametrize("chapter", CHAPTERS[1:8], ids=lambda one: one["title"])
def test_what_a_chapter_asks_for_is_this_number(chapter: dict[str, Any]) -> None:
    right = named(chapter, chapter["ask"]["name"], chapter["ask"]["step"])
    assert f"{right:.4f}".rstrip("0") == ANSWERS[chapter["title"]]


def test_the_numbers_in_the_texts_are_those_of_the_latch() -> None:
    texts = {one["title"]: " ".join([*one["text"], one["question"], one["after"]]) for one in CHAPTERS}
    p = latch().cell.parameters
    assert "the bias is 6" in texts["A gate"]
    assert "`write` has the weight −12" in texts["A gate"]
    assert (p.bias[1, 0], p.weight[1, 0, 2]) == (6, -12)
    vanish = CHAPTERS[7]
    assert named(vanish, "f", 6) == 0.5
    assert named(vanish, "dc", 0) / named(vanish, "dc", 6) == pytest.approx(1 / 64)


def test_the_first_chapter_states_what_a_plain_recurrent_unit_gives() -> None:
    chapter = CHAPTERS[0]
    for stated in (chapter, *chapter["draws"]):
        held = stated["put"]["m"]
        mistakes = [one["value"] if isinstance(one, dict) else one for one in stated["mistakes"]]
        agree([stated["right"], *mistakes], [np.tanh(0.8 * held), 0.8 * held, held, np.tanh(held), 0, 0.8])
    assert f"{chapter['right']:.4f}" == ANSWERS[chapter["title"]]
    assert (
        f"forget gate instead, {latch().cell.parameters.bias[1, 0] and 1 / (1 + np.exp(-6)):.4f}," in chapter["after"]
    )


def of_training(chapter: dict[str, Any]) -> tuple[Settings, training.Update]:
    """Return the settings of a chapter on training, and the update that comes next in it."""
    own = {key: text for key, text in chapter["focus"]["own"].items() if key not in ("sequence", "update")}
    kinds = {key: kind for key, kind in get_type_hints(Settings).items() if key in own}
    settings, model = Settings(**{key: kinds[key](text) for key, text in own.items()}), training.network()
    count = int(chapter["focus"]["own"].get("update", 0))
    *_, update = training.updates(model, settings, training.start(model, settings), count + 1)
    return settings, update


def agree(stated: list[float], expected: list[float]) -> None:
    """Assert that numbers are others, rounded."""
    for number, exact in zip(stated, expected, strict=True):
        digits = len(Decimal(repr(number)).as_tuple().digits)
        assert float(f"{exact:.{digits}g}") == number


# What learners may answer instead, in the order of the chapters' mistakes.


def of_update(weight: float, slope: float) -> list[float]:
    return [weight + 0.5 * slope, weight - slope, 0.5 * slope, weight, slope, -0.5 * slope, 0.5 * weight]


def of_gates(gate: float, count: int) -> list[float]:
    return [gate ** (count - 1), 0.5**count, gate, count * round(gate, 4), 0, 1, gate ** (count + 1)]


def of_clipping(slope: float, norm: float) -> list[float]:
    return [slope * 0.1, 0.1, 3 * slope * 0.1 / norm, slope, 0.1 / norm, 0]


@pytest.mark.parametrize("chapter", ON_TRAINING, ids=lambda one: one["title"])
def test_asked_again_a_chapter_on_training_states_the_numbers_of_others(chapter: dict[str, Any]) -> None:
    norm, gate = np.linalg.norm(of_training(chapter)[1].gradient), 1 / (1 + np.exp(-2))
    for draw in chapter["draws"]:
        match draw["put"]:
            case {"w": w, "g": g}:
                expected = [w - 0.5 * g, *of_update(w, g)]
            case {"n": n}:
                expected = [gate**n, *of_gates(gate, n)]
            case {"g": g}:
                expected = [g * 0.1 / norm, *of_clipping(g, norm)]
        agree([draw["right"], *draw["mistakes"]], expected)
    assert len({draw["right"] for draw in chapter["draws"]} | {chapter["right"]}) == 4


@pytest.mark.parametrize("chapter", ON_TRAINING, ids=lambda one: one["title"])
def test_a_chapter_on_training_states_the_number_that_a_textbooks_update_gives(chapter: dict[str, Any]) -> None:
    settings, update = of_training(chapter)
    text = " ".join([*chapter["text"], chapter["question"], chapter["after"]])
    pieces = dict(
        zip(("W_i", "b_i", "W_f", "b_f", "W_g", "b_g", "W_o", "b_o"), training.pieces(training.network()), strict=False)
    )
    right = chapter["right"]
    match chapter["key"]:
        case "update":
            at = pieces["W_g"].start + 4  # unit 0, bit, behind four columns of h
            before, slope = update.before.weights[at], update.gradient[at]
            expected = [update.after.weights[at], *of_update(before, slope)]
            assert chapter["put"] == {"w": round(before, 4), "g": round(slope, 4)}
            assert f"is {before:.4f}, and its gradient {slope:.4f}" in text
        case "bias":
            gate = 1 / (1 + np.exp(-settings.bias))
            expected = [gate**20, *of_gates(gate, 20)]
            x, target = training.sequence(settings, training.STEPS, -1)
            assert (np.flatnonzero(x[:, 0])[0], np.flatnonzero(~np.isnan(target))[0]) == (3, 23)
            assert f"is {gate:.4f}" in text
        case "clipping":
            slope, norm = update.gradient[pieces["b_g"].start + 1], np.linalg.norm(update.gradient)
            expected = [slope * 0.1 / norm, *of_clipping(slope, norm)]
            assert f"norm is {norm:.4f} and the limit 0.1" in text
            assert chapter["put"] == {"g": round(slope, 4)}
            assert "0.8808\u00b3\u2070 is 0.02." in text
            assert round((1 / (1 + np.exp(-settings.bias))) ** 30, 2) == 0.02
    agree([right, *(mistake["value"] for mistake in chapter["mistakes"])], expected)
    assert f"{right:.4f}".rstrip("0") == ANSWERS[chapter["title"]]


def test_what_a_module_exports_another_one_or_a_test_takes_and_the_page_reads_every_key_of_a_scene() -> None:
    modules = [path.read_text(encoding="utf-8") for path in ASSETS.rglob("*.js")]
    tests = [path.read_text(encoding="utf-8") for path in (Path(__file__).parent / "page").glob("*.mjs")]
    places = Counter(word for text in [*modules, *tests] for word in set(re.findall(r"\w+", text)))
    exported = re.compile(r"^export (?:async )?(?:function\*?|const|class) (\w+)", re.MULTILINE)
    assert [name for text in modules for name in exported.findall(text) if places[name] < 2] == []
    document = scenes.teaching()
    assert [key for key in {**document, **document["scenes"]} if not places[key]] == ["lang"]  # which the skeleton has
