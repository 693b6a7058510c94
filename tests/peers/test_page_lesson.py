"""A page judges typed numbers as a marked sheet does: the same verdicts, and causes that `gatewise.check` names too."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import node

import gatewise as gw
from gatewise.examples import latch, notebook
from gatewise.grading.chain import AssumedValues, Chain
from gatewise.grading.edits.edit import LIKELY, EditContext, EquationEdit
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.languages import language
from gatewise.playground import document, lesson
from gatewise.playground import quantities as exported
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.render.data import numbers
from gatewise.symbolic.formula import Symbol

pytestmark = pytest.mark.peers
OF_SHEETS = {"follows": "right from a wrong line", "coarse": "too coarse"}  # what sheets call a status of the page
node.require()
Plain = dict[str, Any]
Mistake = tuple[Symbol, EquationEdit]  # the left side of an equation, and what is made of the right one


class Run:
    """A run of a cell of one unit, as a page and as a sheet have it."""

    def __init__(self, cell: gw.LSTMCell, x: np.ndarray, state: gw.State) -> None:
        run = sequence_run_of(gw.LSTM.from_cells(cell), x, 0, {"state": ((state,),)})
        self.trace = run.cells[0][0]
        self.doc = document._page_document(run, "a cell", [], numbers)
        self.doc["edits"] = exported.edits_of_wiring(run.wiring())

    @cache  # noqa: B019 (each lives as long as the tests)
    def chain(self, step: int) -> Chain:
        return Chain(self.trace.step(step, 0))

    @cache  # noqa: B019
    def mistakes(self, step: int) -> list[Mistake]:
        """Return the edits of the lines that both have."""
        chain = self.chain(step)
        p = self.trace.parameters
        lines = {line.symbol for line in chain.quantities if line.rank == 1}
        scene = EditContext(chain.program, p.recurrent_size, p.recurrent_size + p.input_size)
        edits = enumerate_edits(scene)
        return [(left, edit) for left in edits if left in lines and left.base != "z" for edit in edits[left]]

    def made(self, step: int, name: str, mistake: Mistake | None) -> dict[str, float]:
        """Return every line up to one, after a mistake in it, as somebody works them out."""
        chain, found = self.chain(step), dict[str, float]()
        values = AssumedValues(chain.given)
        for line in chain.lines:
            is_wrong = mistake is not None and line.symbol == mistake[0]
            value, _ = chain.compute(replace(line, right=mistake[1].right) if is_wrong else line, values)
            values.value[line.place] = value
            values.tolerance[line.place] = np.zeros(value.shape)
            if line.rank == 1 and line.asked and line.key.size == 1:
                found[line.name] = float(value.reshape(-1)[0])
            if line.name == name:
                break
        return found


@cache
def runs() -> list[Run]:
    """Return runs of one unit: the latch, the notebook's cell with one of its units, and random ones."""
    rng, found = np.random.default_rng(3), [Run(*latch()[:3])]
    cell = notebook().cell.parameters
    one = gw.Parameters(cell.weight[:, :1, [0, 2, 3, 4]].astype(np.float64), cell.bias[:, :1].astype(np.float64))
    found.append(Run(gw.LSTMCell.from_parameters(one), notebook().x, gw.State(np.array([0.3]), np.array([0.2]))))
    for features in (1, 3, 2):
        drawn = gw.LSTMCell(features, 1, rng=rng, dtype=np.float64)
        state = gw.State(rng.normal(size=1).round(1), rng.normal(size=1).round(1))
        found.append(Run(drawn, rng.normal(size=(1, features)).round(1), state))
    return found


def judged(tmp_path: Path, cases: list[Plain]) -> list[Plain]:
    """Return the verdicts of the page's JavaScript."""
    docs = [run.doc for run in runs()]
    data = {"docs": docs, "cases": cases, "phrases": language.words_in("en")["lesson"], "grader": lesson.grader()}
    found: list[Plain] = node.answer("judge.mjs", tmp_path, data)
    return found


def case(doc: int, step: int, typed: dict[str, str], name: str, **more: Any) -> Plain:
    ref = {"layer": 0, "direction": 0, "name": name, "step": step, "at": [0]}
    backward = any(one.startswith("d") for one in typed)
    return {"doc": doc, "ref": ref, "typed": typed, "backward": backward, **more}


def of_check(run: Run, step: int, typed: dict[str, str], digits: int) -> gw.Marking:
    return gw.check({name: [float(text)] for name, text in typed.items()}, run.chain(step), digits=digits)


def drawn_mistakes(count: int, seed: int, backward: bool = True) -> list[tuple[int, int, Mistake, str]]:
    """Return mistakes with the run and the step in which they are made, and the line that is written."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        doc = int(rng.integers(len(runs())))
        run = runs()[doc]
        last = len(run.trace) - 1
        step = int(rng.choice([0, 3, last])) if last else 0
        every = [one for one in run.mistakes(step) if (backward and step == last) or not one[0].d]
        every = [
            one for one in every if one[1].tier == LIKELY and one[1].kind in exported.SLIPS
        ]  # backward only where the loss is: at the last step
        mistake = every[rng.integers(len(every))]
        found.append((doc, step, mistake, run.chain(step).makers[(mistake[0], 0)].name))
    return found


def written(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def test_a_number_is_judged_as_on_a_sheet_and_its_cause_named(tmp_path: Path) -> None:
    cases, marked = [], []
    for doc, step, mistake, name in drawn_mistakes(160, seed=1):
        run = runs()[doc]
        try:
            value = run.made(step, name, mistake).get(name, np.nan)
        except (KeyError, ValueError):
            continue
        if not np.isfinite(value):
            continue
        typed = {name: written(value, 7)}
        cases.append(case(doc, step, typed, name))
        marked.append(of_check(run, step, typed, 7).verdicts[0])
    found = [one[made["ref"]["name"]] for one, made in zip(judged(tmp_path, cases), cases, strict=True)]
    assert [one["status"] for one in found] == [one.status for one in marked]
    wrong = [
        (one, made, sheet) for one, made, sheet in zip(found, cases, marked, strict=True) if sheet.status == "wrong"
    ]
    assert len(wrong) > 80
    slips = [case for case in wrong if case[2].causes and case[2].causes[0].kind in exported.SLIPS]
    named = [case for case in slips if case[0]["cause"]]
    assert len(named) >= 0.95 * len(slips)
    for one, made, sheet in named:
        kinds = [cause.kind for cause in sheet.causes]
        assert one["cause"]["kind"] in kinds or gives(made, one["cause"]), one


def gives(made: Plain, cause: Plain) -> bool:
    """Return whether a mistake of a cause's kind in its line gives the number that was typed."""
    run, step, name = runs()[made["doc"]], made["ref"]["step"], made["ref"]["name"]
    makers, alike = run.chain(step).makers, [one for one in run.mistakes(step) if one[1].kind == cause["kind"]]
    of_line = [one for one in alike if makers[(one[0], 0)].name == cause["line"]]
    values = [run.made(step, name, mistake)[name] for mistake in of_line]
    return any(abs(value - float(made["typed"][name])) < 1e-6 for value in values)


def test_lines_follow_from_the_persons_own(tmp_path: Path) -> None:
    cases, marked = [], []
    for doc, step, mistake, _ in drawn_mistakes(40, seed=2, backward=False):
        run = runs()[doc]
        try:
            values = run.made(step, "h", mistake)
        except (KeyError, ValueError):
            continue
        if not np.isfinite(list(values.values())).all():
            continue
        typed = {name: written(value, 6) for name, value in values.items()}
        cases.append(case(doc, step, typed, "h"))
        marked.append(of_check(run, step, typed, 6))
    found = judged(tmp_path, cases)
    assert len(found) > 20
    for one, sheet in zip(found, marked, strict=True):
        of_sheet = {verdict.name: verdict.status for verdict in sheet.verdicts}
        assert {name: OF_SHEETS.get(line["status"], line["status"]) for name, line in one.items()} == of_sheet


def test_too_few_digits_follow_from_nothing(tmp_path: Path) -> None:
    """σ(1) is 0.7311, and 0.7311 × tanh(0.5) is 0.3379."""
    typed = [{"a_o": "1", "o": o, "c": "0.5", "h": h} for o, h in (("1", "0"), ("0.7", "0.34"), ("0.73", "0.338"))]
    verdicts = judged(tmp_path, [case(2, 0, lines, "h") for lines in typed])
    found = [[one[name]["status"] for name in ("a_o", "o", "h")] for one in verdicts]
    assert found == [["wrong", status, status] for status in ("coarse", "follows", "follows")]


def test_few_digits_tell_no_cause_and_unrelated_numbers_have_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    cases = []
    for doc in range(1, len(runs())):
        for name in ("a_f", "c", "h"):
            right = runs()[doc].made(0, name, None)[name]
            for _ in range(25):
                off = float(rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 0) * max(abs(right), 0.1))
                cases.append(case(doc, 0, {name: written(right + off, 5)}, name))
    vague = [case(2, 0, {"h": written(runs()[2].made(0, "h", None)["h"] + 0.3, 1)}, "h")]
    *unrelated, coarse = judged(tmp_path, cases + vague)
    named = [one for one, made in zip(unrelated, cases, strict=True) if one[made["ref"]["name"]]["cause"]]
    assert len(named) <= 0.02 * len(cases)
    assert coarse["h"]["status"] == "wrong"
    assert not coarse["h"]["cause"]


def test_lines_that_are_seen_are_not_searched_first(tmp_path: Path) -> None:
    run = runs()[0]
    c = run.made(6, "h", None)
    product = c["o"] * c["c"]
    (found,) = judged(tmp_path, [case(0, 6, {"h": written(product, 4)}, "h", unseen=["h"])])
    assert found["h"]["says"] == "Not yet. Perhaps the tanh of the cell state is missing from h."


def test_numbers_that_are_worked_out_from_what_the_page_shows_are_right_but_for_rounding(tmp_path: Path) -> None:
    lines = {name: round(value, 4) for name, value in runs()[2].made(0, "h", None).items()}
    worked = {"c": None, "h": lines["o"] * np.tanh(lines["c"])}
    state = runs()[2].trace.initial.c[0, 0]
    worked["c"] = lines["f"] * state + lines["i"] * lines["g"]
    cases = [case(2, 0, {name: written(float(value), 8)}, name, unseen=[name]) for name, value in worked.items()]
    assert [one[name]["status"] for one, name in zip(judged(tmp_path, cases), worked, strict=True)] == ["close"] * 2


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    texts = {
        "0.7503": "right",
        "0,7503": "right",
        "75.03 %": "right",
        "7.503e-1": "right",
        "7.503·10^-1": "right",
        "0.7504": "close",
        "0.75032": "right",
        "1": "coarse",
        "0.8": "right",
        "1/2": "wrong",
        "7503/10000": "close",
        "７５．０３ ％": "right",
        "−0.7503": "wrong",
        "1,234": "ambiguous",
        "some": "unread",
    }
    found = judged(tmp_path, [case(0, 6, {"h": text}, "h", unseen=["h"]) for text in texts])
    assert {text: one["h"]["status"] for text, one in zip(texts, found, strict=True)} == texts


USUAL = {"missing bias": "is missing from", "order of [h; x]": "[x; h]", "wrong sign": "wrong sign"}


@pytest.mark.parametrize("kind", USUAL)
def test_a_worked_line_of_a_cell_of_one_digit_says_that_bias_order_or_sign_is_wrong(tmp_path: Path, kind: str) -> None:
    rng, docs, cases = np.random.default_rng(5), [], []
    for _ in range(40):
        weight, bias, x, h = (
            rng.choice([-1, 1], size=size) * rng.integers(1, 10, size=size) / 10
            for size in ((4, 1, 4), (4, 1), (1, 3), 1)
        )
        run = Run(gw.LSTMCell.from_parameters(gw.Parameters(weight, bias)), x, gw.State(h, h))
        name, gate = next(
            (name, n) for n, name in enumerate(("a_i", "a_f", "a_g", "a_o")) if rng.random() < 0.4 or n == 3
        )
        z, w, b = np.array([h[0], *x[0]]), weight[gate, 0], bias[gate, 0]
        slip = {"missing bias": w @ z, "order of [h; x]": w @ np.roll(z, -1) + b, "wrong sign": w @ z - b}[kind]
        if abs(slip - (w @ z + b)) > 0.05:  # else the slip makes no difference that two digits show
            cases.append(case(len(docs), 0, {name: written(float(slip), 4)}, name, usual=True))
            docs.append(run.doc)
    data = {"docs": docs, "cases": cases, "phrases": language.words_in("en")["lesson"], "grader": lesson.grader()}
    said = [next(iter(one.values()))["says"] for one in node.answer("judge.mjs", tmp_path, data)]
    assert len(said) > 30
    named = [says for says in said if USUAL[kind] in says]
    assert len(named) >= 0.9 * len(said), [says for says in said if says not in named]
