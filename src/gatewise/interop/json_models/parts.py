"""What several of the JSON models have: cells in Keras' order, layers as parts, versions, sample rates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from gatewise.arrays import Array
from gatewise.errors import CapacityError, FileError, GatewiseError
from gatewise.interop import conventions
from gatewise.interop.containers.json_document import single
from gatewise.interop.found import Part
from gatewise.network import Network
from gatewise.parameters import Parameters

KERAS = "gates i f c o along the columns, one bias"


def version(value: object) -> str:
    """Return a version or a name as a file gives it, where it is nothing odd, behind a blank."""
    return f" {value}" if isinstance(value, str) and re.fullmatch(r"[\w.+-]{1,60}", value, re.ASCII) else ""


def number(value: object) -> float | None:
    """Return a finite number of a document, or None where it is something else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def at_rate(value: object) -> tuple[str, ...]:
    """Return a note about the sample rate that a document states, if it does."""
    rate = number(int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII) else value)
    return () if rate is None or rate <= 0 else (f"it is for audio at {rate:g} Hz",)


def cell(kernel: Array, recurrent: Array, bias: Array) -> Parameters:
    """Return a cell of Keras' arrays; those that are no matrices are left to the conventions to refuse."""
    return conventions.parameters("keras", single(kernel).T, single(recurrent).T, [single(bias)])


def part(name: str, kind: str, weight: Array, bias: Array | None = None, activation: str = "") -> Part:
    """Return a layer of a file, with its arrays."""
    reader = None if bias is None else lambda: bias
    return Part(name, kind, weight.shape, lambda: weight, reader, activation or None)


def network_of(path: str, make: Callable[[], Network]) -> Callable[[], Network]:
    """Return how the network of a file is made; what a network cannot express is told with the file's name."""

    def network() -> Network:
        try:
            return make()
        except CapacityError:
            raise
        except GatewiseError as problem:
            raise FileError(f"cannot make a network of {path}: {problem}") from None

    return network
