"""Comma-separated text: the same rows out of a file and out of its text, under the numbers of their lines."""

from __future__ import annotations

import cases
import pytest

import gatewise as gw
from gatewise import tables

TEXTS = {
    "plain": ("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "without a last line break": ("a,b\n1,2", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "line breaks of Windows": ("a,b\r\n1,2\r\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
    "blanks around": (" a , b\n", [(1, ["a", "b"])]),
    "empty lines": ("\n1\n\n  \n2\n", [(2, ["1"]), (5, ["2"])]),
    "empty cells": (",\n1,\n", [(1, ["", ""]), (2, ["1", ""])]),
    "quotes": ('"a,b",c\n', [(1, ["a,b", "c"])]),
    "a line break in quotes": ('"a\nb",c\n1,2\n', [(1, ["a\nb", "c"]), (3, ["1", "2"])]),
    "rows of different lengths": ("1\n2,3\n", [(1, ["1"]), (2, ["2", "3"])]),
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


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_of_several_marks_the_one_that_the_first_line_has_most_of_parts_the_columns(mark, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"Ada, Countess{mark}1{mark}2\n", encoding="utf-8")
    assert tables.rows(path, marks=",;\t")[0][1][-2:] == ["1", "2"]
    assert len(tables.rows(path)[0][1]) == (4 if mark == "," else 2)


@pytest.mark.parametrize(
    ("content", "parts"),
    [(b"\xff\xfe1", ["it is not a list in UTF-8", "can't decode byte 0xff"]), (b'"' + b"a" * 200_000, ["field"])],
)
def test_what_is_no_such_text_is_refused_in_one_sentence(content, parts, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(gw.FileError) as caught:
        tables.rows(path, what="a list in UTF-8")
    cases.one_sentence(caught.value, str(path), *parts)


def test_a_file_that_is_not_there_is_missed(tmp_path):
    with pytest.raises(gw.FileError) as caught:
        tables.rows(tmp_path / "none.csv")
    cases.one_sentence(caught.value, "there is no such file")
