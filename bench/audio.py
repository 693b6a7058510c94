"""How fast are amplifiers, in blocks of audio as a player feeds them: python -m bench.audio; on one thread.

Models of the sizes of NeuralPi, Proteus and two of Neural Amp Modeler, as streams: the state is carried from block to
block. Beside gatewise run PyTorch, where it is installed, and RTNeural and Neural Amp Modeler's C++ core, where the
paths of their drivers are given (bench/drivers says how to build them). Answers are verified before they are timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gatewise as gw
from bench.race import ROOT, environment

RATE = 48_000  # samples in a second of audio
BLOCKS = (1, 64, 128, 512)
SAMPLES = 4096  # of noise, again and again
CLOSE = 2e-5  # relative to the largest number of an answer, where that is above 1
README = ROOT / "bench" / "README.md"
MARKS = ("<!-- audio: python -m bench.audio --write -->", "<!-- the end of audio -->")

Pass = Callable[[float], float]  # runs for some seconds, and returns the seconds that a sample takes


class Refused(Exception):
    """Why a contender does not run a model; one sentence."""


@dataclass(frozen=True)
class Model:
    """A model of random weights: its sizes, and whether it starts from a state that is not zero."""

    label: str
    inputs: int
    hidden: int
    layers: int = 1
    skip: int = 1
    nam: bool = False

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The weights by PyTorch's names, and the initial states."""
        rng, found = np.random.default_rng(0), {}
        bound = self.hidden**-0.5
        for layer in range(self.layers):
            features = self.hidden if layer else self.inputs
            for name, shape in (("weight_ih", (features,)), ("weight_hh", (self.hidden,)), ("bias_ih", ())):
                drawn = rng.uniform(-bound, bound, (4 * self.hidden, *shape))
                found[f"{name}_l{layer}"] = drawn.astype(np.float32)
        found["head"] = rng.uniform(-bound, bound, (1, self.hidden)).astype(np.float32)
        found["offset"] = rng.uniform(-bound, bound, 1).astype(np.float32)
        found["h"], found["c"] = rng.normal(size=(2, self.layers, self.hidden)).astype(np.float32) * self.nam
        return found

    @cached_property
    def x(self) -> np.ndarray:
        """Noise as audio, and knobs that stay where they are."""
        x = np.full((SAMPLES, self.inputs), 0.5, np.float32)
        x[:, 0] = np.random.default_rng(1).normal(0, 0.2, SAMPLES)
        return x

    @cached_property
    def right(self) -> np.ndarray:
        """The answer, in float64 on gatewise's reference engine."""
        model = self.network()
        initial = [[gw.State(*(np.float64(part) for part in one)) for one in row] for row in model.initial or ()]
        lstm = model.lstm.astype(np.float64)
        head = gw.Linear(np.float64(model.head.weight), np.float64(model.head.bias))
        exact = gw.Network(lstm, head=head, skip=model.skip, initial=initial or None)
        return exact(np.float64(self.x), engine="reference")[0]

    def network(self) -> gw.Network:
        """Return the model as gatewise reads it from its file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.json")
            path.write_text(json.dumps(self.as_nam() if self.nam else self.as_guitarml()), encoding="utf-8")
            return gw.load_network(path)

    def as_guitarml(self) -> dict[str, Any]:
        """Return the document that Automated-GuitarAmpModelling would write."""
        state = {f"rec.{name}": one.tolist() for name, one in self.arrays.items() if "_l" in name}
        state |= {name.replace("_ih_", "_hh_"): [0.0] * len(one) for name, one in state.items() if "bias" in name}
        state |= {"lin.weight": self.arrays["head"].tolist(), "lin.bias": self.arrays["offset"].tolist()}
        return {"model_data": {"model": "SimpleRNN", "unit_type": "LSTM", "skip": self.skip}, "state_dict": state}

    def as_nam(self) -> dict[str, Any]:
        """Return the document that Neural Amp Modeler would write."""
        flat: list[np.ndarray] = []
        for layer in range(self.layers):
            w, u, b = (self.arrays[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih"))
            flat += [np.concatenate([w, u], axis=1), b, self.arrays["h"][layer], self.arrays["c"][layer]]
        weights = np.concatenate([np.ravel(one) for one in (*flat, self.arrays["head"], self.arrays["offset"])])
        config = {"num_layers": self.layers, "input_size": self.inputs, "hidden_size": self.hidden}
        return {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": weights.tolist()}

    def as_rtneural(self) -> dict[str, Any]:
        """Return the document that RTNeural would write."""
        layers = []
        for layer in range(self.layers):
            parts = (self.arrays[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih"))
            weights = [one.T.tolist() for one in parts]
            layer = {"type": "lstm", "activation": "tanh", "shape": [None, None, self.hidden]}
            layers.append(layer | {"weights": weights})
        head = [self.arrays["head"].T.tolist(), self.arrays["offset"].tolist()]
        layers.append({"type": "dense", "activation": "", "shape": [None, None, 1], "weights": head})
        return {"in_shape": [None, None, self.inputs], "layers": layers}


MODELS = (
    Model("NeuralPi, 1→20→1", 1, 20),
    Model("Proteus, 2→40→1", 2, 40),
    Model("NAM, 1→3→1", 1, 3, skip=0, nam=True),
    Model("NAM, 1→16→16→1", 1, 16, layers=2, skip=0, nam=True),
)


class Contender(NamedTuple):
    """A runtime: what it is called, and how it is made ready for a model and a size of blocks."""

    label: str
    ready: Callable[[Model, int], Pass]


def require_right(y: np.ndarray, model: Model, first: int = 0) -> None:
    """Raise Refused where an answer is wrong, from a sample on."""
    if y.size != model.right.size:
        raise Refused(f"it puts out {y.size} samples of {model.right.size}")
    off = np.abs(y.reshape(-1, 1) - model.right)[first:].max() / max(1, np.abs(model.right).max())
    if not off <= CLOSE:
        raise Refused(f"wrong by {off:.1e}")


def blocks_of(x: np.ndarray, size: int) -> list[np.ndarray]:
    """Return an input in blocks, or in single samples."""
    return list(x) if size == 1 else [x[at : at + size] for at in range(0, len(x), size)]


def timed(push: Callable[[Any], Any], blocks: list[Any], size: int) -> Pass:
    """Return how a way to push blocks is timed: the median of a call."""

    def run(seconds: float) -> float:
        clock, times, around = time.perf_counter, [], itertools.cycle(blocks)
        begin = clock()
        while clock() < begin + 0.1 * seconds:
            push(next(around))
        end = clock() + seconds
        while not times or clock() < end:
            block = next(around)
            start = clock()
            push(block)
            times.append(clock() - start)
        return statistics.median(times) / size

    return run


def gatewise(model: Model, size: int) -> Pass:
    """Make gatewise ready: a stream of the network."""
    stream = model.network().stream()
    blocks = blocks_of(model.x, size)
    require_right(np.concatenate([stream.push(block).reshape(-1, 1) for block in blocks]), model)
    return timed(stream.push, blocks, size)


def pytorch(model: Model, size: int) -> Pass:
    """Make PyTorch ready: nn.LSTM and nn.Linear in inference mode."""
    import torch

    torch.set_num_threads(1)
    lstm = torch.nn.LSTM(model.inputs, model.hidden, model.layers)
    head = torch.nn.Linear(model.hidden, 1)
    named = {name: one for name, one in model.arrays.items() if "_l" in name}
    named |= {name.replace("_ih_", "_hh_"): np.zeros_like(one) for name, one in named.items() if "bias" in name}
    lstm.load_state_dict({name: torch.from_numpy(one) for name, one in named.items()})
    head.load_state_dict({part: torch.from_numpy(model.arrays[name]) for part, name in
                          (("weight", "head"), ("bias", "offset"))})  # fmt: skip
    state = tuple(torch.from_numpy(model.arrays[name].copy()) for name in "hc")

    def push(block: torch.Tensor) -> torch.Tensor:
        nonlocal state
        with torch.inference_mode():
            h, state = lstm(block, state)
            y = head(h)
            return y + block[:, : model.skip] if model.skip else y

    blocks = [torch.from_numpy(block.reshape(-1, model.inputs).copy()) for block in blocks_of(model.x, size)]
    require_right(np.concatenate([push(block).numpy() for block in blocks]), model)
    return timed(push, blocks, size)


def driven(
    command: Callable[[Path, Model, int], list[str]], document: Callable[[Model], dict[str, Any]], *, nam: bool
) -> Contender:
    """Return a runtime that a driver of bench/drivers runs; it is asked for its version.

    That of Neural Amp Modeler has no skip connection. RTNeural starts from zeros: where the model does not, its answer
    is compared when both have forgotten their beginnings.
    """

    def run(model: Model, size: int, seconds: float) -> tuple[float, str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.nam")
            path.write_text(json.dumps(document(model)), encoding="utf-8")
            asked = [*command(path, model, size), str(seconds)]
            done = subprocess.run(asked, input=model.x.tobytes(), capture_output=True, check=False)
        said = done.stderr.decode(errors="replace").splitlines()
        if done.returncode or len(said) < 2:
            raise Refused(f"its driver ended with {done.returncode}: {' '.join(said)[-100:]}")
        return 1e-9 * float(said[-1]), said[-2], np.frombuffer(done.stdout, np.float32)

    def ready(model: Model, size: int) -> Pass:
        if nam and not model.nam:
            raise Refused("it has no skip connection")
        _, _, y = run(model, size, 0.0)
        require_right(y, model, SAMPLES // 2 if model.nam and not nam else 0)
        return lambda seconds: run(model, size, seconds)[0]

    return Contender(run(MODELS[-1], 64, 0.0)[1], ready)


def contenders(asked: argparse.Namespace) -> Iterator[Contender]:
    """Go through the runtimes that are here; gatewise comes first."""
    yield Contender(f"gatewise {gw.__version__}", gatewise)
    if importlib.util.find_spec("torch"):
        import torch

        yield Contender(f"PyTorch {torch.__version__}", pytorch)
    else:
        print("PyTorch is not installed", file=sys.stderr)
    for path in asked.rtneural:
        yield driven(
            lambda file, model, _, path=path: [
                path,
                *map(str, (file, model.inputs, model.hidden, model.layers, model.skip)),
            ],
            Model.as_rtneural,
            nam=False,
        )
    if asked.nam:
        yield driven(lambda file, _, size: [asked.nam, str(file), str(size)], Model.as_nam, nam=True)


def raced(
    model: Model, size: int, found: list[Contender], seconds: float, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Let all contenders run in turns; return the seconds of a sample of each, and its ratio to gatewise's."""
    passes: dict[str, Pass] = {}
    for one in found:
        try:
            passes[one.label] = one.ready(model, size)
        except Refused as reason:
            print(f"{model.label}, blocks of {size}: {one.label}: {reason}", file=sys.stderr)
    times: dict[str, list[float]] = {label: [] for label in passes}
    for _ in range(rounds):
        for label, run in passes.items():
            times[label].append(run(seconds))
    own = times[found[0].label]
    ratios = {
        label: statistics.median(one / mine for one, mine in zip(each, own, strict=True))
        for label, each in times.items()
    }
    return {label: statistics.median(each) for label, each in times.items()}, ratios


def row(model: Model, size: int, labels: list[str], times: dict[str, float], ratios: dict[str, float]) -> str:
    """Return a line of the table: how many times as fast as the audio, and the ratio to the fastest other."""
    found = [1 / (RATE * times[label]) if label in times else None for label in labels]
    speeds = ["–" if one is None else f"{one:.0f}" if one >= 10 else f"{one:.2g}" for one in found]
    others = {label: ratio for label, ratio in ratios.items() if label != labels[0]}
    least = min(others.values(), default=None)
    ratio = "–" if least is None else f"{least:.2f}×" if least >= 1 else f"**{least:.2f}×**"
    block = "1 sample" if size == 1 else f"{size}"
    return f"| {model.label} | {block} | {' | '.join(speeds)} | {ratio} |"


def main() -> None:
    """Time all models in all blocks, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.audio", description=main.__doc__)
    parser.add_argument("--rtneural", action="append", default=[], help="path of its driver; may be given again")
    parser.add_argument("--nam", help="path of the driver of Neural Amp Modeler's core")
    parser.add_argument("--seconds", type=float, default=0.45, help="for each runtime, model and block, in all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    asked = parser.parse_args()
    for path in filter(None, (*asked.rtneural, asked.nam)):
        if not Path(path).is_file():
            parser.error(f"there is no driver {path}")
    if os.environ.get("GATEWISE_NUM_THREADS") != "1":  # threads are counted when the libraries are imported
        command = [sys.executable, "-m", "bench.audio", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=environment(1), check=False).returncode)
    found = list(contenders(asked))
    labels = [one.label for one in found]
    lines = [
        f"{datetime.now():%Y-%m-%d %H:%M}: one thread of {os.cpu_count()} processors, Python"
        f" {platform.python_version()}; {asked.seconds:g} s for each runtime, model and block, in {asked.rounds}"
        " rounds.",
        "",
        f"| model | block | {' | '.join(labels)} | ratio |",
        "|---" * (len(labels) + 3) + "|",
    ]
    for model, size in itertools.product(MODELS, BLOCKS):
        times, ratios = raced(model, size, found, asked.seconds / asked.rounds, asked.rounds)
        lines.append(row(model, size, labels, times, ratios))
        print(lines[-1], file=sys.stderr)
    table = "\n".join(lines)
    print(table)
    if asked.write:
        before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        README.write_text(f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
