"""The JSON Schemas of docs: their keys, each with its description, and the kinds of mistakes that one lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one of gatewise's formats."""
    return json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8"))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Go through all schemas within a schema; not through conditions, which describe nothing."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key != "if":
                yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def properties(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return each key of each object of a format, with its schema."""
    rules = schema(name)
    rules.pop("then", None)  # a rule about keys that are described above it
    return [item for part in parts(rules) for item in part.get("properties", {}).items() if isinstance(item[1], dict)]


def described(name: str) -> set[str]:
    """Return the keys of a format that are described wherever they are."""
    items = properties(name)
    return {key for key, _ in items} - {key for key, rule in items if not rule.get("description")}


def values(rule: dict[str, Any]) -> set[str]:
    """Return the values that a schema names."""
    return {value for part in parts(rule) for value in (*part.get("enum", ()), part.get("const")) if value}


def kinds_of_mistakes() -> list[str]:
    """Return the kinds of mistakes that the schema of marked sheets lists, group by group."""
    kind = schema("marking")["$defs"]["cause"]["properties"]["kind"]
    return [value for group in kind["anyOf"] for value in group.get("enum", ())]
