"""A row of the table of hostile files: a format, a mutation, and the answer that its reader must give."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cases

import gatewise as gw

LONGEST = 500  # characters of a sentence


def inspect_all(path: Path) -> gw.interop.Contents:
    """Inspect a file, and read the arrays of all its parts."""
    contents = gw.inspect(path)
    for part in contents.parts:
        for read in (part.weight, part.bias):
            if read is not None:
                read()
    return contents


@dataclass(frozen=True)
class Hostile:
    """A small file that is made to be expensive.

    `answer` is a pattern in the answer: the sentence that refuses the file, or the number of LSTMs that are read and
    the sentence of the last that is refused.
    """

    format: str
    mutation: str
    write: Callable[[Path], object]
    answer: str = ""
    most: int = 0  # bytes that reading may take; 0 where they are not Python's, and a process of its own counts them
    work: int | None = None  # the steps that the file's budget has, where they are fewer than in life
    readers: tuple[Callable[[Path], object], ...] = (inspect_all,)
    lstms: int | None = None  # how many are read or refused
    peers: bool = False  # whether only the peers' tests read it

    def __str__(self) -> str:
        return f"{self.format}, {self.mutation}"

    def answers(self, path: Path) -> Iterator[str]:
        """Yield the answer of each reader, held to be one sentence and to count every LSTM."""
        for read in self.readers:
            try:
                with taking_at_most(self.most), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    contents = read(path)
            except gw.FileError as problem:
                cases.one_sentence(problem, path.name)
                sentence, answer = str(problem), f"refused: {problem}"
            else:
                assert isinstance(contents, gw.interop.Contents), "it is read"
                assert self.lstms in (None, len(contents.lstms) + len(contents.refused))
                sentence = contents.refused[-1].reason if contents.refused else ""
                answer = f"{len(contents.lstms)} found; {sentence}"
            assert len(sentence) <= LONGEST
            yield answer


@contextmanager
def taking_at_most(most: int) -> Iterator[None]:
    """Fail if the block takes so many bytes of Python's memory, or more; 0 does not count them."""
    if not most:
        yield
        return
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most
