"""Findings of the literature, which gatewise's own questions find again in the trained examples."""

from __future__ import annotations

import numpy as np
import pytest
from program import output_of

import gatewise as gw
from gatewise.examples import Reproduction
from gatewise.examples.literature import REPRODUCTIONS


@pytest.fixture(scope="module")
def answers() -> dict[str, Reproduction]:
    return {name: gw.examples.reproduce(name) for name in REPRODUCTIONS}


def test_three_bits_have_eight_stable_points_and_saddles_between_them(answers):
    numbers = answers["flipflop"].numbers
    assert numbers["stable"] == numbers["corners"] == 8
    assert numbers["off"] < 0.05
    assert 8 <= numbers["edges"] <= 12  # a cube has twelve


def test_two_units_carry_the_number_of_a_distant_subject(answers):
    numbers = answers["agreement"].numbers
    for same in ("singular", "plural"):
        assert set(numbers[same, same].values()) == {1.0}
    singular, plural = numbers["singular", "plural"], numbers["plural", "singular"]
    assert singular["whole"] == plural["whole"] == 1
    assert {*singular} == {*plural}  # the same two units, of which each number has its own
    assert min(singular, key=singular.get) != min(plural, key=plural.get)
    assert max(min(singular.values()), min(plural.values())) < 0.25


def test_a_cell_state_holds_the_snow_that_the_model_was_never_given(answers):
    numbers = answers["river"].numbers
    assert abs(numbers["correlation"]) > 0.9
    assert numbers["melting"] > 1.5 * numbers["bare"]


def test_one_unit_follows_quotations_also_where_it_was_not_fitted_and_letters_do_not(answers):
    numbers = answers["quotes"].numbers
    assert abs(numbers["correlation"]) > 0.8
    assert numbers["held_out"] > 0.8
    before, after = numbers["inside"]
    assert after > before + 0.1
    _, data = gw.examples.quotes()
    inside = np.cumsum([character == '"' for character in data.text]) % 2
    letters = np.eye(data.x.max() + 1)[data.x][:, :-1]
    half = len(letters) // 2
    weights = np.linalg.lstsq(letters[:half], inside[:half] - inside[:half].mean(), rcond=None)[0]
    assert abs(np.corrcoef(letters[half:] @ weights, inside[half:])[0, 1]) < 0.31


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_the_printed_calls_find_what_is_printed(name, answers):
    names: dict[str, object] = {"gw": gw}
    for call in answers[name].calls:
        exec(call, names)
    sentences = [thing.sentence for thing in names.values() if isinstance(thing, gw.insight.Answer)]
    found, numbers = " ".join(answers[name].found), answers[name].numbers
    if name == "agreement":
        assert names["answer"].columns["metric"].min() == min(numbers["plural", "singular"].values())
    else:
        assert any(sentence in found for sentence in sentences)
    if name == "flipflop":
        assert np.abs(np.abs(names["outputs"]) - 1).min() < numbers["off"]


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_a_finding_fits_a_terminal(name, answers, capsys, monkeypatch):
    monkeypatch.setitem(REPRODUCTIONS, name, lambda: answers[name])
    text = output_of(capsys, "reproduce", name)
    prose, calls = text.split("\nThe calls\n")
    assert max(map(len, prose.splitlines())) <= 80
    assert [line.strip() for line in calls.splitlines()] == list(answers[name].calls)
    assert "Published" in prose
    assert "Found here" in prose


def test_every_finding_is_of_an_example_and_another_name_is_refused():
    assert REPRODUCTIONS.keys() <= gw.examples.TRAINED.keys()
    with pytest.raises(gw.OptionError, match="name must be one of"):
        gw.examples.reproduce("none")
