"""Does a unit carry X? A linear probe of the states, against the same values shifted in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, finite_number, numbers, quiet, require_memory, size
from gatewise.cell import Rng, generator
from gatewise.errors import NotKeptError, OptionError, ShapeError, one_of
from gatewise.insight.answer import Answer
from gatewise.insight.naming import sequence_of, state_names, times_of
from gatewise.insight.retention import of_one_cell
from gatewise.insight.ridge import ProbeRows, Ridge, Sums, choose_penalty, squared_errors
from gatewise.progress import working
from gatewise.records.labels import Measure
from gatewise.records.trace import Trace
from gatewise.showing import counted

LAW = "1 - R² of the sums over steps is the squared error of the predictions, relative to the variance"
STATES = ("cell_state", "hidden_state")
SIGNIFICANT = 0.05


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
        The fraction of all shifts, the true values included, for which R² is at least as large.
    null : array (draws,)
        R² of the values shifted in time.
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
    by : {"sequence", "block"}
        The held-out parts.
    """

    r_squared: float
    correlation: float
    p_value: float
    null: Array
    coefficients: Array
    intercept: float
    penalty: float
    values: Array
    predicted: Array
    times: npt.NDArray[Any]
    sequences: tuple[str, ...]
    name: str
    by: str


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
    shift: str = "together",
    penalty: float | None = None,
    rng: Rng = 0,
) -> Probe:
    """Return a linear probe of a quantity in the states of a cell, with the units that carry it.

    Lees, Reece, Kratzert, Klotz, Gauch, De Bruijn, Kumar Sahu, Greve, Slater and Dadson, "Hydrological concept
    formation inside long short-term memory (LSTM) networks" (2022): a linear map y = b + Σ_k w_k c_k from the cell
    states at a step to a known value of that step, fitted to some sequences and tested on others. Here it is a ridge
    regression on states that are standardised within the fold.

    Neighbouring steps have similar states and similar values, so that chance agreement is larger than for independent
    steps. The null distribution therefore keeps the order of the values and shifts them in a circle.

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
        unit), ``correlation`` (of the unit alone) and its ``p_value`` (against the largest correlation of any unit
        with shifted values, so that the best unit may be picked).

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
    Law: 1 - R², computed from the sums over steps by which all shifts are fitted, is the squared error of the
    predictions. Time is linear in the number of steps, in chunks of bounded memory: for each step, (units + draws)
    times units.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> from gatewise.layers import LSTM
    >>> rng = np.random.default_rng(0)
    >>> x = np.zeros((400, 3))
    >>> writes = np.flatnonzero(rng.random(400) < 0.1)
    >>> x[writes, 0], x[writes, 1] = rng.choice([-1, 1], len(writes)), 1
    >>> bit = x[writes, 0][np.maximum(np.searchsorted(writes, np.arange(400), "right") - 1, 0)]
    >>> bit[: writes[0]] = 0
    >>> print(probe(LSTM.from_cells(latch().cell).trace(x)[0], bit, name="the last bit"))
    The last bit can be read from the cell state of 1 unit: a linear probe explains 100 % of its variance in held-out \
blocks of steps (p = 0.005).
    """
    trace = of_one_cell(trace)
    one_of("quantity", quantity, STATES)
    one_of("shift", shift, ("together", "apart"))
    if quantity not in trace.keep.quantities:
        raise NotKeptError(f"a probe of the {quantity} needs a trace that kept it")
    chosen = slice(None) if sequence is None else slice(at := sequence_of(trace, sequence), at + 1)
    label = _label_of_values(trace, name, values)
    true, usable = _usable_values(trace, values, chosen)
    rows = ProbeRows(
        trace.quantity(quantity)[:, chosen], true, usable, _shifts_in_time(usable, size("draws", draws), shift, rng)
    )
    folded, by = _assign_folds(rows, by, size("folds", folds, least=2))
    if penalty is not None and finite_number("penalty", penalty) < 0:
        raise OptionError(f"penalty must not be negative, but is {penalty!r}")
    with working("probing", 2 * len(true)) as done:
        sums = rows.sums_by_half(folded, done)
        if not np.isfinite(sums.xx).all():
            raise OptionError(f"a probe needs finite numbers; the {quantity} of this trace has NaN or infinity")
        fits, errors = [], np.zeros(sums.y.shape[1])
        for fold in range(len(sums.count) // 2):
            fits.append(_fit_without_fold(sums, fold, penalty))
            errors += squared_errors(sums.of(_groups(sums, fold)), *fits[-1][:2])
        predicted = rows.predict(folded, fits, done)
    total = sums.of(np.ones(len(sums.count), bool))
    r_squared = 1 - errors / total.yy
    weights, intercept, used = _fit_without_fold(sums, None, penalty)
    pairs = true[usable], predicted[usable]
    alone, p_values, spread = _each_unit(total)
    p_value = float((1 + (r_squared[1:] >= r_squared[0] - 1e-12).sum()) / len(r_squared))
    columns: dict[str, npt.NDArray[Any]] = {
        "unit": np.array(state_names(trace, quantity)),
        "coefficient": weights[:, 0] * spread * rows.scale,
        "correlation": alone,
        "p_value": p_values,
    }
    return Probe(
        columns=columns,
        sentence=_probe_sentence(label, quantity, columns, float(r_squared[0]), p_value, by, r_squared[1:]),
        law=LAW,
        residual=float(abs(((pairs[0] - pairs[1]) ** 2).sum() / rows.scale**2 - errors[0]) / (total.yy[0] + errors[0])),
        r_squared=float(r_squared[0]),
        correlation=_correlation(*pairs),
        p_value=p_value,
        null=r_squared[1:],
        coefficients=weights[:, 0] * rows.scale,
        intercept=float(intercept[0] * rows.scale + rows.mean - rows.reference @ weights[:, 0] * rows.scale),
        penalty=float(used[0]),
        values=true,
        predicted=predicted,
        times=times_of(trace),
        sequences=tuple(map(str, (trace.labels.sequences or range(trace.batch_size))[chosen])),
        name=label,
        by=by,
    )


# Values, shifts and folds.


def _label_of_values(trace: Trace, name: object, values: object) -> str:
    """Return the name of a probe's values, with their unit if it is known."""
    label = getattr(values, "name", None) if name is None else name
    if label is None:
        return "the given quantity"
    if isinstance(label, tuple) and len(label) == 2 and all(isinstance(part, str) for part in label):
        return str(Measure(*label))
    if not isinstance(label, str) or not label:
        raise OptionError(f"name must be the name of the values, or their quantity and unit, not {label!r}")
    measure = trace.labels.measures.get(label)
    return label if measure is None else f"{label}, {measure}"


def _usable_values(trace: Trace, values: npt.ArrayLike, chosen: slice) -> tuple[Array, Mask]:
    """Return a probe's values (time, batch) at the kept steps, NaN without a value, and a mask of the usable ones."""
    array = numbers("values", values).astype(np.float64)
    run = (trace.num_steps, trace.batch_size)
    if array.shape not in (run, run[:1]):
        raise ShapeError(f"values has shape {array.shape}; it must be (time, batch) or (time,) of {run}")
    array = np.array(np.broadcast_to(array if array.ndim == 2 else array[:, None], run))
    if np.isinf(array).any():
        raise OptionError("values must be finite numbers, or NaN where there is none; some are infinite")
    if trace.valid is not None:
        array[~trace.valid] = np.nan
    array = array[:: trace.keep.every, chosen]
    usable = ~np.isnan(array)
    if not usable.any():
        raise OptionError("a probe needs values; this run has none at a valid step")
    if array[usable].min() == array[usable].max():
        raise OptionError(f"a probe needs values that differ; all of these are {array[usable][0]:g}")
    return array, usable


def _shifts_in_time(usable: Mask, draws: int, shift: str, rng: Rng) -> npt.NDArray[np.intp]:
    """Return the shifts in time of a probe's null distribution for each sequence (batch, 1 + draws); the first is 0."""
    counts = usable.sum(0)
    longest = int(counts.max())
    if longest < 2:
        raise OptionError("a probe shifts values in time; here no sequence has values at more than one step")
    source = generator("", rng, {})
    if shift == "apart":
        require_memory(len(counts) * draws, 8, f"{draws:,} shifts of {counted(len(counts), 'sequence')}")
        shifts = np.stack([source.integers(0, max(count, 1), draws) for count in counts])  # type: ignore[union-attr]
    else:
        some = np.arange(1, longest) if longest - 1 <= draws else 1 + source.choice(longest - 1, draws, replace=False)
        shifts = np.broadcast_to(some, (len(counts), len(some)))
    return np.concatenate([np.zeros((len(counts), 1), np.intp), shifts], axis=1).astype(np.intp)


def _assign_folds(rows: ProbeRows, by: str | None, folds: int) -> tuple[npt.NDArray[np.intp], str]:
    """Return a probe's group of each step, 2 fold + half (time, batch), and what its folds are: sequences or blocks."""
    counts, rank = rows.counts, rows.rank
    several = int((counts > 0).sum())
    by = one_of("by", by, ("sequence", "block")) if by is not None else "sequence" if several > 1 else "block"
    if by == "block":
        longest = int(counts.max())
        if longest < 2 * folds:
            raise OptionError(
                f"{folds} blocks need a sequence of at least {2 * folds} values; the longest has {longest}"
            )
        return 2 * folds * rank // np.maximum(counts, 1), by
    if several < 2:
        raise OptionError("by='sequence' needs values in at least two sequences; here only one has some")
    folds = min(folds, several)
    loads, fold = np.zeros(folds, np.intp), np.zeros(len(counts), np.intp)
    for place in np.argsort(-counts, kind="stable"):  # the longest first, each to the fold with the fewest values
        fold[place] = loads.argmin()
        loads[fold[place]] += counts[place]
    return 2 * fold + 2 * rank // np.maximum(counts, 1), by


# Regressions.


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


def _each_unit(total: Sums) -> tuple[Array, Array, Array]:
    """Return each unit's correlation with the probed values, its p-value, and the standard deviation of its state."""
    moment = total.xx.diagonal() / total.count
    variance = moment - (total.x / total.count) ** 2
    deviation = np.sqrt(np.where(variance > 1e-14 * moment, variance, 0.0))
    covariance = total.xy / total.count - np.outer(total.x, total.y) / total.count**2
    correlations = np.where(deviation[:, None] > 0, covariance / np.where(deviation > 0, deviation, 1.0)[:, None], 0.0)
    largest = np.abs(correlations[:, 1:]).max(0)
    alone = correlations[:, 0]
    exceeding = (largest >= np.abs(alone)[:, None] - 1e-12).sum(1)
    return np.clip(alone, -1, 1), (1 + exceeding) / (1 + len(largest)), deviation


def _correlation(first: Array, second: Array) -> float:
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


# The sentence.


def _probe_sentence(
    label: str, quantity: str, columns: dict[str, Any], r_squared: float, p_value: float, by: str, null: Array
) -> str:
    """Return the sentence of a probe: whether the states hold the values, and the share it explains."""
    state, units = quantity.replace("_", " "), counted(len(columns["unit"]), "unit")
    where = "sequences" if by == "sequence" else "blocks of steps"
    best = int(np.abs(columns["correlation"]).argmax())
    if p_value <= SIGNIFICANT and r_squared > 0:
        alone = f"; unit {columns['unit'][best]} alone has a correlation of {columns['correlation'][best]:.2f}"
        return (
            f"{label[0].upper()}{label[1:]} can be read from the {state} of {units}: a linear probe explains"
            f" {100 * r_squared:.0f} % of its variance in held-out {where} (p = {p_value:.2g})"
            f"{alone if len(columns['unit']) > 1 else ''}."
        )
    explained = f"{100 * r_squared:.0f} %" if r_squared > 0 else "none"
    as_good = float((null >= r_squared).mean())
    return (
        f"A linear probe does not find {label} in the {state} of {units}: in held-out {where} it explains {explained}"
        f" of the variance, and {100 * as_good:.0f} % of shifts in time give at least as much (p = {p_value:.2g})."
    )
