"""The laws of edited runs once more, over all pairs of subjects: only time is heavy here."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from cases import DIRECTIONS, LISTED, PROJECTIONS, VALID, run_of
from edited_walks import FIXTURES, HELD, SUBJECTS, hold
from pairwise import pairs

import gatewise as gw
from gatewise.records.edits import EDITABLE
from gatewise.walkthrough.notation import NOTATIONS

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("few_differences")]

from peers.torch_cell import TorchCell  # noqa: E402  (needs PyTorch)


def readable(case):
    """Leave out what a law has no reader of: units that are expanded."""
    return not (case.get("law") in ("JSON", "every format") and case.get("way") == "expanded")


@pairs(**SUBJECTS, law=HELD, notation=NOTATIONS, allowed=readable)
def test_every_format_shows_edits_with_numbers_that_follow(
    variant, projection, dropout, turn, way, law, notation, monkeypatch, request
):
    request.getfixturevalue(FIXTURES.get(law, "few_differences"))
    hold(law, monkeypatch, variant, projection, dropout, turn, way, notation)


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
    rng = np.random.default_rng(1)
    dy, end = rng.normal(size=other.hidden_state.shape), [rng.normal(size=part.shape) for part in run.state]
    leaves = run.p.arrays() | {"x": run.x, "h0": run.state.h, "c0": run.state.c}
    leaves = {name: torch.tensor(np.array(array), requires_grad=True) for name, array in leaves.items()}
    trace = run.trace(edit=edits)
    masks = {name: torch.tensor(np.array(mask)) for name, mask in trace.dropout.arrays().items()}
    steps, *final = TorchCell(run.p.variant, leaves, in_torch).run(
        leaves["x"],
        leaves["h0"],
        leaves["c0"],
        masks,
        valid=None if run.valid is None else torch.tensor(run.valid),
        reverse=direction == "backward",
    )
    loss = (steps["h"] * torch.tensor(dy)).sum()
    (loss + sum((part * torch.tensor(by)).sum() for part, by in zip(final, end, strict=True))).backward()
    kept = {"c": trace.cell_state, "h": trace.hidden_state}
    assert_agree(kept, {name: steps[name].detach() for name in kept}, 1e-12)
    found = gw.backward(trace, dy, gw.State(*end))
    got = found.parameters | {"x": found.x, "h0": found.state.h, "c0": found.state.c}
    assert_agree(got, {name: tensor.grad for name, tensor in leaves.items()}, 1e-10)
