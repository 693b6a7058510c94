"""The names of an ONNX graph that hold an LSTM's output: in which layout, of which direction, or merged how.

The operator returns Y (time, direction, batch, hidden). Exporters bring the directions together with a few operators,
through which its output is followed, node by node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gatewise.interop.graphs import BATCH_FIRST, TIME_FIRST, Axis, Layout
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import is_identity
from gatewise.interop.onnx.scopes import OnnxNode
from gatewise.interop.onnx.sizes import Sizes
from gatewise.layers import LSTM

NODE_OUTPUT: Layout = (Axis.TIME, Axis.DIRECTION, Axis.BATCH, Axis.HIDDEN)
UNMERGED: Layout = (Axis.TIME, Axis.BATCH, Axis.DIRECTION, Axis.HIDDEN)
ONE_DIRECTION: Layout = (Axis.TIME, Axis.BATCH, Axis.HIDDEN)


@dataclass(frozen=True)
class LstmOutput:
    """The output of an LSTM under a name of the graph."""

    node: OnnxNode  # the LSTM's
    lstm: LSTM = field(compare=False)
    layout: Layout = NODE_OUTPUT  # of one direction ONE_DIRECTION; TIME_FIRST or BATCH_FIRST once it is merged
    direction: int | None = None  # the position of the only direction in it; None if all are in it
    merge: str | None = None  # how its directions were merged, as `LSTM.merge` has it; None if they are apart

    def with_merge(self, merge: str) -> LstmOutput:
        """Return the output after a merge of its directions."""
        return replace(self, layout=TIME_FIRST, direction=None, merge=merge)

    def is_result(self, merge: str) -> bool:
        """Say whether this tensor of an ONNX graph is the LSTM's output, its directions merged in that way."""
        if merge == "none":
            return self.layout == UNMERGED and self.direction is None
        return self.merge == merge


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
        if inputs[0] is not None and node.operator == "Reshape":
            return _concatenate_by_reshape(node, inputs[0], sizes)
        return _merge_directions(node, inputs)
    except (NotConstant, IndexError):
        return None


_REARRANGING = ("Identity", "Dropout", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Gather")


def _move_axes(node: OnnxNode, value: LstmOutput) -> LstmOutput | None:
    """Return an LSTM output after an ONNX operator that moves, adds or removes axes; None if it is none then."""
    layout, attributes = value.layout, node.attributes
    if node.operator == "Transpose":
        order = attributes.get("perm", "ints", [])
        result = tuple(layout[axis] for axis in order) if sorted(order) == [*range(len(layout))] else ()
        return replace(value, layout=result) if result in (NODE_OUTPUT, UNMERGED, TIME_FIRST, BATCH_FIRST) else None
    if node.operator == "Unsqueeze":
        restored = value.direction is not None and layout == ONE_DIRECTION and _stated_axes(node) in ([2], [-2])
        return replace(value, layout=UNMERGED) if restored else None
    if node.operator not in ("Squeeze", "Gather"):
        return value if is_identity(node) else None
    if Axis.DIRECTION not in layout or value.direction is not None:
        return None
    axis = layout.index(Axis.DIRECTION)
    if node.operator == "Squeeze":
        squeezed = not value.lstm.bidirectional and _stated_axes(node) in ([axis], [axis - len(layout)])
        return value.with_merge("concat") if squeezed else None
    position = _small_constant(node, 1)
    if attributes.get("axis", "i", 0) in (axis, axis - len(layout)) and position in ([0], [1]):
        return replace(value, layout=ONE_DIRECTION, direction=int(position[0]))
    return None


def _merge_directions(node: OnnxNode, inputs: Sequence[LstmOutput | None]) -> LstmOutput | None:
    """Return the LSTM output that an ONNX node computes from both directions, or from their sum and a constant."""
    first, second = inputs if len(inputs) == 2 else (None, None)
    if first is not None and second is not None:
        if (first.direction, second.direction) != (0, 1) or first != replace(second, direction=0):
            return None
        if node.operator in ("Add", "Mul") and first.layout == ONE_DIRECTION:
            return first.with_merge("sum" if node.operator == "Add" else "mul")
        if node.operator == "Concat" and first.layout == ONE_DIRECTION:
            return first.with_merge("concat") if node.attributes.get("axis", "i", 1) in (2, -1) else None
        if node.operator == "Concat" and first.layout == UNMERGED:
            return replace(first, direction=None) if node.attributes.get("axis", "i", 1) in (2, -2) else None
        return None
    total = first or second
    if total is not None and (total.merge, total.layout) == ("sum", TIME_FIRST):
        factor = _small_constant(node, inputs.index(None))
        if (node.operator, factor) == ("Mul", [0.5]) or (node.operator, factor, second) == ("Div", [2], None):
            return total.with_merge("average")
    return None


def _concatenate_by_reshape(node: OnnxNode, value: LstmOutput, sizes: Sizes) -> LstmOutput | None:
    """Return an LSTM's directions concatenated by an ONNX Reshape, if it leaves time and batch as they are.

    Sizes given as numbers imply that where the graph states how many steps or sequences there are: the rest goes to
    the other axis.
    """
    if value.layout != UNMERGED or value.direction is not None:
        return None
    attribute_shape = node.attributes.get("shape", "ints") if len(node.inputs) < 2 else None
    shape = sizes.shape_vector(node.scope, node.inputs[1]) if len(node.inputs) > 1 else attribute_shape
    if shape is None or len(shape) != 3 or shape.count(-1) > 1:
        return None
    source, width = value.node, len(value.lstm.directions) * value.lstm.hidden_size
    sizes_of_x = [sizes.of_axis(source.scope, source.input("X"), axis) for axis in (0, 1)]
    start = source.input("initial_h")
    batches = [sizes_of_x[1], *([sizes.of_axis(source.scope, start, 1)] if start else [])]
    copied = () if node.attributes.get("allowzero", "i", 0) else (0,)  # the size of the same axis before
    same_time, same_batch = shape[0] in (sizes_of_x[0], *copied), shape[1] in (*batches, *copied)
    fits = same_time and same_batch if shape[2] == -1 else shape[2] == width and (same_time or same_batch)
    if not fits:
        return None
    sizes.learn(node.scope, node.outputs[0], (*sizes_of_x, width))
    return value.with_merge("concat")


def _small_constant(node: OnnxNode, position: int) -> list[float] | None:
    """Return the numbers of an ONNX node's input; None if they are not in the file, or more than eight."""
    try:
        array = node.scope.value(node.inputs[position])
    except NotConstant:
        return None
    return array.reshape(-1).tolist() if array.size <= 8 and array.dtype.kind in "iuf" else None


def _stated_axes(node: OnnxNode) -> list[float] | None:
    """Return the axes of an ONNX Squeeze or Unsqueeze: an attribute in older opsets, an input in newer ones."""
    axes: list[float] | None = node.attributes.get("axes", "ints")
    return _small_constant(node, 1) if axes is None and len(node.inputs) > 1 else axes
