"""gatewise trace on a zarr store: a model over all sequences of a variable, chunk by chunk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import in_bytes
from gatewise.cli.estimates import announce_cost
from gatewise.cli.printing import print_notes
from gatewise.cli.typed_numbers import integers
from gatewise.errors import CapacityError, OptionError, shown
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.opening.costs import bytes_kept, seconds
from gatewise.opening.labelled_data import dimension_names, feature_names, open_store
from gatewise.opening.models import OpenedModel, opened_model
from gatewise.opening.states import file_state, initial_state, read_state_arrays, without_batch
from gatewise.records.keep import EVERYTHING, Keep
from gatewise.showing import counted

CHUNK = 2**27  # bytes of what a chunk keeps, about
SHARE = 4  # chunks for each worker at least, so that none has nothing left to do for long


@dataclass(frozen=True)
class StoreOptions:
    """The options of the command that a store takes.

    Attributes
    ----------
    key, axes, lengths, layers, cluster : str or None
    state : path or None
    keep : Keep
    """

    key: str | None = None
    axes: str | None = None
    lengths: str | None = None
    layers: str | None = None
    cluster: str | None = None
    state: Path | None = None
    keep: Keep = EVERYTHING


def trace_store(contents: Contents, entry: Found, source: Path, target: Path, options: StoreOptions) -> str:
    """Run a model over a variable of one store, write its trace to another, and return a line that describes it.

    Raises
    ------
    GatewiseError
        If a store cannot be read or written, or the variable does not fit the model.
    """
    from gatewise.chunked.applying import apply
    from gatewise.chunked.computing import workers_at, write
    from gatewise.engine import engines

    data = open_store(source, options.key)
    dims = dimension_names(data, options.axes, source)
    opened = opened_model(contents, entry)
    print_notes(opened.notes)
    model = _model(opened, data, dims)
    _require_features(model, data, dims, source)
    layers = None if options.layers is None else integers("layers", options.layers)
    keep = options.keep
    with workers_at(options.cluster, max(engine.threads for engine in engines())) as workers:
        data, chunks = _chunked(data, dims, entry.lstm, keep, workers.threads)
        result = apply(
            model,
            data,
            keep=None if keep.everything else keep.quantities,
            units=keep.units,
            every=keep.every,
            layer=-1 if layers is None else layers if len(layers) > 1 else layers[0],
            lengths=None if options.lengths is None else np.array(integers("lengths", options.lengths)),
            state=_state(opened, model, options.state),
            dims=dims,
        )
        steps, sequences = data.sizes[dims["time"]], _sequences(data, dims)
        size = sum(variable.nbytes for variable in result.values())
        _require_room(target, size)
        extent = f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} in {counted(chunks, 'chunk')}"
        duration = seconds(entry.lstm, steps, sequences) / workers.threads
        work = f"this keeps {in_bytes(size)} of {extent}, which are written to {target} as the run goes"
        announce_cost(work, duration, size)
        write(result, target.absolute(), workers, f"tracing {extent}")
    variables = ", ".join(map(str, result.data_vars))
    written = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return f"{target}: {entry.name}, {extent}, {variables}, {in_bytes(written)}"


def _model(opened: OpenedModel, data: Any, dims: dict[str, str]) -> LSTM | Network:
    """Return the network if the file describes one, unless the data can only be the input of its LSTM.

    If both have names of features, the network takes those that it reads, or says which are missing.
    """
    lstm, network = opened.lstm, opened.network
    if network is None or (network.embedding is not None and "feature" in dims):
        return lstm
    named = network.labels.features is not None and feature_names(data, dims.get("feature", "")) is not None
    if "feature" not in dims or named:
        return network
    return lstm if data.sizes[dims["feature"]] == lstm.input_size != network.num_features else network


def _require_features(model: LSTM | Network, data: Any, dims: dict[str, str], source: Path) -> None:
    """Raise OptionError where a model reads features, and none of the dimensions is said to be theirs."""
    if "feature" not in dims and (isinstance(model, LSTM) or model.embedding is None):
        kinds = ",".join("time" if name == dims["time"] else "feature" for name in data.dims[:2])
        reads = model.num_features if isinstance(model, Network) else model.input_size
        raise OptionError(
            f"the model reads {counted(reads, 'feature')}, and none of the dimensions of {shown(str(data.name))!r} in"
            f" {source}, {shown(', '.join(map(str, data.dims)))}, is called feature: --axes says which one is, for"
            f" example --axes {kinds}"
        )


def _state(opened: OpenedModel, model: LSTM | Network, path: Path | None) -> Any:
    """Return the initial state of every sequence; None for the model's own."""
    if path is None and isinstance(model, Network):
        return None
    start = file_state(opened.found, 1) if path is None else initial_state(opened.lstm, read_state_arrays(path), 1)
    return None if start is None else without_batch(start)


def _sequences(data: Any, dims: dict[str, str]) -> int:
    return prod(size for name, size in data.sizes.items() if name not in dims.values())


def _chunked(data: Any, dims: dict[str, str], lstm: LSTM, keep: Keep, workers: int) -> tuple[Any, int]:
    """Return data in chunks of whole sequences, and their number: small enough to keep, and enough for all workers."""
    steps, sequences = data.sizes[dims["time"]], _sequences(data, dims)
    each = bytes_kept(lstm, keep, steps, 1, on_file=False) + 8 * steps * data.sizes.get(dims.get("feature"), 1)
    most = max(1, min(CHUNK // max(each, 1), ceil(sequences / (SHARE * workers))))
    stored = data.encoding.get("preferred_chunks", {})
    chunks, count, left = dict.fromkeys(dims.values(), -1), 1, most
    for name in reversed([name for name in data.dims if name not in dims.values()]):
        unit = stored.get(name, 1)
        size = max(1, min(data.sizes[name], left // unit * unit if left >= unit else left))
        chunks[name], left = size, max(1, left // size)
        count *= ceil(data.sizes[name] / size)
    return data.chunk(chunks), count


def _require_room(target: Path, size: int) -> None:
    """Raise CapacityError where a disk has no room for so many bytes."""
    free = shutil.disk_usage(next(folder for folder in target.absolute().parents if folder.exists())).free
    if size > free:
        raise CapacityError(
            f"{target} would take {in_bytes(size)}, uncompressed; {in_bytes(free)} are free on its disk"
        )


def refuse(options: Sequence[tuple[str, object]], owner: str = "an input and an output that are .zarr stores") -> None:
    """Raise OptionError for an option that belongs to inputs of another kind."""
    for name, value in options:
        if value is not None:
            raise OptionError(f"--{name} belongs to {owner}")
