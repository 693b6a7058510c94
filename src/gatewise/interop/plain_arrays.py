"""The run of a model as plain arrays, for an .npz file that needs no gatewise to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.network import Run
from gatewise.records.labels import Labels


def npz_arrays(trace: Run) -> dict[str, Any]:
    """Return the arrays of an LSTM's trace by plain names for an .npz file, each with a batch axis.

    Where a network ran, the features are those of the network, and are named with its arrays.
    """
    lstm = trace.lstm.stored
    arrays: dict[str, Any] = {"output": lstm.output}
    for (number, direction), cell in lstm.cells().items():
        start = f"layer{number}.{direction}."
        for name in cell.keep.quantities:
            projected = "unprojected_state" in cell.arrays or "hidden_state" not in cell.keep.quantities
            if name != "unprojected_state" or projected:
                arrays[start + name] = cell.quantity(name)
        for when in ("initial", "final"):
            state = getattr(cell, when)
            arrays |= {f"{start}{when}_hidden_state": state.h, f"{start}{when}_cell_state": state.c}
    first = lstm.first
    arrays["steps"] = first.start + np.arange(0, first.num_steps, first.keep.every)
    if first.input is not None:
        arrays["input"] = first.input
    if first.valid is not None:
        arrays["valid"] = first.valid
    if first.keep.units is not None:
        arrays["units"] = np.array(first.keep.units)
    kinds = ("features", "units", "sequences", "times") if trace.network is None else ("units", "sequences", "times")
    return arrays | _name_arrays("names.", first.labels, kinds)


def network_arrays(trace: Run, x: Any) -> dict[str, Any]:
    """Return the input and output of a network's trace for an .npz file, and their names; nothing for an LSTM."""
    if trace.network is None:
        return {}
    stored: Any = trace.stored
    arrays = {"network.input": x if trace.batched else x[:, None], "network.output": stored.output}
    return arrays | _name_arrays("network.names.", trace.labels, ("features", "outputs"))


def series_arrays(outputs: Any, labels: Labels) -> dict[str, Any]:
    """Return the outputs (time, batch, output) of a series in windows for an .npz file, and the names of its steps."""
    return {"series.output": outputs, **_name_arrays("series.", labels, ("times", "sequences"))}


def _name_arrays(prefix: str, labels: Labels, kinds: Sequence[str]) -> dict[str, Any]:
    names = {kind: getattr(labels, kind) for kind in kinds}
    return {f"{prefix}{kind}": np.array(text, dtype=np.str_) for kind, text in names.items() if text is not None}
