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
from gatewise.cli import feeding, reading
from gatewise.cli.estimates import bytes_kept, foretell, seconds
from gatewise.errors import CapacityError, OptionError, shown
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.records.keep import Keep
from gatewise.showing import counted

CHUNK = 2**27  # bytes of what a chunk keeps, about
SHARE = 4  # chunks for each worker at least, so that none has nothing left to do for long


@dataclass(frozen=True)
class Wishes:
    """The options of the command that a store takes.

    Attributes
    ----------
    key, axes, lengths, layers, cluster : str or None
    state : path or None
    keep : tuple of str or None
        None keeps everything.
    units : tuple of int or None
    every : int
    """

    key: str | None = None
    axes: str | None = None
    lengths: str | None = None
    layers: str | None = None
    cluster: str | None = None
    state: Path | None = None
    keep: tuple[str, ...] | None = None
    units: tuple[int, ...] | None = None
    every: int = 1


def traced(contents: Contents, found: Found, source: Path, target: Path, wishes: Wishes) -> str:
    """Write what a model makes of a variable of one store to another, and return what was written, in words.

    Raises
    ------
    GatewiseError
        If a store cannot be read or written, or what it holds does not fit the model.
    """
    from gatewise.chunked.applying import apply
    from gatewise.chunked.computing import workers_at, write
    from gatewise.chunked.stores import read
    from gatewise.engine import engines

    data = read(source.absolute(), wishes.key)
    dims = _dims(data, wishes.axes, source)
    model = _model(contents, found, data, dims)
    _require_features(model, data, dims, source)
    layers = None if wishes.layers is None else feeding.integers("layers", wishes.layers)
    keeping = Keep(Keep.quantities if wishes.keep is None else wishes.keep, wishes.units, wishes.every)
    with workers_at(wishes.cluster, max(one.threads for one in engines())) as workers:
        data, chunks = _chunked(data, dims, found.lstm, keeping, workers.threads)
        made = apply(
            model,
            data,
            keep=wishes.keep,
            units=wishes.units,
            every=wishes.every,
            layer=-1 if layers is None else layers if len(layers) > 1 else layers[0],
            lengths=None if wishes.lengths is None else np.array(feeding.integers("lengths", wishes.lengths)),
            state=_state(found, model, wishes.state),
            dims=dims,
        )
        steps, sequences = data.sizes[dims["time"]], _sequences(data, dims)
        size = sum(one.nbytes for one in made.values())
        _require_room(target, size)
        what = f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} in {counted(chunks, 'chunk')}"
        about = seconds(found.lstm, steps, sequences) / workers.threads
        foretell(f"this keeps {in_bytes(size)} of {what}, which are written to {target} as the run goes", about, size)
        write(made, target.absolute(), workers, f"tracing {what}")
    kept = ", ".join(map(str, made.data_vars))
    written = sum(one.stat().st_size for one in target.rglob("*") if one.is_file())
    return f"{target}: {found.name}, {what}, {kept}, {in_bytes(written)}"


def _dims(data: Any, axes: str | None, source: Path) -> dict[str, str]:
    """Return which dimensions of the data the time and the feature are; data without features are tokens."""
    names = [str(name) for name in data.dims]
    if axes is None:
        if "time" not in names:
            raise OptionError(
                f"the dimensions of {shown(str(data.name))!r} in {source} are {shown(', '.join(names))}: --axes says"
                " what they are, for example --axes batch,time,feature"
            )
        return {name: name for name in ("time", "feature") if name in names}
    kinds = [one.strip() for one in axes.split(",")]
    several = {one for one in kinds if one != "batch" and kinds.count(one) > 1}
    if len(kinds) != len(names) or several or not {"time"} <= set(kinds) <= {"time", "batch", "feature"}:
        raise OptionError(
            f"--axes must say of each dimension, {shown(', '.join(names))}, whether it is time, batch or feature,"
            f" not {axes!r}"
        )
    return {kind: name for kind, name in zip(kinds, names, strict=True) if kind != "batch"}


def _model(contents: Contents, found: Found, data: Any, dims: dict[str, str]) -> LSTM | Network:
    """Return the network where the file tells it, unless the data can only be the input of its LSTM.

    Where both have names of features, the network takes those that it reads, or says which one the data lack.
    """
    from gatewise.chunked.inputs import names_of

    network = reading.network_of(contents, found)
    if network is None or (network.embedding is not None and "feature" in dims):
        return found.lstm
    named = network.labels.features is not None and names_of(data, dims.get("feature", "")) is not None
    if "feature" not in dims or named:
        return network
    return found.lstm if data.sizes[dims["feature"]] == found.lstm.input_size != network.num_features else network


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


def _state(found: Found, model: LSTM | Network, path: Path | None) -> Any:
    """Return the state that every sequence starts from; None for the model's own."""
    if path is None and isinstance(model, Network):
        return None
    start = feeding.start_of(found, path, 1)
    return None if start is None else tuple(tuple(type(one)(one.h[0], one.c[0]) for one in row) for row in start)


def _sequences(data: Any, dims: dict[str, str]) -> int:
    return prod(size for name, size in data.sizes.items() if name not in dims.values())


def _chunked(data: Any, dims: dict[str, str], lstm: LSTM, keep: Keep, workers: int) -> tuple[Any, int]:
    """Return data in chunks of whole sequences, and how many: by what they keep, and enough for all workers."""
    steps, sequences = data.sizes[dims["time"]], _sequences(data, dims)
    each = bytes_kept(lstm, keep, steps, 1, on_file=False) + 8 * steps * data.sizes.get(dims.get("feature"), 1)
    most = max(1, min(CHUNK // max(each, 1), ceil(sequences / (SHARE * workers))))
    stored = data.encoding.get("preferred_chunks", {})
    chunks, count, left = dict.fromkeys(dims.values(), -1), 1, most
    for name in reversed([name for name in data.dims if name not in dims.values()]):
        whole = stored.get(name, 1)
        size = max(1, min(data.sizes[name], left // whole * whole if left >= whole else left))
        chunks[name], left = size, max(1, left // size)
        count *= ceil(data.sizes[name] / size)
    return data.chunk(chunks), count


def _require_room(target: Path, size: int) -> None:
    """Raise CapacityError where a disk has no room for what is to be written."""
    free = shutil.disk_usage(next(one for one in target.absolute().parents if one.exists())).free
    if size > free:
        raise CapacityError(
            f"{target} would take {in_bytes(size)}, uncompressed; {in_bytes(free)} are free on its disk"
        )


def is_one(path: Path) -> bool:
    """Whether a path is that of a zarr store, or is called so."""
    marks = ("zarr.json", ".zgroup")
    return path.suffix.lower() == ".zarr" or (path.is_dir() and any((path / name).exists() for name in marks))


def refuse(options: Sequence[tuple[str, object]], owner: str = "an input and an output that are .zarr stores") -> None:
    """Raise OptionError for an option that belongs to inputs of another kind."""
    for name, given in options:
        if given is not None:
            raise OptionError(f"--{name} belongs to {owner}")
