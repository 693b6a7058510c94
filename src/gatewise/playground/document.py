"""The document of a page: programs, wiring, numbers, names and words, as plain data.

Inputs of a page belong to one sequence: ``x`` (time, features), or tokens (time,) where there is an embedding;
``valid`` (time,) or null for all; ``state[layer][direction]``; and ``dropout[layer][direction]``, or null for none: by
the names of the program's masks, (time, ·) each, and those of weights (D_i, …) as they always are.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from gatewise.errors import GatewiseError
from gatewise.examples import latch
from gatewise.insight.memory import timescales
from gatewise.layers import LSTM
from gatewise.playground import edits, lesson, quantities
from gatewise.playground.packed import packed
from gatewise.playground.subject import Subject, subject_of
from gatewise.playground.words import formulas, words
from gatewise.records.trace import Trace
from gatewise.render.plain import numbers
from gatewise.render.program import Write, of_wiring, values
from gatewise.render.text import clean
from gatewise.showing import counted
from gatewise.symbolic import binding
from gatewise.symbolic.wiring import WiredCell, Wiring

FORMAT, VERSION = "gatewise page", 1
MOST_WORKED_OUT = 32  # units of a model whose steps may be worked out by hand on its page
TITLE = "An LSTM you can see through"
Object = dict[str, Any]


def teaching() -> Object:
    """Return the document of the teaching page: the latch, with the chapters."""
    example = latch()
    subject = subject_of(LSTM.from_cells(example.cell), example.x, 0, {"state": ((example.state,),)})
    about = ["The cell is an example with weights set by hand: it writes a bit, holds it and releases it."]
    document = _document(subject, TITLE, about, numbers)
    return document | _lesson_of(subject) | {"chapters": lesson.chapters(), "teaching": True, "example": "latch"}


def of_run(subject: Subject, title: str | None, notes: Sequence[str]) -> Object:
    """Return the document of a model's run."""
    document = _document(subject, title or TITLE, notes, packed)
    if subject.num_units <= MOST_WORKED_OUT:
        document |= _lesson_of(subject)
    if subject.num_units > len(subject.lstm.cells()):
        document["sorted"] = [[_order(cell, subject.sequence) for cell in row] for row in subject.cells]
    return document


def _lesson_of(subject: Subject) -> Object:
    """Return the edits, phrases and constants for asking and judging."""
    return {"edits": edits.of_wiring(subject.wiring()), "phrases": lesson.phrases(), "grader": lesson.grader()}


def _document(subject: Subject, title: str, notes: Sequence[str], write: Write) -> Object:
    wiring = subject.wiring()
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"gatewise {version('gatewise')}",
        "title": clean(title),
        "about": [*map(clean, notes), *_about(subject)],
        **computed(subject, wiring, write),
        "words": words(wiring),
        "formulas": formulas(wiring),
        "edits": [],
        "chapters": None,
        "phrases": None,
        "grader": None,
        "teaching": False,
        "example": None,
        "sorted": None,
    }


def computed(subject: Subject, wiring: Wiring, write: Write) -> Object:
    """Return the part of a document that the page computes with: programs, quantities, wiring, numbers, labels."""
    return {
        **of_wiring(wiring, write),
        "quantities": quantities.of_wiring(wiring),
        "inputs": {
            "x": write(subject.x) if subject.tokens is None else subject.tokens.tolist(),
            "valid": None if subject.valid is None else subject.valid.tolist(),
            "state": [[_state(cell, subject.sequence, write) for cell in row] for row in subject.cells],
            "dropout": _dropout(subject, wiring.cells, write),
        },
        "labels": _labels(subject),
    }


def _state(cell: Trace, sequence: int, write: Write) -> Object:
    return {"h": write(cell.initial.h[sequence]), "c": write(cell.initial.c[sequence])}


def _dropout(subject: Subject, layers: Sequence[Sequence[WiredCell]], write: Write) -> list[list[Object]] | None:
    """Return the masks of each cell by the names that its program has for them; None where there are none."""
    if not any(cell.dropout.arrays() for row in subject.cells for cell in row):
        return None
    return [
        [
            values(binding.dropout_masks(wired.program.form, wired.parameters, subject.dropout(cell)), write)
            for wired, cell in zip(cells, row, strict=True)
        ]
        for cells, row in zip(layers, subject.cells, strict=True)
    ]


def _about(subject: Subject) -> list[str]:
    """Return sentences about the model, the run and the numbers."""
    dtype, lstm = subject.first.parameters.dtype, subject.lstm
    counts = [counted(lstm.num_layers, "layer"), counted(subject.num_units, "unit")]
    counts += [counted(subject.num_parameters, "parameter"), counted(lstm.num_steps, "step")]
    sentences = [f"The model has {', '.join(counts[:-1])}; the run has {counts[-1]}."]
    if lstm.batch_size > 1:
        names = lstm.labels.sequences
        name = "" if names is None else f" ({clean(names[subject.sequence])})"
        sentences.append(
            f"This is sequence {subject.sequence}{name} of a batch of {lstm.batch_size:,}, counted from 0."
        )
    weights = "Weights and input are float32; the page" if dtype == np.float32 else "The page"
    return [*sentences, f"{weights} computes in float64.", "Nothing leaves the page."]


def _labels(subject: Subject) -> Object:
    first, labels = subject.first, subject.labels
    times = labels.times
    if times is None and first.start:  # of a slice of a trace
        times = tuple(str(first.start + t) for t in range(len(first)))
    scaled = subject.network is not None and subject.network.inputs is not None  # scaled features have no measure
    names = [first.labels.feature(k) for k in range(first.parameters.input_size)]
    measured = labels.outputs or () if scaled else labels.measures
    return {
        "features": [clean(f"{name}, scaled" if scaled else name) for name in names],
        "units": [
            [clean(row[0].labels.unit(k)) for k in range(row[0].parameters.hidden_size)] for row in subject.cells
        ],
        "times": times and [clean(str(time)) for time in times],
        "outputs": labels.outputs and [*map(clean, labels.outputs)],
        "measures": {clean(name): [*map(clean, texts)] for name, texts in labels.measures.items() if name in measured},
    }


def _order(cell: Trace, sequence: int) -> list[int]:
    """Return the units of a cell, the longest timescale first; as they are, where they have none."""
    try:
        lengths = timescales(cell[:, sequence : sequence + 1]).timescale
    except GatewiseError:
        return list(range(cell.parameters.hidden_size))
    return [int(unit) for unit in np.argsort(-lengths, kind="stable")]
