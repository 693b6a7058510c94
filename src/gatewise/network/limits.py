"""The limits of folding and running a graph: numbers in memory, and steps of work. Nothing is timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from gatewise.arrays import in_bytes, require_memory
from gatewise.errors import CapacityError

NUMBERS = 2**27  # that any run may hold, however little it is given: 1 GiB in float64
NUMBERS_EACH = 2**12  # of each number that it is given: attention holds a matrix of steps by steps
WORK = 2**26  # microseconds that any run may take
WORK_EACH = 1.0  # for each number that it is given, and each parameter
PROBE_NUMBERS, PROBE_WORK = 2**24, 2**19  # of a run that only tells something about a graph
MAX_NODES = 25_000
STEPS = 1000  # of an operation's cost in a microsecond
NODE = 5  # microseconds that any node takes
STEP_OF_LOOP = 20  # microseconds that any step of a loop takes


class Limits(Protocol):
    """What a graph is held to: the budget of its file while constants are folded, or that of a run."""

    def hold(self, count: int, itemsize: int, subject: str) -> None:
        """Take memory before it is allocated."""

    def work(self, steps: int, subject: str) -> None:
        """Take steps of work, of about a microsecond each."""


class RunLimits:
    """The limits of one run, by how many numbers it is given: inputs, and the parameters of the graph."""

    def __init__(self, provided: int, parameters: int) -> None:
        self._numbers = max(NUMBERS, NUMBERS_EACH * (provided + parameters))
        self._work = max(WORK, int(WORK_EACH * (provided + 1) * (parameters + 1)))
        self._held = 0

    @classmethod
    def of_probe(cls) -> RunLimits:
        """Return the limits of a run of small inputs, which tells something about a graph."""
        limits = cls(0, 0)
        limits._numbers, limits._work = PROBE_NUMBERS, PROBE_WORK
        return limits

    def hold(self, count: int, itemsize: int, subject: str) -> None:
        """Take memory; CapacityError if the run may not have so much, or the machine has less."""
        if self._held + count > self._numbers:
            raise CapacityError(
                f"{subject} would bring the run to {in_bytes((self._held + count) * itemsize)} of memory;"
                f" {in_bytes(self._numbers * itemsize)} are allowed for its inputs and parameters"
            )
        require_memory(count, itemsize, subject)
        self._held += count

    def release(self, count: int) -> None:
        """Give numbers back."""
        self._held -= count

    def work(self, steps: int, subject: str) -> None:
        """Take steps of work; CapacityError if the run may not take so long."""
        self._work -= steps
        if self._work < 0:
            raise CapacityError(f"{subject} would take too long for the run's inputs and parameters")


# Operations with graphs in them run those within the limits of the run that they are part of.
_CURRENT: ContextVar[Limits] = ContextVar("limits")


@contextmanager
def sharing(limits: Limits) -> Iterator[None]:
    """Let bodies that run inside be held to these limits."""
    token = _CURRENT.set(limits)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def limits_of_bodies() -> Limits:
    """Return the limits that a body runs within."""
    return _CURRENT.get(None) or RunLimits(0, 0)
