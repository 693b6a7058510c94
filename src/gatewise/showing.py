"""How records are displayed: which function renders a kind of record in a format.

Records lie below what draws them. This table is the one place that points upward, by name: a renderer is imported
when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy.typing as npt

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
    "Marking": {
        "text": "gatewise.grading.report:text",
        "markdown": "gatewise.grading.report:markdown",
        "html": "gatewise.grading.report:html",
        "json": "gatewise.grading.report:json",
    },
    "Report": {"text": "gatewise.reporting.page:text", "html": "gatewise.reporting.page:html"},
}
INLINE = {  # of a record or what it derives from
    "Contents": "gatewise.plot.inline:contents_html",
    "StoredLSTM": "gatewise.plot.inline:found_html",
    "LSTM": "gatewise.plot.inline:lstm_html",
    "LSTMTrace": "gatewise.plot.inline:lstm_trace_html",
    "Marking": "gatewise.grading.report:fragment",
    "Network": "gatewise.plot.inline:network_html",
    "NetworkTrace": "gatewise.plot.inline:network_trace_html",
    "OpenedRun": "gatewise.plot.inline:opened_run_html",
    "Report": "gatewise.reporting.page:fragment",
    "Table": "gatewise.plot.inline:table_html",
    "Trace": "gatewise.plot.inline:trace_html",
    "Walkthrough": "gatewise.render.html:fragment",
}
PICTURES = "gatewise.plot.picture"  # the module of the table of pictures
ENDINGS = {  # of the files that a record is written to
    "text": ".txt",
    "markdown": ".md",
    "latex": ".tex",
    "html": ".html",
    "notebook": ".ipynb",
    "json": ".json",
}


def show(record: Any, format: str = "text", **options: Any) -> str:
    """Return a record in one of the formats of its kind; `options` are those of its renderer."""
    formats = FORMATS[type(record).__name__]
    return _rendered(formats[one_of("format", format, tuple(formats))], record, **options)


def inline(record: Any) -> str:
    """Return the HTML that a notebook shows of a record."""
    kind = next(kind.__name__ for kind in type(record).__mro__ if kind.__name__ in INLINE)
    return _rendered(INLINE[kind], record)


def pictured(record: Any) -> Callable[..., Any] | None:
    """Return the function that draws a record, or None where there is none."""
    pictures = import_module(PICTURES).PICTURES.values()
    return next((picture.draw for picture in pictures if isinstance(record, picture.record)), None)


def _rendered(place: str, record: Any, **options: Any) -> str:
    module, _, function = place.partition(":")
    rendered: str = getattr(import_module(module), function)(record, **options)
    return rendered


def format_of(path: str | os.PathLike[str], kind: str = "Walkthrough") -> str:
    """Return the format (text, html, …) of a file that holds a kind of record, by its suffix, or raise OptionError."""
    suffix = Path(path).suffix.lower()
    for name in FORMATS[kind]:
        if suffix == ENDINGS[name]:
            return name
    endings = ", ".join(ENDINGS[name] for name in FORMATS[kind])
    raise OptionError(f"the name {os.fspath(path)!r} must end in one of {endings}. Or give the format.")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the singular for one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def with_article(kind: str) -> str:
    """Return a name of a kind with the article that it is read with: an LSTM, a Dense."""
    return f"{'an' if kind.startswith(('A', 'E', 'I', 'O', 'LSTM', 'RNN')) else 'a'} {kind}"


def nth(count: int) -> str:
    """Return an ordinal: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th") if count % 100 not in (11, 12, 13) else "th"
    return f"{count:,}{ending}"


def brief(title: str, arrays: Mapping[str, npt.NDArray[Any] | None], most: int = 4, small: int = 1000) -> str:
    """Return the `repr` of a record: a title, and a line for each array with its shape and its first numbers.

    Of an array, `most` numbers are shown, and none if it has more than `small`, since it may lie in a file. None in the
    place of an array makes a line of words alone.
    """
    lines = [title]
    width = max((len(name) for name, array in arrays.items() if array is not None), default=0)
    shapes = max((len(str(array.shape)) for array in arrays.values() if array is not None), default=0)
    for name, array in arrays.items():
        if array is None:
            lines.append(name)
            continue
        first = [f"{number:.4g}" for number in array.flat[:most]] if array.size <= small else []
        more = ["…"] * (bool(first) and array.size > most)
        lines.append(f"{name:<{width}}  {array.shape!s:<{shapes}}  {'  '.join(first + more)}".rstrip())
    return "<" + "\n  ".join(lines) + ">"
