"""How fast does a cell state decay along the cell? The timescale of each unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, quiet
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import duration_of, step_duration, unit_names
from gatewise.insight.retention import of_one_cell, pieces, require_between_0_and_1, retention_of, valid_steps
from gatewise.margins import EPSILONS, TIE, first_largest
from gatewise.records.trace import Trace
from gatewise.showing import counted

RESET = 0.1  # a step that retains less of a cell state resets it
KEEPS = 4  # machine epsilons: a step that forgets no more of a cell state, on average, forgets nothing
LAW = "over all valid steps the product of F is exp(-steps / timescale)"


@dataclass(frozen=True, eq=False, repr=False)
class Timescales(Answer):
    """The timescale of each unit.

    Attributes
    ----------
    timescale : array (hidden,)
        Steps until 1/e of a cell state is left, along the cell with the gates held.
    half_life : array (hidden,)
        Steps until a half is left.
    span : array (hidden,)
        Steps until a hundredth is left.
    between_resets : array (hidden,)
        The timescale over the steps that retain a tenth or more; where there are none, that of all.
    time_unit : str or None
        The unit of the dates, such as ``days``, in which the columns repeat the three; None without dates.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> answer = gw.insight.timescales(gw.LSTM.from_cells(cell).trace(x[1:])[0])
    >>> answer.timescale.round(), answer.half_life.round()
    (array([404.]), array([280.]))
    """

    timescale: Array
    half_life: Array
    span: Array
    between_resets: Array
    time_unit: str | None


@quiet
def timescales(trace: Trace) -> Timescales:
    """Return the timescale of each unit of a cell: the steps in which its state decays to 1/e along the cell.

    A step that resets a unit makes it short, however slow the decay between resets, which has a column of its own. What
    a unit writes again through the hidden state outlasts both: `horizon` tells how long a change shows.

    Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?" (2018), read a forget gate as a characteristic time;
    Mahto et al., "Multi-timescale Representation Learning in LSTM Language Models" (2021), as T = -1 / ln f. A unit
    whose forget gate changes has the T of its geometric mean: over the whole run the cell state decays as with that T.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the forget gate. All valid kept steps of all sequences are averaged. Under zoneout,
        F = k + (1 - k) f replaces f.

    Returns
    -------
    Timescales
        With the columns ``unit``, ``forget_gate`` (the geometric mean of F), ``timescale``, ``half_life``, ``span`` and
        ``between_resets``, in steps; if the trace's times are dates at equal distances, also in their unit, as in
        ``timescale_days``; and ``resets``, the number of steps that retain less than a tenth. A unit that forgets
        everything at some step has timescale 0, one that forgets nothing, but for rounding, infinity.

    Raises
    ------
    OptionError
        If the forget gate's nonlinearity is not between 0 and 1, no step is valid, or the gate is NaN.
    NotKeptError
        If the trace did not keep the forget gate.

    Notes
    -----
    Law: over all valid steps the product of F is exp(-steps / timescale). Time is linear in the number of gates; memory
    is bounded.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> print(timescales(gw.LSTM.from_cells(cell).trace(x[1:])[0]))
    The cell state of the one unit decays with a timescale of 404 steps along the cell.
    """
    trace = of_one_cell(trace)
    require_between_0_and_1(trace, "forget_gate", "a timescale")
    steps, total, in_pairs, resets, kept = _log_retention_sums(trace)
    if not steps:
        raise OptionError("a timescale needs at least one valid step; this trace has none")
    if np.isnan(total).any():
        raise OptionError("a timescale needs a forget gate that is a number; this trace has NaN at a valid step")
    nothing = KEEPS * float(np.finfo(trace.parameters.dtype).eps)
    total = np.where(-total > nothing * steps, total, 0.0)
    kept = np.where(-kept > nothing * (steps - resets), kept, 0.0)
    timescale = np.where(total == 0, np.inf, -steps / total)
    off = np.abs(in_pairs + steps / timescale) / np.where(total < 0, -total, 1.0)
    columns: dict[str, npt.NDArray[Any]] = {"unit": np.array(unit_names(trace)), "forget_gate": np.exp(total / steps)}
    between = np.where(resets == steps, timescale, np.where(kept < 0, (resets - steps) / kept, np.inf))
    lengths = {"timescale": timescale, "half_life": np.log(2) * timescale, "span": np.log(100) * timescale}
    lengths["between_resets"] = between
    columns |= lengths
    step = step_duration(trace)
    if step is not None:
        columns |= {f"{name}_{step[1]}": step[0] * length for name, length in lengths.items()}
    columns["resets"] = resets
    most = f"a unit has up to {counted(int(resets.max()), 'reset')}" if resets.any() else "no unit has resets"
    reading = (
        f"Measured: the product of the forget gates at {counted(steps, 'step')}; {most}, at which it retains less than"
        " a tenth."
    )
    return Timescales(
        columns=columns,
        sentence=_timescale_sentence(columns, step),
        law=LAW,
        reading=(reading,),
        residual=float(np.max(off, where=np.isfinite(off), initial=0.0)),
        time_unit=None if step is None else step[1],
        **lengths,
    )


def _log_retention_sums(trace: Trace) -> tuple[int, Array, Array, npt.NDArray[np.intp], Array]:
    """Return a trace's number of valid steps, and the sum of ln F over them, directly and over products of pairs.

    Of each unit, also the number of its resets, and the sum over the other steps.
    """
    steps, batch, units = trace.forget_gate.shape
    count, resets, (total, in_pairs, kept) = 0, np.zeros(units, np.intp), np.zeros((3, units))
    for when in pieces("reading forget gates", steps, batch * units):
        factors, on = retention_of(trace, when), valid_steps(trace, when)
        factors = factors.reshape(-1, units) if on is None else factors[on]
        even = len(factors) // 2 * 2
        total += np.log(factors).sum(0)
        in_pairs += np.log(factors[:even].reshape(-1, 2, units).prod(1)).sum(0) + np.log(factors[even:]).sum(0)
        keeps = factors >= RESET - EPSILONS * np.finfo(trace.parameters.dtype).eps
        resets += (~keeps).sum(0)
        kept += np.log(factors, where=keeps, out=np.zeros_like(factors)).sum(0)
        count += len(factors)
    return count, total, in_pairs, resets, kept


def _timescale_sentence(columns: dict[str, npt.NDArray[Any]], step: tuple[float, str] | None) -> str:
    """Return the sentence about timescales, with one between resets if these decide which is longest or shortest."""
    sentence, between, timescale = _decay_of_units(columns, step), columns["between_resets"], columns["timescale"]
    slowest, fastest = first_slowest(between), first_largest(1 / timescale)
    unit = "it" if len(between) == 1 else f"the slowest, unit {columns['unit'][slowest]},"
    is_reset = columns["resets"] > 0
    if is_reset[slowest] and between[slowest] > (1 + TIE) * timescale.max():
        return f"{sentence}; that includes resets, between which {unit} {_decay(between[slowest], step)}."
    if is_reset[fastest] and between[fastest] > (1 + TIE) * np.median(timescale):
        unit = f"unit {columns['unit'][fastest]}"
        return f"{sentence}; that includes resets, between which {unit} {_decay(between[fastest], step)}."
    return f"{sentence}."


def first_slowest(timescales: Array) -> int:
    """Return the unit with the longest timescale: the first of those whose rates of decay differ by rounding alone."""
    with np.errstate(divide="ignore"):  # of a unit that forgets everything
        rates = 1 / timescales
    return first_largest(-rates, TIE * float(rates.min()) + KEEPS * float(np.finfo(np.float32).eps))


def _decay_of_units(columns: dict[str, npt.NDArray[Any]], step: tuple[float, str] | None) -> str:
    """Return the clause about timescales: the longest and the shortest."""
    units, timescale = columns["unit"], columns["timescale"]
    longest, shortest = first_slowest(timescale), first_largest(1 / timescale)
    slowest, fastest = (_decay(timescale[place], step) for place in (longest, shortest))
    if len(units) == 1:
        return f"The cell state of the one unit {slowest} along the cell"
    if slowest == fastest:
        return f"The cell state of each of the {len(units):,} units {slowest} along the cell"
    median = float(np.median(timescale))
    if np.isfinite(median):
        half = f"The median timescale of the {len(units):,} units along the cell is {duration_of(median, step)}"
    else:
        half = f"At least half of the {len(units):,} units forget nothing along the cell"
    if np.isfinite(timescale[longest]):
        slowest = f"decays slowest, in {duration_of(timescale[longest], step)}"
    fastest = f"fastest, in {duration_of(timescale[shortest], step)}"
    return f"{half}; unit {units[longest]} {slowest}, and unit {units[shortest]} {fastest}"


def _decay(timescale: float, step: tuple[float, str] | None) -> str:
    """Return how a cell state decays, as a part of a sentence."""
    return f"decays with a timescale of {duration_of(timescale, step)}" if np.isfinite(timescale) else "never decays"
