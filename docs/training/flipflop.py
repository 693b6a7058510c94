"""Train the example `flipflop`: an LSTM that keeps three bits (Sussillo & Barak 2013, "Opening the black box").

With gatewise and PyTorch installed:

    python docs/training/flipflop.py src/gatewise/examples/trained

Each of three inputs is 0, with a short pulse of +1 or −1 now and then. Each of three outputs is the sign of the last
pulse of its input.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import gatewise as gw
from gatewise.interop.torch import read

BITS, HIDDEN, STEPS, PULSES, UPDATES = 3, 12, 60, 0.08, 1500
NAMES = ["a", "b", "c"]


def task(steps: int, sequences: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the pulses and the bits to keep, each (steps, sequences, bits). All bits are set in the first step."""
    x = rng.choice([-1.0, 1.0], size=(steps, sequences, BITS)) * (rng.random((steps, sequences, BITS)) < PULSES)
    x[0] = rng.choice([-1.0, 1.0], size=(sequences, BITS))
    y = x.copy()
    for step in range(1, steps):
        y[step] = np.where(x[step] == 0, y[step - 1], x[step])
    return x, y


def main(folder: Path) -> None:
    """Train the model, and write it and 300 steps of data into a folder."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    lstm, head = torch.nn.LSTM(BITS, HIDDEN), torch.nn.Linear(HIDDEN, BITS)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for update in range(UPDATES):
        x, y = (torch.tensor(part, dtype=torch.float32) for part in task(STEPS, 64, rng))
        loss = ((head(lstm(x)[0]) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}: mean squared error {loss.item():.5f}", flush=True)

    network = gw.Network(
        read(lstm),
        head=gw.Linear(head.weight.detach().numpy(), head.bias.detach().numpy()),
        labels=gw.Labels(
            features=[f"pulse {name}" for name in NAMES],
            outputs=[f"bit {name}" for name in NAMES],
        ),
    )
    gw.save(network, folder / "flipflop.safetensors", overwrite=True)
    x, y = (part[:, 0] for part in task(300, 1, rng))
    for name, heads, columns in (
        ("flipflop", network.labels.features, x),
        ("flipflop_observed", network.labels.outputs, y),
    ):
        lines = [",".join(heads), *(",".join(f"{number:.0f}" for number in row) for row in columns)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    np.save(folder / "flipflop_answers.npy", head(lstm(torch.tensor(x, dtype=torch.float32))[0]).detach().numpy())
    found = network.trace(x).output
    print(f"bits kept: {(np.sign(found) == y).mean():.4f}; largest error {np.abs(found - y).max():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
