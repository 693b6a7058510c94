"""Refusals of readers: each names the file that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gatewise.errors import CapacityError, FileError, GatewiseError, MissingExtraError
from gatewise.interop.provenance import Provenance
from gatewise.network import Network

NETWORK = "make a network of"  # what cannot be done with a file whose layers a network does not have


@contextmanager
def reading(path: str, refusal: type[GatewiseError] = FileError, action: str = "read") -> Iterator[None]:
    """Raise a `refusal` of a reader within the block, and endless nesting, as the `FileError` of the file at a path."""
    try:
        yield
    except (CapacityError, MissingExtraError):
        raise
    except refusal as problem:
        raise FileError(f"cannot {action} {path}: {problem}") from None
    except RecursionError:
        raise FileError(f"cannot {action} {path}: it is nested too deeply") from None


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
