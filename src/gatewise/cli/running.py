"""From a model's file or a trace's, and the file of an input, to a run: what plot and report begin with."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Group, Parameter

from gatewise.arrays import in_bytes, numbers
from gatewise.cli import feeding, reading, sound
from gatewise.cli.columns import NETCDF, Attributes, Basin, Wanted, wanted
from gatewise.cli.estimates import bytes_kept, foretell, seconds
from gatewise.cli.whole_model import WholeModel, joined, runnable, whole_model
from gatewise.errors import FileError, GatewiseError, MissingExtraError, OptionError, join_names
from gatewise.files.storage import npz_names, read_npz, readable
from gatewise.interop.found import Contents, Found
from gatewise.network import Network, NetworkTrace
from gatewise.progress import working
from gatewise.records.keep import EVERYTHING
from gatewise.records.labels import Labels
from gatewise.records.lstm_trace import LSTMTrace
from gatewise.records.trace import Trace
from gatewise.showing import counted

INPUT = Group("The input", sort_key=2)
OF_RUN = Parameter(
    help="A model file of gatewise, PyTorch, NumPy, madmom, Keras or ONNX, a JSON model, a folder (of a model as"
    " Hugging Face names its files, or of a NeuralHydrology run), or a trace of gatewise."
)
InputFile = Annotated[
    Path | None,
    Parameter(
        help="A .csv, .npy or .npz file, or the sound of a .wav file: the input of the LSTM, or the one of the whole"
        " model where its framework is installed to run it (ONNX, TorchScript, Keras). In a .csv file each row is a"
        " time step; the first line may name the features, and a first column called time or date gives the times. An"
        " .npz file may give several inputs of the model by their names. Where the model's file names its features,"
        " they are taken by name, of a .nc file as well."
    ),
]


@Parameter(name="*", group=INPUT)
@dataclass(frozen=True)
class InputOptions:
    """What the numbers of the input are."""

    input_of: Annotated[
        Literal["lstm", "model"] | None,
        Parameter(help="Whose input it is, where its shape fits both: the LSTM's own, or that of the whole model."),
    ] = None
    axes: Annotated[
        str | None,
        Parameter(
            help="The order of the axes of the LSTM's own input, for example batch,time,feature. It must be given where"
            " the file of the model does not state it, unless there is a single sequence."
        ),
    ] = None
    key: Annotated[str | None, Parameter(help="Which array of an .npz file, if it holds several.")] = None
    lengths: Annotated[
        str | None,
        Parameter(help="The number of valid steps of each sequence in the batch, with commas between them."),
    ] = None
    state: Annotated[
        Path | None,
        Parameter(
            help="An .npz file with the initial states h0 and c0 of the LSTM, stacked as in PyTorch and ONNX. The"
            " default is the initial state in the file of the model, or else zeros."
        ),
    ] = None
    embedding: Annotated[
        str | None,
        Parameter(
            help="The layer of the file whose rows the LSTM is given for the tokens of the input, where the file does"
            " not say how its layers are connected."
        ),
    ] = None
    head: Annotated[
        str | None, Parameter(help="The layer of the file that makes the outputs, where the file does not say so.")
    ] = None
    reads: Annotated[
        Literal["every", "last"] | None,
        Parameter(help="Whether that layer reads every output of the LSTM, which is the default, or the last alone."),
    ] = None
    attributes: Attributes = None
    basin: Basin = None
    frames: Annotated[
        str | None,
        Parameter(
            help="Cut sound into rows of SIZE samples, or with SIZE,HOP into rows that begin HOP samples apart, for a"
            " model that takes such rows."
        ),
    ] = None


@dataclass(frozen=True, eq=False)
class Run:
    """A run, and where it comes from.

    Attributes
    ----------
    trace : NetworkTrace, LSTMTrace or Trace
        Of the network where the file tells it, else of the LSTM; of one cell where a file holds no more.
    name : str
        Of the LSTM in its file; that of the file for a trace.
    notes : tuple of str
        What was decided on the way, each in a sentence without its full stop.
    """

    trace: NetworkTrace | LSTMTrace | Trace
    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Given:
    """The numbers of a file: one array with its names, or several by name; and the rate of a sound."""

    one: reading.Given | None
    several: Mapping[str, Any] | None = None
    rate: int | None = None
    framed: bool = False
    hop: int = 1

    def labelled(self, steps: int) -> reading.Given:
        """Return the numbers with the seconds at which the steps of a sound begin."""
        given = self.one
        if given is None or self.rate is None or given.times is not None:
            return given or reading.Given(np.zeros((0, 1)))
        times = tuple(f"{step * self.hop / self.rate:.6g} s" for step in range(steps))
        return reading.Given(given.values, given.features, times)


def run(
    file: Path,
    input: Path | None,
    options: InputOptions | None = None,
    *,
    name: str | None = None,
    settings: list[str] | None = None,
    finite: bool = True,
) -> Run:
    """Return the run that a model makes over an input, or the one whose trace is on file: see `runs`."""
    return runs([file], input, options, name=name, settings=settings, finite=finite)[0]


def runs(
    files: Sequence[Path],
    input: Path | None,
    options: InputOptions | None = None,
    *,
    name: str | None = None,
    settings: list[str] | None = None,
    finite: bool = True,
) -> list[Run]:
    """Return the run of each file: the one whose trace it holds, or the one that its model makes over the input.

    Parameters
    ----------
    files : sequence of path
        Of models, or of traces of gatewise's own.
    input : path or None
        Of all models; None where all are traces.
    options : InputOptions, optional
    name : str, optional
        Which LSTM, if a file holds several; a file that holds none of that name may hold a single one.
    settings : list of str, optional
        What the files of models leave out, as NAME=VALUE.
    finite : bool
        Whether weights that are not finite are refused.

    Raises
    ------
    GatewiseError
        If a file cannot be read, or the input fits neither the LSTM nor the model.
    """
    options = options or InputOptions()
    held = [reading.inspected(file, settings) for file in files]
    traces = [_trace_in(contents) for contents in held]
    if None not in traces and (input is not None or any(vars(options).values()) or name is not None):
        extra = "an input" if input is not None else "options of an input" if name is None else "--name"
        raise OptionError(f"{files[0]} holds a trace, which is a run already: {extra} does not go with it")
    named = [any(one.name == name for one in contents.found) for contents in held]
    return [
        _run(file, contents, input, options, name if has or not any(named) else None, finite)
        if trace is None
        else Run(trace, file.name)
        for file, contents, trace, has in zip(files, held, traces, named, strict=True)
    ]


def _run(
    file: Path, contents: Contents, input: Path | None, options: InputOptions, name: str | None, finite: bool
) -> Run:
    """Return the run of a model over an input."""
    found, several = _picked(contents, name)
    if options.embedding is not None or options.head is not None or options.reads is not None:
        parts = name, options.embedding, options.head, options.reads or "every"
        network = reading.aloud(lambda: contents.made(*parts))
        contents = replace(contents, network=lambda: network)
    if input is None:
        raise OptionError(f"{file} is a model: give the file of its input as well")
    if found is not None and finite:
        _require_finite(found, file)
    own_network = None if found is None else reading.network_of(contents, found)
    given = _numbers(input, options, wanted(own_network, input, options.attributes, options.basin))
    own, why = _fed(contents, found, given, input, options)
    fits = own is not None or isinstance(why, reading.UnsaidAxesError)
    model = _model(contents, found, fits, given, options, several or why)
    if model is None:
        if own is None:
            many = join_names(map(repr, given.several or ()))
            raise several or why or OptionError(f"{input} holds several arrays: --key names one of them: {many}")
        assert found is not None
        return _of_lstm(contents, found, own, input)
    return _of_model(model, name, given, input, options)


def _trace_in(contents: Contents) -> LSTMTrace | Trace | None:
    if contents.format != "gatewise" or contents.found:
        return None
    from gatewise.interop import own

    held = own.read(contents.path)
    return held if isinstance(held, (LSTMTrace, Trace)) else None


def _picked(contents: Contents, name: str | None) -> tuple[Found | None, GatewiseError | None]:
    """Return the LSTM of that name, or the only one; where that is open, why: a run of the model may show which."""
    try:
        return reading.aloud(lambda: contents.pick(name)), None
    except OptionError as problem:
        if name is not None or not contents.found:
            raise
        return None, problem


def _require_finite(found: Found, file: Path) -> None:
    if found.bad:
        raise OptionError(f"{file} holds weights that are not finite numbers: {'; '.join(found.bad)}")


def _numbers(input: Path, options: InputOptions, features: Wanted | None) -> _Given:
    suffix = input.suffix.lower()
    if suffix == ".wav":
        if options.key is not None:
            raise OptionError(f"--key belongs to an .npz file, not to {input}")
        values, rate = sound.samples(input)
        if options.frames is not None:
            rows, hop = sound.frames(values, options.frames)
            return _Given(reading.Given(rows), None, rate, True, hop)
        return _Given(reading.Given(values), None, rate)
    if suffix not in (".csv", ".npy", ".npz", *NETCDF):
        raise OptionError(f"the input must be a .csv, .npy, .npz, .nc or .wav file, not {readable(input)}")
    if suffix == ".npz" and options.key is None and len(names := npz_names(input)) > 1:
        arrays = read_npz(input, names)
        return _Given(None, {name: _checked(name, array, input) for name, array in arrays.items()})
    given = reading.sequence(input, options.key, features)
    if not given.values.size:
        raise OptionError(f"{input} holds an empty array, of shape {given.values.shape}: a run needs a step")
    if options.frames is not None:
        rows, hop = sound.frames(given.values.reshape(len(given.values), -1), options.frames)
        return _Given(reading.Given(rows), None, None, True, hop)
    return _Given(given)


def _checked(name: str, array: Any, input: Path) -> Any:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise OptionError(f"{name} in {input} must hold finite numbers")
    return array if array.dtype.kind in "iub" else numbers(name, array)


# Whose input it is.


def _fed(
    contents: Contents, found: Found | None, given: _Given, input: Path, options: InputOptions
) -> tuple[feeding.Fed | None, GatewiseError | None]:
    """Return the input of the LSTM, or why it is none."""
    if found is None or given.one is None or options.input_of == "model":
        return None, None
    try:
        labelled = given.labelled(len(given.one.values))
        fed = feeding.fed(
            contents, found, labelled, input, axes=options.axes, lengths=options.lengths, state=options.state
        )
        return fed, None
    except GatewiseError as problem:
        return None, problem


def _model(
    contents: Contents, found: Found | None, fits: bool, given: _Given, options: InputOptions, why: GatewiseError | None
) -> WholeModel | None:
    """Return the whole model where the input is its input; None where it is that of the LSTM."""
    if options.input_of == "lstm":
        return None
    if options.input_of == "model":
        return whole_model(contents)
    known = found is not None and reading.network_of(contents, found) is not None
    direct = found is not None and found.graph is not None and found.graph.x is not None
    if given.one is not None and (known or direct):
        return None  # the LSTM's input is the model's
    onnx = any(one.graph is not None for one in contents.found)
    if fits and not onnx:  # what other models take is known when they have run
        return None
    try:
        model = whole_model(contents)
    except OptionError:  # of a file of weights
        return None
    except (MissingExtraError, FileError) as problem:
        if fits:
            return None
        raise type(problem)(f"{why}; and the whole model cannot run: {problem}" if why else str(problem)) from None
    if given.one is None:
        named = given.several is not None and any(one.name in given.several for one in model.inputs)
        return model if named else None
    if not model.fits(given.one.values):
        if fits:
            return None
        what = f"{why}; the whole model takes {', '.join(map(str, model.inputs))}"
        raise OptionError(what if why else what.removeprefix("None; "))
    if fits:
        raise OptionError(
            f"the input, of shape {given.one.values.shape}, fits both the LSTM and the whole model, which takes"
            f" {model.inputs[0]}: say which it is with --input-of lstm or --input-of model"
        )
    return model


# The two kinds of runs.


def _of_lstm(contents: Contents, found: Found, fed: feeding.Fed, input: Path) -> Run:
    lstm, network = found.lstm, reading.network_of(contents, found)
    steps = len(fed.x)
    kept, about = bytes_kept(lstm, EVERYTHING, steps, fed.batch, on_file=False), seconds(lstm, steps, fed.batch)
    foretell(f"the run keeps {in_bytes(kept)} of {counted(steps, 'step')}", about, kept)
    with working(f"tracing {counted(steps, 'step')}, {in_bytes(kept)}", None, about):
        if network is None:
            trace: NetworkTrace | LSTMTrace = lstm.trace(fed.x, fed.start, **fed.options)
        elif network.embedding is None or fed.tokens is not None:
            trace = network.trace(fed.x if fed.tokens is None else fed.tokens, fed.start, **fed.options)
        else:  # what the embedding would give
            rest = Network(
                network.lstm,
                head=network.dense or None,
                reads=network.reads,
                initial=network.initial,
                outputs=network.outputs,
                labels=network.labels,
            )
            trace = rest.trace(fed.x, fed.start, **fed.options)
    own = "the input of the network" if fed.network is not None else f"the input of the LSTM {found.name!r}"
    what = own if fed.tokens is None else "the tokens of the network"
    taken = f"{input.name} is taken as {what}"
    if network is None and runnable(contents):  # it might have been the model's
        print(f"gatewise: {taken}", file=sys.stderr)
    return Run(trace, found.name, (taken, *found.notes))


def _of_model(model: WholeModel, name: str | None, given: _Given, input: Path, options: InputOptions) -> Run:
    for option in ("axes", "lengths", "state"):
        if getattr(options, option) is not None:
            raise OptionError(f"--{option} belongs to the input of an LSTM, and {input} is that of the whole model")
    values: Any = given.several
    if given.one is not None:
        values = given.one.values
        if model.inputs[0].shape is None:  # it does not say; tables and sounds are one sequence
            table = input.suffix.lower() in (".csv", ".wav") and not given.framed
            values = {model.inputs[0].name: (values.T if given.rate else values[None]) if table else values}
    what = "inputs" if isinstance(values, Mapping) and len(values) > 1 else "input"
    print(f"gatewise: {input} is taken as the {what} of the whole model, which {model.runtime} runs", file=sys.stderr)
    calls = model.run(values, given.rate, by_row=given.framed and model.runtime == "PyTorch")
    found, trace, notes = joined(calls, name, model.contents)
    labels = given.labelled(trace.num_steps)
    matches = given.framed and given.one is not None and trace.num_steps == len(given.one.values)
    if labels.times is not None and (matches or (not given.framed and len(labels.values) == trace.num_steps)):
        trace = _timed(trace, feeding.dated(labels.times))
    return Run(
        trace, found, (f"{input.name} is taken as the {what} of the whole model, which {model.runtime} ran", *notes)
    )


def _timed(trace: LSTMTrace, times: Any) -> LSTMTrace:
    """Return a trace with the times of its steps."""
    labels = Labels(times=times)
    layers = tuple({way: replace(cell, labels=labels) for way, cell in layer.items()} for layer in trace.layers)
    return replace(trace, layers=layers)
