"""The JSON of walkthroughs against its published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import VARIANTS
from walks import trace_of

import gatewise as gw

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.peers

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "walkthrough.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_walkthrough_is_as_the_schema_says(variant):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for projection, dropout in ((None, "dropout"), (3, "DropConnect")):
        trace = trace_of(variant, projection, dropout)
        walks = [gw.walk(trace.step(0), unit=0), gw.walk(trace, backward=True, notation="keras")]
        for walk in walks:
            validator.validate(json.loads(walk.render("json")))
            validator.validate(json.loads(walk.render("json", program=True)))


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
