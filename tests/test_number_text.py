"""A number that somebody types is the same number wherever it is typed, or refused everywhere."""

from __future__ import annotations

import json
import math

import cases
import pytest
from cyclopts import CycloptsError
from hypothesis import given
from hypothesis import strategies as st
from number_spellings import SPELLINGS
from openpyxl import Workbook

import gatewise as gw
from gatewise.cli import app
from gatewise.cli.models import StatedSettings
from gatewise.cli.typed_numbers import numbers_from
from gatewise.grading import grades, sheet
from gatewise.number_text import numeral, parse_integer, parse_number
from gatewise.opening.columns import AttributeTable

pytestmark = pytest.mark.usefixtures("here")


def in_a_table(text):
    write("x.csv", f"a;b\n7;{text}\n")
    return numbers_from("x", "x.csv").values[0, 1]


def in_attributes(text):
    write("x.csv", f"id;a\nbasin;{text}\n")
    return AttributeTable.of("x.csv").attributes("basin", {"a"})["a"]


def in_points(text):
    write("x.csv", f"f;{text}\n")
    return grades.read_weights("x.csv", ["f"])["f"]


def in_an_option_of_numbers(text):
    return numbers_from("x", text).values[0]


def in_an_option(text):
    _, bound, _ = app.parse_args(["walk", f"--scale={text}"], exit_on_error=False, print_error=False)
    (options,) = [group for value in bound.arguments.values() for group in getattr(value, "groups", ()) if group]
    return gw.LSTMCell(1, 1, init="notebook", scale=options["scale"], seed=0) and options["scale"]


def in_an_activation(text):
    return gw.Activation.parse(f"affine:{text}").alpha


def in_a_setting(text):
    value = StatedSettings([f"number={text}"]).parsed()["number"]
    if isinstance(value, str) or not -math.inf < value < math.inf:  # which no setting that is a number allows
        raise ValueError
    return value


def answer(path):
    return sheet.read(path).answers["f"].values.reshape(-1)[-1]


def in_a_sheet(text):
    write("x.csv", f"f;0.125;{text}\n")
    return answer("x.csv")


def in_a_sheet_of_json(text):
    write("x.json", f'{{"f": [0.125, {text}]}}')
    return answer("x.json")


def in_a_text_of_json(text):
    write("x.json", json.dumps({"f": [0.125, text]}))
    return answer("x.json")


def in_a_workbook(text):
    book = Workbook()
    book.worksheets[0].append(["f", 0.125, text])
    book.worksheets[0]["C1"].data_type = "s"
    book.save("x.xlsx")
    return answer("x.xlsx")


def in_a_notebook(text):
    cells = [{"source": "`f`, array (2)"}, {"source": f"f = [0.125, {text}]"}]
    write("x.ipynb", json.dumps({"cells": cells}))
    return answer("x.ipynb")


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)


PLACES = {
    place.__name__: place
    for place in (
        *(in_a_table, in_attributes, in_points, in_an_option_of_numbers, in_an_option, in_an_activation, in_a_setting),
        *(in_a_sheet, in_a_sheet_of_json, in_a_text_of_json, in_a_workbook, in_a_notebook),
    )
}
LISTS = ("in_an_option_of_numbers", "in_an_activation", "in_a_sheet_of_json", "in_a_notebook")  # commas separate there


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_spelling_is_read_in_every_place_as_the_documentation_says(text):
    for name, place in PLACES.items():
        if "," in text and name in LISTS:
            continue
        expected = SPELLINGS[text]
        if expected is not None and expected < 0 and name in ("in_points", "in_an_option"):
            continue
        try:
            found = place(text)
        except (ValueError, KeyError, CycloptsError, gw.GatewiseError):
            found = None
        assert found == expected, name


def test_the_documentation_lists_numbers_and_what_is_refused():
    assert {*SPELLINGS.values()} == {5, 0.5, -3, 1000, None}
    assert {" 5 ", "\N{MINUS SIGN}3", "\N{FULLWIDTH DIGIT FIVE}", "1_000", "1½"} <= SPELLINGS.keys()


@pytest.mark.parametrize("text", ["5", "+5", " 5 ", "５", "٥"])
def test_a_count_is_read_of_digits(text):
    assert parse_integer(text) == 5


@pytest.mark.parametrize("text", ["5.0", "5e0", "1_000", "", "½", "²", "0x5", "5,0", "1 0", "five", "9" * 5000])
def test_a_count_is_nothing_but_digits(text):
    with pytest.raises(ValueError, match="must be an integer"):
        parse_integer(text)


@pytest.mark.parametrize("option", ["--steps", "--seed", "--hidden-size"])
@pytest.mark.parametrize("text", ["1_000", "1e3", "9" * 5000])
def test_an_option_that_counts_refuses_other_texts_in_one_short_sentence(option, text, capsys):
    from program import refusal_of

    assert len(refusal_of(capsys, "walk", option, text)) < 200


@pytest.mark.thorough
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_python_writes_is_read_as_that_number(value):
    for text in (repr(value), f"{value:.17g}", f"{value:.25e}"):
        assert parse_number(text) == value
        found = numeral(text)
        assert found is not None
        assert found.value == value


@given(st.text(alphabet="0123456789.,eE+-_ '%*^()½²−１·×⁻³ \N{NO-BREAK SPACE}", max_size=12))
def test_any_text_is_the_number_of_its_digits_or_none(text):
    """Of digits, one mark and one exponent no other number can be made than Python's own."""
    try:
        found = parse_number(text)
    except ValueError:
        return
    digits = "".join(text.translate({ord("−"): "-", ord("１"): "1", ord("·"): "*", ord("×"): "*"}).split())
    for raised, plain in zip("⁻³²", "-32", strict=True):
        digits = digits.replace(raised, plain)
    for power in ("*10**", "*10^", "*10"):
        digits = digits.replace(power, "e")
    assert found == float(digits.translate(dict.fromkeys(map(ord, "()"))))


# One bad number costs its line.

BAD = ["1_000", "½", "1e999", "9" * 10_000, "0x10", "NaN", "Infinity", "1.2.3", "--5"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", ["csv", "json", "xlsx", "ipynb", "xlsx of numbers"])
def test_a_bad_number_costs_its_line_and_not_the_sheet(kind, bad):
    if kind == "csv":
        write("x.csv", f"f;0.25;{bad}\ni;0.5;0.75\n")
    elif kind == "json":
        write("x.json", f'{{"f": [0.25, {bad}],\n"i": [0.5, 0.75]}}')
    elif kind == "ipynb":
        cells = [{"source": "`f`, array (2)"}, {"source": f"f = [0.25, {bad}]"}]
        write("x.ipynb", json.dumps({"cells": [*cells, {"source": "`i`, array (2)"}, {"source": "i = [0.5, 0.75]"}]}))
    else:
        workbook(bad, of_numbers="numbers" in kind)
    read = sheet.read(f"x.{kind.partition(' ')[0]}")
    assert read.answers["i"].values.tolist() == [0.5, 0.75]
    assert "f" not in read.answers
    (fault,) = read.faults
    assert fault.name == "f"
    assert str(fault.place).endswith((" 1", " 2"))  # a cell of a notebook is below its title
    assert len(str(fault)) < 200


def workbook(text, *, of_numbers):
    """Write a workbook in which a cell has a text, or claims that the text is a number."""
    book = Workbook()
    book.worksheets[0].append(["f", 0.25, text])
    book.worksheets[0].append(["i", 0.5, 0.75])
    book.worksheets[0]["C1"].data_type = "n" if of_numbers else "s"
    book.save("x.xlsx")


def test_a_number_of_ten_thousand_digits_in_a_notebook_is_said_to_be_too_long():
    cells = [{"source": "`f`, array (2)"}, {"source": f"f = [{'9' * 10_000}, 0.25]"}]
    write("x.ipynb", json.dumps({"cells": cells}))
    with cases.refusal("cell 2", "too long for a number"):
        sheet.read("x.ipynb")
    cells[1]["source"] = "f = [0.5, 0.25]"
    number = json.dumps({"cells": cells, "metadata": {"a": "number"}}).replace('"number"', "9" * 10_000)
    write("x.ipynb", number)
    assert sheet.read("x.ipynb").answers["f"].values.tolist() == [0.5, 0.25]


def test_code_is_no_number_that_cannot_be_read():
    for code in ("1/(1 + np.exp(-a))", "0.5 * w", "[1/2, 0.5]", "compute()"):
        cells = [{"source": "`f`, array (2)"}, {"source": f"f = {code}"}]
        write("x.ipynb", json.dumps({"cells": cells}))
        with cases.refusal("its cell was never run"):
            sheet.read("x.ipynb")


def test_an_array_that_is_no_answer_costs_itself():
    import numpy as np

    good = np.array([0.5, 0.25])
    for bad in ([0.5, np.inf], ["a", "b"], [1j, 0], [True, False], np.array([None, 0.5], object)):
        np.savez("x.npz", f=bad, i=good)
        read = sheet.read("x.npz")
        assert [*read.answers] == ["i"]
        assert [fault.name for fault in read.faults] == ["f"]


def test_a_minus_and_a_blank_before_a_number_in_a_list_are_one_number():
    write("x.txt", "f = [0.25, - 3]\ni = 0.5, -, 0.25\n")
    read = sheet.read("x.txt").answers
    assert read["f"].values.tolist() == [0.25, -3]
    assert str(read["i"].values.tolist()) == "[0.5, nan, 0.25]"
