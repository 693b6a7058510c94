"""gatewise trace: every gate of every step of an LSTM from a file, on an input from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatewise.arrays import in_bytes
from gatewise.cli.inspect import LSTMName, ModelFile
from gatewise.cli.models import NO_ARGUMENTS, FileSettings, InputArguments, inspect_file, print_prepared
from gatewise.cli.options import Count, Integers, WindowEnd, chosen_options, refuse
from gatewise.cli.printing import print_line, print_notes
from gatewise.cli.stores import KEPT, NO_STORE, StoreOptions, StoreTrace
from gatewise.cli.trace_files import OF_NETWORKS, require_suffix, run_to_file
from gatewise.errors import OptionError
from gatewise.interop.chosen_layers import chosen_network, fitting_layers
from gatewise.opening.inputs import is_store
from gatewise.opening.models import opened_model
from gatewise.opening.preparing import prepare_run
from gatewise.opening.run import require_windows
from gatewise.records.keep import QUANTITIES, Keep
from gatewise.records.trace import LSTMTrace
from gatewise.showing import counted


def trace(
    file: ModelFile,
    inputs: Annotated[
        list[Path],
        Parameter(
            name="INPUT",
            help="Input data: .npy, .npz, .csv or .nc, or a .zarr store. It is the input of the LSTM, or integers if"
            " FILE holds a network with an embedding. It is that of the whole model if its framework is installed"
            " to run it (ONNX, TorchScript, Keras). A .zarr store is one of xarray, with dimensions called time"
            " and feature; all others count sequences. The files of several basins go into one .zarr store. In a"
            " .csv file, each row is a time step. The first line may name the features. A first column called time"
            " or date gives the times, which must increase. Tabs, semicolons or commas separate columns; between"
            " tabs or semicolons, a comma marks decimals. If FILE names its features, columns are matched by name.",
        ),
    ],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=KEPT)],
    name: LSTMName = None,
    settings: FileSettings | None = None,
    options: InputArguments = NO_ARGUMENTS,
    at: Annotated[WindowEnd, Parameter(group=KEPT)] = None,
    keep: Annotated[str | None, Parameter(group=KEPT)] = None,
    units: Annotated[Integers, Parameter(group=KEPT)] = None,
    every: Annotated[Count, Parameter(group=KEPT)] = 1,
    store: StoreOptions = NO_STORE,
) -> None:
    """Run an LSTM and write every gate of every step to a file.

    The suffix of the output file chooses its format: .safetensors for gatewise, .npz for NumPy, .csv for pandas and R,
    .nc or .zarr for xarray.

    For example:

        gatewise trace model.pt x.csv -o trace.npz
        gatewise trace model.onnx x.npy -o trace.safetensors

    gatewise writes a .safetensors file while the LSTM runs, so it may be larger than memory. gatewise.load reads it. An
    .npz file holds plain arrays of shape (time, batch, unit) under names such as layer0.forward.forget_gate. It also
    holds the LSTM's input and output and the numbers of the steps that were kept. If the network scales its features or
    has layers before the LSTM, network.input and network.output are its own, in its units. The trace of a windowed
    model, such as a run of NeuralHydrology, is that of one window. In an .npz file, series.output then has the output
    of the window that ends at each step, and series.times the times.

    A .csv file is a long table with a row for each number, under time, sequence, layer, direction, quantity, unit and
    value, in order of time. A .nc file holds a variable for each quantity, with names, dates, units and provenance. If
    there are several cells, its name begins with the layer and the direction. In both, y is the output of the network,
    or of the LSTM if FILE describes no network.

    A .zarr store is traced to another store, and the files of several basins to one, chunk by chunk. All processors of
    this machine share the work. The new store holds a variable for each quantity of the last layer, and the model's
    output as y, with units and provenance.

    Parameters
    ----------
    output
        File to write: .safetensors, .npz, .csv, .nc or .zarr. A .zarr store goes with a store or files of basins as
        INPUT.
    keep
        Quantities to keep, separated by commas. Default: all of input_gate, forget_gate, candidate, output_gate,
        cell_state, hidden_state, unprojected_state.
    units
        Hidden units to keep, from 0, separated by commas.
    every
        Keep only every nth step.
    """
    keeping = Keep(QUANTITIES if keep is None else tuple(part.strip() for part in keep.split(",")), units, every)
    if is_store(output):
        alone = "a trace that is not written to a .zarr store"
        others = {name: getattr(options, name) for name in ("basin", "frames")}
        refuse(alone, others | {"at": at}, "belongs to")
        contents, layers = inspect_file(file, settings), (options.embedding, options.head, options.reads)
        if not contents.is_only_a_graph:
            refuse(alone, {"input_of": options.input_of}, "belongs to")
        named = chosen_network(contents, name, *layers, strict=options.strict)
        refuse(f"{output} without --head", {"reads": options.reads if named is None else None})
        opened = opened_model(contents, contents.pick(name, strict=options.strict), named)
        fitting = fitting_layers(contents, opened.found)
        if contents.network is None and named is None and fitting.options:
            print_notes([f"{output} holds the LSTM alone; these layers fit it: {fitting.options}"])
        print_line(StoreTrace(opened, inputs, output, options, store, keeping).write())
        return
    if len(inputs) > 1:
        raise OptionError(f"a trace of several inputs is a .zarr store. The name of {output} must end in .zarr.")
    refuse("an output that is a .zarr store", chosen_options(store), "belongs to")
    require_suffix(output)
    contents = inspect_file(file, settings)
    lstm_only = output.suffix.lower() not in OF_NETWORKS
    refuse(f"{output}, which holds the LSTM alone", {"reads": options.reads if lstm_only else None})
    prepared = prepare_run(contents, inputs[0], name, replace(options, at=at), finite=False, lstm_only=lstm_only)
    require_windows(prepared, at)
    print_prepared(prepared)
    run = run_to_file(prepared, keeping, output)
    print_notes(run.notes[len(prepared.notes) :])
    text = describe(run.name, run.trace.lstm, every)
    print_line(f"{output}: {text}, {in_bytes(output.stat().st_size)}")


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
