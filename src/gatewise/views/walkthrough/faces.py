"""The faces of a walkthrough by name; each renders the same parts, and is imported when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from gatewise import storage
from gatewise.errors import OptionError, one_of
from gatewise.views.walkthrough.parts import Walkthrough

FACES = {  # its module, and what names of its files end in
    "text": ("text", ".txt"),
    "markdown": ("markdown", ".md"),
    "latex": ("latex", ".tex"),
    "html": ("html", ".html"),
    "notebook": ("notebook", ".ipynb"),
    "json": ("data", ".json"),
}


def render(walk: Walkthrough, format: str) -> str:
    """Return a walkthrough in one of `FACES`."""
    module, _ = FACES[one_of("format", format, tuple(FACES))]
    rendered: str = import_module(f"gatewise.views.walkthrough.{module}").render(walk)
    return rendered


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a file tells."""
    suffix = Path(path).suffix.lower()
    for name, (_, ending) in FACES.items():
        if suffix == ending:
            return name
    endings = ", ".join(ending for _, ending in FACES.values())
    raise OptionError(f"the name {os.fspath(path)!r} tells no format; let it end in {endings}, or name the format")


def save(walk: Walkthrough, path: str | os.PathLike[str], format: str | None = None) -> None:
    """Write a walkthrough to a file, beside it first and then renamed."""
    storage.write_text(path, render(walk, format or format_of(path)))
