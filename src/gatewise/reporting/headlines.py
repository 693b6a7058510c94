"""The sentences on top of a report: each sums up one answer."""

from __future__ import annotations

import numpy as np

from gatewise.insight import Ablation, Ceiling, Horizon, Occlusion, Probe
from gatewise.insight.ceiling import BEFORE_SOFTMAX, WITHOUT_SKIP
from gatewise.insight.naming import duration_of, step_noun


def memory(answer: Horizon) -> str:
    """Return how long a change of the input shows in the output."""
    noun = step_noun(answer.step_duration)
    if not answer.stable:
        return "The run is unstable: small changes of the input grow, so that no memory horizon can be told."
    if not answer.curve.any():
        return f"No change of one {noun}'s input shows in {answer.title}{answer.longest_trace}."
    least = "at least " if answer.at_least else ""
    times = [f"for {least}{duration_of(answer.steps, answer.step_duration)}"] if answer.steps else []
    if answer.ahead:
        times.append(f"at up to {duration_of(answer.ahead, answer.step_duration)} before it")
    when = " and ".join(times) or f"mostly at that {noun}"
    return f"A change of one {noun}'s input shows in {answer.title} {when}{answer.longest_trace}."


def why(answer: Occlusion) -> str:
    """Return the steps that an output rests on, and the output without them."""
    if not answer.named:
        return ""
    name = answer.target[0].upper() + answer.target[1:]
    experiment = f"with {answer.tried_names} exchanged for others, {answer.outcome} on average"
    return f"{name} is {answer.value:.4g}; {experiment}."


def units(answer: Ablation) -> str:
    """Return what becomes of the output without the unit that has the largest effect; nothing of a single unit."""
    clause, apart, _ = answer.sentence.rpartition("; ")  # after which the others are counted
    return f"{clause}." * bool(apart and len(answer.names) > 1)


def limits(answer: Ceiling) -> str:
    """Return the largest value that an output can reach, if the model limits it, and the largest that it reached."""
    if answer.output is None or answer.own_range[0] or answer.measures[0].quantity.endswith(BEFORE_SOFTMAX):
        return ""
    if WITHOUT_SKIP in answer.sentence:  # which has no limit
        return ""
    measure, largest = answer.measures[0], float(np.nanmax(answer.output[:, 0]))
    name = "output" if measure.quantity == "output" else measure.quantity
    unit = f" {measure.unit}" if measure.unit else ""
    return (
        f"The model cannot bring its {name} above {answer.ceiling[0]:.4g}{unit}, whatever its input; it came to"
        f" {largest:.4g}{unit}."
    )


def carrier(answer: Probe) -> str:
    """Return the unit that carries values beside the input; nothing if none is found."""
    clause, _, _ = answer.sentence.rpartition("; all together ")  # the last one: names come before it
    return f"{clause or answer.sentence.removesuffix('.')}." if answer.found > 0 else ""
