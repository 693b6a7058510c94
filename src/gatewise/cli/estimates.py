"""The announcement of what long work takes."""

from __future__ import annotations

import sys

LARGE = 64 * 2**20  # bytes from which on the size is announced
LONG = 10.0  # seconds from which on the time is announced, too


def announce_cost(work: str, seconds: float, size: float = 0) -> None:
    """Print on standard error what work takes, where that is much: "the run keeps 2 GiB of 100 steps"."""
    if size > LARGE or seconds > LONG:
        duration = f", and takes about {seconds:,.0f} s" if seconds > 1 else ""
        print(f"gatewise: {work}{duration}", file=sys.stderr)
