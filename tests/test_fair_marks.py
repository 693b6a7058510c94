"""Marks that hand-ins must get: forty of a class in four formats, and what their feedback says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook
from program import exit_code

import gatewise as gw
from gatewise.grading import classroom, grades, hand_ins, handout, report
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import Plan, asked_quantities
from gatewise.grading.grades import Mark
from gatewise.grading.roster import Student
from gatewise.grading.sheet import Asked

GATES = "figo"
LINES = ("z", "a_f", "f", "a_i", "i", "a_g", "g", "a_o", "o", "c", "h")
Numbers = dict[str, np.ndarray]
Given = Mapping[str, np.ndarray]
Texts = dict[str, list[str]]  # what is written for each entry of each line


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def work(
    given: Given, *, bias: float = 1.0, swapped: bool = False, tanh: bool = True, rounded: int | None = None
) -> Numbers:
    """Return the step of somebody, perhaps with one misconception, rounding every number on the way if told to."""
    numbers: Numbers = {}

    def put(name: str, value: np.ndarray) -> np.ndarray:
        numbers[name] = value if rounded is None else np.round(value, rounded)
        return numbers[name]

    parts = [given["h_prev"], given["x"]]
    z = put("z", np.concatenate(parts[::-1] if swapped else parts))
    for k in GATES:
        a = put(f"a_{k}", given[f"W_{k}"] @ z + bias * given[f"b_{k}"])
        put(k, np.tanh(a) if k == "g" else sigmoid(a))
    c = put("c", numbers["f"] * given["c_prev"] + numbers["i"] * numbers["g"])
    put("h", numbers["o"] * (np.tanh(c) if tanh else c))
    return {name: numbers[name] for name in LINES}


def texts(numbers: Numbers, decimals: int = 4) -> Texts:
    return {name: [f"{value:.{decimals}f}" for value in values] for name, values in numbers.items()}


def with_blank_unit(given: Given, names: tuple[str, ...] = LINES) -> Texts:
    """Leave the last entry of these lines blank."""
    written = texts(work(given))
    return {name: [*values[:-1], ""] if name in names else values for name, values in written.items()}


def padded(given: Given) -> Texts:
    """Round to two decimals on the way, and write two zeros behind them."""
    return texts(work(given, rounded=2))


def with_unreadable(given: Given) -> Texts:
    written = texts(work(given))
    return written | {"i": [f"~{written['i'][0]}", written["i"][1]]}


def with_headings(given: Given) -> Texts:
    return {"Eve Zhang": [], "Homework 3": [], **texts(work(given))}


# What is handed in, the marks of 11, how many lines have each other verdict than right, and what the feedback says.
HAND_INS: dict[str, tuple[Callable[[Given], Texts], int, dict[str, int], tuple[str, ...]]] = {
    "all right": (lambda given: texts(work(given)), 11, {}, ("All 11 lines are right.",)),
    "one unit blank in every line": (
        with_blank_unit,
        0,
        {"incomplete": 11},
        ("No line is wrong, but 11 lines are incomplete.", "Still blank: unit 1 in a_f, f, a_i, i, a_g"),
    ),
    "one unit blank in one line": (
        lambda given: with_blank_unit(given, ("i",)),
        10,
        {"incomplete": 1},
        ("No line is wrong, but 1 line is incomplete.", "Still blank: unit 1 in i."),
    ),
    "two decimals": (  # the given numbers have one digit, so that z and the sums are exact
        lambda given: texts(work(given), 2),
        5,
        {"too coarse": 6},
        ("you gave fewer decimals than the 4 that the sheet asks for, which costs the point",),
    ),
    "two decimals and two zeros": (
        padded,
        5,
        {"too coarse": 6},
        ("Note on f, i, g, o, c and h: ",),  # a workbook loses the zeros
    ),
    "units in reverse order": (
        lambda given: texts({n: v if n == "z" else v[::-1] for n, v in work(given).items()}),
        10,
        {"wrong": 1, "right from a wrong line": 9},
        ("the units are in reverse order", "repeat the slip made in a_f"),
    ),
    "no bias anywhere": (
        lambda given: texts(work(given, bias=0)),
        10,
        {"wrong": 1, "right from a wrong line": 9},
        ("Likely cause: the bias is missing from a_f",),
    ),
    "[x; h] for [h; x]": (
        lambda given: texts(work(given, swapped=True)),
        10,
        {"wrong": 1, "right from a wrong line": 10},
        ("Likely cause: the order is [x; h] instead of [h; x] in z.",),
    ),
    "one number unreadable": (with_unreadable, 10, {"missing": 1}, ("1 line could not be read.", "is not a number")),
    "headings": (with_headings, 11, {}, ("All 11 lines are right.",)),
}


def as_csv(written: Texts, book: bytes) -> bytes:
    return "\n".join(",".join([name, *values]) for name, values in written.items()).encode()


def as_markdown(written: Texts, book: bytes) -> bytes:
    rows = [f"| {' | '.join([name, *(values or ['', ''])])} |" for name, values in written.items() if values]
    titles = [f"{name}\n" for name, values in written.items() if not values]
    return "\n".join([*titles, "| line | unit 0 | unit 1 |", "|---|---|---|", *rows]).encode()


def as_workbook(written: Texts, book: bytes) -> bytes:
    """Return a workbook with numbers, which loses the zeros at their ends."""
    workbook, buffer = Workbook(), io.BytesIO()
    for name, values in written.items():
        cells = [None if not one else float(one) if re.fullmatch(r"-?[0-9.]+", one) else one for one in values]
        workbook.worksheets[0].append([name, *cells])
    workbook.save(buffer)
    return buffer.getvalue()


def as_notebook(written: Texts, book: bytes) -> bytes:
    """Return the student's notebook, filled in as a person does: None for a blank."""
    notebook = json.loads(book)
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    for number, name in enumerate(LINES):
        entries = ", ".join(one or "None" for one in written[name])
        cells[f"answer-{number}"]["source"] = f"{name} = [{entries}]"
    titles = [name for name, values in written.items() if not values]
    notebook["cells"].insert(1, {**cells["title"], "id": "mine", "source": "\n\n".join(titles)})
    return json.dumps(notebook).encode()


FORMATS = {"csv": as_csv, "md": as_markdown, "xlsx": as_workbook, "ipynb": as_notebook}


def name_of(what: str, suffix: str) -> str:
    return f"{'abcdefghijkl'[[*HAND_INS].index(what)].upper()} {suffix.capitalize()}"


def make(folder: Path, students: list[str], plan: Plan, hand_in: Callable[[str, Given, bytes], tuple[str, bytes]]):
    """Make an exercise, hand something in for each student, and return the marks by student."""
    handout.write_exercise(folder, [Student(one, one.replace(" ", "_"), (one,)) for one in students], plan)
    for path in (folder / "keys").glob("*.json"):
        key = json.loads(path.read_text(encoding="utf-8"))
        given = {name: np.array(value) for name, value in key["given"].items()}
        suffix, content = hand_in(key["student"], given, (folder / "sheets" / f"{path.stem}.ipynb").read_bytes())
        (folder / "answers" / f"{path.stem}.{suffix}").write_bytes(content)
    marked = grades.mark_class(folder)
    classroom.write(folder, marked)
    return {mark.student.name: mark for mark in marked.marks}


SEEDS = (0, 1, 4, 5, 6, 7, 9, 10, 11)  # of keys in which no number of four decimals happens to end in two zeros


@pytest.fixture(scope="module", params=[30, *(pytest.param(seed, marks=pytest.mark.peers) for seed in SEEDS)])
def class_of_forty(request, tmp_path_factory) -> tuple[Path, dict[str, Mark]]:
    folder = tmp_path_factory.mktemp("class") / "hw"
    asked = {name_of(what, suffix): (what, suffix) for what in HAND_INS for suffix in FORMATS}

    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        what, suffix = asked[student]
        return suffix, FORMATS[suffix](HAND_INS[what][0](given), book)

    return folder, make(folder, list(asked), Plan(seed=request.param), hand_in)


def says_of(folder: Path, student: str) -> str:
    """Return the text of a student's page, without markup."""
    page = (folder / "feedback" / f"{student.replace(' ', '_')}.html").read_text(encoding="utf-8")
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", page, flags=re.DOTALL)).split())


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("what", HAND_INS)
def test_a_hand_in_gets_the_marks_that_it_must_get(what, suffix, class_of_forty):
    folder, marks = class_of_forty
    _, points, others, sentences = HAND_INS[what]
    mark = marks[name_of(what, suffix)]
    statuses = [verdict.status for verdict in mark.verdicts.values()]
    found = {status: statuses.count(status) for status in statuses if status != "right"}
    feedback = says_of(folder, mark.student.name)
    if what == "units in reverse order":  # z has no units, and lines of equal units stay right
        assert found.get("wrong") == 1
    else:
        assert found == others, feedback
    assert (mark.marks, mark.of) == (points, 11), feedback
    for sentence in sentences:
        assert sentence in feedback
    assert f"{points} of 11 points" in feedback
    assert mark.correct == (points == 11)


# An answer that a notebook computes.

CHANGES = {
    "an element": ("f = {f}\nf[0] = 9", ""),
    "added to": ("f = {f}\nf += [1]", ""),
    "a method": ("f = {f}\nf.reverse()", ""),
    "in a loop": ("f = {f}\nfor k in range(2):\n    f[k] = 9", ""),
    "another name": ("f = {f}\nsame = f\nsame[0] = 9", ""),
    "two names at once": ("f = same = {f}\nsame[0] = 9", ""),
    "through NumPy": ("f = np.array({f})\nnp.negative(f, out=f)", ""),
    "deleted": ("f = {f}\ndel f", ""),
    "in a later cell": ("f = {f}", "f[0] = 9"),
    "again in a later cell": ("f = {f}", "f = [value + 1 for value in f]"),
}
KEEPS = {
    "shown": ("f = {f}\nprint(f)\nf", ""),
    "a comparison": ("f = {f}\nassert f[0] != 9", ""),
    "a name in a comprehension": ("f = {f}\n[f for f in range(3)]", ""),
    "a name in a function": ("f = {f}", "def sigmoid(a):\n    f = 1 / (1 + np.exp(-a))\n    f[0] = 0\n    return f"),
    "a copy": ("f = {f}\nother = list(f)\nother[0] = 9", ""),
    "a command": ("%precision 4\nf = {f}", "!date"),
}


def notebook_with(own: str, later: str, *, printed: bool) -> Callable[[str, Given, bytes], tuple[str, bytes]]:
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        written = texts(work(given))
        notebook = json.loads(as_notebook(written, book))
        cells = {cell["id"]: cell for cell in notebook["cells"]}
        cells["answer-2"]["source"] = own.format(f=f"[{', '.join(written['f'])}]")
        notebook["cells"].insert(-1, {**cells["answer-2"], "id": "later", "source": later})
        if printed:
            shown = json.dumps({"f": [9, float(written["f"][1])]})
            notebook["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": shown}]
        return "ipynb", json.dumps(notebook).encode()

    return hand_in


@pytest.mark.parametrize("what", CHANGES)
def test_an_answer_that_code_changes_is_not_marked_by_its_literal(what, tmp_path):
    unsaved = make(tmp_path / "a", ["Ada"], Plan(seed=1), notebook_with(*CHANGES[what], printed=False))["Ada"]
    assert (unsaved.verdicts["f"].status, unsaved.marks) == ("missing", 10)
    assert "code computes it after its numbers, and the result was not saved" in says_of(tmp_path / "a", "Ada")
    saved = make(tmp_path / "b", ["Ada"], Plan(seed=1), notebook_with(*CHANGES[what], printed=True))["Ada"]
    assert (saved.verdicts["f"].status, saved.verdicts["f"].written) == ("wrong", 9)


@pytest.mark.parametrize("what", KEEPS)
def test_an_answer_that_code_only_uses_is_marked_by_its_literal(what, tmp_path):
    mark = make(tmp_path / "hw", ["Ada"], Plan(seed=1), notebook_with(*KEEPS[what], printed=False))["Ada"]
    assert (mark.marks, mark.marking.faults) == (11, ())


# What a sheet asks for.


def test_coarser_numbers_earn_their_point_if_the_teacher_says_so(tmp_path):
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        return "csv", as_csv(texts(work(given), 2), book)

    plan = Plan(seed=30, require_decimals=False)
    assert make(tmp_path / "hw", ["Ada"], plan, hand_in)["Ada"].marks == 11
    assert "than the 4 that the sheet asks for, which still earns the point" in says_of(tmp_path / "hw", "Ada")
    sheets = [next((tmp_path / "hw" / "sheets").glob("*.html")).read_text(encoding="utf-8")]
    make(tmp_path / "strict", ["Ada"], Plan(seed=30), hand_in)
    sheets.append(next((tmp_path / "strict" / "sheets").glob("*.html")).read_text(encoding="utf-8"))
    assert [
        "A number with fewer than 4 decimals earns its point only if it is exact." in sheet for sheet in sheets
    ] == [False, True]


def test_a_forward_exercise_never_speaks_of_the_backward_pass(tmp_path):
    """Not on the sheet, in the notebook or in the feedback, whatever is handed in."""

    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        lines = as_csv(texts(work(given)), book).decode()
        return "csv", f"{lines}\nq,0.5,0.5\nhiden,0.5,0.5\ndee,0.1,0.2\n".encode()

    make(tmp_path / "hw", ["Ada"], Plan(seed=1), hand_in)
    backward = re.compile(
        r"(?<![A-Za-z])(?:d[fighoczxW]|da_[figo]|d[Wb]_[figo]|dh_prev|dc_prev|dc_next|gradient|loss)\b"
    )
    folder = tmp_path / "hw"
    read = [path.read_text(encoding="utf-8") for path in (folder / "sheets").iterdir()]
    for text in [*read, says_of(folder, "Ada")]:
        assert not backward.search(re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))
    assert "there is no quantity 'q'; allowed: z, a_f, f, a_i, i, a_g, g, a_o, o, c, h" in says_of(folder, "Ada")


HEADINGS = (
    *("Eve Zhang", "Homework 3", "Name: Eve Zhang", "Date: 3.12.2026", "Matriculation 4711", "Group;B;2", "My answers"),
    *("Eve Zhang, group 7", "Übung 3: LSTM", "Solution by Ida", "Unit test of my work", "# Exercise 1", "Ada", "Dave"),
)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_is_no_line_of_a_sheet(heading, tmp_path):
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        return "txt", f"{heading}\n".encode() + as_csv(texts(work(given)), book)

    mark = make(tmp_path / "hw", ["Ada"], Plan(seed=1), hand_in)["Ada"]
    assert (mark.marks, mark.marking.faults) == (11, ())


@pytest.mark.parametrize(
    "line", ["ff,0.5,0.4", "q,0.1,0.2", "forget gat,0.5", "q_0 = 0.5", "f_7 = about a half", "o,?!,1"]
)
def test_a_line_that_may_be_an_answer_is_no_heading(line, tmp_path):
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        written = {name: values for name, values in texts(work(given)).items() if name != "o"}
        return "txt", f"{line}\n".encode() + as_csv(written, book)

    mark = make(tmp_path / "hw", ["Ada"], Plan(seed=1), hand_in)["Ada"]
    assert (mark.marks, len(mark.marking.faults)) == (10, 1)


@pytest.mark.parametrize(
    "line", ["i,{0}", "i,{0},", "i,{0},,", "i = {0}", "i: {0}", "i\t{0}", "i (unit 0) = {0}", "i = [{0}]"]
)
def test_a_missing_entry_and_a_blank_one_are_the_same(line, tmp_path):
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        written = texts(work(given))
        text = line.format(*written.pop("i"))
        ending = "" if "\t" not in text else "\t"
        lines = as_csv(written, book).decode().replace(",", ending or ",")
        return "txt", f"{lines}\n{text}\n".encode()

    mark = make(tmp_path / "hw", ["Ada"], Plan(seed=1), hand_in)["Ada"]
    assert (mark.verdicts["i"].status, mark.verdicts["i"].blank, mark.marks) == ("incomplete", ("unit 1",), 10)
    assert "incomplete" in (tmp_path / "hw" / "class.html").read_text(encoding="utf-8")
    assert ",incomplete," in (tmp_path / "hw" / "marks.csv").read_text(encoding="utf-8")


# Causes.


def only(given: Given, **changed: np.ndarray) -> Texts:
    return texts(work(given) | changed)


def test_a_forgotten_tanh_is_not_called_relu_and_an_added_sign_is_wrong(tmp_path):
    kinds, added = [], []

    def without_tanh(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        return "csv", as_csv(texts(work(given, tanh=False), 6), book)

    def with_a_minus(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        h = work(given)["h"]
        added.append(h.max() > 0)
        return "csv", as_csv(only(given, h=np.where(h == h.max(), -h, h)), book)

    for seed in range(6):
        for n, hand_in in enumerate((without_tanh, with_a_minus)):
            mark = make(tmp_path / f"{seed} {n}", ["Ada"], Plan(seed=seed), hand_in)["Ada"]
            causes = mark.verdicts["h"].causes
            assert (mark.verdicts["h"].status, mark.marks) == ("wrong", 10)
            assert not any("ReLU" in cause.says for cause in causes)
            kinds += [causes[0].kind] if hand_in is without_tanh and causes else []
        if added[-1]:
            assert [cause.says for cause in causes] == ["the sign is wrong in h"]
    assert set(kinds) == {"no tanh on the cell"}
    assert sum(added) >= 3
    assert len(kinds) >= 4


def test_nothing_is_called_cut_off_that_follows_from_it(tmp_path):
    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        cut = np.trunc(work(given)["f"] * 100) / 100
        numbers = work(given) | {"f": cut}
        numbers["c"] = cut * given["c_prev"] + numbers["i"] * numbers["g"]
        numbers["h"] = numbers["o"] * np.tanh(numbers["c"])
        written = texts(numbers) | {"f": [f"{value:.2f}" for value in cut]}
        return "csv", as_csv(written, book)

    plan = Plan(seed=2, require_decimals=False)
    verdicts = make(tmp_path / "hw", ["Ada"], plan, hand_in)["Ada"].verdicts
    reasons = {name: verdict.reason for name, verdict in verdicts.items() if verdict.reason}
    assert reasons["f"] == "the digits are cut off, not rounded"
    assert {reasons[name] for name in "ch" if name in reasons} <= {
        "the rounding of earlier numbers explains the difference"
    }
    assert {verdicts[name].status for name in "ch"} == {"close"}


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(6))
def test_a_product_that_was_left_out_is_found_nine_times_in_ten(seed, tmp_path):
    """On full sheets with four decimals, of cells with numbers of one digit; and nobody reads of too few numbers."""
    rng, found, of = np.random.default_rng(seed), 0, 0
    students = [f"Student {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]

    def hand_in(student: str, given: Given, book: bytes) -> tuple[str, bytes]:
        k, unit, column = str(rng.choice([*GATES])), int(rng.integers(2)), int(rng.integers(5))
        weights = given[f"W_{k}"].copy()
        weights[unit, column] = 0
        return "csv", as_csv(texts(work({**given, f"W_{k}": weights})), book)

    for mark in make(tmp_path / "hw", students, Plan(seed=seed), hand_in).values():
        if mark.marking.first is not None:
            of += 1
            found += any(cause.kind == "one product missing" for cause in mark.marking.first.causes)
            assert "Too few numbers" not in str(mark.marking)
    assert of >= 24
    assert found >= 0.9 * of


# One misconception, everywhere.


def work_back(given: Given, numbers: Numbers, *, swapped: bool) -> Numbers:
    """Return the backward pass of a step, from a student's own numbers."""
    n, dh = dict(numbers), given["dh"]
    n["do"], n["dc"] = dh * np.tanh(n["c"]), dh * n["o"] * (1 - np.tanh(n["c"]) ** 2) + given["dc_next"]
    n["df"], n["di"], n["dg"] = n["dc"] * given["c_prev"], n["dc"] * n["g"], n["dc"] * n["i"]
    for k in GATES:
        n[f"da_{k}"] = n[f"d{k}"] * (1 - n["g"] ** 2 if k == "g" else n[k] * (1 - n[k]))
        n[f"dW_{k}"], n[f"db_{k}"] = np.outer(n[f"da_{k}"], n["z"]), n[f"da_{k}"]
    n["dz"] = sum(given[f"W_{k}"].T @ n[f"da_{k}"] for k in GATES)
    first = len(given["x"]) if swapped else len(given["h_prev"])
    ends = n["dz"][:first], n["dz"][first:]
    n["dx"], n["dh_prev"] = ends if swapped else ends[::-1]
    return n | {"dc_prev": n["dc"] * n["f"]}


MISCONCEPTIONS = {
    "no bias anywhere": lambda given: work_back(given, work(given, bias=0), swapped=False),
    "[x; h] for [h; x]": lambda given: work_back(given, work(given, swapped=True), swapped=True),
    "units in reverse order": lambda given: {
        name: value if name in ("z", "dz", "dx") else value[::-1]
        for name, value in work_back(given, work(given), swapped=False).items()
    },
}


@pytest.mark.subjects(1)
@pytest.mark.parametrize("hidden", [2, pytest.param(3, marks=pytest.mark.peers)])
@pytest.mark.parametrize("what", MISCONCEPTIONS)
def test_one_misconception_costs_one_point_forward_and_backward(what, hidden):
    """On full sheets, and on those of gates and states alone."""
    for seed in range(3):
        plan = Plan(seed=seed, backward=True, hidden_size=hidden)
        problem = plan.problem("Ada")
        chain = Chain(problem.sequences(), problem.dh, problem.dc)
        numbers = MISCONCEPTIONS[what](problem.given_arrays())
        for names in ([line.name for line in asked_quantities(chain, True)], [*"figoch"]):
            marking = gw.check({name: np.round(numbers[name], 6) for name in names}, chain, digits=6)
            assert (marking.count("wrong"), marking.marks) == (1, len(names) - 1), str(marking)
            every = gw.check({name: np.round(numbers[name], 6) for name in names}, chain, digits=6, repeat="every")
            assert every.count("wrong") > 1 or what == "[x; h] for [h; x]"


def test_the_command_lets_coarse_numbers_earn_points_only_if_it_is_told_to(here):
    Path("class.csv").write_text("Ada\n", encoding="utf-8")
    for options, required in (((), True), (("--accept-coarse",), False)):
        folder = Path(f"hw {required}")
        assert exit_code(["exercise", "--students", "class.csv", "-o", str(folder), *options]) == 0
        assert hand_ins.read_key(folder / "keys" / "Ada.json").request == Asked(tuple(LINES), 4, required)


def test_a_right_number_is_shown_as_a_person_writes_it():
    assert report.format_pair(0.1, 0.01 - 1e-17) == ("0.1", "0.01")
    assert report.format_pair(0.5, 0.4999999) == ("0.5", "0.4999999")
