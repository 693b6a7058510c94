"""gatewise trace: every gate of every step of an LSTM from a file, on an input from another."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Group, Parameter

from gatewise.arrays import time_first
from gatewise.cli import reading
from gatewise.cli.inspect import FILE, ModelFile, Settings, counted
from gatewise.cli.options import Count
from gatewise.errors import OptionError, ShapeError
from gatewise.interop.found import Contents, Found
from gatewise.keep import QUANTITIES, Keep
from gatewise.labels import Labels
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.lstm_trace import LSTMTrace
from gatewise.network import Network
from gatewise.storage import beside, npz_names, read_npz

INPUT = Group("The input", sort_key=2)
KEPT = Group("What is kept", sort_key=3)
LARGE = 64 * 2**20  # bytes from which on the size is said beforehand
LONG = 10.0  # seconds from which on they are said, too
RATE = 5e9  # additions and multiplications a second: what the native engine does on one core, about


def trace(
    file: ModelFile,
    input: Annotated[
        Path,
        Parameter(
            help="The input of the LSTM: a .npy, .npz or .csv file; integers if FILE holds a network with an embedding."
            " In a .csv file each row is a time step; the first line may name the features, and a first column called"
            " time or date gives the times. Columns are separated by tabs, semicolons or commas; between tabs or"
            " semicolons, a comma marks decimals."
        ),
    ],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=KEPT)],
    name: Annotated[str | None, Parameter(group=FILE)] = None,
    settings: Settings = None,
    axes: Annotated[str | None, Parameter(group=INPUT)] = None,
    key: Annotated[str | None, Parameter(group=INPUT)] = None,
    lengths: Annotated[str | None, Parameter(group=INPUT)] = None,
    state: Annotated[Path | None, Parameter(group=INPUT)] = None,
    keep: Annotated[str | None, Parameter(group=KEPT)] = None,
    units: Annotated[str | None, Parameter(group=KEPT)] = None,
    every: Annotated[Count, Parameter(group=KEPT)] = 1,
) -> None:
    """Run an LSTM over an input and write every gate of every step to a file.

    A .safetensors file is written while the LSTM runs, so it may be larger than memory; gatewise.load_trace reads it.
    An .npz file holds plain arrays of shape (time, batch, unit) under names such as layer0.forward.forget_gate, with
    the input, the output and the numbers of the steps that were kept.

    For example:

        gatewise trace model.pt x.csv -o trace.npz
        gatewise trace model.onnx x.npy -o trace.safetensors

    Parameters
    ----------
    output
        The file to write, .safetensors or .npz.
    name
        Which LSTM, if the file holds several.
    axes
        The order of the input's axes, for example batch,time,feature. The default is the order that FILE states, or
        else time,batch,feature. An input with two axes has no batch.
    key
        Which array of an .npz file, if it holds several.
    lengths
        The number of valid steps of each sequence in the batch, with commas between them; the rest is padding.
    state
        An .npz file with the initial states h0 and c0, stacked as in PyTorch and ONNX: (layers and directions, batch,
        unit). The default is the initial state in FILE, or else zeros.
    keep
        Keep only these quantities, with commas between them: input_gate, forget_gate, candidate, output_gate,
        cell_state, hidden_state, unprojected_state.
    units
        Keep only these hidden units, counted from 0, with commas between them.
    every
        Keep only every nth step.
    """
    from gatewise.render.text import clean

    if output.suffix.lower() not in (".safetensors", ".npz"):
        raise OptionError(f"the name of {output} must end in .safetensors or .npz")
    reading.require_other(output, file, input, state)
    contents, found = reading.picked(file, name, settings)
    given = reading.sequence(input, key)
    lstm = found.lstm
    names = reading.axes(axes, found.batch_first)
    column = input.suffix.lower() == ".csv" and given.values.shape[1] == 1
    x, masking = features(contents, found, given.values[:, 0] if column else given.values, names)
    batch = 1 if x.ndim == 2 else x.shape[1]
    counts = None if lengths is None else np.array(_integers("lengths", lengths))
    if counts is not None and x.ndim == 2:
        x = x[:, None]
    _require_finite(x, lstm, counts, input)
    start = _start(found, state, batch)
    if start is not None and x.ndim == 2:
        start = tuple(tuple(type(one)(one.h[0], one.c[0]) for one in row) for row in start)
    quantities = QUANTITIES if keep is None else tuple(part.strip() for part in keep.split(","))
    chosen = None if units is None else tuple(_integers("units", units))
    keeping = Keep(quantities, chosen, every)
    options: dict[str, Any] = {"keep": quantities, "units": chosen, "every": every}
    if keeping.everything:
        options = {}
    options |= masking if counts is None else {}
    options |= {"lengths": counts, "labels": _labels(given, lstm, len(x))}
    on_file = output.suffix.lower() == ".safetensors"
    kept = bytes_kept(lstm, keeping, len(x), batch, on_file=on_file)
    about = seconds(lstm, len(x), batch)
    if kept > LARGE or about > LONG:
        where = f", which are written to {output} as the run goes" if on_file else ""
        long = f", and takes about {about:.0f} s" if about > 1 else ""
        print(f"gatewise: this keeps {in_bytes(kept)} of {len(x):,} steps{where}{long}", file=sys.stderr)
    with waiting(about, f"{len(x):,} steps, {in_bytes(kept)}"):
        if on_file:
            made = lstm.trace(x, start, out=output, **options)
        else:
            with beside(output) as temporary, open(temporary, "wb") as target:  # before the run, which may be long
                made = lstm.trace(x, start, **options)
                np.savez(target, **npz_arrays(made))
    print(clean(f"{output}: {described(found.name, made, batch, every)}, {in_bytes(output.stat().st_size)}"))


def features(contents: Contents, found: Found, values: Any, names: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Return an input as (time, batch, feature), or (time, feature) where it has no batch; embedded where it must be.

    Where the file's network marks steps as not valid, the options of a run say which.

    Raises
    ------
    ShapeError
        If its sizes are others than the LSTM takes.
    OptionError
        If it does not hold integers where the network embeds them.
    """
    lstm, network = found.lstm, reading.network_of(contents, found)
    if network is not None and network.embedding is not None and not _are_features(values, lstm):
        tokens = reading.integers("the input", values)
        if tokens.ndim > 1:
            tokens = time_first(tokens, [one for one in names if one != "feature"], "the input")
        return network.embed(tokens)[0], _masking(network, tokens == network.masked)
    if values.ndim == 1:
        values = values[:, None] if lstm.input_size == 1 else values[None]
    order = names if values.ndim == 3 else tuple(one for one in names if one != "batch")
    x = time_first(values, order, "the input")
    if x.shape[-1] != lstm.input_size:
        raise ShapeError(
            f"the input has {counted(x.shape[-1], 'feature')}, on the axes {', '.join(order)} of its shape"
            f" {values.shape}; the LSTM takes {lstm.input_size}"
        )
    if network is None or network.masked is None or network.embedding is not None:
        return x, {}
    return x, _masking(network, (x == network.masked).all(-1))


def _masking(network: Network, masked: Any) -> dict[str, Any]:
    """Return the options of a run in which masked steps are not valid, where there are any."""
    if network.masked is None or not masked.any():
        return {}
    return {"mask": ~masked, "masked_output": network.masked_output}


def _are_features(values: Any, lstm: LSTM) -> bool:
    """Whether an input for a network with an embedding is what the embedding would give: not integers."""
    return values.ndim >= 2 and values.shape[-1] == lstm.input_size and bool((values != np.rint(values)).any())


def _require_finite(x: Any, lstm: LSTM, lengths: Any, path: Path) -> None:
    """Raise OptionError where a number is none, or too large for the LSTM's precision."""
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(np.asarray(x, lstm.dtype))
    if lengths is not None and lengths.shape == (x.shape[1],):
        bad &= (np.arange(len(x))[:, None] < lengths)[..., None]
    if bad.any():
        place = np.argwhere(bad)[0]
        sequence = f" of sequence {place[1]}" if x.ndim == 3 else ""
        raise OptionError(
            f"the input must hold finite numbers of {lstm.dtype}, but feature {place[-1]} of step {place[0]}{sequence}"
            f" (counted from 0) in {path} is {x[tuple(place)]}"
        )


def _start(found: Found, path: Path | None, batch: int) -> States | None:
    """Return the initial state (batch, ·) of a file, else that of the LSTM's own file."""
    if path is None:
        return reading.starting(found, batch)
    names = set(npz_names(path)) & {"h0", "c0"}
    if not names:
        raise OptionError(f"{path} must hold h0, c0 or both; it has {', '.join(npz_names(path)) or 'none'}")
    return initial(found.lstm, read_npz(path, sorted(names)), batch)


def initial(lstm: LSTM, arrays: dict[str, Any], batch: int) -> States:
    """Return the initial states of an .npz file; zeros for one that it does not hold."""
    zeros = lstm.zero_state(batch)
    given = reading.states(lstm, arrays.get("h0"), arrays.get("c0"), batch)
    return tuple(
        tuple(
            type(zero)(*(there if part is None else part for part, there in zip(one, zero, strict=True)))
            for one, zero in zip(row, blank, strict=True)
        )
        for row, blank in zip(given, zeros, strict=True)
    )


def _labels(given: reading.Given, lstm: LSTM, time: int) -> Labels | list[Labels] | None:
    """Return the names that came with the input, and those of the LSTM's own where it gave none."""
    heads = given.features if given.features is not None and len(given.features) == lstm.input_size else None
    times = given.times if given.times is not None and len(given.times) == time else None
    if heads is None and times is None:
        return None
    rest = Labels(None, None, None, times)
    return [Labels(heads, None, None, times), *[rest] * (lstm.num_layers - 1)]


def _integers(what: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"--{what} must be integers with commas between them, not {text!r}") from None


# What it takes.


def bytes_kept(lstm: LSTM, keep: Keep, time: int, batch: int, *, on_file: bool) -> int:
    """Return how many bytes a trace keeps; in a file, each cell's input is stored with what it kept."""
    apart = 2 if lstm.bidirectional and lstm.merge[-1] == "none" else 1
    count = time * batch * lstm.output_size * apart
    for number, row in enumerate(lstm.layers):
        for cell in row:
            if keep.everything and (on_file or (number == 0 and cell is row[0])):
                count += time * batch * cell.input_size
            shapes = keep.shapes(cell.parameters, time, batch)
            count += sum(int(np.prod([float(length) for length in shape])) for shape in shapes.values())
    return count * lstm.dtype.itemsize


def seconds(lstm: LSTM, time: int, batch: int) -> float:
    """Return about how long a run takes."""
    work = sum(8.0 * cell.parameters.weight.size / 4 for row in lstm.layers for cell in row)
    return time * batch * work / RATE


def in_bytes(count: float) -> str:
    """Return a number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


@contextmanager
def waiting(expected: float, what: str) -> Iterator[None]:
    """Show on a terminal that work is going on, and since when, where it takes more than about a second."""
    if expected < 1 or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(f"tracing {what}", total=None)
        yield


# What comes of it.


def npz_arrays(trace: LSTMTrace) -> dict[str, Any]:
    """Return the arrays of a trace by plain names."""
    arrays: dict[str, Any] = {"output": trace.output}
    for number, layer in enumerate(trace.layers):
        for direction, cell in layer.items():
            start = f"layer{number}.{direction}."
            for name in cell.keep.quantities:
                projected = "unprojected_state" in cell.arrays or "hidden_state" not in cell.keep.quantities
                if name != "unprojected_state" or projected:
                    arrays[start + name] = cell.quantity(name)
            for when in ("initial", "final"):
                state = getattr(cell, when)
                arrays |= {f"{start}{when}_hidden_state": state.h, f"{start}{when}_cell_state": state.c}
    first = next(iter(trace.layers[0].values()))
    arrays["steps"] = np.arange(0, first.num_steps, first.keep.every)
    if first.input is not None:
        arrays["input"] = first.input
    if first.valid is not None:
        arrays["valid"] = first.valid
    if first.keep.units is not None:
        arrays["units"] = np.array(first.keep.units)
    for what in ("features", "units", "sequences", "times"):
        if (names := getattr(first.labels, what)) is not None:
            arrays[f"names.{what}"] = np.array(names, dtype=np.str_)
    return arrays


def described(name: str, trace: LSTMTrace, sequences: int, every: int) -> str:
    """Say in words what a trace holds."""
    first: Any = next(iter(trace.layers[0].values()))
    said = [f"{name}, {counted(len(trace.layers), 'layer')}, {' and '.join(trace.directions)}"]
    said.append(f"{counted(first.num_steps, 'step')} of {counted(sequences, 'sequence')}")
    if every > 1:
        said.append(f"one step in {every:,} kept")
    kept: Sequence[str] = first.keep.quantities
    if kept != QUANTITIES:
        said.append(", ".join(kept))
    if first.keep.units is not None:
        said.append(f"{len(first.keep.units)} of {first.parameters.hidden_size:,} units")
    return ", ".join(said)
