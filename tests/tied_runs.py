"""Runs full of ties, and every answer about them without its decimals: rounding may change none of these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import gatewise as gw
from gatewise.walkthrough.parts import Sentence

DECIMAL = re.compile(r"[-−]?\d+\.\d+(e[+-]?\d+)?|[-−]?\d+e[+-]?\d+")
QUESTIONS = ("activity", "contributions", "influence", "saturation", "timescales")
OF_NETWORKS = ("attribution", "ceiling", "occlusion", "word_scores", "ablation", "horizon")


def periodic(dtype: type) -> gw.NetworkTrace:
    """Return a run whose input comes back every ten steps: after a while, so does everything else."""
    x = np.tile(np.random.default_rng(1).normal(size=(10, 2)), (12, 1)).astype(dtype)
    lstm = gw.LSTM(2, 5, rng=3, dtype=dtype)
    head = gw.Linear(np.random.default_rng(2).normal(size=(2, 5)).astype(dtype), None)
    return gw.Network(lstm, head=head).trace(x)


def twins(dtype: type) -> gw.NetworkTrace:
    """Return a run of which units 0 and 1, and 2 and 3, are equal, and units 4 and 5 but for their signs."""
    rng = np.random.default_rng(5)
    pairs = np.repeat(rng.normal(size=(4, 3, 3)), 2, axis=1)
    pairs[2, 5] *= -1
    weight = np.concatenate([np.zeros((4, 6, 6)), pairs], axis=-1)
    weight[..., :6] = np.repeat(rng.normal(size=(4, 3, 6)), 2, axis=1) * [1, 1, 1, 1, 0, 0]
    weight[2, 5, :6] *= -1
    bias = np.repeat(rng.normal(size=(4, 3)), 2, axis=1)
    bias[2, 5] *= -1
    lstm = gw.LSTM.from_cells(gw.Parameters(weight.astype(dtype), bias.astype(dtype)))
    head = gw.Linear(np.array([[1, 1, 1, 1, 1, -1], [1, 1, 1, 1, 1, -1]], dtype), None)
    return gw.Network(lstm, head=head).trace(np.random.default_rng(6).normal(size=(60, 3)).astype(dtype))


def at_bounds(dtype: type) -> gw.NetworkTrace:
    """Return a run whose gates are at 0.1, 0.5 and 0.9, the bounds of answers about them, and whose sums are 0."""
    variant = gw.Variant(
        **{f"{gate}_activation": gw.Activation("hard_sigmoid", 0.2, 0.5) for gate in ("input", "forget", "output")}
    )
    weight = np.zeros((4, 3, 6))
    weight[:, :, 3:] = [[[0.1, 0.2, -0.3]], [[0.3, 0.3, -0.6]], [[0.5, 0.7, -1.2]], [[0.1, 0.1, -0.2]]]
    bias = np.array([[2, -2, 0], [2, -2, 0], [1, -1, 0], [2, -2, 0]], float)
    lstm = gw.LSTM.from_cells(gw.Parameters(weight.astype(dtype), bias.astype(dtype), variant=variant))
    x = np.where(np.arange(40)[:, None] % 4 == 0, [[1.0, 0.5, 2.0]], [[1.0, 1.0, 1.0]]).astype(dtype)
    return gw.Network(lstm, head=gw.Linear(np.ones((1, 3), dtype), None)).trace(x)


def latched(dtype: type) -> gw.NetworkTrace:
    """Return a run of the latch that holds each bit for exactly twenty steps."""
    from gatewise.examples import latch

    x = np.zeros((200, 3))
    x[:, 0], x[::20, 1] = np.random.default_rng(0).choice([-1.0, 1.0], 200), 1
    lstm = gw.LSTM.from_cells(latch().cell).astype(dtype)
    return gw.Network(lstm).trace(x.astype(dtype))


DTYPES = (np.float32, np.float64)
RUNS = {"periodic": periodic, "twins": twins, "at bounds": at_bounds, "latched": latched}


def noisy(run: gw.NetworkTrace, rng: np.random.Generator, epsilons: float = 8) -> gw.NetworkTrace:
    """Return a run as another CPU could have made it: with each number rounded another way, but 0 and 1."""

    def rounded(array: Any) -> Any:
        by = epsilons * np.finfo(array.dtype).eps * np.abs(array).max()
        moved = (array + by * rng.uniform(-1, 1, array.shape)).astype(array.dtype)
        return np.where(np.isin(array, (0, 1, -1)), array, moved)

    layers = tuple(
        {
            way: replace(cell, arrays={name: rounded(array) for name, array in cell.arrays.items()})
            for way, cell in row.items()
        }
        for row in run.lstm.layers
    )
    return replace(run, lstm=replace(run.lstm, layers=layers), output=rounded(run.output))


def decisions(answer: Any) -> dict[str, Any]:
    """Return what an answer decides: its sentences without their decimals, and its columns that are no decimals."""
    texts = [DECIMAL.sub("#", text) for text in (str(answer), *answer.reading)]
    kept = {name: column.tolist() for name, column in answer.columns.items() if column.dtype.kind in "biuUS"}
    return {"sentences": texts, "columns": kept}


def answers(run: gw.NetworkTrace) -> Iterator[tuple[str, Any]]:
    """Yield the decisions of every question that a run is asked."""
    for name in QUESTIONS:
        yield name, decisions(getattr(gw.insight, name)(run.lstm[0]))
    for name in OF_NETWORKS:
        yield name, decisions(getattr(gw.insight, name)(run))
    states = run.lstm[0].cell_state[:, 0] if run.lstm[0].batched else run.lstm[0].cell_state
    threshold = float(np.median(np.abs(states)))
    yield "fixed points", decisions(gw.insight.fixed_points(run.lstm[0], starts=4))["columns"]
    yield "matches", len(gw.insight.matches(run.lstm[0], 3, 5, quantity="cell_state", threshold=-threshold).places)
    step = run.lstm[0].step(len(states) - 1, 0)
    for quantity in ("forget_gate", "candidate"):
        yield quantity, [[term.name for term in step.terms(quantity, unit).terms] for unit in range(states.shape[1])]
    sections = gw.walk(step, backward=True).sections
    blocks = [block for section in sections if section.key != "gradient_check" for block in section.blocks]
    yield "walk", [DECIMAL.sub("#", "".join(map(str, block.text))) for block in blocks if isinstance(block, Sentence)]


def all_answers(run: gw.NetworkTrace) -> dict[str, Any]:
    """Return the decisions of all questions, and those of a report, by name."""
    found = {"report": DECIMAL.sub("#", str(gw.report(run))), **dict(answers(run))}
    return json.loads(json.dumps(found))


def answers_about_all() -> dict[str, Any]:
    """Return the decisions about every run, in both precisions."""
    return {f"{name}, {dtype.__name__}": all_answers(of(dtype)) for name, of in RUNS.items() for dtype in DTYPES}
