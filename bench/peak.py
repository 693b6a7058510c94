"""The multiply-add peak of this machine, with which results are compared."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.audio import Refused, built
from bench.race import environment

SOURCE = Path(__file__).with_name("drivers") / "peak.c"
COMPILE = ["gcc", "-O3", "-march=native", "-ffp-contract=fast", "-pthread", str(SOURCE), "-o", "{}/program"]


def peak(threads: int) -> float | None:
    """Return how many floating-point operations per second so many threads do at most; None without a compiler.

    Each thread keeps 12 multiply-adds of whole vectors in flight, on registers alone, and counts two operations for
    each number. Its fastest burst of about a millisecond counts, at the clock of that moment. More threads than
    processors add nothing.
    """
    try:
        program = built("peak", [COMPILE], [SOURCE])
    except (Refused, OSError):
        return None
    command = [program, str(min(threads, os.cpu_count() or 1)), "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(threads))
    return float(done.stdout.split()[0])
