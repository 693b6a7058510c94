"""gatewise inspect: the contents of a file."""

from __future__ import annotations

import json as json_module
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from gatewise.activations import Activation
from gatewise.cli.models import FILE, FileSettings, inspect_file
from gatewise.errors import FileError, join_names, shown
from gatewise.examples import TRAINED
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.interop.ledger import LedgerEntry, grouped
from gatewise.showing import counted

OUTPUT = Group("Output", sort_key=2)
WIDTH = 80
MOST_DESCRIBED, MOST_LISTED = 2, 6  # LSTMs that a screen describes; items that it lists
MOST_DRAWN = 14  # lines of a drawing
CALLS = "What unpickling the file would have called (gatewise calls nothing in it)"
MOST_CALLS = 20  # of a pickle, that are listed
LONGEST = 120  # characters of a name in the file
ORDINARY = ("torch.", "numpy.", "collections.", "_codecs.")  # modules that tensors are made with
LSTMName = Annotated[str | None, Parameter(group=FILE, help="Which LSTM, if the file holds several.")]
ModelFile = Annotated[
    Path,
    Parameter(
        help="A model file or folder. Files of gatewise, PyTorch, NumPy, madmom, Keras and ONNX, JSON models, and"
        " folders of Hugging Face models and NeuralHydrology runs."
    ),
]


def inspect(
    file: ModelFile,
    /,
    *,
    settings: FileSettings | None = None,
    all: Annotated[bool, Parameter(group=OUTPUT)] = False,
    json: Annotated[bool, Parameter(group=OUTPUT)] = False,
) -> None:
    """List the LSTMs in a model file, and what else it holds.

    You see each LSTM's name, sizes, layers, directions, number of parameters and conventions, and how it differs from
    the plain cell. You also see what gatewise cannot read and why. gatewise needs no framework and never runs anything
    in the file.

    To compare a model with the outputs of its own framework, use gatewise verify. To check numbers that you worked out
    by hand, use gatewise check.

    For example:

        gatewise inspect model.onnx
        gatewise inspect model.pt --json

    For a pickle, gatewise lists the functions that unpickling would have called. The exit code is 1 if there is no
    LSTM.

    Parameters
    ----------
    all
        Show everything, also each tensor that is left out.
    json
        Print the same as JSON. Its keys are file, format, network (whether the file describes a whole network), layers
        (of a network that is read as a graph, a line for each), lstms, inputs, parts, refused, calls (what unpickling
        would have called) and ledger (each tensor, node, attribute and
        input of the file: name, kind, layer, and if it is left out reason, effect and the lstms concerned). An LSTM has
        name, input_size, hidden_size, output_size, num_layers, directions, merge, projection_size, layers (each with
        input_size, hidden_size and recurrent_size), variant (how it differs from the plain cell), num_parameters,
        dtype, convention, where, notes, initial_state, batch_first, time_reversed, masked, masked_output (Keras), graph
        (ONNX: which of the graph's inputs and outputs are x, lengths, h0, c0, y, hn and cn) and not_finite; an input of
        the whole model has name, shape, dtype and axes; a part has name, kind and shape; what is refused has name and
        reason.
    """
    contents = inspect_file(file, settings)
    if json:
        print(json_module.dumps(as_json(contents), indent=2))
    else:
        for line in lines(contents) if all else screen(contents):
            print(line)
    sys.exit(0 if contents.lstms else 1)


def as_json(contents: Contents) -> dict[str, Any]:
    """Return the contents of a file as plain data for `gatewise inspect --json`; `inspect` documents the keys."""
    return {
        "file": contents.path,
        "format": contents.format,
        "network": contents.network is not None,
        "layers": _layers_json(contents),
        "lstms": [_lstm_json(entry) for entry in contents.lstms],
        "inputs": [asdict(graph_input) for graph_input in contents.inputs],
        "parts": [{"name": part.name, "kind": part.kind, "shape": list(part.shape)} for part in contents.parts],
        "refused": [{"name": refused.name, "reason": refused.reason} for refused in contents.refused],
        "calls": list(contents.calls),
        "ledger": [entry._asdict() for entry in _ledger(contents)],
    }


def _layers_json(contents: Contents) -> list[str] | None:
    from gatewise.opening.graph_runs import graph_network_of  # which most files do without

    network = None if contents.graph is None else graph_network_of(contents)
    return None if network is None else [line.strip() for line in str(network).splitlines()]


def _lstm_json(entry: StoredLSTM) -> dict[str, Any]:
    """Return an LSTM in a file as plain data, as `gatewise inspect --json` prints it."""
    lstm = entry.lstm
    p = lstm.layers[0][0].parameters
    return {
        "name": entry.name,
        **{name: getattr(lstm, name) for name in ("input_size", "hidden_size", "output_size", "num_layers")},
        "directions": list(lstm.directions),
        "merge": list(lstm.merge) if lstm.bidirectional else None,
        "projection_size": None if p.projection is None else p.recurrent_size,
        "layers": [
            {name: getattr(row[0], name) for name in ("input_size", "hidden_size", "recurrent_size")}
            for row in lstm.layers
        ],
        "variant": {
            name: str(value) if isinstance(value, Activation) else value
            for name, value in p.variant.differences().items()
        },
        "num_parameters": lstm.num_parameters,
        "dtype": lstm.dtype.name,
        "convention": entry.convention,
        "where": entry.where,
        "notes": list(entry.notes),
        "initial_state": entry.state is not None,
        **{name: getattr(entry, name) for name in ("batch_first", "time_reversed", "masked", "masked_output")},
        "graph": None if entry.graph is None else asdict(entry.graph),
        "not_finite": list(entry.non_finite),
    }


def lines(contents: Contents) -> Iterator[str]:
    """Yield what `gatewise inspect` prints of a file, in lines of at most 80 columns; a longer word is not cut."""
    yield from wrapped(f"{contents.path}: {contents.format}", "", "  ")
    for entry in contents.lstms:
        yield ""
        yield from wrapped(entry.name, "", "  ")
        for head, text in _lstm_facts(entry):
            yield from wrapped(text, f"  {head:<13}", " " * 15)
        if entry.entries:
            yield from wrapped(_uses(entry.name, entry.entries), f"  {'uses':<13}", " " * 15)
    if contents.graph is not None:
        yield from _graph_lines(contents)
    if contents.inputs:
        yield ""
        yield "Inputs of the whole model"
        for graph_input in contents.inputs:
            axes = "" if graph_input.axes is None else f": the axes are {', '.join(graph_input.axes)}"
            yield from wrapped(f"{graph_input}, {graph_input.dtype or 'of any type'}{axes}", "  ", "      ")
    if not contents.lstms:
        yield ""
        instead = "" if contents.parts or contents.refused else f": {contents.holds}"
        yield from wrapped(f"It holds no LSTM that can be read{instead}.", "", "  ")
    if contents.parts:
        yield ""
        yield "Also in the file"
        for part in contents.parts:
            shape = f" ({', '.join(map(str, part.shape))})" if part.shape else ""
            uses = f": {_uses(part.name, part.entries)}" if part.entries else ""
            yield from wrapped(f"{part.name}: {part.kind}{shape}{uses}", "  ", "      ")
    if contents.refused:
        yield ""
        yield "What cannot be read"
        for refused in contents.refused:
            yield from wrapped(f"{refused.name}: {refused.reason}", "  ", "      ")
    yield from _left_out_lines(contents)
    if contents.calls:
        yield ""
        yield CALLS
        # Calls that have nothing to do with the storage of tensors come first.
        calls = sorted(contents.calls, key=lambda name: name.startswith(ORDINARY))
        for call in calls[:MOST_CALLS]:
            yield from wrapped(call, "  ", "      ")
        if len(calls) > MOST_CALLS:
            yield f"  and {len(calls) - MOST_CALLS:,} more, which --json lists"


def _graph_lines(contents: Contents) -> Iterator[str]:
    """Yield what `gatewise inspect` prints of a network that only a graph describes: its layers, or what is wrong."""
    if contents.is_only_a_graph:
        yield ""
        yield "The whole network"
        for line in _drawing(contents):
            yield from wrapped(line, "  ", "      ")


def _drawing(contents: Contents) -> list[str]:
    """Return the layers of a file's network as a person would draw them, or why it cannot be read."""
    from gatewise.interop.graph_networks import graph_network  # which most files do without

    try:
        if contents.is_only_a_graph:
            return [line.strip() for line in str(graph_network(contents)).splitlines()]
        if contents.network is None:
            return []
        layers, _, rest = str(contents.network()).strip("<>").partition(": ")[2].partition(", reads ")
        return [*layers.split(" -> "), *["of the last step alone"] * rest.startswith("last")]
    except FileError as problem:
        return [str(problem)]


def _shortened(drawn: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a drawing that fit a screen: inputs, LSTMs and outputs before other layers."""
    chosen = [n for n, line in enumerate(drawn) if "LSTM(" in line or ": input " in line or ": output, " in line]
    others = [n for n in range(len(drawn)) if n not in chosen]
    shown_lines = sorted([*chosen[:MOST_DRAWN], *others[: max(0, MOST_DRAWN - len(chosen))]])
    for before, number in pairwise([-1, *shown_lines, len(drawn)]):
        if number > before + 1:
            yield f"… {counted(number - before - 1, 'more line')}"
        if number < len(drawn):
            yield drawn[number]


def _ledger(contents: Contents) -> Sequence[LedgerEntry]:
    """Return the ledger of a file: of one that is a graph of operations, what no node of it uses is left out."""
    from gatewise.interop.graph_networks import graph_ledger  # which most files do without

    return graph_ledger(contents) if contents.is_only_a_graph else contents.ledger


def screen(contents: Contents) -> Iterator[str]:
    """Yield what `gatewise inspect` prints of a file on one screen."""
    example = next((name for name, files in TRAINED.items() if Path(contents.path) == files.model), None)
    source = contents.path if example is None else f"--example {example}"
    yield from wrapped(f"{contents.path}: {contents.format}", "", "  ")
    drawn = _drawing(contents)
    if drawn:
        yield ""
        yield "The network"
        for line in _shortened(drawn):
            yield from wrapped(line, "  ", "      ")
    for entry in contents.lstms if len(contents.lstms) <= MOST_DESCRIBED else ():
        yield ""
        yield from wrapped(entry.name, "", "  ")
        for head, text in _lstm_facts(entry):
            if head != "found in":
                yield from wrapped(text, f"  {head:<13}", " " * 15)
    if len(contents.lstms) > MOST_DESCRIBED:
        facts = [(entry, dict(_lstm_facts(entry))) for entry in contents.lstms]
        lines = [f"{entry.name}: {fact['sizes']}; layers: {fact['layers']}" for entry, fact in facts]
        yield from _listed(f"{len(contents.lstms)} LSTMs", lines)
    elif not contents.lstms:
        yield ""
        instead = "" if contents.parts or contents.refused else f": {contents.holds}"
        yield from wrapped(f"It holds no LSTM that can be read{instead}.", "", "  ")
    if not drawn:
        shapes = (f"{part.name}: {part.kind} ({', '.join(map(str, part.shape))})" for part in contents.parts)
        yield from _listed("Also in the file", shapes)
    yield from _listed("Cannot be read", (f"{refused.name}: {refused.reason}" for refused in contents.refused))
    groups = grouped((entry for entry in _ledger(contents) if entry.effect), "layer", "reason", "effect").items()
    lost = []
    for (layer, reason, effect), group in groups:
        names = join_names((shown(entry.name, 60) for entry in group), "and", most=3)
        lost.append(f"{names}: {reason}; {effect}" if layer in names else f"{layer}, {names}: {reason}; {effect}")
    yield from _listed("Left out, and it matters", lost)
    strange = [name for name in contents.calls if not name.startswith(ORDINARY)]
    yield from _listed(CALLS, strange)
    yield ""
    if contents.lstms:
        several = f" --name {contents.lstms[0].name!r}" if len(contents.lstms) > 1 and not drawn else ""
        yield f"Next: gatewise {_next_command(contents, source, example)}{several}"
    yield f"Everything in the file: gatewise inspect {source} --all"


def _next_command(contents: Contents, source: str, example: str | None) -> str:
    data = "" if example is not None else " x.csv"
    return f"trace {source}{data} -o trace.npz" if contents.is_only_a_graph else f"report {source}{data}"


def _listed(title: str, items: Iterable[str]) -> Iterator[str]:
    """Yield a title and items below it; nothing if there are none."""
    every = list(items)
    if every:
        yield ""
        yield title
    for item in every[:MOST_LISTED]:
        yield from wrapped(item, "  ", "      ")
    if len(every) > MOST_LISTED:
        yield f"  … and {len(every) - MOST_LISTED:,} more"


def _uses(layer: str, names: Sequence[str]) -> str:
    """Return the names of what a layer of a file is made of, without the prefix that is its own name."""
    short = (name.removeprefix(f"{layer}.").removeprefix(f"{layer}/") for name in names)
    return ", ".join(shown(name, LONGEST) for name in short)


def _left_out_lines(contents: Contents) -> Iterator[str]:
    """Yield what `gatewise inspect` prints of the ledger: how much is used, and what is left out, by layer."""
    ledger = _ledger(contents)
    left_out = [entry for entry in ledger if not entry.used]
    if not ledger:
        return
    kinds = Counter(entry.kind for entry in ledger)
    all_of_them = join_names([counted(count, kind) for kind, count in kinds.items()], "and")
    used = f"{len(ledger) - len(left_out):,}"
    yield ""
    sentence = f"Of {all_of_them}, {used} are used and {len(left_out):,} left out:" if left_out else ""
    yield from wrapped(sentence or f"Nothing is left out: {all_of_them}", "", "  ")
    for (layer, reason, effect), group in grouped(left_out, "layer", "reason", "effect").items():
        names = _uses(layer, [entry.name for entry in group])
        subject = f"{shown(layer, LONGEST)}: {names}" if layer and names != layer else names
        yield from wrapped(f"{subject}: {reason}{effect and f'; {effect}'}", "  ", "      ")


def _lstm_facts(entry: StoredLSTM) -> Iterator[tuple[str, str]]:
    """Yield what `gatewise inspect` prints about an LSTM in a file: a heading, and its text."""
    lstm = entry.lstm
    rows = [row[0] for row in lstm.layers]
    hidden = [f"{cell.hidden_size:,}" for cell in rows]
    units = counted(rows[0].hidden_size, "unit") if len(set(hidden)) == 1 else f"{', '.join(hidden)} units"
    yield "sizes", f"{counted(lstm.input_size, 'feature')} in, {units}, {lstm.output_size:,} out"
    directions = " and ".join(lstm.directions)
    merge = f", merge {', '.join(dict.fromkeys(lstm.merge))}" if lstm.bidirectional else ""
    yield "layers", f"{lstm.num_layers}, {directions}{merge}"
    if rows[0].parameters.projection is not None:
        yield "projection", f"to {counted(rows[0].recurrent_size, 'number')}"
    variants = dict.fromkeys(_variant(cell.variant) for row in lstm.layers for cell in row)
    if any(variants):
        yield "variant", "; or ".join(variant or "plain" for variant in variants)
    yield "parameters", f"{lstm.num_parameters:,}, {lstm.dtype.name}"
    yield "stored as", entry.convention
    yield "found in", entry.where
    if entry.state is not None:
        yield "starts from", "an initial state that is in the file"
    if entry.batch_first is not None:
        yield "axes", "batch, time, feature" if entry.batch_first else "time, batch, feature"
    if entry.time_reversed:
        yield "outputs", "its framework puts the last step first; here they are in the order of the input"
    for note in entry.notes:
        yield "note", note
    for bad in entry.non_finite:
        yield "not finite", bad


def _variant(variant: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in variant.differences().items())


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Return printed text in lines of 80 columns with these beginnings; a word is never cut."""
    from gatewise.render.text import clean
    from gatewise.walkthrough.numbers import GLUE

    text = clean(text) or "(no name)"
    if len(first) + len(text) <= WIDTH and GLUE not in text:  # as most are: textwrap takes 20 times as long
        return [first + text]
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
