"""The JSON of walkthroughs against its published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pairwise import pairs
from walks import SUBJECTS, trace_of, walk_of

import gatewise as gw

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.peers

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "walkthrough.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pairs(**SUBJECTS, way=("expanded", "two steps backward"), notation=("gatewise", "keras"))
def test_every_walkthrough_is_as_the_schema_says(variant, projection, dropout, way, notation):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    walk = walk_of(variant, projection, dropout, way, notation)
    for program in (False, True):
        validator.validate(json.loads(walk.render("json", program=program)))


@pytest.mark.parametrize("place", ["version", "left", "value", "number"])
def test_the_schema_refuses_what_is_not_a_walkthrough(place):
    document = json.loads(gw.walk(trace_of("plain", None).step(0)).render("json"))
    block = next(b for section in document["sections"] for b in section["blocks"] if b["type"] == "equation")
    match place:
        case "version":
            document["version"] = 2
        case "left":
            del block["left"]["base"]
        case "value":
            block["value"] = "large"
        case "number":
            block["right"]["tree"]["parts"][0]["node"] = "number"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)
