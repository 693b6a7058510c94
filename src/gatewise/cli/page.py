"""gatewise page: a web page to play with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.usage import flowing


def page(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=Group("Output", sort_key=4))] = Path(
        "gatewise.html"
    ),
) -> None:
    """Write a web page to play with: every number of an LSTM opens, moves and answers.

    Parameters
    ----------
    output
        The file to write, .html.
    """
    from gatewise.playground.page import page as made
    from gatewise.storage import write_text

    write_text(output, made().html)


page.__doc__ = flowing(page.__doc__)
