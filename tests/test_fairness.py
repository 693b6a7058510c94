"""A fair teacher: one verdict of seven a line, nothing wrong called right, and one misconception costs once."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import schemas
from fairness import EARNING, STATUSES, Outcome, chain_of, outcomes
from paper import Box, Lesson, lesson, work
from program import exit_code, refusal_of
from written import saved

import gatewise as gw
from gatewise import examples
from gatewise.errors import OptionError
from gatewise.grading import handout, report, verdicts
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import Plan
from gatewise.grading.roster import Student, file_name

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module", params=[(1, 150), pytest.param((3, 3000), marks=pytest.mark.peers)])
def marked(request, tmp_path_factory) -> list[Outcome]:
    """Sheets of a class that works with numbers, decimals and spellings of its own."""
    return list(outcomes(*request.param, str(tmp_path_factory.mktemp("marked"))))


@pytest.mark.thorough
def test_no_wrong_line_is_called_right_and_no_right_one_is_accused(marked):
    assert {status for sheet in marked for status in sheet.statuses} >= {*STATUSES} - {"incomplete", "missing"}
    broken = [str(sheet) for sheet in marked if sheet.broken]
    assert not broken, "\n".join(broken)


@pytest.fixture(scope="module")
def chain() -> Chain:
    example = examples.notebook()
    return Chain(example.cell.step(example.x[0], example.state))


def statuses(text: str, chain: Chain, folder: Path) -> dict[str, str]:
    return {line.name: line.status for line in gw.check(saved(folder, "sheet.csv", text), chain).verdicts}


def test_from_numbers_of_too_few_digits_nothing_follows(chain, tmp_path):
    right = "c,0.0968,0.1408"
    assert statuses(f"g,0,0\n{right}", chain, tmp_path) == {"g": "too coarse", "c": "right"}
    for zeros in ("0,0", "0.0,0.0"):
        wrong = statuses(f"g,{zeros}\nc,0.0987,0.1492", chain, tmp_path)  # what follows from g = 0
        assert wrong == {"g": "too coarse", "c": "wrong"}
    rounded = statuses("g,0.00,-0.02\nc,0.0987,0.1393", chain, tmp_path)  # as much as such a g can change
    assert rounded["c"] == "close"


def test_a_sheet_of_integers_is_not_called_right(chain, tmp_path, capsys):
    path = saved(tmp_path, "sheet.csv", "f,0,0\ng,0,0\nc,0,0\nh,0,0")
    marking = gw.check(path, chain)
    assert (marking.marks, marking.count("too coarse"), marking.correct) == (0, 4, False)
    assert exit_code(["check", str(path)]) == 1
    assert "No line is wrong, but 4 lines need more digits." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("numbers", "status", "reason"),
    [
        ("0.4934,0.4975", "right", ""),
        ("0.4930,0.4970", "close", "the trailing zeros aren't real digits: you rounded earlier"),
        ("0.4930,0.4975", "wrong", ""),  # it has four digits
        ("0.4900,0.5000", "close", "the trailing zeros aren't real digits: you rounded earlier"),
    ],
)
def test_digits_are_those_that_a_number_can_have_had(numbers, status, reason, chain, tmp_path):
    (line,) = gw.check(saved(tmp_path, "sheet.csv", f"f,{numbers}"), chain).verdicts
    assert (line.status, line.reason) == (status, reason)


def test_every_close_line_has_its_reason(marked):
    for sheet in marked:
        for line in sheet.marking.verdicts:
            assert bool(line.reason) == (line.status == "close" or "repeats the slip" in line.reason), line


def test_all_wrong_units_are_named(chain, tmp_path):
    marking = gw.check(saved(tmp_path, "sheet.csv", "f,0.6,0.7\nc,0.9,0.1408"), chain)
    f, c = marking.verdicts
    assert {f.entry, *f.others} == {"unit 0", "unit 1"}
    assert (c.entry, c.others) == ("unit 0", ())
    assert f"Also wrong: {f.others[0]}." in str(marking)
    assert json.loads(report.json(marking))["verdicts"][0]["others"] == list(f.others)


def test_the_seven_words_are_the_same_everywhere():
    assert verdicts.STATUSES == tuple(report.SYMBOLS) == STATUSES
    style = Path(report.__file__).with_name("marking.css").read_text(encoding="utf-8")
    assert all(f".{status.replace(' ', '-')}" in style for status in STATUSES)
    shown = re.findall(r"^\| ([a-z ]+?) \|", (DOCS / "walking.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert "|".join(STATUSES) in "|".join(shown)
    assert tuple(schemas.schema("marking")["$defs"]["verdict"]["properties"]["status"]["enum"]) == STATUSES
    assert ", ".join(STATUSES[:-1]) in " ".join((DOCS / "class.md").read_text(encoding="utf-8").split())


# One misconception.


def with_a_slip(subject: Lesson, where: set[str], digits: int = 6) -> dict[str, np.ndarray]:
    """Return the numbers of somebody who forgets the bias of these lines, at every step."""
    numbers: dict[str, np.ndarray] = {}

    def keep(name: str, box: Box) -> Box:
        letter = name.partition("[")[0]
        box = box + Box(-subject.b[letter[2:]]) if name in where or letter in where else box
        numbers[name] = np.round(box.low, digits)
        return box

    work(subject, keep)
    return numbers


def two_steps() -> Lesson:
    rng = np.random.default_rng(4)
    return next(s for s in iter(lambda: lesson(rng), None) if s.steps == 2 and len(s.h) > 1)


@pytest.mark.parametrize(
    ("where", "repeats"),
    [
        ({"a_f"}, 1),
        ({"a_f", "a_i", "a_g", "a_o"}, 7),
        ({"a_f[0]", "a_i[0]", "a_g[0]", "a_o[0]"}, 3),
        ({"a_f", "a_o"}, 3),
        ({"a_i[0]", "a_f[1]"}, 1),
        ({"a_f[0]"}, 0),
    ],
)
def test_a_slip_that_is_made_again_costs_once_or_every_time(where, repeats):
    subject = two_steps()
    numbers, chain = with_a_slip(subject, where), chain_of(subject)
    once = gw.check(numbers, chain, digits=6)
    every = gw.check(numbers, chain, digits=6, repeat="every")
    assert (once.count("wrong"), every.count("wrong")) == (1, 1 + repeats)
    assert once.marks == every.marks + repeats == len(numbers) - 1
    first = once.first
    assert [cause.kind for cause in first.causes][:1] == ["missing bias"]
    again = [line for line in once.verdicts if line.reason]
    assert {line.reason for line in again} <= {f"this repeats the slip made in {first.name}"}
    assert {line.name for line in again} == {line.name for line in every.verdicts if line.status == "wrong"} - {
        first.name
    }
    assert str(once).count("Likely cause:") == 1  # said once


def test_another_mistake_costs_again():
    subject = two_steps()
    numbers = with_a_slip(subject, {"a_f[0]"})
    numbers["h[1]"] = numbers["h[1]"] + 0.3
    assert gw.check(numbers, chain_of(subject), digits=6).count("wrong") == 2


def test_repeat_is_once_or_every(chain, here, capsys):
    with pytest.raises(OptionError, match="repeat must be one of once, every, not 'twice'"):
        gw.check({"f": [0.5, 0.5]}, chain, repeat="twice")
    Path("answers.csv").write_text("f,0.4934,0.4975\n")
    assert "twice" in refusal_of(capsys, "check", "answers.csv", "--repeat", "twice")
    assert exit_code(["check", "answers.csv", "--repeat", "every"]) == 0


def test_the_points_of_a_sheet_are_its_lines_of_three_verdicts(marked):
    for sheet in marked:
        marking = sheet.marking
        assert sum(map(marking.count, STATUSES)) == len(marking.verdicts)
        assert marking.marks == sum(map(marking.count, EARNING))
        assert marking.correct == (sheet.statuses <= {"right", "close", "missing"})
        counts = {status: str(marking.count(status)) for status in STATUSES if status in sheet.statuses}
        summary = json.loads(report.json(marking))["summary"]
        if sheet.statuses != {"right"}:
            (said,) = (sentence for sentence in summary if re.match(r"\d+ lines?: ", sentence))
            assert said.partition(": ")[2] == ", ".join(f"{n} {status}" for status, n in counts.items()) + "."


# A class.


def handed_in(rng: np.random.Generator, key: dict[str, np.ndarray]) -> str | None:
    """Return somebody's sheet: right, too short, too coarse, wrong somewhere, partly unreadable, blank, or none."""
    how, lines = int(rng.integers(8)), {}
    for n, (name, value) in enumerate(key.items()):
        off = 0.3 if (how == 3 and n in (2, 7)) or how == 4 else 0.0
        decimals = 0 if how == 2 or (how == 5 and n == 3) else 4
        numbers = "" if how == 6 else ",".join(f"{number + off:.{decimals}f}" for number in value)
        lines[name] = "what?" if how == 5 and n == 6 else numbers
    if how == 1:
        lines = {name: lines[name] for name in list(lines)[:: int(rng.integers(2, 4))]}
    return None if how == 7 else "".join(f"{name},{numbers}\n" for name, numbers in lines.items())


def counted(statuses: Iterable[str]) -> str:
    found = Counter(statuses)
    return ", ".join(f"{found[status]} {status}" for status in STATUSES if found[status])


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.peers) for n in range(2, 12))])
def test_points_feedback_class_page_and_table_add_up(seed, here, capsys):
    rng = np.random.default_rng(seed)
    names = [f"Student {letter}" for letter in "ABCDEFGHIJKL"]
    handout.write_exercise(here / "hw", [Student(name, file_name(name), (name,)) for name in names], Plan(seed=seed))
    for path in (here / "hw" / "keys").glob("*.json"):
        key = {name: np.array(value) for name, value in json.loads(path.read_text("utf-8"))["answers"].items()}
        text = handed_in(rng, key)
        if text is not None:
            saved(here / "hw" / "answers", f"{path.stem}.csv", text)
    points = {name: int(rng.integers(4)) for name in key} | {"h": 2}
    saved(here / "hw", "weights.csv", "".join(f"{name},{value}\n" for name, value in points.items()))
    capsys.readouterr()
    exit_code(["check", "hw"])
    table = " ".join(capsys.readouterr().out.split())
    page = (here / "hw" / "class.html").read_text(encoding="utf-8")
    total: list[str] = []
    lost: list[str] = []
    rows = list(csv.DictReader((here / "hw" / "marks.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row["student"] for row in rows] == names
    for row in rows:
        feedback = (here / "hw" / "feedback" / f"{file_name(row['student'])}.html").read_text(encoding="utf-8")
        shown = re.findall(r'<tr class="([a-z-]+)">.*?<code>(\w+)', feedback)
        status = {name: word.replace("-", " ") for word, name in shown} or dict.fromkeys(key, "missing")
        assert status.keys() == key.keys()
        assert {word: int(row[word]) for word in STATUSES} == dict.fromkeys(STATUSES, 0) | Counter(status.values())
        earned = {name: points[name] if word in EARNING else 0 for name, word in status.items()}
        assert {name: row[name] for name in key} == {
            name: "" if word == "missing" else str(earned[name]) for name, word in status.items()
        }
        assert (row["marks"], row["of"]) == (str(sum(earned.values())), str(sum(points.values())))
        assert f"<h1>{row['student']}: {row['marks']} of {row['of']} points</h1>" in re.sub("</?bdi>", "", feedback)
        assert f"{row['student']} {row['marks']} {row['of']} {counted(status.values())}" in table
        if row["handed in"] == "marked":
            total += status.values()
            lost += [name for name, word in status.items() if word not in EARNING]
            assert counted(status.values()) in page
    assert f"{counted(total)}." in page
    chart = re.search(r'aria-label="Sheets on which a line loses points\. (.*?)\."', page)
    bars = Counter(lost)
    assert dict(bar.split(": ") for bar in chart[1].split("; ")) == {name: str(n) for name, n in bars.items()}
