"""The values of a probe: their name, the steps that have one, their shifts in time, and the parts held out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, numbers, require_memory
from gatewise.cell import Rng, generator
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.insight.ridge import ProbeRows
from gatewise.records.labels import Measure
from gatewise.records.trace import Trace
from gatewise.showing import counted


def label_of_values(trace: Trace, name: object, values: object) -> str:
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


def usable_values(trace: Trace, values: npt.ArrayLike, chosen: slice) -> tuple[Array, Mask]:
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
        raise OptionError(
            f"all values are {array[usable][0]:g}, so there is nothing to probe. Pass values that differ."
        )
    if not 0 < (variance := array[usable].var()) < np.inf:
        raise OptionError(f"the variance of the values is {variance:g}, beyond float64. Rescale them.")
    return array, usable


def shifts_in_time(usable: Mask, draws: int, shift: str, rng: Rng) -> npt.NDArray[np.intp]:
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


def assign_folds(rows: ProbeRows, left: ProbeRows, by: str | None, folds: int) -> tuple[npt.NDArray[np.intp], str]:
    """Return a probe's group of each step, 2 fold + half (time, batch), and what its folds are: sequences or blocks."""
    counts, rank = rows.counts, rows.rank
    several = int((left.counts > 0).sum())  # sequences of which the filter of their past leaves something
    by = one_of("by", by, ("sequence", "block")) if by is not None else "sequence" if several > 1 else "block"
    if by == "block":
        longest = int(counts.max())
        if longest < 2 * folds:
            raise OptionError(
                f"{folds} blocks need a sequence of at least {2 * folds} values; the longest has {longest}"
            )
        return 2 * folds * rank // np.maximum(counts, 1), by
    if several < 2:
        raise OptionError("by='sequence' needs filtered values in at least two sequences; here only one has some")
    folds = min(folds, several)
    loads, fold = np.zeros(folds, np.intp), np.zeros(len(counts), np.intp)
    for place in np.argsort(-counts, kind="stable"):  # the longest first, each to the fold with the fewest values
        fold[place] = loads.argmin()
        loads[fold[place]] += counts[place]
    return 2 * fold + 2 * rank // np.maximum(counts, 1), by
