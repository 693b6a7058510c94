"""JSON documents made to be expensive: of little but structure, of long texts, of letters that take four bytes."""

from __future__ import annotations

import json
import tracemalloc

import cases
import pytest

import gatewise as gw

pytestmark = pytest.mark.usefixtures("small_budgets")


def document(filling, size):
    """Return about so many bytes of a JSON model with little but one thing in it."""
    if ":" in filling:
        return '{"layers":{' + (filling * (size // len(filling))).rstrip(",") + '},"in_shape":[1]}'
    return '{"in_shape":[1],"layers":[' + (filling * (size // len(filling))).rstrip(",") + "]}"


def refused(path, most):
    """Return what is said of a file that is refused within so many bytes of memory."""
    tracemalloc.start()
    try:
        with pytest.raises(gw.FileError) as caught:
            gw.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cases.one_sentence(caught.value, path.name)
    assert peak < most
    return str(caught.value)


@pytest.mark.parametrize("filling", ["{},", "[],", "[0],", '"",', '{"":0},', "[{}],", '"\N{GRINNING FACE}",', "0,"])
@pytest.mark.parametrize("size", [60_000, pytest.param(375_000, marks=pytest.mark.peers)])
def test_a_document_of_little_but_structure_is_answered_or_refused_at_a_bounded_price(filling, size, tmp_path):
    (tmp_path / "model").write_text(document(filling, size), encoding="utf-8")
    refused(tmp_path / "model", 19 * 2**20)


def test_megabytes_of_empty_objects_are_refused_before_they_are_made(tmp_path):
    (tmp_path / "model").write_text(document("{},", 7_500_000), encoding="utf-8")
    said = refused(tmp_path / "model", 60_000_000)
    assert "too many objects, lists and texts for a file of 7.153 MiB" in said


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


def test_what_a_document_says_of_a_network_is_cut_too(tmp_path):
    long = "x" * 100_000
    arrays = {"rec.weight_ih_l0": [[1.0]] * 4, "rec.weight_hh_l0": [[1.0]] * 4, "lin.weight": [[1.0]]}
    wave = {"architecture": long, "config": {}, "weights": []}
    for content in (
        {"model_data": {"model": long}, "state_dict": arrays},
        {"model_data": {"unit_type": long}, "state_dict": arrays},
        {"model_data": {"skip": long}, "state_dict": arrays},
        {"model_data": {"skip": 1}, "state_dict": arrays | {f"{long}.weight": [[1.0]]}},
        {"model_data": {"skip": 1}, "state_dict": {long + ".weight_ih_l0": [[1.0]] * 4}},
        {"architecture": "SlimmableContainer", "config": {"submodels": [{"model": wave}] * 50}, "weights": []},
    ):
        (tmp_path / "model").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(gw.FileError) as caught:
            gw.load_network(tmp_path / "model")
        cases.one_sentence(caught.value)
        assert len(str(caught.value)) <= 500
