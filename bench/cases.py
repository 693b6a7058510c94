"""The workloads W1 to W6, gatewise's goals in them, and the ten cases that README.md shows, as data."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measures import Measure

Size = tuple[int, int]  # (input, hidden)


@dataclass(frozen=True)
class Case:
    """One case to be timed.

    Parameters
    ----------
    workload : str
    task : {"stream", "infer", "train", "trace", "start"}
        One step with a carried state; a whole sequence; forward and backward with the gradients with respect to
        weights and inputs; a whole sequence with every gate of every step; a process that imports, builds and runs one
        step.
    input_size, hidden_size, batch, time : int
    signal : {"random", "silence", "decay"}
        Random inputs; zeros; zeros into a cell that keeps a state so small that it is subnormal.
    """

    workload: str
    task: str
    input_size: int
    hidden_size: int
    batch: int = 1
    time: int = 1
    signal: str = "random"

    @property
    def size(self) -> Size:
        """Input and hidden size."""
        return self.input_size, self.hidden_size

    @property
    def flops(self) -> int:
        """Floating-point operations in the matrix products, the same for every rival."""
        once = 8 * self.time * self.batch * self.hidden_size * (self.input_size + self.hidden_size)
        return once * (3 if self.task == "train" else 1)

    def __str__(self) -> str:
        words = [self.workload, f"({self.input_size}, {self.hidden_size})"]
        if self.time > 1:
            words.append(f"B={self.batch} T={self.time}")
        if self.signal != "random":
            words.append(self.signal)
        return " ".join(words)


@dataclass(frozen=True)
class Goal:
    """A goal of gatewise's in some cases.

    Parameters
    ----------
    cases : tuple of Case
    at_least : float, optional
        How many times as fast as the rival gatewise must be.
    at_most : float, optional
        A bound on gatewise's own `measure`.
    against : str
        The label of the rival; by default the fastest one that ran and does the same work as gatewise.
    measure : Measure
        What `at_most` bounds.
    threads : tuple of int
    """

    cases: tuple[Case, ...]
    at_least: float | None = None
    at_most: float | None = None
    against: str = "the fastest rival"
    measure: Measure = Measure.MEDIAN
    threads: tuple[int, ...] = (1, 2)


def at(cases: tuple[Case, ...], *sizes: Size, batched: bool | None = None) -> tuple[Case, ...]:
    """Return the cases with random inputs, of some sizes (all by default), batched or not or both."""
    return tuple(
        case
        for case in cases
        if case.signal == "random"
        and (not sizes or case.size in sizes)
        and (batched is None or batched == (case.batch > 1))
    )


SINGLE = ((1, 16), (8, 32), (32, 128), (128, 256), (256, 512))
SEQUENCES = tuple((*size, 1, 1000) for size in SINGLE)
LARGE = ((256, 512, 64, 100), (256, 512, 256, 25), (512, 512, 64, 100), (512, 512, 256, 25))
BATCHES = ((8, 64, 64, 100), (32, 128, 64, 100), (128, 256, 64, 100), *LARGE, (32, 256, 256, 365))

W1 = tuple(Case("W1", "stream", *size, signal=signal) for size in SINGLE for signal in ("random", "silence", "decay"))
W2 = tuple(Case("W2", "infer", *shape) for shape in SEQUENCES)
W3 = tuple(Case("W3", "infer", *shape) for shape in BATCHES)
W4 = tuple(Case("W4", "train", *shape) for shape in BATCHES)
W5 = tuple(Case("W5", "trace", *shape) for shape in (*SEQUENCES, *BATCHES))
W6 = (Case("W6", "start", 8, 32),)
WORKLOADS = {"W1": W1, "W2": W2, "W3": W3, "W4": W4, "W5": W5, "W6": W6}

PARITY = 0.97  # as fast, within the variation between runs
UNTRACED = "gatewise untraced"
GATE_LOOP = "PyTorch gate loop"
SCAN = "JAX scan"
FUSED = "PyTorch nn.LSTM"
FUSED_UNTRACED = f"{FUSED} untraced"

GOALS = (
    Goal(at(W1, (1, 16), (8, 32)), at_least=3),
    Goal(at(W1, (32, 128), (128, 256)), at_least=2),
    Goal(at(W1, (256, 512)), at_least=PARITY),
    Goal(at(W1, (8, 32)), at_most=1.2e-6),
    Goal(at(W2, *SINGLE[:4]), at_least=1.4, threads=(1,)),
    Goal(at(W2, *SINGLE[:4]), at_least=1.8, threads=(2,)),
    Goal(at(W2, (256, 512)), at_least=PARITY),
    Goal(at(W3, (8, 64), (32, 128)), at_least=1.2),
    Goal(at(W3, (128, 256)), at_least=1.1),
    Goal(at(W3, (32, 256)), at_least=1.15),
    Goal(at(W3, (256, 512), (512, 512)), at_least=1),
    Goal(at(W4, (8, 64), (32, 128), (128, 256), (32, 256)), at_least=1.3),
    Goal(at(W4, (256, 512), (512, 512)), at_least=1.15),
    Goal(W5, at_least=1 / 1.2, against=UNTRACED),
    Goal(at(W5, batched=False), at_least=3, against=GATE_LOOP),
    Goal(at(W5, batched=True), at_least=1.7, against=GATE_LOOP),
    Goal(W5, at_least=1.4, against=SCAN),
    Goal(tuple(case for case in W5 if case.size != (512, 512)), at_least=PARITY, against=FUSED_UNTRACED),
    Goal(W6, at_most=0.12),
    Goal(W6, at_most=45e6, measure=Measure.MEMORY),
    Goal(W6, at_most=2e6, measure=Measure.WHEEL),
)

# Each with a number of threads: the smallest sizes and the largest, where gatewise gains most, least, and loses.
TEN = tuple(
    (case, threads)
    for cases, threads in (
        (at(W1, (1, 16), (128, 256)), 1),
        (at(W2, (8, 32)), 1),
        (at(W2, (256, 512)), 2),
        (at(W3, (8, 64), (512, 512)), 1),
        (at(W4, (512, 512)), 2),
        (at(W5, (32, 128), batched=True), 2),
        (at(W5, (256, 512), batched=False), 1),
        (W6, 2),
    )
    for case in cases
    if case.batch <= 64
)
