"""The files of an exercise: for each student a page, a notebook and an empty sheet; for the teacher the keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, one_of
from gatewise.files import storage
from gatewise.files.replacing import folder_beside
from gatewise.files.tables import csv_text
from gatewise.grading import handout_page
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.exercise import ASKED_DECIMALS, Plan, asked_quantities, worked_numbers
from gatewise.grading.fading import split_lines
from gatewise.grading.names import python_name
from gatewise.grading.problem import Problem
from gatewise.grading.roster import Student
from gatewise.grading.sheet import EMPTY
from gatewise.progress import working_through
from gatewise.render import markdown, notebook, text
from gatewise.walkthrough.build import walk as walk_through

KEY = {"format": "gatewise key", "version": 2}
SHEETS, KEYS, ANSWERS, FEEDBACK = "sheets", "keys", "answers", "feedback"  # folders of an exercise
WEIGHTS, MARKS, PAGE = "weights.csv", "marks.csv", "class.html"  # files of an exercise


# Empty sheets.


def write_template(path: Path, chain: Chain, backward: bool) -> None:
    """Write an empty sheet to fill in by hand, in the format of its name; an existing file is not overwritten."""
    suffix = one_of("the ending of a sheet's name", path.suffix.lower(), EMPTY)
    if path.exists():
        raise FileError(f"cannot write {path}: the file exists, and an empty sheet would overwrite it")
    quantities = asked_quantities(chain, backward)
    if suffix == ".npz":
        arrays = {quantity.name: np.full(quantity.key.shape, np.nan) for quantity in quantities}
        with storage.beside(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return
    blanks = {quantity.name: np.full(quantity.key.shape, None).tolist() for quantity in quantities}
    storage.write_text(path, sheet_csv(quantities) if suffix == ".csv" else _json(blanks))


def sheet_csv(quantities: Sequence[Quantity], *, filled: bool = False) -> str:
    """Return a sheet as CSV, empty or with the right numbers: a line for a vector and for each row of a matrix."""
    width = max((quantity.key.shape[-1] for quantity in quantities if quantity.key.ndim), default=1)
    lines: list[list[object]] = [["quantity", *range(width)]]
    for quantity in quantities:
        rows = quantity.key.reshape(-1, quantity.key.shape[-1] if quantity.key.ndim else 1)
        lines += [[quantity.name, *(_key_number(value) if filled else "" for value in row)] for row in rows.tolist()]
    return csv_text(lines)


def _key_number(value: float) -> str:
    """Return a number of a key with six decimals, or with four digits if it is small."""
    return f"{value:.6f}" if abs(value) >= 1e-3 or not value else f"{value:.3e}"


def _json(fields: Mapping[str, Any]) -> str:
    """Return JSON with one field per line, so that a person can fill in a sheet and an error can name the line."""
    lines = (f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(value)}" for name, value in fields.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


# One student's sheet and key.


def sheet_notebook(student: Student, problem: Problem, lines: tuple[list[Quantity], list[Quantity]], plan: Plan) -> str:
    """Return a student's sheet as a notebook: the given arrays, a cell for each answer, one that writes them."""
    worked, quantities = lines
    name = markdown.escape(text.clean(student.name))
    written = f"`{student.file}.json`"
    words = handout_page.words_of(plan)
    where = words["cells"].format(file=written)
    cells = [
        notebook.cell("title", "markdown", f"# {words['title']}: {name}\n\n{handout_page.instructions(plan, where)}")
    ]
    given = handout_page.given_arrays(problem, plan)
    arrays = [f"{python_name(key)} = np.array({array.tolist()})" for key, array in given.items()]
    cells.append(notebook.cell("given", "code", "\n".join(["import json", "", "import numpy as np", "", *arrays])))
    if worked:
        worked_arrays = [f"{python_name(line.name)} = np.array({worked_numbers(line).tolist()})" for line in worked]
        cells.append(notebook.cell("worked", "code", "\n".join([f"# {words['comment']}", *worked_arrays])))
    for number, quantity in enumerate(quantities):
        defined = f": `{quantity.equation}`" if quantity.term else ""
        label = f"`{quantity.name}`, {words['shape']} {quantity.key.shape}{defined}"
        cells.append(notebook.cell(f"asked-{number}", "markdown", label))
        cells.append(notebook.cell(f"answer-{number}", "code", f"{python_name(quantity.name)} = None"))
    pairs = "\n".join(f"    {quantity.name!r}: {python_name(quantity.name)}," for quantity in quantities)
    writing = (
        f"answers = {{\n{pairs}\n}}\n"
        "answers = {name: None if value is None else np.asarray(value).tolist() for name, value in answers.items()}\n"
        f'with open({f"{student.file}.json"!r}, "w", encoding="utf-8") as file:\n'
        "    json.dump(answers, file, indent=1)\n"
        f"print(json.dumps(answers))  # {words['printed']}"
    )
    cells.append(notebook.cell("hand-in", "code", writing))
    return notebook.document(cells)


def key_json(
    student: Student, place: int, problem: Problem, lines: tuple[list[Quantity], list[Quantity]], plan: Plan
) -> str:
    """Return a student's key as JSON: the given arrays, the worked lines, and every answer with all digits."""
    variant = {
        name: value if value is None or isinstance(value, float) else str(value)
        for name, value in plan.variant.differences().items()
    }
    worked, quantities = ([quantity.name for quantity in group] for group in lines)
    fields: dict[str, Any] = {
        **KEY,
        "student": student.name,
        "roster": student.cells,
        "heads": student.heads,
        "place": place,
        "lang": plan.lang,
        "decimals": ASKED_DECIMALS,
        "decimals_required": plan.require_decimals,
    }
    fields |= {"worked": worked, "asked": quantities, "variant": variant}
    arrays = {name: array.tolist() for name, array in problem.given_arrays().items()}
    answers = {quantity.name: quantity.key.tolist() for quantity in lines[1]}
    return _json({**fields, "given": arrays, "answers": answers})


def key_markdown(student: Student, problem: Problem, plan: Plan) -> str:
    """Return a student's key as Markdown: the worked solution for every sequence."""
    name = markdown.escape(text.clean(student.name))
    worked = [f"# The key of {name}"]
    for sequence, steps in enumerate(problem.sequences()):
        if plan.batch > 1:
            worked.append(f"# Sequence {sequence} of the batch")
        worked.append(walk_through(steps, backward=False).render("markdown"))
        if plan.backward:
            worked.append(walk_through(steps, backward=True).render("markdown"))
    return "\n\n".join(worked) + "\n"


# A class.


def write_exercise(folder: Path, students: Sequence[Student], plan: Plan) -> None:
    """Write the sheets and keys of a class into a new folder, which appears once it is complete.

    Raise FileError if the folder exists and is not empty, or cannot be written.
    """
    with folder_beside(folder) as temporary, working_through("sheets", len(students)) as done:
        for part in (SHEETS, KEYS, ANSWERS):
            (temporary / part).mkdir()
        for place, student in enumerate(students):
            quantities = _write_student(temporary, student, place, plan)
            done(1)
        points = csv_text([("quantity", "points"), *((quantity.name, 1) for quantity in quantities)])
        storage.write_text(temporary / WEIGHTS, points)
        storage.write_text(temporary / "README.md", _teacher_readme(plan))


def _write_student(folder: Path, student: Student, place: int, plan: Plan) -> list[Quantity]:
    problem = plan.problem(student.name)
    chain = Chain(problem.sequences(), problem.dh, problem.dc)
    lines = split_lines(asked_quantities(chain, plan.backward), plan.worked)
    files = {
        f"{SHEETS}/{student.file}.html": handout_page.student_page(student, problem, chain, lines, plan),
        f"{SHEETS}/{student.file}.ipynb": sheet_notebook(student, problem, lines, plan),
        f"{SHEETS}/{student.file}.csv": sheet_csv(lines[1]),
        f"{KEYS}/{student.file}.json": key_json(student, place, problem, lines, plan),
        f"{KEYS}/{student.file}.csv": sheet_csv(lines[1], filled=True),
        f"{KEYS}/{student.file}.md": key_markdown(student, problem, plan),
    }
    for path, content in files.items():
        (folder / path).write_text(content, encoding="utf-8", newline="\n")
    return lines[1]


def _teacher_readme(plan: Plan) -> str:
    names = {"sheets": SHEETS, "keys": KEYS, "answers": ANSWERS, "feedback": FEEDBACK, "marks": MARKS, "page": PAGE}
    lines = handout_page.words_of(plan)["readme"]
    return "\n".join([*lines, ""]).format(**names, weights=WEIGHTS, seed=plan.seed)
