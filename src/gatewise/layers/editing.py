"""The edits of a run by cell, with patches from other runs as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import index
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.arguments import Arguments
from gatewise.layers.stack import Stack
from gatewise.parameters import Parameters
from gatewise.records.edits import Edit, value_index
from gatewise.records.labels import Labels
from gatewise.records.nesting import Cell, cell_at
from gatewise.records.trace import Trace


def edits_of(
    stack: Stack, edit: Edit | Sequence[Edit], arguments: Arguments, labels: Labels
) -> dict[Cell, tuple[Edit, ...]]:
    """Return the edits of each edited cell of an LSTM's run, settled and in order; labels name steps and sequences."""
    every = (edit,) if isinstance(edit, Edit) else edit
    if not isinstance(every, Sequence) or not all(isinstance(each, Edit) for each in every):
        raise OptionError(f"edit must be an Edit or a sequence of them, not {edit!r}")
    edits: dict[Cell, tuple[Edit, ...]] = {}
    for each in (each.placed(labels, *arguments.x.shape[:2]) for each in every):
        layer = None if each.layer is None else index("layer", each.layer, stack.num_layers, "this LSTM")
        if each.direction is not None:
            one_of("the direction of an edit", each.direction, stack.directions)
        for number, row in enumerate(stack.layers):
            for cell, direction in zip(row, stack.directions, strict=True):
                if layer in (None, number) and each.direction in (None, direction):
                    settled = _settled_edit(each, cell.parameters, (number, direction), arguments)
                    edits[number, direction] = (*edits.get((number, direction), ()), settled)
    return edits


def _settled_edit(edit: Edit, p: Parameters, cell: Cell, arguments: Arguments) -> Edit:
    """Return an edit as it acts in one cell of a run: its places checked, and the values of a patch taken."""
    time, batch = arguments.x.shape[:2]
    where = {"layer": cell[0], "direction": cell[1]}
    if edit.action != "patch" or isinstance(edit.value, np.ndarray):
        if not arguments.batched and isinstance(edit.value, np.ndarray) and edit.value.ndim == 2:
            edit = replace(edit, value=edit.value[:, None])  # (steps, units), as a quantity of such a run
        return edit.settled(p, time, batch, **where)
    width = p.recurrent_size if edit.quantity == "hidden_state" else p.hidden_size
    run = edit.value.stored
    source = run if isinstance(run, Trace) else cell_at(run.lstm.layers, cell, "the trace to patch from")
    if source.keep.units is not None or source.keep.every > 1:
        raise OptionError(f"a patch needs a trace with every unit and step; this one kept {source.keep}")
    values = source.quantity(edit.quantity)
    if values.shape != (time, batch, width):
        raise ShapeError(
            f"a patch needs {edit.quantity} of shape {(time, batch, width)}, but the other run has {values.shape}"
        )
    empty = replace(edit, value=np.zeros((), p.dtype)).settled(p, time, batch)
    key: Any = tuple(value_index(getattr(empty, axis)) for axis in ("steps", "sequences", "units"))
    _require_valid(edit, source, arguments, key[:2])
    for axis, places in enumerate(key):
        values = values[(slice(None),) * axis + (places,)]
    return replace(empty, value=values).settled(p, time, batch, **where)


def _require_valid(edit: Edit, source: Trace, arguments: Arguments, key: tuple[Any, Any]) -> None:
    """Raise OptionError where a step that runs would be patched from one that did not."""
    if source.valid is None:
        return
    missing = ~source.valid if arguments.valid is None else arguments.valid & ~source.valid
    chosen = np.zeros_like(missing)
    chosen[np.ix_(*(np.arange(n)[part] for n, part in zip(missing.shape, key, strict=True)))] = True
    places = np.argwhere(missing & chosen)
    if len(places):
        step, sequence = places[0]
        raise OptionError(
            f"a patch needs steps that are valid in both runs, but step {step} of sequence {sequence} is not valid in"
            " the run it comes from"
        )
