"""How fast are many sequences on several workers: python -m bench.many [--sequences N]; PyTorch in the same frame.

Every way is a function that `xarray.apply_ufunc` applies to the chunks of the same data, on a cluster of
dask.distributed with as many processes as are named, each of one thread. What is timed is a whole pass: the data are
drawn, the model runs over every step of every sequence, and of what it keeps the mean over time is taken, where it was
computed. Nothing large is written or sent, so that the disk is not what is timed.

Its goal: two workers are at least 1.7 times as fast as one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import xarray
from distributed import Client, LocalCluster

import gatewise as gw

SEQUENCES, STEPS, FEATURES, UNITS, CHUNK = 10_000, 3650, 5, 64, 100
GOAL = 1.7  # times as fast
CLOSE = 1e-4  # how far means may be apart
STATUS = Path("/proc/self/status")
DIMS = ("basin", "time", "unit")


@dataclass(frozen=True)
class Way:
    """A way to do it: its name, what it keeps, and what makes that of the data."""

    name: str
    keeps: tuple[str, ...]
    made: Callable[[gw.LSTM, Any], Any]


def by_gatewise(*keeps: str) -> Callable[[gw.LSTM, Any], Any]:
    """Return how gatewise does it."""
    return lambda lstm, data: gw.apply(lstm, data, keep=keeps, output=False)


def by_torch(function: Callable[..., Any], *keeps: str) -> Callable[[gw.LSTM, Any], Any]:
    """Return how a function of PyTorch does it, in the frame of `gatewise.apply`."""

    def made(lstm: gw.LSTM, data: Any) -> Any:
        p = lstm.layers[0][0].parameters
        weights = [np.ascontiguousarray(one.reshape(-1, one.shape[-1])) for one in (p.input_weight, p.recurrent_weight)]
        found = xarray.apply_ufunc(
            function,
            data,
            input_core_dims=[["time", "feature"]],
            output_core_dims=[["time", "unit"]] * len(keeps),
            dask="parallelized",
            output_dtypes=[np.float32] * len(keeps),
            dask_gufunc_kwargs={"output_sizes": {"unit": p.hidden_size}},
            kwargs={"weights": [*weights, p.bias.ravel()]},
        )
        return xarray.Dataset(dict(zip(keeps, found if len(keeps) > 1 else [found], strict=True)))

    return made


def fused(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Return the hidden states of `torch.nn.LSTM`, which shows no gates."""
    import torch

    torch.set_num_threads(1)
    inputs, recurrent, bias = map(torch.from_numpy, map(np.array, weights))
    lstm = torch.nn.LSTM(inputs.shape[1], recurrent.shape[1])
    with torch.inference_mode():
        for parameter, value in zip(lstm.parameters(), (inputs, recurrent, bias, 0 * bias), strict=True):
            parameter.copy_(value)
        y, _ = lstm(torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1))))
    return y.numpy().swapaxes(0, 1)


def loop(x: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden states and the forget gate of a loop that is written by hand, step by step."""
    import torch

    torch.set_num_threads(1)
    inputs, recurrent, bias = map(torch.from_numpy, map(np.array, weights))
    with torch.inference_mode():
        steps = torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))
        units = recurrent.shape[1]
        h = c = torch.zeros(steps.shape[1], units)
        hidden, forget = (torch.empty(*steps.shape[:2], units) for _ in range(2))
        for t, x_t in enumerate(steps):
            a_i, a_f, a_g, a_o = torch.addmm(torch.addmm(bias, x_t, inputs.T), h, recurrent.T).chunk(4, 1)
            f = a_f.sigmoid()
            c = f * c + a_i.sigmoid() * a_g.tanh()
            h = a_o.sigmoid() * c.tanh()
            hidden[t], forget[t] = h, f
    return hidden.numpy().swapaxes(0, 1), forget.numpy().swapaxes(0, 1)


HIDDEN, FORGET = "hidden_state", "forget_gate"
WAYS = (
    Way("gatewise", (HIDDEN,), by_gatewise(HIDDEN)),
    Way("PyTorch nn.LSTM", (HIDDEN,), by_torch(fused, HIDDEN)),
    Way("gatewise", (HIDDEN, FORGET), by_gatewise(HIDDEN, FORGET)),
    Way("PyTorch loop with gates", (HIDDEN, FORGET), by_torch(loop, HIDDEN, FORGET)),
)


@contextmanager
def cluster(workers: int) -> Iterator[Client]:
    """Give a client of so many processes, each of one thread."""
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as found, Client(found) as client:
        yield client


def peak() -> int:
    """Return the most memory that this process has had, in bytes; 0 where the system does not tell."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def timed(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every way with every number of workers, in turns, and check that they agree."""
    lstm = gw.LSTM(FEATURES, given.units, rng=0)
    raw = dask.array.random.default_rng(0).random(
        (given.sequences, given.steps, FEATURES), dtype=np.float32, chunks=(given.chunk, -1, -1)
    )
    data = xarray.DataArray(raw, dims=("basin", "time", "feature"))
    results, answers = [], {}
    for workers in given.workers:
        with cluster(workers) as client:
            times: dict[int, list[float]] = {number: [] for number in range(len(WAYS))}
            for way in WAYS:  # what is imported once, and what first runs cost
                way.made(lstm, data[: workers * given.chunk]).mean("time", skipna=False).compute()
            for _ in range(given.rounds):
                for number, way in enumerate(WAYS):
                    begin = time.perf_counter()
                    means = way.made(lstm, data).mean("time", skipna=False).compute()
                    times[number].append(time.perf_counter() - begin)
                    for name in way.keeps:
                        right = answers.setdefault(name, means[name])
                        off = float(abs(means[name] - right).max())
                        assert off < CLOSE, f"{way.name}: {name} is off by {off}"
            most = max(client.run(peak).values())
        for number, way in enumerate(WAYS):
            seconds = statistics.median(times[number])
            results.append({"way": way.name, "keeps": way.keeps, "workers": workers, "seconds": seconds, "peak": most})
    return results


def table(results: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """Return the times as Markdown."""
    steps = given.sequences * given.steps
    counts = sorted({one["workers"] for one in results})
    lines = ["| kept | " + " | ".join(f"{n} worker{'s' * (n > 1)}" for n in counts) + " | times as fast |"]
    lines += ["|" + "---|" * (len(counts) + 2)]
    for way in WAYS:
        found = {
            one["workers"]: one["seconds"] for one in results if (one["way"], one["keeps"]) == (way.name, way.keeps)
        }
        row = [f"{found[n]:.1f} s ({1e9 * found[n] / steps:.0f} ns a step)" for n in counts]
        gain = f"{found[counts[0]] / found[counts[-1]]:.2f}×"
        lines.append(f"| {way.name}: {' and '.join(way.keeps)} | {' | '.join(row)} | {gain} |")
    memory = max(one["peak"] for one in results) / 2**20
    return "\n".join([*lines, "", f"The most memory that a worker had: {memory:,.0f} MiB."])


def main() -> None:
    """Print the times as Markdown, and whether the goal is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.many", description="Time many sequences on several workers.")
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--chunk", type=int, default=CHUNK, help="sequences in a chunk")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1, help="in which the ways take turns")
    parser.add_argument("--results", type=Path, help="a file for the times, as JSON")
    given = parser.parse_args()
    results = timed(given)
    if given.results:
        given.results.write_text(json.dumps({"given": vars(given) | {"results": None}, "results": results}, indent=1))
    print(f"{given.sequences:,} sequences of {given.steps:,} steps, {FEATURES} features, {given.units} units\n")
    print(table(results, given))
    if {1, 2} <= set(given.workers):
        one, two = (
            next(one["seconds"] for one in results if one["workers"] == workers and one["way"] == "gatewise")
            for workers in (1, 2)
        )
        print(f"\ntwo workers are {one / two:.2f} times as fast as one; the goal is {GOAL}: {one / two >= GOAL}")


if __name__ == "__main__":
    main()
