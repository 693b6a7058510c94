"""A program, how it is wired, and the numbers that go into it, as plain data: all that a reader needs to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from gatewise.errors import OptionError
from gatewise.render import text
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.nonlinearities import apply, definition, slope
from gatewise.symbolic.program import GRADIENT, MASK, PARAMETER, Assignment, Carry, Form, Program
from gatewise.symbolic.symbols import C_PREV, H_PREV, X
from gatewise.walkthrough.parts import Source
from gatewise.walkthrough.setting import activations_of

Object = dict[str, Any]
Trees = Callable[[Any], Any]  # of formulas and numbers as JSON has them


def documents(source: Source, tree: Trees, numbers: Trees, *, backward: bool) -> Object:
    """Return the program of a walkthrough, its wiring, its parameters and its inputs.

    Raises
    ------
    OptionError
        If the steps are not those of one run.
    """
    _require_one_run(source)
    program = source.program
    return {
        "program": [document(program, tree)],
        "wiring": {
            "layers": [[{"program": 0, "parameters": 0, "direction": "forward"}]],
            "merge": ["concat"],
            "embedding": None,
            "head": None,
        },
        "parameters": [_values(program.of_kind(PARAMETER), source.steps[0], numbers)],
        "inputs": _inputs(source, numbers, backward=backward),
    }


def document(program: Program, tree: Trees) -> Object:
    """Return a program as plain data; `tree` gives a formula as nested objects."""
    return {
        "form": _form(program.form),
        "given": [{"symbol": _name(one.symbol), "axes": list(one.axes), "kind": one.kind} for one in program.given],
        "forward": [_assignment(one, tree) for one in program.forward],
        "backward": [_assignment(one, tree) for one in program.backward],
        "carry": [_carry(one) for one in program.carry],
        "carry_back": [_carry(one) for one in program.carry_back],
        "nonlinearities": [
            {
                "name": apply(one, Symbol("a")).name,
                "alpha": one.alpha,
                "beta": one.beta,
                "definition": tree(definition(one)),
                "derivative": tree(slope(one, Symbol("y"))),
            }
            for one in activations_of(program.form.variant)
        ],
    }


def _form(form: Form) -> Object:
    plain = {field.name: getattr(form, field.name) for field in fields(form)}
    return plain | {"variant": form.variant.to_json(), "masks": sorted(form.masks)}


def _assignment(one: Assignment, tree: Trees) -> Object:
    return {"left": _name(one.left), "right": tree(one.right), "axes": list(one.axes), "sums": one.sums}


def _carry(one: Carry) -> Object:
    return {"into": _name(one.into), "source": _name(one.source)}


def _name(symbol: Symbol) -> str:
    return text.formula(symbol)


def _values(symbols: Iterable[Symbol], step: Mapping[Symbol, Any], numbers: Trees) -> Object:
    return {_name(symbol): numbers(step[symbol]) for symbol in symbols}


def _inputs(source: Source, numbers: Trees, *, backward: bool) -> Object:
    """Return what goes into the first step from before, into every step from outside, and into the last from after."""
    program, steps = source.program, source.steps
    shared = [symbol for symbol in program.of_kind(MASK) if symbol.base == "D"]
    own = [X, *(symbol for symbol in program.of_kind(MASK) if symbol not in shared)]
    return {
        "before": _values((H_PREV, C_PREV), steps[0], numbers),
        "steps": {_name(symbol): numbers(np.stack([step[symbol] for step in steps])) for symbol in own},
        "always": _values(shared, steps[0], numbers),
        "after": _values(program.of_kind(GRADIENT), steps[-1], numbers) if backward else {},
    }


def _require_one_run(source: Source) -> None:
    first = source.steps[0]
    for before, after in zip(source.steps, source.steps[1:], strict=False):
        same = all(np.array_equal(first[one], after[one], equal_nan=True) for one in source.program.of_kind(PARAMETER))
        links = ((before[one.source], after[one.into]) for one in source.program.carry)
        if not same or not all(np.array_equal(*pair, equal_nan=True) for pair in links):
            raise OptionError("a program is written of the steps of one run, each beginning where the last one ended")
