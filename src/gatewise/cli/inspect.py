"""gatewise inspect: what is in a file."""

from __future__ import annotations

import json as json_module
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from gatewise.activations import Activation
from gatewise.cli import reading
from gatewise.interop.found import Contents, Found

FILE = Group("The file", sort_key=1)
WIDTH = 80
Settings = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        group=FILE,
        help="What the file leaves out, as NAME=VALUE, for instance recurrent_activation=hard_sigmoid:0.2,0.5; the"
        " error for a wrong name says which there are. It can be given several times.",
    ),
]


def inspect(
    file: Annotated[Path, Parameter(help="Of gatewise, PyTorch, Keras, ONNX, or a JSON model.")],
    *,
    settings: Settings = None,
    json: Annotated[bool, Parameter(group=Group("The page", sort_key=2), negative="")] = False,
) -> None:
    """List every LSTM in a file, what else in it matters, and what cannot be read and why.

    No framework is needed. Of an LSTM: its name, its sizes, layers and directions, the switches in which it differs
    from the plain cell, how many numbers it has, and the conventions that it was stored in.

    Parameters
    ----------
    json
        Print the same as JSON, whose keys stay: file, format, network (whether the file tells the way through a whole
        network), lstms, parts, refused. An LSTM has name, input_size, hidden_size, output_size, num_layers,
        directions, merge, projection_size, layers (of each its input_size, hidden_size, recurrent_size), variant (the
        switches that differ from the plain cell), parameters, dtype, convention, where, notes, initial_state,
        batch_first, time_reversed, masked, masked_output, graph (of ONNX: which inputs and outputs of the graph are x,
        lengths, h0, c0, y, hn, cn) and not_finite; a part has name, kind and shape, what is refused name and reason.
    """
    contents = reading.inspected(file, settings)
    if json:
        print(json_module.dumps(as_json(contents), indent=2))
        return
    for line in lines(contents):
        print(line)


def as_json(contents: Contents) -> dict[str, Any]:
    """Return what is in a file as plain data; `inspect` documents the keys."""
    return {
        "file": contents.path,
        "format": contents.format,
        "network": contents.network is not None,
        "lstms": [_as_json(one) for one in contents.found],
        "parts": [{"name": one.name, "kind": one.kind, "shape": list(one.shape)} for one in contents.parts],
        "refused": [{"name": one.name, "reason": one.reason} for one in contents.refused],
    }


def _as_json(found: Found) -> dict[str, Any]:
    lstm = found.lstm
    p = lstm.layers[0][0].parameters
    return {
        "name": found.name,
        "input_size": lstm.input_size,
        "hidden_size": lstm.hidden_size,
        "output_size": lstm.output_size,
        "num_layers": lstm.num_layers,
        "directions": list(lstm.directions),
        "merge": list(lstm.merge) if lstm.bidirectional else None,
        "projection_size": None if p.projection is None else p.recurrent_size,
        "layers": [
            {
                "input_size": row[0].input_size,
                "hidden_size": row[0].hidden_size,
                "recurrent_size": row[0].recurrent_size,
            }
            for row in lstm.layers
        ],
        "variant": {
            name: str(value) if isinstance(value, Activation) else value
            for name, value in p.variant.differences().items()
        },
        "parameters": lstm.num_parameters,
        "dtype": lstm.dtype.name,
        "convention": found.convention,
        "where": found.where,
        "notes": list(found.notes),
        "initial_state": found.state is not None,
        "batch_first": found.batch_first,
        "time_reversed": found.time_reversed,
        "masked": found.masked,
        "masked_output": found.masked_output,
        "graph": None if found.graph is None else asdict(found.graph),
        "not_finite": list(found.bad),
    }


def lines(contents: Contents) -> Iterator[str]:
    """Return what is in a file as lines of at most 80 columns, but for words that are longer."""
    yield from wrapped(f"{contents.path}: {contents.format}", "", "  ")
    for found in contents.found:
        yield ""
        yield from wrapped(found.name, "", "  ")
        for head, text in _facts(found):
            yield from wrapped(text, f"  {head:<13}", " " * 15)
    if not contents.found:
        yield ""
        nothing = "" if contents.parts or contents.refused else ", and no weights of another kind"
        yield f"It holds no LSTM that can be read{nothing}."
    if contents.parts:
        yield ""
        yield "Also in the file"
        for part in contents.parts:
            shape = f" ({', '.join(map(str, part.shape))})" if part.shape else ""
            yield from wrapped(f"{part.name}: {part.kind}{shape}", "  ", "      ")
    if contents.refused:
        yield ""
        yield "What cannot be read"
        for refused in contents.refused:
            yield from wrapped(f"{refused.name}: {refused.reason}", "  ", "      ")


def _facts(found: Found) -> Iterator[tuple[str, str]]:
    lstm = found.lstm
    rows = [row[0] for row in lstm.layers]
    hidden = [f"{cell.hidden_size:,}" for cell in rows]
    units = hidden[0] if len(set(hidden)) == 1 else ", ".join(hidden)
    yield "sizes", f"{_count(lstm.input_size, 'feature')} in, {units} units, {lstm.output_size:,} out"
    ways = " and ".join(lstm.directions)
    merge = ""
    if lstm.bidirectional:
        merges = dict.fromkeys(lstm.merge)
        merge = f", merge {', '.join(merges)}"
    yield "layers", f"{lstm.num_layers}, {ways}{merge}"
    if rows[0].parameters.projection is not None:
        yield "projection", f"to {_count(rows[0].recurrent_size, 'number')}"
    variants = dict.fromkeys(_variant(cell.variant) for row in lstm.layers for cell in row)
    if any(variants):
        yield "variant", "; or ".join(said or "plain" for said in variants)
    yield "parameters", f"{lstm.num_parameters:,}, {lstm.dtype.name}"
    yield "stored as", found.convention
    yield "lies in", found.where
    if found.state is not None:
        yield "starts from", "an initial state that is in the file"
    if found.batch_first is not None:
        yield "axes", "batch, time, feature" if found.batch_first else "time, batch, feature"
    if found.time_reversed:
        yield "outputs", "its framework has the last step first; here they are in the input's time"
    for note in found.notes:
        yield "note", note
    for bad in found.bad:
        yield "not finite", bad


def _variant(variant: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in variant.differences().items())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Return text in lines of 80 columns that begin as given; a word is never cut."""
    from gatewise.render.text import clean

    return textwrap.wrap(
        clean(text) or "(no name)",
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
