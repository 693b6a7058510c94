"""The plan of a model over a variable of a store: the model, its initial state, chunks, and room for the result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from math import ceil, prod
from pathlib import Path
from typing import Any

from gatewise.arrays import in_bytes
from gatewise.chunked.attributes import gatewise_version
from gatewise.engine import engines
from gatewise.errors import CapacityError, FileError
from gatewise.interop.provenance import CHANGED, ReadFile
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.network.graph_network import GraphNetwork
from gatewise.opening.costs import bytes_kept
from gatewise.opening.graph_runs import graph_network_of
from gatewise.opening.models import OpenedModel
from gatewise.opening.states import file_state, initial_state, read_state_arrays, without_batch
from gatewise.records.keep import Keep

CHUNK = 2**27  # bytes of what a chunk keeps, about
SHARE = 4  # chunks for each worker at least, so that none has nothing left to do for long


def model_for(opened: OpenedModel, dims: dict[str, str], *, lstm_only: bool = False) -> LSTM | Network | GraphNetwork:
    """Return the file's network as the model for a store's data, or the LSTM if that has an embedding and they rows.

    A file that only a graph describes is run as that, unless the data are the input of its LSTM: `lstm_only`.
    """
    network = opened.network
    if network is None and not lstm_only and (graph := graph_network_of(opened.contents)) is not None:
        return graph
    return opened.lstm if network is None or (network.embedding is not None and "feature" in dims) else network


def state_for(opened: OpenedModel, model: LSTM | Network | GraphNetwork, path: Path | None) -> Any:
    """Return the initial state of every sequence of a store, of a file or the model's; None for the model's own."""
    if path is None and not isinstance(model, LSTM):
        return None
    start = file_state(opened.found, 1) if path is None else initial_state(opened.lstm, read_state_arrays(path), 1)
    return None if start is None else without_batch(start)


def num_sequences(data: Any, dims: dict[str, str]) -> int:
    """Return the number of sequences in data."""
    return prod(size for name, size in data.sizes.items() if name not in dims.values())


def chunk_sizes(data: Any, dims: dict[str, str], lstm: LSTM, keep: Keep, workers: int) -> dict[str, int]:
    """Return the sizes of chunks of whole sequences: small enough to keep, and enough chunks for all workers."""
    steps, sequences = data.sizes[dims["time"]], num_sequences(data, dims)
    run_bytes = bytes_kept(lstm, keep, steps, 1, on_file=False) + 8 * steps * data.sizes.get(dims.get("feature"), 1)
    left = max(1, min(CHUNK // max(run_bytes, 1), ceil(sequences / (SHARE * workers))))
    stored = data.encoding.get("preferred_chunks", {})
    chunks = {}
    for name in reversed([name for name in data.dims if name not in dims.values()]):
        stored_size = stored.get(name, 1)
        chunks[name] = max(1, min(data.sizes[name], left // stored_size * stored_size if left >= stored_size else left))
        left = max(1, left // chunks[name])
    return chunks


def identity(opened: OpenedModel, inputs: Sequence[Path]) -> dict[str, str]:
    """Return what the numbers of a store depend on besides options, by name: an ended run goes on with the same.

    The kernel is that of this machine; the workers of a cluster must be alike.
    """
    digest = opened.lstm.provenance.attributes()["model_sha256"]
    if CHANGED in digest:
        raise FileError(f"{opened.contents.path} was changed during the run. Run the command again.")
    switches = [*dict.fromkeys(str(cell.parameters.variant) for cell in opened.lstm.cells().values())]
    reading = f"{opened.network or opened.lstm!r} with {', '.join(switches)}"
    inputs_read = [
        fingerprint(path) if path.is_dir() else f"{ReadFile.of(path).digest()}  {path.stem}" for path in inputs
    ]
    return {
        "version of gatewise": gatewise_version(),
        "kernel": str(engines()[0].kernel),
        "model": digest,
        "LSTM": opened.found.name,
        "reading of the model": reading,
        "input": "\n".join(inputs_read),
    }


def fingerprint(path: Path) -> str:
    """Return a digest of a store by the names, sizes and times of change of its files, which are not read."""
    digest = sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            status = os.stat(os.path.join(folder, name))
            place = os.path.relpath(os.path.join(folder, name), path)
            digest.update(f"{place}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def require_room(target: Path, size: int) -> None:
    """Raise CapacityError where the disk of a new store has no room for so many bytes."""
    free = shutil.disk_usage(next(folder for folder in target.absolute().parents if folder.exists())).free
    if size > free:
        raise CapacityError(f"{target} would take up to {in_bytes(size)}, but its disk has {in_bytes(free)} free")
