"""The decorator that makes a picture of a function that draws a record, and the table of all pictures."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, NamedTuple, TypeVar

from gatewise.errors import OptionError
from gatewise.insight.answer import Table
from gatewise.plot.drawing import fit_text, require_axes

AxesT = TypeVar("AxesT")

AX = "ax : Axes, Figure or SubFigure, optional\n    What to draw on; by default a new figure."
PANELS = """ax : Figure, SubFigure or sequence of Axes, optional
    What to draw on: an Axes for each panel; by default a new figure."""
RAISES = [
    "MissingExtraError\n    If matplotlib is not installed.",
    "OptionError\n    If `ax` is neither Axes nor a Figure, or options are given with a record.",
]
_HEADING = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)


class Picture(NamedTuple):
    """A picture: the class of the record that it draws, and the functions that compute and draw it."""

    record: type[Table]
    data: Callable[..., Table]  # takes a run or a model first
    draw: Callable[..., Any]  # takes what `data` takes, or a record; its options are those of `data`, and its own


PICTURES: dict[str, Picture] = {}  # by name; each enters when its module is imported


def picture(draw: Callable[..., AxesT]) -> Callable[..., AxesT]:
    """Turn ``draw(record: Record, ax, *, options)`` into a picture, and register it.

    The picture takes what the function of its name in the module of `Record` takes, or a record, then `ax`, and by name
    the options of that function and of `draw`. Its signature and its docstring name them all: what is said of the
    options of the function is said there alone. It returns a record of a run or a model, its first argument.
    """
    subject_of_draw, _, *looks = signature(draw).parameters.values()
    record: type[Table] = draw.__globals__[subject_of_draw.annotation]
    data: Callable[..., Table] = getattr(sys.modules[record.__module__], draw.__name__)

    @wraps(draw)
    def drawn(subject: Any, /, ax: Any = None, **options: Any) -> AxesT:
        """Draw a picture of a run, or of a record of it."""
        require_axes(ax)
        look = {option.name: options.pop(option.name) for option in looks if option.name in options}
        if not isinstance(subject, record):
            subject = data(subject, **options)
        elif options:
            raise OptionError(f"a record of {record.__name__} is drawn as it is, without {', '.join(options)}")
        axes = draw(subject, ax, **look)
        fit_text(axes)
        return axes

    drawn.__signature__ = _picture_signature(draw, data, record)  # type: ignore[attr-defined]
    drawn.__doc__ = _picture_docstring(draw, data, record)
    PICTURES[draw.__name__] = Picture(record, data, drawn)
    return drawn


def _picture_signature(draw: Callable[..., Any], data: Callable[..., Any], record: type[Table]) -> Signature:
    """Return the arguments of a picture: those of its data, all but the first by name, and those of its look."""
    drawing = signature(draw)
    subject, *options = signature(data).parameters.values()
    _, ax, *look = drawing.parameters.values()
    several = [option for option in options if option.kind is Parameter.VAR_KEYWORD]
    named = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options if option not in several]
    first = subject.replace(
        kind=Parameter.POSITIONAL_ONLY, annotation=f"{subject.annotation} | {record.__name__}", default=Parameter.empty
    )
    return drawing.replace(parameters=[first, ax.replace(default=None), *named, *look, *several])


def _picture_docstring(draw: Callable[..., Any], data: Callable[..., Any], record: type[Table]) -> str:
    """Return the docstring of a picture: its own sections, with the arguments and errors of its data."""
    sections, of_data = _sections(draw), _sections(data)
    subject, *options = _entries(of_data, "Parameters")
    head, _, description = subject.partition("\n")
    subject = f"{head}, or {record.__name__}\n{description}".rstrip()
    subject += f"\n    A record, as `plot.data.{draw.__name__}` returns it, is drawn as it is."
    look = _entries(sections, "Parameters")
    ax = PANELS if "array" in sections.get("Returns", "").partition("\n")[0] else AX
    several = [option for option in options if option.startswith("**")]
    named = [option for option in options if option not in several]
    sections["Parameters"] = "\n".join([subject, ax, *named, *look, *several])
    errors: dict[str, str] = {}
    for entry in [*RAISES, *_entries(of_data, "Raises"), *_entries(sections, "Raises")]:
        error, _, reason = entry.partition("\n")
        errors[error] = f"{errors.get(error, error)}\n{reason}"
    sections["Raises"] = "\n".join(errors.values())
    sections.setdefault("Returns", "Axes")
    order = ("Parameters", "Returns", "Raises", "Notes", "Examples")
    text = [sections[""], *(f"{name}\n{'-' * len(name)}\n{sections[name]}" for name in order if name in sections)]
    return "\n\n".join(text) + "\n"


def _sections(function: Callable[..., Any]) -> dict[str, str]:
    """Return the sections of a docstring by their headings; what stands before the first heading by ''."""
    before, *rest = _HEADING.split(cleandoc(function.__doc__ or ""))
    return {"": before.strip(), **{name: text.strip() for name, text in zip(rest[::2], rest[1::2], strict=True)}}


def _entries(sections: dict[str, str], name: str) -> list[str]:
    """Return the entries of a section, each a line that is not indented and its description."""
    return re.split(r"\n(?=\S)", sections[name]) if name in sections else []
