"""Files as people hand them in: workbooks, filled-in notebooks, indexed names, and files that are no sheets."""

from __future__ import annotations

import datetime
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import one_sentence
from openpyxl import Workbook
from written import saved

import gatewise as gw
from gatewise import examples
from gatewise.grading import handout, matching, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import Plan, asked_quantities, split_lines
from gatewise.grading.roster import Student

STUDENT = Student("Ada", "Ada", ("Ada",))


def example_chain(steps: int) -> Chain:
    example = examples.notebook()
    run, state = [], example.state
    for _ in range(steps):
        run.append(example.cell.step(example.x[0], state))
        state = run[-1].state
    return Chain(run)


ONE, TWO = example_chain(1), example_chain(2)


def workbook(*worksheets: list[list[object]]) -> bytes:
    book, buffer = Workbook(), io.BytesIO()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(worksheets):
        page = book.create_sheet(f"page {number}")
        for row in rows:
            page.append(row)
    book.save(buffer)
    return buffer.getvalue()


def refusal_of(path: Path) -> str:
    with pytest.raises(gw.FileError) as problem:
        sheet.read(path)
    one_sentence(problem.value)
    return str(problem.value).removeprefix(f"cannot read {path}: ")


# Workbooks.


def test_a_workbook_is_read_from_all_its_worksheets_whatever_its_name(tmp_path):
    content = workbook([["f", 0.49, 0.5], [], ["c = 0,1 | 1.234"]], [], [["h", 1.234, -2], ["o", 0.25], ["g", "x", 1]])
    for name in ("a.xlsx", "a.csv"):
        read = sheet.read(saved(tmp_path, name, content))
        assert {name: answer.values.tolist() for name, answer in read.answers.items()} == {
            "f": [0.49, 0.5],
            "h": [1.234, -2],
            "o": [0.25, pytest.approx(np.nan, nan_ok=True)],
        }
        np.testing.assert_allclose(read.answers["h"].tolerance, [0.0005, 0.5])
        assert [fault.place for fault in read.faults] == ["line 3", "page 2, line 3"]
        assert "'1.234' may be 1.234 or 1234" in read.faults[0].says


def with_values(content: bytes, value: str) -> bytes:
    """Return a workbook whose formulas have a saved value, as Excel writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            text = before.read(name).replace(b"<v></v>", b"<v />").replace(b"<v />", f"<v>{value}</v>".encode())
            after.writestr(name, text)
    return buffer.getvalue()


def test_of_a_formula_the_saved_value_counts_and_without_one_it_is_told(tmp_path):
    content = workbook([["f", "=1/(1+EXP(-A9))", 0.5], ["c", 0.1, 0.2]])
    (fault,) = sheet.read(saved(tmp_path, "a.xlsx", content)).faults
    assert (fault.place, fault.name) == ("line 1", "f")
    assert "a formula that was never computed: =1/(1+EXP(-A9))" in fault.says
    read = sheet.read(saved(tmp_path, "a.xlsx", with_values(content, "0.4933603624")))
    assert read.faults == ()
    assert read.answers["f"].values.tolist() == [0.4933603624, 0.5]


def test_a_cell_that_is_no_number_costs_its_line(tmp_path):
    rows = [["f", datetime.date(2026, 5, 1), 0.5], ["i", True, 1], ["o", "#DIV/0!", 1], ["c", 0.1, 0.2]]
    read = sheet.read(saved(tmp_path, "a.xlsx", workbook(rows)))
    assert [*read.answers] == ["c"]
    assert "'2026-05-01 00:00:00 (a date or time)' is not a number" in read.faults[0].says
    assert [fault.name for fault in read.faults] == ["f", "i", "o"]


def spoilt(change: Callable[[bytes], bytes], part: str = "sheet1.xml") -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([["f", 0.49, 0.5]]))) as before,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, change(before.read(name)) if name.endswith(part) else before.read(name))
    return buffer.getvalue()


def rows_of_xml(rows: bytes) -> Callable[[bytes], bytes]:
    return lambda xml: xml.replace(b"</sheetData>", rows + b"</sheetData>")


LAUGHS = b"<!DOCTYPE l [<!ENTITY a0 'aaaaaaaaaa'>%s]>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 9)
)
WORKBOOKS = {
    "a bomb": (lambda: spoilt(rows_of_xml(b" " * 5_000_000)), "unpacked, its tables may have at most 1 MiB"),
    "a bomb of styles": (lambda: spoilt(lambda xml: xml + b" " * (1 << 20), "styles.xml"), "at most 1 MiB"),
    "wide rows": (lambda: spoilt(rows_of_xml(b'<row><c r="XFD1"><v>1</v></c></row>' * 99)), "at most 100,000 cells"),
    "a row beyond all": (lambda: spoilt(rows_of_xml(b'<row r="99999999999"/><row r="999999999999"/>')), "1,048,576"),
    "a cell far below": (lambda: spoilt(rows_of_xml(b'<row r="60000"><c r="A60000"><v>1</v></c></row>')), "50,000 l"),
    "laughs": (
        lambda: spoilt(lambda xml: LAUGHS + rows_of_xml(b'<row><c t="str"><v>&a8;</v></c></row>')(xml)),
        "not an intact Excel workbook",
    ),
    "nested": (lambda: spoilt(rows_of_xml(b"<a>" * 30_000)), "not an intact Excel workbook"),
    "no worksheet": (lambda: spoilt(lambda xml: b"<a/>", "xl/workbook.xml"), "there is no quantity in it"),
    "cut": (lambda: workbook([["f", 0.49, 0.5]])[:-200], "not an intact Excel workbook"),
    "no archive": (lambda: b"f,0.49,0.5", "not an intact Excel workbook"),
    "empty": (lambda: workbook([]), "there is no quantity in it"),
}


SLOW = ("a row beyond all", "laughs")


@pytest.mark.parametrize("what", [pytest.param(what, marks=[pytest.mark.peers] * (what in SLOW)) for what in WORKBOOKS])
def test_a_hostile_workbook_gets_one_sentence(what, tmp_path):
    content, sentence = WORKBOOKS[what]
    assert sentence in refusal_of(saved(tmp_path, "a.xlsx", content()))


def test_a_workbook_that_is_spoilt_anywhere_reads_or_gets_one_sentence(tmp_path):
    rng, content = np.random.default_rng(0), workbook([["f", 0.49, 0.5]])
    for _ in range(20):
        changed = bytearray(content)
        for place in rng.integers(len(content), size=5):
            changed[place] = rng.integers(256)
        try:
            sheet.read(saved(tmp_path, "a.xlsx", bytes(changed)))
        except gw.FileError as problem:
            one_sentence(problem)


def test_without_a_reader_of_workbooks_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    sentence = refusal_of(saved(tmp_path, "a.xlsx", workbook([["f", 1, 2]])))
    assert sentence == "to read Excel files, install openpyxl: from a clone, pip install '.[excel]'; or save it as CSV"


# Notebooks.


def notebook_of(plan: Plan) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the notebook of an exercise, and the answers to it."""
    problem = plan.problem("Ada")
    chain = Chain(problem.sequences(), problem.dh, problem.dc)
    lines = split_lines(asked_quantities(chain, plan.backward), plan.worked)
    book = json.loads(handout.sheet_notebook(STUDENT, problem, lines, plan))
    return book, {line.name: np.round(line.key, 5) for line in lines[1]}


def answer_cells(book: dict, answers: dict[str, np.ndarray]):
    cells = (cell for cell in book["cells"] if cell.get("id", "").startswith("answer-"))
    return zip(cells, answers.items(), strict=True)


def literal(name: str, values: np.ndarray) -> str:
    return f"np.array({values.tolist()})"


def in_rows(name: str, values: np.ndarray) -> str:
    rows = str(values.tolist()).replace(", ", ",  # by hand, 1 of 3\n    ")
    return f"{rows}\n{name.partition('[')[0]}_shown = 7\nprint('done')"


@pytest.mark.parametrize("write", [literal, in_rows])
@pytest.mark.parametrize("plan", [Plan(), Plan(steps=2, batch=2, backward=True)], ids=["one step", "steps, back"])
def test_a_notebook_is_read_from_its_answer_cells(plan, write, tmp_path):
    book, answers = notebook_of(plan)
    for cell, (name, values) in answer_cells(book, answers):
        cell["source"] = "".join(cell["source"]).replace("None", write(name, values))
        cell.pop("id")  # as some editors do
    read = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert not read.faults
    assert [*read.answers] == [*answers]
    for name, values in answers.items():
        np.testing.assert_array_equal(read.answers[name].values, values)


def run_notebook(book: dict, folder: Path, monkeypatch) -> None:
    """Run a notebook as Jupyter does, and save what it prints as its outputs."""
    monkeypatch.chdir(folder)
    space: dict = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "stdout", printed := io.StringIO())
                exec("".join(cell["source"]), space)
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed.getvalue()}]


def test_a_notebook_that_computes_is_read_from_what_it_printed_and_without_that_it_is_told(tmp_path, monkeypatch):
    book, answers = notebook_of(Plan())
    for cell, (name, values) in answer_cells(book, answers):
        if name == "c":
            cell["source"] = "c = f * c_prev + i * g"
        elif name == "h":
            cell["source"] = "h = o * np.tanh(c)\nprint(h.round(3))"
        elif name != "f":
            cell["source"] = "".join(cell["source"]).replace("None", f"np.array({values.tolist()})")
        else:
            cell["source"] = "f = 1 / (1 + np.exp(-a_f))"
    unrun = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert [fault.name for fault in unrun.faults] == ["f", "c", "h"]
    assert unrun.faults[0].place.startswith("cell ")
    assert all("its cell was never run" in fault.says for fault in unrun.faults)
    run_notebook(book, tmp_path, monkeypatch)
    run = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert not run.faults
    written = json.loads((tmp_path / "Ada.json").read_text())
    for name in answers:
        np.testing.assert_array_equal(run.answers[name].values, written[name])
    book["cells"][-1]["outputs"] = []
    own_output = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert [fault.name for fault in own_output.faults] == ["f", "c"]
    np.testing.assert_array_equal(own_output.answers["h"].values, np.round(written["h"], 3))


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("f = g(a_f)\nf", "array([0.1, 0.2], dtype=float32)"),
        ("f = g(a_f)\nf", "array([[0.1],\n       [0.2]])"),
        ("f = g(a_f)\nprint('f:', f)", "f: [0.1 0.2]\n"),
        ("f = g(a_f)\nprint(f)", "tensor([0.1000, 0.2000])"),
        ("f = torch.tensor([0.1, 0.2])\nf == h", "tensor([False, False])"),
        ("f = np.array([0.1,\n  0.2])\nassert f[0] == 0.1", ""),
        ("f = 0.1, 0.2", "0.9"),
    ],
)
def test_a_cell_is_read_from_its_numbers_or_from_what_it_shows(source, output, tmp_path):
    code = {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": []}
    code["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": output.splitlines(keepends=True)}}]
    book = {"cells": [{"cell_type": "markdown", "source": ["`f`, shape (2,)"]}, code]}
    read = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    np.testing.assert_array_equal(read.answers["f"].values.reshape(-1), [0.1, 0.2])


def test_nothing_in_a_notebook_is_run_and_an_empty_one_is_blank(tmp_path):
    book, answers = notebook_of(Plan())
    read = sheet.read(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert all(answer.blank for answer in read.answers.values())
    trace = tmp_path / "run"
    for cell, _ in answer_cells(book, answers):
        cell["source"] = "".join(cell["source"]).replace("None", f"[open({str(trace)!r}, 'w').write('1'), 1]")
    assert "its cell was never run" in refusal_of(saved(tmp_path, "a.ipynb", json.dumps(book)))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "it is empty"),
        ("{", "it is not an intact notebook"),
        ("[" * 100_000, "it is not an intact notebook"),
        ("[]", "it is not an intact notebook"),
        ('{"cells": [1, 2]}', "it is not an intact notebook"),
        ('{"cells": {"a": 1}}', "it is not an intact notebook"),
        ('{"cells": []}', "it is not the notebook that was handed out; copy its numbers into the .csv file"),
        ('{"cells": [{"cell_type": "code", "source": "f = 1"}]}', "it is not the notebook that was handed out"),
    ],
)
def test_a_notebook_that_is_none_gets_one_sentence(content, sentence, tmp_path):
    assert sentence in refusal_of(saved(tmp_path, "a.ipynb", content))


# Indexed names.


@pytest.mark.parametrize(
    "text",
    [
        "f_0 = 0.49\nf_1 = 0.5",
        "f[0] = 0.49\nf[1] = 0.5",
        "f[0],0.49\nf[1],0.5",
        "f_1 = 0.49\nf_2 = 0.5",
        "$f_{1}$ = 0.5\n$f_{0}$ = 0.49",
        "f(0): 0.49\nf(1): 0.5",
        "Forget gate_0 = 0.49\nForget gate_1 = 0.5",
        "f_{t,0} = 0.49\nf_{t,1} = 0.5",
        "f[0] = 0.49, 0.5",
        "f^{(0)} = 0.49, 0.5",
    ],
)
def test_an_index_is_a_unit_of_one_step(text, tmp_path):
    answers, faults = matching.match_answers(ONE, sheet.read(saved(tmp_path, "a.txt", text)))
    assert not faults
    assert {name: answer.values.tolist() for name, answer in answers.items()} == {"f": [0.49, 0.5]}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("f_0 = 1, 2\nf_1 = 3, 4", {"f[0]": [1, 2], "f[1]": [3, 4]}),
        ("f^{(1)} = 1, 2", {"f[1]": [1, 2]}),
        ("f[1]_0 = 1\nf[1]_1 = 2", {"f[1]": [1, 2]}),
        ("f[0][0] = 1\nf[0][1] = 2", {"f[0]": [1, 2]}),
        ("db_f_0 = 1\ndb_f_1 = 2", {"db_f": [1, 2]}),
        ("dW_f[0] = 1 2 3 4 5\ndW_f[1] = 6 7 8 9 10", {"dW_f": [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]}),
    ],
)
def test_an_index_is_a_step_or_a_unit_as_the_size_tells(text, read, tmp_path):
    answers, faults = matching.match_answers(TWO, sheet.read(saved(tmp_path, "a.txt", text)))
    assert not faults
    assert {name: answer.values.tolist() for name, answer in answers.items()} == read


@pytest.mark.parametrize(
    ("text", "lines", "says"),
    [
        ("f_1 = 0.5", 1, "which entry of 'f' it is, is unclear: they count from 0 to 1"),
        ("f_0 = 1\nf_1 = 2\nf_2 = 3", 3, "is unclear"),
        ("f = 1, 2\nf_0 = 3", 1, "it is an entry of 'f', which is written too"),
        ("q_0 = 1", 1, "there is no quantity 'q_0'"),
    ],
)
def test_an_index_that_is_unclear_is_told_and_never_guessed(text, lines, says, tmp_path):
    answers, faults = matching.match_answers(ONE, sheet.read(saved(tmp_path, "a.txt", text + "\nc,1,2")))
    assert len(faults) == lines
    assert all(says in fault.says for fault in faults)
    assert "c" in answers


def test_a_step_that_is_written_twice_counts_once_and_is_told(tmp_path):
    for text in ("f[1] = 1, 2\nf_1 = 3, 4", "f_1 = 1, 2\nf^{(1)} = 3, 4"):
        answers, (fault,) = matching.match_answers(TWO, sheet.read(saved(tmp_path, "a.txt", text)))
        assert {name: answer.values.tolist() for name, answer in answers.items()} == {"f[1]": [1, 2]}
        assert fault.place == "line 2"


def test_a_blank_among_indexed_entries_is_a_blank(tmp_path):
    answers, faults = matching.match_answers(ONE, sheet.read(saved(tmp_path, "a.txt", "f[0] = _\nf[1] = 0.5")))
    assert not faults
    np.testing.assert_array_equal(answers["f"].values, [np.nan, 0.5])


# Other files.


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"0.5")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.pdf", b"%PDF-1.7", "this is a PDF; type its numbers into the .csv file or the notebook"),
        ("a.csv", b"%PDF-1.7", "this is a PDF"),
        ("IMG_1.HEIC", b"\0\0\0\x18ftypheic", "this is a photo; type its numbers into the .csv file"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "this is a photo"),
        ("a.txt", b"\x89PNG\r\n\x1a\n", "this is a photo"),
        ("a.docx", archive("word/document.xml"), "this is a Word document; copy its numbers into the .csv file"),
        ("a.csv", archive("word/document.xml"), "this is a Word document"),
        ("a.odt", archive("content.xml"), "this is an OpenDocument text; copy"),
        (
            "a.ods",
            archive("content.xml"),
            "this is an OpenDocument spreadsheet; save it as CSV or as an Excel",
        ),
        ("a.numbers", archive("Index/Document.iwa"), "this is a Numbers spreadsheet; save it as CSV"),
        ("a.pages", archive("Index/Document.iwa"), "this is a Pages document; copy"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "this is an old or a protected Excel workbook; save it as CSV"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0", "this is an old or a protected Excel workbook"),
        ("a.rtf", b"{\\rtf1", "this is a Word document; copy"),
        ("a.txt", b"{\\rtf1", "this is a Word document"),
        ("a.zip", archive("f.csv"), "this is an archive; unpack it"),
        ("a.csv", archive("f.csv"), "this is an archive; unpack it"),
        ("a.html", b"<p>", "this is a web page; copy"),
        ("a.txt", b"\xef\xbb\xbf <!DOCTYPE html>", "this is a web page"),
        ("a.webloc", b"<?xml", "this is a link, not a file; hand in the file itself"),
        ("a.txt", b"[InternetShortcut]", "this is a link, not a file"),
        ("a.csv", b"", "it is empty"),
        ("a.xlsx", b"", "it is empty"),
        ("a.exe", b"MZ", "a sheet is a file ending in .json, .csv, .npz, .xlsx, .ipynb"),
    ],
)
def test_a_file_that_is_no_sheet_is_named_with_the_way_out(name, content, sentence, tmp_path):
    assert refusal_of(saved(tmp_path, name, content)).startswith(sentence)
