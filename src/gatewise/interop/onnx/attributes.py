"""The attributes of an ONNX node, of whichever type they are to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatewise.errors import shown
from gatewise.files.budget import Budget

LONG = 500  # characters of a reason
LOOKING = "looking through its graphs"  # what nodes, names and attributes take work for


class NotConstant(Exception):
    """Something that has no value in the file: half a sentence that says why, after its name."""

    def __init__(self, why: str) -> None:
        super().__init__(shown(why, LONG))


def text_of(given: Any) -> str:
    """Return text out of a file, bytes or not, fit for a line and not long."""
    return shown(given[:200].decode("utf-8", "replace") if isinstance(given, bytes) else str(given))


class Attributes:
    """The attributes of a node, by name; inside a function those that it takes over from its caller.

    Of the call of a function, `defaults` are those that hold where the caller gives none.
    """

    def __init__(
        self, node: Any, budget: Budget, given: Attributes | None = None, defaults: Iterable[Any] = ()
    ) -> None:
        self._budget = budget
        self._of: dict[str, Any] = {one.name: one for one in defaults}
        for one in node.attribute:
            if not one.ref_attr_name:
                self._of[one.name] = one
            elif given is not None and one.ref_attr_name in given._of:
                self._of[one.name] = given._of[one.ref_attr_name]
        budget.work(1 + sum(1 + len(name) // 256 for name in self._of), LOOKING)

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
        if field in ("s", "ints", "floats", "strings"):
            self._budget.work(len(value) // 16, LOOKING)
        return list(value) if field.endswith("s") and field != "s" else value

    def graphs(self) -> list[tuple[str, Any]]:
        """Return the graphs among them, by name."""
        found = []
        for name, one in self._of.items():
            if one.HasField("g"):
                found.append((name, one.g))
            found += [(f"{name}[{number}]", graph) for number, graph in enumerate(one.graphs)]
        return found
