"""The cost of an answer, known before it is computed."""

from __future__ import annotations

from typing import NamedTuple

from gatewise.arrays import require_memory


class Cost(NamedTuple):
    """The memory and the work of an answer, in addition to the trace.

    Attributes
    ----------
    memory : int
        Bytes at most.
    work : int
        Multiplications.
    """

    memory: int
    work: int

    def __str__(self) -> str:
        return f"{self.memory / 1e6:,.4g} MB of memory and {self.work / 1e6:,.4g} million multiplications"

    def require(self, purpose: str) -> None:
        """Raise CapacityError if the memory is not available; `purpose` is the subject of its sentence."""
        require_memory(self.memory, 1, purpose)
