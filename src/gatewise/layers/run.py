"""A Plan: what a run will compute and keep, decided before it starts; and what runs it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, empty, lock, require_memory, require_reusable, unlock
from gatewise.dropout import NO_DROPOUT, DropoutMasks
from gatewise.engine import ENGINES, choose, engine_of_edits
from gatewise.errors import OptionError, ShapeError
from gatewise.layers.arguments import Arguments, unbatched
from gatewise.layers.editing import edits_of
from gatewise.layers.merging import merge, merged_size, shown
from gatewise.layers.stack import Stack, States
from gatewise.parameters import Parameters
from gatewise.records.edits import Edit, states_apart
from gatewise.records.keep import NOTHING, Keep
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace


class Left(NamedTuple):
    """What a cell's run left behind: its final state, the arrays of `CellPlan.shapes`, and the input that it read."""

    final: State
    arrays: dict[str, Array]
    input: Array


class CellPlan(NamedTuple):
    """What is known of one cell's trace before the run, and the shapes of the arrays that it will keep."""

    parameters: Parameters
    direction: str
    initial: State
    num_steps: int
    valid: Mask | None
    dropout: DropoutMasks
    keep: Keep
    engine: str
    labels: Labels
    shapes: dict[str, tuple[int, ...]]
    edits: tuple[Edit, ...] = ()

    def trace(self, left: Left, *, batched: bool) -> Trace:
        """Return the trace of the run that left this behind."""
        return Trace(
            parameters=self.parameters,
            initial=self.initial,
            final=left.final,
            num_steps=self.num_steps,
            arrays=left.arrays,
            input=left.input if self.keep.everything else None,
            direction=self.direction,
            valid=self.valid,
            dropout=self.dropout,
            keep=self.keep,
            engine=self.engine,
            labels=self.labels,
            edits=self.edits,
            batched=batched,
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """A run of all cells.

    Attributes
    ----------
    given : Arguments
    keep : Keep
    layers : tuple of dict
        The `CellPlan` of each direction, for each layer.
    merge : tuple of str
        How each layer merges its directions.
    """

    given: Arguments
    keep: Keep
    layers: tuple[dict[str, CellPlan], ...]
    merge: tuple[str, ...]

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the output, with a batch axis."""
        sizes = [cell.parameters.recurrent_size for cell in self.layers[-1].values()]
        apart = (2,) if self.merge[-1] == "none" and len(sizes) == 2 else ()
        return (*self.given.x.shape[:2], *apart, merged_size(self.merge[-1], sizes))

    def kept(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array that the run writes by its name: the output, and what the traces keep."""
        found = {"output": self.output}
        for number, layer in enumerate(self.layers):
            for direction, cell in layer.items():
                found |= {f"layers.{number}.{direction}.{name}": shape for name, shape in cell.shapes.items()}
        return found

    def trace(self, y: Array, left: Sequence[Mapping[str, Left]]) -> LSTMTrace:
        """Return the traces of the run that put this out and left that behind."""
        pairs = zip(self.layers, left, strict=True)
        batched = self.given.batched
        layers = [{way: cell.trace(done[way], batched=batched) for way, cell in layer.items()} for layer, done in pairs]
        return LSTMTrace(tuple(layers), y, self.merge, self.given.masked_output)


def planned(
    stack: Stack,
    given: Arguments,
    keep: Keep = NOTHING,
    labels: Sequence[Sequence[Labels]] | None = None,
    edit: Edit | Sequence[Edit] = (),
) -> Plan:
    """Return the plan of a run of a stack's cells."""
    time, batch = given.x.shape[:2]
    layers = []
    for number, row in enumerate(stack.layers):
        layer = {}
        for place, (cell, direction) in enumerate(zip(row, stack.directions, strict=True)):
            p, masks = cell.parameters, None if given.dropout is None else given.dropout[number][place]
            dropout = (masks or NO_DROPOUT).fit(p, time, batch)
            layer[direction] = CellPlan(
                parameters=p,
                direction=direction,
                initial=given.state[number][place],
                num_steps=time,
                valid=given.valid,
                dropout=dropout,
                keep=keep,
                engine=choose(given.engine, p).NAME,
                labels=NO_LABELS if labels is None else labels[number][place],
                shapes=keep.shapes(p, time, batch, dropout),
            )
        layers.append(layer)
    plan = Plan(given, keep, tuple(layers), stack.merge)
    return _edited(plan, stack, edit) if edit else plan


def _edited(plan: Plan, stack: Stack, edit: Edit | Sequence[Edit]) -> Plan:
    """Return a plan with edits, all of whose cells run on the engine that does them."""
    edits = edits_of(stack, edit, plan.given)
    engine = engine_of_edits(plan.given.engine).NAME
    time, batch = plan.given.x.shape[:2]
    layers = []
    for number, layer in enumerate(plan.layers):
        cells = {}
        for direction, cell in layer.items():
            own = edits.get((number, direction), ())
            shapes = plan.keep.shapes(cell.parameters, time, batch, cell.dropout, states_apart(own))
            cells[direction] = cell._replace(engine=engine, edits=own, shapes=shapes)
        layers.append(cells)
    return replace(plan, layers=tuple(layers))


def require_room(plan: Plan, *, kept: bool) -> None:
    """Raise CapacityError where the outputs of a run, and what its traces keep in memory, would not fit."""
    x, cells = plan.given.x, [cell for layer in plan.layers for cell in layer.values()]
    time, batch = x.shape[:2]
    count = sum(time * batch * cell.parameters.recurrent_size for cell in cells)
    if kept:
        count += sum(math.prod(shape) for cell in cells for shape in cell.shapes.values())
        count += x.size if plan.keep.everything else 0
    require_memory(count, x.itemsize, f"a run of {time} × {batch} (steps × sequences)")


def run(
    plan: Plan, x: Array, views: Mapping[str, Array] | None = None, out: Array | None = None
) -> tuple[Array, list[dict[str, Left]]]:
    """Run every layer as planned, the first over `x`; return the output, and what each cell's run left behind.

    What is kept goes to `views`, under the names of `Plan.kept`, the output to `out`, or each to new arrays.
    """
    given, keep = plan.given, plan.keep
    left = []
    for number, layer in enumerate(plan.layers):
        outputs, done = [], {}
        for direction, cell in layer.items():
            p, reverse = cell.parameters, direction == "backward"
            arrays = {
                name: views[f"layers.{number}.{direction}.{name}"] if views else empty(shape, x.dtype)
                for name, shape in cell.shapes.items()
            }
            hidden = arrays.get("hidden_state")
            if hidden is None or keep.units is not None or keep.every > 1:
                straight = number + 1 == len(plan.layers) and len(layer) == 1 and given.valid is None
                if out is not None and straight and not np.may_share_memory(out, x):
                    hidden = out
                else:
                    hidden = np.empty((*x.shape[:2], p.recurrent_size), p.dtype)
            final = ENGINES[cell.engine].run(
                p,
                x,
                cell.initial,
                hidden,
                reverse=reverse,
                valid=given.valid,
                dropout=cell.dropout,
                keep=keep,
                arrays=arrays,
                edits=cell.edits,
            )
            done[direction] = Left(final, arrays, x)
            outputs.append(shown(hidden, given.valid, given.masked_output, reverse=reverse))
        left.append(done)
        x = merge(outputs, plan.merge[number])
    if out is not None and not np.shares_memory(out, x):
        top = next(iter(left[-1].values()))
        if any(np.shares_memory(out, array) for array in top.arrays.values()):
            return x, left  # once the output was a trace's hidden state, which now is another
        np.copyto(out, x)
        x = out
    return x, left


# A call.


def called(stack: Stack, given: Arguments, out: Array | None = None) -> tuple[Array, States]:
    """Return the output of a stack, in the caller's array if there is one, and its final states."""
    plan = planned(stack, given)
    require_room(plan, kept=False)
    y, left = run(plan, given.x, out=None if out is None else _with_batch(plan, out))
    finals = tuple(tuple(one.final for one in layer.values()) for layer in left)
    return (y, finals) if given.batched else (y[:, 0], unbatched(finals))


def _with_batch(plan: Plan, out: Array) -> Array:
    """Return the caller's array for the output, with a batch axis."""
    dtype = plan.given.x.dtype
    shape = plan.output if plan.given.batched else (plan.output[0], *plan.output[2:])
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (shape, dtype):
        found = f"{out.dtype} of {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ShapeError(f"out must be an array of {dtype} of shape {shape}, not {found}")
    if not out.flags.carray:
        raise OptionError("out must be writable, aligned and C-contiguous")
    return out.reshape(plan.output)


# A trace in memory.


def traced(plan: Plan, x: npt.ArrayLike, out: LSTMTrace | None = None) -> LSTMTrace:
    """Return the trace of a run, in the arrays of an earlier one where it is given; `x` is the caller's input."""
    views = {} if out is None else _taken_again(plan, out)
    read, written = plan.given.x, list(views.values())  # what is read must be none of what is written
    if plan.keep.everything:  # and the trace holds on to its input, which must not change when the caller's does
        if "input" in views:
            np.copyto(views["input"], read)
            read, written = views["input"], []
        written.append(np.asarray(x))
    if out is not None:
        _require_other_patches(plan, list(views.values()))
    if any(np.may_share_memory(read, one) for one in written) or (plan.keep.everything and not read.flags.owndata):
        read = read.copy()
    trace = plan.trace(*run(plan, read, views, views.get("output")))
    for one in trace.cells().values():
        one.locked()
    lock(trace.stored_output)
    return trace


def _require_other_patches(plan: Plan, written: Sequence[Array]) -> None:
    """Raise OptionError where an edit patches from what the run overwrites."""
    for edit in (edit for layer in plan.layers for cell in layer.values() for edit in cell.edits):
        if isinstance(edit.value, np.ndarray) and any(np.may_share_memory(edit.value, one) for one in written):
            raise OptionError("a patch cannot be taken from the trace whose arrays are overwritten: out")


def _taken_again(plan: Plan, earlier: LSTMTrace) -> dict[str, Array]:
    """Return the arrays of an earlier trace, unlocked, by the names that `run` gives them."""
    shapes, found = plan.kept(), {"output": earlier.stored_output}
    for number, layer in enumerate(earlier.layers):
        for direction, trace in layer.items():
            found |= {f"layers.{number}.{direction}.{name}": array for name, array in trace.arrays.items()}
    if plan.keep.everything:
        shapes["input"] = plan.given.x.shape
    if (x := earlier.first.input) is not None:
        found["input"] = x
    dtype = plan.given.x.dtype
    require_reusable({name: (shape, dtype) for name, shape in shapes.items()}, found, "arrays", locked=True)
    for array in found.values():
        unlock(array)
    return found
