"""Train the example `amp`: an LSTM that sounds like a simulated guitar amplifier.

With gatewise and PyTorch installed:

    python docs/training/amp.py src/gatewise/examples/trained

The circuit has a coupling capacitor, a gain that sags after loud notes, and a pair of diodes that clip. The script
simulates it at eight times the sample rate. The guitar is a sum of decaying harmonics.
"""

import sys
import wave
from pathlib import Path

import numpy as np
import torch

import gatewise as gw
from gatewise.interop.torch import read

RATE, OVERSAMPLED = 16_000, 8
HIDDEN, SEQUENCES, WINDOW, WARM_UP, UPDATES = 12, 48, 800, 400, 1000


def guitar(seconds: float, sequences: int, rng: np.random.Generator) -> np.ndarray:
    """Return notes (time, sequences) at the oversampled rate, between −1 and 1, one every quarter of a second."""
    time = np.arange(int(0.25 * RATE * OVERSAMPLED)) / (RATE * OVERSAMPLED)
    notes = []
    for _ in range(round(seconds / 0.25)):
        pitch = 82.4 * 2 ** (rng.integers(0, 30, sequences) / 12)
        note = np.zeros((len(time), sequences))
        for harmonic in range(1, 13):
            decay = np.exp(-time[:, None] * (2 + 1.5 * harmonic))
            phase = rng.uniform(0, 2 * np.pi, sequences)
            note += decay * np.sin(2 * np.pi * harmonic * pitch * time[:, None] + phase) / harmonic
        attack = np.minimum(1, time / 0.003)[:, None]
        notes.append(attack * note / np.abs(note).max(axis=0) * rng.uniform(0.05, 1, sequences))
    return np.concatenate(notes)


def circuit(u: np.ndarray) -> np.ndarray:
    """Return the output voltage for an input voltage (time, sequences), both at the oversampled rate."""
    step = 1 / (RATE * OVERSAMPLED)
    resistance, capacity, saturation, thermal = 2200.0, 33e-9, 2.52e-9, 0.0453  # of the diodes' stage
    slow = previous = v = sag = np.zeros(u.shape[1])
    out = np.empty_like(u)
    for place, now in enumerate(u):
        slow = slow + step * 2 * np.pi * 120 * (now - slow)  # the coupling capacitor blocks what is below 120 Hz
        loud = 5 * (now - slow)
        sag = sag + step / 0.01 * (np.abs(loud) - sag)
        drive, previous = loud / (1 + 0.4 * sag), v
        for _ in range(4):  # implicit Euler by Newton: the diodes are stiff
            wrong = v - previous - step * ((drive - v) / (resistance * capacity))
            wrong += step * 2 * saturation / capacity * np.sinh(v / thermal)
            slope = 1 + step / (resistance * capacity)
            slope = slope + step * 2 * saturation / (capacity * thermal) * np.cosh(v / thermal)
            v = v - np.clip(wrong / slope, -0.1, 0.1)
        out[place] = v
    return out


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Write a sound in [-1, 1] as 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).round().astype("<i2").tobytes())


def main(folder: Path) -> None:
    """Train the model, and write it and half a second of sound into a folder."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    fast = guitar(2, SEQUENCES + 1, rng)
    x, y = fast[::OVERSAMPLED], circuit(fast)[::OVERSAMPLED]
    inputs = torch.tensor(x[:, :-1, None], dtype=torch.float32)
    wanted = torch.tensor(y[:, :-1, None], dtype=torch.float32)
    lstm, head = torch.nn.LSTM(1, HIDDEN), torch.nn.Linear(HIDDEN, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for update in range(UPDATES):
        start = rng.integers(0, len(x) - WINDOW)
        piece, target = inputs[start : start + WINDOW], wanted[start : start + WINDOW]
        found = head(lstm(piece)[0]) + piece
        error = ((found - target)[WARM_UP:] ** 2).mean() / (target[WARM_UP:] ** 2).mean()
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}: error-to-signal ratio {error.item():.5f}", flush=True)

    network = gw.Network(
        read(lstm),
        head=gw.Linear(head.weight.detach().numpy(), head.bias.detach().numpy()),
        skip=1,
        labels=gw.Labels(
            features=["guitar"],
            outputs=["amplifier"],
            measures={"guitar": ("voltage", "V"), "amplifier": ("voltage", "V")},
        ),
    )
    gw.save(network, folder / "amp.safetensors", overwrite=True)
    sound, heard = x[: RATE // 2, -1], y[: RATE // 2, -1]  # of the sequence that training left out
    write_wav(folder / "amp.wav", sound)
    (folder / "amp_observed.csv").write_text(
        "amplifier\n" + "\n".join(f"{volt:.3f}" for volt in heard) + "\n", encoding="utf-8"
    )
    with wave.open(str(folder / "amp.wav"), "rb") as file:
        played = np.frombuffer(file.readframes(RATE), "<i2") / 32768
    piece = torch.tensor(played[:, None], dtype=torch.float32)
    np.save(folder / "amp_answers.npy", (head(lstm(piece)[0]) + piece).detach().numpy())
    found = network.trace(played[:, None]).output[:, 0]
    print(f"error-to-signal ratio of the half second: {((found - heard) ** 2).sum() / (heard**2).sum():.5f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
