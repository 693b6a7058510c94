"""Which axes of a graph's inputs and values are time and batch: found by runs of small inputs of different sizes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from gatewise.errors import GatewiseError
from gatewise.network.graph import Graph
from gatewise.network.limits import PROBE_NUMBERS, RunLimits
from gatewise.network.running import GraphRun, trace

SIZES = ((5, 7, 11, 13), (67, 71, 73, 79))  # of free axes by their places; the second where windows are long
MORE = 6  # that an axis is longer in another run, so that strides up to 6 show it

Axes = tuple[str, ...]


def axes_of(graph: Graph) -> Mapping[str, Axes]:
    """Return the names of the axes of each input and output: time, batch, feature, or empty if it is none of these.

    A value is left out if that cannot be told: its LSTMs were not reached, or the runs failed.
    """
    if not graph.lstms or any(port.shape is None for port in graph.inputs):
        return {}
    for sizes in SIZES:
        if (base := _run(graph, sizes)) is not None and base.lstms:
            return _from_runs(graph, base, sizes)
    return {}


def probed(graph: Graph) -> GraphRun | None:
    """Return a run of small inputs of zeros, for the types and the axes of values; None if the graph cannot run."""
    if any(port.shape is None for port in graph.inputs):
        return None
    runs = (_run(graph, sizes) for sizes in SIZES)
    return next((run for run in runs if run is not None), None)


def _run(graph: Graph, sizes: tuple[int, ...]) -> GraphRun | None:
    """Return a run of zeros whose free axes have these sizes, by their places; None if it fails."""
    feeds = {}
    for port in graph.inputs:
        assert port.shape is not None
        if len(port.shape) > len(sizes):
            return None
        shape = [sizes[place] if size is None else size for place, size in enumerate(port.shape)]
        if math.prod(max(1, size) for size in shape) > PROBE_NUMBERS:
            return None
        feeds[port.name] = np.zeros(shape, port.dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return trace(graph, feeds, RunLimits.of_probe())
    except GatewiseError:
        return None


def _from_runs(graph: Graph, base: GraphRun, sizes: tuple[int, ...]) -> Mapping[str, Axes]:
    """Return the axes of inputs and outputs, given a run: each free axis is made longer in one more."""
    names = [port.name for port in graph.inputs] + list(graph.outputs)
    result: dict[str, list[str]] = {name: [""] * base.values[name].ndim for name in names if name in base.values}
    for place in range(max(len(item.shape or ()) for item in graph.inputs)):
        longer = _run(graph, (*sizes[:place], sizes[place] + MORE, *sizes[place + 1 :]))
        if longer is None:
            continue
        kinds = {
            kind
            for name in base.lstms.keys() & longer.lstms.keys()
            for kind, axis in (("time", 0), ("batch", 1))
            if _size(base, name, axis) != _size(longer, name, axis)
        }
        if len(kinds) != 1:
            continue
        for name, axes in result.items():
            for axis, (a, b) in enumerate(zip(base.values[name].shape, longer.values[name].shape, strict=True)):
                if a != b:
                    axes[axis] = "" if axes[axis] else next(iter(kinds))
    return {name: tuple(_with_feature(graph, base, name, axes)) for name, axes in result.items()}


def _size(run: GraphRun, lstm: str, axis: int) -> int:
    node = next(node for node in run.graph.nodes if node.name == lstm)
    return int(run.values[node.inputs[0]].shape[axis])


def _with_feature(graph: Graph, base: GraphRun, name: str, axes: list[str]) -> list[str]:
    """Return axes of which the last, or the only other one, holds features; a fixed axis may be the missing one."""
    free = [place for place, kind in enumerate(axes) if not kind]
    if len(axes) == 3 and len(free) == 2 and free[-1] == 2:  # a batch or a time of a fixed size
        other = {"time", "batch"} - set(axes)
        axes[free[0]] = other.pop()
        free = free[1:]
    if len(free) == 1 and base.values[name].dtype.kind == "f":
        axes[free[0]] = "feature"
    return axes


def in_words(axes: Any) -> str:
    """Return axes as a caller writes them: batch,time,feature."""
    return ",".join(axes)
