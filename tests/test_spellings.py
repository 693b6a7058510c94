"""Spellings of sheets: numbers written in any of them are read as they were written, with half of their last digit."""

from __future__ import annotations

import numpy as np
import pytest
from cases import one_sentence
from spellings import SPELLINGS
from written import saved

import gatewise as gw
from gatewise.grading import names, sheet

NAMES = ("z", "a_f", "f", "a_g", "g", "c", "h", "df", "dg", "dW_f", "dW_g", "db_f", "dh_prev", "dc_prev", "da_g")
DECIMALS = {"float32 %.7f": 7, "float32 %.8f": 8, "float32 %.10f": 10}


def drawn(units: int, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return numbers of a cell of so many units, under gatewise's names."""
    sizes = {"z": (units + 3,), "dW_f": (units, units + 3), "dW_g": (units, units + 3)}
    ends = [f"[{t}]" for t in range(steps)] if steps > 1 else [""]
    return {
        name + end: rng.normal(0, 10.0 ** rng.uniform(-2, 0.5), sizes.get(name, (units,)))
        for end in ends
        for name in NAMES
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_written_in_any_spelling_is_read_as_it_was_written(spelling, tmp_path):
    rng = np.random.default_rng(len(spelling))
    for n in range(4):
        digits = int(rng.integers(2, 9))
        numbers = drawn(units=1 + n % 4 if spelling != "name: value" else 2 + n % 3, steps=1 + n % 3, rng=rng)
        ending, content = SPELLINGS[spelling](numbers, digits)
        found = sheet.read(saved(tmp_path, f"sheet.{ending}", content))
        assert not found.faults
        answers = {names.find(name, numbers): answer for name, answer in found.answers.items()}
        assert set(answers) == set(numbers)
        for name, value in numbers.items():
            hold_answer(answers[name], value, spelling, digits)


def hold_answer(answer: sheet.SheetAnswer, value: np.ndarray, spelling: str, digits: int) -> None:
    """Compare what was read of one quantity with what was written."""
    single = "float32" in spelling
    written = value.astype(np.float32).astype(np.float64) if single else np.round(value, digits)
    digits = DECIMALS.get(spelling, digits)
    half = 0.5 * 10.0**-digits
    if spelling == "Excel":  # whose rows are equally long
        assert np.isnan(answer.values[..., written.shape[-1] :]).all()
        answer = sheet.SheetAnswer(*(one[..., : written.shape[-1]] for one in (answer.values, answer.tolerance)), "")
    read = answer.values.reshape(written.shape)
    if spelling == "float32 str":  # as many digits as tell it from its neighbours
        np.testing.assert_array_equal(read.astype(np.float32), written)
        return
    np.testing.assert_allclose(read, written, rtol=0, atol=half * (1 + 1e-6) if single else 1e-12)
    tolerance = answer.tolerance.reshape(written.shape)
    if spelling == "Excel" or single:  # which keeps no zeros at the end
        assert (tolerance >= half * (1 - 1e-9)).all()
    else:
        np.testing.assert_allclose(tolerance, half if spelling != "npz" else tolerance.min(), rtol=1e-9)


# One number, as it may be written.


NUMBERS = {
    "49.3 %": (0.493, 0.0005),
    "49 %": (0.49, 0.005),
    "49,3%": (0.493, 0.0005),
    ".73": (0.73, 0.005),
    "-.5": (-0.5, 0.05),
    "\N{MINUS SIGN}0.50": (-0.5, 0.005),
    "\N{EN DASH}0.50": (-0.5, 0.005),
    "- 0.50": (-0.5, 0.005),
    "+0.5": (0.5, 0.05),
    "0,50": (0.5, 0.005),
    "1e-3": (1e-3, 5e-4),
    "1.20E-3": (1.2e-3, 5e-6),
    "1.2·10^-3": (1.2e-3, 5e-5),
    "1.2*10^-3": (1.2e-3, 5e-5),
    "1.2 × 10^{-3}": (1.2e-3, 5e-5),
    "1.2 * 10**-3": (1.2e-3, 5e-5),
    "1.2·10⁻³": (1.2e-3, 5e-5),
    "3": (3, 0.5),
    "3.": (3, 0.5),
    "12e1": (120, 5),
    "0e9": (0, 0.5),
    "0.000": (0, 0.0005),
    "0.4934\N{NO-BREAK SPACE}": (0.4934, 5e-5),
}
BLANKS = ("", " ", "_", "____", "-", "\N{EM DASH}", "?", "???", "n/a", "N/A", "None", "null")


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_may_be_written_in_many_ways(text, tmp_path):
    value, half = NUMBERS[text]
    for ending, content in (
        ("csv", f"f;{text};0,25"),
        ("csv", f"f\t{text}\t0.25"),
        ("txt", f"f = {text}; 0,25"),
        ("json", f'{{"f": ["{text}", 0.25]}}'),
    ):
        answer = sheet.read(saved(tmp_path, f"a.{ending}", content)).answers["f"]
        np.testing.assert_allclose(answer.values, [value, 0.25], rtol=1e-15)
        np.testing.assert_allclose(answer.tolerance, [half, 0.005], rtol=1e-12)


@pytest.mark.parametrize("text", BLANKS)
def test_a_blank_may_be_written_in_many_ways(text, tmp_path):
    for ending, content in (
        ("csv", f"f,{text},0.25\nc,{text},{text}"),
        ("csv", f"unit,f,c\n0,{text},{text}\n1,0.25,{text}"),
        ("txt", f"f = [{text}, 0.25]\nc = {text}"),
        ("txt", f"f (unit 0) = {text}\nf (unit 1) = 0.25\nc: {text}"),
        ("json", f'{{"f": ["{text}", 0.25], "c": "{text}"}}'),
    ):
        found = sheet.read(saved(tmp_path, f"a.{ending}", content))
        assert not found.faults
        np.testing.assert_array_equal(found.answers["f"].values, [np.nan, 0.25])
        assert found.answers["c"].blank


# Layouts.


PAIR = [0.49, 0.5]
LAYOUTS = {
    "cells": "f,0.49,0.50",
    "a bracket in cells": "f,[0.49, 0.50]",
    "a bracket in one cell": 'f,"[0.49 0.50]"',
    "a bracket in cells, with semicolons": "f;[0,49; 0,50]",
    "a column": "f,0.49\nf,0.50",
    "a name with a sign of its own": "f_t=1 = 0.49, 0.50",
    "a sum of signs": "f ≈ 0.49 0.50",
    "Pascal": "f := 0.49, 0.50",
    "brackets": "f = (0.49, 0.50)",
    "MATLAB": "f = [0.49; 0.50]",
    "decimal commas and blanks": "f = 0,49 0,50",
    "decimal commas and commas": "f = 0,49, 0,50",
    "decimal commas and semicolons": "f = 0,49; 0,50",
    "a list of NumPy 2": "f = [np.float64(0.49), np.float64(0.50)]",
    "a tensor": "f = tensor([0.4900, 0.5000], dtype=torch.float64)",
    "a tensor on a device": "f = tensor([0.4900, 0.5000], device='cuda:0', grad_fn=<MulBackward0>)",
    "a tensor of TensorFlow": "f = tf.Tensor([0.49 0.50], shape=(2,), dtype=float32)",
    "an array on several lines": "f = [[0.49]\n [0.50]]",
    "printed below its name": "f:\n[0.49 0.50]",
    "printed behind its name": "f [0.49 0.50]",
    "printed with NumPy's name": "f array([0.49, 0.50])",
    "in a list, with a remark": "- f = 0.49, 0.50  # by hand",
    "in a numbered list": "1. f: 0.49, 0.50\n2. c: 1, 2",
    "behind its formula": "f = σ(W_f·[h, x] + b_f) = [0.49, 0.50]",
    "a column below its name": "f:\n0.49\n0.50\nc: 1, 2",
    "a row below its name": "c\n1 2 3\nf\n0.49 0.50",
    "LaTeX": "$f_t = (0.49, 0.50)^T$",
    "columns that are counted": ",0,1\nf,0.49,0.50",
    "blanks": "f 0.49 0.50",
    "several words and blanks": "Forget gate   0.49   0.50",
    "units as rows": "unit,f\n0,0.49\n1,0.50",
    "units as rows, no head above them": ",f\nunit 0,0.49\nunit 1,0.50",
    "units as rows, from 1, in another order": "unit,f\n2,0.50\n1,0.49",
    "a column for each": "f,i\n0.49,0.1\n0.50,0.2",
    "one column": "f\n0.49\n0.50",
    "a printed table": "          f         i\n0  0.49  0.1\n1  0.50  0.2",
    "a printed table of words": "Forget gate  Input gate\n0.49  0.1\n0.50  0.2",
    "a row for each number": "unit,value,quantity\n0,0.49,f\n1,0.50,f",
    "units in names": "f (unit 0),0.49\nf unit 1,0.50",
    "Markdown": "| f | 0.49 | 0.50 |\n|---|---|---|\n| c | 0.1 | 0.2 |",
    "what is about the sheet": "Name: Ada Lovelace\nDate,2026-11-26\n# by hand, I swear\nf,0.49,0.50",
    "blank lines": "\n\n,,\nf,0.49,0.50\n;;\n",
    "sep": "sep=;\nf;0,49;0,50",
    "sep, after a mark": "\ufeffsep=;\r\nf;0,49;0,50\r\n",
    "the same again": "f,0.49,0.50\nc,1,2\nf,0.490,0.500",
    "first blank": "f,,\nc,1,2\nf,0.49,0.50",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_vector_is_read_from_any_layout(layout, tmp_path):
    found = sheet.read(saved(tmp_path, "a.txt", LAYOUTS[layout]))
    assert not [fault for fault in found.faults if fault.has_numbers]
    answers = {names.find(name, {"f", "f[1]"}): answer for name, answer in found.answers.items()}
    answer = answers["f[1]" if "sign of its own" in layout else "f"]
    np.testing.assert_array_equal(answer.values.reshape(-1), PAIR)


def test_steps_are_in_names_or_have_a_column(tmp_path):
    known = {"f[0]", "f[1]", "c[0]", "c[1]"}
    for text in (
        "f[0],1,2\nf[1],3,4\nc[0],5,6\nc[1],7,8",
        "step,unit,f,c\n0,0,1,5\n0,1,2,6\n1,0,3,7\n1,1,4,8",
        "f (step 0) = 1 2\nf (t=1): 3 4\nC_t[0] = [5 6]\nC_t (step 1) [7 8]",
        "quantity,step,unit,value\nf,0,0,1\nf,0,1,2\nf,1,0,3\nf,1,1,4\nc,0,0,5\nc,0,1,6\nc,1,0,7\nc,1,1,8",
    ):
        found = sheet.read(saved(tmp_path, "a.csv", text))
        answers = {names.find(name, known): answer.values.tolist() for name, answer in found.answers.items()}
        assert answers == {"f[0]": [1, 2], "f[1]": [3, 4], "c[0]": [5, 6], "c[1]": [7, 8]}


# What cannot be read costs its line.


REST = "c,0.1,0.2"
FAULTS = {
    "no number": (f"f,0.49,0.5o\n{REST}", "line 1", "f", "'0.5o' is not a number"),
    "a word": (f"{REST}\nf,0.49,half", "line 2", "f", "'half' is not a number"),
    "a formula": (f"f,=1+1,0.50\n{REST}", "line 1", "f", "'=1+1' is not a number"),
    "nan": (f"f,nan,1\n{REST}", "line 1", "f", "'nan' is not a number"),
    "underscores": (f"f,0_4934,1\n{REST}", "line 1", "f", "'0_4934' is not a number"),
    "too large": (f"{REST}\nf,1e999,1", "line 2", "f", "'1e999' is too large"),
    "too long": (f"f,{'1' * 100_000},1\n{REST}", "line 1", "f", "too long for a number"),
    "no name": (f"{REST}\n,0.1,2", "line 2", "", "'' is not the name of a quantity"),
    "again": (f"f,1,2\n{REST}\nf,1,3", "line 3", "f", "'f' is written again, with other numbers"),
    "again after a sign": (f"f = 1, 2\nf = 1, 3\n{REST}", "line 2", "f", "'f' is written again, with other numbers"),
    "commas of either kind": ("c;1;2\nf;1,234;5,678", "line 2", "f", "'1,234' may be 1.234 or 1234"),
    "points of either kind": ("c;0,1;2\nf;1.234;1", "line 2", "f", "'1.234' may be 1.234 or 1234"),
    "a lone comma": (f"{REST}\nf = 0,49", "line 2", "f", "'0,49' may be 0.49, or two numbers"),
    "commas of both kinds": (f"{REST}\nf = 0,49, 1", "line 2", "f", "which of the commas in '0,49, 1' mark decimals"),
    "several names in a line": (f"f: unit 0 = 0.49, unit 1 = 0.50\n{REST}", "line 1", "f", "'unit' is not a number"),
    "several signs in a line": (f"f = 0.49 i = 0.50\n{REST}", "line 1", "f", "'i' is not a number"),
    "a step or a value": (f"{REST}\nf_t=1,0.49,0.5", "line 2", "f_t", "t=… may be a step or a value"),
    "an open bracket": (f"f = [0.49, 0.50\n{REST}", "line 1", "f", "a bracket is not closed"),
    "a closed bracket": (f"f = [0.49], 0.50]\n{REST}", "line 1", "f", "what follows the brackets is not a number"),
    "ragged": (f"f = [[1, 2], [3]]\n{REST}", "line 1", "f", "its rows are not equally long"),
    "nested": (f"f = {'[' * 50_000}{']' * 50_000}\n{REST}", "line 1", "f", "nested more than 4 deep"),
    "a missing unit": (
        f"f (unit 0) = 1\nf (unit 2) = 2\n{REST}",
        "line 1",
        "f",
        "unit 1 of 'f' is missing before unit 2",
    ),
    "a unit again": (
        f"f (unit 0) = 1\nf (unit 1) = 2\nf (unit 1) = 3\n{REST}",
        "line 3",
        "f",
        "'unit 1' is written again, with other numbers",
    ),
    "control characters": (f"\x1b[2Jf\x07,1,x\n{REST}", "line 1", "\ufffd[2Jf\ufffd", "'x' is not a number"),
    "text after two lines in quotes": (f'"#\nhere"\nf,0.4934,half\n{REST}', "line 3", "f", "'half' is not a number"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_cannot_be_read_costs_its_line_and_is_told(what, tmp_path):
    text, place, name, says = FAULTS[what]
    found = sheet.read(saved(tmp_path, "a.csv", text))
    (fault,) = found.faults
    assert (fault.place, fault.name) == (place, name)
    assert says in fault.says
    assert len(str(fault)) < 300
    assert not [c for c in str(fault) if ord(c) < 32]
    np.testing.assert_array_equal(found.answers["c"].values, [0.1, 0.2] if REST in text else found.answers["c"].values)
    assert ("f" in found.answers) == ("again" in what or "a unit" in what)


def test_of_a_matrix_a_column_or_json_only_what_cannot_be_read_is_missing(tmp_path):
    for ending, text, values in (
        ("csv", "f,1,2\nf,3,x\nf,5,6", [[1, 2], [np.nan, np.nan], [5, 6]]),
        ("csv", "unit,f\n0,1\n1,x\n2,3", [1, np.nan, 3]),
        ("txt", "f (unit 0) = 1\nf (unit 1) = x\nf (unit 2) = 3", [1, np.nan, 3]),
        ("json", '{"c": ["x", 2],\n"f": [1, 2],\n"f": [1, 3]}', [1, 2]),
    ):
        found = sheet.read(saved(tmp_path, f"a.{ending}", text))
        assert len(found.faults) == (2 if ending == "json" else 1)
        np.testing.assert_array_equal(found.answers["f"].values, values)


def test_of_what_is_read_again_a_blank_does_not_count_and_what_is_lost_is_not_blank(tmp_path):
    text = "f (unit 0) = _\nf (unit 1) = 2\nf (unit 0) = 1\nf (unit 1) = 2.0\ng,x\ng,y\nh (unit 0): x\nc,1"
    found = sheet.read(saved(tmp_path, "a.txt", text))
    assert [fault.place for fault in found.faults] == ["line 5", "line 6", "line 7"]
    assert {name: answer.values.tolist() for name, answer in found.answers.items()} == {"f": [1, 2], "c": [1]}


def test_a_sheet_on_which_nothing_can_be_read_says_why(tmp_path):
    for text in ("f,half,1\nc,1,x", "f = half"):
        with pytest.raises(gw.FileError, match="line 1: f: 'half' is not a number"):
            sheet.read(saved(tmp_path, "a.txt", text))


# Hostile sheets: each gets its sentence, or costs its lines, and takes no time that grows with the square of its size.


MANY = 30_000
HOSTILE = {
    "columns": "f" + ",1" * MANY,
    "blank columns": "f" + "," * MANY,
    "columns of no numbers": "f" + ",x" * MANY,
    "names": "".join(f"{'f' * (n % 90 + 1)}{n},1\n" for n in range(2000)),
    "lines of one name": "f,1\n" * 5000,
    "units": "".join(f"f (unit {n}) = 1\n" for n in range(2000)),
    "a unit far off": "f (unit 0) = 1\nf (unit 999999) = 2",
    "signs": "f" + "=" * MANY,
    "blanks": "f" + " " * MANY + "x",
    "blanks and brackets": "f" + " [" * MANY + "x",
    "blanks before percents": "f = " + (" " * 1000 + "x") * 300,
    "steps": "f" + "_t=1" * MANY,
    "quotes": 'f,"' * MANY,
    "rules": "|" + "-|" * MANY + "x|",
    "digits": "f = 0." + "3" * MANY,
    "exponents": "f = " + "1e" * MANY,
    "powers": "f = 1" + "*10^1" * MANY,
    "open lines": "f = [\n" + "[\n" * 5000,
    "continued": "f = [1,\n" + "1,\n" * 5000 + "]",
    "heads": "unit,f\n" * 2000,
    "colons": "a:" * MANY,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_sheet_is_read_or_told_in_little_time(what, tmp_path):
    try:
        found = sheet.read(saved(tmp_path, "a.txt", HOSTILE[what]))
    except gw.FileError as problem:
        one_sentence(problem)
        return
    assert found.answers
    assert all(len(str(fault)) < 300 for fault in found.faults)
