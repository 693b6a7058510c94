"""A lesson of one's own in the browser: its chapters are answered right, wrong as expected, and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from peers.reader import prose, shown
from peers.test_page_chapters import predict

import gatewise as gw

pytestmark = pytest.mark.peers
EXAMPLE = Path(__file__).parents[2] / "docs" / "lesson" / "accumulator.json"
WRITTEN = json.loads(EXAMPLE.read_text(encoding="utf-8"))
NAMES = {"g": "candidate", "f": "forget_gate", "c": "cell_state"}


def right(chapter: dict) -> float:
    """Return the number that a chapter of the example asks for."""
    given = {name: np.array(value, float) for name, value in WRITTEN["given"].items()}
    for edit in chapter.get("edits", ()):
        given[edit["name"]][edit["step"], edit["at"][0]] = edit["value"]
    cell = gw.Parameters(*(np.stack([given[f"{base}_{k}"] for k in "ifgo"]) for base in "Wb"))
    trace = gw.LSTM.from_cells(cell).trace(given["x"])[0]
    return float(getattr(trace, NAMES[chapter["ask"]["name"]])[chapter["ask"]["step"], 0])


@pytest.mark.parametrize("number", range(len(WRITTEN["chapters"])))
def test_the_chapters_of_the_example_are_played(reader, tmp_path, number):
    gw.page(lesson=EXAMPLE).save(tmp_path / "lesson.html")
    chapter = WRITTEN["chapters"][number]
    reader.open((tmp_path / "lesson.html").as_uri())
    assert not reader.has(".scenes")
    assert reader.says("h1") == WRITTEN["title"]
    assert reader.has("#foot", WRITTEN["about"][0])
    reader.click("#margin nav button", f"Chapter {number + 1}")
    reader.sees("#margin .count", f"Chapter {number + 1} of {len(WRITTEN['chapters'])}")
    assert reader.says("#margin h2") == chapter["title"]
    for mistake in chapter["mistakes"]:
        assert predict(reader, f"{mistake['value']:.4f}") == prose(mistake["says"])
    for value in ("0", "1", "-1", "12.345"):
        assert not predict(reader, value).startswith("Right")
    assert predict(reader, shown(right(chapter))).startswith("Right")
    reader.open((tmp_path / "lesson.html").as_uri() + reader.hash())
    assert reader.says("#margin h2") == chapter["title"]


def test_a_right_answer_beside_a_wrong_one_is_right(reader, tmp_path):
    chapter = WRITTEN["chapters"][0]
    beside = round(right(chapter) + 1.1 * chapter["ask"]["tolerance"], 5)
    slip = {**chapter, "mistakes": [{"value": beside, "says": "Wrong."}, *chapter["mistakes"]]}
    path = tmp_path / "lesson.json"
    path.write_text(json.dumps(WRITTEN | {"chapters": [slip]}), encoding="utf-8")
    gw.page(lesson=path).save(tmp_path / "lesson.html")
    reader.open((tmp_path / "lesson.html").as_uri())
    assert predict(reader, shown(right(chapter))).startswith("Right")
    assert predict(reader, str(beside)) == "Wrong."
