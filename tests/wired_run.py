"""A wiring with numbers in it: every cell a run of its program, layer after layer, forward and backward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from program_run import ProgramRun

from gatewise.arrays import Array, Mask
from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.records.step import State
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import DX, Formula, H, Slice, Symbol, d, rebuild
from gatewise.symbolic.heads import READ, SKIPPED, constants, head_backward, head_forward, head_inputs
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.wiring import (
    BACKWARD,
    FORWARD,
    MERGED,
    MERGED_AXIS,
    ONE_DIRECTION,
    E,
    Wiring,
    merging,
    unmerging,
)

States = tuple[tuple[State, ...], ...]


class WiredRun:
    """A wiring run over x (time, batch, input), or over integers (time, batch) where there is an embedding.

    By default it starts from the wiring's own `state`, or zeros; all steps are `valid` (time, batch) but those that
    hold the wiring's `marked` value; and `dy`, the gradients of the loss with respect to the `output`, are zeros.
    The `cells` are runs, ``[layer][direction]``.
    """

    def __init__(
        self,
        wiring: Wiring,
        x: npt.NDArray[Any],
        state: States | None = None,
        *,
        valid: Mask | None = None,
        dropout: Sequence[Sequence[DropoutMasks]] | None = None,
        dy: Array | None = None,
    ) -> None:
        self.wiring, self.given = wiring, x
        self.features: Array = x if wiring.embedding is None else wiring.embedding[x]
        self.valid = self._marked() if valid is None else valid
        self.batch = self.features.shape[1]
        self.state = self._start() if state is None else state
        self.dropout = dropout
        self.cells: list[list[ProgramRun]] = []
        self.outputs: list[list[Array]] = []  # of each direction, of each layer
        self.merged: list[Array] = [self.features]
        for layer in range(len(wiring.cells)):
            self._layer(layer)
        self.read = self.merged[-1] if wiring.reads == "every" else self._last()
        self.values: dict[Symbol, Any] = {READ: self.read, MERGED: self.read}
        self.ranks = {READ: 1, MERGED: 1, d(MERGED): 1}
        if (head := wiring.head) is not None:
            self.values |= constants(head)
            if head.skip:
                added = self.features[..., : head.skip]
                self.values[SKIPPED] = np.broadcast_to(added, (*added.shape[:-1], head.num_outputs))
            self._assign(head_forward(head), {symbol: len(axes) for symbol, (axes, _) in head_inputs(head).items()})
        self.output: Array = self.values[MERGED]
        self.dy = np.zeros_like(self.output) if dy is None else dy

    @property
    def final(self) -> States:
        """The states that the run ends in."""
        return tuple(tuple(run.final for run in layer) for layer in self.cells)

    def _marked(self) -> Mask | None:
        if self.wiring.marked is None:
            return None
        if self.wiring.embedding is not None:
            return np.asarray(self.given != self.wiring.marked)
        return np.asarray((self.features != self.features.dtype.type(self.wiring.marked)).any(-1))

    def _start(self) -> States:
        def zeros(layer: int, place: int) -> State:
            p = self.wiring.cells[layer][place].parameters
            return State(*(np.zeros((self.batch, size), p.dtype) for size in (p.recurrent_size, p.hidden_size)))

        if self.wiring.initial is None:
            return tuple(
                tuple(zeros(layer, place) for place in range(len(row))) for layer, row in enumerate(self.wiring.cells)
            )
        return tuple(
            tuple(State(*(np.tile(part, (self.batch, 1)) for part in one)) for one in row)
            for row in self.wiring.initial
        )

    def _layer(self, layer: int) -> None:
        runs, outputs = [], []
        for place, cell in enumerate(self.wiring.cells[layer]):
            run = ProgramRun(
                cell.program,
                cell.parameters,
                self.merged[-1],
                self.state[layer][place],
                dropout=NO_DROPOUT if self.dropout is None else self.dropout[layer][place],
                valid=self.valid,
                reverse=cell.direction == "backward",
            )
            runs.append(run)
            outputs.append(self._shown(run[H], cell.direction))
        self.cells.append(runs)
        self.outputs.append(outputs)
        self.merged.append(self._joined(outputs, layer))

    def _joined(self, outputs: Sequence[Array], layer: int) -> Array:
        """Return the outputs of a layer's directions merged; where they are not, on an axis of their own."""
        equations = merging(self.wiring.merge[layer], len(outputs))
        if not equations:
            return np.stack(outputs, axis=-2)
        known = dict(zip((FORWARD, BACKWARD), outputs, strict=False))
        joined: Array = evaluate(equations[0].right, known, dict.fromkeys(known, 1))
        return joined

    def _shown(self, hidden: Array, direction: str) -> Array:
        """Return the output of a direction: at steps that are not valid, zeros or the last valid output."""
        if self.valid is None:
            return hidden
        seen = self.valid
        if self.wiring.masked_output == "repeat":
            order = slice(None, None, -1 if direction == "backward" else 1)
            seen = np.logical_or.accumulate(seen[order], axis=0)[order]
        return np.where(seen[..., None], hidden, 0)

    def _last(self) -> Array:
        return self._joined([run.final.h for run in self.cells[-1]], len(self.cells) - 1)

    def _assign(self, equations: Iterable[Assignment], ranks: Mapping[Symbol, int]) -> None:
        """Compute equations one after the other."""
        self.ranks |= ranks
        for one in equations:
            self.ranks[one.left] = len(one.axes)
            value = evaluate(one.right, self.values, self.ranks)
            if one.sums:
                value = value.sum(tuple(range(value.ndim - len(one.axes))))
            self.values[one.left] = value

    # Backward.

    def backward(self) -> dict[Symbol, Array]:
        """Run backward; return the gradients of the parameters of the head, by their symbols, and of the embedding `E`.

        Those of the input are then `dfeatures`, by the LSTM and by a skip connection.
        """
        self.values[d(MERGED)] = self.dy
        dread = self.dy
        found: dict[Symbol, Array] = {}
        if (head := self.wiring.head) is not None:
            self._assign(head_backward(head), {})
            found = {symbol: self.values[d(symbol)] for symbol in constants(head) if d(symbol) in self.values}
            dread = self.values[d(READ)]
        last = [run.final.h for run in self.cells[-1]]
        dlast = [np.zeros_like(h) for h in last]
        dmerged = dread
        if self.wiring.reads == "last":
            dlast = self._unjoined(dread, last, len(self.cells) - 1)
            dmerged = np.zeros_like(self.merged[-1])
        for layer in reversed(range(len(self.cells))):
            parts = self._unjoined(dmerged, self.outputs[layer], layer)
            dmerged = np.zeros_like(self.merged[layer])
            for place, (run, part) in enumerate(zip(self.cells[layer], parts, strict=True)):
                top = layer == len(self.cells) - 1
                dfinal = State(dlast[place], np.zeros_like(run.final.c)) if top else run.dfinal
                run.end(self._shown(part, self.wiring.cells[layer][place].direction), dfinal)
                dx = run[DX] if self.valid is None else np.where(self.valid[..., None], run[DX], 0)
                dmerged = dmerged + dx
        self.dfeatures = dmerged
        if head is not None and head.skip:
            added = self.values[d(SKIPPED)]
            self.dfeatures = dmerged.copy()
            self.dfeatures[..., : head.skip] += added.sum(-1, keepdims=True) if head.skip == 1 else added
        if self.wiring.embedding is not None:
            table = np.zeros_like(self.wiring.embedding)
            np.add.at(table, self.given, dmerged)
            found[E] = table
        return found

    def _unjoined(self, dy: Array, outputs: Sequence[Array], layer: int) -> list[Array]:
        """Return the gradients with respect to the outputs of the directions."""
        equations = unmerging(self.wiring.merge[layer], len(outputs))
        if not equations:
            return [dy[..., place, :] for place in range(len(outputs))]
        known = {**dict(zip((FORWARD, BACKWARD), outputs, strict=False)), d(MERGED): dy}
        sizes: dict[int | str, int] = {0: 0, ONE_DIRECTION: outputs[0].shape[-1], MERGED_AXIS: dy.shape[-1]}

        def sized(node: Formula) -> Formula | None:
            return Slice(node.vector, sizes[node.start], sizes[node.stop]) if isinstance(node, Slice) else None

        return [evaluate(rebuild(one.right, sized), known, dict.fromkeys(known, 1)) for one in equations]
