"""The notebook of an exercise, filled in: the numbers in its cells, or those that it printed. It is never run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gatewise.grading.names import python_name
from gatewise.grading.numerals import is_blank, is_number, iterate_numerals, parse_numbers

_LABEL = re.compile(r"`([^`\n]{1,120})`, \w+ \(")  # above the cell of an answer
_NAMED = re.compile(r"^[^\W\d]\w* ?[=:]")  # before the numbers that a cell prints
_NO_CODE = re.compile(r"[\[\](), ]*[+-]?[\d½¼¾][\d½¼¾\s\[\](),._eE+-]*")  # numbers alone, if unreadable ones
_QUOTED = re.compile(r"(?<!\w)'([^']*)'(?!\w)")  # a number that was printed as a text
NOT_RUN = "a cell that was never run, or not saved after that"


def text_of(notebook: str) -> str:
    """Return the answers in a notebook as a sheet with tabs between its cells, and a line for each of the notebook's.

    Numbers in an answer's cell count before those that the last cell printed, and these before its cell's own output.
    Raise ValueError, TypeError, KeyError or AttributeError if the text is not a notebook.
    """
    cells = json.loads(notebook, parse_float=str, parse_int=str, parse_constant=str)["cells"]
    sources = [_join(cell.get("source")) for cell in cells]
    outputs = [_output_of(cell) for cell in cells]
    printed = next((answers for output in reversed(outputs) if (answers := _printed_answers(output))), {})
    lines = [""]
    for above, source, output in zip(sources, sources[1:], outputs[1:], strict=False):
        name = label[1] if (label := _LABEL.match(above)) else ""
        texts = [_assigned(source, python_name(name)), str(printed.get(name, "")), _NAMED.sub("", output, count=1)]
        numbers = next(filter(_has_numbers, (" ".join(_QUOTED.sub(r"\1", text).split()) for text in texts)), "")
        if not numbers and _NO_CODE.fullmatch(texts[0]):
            numbers = " ".join(texts[0].split())  # which its line cannot be read for, and not for being code
        answer = f" = {numbers}" if numbers or texts[0] in ("", "None") else f"\t{NOT_RUN}"
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


def _has_numbers(text: str) -> bool:
    """Return whether a text holds numbers and blanks, and nothing else."""
    try:
        filled = [numeral for numeral in iterate_numerals(parse_numbers(text)) if not is_blank(numeral)]
    except ValueError:
        return False
    return bool(filled) and all(map(is_number, filled))
