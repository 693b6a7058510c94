"""Quantities of programs and their likely mistakes, as records that the page evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gatewise.gates import LETTERS, NAMES
from gatewise.grading.edits.edit import LIKELY, EditContext, gate_of
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.render import text
from gatewise.render.data import formula_tree
from gatewise.symbolic.formula import (
    C_PREV,
    DY,
    H_PREV,
    C,
    Formula,
    FunctionCall,
    G,
    H,
    O,
    Product,
    Sum,
    Symbol,
    X,
    d,
    symbols,
)
from gatewise.symbolic.heads import B_Y, OUTPUT, READ, SKIPPED, Head, head_equations, head_inputs
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.wiring import BACKWARD, FORWARD, MERGED, Wiring

Object = dict[str, Any]
Roles = Mapping[str, Symbol]
AMOUNTS = ("sigmoid", "hard_sigmoid")
HUES = "ifgoch"
PARAMETER_ROLES = {
    "W": "weights",
    "U": "recurrent_weights",
    "b": "bias",
    "p": "peephole",
}


def quantities_of_wiring(wiring: Wiring) -> Object:
    """Return the records and roles of a wiring's programs, of its merging of directions, and of its head.

    Returns
    -------
    dict
        ``cells``: of each program, in the order of `render.data.wiring_document`; ``merge``; ``head``, or None.
    """
    return {
        "cells": [quantities_of_program(program) for program in wiring.programs],
        "merge": quantities_of_merge(),
        "head": None if wiring.head is None else _records_of_head(wiring.head),
    }


def quantities_of_program(program: Program) -> Object:
    """Return the records and roles of a cell's program."""
    return _records_and_roles(program.axes, roles_of_symbols(program), program.forward)


def roles_of_symbols(program: Program) -> dict[str, Symbol]:
    """Return by role, such as forget gate or previous cell state, the quantity of a cell's program that has it.

    Zoneout and clips set the sum of the kept and the written part apart from the cell state that is carried, and a
    projection the output gate's product from the hidden state.
    """
    state = next((carry.source for carry in program.carry if carry.into == C_PREV), C)
    total = next((line.left for line in program.forward if _adds_candidate(line.right)), C)
    gated = next((line.left for line in program.forward if _multiplies_output_gate(line.right)), H)
    gates = {name: Symbol(letter) for letter, name in zip(LETTERS, NAMES, strict=True)}
    symbols_of_roles = {
        "input": X,
        **gates,
        "hidden_state": H,
        "previous_hidden_state": H_PREV,
        "cell_state": state,
        "previous_cell_state": C_PREV,
        "cell_sum": total,
        "gated_output": gated,
        "output_gradient": DY,
        "cell_gradient": d(state) if d(state) in program.axes else d(total),
    }
    return {role: symbol for role, symbol in symbols_of_roles.items() if symbol in program.axes}


def _adds_candidate(right: Formula) -> bool:
    return isinstance(right, Sum) and {G, C_PREV} <= set(symbols(right))


def _multiplies_output_gate(right: Formula) -> bool:
    return isinstance(right, Product) and O in right.factors


def quantities_of_merge() -> Object:
    """Return the records and roles of the merging of directions."""
    of_roles = {"forward_output": FORWARD, "backward_output": BACKWARD, "output": MERGED, "output_gradient": d(MERGED)}
    return _records_and_roles([*of_roles.values(), d(FORWARD), d(BACKWARD)], of_roles, ())


def _records_of_head(head: Head) -> Object:
    lines = head_equations(head)
    of_roles = {"read": READ, "skipped": SKIPPED, "output": OUTPUT, "output_gradient": d(OUTPUT), "output_bias": B_Y}
    known = dict.fromkeys((*head_inputs(head), *(line.left for line in lines)))
    return _records_and_roles(known, {role: symbol for role, symbol in of_roles.items() if symbol in known}, lines)


def _records_and_roles(known: Iterable[Symbol], of_roles: Roles, lines: Iterable[Assignment]) -> Object:
    """Return a record for each quantity that a page knows, and the name of the quantity in each role."""
    role_of = {symbol: role for role, symbol in reversed(tuple(of_roles.items()))}
    amounts = {line.left for line in lines if _is_amount(line.right)}
    return {
        "records": [_quantity_record(symbol, role_of.get(symbol), symbol in amounts) for symbol in known],
        "roles": {role: text.formula(symbol) for role, symbol in of_roles.items()},
    }


def _is_amount(right: Formula) -> bool:
    return isinstance(right, FunctionCall) and right.activation is not None and right.activation.name in AMOUNTS


def _quantity_record(symbol: Symbol, role: str | None, amount: bool) -> Object:
    """Return a page's record of a quantity: its symbol's letters, gate, hue and role (see the module)."""
    plain = replace(symbol, d=False)
    base, _, below = text.formula(plain).partition("_")
    below = below.replace("{", "").replace("}", "").replace(",", " ")
    gate = gate_of(symbol) or None
    first, _, others = below.partition(" ")
    return {
        "text": text.formula(symbol),
        "base": base,
        "below": below,
        "gate": gate,
        "rest": " ".join(filter(None, (first.removesuffix(gate or ""), others))),
        "hue": base if base in HUES else gate,
        "gradient_of": text.formula(plain) if symbol.d else None,
        "role": role or PARAMETER_ROLES.get(base if not symbol.d else "", ""),
        "amount": amount,
    }


TERMS = ("missing bias", "missing term", "missing factor", "missing part", "1 - left out", "missing power")
FUNCTIONS = ("no tanh on the cell", "no nonlinearity", "forgotten derivative")
PARTS = ("missing clip", "missing projection", "missing division", "missing layer norm")
STATES = ("old cell for the new", "new cell for the old", "hidden for cell", "cell for hidden")
GATES = ("another gate", "another gate's weights", "another gate's bias", "forget and input exchanged")
ORDER = ("order of [h; x]",)
OTHERS = ("one minus a gate", "sigmoid for tanh", "tanh for sigmoid", "order of operations", "doubled bias")
SLOPES = ("derivative of the sum", "derivative twice", "another gradient")
USUAL = ("missing bias", *ORDER, "wrong sign")  # told even if few digits cannot tell them from others
SLIPS = (*FUNCTIONS, *TERMS, *PARTS, *STATES, "wrong sign", *ORDER, *GATES, *OTHERS, *SLOPES)  # the likeliest first


def edits_of_wiring(wiring: Wiring) -> list[Object]:
    """Return the edits of each program of a wiring, in the order of `render.data.wiring_document`."""
    programs = wiring.programs.items()
    return [
        edits_document(EditContext(program, p.recurrent_size, p.recurrent_size + p.input_size))
        for program, p in programs
    ]


def edits_document(context: EditContext) -> Object:
    """Return the learner's slips in a program (edits of its equations) as plain data for the page, the likeliest first.

    Returns
    -------
    dict
        ``edits``: each with its ``kind``, its ``words`` (``{}`` stands for the equation), its ``target``, and the
        number of the right side that it makes, ``form``. ``forms``: these right sides, as trees. ``usual``: kinds that
        a person is told even if few digits cannot tell them from others.
    """
    every = [(edit, left) for left, edits in enumerate_edits(context).items() for edit in edits if edit.tier == LIKELY]
    likely = sorted((pair for pair in every if pair[0].kind in SLIPS), key=lambda pair: SLIPS.index(pair[0].kind))
    forms = list(dict.fromkeys(edit.right for edit, _ in likely))
    numbers = {right: number for number, right in enumerate(forms)}
    return {
        "edits": [
            {
                "kind": edit.kind,
                "words": edit.words.replace("^2", "²"),  # formulas as the page writes them
                "target": text.formula(left),
                "form": numbers[edit.right],
            }
            for edit, left in likely
        ],
        "usual": USUAL,
        "forms": [formula_tree(right) for right in forms],
    }
