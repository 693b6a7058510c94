"""A student's sheet as a page to print: tables of the given arrays, and blanks for the asked quantities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.exercise import ASKED_DECIMALS, Plan, worked_numbers
from gatewise.grading.problem import Problem
from gatewise.grading.roster import Student
from gatewise.languages.language import words_in
from gatewise.render import mathml
from gatewise.render.html import document, style
from gatewise.render.html_pieces import number_markup, scrolled, text
from gatewise.render.hues import hue_of
from gatewise.render.mathml_pieces import run
from gatewise.render.text import formula
from gatewise.symbolic.formula import FunctionCall, Symbol, nodes
from gatewise.symbolic.nonlinearities import textbook
from gatewise.symbolic.symbols import COLUMNS, UNITS
from gatewise.walkthrough.numbers import number

PACKAGE = "gatewise.grading"  # where its style lies
WIDEST = 8  # entries side by side
TableRow = tuple[str, tuple[str, ...]]  # its head and its cells, as markup


def student_page(
    student: Student, problem: Problem, chain: Chain, lines: tuple[list[Quantity], list[Quantity]], plan: Plan
) -> str:
    """Return a student's sheet as an HTML page; of `lines`, the first are worked, and the others asked."""
    worked, quantities = lines
    words = words_of(plan)
    title = words["title"]
    given_tables = "".join(_given_tables(problem, chain, plan))
    worked_tables = f"<h2>{words['worked']}</h2>\n{_line_tables(worked, chain, plan, worked=True)}" if worked else ""
    body = f"""<main class="sheet">
<header><h1>{title}</h1><p class="whose">{text(student.name)}</p></header>
<p>{escape(instructions(plan, words["blanks"]))}</p>
<h2>{words["given"]}</h2>
<div class="given">{given_tables}</div>
<p class="functions">{_nonlinearity_formulas([*worked, *quantities])}</p>
{worked_tables}
<h2>{words["asked"]}</h2>
{_line_tables(quantities, chain, plan)}
</main>"""
    return document(f"{title}: {student.name}", style("handout.css", PACKAGE), body, lang=plan.lang) + "\n"


def words_of(plan: Plan) -> Mapping[str, Any]:
    """Return the words of the sheets of an exercise in its language."""
    words: Mapping[str, Any] = words_in(plan.lang)["handout"]
    return words


def _entry_names(chain: Chain, plan: Plan) -> dict[str, tuple[str, ...]]:
    unit = words_of(plan)["units"]
    in_language = partial(re.sub, r"\bunit (\d+)", lambda match: unit.format(n=match[1]))
    return {axis: tuple(map(in_language, names)) for axis, names in chain.names.items()}


def instructions(plan: Plan, where: str) -> str:
    """Return the paragraph of a student's sheet that explains the numbers and the task."""
    words = words_of(plan)
    steps = words["steps"].format(n=plan.steps) if plan.steps > 1 else ""
    sequences = words["sequences"].format(n=plan.batch) if plan.batch > 1 else ""
    parts = {"backward": plan.backward, "times": plan.steps > 1, "faded": plan.worked != "none"}
    further = [words[name] for name, is_said in parts.items() if is_said]
    task = [words["task"], words["coarse"]] if plan.require_decimals else [words["task"]]
    in_words = (sentence.format(decimals=ASKED_DECIMALS, where=where) for sentence in task)
    return " ".join([words["cell"].format(steps=steps, sequences=sequences), *further, *in_words])


def given_arrays(problem: Problem, plan: Plan) -> dict[str, Array]:
    """Return the arrays that a student's sheet gives by name: those of the backward pass only if that is asked."""
    arrays = problem.given_arrays()
    return {name: array for name, array in arrays.items() if plan.backward or name not in ("dh", "dc_next")}


def _nonlinearity_formulas(quantities: Sequence[Quantity]) -> str:
    """Return MathML of the nonlinearities that a student's sheet uses, each as a formula."""
    calls = [node for quantity in quantities for node in nodes(quantity.right) if isinstance(node, FunctionCall)]
    activations = {call.name: call.activation for call in calls if call.activation is not None}
    return " ".join(
        f"<span>{mathml.function_of_a(name)} {run(textbook(activation), '=')}</span>"
        for name, activation in activations.items()
    )


# Given arrays


def _given_tables(problem: Problem, chain: Chain, plan: Plan) -> Iterator[str]:
    """Yield an HTML figure for each given array of a student's sheet: the weights, inputs and states."""
    symbols = {formula(symbol): symbol for symbol, _ in chain.given}
    words, entry_names = words_of(plan), _entry_names(chain, plan)
    for name, array in given_arrays(problem, plan).items():
        symbol = symbols[name.replace("gamma", "γ").replace("beta", "β")]
        along = chain.program.axes[symbol] if symbol.base != "W" else (UNITS, COLUMNS)  # also if h and x are apart
        names = [entry_names[axis] for axis in along]
        before = [("rows", plan.steps)] if name == "x" else []
        axes = [axis for axis, size in [*before, ("batch", plan.batch)] if size > 1]
        heads, rows = [], []
        for place in np.ndindex(array.shape[:-1]):
            head = ", ".join(words[axis].format(n=k) for axis, k in zip(axes, place, strict=False))
            heads.append(names[0][place[0]] if len(names) > 1 else head)
            rows.append(tuple(number_markup(number(value)) for value in array[place]))
        rowed = [(text(head), row) for head, row in zip(heads, rows, strict=True)]
        tables = "".join(_split_tables(names[-1], rowed, "given", name, words))
        yield f"<figure{_hue_class(symbol, name)}><figcaption>{mathml.math(symbol)}</figcaption>{tables}</figure>\n"


# Asked and worked lines


def _line_tables(quantities: Sequence[Quantity], chain: Chain, plan: Plan, *, worked: bool = False) -> str:
    """Return HTML tables of a sheet's lines; lines of one step with the same entries share a table."""
    markup, words, entry_names = [], words_of(plan), _entry_names(chain, plan)
    for step, step_quantities in groupby(quantities, lambda one: one.step):
        if plan.steps > 1:
            markup.append(f"<h3>{words['all steps'] if step is None else words['step'].format(n=step)}</h3>")
        for names, group in groupby(step_quantities, lambda one: _quantity_labels(one, entry_names)):
            lines = list(group)
            rows = [row for quantity in lines for row in _table_rows(quantity, names, worked, words)]
            markup += _split_tables(names[-1], rows, "worked" if worked else "blank", lines[0].name, words)
    return "\n".join(markup)


def _quantity_labels(quantity: Quantity, entry_names: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    names = (entry_names[quantity.over], entry_names[quantity.across])
    return names if quantity.summed and quantity.key.ndim > 1 else names[:1]


def _table_rows(
    quantity: Quantity, names: Sequence[tuple[str, ...]], worked: bool, words: Mapping[str, Any]
) -> Iterator[TableRow]:
    """Yield the HTML rows of a quantity on a student's sheet: its equation or row label, and its cells."""
    term = quantity.term and f" ({mathml.math(quantity.first_term)} {run(quantity.term, '=')})"
    equation = (
        f'<span class="unseen">{text(quantity.equation)}</span>'
        f'<span aria-hidden="true"{_hue_class(quantity.symbol, quantity.name)}>'
        f"{mathml.math(quantity.symbol)} {run(quantity.right, '=')}{term or ''}</span>"
    )
    key = np.atleast_1d(worked_numbers(quantity))
    for place in np.ndindex(key.shape[:-1]):
        label = names[0][place[0]] if len(names) > 1 else words["batch"].format(n=place[0]) if place else ""
        head = [equation] * (not any(place)) + [f"<small>{text(label)}</small>"] * bool(label)
        yield " ".join(head), tuple(number_markup(f"{value:.4f}") if worked else "" for value in key[place])


def _split_tables(
    names: Sequence[str], rows: Sequence[TableRow], kind: str, label: str, words: Mapping[str, Any]
) -> Iterator[str]:
    """Yield rows of a student's sheet as an HTML table, or as several narrower tables."""
    headed = any(head for head, _ in rows)
    for start in range(0, len(names), WIDEST):
        part = slice(start, start + WIDEST)
        heads = "<td></td>" * headed + "".join(f'<th scope="col">{text(name)}</th>' for name in names[part])
        body = "".join(
            (f'<tr><th scope="row">{head}</th>' if headed else "<tr>")
            + f"{''.join(f'<td>{cell}</td>' for cell in cells[part])}</tr>"
            for head, cells in rows
        )
        table = f'<table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        widest = max(len(cell) + 3 for _, cells in rows for cell in cells[part])
        label_text = text(words["tables"].format(name=label, kind=words["kinds"][kind], first=names[start]))
        yield scrolled(table, label_text, widest * len(names[part])) + "\n"


def _hue_class(symbol: Symbol, name: str) -> str:
    """Return the class of a quantity's hue: its own, or that of the gate it belongs to."""
    last = name.partition("[")[0].rpartition("_")[2]
    hue = hue_of(symbol) or hue_of(Symbol(last))
    return f' class="{hue}"' if hue else ""
