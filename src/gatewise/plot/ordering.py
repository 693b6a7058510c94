"""Which units of a cell are drawn, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, index
from gatewise.errors import NotKeptError, OptionError, importing, join_names, one_of
from gatewise.insight.memory import timescales
from gatewise.insight.naming import unit_names
from gatewise.records.trace import Trace

ORDERS = ("none", "timescale", "cluster")
SEEN = 1000  # steps by which units are compared
Units = int | str | Sequence[int | str]


def places(trace: Trace, units: Units | None) -> npt.NDArray[np.intp]:
    """Return where the chosen units lie among those that a trace kept.

    Parameters
    ----------
    trace : Trace
    units : int, str, or a sequence of them; or None
        Hidden units, counted from 0 (negative from the end), or their names; None for all that are kept.

    Raises
    ------
    OptionError
        If there is no such unit.
    NotKeptError
        If the trace did not keep it.
    """
    count, names = trace.parameters.hidden_size, unit_names(trace)
    kept = list(range(count) if trace.keep.units is None else trace.keep.units)
    if units is None:
        return np.arange(len(kept))
    found = []
    for unit in [units] if isinstance(units, (int, str, np.integer)) else units:
        if isinstance(unit, str) and unit in names:
            found.append(names.index(unit))
        elif (hidden := index("unit", unit, count, "this cell")) in kept:
            found.append(kept.index(hidden))
        else:
            raise NotKeptError(f"this trace did not keep unit {hidden}; it kept {join_names(kept)}")
    if not found:
        raise OptionError("units must name at least one unit")
    return np.array(found, np.intp)


def ordered(trace: Trace, values: Array, units: Units | None, sort: str) -> npt.NDArray[np.intp]:
    """Return the places of the chosen units, among those that are kept, in the order in which they are drawn.

    Parameters
    ----------
    trace : Trace
    values : array (time, units)
        What is drawn of them.
    units
        See `places`.
    sort : {"none", "timescale", "cluster"}
        As they are given, by their timescales (the longest first), or by a hierarchical clustering of `values` in which
        neighbours are alike.

    Raises
    ------
    OptionError
        If there is no such order or unit.
    MissingExtraError
        If units are to be clustered and SciPy is not installed.
    """
    one_of("sort", sort, ORDERS)
    chosen = places(trace, units)
    if sort == "timescale":
        return chosen[np.argsort(-timescales(trace).timescale[chosen], kind="stable")]
    if sort == "cluster" and len(chosen) > 2:
        return chosen[_clustered(values[:: max(1, len(values) // SEEN)][:, chosen])]
    return chosen


def _clustered(values: Array) -> npt.NDArray[np.intp]:
    with importing("scipy", "clustering units needs"):
        from scipy.cluster.hierarchy import leaves_list, linkage
    found: npt.NDArray[np.intp] = leaves_list(linkage(np.nan_to_num(values.T), "average", optimal_ordering=True))
    return found
