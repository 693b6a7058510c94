"""The right answers, from gatewise's reference engine in float64, and the errors of a rival's.

``python -m bench.referee CASE FILE`` writes the answers of a case, which is given as JSON; it is a process of its own,
so that its memory is free again before anything is timed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from bench.cases import Case
from bench.problems import Answer, Problem

STEPS = 50  # of a stream
KEPT = 32  # about as many time steps of a long answer are compared; each depends on all before it
TOLERANCE = {"": 2e-5, "untraced": 2e-5, "bf16": 5e-2}
GRADIENT_TOLERANCE = {"": 1e-4, "untraced": 1e-4, "bf16": 1e-1}


def thinned(answer: Answer) -> Answer:
    """Return an answer with only some of the time steps, where an array has time."""
    every = max(1, len(answer["y"]) // KEPT) if "y" in answer else 1
    return {name: array if name.startswith("d_") else array[::every] for name, array in answer.items()}


def answers(problem: Problem) -> Answer:
    """Return what is right for a case, in float64."""
    import gatewise as gw

    case = problem.case
    if case.task == "start":
        return {}
    parameters = gw.Parameters(problem.weight.astype(np.float64), problem.bias.astype(np.float64))
    lstm = gw.LSTM.from_cells(parameters)
    x = np.repeat(problem.x, STEPS, axis=0) if case.task == "stream" else problem.x
    x = x.astype(np.float64)
    state = ((gw.State(problem.h.astype(np.float64), problem.c.astype(np.float64)),),)
    if case.task in ("stream", "infer"):
        return thinned({"y": lstm(x, state, engine="reference")[0]})
    trace = lstm.trace(x, state, engine="reference")
    if case.task == "trace":
        return thinned({"y": trace.output, "gates": trace[0].gates, "cell_state": trace[0].cell_state})
    gradients = gw.backward(trace, problem.dy.astype(np.float64))
    found = {"d_weight": gradients[0].weight, "d_bias": gradients[0].bias, "d_x": gradients.x}
    return thinned({"y": trace.output}) | found


def wrong(answer: Answer, right: Answer, remark: str) -> str | None:
    """Return what is wrong with an answer in one sentence, or None.

    Outputs, gates and cell states must be within `TOLERANCE`, relative to the largest where that is above 1;
    gradients within `GRADIENT_TOLERANCE` relative to the largest entry of their array.
    """
    needed = {"y"} if remark == "untraced" else set(right)
    if missing := sorted(needed - set(answer)):
        return f"it has no {missing[0]}"
    for name in sorted(needed):
        array, true = answer[name], right[name]
        if array.shape != true.shape:
            return f"{name} has shape {array.shape} and not {true.shape}"
        gradient = name.startswith("d_")
        error = np.abs(array - true).max() / max(np.abs(true).max(), 0 if gradient else 1)
        allowed = (GRADIENT_TOLERANCE if gradient else TOLERANCE)[remark]
        if not error <= allowed:  # also where it is NaN
            return f"{name} is off by {error:.1e}; {allowed:.0e} is allowed"
    return None


if __name__ == "__main__":
    np.savez(Path(sys.argv[2]), **answers(Problem.of(Case(**json.loads(sys.argv[1])))))
