"""Exercises: for each student a sheet with different numbers, and its key."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatewise import storage, tables
from gatewise.arrays import Array
from gatewise.arrays import size as size_of
from gatewise.errors import CapacityError, FileError, OptionError
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.problem import Problem
from gatewise.parameters import Parameters, Variant, array_shapes
from gatewise.render import markdown, notebook, text
from gatewise.step import State
from gatewise.symbolic.symbols import COLUMNS, FEATURES, RECURRENT, UNITS
from gatewise.walkthrough.build import walk as walk_through

HEADS = (  # column heads in a roster's first line
    *("id", "student", "student id", "students", "name", "names", "first name", "last name", "surname", "number"),
    *("email", "e-mail", "user", "username", "vorname", "nachname", "matrikelnummer", "prénom", "nom", "nombre"),
)
MOST_STUDENTS = 10_000
KEY = {"format": "gatewise key", "version": 1}
SHEETS, KEYS, ANSWERS, MARKS = "sheets", "keys", "answers", "marks.csv"


@dataclass(frozen=True)
class Plan:
    """What an exercise asks for.

    Parameters
    ----------
    input_size, hidden_size, steps, batch : int
    projection_size : int, optional
    backward : bool
        Whether the backward pass is asked for too.
    decimals : int
        The decimals of the given numbers; few, so that they can be used by hand.
    seed : int
        Random seed; each student's numbers are drawn from it and the student's name. Whoever knows both can make the
        key.
    variant : Variant
    """

    input_size: int = 3
    hidden_size: int = 2
    steps: int = 1
    batch: int = 1
    projection_size: int | None = None
    backward: bool = False
    decimals: int = 2
    seed: int = 0
    variant: Variant = field(default_factory=Variant)

    def __post_init__(self) -> None:
        for name in ("input_size", "hidden_size", "steps", "batch", "decimals"):
            size_of(name, getattr(self, name))
        if self.decimals > 8:
            raise OptionError(f"decimals must be from 1 to 8, not {self.decimals}")
        if self.seed < 0:
            raise OptionError(f"seed must be a non-negative integer, not {self.seed}")
        if self.projection_size is not None and not 1 <= self.projection_size <= self.hidden_size:
            told = f"from 1 to hidden_size, {self.hidden_size}"
            raise OptionError(f"projection_size must be {told}, but is {self.projection_size}")
        columns = self.hidden_size + self.input_size
        if 4 * self.hidden_size * columns > 20_000 or self.steps * self.batch > 1_000:
            raise CapacityError("an exercise has at most 20,000 weights, and 1,000 steps in all sequences together")

    def problem(self, student: str) -> Problem:
        """Return a student's own problem, which depends on nothing but the plan and the student's name."""
        rng = np.random.default_rng([self.seed, zlib.crc32(student.encode())])
        recurrent = self.projection_size or self.hidden_size

        def draw(*shape: int, scale: float = 0.5) -> Array:
            """Return rounded numbers, none of them 0, since a 0 could hide a mistake."""
            unit = 10.0**-self.decimals
            numbers = np.round(rng.normal(0, scale, shape), self.decimals)
            return np.where(numbers == 0, unit, numbers)

        shapes = array_shapes(self.variant, self.input_size, self.hidden_size, recurrent)
        arrays = {name: draw(*shape) for name, shape in shapes.items() if shape}
        if self.projection_size is not None:
            arrays["projection"] = draw(recurrent, self.hidden_size)
        state = State(draw(self.batch, recurrent), draw(self.batch, self.hidden_size))
        x = draw(self.steps, self.batch, self.input_size, scale=1.0)
        dh, dc = np.ones((self.batch, recurrent)), np.zeros((self.batch, self.hidden_size))
        return Problem(Parameters(variant=self.variant, **arrays), x, state, dh, dc)


def asked(chain: Chain, backward: bool) -> list[Quantity]:
    """Return what a sheet asks for: the forward and maybe the backward pass, without the terms of sums over steps."""
    parts = {one.name for one in chain.quantities if one.summed} if chain.steps > 1 else set[str]()
    totals = {quantity.name for quantity in chain.quantities if quantity.total}
    return [
        one
        for one in chain.quantities
        if (backward or not one.backward) and (one.name not in parts or one.name in totals)
    ]


# Empty sheets.


def write_template(path: Path, chain: Chain, backward: bool, suffix: str) -> None:
    """Write an empty sheet; an existing file is not overwritten."""
    if path.exists():
        raise FileError(f"cannot write {path}: the file exists, and an empty sheet would overwrite it")
    quantities = asked(chain, backward)
    if suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **{one.name: np.full(one.key.shape, np.nan) for one in quantities})  # type: ignore[arg-type]
        with storage.beside(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        return
    storage.write_text(path, empty_csv(quantities) if suffix == ".csv" else empty_json(quantities))


def empty_json(quantities: Sequence[Quantity]) -> str:
    """Return an empty sheet as JSON, with null for each number to fill in."""
    return _json({one.name: _nested(np.full(one.key.shape, None)) for one in quantities})


def empty_csv(quantities: Sequence[Quantity]) -> str:
    """Return an empty sheet as CSV: one line for a vector, and one for each row of a matrix."""
    width = max((one.key.shape[-1] for one in quantities if one.key.ndim), default=1)
    lines = [",".join(["quantity", *map(str, range(width))])]
    for one in quantities:
        rows = int(np.prod(one.key.shape[:-1])) if one.key.ndim else 1
        lines += [one.name + "," * (one.key.shape[-1] if one.key.ndim else 1)] * rows
    return "\n".join(lines) + "\n"


def _nested(array: Any) -> Any:
    return np.asarray(array).tolist()


def _json(fields: Mapping[str, Any]) -> str:
    """Return JSON with one field per line, so that a person can fill it in and an error can name the line."""
    lines = (f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(value)}" for name, value in fields.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


# One student's sheet and key.


def sheet_markdown(student: str, made: Problem, chain: Chain, plan: Plan) -> str:
    """Return a sheet to print or read: what is given, in tables, and a blank for each answer."""
    shown = markdown.escape(text.clean(student))
    lines = [f"# An LSTM cell by hand: {shown}", "", _instructions(plan, "the `.csv` or the notebook beside this file")]
    lines += ["", "## What is given", ""]
    for name, array in made.given().items():
        if plan.backward or name not in ("dh", "dc_next"):
            before = [("step", plan.steps)] if name == "x" else []
            axes = [*before, ("sequence", plan.batch)]
            lines += [f"`{name}`", "", *_table(array, _given_names(chain, name), axes), ""]
    lines += ["## What is asked", ""]
    for one in asked(chain, plan.backward):
        names = [chain.names[over] for over in (one.over, one.across)]
        own = names if one.summed and one.key.ndim > 1 else names[:1]
        lines += [f"`{one.name}`", "", *_table(np.full(one.key.shape, ""), own, [("sequence", plan.batch)]), ""]
    return "\n".join(lines)


def _given_names(chain: Chain, name: str) -> list[tuple[str, ...]]:
    """Return the labels of the last axes of a given array."""
    base = name.partition("_")[0]
    recurrent = chain.names[UNITS if chain.sequences[0][0].parameters.projection is None else RECURRENT]
    return {
        "W": [chain.names[UNITS], chain.names[COLUMNS]],
        "R": [chain.names[RECURRENT], chain.names[UNITS]],
        "x": [chain.names[FEATURES]],
        "h": [recurrent],
        "dh": [recurrent],
    }.get(base, [chain.names[UNITS]])


def _instructions(plan: Plan, where: str) -> str:
    steps = f" over {plan.steps} steps" if plan.steps > 1 else ""
    batch = f" for a batch of {plan.batch} sequences" if plan.batch > 1 else ""
    told = (
        f"One LSTM cell{steps}{batch}, with your own numbers. A weight matrix has a row for each unit and a column for"
        " each entry of the combined input z = [h_prev; x]. The pre-activation a_f is the input of the forget gate's"
        " nonlinearity, and f its output; likewise for i (input gate), g (candidate) and o (output gate)."
    )
    if plan.backward:
        told += " The loss is the sum of the last h; df is the derivative of the loss with respect to f."
    if plan.steps > 1:
        told += " f[1] is f at step 1; steps count from 0."
    return f"{told} Work out each quantity to at least 4 decimals and write it into {where}."


def _table(array: Any, names: Sequence[tuple[str, ...]], before: Sequence[tuple[str, int]]) -> list[str]:
    """Return a Markdown table with the labels of the last axes; `before` names the axes before them, with sizes."""
    array = np.atleast_1d(np.asarray(array))
    lines = [("", *names[-1])]
    axes = [what for what, count in before if count > 1 or len(before) > 1]
    for place in np.ndindex(array.shape[:-1]):
        values = (repr(float(value)) if array.dtype.kind == "f" else "&nbsp;" * 8 for value in array[place])
        told = ", ".join(f"{what} {k}" for what, k in zip(axes, place, strict=False))
        lines.append((names[0][place[0]] if len(names) > 1 else told, *values))
    head, *rows = (f"| {' | '.join(line)} |" for line in lines)
    return [head, "|" + " ---: |" * len(lines[0]), *rows]


def sheet_notebook(student: str, name: str, made: Problem, quantities: Sequence[Quantity], plan: Plan) -> str:
    """Return the sheet as a notebook: the given arrays, a cell for each answer, and one that writes the answers."""
    shown = markdown.escape(text.clean(student))
    where = f"its cell below; the last cell writes `{name}.json`, which you hand in"
    cells = [notebook.cell("title", "markdown", f"# An LSTM cell by hand: {shown}\n\n{_instructions(plan, where)}")]
    given = [f"{_variable(key)} = np.array({_nested(array)})" for key, array in made.given().items()]
    cells.append(notebook.cell("given", "code", "\n".join(["import json", "", "import numpy as np", "", *given])))
    for number, one in enumerate(quantities):
        told = f"`{one.name}`, shape {one.key.shape}"
        cells.append(notebook.cell(f"asked-{number}", "markdown", told))
        cells.append(notebook.cell(f"answer-{number}", "code", f"{_variable(one.name)} = None"))
    pairs = "\n".join(f"    {one.name!r}: {_variable(one.name)}," for one in quantities)
    written = (
        f"answers = {{\n{pairs}\n}}\n"
        "answers = {name: None if value is None else np.asarray(value).tolist() for name, value in answers.items()}\n"
        f'with open({f"{name}.json"!r}, "w", encoding="utf-8") as file:\n'
        "    json.dump(answers, file, indent=1)"
    )
    cells.append(notebook.cell("hand-in", "code", written))
    return notebook.document(cells)


def _variable(name: str) -> str:
    """Return a quantity's name as a Python identifier."""
    plain = name.replace("γ", "gamma").replace("β", "beta").replace("μ", "mu").replace("[", "_").replace("]", "")
    found = re.sub(r"\W", "_", plain)
    return f"{found}_" if found in ("do", "is", "if", "in") else found


def key_json(student: str, made: Problem, quantities: Sequence[Quantity], plan: Plan) -> str:
    """Return a key: what was given, and every answer to all digits."""
    variant = {
        name: value if value is None or isinstance(value, float) else str(value)
        for name, value in plan.variant.differences().items()
    }
    fields: dict[str, Any] = {**KEY, "student": student, "backward": plan.backward, "asked": len(quantities)}
    fields["variant"] = variant
    given = {name: _nested(array) for name, array in made.given().items()}
    answers = {one.name: _nested(one.key) for one in quantities}
    return _json({**fields, "given": given, "answers": answers})


def key_markdown(student: str, made: Problem, plan: Plan) -> str:
    """Return the worked solution for every sequence."""
    shown = markdown.escape(text.clean(student))
    worked = [f"# The key of {shown}"]
    for sequence, steps in enumerate(made.sequences()):
        if plan.batch > 1:
            worked.append(f"# Sequence {sequence} of the batch")
        worked.append(walk_through(steps, backward=False).render("markdown"))
        if plan.backward:
            worked.append(walk_through(steps, backward=True).render("markdown"))
    return "\n\n".join(worked) + "\n"


# A class.


def roster(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the students in the first column of a .csv file, by the names of their files.

    A first line with column heads is skipped.

    Raises
    ------
    FileError
        If it cannot be read or has no names, or if two students' files would have the same name.
    """
    source = storage.readable(path)
    rows = tables.rows(source)
    found: dict[str, str] = {}
    taken: dict[str, int] = {}
    for number, row in rows:
        student = text.clean(row[0])
        if not student or (not found and student.lower() in HEADS and number == 1):
            continue
        name = file_name(student)
        if name.lower() in taken:
            raise FileError(
                f"cannot read {source}: line {number}, {student!r}, is the same as line {taken[name.lower()]}"
            )
        taken[name.lower()] = number
        found[name] = student
    if not found:
        raise FileError(f"cannot read {source}: there are no names in its first column")
    if len(found) > MOST_STUDENTS:
        raise FileError(f"cannot read {source}: it has {len(found)} students; at most {MOST_STUDENTS} are allowed")
    return found


def file_name(student: str) -> str:
    """Return a student's name in a form that is a valid file name on any system."""
    plain = unicodedata.normalize("NFC", student)
    name = re.sub(r"[^\w.@+-]+", "_", plain).strip("._")[:80]
    if not name or re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name):
        name = f"student_{zlib.crc32(student.encode()):08x}"
    return name


def make(folder: Path, students: Mapping[str, str], plan: Plan, done: Callable[[], object] = lambda: None) -> None:
    """Write the sheets and keys of a class into a new folder, which appears once it is complete.

    Raises
    ------
    FileError
        If the folder exists and is not empty, or cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"cannot write {folder}: it is not empty; choose a new folder")
    temporary = folder.parent / f".{folder.name}.{os.urandom(4).hex()}"
    try:  # from before the folder is there, so that an interrupt at any moment leaves none behind
        temporary.mkdir(0o700)
        for part in (SHEETS, KEYS, ANSWERS):
            (temporary / part).mkdir()
        for name, student in students.items():
            _make_one(temporary, name, student, plan)
            done()
        storage.write_text(temporary / "README.md", _folder_readme(plan))
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.replace(folder)
    except OSError as fault:
        raise FileError(f"cannot write {folder}: {fault.strerror or fault}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_one(folder: Path, name: str, student: str, plan: Plan) -> None:
    made = plan.problem(student)
    chain = Chain(made.sequences(), made.dh, made.dc)
    quantities = asked(chain, plan.backward)
    files = {
        f"{SHEETS}/{name}.md": sheet_markdown(student, made, chain, plan),
        f"{SHEETS}/{name}.ipynb": sheet_notebook(student, name, made, quantities, plan),
        f"{SHEETS}/{name}.csv": empty_csv(quantities),
        f"{KEYS}/{name}.json": key_json(student, made, quantities, plan),
        f"{KEYS}/{name}.md": key_markdown(student, made, plan),
    }
    for path, content in files.items():
        (folder / path).write_text(content, encoding="utf-8", newline="\n")


def _folder_readme(plan: Plan) -> str:
    return (
        "# An exercise\n\n"
        f"`{SHEETS}/` is for the students: each has a notebook, a sheet to print and an empty `.csv`, with numbers of"
        f" their own. `{KEYS}/` is for you alone. Put the answers (`.json`, `.csv` or `.npz`, under the student's name)"
        f" into `{ANSWERS}/` and run `gatewise check` on this folder: it prints a table and writes `{MARKS}`.\n\n"
        f"Made with seed {plan.seed}: the same seed and name give the same numbers again.\n"
    )
