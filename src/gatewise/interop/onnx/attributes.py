"""The attributes of an ONNX node, each read as a type that the reader asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget

LONG = 500  # characters of a reason
TYPES = {"f": 1, "i": 2, "s": 3, "t": 4, "floats": 6, "ints": 7, "strings": 8}  # of fields, as the format numbers them
LOOKING = "looking through its graphs"  # the work that nodes, names and attributes take


class NotConstant(Exception):
    """A name has no value in the file; the text is half a sentence that says why, after the name."""

    def __init__(self, why: str) -> None:
        super().__init__(shown(why, LONG))


class DamagedTensor(NotConstant):
    """A tensor's numbers contradict its shape."""


def text_of(value: Any) -> str:
    """Return text out of a file, bytes or not, fit for a line and not long."""
    return shown(value[:200].decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


class Attributes:
    """The attributes of a node, by name.

    In a call of a function, a node's may refer to those of the `caller`, whose `defaults` hold where it gives none.
    """

    def __init__(
        self, node: Any, budget: Budget, caller: Attributes | None = None, defaults: Iterable[Any] = ()
    ) -> None:
        self._budget = budget
        self._protos: dict[str, Any] = {proto.name: proto for proto in defaults}
        own = set[str]()
        for proto in node.attribute:
            if proto.name in own:
                raise FileError(f"a node {shown(node.op_type)} has two attributes named {shown(proto.name)!r}")
            own.add(proto.name)
            if not (reference := proto.ref_attr_name):
                self._protos[proto.name] = proto
            elif caller is not None and reference in caller._protos:
                self._protos[proto.name] = caller._protos[reference]
        budget.work(1 + len(self._protos) + sum(map(len, self._protos)) // 256, LOOKING)

    def __contains__(self, name: str) -> bool:
        return name in self._protos

    def __len__(self) -> int:
        return len(self._protos)

    def names(self) -> set[str]:
        """Return their names."""
        return set(self._protos)

    def get(self, name: str, field: str, default: Any = None) -> Any:
        """Return an ONNX attribute's value from the field of its type: i, f, s, t, ints, floats or strings."""
        if name not in self._protos:
            return default
        proto = self._protos[name]
        if proto.type not in (0, TYPES[field]):  # the oldest files give no type
            kind = {"i": "INT", "f": "FLOAT", "s": "STRING", "t": "TENSOR"}.get(field, field.upper())
            raise NotConstant(f"its attribute {name} is not of type {kind}")
        value = getattr(proto, field)
        if field in ("s", "ints", "floats", "strings"):
            self._budget.work(len(value) // 16, LOOKING)
        return list(value) if field.endswith("s") and field != "s" else value

    def graphs(self) -> list[tuple[str, Any]]:
        """Return the graphs among an ONNX node's attributes, such as the branches of an If, by name."""
        graphs = []
        for name, proto in self._protos.items():
            if proto.HasField("g"):
                graphs.append((name, proto.g))
            graphs += [(f"{name}[{number}]", graph) for number, graph in enumerate(proto.graphs)]
        return graphs
