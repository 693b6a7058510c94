"""The notebook of a walkthrough: its sentences as Markdown, its equations as code that needs NumPy alone.

The outputs saved in it are what the code prints: they come from the same formulas, operation by operation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.render import markdown
from gatewise.render.script import Script, print_options
from gatewise.walkthrough.parts import Walkthrough

FRESH: Mapping[str, Any] = {  # the other defaults of a fresh kernel, whatever this process has set
    "threshold": 1000,
    "edgeitems": 3,
    "suppress": False,
    "sign": "-",
    "nanstr": "nan",
    "infstr": "inf",
    "formatter": None,
    "legacy": False,
}
Cell = dict[str, Any]


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a Jupyter notebook (nbformat 4.5)."""
    with np.errstate(all="ignore"), np.printoptions(**print_options(), **FRESH):
        cells = list(_notebook_cells(walk))
    return document(cells)


def document(cells: Sequence[Cell]) -> str:
    """Return the JSON of a Jupyter notebook of cells (nbformat 4.5)."""
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
    }
    notebook = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _notebook_cells(walk: Walkthrough) -> Iterator[Cell]:
    """Yield a walkthrough as notebook cells: a title, the setup, and the words and code of each section."""
    script = Script(walk)
    sections = markdown.sections(walk, worked=False)
    cells = [(section.key, words, *script.cell(section)) for section, words in sections]
    yield cell("title", "markdown", _title_markdown(walk, script))
    yield cell("setup", "code", script.setup(), "", 1)
    count = 1
    for number, (key, words, source, printed) in enumerate(cells, 1):
        yield cell(f"{number}-{key}", "markdown", words)
        if source:
            count += 1
            yield cell(f"{number}-{key}-code", "code", source, printed, count)


def cell(name: str, kind: str, source: str, printed: str = "", count: int | None = None) -> Cell:
    """Return a notebook's cell as JSON: of Markdown, or of code with what it printed when it ran as number `count`."""
    content: Cell = {"cell_type": kind, "id": name, "metadata": {}, "source": _source_lines(source)}
    if kind == "code":
        stream = {"name": "stdout", "output_type": "stream", "text": _source_lines(printed)}
        content |= {"execution_count": count, "outputs": [stream] if printed else []}
    return content


def _source_lines(source: str) -> list[str]:
    *lines, last = source.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]


def _title_markdown(walk: Walkthrough, script: Script) -> str:
    """Return the first cell of a walkthrough's notebook: its title, and how its numbers and names are read."""
    sentences = ["Every number below a code cell is printed by its code, with NumPy alone, in float64."]
    if script.single:
        sentences.append("The cell itself computes in float32: its numbers, in tables, may differ in the last digits.")
    if script.many:
        sentences.append("A name that ends in a number belongs to that step, counted from 0.")
    if walk.backward:
        sentences.append("A `d` before a name means the gradient of the loss with respect to it.")
    return f"# {walk.title}\n\n{' '.join(sentences)}"
