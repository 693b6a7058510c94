"""The operators of a program of torch.export: what each is called, takes and makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.names import CELL, LAYER, PACKED

IDENTITIES = {"contiguous", "clone", "detach", "alias", "lift_fresh_copy"}


@dataclass(frozen=True, eq=False)
class Operator:
    """A node of the graph: `module` is the path of the innermost module that it is a part of."""

    name: str  # as ATen's, such as lstm.input
    tensors: Mapping[str, tuple[str, ...]]  # by the names of arguments
    constants: Mapping[str, Any]  # likewise: numbers, truth values, lists of integers
    module: str | None
    outputs: tuple[str, ...] = ()  # the names of the tensors that it makes

    @property
    def kind(self) -> str:
        """Its name without that of the overload."""
        return self.name.rpartition(".")[0]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of all tensors that it takes, in order."""
        return self.taken(*self.tensors)

    def taken(self, *arguments: str) -> tuple[str, ...]:
        """Return the names of the tensors that it takes as these arguments."""
        return tuple(name for argument in arguments for name in self.tensors.get(argument, ()))

    @property
    def output(self) -> str:
        """Its name in the ledger: that of the first tensor that it makes."""
        return (*self.outputs, self.name)[0]

    @property
    def is_lstm(self) -> bool:
        """Whether it runs an LSTM."""
        return self.name in (LAYER, PACKED, CELL)

    @property
    def is_identity(self) -> bool:
        """Whether it changes no number in a run, nor any axis."""
        is_dropout = self.kind == "dropout" and self.constants.get("train") is not True
        return is_dropout or self.kind in IDENTITIES or not self.outputs  # or reads and checks sizes

    def entry(self, layer: str, reason: str = "", effect: str = "", lstms: Iterable[str] = ()) -> LedgerEntry:
        """Return its entry in the ledger; without a reason it is used."""
        labels = tuple(prefix or "lstm" for prefix in lstms)
        return LedgerEntry(self.output, "node", layer, f"{self.name}: {reason}" if reason else "", effect, labels)
