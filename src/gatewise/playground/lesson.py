"""The chapters beside the teaching page, and the phrases of what is predicted: all in one file, to be translated."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

FILE = "chapters.json"


def chapters() -> list[dict[str, Any]]:
    """Return the chapters: title, text, question, what is said after it, and what the page shows and asks."""
    found: list[dict[str, Any]] = _lesson()["chapters"]
    return found


def phrases() -> dict[str, str]:
    """Return by their keys the phrases in which a page asks for numbers and judges them."""
    found: dict[str, str] = _lesson()["phrases"]
    return found


@cache
def _lesson() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath("assets", FILE).read_text(encoding="utf-8"))
    return found
