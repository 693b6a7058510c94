"""PyTorch's LSTM as TorchScript, saved and loaded again."""

import io
import warnings
from typing import Any

import torch

warnings.simplefilter("ignore")


def version() -> str:
    """Return the engine's version."""
    return str(torch.__version__).partition("+")[0]


class Runner(torch.nn.Module):
    """An LSTM that is called with an initial state."""

    def __init__(self, lstm: torch.nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the output and the final state."""
        y, state = self.lstm(x, (h, c))
        return y, state[0], state[1]


def arguments(settings: dict[str, Any], arrays: dict[str, Any]) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """Return the module and what it is called with."""
    state = {f"lstm.{n[6:]}": torch.from_numpy(arrays.pop(n)) for n in list(arrays) if n.startswith("state.")}
    options = settings["arguments"]
    dtype = next(iter(state.values())).dtype
    module = Runner(torch.nn.LSTM(**options, dtype=dtype)).eval()
    module.load_state_dict(state)
    x = torch.from_numpy(arrays["x"])
    batch = x.shape[0 if options["batch_first"] else 1]
    rows = options["num_layers"] * (2 if options["bidirectional"] else 1)
    sizes = options["proj_size"] or options["hidden_size"], options["hidden_size"]
    zeros = [torch.zeros(rows, batch, size, dtype=dtype) for size in sizes]
    states = {name: torch.from_numpy(arrays[name]) for name in ("h0", "c0") if name in arrays}
    return module, [x, states.get("h0", zeros[0]), states.get("c0", zeros[1])]


@torch.no_grad()
def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the final states."""
    module, inputs = arguments(settings, arrays)
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    y, h, c = torch.jit.load(file)(*inputs)  # type: ignore[no-untyped-call]
    return {"y": y.numpy(), "hn": h.numpy(), "cn": c.numpy()}
