"""``python -m bench.nonlinearities``: exp, sigmoid and tanh of every kernel at every float32 number.

An error is told in ulp, the distance of neighbouring numbers in the binade of the true value. The truth of a float32 is
NumPy's float64; that of a float64, of which there are too many, so that a sample is drawn, is its long double.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gatewise.engine import native

FUNCTIONS = ("exponential", "sigmoid", "tanh")
BOUND = 2  # ulp
CHUNK = 2**13  # numbers at once, so that they stay in the first cache
Floats = np.ndarray[Any, np.dtype[Any]]


class Findings:
    """The largest error of a function on a kernel, where it is, and whatever else is wrong.

    Parameters
    ----------
    function, kernel : str
    dtype : float32 or float64
    """

    def __init__(self, function: str, kernel: str, dtype: type[np.floating[Any]]) -> None:
        self.function, self.kernel, self.dtype = function, kernel, dtype
        self.count, self.error, self.where = 0, 0.0, dtype(0)
        self.wrong: dict[str, Any] = {}

    def apply(self, a: Floats) -> Floats:
        """Return what the kernel gives."""
        y = np.empty_like(a)
        native._native.apply(self.kernel, self.function, 0.0, 0.0, a, y)
        return y

    def hold(self, a: Floats, expected: Floats, symmetric: bool) -> None:
        """Compare the kernel's results at `a`, which has no NaN, with the true ones."""
        y, size = self.apply(a), np.abs(expected)
        step = ulp(size, self.dtype)
        error = np.abs(y - expected) / step
        limits = np.finfo(self.dtype)
        tiny, huge = expected.dtype.type(limits.tiny), expected.dtype.type(limits.max)
        small, large = size < tiny, size > huge
        self.claim("what is below the smallest normal number is 0", a, ~small | (y == 0) | (error <= BOUND))
        self.claim("what is above the largest number is inf", a, ~large | np.isinf(y))
        # One rounding decides at the two ends: 0 for the smallest normal number, inf for the largest.
        ends = ((y == 0) & (size <= tiny + BOUND * step)) | (np.isinf(y) & (size >= huge - BOUND * step))
        error[small | large | ends] = 0
        worst = int(error.argmax())
        if not error[worst] <= self.error:
            self.error, self.where = float(error[worst]), a[worst]
        self.claim(f"no error is above {BOUND} ulp", a, error <= BOUND)
        if self.function != "exponential":
            self.claim("nothing is above 1", a, y <= 1)
        if symmetric:
            bits = np.dtype(f"u{a.itemsize}")
            sign = bits.type(1) << bits.type(8 * a.itemsize - 1)
            odd = self.apply(-a).view(bits) == y.view(bits) ^ sign
            self.claim("it is odd, bit for bit", a, odd)
        self.count += a.size * (1 + symmetric)

    def hold_nan(self, a: Floats) -> None:
        """Check that NaN gives NaN."""
        self.claim("NaN gives NaN", a, np.isnan(self.apply(a)))
        self.count += a.size

    def hold_known(self) -> None:
        """Check the results that are known exactly."""
        a = np.array([0.0, -0.0, np.inf, -np.inf], self.dtype)
        known = {"exponential": [1, 1, np.inf, 0], "sigmoid": [0.5, 0.5, 1, 0], "tanh": [0.0, -0.0, 1, -1]}
        y, right = self.apply(a), np.array(known[self.function], self.dtype)
        self.claim("0 and inf give what is known", a, (y == right) & (np.signbit(y) == np.signbit(right)))

    def claim(self, claim: str, a: Floats, holds: Floats) -> None:
        """Remember the first place where a claim does not hold."""
        if claim not in self.wrong and not holds.all():
            self.wrong[claim] = a[np.argmin(holds)]


def ulp(size: Floats, dtype: type[np.floating[Any]]) -> Floats:
    """Return the distance of neighbouring numbers of `dtype`, as if there were no smallest and no largest."""
    digits = np.finfo(dtype).nmant
    if size.dtype == np.float64:  # the exponent alone, faster than frexp
        power: Floats = (size.view(np.int64) & 0x7FF0_0000_0000_0000).view(np.float64)
        return np.maximum(power * 2.0**-digits, np.finfo(dtype).smallest_subnormal)
    exponent = np.frexp(np.maximum(size, np.finfo(dtype).tiny))[1]
    return np.ldexp(size.dtype.type(1), exponent - 1 - digits)


def truth(function: str, a: Floats) -> Floats:
    """Return the function in the precision of `a`, which is more than the kernel's."""
    if function == "sigmoid":
        return 1 / (1 + np.exp(-a))
    return np.tanh(a) if function == "tanh" else np.exp(a)


def every_float32(part: int) -> Iterator[Floats]:
    """Return the float32 numbers from 0 to the last NaN, every `part`-th chunk of them."""
    for first in range(0, 2**31, CHUNK * part):
        yield np.arange(first, first + CHUNK, dtype=np.uint32).view(np.float32)


def float64_sample(count: int) -> Iterator[Floats]:
    """Return numbers of all sizes, and many where the kernels switch from one formula to another."""
    rng = np.random.default_rng(0)
    limits = np.finfo(np.float64)
    for _ in range(0, count, CHUNK):
        quarter = CHUNK // 4
        edges = (rng.integers(0, 1500, quarter) + 0.5) * np.log(2) / 2  # where e^x, or e^2x, takes the next power of 2
        edges[::4] = 0.27  # where tanh is no longer a polynomial
        yield np.concatenate(
            [
                rng.uniform(0, 3, quarter),
                rng.uniform(0, 745, quarter),
                np.exp(rng.uniform(np.log(limits.tiny), np.log(limits.max), quarter)),
                edges * (1 + rng.uniform(-1, 1, quarter) * 2.0 ** -rng.integers(0, 53, quarter)),
            ]
        )


def hold_all(findings: list[Findings], chunks: Iterator[Floats], wide: type[np.floating[Any]], progress: Any) -> None:
    """Compare every kernel with the truth, at numbers and at their negatives."""
    for one in findings:
        one.hold_known()
    for chunk in chunks:
        nan = np.isnan(chunk)
        a = chunk[~nan] if nan.any() else chunk
        for function in dict.fromkeys(one.function for one in findings):
            mine = [one for one in findings if one.function == function]
            for sign in (1,) if function == "tanh" else (1, -1):
                signed = a if sign == 1 else -a
                if a.size:
                    expected = truth(function, signed.astype(wide))
                    for one in mine:
                        one.hold(signed, expected, symmetric=function == "tanh")
            for one in mine:
                if nan.any():
                    one.hold_nan(chunk[nan])
                    one.hold_nan(-chunk[nan])
        progress(chunk.size)


def main() -> int:
    """Compare the kernels' nonlinearities with the truth; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.nonlinearities", description="Errors of the nonlinearities.")
    parser.add_argument("--kernels", nargs="+", choices=native.kernels(), default=native.kernels())
    parser.add_argument("--part", type=int, default=1, metavar="N", help="only one in N float32 numbers")
    parser.add_argument("--sample", type=int, default=2**24, metavar="COUNT", help="how many float64 numbers")
    given = parser.parse_args()
    if native.MISSING is not None:
        parser.error(native.MISSING)
    if np.finfo(np.longdouble).nmant < 60:
        parser.error("NumPy's long double must have more digits than float64; here it has none to spare")
    findings = {
        dtype: [Findings(function, kernel, dtype) for function in FUNCTIONS for kernel in given.kernels]
        for dtype in (np.float32, np.float64)
    }
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with np.errstate(all="ignore"), Progress(*columns, console=console) as progress:
        task = progress.add_task("every float32", total=2**31 / given.part)
        hold_all(findings[np.float32], every_float32(given.part), np.float64, lambda n: progress.advance(task, n))
        task = progress.add_task("float64", total=given.sample)
        hold_all(findings[np.float64], float64_sample(given.sample), np.longdouble, lambda n: progress.advance(task, n))
    table = Table("function", "kernel", "precision", "numbers", "ulp", "at")
    everything = [one for several in findings.values() for one in several]
    for one in everything:
        row = one.function, one.kernel, np.dtype(one.dtype).name, f"{one.count:,}", f"{one.error:.3f}", str(one.where)
        table.add_row(*row)
    console.print(table)
    wrong = [(one, claim, place) for one in everything for claim, place in one.wrong.items()]
    for one, claim, place in wrong:
        console.print(f"{one.function} of {one.kernel} at {place}, this is violated: {claim}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
