"""Arrays with names on their axes: what a trace kept, as a `Dataset` of xarray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import MissingExtraError


def dataset(
    quantities: Mapping[str, Array],
    *,
    input: Array | None,
    valid: Mask | None,
    projected: bool,
    times: npt.NDArray[Any] | Sequence[str],
    rows: Sequence[str] | None,
    features: Sequence[str] | None,
    units: Sequence[str | int],
    attributes: Mapping[str, str],
) -> Any:
    """Return an `xarray.Dataset`: a variable for each array, with named dimensions and labels on them.

    Parameters
    ----------
    quantities : dict of arrays (time, batch, unit)
        By name; of a `projected` cell, the hidden state has an axis of its own in place of the units.
    input : array (time, batch, feature) or None
    valid : boolean array (time, batch) or None
    times, rows, features, units : sequence
        What stands at each place of the four axes; None where an axis has no labels.
    attributes : dict of str

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("to_xarray needs xarray: pip install 'gatewise[xarray]'") from None
    variables: dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]] = {}
    for name, array in quantities.items():
        last = "projected" if projected and name == "hidden_state" else "unit"
        variables[name] = (("time", "batch", last), array)
    if input is not None:
        variables["input"] = (("time", "batch", "feature"), input)
    if valid is not None:
        variables["valid"] = (("time", "batch"), valid)
    labels = {"time": times, "batch": rows, "feature": features, "unit": units}
    used = {dimension for dimensions, _ in variables.values() for dimension in dimensions}
    coordinates = {
        name: found if isinstance(found, np.ndarray) else list(found)  # a tuple is more than a list to xarray
        for name, found in labels.items()
        if found is not None and name in used
    }
    return xarray.Dataset(variables, coordinates, attributes)
