"""One rival's process, which prepares, verifies and times on request.

``python -m bench.worker RIVAL THREADS`` reads requests from standard input and writes replies to standard output, each
a line of JSON. Between two requests it sleeps.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from array import array
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from bench.cases import Case
from bench.measures import Measure
from bench.problems import Answer, Problem, Run, Way
from bench.referee import STEPS, thinned, wrong


class Fault(Exception):
    """Why a rival cannot be timed; one sentence."""


@dataclass
class Timed:
    """A run, and the times of all its calls in nanoseconds."""

    run: Run
    times: array[int] = field(default_factory=lambda: array("q"))
    wall: float = 0.0
    cpu: float = 0.0

    def burst(self, seconds: float) -> float:
        """Call again and again for some time, once at least, and return the median of a call in seconds.

        A tenth of the time before it is not counted: caches and threads are to be awake.
        """
        call, times, clock = self.run.call, self.times, time.perf_counter_ns
        first = len(times)
        with self.run.context:
            if not times or times[-1] < 1e9 * seconds:
                end = clock() + 1e8 * seconds
                while clock() < end:
                    call()
            wall, cpu = time.perf_counter(), time.process_time()
            end = clock() + 1e9 * seconds
            while True:
                began = clock()
                call()
                ended = clock()
                times.append(ended - began)
                if ended > end:
                    break
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu
        return 1e-9 * float(np.median(times[first:]))

    def summary(self) -> dict[str, float]:
        """Return what the calls have in common."""
        median, tail, most = 1e-9 * np.quantile(self.times, [0.5, 0.999, 1])
        return {
            Measure.MEDIAN: median,
            Measure.TAIL: tail,
            Measure.MAXIMUM: most,
            "calls": len(self.times),
            "cores": self.cpu / self.wall,
            **self.run.facts(),
        }


class Worker:
    """What a process can be asked to do."""

    def __init__(self, rival: str, threads: int) -> None:
        self.rival, self.threads = rival, threads
        self.known: tuple[Way, ...] = ()
        self.timed: dict[str, Timed] = {}

    def load(self) -> str:
        """Import the rival; return its version."""
        try:
            module = import_module(f"bench.rivals.{self.rival}")
        except ModuleNotFoundError as error:
            raise Fault(f"{error.name} is not installed") from None
        self.known = module.WAYS
        return module.version()

    def ways(self, task: str) -> list[dict[str, str]]:
        """Return the rival's ways of doing a task, and forget what is left of the last one."""
        self.timed.clear()
        return [{"label": way.label, "remark": way.remark} for way in self.known if way.task == task]

    def prepare(self, case: dict[str, Any], label: str, reference: str) -> None:
        """Make one way ready, and verify its answer."""
        problem = Problem.of(Case(**case), self.threads)
        way = next(way for way in self.known if (way.label, way.task) == (label, problem.case.task))
        run = way.prepare(problem)
        with run.context, np.load(reference) as right:
            answer = self._streamed(run) if way.task == "stream" else self._repeated(run)
            if (fault := wrong(thinned(answer), dict(right), way.remark)) is not None:
                raise Fault(f"wrong: {fault}")
        self.timed[label] = Timed(run)
        gc.collect()
        gc.freeze()

    @staticmethod
    def _streamed(run: Run) -> Answer:
        outputs = []
        for _ in range(STEPS):
            run.call()
            outputs.append(np.array(run.answer()["y"]))
        return {"y": np.concatenate(outputs)}

    @staticmethod
    def _repeated(run: Run) -> Answer:
        run.call()
        run.call()  # so that results of the first problem in reused arrays cannot pass for the second's
        return run.answer()

    def burst(self, label: str, seconds: float) -> float:
        """Time one way for a short while."""
        gc.disable()
        median = self.timed[label].burst(seconds)
        gc.enable()
        return median

    def finish(self, label: str) -> dict[str, float]:
        """Return the summary of one way, and forget it."""
        found = self.timed.pop(label).summary()
        gc.unfreeze()
        gc.collect()
        return found


def main(rival: str, threads: int) -> None:
    """Serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a rival prints goes to standard error
    worker = Worker(rival, threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"value": getattr(worker, request.pop("do"))(**request)}
        except Fault as fault:
            reply = {"error": str(fault)}
        except Exception as error:  # a rival may raise anything, and the others go on
            reply = {"error": " ".join(f"failed: {type(error).__name__}: {error}".split())[:200]}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
