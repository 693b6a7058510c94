"""A walkthrough as JSON: all of its parts, every number as it is; docs/walkthrough.schema.json describes it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from gatewise.render import layout, text
from gatewise.render.plain import numbers, tree
from gatewise.render.program import of_walk
from gatewise.symbolic.formula import Formula, Symbol, nodes
from gatewise.walkthrough.numbers import GLUE
from gatewise.walkthrough.parts import (
    Block,
    Definition,
    Expanded,
    Facts,
    NumberTable,
    Section,
    Sentence,
    Walkthrough,
    Words,
    WorkedEquation,
)

FORMAT, VERSION = "gatewise walkthrough", 1  # one version only ever gets keys added
WIDTH = 120
Object = dict[str, Any]


def render(walk: Walkthrough, *, program: bool = False) -> str:
    """Return the walkthrough as JSON, one vector or small object a line.

    With `program`, the program, its wiring, parameters and inputs take the place of the sections, which can be computed
    from them.
    """
    return _json_text(document(walk, program=program), 0) + "\n"


def document(walk: Walkthrough, *, program: bool = False) -> Object:
    """Return the walkthrough as plain data that JSON has: objects, lists, strings, numbers, booleans, null."""
    content = (
        of_walk(walk.steps, backward=walk.backward)
        if program
        else {"sections": [_section_json(section, walk) for section in walk.sections]}
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": walk.title,
        "backward": walk.backward,
        "notation": walk.notation,
        "rows": walk.rows,
        "units": None if walk.units is None else list(walk.units),
        "names": {axis: list(names) for axis, names in walk.names.items()},
        **content,
    }


def _section_json(section: Section, walk: Walkthrough) -> Object:
    blocks = [_block_json(block, walk) for block in section.blocks]
    return {"key": section.key, "title": section.title, "time": section.time, "at": section.at, "blocks": blocks}


def _block_json(block: Block, walk: Walkthrough) -> Object:
    """Return one block of a walkthrough's section as a JSON object that names its type."""
    match block:
        case WorkedEquation():
            return _equation_json(block, walk)
        case NumberTable():
            return {
                "type": "table",
                "title": _write_words(block.title),
                "columns": [_write_words(head) for head in block.columns],
                "rows": [{"name": _write_words(name), "values": numbers(values)} for name, values in block.rows],
                "openness": list(block.openness),
                "digits": min(block.digits, walk.digits),
                **({"left_out": block.left_out} if block.left_out else {}),
            }
        case Facts(items):
            return {"type": "facts", "items": [{"name": name, "value": value} for name, value in items]}
        case Definition(name, right):
            return {"type": "definition", "name": name, "right": _formula_json(right)}
        case Expanded():
            return _products_json(block, walk)
        case Sentence(words):
            return {"type": "sentence", "text": _write_words(words)}


def _equation_json(equation: WorkedEquation, walk: Walkthrough) -> Object:
    """Return a worked equation of a walkthrough as a JSON object: its formula, and the numbers in it."""
    used = dict.fromkeys(node for node in nodes(equation.right) if isinstance(node, Symbol))
    return {
        "type": "equation",
        "left": _symbol_json(equation.left),
        "right": _formula_json(equation.right),
        "symbols": {text.formula(symbol): numbers(equation.env[symbol]) for symbol in used},
        "value": numbers(equation.value),
        "over": equation.over,
        "across": equation.across,
        "openness": equation.openness,
        "products": list(equation.products),
        "shapes": layout.shapes(equation, walk.rows),
        "worked": _entries_json(equation, walk),
    }


def _entries_json(equation: WorkedEquation, walk: Walkthrough) -> list[Object]:
    """Return an equation as JSON objects, one with the numbers of each entry that is walked through in it."""
    entries = []
    for entry in layout.worked([equation], walk, most=None):
        if isinstance(entry, layout.Entry):
            for line in entry.lines:
                place = None if entry.head is None else line.entry
                right = text.formula(line.right, most=None)
                entries.append({"entry": place, "name": entry.head, "right": right, "value": numbers(line.value)})
    return entries


def _products_json(expanded: Expanded, walk: Walkthrough) -> Object:
    """Return every product of a sum, with its weight and value, and their total, as a JSON object."""
    terms = expanded.terms
    return {
        "type": "expanded",
        "left": _symbol_json(expanded.left),
        "entry": expanded.unit,
        "name": walk.names[expanded.over][expanded.unit],
        "over": expanded.over,
        "of": terms.of,
        "terms": [
            {"name": term.name, **{key: numbers(getattr(term, key)) for key in ("weight", "value", "product")}}
            for term in terms
        ],
        "total": numbers(terms.total),
    }


def _write_words(words: Words) -> str:
    return layout.write_words(words, text.formula).replace(GLUE, " ")


def _symbol_json(symbol: Symbol) -> Object:
    return {"text": text.formula(symbol), **{field.name: getattr(symbol, field.name) for field in fields(symbol)}}


def _formula_json(node: Formula) -> Object:
    return {"text": text.formula(node, most=None), "tree": tree(node, _symbol_json)}


def _json_text(value: Any, indent: int) -> str:
    """Return the text of a walkthrough's JSON: on one line where it fits or is a vector, else each part on its own."""
    match value:
        case dict():
            parts = [f"{_encode(key)}: {_json_text(part, indent + 1)}" for key, part in value.items()]
            opening, closing, vector = "{", "}", False
        case list():
            parts = [_json_text(part, indent + 1) for part in value]
            opening, closing, vector = "[", "]", not any(isinstance(part, (dict, list)) for part in value)
        case _:
            return _encode(value)
    is_short = indent + sum(len(part) + 2 for part in parts) <= WIDTH
    if vector or (is_short and not any("\n" in part for part in parts)):
        return f"{opening}{', '.join(parts)}{closing}"
    margin = "\n" + " " * (indent + 1)
    return f"{opening}{margin}{f',{margin}'.join(parts)}{margin[:-1]}{closing}"


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
