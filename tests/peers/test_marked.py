"""Marked sheets as others read them: their JSON against its published schema, their page in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markings import MARKINGS, hostile, long
from pairwise import pairs

from gatewise.grading import report

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.peers

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "marking.schema.json").read_text(encoding="utf-8"))
EVERY = {**MARKINGS, "hostile": hostile(), "long": long(40)}


def test_every_marking_is_as_the_schema_says():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for one in EVERY.values():
        validator.validate(json.loads(report.json(one)))


@pytest.mark.parametrize("place", ["version", "status", "tier", "first_wrong", "correct", "written"])
def test_the_schema_refuses_what_is_not_a_marking(place):
    document = json.loads(report.json(MARKINGS["several causes"]))
    verdict = document["verdicts"][-1]
    match place:
        case "version":
            document["version"] = 1
        case "status":
            verdict["status"] = "wrongish"
        case "tier":
            verdict["causes"][0]["tier"] = "odd"
        case "first_wrong":
            del document["first_wrong"]
        case "correct":
            document["correct"] = True
        case "written":
            verdict["written"] = "nan"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@pairs(name=EVERY, scheme=("light", "dark"), width=(360, 1280))
def test_axe_finds_nothing_and_the_page_fits(tab, tmp_path, name, scheme, width):
    path = tmp_path / f"{name}.html"
    path.write_text(report.html(EVERY[name]), encoding="utf-8")
    tab.check_alone(path.as_uri(), width)
    tab.look(width=width, scheme=scheme)
    tab.check_axe(5)
