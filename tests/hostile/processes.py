"""Processes: signals at any moment, two writers of one file, little memory, threads and forks."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sys
import threading
import time
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from hostile.corpus import unbuffered
from hostile.outputs import chosen, write_inputs
from hostile.trying import KILL, LOST, TRACEBACK, Fault, Refused, contents, hostile, silent

LIBRARIES = (
    *("safetensors", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "h5py", "onnx", "xarray"),
    *("scipy.special", "scipy.fft", "dask.array", "distributed", "netCDF4", "pandas"),
)
OLD = b"what was there"


def started(tokens: list[str], log: str = "log", memory: int = 0) -> int:
    """Run the program in a process of its own, as a shell does, and return its number."""
    child = os.fork()
    if child:
        return child
    try:
        descriptor = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = map(unbuffered, (1, 2))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        sys.argv = ["gatewise", *tokens]
        if memory:
            taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + memory,) * 2)
        from gatewise.__main__ import run_program

        run_program()
    except BaseException:
        os._exit(99)
    os._exit(98)


def ended(child: int, what: str = "", seconds: float = 30.0) -> int:
    """Wait for a process, and return its exit code; that of a signal is negative."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise Fault(KILL, f"it did not end in {seconds:g} s: {what}")


def said(log: str = "log") -> str:
    return Path(log).read_text(encoding="utf-8", errors="replace") if Path(log).exists() else ""


def is_whole(path: Path) -> bool:
    """Return whether a file is complete, as far as its format tells."""
    content = path.read_bytes()
    match path.suffix:
        case ".html":
            return content.rstrip().endswith(b"</html>")
        case ".json" | ".ipynb":
            try:
                json.loads(content)
            except ValueError:
                return False
        case ".npz" | ".pt" | ".keras":
            return zipfile.is_zipfile(path)
        case ".svg":
            return content.rstrip().endswith(b"</svg>")
        case ".tex":
            return b"\\end{document}" in content
        case _:
            return len(content) > 0
    return True


def require_intact(before: dict[str, object], output: str, what: str, *, leftovers: bool = False) -> None:
    after = contents()
    for name, content in before.items():
        if name != output and after.get(name) != content:
            raise Fault(LOST, f"a file was changed: {name} by {what}")
    for name in after.keys() - before.keys() - {output, "log", "log2"}:
        if not (leftovers and name.endswith(".tmp")):
            raise Fault(LOST, f"a file was left: {name} by {what}")
    found = after.get(output)
    if output in before and found is None:
        raise Fault(LOST, f"the old output is gone: {output} by {what}")
    if found not in (None, OLD) and not is_whole(Path(output)):
        raise Fault(LOST, f"half an output: {output} has {len(found or b'')} bytes, by {what}")


@hostile("signals at any moment", seconds=90, share=1.5)
def signals(chance: random.Random, folder: Path) -> None:
    """The old output or a whole new one is there, no temporary file, and not a word but a sentence."""
    write_inputs()
    _, output, tokens = chosen(chance)
    if chance.random() < 0.8 and "--template" not in tokens:
        Path(output).write_bytes(OLD)
    before = contents()
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
    child = started(tokens)
    time.sleep(chance.choice([chance.uniform(0, 0.03), chance.uniform(0, 0.15)]))
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    what = f"{number.name}: gatewise {' '.join(tokens)}"
    code = ended(child, what)
    if code == 99 and not said():
        raise Refused("the signal came before the program")
    if code not in (0, 1, 2, 128 + number, -number) or "Traceback" in said():
        raise Fault(TRACEBACK, f"it ended with {code}: {what}: {said()[-1500:]}")
    require_intact(before, output, what, leftovers=number == signal.SIGKILL)


@hostile("two processes with one output", seconds=90)
def two(chance: random.Random, folder: Path) -> None:
    write_inputs()
    _, output, tokens = chosen(chance)
    if "--template" in tokens:
        raise Refused("it does not replace an output")
    before = contents()
    first = started(tokens)
    time.sleep(chance.uniform(0, 0.02))
    second = started(tokens, "log2")
    what = f"twice: gatewise {' '.join(tokens)}"
    codes = [ended(child, what) for child in (first, second)]
    for log in ("log", "log2"):
        if "Traceback" in said(log):
            raise Fault(TRACEBACK, f"{what}: {said(log)[-1500:]}")
    if not {*codes} <= {0, 1, 2}:
        raise Fault(KILL, f"they ended with {codes}: {what}: {said()[-500:]}")
    require_intact(before, output, what)
    if 0 in codes and not Path(output).exists():
        raise Fault(LOST, f"there is no output: {what}")


@hostile("little memory", seconds=90)
def memory(chance: random.Random, folder: Path) -> None:
    """A process with too little memory for its work ends in one sentence, and is not killed.

    What it imports is there before: the system's loader has words of its own.
    """
    for name in LIBRARIES:
        if find_spec(name.partition(".")[0]):
            import_module(name)
    write_inputs()
    _, output, tokens = chosen(chance)
    if chance.random() < 0.5 and "--template" not in tokens:
        Path(output).write_bytes(OLD)
    before = contents()
    more = chance.choice([2**20, 2**22, 2**24, 2**25, 2**26, 2**27])
    what = f"{more >> 20} MiB: gatewise {' '.join(tokens)}"
    code = ended(started(tokens, memory=more), what)
    if code < 0:
        raise Fault(KILL, f"it ended with {code}: {what}: {said()[-1500:]}")
    if code not in (0, 1, 2) or "Traceback" in said():
        raise Fault(TRACEBACK, f"it ended with {code}: {what}: {said()[-1500:]}")
    require_intact(before, output, what)


@hostile("threads and forks", seconds=60)
def threads(chance: random.Random, folder: Path) -> None:
    """Runs in several threads, and in a process that is forked among them, are the run of one."""
    import gatewise as gw

    rng = np.random.default_rng(chance.getrandbits(32))
    lstm = gw.LSTM(3, chance.randrange(1, 40), num_layers=chance.randrange(1, 3), rng=0)
    x = rng.normal(size=(chance.randrange(1, 60), chance.randrange(1, 5), 3)).astype(np.float32)
    expected = lstm(x)[0]
    count, found, problems = chance.randrange(2, 6), {}, []

    def run(number: int) -> None:
        try:
            other = gw.LSTM(3, lstm.hidden_size, num_layers=lstm.num_layers, rng=0) if chance.random() < 0.5 else lstm
            stream = number % 2 == 0 and x.shape[1] == 1
            found[number] = (
                np.stack([other.stream().push(row) for row in x[:1]]) if stream and len(x) == 1 else other(x)[0]
            )
        except BaseException as problem:
            problems.append(repr(problem))

    workers = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for worker in workers:
        worker.start()
    if chance.random() < 0.5:
        child = os.fork()
        if not child:
            os._exit(0 if np.array_equal(lstm(x)[0], expected) else 97)
        if code := ended(child):
            kind = "silent" if code == 97 else KILL
            raise Fault(kind, f"a run in a forked process ended with {code}: {x.shape}, {lstm}")
    for worker in workers:
        worker.join()
    if problems:
        raise Fault(TRACEBACK, f"a run in a thread failed: {problems[0]}")
    for one in found.values():
        if not np.array_equal(one.reshape(expected.shape), expected):
            silent(f"a run in a thread is another: {x.shape}, {lstm}")
