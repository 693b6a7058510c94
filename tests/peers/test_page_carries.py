"""A page names mistakes in what a step takes from others, and those made at every step, as a marked sheet does."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from peers.test_page_lesson import Run, case, judged, written

import gatewise as gw
from gatewise.grading.chain import Chain

pytestmark = pytest.mark.peers

STEPS = 5


@cache
def long_runs() -> list[Run]:
    """Return runs of one unit over several steps, with weights that let much through from step to step."""
    rng = np.random.default_rng(11)
    found = []
    for features in (1, 2, 3):
        weight = rng.normal(size=(4, 1, 1 + features))
        cell = gw.LSTMCell.from_parameters(gw.Parameters(weight, rng.normal(size=(4, 1)) + 0.5))
        state = gw.State(np.array([0.4]), np.array([-0.7]))
        found.append(Run(cell, rng.normal(size=(STEPS, features)).round(1), state))
    return found


def sigmoid(a: float) -> float:
    return 1 / (1 + np.exp(-a))


def worked_out(run: Run, mistake: str, here: int | None) -> list[dict[str, float]]:
    """Return the states of each step after a mistake: at one step, or (None) at every one."""
    p, x = run.trace.parameters, run.trace.input[:, 0]
    first = {"h": float(run.trace.initial.h[0, 0]), "c": float(run.trace.initial.c[0, 0])}
    states = [first]
    for t in range(STEPS):
        before = dict(states[-1])
        made, at = mistake if t and here in (None, t) else "", t
        if made == "no c":
            before["c"] = 0.0
        elif made == "no h":
            before["h"] = 0.0
        elif made == "first c":
            before["c"] = first["c"]
        elif made == "two ago":
            before["c"] = states[-2]["c"]
        elif made == "exchanged":
            before = {"h": before["c"], "c": before["h"]}
        if mistake == "reversed":
            at = STEPS - 1 - t
        z = np.array([before["h"], *x[at]])
        a = p.weight[:, 0] @ z + p.bias[:, 0]
        i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), np.tanh(a[2]), sigmoid(a[3])
        c = f * before["c"] + i * g
        plain = mistake == "no tanh" and here in (None, t)
        states.append({"c": c, "h": o * (c if plain else np.tanh(c)), "f": f})
    return states[1:]


KINDS = {
    "no c": "state not carried",
    "no h": "state not carried",
    "first c": "state not carried",
    "two ago": "state of two steps ago",
    "exchanged": "cell and hidden exchanged",
    "reversed": "inputs reversed",
    "no tanh": None,
}


def test_what_is_not_carried_is_named_as_on_a_sheet(tmp_path: Path) -> None:
    cases, planted = [], []
    for doc, run in enumerate(long_runs()):
        for mistake, kind in KINDS.items():
            for here in (None, 3):
                for name in ("c", "h"):
                    if (mistake in ("reversed", "no tanh") and here) or (mistake == "no tanh" and name == "c"):
                        continue
                    value = worked_out(run, mistake, here)[3][name]
                    cases.append(case(doc, 3, {name: written(value, 7)}, name))
                    planted.append((run, name, value, mistake, kind, here))
    assert len(cases) > 50
    found = [one[made["ref"]["name"]] for one, made in zip(judged(tmp_path, cases, long_runs()), cases, strict=True)]
    wrong = [(one, *made) for one, made in zip(found, planted, strict=True) if one["status"] == "wrong"]
    assert len(wrong) > 0.9 * len(found)
    named = [
        any(cause["kind"] == kind or (kind is None and "tanh" in cause["says"]) for cause in one["causes"])
        or one["more"] > 0
        for one, _, _, _, _, kind, _ in wrong
    ]
    missed = [
        (made, here, one["causes"])
        for (one, _, _, _, made, _, here), is_named in zip(wrong, named, strict=True)
        if not is_named
    ]
    assert sum(named) >= 0.9 * len(named), missed
    every = [one for one, _, _, _, mistake, _, here in wrong if here is None and mistake == "no h"]
    assert any("h_prev at every step" in cause["says"] for one in every for cause in one["causes"])
    both = shared = 0
    for one, run, name, value, *_ in wrong[::6]:
        (verdict,) = gw.check({f"{name}[3]": [float(written(value, 7))]}, Chain(run.trace), digits=7).verdicts
        assert verdict.status == one["status"]
        if verdict.causes and one["causes"]:
            both += 1
            shared += bool({cause.kind for cause in verdict.causes} & {cause["kind"] for cause in one["causes"]})
    assert both > 5
    assert shared >= 0.9 * both


def test_unrelated_numbers_at_later_steps_have_no_cause(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cases = []
    for doc, run in enumerate(long_runs()):
        for name in ("a_f", "c", "h"):
            right = run.trace.step(3, 0)
            value = {"c": float(right.cell_state[0]), "h": float(right.hidden_state[0])}.get(name, 0.8)
            for _ in range(25):
                off = float(rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 0) * max(abs(value), 0.1))
                cases.append(case(doc, 3, {name: written(value + off, 5)}, name))
    found = judged(tmp_path, cases, long_runs())
    named = [one for one, made in zip(found, cases, strict=True) if one[made["ref"]["name"]]["causes"]]
    assert len(named) <= 0.02 * len(cases)
