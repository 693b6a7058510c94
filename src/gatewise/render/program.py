"""Programs, how they are wired, and the numbers that go into them, as plain data: all it takes to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.errors import OptionError
from gatewise.render import text
from gatewise.render.plain import numbers, tree
from gatewise.symbolic import binding
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import Formula, Symbol
from gatewise.symbolic.heads import Head, constants, head_equations, head_inputs
from gatewise.symbolic.nonlinearities import ARGUMENT, apply, definition, slope
from gatewise.symbolic.program import MASK, Assignment, Carry, Form, Program
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, DH, DH_NEXT, DY, H_PREV, X
from gatewise.symbolic.wiring import WiredCell, Wiring, merging, unmerging
from gatewise.walkthrough.bound import are_one_run
from gatewise.walkthrough.parts import Bound
from gatewise.walkthrough.setting import activations_of

Object = dict[str, Any]
Write = Callable[[Any], Any]  # an array as plain data


def of_walk(steps: Sequence[Bound], *, backward: bool) -> Object:
    """Return a walkthrough rendered as a program in JSON: wiring, parameters and inputs; its steps must be one run."""
    if not are_one_run(steps):
        raise OptionError("a program is written of the steps of one run, each beginning where the last one ended")
    if any(step.form.edited for step in steps):
        raise OptionError("the program of a run with edits is not written: no one program has all of its steps")
    cell = WiredCell(program(steps[0].form), steps[0].p)
    return {**of_wiring(Wiring(((cell,),))), "inputs": _run_inputs(steps, backward=backward)}


def of_wiring(wiring: Wiring, write: Write = numbers) -> Object:
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
            parameters.append(values(binding.parameters(cell.program.form, cell.parameters), write))
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
    return {"program": list(map(document, programs)), "wiring": wired, "parameters": parameters}


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


def document(program: Program) -> Object:
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
