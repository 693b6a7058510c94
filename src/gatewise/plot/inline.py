"""HTML of records for notebooks: a sentence, a table and small pictures of the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError, MissingExtraError
from gatewise.insight.answer import Answer, Table
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.layers import LSTM
from gatewise.network import Linear, Network, NetworkTrace
from gatewise.opening.runs import OpenedRun
from gatewise.palette import PALETTE
from gatewise.parameters import Variant
from gatewise.plot.markup import column, numbers, paragraph, picture, record_block, strip, table, text
from gatewise.plot.svg import svg
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted, inline, pictured

NUMBERS = 200_000  # of a quantity, above which only a sample of its steps is read
MOST_ROWS, MOST_COLUMNS, MOST_CELLS, MOST_NOTES = 8, 9, 16, 12
MOST_NOTE = 500  # characters
MOST_PICTURE = 100_000  # characters of a picture
ARROW = "→"


# A run.


def trace_html(trace: Trace) -> str:
    """Return the HTML of the trace of a cell."""
    return record_block(
        "Trace", _trace_sentence(trace), _variants_paragraph([trace.parameters.variant]), _quantity_table(trace)
    )


def _trace_sentence(trace: Trace) -> str:
    """Return the HTML sentence that describes a cell's trace in a notebook: sizes, engine, features and times."""
    p, keep = trace.parameters, trace.keep
    sentence = f"of one cell, {trace.direction}: {counted(trace.num_steps, 'step')} of"
    sentence += f" {counted(trace.batch_size, 'sequence')}, {counted(p.input_size, 'feature')} {ARROW}"
    sentence += f" {counted(p.hidden_size, 'unit')}, {p.dtype.name}, {text(trace.engine)} engine, {text(keep)} kept."
    if trace.valid is not None:
        sentence += f" {trace.valid.mean() if trace.valid.size else 0:.0%} of the steps are valid."
    if (features := trace.labels.features) is not None:
        named = [
            f"{text(name, 30)}{f': {text(measure, 40)}' if (measure := trace.labels.measures.get(name)) else ''}"
            for name in features[:6]
        ]
        sentence += f" Features: {'; '.join(named)}{'; …' if len(features) > 6 else ''}."
    if (times := trace.labels.times) is not None and len(times):
        sentence += f" From {text(times[0], 30)} to {text(times[-1], 30)}."
    return sentence


def _quantity_table(trace: Trace) -> str:
    """Return the HTML table of a trace's quantities in a notebook: shapes, means, ranges and strips."""
    names = trace.distinct()
    if not names:
        return ""
    rows, sample_size = [], 0
    for name in names:
        cells, sample_size = _quantity_summary(trace, name, f"{name.replace('_', ' ')} of some units over time")
        rows.append([_quantity_label(name), text(trace.quantity(name).shape), *cells])
    shape = trace.quantity(names[0]).shape
    units = min(4, shape[-1])
    sentence = (
        f"Units × time: {counted(units, 'unit')} of sequence 0; dark is 0 and yellow 1, blue negative and red positive."
    )
    if sample_size < shape[0]:
        sentence += f" Means and ranges are of a sample of {sample_size:,} steps."
    heads = ["quantity", "shape", "mean", "least", "greatest", "units × time"]
    return table(heads, _align_numbers(rows, (2, 3, 4)), (2, 3, 4)) + paragraph(sentence, aside=True)


def _quantity_summary(trace: Trace, name: str, title: str) -> tuple[list[Any], int]:
    """Return the mean, least and greatest value of a quantity, an HTML strip of some units, and the steps read."""
    values, sample_size = _sample_quantity(trace, trace.stored.quantity(name))
    finite = values[~np.isnan(values)]
    low, mean, high = (float(finite.min()), float(finite.mean()), float(finite.max())) if finite.size else (np.nan,) * 3
    return [mean, low, high, strip(values[:, 0], title) if values.size else ""], sample_size


def _more(count: int, noun: str) -> str:
    """Return the line below a table that leaves out some rows."""
    return paragraph(f"and {counted(count, noun)}", aside=True) if count > 0 else ""


def _align_numbers(rows: list[list[Any]], places: tuple[int, ...]) -> Iterator[list[str]]:
    """Yield the rows of the HTML table below a picture in a notebook; the numbers at `places` get equal decimals."""
    texts = iter(numbers([row[place] for row in rows for place in places]))
    for row in rows:
        yield [next(texts) if place in places else cell for place, cell in enumerate(row)]


def _sample_quantity(trace: Trace, array: Array) -> tuple[Array, int]:
    """Return a sample of a quantity (time, batch, ·), NaN at invalid steps, and the number of its steps.

    A small quantity is returned whole. Of a large one, which may be on disk, no more than the sample is read.
    """
    steps, batch, units = array.shape
    sequences = np.unique(
        np.linspace(0, max(batch - 1, 0), min(batch, max(1, NUMBERS // (64 * max(units, 1))))).astype(int)
    )
    most = max(48, NUMBERS // max(1, len(sequences) * units))
    times = np.arange(steps) if steps <= most else np.linspace(0, steps - 1, most).astype(int)
    values = np.asarray(array[np.ix_(times, sequences)], np.float64)
    if trace.valid is not None:
        values[~trace.valid[:: trace.keep.every][times][:, sequences]] = np.nan
    return values, len(times)


def _quantity_label(quantity: str) -> str:
    colour = PALETTE[quantity if quantity in PALETTE else "hidden_state"].css
    return f'<span class="swatch" style="background:{colour}"></span>{text(quantity)}'


def opened_run_html(run: OpenedRun) -> str:
    """Return the HTML of a run with its provenance: what is known of it, and its trace."""
    notes = [paragraph(f"{text(note[:1].upper() + note[1:], MOST_NOTE)}.", aside=True) for note in run.sentences]
    kind = "its LSTM" if run.trace.network is None else "its network"
    return record_block("OpenedRun", f"of {text(run.name)}, with the trace of {kind}.", *notes) + inline(run.trace)


def lstm_trace_html(trace: LSTMTrace) -> str:
    """Return the HTML of the trace of an LSTM."""
    return record_block("LSTMTrace", _lstm_trace_sentence(trace), _table_of_cell_runs(trace))


def _lstm_trace_sentence(trace: LSTMTrace) -> str:
    """Return the HTML sentence that describes an LSTM's trace in a notebook: layers, steps and output."""
    first = trace.first
    sentence = f"of {counted(trace.num_layers, 'layer')}, {' and '.join(trace.directions)}: "
    sentence += f"{counted(trace.num_steps, 'step')} of {counted(trace.batch_size, 'sequence')}"
    return f"{sentence}, {trace.output.dtype.name}, {text(first.keep)} kept; output {text(trace.output.shape)}."


def _table_of_cell_runs(trace: LSTMTrace) -> str:
    rows: list[list[Any]] = []
    for (layer, direction), cell in list(trace.cells().items())[:MOST_CELLS]:
        name = next((name for name in ("forget_gate", *cell.keep.quantities) if name in cell.keep.quantities), None)
        p = cell.parameters
        row = [f"[{layer}, {text(repr(direction))}]", f"{p.input_size:,} {ARROW} {p.hidden_size:,}"]
        if name is None:
            rows.append([*row, "nothing", np.nan, np.nan, np.nan, ""])
            continue
        rows.append([*row, _quantity_label(name), *_quantity_summary(cell, name, f"{name} over time")[0]])
    heads = ["cell", f"features {ARROW} units", "quantity", "mean", "least", "greatest", "units × time"]
    after = _more(len(trace.cells()) - MOST_CELLS, "more cell")
    return table(heads, _align_numbers(rows, (3, 4, 5)), (3, 4, 5)) + after


def network_trace_html(trace: NetworkTrace) -> str:
    """Return the HTML of a network's trace, for a notebook."""
    sentence = f"of {text(repr(trace.network).strip('<>'), 300)}: {counted(trace.lstm.num_steps, 'step')} of"
    sentence += f" {counted(trace.lstm.batch_size, 'sequence')}, output {text(trace.output.shape)}."
    return record_block("NetworkTrace", sentence, _table_of_cell_runs(trace.lstm))


# A model.


def lstm_html(lstm: LSTM) -> str:
    """Return the HTML of an LSTM."""
    return record_block("LSTM", _lstm_sizes(lstm), *_cells_of_lstm(lstm))


def _lstm_sizes(lstm: LSTM) -> str:
    sentence = f"{counted(lstm.input_size, 'feature')} {ARROW} {counted(lstm.output_size, 'output')}; "
    sentence += f"{counted(lstm.num_layers, 'layer')}, {' and '.join(lstm.directions)}"
    merges = ", ".join(dict.fromkeys(lstm.merge)) if lstm.bidirectional else ""
    sentence += f" (merged by {merges})" if merges else ""
    return f"{sentence}; {counted(lstm.num_parameters, 'parameter')}, {lstm.dtype.name}."


def _variants_paragraph(variants: list[Variant]) -> str:
    """Return the HTML paragraph that names the cell variants of an LSTM; empty if all are plain."""
    kinds = dict.fromkeys(
        ", ".join(f"{name}={value}" for name, value in variant.differences().items()) or "plain" for variant in variants
    )
    return "" if list(kinds) == ["plain"] else paragraph(f"Variant: {text('; or '.join(kinds), 300)}.")


def _cells_of_lstm(lstm: LSTM) -> tuple[str, str]:
    cells = list(lstm.cells().items())
    rows = []
    for (layer, direction), cell in cells[:MOST_CELLS]:
        p = cell.parameters
        projected = "" if p.projection is None else f" {ARROW} {p.recurrent_size:,}"
        sizes = f"{p.input_size:,} {ARROW} {p.hidden_size:,}{projected}"
        rows.append([str(layer), text(direction), sizes, f"{p.num_parameters:,}"])
    after = _more(len(cells) - MOST_CELLS, "more cell")
    listing = table(["layer", "direction", f"features {ARROW} units", "parameters"], rows, (3,))
    return _variants_paragraph([cell.variant for _, cell in cells]), listing + after


def network_html(network: Network) -> str:
    """Return the HTML of a network in a notebook: its parts and their sizes."""
    reads = "every output" if network.reads == "every" else "the last state"
    sentence = f"{counted(network.num_parameters, 'parameter')}; its last part reads {reads}."
    rows = []
    if (words := network.embedding) is not None:
        rows.append(["embedding", f"{counted(len(words), 'token')} {ARROW} {words.shape[1]:,}"])
    if network.inputs is not None:
        rows.append(["inputs", "in physical units, which are scaled"])
    for branch in network.branches:
        sizes = [f"{len(branch.features):,}", *(_dense(layer) for layer in branch.layers)]
        rows.append(["features", f" {ARROW} ".join(sizes)])
    rows.append(["LSTM", _lstm_sizes(network.lstm)])
    for layer in network.dense:
        name = "head" if layer is network.head else "dense layer"
        rows.append([name, f"{layer.weight.shape[1]:,} {ARROW} {_dense(layer)}"])
    if network.skip:
        rows.append(["skip connection", f"the first {counted(network.skip, 'feature')} added"])
    if network.outputs is not None:
        rows.append(["outputs", "in physical units"])
    return record_block("Network", sentence, table(["", ""], rows, wide=1), *_cells_of_lstm(network.lstm))


def _dense(layer: Linear) -> str:
    return f"{len(layer.weight):,}" + ("" if layer.activation is None else f", {text(layer.activation)}")


def found_html(entry: StoredLSTM) -> str:
    """Return the HTML of an LSTM found in a model file, for a notebook."""
    rows = [
        ["sizes", _lstm_sizes(entry.lstm)],
        ["stored as", text(entry.convention, 300)],
        ["place", text(entry.where, 300)],
    ]
    if entry.state is not None:
        rows.append(["initial state", "in the file"])
    if entry.batch_first is not None:
        rows.append(["axes", "batch, time, feature" if entry.batch_first else "time, batch, feature"])
    if entry.time_reversed:
        rows.append(["outputs", "its framework puts the last step first; here they are in the order of the input"])
    if entry.masked:
        rows.append(
            ["mask", f"arrives at the LSTM; at masked steps the output is {text(entry.masked_output or 'unknown')}"]
        )
    notes = [*entry.notes, *entry.warns]
    rows += [["note", text(note, 300)] for note in notes[:MOST_NOTES]]
    rows += [["note", f"and {len(notes) - MOST_NOTES:,} more"]] if len(notes) > MOST_NOTES else []
    rows += [["not finite", text(bad, 300)] for bad in entry.non_finite[:MOST_NOTES]]
    if unknown := _unknown_properties(entry):
        rows.append(["unknown", "; ".join(unknown)])
    return record_block("StoredLSTM", text(entry.name, 120), table(["", ""], rows, wide=1), *_cells_of_lstm(entry.lstm))


def _unknown_properties(entry: StoredLSTM) -> list[str]:
    unknown = [] if entry.batch_first is not None else ["whether its input has the batch first, or time"]
    if "Keras" in entry.convention:
        unknown += [] if entry.masked is not None else ["whether a mask arrives at the LSTM"]
        unknown += [] if entry.masked_output is not None else ["its output at masked steps"]
    return unknown


def contents_html(contents: Contents) -> str:
    """Return the HTML of the contents of a model file, for a notebook."""
    rows = [[text(entry.name), "LSTM", _lstm_sizes(entry.lstm)] for entry in contents.lstms]
    rows += [[text(part.name), text(part.kind), text(part.shape) if part.shape else ""] for part in contents.parts]
    rows += [[text(entry.name), "cannot be read", text(entry.reason, 300)] for entry in contents.refused]
    rows += [[text(entry.name), "left out", text(entry.reason, 300)] for entry in contents.ledger if not entry.used]
    rows += [[text(name), "would be called by unpickling", "and is not called here"] for name in contents.calls]
    sentence = f"of {text(contents.path, 200)}: {text(contents.format, 120)}"
    more = len(rows) - 2 * MOST_CELLS
    after = paragraph(f"and {more:,} more", aside=True) if more > 0 else ""
    listing = table(["name", "kind", "content"], rows[: 2 * MOST_CELLS], wide=2) if rows else ""
    return record_block("Contents", sentence, listing or paragraph(f"{text(contents.holds, 120)}."), after)


# An answer.


def table_html(record: Table) -> str:
    """Return the HTML of an answer or another table, for a notebook."""
    kind = type(record).__name__
    if not isinstance(record, Answer):
        return record_block(kind, "", _inline_picture(record, kind), _table_rows(record))
    residual = f" Residual: {record.residual:.1e}, relative to the sum of the absolute values of its terms."
    residual = "" if np.isnan(record.residual) else " It holds exactly." if record.residual == 0 else residual
    law = paragraph(f"Law: {text(record.law, 300)}.{residual}", aside=True) if record.law else ""
    return record_block(
        kind, text(record.sentence, 1000), _inline_picture(record, record.sentence), _table_rows(record), law
    )


def _table_rows(record: Table) -> str:
    columns = {name: np.asarray(values) for name, values in record.columns.items()}
    count = len(next(iter(columns.values()), ()))
    names = list(columns)[:MOST_COLUMNS]
    cells = [column(columns[name][:MOST_ROWS]) for name in names]
    flush = [place for place, (_, is_number) in enumerate(cells) if is_number]
    left_out = []
    if count > MOST_ROWS:
        left_out.append(f"{MOST_ROWS} of {count:,} rows")
    if len(columns) > MOST_COLUMNS:
        left_out.append(f"{MOST_COLUMNS} of {len(columns):,} columns")
    rows = table([text(name) for name in names], zip(*(texts for texts, _ in cells), strict=True), flush)
    return rows + (paragraph(f"{' and '.join(left_out)} are shown.", aside=True) if left_out else "")


def _inline_picture(record: Table, sentence: str) -> str:
    """Return an answer's picture as inline SVG for a notebook; empty if it has none or matplotlib is missing."""
    draw = pictured(record)
    if draw is None:
        return ""
    try:
        for dpi in (100, 50, 25):
            drawing = svg(lambda figure: draw(record, ax=figure), sentence, dpi=dpi)
            if len(drawing) <= MOST_PICTURE:
                return picture(drawing)
    except MissingExtraError:
        return ""
    except GatewiseError as problem:
        return paragraph(f"There is no picture: {text(problem, 300)}.", aside=True)
    return paragraph(f"Its picture is too large for a notebook: gatewise.plot.{draw.__name__} draws it.", aside=True)
