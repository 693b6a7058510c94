"""Layouts of sheets: the lines, columns or cells of a notebook that hold the numbers of each quantity."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from gatewise.errors import FileError
from gatewise.files import tables
from gatewise.grading.names import python_name
from gatewise.grading.numerals import is_blank, is_number, iterate_numerals, parse_numbers

HEADS = ("quantity", "name", "gate", "variable", "symbol", "line")  # the first cell of a line of column heads
UNITS, STEPS, VALUES = (
    ("unit", "units", "neuron", "einheit"),
    ("step", "steps", "t", "time", "time step"),
    ("value", "values"),
)
MAX_NAME_LETTERS = 200  # characters of a name
MAX_LINES, MAX_CELLS = 50_000, 1_000_000  # nobody fills in more
_SEPARATOR = re.compile(r'"?sep=([;,|:\t])"?[;,\t ]*(?=[\r\n])', re.IGNORECASE)  # Excel's first line
# A name, a sign, and what is written for it; the name may have a sign of its own, as in f_t=1 = 0.49.
_ASSIGNED = re.compile(
    r"(?P<name>(?=[^=:≈]*[^\W\d])"
    r"(?:(?:(?<=[_{( ])t|step|unit) ?[=:] ?[0-9]{1,9}(?=[\]}) ]{0,3}(?:[=:≈]|$))|[^=:≈,;\t|\r\n])"
    rf"{{1,{MAX_NAME_LETTERS}}}?) ?(?::=|=|:|≈) ?(?P<text>.*)",
    re.DOTALL,
)
_BRACKETED = re.compile(  # f [0.49 0.50], as print(name, array) has it, and f,"[0.49 0.50]"
    rf"(?P<name>(?=[^\[]*[^\W\d])[^,;\t|\r\n]{{1,{MAX_NAME_LETTERS}}}?)[ ,;\t]{{1,40}}"
    r"(?P<text>(?:[A-Za-z_][A-Za-z_.]{0,40}\()?\[.*)",
    re.DOTALL,
)
_TIGHT = re.compile(r"[_{( ]t=[0-9]{1,9}[,;\t]")
_OPENING = re.compile(r"(?:[A-Za-z_][A-Za-z_.]{0,40}\()?[\[(]")
_CONTINUED = re.compile(r"[\[\](){}\-+.,;0-9\N{MINUS SIGN}]|dtype|device|grad_fn|requires_grad|nan")
_REMARK = re.compile(r"(?<![^\s,;|])#(?:\s.*)?$")
_BULLET = re.compile(r"(?:[-*+•]|[0-9]{1,3}[.)])\s+(?=[^\W\d])")
_KEYWORD = re.compile(r"(?:dtype|shape|size|device|layout|numpy|grad_fn|requires_grad) ?$")
_TERM = re.compile(r"(?!unit\b)[^\W\d]|\\")  # how a formula begins
_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTENT = re.compile(r"[^\W_]|[\[\]()]")  # a rule of dashes below a head holds nothing
_COLUMN = re.compile(r"([^\W\d_]{0,20})[ _#=:]{0,3}([0-9]{1,6})")  # unit 0, U1, 2
_ROW_LABEL = re.compile(r"(?:unit|neuron|time step|step|t|row|#)?[ _#=:]{0,3}([0-9]{1,6})", re.IGNORECASE)
_OF_UNIT = re.compile(r"[ ,_]?[(\[{]?\bunit[ _#=:]{0,3}([0-9]{1,6})[)\]}]?", re.IGNORECASE)


@dataclass(frozen=True)
class SheetPiece:
    """The content of one place of a sheet."""

    line: int
    name: str  # of the quantity, or empty
    cells: str | list[str]  # its numbers: a text of them, or one in each cell
    unit: int | None = None  # if each has a place of its own
    row: bool = False  # whether successive ones are a matrix
    says: str = ""  # the fault


@dataclass(frozen=True)
class _SheetRow:
    line: int
    cells: list[str]
    raw: str


@dataclass(frozen=True)
class _Head:
    """The columns of a table: the names of quantities, and the columns with labels of units or steps."""

    names: list[str]
    unit: int | None
    step: int | None
    quantity: int | None
    value: int | None
    first_row: int  # its index, below the head

    def pieces_of(self, row: _SheetRow, index: int) -> list[SheetPiece] | None:
        """Return the pieces of a sheet in a row of the table; None if the row does not belong to it."""
        cells = row.cells + [""] * (len(self.names) - len(row.cells))
        labels = {n: _ROW_LABEL.fullmatch(cells[n]) for n in (self.unit, self.step) if n is not None}
        numbers = {n: int(label[1]) for n, label in labels.items() if label}
        if len(numbers) < len(labels):
            return None
        unit = numbers[self.unit] if self.unit is not None else 0 if labels else index - self.first_row
        step = "" if self.step is None else f"[{numbers[self.step]}]"
        if self.quantity is not None and self.value is not None:
            return [SheetPiece(row.line, cells[self.quantity] + step, [cells[self.value]], unit)]
        if not labels and not is_number(cells[0]) and not is_blank(cells[0]):
            return None
        columns = [n for n in range(len(self.names)) if n not in labels]
        return [SheetPiece(row.line, self.names[n] + step, [cells[n]], unit) for n in columns if self.names[n]]


def iterate_pieces(path: Path, text: str, separator: str | None = None) -> Iterator[SheetPiece]:
    """Yield the pieces of a hand-worked text sheet in any layout: names, each with its numbers.

    A line is a name and its numbers: in cells; after =, : or ≈; or in brackets, which may go over several lines. A line
    of names is the head of a table with a column for each quantity and a row for each unit, or step.

    Raise FileError if it is not text in lines and cells, or has too many of them.
    """
    rows = _split_rows(path, text, separator)
    head: _Head | None = None
    index = -1
    while (index := index + 1) < len(rows):
        row = rows[index]
        assignment = _match_assignment(row.raw)
        if assignment:
            head = None
            if _TIGHT.search(row.raw[:MAX_NAME_LETTERS]) and assignment["name"].endswith("t"):
                yield SheetPiece(
                    row.line, assignment["name"], "", says="t=… may be a step or a value; write f[1] for step 1 of f"
                )
            elif assignment["name"].strip().casefold() not in HEADS:
                name = assignment["name"].strip()
                written, index = _join_bracket_lines(_text_after_sign(assignment), rows, index)
                rows_below = [] if written else _matrix_below(name, rows, index)
                yield from rows_below or [_split_unit(SheetPiece(row.line, name, written))]
                index += len(rows_below)
            continue
        table = None if head is None else head.pieces_of(row, index)
        if table is not None:
            yield from table
            continue
        head = _table_head(rows, index)
        if head is None and row.cells[0].casefold() not in HEADS and not _labels_columns(row.cells):
            name, *numbers = row.cells
            rows_below = [] if any(numbers) else _matrix_below(name, rows, index)
            yield from rows_below or [_split_unit(SheetPiece(row.line, name, numbers, row=True))]
            index += len(rows_below)


def _match_assignment(line: str) -> re.Match[str] | None:
    """Return the name and the numbers of a sheet's line such as f = 0.49; None if it is no such line."""
    match = _ASSIGNED.fullmatch(line) if any(sign in line for sign in "=:≈") else None
    if match is None and "[" in line and (match := _BRACKETED.fullmatch(line)):
        end = match["text"].rstrip()
        return match if end.endswith(("]", ")")) or _open_brackets(end) > 0 else None  # f [1],0.49 is a row of cells
    return match


def _split_unit(piece: SheetPiece) -> SheetPiece:
    """Return a piece of a sheet; one that is named f (unit 0) gets that unit."""
    units = list(_OF_UNIT.finditer(piece.name[: MAX_NAME_LETTERS + 1]))
    if len(units) != 1:
        return piece
    name = piece.name[: units[0].start()] + piece.name[units[0].end() :]
    return SheetPiece(piece.line, name.strip(), piece.cells, int(units[0][1]))


def _split_rows(path: Path, text: str, separator: str | None) -> list[_SheetRow]:
    if text.count("\n") > MAX_LINES or text.count("\r") > MAX_LINES or max(map(text.count, ",;\t|[(")) > MAX_CELLS:
        raise FileError(f"cannot read {path}: a sheet may have at most {MAX_LINES:,} lines and {MAX_CELLS:,} cells")
    declared = _SEPARATOR.match(text)
    separator = separator or (declared[1] if declared else _cell_separator(text))
    if declared:
        text = text[declared.end() :]
    if '"' in text:
        lines = [(line, cells, separator.join(cells)) for line, cells in tables.rows(path, text, delimiter=separator)]
    else:
        numbered_lines = enumerate(_LINE_END.split(text), 1)
        around = " " if separator == "\t" else None  # a tab at an end has a blank cell beside it
        plain = ((line, _BULLET.sub("", _REMARK.sub("", raw.strip(around)))) for line, raw in numbered_lines)
        lines = [(line, [cell.strip() for cell in raw.split(separator)], raw.strip()) for line, raw in plain]
    sheet_rows = []
    for line, cells, raw in lines:
        if raw.startswith("#") or not _CONTENT.search(raw):
            continue
        if raw.startswith("|") and raw.endswith("|"):
            cells = [cell.strip() for cell in raw.strip("|").split("|")]
        sheet_rows.append(_SheetRow(line, _split_blanks(cells), raw))
    return sheet_rows


def _cell_separator(text: str) -> str:
    """Return the most frequent separator of cells in a text sheet: a bar, tab, semicolon or comma."""
    counts = dict.fromkeys(("|", *tables.SEPARATORS), 0)
    for line in (re.sub(r'"[^"]*"', "", text) if '"' in text else text).splitlines():
        if not line.startswith("#") and not _match_assignment(line):
            for separator in counts:
                counts[separator] += separator in line
    largest = max(counts.values())
    return next(separator for separator in counts if counts[separator] == largest) if largest else ","


def _split_blanks(cells: list[str]) -> list[str]:
    """Return the cells of a sheet's row; if only blanks separate them, the name and each number."""
    if any(cells[1:]):
        return cells
    tokens = cells[0].replace(" %", "%").split()
    first = len(tokens)
    while first and (is_number(tokens[first - 1]) or is_blank(tokens[first - 1])):
        first -= 1
    if first and first < len(tokens) and tokens[first - 1].casefold() in ("step", "unit", "t"):
        first += 1
    if not any(is_number(token) for token in tokens[first:]):
        return cells
    return [*([" ".join(tokens[:first])] if first else []), *tokens[first:]]


def _join_bracket_lines(text: str, rows: Sequence[_SheetRow], index: int) -> tuple[str, int]:
    """Return a sheet's text after a sign, with the lines that continue its brackets, and the last one's index."""
    lines = [text]
    if not text and index + 1 < len(rows) and _OPENING.match(rows[index + 1].raw):
        index += 1
        lines.append(rows[index].raw)
    still_open = sum(map(_open_brackets, lines))
    while still_open > 0 and index + 1 < len(rows) and _CONTINUED.match(rows[index + 1].raw):
        index += 1
        lines.append(rows[index].raw)
        still_open += _open_brackets(lines[-1])
    return " ".join(lines).strip(), index


def _text_after_sign(assignment: re.Match[str]) -> str:
    """Return the numbers in a sheet's line: the text after its sign; of f = σ(a_f) = 0.49, after the last."""
    text = assignment["text"]
    index = max(text.rfind("="), text.rfind("≈"))
    formula = text[: max(index, 0)]
    equal = (
        assignment.re is _ASSIGNED
        and assignment.string[assignment.end("name") : assignment.start("text")].strip() != ":"
    )
    if not equal or not _TERM.match(formula) or _KEYWORD.search(formula) or _open_brackets(formula):
        return text
    level = 0
    for letter in formula:
        level += (letter in "[(") - (letter in "])")
        if letter in ",;\t" and level == 0:  # another quantity follows
            return text
    return text[index + 1 :].strip()


def _matrix_below(name: str, rows: Sequence[_SheetRow], index: int) -> list[SheetPiece]:
    """Return the rows of numbers that follow a sheet's row with a name alone."""
    following = (rows[n] for n in range(index + 1, len(rows)))
    below = takewhile(lambda row: all(is_number(cell) or is_blank(cell) for cell in row.cells), following)
    return [SheetPiece(row.line, name, row.cells, row=True) for row in below]


def _labels_columns(cells: Sequence[str]) -> bool:
    """Return whether a row only labels the columns below it with units that count from 0 or 1."""
    cells = re.split(r"  +", cells[0]) if len(cells) == 1 else cells
    has_corner = _COLUMN.fullmatch(cells[0]) is None
    heads = cells[1:] if has_corner else cells
    labels = [_COLUMN.fullmatch(head) for head in heads]
    words = {label[1].casefold() for label in labels if label}
    numbers = [int(label[2]) for label in labels if label]
    if numbers[:1] not in ([0], [1]) or numbers != [*range(numbers[0], numbers[0] + len(heads))]:
        return False
    below_corner = has_corner and cells[0].casefold() in ("", *UNITS) and words.isdisjoint(STEPS)
    return len(words) == 1 and (below_corner or words <= {*UNITS} or (heads is cells and words == {""}))


def _open_brackets(text: str) -> int:
    return sum(text.count(mark) for mark in "[(") - sum(text.count(mark) for mark in "])")


def _table_head(rows: Sequence[_SheetRow], index: int) -> _Head | None:
    """Return the columns of a sheet's table if a row is its head; otherwise None."""
    cells, below = rows[index].cells, rows[index + 1].cells if index + 1 < len(rows) else []
    cells = cells[: max((n for n, cell in enumerate(cells, 1) if cell), default=1)]
    if len(cells) == 1:  # columns with blanks between them
        cells = _split_head(cells[0], len(below))
    if any(is_number(cell) for cell in cells) or not all(cells[1:]):
        return None
    words = [cell.casefold() for cell in cells]

    def column(allowed: Sequence[str]) -> int | None:
        return next((n for n, word in enumerate(words) if word in allowed), None)

    unit, step, quantity, value = (column(allowed) for allowed in (UNITS, STEPS, HEADS, VALUES))
    if quantity is not None and value is not None:
        return _Head(cells, unit, step, quantity, value, index + 1)
    if quantity is not None:
        return None
    if not cells[0]:
        unit = 0
    if unit is None and step is None and len(below) == len(cells) + 1:  # the labels of the rows have no head
        cells, unit = ["", *cells], 0
    head = _Head(cells, unit, step, None, None, index + 1)
    if unit is not None or step is not None:
        return head if len(cells) > 1 and below and head.pieces_of(rows[index + 1], index + 1) is not None else None
    numbers = all(is_number(cell) or is_blank(cell) for cell in below) and any(map(is_number, below))
    return head if numbers and len(below) <= len(cells) and is_number(below[0]) else None


def _split_head(cell: str, columns: int) -> list[str]:
    """Return the column names in a head of a sheet's table, if they fit the columns below them."""
    for names in (re.split(r"  +", cell), cell.split()):
        if len(names) > 1 and len(names) in (columns, columns - 1):
            return names
    return [cell]


_ANSWER_LABEL = re.compile(r"`([^`\n]{1,120})`, \w+ \(")  # above the cell of an answer
_PRINTED_NAME = re.compile(r"^[^\W\d]\w* ?[=:]")  # before the numbers that a cell prints
_ONLY_NUMBERS = re.compile(
    r"[\[\](), ]*[+~≈<>-]?[\d½¼¾][\d½¼¾\s\[\](),._eE+~≈<>-]*"
)  # numbers alone, if unreadable ones
_QUOTED = re.compile(r"(?<!\w)'([^']*)'(?!\w)")  # a number that was printed as a text
NOT_RUN = "its cell was never run, or the notebook was not saved after that"
COMPUTED = "code computes it after its numbers, and the result was not saved"
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)
_CHANGING = re.compile(  # methods of lists and arrays
    "append|extend|insert|pop|remove|reverse|sort|clear|fill|put|resize|itemset|setfield|partition|byteswap"
)
_CHANGING_ARGUMENTS = re.compile("shuffle|copyto|put|place|putmask|fill_diagonal|put_along_axis|setitem")


def text_of(notebook: str) -> str:
    """Return the answers in a notebook as a sheet with tabs between its cells, and a line for each of the notebook's.

    Numbers in an answer's cell count before those that the last cell printed, and these before its cell's own output.
    If code changes an answer after its numbers, only what was printed counts.
    Raise ValueError, TypeError, KeyError or AttributeError if the text is not a notebook.
    """
    cells = json.loads(notebook, parse_float=str, parse_int=str, parse_constant=str)["cells"]
    sources = [_joined_lines(cell.get("source")) for cell in cells]
    outputs = [_output_of(cell) for cell in cells]
    printed = next((answers for output in reversed(outputs) if (answers := _printed_answers(output))), {})
    lines = [""]
    is_code = [cell.get("cell_type") != "markdown" for cell in cells]
    programs = [_parse_python(source) if code else [] for code, source in zip(is_code, sources, strict=True)]
    for number, (above, source, output) in enumerate(zip(sources, sources[1:], outputs[1:], strict=False), 1):
        name = label[1] if (label := _ANSWER_LABEL.match(above)) else ""
        written = _assigned(source, python_name(name))
        is_changed = bool(written) and _is_changed(python_name(name), programs[number], programs[number + 1 :])
        texts = [
            COMPUTED if is_changed else written,
            str(printed.get(name, "")),
            _PRINTED_NAME.sub("", output, count=1),
        ]
        numbers = next(filter(_has_numbers, (" ".join(_QUOTED.sub(r"\1", text).split()) for text in texts)), "")
        if not numbers and _ONLY_NUMBERS.fullmatch(texts[0]):
            numbers = " ".join(texts[0].split())  # which its line cannot be read for, and not for being code
        answer = f" = {numbers}" if numbers or texts[0] in ("", "None") else f"\t{COMPUTED if is_changed else NOT_RUN}"
        lines.append(name and name + answer)
    return "\n".join(lines)


def _joined_lines(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")


def _output_of(cell: Mapping[str, Any]) -> str:
    """Return the text that is saved as the output of a cell."""
    outputs = cell.get("outputs") or []
    return "\n".join(
        _joined_lines(one.get("text") or (one.get("data") or {}).get("text/plain")) for one in outputs
    ).strip()


def _printed_answers(output: str) -> dict[str, Any]:
    """Return the answers that the last cell of the notebook printed as JSON; none if it is another output."""
    try:
        answers = json.loads(output, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return answers if isinstance(answers, dict) else {}


def _assigned(source: str, name: str) -> str:
    """Return the text that the source of a cell assigns to a name, as far as its brackets go; empty if to none."""
    texts = re.split(rf"^{re.escape(name)}[ \t]*=(?!=)", re.sub("#.*", "", source), flags=re.MULTILINE)
    lines, still_open = list[str](), 0
    for line in texts[-1].split("\n") if len(texts) > 1 else ():
        if lines and not still_open:
            break  # what follows shows the numbers, or checks them
        lines.append(line)
        still_open += sum(map(line.count, "[(")) - sum(map(line.count, "])"))
    return " ".join(lines).strip()


def _parse_python(source: str) -> list[ast.stmt] | None:
    """Return the statements of a cell, without the commands of IPython; None if it is no Python."""
    try:
        return ast.parse(re.sub(r"^[ \t]*[%!].*", "", source, flags=re.MULTILINE)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_changed(name: str, own: list[ast.stmt] | None, later: Sequence[list[ast.stmt] | None]) -> bool:
    """Return whether code changes an answer after the numbers that its own cell assigns to it."""
    following = [*(own or [])]
    names = {name}
    for statement in reversed(own or []):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(_is_name(target, names) for target in targets):
            following = following[following.index(statement) + 1 :]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
            break
    nodes = [node for body in (following, *filter(None, later)) for node in _nodes_outside_functions(body)]
    names |= {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _is_name(node.value, names)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return any(_changes(node, {name}, names) for node in nodes)


def _nodes_outside_functions(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the parts of some statements, except those in functions and comprehensions, which have their own names."""
    pending: list[ast.AST] = [*body]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, _SCOPES):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.Global))
        else:
            pending += ast.iter_child_nodes(node)


def _is_name(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _changes(node: ast.AST, own: set[str], names: set[str]) -> bool:
    """Return whether a part of a notebook's code assigns to a name, or changes what any of its `names` stands for."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return name in own
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name in own
        case ast.Global(names=assigned):
            return not own.isdisjoint(assigned)
        case (
            ast.Subscript(value=inner, ctx=ast.Store() | ast.Del())
            | ast.Attribute(value=inner, ctx=ast.Store() | ast.Del())
        ):
            return _root(inner) in names
        case ast.AugAssign(target=target):
            return _root(target) in names
        case ast.Call(func=function, args=arguments, keywords=keywords):
            called = function.attr if isinstance(function, ast.Attribute) else _root(function)
            is_method = isinstance(function, ast.Attribute) and _root(function.value) in names
            if is_method and _CHANGING.fullmatch(called):
                return True
            if _CHANGING_ARGUMENTS.fullmatch(called) and any(_root(argument) in names for argument in arguments):
                return True
            return any(keyword.arg == "out" and _root(keyword.value) in names for keyword in keywords)
    return False


def _root(node: ast.expr) -> str:
    """Return the name whose element or attribute an expression is; empty if it is none."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _has_numbers(text: str) -> bool:
    """Return whether a text holds numbers and blanks, and nothing else."""
    try:
        filled = [numeral for numeral in iterate_numerals(parse_numbers(text)) if not is_blank(numeral)]
    except ValueError:
        return False
    return bool(filled) and all(map(is_number, filled))
