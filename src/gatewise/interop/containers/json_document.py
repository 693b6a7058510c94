"""JSON from an untrusted file: parsed with limits, and its nested lists as arrays.

Every error here is the fact alone; the reader says which file it is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, ShapeError
from gatewise.files.budget import Budget
from gatewise.interop.containers.lookups import Lookups

DEEPEST = 8  # axes of an array


def may_be_json(head: bytes) -> bool:
    """Return whether the first bytes of a file can begin a JSON object or list."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1] in (b"{", b"[")


def read_document(path: Path, budget: Budget) -> Any:
    """Return the content of a JSON file with its own budget; see `parse_document`."""
    budget.hold(budget.size, 1, f"reading {path}")
    try:
        with open(path, "rb") as file:
            data = file.read(budget.size)  # of a file that claims no bytes, as below /proc, none: it may have no end
    except OSError as problem:
        raise FileError(problem.strerror or str(problem)) from None
    return parse_document(data, budget)


def parse_document(data: bytes, budget: Budget) -> Any:
    """Return the content of a JSON document, its objects as `Lookups`; NaN and Infinity are numbers.

    JSON that is nested too deeply, or names something twice in one object, is refused.
    """
    try:
        text = data.decode("utf-8-sig")
        budget.parse(text, "what its JSON becomes")
        return json.loads(text, object_pairs_hook=object_without_repeats)
    except FileError:
        raise
    except RecursionError:
        raise FileError("its JSON is nested too deeply") from None
    except json.JSONDecodeError as problem:
        raise FileError(f"it is not valid JSON: {problem}") from None
    except UnicodeDecodeError:
        raise FileError("it is not JSON: its text is not UTF-8") from None
    except ValueError:  # an integer of thousands of digits
        raise FileError("its JSON holds a number that is too long") from None


def object_without_repeats(pairs: list[tuple[str, Any]], kind: type[dict[str, Any]] = Lookups) -> dict[str, Any]:
    """Return the pairs of a JSON object as an object of a kind; a repeated name is refused."""
    entries = kind(pairs)
    if len(entries) != len(pairs):
        names: set[str] = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))  # type: ignore[func-returns-value]
        raise FileError(f"its JSON has {describe(twice)} twice in one object")
    return entries


def describe(value: object) -> str:
    """Return a value of a JSON document in a few words, for an error."""
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    try:
        text = "nothing" if value is None else ascii(value)
    except ValueError:  # an integer of thousands of digits
        return "a long number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def entry(owner: Mapping[str, Any], name: str, kind: type, owner_name: str) -> Any:
    """Return an entry of a JSON object, which must be there and of a kind; `owner_name` is for the error."""
    if name not in owner:
        raise FileError(f"{owner_name} has no {name!r}")
    value = owner[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = {list: "a list", dict: "an object", str: "a string", int: "an integer"}
        raise FileError(f"{name!r} of {owner_name} must be {kinds[kind]}, not {describe(value)}")
    return value


def count(owner: Mapping[str, Any], name: str, owner_name: str) -> int:
    """Return an entry of a JSON object that must be an integer of at least 1."""
    value: int = entry(owner, name, int, owner_name)
    if value < 1:
        raise FileError(f"{name!r} of {owner_name} must be at least 1, not {describe(value)}")
    return value


def array(label: str, value: object, budget: Budget) -> Array:
    """Return nested lists of numbers in JSON as a float64 array, taken off a budget; `label` is for the error."""
    shape: list[int] = []
    level: list[Any] = [value]
    while list in (kinds := set(map(type, level))):
        if len(shape) == DEEPEST or len(kinds) > 1:
            raise ShapeError(f"{label} must be lists of equal depth, of {DEEPEST} at most")
        lengths = {len(row) for row in level}
        if len(lengths) > 1:
            raise ShapeError(f"{label} must have rows of equal lengths, not of {min(lengths)} to {max(lengths)}")
        shape.append(lengths.pop())
        budget.hold(len(level) * shape[-1], 8, label)
        level = list(chain.from_iterable(level))
    if odd := kinds - {int, float}:
        other = next(item for item in level if type(item) in odd)
        raise FileError(f"{label} must hold numbers, not {describe(other)}")
    budget.hold(len(level), 8, label)
    try:
        return np.array(level, np.float64).reshape(shape)
    except OverflowError:
        raise FileError(f"{label} holds an integer that is too large") from None


def to_float32(values: Array) -> Array:
    """Return an array as float32; numbers beyond its range become infinity."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32)
