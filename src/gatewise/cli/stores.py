"""gatewise trace on a zarr store: a model over all sequences of a variable, chunk by chunk."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatewise.arrays import in_bytes
from gatewise.cli.command_line import command_text
from gatewise.cli.printing import announce_cost, print_notes
from gatewise.cli.typed_numbers import integers
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.opening.costs import seconds
from gatewise.opening.labelled_data import dimension_names, open_store
from gatewise.opening.models import opened_model
from gatewise.records.keep import EVERYTHING, Keep
from gatewise.showing import counted


@dataclass(frozen=True)
class StoreOptions:
    """The options of the command that a store takes, as they are typed, and what is kept."""

    key: str | None = None
    axes: str | None = None
    lengths: str | None = None
    layers: str | None = None
    cluster: str | None = None
    state: Path | None = None
    padding: str = "nan"
    keep: Keep = EVERYTHING


def trace_store(contents: Contents, entry: StoredLSTM, source: Path, target: Path, options: StoreOptions) -> str:
    """Run a model over a variable of one zarr store, write its trace to another, and return a line about that."""
    from gatewise.chunked import store_plan
    from gatewise.chunked.applying import apply
    from gatewise.chunked.computing import ClusterLostError, workers_at, write
    from gatewise.engine import engines

    data = open_store(source, options.key)
    dims = dimension_names(data, options.axes, source)
    opened = opened_model(contents, entry)
    print_notes(opened.notes)
    model = store_plan.model_for(opened, data, dims)
    store_plan.require_features(model, data, dims, source)
    layers = None if options.layers is None else integers("layers", options.layers)
    keep = options.keep
    with workers_at(options.cluster, max(engine.threads for engine in engines())) as workers:
        data, chunks = store_plan.in_chunks(data, dims, entry.lstm, keep, workers.threads)
        result = apply(
            model,
            data,
            keep=None if keep.everything else keep.quantities,
            units=keep.units,
            every=keep.every,
            layer=-1 if layers is None else layers if len(layers) > 1 else layers[0],
            lengths=None if options.lengths is None else np.array(integers("lengths", options.lengths)),
            padding=options.padding,
            state=store_plan.state_for(opened, model, options.state),
            dims=dims,
        ).assign_attrs(history=command_text())
        steps, sequences = data.sizes[dims["time"]], store_plan.num_sequences(data, dims)
        size = sum(variable.nbytes for variable in result.values())
        store_plan.require_room(target, size)
        extent = f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} in {counted(chunks, 'chunk')}"
        duration = seconds(entry.lstm, steps, sequences) / workers.threads
        work = f"this keeps {in_bytes(size)} of {extent}, which are written to {target} as the run goes"
        announce_cost(work, duration, size)
        try:
            write(result, target.absolute(), workers, f"tracing {extent}")
        except ClusterLostError as problem:  # no mistake in the command, so not the exit code of one
            print_notes([str(problem)])
            sys.exit(1)
    variables = ", ".join(map(str, result.data_vars))
    written = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return f"{target}: {entry.name}, {extent}, {variables}, {in_bytes(written)}"
