"""A student's numbers: no right sheet is accused, and the first wrong quantity is found, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import VARIANTS, run_of
from pairwise import pairs
from slips.work import work, wrong_work
from walks import EVERY_PART
from written import (
    CLEAR,
    FEW,
    OTHER_ORDER,
    Numbers,
    cells,
    off,
    plain_cell,
    rounded,
    saved,
    sheets,
    shown,
    subset,
)

import gatewise as gw
from gatewise.grading.chain import AssumedValues, Chain, propagate
from gatewise.symbolic.formula import Holds, Symbol, times

# What is right is not accused.


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, zeros at the end kept."""
    return f"{value:#.{digits}g}".rstrip(".")


def by_digits(value: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(significant(one, digits)) for one in value.reshape(-1)]).reshape(value.shape)


@sheets(2, 6)
def test_no_right_file_with_significant_digits_is_accused(drawn, each, tmp_path):
    rng, accused = np.random.default_rng(11), []
    for subject, chain in cells(*drawn):
        for n in range(each):
            names, digits = subset(subject.names, rng), int(rng.integers(3, 9))

            def carry(name, value, names=names, digits=digits, n=n):
                return by_digits(value, digits) if n % 2 and name in names else value

            worked = wrong_work(subject, carry_on=carry)
            lines = [
                ",".join([name, *(significant(one, digits) for one in row)])
                for name in names
                for row in np.atleast_2d(worked[name])
            ]
            marking = gw.check(saved(tmp_path, "sheet.csv", "\n".join(lines)), chain)
            if not marking.correct or marking.count("right from a wrong line"):
                accused.append(f"{digits} digits, {'from paper' if n % 2 else 'from memory'}: {shown(marking)}")
    assert not accused, f"{len(accused)} accused\n" + "\n".join(accused)


# What comes after.


@sheets(1, 3)
@pytest.mark.parametrize("digits", [4, 6, 8])
def test_what_is_computed_from_a_wrong_quantity_follows_from_it(digits, drawn, each):
    rng = np.random.default_rng(digits)
    for subject, chain in cells(*drawn):
        right = work(subject)
        for name in rng.choice(subject.names, each, replace=False):
            worked = wrong_work(subject, spoiled={name: lambda q: q + 0.3})
            written = rounded(worked, digits)
            marking = gw.check(written, chain, digits=digits)
            assert marking.first.name == name
            assert marking.count("wrong") == 1
            for verdict in marking.verdicts:
                units = off(written[verdict.name], right[verdict.name], digits).max()
                if verdict.name != name and units >= CLEAR:
                    assert verdict.status == "right from a wrong line", f"{verdict.name} after {name}"
                elif verdict.name != name and units <= 0.5:
                    assert verdict.status in ("right", "too coarse"), f"{verdict.name} after {name}"


@pytest.mark.thorough
@sheets(1, 2)
def test_what_goes_wrong_again_is_wrong_and_what_is_right_in_spite_of_it_stays_right(drawn, each):
    rng = np.random.default_rng(5)
    for subject, chain in cells(*drawn):
        right, names = work(subject), subject.names
        for _ in range(each):
            one, other, spared = sorted(rng.choice(len(names), 3, replace=False))
            worked = wrong_work(subject, spoiled={names[one]: lambda q: q + 0.3, names[other]: lambda q: q - 0.4})
            worked[names[spared]] = right[names[spared]]
            status = {v.name: v.status for v in gw.check(rounded(worked, 8), chain, digits=8).verdicts}
            assert status[names[one]] == status[names[other]] == "wrong"
            assert status[names[spared]] == "right", names[spared]


def test_long_names_mean_the_same():
    subject, chain = cells(*FEW)[0]
    long = {"z": "combined_input", "f": "forget_gate", "i": "input_gate", "g": "candidate", "o": "output_gate"}
    long |= {"c": "cell_state", "h": "hidden_state"}
    for words in (long, {"f": "f_t", "i": "i_t", "g": "c_tilde", "o": "o_t", "c": "c_t", "h": "h_t"}):
        worked = rounded({name: wrong_work(subject, OTHER_ORDER)[name] for name in words}, 6)
        short = gw.check(worked, chain, digits=6)
        again = gw.check({words[name]: value for name, value in worked.items()}, chain, digits=6)
        assert [(v.name, v.status, v.causes) for v in again.verdicts] == [
            (v.name, v.status, v.causes) for v in short.verdicts
        ]


# Blanks.


def test_none_is_a_blank_as_nan_is():
    subject = plain_cell(np.random.default_rng(8), inputs=2, hidden=2)
    chain, worked = Chain(subject.trace()), rounded(wrong_work(subject, OTHER_ORDER), 6)
    nan = worked | {"f": np.array([np.nan, worked["f"][1]]), "c": np.full(2, np.nan)}
    other = str(gw.check(nan, chain, digits=6))
    for f in ([None, worked["f"][1]], (None, worked["f"][1]), np.array([None, worked["f"][1]], dtype=object)):
        for c in (None, [None, None], np.nan, [np.nan, None]):
            one = gw.check(worked | {"f": f, "c": c}, chain, digits=6)
            assert str(one) == other
            assert "   c        missing" in str(one)


@sheets(1, 4)
def test_of_a_partly_blank_array_only_what_is_written_is_judged(drawn, each):
    rng = np.random.default_rng(9)
    for subject, chain in cells(*drawn):
        right = work(subject)
        for name in rng.choice(subject.names, each, replace=False):
            value = right[name]
            if value.size < 2:
                continue
            blank = rng.random(value.shape) < 0.5
            blank.flat[rng.integers(blank.size)] = True
            blank.flat[rng.permutation(np.flatnonzero(~blank))[:1]] = False
            if blank.all():
                continue
            holes = np.where(blank, np.nan, value)
            written = rounded(right, 6) | {name: np.round(holes, 6)}
            marking = gw.check(written, chain, digits=6)
            assert not marking.count("right from a wrong line", "wrong", "missing"), shown(marking)
            assert [verdict.name for verdict in marking.verdicts if verdict.status == "incomplete"] == [name]
            worked = wrong_work(
                subject, spoiled={name: lambda q, blank=blank: np.where(blank.reshape(q.shape), q, q + 0.3)}
            )
            written = rounded(worked, 6) | {name: np.round(np.where(blank, np.nan, worked[name]), 6)}
            marking = gw.check(written, chain, digits=6)
            assert marking.first.name == name
            assert marking.count("wrong") == 1, shown(marking)
            for verdict in marking.verdicts:
                if verdict.name != name and off(written[verdict.name], right[verdict.name], 6).max() >= CLEAR:
                    assert verdict.status == "right from a wrong line", f"{verdict.name} after {name}"


@pytest.mark.thorough
@sheets(1, 3)
def test_what_is_blank_between_two_written_quantities_is_carried_from_the_one_to_the_other(drawn, each):
    rng = np.random.default_rng(10)
    for subject, chain in cells(*drawn):
        right = work(subject)
        for _ in range(each):
            at = int(rng.integers(len(subject.names)))
            worked = wrong_work(subject, spoiled={subject.names[at]: lambda q: q + 0.3})
            after = [one for one in subject.names if off(worked[one], right[one], 8).max() >= CLEAR]
            later = str(rng.choice(after))
            written = rounded({one: worked[one] for one in {subject.names[at], later}}, 8)
            blanks = {one: None for one in subject.names if one not in written and rng.random() < 0.5}
            marking = gw.check(written | blanks, chain, digits=8)
            status = {v.name: v.status for v in marking.verdicts if v.status != "missing"}
            assert status == {subject.names[at]: "wrong"} | (
                {} if later == subject.names[at] else {later: "right from a wrong line"}
            )
            assert marking.count("missing") == len(blanks)


# Variants.


def carried_on(chain: Chain, name: str, spoil: Callable[[np.ndarray], np.ndarray]) -> Numbers:
    """Return every quantity as the equations make it, where one of them is spoiled."""
    values, found = AssumedValues(chain.given), {}
    for line in chain.lines:
        value = chain.on_sheet(line, chain.compute(line, values)[0])
        value = spoil(value) if line.asked and line.name == name else value
        values.value[line.place] = chain.with_batch(line, value)
        if line.asked:
            found[line.name] = value
    return found


PLAINEST = {"variant": EVERY_PART[1], "projection": "projected", "batch": 1}


@pytest.mark.thorough
@pairs(variant=VARIANTS, projection=("projected", "unprojected"), batch=(1, 2), thin=lambda case: case == PLAINEST)
def test_of_a_variant_a_right_sheet_is_right_and_one_wrong_number_is_found(variant, projection, batch):
    rng = np.random.default_rng(sum(map(ord, variant + projection)) + batch)
    chain = Chain(run_of(variant, projection=projection, time=2, batch=batch).trace())
    right = {quantity.name: quantity.key for quantity in chain.quantities}
    marking = gw.check(rounded(right, 8), chain, digits=8)
    assert marking.correct, shown(marking)
    assert not marking.count("right from a wrong line")
    (name,) = rng.choice(list(right), 1, replace=False)
    place = tuple(int(rng.integers(n)) for n in right[name].shape)

    def spoil(value):
        spoiled = np.array(value)
        spoiled[place] += np.copysign(max(0.03 * abs(value[place]), 1e-4), value[place])
        return spoiled

    marking = gw.check(rounded(right, 8) | {name: np.round(spoil(right[name]), 8)}, chain, digits=8)
    assert [v.name for v in marking.verdicts if v.status == "wrong"][:1] == [name], shown(marking)
    worked = rounded(carried_on(chain, name, spoil), 8)
    marking = gw.check(worked, chain, digits=8)
    assert marking.count("wrong") == 1
    assert marking.first.name == name
    for verdict in marking.verdicts:
        if verdict.name != name and off(worked[verdict.name], right[verdict.name], 8).max() >= CLEAR:
            assert verdict.status == "right from a wrong line", f"{verdict.name} after {name}"


@pytest.mark.parametrize(("apart", "slack"), [(0, 0.8), (2e-9, 0.8), (-2e-9, 0.8), (1e-3, 0), (-1e-3, 0)])
def test_beside_a_kink_either_side_is_right(apart, slack):
    a, limit, dh = Symbol("a"), Symbol("k"), Symbol("h", d=True)
    env = {a: np.array([1 + apart]), limit: np.array([1.0]), dh: np.array([0.8])}
    gradient = times(dh, Holds(a, "<", limit))  # single precision may put a on the other side of the limit
    value, off = propagate(gradient, env, dict.fromkeys(env), dict.fromkeys(env, 1))
    assert value == (0.8 if apart < 0 else 0)
    np.testing.assert_allclose(off, slack, atol=1e-5)
