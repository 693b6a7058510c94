"""How long a report takes: python -m bench.page [STEPS UNITS]. One run of a network, and the page about it.

It has no rival; its goal is a page about 10,000 steps of 128 units in less than 20 seconds, in which every headline is
repeated to see if it is stable.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import gatewise as gw
from bench.measures import Measure

STEPS, UNITS, FEATURES = 10_000, 128, 8
GOAL = 20.0  # seconds


def timed(steps: int, units: int) -> tuple[float, float, int]:
    """Return the seconds of a run, those of the page about it, and its bytes."""
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(size=(1, units)).astype(np.float32))
    network = gw.Network(gw.LSTM(FEATURES, units, rng=0), head=head)
    x = rng.normal(size=(steps, FEATURES)).astype(np.float32)
    labels = gw.Labels(outputs=["q"], times=np.datetime64("2000-01-01") + np.arange(steps))
    gw.report(network, x[:10])  # what is imported once
    begin = time.perf_counter()
    trace = network.trace(x, labels=labels)
    run = time.perf_counter()
    page = gw.report(trace).html()
    return run - begin, time.perf_counter() - run, len(page.encode())


def main() -> None:
    """Print the times, and whether the goal is met where it is asked for."""
    steps, units = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (STEPS, UNITS)
    run, page, size = timed(steps, units)
    print(f"{steps:,} steps of {units} units: the run {Measure.MEDIAN.text(run)}, the page {Measure.MEDIAN.text(page)}")
    print(f"the page is {Measure.DISK.text(size)}, and took {page / run:.0f} times as long as the run")
    if (steps, units) == (STEPS, UNITS):
        print(f"goal: less than {GOAL:g} s: {'met' if page < GOAL else 'missed'}")
        sys.exit(page >= GOAL)


if __name__ == "__main__":
    main()
