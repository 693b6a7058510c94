"""Values of the names in the code of TorchScript: tensors, sizes, modules, and what is unknown."""

from __future__ import annotations

from typing import Any, NamedTuple

from gatewise.interop.containers.pickles import PickledObject


class Memory:
    """The memory of tensors that share it; `parent` is that of the tensor of which they are a part."""

    __slots__ = ("below", "parent", "stored", "version")
    stored: str  # the name of the tensor of the file that it is; empty if it is none

    def __init__(self, parent: Memory | None = None, stored: str = "") -> None:
        inherited: str = "" if parent is None else parent.stored
        self.parent, self.stored = parent, stored or inherited
        self.version = self.below = 0  # how often it was changed, and a part of it

    def stamp(self) -> tuple[int, ...]:
        """Return a mark that changes whenever the numbers of a tensor in this memory may change."""
        versions, memory = [self.version, self.below], self.parent
        while memory is not None:
            versions.append(memory.version)
            memory = memory.parent
        return tuple(versions)

    def change(self) -> None:
        """Note that its numbers change."""
        self.version += 1
        memory = self.parent
        while memory is not None:
            memory.below += 1
            memory = memory.parent


class ScriptTensor:
    """A tensor: the value in the graph that it has now, and its memory."""

    __slots__ = ("memory", "stamp", "value")

    def __init__(self, value: str, memory: Memory | None = None) -> None:
        self.value, self.memory = value, memory or Memory()
        self.stamp = self.memory.stamp()

    @property
    def is_stale(self) -> bool:
        """Whether its numbers were changed through another tensor."""
        return self.stamp != self.memory.stamp()

    def replace(self, value: str) -> None:
        """Give it other numbers in its place."""
        self.memory.change()
        self.value, self.stamp = value, self.memory.stamp()


class RunSize(NamedTuple):
    """A size that a run knows: the name of its value in the graph."""

    value: str


class ScriptModule(NamedTuple):
    """A module of the file, and its path."""

    path: str
    node: PickledObject


class GlobalPath(NamedTuple):
    """The name of something that is no variable: a function, or a class."""

    name: str


class Unknown:
    """A truth value, or a text, that only a run knows."""


UNKNOWN_TRUTH = Unknown()
Value = Any
