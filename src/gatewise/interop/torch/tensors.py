"""PyTorch itself, loaded when it is needed, and its tensors as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.arrays import Array
from gatewise.errors import OptionError, importing

if TYPE_CHECKING:
    import torch


def import_torch() -> Any:
    """Return PyTorch; MissingExtraError if it is not installed."""
    with importing("torch", "a live PyTorch module needs"):
        import torch
    return torch


def to_array(tensor: torch.Tensor) -> Array:
    """Return a tensor on any device as an array of float32 or float64."""
    torch = import_torch()
    if tensor.is_meta:
        raise OptionError("a module on PyTorch's device 'meta' has shapes, but no numbers")
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    array: Array = tensor.detach().to("cpu", wide).numpy()
    return array
