"""Rivals side by side: a process for each, all ready at once, timed in turns so that only one computes at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cases import Case

ROOT = Path(__file__).parents[1]
PAUSE = 0.1  # seconds between two bursts, for helper threads that wait for work to fall asleep: OpenBLAS takes 0.03
COUNTS = (
    "GATEWISE_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # XLA's pool
)
UNWANTED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make OpenBLAS assume a different CPU


class Failure(Exception):
    """A rival that cannot do what it was asked; one sentence."""


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a rival's process, which may use so many threads."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    eigen = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    return kept | dict.fromkeys(COUNTS, str(threads)) | {"XLA_FLAGS": eigen}


class Booth:
    """A rival's process, seen from outside.

    Parameters
    ----------
    rival : str
    threads : int

    Attributes
    ----------
    version : str or None
    absent : str or None
        Why it cannot take part, such as what is not installed.
    """

    def __init__(self, rival: str, threads: int) -> None:
        self.rival, self.threads = rival, threads
        self.version, self.absent = None, None
        self.open()

    def open(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", self.rival, str(self.threads)],
            cwd=ROOT,
            env=environment(self.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.version = self.ask("load")
        except Failure as failure:
            self.absent = str(failure)

    def ways(self, task: str) -> list[dict[str, str]]:
        """Return the label and remark of each way in which the rival does a task; a process that died starts anew."""
        if self.absent is None and self.process.poll() is not None:
            self.open()
        return self.ask("ways", task=task) if self.absent is None else []

    def ask(self, do: str, **given: Any) -> Any:
        """Have the process do something, and return what it says.

        Raises
        ------
        Failure
            If it could not, or died.
        """
        try:
            print(json.dumps({"do": do} | given), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failure(f"its process ended with code {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Failure(reply["error"])
        return reply["value"]

    def close(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()


def reference(case: Case, folder: Path) -> Path:
    """Return the file with a case's right answers; it is written if it does not exist."""
    path = folder / f"{case}.npz"
    if not path.exists():
        subprocess.run([sys.executable, "-m", "bench.referee", json.dumps(asdict(case)), path], cwd=ROOT, check=True)
    return path


def race(case: Case, booths: Iterable[Booth], right: Path, *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Verify all ways of all rivals, time those whose answers are right in turns, and return the outcome of each.

    Parameters
    ----------
    case : Case
    booths : iterable of Booth
    right : Path
        From `reference`.
    seconds : float
        How long each way is timed in all, unless so many rounds of a single call take longer.
    rounds : int
        In how many bursts.

    Returns
    -------
    list of dict
        For each way ``rival``, ``label``, ``remark``, and either ``fault``, a sentence, or its measures together with
        ``rounds``, the median call of each round.
    """
    lanes = [(booth, {"rival": booth.rival, **way, "rounds": []}) for booth in booths for way in booth.ways(case.task)]

    def ask(booth: Booth, entry: dict[str, Any], do: str, **given: Any) -> Any:
        try:
            return booth.ask(do, label=entry["label"], **given)
        except Failure as failure:
            entry["fault"] = str(failure)

    for booth, entry in lanes:
        ask(booth, entry, "prepare", case=asdict(case), reference=str(right))
    for _ in range(rounds):
        for booth, entry in lanes:
            if "fault" not in entry:
                time.sleep(PAUSE)
                entry["rounds"].append(ask(booth, entry, "burst", seconds=seconds / rounds))
    for booth, entry in lanes:
        if "fault" not in entry:
            entry |= ask(booth, entry, "finish") or {}
    return [entry for _, entry in lanes]
