"""Runs that are ready to start, and runs with their provenance."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from gatewise.arrays import in_bytes
from gatewise.errors import OptionError, join_names
from gatewise.interop import save
from gatewise.interop.contents import StoredLSTM
from gatewise.layers import LSTM
from gatewise.layers.lstm import lstm_of, of_cells
from gatewise.network import Network, NetworkTrace
from gatewise.opening.calls import join_calls
from gatewise.opening.costs import bytes_kept, seconds
from gatewise.opening.inputs import InputNumbers
from gatewise.opening.model_input import ModelInput
from gatewise.opening.models import OpenedModel
from gatewise.opening.whole_model import WholeModel
from gatewise.opening.windows import WindowedSeries
from gatewise.progress import working
from gatewise.records.brief_names import with_labels
from gatewise.records.keep import EVERYTHING, Keep
from gatewise.records.labels import Labels
from gatewise.records.times import dates_of
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted, inline

PathLike = str | os.PathLike[str]
RunTrace = NetworkTrace | LSTMTrace | Trace
WITH_AN_LSTM = "go with the input of an LSTM, which then runs by itself"
NO_WINDOWS = "--at names a window, and this run is not of windows, as one of NeuralHydrology is"


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run and its provenance.

    Attributes
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        The network's trace if the file describes a network; otherwise the LSTM's, or that of the one cell in a file.
    name : str
        The name of the LSTM in its file; of a trace, the name of its file.
    found : StoredLSTM or None
        The LSTM and what its file says of it; None for a trace.
    network : Network or None
        The network that the LSTM belongs to.
    interpretation : str
        Whose input it was taken to be, in a sentence without its full stop; empty for a trace.
    notes : tuple of str
        What to know of the model and of the run, in such sentences: columns that were left out, why the file gives no
        network, how far the trace is from what a whole model computed.
    series : WindowedSeries or None
        The outputs of a model that is evaluated in windows, where the trace is that of one window; else None.
    sort_time : bool
        Whether data beside the run are sorted by time, as its input was.
    others : tuple of OpenedRun
        The runs of the other LSTMs of a network that is a graph, the most influential first.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.save(gw.LSTM(3, 2, rng=0), f"{folder}/model.safetensors")
    ...     opened = gw.open_run(f"{folder}/model.safetensors", np.ones((5, 3)))
    >>> opened.trace.output.shape, opened.interpretation
    ((5, 2), "the input is taken as the input of the LSTM 'lstm'")
    """

    trace: RunTrace
    name: str
    found: StoredLSTM | None = None
    network: Network | None = None
    interpretation: str = ""
    notes: tuple[str, ...] = ()
    series: WindowedSeries | None = None
    sort_time: bool = False
    others: tuple[OpenedRun, ...] = ()

    @property
    def labels(self) -> Labels:
        """The names of the run's features, outputs, sequences and times."""
        return self.trace.labels

    @property
    def model(self) -> LSTM | Network:
        """The network that the LSTM belongs to, or the LSTM: that of the file, or one made of the cells that ran."""
        if self.network is not None or self.found is not None:
            return self.network or self.found.lstm  # type: ignore[union-attr]
        return lstm_of(self.trace.lstm)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The interpretation, and the notes."""
        return (self.interpretation, *self.notes) if self.interpretation else self.notes

    def _repr_html_(self) -> str:
        return inline(self)

    def window_at(self, at: Any) -> OpenedRun:
        """Return the run with the trace of another window of its series: that which ends at a step, or at a time."""
        if self.series is None:
            raise OptionError(NO_WINDOWS)
        series = self.series.ending(at)
        if series.end == self.series.end:
            return self
        notes = (*(note for note in self.notes if note not in self.series.notes), *series.notes)
        return replace(self, trace=series.trace(), notes=notes, series=series)


@dataclass(frozen=True, eq=False)
class PreparedLSTM:
    """A run of an LSTM, or of its network, that is ready to start.

    Attributes
    ----------
    model : OpenedModel
    input : ModelInput
    interpretation : str
        Whose input it is taken to be.
    ambiguous : bool
        Whether it might also have been the input of the whole model.
    notes : tuple of str
    lstm_only : bool
        Whether the network's head is left out, where nothing stands between its features and its LSTM.
    series : WindowedSeries or None
        The series of a model that is evaluated in windows, of which the input is one.
    compared : WindowedSeries or None
        The series of such a model where all of it is the input of one continuous run.
    sort_time : bool
        Whether data beside the run are sorted by time, as the input is.
    """

    model: OpenedModel
    input: ModelInput
    interpretation: str
    ambiguous: bool
    notes: tuple[str, ...]
    lstm_only: bool = False
    series: WindowedSeries | None = None
    compared: WindowedSeries | None = None
    sort_time: bool = False

    @property
    def num_steps(self) -> int:
        """The number of steps."""
        return len(self.input.x)

    @property
    def runner(self) -> tuple[LSTM | Network, Any]:
        """The LSTM or the network that runs, and its input: features or tokens."""
        network, x, tokens = self.model.network, self.input.x, self.input.tokens
        if network is None or (self.lstm_only and self.model.feature_network is None):
            return self.model.lstm, x
        if network.embedding is None:
            return network, x
        return (network.replace(embedding=None, masked=None), x) if tokens is None else (network, tokens)

    def bytes_kept(self, keep: Keep = EVERYTHING, *, on_file: bool = False) -> int:
        """Return the bytes that the trace keeps."""
        return bytes_kept(self.model.lstm, keep, self.num_steps, self.input.batch, on_file=on_file)

    def seconds(self) -> float:
        """Return the seconds that the run takes, about."""
        return seconds(self.model.lstm, self.num_steps, self.input.batch)

    def run(self, keep: Keep = EVERYTHING, out: PathLike | None = None) -> OpenedRun:
        """Run the LSTM, or its network, over the input, and write its trace to the file `out` meanwhile."""
        state, options = self.input.state, self.input.options | {"out": None if self.series is not None else out}
        if not keep.everything:
            options |= {"keep": keep.quantities, "units": keep.units, "every": keep.every}
        size = in_bytes(self.bytes_kept(keep, on_file=out is not None))
        with working(f"tracing {counted(self.num_steps, 'step')}, {size}", None, self.seconds()):
            model, x = self.runner
            trace: RunTrace = model.trace(x, state, **options)
        if self.series is not None:
            trace = self.series.numbered(trace)
            if out is not None:  # after the run of a window, which is short: its steps have their numbers now
                save(trace.lstm, out)
        notes, found = self.notes, self.model.found
        if (compared := self.compared) is not None:
            run: Any = trace
            outputs = compared.network.predict(run.output, compared.input.x) if run.network is None else run.output
            notes = (*notes, compared.difference_note(outputs))
        network, read_as, series = self.model.network, self.interpretation, self.series
        return OpenedRun(trace, found.name, found, network, read_as, notes, series, self.sort_time)


@dataclass(frozen=True, eq=False)
class PreparedWholeModel:
    """A run of a whole model by its framework that is ready to start.

    `name` says which LSTM is traced, if the model has several; the interpretation, whose input the data are taken to
    be; `sort_time`, whether data beside the run are sorted by time, as the input is.
    """

    model: WholeModel
    data: InputNumbers
    name: str | None
    interpretation: str
    sort_time: bool = False
    ambiguous: ClassVar[bool] = True
    series: ClassVar[None] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the data."""
        return () if self.data.single is None else self.data.single.notes

    def run(self, keep: Keep = EVERYTHING, out: PathLike | None = None) -> OpenedRun:
        """Run the whole model, by its framework or as a graph; return the run of its LSTM, also written to `out`."""
        model, data = self.model, self.data
        if not keep.everything and model.runtime != "gatewise":
            raise OptionError(f"--keep, --units and --every {WITH_AN_LSTM}")
        values: Any = data.several
        if data.single is not None:
            values = data.single.values if data.single.dtype is None else data.single.values.astype(data.single.dtype)
            if model.inputs[0].shape is None:  # the model does not say; tables and sounds are one sequence
                one_sequence = (data.table or data.rate is not None) and not data.framed
                values = {model.inputs[0].name: (values.T if data.rate else values[None]) if one_sequence else values}
        if model.runtime == "gatewise":
            return self._run_graph(values, keep, out)
        calls = model.run(values, data.rate, by_row=data.framed and model.runtime == "PyTorch")
        name, trace, notes = join_calls(calls, self.name, model.contents)
        numbers = data.with_seconds(trace.num_steps)
        row_per_step = data.framed and data.single is not None and trace.num_steps == len(data.single.values)
        if numbers.times is not None and (row_per_step or (not data.framed and len(numbers.values) == trace.num_steps)):
            trace = _with_times(trace, dates_of(numbers.times))
        if out is not None:
            save(trace, out)
        entry = next((entry for entry in model.contents.lstms if entry.name == name), None)
        notes = (*self.notes, *notes)
        return OpenedRun(trace, name, entry, None, self.interpretation, notes, sort_time=self.sort_time)

    def _run_graph(self, values: Any, keep: Keep, out: PathLike | None) -> OpenedRun:
        """Return the run of the most influential LSTM of a graph, or of the named one, with those of the others."""
        from gatewise.network.lstm_in_graph import by_influence, run_in_graph  # which most runs do without

        model, data = self.model, self.data
        rate = None if data.single is None else data.rate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of axes, which are those of the file
            trace = model.model.trace(axes=None, **model.named_inputs(values, rate))
        if not trace.lstms:
            trace.lstm  # noqa: B018  # which says why none ran
        names = [*by_influence(trace)]
        if self.name is not None and self.name not in names:
            raise OptionError(f"the network has no LSTM {self.name!r}; it has {join_names(map(repr, names))}")
        runs = []
        for name in names if self.name is None else [self.name]:
            notes, run = self.notes, trace[name]
            try:
                run = run_in_graph(trace, name)
            except OptionError as problem:
                notes = (*notes, f"the questions are about the LSTM {name!r} alone, because {problem}")
            run = _labelled(run, data)
            network = run.network
            entry = next((sequence for sequence in model.contents.lstms if sequence.name == name), None)
            run = _kept(run, keep)
            runs.append(OpenedRun(run, name, entry, network, self.interpretation, notes, sort_time=self.sort_time))
        if out is not None:
            save(runs[0].trace.lstm, out)
        return replace(runs[0], others=tuple(runs[1:]))


def _labelled(run: Any, data: InputNumbers) -> Any:
    """Return the run of an LSTM, in a graph or alone, with the names and the times of its input."""
    if data.single is None:
        return run
    labels_of_data = data.with_seconds(run.num_steps).labels
    count = run.lstm.first.parameters.input_size if run.network is None else run.network.num_features
    row_per_step = not data.framed or len(data.single.values) == run.num_steps
    steps = run.num_steps if row_per_step else 0
    fitting = {"features": count, "sequences": run.batch_size, "times": steps}
    fitting_names = {
        name: part
        for name, size in fitting.items()
        if len(part := getattr(labels_of_data, name) or ()) == size and size
    }
    names = Labels(**fitting_names, measures=labels_of_data.measures)
    is_own = run.network is None or np.array_equal(run.input, run.lstm.first.input)
    own = names if is_own else names.replace(features=None)
    run = with_labels(run, lambda labels: own.or_else(labels))
    return run if run.network is None else replace(run, labels=names.or_else(run.labels))


def _kept(run: Any, keep: Keep) -> Any:
    """Return the run of an LSTM, in a graph or alone, with what is kept of it."""
    if keep.everything:
        return run
    lstm = run.lstm
    options: dict[str, Any] = {"keep": keep.quantities, "units": keep.units, "every": keep.every}
    options |= {"mask": lstm.first.valid, "masked_output": lstm.masked_output}
    trace = lstm_of(lstm).trace(lstm.first.input, of_cells(lstm, "initial"), **options)
    return trace if run.network is None else replace(run, lstm=trace)


def _with_times(trace: LSTMTrace, times: Any) -> LSTMTrace:
    """Return a trace with the times of its steps."""
    labels = Labels(times=times)
    layers = tuple({way: replace(cell, labels=labels) for way, cell in layer.items()} for layer in trace.layers)
    return replace(trace, layers=layers)
