"""A step of a program as NumPy source, but for the numbers that it is given: the page writes those into it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from gatewise.render import code, text
from gatewise.render.script import PRINTED, SETUP, WIDTH
from gatewise.symbolic.formula import Formula
from gatewise.symbolic.nonlinearities import ARGUMENT, definition, textbook
from gatewise.symbolic.program import GRADIENT, Assignment, Program
from gatewise.walkthrough.setting import activations_of

Object = dict[str, Any]
TAKEN = ("show", "a")


def of_program(program: Program) -> Object:
    """Return the source of a step.

    Returns
    -------
    dict
        ``head``: what comes first. ``forward`` and ``backward``: each ``given``, pairs of a quantity and what it is
        called, whose numbers come next, and the ``lines`` that compute and print the rest.
    """
    allotted = code.Allotted(*TAKEN)
    activations = activations_of(program.form.variant)
    functions = {one: "np.tanh" if one.name == "tanh" else allotted.name(one, one.name) for one in activations}
    names = {symbol: allotted.name(symbol, code.identifier(symbol)) for symbol in program.axes}
    head = SETUP.format(printed=", ".join(f"{key}={json.dumps(value)}" for key, value in PRINTED.items()), quiet="all")
    for activation, name in functions.items():
        if activation.name != "tanh":
            body: Formula = textbook(activation) if activation.name == "sigmoid" else definition(activation)
            head += f"\n\n\ndef {name}(a):\n    return {code.expression(body, {ARGUMENT: 'a'})}"

    def lines(equations: tuple[Assignment, ...]) -> list[str]:
        made = [f"{names[one.left]} = {code.expression(one.right, names, functions)}" for one in equations]
        shown = ", ".join(f"{name}={name}" for name in (names[one.left] for one in equations))
        return [*made, "", _wrapped(f"show({shown})", 5)]

    def given(*, late: bool) -> list[list[str]]:
        kinds = [one.symbol for one in program.given if (one.kind == GRADIENT) == late]
        return [[text.formula(symbol), names[symbol]] for symbol in kinds]

    return {
        "head": head,
        "forward": {"given": given(late=False), "lines": lines(program.forward)},
        "backward": {"given": given(late=True), "lines": lines(program.backward)},
    }


def _wrapped(line: str, indent: int) -> str:
    """Return a line of code as several, broken within its brackets."""
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
