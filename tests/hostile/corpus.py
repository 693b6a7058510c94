"""The corpus: hostile input of many classes, made anew from a seed, for as many minutes as are asked.

Each class works in processes of their own, with little memory and time: what ends one of them is a fault, and the
next process goes on behind it. `trying` says what a class is, and which faults there are.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

from hostile.trying import AT_END, CLASSES, KILL, KINDS, Fault, Hostile, Refused, watch_this_process

MODULES = (
    *("data_tables", "data_files", "models_torch", "models_onnx", "models_keras", "models_files", "typed", "sheets"),
    *("classroom", "outputs", "inputs_as_outputs", "arguments", "processes", "python_objects", "headers", "page"),
)
os.environ.setdefault("KERAS_BACKEND", "torch")
ROUND = 10.0  # seconds of a class in one round, at most
BROKEN = "broken"  # the class itself, not gatewise


@dataclass
class Findings:
    """What came of the tries of a class."""

    tries: int = 0
    refused: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)  # by kind
    examples: dict[tuple[str, str], str] = field(default_factory=dict)  # by kind and place: how to see one again

    def add(self, kind: str, place: str, text: str) -> None:
        """Add a fault."""
        self.faults[kind] += 1
        self.examples.setdefault((kind, place), text)


def missing(one: Hostile) -> list[str]:
    """Return what a class needs that is not here: modules, programs as $gcc, and root."""

    def is_here(name: str) -> bool:
        if name == "root":
            return os.geteuid() == 0
        return bool(shutil.which(name[1:]) if name.startswith("$") else find_spec(name))

    return [name for name in one.needs if not is_here(name)]


def load_classes() -> dict[str, Hostile]:
    """Return all classes by name, in the order of their modules."""
    for name in MODULES:
        import_module(f"hostile.{name}")
    return CLASSES


def chance_of(one: Hostile, seed: int, number: int) -> random.Random:
    """Return the random generator of a try."""
    return random.Random(f"{one.name}:{seed}:{number}")


def attempt(one: Hostile, seed: int, number: int, folder: Path) -> tuple[str, int, str, str]:
    """Make one try in a folder; return its outcome, how many tries it was, and the place and the text of a fault."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chdir(folder)
    try:
        count = one.attempt(chance_of(one, seed, number), folder)
    except Refused:
        return "refused", 1, "", ""
    except Fault as fault:
        return fault.kind, 1, _place(fault), fault.text
    except BaseException as problem:
        text = "".join(traceback.format_exception(problem))
        return BROKEN, 1, _place(problem), text[-3000:]
    return "answered", count if isinstance(count, int) else 1, "", ""


def _place(problem: BaseException) -> str:
    """Return what makes two faults the same: where an exception was raised, or the beginning of what is said."""
    text = problem.text if isinstance(problem, Fault) else str(problem)
    lines = text.strip().splitlines() or [""]
    if places := [line.strip() for line in lines if line.strip().startswith("File ")]:
        return places[-1]
    return re.sub(r"\d+", "0", lines[0].partition(":")[0])[:60]


def unbuffered(stream: int) -> TextIO:
    """Return a descriptor as a text file, which stays open."""
    return os.fdopen(stream, "w", buffering=1, closefd=False)


def _work(one: Hostile, seed: int, first: int, seconds: float, folder: str, reports: Connection) -> None:
    """Make tries until the time is over, and report each."""
    log = os.open(os.path.join(folder, "log.txt"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.stdout, sys.stderr = map(unbuffered, (1, 2))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    atexit._clear()  # a program that is run here would remove the parent's folders
    faulthandler.disable()  # of whoever started this
    tempfile.tempdir = folder  # which goes with everything in it
    watch_this_process()
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    if one.memory:
        resource.setrlimit(resource.RLIMIT_AS, (taken + one.memory,) * 2)
    end, number = time.monotonic() + seconds, first
    while True:
        reports.send((number, attempt(one, seed, number, Path(folder, "try"))))
        os.chdir(folder)
        number += 1
        if time.monotonic() > end:
            break
    for close in AT_END:
        close()
    reports.close()
    os._exit(0)


def run_class(one: Hostile, seed: int, first: int, seconds: float, findings: Findings) -> int:
    """Make tries of a class for some seconds, each process from where the last one ended; return the next number."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-", dir=_folder(), ignore_cleanup_errors=True) as folder:
        while (left := begin + seconds - time.monotonic()) > 0:
            first = _oversee(one, seed, first, left, folder, findings)
    findings.seconds += time.monotonic() - begin
    return first


def _folder() -> str | None:
    """Return where tries are made: in memory, where there is such a folder."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _oversee(one: Hostile, seed: int, first: int, seconds: float, folder: str, findings: Findings) -> int:
    """Run one process until its time is over, it hangs or dies; return the number of the next try."""
    context = multiprocessing.get_context("fork")
    reports, sender = context.Pipe(duplex=False)
    gc.freeze()
    process = context.Process(target=_work, args=(one, seed, first, seconds, folder, sender), daemon=False)
    process.start()
    sender.close()
    number = first
    try:
        while True:
            if not reports.poll(one.seconds):
                findings.tries += 1
                findings.add(KILL, "hang", f"{again(one, seed, number)}: it took longer than {one.seconds:g} s")
                return number + 1
            try:
                number, (outcome, count, place, text) = reports.recv()
            except EOFError:
                process.join()
                if process.exitcode:
                    said = Path(folder, "log.txt").read_text(encoding="utf-8", errors="replace")[-1500:]
                    findings.tries += 1
                    findings.add(
                        KILL,
                        f"exit code {process.exitcode}",
                        f"{again(one, seed, number)}: it ended with {process.exitcode}: {said}",
                    )
                    return number + 1
                return number
            findings.tries += count
            findings.refused += outcome == "refused"
            if outcome not in ("refused", "answered"):
                findings.add(outcome, place, f"{again(one, seed, number)}\n{text}")
            number += 1
    finally:
        process.kill()
        process.join()
        reports.close()


def again(one: Hostile, seed: int, number: int) -> str:
    """Return the command that makes a try again."""
    return f'python -m tests.hostile --only "{one.name}" --seed {seed} --number {number}'


def run(classes: Sequence[Hostile], minutes: float, seed: int, show: Any = None) -> dict[str, Findings]:
    """Make tries of all classes for as many minutes, in rounds, and return what came of them."""
    findings = {one.name: Findings() for one in classes}
    numbers = dict.fromkeys(findings, 0)
    end = time.monotonic() + 60 * minutes
    shares = sum(one.share for one in classes)
    while (left := end - time.monotonic()) > 0:
        each = min(ROUND, left / shares)
        for one in classes:
            for name in one.needs:  # before the processes, which then have them at once
                if find_spec(name):
                    import_module(name)
            numbers[one.name] = run_class(one, seed, numbers[one.name], each * one.share, findings[one.name])
            if show is not None:
                show(one, findings[one.name])
        if each < ROUND:
            break
    return findings


def table(findings: dict[str, Findings], not_tried: dict[str, list[str]]) -> str:
    """Return the tries and the faults of each class, and the totals."""
    kinds = [*KINDS, *([BROKEN] if any(one.faults[BROKEN] for one in findings.values()) else [])]
    rows = [(name, one.tries, one.refused, *(one.faults[kind] for kind in kinds)) for name, one in findings.items()]
    rows.append(("all", *(sum(row[place] for row in rows) for place in range(1, 3 + len(kinds)))))
    width = max(len(row[0]) for row in rows)
    lines = [f"{'class':{width}} {'tries':>8} {'refused':>8} " + " ".join(f"{kind:>9}" for kind in kinds)]
    for name, tries, refused, *counts in rows:
        lines.append(f"{name:{width}} {tries:8,} {refused:8,} " + " ".join(f"{count or '.':>9}" for count in counts))
    lines += [f"not tried: {name} (there is no {', '.join(needed)})" for name, needed in not_tried.items()]
    return "\n".join(lines)


def examples(findings: Iterable[tuple[str, Findings]]) -> str:
    """Return an example of each fault that differs."""
    parts = []
    for name, one in findings:
        for (kind, _), text in one.examples.items():
            parts.append(f"--- {name}: {kind} ---\n{text}")
    return "\n\n".join(parts)
