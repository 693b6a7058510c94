"""PyTorch's LSTM through torch.compile, on the CPU."""

from typing import Any

import torch

from gatewise.judge.adapters.torchscript import arguments, version

__all__ = ["run", "version"]


@torch.no_grad()
def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the final states."""
    torch.compiler.reset()
    module, inputs = arguments(settings, arrays)
    y, h, c = torch.compile(module)(*inputs)
    return {"y": y.numpy(), "hn": h.numpy(), "cn": c.numpy()}
