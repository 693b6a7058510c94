"""The example cells: a lesson whose gates differ and whose numbers can be worked out with a pocket calculator."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise import examples
from gatewise.examples import EXAMPLES, Example
from gatewise.render.layout import MAX_CLOSED, MIN_OPEN
from gatewise.showing import ENDINGS
from gatewise.symbolic.evaluation import evaluate
from gatewise.walkthrough.parts import NumberTable, Walkthrough, WorkedEquation

LESSON = Path(__file__).parent.parent / "docs" / "lesson"
GATES = "figo"  # the order in which the worked example goes through them


def run_of(example: Example, steps: int = 1) -> list[gw.Step]:
    """Return steps of an example's cell, its first input again and again."""
    run = [example.cell.step(example.x[0], example.state)]
    while len(run) < steps:
        run.append(example.cell.step(example.x[0], run[-1].state))
    return run


def lesson_walk(steps: int = 1, **options) -> Walkthrough:
    return gw.walk(run_of(examples.lesson(), steps), short=True, **options)


def test_the_gates_of_the_lesson_are_nearly_open_and_nearly_closed_and_all_differ():
    step = run_of(examples.lesson())[0]
    amounts = np.array([step.input_gate, step.forget_gate, step.output_gate])
    assert (amounts <= MAX_CLOSED).sum() >= 2
    assert (amounts >= MIN_OPEN).sum() >= 2
    values = np.sort(np.round(np.concatenate([*amounts, step.candidate]), 2))
    assert len(set(values)) == len(values)
    worked = run_of(examples.notebook())[0]
    assert all(abs(gate - 0.5).max() < 0.01 for gate in (worked.input_gate, worked.forget_gate, worked.output_gate))


def test_the_weights_of_the_lesson_have_one_or_two_digits():
    p = examples.lesson().cell.parameters
    for value in (*p.weight.flat, *p.bias.flat):
        assert 1 <= len(f"{abs(value):g}".replace(".", "").lstrip("0")) <= 2


@pytest.mark.parametrize("backward", [False, True])
def test_every_number_of_the_lesson_follows_from_the_four_decimals_that_are_shown(backward):
    """Work each equation out with the numbers as they are printed: the result is the one that is printed."""
    blocks = [block for section in lesson_walk(backward=backward).sections for block in section.blocks]
    equations = [block for block in blocks if isinstance(block, WorkedEquation)]
    assert len(equations) >= 11
    for equation in equations:
        shown = {symbol: np.round(value, 4) for symbol, value in equation.env.items()}
        np.testing.assert_array_equal(np.round(evaluate(equation.right, shown), 4), np.round(equation.value, 4))


@pytest.mark.parametrize("format", sorted({*ENDINGS} - {"json"}))
@pytest.mark.parametrize(
    "options", [{}, {"backward": True, "unit": 0}, {"brief": True}, {"steps": 3, "backward": True}]
)
def test_the_lesson_shows_at_most_four_decimals_in_every_format(format, options):
    shown = lesson_walk(**options).render(format)
    assert "0.9569" in shown
    assert not re.search(r"\d\.\d{5,}", re.sub(r'style="[^"]*"', "", shown))


def test_what_is_not_short_has_more_decimals_and_so_has_its_json():
    step = run_of(examples.lesson())[0]
    assert "0.95689275" in str(gw.walk(step))
    document = json.loads(lesson_walk().render("json"))
    values = [block["value"] for section in document["sections"] for block in section["blocks"] if "value" in block]
    assert step.cell_state.tolist() in values
    assert all(block.get("digits", 4) <= 4 for section in document["sections"] for block in section["blocks"])


@pytest.mark.parametrize("steps", [1, 2, 8])
@pytest.mark.parametrize("backward", [False, True])
def test_the_weights_come_before_the_lines_that_use_them(steps, backward):
    keys = [section.key for section in lesson_walk(steps, backward=backward).sections]
    worked = [section.key for section in gw.walk(run_of(examples.notebook(), steps), backward=backward).sections]
    assert keys == worked
    assert keys[:3] == ["activations", "sizes", "weights"]


def test_the_command_and_python_show_the_same_lesson(capsys):
    for options in ([], ["--backward"], ["--brief"], ["--steps", "3"], ["--backward", "--steps", "5"]):
        shown = output_of(capsys, "walk", "--example", "lesson", *options)
        steps = int(options[-1]) if "--steps" in options else 1
        walk = lesson_walk(
            steps, facts=examples.lesson().facts, backward="--backward" in options, brief="--brief" in options
        )
        assert shown.rstrip() == str(walk)
    assert "--x does not go with --example lesson" in refusal_of(capsys, "walk", "--example", "lesson", "--x", "1,2")
    assert EXAMPLES["lesson"] is examples.lesson


def test_the_lesson_of_the_docs_is_the_example(capsys):
    given = json.loads((LESSON / "lesson.json").read_text(encoding="utf-8"))
    example = examples.lesson()
    for place, k in enumerate("ifgo"):
        np.testing.assert_array_equal(given[f"W_{k}"], example.cell.parameters.weight[place])
        np.testing.assert_array_equal(given[f"b_{k}"], example.cell.parameters.bias[place])
    np.testing.assert_array_equal([given["x"]], example.x)
    np.testing.assert_array_equal([given["h_prev"], given["c_prev"]], example.state)
    assert list(given)[:8] == [f"{base}_{k}" for k in GATES for base in "Wb"]


def test_one_lesson_in_the_order_of_gates_everywhere(tmp_path, monkeypatch, capsys):
    """Hold the gates' order of the walk against that of its table, of sheets, hand-outs, keys, checks and marks."""
    monkeypatch.chdir(tmp_path)

    def order_of(names) -> str:
        return "".join(name[2:] for name in names if re.fullmatch("W_[figo]|a_[figo]", name))

    step = run_of(examples.notebook())[0]
    walk = gw.walk(step)
    of_walk = "".join(
        {"input_gate": "i", "forget_gate": "f", "candidate": "g", "output_gate": "o"}.get(s.key, "")
        for s in walk.sections
    )
    assert of_walk == GATES
    table = gw.walk(step, brief=True).sections[0].blocks[0]
    assert isinstance(table, NumberTable)
    assert "".join(str(head.base) for head in table.columns[3:7]) == GATES
    for place, letter in enumerate("fig"):
        value = {"f": step.forget_gate, "i": step.input_gate, "g": step.candidate}[letter][0]
        assert table.rows[0][1][3 + place] == value
    assert exit_code(["check", "mine.csv", "--template", "--backward"]) == 0
    rows = [row[0] for row in csv.reader(io.StringIO(Path("mine.csv").read_text()))]
    assert order_of(rows) == GATES
    assert "".join(name[3:] for name in dict.fromkeys(rows) if name.startswith("dW_")) == GATES
    Path("roster.csv").write_text("student\nAda\n", encoding="utf-8")
    assert exit_code(["exercise", "--students", "roster.csv", "-o", "hw", "--seed", "1"]) == 0
    key = json.loads(Path("hw/keys/Ada.json").read_text(encoding="utf-8"))
    assert order_of(key["given"]) == order_of(key["asked"]) == GATES
    page = Path("hw/sheets/Ada.html").read_text(encoding="utf-8")
    figures = re.findall(r"<figure[^>]*><figcaption>(.*?)</figcaption>", page)
    assert "".join(re.sub("<[^>]*>", "", one)[1] for one in figures if ">W<" in one) == GATES
    notebook = Path("hw/sheets/Ada.ipynb").read_text(encoding="utf-8")
    assert "".join(re.findall(r"W_([figo]) = np", notebook)) == "".join(re.findall(r'"`a_([figo])`', notebook)) == GATES
    answers = json.dumps(dict(reversed(key["answers"].items())))
    Path("hw/answers/Ada.json").write_text(answers, encoding="utf-8")
    capsys.readouterr()
    assert exit_code(["check", "hw"]) == 0
    head = next(csv.reader(io.StringIO(Path("hw/marks.csv").read_text(encoding="utf-8-sig"))))
    assert order_of(head) == GATES
    rows = re.findall(
        r"^ +(a_[figo]) ",
        output_of(capsys, "check", "hw/answers/Ada.json", "--given", "hw/keys/Ada.json"),
        re.MULTILINE,
    )
    assert order_of(rows) == GATES


def test_the_terms_of_a_sum_over_steps_are_defined_wherever_the_sum_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    definition = "(dW_f[0] = da_f[0] · z[0]ᵀ)"
    assert definition in output_of(capsys, "check", "mine.csv", "--template", "--backward", "--steps", "2")
    Path("wrong.csv").write_text("dW_f,1,2,3,4,5\ndW_f,1,2,3,4,5\n", encoding="utf-8")
    assert definition in " ".join(output_of(capsys, "check", "wrong.csv", "--steps", "2", code=1).split())
    Path("roster.csv").write_text("student\nAda\n", encoding="utf-8")
    exercise = ("exercise", "--students", "roster.csv", "-o", "hw", "--seed", "1", "--backward", "--steps", "2")
    assert exit_code([*exercise]) == 0
    page = Path("hw/sheets/Ada.html").read_text(encoding="utf-8")
    assert definition in page
    assert page.count(" (<math") == 8
    assert definition in Path("hw/sheets/Ada.ipynb").read_text(encoding="utf-8")
    walk = str(gw.walk(run_of(examples.notebook(), 2), backward=True))
    assert "dW_f[0] is the dW_f of step 0 above" in " ".join(walk.split())
