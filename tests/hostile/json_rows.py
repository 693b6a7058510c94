"""JSON documents made to be expensive: of little but structure, of long texts, of letters that take four bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from hostile.row import Hostile

import gatewise as gw

STRUCTURE = 19 * 2**20  # bytes that a document of little but structure may take


def document(filling, size):
    """Return about so many bytes of a JSON model with little but one thing in it."""
    if ":" in filling:
        return '{"layers":{' + (filling * (size // len(filling))).rstrip(",") + '},"in_shape":[1]}'
    return '{"in_shape":[1],"layers":[' + (filling * (size // len(filling))).rstrip(",") + "]}"


def write_document(path: Path, filling: str, size: int) -> None:
    path.write_text(document(filling, size), encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


FILLINGS = ("{},", "[],", "[0],", '"",', '{"":0},', "[{}],", '"\N{GRINNING FACE}",', "0,")
TOO_MANY = "too many objects, lists and texts for a file of 7.153 MiB"
DOCUMENTS = [
    *(
        Hostile(
            "JSON",
            f"{size} bytes of {filling}",
            partial(write_document, filling=filling, size=size),
            most=STRUCTURE,
            peers=size > 60_000,
        )
        for size in (60_000, 375_000)
        for filling in FILLINGS
    ),
    Hostile("JSON", "empty objects", partial(write_document, filling="{},", size=7_500_000), TOO_MANY, 60_000_000),
    Hostile(
        "JSON",
        "numbers of thousands of digits",
        partial(write_document, filling="9" * 10_000 + ",", size=3_000_000),
        "a number that is too long",
    ),
]

# Names and values of any length are cut in what is said.

CONTENTS = {
    "a key": {"x" * 1_000_000: 1},
    "an architecture": {"architecture": "y" * 1_000_000, "weights": []},
    "a tensor's name": {"state_dict": {f"{'z' * 1000}.weight": [{}]}},
    "a shape": {"in_shape": ["v" * 1000], "layers": []},
}
LONG = "x" * 100_000
ARRAYS = {"rec.weight_ih_l0": [[1.0]] * 4, "rec.weight_hh_l0": [[1.0]] * 4, "lin.weight": [[1.0]]}
WAVE = {"architecture": LONG, "config": {}, "weights": []}
NETWORKS = {
    "a model": {"model_data": {"model": LONG}, "state_dict": ARRAYS},
    "a kind of unit": {"model_data": {"unit_type": LONG}, "state_dict": ARRAYS},
    "a skip": {"model_data": {"skip": LONG}, "state_dict": ARRAYS},
    "a tensor beside": {"model_data": {"skip": 1}, "state_dict": ARRAYS | {f"{LONG}.weight": [[1.0]]}},
    "an LSTM": {"model_data": {"skip": 1}, "state_dict": {LONG + ".weight_ih_l0": [[1.0]] * 4}},
    "many submodels": {
        "architecture": "SlimmableContainer",
        "config": {"submodels": [{"model": WAVE}] * 50},
        "weights": [],
    },
}

ROWS = [
    *(replace(row, answer=f"^refused.*{row.answer}", readers=(gw.load,)) for row in DOCUMENTS),
    *(
        Hostile("JSON", f"a long name, {name}", partial(write_json, content=content), "^refused", readers=(read,))
        for read, contents in ((gw.load, CONTENTS), (gw.load_network, NETWORKS))
        for name, content in contents.items()
    ),
]
