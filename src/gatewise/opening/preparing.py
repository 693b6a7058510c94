"""A run prepared: the model and the input read, and the decision whose input it is; only the steps are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gatewise.arrays import AXES
from gatewise.errors import FileError, GatewiseError, MissingExtraError, OptionError, join_names, one_of
from gatewise.interop.chosen_layers import chosen_network
from gatewise.interop.contents import MASKED, Contents, StoredLSTM
from gatewise.interop.graphs import GraphInput
from gatewise.interop.own import CONVENTION
from gatewise.layers.stack import States
from gatewise.network import Network
from gatewise.network.parts import READS
from gatewise.opening.answers import with_axes_of_answers
from gatewise.opening.axes import AmbiguousAxesError
from gatewise.opening.columns import select_features
from gatewise.opening.inputs import InputNumbers, read_input
from gatewise.opening.model_input import ModelInput, model_input
from gatewise.opening.models import IN_MEMORY, OpenedModel, opened_model, with_fitting_layers
from gatewise.opening.runs import PreparedLSTM, PreparedWholeModel
from gatewise.opening.whole_model import (
    WholeModel,
    declares_input,
    graph_to_run,
    is_runnable,
    load_whole_model,
    reads_input,
)
from gatewise.opening.windows import WindowedSeries, with_lags
from gatewise.records.times import TimeRules, TimeStep


@dataclass(frozen=True)
class InputOptions:
    """The options of `open_run` that say what the numbers of an input are."""

    input_of: str | None = None
    axes: str | Sequence[str] | None = None
    key: str | None = None
    lengths: Any = None
    state: Path | Mapping[str, Any] | States | None = None
    embedding: str | None = None
    head: str | None = None
    reads: str | None = None
    strict: bool = False
    sort_time: bool = False
    attributes: Sequence[Path] | Mapping[str, float] | None = None
    basin: str | None = None
    frames: Any = None
    at: Any = None
    continuous: bool = False


DEFAULTS = InputOptions()


def prepare_run(
    contents: Contents,
    input: Any,
    name: str | None,
    options: InputOptions,
    *,
    finite: bool = True,
    lstm_only: bool = False,
    answers: Mapping[str, Any] | None = None,
) -> PreparedLSTM | PreparedWholeModel:
    """Return the run of a model over an input, opened and ready to start.

    `name` says which LSTM, if there are several; weights that are not finite are refused where `finite` is set.
    `lstm_only` is that of `PreparedLSTM`; `answers` of the model's runtime have sizes that tell the order of the axes.
    Raise GatewiseError if the input cannot be read, or fits neither the LSTM nor the whole model.
    """
    if options.reads is not None:
        one_of("reads", options.reads, READS)
    layers = options.embedding, options.head, options.reads
    named = chosen_network(contents, name, *layers, strict=options.strict)
    entry, several = _picked_lstm(contents, name, options.strict)
    if input is None:
        raise OptionError(f"{contents.path} is a model. Give the file of its input as well.")
    if entry is not None and finite and entry.non_finite:
        raise OptionError(f"{contents.path} holds weights that are not finite numbers: {'; '.join(entry.non_finite)}")
    model = None if entry is None else opened_model(contents, entry, named)
    if model is not None and options.input_of == "lstm" and model.feature_network is not None:
        model = replace(model, network=None, notes=(*model.notes, _own_features_note(model.feature_network)))
    network = None if model is None else model.network
    data = read_features(network, contents.path, input, options)
    data = replace(data, single=with_lags(network, data.single, cut=options.continuous))
    infers = network is None and options.embedding is None and options.head is None
    if model is not None and data.single is not None and infers and not is_runnable(contents):
        settings = {"strict": options.strict, "lstm_only": lstm_only}
        model = with_fitting_layers(model, data.single.values, options.reads, **settings)
    if model is not None and data.single is not None and answers is not None and options.axes is None:
        model = with_axes_of_answers(model, data.single.values, answers)
    lstm_input, refusal = _lstm_input(model, data, options)
    fits = lstm_input is not None or isinstance(refusal, AmbiguousAxesError)
    whole_model = _whole_model_to_run(contents, model, fits, data, options, several or refusal, lstm_only=lstm_only)
    if whole_model is not None:
        return _prepared_whole_model(whole_model, name, data, options)
    if lstm_input is None and refusal is not None and model is not None and model.options:
        raise type(refusal)(_with_clause(refusal, f"layers of the file that fit: {model.options}", data))
    if lstm_input is None:
        arrays = join_names(map(repr, data.several or ()))
        raise (
            several or refusal or OptionError(f"{data.source} holds several arrays. Choose one with --key: {arrays}")
        )
    assert model is not None
    return _prepared_lstm(model, lstm_input, data, options, lstm_only)


def prepare_lstm(model: OpenedModel, data: InputNumbers, options: InputOptions) -> PreparedLSTM:
    """Return the run of an LSTM or its network over the numbers of `read_features`, which are its input."""
    data = replace(data, single=with_lags(model.network, data.single, cut=options.continuous))
    lstm_input, refusal = _lstm_input(model, data, options)
    if lstm_input is None:
        assert refusal is not None
        raise refusal
    return _prepared_lstm(model, lstm_input, data, options, lstm_only=False)


def read_features(network: Network | None, path: str, input: Any, options: InputOptions) -> InputNumbers:
    """Return the numbers of an input, with the features that the network of the model's file `path` takes by name."""
    _require_fitting_options(network, path, options)
    stem = Path(input).stem if isinstance(input, (str, Path)) else ""
    selection = select_features(network, stem, options.attributes, options.basin, continuous=options.continuous)
    rules = time_rules(network, options)
    return read_input(input, options.key, options.axes, selection, rules).cut(options.frames)


def time_rules(network: Network | None, options: InputOptions) -> TimeRules:
    """Return the rules for the times of a network's input."""
    return TimeRules(options.sort_time, options.strict, None if network is None else TimeStep.of(network.time_step))


def _own_features_note(network: Network) -> str:
    """Return the sentence about a run over the LSTM's own input, where a network makes that of other features."""
    layers = [name for name, part in (("scaling", network.inputs), ("dense layers", network.branches)) if part]
    own = f"--input-of lstm: features are the LSTM's own, by position, behind the network's {' and '.join(layers)}"
    return own if network.windows is None else f"{own}; {network.windows.continuous_note}"


def _require_fitting_options(network: Network | None, path: str, options: InputOptions) -> None:
    """Raise OptionError for an option of an input that goes with windows alone, or does not go with them."""
    windowed = network is not None and network.windows is not None
    if options.continuous and not windowed:
        raise OptionError(f"--continuous is for a model that is evaluated in windows, but {path} is not. Leave it out.")
    for option in ("lengths", "state"):
        if windowed and not options.continuous and getattr(options, option) is not None:
            raise OptionError(
                f"--{option} needs --continuous, because each window has all its steps and starts from zeros"
            )


def _picked_lstm(contents: Contents, name: str | None, strict: bool) -> tuple[StoredLSTM | None, GatewiseError | None]:
    """Return a file's LSTM of that name, or the only one; if several are possible, the error: a run may show which."""
    try:
        return contents.find(name, strict=strict), None
    except OptionError as problem:
        if name is not None or not contents.lstms:
            raise
        return None, problem


def _lstm_input(
    model: OpenedModel | None, data: InputNumbers, options: InputOptions
) -> tuple[ModelInput | None, GatewiseError | None]:
    """Return the numbers as the input of the LSTM, or the reason why they are not its input."""
    if model is None or data.single is None or options.input_of == "model":
        return None, None
    labelled = data.with_seconds(len(data.single.values))
    windowed = model.network is not None and model.network.windows is not None
    axes = options.axes if data.axes is None else [name for name in AXES if name in data.axes]
    if not data.on_file and model.found.convention == CONVENTION and model.found.batch_first is None:
        model = replace(model, found=replace(model.found, batch_first=False))  # gatewise's own order in memory
    column = data.table and data.single.values.shape[1] == 1
    try:
        arguments = {"axes": axes, "lengths": options.lengths, "state": options.state, "column": column}
        arguments["missing"] = windowed and not options.continuous
        read = model_input(model, labelled, data.source, **arguments)
        return read if data.axes is None else replace(read, axes=data.axes), None
    except GatewiseError as problem:
        return None, problem


def _whole_model_to_run(
    contents: Contents,
    model: OpenedModel | None,
    fits: bool,
    data: InputNumbers,
    options: InputOptions,
    refusal: GatewiseError | None,
    *,
    lstm_only: bool,
) -> WholeModel | None:
    """Return the whole model if the numbers are its input; None if they are that of the LSTM."""
    if options.input_of == "lstm":
        return None
    if options.input_of == "model":
        return load_whole_model(contents)
    has_network = model is not None and model.network is not None
    own_options = any(item is not None for item in (options.axes, options.lengths, options.state))
    if not has_network and not (fits and (own_options or lstm_only)) and (graph := graph_to_run(contents)) is not None:
        names = {port.name for port in graph.inputs}
        if data.single is None and data.several is not None and names.intersection(data.several):
            return graph
        if data.single is not None and graph.fits(data.single.values):
            in_memory = contents.path == IN_MEMORY
            if fits and not in_memory and not reads_input(graph.model):
                raise _fits_both(data.single.values, graph.inputs[0])
            return graph
    found = None if model is None else model.found
    is_input = found is not None and (found.reads_input or (found.graph is not None and found.graph.x is not None))
    if data.single is not None and (has_network or is_input):
        return None  # the LSTM's input is the model's
    if fits and not any(entry.graph is not None for entry in contents.lstms):
        if data.single is not None and declares_input(contents, data.single.values, data.rate):
            raise _fits_both(data.single.values, contents.inputs[0])
        return None  # of other models, what they take is known when they have run
    try:
        loaded = load_whole_model(contents)
    except OptionError:  # of a file of weights
        return None
    except (MissingExtraError, FileError) as problem:
        if fits:
            return None
        clause = f"and the whole model cannot run: {problem}"
        raise type(problem)(_with_clause(refusal, clause, data) if refusal else str(problem)) from None
    if data.single is None:
        named = data.several is not None and any(port.name in data.several for port in loaded.inputs)
        return loaded if named else None
    if not loaded.fits(data.single.values):
        if fits:
            return None
        takes = f"the whole model takes {', '.join(map(str, loaded.inputs))}"
        raise OptionError(_with_clause(refusal, takes, data) if refusal else takes)
    if fits:
        raise _fits_both(data.single.values, loaded.inputs[0])
    return loaded


def _with_clause(refusal: GatewiseError, clause: str, data: InputNumbers) -> str:
    """Return the text of a refusal with one more clause; a sentence about a column of times stays at the end."""
    origin = "" if data.single is None or not data.single.times_origin else f". {data.single.times_origin}"
    text = str(refusal)
    return f"{text.removesuffix(origin)}; {clause}{origin if text.endswith(origin) else ''}"


def _fits_both(values: Any, port: GraphInput) -> OptionError:
    """Return the error of an input that may be the LSTM's or the whole model's."""
    return OptionError(
        f"the input, of shape {values.shape}, fits both the LSTM and the whole model, which takes {port}: say which it"
        " is with --input-of lstm or --input-of model"
    )


def _prepared_lstm(
    model: OpenedModel, lstm_input: ModelInput, data: InputNumbers, options: InputOptions, lstm_only: bool
) -> PreparedLSTM:
    """Return the run of an LSTM or its network over its input, ready to start, with notes for the user.

    That of a model with windows is the run of one, or the continuous run with the series that compares it.
    """
    reader = "the network" if model.feature_network is not None else f"the LSTM {model.found.name!r}"
    kind = f"the input of {reader}" if lstm_input.tokens is None else "the tokens of the network"
    ambiguous = model.network is None and is_runnable(model.contents)
    left_out = () if data.single is None else data.single.notes
    masks = model.network is not None and model.network.masked is not None
    of_lstm = [note for note in model.found.notes if not (masks and note.startswith(MASKED))]
    notes = (*model.contents.cautions(model.found), *of_lstm, *left_out, *model.notes)
    taken = f"{data.name} is taken as {kind}"
    prepared = PreparedLSTM(model, lstm_input, taken, ambiguous, notes, lstm_only, sort_time=options.sort_time)
    if model.network is None or model.network.windows is None:
        return prepared
    series = WindowedSeries(model.network, replace(lstm_input, state=None), data.source)
    if options.continuous:
        return replace(prepared, compared=series)
    series = series.ending(options.at)
    notes = tuple(note for note in notes if note not in series.notes)
    return replace(prepared, input=series.window, notes=(*notes, *series.notes), series=series)


def _prepared_whole_model(
    model: WholeModel, name: str | None, data: InputNumbers, options: InputOptions
) -> PreparedWholeModel:
    """Return the run of a whole model by its framework, ready to start; refuse options of an LSTM's input."""
    for option in ("axes", "lengths", "state"):
        if getattr(options, option) is not None:
            raise OptionError(
                f"--{option} is for the input of an LSTM, but {data.source} is the whole model's. Leave it out."
            )
    kind = "inputs" if data.several is not None and len(data.several) > 1 else "input"
    interpretation = f"{data.name} is taken as the {kind} of the whole model, which {model.runtime} runs"
    return PreparedWholeModel(model, data, name, interpretation, options.sort_time)
