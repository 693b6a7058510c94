"""Sections that are the same at every step: nonlinearities, sizes, weights; and all steps at a glance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.gates import NAMES, index
from gatewise.parameters import Parameters, Variant, array_declarations
from gatewise.records.step import Step
from gatewise.symbolic.formula import COLUMNS, FEATURES, H_PREV, RECURRENT, UNITS, C, H, M, Symbol, X, symbol_named
from gatewise.symbolic.nonlinearities import apply, slope, textbook
from gatewise.walkthrough.bound import BoundStep
from gatewise.walkthrough.forward import TITLES
from gatewise.walkthrough.lazy import ends
from gatewise.walkthrough.parts import Block, Definition, Facts, NumberTable, Section, Sentence, Walkthrough, Words

Maker = Callable[[], Sequence[Section]]  # of sections
TABLE_ARGUMENTS = (-2, -1, 0, 1, 2)  # where the worked example prints the activations
MAX_UNITS_AT_A_GLANCE = 4  # units whose steps are shown at a glance


def activations(p: Parameters, backward: bool) -> Section:
    """Return the walkthrough's section of the nonlinearities' formulas, for the backward pass with derivatives."""
    blocks: list[Block] = []
    rows = []
    a = Symbol("a")
    with np.errstate(all="ignore"):
        for activation in (used := activations_of(p.variant)):
            name = apply(activation, a).name
            blocks.append(Definition(name, textbook(activation)))
            values = activation(np.array(TABLE_ARGUMENTS, np.float64))
            rows.append((f"{name}(a)", tuple(float(value) for value in values)))
            if backward:
                blocks.append(Definition(f"{name}'", slope(activation, Symbol("y"))))
                slopes = activation.derivative(values)
                rows.append((f"{name}'(a)", tuple(float(value) for value in slopes)))
    blocks.append(NumberTable("", tuple(f"a = {at}" for at in TABLE_ARGUMENTS), tuple(rows)))
    if "sigmoid" in {activation.name for activation in used}:
        blocks.append(
            Sentence("A gate that uses σ lies between 0 (closed) and 1 (open). A pre-activation of 0 gives 0.5.")
        )
    if backward:
        blocks.append(Sentence(("The derivatives are written in terms of the output ", Symbol("y"), ".")))
    title = "The nonlinearities and their derivatives" if backward else "The nonlinearities"
    return Section("activations", title, tuple(blocks))


def activations_of(variant: Variant) -> tuple[Activation, ...]:
    """Return the nonlinearities of a cell, each once."""
    used = [variant.activation(letter) for letter in (*variant.own, "c")]
    return tuple(dict.fromkeys(used))


def sizes(step: Step, facts: Mapping[str, object]) -> Section:
    """Return the walkthrough's section of the cell's sizes, its switches and other facts."""
    p = step.parameters
    items = [("input size", str(p.input_size)), ("hidden size", str(p.hidden_size))]
    if p.projection is not None:
        items.append(("projection size", str(p.recurrent_size)))
    items.append(("parameters", f"{p.num_parameters:,}"))
    items += [(name.replace("_", " "), str(value)) for name, value in p.variant.differences().items()]
    items += [(name, str(value)) for name, value in facts.items()]
    h, x = p.recurrent_size, p.input_size
    each = f"Each of the {p.hidden_size} units" if p.hidden_size > 1 else "The unit"
    each += f" has a cell state, its memory. Each gate sees {h + x} numbers: {h} from "
    says = (each, H_PREV, f" and {x} from ", X, ".")
    return Section("sizes", "The cell", (Facts(tuple(items)), Sentence(says)))


def weights(bound: BoundStep) -> Section:
    """Return the walkthrough's section of the parameters, as the notation shapes them, and how to read them."""
    notation = bound.notation
    blocks = tables(bound, bound.p)
    if notation.two_biases:
        second = [word for k in notation.order if k in bound.p.variant.own for word in (Symbol("b2", k), ", ")][:-1]
        words = ("gatewise keeps the sum of the two biases in the first one, so ", *second, " are 0 here.")
        blocks.insert(len(bound.p.variant.own) * (2 if bound.form.apart else 1), Sentence(words))
    along, across = ("column", "row") if notation.rows else ("row", "column")
    of = "the entry of x or h" if bound.form.apart else "the entry of the combined input"
    blocks.append(Sentence(f"Each {along} belongs to a unit, each {across} to {of} that it multiplies."))
    return Section("weights", "The weights and biases of each gate", tuple(blocks))


def tables(bound: BoundStep, p: Parameters, named: Callable[[Symbol], Symbol] = lambda symbol: symbol) -> list[Block]:
    """Return a walkthrough's tables of parameters, or of their gradients; `named` returns the symbol of each."""
    names, notation, units, blocks = bound.names, bound.notation, bound.units, list[Block]()
    with_bias = np.concatenate([p.weight, p.bias[..., None]], axis=-1)

    def add_table(title: Words, array: Any, rows: Sequence[Words], columns: Sequence[Words]) -> None:
        """Add a matrix to the walkthrough's tables; where vectors are rows, it is transposed."""
        if notation.rows:
            array, rows, columns = array.T, columns, rows
        blocks.append(NumberTable(title, tuple(columns), tuple(zip(rows, map(tuple, array), strict=True))))

    def add_rows_of_units(title: Words, array: Any, columns: Sequence[Words]) -> None:
        add_table(title, array[list(units)], [names[UNITS][k] for k in units], columns)

    for k in notation.order:
        if k not in p.variant.own:
            continue
        title, (W, U, b) = TITLES[NAMES[index(k)]], (named(Symbol(base, k)) for base in "WUb")
        if bound.form.apart:
            start, row = p.recurrent_size, with_bias[index(k)]
            add_rows_of_units((f"{title}: ", W, " and ", b), row[:, start:], (*names[FEATURES], "bias"))
            add_rows_of_units((f"{title}: ", U), row[:, :start], names[RECURRENT])
        else:
            add_rows_of_units((f"{title}: ", W, " and ", b), with_bias[index(k)], (*names[COLUMNS], "bias"))
    for heading, columns in tables_by_title(p).items():
        add_rows_of_units(
            heading, np.stack([row for _, row in columns], axis=-1), [named(symbol) for symbol, _ in columns]
        )
    if p.projection is not None:
        heads = [f"m{k}" for k in range(p.hidden_size)]
        add_table(("Projection: ", named(Symbol("R"))), p.projection, names[RECURRENT], heads)
    return blocks


def tables_by_title(p: Parameters) -> dict[str, list[tuple[Symbol, Array]]]:
    """Return a walkthrough's tables of peephole and layer-norm parameters by title, with an entry for each unit."""
    arrays, tables = p.arrays(), dict[str, list[tuple[Symbol, Array]]]()
    for name, declared in array_declarations(p.variant).items():
        if declared.title and declared.axes == ("hidden",):
            rows = arrays[name].reshape(len(declared.rows), -1)
            symbols = (symbol_named(row) for row in declared.rows)
            tables.setdefault(declared.title, []).extend(zip(symbols, rows, strict=True))
    return tables


def tables_of_units(
    steps: Sequence[BoundStep],
    row: Callable[[int, int], tuple[Words, Sequence[Any]]],
    heads: tuple[Words, ...],
    openness: tuple[int, ...],
    *,
    digits: int,
    every: bool,
) -> list[Block]:
    """Return a walkthrough's table of the steps for each of the first units; `row` makes it of a unit and place."""
    units, blocks = steps[0].units, list[Block]()
    for k in units[:MAX_UNITS_AT_A_GLANCE]:
        rows, left_out = ends(len(steps), partial(row, k), every=every)
        title = steps[0].named(k)
        blocks.append(NumberTable(title, heads, rows, openness, digits=digits, whole=True, left_out=left_out))
    if len(units) > MAX_UNITS_AT_A_GLANCE:
        blocks.append(
            Sentence(f"… and {len(units) - MAX_UNITS_AT_A_GLANCE} more units (--unit K, or unit=K, shows one).")
        )
    return blocks


def sequence(steps: Sequence[BoundStep], times: Sequence[str], *, every: bool, edits: str = "") -> Section:
    """Return the walkthrough's section of all steps: inputs, gates and states by unit; of a long run, only the ends."""
    p, features, order = steps[0].p, steps[0].names[FEATURES], steps[0].notation.order
    inputs = range(p.input_size) if p.input_size <= 3 else ()
    last = H if p.projection is None else M

    def row_of_step(k: int, at: int) -> tuple[Words, Sequence[Any]]:
        """Return a unit's row in the table of steps: the step's name, its inputs, gates and states."""
        moment, x = steps[at].M, steps[at].step.x
        gates = [getattr(moment, letter)[0, k] for letter in (*order, "c")]
        gates.append((moment.h if last is H else moment.m)[0, k])
        return times[at], (*(x[n] for n in inputs), *gates)

    heads: tuple[Words, ...] = (*(features[n] for n in inputs), *map(Symbol, order), C, last)
    openness = tuple(len(inputs) + place for place, letter in enumerate(order) if letter != "g")
    blocks = tables_of_units(steps, row_of_step, heads, openness, digits=4, every=every)
    if edits:
        blocks.append(Sentence(f"Edited: {edits}."))
    title = f"The {len(steps):,} steps at a glance" if len(steps) > 1 else "The step at a glance"
    return Section("sequence", title, tuple(blocks))


def with_rest(makers: Sequence[Maker], worked: Sequence[int], times: Sequence[str]) -> Sequence[Maker]:
    """Return functions that make steps' sections; between two that are apart, one says how to see the others."""
    if len(worked) != 2 or abs(worked[0] - worked[1]) == 1:
        return makers
    return [makers[0], partial(_left_out_section, worked[0], worked[1], times), makers[1]]


def in_brief(walk: Walkthrough) -> Iterator[Section]:
    """Yield the sections that text shows: of a folded walkthrough, its first and last step, and how to see others."""
    for section in walk.sections:
        if not walk.folded or section.at in (None, 0, len(walk.steps) - 1):
            yield section
        elif section.key == "arriving" and section.at == len(walk.steps) - 2:
            times = [step.time or "" for step in walk.steps]
            yield from _left_out_section(len(walk.steps) - 1, 0, times)


def _left_out_section(before: int, after: int, times: Sequence[str]) -> list[Section]:
    by = 1 if after > before else -1
    hint = "--at STEP, or at=STEP, shows one of them; --every-step, or every_step=True, shows all."
    count = abs(after - before) - 1
    title = f"{count:,} steps are not shown" if count > 1 else "One step is not shown"
    time = f"{times[before + by]} to {times[after - by]}" if count > 1 else times[before + by]
    return [Section("left_out", title, (Sentence(hint),), time)]
