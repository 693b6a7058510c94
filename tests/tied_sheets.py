"""Sheets and lessons full of ties, and every verdict on them: rounding may change none of these."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import gatewise as gw
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import Plan
from gatewise.grading.sheet import sheet_of_mapping
from gatewise.playground.lesson_file import lesson_document

LESSON = json.loads((Path(__file__).parent.parent / "docs/lesson/accumulator.json").read_text(encoding="utf-8"))
HARD = {f"{gate}_activation": gw.Activation("hard_sigmoid", 0.2, 0.5) for gate in ("input", "forget", "output")}
VARIANTS = {
    "plain": gw.Variant(),
    "clipped": gw.Variant(**HARD, candidate_activation="relu", gate_clip=0.5, cell_clip=0.25),
}


def run_of(variant: str) -> gw.NetworkTrace:
    """Return two steps of a cell whose sums are decimals: 0.125, 0.25, 0.5, 0."""
    weight = np.zeros((4, 2, 4))
    weight[:, 0] = [[0.1, -0.3, 0.25, 0.5], [0.3, 0.1, -0.25, 0.5], [0.7, 0.1, 0.5, -0.5], [0.2, 0.2, 0.5, 0.25]]
    weight[:, 1] = [[0.3, -0.1, 0.5, -0.5], [0.6, 0.2, -0.25, -0.5], [0.2, 0.4, 0.5, 0.5], [0.1, 0.1, 0.25, 0.25]]
    bias = np.array([[0.1, -0.2], [0.2, 0.1], [-0.3, 0.1], [0.0, 0.3]])
    lstm = gw.LSTM.from_cells(gw.Parameters(weight, bias, variant=VARIANTS[variant]))
    state = ((gw.State(np.array([0.1, 0.3]), np.array([0.5, -0.25])),),)
    return gw.Network(lstm).trace(np.array([[0.5, 0.25], [0.5, -0.25]]), state)


def written(run: gw.NetworkTrace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield sheets about a run, each with its name: rounded up, down or to a few digits, exchanged, signs lost."""
    trace = run.lstm[0]
    quantities = ("z", "a_f", "a_i", "a_g", "a_o", "f", "i", "g", "o", "c", "h")
    keys = {quantity.name: quantity.key for quantity in Chain(trace).quantities if not quantity.backward}
    keys = {name: key for name, key in keys.items() if name.partition("[")[0] in quantities}
    for decimals in (1, 2):
        for way, by in (("up", np.ceil), ("down", np.floor), ("nearest", np.rint)):
            unit = 10.0**-decimals
            yield f"{way} {decimals}", {name: by(np.round(key / unit, 6)) * unit for name, key in keys.items()}
    yield "exact", {name: np.round(key, 12) for name, key in keys.items()}
    yield "exchanged", {name: np.round(key[::-1], 4) for name, key in keys.items()}
    yield "without signs", {name: np.round(np.abs(key), 2) for name, key in keys.items()}
    yield "zeros", {name: np.zeros_like(key) for name, key in keys.items()}


def verdicts(sheets: dict[str, dict[str, Any]], run: gw.NetworkTrace) -> dict[str, Any]:
    """Return the verdicts on sheets by their names: status, entries, causes."""
    found = {}
    for name, numbers in sheets.items():
        digits = int(name[-1]) if name[-1].isdigit() else None
        marking = gw.check(sheet_of_mapping(numbers, digits), run.lstm[0])
        found[name] = [
            (v.name, v.status, v.entry, list(v.others), [str(cause) for cause in v.causes], v.more, v.digits, v.reason)
            for v in marking.verdicts
        ]
    return json.loads(json.dumps(found))


def lessons() -> Iterator[tuple[str, bool]]:
    """Yield lessons at the edge of what is taken, and whether a page takes them."""
    with tempfile.TemporaryDirectory() as folder:
        for power in (60, 160, 300):
            for signs in ((1, -1), (1, 1)):
                lesson = copy.deepcopy(LESSON)
                places = ("W_g", None, [0, 1]), ("W_g", None, [0, 2]), ("x", 4, [0]), ("x", 4, [1])
                values = signs[0] * 10.0**power, signs[1] * 10.0**power, 10.0**power, 10.0**power
                lesson["chapters"][2]["edits"] = [
                    dict(zip(("name", "step", "at", "value"), (*place, value), strict=True))
                    for place, value in zip(places, values, strict=True)
                ]
                yield f"edits of 1e{power}, {signs}", _is_taken(lesson, folder)
        for away in (0.049, 0.05, 0.0500000001, 0.051):
            lesson = copy.deepcopy(LESSON)
            lesson["given"] |= {name: [[0, 0, 0]] for name in ("W_i", "W_f", "W_g", "W_o")} | {"b_f": [0]}
            chapter = lesson["chapters"][0]
            chapter["ask"] |= {"name": "f", "tolerance": 0.05}
            chapter["mistakes"] = [{"value": 0.5 + away, "says": "No."}, {"value": 0.5 - away, "says": "No."}]
            lesson["chapters"] = [chapter]
            yield f"a mistake {away} away", _is_taken(lesson, folder)


def _is_taken(lesson: Any, folder: str) -> bool:
    path = Path(folder) / "lesson.json"
    path.write_text(json.dumps(lesson), encoding="utf-8")
    try:
        lesson_document(path, "en")
    except gw.FileError:
        return False
    return True


def exercises() -> dict[str, str]:
    """Return the numbers that are drawn for some students."""
    plans = {
        "one digit": Plan(hidden_size=2, input_size=2, digits=1),
        "two": Plan(hidden_size=3, input_size=2, steps=2),
    }
    return {
        f"{name}, {student}": repr([array.tolist() for array in plan.problem(student).given_arrays().values()])
        for name, plan in plans.items()
        for student in ("Ada", "Emmy", "Grace", "Lise", "Mary", "Sophie")
    }


def all_verdicts() -> dict[str, Any]:
    """Return the verdicts on sheets of the variant with the most kinks, on lessons, and the numbers of exercises."""
    run = run_of("clipped")
    return {"sheets": verdicts(dict(written(run)), run), "lessons": dict(lessons()), "exercises": exercises()}
