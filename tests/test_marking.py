"""A student's numbers: no right sheet is accused, and the first wrong quantity is found, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cases import VARIANTS, run_of
from pairwise import pairs
from slips.by_hand import Line, sigmoid
from slips.work import work, wrong_work
from walks import EVERY_PART
from written import (
    CLEAR,
    FEW,
    MOST,
    OTHER_ORDER,
    Cells,
    Numbers,
    cells,
    first_off,
    off,
    plain_cell,
    rounded,
    saved,
    sheets,
    shown,
    subset,
)

import gatewise as gw
from gatewise.grading.chain import AssumedValues, Chain
from gatewise.grading.error_propagation import propagate
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
            if not marking.correct or marking.count("follows"):
                accused.append(f"{digits} digits, {'from paper' if n % 2 else 'from memory'}: {shown(marking)}")
    assert not accused, f"{len(accused)} accused\n" + "\n".join(accused)


# What is wrong for no known reason is found, and gets no cause.


def one_entry(value: np.ndarray, rng: np.random.Generator, change: Callable[[float], float]) -> np.ndarray:
    changed = value.copy()
    place = tuple(int(rng.integers(n)) for n in value.shape)
    changed[place] = change(float(value[place]))
    return changed


def wrong_entries(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return ways in which the numbers of any quantity go wrong that no known mistake explains."""
    by = float(rng.uniform(0.05, 2) * rng.choice([-1, 1]))
    return {
        "one entry off": lambda q: one_entry(q, rng, lambda one: one * (1 + by)),
        "two entries off": lambda q: one_entry(
            one_entry(q, rng, lambda one: one * (1 + by)), rng, lambda one: one - by
        ),
        "rolled": lambda q: np.roll(q, 1, axis=-1),
        "cubed": lambda q: q**3,
        "two less": lambda q: 2 - q,
        "cosine": np.cos,
        "a power of e": np.exp,
        "something else": lambda q: rng.normal(0, 0.5, q.shape),
        "a constant too much": lambda q: q + by,
        "times a constant": lambda q: q * (1 + by),
    }


def wrong_lines(rng: np.random.Generator) -> dict[str, dict[str, Line]]:
    """Return lines in place of the right ones that no known mistake explains."""
    return {
        "h = o + tanh(c)²": {"h": lambda s: s["o"] + np.tanh(s["c"]) ** 2},
        "h = o tanh(c)³": {"h": lambda s: s["o"] * np.tanh(s["c"]) ** 3},
        "h = o cos(c)": {"h": lambda s: s["o"] * np.cos(s["c"])},
        "c = f c_prev - 2 i g": {"c": lambda s: s["f"] * s.c_prev - 2 * s["i"] * s["g"]},
        "c = f² c_prev + g": {"c": lambda s: s["f"] ** 2 * s.c_prev + s["g"]},
        "c = f + g": {"c": lambda s: s["f"] + s["g"]},
        "f = 1 - σ²": {"f": lambda s: 1 - sigmoid(s["a_f"]) ** 2},
        "g = σ tanh": {"g": lambda s: sigmoid(s["a_g"]) * np.tanh(s["a_g"])},
        "i = 1 / (1 + e^2a)": {"i": lambda s: 1 / (1 + np.exp(2 * s["a_i"]))},
        "dc with 1 + tanh(c)": {"dc": lambda s: s.dc_next + s.dh * s["o"] * (1 + np.tanh(s["c"]))},
        "da_o with 1 + o²": {"da_o": lambda s: s["do"] * s["o"] * (1 + s["o"] ** 2)},
        "dz of two gates": {"dz": lambda s: s["da_g"] @ s.W("g") + s["da_f"] @ s.W("f")},
    }


def unknown_sheets(rng: np.random.Generator, some: Cells, each: int) -> Iterator[tuple]:
    """Go through sheets with a mistake of no known class in one quantity; what comes after it follows."""
    whole = {1: 0.6, 2: 0.9, 3: 1.0}  # what little is written of many steps has much before it that may be wrong
    for subject, chain in some:
        right, made = work(subject), 0
        while made < each:
            if rng.random() < 0.75:
                ways = wrong_entries(rng)
                name, says = subject.names[rng.integers(len(subject.names))], str(rng.choice(list(ways)))
                if says == "rolled" and (subject.hidden < 3 or subject.inputs < 3):
                    continue  # that is [x; h] for [h; x], or two numbers in each other's place
                worked, says = wrong_work(subject, spoiled={name: ways[says]}), f"{name} {says}"
            else:
                lines = wrong_lines(rng)
                says = str(rng.choice(list(lines)))
                worked = wrong_work(subject, lines[says])
            names, digits = subset(subject.names, rng, whole[subject.steps]), int(rng.integers(3, 9))
            written = rounded({name: worked[name] for name in names}, digits)
            expected, digits_told = first_off(written, right, digits)
            if digits_told >= 0:
                made += 1
                yield says, subject, chain, expected, written, digits


@sheets(2, 10, MOST)
def test_every_unknown_mistake_is_found_and_at_most_one_in_a_hundred_gets_a_cause(drawn, each):
    rng, lost, caused, count = np.random.default_rng(3), [], [], 0
    for says, subject, chain, expected, written, digits in unknown_sheets(rng, cells(*drawn), each):
        count += 1
        marking = gw.check(written, chain, digits=digits)
        told = f"{says} ({subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}, {subject.steps} steps"
        told += f", {digits} digits, {len(written)} written): {expected} is wrong, found {shown(marking)}"
        if marking.first is None or marking.first.name != expected:
            lost.append(told)
        if any(verdict.causes for verdict in marking.verdicts):
            caused.append(told)
    assert count == drawn[0] * each
    assert not lost, f"{len(lost)} of {count} were not found\n" + "\n".join(lost)
    assert len(caused) <= count / 100, f"{len(caused)} of {count} got a cause\n" + "\n".join(caused)


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
                    assert verdict.status == "follows", f"{verdict.name} after {name}"
                elif verdict.name != name and units <= 0.5:
                    assert verdict.status in ("right", "too coarse"), f"{verdict.name} after {name}"


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
            assert "   c        blank" in str(one)


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
            assert marking.correct, shown(marking)
            assert not marking.count("follows", "blank")
            worked = wrong_work(
                subject, spoiled={name: lambda q, blank=blank: np.where(blank.reshape(q.shape), q, q + 0.3)}
            )
            written = rounded(worked, 6) | {name: np.round(np.where(blank, np.nan, worked[name]), 6)}
            marking = gw.check(written, chain, digits=6)
            assert marking.first.name == name
            assert marking.count("wrong") == 1, shown(marking)
            for verdict in marking.verdicts:
                if verdict.name != name and off(written[verdict.name], right[verdict.name], 6).max() >= CLEAR:
                    assert verdict.status == "follows", f"{verdict.name} after {name}"


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
            status = {v.name: v.status for v in marking.verdicts if v.status != "blank"}
            assert status == {subject.names[at]: "wrong"} | ({} if later == subject.names[at] else {later: "follows"})
            assert marking.count("blank") == len(blanks)


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


@pairs(variant=VARIANTS, projection=("projected", "unprojected"), batch=(1, 2), thin=lambda case: case == PLAINEST)
def test_of_a_variant_a_right_sheet_is_right_and_one_wrong_number_is_found(variant, projection, batch):
    rng = np.random.default_rng(sum(map(ord, variant + projection)) + batch)
    chain = Chain(run_of(variant, projection=projection, time=2, batch=batch).trace())
    right = {quantity.name: quantity.key for quantity in chain.quantities}
    marking = gw.check(rounded(right, 8), chain, digits=8)
    assert marking.correct, shown(marking)
    assert not marking.count("follows")
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
            assert verdict.status == "follows", f"{verdict.name} after {name}"


@pytest.mark.parametrize(("apart", "slack"), [(0, 0.8), (2e-9, 0.8), (-2e-9, 0.8), (1e-3, 0), (-1e-3, 0)])
def test_beside_a_kink_either_side_is_right(apart, slack):
    a, limit, dh = Symbol("a"), Symbol("k"), Symbol("h", d=True)
    env = {a: np.array([1 + apart]), limit: np.array([1.0]), dh: np.array([0.8])}
    gradient = times(dh, Holds(a, "<", limit))  # single precision may put a on the other side of the limit
    value, off = propagate(gradient, env, dict.fromkeys(env), dict.fromkeys(env, 1))
    assert value == (0.8 if apart < 0 else 0)
    np.testing.assert_allclose(off, slack, atol=1e-5)
