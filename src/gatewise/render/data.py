"""Walkthroughs and programs as JSON: every number as it is."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.errors import OptionError
from gatewise.render import layout, text
from gatewise.symbolic.cell import parameter_values, program
from gatewise.symbolic.formula import C_PREV, DC_NEXT, DH, DH_NEXT, DY, H_PREV, Formula, Symbol, X, nodes
from gatewise.symbolic.heads import Head, constants, head_equations, head_inputs
from gatewise.symbolic.nonlinearities import ARGUMENT, apply, definition, slope
from gatewise.symbolic.program import MASK, Assignment, Carry, Form, Program
from gatewise.symbolic.wiring import WiredCell, Wiring, merging, unmerging
from gatewise.walkthrough.bound import are_one_run
from gatewise.walkthrough.numbers import GLUE
from gatewise.walkthrough.parts import (
    Block,
    Bound,
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
from gatewise.walkthrough.setting import activations_of


def tree(node: Any, symbol: Callable[[Symbol], dict[str, Any]]) -> Any:
    """Return a formula as nested objects: what kind of node each is, and its fields; `symbol` says what a symbol is."""
    match node:
        case Symbol():
            return {"node": "symbol", **symbol(node)}
        case Formula():
            inner = {field.name: tree(getattr(node, field.name), symbol) for field in fields(node)}
            return {"node": node.kind, **inner}
        case Activation():
            return {"name": node.name, "alpha": node.alpha, "beta": node.beta}
        case tuple():
            return [tree(part, symbol) for part in node]
        case str() | bool() | None:
            return node
    return numbers(node)


def numbers(value: Any) -> Any:
    """Return a number, a vector or a matrix as JSON's numbers; those that JSON has not, as strings.

    Examples
    --------
    >>> numbers(np.array([0.1, np.nan, -np.inf])), numbers(np.float32(0.1))
    ([0.1, 'nan', '-inf'], 0.10000000149011612)
    """
    if np.ndim(value):
        return [numbers(entry) for entry in value]
    plain = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    return plain if math.isfinite(plain) else str(plain)


def packed(value: Any) -> dict[str, Any]:
    """Return an array as a page holds it: its shape, type and bytes; float32 as it is, anything else as float64.

    Examples
    --------
    >>> packed(np.float32([[1, -2]]))
    {'shape': [1, 2], 'dtype': '<f4', 'base64': 'AACAPwAAAMA='}
    """
    array = np.asarray(value)
    dtype = "<f4" if array.dtype == np.float32 else "<f8"
    raw = np.ascontiguousarray(array, dtype).tobytes()
    return {"shape": list(array.shape), "dtype": dtype, "base64": b64encode(raw).decode("ascii")}


Object = dict[str, Any]
Write = Callable[[Any], Any]  # an array as plain data


def walk_program(steps: Sequence[Bound], *, backward: bool) -> Object:
    """Return a walkthrough rendered as a program in JSON: wiring, parameters and inputs; its steps must be one run."""
    if not are_one_run(steps):
        raise OptionError("a program is written of the steps of one run, each beginning where the last one ended")
    if any(step.form.edited for step in steps):
        raise OptionError("the program of a run with edits is not written: no one program has all of its steps")
    cell = WiredCell(program(steps[0].form), steps[0].p)
    return {**wiring_document(Wiring(((cell,),))), "inputs": _run_inputs(steps, backward=backward)}


def wiring_document(wiring: Wiring, write: Write = numbers) -> Object:
    """Return a wiring, its programs and its parameters as plain data, arrays as `write` has them; cells of one form and
    size share a program.
    """
    programs = list(wiring.programs)
    parameters: list[Object] = []
    layers: list[list[Object]] = []
    for row in wiring.cells:
        layers.append([])
        for cell in row:
            number = programs.index(cell.sized)
            layers[-1].append({"program": number, "parameters": len(parameters), "direction": cell.direction})
            parameters.append(values(parameter_values(cell.program.form, cell.parameters), write))
    embedding, initial = wiring.embedding, wiring.initial
    wired = {
        "layers": layers,
        "merge": [_merging_json(how, len(row)) for how, row in zip(wiring.merge, wiring.cells, strict=True)],
        "masked_output": wiring.masked_output,
        "marked": wiring.marked,
        "embedding": None if embedding is None else write(embedding),
        "initial": initial
        and [[{"h": write(cell_state.h), "c": write(cell_state.c)} for cell_state in row] for row in initial],
        "reads": wiring.reads,
        "head": wiring.head and _head_json(wiring.head, write),
    }
    return {"program": list(map(program_document, programs)), "wiring": wired, "parameters": parameters}


def _merging_json(how: str, directions: int) -> Object:
    equations = (*merging(how, directions), *unmerging(how, directions))
    return {"how": how, "equations": [_assignment_json(line) for line in equations]}


def _head_json(head: Head, write: Write) -> Object:
    """Return a network's head as plain data: its inputs, constants, equations and nonlinearities."""
    return {
        "given": [_input_json(symbol, axes, kind) for symbol, (axes, kind) in head_inputs(head).items()],
        "constants": values(constants(head), write),
        "skip": head.skip,
        "equations": [_assignment_json(part) for part in head_equations(head)],
        "nonlinearities": [_differentiable_json(part) for part in head.activations],
    }


def program_document(program: Program) -> Object:
    """Return a cell's program as plain data: its form, inputs, equations and nonlinearities."""
    return {
        "form": _form_json(program.form),
        "given": [_input_json(part.symbol, part.axes, part.kind) for part in program.given],
        "forward": [_assignment_json(part) for part in program.forward],
        "backward": [_assignment_json(part) for part in program.backward],
        "carry": _carries_json(program.carry),
        "carry_backward": _carries_json(program.carry_backward),
        "nonlinearities": [_differentiable_json(part) for part in activations_of(program.form.variant)],
    }


def nonlinearity_json(activation: Activation) -> Object:
    """Return a nonlinearity as plain data: its name, constants and definition."""
    plain = {"name": apply(activation, ARGUMENT).name, "alpha": activation.alpha, "beta": activation.beta}
    return {**plain, "definition": formula_tree(definition(activation))}


def _differentiable_json(activation: Activation) -> Object:
    return {**nonlinearity_json(activation), "derivative": formula_tree(slope(activation, Symbol("y")))}


def _input_json(symbol: Symbol, axes: Sequence[str], kind: str) -> Object:
    return {"symbol": text.formula(symbol), "axes": list(axes), "kind": kind}


def _carries_json(carries: Sequence[Carry]) -> list[Object]:
    return [{"into": text.formula(carry.into), "source": text.formula(carry.source)} for carry in carries]


def _form_json(form: Form) -> Object:
    plain = {field.name: getattr(form, field.name) for field in fields(form) if field.name != "edited"}
    return plain | {"variant": form.variant.to_json(), "dropout": sorted(form.dropout)}


def _assignment_json(line: Assignment) -> Object:
    left, right = text.formula(line.left), formula_tree(line.right)
    return {"left": left, "right": right, "axes": list(line.axes), "sums": line.sums}


def formula_tree(formula: Formula) -> Object:
    """Return a formula as nested objects; a symbol has only its name, which is the key of its value."""
    nested: Object = tree(formula, lambda symbol: {"text": text.formula(symbol)})
    return nested


def values(named: Mapping[Symbol, Any], write: Write = numbers) -> Object:
    """Return the values of symbols, by the names that a program has for them."""
    return {text.formula(symbol): write(value) for symbol, value in named.items()}


def _run_inputs(bound: Sequence[Bound], *, backward: bool) -> Object:
    """Return what a run takes: the states before it, every step's inputs and masks, and the gradients after it."""
    steps = [step.scope for step in bound]
    first, last, dropout = steps[0], steps[-1], bound[0].program.of_kind(MASK)
    always = [symbol for symbol in dropout if symbol.base == "D"]

    def every(symbols: Iterable[Symbol]) -> Mapping[Symbol, Any]:
        return {symbol: np.stack([step[symbol] for step in steps]) for symbol in symbols}

    outside = {**every([X]), **every(symbol for symbol in dropout if symbol not in always)}
    dlast = DH  # what arrives at the last hidden state
    if backward and bound[0].has_dy:
        outside, dlast = {**outside, **every([DY])}, DH_NEXT
    elif backward:  # the loss depends on the last states alone
        outside[DY] = np.zeros((len(steps), *np.shape(last[DH])))
    return {
        "before": values({symbol: first[symbol] for symbol in (H_PREV, C_PREV)}),
        "steps": values(outside),
        "always": values({symbol: first[symbol] for symbol in always}),
        "after": values({DH_NEXT: last[dlast], DC_NEXT: last[DC_NEXT]}) if backward else {},
    }


FORMAT, VERSION = "gatewise walkthrough", 1  # one version only ever gets keys added
WIDTH = 120


def render(walk: Walkthrough, *, program: bool = False) -> str:
    """Return the walkthrough as JSON, one vector or small object a line.

    With `program`, the program, its wiring, parameters and inputs take the place of the sections, which can be computed
    from them.
    """
    return _json_text(walk_document(walk, program=program), 0) + "\n"


def walk_document(walk: Walkthrough, *, program: bool = False) -> Object:
    """Return the walkthrough as plain data that JSON has: objects, lists, strings, numbers, booleans, null."""
    content = (
        walk_program(walk.steps, backward=walk.backward)
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
    match block:
        case WorkedEquation():
            # A worked equation of a walkthrough as a JSON object: its formula, and the numbers in it.
            used = dict.fromkeys(node for node in nodes(block.right) if isinstance(node, Symbol))
            return {
                "type": "equation",
                "left": _symbol_json(block.left),
                "right": _formula_json(block.right),
                "symbols": {text.formula(symbol): numbers(block.env[symbol]) for symbol in used},
                "value": numbers(block.value),
                "over": block.over,
                "across": block.across,
                "openness": block.openness,
                "products": list(block.products),
                "shapes": layout.shapes(block, walk.rows),
                "worked": _entries_json(block, walk),
            }
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
            # Every product of a sum, with its weight and value, and their total, as a JSON object.
            terms = block.terms
            return {
                "type": "expanded",
                "left": _symbol_json(block.left),
                "entry": block.unit,
                "name": walk.names[block.over][block.unit],
                "over": block.over,
                "of": terms.of,
                "terms": [
                    {"name": term.name, **{key: numbers(getattr(term, key)) for key in ("weight", "value", "product")}}
                    for term in terms
                ],
                "total": numbers(terms.total),
            }
        case Sentence(words):
            return {"type": "sentence", "text": _write_words(words)}


def _entries_json(equation: WorkedEquation, walk: Walkthrough) -> list[Object]:
    entries = []
    for entry in layout.worked([equation], walk, most=None):
        if isinstance(entry, layout.Entry):
            for line in entry.lines:
                place = None if entry.head is None else line.entry
                right = text.formula(line.right, most=None)
                entries.append({"entry": place, "name": entry.head, "right": right, "value": numbers(line.value)})
    return entries


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
