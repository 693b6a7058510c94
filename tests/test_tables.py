"""Tables in text: one table in every spelling reads to the same numbers, or is refused in one sentence."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cases
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pairwise import pairs

import gatewise as gw
from gatewise.cli.typed_numbers import numbers_from
from gatewise.files import tables
from gatewise.grading import roster, sheet
from gatewise.opening.number_files import read_numbers

TEXTS = {
    "plain": ("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "without a last line break": ("a,b\n1,2", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "line breaks of Windows": ("a,b\r\n1,2\r\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "blanks around": (" a , b\n", [(1, ["a", "b"])]),
    "empty lines": ("\n1\n\n  \n2\n", [(2, ["1"]), (5, ["2"])]),
    "empty cells": (",\n1,\n", [(1, ["", ""]), (2, ["1", ""])]),
    "quotes": ('"a,b",c\n', [(1, ["a,b", "c"])]),
    "a semicolon in quotes": ('"a;b",c\n', [(1, ["a;b", "c"])]),
    "a line break in quotes": ('"a\nb",c\n1,2\n', [(1, ["a\nb", "c"]), (3, ["1", "2"])]),
    "rows of different lengths": ("1\n2,3\n", [(1, ["1"]), (2, ["2", "3"])]),
    "a first line without a separator": ("a\n1;2\n", [(1, ["a"]), (2, ["1", "2"])]),
    "nothing": ("", []),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_and_its_text_have_the_same_rows(name, encoding, tmp_path):
    text, expected = TEXTS[name]
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    assert tables.rows(path) == expected
    assert tables.rows(path, text) == expected


@pytest.mark.parametrize(("first", "second"), [("\t", ";"), ("\t", ","), (";", ",")])
def test_the_rarer_separator_outranks_the_commoner(first, second, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"Ada{second} Countess{first}1{first}2\n", encoding="utf-8")
    assert [cells[-2:] for _, cells in tables.rows(path)] == [["1", "2"]]


# One table in every spelling.

NUMBERS = np.array([[0.5, -12.25, 1500.0], [-1e-3, 2.5, 300.125], [7.0, 0.0, -0.75]])
NAMES = ["降雨", "Größe", "wind"]
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
ENDS = {"Unix": "\n", "Windows": "\r\n", "old Mac": "\r"}
ENCODINGS = {
    "UTF-8": ("utf-8", b""),
    "UTF-8 with a mark": ("utf-8", b"\xef\xbb\xbf"),
    "UTF-16 of Windows": ("utf-16-le", b"\xff\xfe"),
    "UTF-16, big end first": ("utf-16-be", b"\xfe\xff"),
    "UTF-16 without a mark": ("utf-16-le", b""),
    "UTF-16, big end first, without a mark": ("utf-16-be", b""),
    "UTF-32": ("utf-32-le", b"\xff\xfe\0\0"),
}
HEADS = {"none": [], "names": NAMES, "names and times": ["date", *NAMES]}


def spelled(
    rows, *, separator=",", decimal=".", quoted=False, ends="\n", encoding=("utf-8", b""), minus="-", last=True
):
    """Return a table as a program writes it: cells of text, and numbers."""

    def cell(value):
        if isinstance(value, str):
            return f'"{value}"' if quoted else value
        text = repr(float(value)).replace(".", decimal).replace("-", minus)
        return f'"{text}"' if quoted else text

    text = ends.join(separator.join(map(cell, row)) for row in rows) + ends * last
    name, mark = encoding
    return mark + text.encode(name)


def without_doubt(case):
    """Say whether what separates the columns is another mark than that of decimals."""
    return case["separator"] != "comma" or case["decimal"] != "," or case["quoted"]


@pairs(
    3,
    without_doubt,
    separator=SEPARATORS,
    decimal=[".", ","],
    quoted=[False, True],
    ends=ENDS,
    encoding=ENCODINGS,
    heads=HEADS,
    minus=["-", "\N{MINUS SIGN}"],
    last=[True, False],
)
def test_a_table_in_every_spelling_is_the_same_numbers(
    separator, decimal, quoted, ends, encoding, heads, minus, last, tmp_path
):
    spelling = {
        "separator": SEPARATORS[separator],
        "decimal": decimal,
        "quoted": quoted,
        "ends": ENDS[ends],
        "encoding": ENCODINGS[encoding],
        "minus": minus,
        "last": last,
    }
    first = [HEADS[heads]] if HEADS[heads] else []
    times = [["1.2.2024"], ["2.2.2024"], ["3.2.2024"]] if "date" in HEADS[heads] else [[], [], []]
    rows = [[*time, *row] for time, row in zip(times, NUMBERS, strict=True)]
    path = tmp_path / "x.csv"
    path.write_bytes(spelled([*first, *rows], **spelling))
    for found in (numbers_from("x", str(path)), read_numbers(path)):
        np.testing.assert_array_equal(found.values, NUMBERS)
        assert found.features == (tuple(NAMES) if first else None)
        assert found.times == (("1.2.2024", "2.2.2024", "3.2.2024") if times[0] else None)
    names = ["f", "c", "h"]
    answers = [["quantity", "unit 0", "unit 1", "unit 2"]] if first else []
    path.write_bytes(spelled([*answers, *([name, *row] for name, row in zip(names, NUMBERS, strict=True))], **spelling))
    found = sheet.read(path).answers
    np.testing.assert_array_equal([found[name].values for name in names], NUMBERS)
    students = [["student", "group"]] if first else []
    path.write_bytes(spelled([*students, ["Ada Größe", 1.5], ["Grace", 2.5]], **spelling))
    assert [one.name for one in roster.read_roster(path)] == ["Ada Größe", "Grace"]


@given(
    numbers=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=4),
    marks=st.sampled_from([(separator, decimal) for separator, decimal in product(",;\t", ".,")]),
    quoted=st.booleans(),
)
def test_any_numbers_read_as_they_were_or_are_refused(numbers, marks, quoted, tmp_path_factory):
    separator, decimal = marks
    assume(quoted or separator != decimal)
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(spelled(numbers, separator=separator, decimal=decimal, quoted=quoted))
    try:
        found = numbers_from("x", str(path)).values
    except gw.FileError as problem:
        cases.one_sentence(problem, "which may be")
        assert decimal == ","
    else:
        np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_sheet_in_json_is_read_in_every_encoding(encoding, tmp_path):
    name, mark = ENCODINGS[encoding]
    path = tmp_path / "a.json"
    path.write_bytes(mark + '{"f": [0.25, -0.5], "µ": [1]}'.encode(name))
    found = sheet.read(path).answers
    assert {key: answer.values.tolist() for key, answer in found.items()} == {"f": [0.25, -0.5], "µ": [1]}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,5;2,5", [1.5, 2.5]),
        ("1,5,2,5", [1, 5, 2, 5]),
        ("1.5;2.5", [1.5, 2.5]),
        ("1.5\t2.5", [1.5, 2.5]),
        ("0.5, 0.8, 0.2", [0.5, 0.8, 0.2]),
        ("\N{MINUS SIGN}1;2", [-1, 2]),
        ("1,234", [1, 234]),
        ("0,234;1", [0.234, 1]),
        ("1e-3,2E4", [1e-3, 2e4]),
    ],
)
def test_a_comma_separates_unless_something_else_does(text, numbers, tmp_path):
    assert numbers_from("x", text).values.tolist() == numbers
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    assert numbers_from("x", str(path)).values.reshape(-1).tolist() == numbers


DOUBTFUL = {
    "thousands, or decimals": ("1,234;5", ["line 1", "'1,234'", "may be 1.234 or 1234"]),
    "thousands of thousands": ("1;2\n1,234,567;2", ["line 2", "'1,234,567', which is not a number"]),
    "thousands as heads": ("1,234,567;2,345,678\n1;2", ["'1,234,567', which is not a number"]),
    "commas and points": ("1,5;2\n3;2.5", ["line 1 has '1,5'", "line 2 has '2.5'", "throughout"]),
    "a comma and a point": ("1.234,5;2", ["'1.234,5', which is not a number"]),
    "decimal commas in one column": ("Regen\n1,5\n2,5", ["line 2 has 2 entries, not 1", "commas separate"]),
    "two separators": ("a,b\n1,2\n3;4", ["line 3 has 1 entries, not 2"]),
    "blanks between": ("1 2 3", ["'1 2 3', which is not a number"]),
    "an empty cell": ("1;2\n3;", ["line 2", "'', which is not a number"]),
    "an underscore": ("1_0,2", ["'1_0', which is not a number"]),
    "percent": ("50%,20%", ["'50%', which is not a number"]),
    "an open quote": ('1,"2\n3,4', ["not a number"]),
    "a zero character": ("1,2\n3,4\0", ["it is not text"]),
    "names alone": ("a,b\n", ["its only line holds no numbers: a, b"]),
    "nothing": ("\n\n", ["it has no rows"]),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_in_doubt_is_refused_by_name(name, tmp_path):
    text, parts = DOUBTFUL[name]
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    with cases.refusal(str(path), *parts):
        numbers_from("x", str(path))


@pytest.mark.parametrize("text", ["1,234;5", "1 2 3", "", ",", "1,,2", "1_0", "one", "1;2,x", "1,5;2.5", "1\n2"])
def test_what_is_in_doubt_on_the_command_line_is_refused_by_name(text):
    with cases.refusal("x", by=gw.OptionError) as caught:
        numbers_from("x", text)
    assert "cannot read" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Größe,b\n1,2".encode("latin-1"), ["line 1 has the byte 0xf6; save it as UTF-8"]),
        ("a,b\n1,2\n3,é".encode("cp1252"), ["line 3 has the byte 0xe9"]),
        (b"\xff\xfe1", ["UTF-8 or UTF-16", "as UTF-16 its byte 2 makes no sense"]),
        (bytes(range(256)), ["not text"]),
        (b"\x89PNG\r\n\x1a\n", ["line 1 has the byte 0x89"]),
        (b'"' + b"a" * 200_000, ["field"]),
    ],
)
def test_what_is_no_such_text_is_refused_in_one_sentence(content, parts, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with cases.refusal(str(path), *parts):
        tables.rows(path)


def test_a_file_that_is_not_there_is_missed(tmp_path):
    with cases.refusal("there is no such file"):
        tables.rows(tmp_path / "none.csv")


@given(content=st.binary(max_size=60))
def test_any_bytes_read_or_get_one_sentence(content, tmp_path_factory):
    path: Path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(content)
    try:
        numbers_from("x", str(path))
    except gw.GatewiseError as problem:
        cases.one_sentence(problem)


# NumPy's files.

ADVICE = ("allow_pickle", "max_header_size")  # how NumPy's own errors advise to read what may run code


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_objects_are_refused_without_the_advice_to_trust_them(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    array = np.array([{}, 1], dtype=object)
    np.savez(path, x=array) if suffix == ".npz" else np.save(path, array, allow_pickle=True)
    with cases.refusal("holds Python objects, not numbers; they are never read") as caught:
        read_numbers(path)
    assert not any(advice in str(caught.value) for advice in ADVICE)


@pytest.mark.subjects(1)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_no_damage_to_a_file_of_numpy_s_does_more_than_give_one_sentence(suffix, tmp_path):
    path, rng = tmp_path / f"x{suffix}", np.random.default_rng(0)
    x = rng.normal(size=(4, 3))
    np.savez(path, x=x) if suffix == ".npz" else np.save(path, x)
    whole, outcomes = path.read_bytes(), set()
    for number in range(300):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(min(len(data), 160 if number % 2 else len(data)))] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if number % 5 == 0 else data)
        try:
            read_numbers(path)
            outcomes.add("read")
        except gw.GatewiseError as problem:
            cases.one_sentence(problem)
            outcomes |= {"refused", *(advice for advice in ADVICE if advice in str(problem))}
    assert outcomes == {"read", "refused"}


def test_arrays_in_either_order_and_of_nothing_are_read_as_they_were(tmp_path):
    rows = np.arange(6.0).reshape(2, 3)
    arrays = {"C": rows, "F": np.asfortranarray(rows), "empty": np.ones(0)}
    np.savez(tmp_path / "all.npz", **arrays)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(read_numbers(tmp_path / f"{name}.npy").values, array)
        np.testing.assert_array_equal(read_numbers(tmp_path / "all.npz", name).values, array)
