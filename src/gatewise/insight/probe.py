"""Does a unit carry X? A linear probe of the states, against the same values shifted in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, numbers, quiet, require_memory, size
from gatewise.cell import Rng, generator
from gatewise.errors import NotKeptError, OptionError, ShapeError, one_of
from gatewise.insight.answer import Answer
from gatewise.insight.naming import sequence_of, state_names, times_of
from gatewise.insight.retention import finite, of_one_cell
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
    """Whether the states of a cell carry a quantity.

    Attributes
    ----------
    r_squared : float
        1 - the squared error of what is predicted at held-out steps, relative to the variance; at most 1, and negative
        where the mean would predict better.
    correlation : float
        Between the values and what is predicted of them at held-out steps.
    p_value : float
        The fraction of all shifts, the given values counted as one, for which R² is at least as large.
    null : array (draws,)
        R² of the values shifted in time.
    coefficients, intercept : array (units,), float
        The probe fitted to all steps: state @ coefficients + intercept predicts the values.
    penalty : float
        The ridge penalty of that probe, relative to the mean squared error, for states of variance 1.
    values, predicted : array (time, batch)
        What was given, and what the probe predicts of it that was fitted without the step's fold; NaN where there is no
        value, or the step is not valid.
    times : array (time,)
        Dates, names, or the numbers of the steps.
    sequences : tuple of str
        The names of the sequences.
    name : str
        What the values are called, with their measure where that is known.
    by : {"sequence", "block"}
        What was held out.
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
    """Return whether a quantity can be read linearly from the states of a cell, and from which units.

    Lees, Reece, Kratzert, Klotz, Gauch, De Bruijn, Kumar Sahu, Greve, Slater and Dadson, "Hydrological concept
    formation inside long short-term memory (LSTM) networks" (2022): a linear map y = b + Σ_k w_k c_k from the cell
    states at a step to what is known of that step, fitted to some sequences and tested on others. Here it is a ridge
    regression on states standardised within the fold.

    Neighbouring steps are alike, in the states as in the values, so that chance agreement is larger than for
    independent steps. The null distribution therefore keeps the order of the values: they are shifted in a circle.

    Parameters
    ----------
    trace : Trace
        One that kept the states.
    values : array (time, batch) or (time,)
        What may be in the cell, for each step of the run; (time,) is the same for every sequence. Steps with NaN are
        left out, as are those that are not valid.
    name : str or (quantity, unit), optional
        What the values are called; by default `values.name` where it has one. That of a feature or an output with a
        `Measure` brings its measure.
    quantity : {"cell_state", "hidden_state"}
        Which state is probed.
    sequence : int or str, optional
        Only this sequence of the batch, or its name.
    by : {"sequence", "block"}, optional
        What is held out together: whole sequences (by default, where at least two have values), or one block of
        neighbouring steps of every sequence.
    folds : int
        In how many parts they are held out; no more than there are sequences.
    draws : int
        How many shifts to draw; all that there are where they are fewer. The p-value is at least 1 / (draws + 1).
    shift : {"together", "apart"}
        Whether all sequences are shifted by the same number of steps, so that what they have in common stays so, or
        each by its own: for many short sequences that are independent of each other.
    penalty : float, optional
        By default chosen within each fold, without the steps held out, as the power of ten that predicts each half of
        the others best from the other half.
    rng : int or numpy.random.Generator
        Where shifts are drawn from; the default gives the same answer every time.

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
    called = _name(trace, name, values)
    given, usable = _usable(trace, values, chosen)
    rows = ProbeRows(
        trace.quantity(quantity)[:, chosen], given, usable, _shifts(usable, size("draws", draws), shift, rng)
    )
    folded, by = _folds(rows, by, size("folds", folds, least=2))
    if penalty is not None and finite("penalty", penalty) < 0:
        raise OptionError(f"penalty must not be negative, but is {penalty!r}")
    with working("probing", 2 * len(given)) as done:
        sums = rows.sums_by_half(folded, done)
        if not np.isfinite(sums.xx).all():
            raise OptionError(f"a probe needs finite numbers; the {quantity} of this trace has NaN or infinity")
        fits, errors = [], np.zeros(sums.y.shape[1])
        for fold in range(len(sums.count) // 2):
            fits.append(_fitted(sums, fold, penalty))
            errors += squared_errors(sums.of(_groups(sums, fold)), *fits[-1][:2])
        predicted = rows.predict(folded, fits, done)
    whole = sums.of(np.ones(len(sums.count), bool))
    r_squared = 1 - errors / whole.yy
    weights, intercept, used = _fitted(sums, None, penalty)
    true, found = given[usable], predicted[usable]
    alone, p_values, spread = _each_unit(whole)
    p_value = float((1 + (r_squared[1:] >= r_squared[0] - 1e-12).sum()) / len(r_squared))
    columns: dict[str, npt.NDArray[Any]] = {
        "unit": np.array(state_names(trace, quantity)),
        "coefficient": weights[:, 0] * spread * rows.scale,
        "correlation": alone,
        "p_value": p_values,
    }
    return Probe(
        columns=columns,
        sentence=_sentence(called, quantity, columns, float(r_squared[0]), p_value, by, r_squared[1:]),
        law=LAW,
        residual=float(abs(((true - found) ** 2).sum() / rows.scale**2 - errors[0]) / (whole.yy[0] + errors[0])),
        r_squared=float(r_squared[0]),
        correlation=_correlation(true, found),
        p_value=p_value,
        null=r_squared[1:],
        coefficients=weights[:, 0] * rows.scale,
        intercept=float(intercept[0] * rows.scale + rows.mean - rows.reference @ weights[:, 0] * rows.scale),
        penalty=float(used[0]),
        values=given,
        predicted=predicted,
        times=times_of(trace),
        sequences=tuple(map(str, (trace.labels.sequences or range(trace.batch_size))[chosen])),
        name=called,
        by=by,
    )


# What is asked.


def _name(trace: Trace, name: object, values: object) -> str:
    given = getattr(values, "name", None) if name is None else name
    if given is None:
        return "the given quantity"
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, str) for part in given):
        return str(Measure(*given))
    if not isinstance(given, str) or not given:
        raise OptionError(f"name must be the name of what is given, or its quantity and unit, not {given!r}")
    measure = trace.labels.measures.get(given)
    return given if measure is None else f"{given}, {measure}"


def _usable(trace: Trace, values: npt.ArrayLike, chosen: slice) -> tuple[Array, Mask]:
    """Return the values (time, batch) at the steps that were kept, NaN where there is none, and where they are."""
    found = numbers("values", values).astype(np.float64)
    run = (trace.num_steps, trace.batch_size)
    if found.shape not in (run, run[:1]):
        raise ShapeError(f"values has shape {found.shape}; it must be (time, batch) or (time,) of {run}")
    found = np.array(np.broadcast_to(found if found.ndim == 2 else found[:, None], run))
    if np.isinf(found).any():
        raise OptionError("values must be finite numbers, or NaN where there is none; some are infinite")
    if trace.valid is not None:
        found[~trace.valid] = np.nan
    found = found[:: trace.keep.every, chosen]
    usable = ~np.isnan(found)
    if not usable.any():
        raise OptionError("a probe needs values; this run has none at a valid step")
    if found[usable].min() == found[usable].max():
        raise OptionError(f"a probe needs values that differ; all of these are {found[usable][0]:g}")
    return found, usable


def _shifts(usable: Mask, draws: int, shift: str, rng: Rng) -> npt.NDArray[np.intp]:
    """Return by how many places each sequence is shifted (batch, 1 + draws); by none at first."""
    counts = usable.sum(0)
    longest = int(counts.max())
    if longest < 2:
        raise OptionError("a probe shifts values in time; here no sequence has values at more than one step")
    source = generator("", rng, {})
    if shift == "apart":
        require_memory(len(counts) * draws, 8, f"{draws:,} shifts of {counted(len(counts), 'sequence')}")
        drawn = np.stack([source.integers(0, max(count, 1), draws) for count in counts])  # type: ignore[union-attr]
    else:
        some = np.arange(1, longest) if longest - 1 <= draws else 1 + source.choice(longest - 1, draws, replace=False)
        drawn = np.broadcast_to(some, (len(counts), len(some)))
    return np.concatenate([np.zeros((len(counts), 1), np.intp), drawn], axis=1).astype(np.intp)


def _folds(rows: ProbeRows, by: str | None, folds: int) -> tuple[npt.NDArray[np.intp], str]:
    """Return which half of which fold each step is in (time, batch), 2 fold + half, and what is held out."""
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
    for place in np.argsort(-counts, kind="stable"):  # the longest first, each to the fold that has least
        fold[place] = loads.argmin()
        loads[fold[place]] += counts[place]
    return 2 * fold + 2 * rank // np.maximum(counts, 1), by


# What is computed.


def _groups(sums: Sums, fold: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.arange(len(sums.count)) // 2 == fold
    return found


def _fitted(sums: Sums, fold: int | None, penalty: float | None) -> tuple[Array, Array, Array]:
    """Return the weights, intercepts and penalties of the probes fitted without a fold; None leaves none out."""
    rest = np.ones(len(sums.count), bool) if fold is None else ~_groups(sums, fold)
    half = np.arange(len(sums.count)) % 2
    if penalty is None:
        used = choose_penalty([sums.of(rest & (half == one)) for one in (0, 1)])
    else:
        used = np.full(sums.y.shape[1], float(penalty))
    return (*Ridge(sums.of(rest)).at(used), used)


def _each_unit(whole: Sums) -> tuple[Array, Array, Array]:
    """Return each unit's correlation with the values, its p-value, and the standard deviation of its state."""
    moment = whole.xx.diagonal() / whole.count
    variance = moment - (whole.x / whole.count) ** 2
    spread = np.sqrt(np.where(variance > 1e-14 * moment, variance, 0.0))
    between = whole.xy / whole.count - np.outer(whole.x, whole.y) / whole.count**2
    found = np.where(spread[:, None] > 0, between / np.where(spread > 0, spread, 1.0)[:, None], 0.0)
    largest = np.abs(found[:, 1:]).max(0)
    alone = found[:, 0]
    beaten = (largest >= np.abs(alone)[:, None] - 1e-12).sum(1)
    return np.clip(alone, -1, 1), (1 + beaten) / (1 + len(largest)), spread


def _correlation(one: Array, other: Array) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


# What is said.


def _sentence(
    called: str, quantity: str, columns: dict[str, Any], r_squared: float, p_value: float, by: str, null: Array
) -> str:
    state, units = quantity.replace("_", " "), counted(len(columns["unit"]), "unit")
    where = "sequences" if by == "sequence" else "blocks of steps"
    best = int(np.abs(columns["correlation"]).argmax())
    if p_value <= SIGNIFICANT and r_squared > 0:
        alone = f"; unit {columns['unit'][best]} alone has a correlation of {columns['correlation'][best]:.2f}"
        return (
            f"{called[0].upper()}{called[1:]} can be read from the {state} of {units}: a linear probe explains"
            f" {100 * r_squared:.0f} % of its variance in held-out {where} (p = {p_value:.2g})"
            f"{alone if len(columns['unit']) > 1 else ''}."
        )
    explained = f"{100 * r_squared:.0f} %" if r_squared > 0 else "none"
    as_good = float((null >= r_squared).mean())
    return (
        f"A linear probe does not find {called} in the {state} of {units}: in held-out {where} it explains {explained}"
        f" of the variance, and {100 * as_good:.0f} % of shifts in time give at least as much (p = {p_value:.2g})."
    )
