"""What a notebook shows of a record: words, a table and small pictures of its numbers, as static HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError, MissingExtraError
from gatewise.insight.answer import Answer, Table
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.network import Linear, Network, NetworkTrace
from gatewise.palette import PALETTE
from gatewise.parameters import Variant
from gatewise.plot.markup import column, numbers, paragraph, picture, record, strip, table, text
from gatewise.plot.svg import svg
from gatewise.records.lstm_trace import LSTMTrace
from gatewise.records.trace import Trace
from gatewise.showing import counted, pictured

NUMBERS = 200_000  # of a quantity, beyond which a sample of its steps is looked at
MOST_ROWS, MOST_COLUMNS, MOST_CELLS, MOST_NOTES = 8, 9, 16, 12
MOST_PICTURE = 100_000  # characters of a picture
ARROW = "→"


# A run.


def trace(given: Trace) -> str:
    """Return the HTML of the trace of a cell."""
    return record("Trace", _run(given), _variants([given.parameters.variant]), _quantities(given))


def _run(given: Trace) -> str:
    p, keep = given.parameters, given.keep
    said = f"of one cell, {given.direction}: {counted(given.num_steps, 'step')} of"
    said += f" {counted(given.batch_size, 'sequence')}, {counted(p.input_size, 'feature')} {ARROW}"
    said += f" {counted(p.hidden_size, 'unit')}, {p.dtype.name}, {text(given.engine)} engine, {text(keep)} kept."
    if given.valid is not None:
        said += f" {given.valid.mean() if given.valid.size else 0:.0%} of the steps are valid."
    if (features := given.labels.features) is not None:
        named = [
            f"{text(name, 30)}{f': {text(measure, 40)}' if (measure := given.labels.measures.get(name)) else ''}"
            for name in features[:6]
        ]
        said += f" Features: {'; '.join(named)}{'; …' if len(features) > 6 else ''}."
    if (times := given.labels.times) is not None and len(times):
        said += f" From {text(times[0], 30)} to {text(times[-1], 30)}."
    return said


def _quantities(given: Trace) -> str:
    names = given.distinct()
    if not names:
        return ""
    rows, sampled = [], 0
    for name in names:
        array = given.quantity(name)
        values, sampled = _sample(given, array)
        low, mean, high = _spread(values)
        drawn = strip(values[:, 0], f"{name.replace('_', ' ')} of some units over time") if values.size else ""
        rows.append([_named(name), text(array.shape), mean, low, high, drawn])
    shape = given.quantity(names[0]).shape
    units = min(4, shape[2])
    said = (
        f"Units × time: {counted(units, 'unit')} of sequence 0; dark is 0 and yellow 1, blue negative and red positive."
    )
    if sampled < shape[0]:
        said += f" Means and ranges are of a sample of {sampled:,} steps."
    heads = ["quantity", "shape", "mean", "least", "greatest", "units × time"]
    return table(heads, _aligned(rows, (2, 3, 4)), (2, 3, 4)) + paragraph(said, aside=True)


def _aligned(rows: list[list[Any]], places: tuple[int, ...]) -> Iterator[list[str]]:
    """Go through rows whose numbers at some places are written with as many decimals each."""
    texts = iter(numbers([row[place] for row in rows for place in places]))
    for row in rows:
        yield [next(texts) if place in places else one for place, one in enumerate(row)]


def _sample(given: Trace, array: Array) -> tuple[Array, int]:
    """Return some steps and sequences of a quantity (time, batch, ·), NaN where they are not valid, and how many steps.

    All of them where there are few; of a large one, which may lie in a file, no more than that is read.
    """
    steps, batch, units = array.shape
    sequences = np.unique(
        np.linspace(0, max(batch - 1, 0), min(batch, max(1, NUMBERS // (64 * max(units, 1))))).astype(int)
    )
    most = max(48, NUMBERS // max(1, len(sequences) * units))
    times = np.arange(steps) if steps <= most else np.linspace(0, steps - 1, most).astype(int)
    values = np.asarray(array[np.ix_(times, sequences)], np.float64)
    if given.valid is not None:
        values[~given.valid[:: given.keep.every][times][:, sequences]] = np.nan
    return values, len(times)


def _spread(values: Array) -> tuple[float, float, float]:
    found = values[~np.isnan(values)]
    return (float(found.min()), float(found.mean()), float(found.max())) if found.size else (np.nan, np.nan, np.nan)


def _named(quantity: str) -> str:
    colour = PALETTE[quantity if quantity in PALETTE else "hidden_state"].css
    return f'<span class="swatch" style="background:{colour}"></span>{text(quantity)}'


def lstm_trace(given: LSTMTrace) -> str:
    """Return the HTML of the trace of an LSTM."""
    return record("LSTMTrace", _whole_run(given), _cells_of_run(given))


def _whole_run(given: LSTMTrace) -> str:
    first = next(iter(given.layers[0].values()))
    said = f"of {counted(given.num_layers, 'layer')}, {' and '.join(given.directions)}: "
    said += f"{counted(given.num_steps, 'step')} of {counted(given.batch_size, 'sequence')}, {given.output.dtype.name},"
    return f"{said} {text(first.keep)} kept; output {text(given.output.shape)}."


def _cells_of_run(given: LSTMTrace) -> str:
    rows: list[list[Any]] = []
    for (layer, way), one in list(given.cells().items())[:MOST_CELLS]:
        name = next((name for name in ("forget_gate", *one.keep.quantities) if name in one.keep.quantities), None)
        p = one.parameters
        row = [f"[{layer}, {text(repr(way))}]", f"{p.input_size:,} {ARROW} {p.hidden_size:,}"]
        if name is None:
            rows.append([*row, "nothing", np.nan, np.nan, np.nan, ""])
            continue
        values, _ = _sample(one, one.quantity(name))
        low, mean, high = _spread(values)
        rows.append(
            [*row, _named(name), mean, low, high, strip(values[:, 0], f"{name} over time") if values.size else ""]
        )
    heads = ["cell", f"features {ARROW} units", "quantity", "mean", "least", "greatest", "units × time"]
    more = len(given.cells()) - MOST_CELLS
    after = paragraph(f"and {counted(more, 'more cell')}", aside=True) if more > 0 else ""
    return table(heads, _aligned(rows, (3, 4, 5)), (3, 4, 5)) + after


def network_trace(given: NetworkTrace) -> str:
    """Return the HTML of the trace of a network."""
    said = f"of {text(repr(given.network).strip('<>'), 300)}: {counted(given.lstm.num_steps, 'step')} of"
    said += f" {counted(given.lstm.batch_size, 'sequence')}, output {text(given.output.shape)}."
    return record("NetworkTrace", said, _cells_of_run(given.lstm))


# A model.


def lstm(given: LSTM) -> str:
    """Return the HTML of an LSTM."""
    return record("LSTM", _sizes(given), _variants([c.variant for row in given.layers for c in row]), _cells(given))


def _sizes(given: LSTM) -> str:
    said = f"{counted(given.input_size, 'feature')} {ARROW} {counted(given.output_size, 'output')}; "
    said += f"{counted(given.num_layers, 'layer')}, {' and '.join(given.directions)}"
    merges = ", ".join(dict.fromkeys(given.merge)) if given.bidirectional else ""
    said += f" (merged by {merges})" if merges else ""
    return f"{said}; {counted(given.num_parameters, 'parameter')}, {given.dtype.name}."


def _variants(variants: list[Variant]) -> str:
    said = dict.fromkeys(
        ", ".join(f"{name}={value}" for name, value in one.differences().items()) or "plain" for one in variants
    )
    return "" if list(said) == ["plain"] else paragraph(f"Variant: {text('; or '.join(said), 300)}.")


def _cells(given: LSTM) -> str:
    cells = list(given.cells().items())
    rows = []
    for (layer, way), cell in cells[:MOST_CELLS]:
        p = cell.parameters
        projected = "" if p.projection is None else f" {ARROW} {p.recurrent_size:,}"
        sizes = f"{p.input_size:,} {ARROW} {p.hidden_size:,}{projected}"
        rows.append([str(layer), text(way), sizes, f"{p.num_parameters:,}"])
    after = (
        paragraph(f"and {counted(len(cells) - MOST_CELLS, 'more cell')}", aside=True) if len(cells) > MOST_CELLS else ""
    )
    return table(["layer", "direction", f"features {ARROW} units", "parameters"], rows, (3,)) + after


def network(given: Network) -> str:
    """Return the HTML of a network."""
    reads = "every output" if given.reads == "every" else "the last state"
    said = f"{counted(given.num_parameters, 'parameter')}; its last part reads {reads}."
    rows = []
    if (words := given.embedding) is not None:
        rows.append(["embedding", f"{counted(len(words), 'token')} {ARROW} {words.shape[1]:,}"])
    if given.inputs is not None:
        rows.append(["inputs", "in physical units, which are scaled"])
    for branch in given.branches:
        sizes = [f"{len(branch.features):,}", *(_dense(layer) for layer in branch.layers)]
        rows.append(["features", f" {ARROW} ".join(sizes)])
    rows.append(["LSTM", _sizes(given.lstm)])
    for layer in given.dense:
        name = "head" if layer is given.head else "dense layer"
        rows.append([name, f"{layer.weight.shape[1]:,} {ARROW} {_dense(layer)}"])
    if given.skip:
        rows.append(["skip connection", f"the first {counted(given.skip, 'feature')} added"])
    if given.outputs is not None:
        rows.append(["outputs", "in physical units"])
    variants = _variants([cell.variant for row in given.lstm.layers for cell in row])
    return record("Network", said, table(["", ""], rows, wide=1), variants, _cells(given.lstm))


def _dense(layer: Linear) -> str:
    return f"{len(layer.weight):,}" + ("" if layer.activation is None else f", {text(layer.activation)}")


def found(given: Found) -> str:
    """Return the HTML of an LSTM that was found in a file."""
    rows = [
        ["what it is", _sizes(given.lstm)],
        ["stored as", text(given.convention, 300)],
        ["lies in", text(given.where, 300)],
    ]
    if given.state is not None:
        rows.append(["starts from", "an initial state that is in the file"])
    if given.batch_first is not None:
        rows.append(["axes", "batch, time, feature" if given.batch_first else "time, batch, feature"])
    if given.time_reversed:
        rows.append(["outputs", "its framework puts the last step first; here they are in the order of the input"])
    if given.masked:
        rows.append(["mask", f"arrives at it; at masked steps the output is {text(given.masked_output or 'not said')}"])
    notes = [*given.notes, *given.warns]
    rows += [["note", text(note, 300)] for note in notes[:MOST_NOTES]]
    rows += [["note", f"and {len(notes) - MOST_NOTES:,} more"]] if len(notes) > MOST_NOTES else []
    rows += [["not finite", text(bad, 300)] for bad in given.bad[:MOST_NOTES]]
    if untold := _untold(given):
        rows.append(["not said", f"{'; '.join(untold)}"])
    variants = _variants([cell.variant for row in given.lstm.layers for cell in row])
    return record("Found", text(given.name, 120), table(["", ""], rows, wide=1), variants, _cells(given.lstm))


def _untold(given: Found) -> list[str]:
    """Return what the file does not tell, in words."""
    untold = [] if given.batch_first is not None else ["whether its input has the batch first, or time"]
    if "Keras" in given.convention:
        untold += [] if given.masked is not None else ["whether a mask arrives at it"]
        untold += [] if given.masked_output is not None else ["what it returns at masked steps"]
    return untold


def contents(given: Contents) -> str:
    """Return the HTML of what is in a file."""
    rows = [[text(one.name), "LSTM", _sizes(one.lstm)] for one in given.found]
    rows += [[text(one.name), text(one.kind), text(one.shape) if one.shape else ""] for one in given.parts]
    rows += [[text(one.name), "cannot be read", text(one.reason, 300)] for one in given.refused]
    rows += [[text(name), "would be called by unpickling", "and is not called here"] for name in given.calls]
    said = f"of {text(given.path, 200)}: {text(given.format, 120)}"
    more = len(rows) - 2 * MOST_CELLS
    after = paragraph(f"and {more:,} more", aside=True) if more > 0 else ""
    shown = table(["name", "kind", "what it is"], rows[: 2 * MOST_CELLS], wide=2) if rows else ""
    return record("Contents", said, shown or paragraph(f"{text(given.holds, 120)}."), after)


# An answer.


def answer(given: Table) -> str:
    """Return the HTML of an answer, or of another table."""
    kind = type(given).__name__
    if not isinstance(given, Answer):
        return record(kind, "", _picture(given, kind), _rows(given))
    off = f" Residual: {given.residual:.1e}, relative to the sum of the absolute values of its terms."
    off = "" if np.isnan(given.residual) else " It holds exactly." if given.residual == 0 else off
    law = paragraph(f"Law: {text(given.law, 300)}.{off}", aside=True) if given.law else ""
    return record(kind, text(given.sentence, 1000), _picture(given, given.sentence), _rows(given), law)


def _rows(given: Table) -> str:
    columns = {name: np.asarray(one) for name, one in given.columns.items()}
    count = len(next(iter(columns.values()), ()))
    names = list(columns)[:MOST_COLUMNS]
    cells = [column(columns[name][:MOST_ROWS]) for name in names]
    flush = [place for place, (_, is_number) in enumerate(cells) if is_number]
    left_out = []
    if count > MOST_ROWS:
        left_out.append(f"{MOST_ROWS} of {count:,} rows")
    if len(columns) > MOST_COLUMNS:
        left_out.append(f"{MOST_COLUMNS} of {len(columns):,} columns")
    shown = table([text(name) for name in names], zip(*(texts for texts, _ in cells), strict=True), flush)
    return shown + (paragraph(f"{' and '.join(left_out)} are shown.", aside=True) if left_out else "")


def _picture(given: Table, sentence: str) -> str:
    """Return the picture of a record, where there is one and matplotlib is installed."""
    draw = pictured(given)
    if draw is None:
        return ""
    try:
        for dpi in (100, 50, 25):
            found = svg(lambda figure: draw(given, ax=figure), sentence, dpi=dpi)
            if len(found) <= MOST_PICTURE:
                return picture(found)
    except MissingExtraError:
        return ""
    except GatewiseError as why:
        return paragraph(f"There is no picture: {text(why, 300)}.", aside=True)
    return paragraph(f"Its picture is too large for a notebook: gatewise.plot.{draw.__name__} draws it.", aside=True)
