"""Dictionaries out of a file that remember what a reader looked up in them, so that nothing is ignored in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Lookups(dict[Any, Any]):
    """A dictionary that remembers which of its entries were looked up by their names, in `looked_up`."""

    def __init__(self, entries: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        super().__init__(entries)
        self.looked_up: set[Any] = set()

    def __getitem__(self, name: Any) -> Any:
        self.looked_up.add(name)
        return super().__getitem__(name)

    def get(self, name: Any, default: Any = None) -> Any:
        """Return the entry of a name, or the default, and remember that it was looked up."""
        self.looked_up.add(name)
        return super().get(name, default)

    def peek(self, name: Any) -> Any:
        """Return the entry of a name without remembering it."""
        return super().get(name)


def lookups_within(value: Any) -> Any:
    """Return the data of a JSON document with each dictionary in it as `Lookups`."""
    if isinstance(value, dict):
        return Lookups((name, lookups_within(inner)) for name, inner in value.items())
    return [lookups_within(inner) for inner in value] if isinstance(value, list) else value


def walk_entries(value: object, path: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the path of each entry in nested `Lookups` and lists of them, and whether it was looked up.

    Within an entry that was looked up, what is below it is asked in the same way, unless nothing there was: then it was
    taken as a whole. What is empty says nothing, and is left out.
    """
    if isinstance(value, Lookups):
        for name in value:
            inner, content = f"{path}.{name}" if path else str(name), value.peek(name)
            known = name in value.looked_up
            below = [*walk_entries(content, inner)] if known else []
            if any(used for _, used in below):
                yield from below
            elif known or content is None or not isinstance(content, (dict, list)) or content:
                yield inner, known
    elif isinstance(value, list) and value and isinstance(value[0], (Lookups, list)):  # and not an array's numbers
        for place, item in enumerate(value):
            yield from walk_entries(item, f"{path}.{place}")
