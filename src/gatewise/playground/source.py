"""A step of a program as NumPy source, but for the numbers that it is given: the page writes those into it."""

from __future__ import annotations

from typing import Any

from gatewise.render import code, text
from gatewise.render.script import function_names, setup, wrapped
from gatewise.symbolic.formula import Formula
from gatewise.symbolic.nonlinearities import ARGUMENT, definition, textbook
from gatewise.symbolic.program import GRADIENT, Assignment, Program
from gatewise.walkthrough.setting import activations_of

Object = dict[str, Any]
TAKEN = ("show", "a")


def of_program(program: Program) -> Object:
    """Return the NumPy source of a program's step, without the numbers that it is given.

    Returns
    -------
    dict
        ``head``: the first lines. ``forward`` and ``backward``: each ``given``, pairs of a quantity and what it is
        called, whose numbers come next, and the ``lines`` that compute and print the rest.
    """
    allotted = code.Allotted(*TAKEN)
    functions = function_names(activations_of(program.form.variant), allotted)
    names = {symbol: allotted.name(symbol, code.identifier(symbol)) for symbol in program.axes}
    head = setup("all")
    for activation, name in functions.items():
        if activation.name != "tanh":
            body: Formula = textbook(activation) if activation.name == "sigmoid" else definition(activation)
            head += f"\n\n\ndef {name}(a):\n    return {code.expression(body, {ARGUMENT: 'a'})}"

    def source_lines(equations: tuple[Assignment, ...]) -> list[str]:
        lines = [f"{names[line.left]} = {code.expression(line.right, names, functions)}" for line in equations]
        printed = ", ".join(f"{name}={name}" for name in (names[line.left] for line in equations))
        return [*lines, "", wrapped(f"show({printed})", 5)]

    def variables(*, backward: bool) -> list[list[str]]:
        symbols = [given.symbol for given in program.given if (given.kind == GRADIENT) == backward]
        return [[text.formula(symbol), names[symbol]] for symbol in symbols]

    return {
        "head": head,
        "forward": {"given": variables(backward=False), "lines": source_lines(program.forward)},
        "backward": {"given": variables(backward=True), "lines": source_lines(program.backward)},
    }
