"""Why a quantity is wrong: known mistakes are found where they were made, and named only where they are proven."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
import schemas
from cases import run_of
from pairwise import thinned
from slips.by_hand import GATES, Cell, Line, Page, sigmoid
from slips.entries import products_of_units
from slips.enumeration import slips
from slips.groups import ALSO_AS, NAMED_AS
from slips.judging import Planted, chain_of, measured, plain_shared_cell, small_cell
from slips.judging import judged as judge_sheets
from slips.work import Slip, work, wrong_work
from written import FEW, MANY, MOST, PROVEN, Cells, Numbers, cells, first_off, given, rounded, shown

import gatewise as gw
from gatewise.grading.candidates import Catalogue, entry_slips
from gatewise.grading.chain import Chain
from gatewise.grading.classroom import MAX_LABEL_LETTERS
from gatewise.grading.edits.entries import writing_slips

PARAMETERS = tuple(f"d{name}_{k}" for k in GATES for name in "Wb")


EVERY_THIRD = [*NAMED_AS][::3]


@pytest.mark.parametrize(
    ("kind", "count", "draw"),
    [
        *(pytest.param(n, 1, small_cell, marks=[pytest.mark.peers] * (n not in EVERY_THIRD)) for n in NAMED_AS),
        *(pytest.param(n, 3, plain_shared_cell, marks=pytest.mark.peers) for n in NAMED_AS),
    ],
)
def test_a_known_mistake_is_found_where_it_was_made_and_named(kind, count, draw):
    """Of each slip, on every sheet of so many cells, a cause of its class gives the numbers."""
    judged_sheets = list(measured(kind, 0, count, [6], draw=draw))
    assert len({id(judged.planted) for judged in judged_sheets}) == count
    for judged in judged_sheets:
        kinds = {cause.kind for cause, fits in zip(judged.causes, judged.fits, strict=True) if fits}
        assert judged.located, str(judged)
        assert kinds & {NAMED_AS[kind], ALSO_AS.get(kind)}, str(judged)


def of_steps(some: Cells, steps: int) -> Cells:
    return [(subject, chain) for subject, chain in some if subject.steps == steps]


TAKES = {
    "only the first sequence": lambda each: each[0],
    "only the last sequence": lambda each: each[-1],
    "every sequence by itself": lambda each: each,
    "the mean": lambda each: each.mean(0),
}


@pytest.mark.subjects(1)
@pytest.mark.parametrize("drawn", thinned([FEW, MANY]))
@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_a_sum_over_the_batch_that_is_missing_is_named(take, drawn):
    """Missing in one gradient and in all, on full sheets and on sheets of gradients."""
    lines: dict[str, Line] = {}
    for k in GATES:
        lines[f"dW_{k}"] = lambda s, k=k: take(s[f"da_{k}"][:, :, None] * s["z"][:, None, :])
        lines[f"db_{k}"] = lambda s, k=k: take(s[f"da_{k}"])
    for subject, chain in of_steps(cells(*drawn), 1):
        for names in (PARAMETERS, ("dW_o",), ("db_f",)) if subject.batch > 1 else ():
            worked = rounded(wrong_work(subject, {name: lines[name] for name in names}), 6)
            for written in (worked, {name: worked[name] for name in PARAMETERS}):
                marking = gw.check(written, chain, digits=6)
                assert marking.first.name == next(name for name in subject.names if name in names)
                assert "sum over the batch missing" in {cause.kind for cause in given(marking, written, 6)}


# Two mistakes.


@pytest.mark.parametrize(("drawn", "count"), [(FEW, 8), pytest.param(MANY, 40, marks=pytest.mark.peers)])
def test_of_two_mistakes_on_a_full_sheet_the_first_is_named(drawn, count):
    rng, failed, some = np.random.default_rng(4), [], of_steps(cells(*drawn), 1)
    for n in range(count):
        (subject, chain), digits = some[rng.integers(len(some))], int(rng.integers(5, 9))
        known = [slip for slip in slips(subject, rng) if slip.lines and slip.kind in NAMED_AS]
        one, other = (known[k] for k in rng.choice(len(known), 2, replace=False))
        if {*one.lines} & {*other.lines}:
            continue
        lines = {**other.lines, **one.lines}
        written = rounded(wrong_work(subject, lines), digits)
        place = next(name for name in subject.names if name in lines)
        made = one if place in one.lines else other
        alone = first_off(rounded(wrong_work(subject, made.lines), digits), work(subject), digits)
        if alone[0] != place or alone[1] < PROVEN or (written[place] == 1).all():  # ones tell nothing
            continue
        marking = gw.check(written, chain, digits=digits)
        kinds = {cause.kind for cause in given(marking, written, digits)}
        is_named = kinds & {NAMED_AS[made.kind], ALSO_AS.get(made.kind)}
        if marking.first is None or marking.first.name != place or not is_named:
            failed.append(f"{n}: {one} and {other}, {digits} digits: {place} is wrong, found {shown(marking)}")
    assert not failed, f"{len(failed)}\n" + "\n".join(failed)


# Several steps.


@pytest.mark.parametrize("drawn", thinned([FEW, MOST]))
@pytest.mark.parametrize(("step", "which"), [(1, "last"), (0, "first")])
def test_a_gradient_of_one_step_for_that_of_all_is_named(step, which, drawn):
    rng = np.random.default_rng(step)
    for subject, chain in of_steps(cells(*drawn), 2):
        worked = work(subject)
        for sheet in (subject.names, PARAMETERS):  # with all that leads to it, and without
            name = str(rng.choice(PARAMETERS))
            written = rounded({one: worked[one] for one in sheet} | {name: worked[f"{name}[{step}]"]}, 8)
            marking = gw.check(written, chain, digits=8)
            assert marking.count("wrong") == 1
            assert marking.first.name == name
            assert marking.first.causes[0].kind == "sum over the steps missing"
            assert str(marking.first.causes[0]) == f"only the {which} step is counted in {name}"
            assert given(marking, written, 8) == marking.first.causes


# Two mistakes in one equation.


def square_turned(s: Page, k: str) -> np.ndarray:
    return s.h_prev @ s.W(k)[:, : s.cell.hidden] + s.x @ s.W(k)[:, s.cell.hidden :].T


def in_one_equation() -> dict[str, dict[str, Line]]:
    """Return lines with two mistakes each."""
    found: dict[str, dict[str, Line]] = {
        "h = f c": {"h": lambda s: s["f"] * s["c"]},
        "h = i σ(c)": {"h": lambda s: s["i"] * sigmoid(s["c"])},
        "h = o c_prev": {"h": lambda s: s["o"] * s.c_prev},
        "h = o σ(c_prev)": {"h": lambda s: s["o"] * sigmoid(s.c_prev)},
        "h = f tanh(c_prev)": {"h": lambda s: s["f"] * np.tanh(s.c_prev)},
        "c = i h_prev + f g": {"c": lambda s: s["i"] * s.h_prev + s["f"] * s["g"]},
        "c = o h_prev + i g": {"c": lambda s: s["o"] * s.h_prev + s["i"] * s["g"]},
        "do = dh c_prev": {"do": lambda s: s.dh * s.c_prev},
        "do = dh σ(c_prev)": {"do": lambda s: s.dh * sigmoid(s.c_prev)},
    }
    for k, other in zip("figo", "igof", strict=True):
        lines: dict[str, Line] = {
            "[x; h], no bias": lambda s, k=k: np.hstack([s.x, s.h_prev]) @ s.W(k).T,
            "[x; h], two biases": lambda s, k=k: np.hstack([s.x, s.h_prev]) @ s.W(k).T + 2 * s.b(k),
            f"weights of {other}, no bias": lambda s, j=other: s["z"] @ s.W(j).T,
            f"weights of {other}, [x; h]": lambda s, j=other: np.hstack([s.x, s.h_prev]) @ s.W(j).T + s.b(j),
            "transposed, no bias": lambda s, k=k: square_turned(s, k),
            "transposed, two biases": lambda s, k=k: square_turned(s, k) + 2 * s.b(k),
        }
        found |= {f"a_{k}: {says}": {f"a_{k}": line} for says, line in lines.items()}
    return found


IN_ONE_EQUATION = in_one_equation()


@pytest.mark.parametrize(("drawn", "nth"), [(FEW, 9), pytest.param(MANY, 1, marks=pytest.mark.peers)])
def test_of_two_mistakes_in_one_equation_neither_is_named_alone(drawn, nth):
    """On at most 1 sheet in 100 is a single one named."""
    of, lost, caused, chosen = 0, [], [], list(IN_ONE_EQUATION)[::nth]
    subject, chain = of_steps(cells(*drawn), 1)[0]
    for says in chosen:
        for expected, written in sheets_of_one_line(subject, IN_ONE_EQUATION[says]):
            of += 1
            marking = gw.check(written, chain, digits=8)
            told = f"{says}, {subject.inputs} inputs, {subject.hidden} hidden, {[*written]}: {shown(marking)}"
            if marking.first is None or marking.first.name != expected:
                lost.append(told)
            elif any(verdict.causes for verdict in marking.verdicts):
                caused.append(told)
    assert of >= 3 * len(chosen)
    assert not lost, f"{len(lost)} of {of} were not found\n" + "\n".join(lost)
    assert len(caused) <= of / 100, f"{len(caused)} of {of} got a cause\n" + "\n".join(caused)


def sheets_of_one_line(subject: Cell, lines: dict[str, Line]) -> Iterator[tuple[str, Numbers]]:
    """Go through sheets that show what is wrong in one line, each with the first quantity in which they do."""
    (name,) = lines
    right, worked = work(subject), wrong_work(subject, lines)
    before = subject.names[: subject.names.index(name)]
    for names in ((name,), ("h",), ("c", "h"), ("f", "i", "g", "o", "c", "h"), (*before[-3:], name), (name[-1],)):
        written = rounded({one: worked[one] for one in names}, 8)
        expected, told = first_off(written, right, 8)
        if expected is not None and told >= PROVEN:
            yield expected, written


@pytest.mark.parametrize("count", thinned([4, 20]))
def test_where_one_unit_alone_is_written_its_mistake_is_named_as_well(count):
    """What is new is forgotten in one unit of so many cells: three times in four it is named."""
    rng, named = np.random.default_rng(8), 0
    for _ in range(count):
        cell = gw.LSTMCell(3, 4, rng=rng, dtype=np.float64)
        step = cell.step(rng.normal(size=3), gw.State(rng.normal(size=4), rng.normal(size=4)))
        without = step.forget_gate * step.previous.c  # nothing new is added
        one = np.where(np.arange(4) == 1, np.round(without, 6), np.nan)
        marking = gw.check({"c": one}, step)
        named += any("i ⊙ g is missing" in cause.says for cause in marking.first.causes)
    assert named >= 3 / 4 * count


def one_gate_of_two(rng: np.random.Generator, like: str) -> Cell:
    """Return a cell of two units with numbers of one digit, whose forget gate has the weights of another gate."""
    weight, bias = rng.integers(-9, 10, (4, 2, 4)) / 10, rng.integers(1, 10, (4, 2)) / 10
    weight[1], bias["ifgo".index(like)] = weight["ifgo".index(like)], 0.0
    x, h, c = (rng.integers(1, 10, shape) / 10 for shape in ((1, 1, 2), (1, 2), (1, 2)))
    return Cell("plain", gw.Parameters(weight=weight, bias=bias), x, h, c, np.ones_like(h), np.zeros_like(c))


def test_a_forgotten_term_is_named_before_exchanged_gates():
    """Without its bias a forget gate is an input gate that has the same weights and no bias."""
    subject = one_gate_of_two(np.random.default_rng(2), "i")
    written = wrong_work(subject, {"a_f": lambda s: s["z"] @ s.W("f").T})
    causes = gw.check({"a_f": written["a_f"]}, Chain(subject.trace()), digits=6).first.causes
    assert causes[0].kind == "missing bias"
    assert "two gates swapped" in {cause.kind for cause in causes}


def test_an_exact_decimal_has_no_further_digits():
    """It is not asked for more of them, but said that there are too few numbers."""
    subject = one_gate_of_two(np.random.default_rng(2), "o")
    right, without = work(subject)["a_f"], wrong_work(subject, {"a_f": lambda s: s["z"] @ s.W("f").T})["a_f"]
    marking = gw.check({"a_f": [without[0], np.nan]}, Chain(subject.trace()), digits=2)
    assert np.abs(right - np.round(right, 2)).max() < 1e-12
    assert marking.first.causes == ()
    assert marking.first.digits is None
    assert marking.first.more > 0
    assert "Too few numbers are written to tell what" in str(marking)


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_a_mistake_in_every_gate_of_one_step_is_named(steps):
    subject = Cell.random(np.random.default_rng(steps), steps=steps)
    slip = Slip("", "", {k: lambda s, k=k: np.tanh(s[f"a_{k}"]) for k in "fio"}, at=(1,))
    names = [f"{state}[{step}]" for step in range(steps) for state in "ch"]
    written = {name: np.round(value, 6) for name, value in work(subject, slip).items() if name in names}
    causes = gw.check(written, Chain(subject.trace()), digits=6).first.causes
    assert str(causes[0]) == "tanh is used instead of a sigmoid in f, i and o at step 1"


@pytest.mark.thorough
def test_a_wrong_mean_has_no_units_to_exchange():
    subject = Cell.random(np.random.default_rng(3), "layer norm")
    written = {name: value + 0.3 for name, value in work(subject).items() if name in ("μ_f", "v_o")}
    assert [verdict.status for verdict in gw.check(written, Chain(subject.trace())).verdicts] == ["wrong", "wrong"]


@pytest.mark.subjects(1)
@pytest.mark.parametrize(("kind", "sheet"), [("projection", "c and h"), ("layer norm", "gates and states")])
def test_a_product_slip_in_one_unit_is_named_where_all_units_follow_from_it(kind, sheet):
    """With a projection every hidden state is wrong, with layer norm every output gate."""
    rng = np.random.default_rng(1)
    for _ in range(3):
        cell = Cell.random(rng, kind)
        of_gate = [slip for slip in products_of_units(cell, rng) if [*slip.lines] == [cell.weighted("o")]]
        for slip in of_gate:
            (one,) = judge_sheets(Planted(cell, chain_of(cell), slip, False, False), 8, only=[sheet])
            assert one.first.others
            assert one.named, str(one)


@pytest.mark.thorough
def test_a_number_of_another_unit_is_named_in_a_sum_over_the_steps():
    """It was written in one step, which is not on the sheet, and added to those of the others."""
    subject = Cell.random(np.random.default_rng(2), steps=3)
    right = work(subject)
    written, step = {name: right[name].copy() for name in PARAMETERS}, right["dW_i[1]"]
    written["dW_i"][0, 1] += step[0, 2] - step[0, 1]
    causes = gw.check(written, Chain(subject.trace(), subject.dh, subject.dc), digits=7).first.causes
    assert [str(cause) for cause in causes] == ["the number that belongs at entry 2 is written in dW_i[1]"]


# The classes of mistakes.

RUNS = {
    "peephole, coupling, clips": {"projection": "projected", "time": 1},
    "layer norm of the gates": {"time": 1},
    "plain": {"time": 3},
}
OF_NONLINEARITIES = re.compile(r"(hard sigmoid|sigmoid|tanh|relu) for [a-z_ ]+")


def kinds_of(run: str) -> set[str]:
    """Return the kinds of all edits of a cell, of slips in its sums, and of how numbers are written."""
    chain = Chain(run_of(run, batch=1, inputs=2, hidden=2, **RUNS[run]).trace())
    lines = [chain.by_name[name if chain.steps == 1 else f"{name}[0]"] for name in ("f", "c")]
    values = {line.place: line.key for line in lines}
    made = [
        one for effect, _ in entry_slips(chain, lines, np.array([True, False]), values, 5e-5) for one in effect.values()
    ]
    catalogue = Catalogue(chain).by_place.values()
    found = {applied.edit.kind for edits in catalogue for applied in edits} | {one.edit.kind for one in made}
    right, written, margin = np.array([0.1234, 0.5]), np.array([0.1324, 0.2]), np.full(2, 5e-5)
    for wrong in ([True, False], [True, True]):
        found |= {kind for kind, *_ in writing_slips(right, written, np.array(wrong), margin, margin, is_matrix=False)}
    return found


@pytest.mark.parametrize("run", RUNS)
def test_every_kind_is_documented_and_fits_beside_a_bar(run):
    found = kinds_of(run)
    assert len(found) > 40
    assert not {kind for kind in found if not OF_NONLINEARITIES.fullmatch(kind)} - set(schemas.kinds_of_mistakes())
    assert max(map(len, found)) <= MAX_LABEL_LETTERS
