"""The sentences on top of a report: each sums up one answer."""

from __future__ import annotations

import numpy as np

from gatewise.insight import Ablation, Ceiling, Horizon, Occlusion, Probe, Saturation
from gatewise.insight.ceiling import BEFORE_SOFTMAX, WITHOUT_SKIP
from gatewise.insight.exchanges import MOST_OUTPUTS
from gatewise.insight.naming import duration_of, step_noun
from gatewise.margins import TIE
from gatewise.reporting.inputs import InputUse
from gatewise.reporting.misfit import Misfit
from gatewise.reporting.overview import Overview
from gatewise.reporting.stability import Stability
from gatewise.reporting.subject import ReportSubject
from gatewise.reporting.training import Training
from gatewise.showing import counted

NEAR = 0.1  # of the range below a ceiling: an output that comes no nearer does not meet it
CLEARLY = 2.0  # times the effect of the next input
UNEVEN = 0.5  # of the squared error: if the worst tenth of the steps makes as much, a headline says so
DEAD = 0.25  # of the units: if more hardly move, something may be wrong
STUCK = 0.75  # of the units: if more have a gate that never moves, the cell is saturated


def still(answer: Overview) -> str:
    """Return that outputs never change, or that all are equal."""
    return answer.still


def memory(answer: Horizon) -> str:
    """Return how long a change of the input shows in the output, over how many outputs, and what that rests on."""
    noun = step_noun(answer.step_duration)
    if not answer.stable:
        return "The run is unstable: small changes of the input grow, so that no memory horizon can be told."
    if not answer.curve.any():
        return f"No change of one {noun}'s input shows in {answer.title}{answer.longest_trace}."
    least, least_ahead = ("at least " if each else "" for each in (answer.at_least, answer.ahead_at_least))
    times = [f"for {least}{duration_of(answer.steps, answer.step_duration)}"] if answer.steps else []
    if answer.ahead:
        times.append(f"at {least_ahead or 'up to '}{duration_of(answer.ahead, answer.step_duration)} before it")
    when = " and ".join(times) or f"mostly at that {noun}"
    others = ""
    longest = np.maximum(answer.outputs_steps, answer.outputs_ahead)
    if len(answer.outputs) > 1 and longest.min() < longest.max():
        low, high = (duration_of(int(each), answer.step_duration) for each in (longest.min(), longest.max()))
        low = low.removesuffix(f" {noun}s") if high.endswith(f" {noun}s") else low
        some = " that vary most" if len(answer.outputs) == MOST_OUTPUTS else ""
        others = f", {low} to {high} over the {len(answer.outputs)} outputs{some}"
    rests = f" ({counted(answer.exchanges, 'exchange')})" if answer.exchanges else ""
    return f"A change of one {noun}'s input shows in {answer.title} {when}{others}{rests}{answer.longest_trace}."


def memory_surprise(answer: Horizon) -> float:
    """Return the surprise of a horizon: a long one, or an unstable run, the most."""
    if not answer.stable:
        return 4.0
    return 2.0 + 0.25 * float(np.log10(1 + max(answer.steps, answer.ahead)))


def memory_call(answer: Horizon, subject: ReportSubject) -> str:
    """Return the call that repeats a horizon."""
    output = f", output={subject.target}" if answer.output else ""
    return f"gw.insight.horizon({_run(subject)}{output})"


def _run(subject: ReportSubject) -> str:
    return f"run.sequence({subject.sequence})" if subject.has_named_sequence else "run"


def uses(answer: InputUse) -> str:
    """Return a fault of the inputs, or what the output uses and what it ignores."""
    if answer.leak:
        explained = f"{100 * float(answer.explained[answer.names.index(answer.leak)]):.0f} %"
        return (
            f"Input {answer.leak} explains {explained} of {answer.output} at the same step by itself: check whether it"
            " contains what the model should predict."
        )
    if answer.outside:
        return f"Input {answer.outside[0]}: this run lies outside what the model was made for."
    if not answer.shares.any():
        return answer.sentence
    if len(answer.names) == 1:
        return ""
    return answer.sentence if answer.ignored or answer.constant or answer.shares[0] > CLEARLY * answer.shares[1] else ""


def uses_surprise(answer: InputUse) -> float:
    """Return the surprise in the use of inputs: a leak, inputs that are ignored or outside the range, the most."""
    return 4.0 if answer.leak or answer.outside or not answer.shares.any() else 2.2 if answer.ignored else 1.2


def uses_call(answer: InputUse, subject: ReportSubject) -> str:
    """Return the call that holds the input which a headline names."""
    if len(answer.constant) == len(answer.names):
        return ""
    name = answer.leak or (answer.ignored[0] if answer.ignored else answer.names[0])
    return f"gw.insight.effect({_run(subject)}, input={name!r}, scale=0, output={subject.target})"


def uses_stability(answer: InputUse) -> Stability:
    """Return whether all orders of the steps name the same input."""
    same = len({*answer.tops}) == 1
    if len(answer.constant) == len(answer.names):
        return Stability()
    checks = f"Repeated: {'the same input moves the output most' if same else 'different inputs lead'} in all orders."
    if not same and not (answer.leak or answer.outside or answer.ignored or answer.constant):
        return Stability("unstable over seeds", checks)
    return Stability("", checks)


def untrained(answer: Training) -> str:
    """Return that the weights look untrained, if they do."""
    return answer.sentence if answer.looks_untrained else ""


def stuck(answer: Saturation) -> str:
    """Return that many units hardly move, or that most have a gate that never does; nothing of a few."""
    units, moves = len(answer.stuck[0]), "never moves from one side on this input"
    if answer.dead is not None and answer.dead.sum() > DEAD * units:
        return f"{int(answer.dead.sum())} of {units} units hardly move on this input."
    count = int(answer.stuck[[0, 2]].any(0).sum())
    if units > 1 and count >= STUCK * units:
        return f"In {count} of {units} units, an input or output gate {moves}."
    return ""


def why(answer: Occlusion) -> str:
    """Return the steps that an output rests on, and the output without them."""
    if not answer.named:
        return ""
    name = answer.target[0].upper() + answer.target[1:]
    experiment = f"with {answer.tried_names} exchanged for others, {answer.outcome} on average"
    return f"{name} is {answer.value:.4g}; {experiment}."


def why_surprise(answer: Occlusion) -> float:
    """Return the surprise in the steps that an output rests on: more if they lie back."""
    step = answer.step if answer.step is not None else len(answer.times) - 1
    return 1.6 + 0.2 * float(np.log10(1 + max(abs(step - each) for each in answer.named)))


def why_call(answer: Occlusion, subject: ReportSubject) -> str:
    """Return the call that repeats what an output rests on."""
    t = "" if answer.step is None else f", t={answer.step}"
    sequence = f", sequence={subject.sequence}" if subject.lstm.batch_size > 1 else ""
    return f"gw.insight.occlusion(run, {subject.target}{t}{sequence})"


def units_surprise(answer: Ablation) -> float:
    """Return the surprise of a unit: more if no other has as large an effect."""
    effects = np.abs(answer.effects)
    return 1.5 + 1.0 * float(1 - effects[1] / effects[0]) if len(effects) > 1 and effects[0] else 1.0


def units_call(answer: Ablation, subject: ReportSubject) -> str:
    """Return the call that silences the unit with the largest effect."""
    (edit,) = answer.edits[0]
    cell = f", layer={edit.layer}" if subject.lstm.num_layers > 1 else ""
    cell += f", direction={edit.direction!r}" if len(subject.lstm.directions) > 1 else ""
    layer = cell if cell.startswith(", layer") or not cell else f", layer={edit.layer}{cell}"
    output = f", output={subject.target}"
    return f"gw.insight.effect({_run(subject)}, unit={edit.units[0]}{layer}, scale=0{output})"


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
    measure, output = answer.measures[0], answer.output[:, 0]
    largest, smallest = float(np.nanmax(output)), float(np.nanmin(output))
    if largest - smallest <= TIE * max(abs(largest), abs(smallest)):
        return ""  # an output that never changes meets its bound wherever that is
    if answer.ceiling[0] - largest > NEAR * (answer.ceiling[0] - smallest):
        return ""  # a bound that the data do not come near
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


def error(answer: Misfit) -> str:
    """Return that an error is no smaller than that of a constant, or that few steps make most of it."""
    if answer.baseline == 0 and answer.size and len(answer.times) > 1:
        return f"The targets of {answer.output} never change."
    if answer.size >= answer.baseline > 0:
        name = f"the targets of {answer.output}" if answer.is_bits else answer.output
        sizes = f"its error would be {answer.baseline:.3g}{answer.unit}, and the model's is {answer.size:.3g}"
        return f"A constant would fit {name} at least as well as the model: {sizes}."
    return answer.sentence if answer.halves and answer.share > UNEVEN else ""


def error_surprise(answer: Misfit) -> float:
    """Return the surprise of an error: an uneven one, and most of all one that is larger than that of a constant."""
    return 4.5 if answer.size >= answer.baseline else 1.2 + answer.share


def error_stability(answer: Misfit) -> Stability:
    """Return whether a tenth of the steps makes most of the error in both halves of the data."""
    if not answer.halves or answer.size >= answer.baseline:
        return Stability()
    shares = " and ".join(f"{100 * share:.0f} %" for share in answer.halves)
    checks = f"Repeated: in the halves of the data, a tenth of the steps makes {shares}."
    return Stability("" if min(answer.halves) > UNEVEN else "differs between halves of the data", checks)
