"""The model and the run of a report: a sentence, facts, and the outputs over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.chunked.attributes import gatewise_version
from gatewise.errors import join_names
from gatewise.insight.answer import Answer, StepTable
from gatewise.insight.naming import output_phrase
from gatewise.margins import rounding_margin
from gatewise.network import Linear
from gatewise.opening.windows import WindowedSeries
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.reporting.subject import ReportSubject
from gatewise.showing import counted

MOST_BARS = 30  # outputs of one sequence
LINES = ("hidden_state", "input_gate", "candidate")  # the hues of up to three outputs, one below the other


@dataclass(frozen=True, eq=False, repr=False)
class Overview(Answer, StepTable):
    """A model and its outputs (time, output): the explained one first, and at most two more.

    They are those of one sequence, or one for each sequence of a network that reads the final states.
    """

    outputs: Array
    output_names: tuple[str, ...]
    marked: tuple[int, ...]  # the explained steps
    still: str  # a sentence, if the outputs never change or all are equal; else empty


def overview(subject: ReportSubject) -> Overview:
    """Return the first answer of a report: the model and its outputs, in a sentence and as columns."""
    lstm, steps = subject.lstm, subject.lstm.num_steps
    order = [subject.target, *(n for n in range(len(subject.output_names)) if n != subject.target)]
    at_the_end = len(subject.outputs) != steps  # the network reads the final states
    alone = at_the_end and lstm.batch_size == 1
    if subject.network is None or subject.network.outputs_are_states:
        order = order[:1]
    order = sorted(order[:MOST_BARS]) if alone else order[: len(LINES)]
    labels = subject.labels
    if at_the_end:  # a value for each sequence
        outputs, valid = subject.outputs[0][:, order], None
        times = np.array(labels.sequences) if labels.sequences else np.arange(lstm.batch_size)
        marked: tuple[int, ...] = (subject.sequence,)
    elif subject.series is not None:
        series = subject.series
        outputs, valid = series.outputs[:, subject.sequence][:, order], series.ends[:, subject.sequence]
        times = np.arange(len(outputs)) if series.times is None else np.array(series.times)
        marked = (series.end,)
    else:
        outputs = subject.outputs[:, subject.sequence][:, order]
        valid = None if subject.valid is None else subject.valid[:, subject.sequence]
        times = np.arange(steps) if labels.times is None else np.array(labels.times)
        marked = tuple(t for t in subject.steps if t is not None)
        if valid is not None and len(valid) == len(outputs):
            outputs = np.where(valid[:, None], outputs, np.nan)
    names = tuple(output_name(subject, number) for number in order)
    columns: dict[str, npt.NDArray[Any]] = {"sequence" if at_the_end else "time": times}
    columns |= {name: outputs[:, place] for place, name in enumerate(names)}
    sentence = f"{_model_phrase(subject)} ran over {_run_phrase(subject)}."
    if subject.series is not None:
        sentence += " What follows is about the one that ends at the dot."
    explained = outputs[:, names.index(output_name(subject, subject.target))].astype(np.float64)
    low, mean, high = (reduce(explained) for reduce in (np.nanmin, np.nanmean, np.nanmax))
    count, name = int((~np.isnan(explained)).sum()), output_name(subject, subject.target)
    measured = f"{low:.4g} to {high:.4g}, and {mean:.4g} on average" if count > 1 else f"{mean:.4g}"
    still, reading = _still_outputs(subject), [f"Measured: {name} is {measured}."]
    reading += [f"Measured: {still[0].lower()}{still[1:]}"] if still else []
    return Overview(columns, sentence, outputs, names, marked, still, times=times, valid=valid, reading=tuple(reading))


def _still_outputs(subject: ReportSubject) -> str:
    """Return a sentence about outputs that never change, or that all are equal; empty if there are none."""
    values = subject.outputs if subject.series is None else subject.series.outputs
    valid = np.ones(values.shape[:2], bool) if subject.valid is None else subject.valid
    if subject.series is not None:
        valid = subject.series.ends
    rows = values[valid if valid.shape == values.shape[:2] else np.asarray(valid.any(0))[None]].astype(np.float64)
    if len(rows) < 2:
        return ""
    margin = rounding_margin(rows, values.dtype, axis=0)
    never = np.ptp(rows, axis=0) <= margin
    count, noun = rows.shape[1], "step" if len(values) > 1 else "sequence"
    if never.all():
        return (
            f"The output is {rows[0, 0]:.4g} at every {noun}."
            if count == 1
            else f"No output of {count:,} ever changes."
        )
    if count > 1 and (np.ptp(rows, axis=1) <= margin.max()).all():
        return f"All {count:,} outputs are equal at every {noun}."
    if not never.any():
        return ""
    names = join_names([output_name(subject, place) for place in np.flatnonzero(never).tolist()], "and", most=4)
    return f"{names[0].upper()}{names[1:]} never change{'s' if never.sum() == 1 else ''}."


def output_name(subject: ReportSubject, number: int) -> str:
    """Return the name of a report's output with what it measures."""
    name = subject.output_names[number]
    measure = subject.labels.measures.get(name)
    text = output_phrase(name)
    if measure is None or str(measure).replace(" ", "") == name.replace(" ", ""):  # as in QObs(mm/d)
        return text
    if measure.quantity == name:  # which needs its unit alone
        return f"{text} ({measure.unit})" if measure.unit else text
    return f"{text}, {measure}"


def draw(record: Overview, figure: Any) -> Any:
    """Draw the outputs of a report's run over time, each on Axes of its own, with the explained steps."""
    if len(record.outputs) == 1:  # at the end of one sequence
        return _draw_output_bars(record, figure)
    panels = drawing.panels(figure, record.output_names)
    for ax, name, hue, values in zip(panels, record.output_names, LINES, record.outputs.T, strict=False):
        places = drawing.set_time_axis(ax, record.times)
        drawing.draw_series(ax, places, values, color=drawing.ink(), linewidth=1.0)
        for t in record.marked:
            ax.plot(places[t], values[t], "o", color=PALETTE[hue].light, markeredgecolor=drawing.ink(), markersize=8)
        drawing.hatch_invalid(ax, places, record.valid)
        ax.set_ylabel(drawing.shorten(name, 30))
    if "sequence" in record.columns:
        panels[-1].set_xlabel("sequence")
    return panels


def _draw_output_bars(record: Overview, figure: Any) -> Any:
    """Draw a bar for each output at the end of one sequence, on Axes of a report's picture."""
    ax = drawing.single_panel(figure)
    places, values = np.arange(len(record.output_names)), record.outputs[0]
    ax.bar(places, values, color=PALETTE["hidden_state"].light, edgecolor=drawing.ink(), linewidth=0.8)
    ax.axhline(0, color=drawing.ink(), linewidth=0.5)
    drawing.name_ticks(ax.xaxis, record.output_names)
    ax.set(ylabel="output", xlim=(-0.6, len(places) - 0.4))
    return ax


# In words.


def _model_phrase(subject: ReportSubject) -> str:
    """Return the phrase that describes a report's model: its layers, units, embedding and head."""
    lstm, network = subject.lstm, subject.network
    sizes = [cell.parameters.hidden_size for cell in (next(iter(row.values())) for row in lstm.layers)]
    units = counted(sizes[0], "unit") if len(set(sizes)) == 1 else f"{', '.join(map(str, sizes))} units"
    both = len(lstm.directions) > 1
    if len(sizes) > 1:
        kind = "bidirectional " if both else ""
        layers = f"{len(sizes)} {kind}layers of {units}{' in each direction' if both else ''}"
    else:
        layers = f"{units}{' in each of two directions' if both else ''}"
    if network is None:
        return f"An LSTM with {layers}"
    if network.is_in_graph:
        return f"An LSTM with {layers}, in a network of {counted(len(network.graph.nodes), 'operation')},"  # type: ignore[attr-defined]
    before = "An embedding and a" if network.embedding is not None else "A"
    after = "" if network.head is None else f" and a linear head with {counted(len(subject.output_names), 'output')}"
    return f"{before}n LSTM with {layers}{after}"


def _run_phrase(subject: ReportSubject) -> str:
    """Return the phrase that describes a report's run: its steps, sequences and times."""
    if subject.series is not None:
        return _windows_phrase(subject.series)
    lstm, times = subject.lstm, subject.labels.times
    sequences = f" of {counted(lstm.batch_size, 'sequence')}" if lstm.batch_size > 1 else ""
    span = "" if times is None or len(times) < 2 else f", from {times[0]} to {times[-1]}"
    return f"{counted(lstm.num_steps, 'step')}{sequences}{span}"


def _windows_phrase(series: WindowedSeries) -> str:
    """Return the phrase that describes the windows of a report's series: their number, length and times."""
    ends = np.flatnonzero(series.ends.any(-1))
    windows = counted(int(series.ends.sum()), "window")
    steps = counted(series.windows.steps, "step")
    return f"{windows} of {steps}, which end from {series.when(ends[0])} to {series.when(ends[-1])}"


def facts(subject: ReportSubject) -> list[tuple[str, str]]:
    """Return a report's facts about the model and the run: the name of each, and its value."""
    lstm, network, labels = subject.lstm, subject.network, subject.labels
    first = subject.first.parameters
    parameters = sum(array.size for cell in subject.cells.values() for array in cell.parameters.arrays().values())
    rows = []
    if network is not None and network.embedding is not None:
        rows.append(("Embedding", f"{len(network.embedding):,} tokens"))
    inputs = first.input_size if network is None else network.num_features
    rows.append(("Input", counted(inputs, "feature") + _some(labels.features)))
    for branch in () if network is None else network.branches:
        layers = "; ".join(map(_sizes, branch.layers)) or "as they are"
        names = [labels.feature(place) for place in branch.features]
        rows.append(("Into the LSTM", f"{join_names(names, most=9)}: {layers}"))
    for number, row in enumerate(lstm.layers):
        cell = next(iter(row.values()))
        p = cell.parameters
        units = f"{counted(p.hidden_size, 'unit')}, {' and '.join(row)}"
        units += "" if p.projection is None else f", projected to {p.recurrent_size:,}"
        variant = ", ".join(f"{name} {value}" for name, value in p.variant.differences().items())
        rows.append((f"Layer {number}", units + (f"; {variant}" if variant else "")))
    if network is not None and network.is_in_graph:
        names = network.graph.lstms  # type: ignore[attr-defined]
        rows.append(("Network", f"{counted(len(network.graph.nodes), 'operation')}, {counted(len(names), 'LSTM')}"))  # type: ignore[attr-defined]
    if network is not None and network.head is not None:
        rows += [("Dense layer", _sizes(layer)) for layer in network.hidden]
        rows.append(("Head", _sizes(network.head, "output") + _some(labels.outputs)))
        if network.skip:
            added = "the first feature is" if network.skip == 1 else f"the first {network.skip} features are"
            rows.append(("Skip connection", f"{added} added to the output"))
        reads = "every step" if network.reads == "every" else "the final states only"
        rows.append(("The head reads", reads))
    rows.append(("Parameters", f"{network.num_parameters if network is not None else parameters:,}"))
    rows.append(("Precision", lstm.output.dtype.name))
    if subject.series is not None:
        rows.append(("Windows", _windows_phrase(subject.series)))
    rows.append(("Steps", f"{lstm.num_steps:,}" + _span(subject)))
    rows.append(("Sequences", f"{lstm.batch_size:,}" + _some(labels.sequences)))
    if subject.valid is not None:
        rows.append(("Valid steps", f"{int(subject.valid.sum()):,} of {subject.valid.size:,}"))
    rows.append(("Engine", subject.first.engine))
    if edits := lstm.edits_said():
        rows.append(("Edits of the run", edits))
    return rows


def provenance(model: Any) -> list[tuple[str, str]]:
    """Return a report's facts about how it was made: the model's file and its digest, and the software."""
    rows = []
    if model.provenance is not None:
        attributes = model.provenance.attributes()
        rows = [("Model file", attributes["model_file"]), ("Its SHA-256", attributes["model_sha256"])]
    return [*rows, ("Made by", f"gatewise {gatewise_version()}; random numbers from seed 0")]


def _sizes(layer: Linear, noun: str = "unit") -> str:
    return counted(len(layer.weight), noun) + ("" if layer.activation is None else f", {layer.activation}")


def _some(names: Any, most: int = 8) -> str:
    """Return names in brackets; of many names, the first ones."""
    return "" if names is None else f" ({join_names(names, most=most + 1)})"


def _span(subject: ReportSubject) -> str:
    times = subject.labels.times
    return "" if times is None or not len(times) else f", {times[0]} to {times[-1]}"
