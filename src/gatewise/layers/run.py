"""RunPlan: what a run will compute and keep, decided before it starts; and the functions that carry it out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, array_of, empty, lock, require_memory, require_reusable, unlock
from gatewise.engine import ENGINES, choose, engine_of_edits
from gatewise.equations import NO_DROPOUT
from gatewise.errors import OptionError, ShapeError
from gatewise.layers.arguments import Arguments, unbatched
from gatewise.layers.editing import edits_of
from gatewise.layers.merging import direction_output, merge, merged_size
from gatewise.layers.stack import Stack, States
from gatewise.records.edits import Edit, states_apart
from gatewise.records.keep import NOTHING, Keep
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.nesting import Cell, array_prefix, by_cell, map_cells
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace

Shapes = dict[str, tuple[int, ...]]  # of arrays by their names


class CellOutcome(NamedTuple):
    """The outcome of a cell's run: its final state, the arrays that it kept, and the input that it read."""

    final: State
    arrays: dict[str, Array]
    input: Array


@dataclass(frozen=True, eq=False)
class RunPlan:
    """A run of all cells."""

    arguments: Arguments
    keep: Keep
    layers: tuple[dict[str, Trace], ...]  # the trace of each cell before the run, without arrays, by direction
    shapes: tuple[dict[str, Shapes], ...]  # of the arrays that each cell will keep
    merge: tuple[str, ...]  # of the directions of each layer

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the LSTM's output, with a batch axis."""
        sizes = [cell.parameters.recurrent_size for cell in self.layers[-1].values()]
        apart = (2,) if self.merge[-1] == "none" and len(sizes) == 2 else ()
        return (*self.arguments.x.shape[:2], *apart, merged_size(self.merge[-1], sizes))

    def array_shapes(self) -> Shapes:
        """Return the shape of every array that the run writes, by its name: the output, and the kept arrays."""
        shapes = {"output": self.output_shape}
        for cell, kept_shapes in by_cell(self.shapes).items():
            shapes |= {f"{array_prefix(cell)}{name}": shape for name, shape in kept_shapes.items()}
        return shapes

    def trace(self, y: Array, outcomes: Sequence[Mapping[str, CellOutcome]]) -> LSTMTrace:
        """Return the trace of the run that had this output and these outcomes of its cells."""

        def completed(_: Cell, cell: Trace, outcome: CellOutcome) -> Trace:
            return cell.completed(outcome.final, outcome.arrays, outcome.input if self.keep.everything else None)

        layers = map_cells(completed, self.layers, outcomes)
        return LSTMTrace(layers, y, self.merge, self.arguments.masked_output)


def plan_run(
    stack: Stack,
    arguments: Arguments,
    keep: Keep = NOTHING,
    labels: Sequence[Sequence[Labels]] | None = None,
    edit: Edit | Sequence[Edit] = (),
) -> RunPlan:
    """Return the plan of a run of an LSTM's cells: for each, the trace to fill and the shapes of its arrays."""
    time, batch = arguments.x.shape[:2]
    layers: list[dict[str, Trace]] = []
    shapes: list[dict[str, Shapes]] = []
    for number, row in enumerate(stack.layers):
        layers.append({})
        shapes.append({})
        for place, (cell, direction) in enumerate(zip(row, stack.directions, strict=True)):
            p, masks = cell.parameters, None if arguments.dropout is None else arguments.dropout[number][place]
            dropout = (masks or NO_DROPOUT).fit(p, time, batch)
            layers[-1][direction] = Trace.planned(
                parameters=p,
                initial=arguments.state[number][place],
                num_steps=time,
                direction=direction,
                valid=arguments.valid,
                dropout=dropout,
                keep=keep,
                engine=choose(arguments.engine, p).NAME,
                labels=NO_LABELS if labels is None else labels[number][place],
                batched=arguments.batched,
            )
            shapes[-1][direction] = keep.shapes(p, time, batch, dropout)
    plan = RunPlan(arguments, keep, tuple(layers), tuple(shapes), stack.merge)
    return _with_edits(plan, stack, edit) if edit else plan


def _with_edits(plan: RunPlan, stack: Stack, edit: Edit | Sequence[Edit]) -> RunPlan:
    """Return a run's plan with edits, in which all cells run on the engine that can edit."""
    labels = next(iter(plan.layers[0].values())).labels
    edits = edits_of(stack, edit, plan.arguments, labels)
    engine = engine_of_edits(plan.arguments.engine).NAME
    time, batch = plan.arguments.x.shape[:2]

    def edited(key: Cell, cell: Trace) -> Trace:
        return replace(cell, engine=engine, edits=edits.get(key, ()))

    def shapes(_: Cell, cell: Trace) -> Shapes:
        return plan.keep.shapes(cell.parameters, time, batch, cell.dropout, states_apart(cell.edits))

    layers = map_cells(edited, plan.layers)
    return replace(plan, layers=layers, shapes=map_cells(shapes, layers))


def require_room(plan: RunPlan, *, in_memory: bool) -> None:
    """Raise CapacityError if the outputs of a run, and the arrays that it keeps `in_memory`, would not fit."""
    x = plan.arguments.x
    time, batch = x.shape[:2]
    count = sum(time * batch * cell.parameters.recurrent_size for row in plan.layers for cell in row.values())
    if in_memory:
        count += sum(math.prod(shape) for row in plan.shapes for shapes in row.values() for shape in shapes.values())
        count += x.size if plan.keep.everything else 0
    require_memory(count, x.itemsize, f"a run of {time} × {batch} (steps × sequences)")


def run(
    plan: RunPlan, x: Array, views: Mapping[str, Array] | None = None, out: Array | None = None
) -> tuple[Array, list[dict[str, CellOutcome]]]:
    """Run every layer as planned, the first over `x`, and return the output and the outcome of each cell.

    Kept arrays are written to `views`, under the names of `RunPlan.array_shapes`, and the output to `out`; or each to
    new arrays.
    """
    arguments, keep = plan.arguments, plan.keep
    outcomes: list[dict[str, CellOutcome]] = []
    for number, layer in enumerate(plan.layers):
        outputs = []
        outcomes.append({})
        for direction, cell in layer.items():
            p, reverse = cell.parameters, direction == "backward"
            prefix = array_prefix((number, direction)) if views else ""
            arrays = {
                name: views[f"{prefix}{name}"] if views else empty(shape, x.dtype)
                for name, shape in plan.shapes[number][direction].items()
            }
            hidden = arrays.get("hidden_state")
            if hidden is None or keep.units is not None or keep.every > 1:
                direct = number + 1 == len(plan.layers) and len(layer) == 1 and arguments.valid is None
                if out is not None and direct and not np.may_share_memory(out, x):
                    hidden = out
                else:
                    hidden = np.empty((*x.shape[:2], p.recurrent_size), p.dtype)
            final = ENGINES[cell.engine].run(
                p,
                x,
                cell.initial,
                hidden,
                reverse=reverse,
                valid=arguments.valid,
                dropout=cell.dropout,
                keep=keep,
                arrays=arrays,
                edits=cell.edits,
            )
            outcomes[-1][direction] = CellOutcome(final, arrays, x)
            outputs.append(direction_output(hidden, arguments.valid, arguments.masked_output, reverse=reverse))
        x = merge(outputs, plan.merge[number])
    if out is not None and not np.shares_memory(out, x):
        top = next(iter(outcomes[-1].values()))
        if any(np.shares_memory(out, array) for array in top.arrays.values()):
            return x, outcomes  # an earlier run's output was a hidden state, and this run's is not
        np.copyto(out, x)
        x = out
    return x, outcomes


# A call.


def call(stack: Stack, arguments: Arguments, out: Array | None = None) -> tuple[Array, States]:
    """Return the output of an LSTM's stack, in the caller's array if there is one, and its final states."""
    plan = plan_run(stack, arguments)
    require_room(plan, in_memory=False)
    y, outcomes = run(plan, arguments.x, out=None if out is None else _with_batch(plan, out))
    finals = tuple(tuple(outcome.final for outcome in row.values()) for row in outcomes)
    return (y, finals) if arguments.batched else (y[:, 0], unbatched(finals))


def _with_batch(plan: RunPlan, out: Array) -> Array:
    """Return the caller's array for the output, with a batch axis."""
    with_batch = plan.output_shape
    require_array(
        out, with_batch if plan.arguments.batched else (with_batch[0], *with_batch[2:]), plan.arguments.x.dtype
    )
    if not out.flags.carray:
        raise OptionError("out must be writable, aligned and C-contiguous")
    return out.reshape(with_batch)


def require_array(out: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise ShapeError unless the `out` of a run is an array of this shape and dtype."""
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (shape, dtype):
        actual = f"{out.dtype} of {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ShapeError(f"out must be an array of {dtype} of shape {shape}, not {actual}")


# A trace in memory.


def trace_run(plan: RunPlan, x: npt.ArrayLike, out: LSTMTrace | None = None) -> LSTMTrace:
    """Return the trace of a run, in the arrays of an earlier trace if it is given; `x` is the caller's input."""
    views = {} if out is None else _reused_arrays(plan, out)
    source, targets = plan.arguments.x, list(views.values())  # the source must share memory with no target
    if plan.keep.everything:  # and the trace holds on to its input, which must not change when the caller's does
        if "input" in views:
            np.copyto(views["input"], source)
            source, targets = views["input"], []
        targets.append(array_of("x", x))
    if out is not None:
        _require_other_patches(plan, list(views.values()))
    shared = any(np.may_share_memory(source, target) for target in targets)
    if shared or (plan.keep.everything and not source.flags.owndata):
        source = source.copy()
    trace = plan.trace(*run(plan, source, views, views.get("output")))
    for cell in trace.cells().values():
        cell.locked()
    lock(trace.stored_output)
    return trace


def _require_other_patches(plan: RunPlan, targets: Sequence[Array]) -> None:
    """Raise OptionError if an edit patches from arrays that the run overwrites."""
    for edit in (edit for row in plan.layers for cell in row.values() for edit in cell.edits):
        if isinstance(edit.value, np.ndarray) and any(np.may_share_memory(edit.value, target) for target in targets):
            raise OptionError("the patch comes from the trace that out= would overwrite. Leave out out=.")


def _reused_arrays(plan: RunPlan, earlier: LSTMTrace) -> dict[str, Array]:
    """Return the arrays of an earlier trace, unlocked, by the names that `run` gives them."""
    shapes, arrays = plan.array_shapes(), {"output": earlier.stored_output}
    for cell, trace in earlier.cells().items():
        arrays |= {f"{array_prefix(cell)}{name}": array for name, array in trace.arrays.items()}
    if plan.keep.everything:
        shapes["input"] = plan.arguments.x.shape
    if (x := earlier.first.input) is not None:
        arrays["input"] = x
    dtype = plan.arguments.x.dtype
    require_reusable({name: (shape, dtype) for name, shape in shapes.items()}, arrays, "arrays", locked=True)
    for array in arrays.values():
        unlock(array)
    return arrays
