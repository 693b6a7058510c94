"""The notebook of an exercise, filled in: the numbers in its cells, or those that it printed. It is never run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gatewise.grading.names import python_name
from gatewise.grading.numerals import Nested, is_blank, is_number, iterate_numerals, parse_numbers

_LABEL = re.compile(r"`([^`\n]{1,120})`, shape \(")  # above the cell of an answer
NOT_RUN = "its cell holds no numbers, and none are saved below it; run the notebook and save it"


def iterate_answers(text: str) -> Iterator[tuple[str, int, Nested | None]]:
    """Yield the answers in a notebook: the quantity, the number of its cell, and its numerals; None if it has none.

    Numbers in an answer's cell count before those that the last cell printed, and these before its cell's own output.
    Raise ValueError if the text is not a notebook.
    """
    cells = json.loads(text, parse_constant=str)["cells"]
    sources = [_join(cell.get("source")) for cell in cells]
    outputs = [_output_of(cell) for cell in cells]
    printed = next((answers for output in reversed(outputs) if (answers := _printed_answers(output))), {})
    for number in range(1, len(cells)):
        label = _LABEL.match(sources[number - 1])
        if label is None or cells[number].get("cell_type") != "code":
            continue
        name = label[1]
        candidates = [_assigned(sources[number], python_name(name)), printed.get(name), _numbers_in(outputs[number])]
        numbers = [nested for nested in candidates if nested is not None]
        filled = [nested for nested in numbers if not all(map(is_blank, iterate_numerals(nested)))]
        yield name, number + 1, (filled or numbers or [None])[0]


def _join(text: Any) -> str:
    """Return the text of a cell or an output, which may be saved as a list of lines."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")


def _output_of(cell: Mapping[str, Any]) -> str:
    """Return the text that is saved as the output of a cell."""
    parts = []
    for output in cell.get("outputs") or []:
        parts.append(_join(output.get("text")) or _join((output.get("data") or {}).get("text/plain")))
    return "\n".join(parts)


def _printed_answers(output: str) -> dict[str, Nested]:
    """Return the answers that the last cell of the notebook printed as JSON; none if it is another output."""
    try:
        answers = json.loads(output, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return {name: _nested(value) for name, value in answers.items()} if isinstance(answers, dict) else {}


def _nested(value: Any) -> Nested:
    return [_nested(item) for item in value] if isinstance(value, list) else "" if value is None else str(value)


def _assigned(source: str, name: str) -> Nested | None:
    """Return the numerals that the source of a cell assigns to a name; None if it computes them."""
    texts = re.split(rf"^{re.escape(name)}[ \t]*=(?!=)", re.sub("#.*", "", source), flags=re.MULTILINE)
    lines, still_open = list[str](), 0
    for line in texts[-1].split("\n") if len(texts) > 1 else ():
        if lines and not still_open:
            break  # what follows shows the numbers, or checks them
        lines.append(line)
        still_open += sum(map(line.count, "[(")) - sum(map(line.count, "])"))
    return _numbers_in(" ".join(lines))


def _numbers_in(text: str) -> Nested | None:
    """Return the numerals in a text that holds nothing else, but perhaps a name before them; otherwise None."""
    try:
        nested = parse_numbers(re.sub(r"^[^\W\d]\w* ?[=:]", "", text.strip()))
    except ValueError:
        return None
    numerals = [*iterate_numerals(nested)]
    filled = [numeral for numeral in numerals if not is_blank(numeral)]
    return nested if text.strip() and all(map(is_number, filled)) else None
