"""Refusals of readers: each names the file that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.errors import CapacityError, FileError, GatewiseError, MissingExtraError
from gatewise.files.budget import HostileFileError
from gatewise.interop.provenance import Provenance
from gatewise.network import Network

if TYPE_CHECKING:
    from gatewise.network.graph import Graph

NETWORK = "make a network of"  # what cannot be done with a file whose layers a network does not have


@contextmanager
def reading(path: str, refusal: type[GatewiseError] = FileError, action: str = "read") -> Iterator[None]:
    """Raise a `refusal` of a reader within the block, and endless nesting, as the `FileError` of the file at a path."""
    try:
        yield
    except (CapacityError, MissingExtraError):
        raise
    except refusal as problem:
        kind = HostileFileError if isinstance(problem, HostileFileError) else FileError
        raise kind(f"cannot {action} {path}: {problem}") from None
    except RecursionError:
        raise FileError(f"cannot {action} {path}: it is nested too deeply") from None


@dataclass(eq=False)
class FileGraph:
    """A function that reads the graph of a file at its first call, and remembers it, or its refusal."""

    build: Callable[[], Graph]
    outcome: Graph | GatewiseError | None = None

    def __call__(self) -> Graph:
        """Return the graph of a file, or raise its refusal."""
        if self.outcome is None:
            try:
                self.outcome = self.build()
            except GatewiseError as problem:
                self.outcome = problem
        if isinstance(self.outcome, GatewiseError):
            raise self.outcome.with_traceback(None)
        return self.outcome


@dataclass(eq=False)
class FileNetwork:
    """A function that builds the network of a file at its first call, and remembers it, or its refusal."""

    path: str
    build: Callable[[], Network]
    outcome: Network | FileError | None = None
    provenance: Provenance | None = None

    def __call__(self) -> Network:
        """Return the network of a file, or raise its refusal, which names the file."""
        if self.outcome is None:
            try:
                with reading(self.path, GatewiseError, NETWORK):
                    self.outcome = self.build()
                self.outcome.provenance = self.provenance
            except FileError as problem:
                self.outcome = problem
        if isinstance(self.outcome, FileError):
            raise self.outcome.with_traceback(None)
        return self.outcome
