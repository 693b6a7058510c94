"""Likely mistakes of a wiring's programs, as trees that the page evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, ProgramEdit, Scene
from gatewise.grading.edits.enumeration import PossibleEdit, enumerate_edits
from gatewise.render import text
from gatewise.render.program import formula_tree
from gatewise.symbolic.formula import Formula, FunctionCall, Symbol, nodes
from gatewise.symbolic.nonlinearities import ARGUMENT, apply, definition
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
    likely = [possible for possible in enumerate_edits(scene) if possible.edit.tier == LIKELY]
    forms = list(dict.fromkeys(possible.right for possible in likely))
    numbers = {right: number for number, right in enumerate(forms)}
    return {
        "edits": [
            {
                "kind": possible.edit.kind,
                "words": possible.edit.words,
                "target": text.formula(possible.edit.target),
                "form": numbers[possible.right],
            }
            for possible in likely
        ],
        "forms": [formula_tree(right) for right in forms],
        "families": _edit_families(likely),
        "nonlinearities": [_nonlinearity(activation) for activation in _activations(forms)],
    }


def _edit_families(likely: Sequence[PossibleEdit]) -> list[Object]:
    """Return the likely mistakes that are made in several equations of a pass, in each once, for the page."""
    families: dict[object, dict[Symbol, int]] = {}
    for number, possible in enumerate(likely):
        edit = possible.edit
        gate = words.gate_of(edit.target)
        key = edit.kind, words.for_any_gate(edit.words, gate), edit.target.d, bool(gate)
        families.setdefault(key, {}).setdefault(edit.target, number)
    return [
        {"members": [*members.values()], **_family_words([likely[number].edit for number in members.values()])}
        for members in families.values()
        if len(members) > 1
    ]


def _family_words(members: Sequence[ProgramEdit]) -> Object:
    """Return the words of one mistake made in several equations, and the equations and gates they are about."""
    targets = [edit.target for edit in members]
    names = [text.formula(target) for target in targets]
    if all(edit.words == members[0].words for edit in members):
        return {"words": members[0].words, "lines": names, "gates": [], "each": False}
    gates = list(dict.fromkeys(map(words.gate_of, targets)))
    general = [words.for_any_gate(name, words.gate_of(target)) for name, target in zip(names, targets, strict=True)]
    general = list(dict.fromkeys(general))
    is_general = len(general) * len(gates) == len(names)
    return {
        "words": words.for_any_gate(members[0].words, gates[0]),
        "lines": general if is_general else names,
        "gates": gates,
        "each": not is_general,
    }


def _activations(forms: Sequence[Formula]) -> list[Activation]:
    """Return the nonlinearities that the forms call, without those that every page has."""
    calls = (node.activation for form in forms for node in nodes(form) if isinstance(node, FunctionCall))
    return [activation for activation in dict.fromkeys(calls) if activation not in (None, SIGMOID, TANH)]


def _nonlinearity(activation: Activation) -> Object:
    plain = {"name": apply(activation, ARGUMENT).name, "alpha": activation.alpha, "beta": activation.beta}
    return {**plain, "definition": formula_tree(definition(activation))}
