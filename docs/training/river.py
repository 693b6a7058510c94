"""Train the example `river`: an LSTM that turns rain and temperature into the discharge of a synthetic basin with snow.

With gatewise and PyTorch installed:

    python docs/training/river.py src/gatewise/examples/trained

The script draws twenty years of weather and computes the discharge with a bucket model of snow, soil and groundwater.
The LSTM learns it from windows of one year. It never sees the last two years: they are the data of the example.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import gatewise as gw
from gatewise.interop.torch import read

YEARS, HIDDEN, WINDOW, WARM_UP, UPDATES = 20, 16, 365, 120, 1200


def weather(days: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return each day's precipitation (mm/d) and temperature (°C). A wet day often follows a wet day."""
    rain, temperature, wet, anomaly = np.zeros(days), np.zeros(days), False, 0.0
    for day in range(days):
        wet = rng.random() < (0.6 if wet else 0.25)
        rain[day] = rng.gamma(0.8, 9.0) if wet else 0.0
        anomaly = 0.8 * anomaly + rng.normal(0, 2)
        temperature[day] = 6 - 11 * np.cos(2 * np.pi * (day + 258) / 365.25) + anomaly  # the first day is 1 October
    return rain.round(1), temperature.round(1)


def basin(rain: np.ndarray, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the discharge (mm/d) and the snow (mm of water) of each day."""
    discharge, snow_of, snow, soil, ground = np.zeros(len(rain)), np.zeros(len(rain)), 0.0, 80.0, 60.0
    for day, (falls, degrees) in enumerate(zip(rain, temperature, strict=True)):
        melts = min(snow, 3.0 * max(degrees, 0))
        snow += (falls if degrees < 0 else 0) - melts
        arrives = melts + (falls if degrees >= 0 else 0)
        runs_off = arrives * min(1, soil / 150) ** 2
        evaporates = min(soil, 0.15 * max(degrees, 0) * min(1, soil / 100))
        sinks = soil / 60
        soil += arrives - runs_off - evaporates - sinks
        ground += sinks + 0.5 * runs_off
        flows = ground / 40
        ground -= flows
        discharge[day], snow_of[day] = 0.5 * runs_off + flows, snow
    return discharge, snow_of


class River(torch.nn.Module):
    """An LSTM and a linear readout, for scaled inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(2, HIDDEN)
        self.head = torch.nn.Linear(HIDDEN, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output (time, batch, 1) for an input (time, batch, 2)."""
        return self.head(self.lstm(x)[0])


def main(folder: Path) -> None:
    """Train the model, and write it and its two years of data into a folder."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    dates = np.arange("1980-10-01", f"{1980 + YEARS}-10-01", dtype="datetime64[D]")
    rain, temperature = weather(len(dates), rng)
    discharge, snow = basin(rain, temperature)
    x, y = np.stack([rain, temperature], axis=-1), discharge[:, None]
    center, scale = x[:-730].mean(axis=0), x[:-730].std(axis=0)
    middle, spread = y[:-730].mean(axis=0), y[:-730].std(axis=0)
    inputs = torch.tensor((x - center) / scale, dtype=torch.float32)
    wanted = torch.tensor((y - middle) / spread, dtype=torch.float32)
    model = River()
    with torch.no_grad():
        model.lstm.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 3.0  # open forget gates: a basin is slow
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for update in range(UPDATES):
        starts = rng.integers(0, len(dates) - 730 - WINDOW, size=32)
        days = starts[None] + np.arange(WINDOW)[:, None]
        loss = ((model(inputs[days])[WARM_UP:] - wanted[days][WARM_UP:]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}: {loss.item():.4f} of the variance is unexplained", flush=True)

    network = gw.Network(
        read(model.lstm),
        head=gw.Linear(model.head.weight.detach().numpy(), model.head.bias.detach().numpy()),
        inputs=gw.Scaling(center.astype(np.float32), scale.astype(np.float32)),
        outputs=gw.Scaling(middle.astype(np.float32), spread.astype(np.float32)),
        time_step="1D",
        labels=gw.Labels(
            features=["rain", "temperature"],
            outputs=["discharge"],
            measures={
                "rain": ("precipitation", "mm/d"),
                "temperature": ("temperature", "°C"),
                "discharge": ("discharge", "mm/d"),
            },
        ),
    )
    gw.save(network, folder / "river.safetensors", overwrite=True)
    for name, columns in (
        ("river", {"rain": rain, "temperature": temperature}),
        ("river_observed", {"discharge": discharge.round(3)}),
        ("river_values", {"snow": snow.round(1)}),
    ):
        rows = zip(dates[-730:], *(column[-730:] for column in columns.values()), strict=True)
        lines = [",".join(["date", *columns]), *(",".join(map(str, row)) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with torch.no_grad():
        answers = model(inputs[-730:, None])[:, 0].numpy() * spread + middle
    np.save(folder / "river_answers.npy", answers.astype(np.float32))
    found = network.trace(x[-730:]).output[WARM_UP:, 0]
    observed = discharge[-730:][WARM_UP:]
    efficiency = 1 - ((found - observed) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
    print(f"Nash-Sutcliffe efficiency in two years that it has not seen: {efficiency:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
