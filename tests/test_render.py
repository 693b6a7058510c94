"""The formats of a walkthrough agree number for number: each is read back, and all say the same."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from pairwise import pairs
from walks import SUBJECTS, fewer, walk_of

from gatewise.showing import ENDINGS
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.numbers import number

pytestmark = pytest.mark.usefixtures("few_differences")


WAYS = ("forward", "backward", "two steps", "two steps backward", "three steps from every output")


def affordable(case):
    """Leave three steps, which take longest, to one variant."""
    return case["way"] != "three steps from every output" or case["variant"] == "peephole, coupling, clips"


def enough(case):
    """Leave several steps to two notations, and those back to one variant: what is shown of them besides those of one
    has the same symbols. Leave the other variants and kinds of dropout to the two notations as well.
    """
    several = case["way"] not in ("forward", "backward")
    short = case["way"] != "two steps backward" or case["variant"] == "peephole, coupling, clips"
    plainer = case["variant"] == "peephole, layer norm of the gates" and case["dropout"] in ("no dropout", "dropout")
    usual = case["notation"] in ("gatewise", "keras")
    return fewer(case) and affordable(case) and short and (usual or (plainer and not several))


@dataclass
class Numbers:
    """What a section shows: the results of its worked lines, a number or a row each, and the cells of its tables."""

    worked: list[tuple[str, ...]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)


def result(shown):
    """Return a result as the numbers in it: one, or those of a row."""
    return tuple(re.split(", *", shown.strip().strip("[]")))


# Text, and the fenced blocks of Markdown: a worked line begins with a name and an equals sign, and ends in its result.

NUMBER = r"-?(?:\d[\d.]*(?:e[-+]\d+)?|inf)|nan"
BEGINS = re.compile(r"(?:\S.*? {2,}|\s*)(?P<left>[^\W\d][^\s()|=]*) += ")


def worked(lines):
    """Return the results of worked lines, which may go on for several lines of text."""
    whole: list[str] = []
    for line in lines:
        if BEGINS.match(line):
            whole.append(line.strip())
        else:
            whole[-1] += f" {line.strip()}"
    return [result(line.rsplit(" = ", 1)[1]) for line in whole]


def row_of(line):
    """Return the numbers of a row of a table."""
    _, *cells = re.split(" {2,}", line.strip())
    return cells if all(re.fullmatch(NUMBER, cell) for cell in cells) else []


def read_text(shown):
    sections = []
    for part in re.split(r"^\d+\. .*\n", shown, flags=re.MULTILINE)[1:]:
        found = Numbers()
        lines = part.splitlines()
        if row_of(lines[0]):  # facts: a table begins with its head
            lines = [line for line in lines if len(re.split(" {2,}", line.strip())) != 2]
        for line in lines:
            if cells := row_of(line):
                found.cells += cells
            elif re.search(r"  a = \S+$", line):  # the head of the table of nonlinearities
                continue
            elif BEGINS.match(line.strip()) and "→" not in line:  # an equation in symbols has its shape behind it
                found.worked += worked([line.strip()])
        sections.append(found)
    return sections


def markdown_section(part):
    found = Numbers()
    for fence in re.findall(r"^```text\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL):
        found.worked += worked(fence.splitlines())
    rows = [line for line in part.splitlines() if line.startswith("|")]
    for row, after in pairwise([*rows, ""]):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        if not re.match(r"\| -+ \|", after) and not re.fullmatch("-+", cells[0]):
            found.cells += cells[1:]
    return found


def read_markdown(shown):
    return list(map(markdown_section, re.split(r"^### \d+\. .*\n", shown, flags=re.MULTILINE)[1:]))


# LaTeX: \worked{name}{left}{right}, and tables, which are in pieces where a page is too narrow.


def arguments(line):
    """Return the arguments of a macro."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(line):
        escaped = line[at - 1 : at] == "\\"
        if letter == "{" and not escaped:
            start = at + 1 if not depth else start
            depth += 1
        elif letter == "}" and not escaped:
            depth -= 1
            if not depth:
                found.append(line[start:at])
    return found


def figure(shown):
    """Return a number in LaTeX as `number` writes it."""
    shown = re.sub(r"\\phantom\{[^}]*\}", "", shown).strip().strip("$").strip()
    shown = shown.replace(r"\mathrm{nan}", "nan").replace(r"\infty", "inf")
    if power := re.fullmatch(r"\{(?:(?P<digits>-?[\d.]+) \\times |(?P<minus>-?))10\^\{(?P<power>-?\d+)\}\}", shown):
        digits = power["digits"] or f"{power['minus']}1"
        return f"{digits}e{int(power['power']):+03d}"
    return shown


def read_latex(shown):
    sections = []
    for part in re.split(r"^\\section\*.*\n", shown, flags=re.MULTILINE)[1:]:
        found = Numbers()
        pieces: list[list[list[str]]] = []  # of one table, row by row
        table: list[list[str]] | None = None

        def flush(found=found, pieces=pieces):
            found.cells += [figure(cell) for rows in zip(*pieces, strict=True) for row in rows for cell in row[1:]]
            pieces.clear()

        for line in part.splitlines():
            if line.startswith(r"\worked{"):
                *_, right = arguments(line)
                found.worked.append(tuple(map(figure, result(right.split(r"\gives ")[-1].replace(r"\allowbreak", "")))))
            elif line.startswith(r"\lies\begin{tabular}{@{}l*"):
                table = []
            elif line.startswith(r"\end{tabular}") and table is not None:
                if pieces and [row[0] for row in pieces[0]] != [row[0] for row in table]:
                    flush()
                pieces.append(table)
                table = None
            elif table is not None and r"\hline" not in line:
                table.append(line.removesuffix(r" \\").split(" & "))
            elif line.startswith(r"\says"):
                flush()
        flush()
        sections.append(found)
    return sections


# HTML: every number lies in a data-value.


def read_html(shown):
    sections = []
    for section in ElementTree.fromstring(shown).iter("section"):
        if "station" not in section.get("class", "").split():
            continue
        found = Numbers()
        for element in section.iter():
            if (value := element.get("data-value")) is None:
                continue
            if element.tag == "td":
                found.cells.append(value)
            else:
                found.worked.append(result(value))
        sections.append(found)
    return sections


# JSON: numbers, which are written here as the other formats write them.


def read_json(shown):
    sections = []
    for section in json.loads(shown)["sections"]:
        found = Numbers()
        for equations, run in groupby(section["blocks"], lambda block: block["type"] == "equation"):
            if equations:
                found.worked += by_entry(list(run))
                continue
            for block in run:
                if block["type"] == "table":
                    cells = [value for row in block["rows"] for value in row["values"]]
                    found.cells += [number(value, block["digits"]) for value in cells]
        sections.append(found)
    return sections


def by_entry(equations):
    """Return results entry by entry, as the other formats have them, and not equation by equation."""
    shown = [equation for equation in equations if equation["worked"]]
    for _, run in groupby(shown, lambda equation: (isinstance(equation["value"], list), equation["over"])):
        for lines in zip(*(equation["worked"] for equation in run), strict=True):
            yield from (tuple(map(number, np.atleast_1d(line["value"]))) for line in lines)


READERS = {
    "text": read_text,
    "markdown": read_markdown,
    "latex": read_latex,
    "html": read_html,
    "json": read_json,
}


# The notebook: in its Markdown the tables; in its outputs, arrays as NumPy prints them.


def printed(output):
    """Return the arrays that a code cell printed, each number with half a unit of its last digit."""
    for shown in re.split(r"^[^\W\d]\w* = ", output, flags=re.MULTILINE)[1:]:
        texts = re.findall(r"-?\d[\d.]*(?:e[-+]\d+)?|-?inf|nan", shown)
        halves = [0.5e-8 * 10.0 ** int(one.partition("e")[2] or 0) for one in texts]
        yield np.array(texts, dtype=np.float64), np.array(halves)


def assert_notebook(shown, document):
    """Assert that the notebook of a walk has the numbers of its JSON."""
    cells = {cell["id"]: cell for cell in json.loads(shown)["cells"]}
    for place, (section, numbers) in enumerate(
        zip(document["sections"], read_json(json.dumps(document)), strict=True), 1
    ):
        name = f"{place}-{section['key']}"
        assert markdown_section("".join(cells[name]["source"])) == Numbers([], numbers.cells)
        equations = [block for block in section["blocks"] if block["type"] == "equation"]
        if not equations:
            continue
        output = "".join(cells[f"{name}-code"]["outputs"][0]["text"])
        for equation, (found, half) in zip(equations, printed(output), strict=True):
            value = np.array(equation["value"], dtype=np.float64).ravel()
            assert found.shape == value.shape, equation["left"]["text"]
            assert (np.abs(found - value) <= half + 1e-12).all(), equation["left"]["text"]


@pytest.mark.usefixtures("whole_tables")
@pairs(**SUBJECTS, way=WAYS, notation=NOTATIONS, thin=enough, allowed=affordable)
def test_all_formats_show_the_same_numbers(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    shown = {format: walk.render(format) for format in ENDINGS if format != "text"}
    shown["text"] = walk.render("text")
    found = {format: read(shown[format]) for format, read in READERS.items()}
    for format, sections in found.items():
        assert len(sections) == len(walk.sections), format
        for section, numbers, others in zip(walk.sections, sections, found["json"], strict=True):
            assert numbers == others, f"{format}: {section.title}"
    assert sum(len(numbers.worked) for numbers in found["json"]) > 8
    assert sum(len(numbers.cells) for numbers in found["json"]) > 20
    assert_notebook(shown["notebook"], json.loads(shown["json"]))


def test_there_is_a_reader_of_every_format():
    assert {*READERS, "notebook"} == set(ENDINGS)
