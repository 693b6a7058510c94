"""In which order the units of a cell are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, index
from gatewise.errors import MissingExtraError, one_of
from gatewise.insight.memory import timescales
from gatewise.trace import Trace

ORDERS = ("none", "timescale", "cluster")
SEEN = 1000  # steps by which units are compared


def ordered(trace: Trace, values: Array, units: Sequence[int] | None, sort: str) -> npt.NDArray[np.intp]:
    """Return the places of the chosen units in the order in which they are drawn.

    Parameters
    ----------
    trace : Trace
    values : array (time, units)
        What is drawn of them.
    units : sequence of int or None
        Which of the kept units; None for all.
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
    count = values.shape[1]
    chosen = np.array([index("unit", unit, count, "this trace") for unit in (range(count) if units is None else units)])
    if sort == "timescale":
        return chosen[np.argsort(-timescales(trace).timescale[chosen], kind="stable")]
    if sort == "cluster" and len(chosen) > 2:
        return chosen[_clustered(values[:: max(1, len(values) // SEEN)][:, chosen])]
    return chosen.astype(np.intp)


def _clustered(values: Array) -> npt.NDArray[np.intp]:
    try:
        from scipy.cluster.hierarchy import leaves_list, linkage
    except ImportError:
        raise MissingExtraError("clustering units needs SciPy: from a clone, pip install '.[plot]'") from None
    found: npt.NDArray[np.intp] = leaves_list(linkage(np.nan_to_num(values.T), "average", optimal_ordering=True))
    return found
