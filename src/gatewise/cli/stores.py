"""gatewise trace on a zarr store: a model over all sequences of a variable, chunk by chunk."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from cyclopts import Group

from gatewise.arrays import in_bytes
from gatewise.cli.models import InputArguments
from gatewise.cli.options import Integers, option_group, refuse
from gatewise.cli.printing import COMMAND, announce_cost, print_notes
from gatewise.errors import DataWarning, OptionError
from gatewise.files.storage import nonempty
from gatewise.interop.containers.zarr_stores import features_note, open_variable, require_packages
from gatewise.interop.provenance import ReadFile
from gatewise.network import Network
from gatewise.opening.basins import open_basins
from gatewise.opening.columns import AttributeTable, column_names
from gatewise.opening.costs import seconds
from gatewise.opening.inputs import is_store
from gatewise.opening.model_input import ModelInput
from gatewise.opening.models import OpenedModel
from gatewise.opening.preparing import time_rules
from gatewise.opening.windows import WindowedSeries, cut_notes
from gatewise.records.keep import Keep
from gatewise.records.labels import Labels
from gatewise.records.named_numbers import dimension_kinds
from gatewise.showing import counted

if TYPE_CHECKING:
    from gatewise.chunked.partial_store import PartialStore

KEPT = Group("Output", sort_key=3)
MOST_SEQUENCES = 8  # of a continuous run's comparison


@option_group(KEPT)
@dataclass(frozen=True)
class StoreOptions:
    """The options of a trace that is written to a .zarr store.

    Parameters
    ----------
    layers
        Layers to keep in a .zarr store, separated by commas. Layers count from 0. Default: the last.
    padding
        States and outputs past a sequence's length in a .zarr store. nan, the default, as the gates are, or framework,
        the numbers that the model's framework has there.
    resume
        Continue an interrupted run into a .zarr store. Its finished chunks are in OUTPUT.partial. The model, input and
        options must be the same.
    """

    layers: Integers = None
    padding: Literal["nan", "framework"] | None = None
    resume: bool = False


NO_STORE = StoreOptions()


class StoreInput(NamedTuple):
    """Labelled data that are traced to a store, their dimensions, the steps that each sequence has, and notes."""

    data: Any
    dims: dict[str, str]
    present: Any = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class StoreTrace:
    """A model over all sequences of a store, or of files of basins, traced to the store `target`."""

    opened: OpenedModel
    inputs: Sequence[Path]
    target: Path
    options: InputArguments
    store: StoreOptions
    keep: Keep

    def write(self) -> str:
        """Run the model, write its trace to the new store, and return a line about that."""
        from gatewise.chunked import store_plan
        from gatewise.chunked.partial_store import partial_store
        from gatewise.engine import engines

        require_packages()
        source, target = self._open_input(), self.target
        threads = max(engine.threads for engine in engines())
        with partial_store(target) as partial:
            run = {**store_plan.identity(self.opened, self.inputs), **self._identity()}
            if self.store.resume and not partial.resume(run):
                print_notes([f"there is no ended run of {target} to go on with: it begins"])
            elif not self.store.resume and partial.done:
                print_notes(
                    [f"{partial.folder}, what an ended run has left, is replaced; --resume would go on with it"]
                )
            try:
                return f"{target}: {self.opened.found.name}, {self._write_trace(source, threads, partial, run)}"
            except KeyboardInterrupt:
                print_notes([f"{target} is not whole{partial.describe_rest()}"] if partial.done else [])
                raise

    def _identity(self) -> dict[str, str]:
        """Return the options on which the numbers of a store depend, by name; of a file its digest."""
        options, keep = self.options, self.keep
        values = vars(options) | {"layers": self.store.layers, "padding": self.store.padding or "nan"}
        for name, files in (("state", [options.state]), ("attributes", options.attributes or [])):
            values[name] = "\n".join(ReadFile.of(nonempty(file)).digest() for file in files if file is not None)
        values |= {"keep": [*keep.quantities], "units": keep.units, "every": keep.every}
        texts = {
            name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in values.items()
        }
        return {f"--{name}": str(text) for name, text in texts.items()}

    def _open_input(self) -> StoreInput:
        """Open a store, or a file for each basin, as the input of the model."""
        from gatewise.chunked.labelled_input import LabelledInput

        opened, inputs, options = self.opened, self.inputs, self.options
        rules = time_rules(opened.network, options)
        if is_store(inputs[0]):
            if len(inputs) > 1:
                raise OptionError(f"{inputs[0]} is a store. Trace it alone, without other inputs.")
            data = open_variable(inputs[0], options.key, column_names(opened.network))
            kinds = dimension_kinds(data, options.axes, inputs[0])
            dims = {kind: str(name) for kind, name in zip(kinds, data.dims, strict=True) if kind != "batch"}
            if options.sort_time:
                refuse("--sort-time", {"lengths": options.lengths})
            labelled = LabelledInput(data, opened.network or Network(opened.lstm), dims["time"], dims.get("feature"))
            labelled, notes = labelled.in_time_order(inputs[0], rules)
            notes = (*features_note(inputs[0], data), *notes, *labelled.unit_notes(inputs[0]))
            return StoreInput(labelled.data, dims, notes=notes)
        refuse("a .zarr store as input", {"axes": options.axes, "lengths": options.lengths}, "belongs to")
        names = [name for path in options.attributes or () for name in AttributeTable.of(path).heads[1:]]
        once = options.continuous
        data, present, notes = open_basins(inputs, opened.network, names, options.key, continuous=once, rules=rules)
        return StoreInput(data, {"time": "time", "feature": "feature"}, present, notes)

    def _write_trace(self, source: StoreInput, threads: int, partial: PartialStore, run: dict[str, str]) -> str:
        """Run the model, write its trace to the store chunk by chunk, and return in words what that holds."""
        from gatewise.chunked import store_plan
        from gatewise.chunked.applying import apply
        from gatewise.chunked.computing import write
        from gatewise.chunked.labelled_input import in_chunks
        from gatewise.chunked.window_task import NOT_WHOLE
        from gatewise.network.graph_network import GraphNetwork

        opened, options, keep, target, dims = self.opened, self.options, self.keep, self.target, source.dims
        model = store_plan.model_for(opened, dims, lstm_only=options.input_of == "lstm")
        layers, is_graph = self.store.layers or [-1], isinstance(model, GraphNetwork)
        sizes = partial.chunks or store_plan.chunk_sizes(source.data, dims, opened.lstm, keep, threads)
        data = in_chunks(source.data, dims.values(), sizes)
        chunks = prod(map(len, data.chunks))
        arguments = {
            "keep": None if keep.everything else keep.quantities,
            "units": keep.units,
            "every": keep.every,
            "lstm": opened.found.name if isinstance(model, GraphNetwork) and len(model.lstms) > 1 else None,
            "layer": layers if len(layers) > 1 else layers[0],
            "lengths": None if options.lengths is None else np.array(options.lengths),
            "mask": source.present,
            "padding": self.store.padding or "nan",
            "attributes": options.attributes,
            "state": store_plan.state_for(opened, model, options.state),
            "dims": dims,
            "continuous": options.continuous,
        }
        with warnings.catch_warnings(action="ignore", category=DataWarning):  # which the notes of the source repeat
            result = apply(model, data, **arguments).assign_attrs(history=COMMAND.get())
        print_notes([*(() if is_graph else opened.notes), *source.notes])
        steps, sequences = data.sizes[dims["time"]], store_plan.num_sequences(data, dims)
        size = sum(variable.nbytes for variable in result.values())
        rest = (chunks - len(partial.done) if partial.resumed else chunks) / max(chunks, 1)
        store_plan.require_room(target, int(size * rest))
        extent = f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} in {counted(chunks, 'chunk')}"
        work = f"this keeps {in_bytes(size)} of {extent}, which are written to {target} as the run goes"
        windows = model.windows if isinstance(model, Network) and not options.continuous else None
        if windows is not None:
            print_notes([f"each step is the last one of a window of {counted(windows.steps, 'step')}, from zeros"])
        length = 1 if windows is None else windows.steps  # of the run of each step
        announce_cost(work, seconds(opened.lstm, steps * length, sequences) * rest / threads, size)
        write(result, partial, run, threads, f"tracing {extent}")
        if windows is not None and (lost := int(open_variable(target, NOT_WHOLE).sum())):
            print_notes([f"a number or a date is missing in {counted(lost, 'window')}, whose numbers are NaN"])
        if isinstance(model, Network) and options.continuous:
            print_notes(self._continuous_notes(model, source))
        written = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        return f"{extent}, {', '.join(map(str, result.data_vars))}, {in_bytes(written)}"

    def _continuous_notes(self, model: Network, source: StoreInput) -> Iterator[str]:
        """Yield sentences about the continuous run in a store: the steps left out, and how far it is from the windows.

        At most `MOST_SEQUENCES` are compared, spread evenly over all.
        """
        from gatewise.chunked.labelled_input import LabelledInput
        from gatewise.chunked.task import Chunk, window_features

        names = model.labels.features
        inputs = LabelledInput.of(model, source.data, source.dims).with_attributes(self.options.attributes, names)
        inputs, sizes = inputs.select_features(names), [source.data.sizes[name] for name in inputs.loop]
        if inputs.lags:
            assert model.windows is not None
            yield from cut_notes(model.windows)
        count = prod(sizes)
        numbers = np.unique(np.linspace(0, count - 1, min(count, MOST_SEQUENCES)).round().astype(int))
        indices = np.transpose(np.unravel_index(numbers, sizes or [1]))
        places = [dict(zip(inputs.loop, index, strict=bool(sizes))) for index in indices.tolist()]

        def sequences(data: Any, *dims: str) -> Any:
            """Return these sequences of labelled data (time, sequence, …)."""
            return np.stack([data.isel(place).transpose(inputs.time, *dims).values for place in places], axis=1)

        validity = {} if source.present is None else {"mask": sequences(source.present)}
        if self.options.lengths is not None:
            validity = {"lengths": np.array(self.options.lengths)[numbers]}
        chunk = Chunk(sequences(inputs.data, *inputs.core[1:]), validity, [], model)
        x = window_features(chunk, inputs.lags, inputs.breaks)
        outputs = np.full((*x.shape[:2], model.num_outputs), np.nan)
        outputs[:: self.keep.every] = sequences(open_variable(self.target, "y"), "output")
        times = source.data.coords[inputs.time].values if inputs.time in source.data.coords else None
        series = WindowedSeries(model, ModelInput(x, None, {"labels": Labels(times=times)}), "")
        yield series.difference_note(outputs, f" of {len(places):,} of {counted(count, 'sequence')}")
