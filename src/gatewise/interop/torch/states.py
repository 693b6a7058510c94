"""PyTorch's tensors as arrays, and its states: h and c of all layers and directions stacked on the first axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import arrays
from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError, importing
from gatewise.interop import conventions
from gatewise.layers import LSTM
from gatewise.layers.stack import States

if TYPE_CHECKING:
    import torch


def import_torch() -> Any:
    """Return PyTorch; MissingExtraError if it is not installed."""
    with importing("torch", "a live PyTorch module needs"):
        import torch
    return torch


def to_array(tensor: torch.Tensor) -> Array:
    """Return a PyTorch tensor on any device as an array of float32 or float64."""
    torch = import_torch()
    if tensor.is_meta:
        raise OptionError("a module on PyTorch's device 'meta' has no numbers. Load its weights first.")
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    array: Array = tensor.detach().to("cpu", dtype).numpy()
    return array


def read_state(state: Any, lstm: LSTM) -> States:
    """Return a state ``(h, c)`` of `torch.nn.LSTM` as gatewise's, ``[layer][direction]``.

    Parameters
    ----------
    state : pair of tensors or arrays
        (layers · directions, batch, size) each, or without the batch axis; h has the projection's size, if any.
        Those of an `nn.LSTMCell` lack the first axis: give ``(h[None], c[None])``.
    lstm : LSTM
        The LSTM that the state belongs to.

    Raises
    ------
    OptionError
        If it is not a pair.
    ShapeError
        If the shapes are not those of the LSTM's state.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> lstm = gw.LSTM(3, 2, num_layers=2, rng=0)
    >>> state = read_state((np.zeros((2, 5, 2)), np.ones((2, 5, 2))), lstm)
    >>> state[1][0].c.shape
    (5, 2)
    """
    try:
        h, c = state
    except (TypeError, ValueError):
        raise OptionError(f"a state of PyTorch is a pair (h, c), not {type(state).__name__}") from None
    both, count = [], len(lstm.cells())
    for name, part in zip("hc", (h, c), strict=True):
        array = arrays.numbers(name, to_array(part) if hasattr(part, "detach") else part, lstm.dtype)
        both.append(array)
        if array.ndim not in (2, 3) or len(array) != count:
            raise ShapeError(
                f"{name} has shape {array.shape}; it must be ({count}, batch, size) or ({count}, size), since the LSTM"
                f" has {count} layers and directions"
            )
    return conventions.nested_state(lstm, [part for pair in zip(*both, strict=True) for part in pair])


def write_state(state: States) -> tuple[Array, Array]:
    """Return a state as PyTorch's pair ``(h, c)``, of NumPy arrays; `torch.from_numpy` makes tensors of them.

    Parameters
    ----------
    state : tuple of tuple of State
        ``[layer][direction]``, with or without a batch axis.

    Returns
    -------
    h, c : array (layers · directions, batch, size)
        Without the batch axis where the state has none.

    Raises
    ------
    OptionError
        If the state is not nested in this way.
    ShapeError
        If its layers have different sizes, which PyTorch cannot stack.
    """
    flat = [cell_state for row in conventions.state_lists(state) for cell_state in row]
    for name in ("h", "c"):
        if len(shapes := dict.fromkeys(getattr(cell_state, name).shape for cell_state in flat)) > 1:
            raise ShapeError(f"PyTorch stacks the {name} of all layers, which must have one shape, not {[*shapes]}")
    return np.stack([cell_state.h for cell_state in flat]), np.stack([cell_state.c for cell_state in flat])
