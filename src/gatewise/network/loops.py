"""Operations with a graph of their own, which runs at each step: a scan over sequences, a loop with a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.network.graph import Graph
from gatewise.network.limits import STEP_OF_LOOP, limits_of_bodies
from gatewise.network.operations import AnyArray, Estimate
from gatewise.network.operations.table import Gradients, add_operation
from gatewise.network.running import GraphRun, backward_through, continued_trace, run_with

Order = tuple[int, bool]  # the axis of the steps, and whether they come from the end


def _cost(*arrays: AnyArray | None, **settings: Any) -> Estimate:
    return Estimate(sum(array.size for array in arrays if array is not None), 1)  # each step is charged as it runs


def _feeds(body: Graph, values: Sequence[AnyArray | None]) -> dict[str, AnyArray]:
    return {port.name: value for port, value in zip(body.inputs, values, strict=True) if value is not None}


def _steps_of(array: AnyArray, order: Order) -> AnyArray:
    """Return the steps of a sequence on the first axis, in the order in which they are taken."""
    axis, reverse = order
    steps = np.moveaxis(array, axis, 0)
    return steps[::-1] if reverse else steps


def _sequence_of(steps: AnyArray, order: Order) -> AnyArray:
    """Return steps on the first axis as a sequence: the inverse of `_steps_of`."""
    axis, reverse = order
    return np.moveaxis(steps[::-1] if reverse else steps, 0, axis)


def _stacked(outputs: Sequence[Sequence[AnyArray]], orders: Sequence[Order]) -> tuple[AnyArray, ...]:
    return tuple(
        _sequence_of(np.stack(array), order) for array, order in zip(zip(*outputs, strict=True), orders, strict=True)
    )


# Scan.


def scan(
    *arrays: AnyArray | None, body: Graph, states: int, reads: tuple[Order, ...], makes: tuple[Order, ...]
) -> tuple[AnyArray, ...]:
    """Return the final states, and what the body makes at each step, stacked.

    The inputs are the first states, then sequences, one for each of `reads`, then values that the body reads at every
    step. The body takes the states, one step of each sequence, and the values; it returns the next states, and one step
    for each of `makes`.
    """
    return _scanned(arrays, body, states, reads, makes, keep=False)[0]


def scan_record(
    *arrays: AnyArray | None, body: Graph, states: int, reads: tuple[Order, ...], makes: tuple[Order, ...]
) -> tuple[tuple[AnyArray, ...], list[GraphRun]]:
    """Return the outputs of `scan`, and the run of each step."""
    return _scanned(arrays, body, states, reads, makes, keep=True)


def _scanned(
    arrays: Sequence[Any], body: Graph, states: int, reads: Sequence[Order], makes: Sequence[Order], *, keep: bool
) -> tuple[tuple[AnyArray, ...], list[GraphRun]]:
    limits, runs, results = limits_of_bodies(), list[GraphRun](), list[Sequence[AnyArray]]()
    now = list(arrays[:states])
    sequences = [_steps_of(array, order) for array, order in zip(arrays[states:], reads, strict=False)]
    fixed = arrays[states + len(reads) :]
    counts = {len(item) for item in sequences}
    if len(counts) != 1 or not counts.isdisjoint({0}):
        raise ValueError(f"its sequences have {sorted(counts)} steps, and must have as many, at least one")
    for step in range(counts.pop()):
        limits.work(STEP_OF_LOOP, "its steps")
        feeds = _feeds(body, [*now, *(sequence[step] for sequence in sequences), *fixed])
        if keep:
            runs.append(continued_trace(body, feeds, limits))
            outputs = runs[-1].outputs
        else:
            outputs = run_with(body, feeds, limits)
        now = list(outputs[:states])
        results.append(outputs[states:])
    return (*now, *_stacked(results, makes)), runs


def _scan_vjp(
    g: Sequence[AnyArray],
    runs: list[GraphRun],
    *arrays: AnyArray | None,
    body: Graph,
    states: int,
    reads: tuple[Order, ...],
    makes: tuple[Order, ...],
) -> Gradients:
    dstates = list(g[:states])
    dmade = [_steps_of(item, order) for item, order in zip(g[states:], makes, strict=True)]
    dsteps: list[list[AnyArray]] = [[] for _ in reads]
    dfixed: dict[int, AnyArray] = {}
    for step in reversed(range(len(runs))):
        gradients = _through(runs[step], [*dstates, *(steps[step] for steps in dmade)])
        names = [port.name for port in body.inputs]
        zeros = [np.zeros_like(runs[step].values[name]) if name in runs[step].values else None for name in names]
        parts = [gradients.get(name, zero) for name, zero in zip(names, zeros, strict=True)]
        dstates = parts[:states]  # type: ignore[assignment]
        for place, part in enumerate(parts[states : states + len(reads)]):
            dsteps[place].append(part)  # type: ignore[arg-type]
        for place, part in enumerate(parts[states + len(reads) :]):
            if part is not None:
                dfixed[place] = dfixed[place] + part if place in dfixed else part
    sequences = [_sequence_of(np.stack(steps[::-1]), order) for steps, order in zip(dsteps, reads, strict=True)]
    count = len(arrays) - states - len(reads)
    return (*dstates, *sequences, *(dfixed.get(place) for place in range(count)), None)


def _through(run: GraphRun, gradients: Sequence[AnyArray]) -> Mapping[str, AnyArray]:
    """Return the gradients of one run of a body, given those of its outputs."""
    provided: dict[str, AnyArray] = {}
    for name, gradient in zip(run.graph.outputs, gradients, strict=True):
        if run.values[name].dtype.kind == "f":
            provided[name] = provided[name] + gradient if name in provided else gradient
    return backward_through(run, provided).values


add_operation("scan", scan, _scan_vjp, _cost, time="carry", record=scan_record, has_body=True)


# Loop.


def loop(
    most: AnyArray | None, condition: AnyArray | None, *arrays: AnyArray | None, body: Graph, states: int
) -> tuple[AnyArray, ...]:
    """Return the final states, and what the body makes at each step, stacked on a first axis.

    The body takes the number of the step, whether to go on, the states and other values; it returns whether to go on,
    the next states, and what is stacked. It runs while that holds, at most `most` times.
    """
    return _looped(most, condition, arrays, body, states, keep=False)[0]


def loop_record(
    most: AnyArray | None, condition: AnyArray | None, *arrays: AnyArray | None, body: Graph, states: int
) -> tuple[tuple[AnyArray, ...], list[GraphRun]]:
    """Return the outputs of `loop`, and the run of each step."""
    return _looped(most, condition, arrays, body, states, keep=True)


def _looped(
    most: Any, condition: Any, arrays: Sequence[Any], body: Graph, states: int, *, keep: bool
) -> tuple[tuple[AnyArray, ...], list[GraphRun]]:
    limits, runs, results = limits_of_bodies(), list[GraphRun](), list[Sequence[AnyArray]]()
    now, fixed = list(arrays[:states]), arrays[states:]
    go_on = np.asarray(True) if condition is None else condition
    step = 0
    while go_on.all() and (most is None or step < most.item()):
        limits.work(STEP_OF_LOOP, "its steps")
        feeds = _feeds(body, [np.asarray(step, np.int64), go_on, *now, *fixed])
        if keep:
            runs.append(continued_trace(body, feeds, limits))
            outputs = runs[-1].outputs
        else:
            outputs = run_with(body, feeds, limits)
        go_on, now = outputs[0], list(outputs[1 : 1 + states])
        results.append(outputs[1 + states :])
        step += 1
    count = len(body.outputs) - 1 - states
    if not results and count:
        raise ValueError("it has no steps, and what it stacks has no size then")
    return (*now, *_stacked(results, [(0, False)] * count)), runs


def _loop_vjp(
    g: Any, runs: list[GraphRun], most: Any, condition: Any, *arrays: AnyArray | None, body: Graph, states: int
) -> Gradients:
    dstates, dmade = list(g[:states]), g[states:]
    dfixed: dict[int, AnyArray] = {}
    for step in reversed(range(len(runs))):
        run = runs[step]
        zero = np.zeros_like(run.values[body.outputs[0]])
        gradients = _through(run, [zero, *dstates, *(steps[step] for steps in dmade)])
        names = [item.name for item in body.inputs[2:]]
        parts = [gradients.get(name, np.zeros_like(run.values[name])) for name in names]
        dstates = parts[:states]
        for place, part in enumerate(parts[states:]):
            dfixed[place] = dfixed[place] + part if place in dfixed else part
    rest = (dfixed.get(place) for place in range(len(arrays) - states))
    return (None, None, *dstates, *rest, None)


add_operation("loop", loop, _loop_vjp, _cost, time="carry", record=loop_record, has_body=True)
