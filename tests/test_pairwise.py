"""A cover meets what it promises to meet."""

from __future__ import annotations

import pytest
from pairwise import asks_for_peers, cover, every_case, meetings, pairs

FACTORS = {"a": (1, 2, 3), "b": (False, True), "c": ("x", "y"), "d": (None, 0, 7, 9), "e": (False, True)}


def without_two_of_them(case):
    return not (case["a"] == 1 and case["d"] == 9) and not (case["b"] and case["c"] == "y")


def without_both(case):
    return not (case["b"] and case["c"] == "y")


@pytest.mark.parametrize("strength", [1, 2, 3, 5])
@pytest.mark.parametrize("allowed", [None, without_two_of_them])
def test_every_meeting_that_is_allowed_occurs(strength, allowed):
    possible = {each for case in every_case(FACTORS, allowed) for each in meetings(case, strength)}
    covered = {each for case in cover(FACTORS, strength, allowed) for each in meetings(case, strength)}
    assert covered == possible


def test_no_case_is_one_that_is_not_allowed():
    assert all(without_two_of_them(case) for case in cover(FACTORS, 3, without_two_of_them))


def test_a_cover_of_pairs_is_far_smaller_than_the_product():
    assert len(cover(FACTORS)) <= 16 < len(every_case(FACTORS)) == 96


def test_the_cover_is_the_same_every_time():
    assert cover(FACTORS) == cover(FACTORS)


def test_a_cover_of_more_cases_than_anyone_could_go_through_is_found():
    factors = {f"factor {n}": range(6) for n in range(20)}
    cases = cover(factors)
    assert 36 <= len(cases) <= 100
    assert len({each for case in cases for each in meetings(case, 2)}) == 190 * 36


def test_values_that_are_equal_or_cannot_be_hashed_are_values_of_their_own():
    assert len(cover({"a": [1, True, 1.0], "b": [[], [], {}]})) == 9


@pairs(a={"one": 1, "two": 2}, b=(False, True), c=("x", "y"), allowed=without_both)
def test_a_test_is_given_a_cover(a, b, c):
    assert without_both({"a": a, "b": b, "c": c})
    assert a in ("one", "two")


def test_the_cases_of_a_test_are_named_by_their_values():
    _, made = pairs(a={"one": 1}, b=(False, True), c=[len]).args
    assert [one.id for one in made] == ["one-False-len", "one-True-len"]


def test_a_thin_cover_has_every_value_and_leaves_those_that_meet_to_the_peers(monkeypatch):
    monkeypatch.setattr("pairwise.FOR_PEERS", True)
    _, made = pairs(**FACTORS, thin=True).args
    thin, whole = ([list(one.values) for one in made if bool(one.marks) <= marked] for marked in (False, True))
    assert len(thin) == max(map(len, FACTORS.values()))
    assert all({case[n] for case in thin} == set(values) for n, values in enumerate(FACTORS.values()))
    assert all(list(case.values()) in whole for case in cover(FACTORS))
    monkeypatch.setattr("pairwise.FOR_PEERS", False)
    _, made = pairs(**FACTORS, thin=True).args
    assert [list(one.values) for one in made if not one.marks] == [list(one.values) for one in made] == thin


@pytest.mark.parametrize(
    ("marks", "asks"),
    [("", True), ("peers", True), ("peers or referees", True), ("not peers and not referees", False), ("slow", False)],
)
def test_the_peers_are_asked_for_by_their_mark_or_by_none(marks, asks):
    assert asks_for_peers(marks) == asks


def test_what_is_not_in_the_cover_may_be_left_to_a_mark():
    _, made = pairs(**FACTORS, rest=pytest.mark.peers).args
    assert [list(one.values) for one in made if not one.marks] == [list(case.values()) for case in cover(FACTORS)]
    assert sorted(map(repr, (one.values for one in made))) == sorted(
        repr((*one.values(),)) for one in every_case(FACTORS)
    )
    assert all(one.marks in ((), (pytest.mark.peers,)) for one in made)
