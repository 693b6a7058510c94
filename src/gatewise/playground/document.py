"""What a page holds: programs, wiring, numbers, names and words, as plain data."""

from __future__ import annotations

from typing import Any

from gatewise.examples import latch
from gatewise.layers.lstm import LSTM
from gatewise.layers.wired import wiring_of
from gatewise.render.plain import numbers
from gatewise.render.program import of_wiring
from gatewise.render.text import clean

Object = dict[str, Any]


def teaching() -> Object:
    """Return the document of the teaching page: the latch."""
    import gatewise

    example = latch()
    labels = example.cell.labels
    return {
        "format": "gatewise page",
        "version": 1,
        "written_by": f"gatewise {gatewise.__version__}",
        "title": "An LSTM you can see through",
        "about": [],
        **of_wiring(wiring_of(LSTM.from_cells(example.cell))),
        "inputs": {
            "x": numbers(example.x),
            "valid": None,
            "state": [[{"h": numbers(example.state.h), "c": numbers(example.state.c)}]],
            "dropout": None,
        },
        "labels": {
            "features": [clean(name) for name in labels.features or ()],
            "units": [[clean(name) for name in labels.units or ()]],
            "times": None,
            "outputs": None,
            "measures": {},
        },
        "words": [],
        "formulas": [],
        "edits": [],
        "chapters": None,
        "teaching": True,
        "example": "latch",
        "sorted": None,
    }
