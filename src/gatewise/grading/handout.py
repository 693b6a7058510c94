"""The files of an exercise: for each student a page, a notebook and an empty sheet; for the teacher the keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, one_of
from gatewise.files import storage
from gatewise.files.replacing import folder_beside
from gatewise.files.tables import csv_text
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.exercise import ASKED_DECIMALS, Plan, asked_quantities, split_lines, worked_numbers
from gatewise.grading.names import python_name
from gatewise.grading.problem import Problem
from gatewise.grading.roster import Student
from gatewise.grading.sheet import TEMPLATE_SUFFIXES
from gatewise.languages.language import words_in
from gatewise.progress import working_through
from gatewise.render import markdown, mathml, notebook, text
from gatewise.render.html import document, number_markup, scrolled, style, text_html
from gatewise.render.mathml import hue_of, run
from gatewise.render.text import formula
from gatewise.symbolic.formula import COLUMNS, UNITS, FunctionCall, Symbol, nodes
from gatewise.symbolic.nonlinearities import textbook
from gatewise.walkthrough.build import walk as walk_through
from gatewise.walkthrough.numbers import number

PACKAGE = "gatewise.grading"  # where its style lies
MAX_COLUMNS = 8  # entries side by side
TableRow = tuple[str, tuple[str, ...]]  # its head and its cells, as markup


def student_page(
    student: Student, problem: Problem, chain: Chain, lines: tuple[list[Quantity], list[Quantity]], plan: Plan
) -> str:
    """Return a student's sheet as an HTML page; of `lines`, the first are worked, and the others asked."""
    worked, quantities = lines
    words = words_of(plan)
    title = words["title"]
    given_tables = "".join(_given_tables(problem, chain, plan))
    worked_tables = f"<h2>{words['worked']}</h2>\n{_line_tables(worked, chain, plan, worked=True)}" if worked else ""
    body = f"""<main class="sheet">
<header><h1>{title}</h1><p class="whose">{text_html(student.name)}</p></header>
<p>{escape(instructions(plan, words["blanks"]))}</p>
<h2>{words["given"]}</h2>
<div class="given">{given_tables}</div>
<p class="functions">{_nonlinearity_formulas([*worked, *quantities])}</p>
{worked_tables}
<h2>{words["asked"]}</h2>
{_line_tables(quantities, chain, plan)}
</main>"""
    return document(f"{title}: {student.name}", style("handout.css", PACKAGE), body, lang=plan.lang) + "\n"


def words_of(plan: Plan) -> Mapping[str, Any]:
    """Return the words of the sheets of an exercise in its language."""
    words: Mapping[str, Any] = words_in(plan.lang)["handout"]
    return words


def _entry_names(chain: Chain, plan: Plan) -> dict[str, tuple[str, ...]]:
    unit = words_of(plan)["units"]
    in_language = partial(re.sub, r"\bunit (\d+)", lambda match: unit.format(n=match[1]))
    return {axis: tuple(map(in_language, names)) for axis, names in chain.names.items()}


def instructions(plan: Plan, where: str) -> str:
    """Return the paragraph of a student's sheet that explains the numbers and the task."""
    words = words_of(plan)
    steps = words["steps"].format(n=plan.steps) if plan.steps > 1 else ""
    sequences = words["sequences"].format(n=plan.batch) if plan.batch > 1 else ""
    parts = {"backward": plan.backward, "times": plan.steps > 1, "faded": plan.worked != "none"}
    further = [words[name] for name, is_said in parts.items() if is_said]
    task = [words["task"], words["coarse"]] if plan.require_decimals else [words["task"]]
    in_words = (sentence.format(decimals=ASKED_DECIMALS, where=where) for sentence in task)
    return " ".join([words["cell"].format(steps=steps, sequences=sequences), *further, *in_words])


def given_arrays(problem: Problem, plan: Plan) -> dict[str, Array]:
    """Return the arrays that a student's sheet gives by name: those of the backward pass only if that is asked."""
    arrays = problem.given_arrays()
    return {name: array for name, array in arrays.items() if plan.backward or name not in ("dh", "dc_next")}


def _nonlinearity_formulas(quantities: Sequence[Quantity]) -> str:
    calls = [node for quantity in quantities for node in nodes(quantity.right) if isinstance(node, FunctionCall)]
    activations = {call.name: call.activation for call in calls if call.activation is not None}
    return " ".join(
        f"<span>{mathml.function_of_a(name)} {run(textbook(activation), '=')}</span>"
        for name, activation in activations.items()
    )


# Given arrays


def _given_tables(problem: Problem, chain: Chain, plan: Plan) -> Iterator[str]:
    """Yield an HTML figure for each given array of a student's sheet: the weights, inputs and states."""
    symbols = {formula(symbol): symbol for symbol, _ in chain.given}
    words, entry_names = words_of(plan), _entry_names(chain, plan)
    for name, array in given_arrays(problem, plan).items():
        symbol = symbols[name.replace("gamma", "γ").replace("beta", "β")]
        along = chain.program.axes[symbol] if symbol.base != "W" else (UNITS, COLUMNS)  # also if h and x are apart
        names = [entry_names[axis] for axis in along]
        before = [("rows", plan.steps)] if name == "x" else []
        axes = [axis for axis, size in [*before, ("batch", plan.batch)] if size > 1]
        heads, rows = [], []
        for place in np.ndindex(array.shape[:-1]):
            head = ", ".join(words[axis].format(n=k) for axis, k in zip(axes, place, strict=False))
            heads.append(names[0][place[0]] if len(names) > 1 else head)
            rows.append(tuple(number_markup(number(value)) for value in array[place]))
        rowed = [(text_html(head), row) for head, row in zip(heads, rows, strict=True)]
        tables = "".join(_split_tables(names[-1], rowed, "given", name, words))
        yield f"<figure{_hue_class(symbol, name)}><figcaption>{mathml.math(symbol)}</figcaption>{tables}</figure>\n"


# Asked and worked lines


def _line_tables(quantities: Sequence[Quantity], chain: Chain, plan: Plan, *, worked: bool = False) -> str:
    """Return HTML tables of a sheet's lines; lines of one step with the same entries share a table."""
    markup, words, entry_names = [], words_of(plan), _entry_names(chain, plan)
    for step, step_quantities in groupby(quantities, lambda one: one.step):
        if plan.steps > 1:
            markup.append(f"<h3>{words['all steps'] if step is None else words['step'].format(n=step)}</h3>")
        for names, group in groupby(step_quantities, lambda one: _quantity_labels(one, entry_names)):
            lines = list(group)
            rows = [row for quantity in lines for row in _table_rows(quantity, names, worked, words)]
            markup += _split_tables(names[-1], rows, "worked" if worked else "blank", lines[0].name, words)
    return "\n".join(markup)


def _quantity_labels(quantity: Quantity, entry_names: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    names = (entry_names[quantity.over], entry_names[quantity.across])
    return names if quantity.summed and quantity.key.ndim > 1 else names[:1]


def _table_rows(
    quantity: Quantity, names: Sequence[tuple[str, ...]], worked: bool, words: Mapping[str, Any]
) -> Iterator[TableRow]:
    """Yield the HTML rows of a quantity on a student's sheet: its equation or row label, and its cells."""
    term = quantity.term and f" ({mathml.math(quantity.first_term)} {run(quantity.term, '=')})"
    equation = (
        f'<span class="unseen">{text_html(quantity.equation)}</span>'
        f'<span aria-hidden="true"{_hue_class(quantity.symbol, quantity.name)}>'
        f"{mathml.math(quantity.symbol)} {run(quantity.right, '=')}{term or ''}</span>"
    )
    key = np.atleast_1d(worked_numbers(quantity))
    for place in np.ndindex(key.shape[:-1]):
        label = names[0][place[0]] if len(names) > 1 else words["batch"].format(n=place[0]) if place else ""
        head = [equation] * (not any(place)) + [f"<small>{text_html(label)}</small>"] * bool(label)
        yield " ".join(head), tuple(number_markup(f"{value:.4f}") if worked else "" for value in key[place])


def _split_tables(
    names: Sequence[str], rows: Sequence[TableRow], kind: str, label: str, words: Mapping[str, Any]
) -> Iterator[str]:
    headed = any(head for head, _ in rows)
    for start in range(0, len(names), MAX_COLUMNS):
        part = slice(start, start + MAX_COLUMNS)
        heads = "<td></td>" * headed + "".join(f'<th scope="col">{text_html(name)}</th>' for name in names[part])
        body = "".join(
            (f'<tr><th scope="row">{head}</th>' if headed else "<tr>")
            + f"{''.join(f'<td>{cell}</td>' for cell in cells[part])}</tr>"
            for head, cells in rows
        )
        table = f'<table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        widest = max(len(cell) + 3 for _, cells in rows for cell in cells[part])
        label_text = text_html(words["tables"].format(name=label, kind=words["kinds"][kind], first=names[start]))
        yield scrolled(table, label_text, widest * len(names[part])) + "\n"


def _hue_class(symbol: Symbol, name: str) -> str:
    """Return the class of a quantity's hue: its own, or that of the gate it belongs to."""
    last = name.partition("[")[0].rpartition("_")[2]
    hue = hue_of(symbol) or hue_of(Symbol(last))
    return f' class="{hue}"' if hue else ""


KEY = {"format": "gatewise key", "version": 2}
SHEETS, KEYS, ANSWERS, FEEDBACK = "sheets", "keys", "answers", "feedback"  # folders of an exercise
WEIGHTS, MARKS, PAGE = "weights.csv", "marks.csv", "class.html"  # files of an exercise


# Empty sheets.


def write_template(path: Path, chain: Chain, backward: bool) -> None:
    """Write an empty sheet to fill in by hand, in the format of its name; an existing file is not overwritten."""
    suffix = one_of("the ending of a sheet's name", path.suffix.lower(), TEMPLATE_SUFFIXES)
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
    words = words_of(plan)
    where = words["cells"].format(file=written)
    cells = [notebook.cell("title", "markdown", f"# {words['title']}: {name}\n\n{instructions(plan, where)}")]
    given = given_arrays(problem, plan)
    arrays = [f"{python_name(key)} = np.array({array.tolist()})" for key, array in given.items()]
    cells.append(notebook.cell("given", "code", "\n".join(["import json", "", "import numpy as np", "", *arrays])))
    if worked:
        worked_arrays = [f"{python_name(line.name)} = np.array({worked_numbers(line).tolist()})" for line in worked]
        cells.append(notebook.cell("worked", "code", "\n".join([f"# {words['comment']}", *worked_arrays])))
    for position, quantity in enumerate(quantities):
        defined = f": `{quantity.equation}`" if quantity.term else ""
        label = f"`{quantity.name}`, {words['shape']} {quantity.key.shape}{defined}"
        cells.append(notebook.cell(f"asked-{position}", "markdown", label))
        cells.append(notebook.cell(f"answer-{position}", "code", f"{python_name(quantity.name)} = None"))
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
            problem = plan.problem(student.name)
            chain = Chain(problem.sequences(), problem.dh, problem.dc)
            lines = split_lines(asked_quantities(chain, plan.backward), plan.worked)
            files = {
                f"{SHEETS}/{student.file}.html": student_page(student, problem, chain, lines, plan),
                f"{SHEETS}/{student.file}.ipynb": sheet_notebook(student, problem, lines, plan),
                f"{SHEETS}/{student.file}.csv": sheet_csv(lines[1]),
                f"{KEYS}/{student.file}.json": key_json(student, place, problem, lines, plan),
                f"{KEYS}/{student.file}.csv": sheet_csv(lines[1], filled=True),
                f"{KEYS}/{student.file}.md": key_markdown(student, problem, plan),
            }
            for path, content in files.items():
                (temporary / path).write_text(content, encoding="utf-8", newline="\n")
            quantities = lines[1]
            done(1)
        points = csv_text([("quantity", "points"), *((quantity.name, 1) for quantity in quantities)])
        storage.write_text(temporary / WEIGHTS, points)
        storage.write_text(temporary / "README.md", _teacher_readme(plan))


def _teacher_readme(plan: Plan) -> str:
    names = {"sheets": SHEETS, "keys": KEYS, "answers": ANSWERS, "feedback": FEEDBACK, "marks": MARKS, "page": PAGE}
    lines = words_of(plan)["readme"]
    return "\n".join([*lines, ""]).format(**names, weights=WEIGHTS, seed=plan.seed)
