"""Labels and runs with long names cut, as reports and pages show them; files and look-ups use the whole names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gatewise.records.labels import LONGEST_NAME, NAMES, Labels, Measure, brief_name


def brief_labels(labels: Labels) -> Labels:
    """Return labels with the names and measures cut that are too long to show; two may become the same."""
    names = {kind: getattr(labels, kind) for kind in NAMES}
    texts = {kind: entries for kind, entries in names.items() if entries and isinstance(entries[0], str)}
    shown = [*texts.values(), [*labels.measures], *labels.measures.values()]
    if all(len(text) <= LONGEST_NAME for entries in shown for text in entries):
        return labels
    brief = {kind: [*map(brief_name, entries)] for kind, entries in texts.items()}
    measures = {brief_name(name): Measure(*map(brief_name, measure)) for name, measure in labels.measures.items()}
    return replace(labels, **brief, measures=measures)


def with_brief_names(run: Any) -> Any:
    """Return the trace of an LSTM or a network with the labels of all its cells cut as `brief_labels` does."""
    return with_labels(run, brief_labels)


def with_labels(run: Any, change: Callable[[Labels], Labels]) -> Any:
    """Return the trace of an LSTM or a network whose labels, and those of all its cells, are changed by a function."""
    layers = tuple(
        {direction: replace(cell, labels=change(cell.labels)) for direction, cell in layer.items()}
        for layer in run.lstm.layers
    )
    lstm = replace(run.lstm, layers=layers)
    return lstm if run.network is None else replace(run, lstm=lstm, labels=change(run.labels))
