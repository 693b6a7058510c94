"""The names of an ONNX graph that hold an LSTM's output or final states: in which layout, and how they are merged.

The operator returns Y (time, direction, batch, hidden) and final states (direction, batch, hidden). Exporters bring the
directions together with a few operators, through which both are followed, node by node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gatewise.interop.graphs import BATCH_FIRST, TIME_FIRST, Axis, Layout, exchange_time_and_batch
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import flipped_axis, is_identity
from gatewise.interop.onnx.scopes import OnnxNode
from gatewise.interop.onnx.sizes import Sizes
from gatewise.layers import LSTM

MOST = 256  # states side by side
NODE_OUTPUT: Layout = (Axis.TIME, Axis.DIRECTION, Axis.BATCH, Axis.HIDDEN)
UNMERGED: Layout = (Axis.TIME, Axis.BATCH, Axis.DIRECTION, Axis.HIDDEN)
ONE_DIRECTION: Layout = (Axis.TIME, Axis.BATCH, Axis.HIDDEN)
FORWARD = (ONE_DIRECTION, exchange_time_and_batch(ONE_DIRECTION))  # of one direction, its first step first
BACKWARD: tuple[Layout, ...] = ((Axis.REVERSED, *ONE_DIRECTION[1:]), (Axis.BATCH, Axis.REVERSED, Axis.HIDDEN))


class LstmDirection(NamedTuple):
    """One direction of an LSTM in a graph, by its position."""

    node: OnnxNode
    position: int
    lstm: LSTM


@dataclass(frozen=True)
class LstmOutput:
    """The output of an LSTM under a name of the graph, or its final states: then the layout has no time.

    `kind` is the position of the node's output: 0 of Y, 1 and 2 of the final states h and c.
    """

    directions: tuple[LstmDirection, ...]  # which of them are in it; of final states maybe of several LSTMs
    layout: Layout = NODE_OUTPUT  # of one direction ONE_DIRECTION; TIME_FIRST or BATCH_FIRST once it is merged
    merge: str | None = None  # how its directions were merged, as `LSTM.merge` has it; None if they are apart
    kind: int = 0

    @property
    def node(self) -> OnnxNode:
        """The LSTM's node; of several LSTMs the first's."""
        return self.directions[0].node

    @property
    def lstm(self) -> LSTM:
        """The LSTM, or the first of several."""
        return self.directions[0].lstm

    @property
    def nodes(self) -> tuple[OnnxNode, ...]:
        """The nodes of the LSTMs of which all directions are in it, in order; none if it has others too."""
        lstms = {direction.node: direction.lstm for direction in self.directions}
        places = [(node, place) for node, lstm in lstms.items() for place in range(len(lstm.directions))]
        entire = places == [(direction.node, direction.position) for direction in self.directions]
        return tuple(lstms) if entire else ()

    @property
    def is_complete(self) -> bool:
        """Whether all directions of one LSTM are in it, in order."""
        return len(self.nodes) == 1

    @property
    def timed(self) -> Layout:
        """Its layout, of final states as if there were a time before the others."""
        return self.layout if self.kind == 0 else (Axis.TIME, *self.layout)

    def with_merge(self, merge: str) -> LstmOutput:
        """Return the output after a merge of its directions."""
        axes = (Axis.FEATURE if axis == Axis.HIDDEN else axis for axis in self.layout if axis != Axis.DIRECTION)
        return replace(self, layout=tuple(axes), merge=merge)

    def is_result(self, merge: str) -> bool:
        """Say whether this tensor of an ONNX graph is the LSTM's output, its directions merged in that way."""
        if merge == "none":
            return self.layout == UNMERGED and self.is_complete
        return self.merge == merge


def outputs_of(node: OnnxNode, lstm: LSTM, batch_first: bool | None) -> dict[str, LstmOutput]:
    """Return what an ONNX LSTM's node puts out, by its names in the graph; batch first, its final states alone."""
    directions = tuple(LstmDirection(node, place, lstm) for place in range(len(lstm.directions)))
    layout = UNMERGED if batch_first else NODE_OUTPUT
    return {
        name: LstmOutput(directions, layout[min(kind, 1) :], kind=kind)
        for kind, name in enumerate(node.outputs[:3])
        if name and (kind or not batch_first)
    }


def output_after(node: OnnxNode, traced: Mapping[str, LstmOutput], sizes: Sizes) -> LstmOutput | None:
    """Return the LSTM output that an ONNX node passes on in its first output; None if it passes on none.

    `traced` has the LSTM outputs before it by their names; the sizes of merged outputs are learned.
    """
    inputs = [traced.get(name) for name in node.inputs]
    if all(value is None for value in inputs):
        return None
    try:
        if inputs[0] is not None and node.operator in _REARRANGING:
            return _move_axes(node, inputs[0])
        if inputs[0] is not None and node.operator in ("Gather", "Slice"):
            return _take_positions(node, inputs[0], sizes)
        if inputs[0] is not None and node.operator in ("Reshape", "Flatten"):
            return _reshape(node, inputs[0], sizes)
        return _merge_directions(node, inputs)
    except (NotConstant, IndexError):
        return None


_REARRANGING = ("Identity", "Dropout", "Cast", "Transpose", "Squeeze", "Unsqueeze")


def _move_axes(node: OnnxNode, value: LstmOutput) -> LstmOutput | None:
    """Return an LSTM output after an ONNX operator that moves, adds or removes axes; None if it is none then."""
    layout, attributes = value.layout, node.attributes
    if node.operator == "Transpose":
        order = attributes.get("perm", "ints", [])
        moved = replace(value, layout=tuple(layout[axis] for axis in order)) if len(order) == len(layout) else value
        layouts = (NODE_OUTPUT, UNMERGED, TIME_FIRST, BATCH_FIRST, *FORWARD, *BACKWARD)
        return moved if sorted(order) == [*range(len(layout))] and moved.timed in layouts else None
    if node.operator == "Unsqueeze":
        restored = len(value.directions) == 1 and value.timed == ONE_DIRECTION
        is_before_units = stated_axes(node) in ([len(layout) - 1], [-2])
        return replace(value, layout=UNMERGED[-len(layout) - 1 :]) if restored and is_before_units else None
    if node.operator != "Squeeze":
        return value if is_identity(node) else None
    if Axis.DIRECTION not in layout or len(value.directions) != 1:
        return None
    axis = layout.index(Axis.DIRECTION)
    return without_direction(value) if stated_axes(node) in ([axis], [axis - len(layout)]) else None


def without_direction(value: LstmOutput) -> LstmOutput:
    """Return an LSTM output of one direction without that axis; where the LSTM has no other, it is merged then."""
    alone = replace(value, layout=tuple(axis for axis in value.layout if axis != Axis.DIRECTION))
    return alone if value.lstm.bidirectional or alone.timed not in FORWARD else alone.with_merge("concat")


def _take_positions(node: OnnxNode, value: LstmOutput, sizes: Sizes) -> LstmOutput | None:
    """Return an LSTM output after an ONNX Gather or Slice: of some directions, or of one direction's last step."""
    taken = positions_taken(node)
    axis = taken.axis % len(value.layout)
    if value.layout[axis] == Axis.DIRECTION:
        directions = tuple(value.directions[place] for place in taken.of(len(value.directions)))
        chosen = replace(value, directions=directions) if directions else None
        return chosen if chosen is None or not taken.drops_axis else without_direction(chosen)
    if value.layout in BACKWARD and flipped_axis(node) == value.layout.index(Axis.REVERSED):
        return without_direction(replace(value, layout=FORWARD[BACKWARD.index(value.layout)]))
    if value.layout != ONE_DIRECTION or axis != 0 or value.node.input("sequence_lens"):
        return None
    backward = value.lstm.directions[value.directions[0].position] == "backward"
    if not taken.is_end(sizes.of_axis(node.scope, node.inputs[0], 0), first=backward):
        return None
    final = replace(value, kind=1, layout=NODE_OUTPUT[1:])  # one step is one direction of final states
    return without_direction(final) if taken.drops_axis else final


def _merge_directions(node: OnnxNode, inputs: Sequence[LstmOutput | None]) -> LstmOutput | None:
    """Return the LSTM output that an ONNX node computes from several directions, or from a sum and a constant."""
    values = [value for value in inputs if value is not None]
    first, axis = values[0], node.attributes.get("axis", "i", 1)
    if len(values) == len(inputs) > 1:
        if len(inputs) > MOST or any(replace(value, directions=first.directions) != first for value in values):
            return None  # of other layouts
        joined = replace(first, directions=tuple(part for value in values for part in value.directions)[: MOST + 1])
        if first.merge is None and node.operator == "Concat" and Axis.DIRECTION in first.layout:
            along = first.layout[axis] == Axis.DIRECTION
            return joined if along and len(joined.directions) <= MOST else None
        if not (joined.is_complete and first.timed in FORWARD and len(inputs) == 2):
            return None
        if node.operator in ("Add", "Mul"):
            return joined.with_merge("sum" if node.operator == "Add" else "mul")
        return joined.with_merge("concat") if node.operator == "Concat" and first.layout[axis] == Axis.HIDDEN else None
    if len(inputs) == 2 and first.merge == "sum":
        factor = _small_constant(node, inputs.index(None))
        if (node.operator, factor) == ("Mul", [0.5]) or (node.operator, factor, inputs[1]) == ("Div", [2], None):
            return first.with_merge("average")
    return None


def _reshape(node: OnnxNode, value: LstmOutput, sizes: Sizes) -> LstmOutput | None:
    """Return an LSTM's directions concatenated by an ONNX Reshape, if it leaves time and batch as they are.

    Sizes given as numbers imply that where the graph states how many steps or sequences there are: the rest goes to
    the other axis.
    """
    alone = len(value.directions) == 1 and value.timed == NODE_OUTPUT  # its axis of one direction may be anywhere
    if not alone and (value.timed != UNMERGED or not value.is_complete):
        return None
    shape = [0, -1] if node.operator == "Flatten" else sizes.shape_of_reshape(node)
    if node.operator == "Flatten" and (value.kind == 0 or alone or node.attributes.get("axis", "i", 1) != 1):
        return None
    if shape is None or len(shape) != (3 if value.kind == 0 else 2) or shape.count(-1) > 1:
        return None
    source, width = value.node, len(value.directions) * value.lstm.hidden_size
    sizes_of_x = [sizes.of_axis(source.scope, source.input("X"), axis) for axis in (0, 1)]
    start = source.input("initial_h")
    batches = [sizes_of_x[1], *([sizes.of_axis(source.scope, start, 1)] if start else [])]
    copied = () if node.attributes.get("allowzero", "i", 0) else (0,)  # the size of the same axis before
    same = [] if value.kind else [shape[0] in (sizes_of_x[0], *copied)]
    same.append(shape[-2] in (batches if alone else (*batches, *copied)))
    if not (all(same) if shape[-1] == -1 else shape[-1] == width and (any(same) or len(same) == 1)):
        return None
    return without_direction(value) if alone else value.with_merge("concat")


class Positions(NamedTuple):
    """The positions that a Gather or a Slice takes of one axis, which a Gather of a single number drops."""

    axis: int
    places: slice | list[int]
    drops_axis: bool

    def of(self, count: int) -> list[int]:
        """Return them as numbers from 0 on, given how many there are; IndexError if one is not there."""
        everywhere = range(count)
        if isinstance(self.places, slice):
            return [*everywhere[self.places]]
        return [everywhere[place] for place in self.places]

    def is_end(self, size: int, *, first: bool = False) -> bool:
        """Say whether it is the last position alone, or the first; a size that is not positive is not known."""
        counts = [size] if size > 0 else [7, 1009]
        return all(self.of(count) == [0 if first else count - 1] for count in counts)


def positions_taken(node: OnnxNode) -> Positions:
    """Return the positions that an ONNX Gather or Slice takes of an axis; NotConstant if the file does not say."""
    if node.operator == "Gather":
        array = node.scope.value(node.inputs[1])
        if array.ndim > 1 or array.size > MOST or array.dtype.kind not in "iu":
            raise NotConstant("it does not take a few positions of an axis")
        return Positions(node.attributes.get("axis", "i", 0), array.reshape(-1).tolist(), array.ndim == 0)
    names = ("starts", "ends", "axes", "steps")
    values = [node.attributes.get(name, "ints") or _small_constant(node, 1 + n) for n, name in enumerate(names)]
    start, end, axis, step = (value or default for value, default in zip(values, ([], [], [0], [1]), strict=True))
    if [len(value) for value in (start, end, axis, step)] != [1, 1, 1, 1]:
        raise NotConstant("it does not take the positions of one axis")
    return Positions(int(axis[0]), slice(int(start[0]), int(end[0]), int(step[0]) or None), drops_axis=False)


def _small_constant(node: OnnxNode, position: int) -> list[float] | None:
    """Return the numbers of an ONNX node's input; None if it has none, it is not in the file, or more than eight."""
    try:
        array = node.scope.value(node.inputs[position])
    except (NotConstant, IndexError):
        return None
    return array.reshape(-1).tolist() if array.size <= 8 and array.dtype.kind in "iuf" else None


def stated_axes(node: OnnxNode) -> list[float] | None:
    """Return the axes of an ONNX Squeeze or Unsqueeze: an attribute in older opsets, an input in newer ones."""
    axes: list[float] | None = node.attributes.get("axes", "ints")
    return _small_constant(node, 1) if axes is None and len(node.inputs) > 1 else axes
