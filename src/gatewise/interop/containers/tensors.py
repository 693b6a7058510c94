"""Tensors as files describe them: shape, strides and a storage; their numbers are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, require_memory
from gatewise.errors import FileError
from gatewise.interop.containers.floats import from_bfloat16, real

FLOATS = ("<f2", "<f4", "<f8", "bf16")
SHARED = 1 << 20  # numbers that a tensor may have even where its storage has fewer, and they stand for several


@dataclass(frozen=True)
class Storage:
    """The bytes that hold the numbers of tensors: `read` returns that many from the beginning."""

    kind: str | None
    count: int
    read: Callable[[int], bytes]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as it is described: nothing is read before `array` is called.

    Attributes
    ----------
    shape, strides : tuple of int
        Strides count numbers.
    offset : int
    kind : str or None
        NumPy's name of its numbers' type, or bf16; None where it is another.
    storage : Storage
    problem : str
        Why it cannot be read; empty where it can.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    kind: str | None
    storage: Storage | None
    problem: str = ""

    @property
    def floating(self) -> bool:
        """Whether it holds floating-point numbers that can be read."""
        return not self.problem and self.kind in FLOATS

    def array(self) -> Array:
        """Return its numbers as float32 or float64.

        Raises
        ------
        FileError
            If it cannot be read, or extends beyond the end of its storage.
        CapacityError
            If it would not fit into memory.
        """
        if self.problem or self.storage is None:
            raise FileError(self.problem or "it is incomplete")
        if not self.floating:
            raise FileError(
                f"it holds {self.kind or 'numbers of a kind that is not known'}, not floating-point numbers"
            )
        item = itemsize(self.kind)
        size = int(np.prod([int(n) for n in self.shape], dtype=object)) if self.shape else 1
        if size == 0:
            return np.zeros(self.shape, np.float32)
        if size > max(self.storage.count, SHARED):
            raise FileError(f"it has {size} numbers, and its storage {self.storage.count}")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if last >= self.storage.count:
            raise FileError(f"it reaches beyond the {self.storage.count} numbers of its storage")
        require_memory(size, 8, f"a tensor of {self.shape}")
        data = self.storage.read((last + 1) * item)
        if len(data) < (last + 1) * item:
            raise FileError("the file ends before its numbers do")
        flat: npt.NDArray[Any] = np.frombuffer(data, "<u2" if self.kind == "bf16" else self.kind)
        if self.kind == "bf16":
            flat = from_bfloat16(flat)
        steps = tuple(step * flat.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)
        return real(np.ascontiguousarray(view))


def itemsize(kind: str | None) -> int:
    """Return how many bytes a number takes."""
    return 1 if kind is None else 2 if kind == "bf16" else np.dtype(kind).itemsize


def unreadable(problem: str) -> Tensor:
    """Return a tensor that cannot be read, and why."""
    return Tensor((), (), 0, None, None, problem)
