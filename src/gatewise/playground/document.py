"""The document of a page: programs, wiring, numbers, names and words, as plain data.

Inputs of a page belong to one sequence: ``x`` (time, features), or tokens (time,) where there is an embedding;
``valid`` (time,) or null for all; ``state[layer][direction]``; and ``dropout[layer][direction]``, or null for none: by
the names of the program's masks, (time, ·) each, and those of weights (D_i, …) as they always are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from gatewise.errors import GatewiseError
from gatewise.insight.memory import timescales
from gatewise.languages import language
from gatewise.languages.language import translated
from gatewise.margins import largest_first
from gatewise.playground import lesson, quantities
from gatewise.playground.sequence_run import SequenceRun
from gatewise.playground.words import formulas, words
from gatewise.records.trace import Trace
from gatewise.render.data import Write, numbers, packed, values, wiring_document
from gatewise.render.text import clean
from gatewise.showing import counted
from gatewise.symbolic.cell import mask_values
from gatewise.symbolic.wiring import WiredCell, Wiring

FORMAT, VERSION = "gatewise page", 1
MAX_WORKED_UNITS = 32  # units of a model whose steps may be worked out by hand on its page
# Options of the command line in a note.
OPTIONS = re.compile(r" \([^()]*--[a-z][^()]*\)|; [^;.]*--[a-z][^;.]*|--[a-z][\w-]* \w+: ")
Object = dict[str, Any]


def scene_document(run: SequenceRun, title: str, about: Sequence[str]) -> Object:
    """Return the document of a scene of a teaching page: a small run, with what asking and judging take."""
    return _page_document(run, title, about, numbers) | _lesson_of(run)


def scenes_document(title: str, scenes: Mapping[str, Object], chapters: Sequence[Object], lang: str = "en") -> Object:
    """Return the document of a teaching page: its scenes by name, and the chapters over all of them.

    It has once what is the same in all scenes; ``scenes`` has lists of the rest, in their order, in which similar texts
    stand beside each other. A chapter without a ``scene`` belongs to the first.
    """
    named = [translated(document | {"scene": name, "lang": lang}) for name, document in scenes.items()]
    columns = {key: [document.get(key) for document in named] for document in named for key in document}
    alike = {key: column[0] for key, column in columns.items() if all(entry == column[0] for entry in column)}
    shared = {"title": clean(title), "lang": lang, "teaching": True, "phrases": language.phrases(lang, lessons=True)}
    shared |= {"chapters": [{"scene": named[0]["scene"], **chapter} for chapter in chapters]}
    differing = {key: column for key, column in columns.items() if key not in alike or key in ("scene", "title")}
    return {**alike, **shared, "scenes": differing}


def run_document(run: SequenceRun, title: str | None, notes: Sequence[str], lang: str = "en") -> Object:
    """Return the document of the playground's page of a model's run."""
    document = _page_document(run, title or language.words_in(lang)["titles"]["page"], notes, packed)
    document |= {"lang": lang, "phrases": language.phrases(lang, lessons=False)}
    if run.num_units <= MAX_WORKED_UNITS:
        document |= _lesson_of(run)
    if run.num_units > len(run.lstm.cells()):
        document["sorted"] = [[_units_by_timescale(cell, run.sequence) for cell in row] for row in run.cells]
    return translated(document)


def _lesson_of(run: SequenceRun) -> Object:
    """Return the edits and constants for asking and judging."""
    return {"edits": quantities.edits_of_wiring(run.wiring()), "grader": lesson.grader()}


def _page_document(run: SequenceRun, title: str, notes: Sequence[str], write: Write) -> Object:
    """Return the part of a document that every page has; `write` makes data of an array."""
    wiring = run.wiring()
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"gatewise {version('gatewise')}",
        "title": clean(title),
        "about": [*(clean(OPTIONS.sub("", note)) for note in notes), *_sentences_about(run)],
        **computed_values(run, wiring, write),
        "words": words(wiring),
        "formulas": formulas(wiring),
    }


def computed_values(run: SequenceRun, wiring: Wiring, write: Write) -> Object:
    """Return the part of a document that the page computes with: programs, quantities, wiring, numbers, labels."""
    return {
        **wiring_document(wiring, write),
        "quantities": quantities.quantities_of_wiring(wiring),
        "inputs": {
            "x": write(run.x) if run.tokens is None else run.tokens.tolist(),
            "valid": None if run.valid is None else run.valid.tolist(),
            "state": [
                [{"h": write(cell.initial.h[run.sequence]), "c": write(cell.initial.c[run.sequence])} for cell in row]
                for row in run.cells
            ],
            "dropout": _dropout_masks(run, wiring.cells, write),
        },
        "labels": _label_lists(run),
    }


def _dropout_masks(run: SequenceRun, layers: Sequence[Sequence[WiredCell]], write: Write) -> list[list[Object]] | None:
    """Return each cell's dropout masks for the page, by their names in its program; None where there are none."""
    if not any(cell.dropout.arrays() for row in run.cells for cell in row):
        return None
    return [
        [
            values(mask_values(wired.program.form, wired.parameters, run.dropout(cell)), write)
            for wired, cell in zip(cells, row, strict=True)
        ]
        for cells, row in zip(layers, run.cells, strict=True)
    ]


def _sentences_about(run: SequenceRun) -> list[str]:
    dtype, lstm = run.first.parameters.dtype, run.lstm
    counts = [counted(lstm.num_layers, "layer"), counted(run.num_units, "unit")]
    counts += [counted(run.num_parameters, "parameter"), counted(lstm.num_steps, "step")]
    sentences = [f"The model has {', '.join(counts[:-1])}; the run has {counts[-1]}."]
    if lstm.batch_size > 1:
        names = lstm.labels.sequences
        name = "" if names is None else f" ({clean(names[run.sequence])})"
        sentences.append(f"This is sequence {run.sequence}{name} of a batch of {lstm.batch_size:,}, counted from 0.")
    weights = "Weights and input are float32; the page" if dtype == np.float32 else "The page"
    return [*sentences, f"{weights} computes in float64."]


def _label_lists(run: SequenceRun) -> Object:
    """Return the names of a run's features, units, times, outputs and measures, as the page shows them."""
    first, labels = run.first, run.labels
    times = labels.times
    if times is None and first.start:  # of a slice of a trace
        times = tuple(str(first.start + t) for t in range(len(first)))
    scaled = run.network is not None and run.network.inputs is not None  # scaled features have no measure
    names = [first.labels.feature(k) for k in range(first.parameters.input_size)]
    measured = labels.outputs or () if scaled else labels.measures
    return {
        "features": [clean(f"{name}, scaled" if scaled else name) for name in names],
        "units": [[clean(row[0].labels.unit(k)) for k in range(row[0].parameters.hidden_size)] for row in run.cells],
        "times": times and [clean(str(time)) for time in times],
        "outputs": labels.outputs and [*map(clean, labels.outputs)],
        "measures": {clean(name): [*map(clean, texts)] for name, texts in labels.measures.items() if name in measured},
    }


def _units_by_timescale(cell: Trace, sequence: int) -> list[int]:
    """Return the units of a cell in the page's order: the longest timescale between resets first, if there are any."""
    try:
        lengths = timescales(cell[:, sequence : sequence + 1]).between_resets
    except GatewiseError:
        return list(range(cell.parameters.hidden_size))
    return [int(unit) for unit in largest_first(lengths, relative=True)]
