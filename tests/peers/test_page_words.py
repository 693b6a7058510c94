"""The page writes numbers, formulas, sentences, source and tables in JavaScript as gatewise does in Python."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct

import cases
import numpy as np
import pytest
from peers import node

import gatewise as gw
from gatewise.gates import NAMES
from gatewise.insight.answer import Table
from gatewise.languages import language
from gatewise.layers.wired import wiring_of
from gatewise.playground import quantities, words
from gatewise.plot.sequence_of_cell import columns_of
from gatewise.render import code, mathml, text
from gatewise.render.data import numbers
from gatewise.render.layout import write_words
from gatewise.symbolic import cell
from gatewise.symbolic.evaluation import evaluate, substitute
from gatewise.symbolic.formula import Concatenation, NumberRow, Sum, nodes
from gatewise.walkthrough import grouping
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import Sentence
from gatewise.walkthrough.sentences import moment_sentence, quantity_sentences

pytestmark = pytest.mark.peers
node.require()
SPOILED = {"nan": np.nan, "inf": np.inf, "zero": 0.0, "tiny": -3e-9, "large": 4e8}


def some_numbers() -> list[float]:
    """Return numbers that are hard to write: ties, ends of ranges, any bits at all."""
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**64, 3000, dtype=np.uint64)
    found = [struct.unpack("<d", struct.pack("<Q", int(one)))[0] for one in bits]
    found += [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1.7976931348623157e308, 1e7, 1e21, 1e22, 10000000.25, 1e-4]
    found += [float(rng.normal() * 10**power) for power in np.linspace(-12, 12, 2000)]
    found += [float(rng.integers(-(2**20), 2**20)) / 2**power for power in range(1, 24) for _ in range(60)]
    found += [float(rng.integers(1, 10**7)) * 5 * 10.0 ** int(rng.integers(0, 14)) for _ in range(1000)]
    found += [float(rng.integers(0, 10**6)) / 10**6 for _ in range(1000)]
    return found


def written(value: float) -> dict:
    texts = {digits: number(value, digits) for digits in (3, 4, 6, 8)}
    return {"value": numbers(value), "texts": texts, "percent": percent(value), "repr": repr(float(value))}


def is_long(formula) -> bool:
    """Tell whether a formula with numbers has a sum or a row that is shown in part."""
    return any(
        len(one.terms if isinstance(one, Sum) else one.values) > 12
        for one in nodes(formula)
        if isinstance(one, (Sum, NumberRow))
    )


def hued(markup: str) -> str:
    """Return MathML with the page's classes for the hues of quantities."""
    return re.sub('class="([a-z_]+)"', lambda found: f'class="{words.HUES[found[1]]}"', markup)


class Cell:
    """One cell, run over some steps, with all that Python says of it."""

    def __init__(
        self, name: str, run: cases.Run, labels: gw.Labels | None = None, spoiled: float | None = None
    ) -> None:
        self.name = name
        """Run a cell, some of whose numbers may be spoiled."""
        if spoiled is not None:
            run.x[1, 0, 0] = spoiled
            run.state.c[0, 0] = spoiled
        lstm = run.lstm if labels is None else gw.LSTM.from_cells(gw.LSTMCell.from_parameters(run.p, labels=labels))
        with np.errstate(all="ignore"):
            self.trace = lstm.trace(run.x, **run.options(), engine="reference").stored[0]
            self.dy = np.random.default_rng(4).normal(size=(len(self.trace), run.p.recurrent_size))
            self.walk = gw.walk(self.trace, backward=True, dy=self.dy)
        self.p = self.trace.parameters
        self.wiring = wiring_of(lstm, [[self.trace.dropout]], "zeros")
        self.program = self.wiring.cells[0][0].sized
        self.form = self.program.form
        with np.errstate(all="ignore"):
            self.steps = [self.values(step) for step in range(len(self.trace))]

    def values(self, step: int) -> dict:
        """Return the values of all symbols of the program at a step."""
        scope = self.walk.steps[step].scope
        found = dict(cell.parameter_values(self.form, self.p))  # as they are, not as DropConnect leaves them
        for symbol in self.program.axes:
            if symbol not in found:
                one = self.program.assignments.get(symbol)
                # In the order of this program's gates.
                stacked = one is not None and isinstance(one.right, Concatenation)
                found[symbol] = evaluate(one.right, found) if stacked else scope[symbol]
        return found

    def data(self) -> dict:
        p, labels = self.p, self.trace.labels
        cell = {
            "hidden": p.hidden_size,
            "recurrent": p.recurrent_size,
            "direction": "forward",
            "units": [labels.unit(k) for k in range(p.hidden_size)],
            "features": [labels.feature(k) for k in range(p.input_size)],
        }
        doc = {
            "program": [{}],
            "wiring": {"layers": [[{"program": 0}]]},
            "words": words.words(self.wiring),
            "formulas": words.formulas(self.wiring),
            "labels": {"times": None},
            "phrases": language.phrases("en", lessons=False),
        }
        return {
            "name": self.name,
            "doc": doc,
            "quantities": quantities.quantities_of_program(self.program),
            "cell": cell,
            "axes": {text.formula(symbol): [*axes] for symbol, axes in self.program.axes.items()},
            "values": [
                {
                    text.formula(symbol): {"shape": np.shape(value), "data": numbers(np.ravel(value))}
                    for symbol, value in step.items()
                }
                for step in self.steps
            ],
            "equations": [
                {"name": text.formula(one.left), "text": f"{text.formula(one.left)} = {text.formula(one.right)}"}
                for one in self.program.assignments.values()
            ],
            "substitutions": list(self.substitutions()),
            "sentences": list(self.sentences()),
            "moments": list(self.moments()),
            "table": self.table(),
        }

    def substitutions(self):
        for one in self.program.assignments.values():
            name = text.formula(one.left)
            if isinstance(one.right, Concatenation):
                continue
            for step, env in enumerate(self.steps):
                value = env[one.left]
                for unit in range(len(value) if np.ndim(value) else 1):
                    with np.errstate(all="ignore"):
                        put = substitute(one.right, env, unit)
                    result = value if np.ndim(value) == 0 else value[unit]
                    shown = text.formula(NumberRow(tuple(result))) if np.ndim(result) else number(result)
                    told = text.formula(put)
                    yield {
                        "name": name,
                        "step": step,
                        "unit": unit,
                        "told": told,
                        "math": None if is_long(put) else mathml.to_markup(mathml.nodes_of(put)),
                        "symbols": hued(mathml.to_markup(mathml.nodes_of(one.right))),
                        "label": f"{name} = {shown}" if told == shown else f"{name} = {told} = {shown}",
                    }

    def sentences(self):
        by_section = grouping.forward_by_section(self.program.forward) | grouping.backward_by_section(
            self.program.backward
        )
        found = {key: text.formula(equations[-1].left) for key, equations in by_section.items()}
        found |= {key: text.formula(one.of) for key, one in quantity_sentences(self.program).items()}
        found |= {"input": "x", "arriving": "dh", "d_weights": "dW_g"}
        for unit in (None, self.p.hidden_size - 1):
            walks = [gw.walk(self.trace, unit=unit), gw.walk(self.trace, unit=unit, backward=True, dy=self.dy)]
            for section in (one for walk in walks for one in walk.sections):
                said_here = [one for one in section.blocks if isinstance(one, Sentence)]
                if section.at is None or section.key not in found or not said_here:
                    continue
                every = unit is None or (section.key == "hidden_state" and self.form.projected)
                first = 0 if section.key == "combined_input" else -1
                yield {
                    "name": found[section.key],
                    "step": section.at,
                    "units": None if every else [unit],
                    "text": " ".join(write_words(one.text, text.formula) for one in said_here[first:]),
                }

    def moments(self):
        moment = moment_sentence(self.program)
        for step, env in enumerate(self.steps):
            for unit in range(self.p.hidden_size):
                values = {name: evaluate(one, env)[unit] for name, one in moment.variables.items()}
                name = self.walk.steps[0].named(unit)
                subject = name if name.startswith("unit ") else f"unit {name}"
                line = f"U{moment.pattern.fill(name=subject, **values)[1:]}"
                yield {"step": step, "unit": unit, "text": line}

    def table(self) -> str:
        units = [self.trace.labels.unit(k) for k in range(self.p.hidden_size)]
        names = [f"{gate} {unit}" for gate in NAMES for unit in units]
        series = [self.trace.quantity(gate)[:, 0, k] for gate in NAMES for k in range(len(units))]
        return Table(columns_of(np.arange(len(self.trace)), names, series)).to_csv()


def cells() -> list[Cell]:
    found = []
    for place, name in enumerate(cases.VARIANTS):
        for dropout in (False, True):
            projection = ("unprojected", "projected and clipped")[(place + dropout) % 2]
            run = cases.run_of(name, projection=projection, dropout=dropout, batch=1, inputs=2, hidden=3, time=2)
            found.append(Cell(f"{name}, {projection}, {dropout}", run))
    found += [
        Cell("large", cases.run_of("plain", batch=1, inputs=9, hidden=6, time=2)),
        Cell("large, haste", cases.run_of("layer norm of Haste", batch=1, inputs=9, hidden=14, time=2)),
        Cell("large, norm", cases.run_of("layer norm of the gates", batch=1, inputs=9, hidden=14, time=2)),
        Cell("one unit", cases.run_of("plain", batch=1, inputs=1, hidden=1, time=2)),
        Cell(
            "named",
            cases.run_of("plain", batch=1, inputs=2, hidden=2, time=2),
            gw.Labels(features=("a, b", '<i>"c"'), units=("unit of mine", "latch")),
        ),
        Cell(
            "with formulas",
            cases.run_of("plain", batch=1, inputs=2, hidden=4, time=2),
            gw.Labels(units=("a;=1", 'b; "@x', "c\t+x", "-1;-2")),
        ),
    ]
    found += [
        Cell(f"spoiled, {name}", cases.run_of(variant, batch=1, inputs=2, hidden=3, time=2), spoiled=value)
        for name, value in SPOILED.items()
        for variant in ("plain", "peephole, layer norm of the gates")
    ]
    return found


@pytest.fixture(scope="module")
def subjects() -> list[Cell]:
    return cells()


@pytest.fixture(scope="module")
def checked(subjects: list[Cell], tmp_path_factory: pytest.TempPathFactory) -> dict:
    data = {"numbers": [*map(written, some_numbers())], "cells": [one.data() for one in subjects]}
    return node.answer("words.mjs", tmp_path_factory.mktemp("page"), data)


def test_all_is_written_as_in_python(checked):
    assert not checked["wrong"], json.dumps(checked["wrong"][:5], indent=2, ensure_ascii=False)
    assert min(checked["counts"].values()) > 50, checked["counts"]


def test_the_source_of_a_step_computes_the_step(subjects, checked):
    for one, source in zip(subjects, checked["sources"], strict=True):
        found: dict = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed, np.errstate():
            exec(compile(source, one.name, "exec"), found)
        for assignment in one.program.assignments.values() if "spoiled" not in one.name else ():
            name, expected = code.identifier(assignment.left), np.asarray(one.steps[0][assignment.left])
            assert f"{name} = " in printed.getvalue(), (one.name, name)
            large = np.abs(expected[np.isfinite(expected)]).max(initial=0)
            np.testing.assert_allclose(
                found[name], expected, rtol=1e-9, atol=1e-12 * large, err_msg=f"{one.name}: {name}"
            )
