"""Cold start: a new process that imports a package, builds an LSTM and runs one step; its time, memory and disk."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measures import Measure
from bench.problems import Problem, Run

STATUS = Path("/proc/self/status")
# getrusage would include the peak of the parent process; the kernel's VmHWM starts afresh.
PEAK = f"\nprint(next(line.split()[1] for line in open('{STATUS}') if line.startswith('VmHWM')))\n"


def starting(
    program: str, distribution: str, files: Callable[[Problem], dict[str, bytes]] | None = None
) -> Callable[[Problem], Run]:
    """Return how to prepare a program's cold start.

    Parameters
    ----------
    program : str
        Python source.
    distribution : str
        Whose files are counted, with those of all its dependencies.
    files : callable, optional
        What the program finds in its folder, by name.
    """
    source = program + (PEAK if STATUS.exists() else "")

    def prepare(problem: Problem) -> Run:
        folder = TemporaryDirectory()
        for name, content in (files(problem) if files else {}).items():
            Path(folder.name, name).write_bytes(content)
        printed = ""

        def call() -> None:
            nonlocal printed
            done = subprocess.run([sys.executable, "-c", source], cwd=folder.name, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"the program ended with {done.stderr.strip().splitlines()[-1:]}")
            printed = done.stdout

        def facts() -> dict[str, float]:
            with folder:
                return ({Measure.MEMORY: 1024.0 * int(printed)} if printed else {}) | disk(distribution)

        return Run(call, facts=facts)

    return prepare


def disk(name: str) -> dict[str, float]:
    """Return the disk space of a distribution with all its dependencies, and about the size of its own wheel."""
    try:
        own = _files(metadata.distribution(name))
    except metadata.PackageNotFoundError:  # run from a checkout, without installing
        return {}
    sizes = {path: path.stat().st_size for one in _closure(name, set()) for path in _files(metadata.distribution(one))}
    wheel = sum(len(zlib.compress(path.read_bytes())) for path in own if path.suffix != ".pyc")
    return {Measure.DISK: float(sum(sizes.values())), Measure.WHEEL: float(wheel)}


def _files(distribution: metadata.Distribution) -> list[Path]:
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return [path for path in paths if path.is_file()]


def _closure(name: str, seen: set[str]) -> set[str]:
    """Return the installed distributions that a distribution requires, itself included; extras are left out."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # meant for another platform
        return seen
    if name not in seen:
        seen.add(name)
        for one in required:
            if "extra ==" not in one:
                _closure(re.split(r"[^\w.-]", one, maxsplit=1)[0], seen)
    return seen
