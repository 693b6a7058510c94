"""Why a quantity is wrong: known mistakes are found where they were made, and named only where they are proven."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Protocol

import numpy as np
import pytest
from slips.by_hand import Cell, Line, Page, sigmoid
from slips.mistakes import MISTAKES, PARAMETERS, Mistake, plain_cell
from slips.work import work, wrong_work
from written import PROVEN, Numbers, first_off, given, rounded, shown

import gatewise as gw
from gatewise.grading.chain import Chain
from gatewise.grading.marking import Marking

SHEETS = {
    "full": None,
    "gates and states": ("f", "i", "g", "o", "c", "h"),
    "c and h": ("c", "h"),
    "h": ("h",),
    "gradients of parameters": PARAMETERS,
}
FULL, GRADIENTS = "full", "gradients of parameters"


def subject_for(mistake: Mistake, rng: np.random.Generator, steps: int = 1) -> Cell:
    """Return a cell in which a mistake can be made."""
    hidden = int(rng.integers(2, 7 if mistake.square else 8))
    batch = int(rng.integers(2, 5)) if mistake.batch else int(rng.choice([1, 1, 2]))
    return plain_cell(rng, inputs=hidden if mistake.square else 0, hidden=hidden, batch=batch, steps=steps)


@cache
def shared(square: bool = False, batch: bool = False, steps: int = 1) -> list[tuple[Cell, Chain]]:
    """Return some cells in which the mistakes of the suite are made."""
    rng = np.random.default_rng(1)
    found = [
        plain_cell(rng, inputs=hidden if square else inputs, hidden=hidden, batch=rows if batch else 1, steps=steps)
        for inputs, hidden, rows in ((5, 3, 4), (1, 4, 2))[: 3 - steps]
    ]
    return [(subject, Chain(subject.trace())) for subject in found]


def shared_cell(mistake: Mistake, rng: np.random.Generator, steps: int = 1) -> tuple[Cell, Chain]:
    """Return one of those."""
    some = shared(mistake.square, mistake.batch, steps)
    return some[rng.integers(len(some))]


@cache
def many(square: bool, batch: bool, steps: int) -> list[tuple[Cell, Chain]]:
    """Return cells of many sizes; what can be done wrong in each is found out once, which takes longer than a sheet."""
    rng, mistake = np.random.default_rng(2), next(one for one in MISTAKES if (one.square, one.batch) == (square, batch))
    subjects = [subject_for(mistake, rng, steps) for _ in range(10)]
    return [(subject, Chain(subject.trace())) for subject in subjects]


def new_cell(mistake: Mistake, rng: np.random.Generator, steps: int = 1) -> tuple[Cell, Chain]:
    """Return one of many cells."""
    some = many(mistake.square, mistake.batch, steps)
    return some[rng.integers(len(some))]


class CellSource(Protocol):
    """A way to get a cell to make a mistake in."""

    def __call__(self, mistake: Mistake, rng: np.random.Generator, steps: int = 1) -> tuple[Cell, Chain]: ...


def spoiled_sheets(
    mistake: Mistake, rng: np.random.Generator, count: int, cell: CellSource
) -> Iterator[tuple[str, Cell, Chain, Numbers, Numbers, int]]:
    """Go through cells with a mistake: half of the sheets full, half of them sparse, those that show it in turn.

    Where nothing but the gradients of parameters is written, everything before them may be wrong: the last sheet. Of
    only two, the second is sparse for every other mistake.
    """
    turn = len(mistake.says)
    for n in range(count):
        while True:
            subject, run = cell(mistake, rng)
            right, worked = work(subject), wrong_work(subject, mistake.lines)
            digits = {sheet: int(rng.integers(4 if sheet == FULL else 5, 9)) for sheet in SHEETS}
            proven = {}
            for sheet, names in SHEETS.items():
                written = rounded({name: worked[name] for name in names or worked}, digits[sheet])
                if first_off(written, right, digits[sheet])[1] >= PROVEN:
                    proven[sheet] = written
            if FULL in proven:
                break
        sparse = [sheet for sheet in list(SHEETS)[1:4] if sheet in proven]
        sheet = sparse[(n // 2 + turn) % len(sparse)] if n % 2 and sparse else FULL
        sheet = GRADIENTS if n == count - 1 and GRADIENTS in proven and (count > 2 or turn % 2) else sheet
        yield sheet, subject, run, right, proven[sheet], digits[sheet]


def named(mistake: Mistake, marking: Marking, written: Numbers, digits: int) -> bool:
    """Return whether a cause of the mistake's class gives what is written."""
    return any(cause.kind in (mistake.kind, *mistake.also) for cause in given(marking, written, digits))


def called(mistake: Mistake) -> str:
    return f"{mistake.kind}: {mistake.says}"


every_mistake = pytest.mark.parametrize("mistake", MISTAKES, ids=called)


def of_one_gate_in_turn() -> list[Mistake]:
    """Return of the mistakes that are alike but for their gate one, of another gate each time; where the gate's
    nonlinearity has a part in it, g has its own. Of those every other, and each that is the first of its kind.
    All are in tests/peers/test_grading.py.
    """
    alike: dict[tuple[str, str, bool], list[Mistake]] = {}
    for mistake in MISTAKES:
        gate = re.search(r"(?:^|, )([figo])$", mistake.says)
        apart = gate is not None and gate[1] == "g" and "a_g" not in mistake.lines
        alike.setdefault((mistake.kind, mistake.says[: gate and gate.start()], apart), []).append(mistake)
    found = [some[turn % len(some)] for turn, some in enumerate(alike.values())]
    return [one for n, one in enumerate(found) if n % 2 or one.kind not in {other.kind for other in found[:n]}]


@pytest.mark.parametrize("mistake", of_one_gate_in_turn(), ids=called)
def test_a_known_mistake_is_found_where_it_was_made_and_named(mistake):
    hold_a_known_mistake(mistake, 1, shared_cell)


def hold_a_known_mistake(mistake: Mistake, count: int, cell: CellSource) -> None:
    """Make a mistake in so many cells, and assert that it is found in each."""
    rng = np.random.default_rng(sum(map(ord, mistake.kind + mistake.says)))
    failed = []
    for sheet, subject, run, right, written, digits in spoiled_sheets(mistake, rng, count, cell):
        marking = gw.check(written, run, digits=digits)
        expected, _ = first_off(written, right, digits)
        there = marking.first is not None and marking.first.name == expected
        if not there or not named(mistake, marking, written, digits):
            size = f"{subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}, {digits} digits"
            failed.append(f"{sheet} sheet, {size}: {expected} is wrong, found {shown(marking)}")
    assert not failed, f"{len(failed)} of {count}\n" + "\n".join(failed)


# Two mistakes.


def test_of_two_mistakes_on_a_full_sheet_the_first_is_named():
    hold_two_mistakes(8, shared_cell)


def hold_two_mistakes(count: int, cell: CellSource) -> None:
    """Draw two mistakes so many times."""
    rng, failed = np.random.default_rng(4), []
    single = [one for one in MISTAKES if not one.batch and not one.square]
    for n in range(count):
        one, other = (single[k] for k in rng.choice(len(single), 2, replace=False))
        if {*one.lines} & {*other.lines}:
            continue
        (subject, chain), digits = cell(one, rng), int(rng.integers(5, 9))
        worked = wrong_work(subject, other.lines | one.lines)
        written = rounded(worked, digits)
        places = [name for name in subject.names if name in one.lines | other.lines]
        made = one if places[0] in one.lines else other
        alone = first_off(rounded(wrong_work(subject, made.lines), digits), work(subject), digits)
        if alone[0] != places[0] or alone[1] < PROVEN:
            continue
        marking = gw.check(written, chain, digits=digits)
        there = marking.first is not None and marking.first.name == places[0]
        if not there or not named(made, marking, written, digits):
            told = f"{n}: {one.kind} ({one.says}) and {other.kind} ({other.says}), {digits} digits"
            failed.append(f"{told}: {places[0]} is wrong, found {shown(marking)}")
    assert not failed, f"{len(failed)}\n" + "\n".join(failed)


# Several steps.


def with_kind(kind: str) -> list[Mistake]:
    return [mistake for mistake in MISTAKES if mistake.kind == kind]


KINDS = tuple(dict.fromkeys(mistake.kind for mistake in MISTAKES))
OF_TWO_STEPS = {"only the last h": ("h[1]",), "both h": ("h[0]", "h[1]"), "gradients over all steps": PARAMETERS}


def sheets_of_two_steps(
    kind: str, rng: np.random.Generator, count: int, gradients: int, cell: CellSource
) -> Iterator[tuple[str, Mistake, Cell, Chain, Numbers, str]]:
    """Go through sparse sheets of runs in which a mistake is made at both steps, so many with each of the h that show
    it, and so many with gradients, or more where no h shows it.
    """
    shows = 0
    for sheet, there in OF_TWO_STEPS.items():
        made, wanted = 0, count if there != PARAMETERS else gradients if shows else 2 * count - 1
        for _ in range(20 * count if wanted else 0):
            mistake = with_kind(kind)[rng.integers(len(with_kind(kind)))]
            subject, chain = cell(mistake, rng, 2)
            right, worked = work(subject), wrong_work(subject, mistake.lines)
            names = (
                there if there != PARAMETERS else [f"dW_{rng.choice(list('figo'))}", f"db_{rng.choice(list('figo'))}"]
            )
            written = rounded({name: worked[name] for name in names}, 8)
            expected, told = first_off(written, right, 8)
            if expected is not None and told >= PROVEN and written[expected].shape == right[expected].shape:
                yield sheet, mistake, subject, chain, written, expected
                made += 1
            if made == wanted:
                break
        shows += made


def test_a_mistake_made_at_every_step_is_found_on_sparse_sheets_and_named_nine_times_in_ten():
    hold_a_mistake_at_every_step(1, shared_cell, KINDS[::11])


def hold_a_mistake_at_every_step(each: int, cell: CellSource, kinds: tuple[str, ...] = KINDS) -> None:
    """Make some kinds of mistake on so many sheets of each sort; of only one, every other kind on gradients too."""
    lost, unnamed, count, of = [], [], 0, dict.fromkeys(kinds, 0)
    for turn, kind in enumerate(kinds):
        rng, gradients = np.random.default_rng(sum(map(ord, kind))), int(each > 1 or turn % 2)
        for sheet, mistake, subject, chain, written, expected in sheets_of_two_steps(kind, rng, each, gradients, cell):
            count, of[kind] = count + 1, of[kind] + 1
            marking = gw.check(written, chain, digits=8)
            size = f"{subject.inputs} inputs, {subject.hidden} hidden, batch {subject.batch}"
            told = f"{kind} ({mistake.says}), {sheet}, {size}: {expected} is wrong, found {shown(marking)}"
            if marking.first is None or marking.first.name != expected:
                lost.append(told)
            elif not named(mistake, marking, written, 8):
                unnamed.append(told)
    assert min(of.values()) >= 2 * each - 1, of
    assert not lost, f"{len(lost)} of {count}\n" + "\n".join(lost)
    assert len(unnamed) <= count / 10, f"{len(unnamed)} of {count} are unnamed\n" + "\n".join(unnamed)


steps_taken_for_all = pytest.mark.parametrize(("step", "which"), [(1, "last"), (0, "first")])


@steps_taken_for_all
def test_a_gradient_of_one_step_for_that_of_all_is_named(step, which):
    hold_a_gradient_of_one_step(step, which, 1, shared_cell)


def hold_a_gradient_of_one_step(step: int, which: str, count: int, cell: CellSource) -> None:
    """Take the gradient of one step for that of all in so many cells."""
    rng = np.random.default_rng(step)
    for _ in range(count):
        subject, chain = cell(MISTAKES[0], rng, 2)
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


def test_of_two_mistakes_in_one_equation_neither_is_named_alone():
    hold_two_mistakes_in_one_equation(1, shared_cell, list(IN_ONE_EQUATION)[::9])


def hold_two_mistakes_in_one_equation(
    count: int, cell: CellSource, some: Sequence[str] = tuple(IN_ONE_EQUATION)
) -> None:
    """Make some two mistakes in an equation of so many cells: on at most 1 sheet in 100 is a single one named."""
    of, lost, caused = 0, [], []
    for says in some:
        rng, lines = np.random.default_rng(sum(map(ord, says))), IN_ONE_EQUATION[says]
        for _ in range(count):
            subject, chain = cell(MISTAKES[0], rng)
            for expected, written in sheets_of_one_line(subject, lines):
                of += 1
                marking = gw.check(written, chain, digits=8)
                told = f"{says}, {subject.inputs} inputs, {subject.hidden} hidden, {[*written]}: {shown(marking)}"
                if marking.first is None or marking.first.name != expected:
                    lost.append(told)
                elif any(verdict.causes for verdict in marking.verdicts):
                    caused.append(told)
    assert of >= 3 * count * len(some)
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


def test_where_one_unit_alone_is_written_its_mistake_is_named_as_well():
    hold_one_unit_alone(4)


def hold_one_unit_alone(count: int) -> None:
    """Forget what is new in one unit of so many cells: three times in four it is named."""
    rng, named = np.random.default_rng(8), 0
    for _ in range(count):
        cell = gw.LSTMCell(3, 4, rng=rng, dtype=np.float64)
        step = cell.step(rng.normal(size=3), gw.State(rng.normal(size=4), rng.normal(size=4)))
        without = step.forget_gate * step.previous.c  # nothing new is added
        one = np.where(np.arange(4) == 1, np.round(without, 6), np.nan)
        marking = gw.check({"c": one}, step)
        named += any("i * g is missing" in cause.says for cause in marking.first.causes)
    assert named >= 3 / 4 * count
