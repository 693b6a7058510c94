"""No table that gatewise writes has a cell that a spreadsheet computes, whatever the names and labels are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program import exit_code
from test_runs import ASKED

import gatewise as gw
from gatewise.files import tables
from gatewise.interop.trace_tables import write_long_table

MARKS = "=+-@|＝＋－＠｜"
HARMFUL = (
    *(
        '=HYPERLINK("http://x.y","x")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "|x",
        "＝1+1",
        "-",
        "-x",
        "--1",
    ),
    *("\t=1", "\r=1", " =1", "\ufeff=1", '"=1', "=1\n2", "\tx", "\rx", "a;=1", "a; \t=1", "a\n=1", 'a;"=1', "1;-2+3"),
)
NUMBERS = ("-1", "+1.5", "-.5e-7", "-1e+10", "12", "0.5", "-3.")
HARMLESS = ("rain", "2001-01-01T00:00:00+01:00", "a-b", "a=b", "x@y.z", "'=1", "", "c'", "(-1)", "∂L/∂x", "a, -b")


def cells(text: str) -> Iterator[str]:
    """Yield the cells of comma-separated text, and those that spreadsheets of countries with semicolons make of it."""
    for row in csv.reader(io.StringIO(text, newline="")):
        yield from row
    for line in re.split(r"[\r\n]", text):
        yield from line.split(";")


def is_computed(cell: str) -> bool:
    if cell.startswith(("\t", "\r")):
        return True
    cell = cell.strip(' \t\r\n"\ufeff')
    return (
        cell.startswith(tuple(MARKS))
        and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?|-(inf|nan)", cell, re.IGNORECASE) is None
    )


@given(st.text(st.sampled_from([*MARKS, *' \t\r\n;,"\ufeff', *"a1.e'", "\x1c"]), max_size=12))
@example("a;\t=1")
@example("\t-5")
@example("-1;-a")
@example('""=1')
def test_no_text_is_a_formula_and_every_letter_of_it_stays(text):
    written = tables.csv_text([["first", text, 1.5]])
    (row,) = csv.reader(io.StringIO(written, newline=""))
    assert [row[0], row[2]] == ["first", "1.5"]
    assert not [cell for cell in cells(written) if is_computed(cell)]
    assert row[1].replace("'", "") == text.replace("'", "").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("text", HARMFUL)
def test_a_formula_becomes_text(text):
    assert any(map(is_computed, (text, *re.split("[\n;]", text))))
    assert tables.literal(text) != text
    assert not any(map(is_computed, cells(tables.csv_text([[text]]))))


@pytest.mark.parametrize("text", [*NUMBERS, *HARMLESS])
def test_numbers_and_other_text_stay_as_they_are(text):
    assert tables.literal(text) == text


@pytest.mark.parametrize("number", [-1, -1.5, np.float32(-0.5), np.int64(-7), -np.inf, np.nan])
def test_numbers_are_written_as_numbers(number):
    assert tables.csv_text([[number]]) == f"{number}\n"
    column = io.StringIO()
    tables.write_columns(column, [np.array([number])])
    assert column.getvalue() == f"{np.array([number]).tolist()[0]}\n"


# What gatewise writes.

X = np.random.default_rng(0).normal(size=(7, 2, 3))
LABELS = gw.Labels(
    features=HARMFUL[:3],
    outputs=HARMFUL[3:7],
    sequences=("\r=1", "a\n=1"),
    times=tuple(f"{HARMFUL[-n]} {n}" for n in range(7)),
)
CELL = gw.LSTM(3, 4, rng=0)


def judge(text: str) -> None:
    """Assert that nothing in a table is computed, and that the names of the labels are there."""
    assert not [cell for cell in cells(text) if is_computed(cell)]


def test_the_table_of_a_trace_has_no_formula_and_its_numbers():
    file = io.StringIO()
    network = gw.Network(CELL, head=gw.Linear(np.ones((4, 4), np.float32)), labels=LABELS)
    run = network.trace(X, labels=LABELS)
    write_long_table(file, run)
    judge(file.getvalue())
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    for quantity, expected in (("input", X), ("y", run.output), ("forget_gate", None)):
        found = [float(row["value"]) for row in rows if row["quantity"] == quantity]
        expected = run.lstm[0].forget_gate if expected is None else expected
        np.testing.assert_allclose(found, np.asarray(expected).ravel(), rtol=1e-6)
    for names in (LABELS.features, LABELS.outputs, LABELS.sequences, LABELS.times):
        written = {str(tables.literal(name)) for name in names}
        assert any(written <= {row[column] for row in rows} for column in ("unit", "sequence", "time")), names


@pytest.mark.parametrize("question", ASKED)
def test_the_table_of_a_question_has_no_formula(question):
    ask, arguments = ASKED[question]
    run = CELL.trace(X, labels=LABELS)
    if hasattr(answer := ask(run, *arguments), "to_csv"):
        judge(answer.to_csv())
        assert answer.to_csv().count("\n") > 1


def test_the_marks_of_a_class_have_no_formula(here):
    students = [[name, number] for name, number in zip(HARMFUL, NUMBERS * 9, strict=False) if name.strip("-| \t")]
    with open("class.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(students)
    assert exit_code(["exercise", "--students", "class.csv", "-o", "week", "--hidden-size", "1"]) == 0
    assert exit_code(["check", "week"]) == 0
    marks = Path("week/marks.csv").read_text(encoding="utf-8-sig")
    judge(marks)
    assert marks.count("'") >= len(students)
    for _, number in students:
        assert f",{number}," in marks


def test_there_is_one_writer_of_tables():
    source = Path(gw.__file__).parent
    writers = [
        path
        for path in source.rglob("*.py")
        if re.search(r"\bcsv\.(w|DictW)riter|to_csv\((?!self)", path.read_text("utf-8"))
    ]
    assert writers == [source / "files" / "tables.py"]
