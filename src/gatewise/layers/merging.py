"""The merge of a layer's directions into one output, and the gradients of both.

Also the output of a direction at steps that are not valid. Every function here has its adjoint beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.showing import counted

MERGES = ("concat", "sum", "mul", "average", "none")
MASKED_OUTPUTS = ("zeros", "repeat")


def merges(merge: str | Sequence[str], layers: int) -> tuple[str, ...]:
    """Return the checked way in which each layer of an LSTM merges its directions."""
    if not isinstance(merge, Sequence):
        raise OptionError(f"merge must be one of {', '.join(MERGES)}, or one for each layer, not {merge!r}")
    ways = (merge,) * layers if isinstance(merge, str) else tuple(merge)
    if len(ways) != layers:
        raise ShapeError(f"there are {len(ways)} merges for {counted(layers, 'layer')}")
    for way in ways:
        one_of("merge", way, MERGES)
    if "none" in ways[:-1]:
        raise OptionError("merge 'none' is for the last layer only, because each next layer needs one input")
    return ways


def merged_size(how: str, sizes: Sequence[int]) -> int:
    """Return the number of features of a merged output."""
    return sum(sizes) if how == "concat" else sizes[0]


def merge(outputs: Sequence[Array], how: str) -> Array:
    """Return the outputs (…, size) of an LSTM layer's directions as one array.

    ``concat``: side by side; ``sum``, ``mul``, ``average``: element by element (Keras' `Bidirectional`);
    ``none``: unmerged, on an axis of their own before the last (…, direction, size). One direction is left as it is.
    """
    if len(outputs) == 1:
        return outputs[0]
    forward, backward = outputs
    if how == "concat":
        return np.concatenate([forward, backward], axis=-1)
    if how == "sum":
        return forward + backward
    if how == "mul":
        return forward * backward
    if how == "average":
        return (forward + backward) / 2
    return np.stack([forward, backward], axis=-2)


def unmerge(dy: Array, outputs: Sequence[Array], how: str) -> list[Array]:
    """Return the gradient with respect to each direction's output, given the one with respect to the merged output."""
    if len(outputs) == 1:
        return [dy]
    forward, backward = outputs
    if how == "concat":
        split = forward.shape[-1]
        return [dy[..., :split], dy[..., split:]]
    if how == "sum":
        return [dy, dy]
    if how == "mul":
        return [dy * backward, dy * forward]
    if how == "average":
        return [dy / 2, dy / 2]
    return [dy[..., 0, :], dy[..., 1, :]]


def direction_output(hidden: Array, valid: Mask | None, how: str, *, reverse: bool) -> Array:
    """Return the output of an LSTM's direction from its hidden states (time, batch, ·) at every step.

    Where a step is not valid: ``zeros`` (PyTorch's padding, ONNX), or ``repeat``, the last output of the
    direction, zeros before its first (Keras' dropout).
    """
    visible = _output_steps(valid, how, reverse=reverse)
    return hidden if visible is None else np.where(visible, hidden, hidden.dtype.type(0))


def direction_gradient(dy: Array, valid: Mask | None, how: str, *, reverse: bool) -> Array:
    """Return the gradient with respect to the hidden states, given the one with respect to the output."""
    return direction_output(dy, valid, how, reverse=reverse)


def _output_steps(valid: Mask | None, how: str, *, reverse: bool) -> Mask | None:
    """Return the steps at which a direction's output is visible (time, batch, 1); None if all are."""
    if valid is None or how == "zeros":
        return None if valid is None else valid[..., None]
    order = slice(None, None, -1 if reverse else 1)
    return np.logical_or.accumulate(valid[order], axis=0)[order][..., None]
