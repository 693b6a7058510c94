"""JSON documents made to be expensive: of little but structure, of long texts, of letters that take four bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc

import cases
import pytest
from program import environment

import gatewise as gw

READ = """if True:
    import sys, gatewise as gw
    from held import held
    gw.inspect  # and what it imports
    from gatewise.interop import json_models
    before = held()
    try:
        gw.inspect(sys.argv[1])
        print("answered")
    except gw.GatewiseError as problem:
        print(problem)
    print(held() - before)
"""


def document(filling, size):
    """Return about so many bytes of a JSON model with little but one thing in it."""
    if ":" in filling:
        return '{"layers":{' + (filling * (size // len(filling))).rstrip(",") + '},"in_shape":[1]}'
    return '{"in_shape":[1],"layers":[' + (filling * (size // len(filling))).rstrip(",") + "]}"


@pytest.mark.parametrize("filling", ["{},", "[],", "[0],", '"",', '{"":0},', "[{}],", '"\N{GRINNING FACE}",', "0,"])
@pytest.mark.parametrize("size", [500_000, pytest.param(3_000_000, marks=pytest.mark.peers)])
def test_a_document_of_little_but_structure_is_answered_or_refused_at_a_bounded_price(filling, size, tmp_path):
    (tmp_path / "model").write_text(document(filling, size), encoding="utf-8")
    tracemalloc.start()
    try:
        with pytest.raises(gw.FileError) as caught:
            gw.load(tmp_path / "model")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cases.one_sentence(caught.value, "model")
    assert peak < 150 * 2**20


def test_sixty_megabytes_of_empty_objects_are_refused_before_they_are_made(tmp_path):
    (tmp_path / "model").write_text(document("{},", 60_000_000), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "model"], env=environment(), capture_output=True, text=True, check=True
    )
    said, taken = done.stdout.splitlines()
    assert "too many objects, lists and texts for a file of 57.22 MiB" in said
    assert int(taken) < 500e6


def test_numbers_of_thousands_of_digits_are_one_sentence(tmp_path):
    (tmp_path / "model").write_text(document("9" * 10_000 + ",", 3_000_000), encoding="utf-8")
    with pytest.raises(gw.FileError, match="a number that is too long"):
        gw.load(tmp_path / "model")


def test_names_and_values_of_any_length_are_cut_in_what_is_said(tmp_path):
    for content in (
        {"x" * 1_000_000: 1},
        {"architecture": "y" * 1_000_000, "weights": []},
        {"state_dict": {f"{'z' * 1000}.weight": [{}]}},
        {"in_shape": ["v" * 1000], "layers": []},
    ):
        (tmp_path / "model").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(gw.FileError) as caught:
            gw.load(tmp_path / "model")
        cases.one_sentence(caught.value)
        assert len(str(caught.value)) <= 500
