"""PyTorch's LSTM, on the CPU."""

from typing import Any

import torch


def version() -> str:
    """Return the engine's version."""
    return str(torch.__version__).partition("+")[0]


def module_of(settings: dict[str, Any], arrays: dict[str, Any]) -> torch.nn.LSTM:
    """Return the module with its weights; those are taken from the arrays."""
    state = {name[6:]: torch.from_numpy(arrays.pop(name)) for name in list(arrays) if name.startswith("state.")}
    dtype = next(iter(state.values())).dtype
    module = torch.nn.LSTM(**settings["arguments"], dtype=dtype)
    module.load_state_dict(state)
    return module.eval()


@torch.no_grad()
def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the final states."""
    module = module_of(settings, arrays)
    inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    x, first = inputs["x"], module.batch_first
    state = (inputs["h0"], inputs["c0"]) if "h0" in inputs else None
    if "lengths" in inputs:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, inputs["lengths"], first, enforce_sorted=False)
        y, (h, c) = module(packed, state)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, first, total_length=x.shape[1 if first else 0])
    else:
        y, (h, c) = module(x, state)
    return {"y": y.numpy(), "hn": h.numpy(), "cn": c.numpy()}
