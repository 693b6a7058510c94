"""One sequence in the run of one cell: the values, the units and their order, the limits and titles of a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, index
from gatewise.errors import NotKeptError, OptionError, importing, join_names, one_of
from gatewise.gates import LETTERS, NAMES
from gatewise.gates import index as gate_index
from gatewise.insight import naming, retention
from gatewise.insight.memory import timescales
from gatewise.margins import largest_first
from gatewise.plot.drawing import symmetric_limits
from gatewise.records.trace import Trace

ORDERS = ("none", "timescale", "cluster")
BOTH_SIDES = ("tanh", "softsign")  # nonlinearities between -1 and 1
MOST_CLUSTERED = 1000  # steps by which units are clustered
MOST_FEATURES = 5  # of a picture, if none are chosen
Units = int | str | Sequence[int | str]
Places = npt.NDArray[np.intp]


class SequenceOfCell:
    """One sequence in the run of one cell, from which a record takes its values, limits, title and columns."""

    def __init__(self, run: object, sequence: int | str) -> None:
        self.trace: Trace = retention.of_one_cell(run)
        if not len(self.trace):
            raise OptionError("a picture needs at least one step; this trace has none")
        self.place = naming.sequence_of(self.trace, sequence)
        self.times, self.units = naming.times_of(self.trace), naming.unit_names(self.trace)
        self.valid = retention.valid_steps(self.trace, which=self.place)
        self.projected = self.trace.parameters.projection is not None

    def values(self, quantity: str, units: Any) -> Array:
        """Return a quantity (time, units) in float64, NaN at invalid steps."""
        values = self.trace.quantity(quantity)[:, self.place][:, units].astype(np.float64)
        if self.valid is not None:
            values[~self.valid] = np.nan
        return values

    def limits(self, quantity: str, values: Array) -> tuple[float, float]:
        """Return the limits of a quantity's colours: 0 and 1 for a gate, else symmetric about 0."""
        if quantity not in NAMES:
            return symmetric_limits(values)
        try:
            retention.require_between_0_and_1(self.trace, quantity, "a picture")
        except OptionError:
            name = self.trace.parameters.variant.activation(LETTERS[gate_index(quantity)]).name
            return (-1.0, 1.0) if name in BOTH_SIDES else symmetric_limits(values)
        outside = self.trace.edits and ((values < 0) | (values > 1)).any()
        return symmetric_limits(values) if outside else (0.0, 1.0)

    def title(self, subject: str) -> str:
        """Return a title: its subject, the sequence of a batch, and ``backward`` if the cell runs so."""
        names = self.trace.labels.sequences
        if self.trace.batch_size > 1 or names is not None:
            subject += f", sequence {self.place if names is None else names[self.place]}"
        return subject if self.trace.direction == "forward" else f"{subject}, backward"

    def unit_places(self, units: Units | None) -> Places:
        """Return the places, among the kept units, of hidden units by number or name; None chooses all."""
        count = self.trace.parameters.hidden_size
        kept = list(range(count) if self.trace.keep.units is None else self.trace.keep.units)
        if units is None:
            return np.arange(len(kept))
        places = []
        for unit in _several(units):
            if unit in self.units:
                places.append(self.units.index(unit))
            elif (hidden := index("unit", unit, count, "this cell")) in kept:
                places.append(kept.index(hidden))
            else:
                raise NotKeptError(f"this trace did not keep unit {hidden}; it kept {join_names(kept)}")
        if not places:
            raise OptionError("units must name at least one unit")
        return np.array(places, np.intp)

    def ordered_places(self, units: Units | None, sort: str, quantity: str) -> Places:
        """Return the places of units in the order of the picture: the longest timescale between resets first, or by
        a hierarchical clustering of the quantity, similar units side by side.
        """
        one_of("sort", sort, ORDERS)
        places = self.unit_places(units)
        if sort == "timescale":
            return places[largest_first(timescales(self.trace).between_resets[places], relative=True)]
        if sort == "cluster" and len(places) > 2:
            values = self.trace.quantity(quantity)[:, self.place]
            with importing("scipy", "clustering units needs"):
                from scipy.cluster.hierarchy import leaves_list, linkage
            rows = np.nan_to_num(values[:: max(1, len(values) // MOST_CLUSTERED)][:, places].T)
            places = places[leaves_list(linkage(rows, "average", optimal_ordering=True))]
        return places

    def feature_places(self, unit: int, features: int | str | Sequence[int | str] | None) -> Places:
        """Return the places of the chosen features of the input, or of those with the largest effect on a unit."""
        count, x = self.trace.parameters.input_size, self.trace.input
        if x is None:
            if features is not None:
                raise NotKeptError("this trace did not keep the input; it kept less (keep, units or every)")
            return np.zeros(0, np.intp)
        if features is not None:
            names: list[Any] = list(self.trace.labels.features or ())
            places = (
                names.index(name) if name in names else index("feature", name, count, "this trace")
                for name in _several(features)
            )
            return np.array([*places], np.intp)
        x = x[:, self.place] if self.valid is None else x[self.valid, self.place]
        effects = np.abs(self.trace.parameters.input_weight[:, unit]).sum(0) * (x.std(0) if len(x) else 1.0)
        return np.sort(largest_first(effects, MOST_FEATURES))

    def columns(self, names: Iterable[str], values: Iterable[Array]) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of a record by name, the times first."""
        return columns_of(self.times, [*names], values)


def _several(chosen: int | str | Sequence[int | str]) -> Sequence[int | str]:
    return [chosen] if isinstance(chosen, (int, str, np.integer)) else chosen


def columns_of(times: npt.NDArray[Any], names: Sequence[str], values: Iterable[Array]) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a record by name, the times first; a repeated name gets its place in brackets."""
    columns: dict[str, npt.NDArray[Any]] = {"time": times}
    for place, (name, column) in enumerate(zip(names, values, strict=True)):
        columns[name if name not in columns else f"{name} ({place})"] = column
    return columns
