"""One node of an ONNX graph as the table of operators reads it, and how older opsets are raised to the newest form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from gatewise.errors import GatewiseError, reason, shown
from gatewise.interop.onnx.attributes import Attributes, NotConstant, text_of
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.scopes import label_of
from gatewise.network.graph import PROBLEMS, Builder, Graph, Unsupported

Values = Any  # a name, or several: of the outputs
END = int(np.iinfo(np.int64).max)

# What was an attribute before an opset, and is an input since: the opset, and the place of each input.
MOVED: dict[str, tuple[int, dict[str, int]]] = {
    "Squeeze": (13, {"axes": 1}),
    "Unsqueeze": (13, {"axes": 1}),
    "ReduceSum": (13, {"axes": 1}),
    **{
        f"Reduce{name}": (18, {"axes": 1})
        for name in ("Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
    },
    "Slice": (10, {"starts": 1, "ends": 2, "axes": 3}),
    "Split": (13, {"split": 1}),
    "Pad": (11, {"pads": 1, "value": 2}),
    "Clip": (11, {"min": 1, "max": 2}),
    "Reshape": (5, {"shape": 1}),
    "Dropout": (12, {"ratio": 1}),
}
# Operators that meant something else before an opset; the table has the older ones under names of their own.
BEFORE: dict[str, tuple[int, str]] = {
    "Softmax": (13, "Softmax-1"),
    "LogSoftmax": (13, "LogSoftmax-1"),
    "Hardmax": (13, "Hardmax-1"),
}
OLDEST = 7  # before, operators repeated their inputs by attributes, or had no such rules at all
LEGACY = {"consumed_inputs"}  # attributes without an effect


class Scope(Protocol):
    """The names of the graph that a node is in; see `gatewise.interop.onnx.graph_reader`."""

    file: OnnxFile
    build: Builder

    def value(self, name: str) -> str:
        """Return the name in the builder of a name in the graph."""

    def body(self, graph: Any, label: str) -> list[str]:
        """Read the nodes of a graph without inputs into the builder; return its outputs."""

    def closed_body(self, graph: Any, label: str) -> tuple[Graph, list[str]]:
        """Return a graph with inputs as one of its own, and the values outside that it reads."""


class FileNode:
    """One node: the values that it reads, and its attributes, each of which is read or refused.

    Attributes
    ----------
    inputs : list of str
        Names in the builder; empty if left out.
    outputs : list of str
        Names in the file; empty if left out.
    """

    def __init__(self, scope: Scope, proto: Any, attributes: Attributes, kind: str, label: str) -> None:
        self.scope, self.proto, self.build, self.kind, self.label = scope, proto, scope.build, kind, label
        self.name = label_of(proto)
        self.attributes, self.opset = attributes, scope.file.opset
        self.outputs = list(proto.output)
        self.known = {*LEGACY}  # attributes that were read
        self.inputs = [scope.value(name) if name else "" for name in proto.input]
        opset, places = MOVED.get(kind, (0, {}))
        for name, place in places.items() if self.opset < opset else ():
            if name in attributes:
                self.inputs += [""] * (place + 1 - len(self.inputs))
                self.inputs[place] = self.build.constant(self._raised(name), f"{label}.{name}")
        while self.inputs and not self.inputs[-1]:
            self.inputs.pop()

    def _raised(self, name: str) -> AnyArray:
        if name in ("value", "min", "max", "ratio"):
            return np.float32(self.get(name, "f"))  # type: ignore[return-value]
        return np.array(self.get(name, "ints"), np.int64)

    def get(self, name: str, field: str, default: Any = None) -> Any:
        """Return an attribute: its `field` is i, f, s, t, ints, floats or strings. Texts are decoded."""
        self.known.add(name)
        value = self.attributes.get(name, field, default)
        return text_of(value) if field == "s" and value is not None else value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return an attribute that is 0 or 1."""
        value = self.get(name, "i", int(default))
        if value not in (0, 1):
            raise Unsupported(f"its {name} is {value}, not 0 or 1")
        return bool(value)

    def ignore(self, *names: str) -> None:
        """Mark attributes that change no output."""
        self.known.update(names)

    def require_read(self) -> None:
        """Raise Unsupported if there is an attribute that nobody asked for."""
        if unread := sorted(self.attributes.names() - self.known):
            raise Unsupported(f"its attribute {shown(unread[0], 60)!r} is not supported")

    def input(self, place: int) -> str:
        """Return the name of an input in the builder; empty if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    def needed(self, place: int = 0) -> str:
        """Return the name of an input that must be there."""
        if not self.input(place):
            raise Unsupported(f"it lacks its input {place}")
        return self.inputs[place]

    def constant(self, place: int, subject: str) -> AnyArray | None:
        """Return the array of an input; None if it is left out, Unsupported if it is known in a run only."""
        if not self.input(place):
            return None
        if (array := self.build.value(self.inputs[place])) is None:
            raise Unsupported(f"the file does not hold its {subject}, which would come in as the model runs")
        return array

    def ints(self, place: int, subject: str) -> tuple[int, ...] | None:
        """Return the integers of an input; None if it is left out."""
        array = self.constant(place, subject)
        if array is None:
            return None
        if array.dtype.kind not in "iu" or array.size > 1024:
            raise Unsupported(f"its {subject} are {array.dtype} of {array.shape}")
        return tuple(int(item) for item in array.reshape(-1))

    def number(self, place: int, subject: str, default: Any = None) -> Any:
        """Return the only number of an input."""
        array = self.constant(place, subject)
        if array is None:
            return default
        if array.size != 1:
            raise Unsupported(f"its {subject} has {array.size} numbers")
        return array.reshape(())[()].item()

    def add(self, op: str, *inputs: Any, **settings: Any) -> Any:
        """Add a node to the builder, named after this one; see `Builder.add`."""
        return self.build.add(op, *inputs, **{"name": f"{self.label}.{op}", **settings})


def ints(*numbers: int) -> AnyArray:
    """Return integers as ONNX has sizes and axes."""
    return np.array(numbers, np.int64)


Reader = Callable[[FileNode], Values]
TABLE: dict[str, Reader] = {}  # by the operator; domains other than ONNX's own come before it, with a dot


def reads(*kinds: str, ignoring: Sequence[str] = ()) -> Callable[[Reader], Reader]:
    """Add the decorated function to the table, for operators of these names; `ignoring` change no output."""

    def add(reader: Reader) -> Reader:
        def read(call: FileNode) -> Values:
            call.ignore(*ignoring)
            return reader(call)

        TABLE.update(dict.fromkeys(kinds, read))
        return reader

    return add


def read_node(call: FileNode) -> list[str]:
    """Return the values of a node's outputs, of which the last ones may lack; Unsupported if it cannot be expressed."""
    kind = call.kind
    if call.opset < OLDEST and kind not in ("LSTM", "Constant"):
        raise Unsupported(f"gatewise reads operators from opset {OLDEST} on, and the file has {call.opset}")
    if kind in BEFORE and call.opset < BEFORE[kind][0]:
        kind = BEFORE[kind][1]
    if kind not in TABLE:
        raise Unsupported("gatewise has no such operation")
    try:
        results = TABLE[kind](call)
        call.require_read()
    except NotConstant as problem:
        raise Unsupported(str(problem)) from None
    except PROBLEMS as problem:
        if isinstance(problem, GatewiseError):
            raise
        raise Unsupported(f"its inputs and attributes do not fit it ({reason(problem)})") from None
    return [results] if isinstance(results, str) else list(results)
