"""Edited runs, and what PyTorch makes of the same edits under autograd."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DIRECTIONS, LISTED, PROJECTIONS, VALID, run_of
from pairwise import pairs

import gatewise as gw
from gatewise.records.edits import EDITABLE

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("few_differences")]

from peers.torch_cell import assert_like_autograd  # noqa: E402  (needs PyTorch)


def edit_in_torch(action, name, value, units, steps):
    """Return an edit as PyTorch computes it, under autograd."""

    def edit(letter, t, q):
        if letter != EDITABLE[name] or t not in steps:
            return q
        touched = torch.zeros(q.shape[-1], dtype=bool)
        touched[units] = True
        made = {
            "set": lambda: torch.full_like(q, value if action == "set" else 0),
            "scale": lambda: q * value,
            "clamp": lambda: torch.clamp(q, *value),
            "patch": lambda: torch.tensor(np.nan_to_num(value[t])),  # NaN where no step runs
        }[action]()
        return torch.where(touched, made, q)

    return edit


@pairs(
    variant=LISTED,
    first=EDITABLE,
    second=EDITABLE,
    turn=range(4),
    direction=DIRECTIONS,
    projection=PROJECTIONS,
    valid=VALID,
    dropout=(False, True),
)
def test_an_edited_run_is_what_autograd_makes_of_it(
    variant, first, second, turn, direction, projection, valid, dropout
):
    run = run_of(variant, direction=direction, projection=projection, valid=valid, dropout=dropout, time=5)
    other = run.replace(x=-run.x).trace(engine="reference")
    actions = ("set", "scale", "clamp", "patch")
    given = {"set": 0.3, "scale": -0.7, "clamp": (-0.1, 0.2)}
    named = [  # what is edited twice, too, one after the other
        (actions[(turn + n) % 4], name, units, steps)
        for n, (name, units, steps) in enumerate(
            [(first, [0, 2], [1, 2, 4]), (second, [1, 2], [0, 2]), (first, [2], [2])]
        )
    ]
    values = [given.get(action, None if action != "patch" else other.quantity(name)) for action, name, *_ in named]
    edits = [
        gw.Edit.patch(name, other, units=units, steps=steps)
        if action == "patch"
        else gw.Edit(name, action, value, units=units, steps=steps)
        for (action, name, units, steps), value in zip(named, values, strict=True)
    ]
    in_torch = [
        edit_in_torch(action, name, value, units, steps)
        for (action, name, units, steps), value in zip(named, values, strict=True)
    ]
    assert_like_autograd(run, edits, in_torch)
