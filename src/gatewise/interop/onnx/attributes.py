"""The attributes of an ONNX node, of whichever type they are to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NotConstant(Exception):
    """Something that has no value in the file: half a sentence that says why, after its name."""


class Attributes:
    """The attributes of a node, by name; inside a function those that it takes over from its caller.

    Of the call of a function, `defaults` are those that hold where the caller gives none.
    """

    def __init__(self, node: Any, given: Attributes | None = None, defaults: Iterable[Any] = ()) -> None:
        self._of: dict[str, Any] = {one.name: one for one in defaults}
        for one in node.attribute:
            if not one.ref_attr_name:
                self._of[one.name] = one
            elif given is not None and one.ref_attr_name in given._of:
                self._of[one.name] = given._of[one.ref_attr_name]

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def names(self) -> set[str]:
        """Return the names of all that are given."""
        return set(self._of)

    def get(self, name: str, field: str, default: Any = None) -> Any:
        """Return the attribute that has its value in a field: i, f, s, t, ints, floats, strings."""
        if name not in self._of:
            return default
        one = self._of[name]
        kinds = one.DESCRIPTOR.enum_types_by_name["AttributeType"].values_by_number
        wanted = {"i": "INT", "f": "FLOAT", "s": "STRING", "t": "TENSOR"}.get(field, field.upper())
        if one.type and (one.type not in kinds or kinds[one.type].name != wanted):  # the oldest files give no type
            raise NotConstant(f"its attribute {name} is not of type {wanted}")
        value = getattr(one, field)
        return list(value) if field.endswith("s") and field != "s" else value

    def graphs(self) -> list[tuple[str, Any]]:
        """Return the graphs among them, by name."""
        found = []
        for name, one in self._of.items():
            if one.HasField("g"):
                found.append((name, one.g))
            found += [(f"{name}[{number}]", graph) for number, graph in enumerate(one.graphs)]
        return found
