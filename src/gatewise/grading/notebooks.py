"""The notebook of an exercise, filled in: the numbers in its cells, or those that it printed. It is never run."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gatewise.grading.names import python_name
from gatewise.grading.numerals import is_blank, is_number, iterate_numerals, parse_numbers

_LABEL = re.compile(r"`([^`\n]{1,120})`, \w+ \(")  # above the cell of an answer
_NAMED = re.compile(r"^[^\W\d]\w* ?[=:]")  # before the numbers that a cell prints
_NO_CODE = re.compile(r"[\[\](), ]*[+~≈<>-]?[\d½¼¾][\d½¼¾\s\[\](),._eE+~≈<>-]*")  # numbers alone, if unreadable ones
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
    sources = [_join(cell.get("source")) for cell in cells]
    outputs = [_output_of(cell) for cell in cells]
    printed = next((answers for output in reversed(outputs) if (answers := _printed_answers(output))), {})
    lines = [""]
    is_code = [cell.get("cell_type") != "markdown" for cell in cells]
    programs = [_parse(source) if code else [] for code, source in zip(is_code, sources, strict=True)]
    for number, (above, source, output) in enumerate(zip(sources, sources[1:], outputs[1:], strict=False), 1):
        name = label[1] if (label := _LABEL.match(above)) else ""
        written = _assigned(source, python_name(name))
        is_changed = bool(written) and _is_changed(python_name(name), programs[number], programs[number + 1 :])
        texts = [COMPUTED if is_changed else written, str(printed.get(name, "")), _NAMED.sub("", output, count=1)]
        numbers = next(filter(_has_numbers, (" ".join(_QUOTED.sub(r"\1", text).split()) for text in texts)), "")
        if not numbers and _NO_CODE.fullmatch(texts[0]):
            numbers = " ".join(texts[0].split())  # which its line cannot be read for, and not for being code
        answer = f" = {numbers}" if numbers or texts[0] in ("", "None") else f"\t{COMPUTED if is_changed else NOT_RUN}"
        lines.append(name and name + answer)
    return "\n".join(lines)


def _join(text: Any) -> str:
    """Return the text of a cell or an output, which may be saved as a list of lines."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")


def _output_of(cell: Mapping[str, Any]) -> str:
    """Return the text that is saved as the output of a cell."""
    outputs = cell.get("outputs") or []
    return "\n".join(_join(one.get("text") or (one.get("data") or {}).get("text/plain")) for one in outputs).strip()


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


def _parse(source: str) -> list[ast.stmt] | None:
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
