"""A student's sheet as a page to print: tables of the given arrays, and blanks for the asked quantities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

import numpy as np

from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.exercise import Plan, worked_numbers
from gatewise.grading.problem import Problem
from gatewise.grading.roster import Student
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
    title = "An LSTM cell by hand"
    where = "the blanks, or into the .csv file or the notebook beside this page"
    given_tables = "".join(_given_tables(problem, chain, plan))
    worked_tables = f"<h2>Worked for you</h2>\n{_line_tables(worked, chain, plan, worked=True)}" if worked else ""
    body = f"""<main class="sheet">
<header><h1>{title}</h1><p class="whose">{text(student.name)}</p></header>
<p>{escape(instructions(plan, where))}</p>
<h2>What is given</h2>
<div class="given">{given_tables}</div>
<p class="functions">{_nonlinearity_formulas([*worked, *quantities])}</p>
{worked_tables}
<h2>What is asked</h2>
{_line_tables(quantities, chain, plan)}
</main>"""
    return document(f"{title}: {student.name}", style("handout.css", PACKAGE), body) + "\n"


def instructions(plan: Plan, where: str) -> str:
    """Return the paragraph of a student's sheet that explains the numbers and the task."""
    steps = f" over {plan.steps} steps" if plan.steps > 1 else ""
    batch = f" for a batch of {plan.batch} sequences" if plan.batch > 1 else ""
    paragraph = (
        f"One LSTM cell{steps}{batch}, with your own numbers. A weight matrix has a row for each unit and a column for"
        " each entry of the combined input z = [h_prev; x]. The pre-activation a_f is the input of the forget gate's"
        " nonlinearity, and f its output; likewise for i (input gate), g (candidate) and o (output gate)."
    )
    if plan.backward:
        paragraph += " The loss is the sum of the last h; df is the derivative of the loss with respect to f."
    if plan.steps > 1:
        paragraph += " f[1] is f at step 1; steps count from 0."
    if plan.worked != "none":
        paragraph += " The first lines are worked for you: continue with their numbers as they are printed."
    return f"{paragraph} Work out each quantity to at least 4 decimals and write it into {where}."


def _nonlinearity_formulas(quantities: Sequence[Quantity]) -> str:
    """Return MathML of the nonlinearities that a student's sheet uses, each as a formula."""
    calls = [node for quantity in quantities for node in nodes(quantity.right) if isinstance(node, FunctionCall)]
    activations = {call.name: call.activation for call in calls if call.activation is not None}
    formulas = []
    for name, activation in activations.items():
        left = mathml.function_of_a(name)
        formulas.append(f"<span>{left} {run(textbook(activation), '=')}</span>")
    return " ".join(formulas)


# Given arrays


def _given_tables(problem: Problem, chain: Chain, plan: Plan) -> Iterator[str]:
    """Yield an HTML figure for each given array of a student's sheet: the weights, inputs and states."""
    symbols = {formula(symbol): symbol for symbol, _ in chain.given}
    for name, array in problem.given_arrays().items():
        if not plan.backward and name in ("dh", "dc_next"):
            continue
        symbol = symbols[name.replace("gamma", "γ").replace("beta", "β")]
        along = chain.program.axes[symbol] if symbol.base != "W" else (UNITS, COLUMNS)  # also if h and x are apart
        names = [chain.names[axis] for axis in along]
        before = [("step", plan.steps)] if name == "x" else []
        axes = [axis for axis, size in [*before, ("sequence", plan.batch)] if size > 1]
        heads, rows = [], []
        for place in np.ndindex(array.shape[:-1]):
            head = ", ".join(f"{axis} {k}" for axis, k in zip(axes, place, strict=False))
            heads.append(names[0][place[0]] if len(names) > 1 else head)
            rows.append(tuple(number_markup(number(value)) for value in array[place]))
        rowed = [(text(head), row) for head, row in zip(heads, rows, strict=True)]
        tables = "".join(_split_tables(names[-1], rowed, "given", name))
        yield f"<figure{_hue_class(symbol, name)}><figcaption>{mathml.math(symbol)}</figcaption>{tables}</figure>\n"


# Asked and worked lines


def _line_tables(quantities: Sequence[Quantity], chain: Chain, plan: Plan, *, worked: bool = False) -> str:
    """Return HTML tables of a sheet's lines; lines of one step with the same entries share a table."""
    markup = []
    for step, step_quantities in groupby(quantities, lambda one: one.step):
        if plan.steps > 1:
            markup.append(f"<h3>{'All steps together' if step is None else f'Step {step}'}</h3>")
        for names, group in groupby(step_quantities, lambda one: _quantity_labels(one, chain)):
            lines = list(group)
            rows = [row for quantity in lines for row in _table_rows(quantity, names, worked)]
            markup += _split_tables(names[-1], rows, "worked" if worked else "blank", lines[0].name)
    return "\n".join(markup)


def _quantity_labels(quantity: Quantity, chain: Chain) -> tuple[tuple[str, ...], ...]:
    """Return the labels of the last axes of a quantity."""
    names = (chain.names[quantity.over], chain.names[quantity.across])
    return names if quantity.summed and quantity.key.ndim > 1 else names[:1]


def _table_rows(quantity: Quantity, names: Sequence[tuple[str, ...]], worked: bool) -> Iterator[TableRow]:
    """Yield the HTML rows of a quantity on a student's sheet: its equation or row label, and its cells."""
    term = quantity.term and f", where {mathml.math(quantity.first_term)} {run(quantity.term, '=')} of step 0"
    equation = (
        f'<span class="unseen">{text(quantity.equation)}</span>'
        f'<span aria-hidden="true"{_hue_class(quantity.symbol, quantity.name)}>'
        f"{mathml.math(quantity.symbol)} {run(quantity.right, '=')}{term or ''}</span>"
    )
    key = np.atleast_1d(worked_numbers(quantity))
    for place in np.ndindex(key.shape[:-1]):
        label = names[0][place[0]] if len(names) > 1 else f"sequence {place[0]}" if place else ""
        head = [equation] * (not any(place)) + [f"<small>{text(label)}</small>"] * bool(label)
        yield " ".join(head), tuple(number_markup(f"{value:.4f}") if worked else "" for value in key[place])


def _split_tables(names: Sequence[str], rows: Sequence[TableRow], kind: str, label: str) -> Iterator[str]:
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
        label_text = text(f"{label}, {kind}, from {names[start]}")
        yield scrolled(table, label_text, widest * len(names[part])) + "\n"


def _hue_class(symbol: Symbol, name: str) -> str:
    """Return the class of a quantity's hue: its own, or that of the gate it belongs to."""
    last = name.partition("[")[0].rpartition("_")[2]
    hue = hue_of(symbol) or hue_of(Symbol(last))
    return f' class="{hue}"' if hue else ""
