"""How fast are models of amplifiers, sample by sample: python -m bench.audio; on one thread.

The header in C that gatewise writes, RTNeural and NeuralAudio, each compiled here for AVX-512, AVX2 and SSE2, where the
machine has them; and gatewise's streams and PyTorch in Python, in single samples and in blocks. Answers are verified
before they are timed. The folders of the others' sources are arguments, or in the environment as GATEWISE_RTNEURAL,
GATEWISE_NEURALAUDIO, GATEWISE_EIGEN and GATEWISE_XSIMD; bench/README.md says how to get them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gatewise as gw
from bench.race import ROOT, environment

SAMPLES = 4096  # of noise, again and again
BLOCKS = (1, 64, 512)
CLOSE = 4e-6  # float32's rounding in a run of all samples, relative to the largest number of an answer, if above 1
README = ROOT / "bench" / "README.md"
MARKS = ("<!-- audio: python -m bench.audio --write -->", "<!-- the end of audio -->")
DRIVERS = ROOT / "bench" / "drivers"
BUILDS = ROOT / "build" / "audio"
INSTRUCTIONS = {  # the compiler's options, and the processor's flags that they need
    "AVX-512": (("-march=native",), {"avx512f", "avx512dq", "avx512bw", "avx512vl"}),
    "AVX2": (("-mavx2", "-mfma"), {"avx2", "fma"}),
    "SSE2": ((), {"sse2"}),
}
ANY = {"this machine": (("-march=native",), set[str]())}  # where the system tells no flags

Times = tuple[float, float]  # the median and the least time of a step, in nanoseconds
Pass = Callable[[float], Times]  # runs for some seconds


class Refused(Exception):
    """Why a contender does not run a model; one sentence."""


@dataclass(frozen=True)
class Model:
    """An LSTM of random weights with a dense layer of one output."""

    inputs: int
    hidden: int
    layers: int = 1

    def __str__(self) -> str:
        return "→".join(map(str, (self.inputs, *[self.hidden] * self.layers)))

    @cached_property
    def network(self) -> gw.Network:
        """The model, as gatewise runs it."""
        rng = np.random.default_rng(0)
        lstm = gw.LSTM(self.inputs, self.hidden, num_layers=self.layers, rng=rng)
        bound = self.hidden**-0.5
        head = rng.uniform(-bound, bound, (1, self.hidden)), rng.uniform(-bound, bound, 1)
        return gw.Network(lstm, head=gw.Linear(*(part.astype(np.float32) for part in head)))

    @cached_property
    def layer_arrays(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The matrices of each layer's input and hidden state, with columns for the gates i f g o, and the biases."""
        arrays = []
        for (cell,) in self.network.lstm.layers:
            p = cell.parameters
            flat = p.weight.reshape(4 * self.hidden, -1).T
            arrays.append((flat[self.hidden :], flat[: self.hidden], p.bias.ravel()))
        return arrays

    @cached_property
    def x(self) -> np.ndarray:
        """Noise as audio."""
        return np.random.default_rng(1).normal(0, 0.2, (SAMPLES, self.inputs)).astype(np.float32)

    def exact(self, x: np.ndarray) -> np.ndarray:
        """Return the answer for some input, in float64 on gatewise's reference engine."""
        lstm, head = self.network.lstm.astype(np.float64), self.network.head.astype(np.float64)
        return gw.Network(lstm, head=head)(np.float64(x), engine="reference")[0].ravel()

    @cached_property
    def right(self) -> np.ndarray:
        """The answer for all of the input."""
        return self.exact(self.x)

    def require_right(self, y: np.ndarray) -> None:
        """Raise Refused where an answer is wrong."""
        if y.size != self.right.size:
            raise Refused(f"it puts out {y.size} samples of {self.right.size}")
        off = np.abs(y.ravel() - self.right).max() / max(1, np.abs(self.right).max())
        if not off <= CLOSE:
            raise Refused(f"wrong by {off:.1e}")


MODELS = tuple(Model(*sizes) for sizes in ((1, 8), (1, 20), (1, 40), (2, 40), (16, 16), (1, 64), (32, 128), (1, 16, 2)))


class Contender(NamedTuple):
    """A runtime: what it is called, and how it is made ready for a model."""

    label: str
    ready: Callable[[Model], Pass]


def built(program: str, compile_with: Iterable[list[str]], sources: Iterable[Path]) -> Path:
    """Return a program, compiled by some commands that write to {}, if these and their sources are new."""
    commands = [list(command) for command in compile_with]
    parts = [*map(repr, commands), *(path.read_text(encoding="utf-8") for path in sources)]
    folder = BUILDS / f"{program}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"
    path = folder / "program"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for command in commands:
            done = subprocess.run(
                [part.format(folder) for part in command], capture_output=True, text=True, check=False
            )
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if "error" in line]
                raise Refused(f"{program} does not compile: {lines[0] if lines else done.stderr[-200:]}")
    return path


def driven(command: list[str], model: Model, seconds: float) -> tuple[Times, np.ndarray]:
    """Run a driver; return its times and what it puts out."""
    done = subprocess.run([*command, str(seconds)], input=model.x.tobytes(), capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"its driver ended with {done.returncode}: {done.stderr.decode(errors='replace')[-100:]}")
    median, least = map(float, done.stderr.split())
    return (median, least), np.frombuffer(done.stdout, np.float32)


def driver(label: str, command: Callable[[Model], list[str]]) -> Contender:
    """Return a runtime that a program runs."""

    def ready(model: Model) -> Pass:
        words = command(model)
        model.require_right(driven(words, model, 0.0)[1])
        return lambda seconds: driven(words, model, seconds)[0]

    return Contender(label, ready)


def weights_file(model: Model) -> str:
    """Return the path of a model's weights, as the drivers read them."""
    path = BUILDS / f"{model}.float32"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = model.network.head
    arrays = [array for layer in model.layer_arrays for array in layer]
    path.write_bytes(b"".join(np.ravel(array).tobytes() for array in (*arrays, head.weight, head.bias)))
    return str(path)


def header(options: tuple[str, ...]) -> Contender:
    """Return the header that gatewise writes, compiled with some options."""

    def command(model: Model) -> list[str]:
        path = BUILDS / f"header-{model}" / "model.h"
        path.parent.mkdir(parents=True, exist_ok=True)
        gw.write_c(model.network, path, name="model", rest="none")
        source, main = DRIVERS / "header.c", DRIVERS / "header.cpp"
        folder, optimised = str(path.parent), ["-O3", *options]
        commands = [
            ["gcc", "-std=gnu99", *optimised, "-I", folder, "-c", str(source), "-o", "{}/header.o"],
            ["g++", "-std=c++17", *optimised, str(main), "{}/header.o", "-o", "{}/program"],
        ]
        return [str(built("header", commands, (path, source, main, DRIVERS / "driver.hpp"))), str(model.inputs)]

    return driver("gatewise header", command)


def peer(label: str, source: str, words: list[str]) -> Contender:
    """Return a runtime of C++ whose driver is compiled with some options, in one program for all models."""

    def command(model: Model) -> list[str]:
        path = DRIVERS / source
        compiling = ["g++", "-O3", "-w", *words, str(path), "-o", "{}/program"]
        program = built(path.stem, [compiling], (path, DRIVERS / "driver.hpp"))
        return [str(program), weights_file(model), *map(str, (model.inputs, model.hidden, model.layers))]

    return driver(label, command)


def peers(asked: argparse.Namespace, options: tuple[str, ...], widest: int) -> Iterator[Contender]:
    """Yield the runtimes of C++ whose sources are here, for a set of instructions whose vectors have so many bytes."""
    if asked.rtneural:
        own = ["-std=c++17", *options, "-I", asked.rtneural, "-I", f"{asked.rtneural}/modules/json"]
        if asked.eigen:
            eigen = ["-DRTNEURAL_USE_EIGEN=1", "-DEIGEN_STACK_ALLOCATION_LIMIT=0", "-I", asked.eigen]
            aligned = f"-DRTNEURAL_DEFAULT_ALIGNMENT={min(widest, 32)}"  # it knows no wider one
            yield peer("RTNeural (Eigen)", "rtneural.cpp", [*own, *eigen, aligned])
        if asked.xsimd:
            xsimd = ["-DRTNEURAL_USE_XSIMD=1", f"-DRTNEURAL_DEFAULT_ALIGNMENT={widest}", "-I", asked.xsimd]
            yield peer("RTNeural (xsimd)", "rtneural.cpp", [*own, *xsimd])
    if asked.neuralaudio and asked.eigen:
        approximations = BUILDS / "include" / "math_approx" / "math_approx.hpp"  # which its std maths does without
        approximations.parent.mkdir(parents=True, exist_ok=True)
        approximations.touch()
        includes = [f"-I{folder}" for folder in (asked.neuralaudio, asked.eigen, approximations.parent.parent)]
        own = ["-std=c++20", "-DLSTM_MATH=StdMath", "-DEIGEN_STACK_ALLOCATION_LIMIT=0", *includes, *options]
        yield peer("NeuralAudio (std)", "neuralaudio.cpp", own)


def timed(push: Callable[[Any], Any], blocks: list[Any], size: int) -> Pass:
    """Return how a way to push blocks is timed: in bursts of some 50 microseconds."""

    def run(seconds: float) -> Times:
        clock, times = time.perf_counter, []
        count = max(1, 256 // size)
        end = clock() + seconds
        while len(times) < 16 or clock() < end:
            at = len(times) * count % len(blocks)
            burst = (blocks + blocks[:count])[at : at + count]
            start = clock()
            for block in burst:
                push(block)
            times.append(1e9 * (clock() - start) / (count * size))
        return statistics.median(times), min(times)

    return run


def blocks_of(x: Any, size: int) -> list[Any]:
    """Return an input in blocks, or in single samples."""
    return list(x) if size == 1 else [x[at : at + size] for at in range(0, len(x), size)]


def stream(size: int) -> Contender:
    """Return gatewise's stream of the network, in blocks of a size."""

    def ready(model: Model) -> Pass:
        push, blocks = model.network.stream().push, blocks_of(model.x, size)
        model.require_right(np.concatenate([np.ravel(push(block)) for block in blocks]))
        return timed(push, blocks, size)

    return Contender(f"stream, {size}", ready)


def pytorch(size: int) -> Contender:
    """Return PyTorch's nn.LSTM and nn.Linear in inference mode, in blocks of a size."""
    import torch

    torch.set_num_threads(1)

    def ready(model: Model) -> Pass:
        lstm, head = torch.nn.LSTM(model.inputs, model.hidden, model.layers), torch.nn.Linear(model.hidden, 1)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        for layer, (w, u, b) in enumerate(model.layer_arrays):
            for name, array in zip(names, (w.T, u.T, b, np.zeros_like(b)), strict=True):
                getattr(lstm, f"{name}_l{layer}").data = torch.from_numpy(array.copy())
        head.weight.data, head.bias.data = (
            torch.from_numpy(part.copy()) for part in (model.network.head.weight, model.network.head.bias)
        )
        state = None

        def push(block: torch.Tensor) -> torch.Tensor:
            nonlocal state
            with torch.inference_mode():
                h, state = lstm(block, state)
                return head(h)

        blocks = blocks_of(torch.from_numpy(model.x), size) if size > 1 else list(torch.from_numpy(model.x)[:, None])
        model.require_right(np.concatenate([push(block).numpy().ravel() for block in blocks]))
        return timed(push, blocks, size)

    return Contender(f"PyTorch, {size}", ready)


def raced(model: Model, contenders: list[Contender], seconds: float, rounds: int) -> dict[str, list[Times]]:
    """Let contenders run in turns; return the times of each in each round."""
    passes: dict[str, Pass] = {}
    for contender in contenders:
        try:
            passes[contender.label] = contender.ready(model)
        except Refused as reason:
            print(f"{model}: {contender.label}: {reason}", file=sys.stderr)
    times: dict[str, list[Times]] = {label: [] for label in passes}
    for _ in range(rounds):
        for label, run in passes.items():
            times[label].append(run(seconds))
    return times


def ratio(times: dict[str, list[Times]], own: str, others: list[str]) -> str:
    """Return how many times as fast the own runtime is as the fastest other, by the medians of a round."""
    here = [label for label in others if label in times]
    if own not in times or not here:
        return "–"
    rounds = zip(times[own], *(times[label] for label in here), strict=True)
    middle = statistics.median(min(rest)[0] / mine[0] for mine, *rest in rounds)
    return f"{middle:.2f}×" if middle >= 1 else f"**{middle:.2f}×**"


def cell(times: list[Times] | None) -> str:
    """Return the median of the rounds' medians, and the least time."""
    if times is None:
        return "–"
    median, least = statistics.median(time[0] for time in times), min(time[1] for time in times)
    return f"{median:,.0f} ({least:,.0f})"


def tables(asked: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the tables in Markdown, while they are measured."""
    flags = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").is_file() else set()
    builds = {name: build for name, build in INSTRUCTIONS.items() if build[1] <= flags} or ANY
    each, best = asked.seconds / asked.rounds, []
    for name, (options, _) in builds.items():
        others = list(peers(asked, options, {"AVX-512": 64, "AVX2": 32}.get(name, 16)))
        contenders = [header(options), *others]
        best = best or others
        yield from heading(f"one step a call, {name}", [contender.label for contender in contenders], ["ratio"])
        for model in MODELS:
            times = raced(model, contenders, each, asked.rounds)
            cells = [cell(times.get(contender.label)) for contender in contenders]
            last = ratio(times, contenders[0].label, [other.label for other in others])
            yield f"| {model} | {' | '.join(cells)} | {last} |"
    rest = [stream(size) for size in BLOCKS]
    if importlib.util.find_spec("torch"):
        rest += [pytorch(size) for size in BLOCKS[:: len(BLOCKS) - 1]]
    yield from heading(
        f"in Python; {next(iter(builds))}", [contender.label for contender in rest], ["ratio, 64", "ratio, 512"]
    )
    for model in MODELS:
        times = raced(model, [*rest, *best], each, asked.rounds)
        cells = [cell(times.get(contender.label)) for contender in rest]
        last = [ratio(times, f"stream, {size}", [other.label for other in best]) for size in BLOCKS[1:]]
        yield f"| {model} | {' | '.join((*cells, *last))} |"


def heading(title: str, labels: list[str], ratios: list[str]) -> Iterator[str]:
    """Yield the head of a table."""
    yield ""
    yield f"| {title} | {' | '.join((*labels, *ratios))} |"
    yield "|---" * (1 + len(labels) + len(ratios)) + "|"


def main() -> None:
    """Time all models, and print tables in Markdown: nanoseconds a step, the median and in brackets the minimum."""
    parser = argparse.ArgumentParser(prog="python -m bench.audio", description=main.__doc__)
    for name in ("rtneural", "neuralaudio", "eigen", "xsimd"):
        variable = f"GATEWISE_{name.upper()}"
        parser.add_argument(
            f"--{name}", default=os.environ.get(variable), help=f"the folder of its source ({variable})"
        )
    parser.add_argument("--seconds", type=float, default=0.3, help="for each runtime and model, in all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    asked = parser.parse_args()
    if os.environ.get("GATEWISE_NUM_THREADS") != "1":  # threads are counted when the libraries are imported
        command = [sys.executable, "-m", "bench.audio", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=environment(1), check=False).returncode)
    if asked.rtneural and not asked.eigen:
        asked.eigen = f"{asked.rtneural}/modules/Eigen"  # which comes with it
    if asked.xsimd is None and Path("/usr/include/xsimd").is_dir():
        asked.xsimd = "/usr/include"
    without = [name for name in ("rtneural", "neuralaudio", "eigen", "xsimd") if not getattr(asked, name)]
    lines = [
        f"{datetime.now():%Y-%m-%d %H:%M}: {processor()}, one thread of {os.cpu_count()} processors, Python"
        f" {platform.python_version()}, {compiler()}; {asked.seconds:g} s for each runtime and model, in"
        f" {asked.rounds} rounds. {'Left out: ' + ', '.join(without) + '.' if without else ''}".rstrip()
    ]
    print(lines[0])
    for line in tables(asked):
        lines.append(line)
        print(line, flush=True)
    if asked.write:
        before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
        text = "\n".join(lines)
        README.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def compiler() -> str:
    """Return the name and version of the compiler."""
    return subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


if __name__ == "__main__":
    main()
