"""Tensors as files describe them: shape, strides and a storage; their numbers are read on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget

FLOATS = ("<f2", "<f4", "<f8", "bf16")
AXES = 32  # that any NumPy has


@dataclass(frozen=True)
class Storage:
    """The bytes that hold the numbers of tensors: `read` returns that many from the beginning."""

    kind: str | None
    count: int
    read: Callable[[int], bytes | memoryview]


class SharedStorage:
    """The bytes of the last storage read, for all tensors that share it; `fetch` returns those with a key."""

    def __init__(self, fetch: Callable[[Hashable], bytes]) -> None:
        self._fetch = fetch
        self._last: tuple[Hashable, bytes] | None = None
        self._keeps = True

    def read(self, key: Hashable, size: int) -> memoryview:
        """Return so many bytes from the beginning of a storage of a file, which several tensors may share."""
        if self._last is None or self._last[0] != key:
            self._last = None  # before memory is taken for the next
            entry = key, self._fetch(key)
            if not self._keeps:
                return memoryview(entry[1])[:size]
            self._last = entry
        return memoryview(self._last[1])[:size]

    def close(self) -> None:
        """Stop keeping bytes: after an inspection, each read opens the storage anew."""
        self._last, self._keeps = None, False


@dataclass(frozen=True, eq=False)
class Tensor:
    """A description of a tensor; nothing is read before `array` is called."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers
    offset: int
    kind: str | None  # NumPy's name of its numbers' type, or bf16; None for other types
    storage: Storage | None
    budget: Budget | None = None  # the file's; each reading of its numbers counts
    problem: str = ""  # the reason if it cannot be read
    negated: bool = False  # whether its numbers are those of the storage with the other sign

    @property
    def floating(self) -> bool:
        """Whether it holds floating-point numbers that can be read."""
        return not self.problem and self.kind in FLOATS

    def array(self) -> Array:
        """Return the numbers of a file's tensor as float32 or float64, taken off the budget."""
        if not self.problem and not self.floating:
            raise FileError(
                f"it holds {self.kind or 'numbers of a kind that is not known'}, not floating-point numbers"
            )
        return self.stored_array()

    def stored_array(self) -> npt.NDArray[Any]:
        """Return the numbers of a file's tensor, whole numbers in their own type, taken off the budget."""
        if self.problem or self.storage is None or self.budget is None:
            raise FileError(self.problem or "it is incomplete")
        if self.kind is None:
            raise FileError("it holds numbers of a kind that is not known")
        item, size = bytes_per_number(self.kind), math.prod(self.shape)
        if size == 0:
            return self._empty_array()
        # An axis of one number is never stepped along, whatever its stride says.
        strides = [step if n > 1 else 0 for n, step in zip(self.shape, self.strides, strict=True)]
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, strides, strict=True))
        if last >= self.storage.count:
            raise FileError(f"it reaches beyond the {self.storage.count} numbers of its storage")
        self.budget.hold(size, max(item, 4), f"a tensor of {self.shape}")
        data = self.storage.read((last + 1) * item)
        if len(data) < (last + 1) * item:
            raise FileError("the file ends before its numbers do")
        flat: npt.NDArray[Any] = np.frombuffer(data, "<u2" if self.kind == "bf16" else self.kind)
        if self.kind == "bf16":
            flat = from_bfloat16(flat)
        steps = tuple(step * flat.itemsize for step in strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)
        numbers = np.ascontiguousarray(view).reshape(self.shape)  # a single number stays one
        numbers = to_float(numbers) if self.floating else numbers
        return -numbers if self.negated else numbers

    def _empty_array(self) -> npt.NDArray[Any]:
        """Return the array of a file's tensor without numbers; a shape too large for NumPy is refused."""
        try:
            return np.zeros(self.shape, np.float32 if self.floating else self.kind)
        except ValueError:
            raise FileError(f"its shape {self.shape} is too large, although it has no numbers") from None


def to_float(array: npt.NDArray[Any]) -> Array:
    """Return an array as float32 or float64; narrower numbers become float32, which changes none."""
    return np.asarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def from_bfloat16(words: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the float32 numbers whose upper halves are these words."""
    return (words.astype(np.uint32) << 16).view(np.float32)


def to_little_endian(data: bytes | memoryview, width: int) -> bytes:
    """Return big-endian numbers of a width with their bytes turned round; an incomplete one is left out."""
    return np.frombuffer(data[: len(data) // width * width], f">u{width}").astype(f"<u{width}").tobytes()


def ordered_storage(
    kind: str | None, count: int, read: Callable[[int], memoryview], order: bytes, budget: Budget
) -> Storage:
    """Return the storage of numbers whose bytes are in an order, little or big, where they are read."""

    def read_little_endian(size: int) -> bytes | memoryview:
        data = read(size)
        if order.strip() == b"little" or kind is None:
            return data
        budget.hold(len(data), 2, "numbers whose bytes are turned round")
        return to_little_endian(data, bytes_per_number(kind))

    return Storage(kind, count, read_little_endian)


def numbers_of(tensor: Tensor | Array) -> Array:
    """Return the numbers of a tensor or an array as float32 or float64."""
    return tensor.array() if isinstance(tensor, Tensor) else to_float(tensor)


def contiguous_tensor(
    shape: tuple[int, ...], storage: Storage, budget: Budget | None, *, fortran: bool = False
) -> Tensor:
    """Return a file's tensor whose numbers follow one another from the beginning of its storage."""
    steps = tuple(accumulate(shape[:-1] if fortran else shape[:0:-1], mul, initial=1))[: len(shape)]
    return Tensor(shape, steps if fortran else steps[::-1], 0, storage.kind, storage, budget)


def bytes_per_number(kind: str | None) -> int:
    """Return the size of a number in bytes."""
    return 1 if kind is None else 2 if kind == "bf16" else np.dtype(kind).itemsize


def is_count(value: Any) -> bool:
    """Return whether a value is a count that a file may have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def unreadable_tensor(problem: str) -> Tensor:
    """Return a tensor that cannot be read, with the reason."""
    return Tensor((), (), 0, None, None, problem=problem)
