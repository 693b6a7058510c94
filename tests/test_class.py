"""A class: whose each file is that came back, what it is worth, and what the teacher and the students are shown."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import class_of_thirty
import numpy as np
import pytest
from cases import refusal
from program import exit_code, refusal_of

from gatewise.files import storage
from gatewise.grading import classroom, grades, handout, roster
from gatewise.grading.exercise import Plan
from gatewise.grading.grades import Mark
from gatewise.grading.marking import Marking
from gatewise.grading.roster import Student, StudentNames
from gatewise.grading.verdicts import STATUSES, Verdict

ROOT = Path(__file__).parent.parent
HOSTILE = ("=1+1", "|calc", "<script>alert(1)</script>", "عمر 🎓")
ROSTER = (
    ("surname", "first name"),
    *(("Turing", "Alan"), ("Lovelace", "Ada"), ("Meier", "Max"), ("Meier", "Eva"), ("Łukasz", "Ø")),
    *((name, "x") for name in HOSTILE),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """The folder of an exercise as it is made."""
    folder = tmp_path_factory.mktemp("class")
    with open(folder / "roster.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(ROSTER)
    handout.write_exercise(folder / "hw", roster.read_roster(folder / "roster.csv"), Plan(seed=1))
    return folder / "hw"


@pytest.fixture
def hw(original, here) -> Path:
    """A copy of it, to hand in to."""
    shutil.copytree(original, "hw")
    return Path("hw")


def key_of(hw: Path, name: str) -> dict:
    return json.loads((hw / "keys" / f"{name}.json").read_text(encoding="utf-8"))


def right(hw: Path, name: str) -> dict[str, np.ndarray]:
    return {line: np.array(value) for line, value in key_of(hw, name)["answers"].items()}


def hand_in(hw: Path, path: str, answers: dict[str, np.ndarray]) -> None:
    target = hw / "answers" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = (",".join([name, *(f"{value:.5f}" for value in values)]) for name, values in answers.items())
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_of(hw: Path) -> dict[str, dict[str, str]]:
    text = (hw / "marks.csv").read_text(encoding="utf-8-sig")
    return {row["student"]: row for row in csv.DictReader(text.splitlines())}


# Whose file is it?

STUDENTS = [
    Student(", ".join(cells[:count]), roster.file_name(", ".join(cells[:count])), cells)
    for count, cells in (
        (1, ("Ada Lovelace", "1001")),
        (1, ("José García-Márquez", "1002")),
        (2, ("Meier", "Max", "1003")),
        (2, ("Meier", "Eva", "1004")),
        (1, ("Łukasz", "1005")),
        (1, ("Ada Byron", "1006")),
        (1, ("李", "1007")),
        (2, ("Müller", "Søren", "1008")),
        (1, ("Åkesson Björk", "1009")),
        (2, ("van der Berg", "Anna", "1010")),
        (1, ("Íñigo Peña", "1011")),
        (1, ("Groß Zoë", "1012")),
        (1, ("Pilar de la Cruz Gómez Ruiz", "1013")),
        (1, ("Michael Novak", "1014")),
        (1, ("Michal Novak", "1015")),
    )
]


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("Ada Lovelace_12345_assignsubmission_file_", "Ada Lovelace"),
        ("Ada Lovelace_12345_assignsubmission_file_answers", "Ada Lovelace"),
        ("Ada Lovelace_12345_assignsubmission_onlinetext_onlinetext", "Ada Lovelace"),
        ("lovelaceada_12345_67890_answers", "Ada Lovelace"),
        ("lovelaceada_LATE_12345_67890_answers-1", "Ada Lovelace"),
        ("meiermax_1_2_Eva", "Meier, Max"),
        ("Max Meier_7_assignsubmission_file_", "Meier, Max"),
        ("Lovelace, Ada", "Ada Lovelace"),
        ("LOVELACE ada", "Ada Lovelace"),
        ("Ada_Lovelace", "Ada Lovelace"),
        ("Ada King Lovelace (1)", "Ada Lovelace"),
        ("Jose Garcia Marquez", "José García-Márquez"),
        ("garciamarquezjose_1_2_a", "José García-Márquez"),
        ("Jose\N{COMBINING ACUTE ACCENT} Garci\N{COMBINING ACUTE ACCENT}a", "José García-Márquez"),
        ("Eva", "Meier, Eva"),
        ("1003", "Meier, Max"),
        ("łukasz", "Łukasz"),
        ("Lukasz_hw1", "Łukasz"),
        ("李", "李"),
        ("Soeren Mueller", "Müller, Søren"),
        ("Sören Muller", "Müller, Søren"),
        ("muellersoren_1_2_a", "Müller, Søren"),
        ("Müller, Søren", "Müller, Søren"),
        ("Bjork Aakesson", "Åkesson Björk"),
        ("akessonbjoerk_1_2_a", "Åkesson Björk"),
        ("Anna van der Berg", "van der Berg, Anna"),
        ("vanderberganna_1_2_a", "van der Berg, Anna"),
        ("Berg, Anna van der", "van der Berg, Anna"),
        ("Anna Berg", "van der Berg, Anna"),
        ("Pena, Inigo", "Íñigo Peña"),
        ("Gross", "Groß Zoë"),
        ("delacruzgomezruizpilar_1_2_a", "Pilar de la Cruz Gómez Ruiz"),
        ("Gomez Ruiz Pilar de la Cruz", "Pilar de la Cruz Gómez Ruiz"),
        ("Michael Novak", "Michael Novak"),
        ("novakmichal_1_2_a", "Michal Novak"),
    ],
)
def test_a_student_is_found_by_the_names_that_platforms_and_people_write(name, student):
    assert [one.name for one in StudentNames(STUDENTS).find(name).students] == [student]


@pytest.mark.parametrize("name", ["Ada", "Meier", "meier_1_2_a", "ada_LATE_1_2_answers"])
def test_a_name_that_two_students_have_is_never_guessed(name):
    assert len(StudentNames(STUDENTS).find(name).students) == 2


@pytest.mark.parametrize("name", ["Grace", "answers", "", "_1_2_a", "Love", "Ada Lovelaces", "ma", "100"])
def test_a_name_that_nobody_has_is_nobody_s(name):
    assert not StudentNames(STUDENTS).find(name).students


def test_any_part_of_a_path_may_name_the_student():
    names = StudentNames(STUDENTS)
    assert names.owner(["submissions", "Ada Lovelace_1_assignsubmission_file_", "answers"]).students[0] == STUDENTS[0]
    assert names.owner(["Meier", "Eva"]).students[0].name == "Meier, Eva"
    assert len(names.owner(["Meier", "answers"]).students) == 2


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("Meier,Max\nMeier,Eva\nLee,Ann", ["Meier, Max", "Meier, Eva", "Lee, Ann"]),
        ("Meier,Max,1\nMeier,Max,2", ["Meier, Max, 1", "Meier, Max, 2"]),
        ("Meier,Max\nmeier\nLee", ["Meier, Max", "meier", "Lee"]),
        ("Ada,1\nGrace,1", ["Ada", "Grace"]),
    ],
)
def test_as_many_columns_name_a_student_as_tell_all_apart(tmp_path, lines, names):
    (tmp_path / "r.csv").write_text(lines, encoding="utf-8")
    assert [one.name for one in roster.read_roster(tmp_path / "r.csv")] == names


# What comes back.


def test_the_order_of_the_roster_is_kept_and_what_is_missing_blank_or_unreadable_is_told_apart(hw, capsys):
    hand_in(hw, "Ada Lovelace_5_assignsubmission_file_/work.csv", right(hw, "Lovelace_Ada"))
    shutil.copy(hw / "sheets" / "Turing_Alan.csv", hw / "answers" / "Alan Turing.csv")
    (hw / "answers" / "meiermax_LATE_1_2_scan.pdf").write_bytes(b"%PDF-1.7")
    assert exit_code(["check", "hw"]) == 1
    rows = rows_of(hw)
    order = [", ".join(cells) for cells in ROSTER[1:]]
    assert list(rows) == [f"'{name}" if name.startswith(("=", "|")) else name for name in order]
    states = {name: row["handed in"] for name, row in rows.items()}
    assert (states["Lovelace, Ada"], states["Turing, Alan"]) == ("marked", "blank")
    assert (states["Meier, Max"], states["Meier, Eva"]) == ("unreadable", "missing")
    assert "scan.pdf: this is a PDF; type its numbers into the .csv file" in rows["Meier, Max"]["likely cause"]
    assert rows["Lovelace, Ada"]["marks"] == "11"
    assert rows["Turing, Alan"]["z"] == ""
    page = (hw / "class.html").read_text(encoding="utf-8")
    shown = re.findall(r'<th scope="row"><a href="feedback/[^"]+"><bdi>(.*?)</bdi>', page)
    assert [one.replace("&lt;", "<").replace("&gt;", ">") for one in shown] == order
    assert "1 marked, 1 handed in blank, 6 not handed in, 1 not readable" in page
    assert "hw: wrote marks.csv, class.html and 9 pages in feedback/" in capsys.readouterr().out


def test_a_mistake_shows_in_the_table_the_pages_and_the_exit_code(hw, capsys):
    answers = right(hw, "Lovelace_Ada")
    answers["f"] = answers["f"] + 0.1
    hand_in(hw, "Ada.csv", answers)
    assert exit_code(["check", "hw"]) == 1
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"Lovelace, Ada +10 +11 +10 right, 1 wrong\n +f: ", table)
    row = rows_of(hw)["Lovelace, Ada"]
    assert (row["marks"], row["of"], row["first wrong"]) == ("10", "11", "f")
    assert {status: row[status] for status in STATUSES if row[status] != "0"} == {"right": "10", "wrong": "1"}
    assert (row["f"], row["i"]) == ("0", "1")
    page = (hw / "class.html").read_text(encoding="utf-8")
    assert 'aria-label="Sheets on which a line loses points. f: 1."' in page
    assert 'aria-label="Sheets by points. 10: 1."' in page
    feedback = (hw / "feedback" / "Lovelace_Ada.html").read_text(encoding="utf-8")
    assert "<h1>Lovelace, Ada: 10 of 11 points</h1>" in feedback
    assert f"{answers['f'][0]:.5f}" in feedback or f"{answers['f'][1]:.5f}" in feedback


MOODLE = (  # the heads of its list of participants; by the last, "ID number" or the user name its import knows them
    ("First name", "Last name", "ID number", "Institution", "Department", "Groups", "Email address"),
    ("Ada", "Lovelace", "4711", "", "Maths", "A", "Ada.Lovelace@example.org"),
    ("Anna", "van der Berg", "0815", "", "", "B", "anna@example.org"),
    ("Max", "Müller", "12", "", "", "", "max@example.org"),
)


def test_marks_keep_every_column_of_the_roster_and_can_be_imported_into_moodle(here):
    """Moodle's import: UTF-8, rows as long as the head, a column that identifies one participant, points up to 100."""
    with open("roster.csv", "w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";").writerows(MOODLE)
    assert exit_code(["exercise", "--students", "roster.csv", "-o", "hw"]) == 0
    hand_in(Path("hw"), "Müller_Max.csv", right(Path("hw"), "Max_Müller"))
    assert exit_code(["check", "hw"]) == 0
    text = Path("hw/marks.csv").read_text(encoding="utf-8-sig")
    head, *rows = csv.reader(text.splitlines())
    assert [tuple(row[: len(MOODLE[0])]) for row in (head, *rows)] == [*MOODLE]
    assert {len(row) for row in rows} == {len(head)} == {len(set(head))}
    assert [row[head.index("student")] for row in rows] == ["Ada Lovelace", "Anna van der Berg", "Max Müller"]
    assert [float(row[head.index("marks")]) for row in rows] == [0, 0, 11]
    assert sorted(path.name for path in Path("hw/feedback").iterdir()) == [
        "Ada_Lovelace.html",
        "Anna_van_der_Berg.html",
        "Max_Müller.html",
    ]


def test_columns_without_a_head_and_heads_that_are_taken_get_names(here):
    for roster_text, head in (
        ("Ada,1\nGrace,2,x", ["student", "column 2", "column 3", "marks"]),
        ("name,marks\nAda,1\nGrace,2,x", ["name", "marks", "column 3", "marks (gatewise)"]),
    ):
        Path("roster.csv").write_text(roster_text)
        shutil.rmtree("hw", ignore_errors=True)
        exit_code(["exercise", "--students", "roster.csv", "-o", "hw"])
        exit_code(["check", "hw"])
        written, *rows = csv.reader(Path("hw/marks.csv").read_text(encoding="utf-8-sig").splitlines())
        assert written[:4] == head
        assert [row[:3] for row in rows] == [["Ada", "1", ""], ["Grace", "2", "x"]]


def test_the_sheet_of_a_key_is_all_right(here):
    Path("roster.csv").write_text("Ada\nGrace\n")
    for options in ([], ["--backward", "--steps", "2", "--given", "partly"], ["--hidden-size", "1", "--backward"]):
        shutil.rmtree("hw", ignore_errors=True)
        exit_code(["exercise", "--students", "roster.csv", "-o", "hw", "--seed", "3", *options])
        for path in Path("hw/keys").glob("*.csv"):
            shutil.copy(path, Path("hw/answers"))
        assert exit_code(["check", "hw"]) == 0
        for row in csv.DictReader(Path("hw/marks.csv").read_text(encoding="utf-8-sig").splitlines()):
            assert row["marks"] == row["of"] == row["right"]


def test_a_class_of_thirty_is_marked_as_expected_and_as_the_docs_show(tmp_path):
    handed = class_of_thirty.make(tmp_path)
    marked = grades.mark_class(tmp_path / "hw")
    classroom.write(tmp_path / "hw", marked)
    rows = rows_of(tmp_path / "hw")
    assert {name: (row["handed in"], row["marks"]) for name, row in rows.items()} == class_of_thirty.RESULTS
    assert [row["E-Mail"] for row in rows.values()] == [f"s{k}@uni.example" for k in range(30)]
    assert (*marked.strays, *marked.facts) == class_of_thirty.SENTENCES
    for sentence in class_of_thirty.SENTENCES:
        assert html.escape(sentence) in (tmp_path / "hw" / "class.html").read_text(encoding="utf-8")
    page = (
        (ROOT / "docs" / "class.md").read_text(encoding="utf-8").partition("## A class of thirty")[2].partition("##")[0]
    )
    table = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in page.splitlines() if line.startswith("|")][2:]
    assert len(table) >= 10
    for student, files, _, *result in table:
        assert files == (", ".join(f"`{file}`" for file in handed[student]) or "nothing")
        assert tuple(result) == class_of_thirty.RESULTS[student]
    sentences = [line.removeprefix("- ") for line in page.splitlines() if line.startswith("- ")]
    assert len(sentences) >= 5
    assert set(sentences) <= set(class_of_thirty.SENTENCES)


@pytest.mark.parametrize(
    ("of", "earned", "said"),
    [
        (11, [0, 11, 11, 10], "0: 1; 10: 1; 11: 2"),
        (1, [0.35, 0.3, 1], "0.05 points to a bar, from 0.3: 1; 0.35: 1; 1: 1"),
        (64, [64, 63, 0], "5 points to a bar, from 0: 1; 60: 2"),
        (2.5, [2.5, 2.4], "0.2 points to a bar, from 2.4: 2"),
    ],
)
def test_the_histogram_counts_every_sheet_under_its_points(of, earned, said):
    verdict = Verdict("f", "", "right")
    marks = [Mark(STUDENTS[0], {"f": some, "h": of - some}, grades.MARKED, Marking((verdict,)), "") for some in earned]
    assert f'aria-label="Sheets by points. {said}."' in classroom.page(grades.Grades(tuple(marks)), "hw")


def test_every_student_has_a_page_and_the_class_page_leads_to_each(hw):
    assert exit_code(["check", "hw"]) == 0
    page = (hw / "class.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(feedback/[^"]+)"', page)
    assert len(links) == len(ROSTER) - 1
    for name in os.listdir(hw / "sheets"):
        if name.endswith(".html"):
            assert "Nothing was handed in." in (hw / "feedback" / name).read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Takes note of the tags of a page, and of attributes that are scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.scripts = set[str](), list[str]()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.scripts += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def test_names_are_inert_in_every_page_and_in_a_spreadsheet(hw):
    for name in (roster.file_name(f"{one}, x") for one in HOSTILE):
        hand_in(hw, f"{name}.csv", {"<b>=h</b>": np.ones(2), "=cmd": np.ones(2)})
    (hw / "answers" / "<i>stray.csv").write_text("")
    exit_code(["check", "hw"])
    for page in (hw / "class.html", *hw.glob("feedback/*.html"), *hw.glob("sheets/*.html")):
        found = Tags()
        found.feed(page.read_text(encoding="utf-8"))
        assert not found.tags & {"script", "b", "i", "img", "iframe"}, page
        assert not found.scripts
    for line in csv.reader((hw / "marks.csv").read_text(encoding="utf-8-sig").splitlines()):
        assert not any(cell.lstrip().startswith(("=", "+", "@", "|")) for cell in line), line
    assert (hw / "marks.csv").read_bytes().startswith(b"\xef\xbb\xbf")


# What it is worth.


def test_marks_are_the_sum_of_what_the_teacher_gives_for_each_line(hw):
    answers = right(hw, "Lovelace_Ada")
    answers["f"] = answers["f"] + 0.1
    hand_in(hw, "Ada.csv", answers)
    path = hw / "weights.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\nf,1", "\nf,2,5").replace(",", ";").replace("2;5", "2,5").replace("z;1", "z;0"))
    assert exit_code(["check", "hw"]) == 1
    row = rows_of(hw)["Lovelace, Ada"]
    assert (row["marks"], row["of"], row["f"], row["z"]) == ("9", "11.5", "0", "0")
    Path("h.csv").write_text("quantity,points\nh,3\n")
    assert exit_code(["check", "hw", "--weights", "h.csv"]) == 1
    row = rows_of(hw)["Lovelace, Ada"]
    assert (row["marks"], row["of"]) == ("3", "3")
    path.unlink()
    exit_code(["check", "hw"])
    assert rows_of(hw)["Lovelace, Ada"]["of"] == "11"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("quantity,points\nq,1\n", "line 2 has 'q', which is not asked; allowed: z, a_f, f"),
        ("f,-1\n", "line 1 must have points from 0 to 1,000,000, not '-1'"),
        ("f\n", "line 1 must have points from 0 to 1,000,000, not ''"),
        ("f,nan\n", "line 1 must have points from 0 to 1,000,000, not 'nan'"),
        ("f,1\nf,2\n", "line 2 has 'f' again"),
        ("f,0\n", "no line in it is worth any points"),
        ("", "no line in it is worth any points"),
    ],
)
def test_weights_that_are_none_get_one_sentence(tmp_path, content, message):
    (tmp_path / "w.csv").write_text(content)
    with refusal(message):
        grades.read_weights(tmp_path / "w.csv", ("z", "a_f", "f"))


def test_a_weight_without_a_step_is_that_of_every_step(tmp_path):
    (tmp_path / "w.csv").write_text("f,2\nh[1],5\ndb_f,1")
    found = grades.read_weights(tmp_path / "w.csv", ("f[0]", "h[0]", "f[1]", "h[1]", "db_f"))
    assert found == {"f[0]": 2, "f[1]": 2, "h[0]": 0, "h[1]": 5, "db_f": 1}


# The same numbers.


def test_a_sheet_with_another_s_numbers_is_told_as_a_fact(hw):
    hand_in(hw, "Ada Lovelace.csv", right(hw, "Lovelace_Ada"))
    hand_in(hw, "Eva Meier.csv", right(hw, "Lovelace_Ada"))
    wrong = {name: value + 0.25 for name, value in right(hw, "Meier_Max").items()}
    hand_in(hw, "Max Meier.csv", wrong)
    hand_in(hw, "Turing, Alan.csv", wrong)
    found = grades.mark_class(hw)
    assert found.facts == (
        "Meier, Eva's sheet has the numbers of Lovelace, Ada's key.",
        "Turing, Alan's and Meier, Max's sheets have the same numbers.",
    )
    assert all(fact.replace("'", "&#x27;") in classroom.page(found, "hw") for fact in found.facts)


def test_a_file_that_fits_a_name_in_part_is_marked_and_told(hw):
    hand_in(hw, "Alan Mathison Turing.csv", right(hw, "Turing_Alan"))
    hand_in(hw, "Ada Byron.csv", right(hw, "Turing_Alan"))
    found = grades.mark_class(hw)
    assert found.marks[0].marks == 11
    assert found.facts == ("Alan Mathison Turing.csv was matched to Turing, Alan by part of the name.",)
    assert found.strays == ("Ada Byron.csv (no student has that name)",)


def test_right_sheets_sparse_ones_and_equal_guesses_are_no_facts(hw):
    for name in ("Turing_Alan", "Lovelace_Ada", "Meier_Max"):
        hand_in(hw, f"{name}.csv", right(hw, name))
    for name in ("Meier_Eva", "Łukasz_Ø"):
        (hw / "answers" / f"{name}.csv").write_text("f,0.5,0.5\nh,0,0\n")
    assert grades.mark_class(hw).facts == ()


# What can go wrong.


def test_of_two_files_of_a_student_the_more_complete_one_is_marked_and_the_other_is_named(hw):
    answers = right(hw, "Lovelace_Ada")
    hand_in(hw, "Ada.csv", {name: answers[name] for name in "zf"})
    hand_in(hw, "Ada.txt", answers)
    (hw / "answers" / "Ada.md").write_bytes((hw / "answers" / "Ada.txt").read_bytes())
    (hw / "answers" / "Ada.jpg").write_bytes(b"\xff\xd8\xff")
    shutil.copy(hw / "sheets" / "Turing_Alan.csv", hw / "answers" / "Turing_Alan.csv")
    (hw / "answers" / "Turing_Alan.heic").write_bytes(b"\0")
    marked = grades.mark_class(hw)
    assert (marked.marks[1].marks, marked.marks[0].state) == (11, grades.EMPTY)
    assert marked.marks[1].marking.source == "Ada.md"
    assert marked.strays == (
        "Turing_Alan.heic (Turing, Alan: this is a photo; type its numbers into the .csv file or the notebook that was"
        " handed out)",
        "Ada.txt (Lovelace, Ada: Ada.md has the same numbers)",
        "Ada.csv (Lovelace, Ada: Ada.md has more numbers)",
        "Ada.jpg (Lovelace, Ada: this is a photo; type its numbers into the .csv file or the notebook that was handed"
        " out)",
    )


def test_of_two_files_as_complete_with_other_numbers_none_is_guessed(hw):
    for suffix, text in (("csv", "f,1,1"), ("json", '{"f": [1, 2]}'), ("txt", "f,1")):
        (hw / "answers" / f"Ada.{suffix}").write_text(text)
    mark = grades.mark_class(hw).marks[1]
    assert mark.fault == (
        "handed in twice: Ada.csv and Ada.json are equally complete but differ; keep only one of them"
    )
    assert not mark.correct


def test_odd_files_among_the_answers_are_named_and_the_rest_is_marked(hw, capsys):
    answers = hw / "answers"
    hand_in(hw, "lovelace_ADA.csv", right(hw, "Lovelace_Ada"))
    for name in ("._Lovelace_Ada.csv", "Nobody.csv", "Meier.csv", "__MACOSX/Eva.csv"):
        hand_in(hw, name, right(hw, "Lovelace_Ada"))
    (answers / "Lovelace_Ada.pdf").write_bytes(b"%PDF")
    (answers / "Turing.json").symlink_to(hw / "keys" / "Turing_Alan.json")
    (answers / "Eva Meier").symlink_to(answers)
    os.truncate(os.open(answers / "Max.csv", os.O_CREAT | os.O_WRONLY), 20 << 20)
    os.mkfifo(answers / "Łukasz.csv")
    assert exit_code(["check", "hw"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"Lovelace, Ada 11 11 11 right", told)
    assert told.count("a link was handed in, not a file") == 2
    assert "Max.csv: a sheet may have at most 16 MiB" in told
    assert "Łukasz.csv" in told
    assert "Not marked: Meier.csv (could belong to Meier, Max or Meier, Eva) Nobody.csv (no student has that" in told


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda hw: [path.unlink() for path in (hw / "keys").glob("*.json")], "there is no key in"),
        (lambda hw: (hw / "keys" / "Meier_Max.json").write_text('{"f": [1]}'), "it is not a key"),
        (lambda hw: (hw / "keys" / "Meier_Max.json").write_text("not"), "line 1 is not JSON"),
        (lambda hw: respelled(hw, version=1), "it is a key of version 1, and this version of gatewise reads 2;"),
        (lambda hw: respelled(hw, asked=["q"]), "there is no quantity 'q'"),
        (lambda hw: respelled(hw, place=None), "its place must be the student's place in the roster"),
        (lambda hw: respelled(hw, student=1), "its student must be a text"),
        (lambda hw: (hw / "feedback").write_text(""), "cannot write hw/feedback: File exists"),
        (lambda hw: (hw / "weights.csv").write_text("q,1"), "cannot read hw/weights.csv: line 1 has 'q', which is not"),
    ],
)
def test_a_folder_that_cannot_be_marked_gets_one_sentence(hw, spoil, message, capsys):
    spoil(hw)
    assert message in refusal_of(capsys, "check", "hw")


def respelled(hw: Path, **changed: object) -> None:
    key = key_of(hw, "Meier_Max") | changed
    (hw / "keys" / "Meier_Max.json").write_text(json.dumps(key), encoding="utf-8")


@pytest.mark.parametrize("at", ["feedback/Meier_Eva.html", "marks.csv", "class.html"])
def test_an_interrupt_leaves_every_file_as_it_was_or_as_it_will_be(hw, at, monkeypatch):
    exit_code(["check", "hw"])
    before = {path: path.read_bytes() for path in hw.rglob("*") if path.is_file()}
    whole = Path.write_text

    def stopped(path: Path, text: str, **options: str) -> int:
        if Path(at).name not in path.name:
            return whole(path, text, **options)
        whole(path, text[: len(text) // 2], **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.Path, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        classroom.write(hw, grades.mark_class(hw))
    after = {path: path.read_bytes() for path in hw.rglob("*") if path.is_file()}
    assert set(after) == set(before)
    assert after[hw / at] == before[hw / at]


def test_weights_are_for_a_folder_alone(hw, capsys):
    Path("answers.csv").write_text("f,1,1\n")
    sentence = refusal_of(capsys, "check", "answers.csv", "--weights", "hw/weights.csv")
    assert "--weights is for the folder of an exercise" in sentence
