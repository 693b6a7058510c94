"""Likely mistakes of a wiring's programs, as trees that the page evaluates."""

from __future__ import annotations

from typing import Any

from gatewise.grading.edits.edit import LIKELY, EditContext
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.render import text
from gatewise.render.program import formula_tree
from gatewise.symbolic.wiring import Wiring

Object = dict[str, Any]
TERMS = ("missing bias", "missing term", "missing factor", "missing part", "1 - left out", "missing power")
FUNCTIONS = ("no tanh on the cell", "no nonlinearity", "forgotten derivative")
PARTS = ("missing clip", "missing projection", "missing division", "missing layer norm")
STATES = ("old cell for the new", "new cell for the old", "hidden for cell", "cell for hidden")
GATES = ("another gate", "another gate's weights", "another gate's bias", "forget and input exchanged")
ORDER = ("order of [h; x]",)
OTHERS = ("one minus a gate", "sigmoid for tanh", "tanh for sigmoid", "order of operations", "doubled bias")
SLOPES = ("derivative of the sum", "derivative twice", "another gradient")
USUAL = ("missing bias", *ORDER, "wrong sign")  # told even if few digits cannot tell them from others
SLIPS = (*FUNCTIONS, *TERMS, *PARTS, *STATES, "wrong sign", *ORDER, *GATES, *OTHERS, *SLOPES)  # the likeliest first


def of_wiring(wiring: Wiring) -> list[Object]:
    """Return the edits of each program of a wiring, in the order of `render.program.of_wiring`."""
    programs = wiring.programs.items()
    return [edits(EditContext(program, p.recurrent_size, p.recurrent_size + p.input_size)) for program, p in programs]


def edits(context: EditContext) -> Object:
    """Return the learner's slips in a program (edits of its equations) as plain data for the page, the likeliest first.

    Returns
    -------
    dict
        ``edits``: each with its ``kind``, its ``words`` (``{}`` stands for the equation), its ``target``, and the
        number of the right side that it makes, ``form``. ``forms``: these right sides, as trees. ``usual``: kinds that
        a person is told even if few digits cannot tell them from others.
    """
    every = [(edit, left) for left, edits in enumerate_edits(context).items() for edit in edits if edit.tier == LIKELY]
    likely = sorted((pair for pair in every if pair[0].kind in SLIPS), key=lambda pair: SLIPS.index(pair[0].kind))
    forms = list(dict.fromkeys(edit.right for edit, _ in likely))
    numbers = {right: number for number, right in enumerate(forms)}
    return {
        "edits": [
            {
                "kind": edit.kind,
                "words": edit.words.replace("^2", "²"),  # formulas as the page writes them
                "target": text.formula(left),
                "form": numbers[edit.right],
            }
            for edit, left in likely
        ],
        "usual": USUAL,
        "forms": [formula_tree(right) for right in forms],
    }
