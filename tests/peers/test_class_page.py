"""The pages of a class in a browser: axe-core finds nothing, they fit a telephone, and sheets fit sheets of paper."""

from __future__ import annotations

import json
from pathlib import Path

import class_of_thirty
import numpy as np
import pytest
from pairwise import pairs

from gatewise.grading import classroom, grades, handout
from gatewise.grading.exercise import Plan
from gatewise.grading.roster import Student, file_name

pytestmark = pytest.mark.peers

NAMES = ("Ada", "Grace Brewster Murray Hopper", "عمر", "<script>", "x" * 90, "Alan", "Emmy", "Sofia")
INCHES = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}
SHEETS = {
    "forward": (Plan(), 1),
    "partly": (Plan(worked="partly"), 1),
    "all": (Plan(worked="all"), 1),
    "one unit": (Plan(hidden_size=1, input_size=1, digits=2), 1),
    "backward": (Plan(backward=True), 2),
    "three steps": (Plan(steps=3, worked="partly"), 2),
    "a projected batch": (Plan(batch=2, hidden_size=3, projection_size=2, backward=True), None),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    """The addresses of a class page, of two students' pages, and of a sheet of every kind."""
    folder = tmp_path_factory.mktemp("class")
    students = [Student(name, file_name(name), (name,)) for name in NAMES]
    hw = folder / "hw"
    handout.write_exercise(hw, students, Plan(seed=2))
    for place, path in enumerate(sorted(hw.glob("keys/*.json"))[:-1]):
        answers = {line: np.array(value) for line, value in json.loads(path.read_text("utf-8"))["answers"].items()}
        answers["hfic"[place % 4]] += 0.25
        rounded = {line: np.round(value, 6).tolist() for line, value in answers.items()}
        text = "{" if place == 1 else json.dumps(rounded if place else dict.fromkeys(rounded))
        (hw / "answers" / path.name).write_text(text, encoding="utf-8")
    (hw / "answers" / "Nobody.csv").write_text("f,1")
    classroom.write(hw, grades.mark_class(hw))
    found = {"class": hw / "class.html"} | {f"feedback {n}": path for n, path in enumerate(hw.glob("feedback/*"))}
    for name, (plan, _) in SHEETS.items():
        handout.write_exercise(folder / name, students[1:2], plan)
        found[name] = next((folder / name / "sheets").glob("*.html"))
    class_of_thirty.make(thirty := tmp_path_factory.mktemp("thirty"))
    classroom.write(thirty / "hw", grades.mark_class(thirty / "hw"))
    found["thirty"] = thirty / "hw" / "class.html"
    return {name: Path(path).as_uri() for name, path in found.items()}


KINDS = ("class", "thirty", "feedback 0", "feedback 3", "three steps", "a projected batch")


@pairs(name=KINDS, scheme=("light", "dark"), width=(360, 1280))
def test_axe_finds_nothing(tab, pages, name, scheme, width):
    tab.look(width=width, scheme=scheme)
    tab.open(pages[name])
    tab.check_axe()


@pytest.mark.parametrize("name", KINDS)
def test_a_page_asks_for_nothing_and_fits_a_telephone(tab, pages, name):
    tab.check_alone(pages[name], 360)


def test_no_part_of_the_page_of_thirty_scrolls_sideways_on_a_telephone(tab, pages):
    tab.look(width=360)
    tab.open(pages["thirty"])
    wide = "[...document.querySelectorAll('*')].filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth)"
    assert tab.evaluate(f"{wide}.filter(one => getComputedStyle(one).overflowX !== 'visible').length") == 0
    assert tab.evaluate("document.querySelectorAll('tbody tr').length") == 30


def test_the_text_of_pictures_can_be_read_on_a_telephone_and_is_not_cut(tab, pages):
    tab.check_pictures(pages["class"], (360, 9))


@pytest.mark.parametrize("paper", INCHES)
@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_fits_its_paper(tab, pages, name, paper):
    tab.open(pages[name])
    wide, high = INCHES[paper]
    sheets = tab.sheets(paperWidth=wide, paperHeight=high)
    assert len(sheets) == (SHEETS[name][1] or len(sheets))
    assert {round(width / 72, 1) for width, _ in sheets} == {round(wide, 1)}
    tab.look(width=int((wide - 30 / 25.4) * 96), media="print")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
