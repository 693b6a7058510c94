"""The limits of reading a file, by its size: bytes held, elements of structure, steps of work. Nothing is timed."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gatewise.arrays import in_bytes, require_memory
from gatewise.errors import FileError
from gatewise.files.protecting import remember_read


class HostileFileError(FileError):
    """A file that contradicts itself, or asks for far more memory than its size allows."""


@dataclass(frozen=True)
class Limit:
    """A limit for each byte of a file, with a floor and perhaps a ceiling."""

    each: int
    floor: int
    ceiling: int | None = None

    def of(self, size: int) -> int:
        """Return the limit for a file of `size` bytes."""
        limit = max(self.floor, self.each * size)
        return limit if self.ceiling is None else min(limit, self.ceiling)


# The weights of an honest file double where they are stored in half precision, grow fourfold where they are quantised,
# and are copied a few times as they are rearranged. The ceiling is the memory that the machine has left.
BYTES = Limit(32, 64 * 2**20)
# An element takes a byte of the file at least, unless it is packed, and some 200 bytes of memory at most.
ELEMENTS = Limit(1, 1_000_000, 20_000_000)
# A step takes about a microsecond.
WORK = Limit(1, 1_000_000, 20_000_000)


class Budget:
    """The rest of a file's limits, from which everything is taken off that is read from it or computed from that.

    Every copy of an array counts, also of shared memory and of one number that stands for many. Each method raises
    FileError where a file of so many bytes may not take what is asked.
    """

    def __init__(self, size: int) -> None:
        self._held = self._elements = self._work = self.size = 0
        self._ended = False
        self.grow(size)

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Budget:
        """Return the budget of a file that is read."""
        remember_read(path)
        return cls(os.stat(path).st_size)

    def grow(self, size: int) -> None:
        """Add the bytes of another file that belongs to this one."""
        self.size += size
        self._bytes, self._most, self._longest = BYTES.of(self.size), ELEMENTS.of(self.size), WORK.of(self.size)

    def end(self) -> None:
        """End the inspection; each part that is read later is held to the limits alone."""
        self._held = self._elements = self._work = 0
        self._ended = True

    def hold(self, count: int, itemsize: int, subject: str) -> None:
        """Take the bytes of `count` numbers of `itemsize` each off the file's budget, before memory is taken for them.

        Raise FileError if a file of this size may not take so much, or CapacityError if the machine has less; `subject`
        is that of the sentence.
        """
        held = self._held + count * itemsize
        if held > self._bytes:
            raise HostileFileError(
                f"{subject} would bring what it takes to {in_bytes(held)} of memory;"
                f" {in_bytes(self._bytes)} are allowed for a file of {in_bytes(self.size)}"
            )
        require_memory(count, itemsize, subject)
        if not self._ended:
            self._held = held  # a refusal takes nothing

    def parse(self, text: bytes | str, subject: str) -> int:
        """Take the Python objects of a JSON text off the file's budget, before it is parsed, and return their number.

        The text itself has been taken off before.
        """
        marks = '{[,"' if isinstance(text, str) else (b"{", b"[", b",", b'"')
        objects, lists, commas, quotes = (text.count(mark) for mark in marks)  # type: ignore[arg-type]
        elements = objects + lists + quotes // 2
        self.count(elements, "objects, lists and texts")
        letters = len(text) * (1 if text.isascii() else 4)
        numbers = commas + lists + objects  # a number takes a value and its place
        self.hold(letters + 232 * objects + 56 * lists + 32 * numbers + 56 * (quotes // 2), 1, subject)
        return elements

    def count(self, elements: int, kind: str) -> None:
        """Take elements (objects, members, keys, messages) off the file's budget; `kind` names them in the plural."""
        counted = self._elements + elements
        if counted > self._most:
            raise FileError(f"it has too many {kind} for a file of {in_bytes(self.size)}")
        if not self._ended:
            self._elements = counted

    def work(self, steps: int, subject: str) -> None:
        """Take steps of work, of about a microsecond each, off the file's budget; `subject` says for which task."""
        worked = self._work + steps
        if worked > self._longest:
            raise FileError(f"{subject} would take too long for a file of {in_bytes(self.size)}")
        if not self._ended:
            self._work = worked
