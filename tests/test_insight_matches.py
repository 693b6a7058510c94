"""Where else does it do this? Brackets that were planted are found, and no others."""

from __future__ import annotations

import sys

import cases
import numpy as np
import pytest
from pairwise import pairs
from planted import bracket_detector

import gatewise as gw
from gatewise import insight

BRACKETS = [[(2, 4), (3, 4), (5, 1)], [(6, 3)], []]


def detected(**options):
    lstm, x, places = bracket_detector(BRACKETS)
    return lstm.trace(x, **options)[0], places


def test_every_other_pair_of_brackets_is_found_and_nothing_else():
    trace, places = detected()
    found = insight.matches(trace, *places[0][1:], edges=True)
    assert found.units == ("1",)
    assert sorted(map(tuple, found.places.tolist())) == sorted(places[1:])
    assert tuple(found.places[0]) == places[1]  # as long as the chosen one
    np.testing.assert_allclose(found.columns["score"], [1, 3 / 4, 1 / 4])
    assert found.residual == 0
    assert str(found) == (
        "One unit has a hidden state of at least 0.3 throughout steps 2 to 5; it is on throughout 3 other stretches,"
        " the best match being steps 9 to 12 of sequence 0."
    )


def test_a_unit_that_is_always_on_is_selected_unless_it_must_be_off_at_the_edges():
    trace, places = detected()
    found = insight.matches(trace, *places[0][1:], least=1)
    assert {"0", "1"} <= set(found.units)
    assert {tuple(one) for one in found.places.tolist()} <= set(places[1:])


@pairs(variant=cases.VARIANTS, quantity=["cell_state", "hidden_state"], edges=[False, True], **cases.RUNS, thin=True)
def test_a_match_is_what_its_definition_says(variant, quantity, edges, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=12)
    trace = run.trace()
    on = trace.quantity(quantity) >= 0.05
    allowed = np.ones((12, 3), bool) if run.valid is None else run.valid
    start = next(t for t in range(12) if allowed[t, 0])
    try:
        found = insight.matches(trace, start, start + 1, quantity=quantity, threshold=0.05, edges=edges)
    except gw.OptionError as refused:
        cases.one_sentence(refused, "no unit")
        return
    valid_on, before = on & allowed[..., None], start > 0 and edges
    around = (valid_on[start - 1, 0] & before) | (valid_on[start + 1, 0] & edges)
    chosen = np.flatnonzero(on[start, 0] & ~around).tolist()
    assert list(map(int, (name.removeprefix("h") for name in found.units))) == chosen
    seen = np.zeros((12, 3), bool)
    seen[start, 0] = True
    for (sequence, first, stop), units, score in zip(
        found.places, found.columns["units_on"], found.columns["score"], strict=True
    ):
        assert not seen[first:stop, sequence].any()
        seen[first:stop, sequence] = True
        throughout = valid_on[first:stop, sequence][:, chosen].all(0)
        if edges and first > 0:
            throughout &= ~valid_on[first - 1, sequence, chosen]
        if edges and stop < 12:
            throughout &= ~valid_on[stop, sequence, chosen]
        assert units == throughout.sum() >= len(chosen) / 2
        assert score == pytest.approx(units / len(chosen) / (stop - first))
    assert (np.diff(found.columns["score"]) <= 0).all()


def test_files_chunks_kept_units_and_names_change_no_match(tmp_path, monkeypatch):
    trace, places = detected()
    lstm, x, _ = bracket_detector(BRACKETS)
    whole = insight.matches(trace, *places[0][1:], edges=True)
    monkeypatch.setattr(sys.modules["gatewise.insight.matches"], "NUMBERS", 40)
    there = insight.matches(lstm.trace(x, out=tmp_path / "trace")[0], *places[0][1:], edges=True)
    assert there.to_csv() == whole.to_csv()
    labels = gw.Labels(sequences=["a", "b", "c"], times=[f"t{t}" for t in range(len(x))])
    less = insight.matches(lstm.trace(x, units=[1], keep="hidden_state", labels=labels)[0], *places[0][1:], edges=True)
    np.testing.assert_array_equal(less.places, whole.places)
    assert set(less.columns["sequence"]) == {"a", "b"}
    assert less.columns["from"][0] == "t9"
    assert "throughout t2 to t5" in str(less)
    assert "t9 to t12 of sequence a" in str(less)


def test_steps_that_are_not_valid_are_never_on():
    trace, places = detected(lengths=[12, 20, 20])
    found = insight.matches(trace, *places[0][1:], edges=True)
    assert (0, 9, 12) in map(tuple, found.places.tolist())
    assert found.places[found.places[:, 0] == 0][:, 2].max() == 12


def test_a_step_that_is_not_valid_is_an_edge():
    trace, places = detected()
    mask = np.ones((len(trace), 3), bool)
    mask[[places[0][1] + 1, places[0][2] - 1], 0] = False  # within the brackets, where unit 1 repeats what it was
    lstm, x, _ = bracket_detector(BRACKETS)
    cut = lstm.trace(x, mask=mask, masked_output="repeat")[0]
    assert "1" in insight.matches(cut, places[0][1] + 2, places[0][2] - 1, edges=True).units


def test_no_more_than_the_best_are_returned_and_all_are_counted():
    trace, places = detected()
    found = insight.matches(trace, *places[0][1:], edges=True, most=1)
    assert len(found.places) == 1
    assert "3 other stretches" in str(found)
    nowhere = insight.matches(trace[:8, :1], 2, 6, edges=True)
    assert str(nowhere).endswith("it is on throughout no other stretch.")
    assert nowhere.to_csv().count("\n") == 1


@pytest.mark.parametrize(
    ("stretch", "options", "words"),
    [
        ((99, 100), {}, ["no step 99"]),
        ((2, 99), {}, ["stop", "99"]),
        ((5, 5), {}, ["at least one step"]),
        ((2.0, 3), {}, ["2.0"]),
        ((2, 5), {"sequence": 3}, ["no sequence 3"]),
        ((2, 5), {"quantity": "input"}, ["cell_state, hidden_state"]),
        ((2, 5), {"threshold": np.nan}, ["threshold"]),
        ((2, 5), {"threshold": 2.0}, ["no unit", "at least 2", "largest"]),
        ((2, 5), {"least": 0}, ["least"]),
        ((2, 5), {"most": 0}, ["most"]),
    ],
)
def test_a_stretch_that_is_none_is_refused_in_one_sentence(stretch, options, words):
    trace, _ = detected()
    with cases.refusal(*words, by=gw.OptionError):
        insight.matches(trace, *stretch, **options)


def test_matches_are_asked_of_valid_steps():
    with cases.refusal("valid", by=gw.OptionError):
        insight.matches(detected(lengths=[4, 20, 20])[0], 3, 6)
