"""Likely mistakes of a wiring's programs, as trees that the page evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, EquationEdit, Scene
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.render import text
from gatewise.render.program import formula_tree, nonlinearity_json
from gatewise.symbolic.formula import Formula, FunctionCall, Symbol, nodes
from gatewise.symbolic.wiring import Wiring

Object = dict[str, Any]


def of_wiring(wiring: Wiring) -> list[Object]:
    """Return the edits of each program of a wiring, in the order of `render.program.of_wiring`."""
    programs = wiring.programs.items()
    return [edits(Scene(program, p.recurrent_size, p.recurrent_size + p.input_size)) for program, p in programs]


def edits(scene: Scene) -> Object:
    """Return the likely edits (mistakes) of a program as plain data for the page.

    Returns
    -------
    dict
        ``edits``: each with its ``kind``, its ``words`` (``{}`` stands for the equation), its ``target``, and the
        number of the right side that it makes, ``form``. ``forms``: these right sides, as trees. ``families``: edits
        that are one mistake, made in several equations: the numbers of its ``members``, its ``words`` for any of them,
        the ``lines`` that these name, the ``gates`` that k stands for, and whether k is the gate of ``each`` line.
        ``nonlinearities``: what the trees call beside the functions of every page, defined.
    """
    likely = [(edit, left) for left, edits in enumerate_edits(scene).items() for edit in edits if edit.tier == LIKELY]
    forms = list(dict.fromkeys(edit.right for edit, _ in likely))
    numbers = {right: number for number, right in enumerate(forms)}
    return {
        "edits": [
            {"kind": edit.kind, "words": edit.words, "target": text.formula(left), "form": numbers[edit.right]}
            for edit, left in likely
        ],
        "forms": [formula_tree(right) for right in forms],
        "families": _edit_families(likely),
        "nonlinearities": [nonlinearity_json(activation) for activation in _activations(forms)],
    }


def _edit_families(likely: Sequence[tuple[EquationEdit, Symbol]]) -> list[Object]:
    """Return the likely mistakes that are made in several equations of a pass, in each once, for the page."""
    families: dict[object, dict[Symbol, int]] = {}
    for number, (edit, left) in enumerate(likely):
        families.setdefault(words.family_key(edit, left, left.d), {}).setdefault(left, number)
    several = [[*members.values()] for members in families.values() if len(members) > 1]
    return [
        {"members": members, **words.family_words([likely[number] for number in members])._asdict()}
        for members in several
    ]


def _activations(forms: Sequence[Formula]) -> list[Activation]:
    """Return the nonlinearities that the forms call, without those that every page has."""
    calls = (node.activation for form in forms for node in nodes(form) if isinstance(node, FunctionCall))
    return [activation for activation in dict.fromkeys(calls) if activation not in (None, SIGMOID, TANH)]
