"""What the page must compute: documents as pages hold them, and every quantity as the programs give it in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cases
import numpy as np
from pairwise import cover
from program_run import ProgramRun
from wired_run import WiredRun

import gatewise as gw
from gatewise.cli import main
from gatewise.playground import quantities
from gatewise.playground.document import computed_values
from gatewise.playground.sequence_run import SequenceRun, sequence_run_of
from gatewise.records.step import State
from gatewise.render import text
from gatewise.render.data import numbers, packed
from gatewise.symbolic.cell import program as cell_program
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.heads import constants, head_equations, head_inputs
from gatewise.symbolic.program import Form
from gatewise.symbolic.wiring import E, Wiring

Object = dict[str, Any]


def case_of(name: str, thing: object, x: np.ndarray, rng: np.random.Generator, **options: Any) -> Object:
    """Return a run of one sequence as a page holds it, a loss of all that it puts out, and what follows from both."""
    sequence_run = sequence_run_of(thing, x, 0, options)
    run = run_of(sequence_run)
    run.dy = rng.normal(size=run.output.shape)
    table = run.backward().get(E)
    loss = {"of": "all", "dy": numbers(run.dy)}
    made = {"name": name, "document": document_of(sequence_run), "loss": loss, "expected": [*expected(run)]}
    return made if table is None else {**made, "embedding": numbers(table)}


def document_of(run: SequenceRun) -> Object:
    """Return what a page computes with; the words and the mistakes that it also holds have laws of their own."""
    return computed_values(run, run.wiring(), packed)


def run_of(run: SequenceRun, wiring: Wiring | None = None) -> WiredRun:
    """Run the wiring of a sequence's run, or another one, by its programs."""
    state = tuple(tuple(State(cell.initial.h[:1], cell.initial.c[:1]) for cell in row) for row in run.cells)
    x = run.x[:, None] if run.tokens is None else np.asarray(run.tokens)[:, None]
    valid = np.ones(len(x), bool) if run.valid is None else run.valid
    dropout = [[cell.dropout for cell in row] for row in run.cells]
    return WiredRun(wiring or run.wiring(), x, state, valid=valid[:, None], dropout=dropout)


def expected(run: WiredRun) -> Iterator[Object]:
    """Go through all quantities of a run, by where the page has them."""
    for layer, row in enumerate(run.cells):
        for direction, one in enumerate(row):
            for symbol in every(one):
                summed = symbol in one.program.assignments and one.program.assignments[symbol].sums
                value = one[symbol] if summed else one[symbol][:, 0]
                yield quantity(layer, direction, text.formula(symbol), value, summed=summed)
        if layer + 1 < len(run.cells):
            yield quantity(layer, 0, "y", flat(run.merged[layer + 1][:, 0]))
    top, last = len(run.cells), run.wiring.reads == "last"

    def of_steps(value: np.ndarray) -> np.ndarray:
        return value if last else flat(value[:, 0])

    yield quantity(top, 0, "y", of_steps(run.output))
    if (head := run.wiring.head) is not None:
        for symbol in [one for one in head_inputs(head) if one not in constants(head)]:
            yield quantity(top, 0, text.formula(symbol), of_steps(run.values[symbol]))
        for one in head_equations(head):
            value = run.values[one.left]
            yield quantity(top, 0, text.formula(one.left), value if one.sums else of_steps(value), summed=one.sums)


def every(run: ProgramRun) -> Sequence[Symbol]:
    """Return what varies from step to step in a run of a cell."""
    given = [one.symbol for one in run.program.given if one.kind in ("input", "state", "gradient")]
    return [*given, *run.program.assignments]


def flat(value: np.ndarray) -> np.ndarray:
    """Return rows of numbers: directions that are not merged stand side by side."""
    return value.reshape(len(value), -1)


def quantity(layer: int, direction: int, name: str, value: np.ndarray, *, summed: bool = False) -> Object:
    """Return a quantity as plain data."""
    return {"layer": layer, "direction": direction, "name": name, "summed": summed, "values": numbers(value)}


# Which runs.


RUNS = {
    "variant": cases.VARIANTS,
    "projection": cases.PROJECTIONS,
    "dropout": (False, True),
    "valid": ("all valid", "mask"),
    "direction": cases.DIRECTIONS,
}


def of_variants() -> Iterator[Object]:
    """Go through runs of every variant, in which each two of their options meet."""
    for case in cover(RUNS):
        name = case["variant"]
        options = {key: value for key, value in case.items() if key != "variant"}
        run = cases.run_of(name, batch=1, time=5, seed=len(name), **options)
        yield of_cell(", ".join(map(str, case.values())), run)


def of_cell(name: str, run: cases.Run) -> Object:
    """Return the run of a cell."""
    mask = None if run.valid is None else run.valid
    return case_of(name, run.lstm, run.x, np.random.default_rng(0), **{**run.options(), "mask": mask})


def of_random_cells(count: int) -> Iterator[Object]:
    """Go through runs of cells that are drawn: variants, sizes, masks."""
    rng = np.random.default_rng(15)
    names = [*cases.VARIANTS]
    for n in range(count):
        name = names[rng.integers(len(names))]
        normed = "layer norm" in name  # whose gradients are nothing but rounding for two units, or for one input
        run = cases.run_of(
            name,
            projection=[*cases.PROJECTIONS][rng.integers(3)],
            direction=cases.DIRECTIONS[rng.integers(2)],
            valid=["all valid", "mask"][rng.integers(2)],
            dropout=bool(rng.integers(2)),
            time=int(rng.integers(1, 8)),
            batch=1,
            inputs=int(rng.integers(2 if normed else 1, 6)) + 16 * (n % 20 == 0),
            hidden=int(rng.integers(5 if normed else 1, 9)) + 16 * (n % 20 == 0),
            seed=int(rng.integers(2**31)),
        )
        yield of_cell(f"random cell {n}", run)


def of_random_stacks(count: int) -> Iterator[Object]:
    """Go through runs of networks that are drawn: layers, directions, merging, masks, embeddings, heads."""
    rng = np.random.default_rng(16)
    for n in range(count):
        yield of_stack(f"random stack {n}", rng)


HEADS = (None, "sigmoid", "softmax", "tanh", "hard_sigmoid:0.2,0.5", "gelu", "gelu_tanh", "silu", "mish", "hard_swish")


def of_stack(name: str, rng: np.random.Generator) -> Object:
    """Return the run of a drawn network."""
    inputs, hidden, time, layers = (int(rng.integers(1, most)) for most in (5, 6, 8, 4))
    merge = ["concat", "sum", "mul", "average"][rng.integers(4)]
    lstm = gw.LSTM(
        inputs,
        hidden,
        num_layers=layers,
        bidirectional=bool(rng.integers(2)),
        merge=merge,
        projection_size=[None, max(hidden - 1, 1)][rng.integers(2)] if hidden > 1 else None,
        rng=rng,
        dtype=np.float64,
    )
    kind, activation = rng.integers(3), HEADS[rng.integers(len(HEADS))]
    mask = rng.random(time) < 0.7
    mask[rng.integers(time)] = True
    options: dict[str, Any] = {"mask": mask if rng.integers(2) else None}
    x: np.ndarray = rng.normal(size=(time, inputs))
    if kind == 0:
        state = [
            [gw.State(*(rng.normal(size=part.shape[-1:]) for part in one)) for one in row] for row in lstm.zero_state(1)
        ]
        return case_of(name, lstm, x, rng, state=state, masked_output=["zeros", "repeat"][rng.integers(2)], **options)
    switches: dict[str, Any] = {"reads": ["every", "last"][rng.integers(2)]}
    if kind == 2:
        switches["embedding"], x = rng.normal(size=(7, inputs)), rng.integers(0, 7, time)
        x[rng.integers(time)] = 1
        if rng.integers(2):
            switches["masked"], options = 0, {}
    elif switches["reads"] == "every":
        switches["skip"] = [0, 1, 3 if inputs > 2 else 0][rng.integers(3)]
    if rng.integers(2):
        least = [0.0, -np.inf, -1.0] if rng.integers(2) else None
        switches["outputs"] = gw.Scaling(rng.normal(size=3), rng.uniform(0.5, 2, 3), least)
    head = []
    for after in [3] * rng.integers(1, 4):
        before = len(head[-1].weight) if head else lstm.output_size
        head.append(gw.Linear(rng.normal(size=(after, before)), rng.normal(size=after), activation))
    return case_of(name, gw.Network(lstm, head=head, **switches), x, rng, **options)


# Losses of one hidden state.


def of_hidden_losses(count: int) -> Iterator[Object]:
    """Go through stacks of drawn sizes with a loss that is one unit of one layer's hidden state at one step."""
    rng = np.random.default_rng(17)
    for n in range(count):
        two_ways, layers, time = bool(rng.integers(2)), int(rng.integers(1, 4)), int(rng.integers(2, 6))
        lstm = gw.LSTM(2, 3, num_layers=layers, bidirectional=two_ways, rng=rng, dtype=np.float64)
        network = gw.Network(lstm, head=gw.Linear(rng.normal(size=(2, lstm.output_size)), rng.normal(size=2), "tanh"))
        sequence_run = sequence_run_of(network, rng.normal(size=(time, 2)), 0, {})
        layer, direction, unit, step = (int(rng.integers(most)) for most in (layers, 1 + two_ways, 3, time))
        document = document_of(sequence_run)
        wiring = sequence_run.wiring()
        kept = replace(wiring, head=None, cells=wiring.cells[: layer + 1])
        run = run_of(sequence_run, replace(kept, merge=(*kept.merge[:layer], "none")))
        run.dy = np.zeros_like(run.output)
        run.dy[(step, 0, direction, unit) if two_ways else (step, 0, unit)] = 1
        run.backward()
        loss = {"of": "h", "layer": layer, "direction": direction, "unit": unit, "step": step}
        of_cells = [one for one in expected(run) if one["layer"] <= layer and one["name"] != "y"]
        yield {"name": f"hidden loss {n}", "document": document, "loss": loss, "expected": of_cells}


# Walkthroughs.


def of_walk(name: str, arguments: str, capsys: Any) -> Object:
    """Return the program of a walkthrough as a page holds it, with the values that its sections show."""
    program, shown = (json.loads(walked(f"{arguments} {form}", capsys)) for form in ("--program", ""))
    inputs, (kinds,) = program["inputs"], [given_kinds(program["program"][0])]
    always, steps = inputs["always"], inputs["steps"]
    masks = {name: steps.get(name, always.get(name)) for name, kind in kinds.items() if kind == "mask"}
    carried = {one["source"]: inputs["before"][one["into"]] for one in program["program"][0]["carry"]}
    time = len(steps["x"])
    dy = steps.get("dy", np.zeros((time, len(inputs["before"]["h_prev"]))).tolist())
    form = program["program"][0]["form"]
    form = Form(**{**form, "variant": gw.Variant.from_json(form["variant"]), "dropout": frozenset(form["dropout"])})
    cell, merge = quantities.quantities_of_program(cell_program(form)), quantities.quantities_of_merge()
    document = {
        "quantities": {"cells": [cell], "merge": merge, "head": None},
        **{key: program[key] for key in ("program", "wiring", "parameters")},
        "inputs": {"x": steps["x"], "valid": None, "state": [[carried]], "dropout": [[masks]] if masks else None},
        "labels": {},
    }
    loss = {"of": "all", "dy": dy, "after": inputs["after"]}
    return {"name": name, "document": document, "loss": loss, "expected": [*of_sections(program["program"][0], shown)]}


def walked(arguments: str, capsys: Any) -> str:
    main(["walk", *arguments.split(), "--format", "json"])
    found: str = capsys.readouterr().out
    return found


def given_kinds(program: Object) -> dict[str, str]:
    return {one["symbol"]: one["kind"] for one in program["given"]}


def of_sections(program: Object, walk: Object) -> Iterator[Object]:
    """Go through what the sections of a walkthrough show of a program's quantities, one value at a time."""
    axes = {one["left"]: one["axes"] for one in (*program["forward"], *program["backward"])}
    for section in walk["sections"]:
        for block in section["blocks"]:
            name = block["left"]["text"] if block["type"] == "equation" else None
            if name not in axes or len(axes[name]) != np.ndim(block["value"]):
                continue
            value = np.transpose(block["value"]) if walk["rows"] else np.asarray(block["value"])
            at = None if section["key"] == "all_steps" else section["at"] or 0
            yield {**quantity(0, 0, name, value), "at": at}
