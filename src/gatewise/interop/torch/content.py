"""The content of a PyTorch file, whatever container it came from: named tensors, and what is said of their modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.graphs import GraphInput
from gatewise.interop.ledger import LedgerEntry

if TYPE_CHECKING:
    from gatewise.interop.torch.forward_code import Forward
    from gatewise.network.graph import Graph

DICTIONARY = "dict"  # the class of one, whose names may be those of other modules too
ZERO_STATE = "runs here start from zeros"  # the effect of an initial state that is not carried


@dataclass(frozen=True)
class ModuleFacts:
    """What a PyTorch file says of a module besides its tensors."""

    batch_first: bool | None = None
    notes: tuple[str, ...] = ()
    refusal: str = ""  # why the module computes something else than its weights' names say
    hooks: tuple[str, ...] = ()  # code that would run with it
    state_by: str = "names"  # what says what it starts from: names of tensors, code, or a graph, as `state` has it
    reads: str | None = None  # of a linear layer: the steps of an LSTM that it reads, every or the last
    state: tuple[str | None, str | None] | None = None  # the tensors that are its initial h and c; None is zeros
    settings: Mapping[str, int | str] = field(default_factory=dict)  # of a pickled LSTM: num_layers, bias and the like


@dataclass(frozen=True, eq=False)
class TorchFile:
    """The content of a PyTorch file."""

    format: str  # in words
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)  # of each object that holds tensors, by path
    facts: Mapping[str, ModuleFacts] = field(default_factory=dict)  # of an object, by path
    calls: tuple[str, ...] = ()  # the classes and functions that unpickling would have called
    content: str = ""  # of a pickle, in words
    epoch: int | None = None  # of the training, as Lightning stores it
    nodes: tuple[LedgerEntry, ...] = ()  # of a graph
    inputs: tuple[GraphInput, ...] = ()  # of the whole model
    forward: Forward | None = None  # of TorchScript, if its code is read
    graph: Callable[[], Graph] | None = None  # builds the graph of a program of torch.export, while the file is open
