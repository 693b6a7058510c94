"""The choice and the order of the units in a picture."""

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
MOST_STEPS = 1000  # by which units are clustered
Units = int | str | Sequence[int | str]


def unit_places(trace: Trace, units: Units | None) -> npt.NDArray[np.intp]:
    """Return the places, among the kept units of a trace, of hidden units by number or name; None chooses all."""
    count, names = trace.parameters.hidden_size, unit_names(trace)
    available = list(range(count) if trace.keep.units is None else trace.keep.units)
    if units is None:
        return np.arange(len(available))
    places = []
    for unit in [units] if isinstance(units, (int, str, np.integer)) else units:
        if isinstance(unit, str) and unit in names:
            places.append(names.index(unit))
        elif (hidden := index("unit", unit, count, "this cell")) in available:
            places.append(available.index(hidden))
        else:
            raise NotKeptError(f"this trace did not keep unit {hidden}; it kept {join_names(available)}")
    if not places:
        raise OptionError("units must name at least one unit")
    return np.array(places, np.intp)


def order_units(trace: Trace, values: Array, units: Units | None, sort: str) -> npt.NDArray[np.intp]:
    """Return the places of chosen units among those of a trace, in the order of the picture; see `unit_places`.

    They are sorted by timescale between resets (the longest first), or by a hierarchical clustering of the values in
    the picture (time, units), similar units side by side.
    """
    one_of("sort", sort, ORDERS)
    chosen = unit_places(trace, units)
    if sort == "timescale":
        return chosen[np.argsort(-timescales(trace).between_resets[chosen], kind="stable")]
    if sort == "cluster" and len(chosen) > 2:
        return chosen[_clustered_order(values[:: max(1, len(values) // MOST_STEPS)][:, chosen])]
    return chosen


def _clustered_order(values: Array) -> npt.NDArray[np.intp]:
    """Return the order of units in a picture by hierarchical clustering of their values (time, units)."""
    with importing("scipy", "clustering units needs"):
        from scipy.cluster.hierarchy import leaves_list, linkage
    order: npt.NDArray[np.intp] = leaves_list(linkage(np.nan_to_num(values.T), "average", optimal_ordering=True))
    return order
