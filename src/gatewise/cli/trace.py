"""gatewise trace: every gate of every step of an LSTM from a file, on an input from another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Group, Parameter

from gatewise.arrays import in_bytes
from gatewise.cli import stores
from gatewise.cli.inspect import LSTMName, ModelFile, Settings
from gatewise.cli.models import inspect_file, print_prepared
from gatewise.cli.options import Attributes, Basin, Continuous, Count, WindowEnd, refuse
from gatewise.cli.printing import announce_cost, print_line, print_notes, require_other
from gatewise.cli.typed_numbers import integers
from gatewise.errors import OptionError
from gatewise.files.storage import beside
from gatewise.interop.plain_arrays import network_arrays, npz_arrays, series_arrays
from gatewise.opening.labelled_data import is_store
from gatewise.opening.preparing import InputOptions, prepare_run
from gatewise.opening.run import require_windows
from gatewise.opening.runs import OpenedRun, PreparedLSTM
from gatewise.records.keep import QUANTITIES, Keep
from gatewise.records.trace import LSTMTrace
from gatewise.showing import counted

INPUT = Group("The input", sort_key=2)
KEPT = Group("What is kept", sort_key=3)


def trace(
    file: ModelFile,
    inputs: Annotated[
        list[Path],
        Parameter(
            name="INPUT",
            help="The input of the LSTM: a .npy, .npz or .csv file; integers if FILE holds a network with an embedding."
            " Or a .zarr store of xarray's, with dimensions called time and feature; all others count sequences."
            " The files of several basins go into one .zarr store."
            " In a .csv file each row is a time step; the first line may name the features, and a first column called"
            " time or date gives the times. Columns are separated by tabs, semicolons or commas; between tabs or"
            " semicolons, a comma marks decimals. Where FILE names its features, they are taken by name, of a .nc file"
            " as well.",
        ),
    ],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=KEPT)],
    name: LSTMName = None,
    settings: Settings = None,
    axes: Annotated[str | None, Parameter(group=INPUT)] = None,
    key: Annotated[str | None, Parameter(group=INPUT)] = None,
    lengths: Annotated[str | None, Parameter(group=INPUT)] = None,
    state: Annotated[Path | None, Parameter(group=INPUT)] = None,
    attributes: Annotated[Attributes, Parameter(group=INPUT)] = None,
    basin: Annotated[Basin, Parameter(group=INPUT)] = None,
    continuous: Annotated[Continuous, Parameter(group=INPUT)] = False,
    at: Annotated[WindowEnd, Parameter(group=KEPT)] = None,
    keep: Annotated[str | None, Parameter(group=KEPT)] = None,
    units: Annotated[str | None, Parameter(group=KEPT)] = None,
    every: Annotated[Count, Parameter(group=KEPT)] = 1,
    layers: Annotated[str | None, Parameter(group=KEPT)] = None,
    padding: Annotated[Literal["nan", "framework"] | None, Parameter(group=KEPT)] = None,
    cluster: Annotated[str | None, Parameter(group=INPUT)] = None,
    resume: bool = False,
) -> None:
    """Run an LSTM over an input and write every gate of every step to a file.

    A .safetensors file is written while the LSTM runs, so it may be larger than memory; gatewise.load reads it.
    An .npz file holds plain arrays of shape (time, batch, unit) under names such as layer0.forward.forget_gate, with
    the input, the output and the numbers of the steps that were kept: those of the LSTM. Where the network scales its
    features or has layers before the LSTM, network.input and network.output are its own, in its units. The trace of a
    model that is evaluated in windows, as a run of NeuralHydrology is, is that of one window; in an .npz file,
    series.output has the output of the window that ends at each step, and series.times the times.

    A .zarr store is traced to another, and the files of several basins to one, chunk by chunk: by all processors of
    this machine, or by the workers of a cluster. The new store holds a variable for each quantity of the last layer,
    and the model's output as y, with units and provenance.

    For example:

        gatewise trace model.pt x.csv -o trace.npz
        gatewise trace model.onnx x.npy -o trace.safetensors

    Parameters
    ----------
    output
        The file to write, .safetensors or .npz; or a .zarr store, for a store or files of basins as INPUT.
    axes
        The order of the input's axes, for example batch,time,feature. It must be given where FILE does not state it,
        unless there is a single sequence. An input with two axes has no batch.
    key
        Which array of an .npz file or variable of a .zarr store, if it holds several.
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
    layers
        In a .zarr store, keep these layers, counted from 0, with commas between them. The default is the last.
    padding
        In a .zarr store, the states and the output past a sequence's length: nan, which is the default, as the gates
        are; or framework, the numbers that the model's framework has there.
    cluster
        The address of a scheduler of dask.distributed, such as tcp://10.0.0.1:8786. Its workers must see the stores
        under the same names.
    resume
        Go on with a run into a .zarr store that was ended, where the chunks that are whole are in OUTPUT.partial. Its
        model, input and options must be the same.
    """
    keeping = Keep(
        QUANTITIES if keep is None else tuple(part.strip() for part in keep.split(",")),
        None if units is None else tuple(integers("units", units)),
        every,
    )
    input = inputs[0]
    if is_store(output):
        alone = "the series of one basin that is not traced to a .zarr store"
        refuse(alone, {"basin": basin, "at": at}, "belongs to")
        require_other(output, file, *inputs, state)
        options = stores.StoreOptions(
            key, axes, lengths, layers, cluster, state, attributes, padding or "nan", keeping, resume, continuous
        )
        contents = inspect_file(file, settings)
        print_line(stores.trace_store(contents, contents.pick(name), inputs, output, options))
        return
    if is_store(input):
        raise OptionError(f"a .zarr store is traced to another: the name of {output} must end in .zarr")
    if len(inputs) > 1:
        raise OptionError(f"several inputs are traced to one .zarr store: the name of {output} must end in .zarr")
    stores_alone = "an output that is a .zarr store"
    refuse(
        stores_alone, {"layers": layers, "padding": padding, "cluster": cluster, "resume": resume or None}, "belongs to"
    )
    if output.suffix.lower() not in (".safetensors", ".npz"):
        raise OptionError(f"the name of {output} must end in .safetensors or .npz")
    require_other(output, file, input, state)
    counts = None if lengths is None else integers("lengths", lengths)
    options_of_input = InputOptions(
        "lstm", axes, key, counts, state, attributes=attributes, basin=basin, at=at, continuous=continuous
    )
    contents = inspect_file(file, settings)
    prepared = prepare_run(contents, input, name, options_of_input, finite=False, lstm_only=True)
    assert isinstance(prepared, PreparedLSTM)
    require_windows(prepared, at)
    print_prepared(prepared)
    run = _run_to_file(prepared, keeping, output)
    print_notes(run.notes[len(prepared.notes) :])
    text = describe(run.name, run.trace.lstm, every)
    print_line(f"{output}: {text}, {in_bytes(output.stat().st_size)}")


def _run_to_file(prepared: PreparedLSTM, keep: Keep, output: Path) -> OpenedRun:
    """Run an LSTM, and write its trace: as it runs to a .safetensors file, or afterwards to an .npz file."""
    on_file = output.suffix.lower() == ".safetensors"
    size, steps = prepared.bytes_kept(keep, on_file=on_file), counted(prepared.num_steps, "step")
    where = f", which are written to {output} as the run goes" if on_file else ""
    series = None if on_file else prepared.series
    duration = prepared.seconds() + (0 if series is None else series.seconds())
    announce_cost(f"this keeps {in_bytes(size)} of {steps}{where}", duration, size)
    if on_file:
        return prepared.run(keep, output)
    with beside(output) as temporary, open(temporary, "wb") as target:  # before the run, which may be long
        run = prepared.run(keep)
        arrays = npz_arrays(run.trace) | network_arrays(run.trace, prepared.input.x)
        np.savez(target, **arrays, **({} if series is None else series_arrays(series.outputs, series.labels)))
    return run


def describe(name: str, trace: LSTMTrace, every: int) -> str:
    """Return the line that `gatewise trace` prints about the trace that it wrote."""
    first = trace.first
    phrases = [f"{name}, {counted(len(trace.layers), 'layer')}, {' and '.join(trace.directions)}"]
    phrases.append(f"{counted(first.num_steps, 'step')} of {counted(trace.batch_size, 'sequence')}")
    if every > 1:
        phrases.append(f"one step in {every:,} kept")
    quantities: Sequence[str] = first.keep.quantities
    if quantities != QUANTITIES:
        phrases.append(", ".join(quantities))
    if first.keep.units is not None:
        phrases.append(f"{len(first.keep.units)} of {first.parameters.hidden_size:,} units")
    return ", ".join(phrases)
