"""How records show themselves: which function renders a kind of record in a format.

Records lie below what draws them. This table is the one place that points upward, by name: a renderer is imported
when it is asked for.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from gatewise.errors import OptionError, one_of

FORMATS = {  # of each kind of record: the function that renders it, in module:function
    "Walkthrough": {
        "text": "gatewise.render.terminal:render",
        "markdown": "gatewise.render.markdown:render",
        "latex": "gatewise.render.latex:render",
        "html": "gatewise.render.html:render",
        "notebook": "gatewise.render.notebook:render",
        "json": "gatewise.render.data:render",
    },
    "Marking": {"text": "gatewise.grading.report:text"},
}
INLINE = {"Walkthrough": "gatewise.render.html:fragment"}  # what a notebook shows of a record
ENDINGS = {  # of the files that a walkthrough is written to
    "text": ".txt",
    "markdown": ".md",
    "latex": ".tex",
    "html": ".html",
    "notebook": ".ipynb",
    "json": ".json",
}


def show(record: Any, format: str = "text", **options: Any) -> str:
    """Return a record in one of the formats of its kind; `options` are those of its renderer.

    Raises
    ------
    OptionError
        If there is no such format.
    """
    formats = FORMATS[type(record).__name__]
    return _rendered(formats[one_of("format", format, tuple(formats))], record, **options)


def inline(record: Any) -> str:
    """Return the HTML that a notebook shows of a record."""
    return _rendered(INLINE[type(record).__name__], record)


def _rendered(place: str, record: Any, **options: Any) -> str:
    module, _, function = place.partition(":")
    rendered: str = getattr(import_module(module), function)(record, **options)
    return rendered


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a file tells.

    Raises
    ------
    OptionError
        If it tells none.
    """
    suffix = Path(path).suffix.lower()
    for name, ending in ENDINGS.items():
        if suffix == ending:
            return name
    endings = ", ".join(ENDINGS.values())
    raise OptionError(f"the name {os.fspath(path)!r} tells no format; let it end in {endings}, or name the format")
