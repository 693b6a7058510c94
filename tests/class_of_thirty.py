"""A class of thirty as a learning platform hands it over: names of all kinds, four formats, copies, blanks, a photo."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from spellings import RAISED, SPELLINGS, assigned, german, lines, renamed

from gatewise.grading import handout, roster
from gatewise.grading.exercise import Plan

Numbers = dict[str, np.ndarray]
Files = Mapping[str, bytes]  # by the names under which they come back
HEADS = ("Matrikelnummer", "Nachname", "Vorname", "E-Mail", "Gruppe")
DIGITS = 4


def spelled(spelling: str) -> Callable[[Numbers], bytes]:
    return lambda numbers: SPELLINGS[spelling](numbers, DIGITS)[1]


def without_bias(numbers: Numbers, given: Mapping[str, np.ndarray]) -> Numbers:
    """Return the answers of somebody who forgets the bias of the forget gate, and goes on correctly."""
    a_f = numbers["a_f"] - given["b_f"]
    f = 1 / (1 + np.exp(-a_f))
    c = f * given["c_prev"] + numbers["i"] * numbers["g"]
    return numbers | {"a_f": a_f, "f": f, "c": c, "h": numbers["o"] * np.tanh(c)}


def notebook(empty: bytes, numbers: Numbers, *, printed: bool = False) -> bytes:
    """Return a student's notebook: filled in, or computed, with what its last cell printed."""
    book = json.loads(empty)
    written = {name: np.round(value, DIGITS).tolist() for name, value in numbers.items()}
    cells = [cell for cell in book["cells"] if cell["id"].startswith("answer-")]
    for cell, (name, value) in zip(cells, written.items(), strict=True):
        cell["source"] = f"{name} = {'compute()' if printed else value}"
    if printed:
        text = json.dumps(written)
        book["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [text]}]
    return json.dumps(book).encode()


def never_computed(numbers: Numbers) -> bytes:
    """Return a workbook with a formula that no program has computed."""
    book, buffer = Workbook(), io.BytesIO()
    for name, value in numbers.items():
        book.worksheets[0].append([name, *np.round(value, DIGITS).tolist()])
    book.worksheets[0]["B3"] = "=1/(1+EXP(-B2))"
    book.save(buffer)
    return buffer.getvalue()


def make(folder: Path) -> dict[str, Files]:
    """Make the class in the folder of an exercise, and return what each student handed in."""
    names = [name.split(", ") for name in STUDENTS]
    rows = [HEADS, *((str(4711 + k), *name, f"s{k}@uni.example", "AB"[k % 2]) for k, name in enumerate(names))]
    with open(folder / "roster.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    handout.write_exercise(folder / "hw", roster.read_roster(folder / "roster.csv"), Plan(input_size=2, seed=30))
    handed: dict[str, Files] = {}
    answers_of: dict[str, Numbers] = {}
    for student in roster.read_roster(folder / "roster.csv"):
        key = json.loads((folder / "hw" / "keys" / f"{student.file}.json").read_text(encoding="utf-8"))
        answers_of[student.name] = {name: np.array(value) for name, value in key["answers"].items()}
        given = {name: np.array(value) for name, value in key["given"].items()}
        sheets = {path.suffix: path.read_bytes() for path in (folder / "hw" / "sheets").glob(f"{student.file}.*")}
        handed[student.name] = STUDENTS[student.name](answers_of, student.name, given, sheets)
    for files in (*handed.values(), STRAYS):
        for name, content in files.items():
            path = folder / "hw" / "answers" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    return handed


def one(name: str, write: Callable[[Numbers], bytes], slip: Callable[..., Numbers] | None = None):
    """Return how a student hands in one file."""
    return lambda all_answers, student, given, sheets: {
        name: write(all_answers[student] if slip is None else slip(all_answers[student], given))
    }


def raised(numbers: Numbers) -> bytes:
    return assigned(numbers, DIGITS, call=lambda name: renamed(name, RAISED))[1]


def indexed(numbers: Numbers) -> bytes:
    pairs = [(f"{name}_{k}", value) for name, values in numbers.items() for k, value in enumerate(values)]
    return "\n".join(f"{name} = {value:.{DIGITS}f}" for name, value in pairs).encode()


def with_an_unreadable_line(numbers: Numbers) -> bytes:
    return SPELLINGS["csv"](numbers, DIGITS)[1].replace(b"\no,", b"\no,about ")


def some(names: str) -> Callable[[Numbers], bytes]:
    return lambda numbers: lines({name: numbers[name] for name in names}, DIGITS)[1]


def of_windows(numbers: Numbers) -> bytes:
    return lines(numbers, DIGITS, mark=";", number=german, head="Größe;Einheit 0;Einheit 1", encoding="cp1252")[1]


def off(numbers: Numbers, given: Mapping[str, np.ndarray]) -> Numbers:
    return {name: value + 0.25 for name, value in numbers.items()}


STRAYS: Files = {"answers.csv": b"f,0.5,0.5", "Meier.csv": b"f,0.5,0.5"}
STUDENTS: dict[str, Callable[..., Files]] = {
    "Dąbrowski, Łukasz": one("Lukasz Dabrowski.csv", spelled("csv")),
    "Mikkelsen, Søren": one("Soeren_Mikkelsen.xlsx", spelled("Excel")),
    "Müller, Jörg": one("Mueller, Joerg.csv", of_windows),
    "van der Berg, Anna": one("vanderberganna_880_301_answers.csv", spelled("csv")),
    "Groß, Zoë": one("Zoe Gross.txt", spelled("name = value | value")),
    "Peña, Íñigo": lambda answers, student, given, sheets: {
        "Inigo Pena.ipynb": notebook(sheets[".ipynb"], answers[student])
    },
    "Åkesson, Björk": one("akessonbjoerk_LATE_881_302_work.xlsx", spelled("Excel")),
    "Lovelace, Ada": one("Ada Lovelace_10432_assignsubmission_file_/answers.csv", spelled("csv")),
    "Hopper, Grace": one("Grace Hopper_10433_assignsubmission_file_/answers.csv", spelled("csv"), without_bias),
    "Meier, Max": one("meiermax_882_303_answers.json", spelled("json")),
    "Meier, Eva": lambda answers, student, given, sheets: {"Meier, Eva.csv": some("fch")(answers["Meier, Max"])},
    "Turing, Alan": lambda *_: {},
    "Noether, Emmy": lambda *_: {"Emmy Noether.jpg": b"\xff\xd8\xff\xe0"},
    "Kovalevskaya, Sofia": lambda answers, student, given, sheets: {"Kovalevskaya_Sofia.csv": sheets[".csv"]},
    "Ramanujan, Srinivasa": lambda answers, student, given, sheets: {
        "Ramanujan.csv": some("zfi")(answers[student]),
        "Ramanujan.xlsx": spelled("Excel")(answers[student]),
    },
    "Germain, Sophie": lambda answers, student, given, sheets: {
        "Germain.pdf": b"%PDF-1.7",
        "Germain.ipynb": notebook(sheets[".ipynb"], answers[student], printed=True),
    },
    "Gauß, Carl": lambda answers, student, given, sheets: {
        "Gauss.csv": spelled("csv")(answers[student]),
        "Carl.csv": spelled("csv")(off(answers[student], given)),
    },
    "Erdős, Pál": one("Erdos Pal.txt", indexed),
    "Poincaré, Henri": one("Poincare_Henri.txt", raised),
    "Šafařík, Jiří": one("Jiri Safarik.csv", spelled("a head of units")),
    "Çelik, Ayşe": one("Ayse Celik.csv", spelled("percent")),
    "Nguyễn, Văn": lambda *_: {"Van Nguyen.docx": b"PK\x03\x04"},
    "O'Neil, Cathy": one("oneilcathy_883_304_sheet.xlsx", never_computed),
    "Þórsson, Jón": one("Jon Thorsson.csv", with_an_unreadable_line),
    "García Márquez, José": one("garciamarquezjose_884_305_a.csv", some("fio")),
    "Ibn Sina, Ali": one("Ali Ibn Sina.csv", spelled("csv"), off),
    "Khayyam, Omar": lambda answers, student, given, sheets: {
        "Omar Khayyam.csv": spelled("csv")(off(answers["Ibn Sina, Ali"], given))
    },
    "李, 明": one("李明.json", spelled("json")),
    "D'Alembert, Jean": lambda *_: {"Jean D'Alembert.csv": b""},
    "Wang, Zhenyi": lambda *_: {"Zhenyi Wang.url": b"[InternetShortcut]\nURL=https://example.org/sheet"},
}
RESULTS = dict.fromkeys(STUDENTS, ("marked", "11")) | {  # whether each sheet is marked, and its marks
    "Hopper, Grace": ("marked", "10"),
    "Meier, Eva": ("marked", "0"),
    "Turing, Alan": ("missing", "0"),
    "Noether, Emmy": ("unreadable", "0"),
    "Kovalevskaya, Sofia": ("blank", "0"),
    "Gauß, Carl": ("unreadable", "0"),
    "Nguyễn, Văn": ("unreadable", "0"),
    "O'Neil, Cathy": ("marked", "10"),
    "Þórsson, Jón": ("marked", "10"),
    "García Márquez, José": ("marked", "3"),
    "Ibn Sina, Ali": ("marked", "0"),
    "Khayyam, Omar": ("marked", "0"),
    "D'Alembert, Jean": ("unreadable", "0"),
    "Wang, Zhenyi": ("unreadable", "0"),
}
SENTENCES = (  # about files and sheets
    "Meier.csv (could belong to Meier, Max or Meier, Eva)",
    "answers.csv (no student has that name)",
    "Ramanujan.csv (Ramanujan, Srinivasa: Ramanujan.xlsx has more numbers)",
    "Germain.pdf (Germain, Sophie: this is a PDF; type its numbers into the .csv file or the notebook "
    "that was handed out)",
    "Carl.csv was matched to Gauß, Carl by part of the name.",
    "Gauss.csv was matched to Gauß, Carl by part of the name.",
    "Germain.ipynb was matched to Germain, Sophie by part of the name.",
    "Germain.pdf was matched to Germain, Sophie by part of the name.",
    "Ramanujan.csv was matched to Ramanujan, Srinivasa by part of the name.",
    "Ramanujan.xlsx was matched to Ramanujan, Srinivasa by part of the name.",
    "Meier, Eva's sheet has the numbers of Meier, Max's key.",
    "Ibn Sina, Ali's and Khayyam, Omar's sheets have the same numbers.",
)
