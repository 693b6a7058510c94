"""Does a unit carry X? A linear probe of the states, against the same values shifted in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, finite_number, quiet, size
from gatewise.cell import Rng, generator
from gatewise.errors import NotKeptError, OptionError, one_of
from gatewise.insight.answer import Answer
from gatewise.insight.naming import sequence_of, state_names, times_of
from gatewise.insight.prewhitening import Prewhitened, prewhiten
from gatewise.insight.probe_values import assign_folds, label_of_values, shifts_in_time, usable_values
from gatewise.insight.retention import of_one_cell
from gatewise.insight.ridge import ProbeRows, Ridge, Sums, choose_penalty, squared_errors
from gatewise.margins import TIE, first_largest, rounding_margin
from gatewise.progress import working
from gatewise.records.trace import Trace
from gatewise.showing import counted

LAW = "1 - R² of the sums over steps is the squared error of the predictions, relative to the variance"
STATES = ("cell_state", "hidden_state")
SIGNIFICANT = 0.05
CARRIED = 0.5 * (1 - TIE)  # a held-out correlation: with a smaller one, a unit does not carry values
UNIT_COLUMNS = ("unit", "correlation", "prewhitened", "p_value")


@dataclass(frozen=True, eq=False, repr=False)
class Probe(Answer):
    """A linear probe of the states of a cell, and its significance.

    Attributes
    ----------
    r_squared : float
        1 - the squared error of the predictions at held-out steps, relative to the variance; at most 1, and negative if
        the mean predicts better.
    correlation : float
        The correlation of the values and the predictions at held-out steps.
    p_value : float
        The fraction of all shifts, no shift included, for which `null` is at least `prewhitened`.
    prewhitened : float
        R² of the values without their trend and without what their own past predicts.
    null : array (draws,)
        R² of these, shifted in time.
    coefficients, intercept : array (units,), float
        The probe fitted to all steps: state @ coefficients + intercept predicts the values.
    penalty : float
        The ridge penalty of that probe, relative to the mean squared error, for states of variance 1.
    values, predicted : array (time, batch)
        The values, and the predictions of the probe that was fitted without the fold of the step; NaN without a value
        or at an invalid step.
    times : array (time,)
        Dates, names, or the numbers of the steps.
    sequences : tuple of str
        The names of the sequences.
    name : str
        The name of the values, with their measure if known.
    best : int
        The row of the best unit: that with the largest correlation of those with a p-value of at most 0.05; if there is
        none, that with the least p-value.
    least : float
        The absolute correlation without a trend and past above which a unit is found; NaN if there are too few shifts.
    by : {"sequence", "block"}
        The held-out parts.
    held_out : float
        The correlation of the best unit with the values in the held-out parts: a line through that unit alone, fitted
        to the others, predicts them.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> answer = gw.insight.probe(gw.LSTM(1, 8, rng=0).trace(x)[0], x[:, 0])
    >>> answer.r_squared > 0.5, answer.coefficients.shape
    (True, (8,))
    """

    r_squared: float
    correlation: float
    p_value: float
    prewhitened: float
    null: Array
    coefficients: Array
    intercept: float
    penalty: float
    values: Array
    predicted: Array
    times: npt.NDArray[Any]
    sequences: tuple[str, ...]
    name: str
    best: int
    least: float
    by: str
    held_out: float

    @property
    def found(self) -> float:
        """The absolute correlation of the best unit if it is significant, less its p-value."""
        r, p_value = (self.columns[key][self.best] for key in ("correlation", "p_value"))
        return float(abs(r) * (p_value <= SIGNIFICANT) - p_value)

    @property
    def is_carried(self) -> bool:
        """Whether the best unit is significant and has a correlation of 0.5 or more in the held-out parts."""
        return bool(self.columns["p_value"][self.best] <= SIGNIFICANT and self.held_out >= CARRIED)


@quiet
def probe(
    trace: Trace,
    values: npt.ArrayLike,
    *,
    name: str | tuple[str, str] | None = None,
    quantity: str = "cell_state",
    sequence: int | str | None = None,
    by: str | None = None,
    folds: int = 5,
    draws: int = 200,
    tests: int = 1,
    shift: str = "together",
    penalty: float | None = None,
    rng: Rng = 0,
) -> Probe:
    """Return a linear probe of a quantity in the states of a cell, with the units that carry it.

    Lees, Reece, Kratzert, Klotz, Gauch, De Bruijn, Kumar Sahu, Greve, Slater and Dadson, "Hydrological concept
    formation inside long short-term memory (LSTM) networks" (2022): a linear map y = b + Σ_k w_k c_k from the cell
    states at a step to a known value of that step, fitted to some sequences and tested on others. Here it is a ridge
    regression on states that are standardised within the fold.

    Two series that drift, or are each like their own past, correlate by chance. What is tested is therefore what
    neither a trend, a line over time, nor the last values predict of the values: it is compared with the states,
    which pass through the same filter, and the null distribution shifts it in a circle against them.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the states.
    values : array (time, batch) or (time,)
        A value for each step of the run; values (time,) are the same for every sequence. Steps with NaN and invalid
        steps are left out.
    name : str or (quantity, unit), optional
        The name of the values; by default `values.name`, if there is one. The name of a feature or an output with a
        `Measure` brings the measure.
    quantity : {"cell_state", "hidden_state"}
        The state to probe.
    sequence : int or str, optional
        Only this sequence of the batch, by place or name.
    by : {"sequence", "block"}, optional
        The parts that are held out: whole sequences (by default, if at least two have values), or one block of
        neighbouring steps of every sequence.
    folds : int
        The number of held-out parts; at most the number of sequences.
    draws : int
        The number of random shifts; all shifts if there are fewer. The p-value is at least 1 / (draws + 1).
    tests : int
        The number of probes of which this is one, such as one for each of several columns of values: p-values are
        multiplied by it (Bonferroni).
    shift : {"together", "apart"}
        Shift all sequences by the same number of steps, which keeps their common parts, or each by another number: for
        many short, independent sequences.
    penalty : float, optional
        By default chosen within each fold, without the held-out steps: the power of ten that predicts each half of the
        other steps best from the other half.
    rng : int or numpy.random.Generator
        The source of random shifts; the default gives the same answer every time.

    Returns
    -------
    Probe
        With a row for each unit: ``unit``, ``coefficient`` (for one standard deviation of the state, in the values'
        unit), ``correlation`` (of the unit alone), ``prewhitened`` (that correlation without a trend and without what
        the values' past predicts) and its ``p_value`` (against the largest of any unit with shifted values, so that the
        best unit may be picked).

    Raises
    ------
    ShapeError
        If `values` has other axes than the run.
    OptionError
        If values are infinite, constant or too few, an option is not allowed, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the states.

    Notes
    -----
    Law: 1 - R², computed from the sums over steps, is the squared error of the predictions. Time is linear in the
    number of steps: for each step, (units + draws) times units. The filtered states are held in float64.

    The filter is that of Box and Jenkins, "Time Series Analysis" (1970): an autoregression of the values, of at most 8
    lags. Before they are shifted, values get back a line as large as noise has by chance, since they have lost theirs.
    Where values and states have a season in common, they carry each other, and this is found.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> rng = np.random.default_rng(0)
    >>> x = np.zeros((400, 3))
    >>> writes = np.flatnonzero(rng.random(400) < 0.1)
    >>> x[writes, 0], x[writes, 1] = rng.choice([-1, 1], len(writes)), 1
    >>> bit = x[writes, 0][np.maximum(np.searchsorted(writes, np.arange(400), "right") - 1, 0)]
    >>> bit[: writes[0]] = 0
    >>> print(probe(gw.LSTM.from_cells(latch().cell).trace(x)[0], bit, name="the last bit"))
    Unit latch carries the last bit: r 1.00 (p < 0.005, only unit).
    """
    trace = of_one_cell(trace)
    one_of("quantity", quantity, STATES)
    one_of("shift", shift, ("together", "apart"))
    if quantity not in trace.keep.quantities:
        raise NotKeptError(f"a probe of the {quantity} needs a trace that kept it")
    chosen = slice(None) if sequence is None else slice(at := sequence_of(trace, sequence), at + 1)
    label = label_of_values(trace, name, values)
    true, usable = usable_values(trace, values, chosen)
    states = _without_rounding(trace.quantity(quantity)[:, chosen])
    white, tests = prewhiten(true, usable, states), size("tests", tests)
    tested, rng = ~np.isnan(white.values), generator("", rng, {})
    shifts = shifts_in_time(tested, size("draws", draws), shift, rng)
    rows = ProbeRows(states, true, usable, shifts[:, :1])
    shifted = ProbeRows(white.states, white.values, tested, shifts, white.line, rng)
    folded, by = assign_folds(rows, shifted, by, size("folds", folds, least=2))
    if penalty is not None and finite_number("penalty", penalty) < 0:
        raise OptionError(f"penalty must not be negative, but is {penalty!r}")
    with working("probing", 3 * len(true)) as done:
        sums = rows.sums_by_half(folded, done)
        if not np.isfinite(sums.xx).all():
            raise OptionError(f"a probe needs finite numbers; the {quantity} of this trace has NaN or infinity")
        r_squared, fits = _held_out(sums, penalty)
        predicted = rows.predict(folded, fits, done)
        shifted_sums = shifted.sums_by_half(folded, done)
    null, _ = _held_out(shifted_sums, penalty)
    weights, intercept, used = _fit_without_fold(sums, None, penalty)
    pairs, total = (true[usable], predicted[usable]), _of_all(sums)
    error = float((1 - r_squared[0]) * total.yy[0])
    (alone, spread), (units, _) = _each_unit(total), _each_unit(_of_all(shifted_sums))
    columns: dict[str, npt.NDArray[Any]] = {
        "unit": np.array(state_names(trace, quantity)),
        "coefficient": weights[:, 0] * spread * rows.scale,
        "correlation": alone[:, 0],
        "prewhitened": units[:, 0],
        "p_value": _p_values(np.abs(units), tests),
    }
    answer = Probe(
        columns=columns,
        sentence="",
        law=LAW,
        residual=float(abs(((pairs[0] - pairs[1]) ** 2).sum() / rows.scale**2 - error) / (total.yy[0] + error)),
        r_squared=float(r_squared[0]),
        correlation=_correlation(*pairs),
        p_value=float(_p_values(null[None], tests)[0]),
        prewhitened=float(null[0]),
        null=null[1:],
        coefficients=weights[:, 0] * rows.scale,
        intercept=float(intercept[0] * rows.scale + rows.mean - rows.reference @ weights[:, 0] * rows.scale),
        penalty=float(used[0]),
        values=true,
        predicted=predicted,
        times=times_of(trace),
        sequences=tuple(map(str, (trace.labels.sequences or range(trace.batch_size))[chosen])),
        name=label,
        best=_best_unit(columns),
        least=_least_significant(np.abs(units[:, 1:]).max(0), tests),
        by=by,
        held_out=_held_out_unit(states[..., _best_unit(columns)], true, usable, folded // 2),
    )
    reading = tuple(_reading(answer, white, tests))
    return replace(answer, sentence=_sentence(answer, white, tests), reading=reading)


# Regressions.


def _without_rounding(states: Array) -> Array:
    """Return states (time, batch, units) of which those that vary by rounding alone are constant."""
    still = np.ptp(states, axis=(0, 1)) <= rounding_margin(states, axis=(0, 1))
    return np.where(still, states[0, 0], states) if still.any() else states


def _groups(sums: Sums, fold: int) -> npt.NDArray[np.bool_]:
    groups: npt.NDArray[np.bool_] = np.arange(len(sums.count)) // 2 == fold
    return groups


def _fit_without_fold(sums: Sums, fold: int | None, penalty: float | None) -> tuple[Array, Array, Array]:
    """Fit a probe by ridge regression without a fold; return weights, intercepts and penalty. None uses all folds."""
    rest = np.ones(len(sums.count), bool) if fold is None else ~_groups(sums, fold)
    half = np.arange(len(sums.count)) % 2
    if penalty is None:
        used = choose_penalty([sums.of(rest & (half == side)) for side in (0, 1)])
    else:
        used = np.full(sums.y.shape[1], float(penalty))
    return (*Ridge(sums.of(rest)).at(used), used)


def _held_out(sums: Sums, penalty: float | None) -> tuple[Array, list[tuple[Array, Array, Array]]]:
    """Return R² of each target (targets,) over the folds, each predicted by a probe of the others, and these fits."""
    fits, errors = [], np.zeros(sums.y.shape[1])
    for fold in range(len(sums.count) // 2):
        fits.append(_fit_without_fold(sums, fold, penalty))
        errors += squared_errors(sums.of(_groups(sums, fold)), *fits[-1][:2])
    return 1 - errors / _of_all(sums).yy, fits


def _of_all(sums: Sums) -> Sums:
    return sums.of(np.ones(len(sums.count), bool))


def _each_unit(total: Sums) -> tuple[Array, Array]:
    """Return each unit's correlations with the values of a probe (units, targets), and its standard deviation."""
    moment = total.xx.diagonal() / total.count
    variance = moment - (total.x / total.count) ** 2
    deviation = np.sqrt(np.where(variance > 1e-14 * moment, variance, 0.0))
    covariance = total.xy / total.count - np.outer(total.x, total.y) / total.count**2
    deviations = deviation[:, None] * np.sqrt(total.yy / total.count - (total.y / total.count) ** 2)
    return np.clip(
        np.where(deviations > 0, covariance / np.where(deviations > 0, deviations, 1.0), 0.0), -1, 1
    ), deviation


def _correlation(first: Array, second: Array) -> float:
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _held_out_unit(state: Array, values: Array, usable: Mask, fold: npt.NDArray[np.intp]) -> float:
    """Return the correlation of values (time, batch) with what a line through one state predicts of each fold."""
    x, y, folds = state[usable].astype(np.float64), values[usable], fold[usable]
    predicted = np.empty(len(y))
    for each in np.unique(folds):
        others = folds != each
        if not others.any():
            return 0.0
        mean, target = x[others].mean(), y[others].mean()
        variance = np.square(x[others] - mean).sum()
        slope = ((x[others] - mean) @ (y[others] - target)) / variance if variance > 0 else 0.0
        predicted[~others] = target + slope * (x[~others] - mean)
    return _correlation(y, predicted)


# Significance.


def _p_values(sizes: Array, tests: int) -> Array:
    """Return the p-values of sizes (rows, 1 + draws), of which the first are compared with the largest at each shift.

    They are multiplied by the number of tests.
    """
    largest = sizes[:, 1:].max(0)
    exceeding = (~(largest < (1 - TIE) * sizes[:, :1] - 1e-12)).sum(1)
    p_values: Array = np.minimum(1.0, tests * (1 + exceeding) / sizes.shape[1])
    return p_values


def _least_significant(largest: Array, tests: int) -> float:
    """Return the size above which one would be significant, of the largest at each shift; NaN if none would be."""
    above = int(SIGNIFICANT * (1 + len(largest)) / tests + 1e-9) - 1
    return float(np.sort(largest)[-1 - above]) if above >= 0 else float("nan")


def _best_unit(columns: dict[str, npt.NDArray[Any]]) -> int:
    """Return the significant unit with the largest correlation; without one, the unit with the least p-value."""
    significant = columns["p_value"] <= SIGNIFICANT
    if significant.any():
        return first_largest(np.where(significant, np.abs(columns["correlation"]), -1))
    return first_largest(np.abs(columns["prewhitened"]))


# In words.


def _p_text(p_value: float, answer: Probe, tests: int) -> str:
    """Return a p-value in words: less than a number, where no shift is as large."""
    if p_value > tests / (1 + len(answer.null)) + 1e-9 or p_value == 1:
        return f"p = {p_value:.2g}"
    digit = 10.0 ** np.floor(np.log10(p_value))
    above = (np.floor(p_value / digit + 1e-9) + 1) * digit
    return f"p = {p_value:.2g}" if p_value <= SIGNIFICANT < above - 1e-9 else f"p < {above:.1g}"


def _sentence(answer: Probe, white: Prewhitened, tests: int) -> str:
    """Return the sentence of a probe: the unit that carries the values; or that none is found, and what would be."""
    label, names = answer.name, answer.columns["unit"]
    unit, r, filtered, p = (answer.columns[key][answer.best] for key in UNIT_COLUMNS)
    of_units = f"best of {len(names):,} units" if len(names) > 1 else "only unit"
    where = "sequences" if answer.by == "sequence" else "blocks of steps"
    together = f"explain {100 * answer.r_squared:.0f} % of it in held-out {where}"
    together += f" ({_p_text(answer.p_value, answer, tests)})"
    is_found = answer.p_value <= SIGNIFICANT and answer.r_squared > 0 and len(names) > 1
    if p <= SIGNIFICANT:
        verb = "carries" if answer.is_carried else "correlates weakly with"
        sentence = f"Unit {unit} {verb} {label}: r {r:.2f} ({_p_text(p, answer, tests)}, {of_units})"
        return f"{sentence}; all together {together}." if is_found else f"{sentence}."
    if is_found:
        return f"No single unit is found to carry {label}, but the {len(names):,} units together {together}."
    if white.of_trend == 1:
        return f"No unit is found to carry {label}: without its trend, nothing is left of it."
    found = "there are too few steps for any to be found"
    if not np.isnan(answer.least):
        found = f"an r of {answer.least:.2f} would have been found"
    return (
        f"No unit is found to carry {label}: without trend and past, unit {unit}, the {of_units}, has r {filtered:.2f}"
        f" ({_p_text(p, answer, tests)}); {found}."
    )


def _reading(answer: Probe, white: Prewhitened, tests: int) -> Iterator[str]:
    """Yield how a probe was tested, a sentence each."""
    last = "last value" if white.lags == 1 else f"last {white.lags} values"
    past = f", and their {last} {100 * white.of_past:.0f} % of the rest" if white.lags else ""
    yield (
        f"Tested: {counted(len(answer.null), 'shift')} in time of the values against the states, both without trend and"
        f" past: a line explains {100 * white.of_trend:.0f} % of the values{past}; p is the share of shifts at"
        f" which the best unit is as good{f', times {tests} for as many tests' if tests > 1 else ''}."
    )
    unit, r, filtered, p = (answer.columns[key][answer.best] for key in UNIT_COLUMNS)
    if p > SIGNIFICANT:
        yield f"With trend and past, r of unit {unit} is {r:.2f}."
    else:
        yield f"Without trend and past, r of unit {unit} is {filtered:.2f}; above {answer.least:.2f} it is found."
        parts = "sequences" if answer.by == "sequence" else "blocks"
        yield f"In held-out {parts}, unit {unit} has r {answer.held_out:.2f}."
