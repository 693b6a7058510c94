"""Where is it wrong? The error of a report's output over time, and the steps, inputs and units that make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.activations import SIGMOID
from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError
from gatewise.insight.ablation import Ablation
from gatewise.insight.answer import Answer, StepTable
from gatewise.insight.metrics import classes_of, compared_rows, fitted, metric_of
from gatewise.insight.raw_outputs import raw_outputs
from gatewise.insight.silencing import run_again
from gatewise.margins import TIE, first_largest
from gatewise.opening.windows import WindowedSeries
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.reporting.inputs import ORDERS, reordered_runs
from gatewise.showing import counted

WORST = 0.1  # of the steps: those with the largest errors
MOST_NAMED = 3  # inputs in a sentence


class TargetErrors(NamedTuple):
    """The targets of a run, and its errors (time, batch, output), NaN without a target.

    Of classes an error is the surprise of the target in bits, at the place of its class, where the target is 1; of
    flags, which a sigmoid gives, it is that surprise, too.
    """

    targets: Array
    errors: Array
    kind: str  # number, class or flag


def compared_run(run: Any, targets: Any, sequence: int | None) -> tuple[Any, Any]:
    """Return the run that is compared with targets, that of a named sequence; and its targets."""
    if sequence is None or run.batch_size == 1:
        return run, targets
    is_final = run.network is not None and run.network.reads == "last"
    axis, shape = 0 if is_final else 1, np.shape(targets)
    outputs = run.output.size // max(1, run.batch_size * (1 if is_final else run.num_steps))
    has_batch = len(shape) > axis + 1 or run.batch_size != outputs  # else it has each output
    if shape[axis : axis + 1] == (run.batch_size,) and has_batch:
        targets = np.take(targets, sequence, axis)
    return run.sequence(sequence), targets


def target_errors(run: Any, targets: Any, sequence: int | None) -> TargetErrors:
    """Return the errors of a run, NaN at other sequences than a named one.

    Raises
    ------
    OptionError, ShapeError
        If the targets do not fit the outputs.
    """
    compared, numbers = compared_run(run, targets, sequence)
    metric_of(compared, compared, None, numbers)  # which refuses what does not fit
    used = compared_rows(compared)
    count = compared.output.size // max(1, used.size)
    classes = classes_of(compared.network, count)
    shape = (*used.shape, count)
    values = fitted(numbers, shape, count > 1 and classes is not None)
    used, values = np.atleast_2d(used), values.reshape(*np.atleast_2d(used).shape, -1)
    raw = raw_outputs(compared).values.astype(np.float64)
    known = used[..., None] & ~np.isnan(values)
    if values.shape[-1] != count:
        kind, chosen = "class", np.where(known, values, 0).astype(np.intp)
        high = raw.max(-1, keepdims=True)
        bits = (high + np.log(np.exp(raw - high).sum(-1, keepdims=True)) - raw) / np.log(2)
        known = known & (np.arange(count) == chosen)
        errors, values = np.where(known, bits, np.nan), np.where(known, 1.0, np.nan)
    elif classes == SIGMOID and np.isin(values[known], (0, 1)).all():
        kind, errors = "flag", np.logaddexp(0, np.where(values == 1, -raw, raw)) / np.log(2)
    else:
        kind, errors = "number", compared.output.reshape(raw.shape) - values
    errors = np.where(known, errors, np.nan)
    if compared is run:
        return TargetErrors(values, errors, kind)
    padded = np.full((2, len(errors), run.batch_size, count), np.nan)
    padded[:, :, sequence] = values[:, 0], errors[:, 0]
    return TargetErrors(padded[0], padded[1], kind)


def series_errors(series: WindowedSeries, targets: Any) -> TargetErrors:
    """Return the errors of the outputs of all windows."""
    outputs = series.outputs.astype(np.float64)
    values = fitted(targets, outputs.shape, takes_class=False)
    return TargetErrors(values, outputs - values, "number")


@dataclass(frozen=True, eq=False, repr=False)
class Misfit(Answer, StepTable):
    """The error of an output over the steps of one sequence, beside the output and its targets.

    `size` is the root mean square of the errors of all sequences that are compared, or their mean in bits; `share` the
    part of the squared error, or of the bits, that the worst tenth of the steps makes, and `halves` that of each half.
    """

    output: str  # in words
    size: float
    baseline: float  # the size for the best constant output
    share: float
    halves: tuple[float, ...]
    unit: str  # after a space
    is_bits: bool
    worst: tuple[int, ...]  # of the worst steps those of the sequence


def misfit(
    target_errors: TargetErrors,
    outputs: Array,
    *,
    place: int,
    output: int | None,
    name: str,
    unit: str,
    times: npt.NDArray[Any],
    when: Callable[[int], str],
    tests: Sequence[str] = (),
) -> Misfit:
    """Return where an output (time, batch, output), or classes if it is None, miss their targets.

    The table is about the sequence at a `place`. `when` names a step, and `tests` say which inputs and units matter.
    """
    each = slice(None) if output is None else [output]
    known = np.asarray(~np.isnan(target_errors.errors[..., each]).all(-1))
    if not known.any():
        raise OptionError(f"no step has a target of {name}")
    errors = np.where(known, np.nansum(target_errors.errors[..., each], -1), np.nan)
    weights = np.nan_to_num(errors if target_errors.kind != "number" else errors**2)
    rows = weights[known]
    is_bits = target_errors.kind != "number"
    size, unit = float(rows.mean()), " bits" if is_bits else f" {unit}".rstrip()
    size = size if is_bits else float(np.sqrt(size))
    share, least = _worst(rows)
    halves = tuple(_worst(part)[0] for part in np.array_split(rows, 2)) if len(rows) >= 2 / WORST else ()
    baseline = _of_constant(target_errors, known, each)
    subject = f"the surprise of the targets of {name}" if is_bits else f"the error of {name}"
    sentence = f"{subject[0].upper()}{subject[1:]} is {size:.3g}{unit}"
    sentence += " on average" if is_bits else " (root mean square)"
    if not rows.any():
        sentence = f"{name[0].upper()}{name[1:]} equals every target"
    elif len(rows) > 1:
        t, sequence = (int(n) for n in np.unravel_index(first_largest(weights), weights.shape))
        of = f" of sequence {sequence}" if known.shape[1] > 1 else ""
        sentence += f"; the largest, {abs(errors[t, sequence]):.3g}{unit}, is {when(t)}{of}"
        parts = "all surprise" if is_bits else "the squared error"
        sentence += f", and a tenth of the steps makes {100 * share:.0f} % of {parts}" if halves else ""
    compared = "" if not rows.any() or np.isnan(baseline) else f"; the best constant would have {baseline:.3g}{unit}"
    reading = (f"Measured: {counted(len(rows), 'step')} with a target{compared}.", *(tests if rows.any() else ()))
    targets, series = target_errors.targets[:, place][:, each], outputs[:, place][:, each]
    columns: dict[str, npt.NDArray[Any]] = {"time": times}
    if output is not None:
        columns |= {"output": series[:, 0], "target": targets[:, 0]}
    columns |= {"error": errors[:, place]}
    worst = known[:, place] & (weights[:, place] >= (1 - TIE) * least) & (weights[:, place] > 0)
    return Misfit(
        columns,
        f"{sentence}.",
        output=name,
        size=size,
        baseline=baseline,
        share=share,
        halves=halves,
        unit=unit,
        is_bits=is_bits,
        worst=tuple(np.flatnonzero(worst).tolist()),
        times=times,
        valid=known[:, place],
        reading=reading,
    )


def _worst(rows: Array) -> tuple[float, float]:
    """Return the part of a sum that its largest tenth makes, and the least of that tenth."""
    largest = np.sort(rows)[::-1][: max(1, round(WORST * len(rows)))]
    return (float(largest.sum() / rows.sum()) if rows.any() else 0.0), float(largest[-1])


def _of_constant(target_errors: TargetErrors, known: Mask, each: Any) -> float:
    """Return the error that the best constant output would have; NaN of one class among others."""
    targets = target_errors.targets[..., each][known]
    if target_errors.kind == "number":
        return float(targets.std())
    shares = targets.mean(0) if target_errors.kind == "flag" else (~np.isnan(targets)).mean(0)
    if target_errors.kind == "class" and len(shares) == 1:
        return float("nan")
    shares = np.concatenate([shares, 1 - shares]) if target_errors.kind == "flag" else shares
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def tested_inputs(run: Any, targets: Any, output: int | None) -> list[str]:
    """Return a sentence about what becomes of the error where each input is put in other orders."""
    metric = metric_of(run, run, None, targets, output)
    before = float(metric.of(run_again(run).output))
    after = {
        run.labels.feature(place): float(np.mean([metric.of(again.output) for again in runs]))
        for place, runs in reordered_runs(run)
    }
    moved = {name: size for name, size in after.items() if abs(size - before) > metric.floor}
    ranked = sorted(moved, key=lambda name: -abs(moved[name] - before))[:MOST_NAMED]
    if not ranked:
        return []
    clauses = [metric.clause(before, moved[ranked[0]])]
    factor = 100 if metric.unit == " %" else 1
    clauses += [f"with {name}, to {factor * moved[name]:.3g}{metric.unit}" for name in ranked[1:]]
    return [f"Tested: with {ranked[0]} in {ORDERS} other orders, {'; '.join(clauses)}."]


def tested_units(answer: Ablation) -> list[str]:
    """Return a sentence about the units without which the error rises and falls most."""
    rises, falls = (first_largest(side * answer.effects) for side in (1, -1))
    clauses = [
        f"without {answer.names[place]} it {verb} to {answer.metrics[place]:.3g}"
        for place, verb, side in ((rises, "rises most", 1), (falls, "falls most", -1))
        if side * answer.effects[place] > 0
    ]
    number = answer.title.partition(" (")[0]
    return [
        f"Tested: {counted(len(answer.names), 'unit')} silenced; the {number} is {answer.unedited:.3g}, and"
        f" {' and '.join(clauses)}."
    ] * bool(clauses)


def draw(record: Misfit, figure: Any) -> Any:
    """Draw an output with its targets, and its error below, with the worst steps marked."""
    has_output = "output" in record.columns
    panels = drawing.panels(figure, ["output", "error"][not has_output :])
    for ax in panels:
        places = drawing.set_time_axis(ax, record.times)
    if has_output:
        target, output = record.columns["target"], record.columns["output"]
        drawing.draw_series(
            panels[0], places, target, color=PALETTE["hidden_state"].light, linewidth=2.5, label="target"
        )
        drawing.draw_series(panels[0], places, output, color=drawing.ink(), linewidth=1.0, label="output")
        panels[0].legend(loc="upper left", ncols=2, frameon=False)
        panels[0].set_ylabel(drawing.shorten(record.output, 30))
    ax, error, worst = panels[-1], record.columns["error"], np.array(record.worst, int)
    drawing.draw_series(ax, places, error, color=drawing.ink(), linewidth=1.0)
    ax.plot(places[worst], error[worst], "o", color=PALETTE["forget_gate"].light, markersize=3, linestyle="none")
    ax.axhline(0, color=drawing.ink(), linewidth=0.5)
    ax.set_ylabel(f"error{f' ({record.unit.strip()})' if record.unit else ''}")
    return panels
