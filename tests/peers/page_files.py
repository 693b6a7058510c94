"""Pages as the program writes them, for readers in a browser."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cases
import numpy as np
from page_cases import expected, run_of
from program import exit_code

import gatewise as gw
from gatewise.examples import latch
from gatewise.playground.document import scene_document, scenes_document
from gatewise.playground.lesson import chapters
from gatewise.playground.page import assembled
from gatewise.playground.scenes import latch_scene
from gatewise.playground.sequence_run import sequence_run_of
from tests.test_report import rain

LENGTH = 10  # valid steps of the rain's twelve
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "\u202e\u2067gnihtyreve sesrever siht\u2069",
    "long name " * 60,
    "w" * 400,
    "${alert(1)} {{7*7}} javascript:alert(1) &lt;b&gt;",
)
SIZE = len(HOSTILE)


def teaching(path: Path) -> None:
    """Write the page that there is without a model."""
    assert exit_code(["page", "-o", str(path)]) == 0


def german(path: Path) -> None:
    """Write that page in German."""
    assert exit_code(["page", "--lang", "de", "-o", str(path)]) == 0


def own(path: Path) -> None:
    """Write the page of a saved network on a table with dates: two layers, both directions, a head, steps that are not
    valid.
    """
    network, x, labels = rain()
    gw.save(network, path.with_suffix(".safetensors"))
    table(path.with_suffix(".csv"), x, labels)
    given = [str(path.with_suffix(".safetensors")), "--x", str(path.with_suffix(".csv"))]
    assert exit_code(["page", *given, "--lengths", str(LENGTH), "-o", str(path)]) == 0


def exported(path: Path) -> None:
    """Write the page of an ONNX file on a table with dates."""
    from gatewise.interop import onnx

    network, x, labels = rain()
    onnx.write(network.lstm, str(path.with_suffix(".onnx")))
    table(path.with_suffix(".csv"), x, labels)
    given = [str(path.with_suffix(".onnx")), "--x", str(path.with_suffix(".csv"))]
    assert exit_code(["page", *given, "-o", str(path)]) == 0


def table(path: Path, x: np.ndarray, labels: gw.Labels) -> None:
    """Write an input as a table: a column of dates, and one for each feature."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["date", *labels.features])
        writer.writerows([str(time), *map(float, row)] for time, row in zip(labels.times, x, strict=True))


def large(path: Path) -> None:
    """Write the page of a model whose strip is a canvas."""
    lstm = gw.LSTM(5, 40, rng=0)
    gw.page(lstm, np.random.default_rng(0).normal(size=(300, 5)), title="Forty units").save(path)


def hostile(path: Path) -> None:
    """Write a page all of whose names do harm where they are taken for anything but text."""
    labels = gw.Labels(features=HOSTILE, units=HOSTILE, times=HOSTILE, outputs=HOSTILE)
    lstm = gw.LSTM(SIZE, SIZE, rng=0)
    network = gw.Network(lstm, head=gw.Linear(np.eye(SIZE, dtype=np.float32)))
    x = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    gw.page(network, x, labels=labels, title=HOSTILE[0], notes=list(HOSTILE)).save(path)


def spoiled(path: Path) -> None:
    """Write the page of a cell with a weight that is no number, and an infinite one."""
    parameters = latch().cell.parameters
    weight = np.array(parameters.weight)
    weight[1, 0, 0], weight[0, 0, 1] = np.nan, np.inf
    gw.page(gw.LSTMCell.from_parameters(parameters.replace(weight=weight)), latch().x).save(path)


def zoneout(path: Path) -> None:
    """Write the page of a cell with dropout masks of every kind, zoneout among them."""
    run = cases.run_of("plain", dropout=True, batch=1, time=5, seed=3)
    gw.page(run.lstm, run.x, **run.options()).save(path)


def averaged(path: Path) -> None:
    """Write the page of a network of two layers, whose directions are averaged, with a softmax behind them."""
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(3, 3, num_layers=2, bidirectional=True, merge="average", rng=3, dtype=np.float64)
    network = gw.Network(lstm, head=gw.Linear(rng.normal(size=(4, 3)), None, "softmax"))
    gw.page(network, rng.normal(size=(6, 3))).save(path)


def tokens(path: Path) -> None:
    """Write the page of a network that reads words, by their numbers."""
    table = np.random.default_rng(0).normal(size=(50, 3))
    network = gw.Network(gw.LSTM(3, 2, rng=0, dtype=np.float64), embedding=table)
    gw.page(network, np.array([4, 17, 30, 2, 9])).save(path)


def scenes(path: Path) -> None:
    """Write a teaching page of two scenes, the latch and three units that read two features, and chapters on both."""
    run = sequence_run_of(gw.LSTM(2, 3, rng=5), np.random.default_rng(5).normal(size=(9, 2)), 0, {})
    second = scene_document(run, "three units", ["It is random."]) | {"own": ["word"]}
    ask = {"name": "h", "step": 2, "at": [1]}
    told = {"title": "Three", "text": ["Three units."], "question": "What is `h`?", "after": "So it is.", "edits": []}
    chapter = {**told, "scene": "three", "focus": {"step": 2, "unit": 1, "quantity": "h"}, "ask": ask}
    both = {"latch": latch_scene("en"), "three": second}
    assembled(scenes_document("Two scenes", both, [*chapters()[1:3], chapter])).save(path)


def one_scene(path: Path) -> None:
    """Write a teaching page of the latch alone."""
    assembled(scenes_document("One scene", {"latch": latch_scene("en")}, chapters()[1:3])).save(path)


FILES: dict[str, Callable[[Path], None]] = {
    "teaching": teaching,
    "german": german,
    "own": own,
    "exported": exported,
    "large": large,
    "hostile": hostile,
    "spoiled": spoiled,
    "zoneout": zoneout,
    "averaged": averaged,
    "tokens": tokens,
    "scenes": scenes,
    "one scene": one_scene,
}


def write(name: str, path: Path) -> None:
    """Write one of the pages."""
    FILES[name](path)


def addresses(folder: Path, write: Callable[[str, Path], None] = write) -> Callable[[str], str]:
    """Return a function that writes a page, each once, and returns its address."""

    @cache
    def address(name: str) -> str:
        path = folder / f"{name}.html"
        write(name, path)
        return path.as_uri()

    return address


# What the teaching page must show.

LATCH = gw.LSTM.from_cells(latch().cell).trace(latch().x).stored
CELL = LATCH[0]
LAST = len(latch().x) - 1


def edited(edits) -> gw.LSTMTrace:
    """Return the run of the latch with other numbers: the name, step, place and value of each."""
    parameters, x, state = latch().cell.parameters, np.array(latch().x), np.zeros((2, 1))
    weight, bias = np.array(parameters.weight), np.array(parameters.bias)
    for name, step, at, value in edits:
        if name == "x":
            x[step, at[0]] = value
        elif name in ("h_prev", "c_prev"):
            state["hc".index(name[0]), 0] = value
        else:
            (weight if name[0] == "W" else bias)[("ifgo".index(name[2]), *at)] = value
    lstm = gw.LSTM.from_cells(parameters.replace(weight=weight, bias=bias))
    return lstm.trace(x, [[gw.State(*state)]]).stored


def numbers(trace: gw.LSTMTrace, loss_at: int = LAST) -> dict[str, np.ndarray]:
    """Return by their names all quantities of a run of the latch, by step; the loss is h at a step."""
    run = run_of(sequence_run_of(trace, None, 0, {}))
    run.dy = np.zeros_like(run.output)
    run.dy[loss_at] = 1
    run.backward()
    return {one["name"]: np.array(one["values"], float) for one in expected(run) if one["layer"] == 0}
