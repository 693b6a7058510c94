"""A model on an input, compared with the answers of its own runtime: files, or objects in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, size
from gatewise.diagnostics.verification import Verification
from gatewise.diagnostics.verification import verify as verify_model
from gatewise.errors import OptionError, ShapeError
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.interop.ledger import clauses
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.opening.answers import Answers, output_time_first, read_answers
from gatewise.opening.models import contents_from
from gatewise.opening.preparing import InputOptions, prepare_run
from gatewise.opening.run import input_options
from gatewise.opening.runs import OpenedRun, PreparedLSTM
from gatewise.opening.states import nested_pairs
from gatewise.opening.verified_windows import windows_to_verify
from gatewise.records.labels import Labels
from gatewise.records.named_numbers import is_labelled
from gatewise.records.times import dates_of
from gatewise.showing import counted

BATCH_FIRST = ("batch", "time", "feature")


class Comparison(NamedTuple):
    """A model of a file, compared with the answers of its own runtime: the name of its LSTM, and the outcome.

    `left_out` says what is left out of the file and would change the numbers; it is empty where nothing is.
    """

    name: str
    verification: Verification
    left_out: str = ""


def verify(
    model: object,
    x: Any,
    y: Any = None,
    *,
    final: Sequence[Sequence[tuple[npt.ArrayLike | None, npt.ArrayLike | None]]] | None = None,
    mask: npt.ArrayLike | None = None,
    rng: int | np.random.Generator = 0,
    eight_bits: bool | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Verification:
    """Compare a model with the answers of its own runtime, and tell rounding from a mistake.

    (`gatewise.check` compares a run with numbers that a person worked out by hand.)

    Parameters
    ----------
    model : LSTM, Network, GraphNetwork, path, Contents or StoredLSTM
        Of a network, the outputs are compared, in its own units, and the final states of its LSTM. Of a file, those of
        the network that it describes, or of its LSTM where `y` fits that alone; a note says which.
    x : array, tensor, DataFrame, Series, DataArray, Dataset or path
        The input: of an LSTM or a network in memory with the axes in the order ``axes``, or (time, feature); tokens, if
        the network embeds them, have no feature axis. Else whatever `open_run` takes.
    y : array or path, optional
        The output, with the same axes; or the last step's (batch, output) or (output,); or with the directions
        separate, (time, direction, batch, size) or (batch, time, direction, size), as in ONNX. A file, or a mapping,
        may hold ``y``, and the final states ``hn`` and ``cn`` as frameworks stack them. Of a `GraphNetwork`, the
        output, a sequence of outputs, or a mapping by their names; `x` in the same way.
    final : nested sequence of (h, c), optional
        The runtime's final states, ``[layer][direction]``; either of a pair may be None.
    mask : boolean array (time, batch) or (time,), optional
        For an LSTM or a network in memory: which steps are valid, where padding is not only on the right.
    rng : int or numpy.random.Generator
        Draws the simulated rounding; the same seed gives the same verdict.
    eight_bits : bool, optional
        Whether the weights are 8-bit integers in the file, so that the runtime rounds the input and the hidden state to
        8 bits before each product (onnxruntime's DynamicQuantizeLSTM): what that may change is then no mistake. By
        default as the file says. The very numbers of such a runtime are recognised in any case where no step is
        padding.
    name, settings
        Which LSTM of a file, and what the file leaves out, as in `open_run`.
    **options
        ``state`` (the runtime's initial states; by default those of the model, or zeros), ``lengths`` (how many steps
        of each sequence are valid: beyond them the output may be zeros or repeat the last one) and ``axes``. Of what
        is opened, all options of an input that `open_run` has. A network with windows is compared in windows, in memory
        too, unless ``continuous=True``.

    Returns
    -------
    Verification

    Raises
    ------
    ShapeError
        If sizes do not match.
    OptionError
        If there is no answer to compare with.
    FileError
        If a file cannot be read.

    Notes
    -----
    The runtime is assumed to have computed in the narrowest precision that holds its answers (bfloat16, float16,
    float32, float64), or in that of the weights if they have fewer digits. A mistake that changes the answers no more
    than rounding does is not found. It takes the time of some 20 runs.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> lstm = gw.LSTM(3, 4, rng=0)
    >>> x = np.random.default_rng(0).normal(size=(5, 2, 3))
    >>> y, _ = lstm(x)
    >>> gw.verify(lstm, x, y).verdict
    'rounding'
    >>> gw.verify(lstm, x[::-1], y).causes
    ('the runtime was given the steps in the reverse order',)
    """
    seed = int(rng.integers(2**32)) if isinstance(rng, np.random.Generator) else size("rng", rng, least=0, most=None)
    if not isinstance(model, (LSTM, Network, str, os.PathLike, Contents, StoredLSTM)):
        from gatewise.network.graph_network import GraphNetwork  # which most models do without
        from gatewise.opening.graph_runs import verify_network

        if isinstance(model, GraphNetwork):
            return verify_network(model, x, y, options.get("axes"), seed)
    opens = isinstance(y, Mapping) and not is_labelled(y)
    opens = opens or any(isinstance(data, (str, os.PathLike)) for data in (x, y)) or bool(options.get("sort_time"))
    windowed = isinstance(model, Network) and model.windows is not None
    if isinstance(model, (LSTM, Network)) and not (opens or windowed):
        if name is not None or settings:
            raise OptionError("name and settings are for a model's file. Leave them out for a model in memory.")
        arguments: dict[str, Any] = {"final": final, "mask": mask, "seed": seed, "eight_bits": bool(eight_bits)}
        return verify_model(model, x, y, **options, **arguments)
    if mask is not None or final is not None:
        kinds = "an LSTM, or a Network without windows, and arrays"
        raise OptionError(f"mask and final need {kinds}. Otherwise, give final states as hn and cn of y.")
    contents = contents_from(model, settings, "verify")
    answers = Answers("the output", {}) if y is None else read_answers(y, sort_time=bool(options.get("sort_time")))
    return compare(contents, x, answers, input_options(**options), name=name, seed=seed, eight_bits=eight_bits)[1]


@dataclass(frozen=True, eq=False)
class _VerifiedModel:
    """A model whose outputs a runtime's answers may be, with its input and the options of its verification.

    `sizes` are the numbers of steps and of sequences, `axes` the order of the axes; `is_exact` says that the caller
    gave that order, so that the shape of the outputs cannot tell another.
    """

    name: str
    model: LSTM | Network
    x: Any
    sizes: tuple[int, int]
    axes: tuple[str, ...]
    is_exact: bool
    options: Mapping[str, Any]
    time_reversed: bool = False

    @property
    def words(self) -> str:
        """The model in words."""
        return "the network" if isinstance(self.model, Network) else f"the LSTM {self.name!r}"

    @property
    def num_outputs(self) -> int:
        """The numbers of one output; of directions that are not merged, those of both."""
        if isinstance(self.model, Network):
            return self.model.num_outputs
        return self.model.output_size * (len(self.model.directions) if self.model.merge[-1] == "none" else 1)

    def verify(self, answers: Answers, seed: int, eight_bits: bool) -> Verification:
        """Return the verification of the model against a runtime's answers; raise ShapeError where they do not fit."""
        lstm = self.model.lstm if isinstance(self.model, Network) else self.model
        (steps, batch), final = self.sizes, None
        y, hn, cn = (answers.arrays.get(name) for name in ("y", "hn", "cn"))
        if hn is not None or cn is not None:
            final = nested_pairs(lstm, hn, cn, batch, ("hn", "cn"))
        if y is not None:
            axes = answers.axes or self.axes
            is_exact = answers.axes is not None or self.is_exact
            if not is_exact and y.ndim > 2 and y.shape[:2] != self._leading(axes) == y.shape[1::-1]:
                axes = AXES if axes.index("batch") < axes.index("time") else BATCH_FIRST
            y = output_time_first(y, axes, self.sizes, self.num_outputs)
            if self.time_reversed and (y.ndim > 2 or (y.ndim == 2 and batch == 1 and len(y) == steps)):
                y = y[::-1]
        return verify_model(self.model, self.x, y, final=final, seed=seed, eight_bits=eight_bits, **self.options)

    def _leading(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        """Return the sizes of the axes of steps and sequences, in the order of a model's axes."""
        sizes = dict(zip(("time", "batch"), self.sizes, strict=True))
        return tuple(sizes[name] for name in axes if name in sizes)


def compare(
    contents: Contents,
    input: Any,
    answers: Answers,
    options: InputOptions,
    *,
    name: str | None = None,
    seed: int = 0,
    eight_bits: bool | None = None,
    lstm_first: bool = False,
) -> Comparison:
    """Return the verification of a file's network on an input, or of its LSTM where the answers fit that alone.

    Arguments are as in `verify`; of answers that fit both, `lstm_first` takes them as those of the LSTM.
    """
    if contents.graph is not None and name is None and not lstm_first:
        from gatewise.opening.graph_runs import compare_network  # which most files do without

        if (outputs := compare_network(contents, input, answers, options, seed)) is not None:
            return Comparison("the network", outputs)
    prepared = prepare_run(contents, input, name, options, finite=False, answers=answers.arrays)
    found: StoredLSTM | None
    if isinstance(prepared, PreparedLSTM):
        found, network = prepared.model.found, prepared.model.network
        answers, notes = answers.columns_of(None if network is None else network.labels.outputs), prepared.notes
        if prepared.series is None:
            models = _models_of(prepared, is_exact=options.axes is not None)
            _require_same_dates(prepared, answers)
        else:
            x, answers = windows_to_verify(prepared.series, answers)
            models = [_VerifiedModel(found.name, prepared.series.network, x, x.shape[:2], AXES, True, {})]
    else:
        run = prepared.run()
        models, notes, found = [_lstm_of_run(run)], run.notes, run.found
    models = models[::-1] if lstm_first else models
    if prepared.ambiguous and not lstm_first:
        notes = (prepared.interpretation, *notes)
    rounds = eight_bits if eight_bits is not None else found is not None and found.eight_bits
    hint = "" if isinstance(prepared, PreparedLSTM) else "; of a whole model the outputs of its LSTM are compared"
    model, verification = _verify_first_that_fits(models, answers, seed, rounds, hint)
    if verification.verdict == "mistake" and not verification.causes and isinstance(model.model, LSTM):
        others = [other for other in contents.lstms if repr(other.lstm) == repr(model.model)]
        causes = (
            f"these are the answers of {other.name}, another LSTM of the file"
            for other in others
            if other.name != model.name and replace(model, model=other.lstm).verify(answers, seed, rounds).agrees
        )
        verification = replace(verification, causes=tuple(causes))
    if len(models) > 1:
        notes = (f"{answers.source} is compared with the outputs of {model.words}", *notes)
    of_lstm = found is not None and isinstance(prepared, PreparedLSTM)  # a whole model leaves nothing out
    left_out = [] if found is None or not of_lstm else contents.left_out(found)
    verification = replace(verification, notes=(*answers.notes, *verification.notes, *notes))
    return Comparison(model.name, verification, clauses(left_out))


def _models_of(prepared: PreparedLSTM, *, is_exact: bool) -> list[_VerifiedModel]:
    """Return the network of a run that is ready to start, if there is one, and its LSTM."""
    opened, arguments = prepared.model, prepared.input
    options = {"state": arguments.state, "lengths": arguments.options.get("lengths")}
    sizes, name = (len(arguments.x), arguments.batch), opened.found.name
    x = arguments.x if opened.feature_network is None else opened.feature_network.embed(arguments.x)[0]
    masked = options | {"mask": arguments.options.get("mask")}
    reverse = opened.found.time_reversed
    models = [_VerifiedModel(name, opened.lstm, x, sizes, arguments.axes, is_exact, masked, reverse)]
    runner, x = prepared.runner
    if isinstance(runner, Network):
        models.insert(0, _VerifiedModel(name, runner, x, sizes, arguments.axes, is_exact, options))
    return models


def _lstm_of_run(run: OpenedRun) -> _VerifiedModel:
    """Return the LSTM of a whole model that ran, at the input that it received."""
    trace, model = run.trace.lstm, run.model
    lstm = model.lstm if isinstance(model, Network) else model
    state = tuple(tuple(cell.initial for cell in layer.values()) for layer in trace.layers)
    axes = BATCH_FIRST if run.found is not None and run.found.batch_first else AXES
    options = {"state": state, "mask": trace.first.valid}
    sizes = trace.num_steps, trace.batch_size
    return _VerifiedModel(run.name, lstm, trace.first.input, sizes, axes, False, options)


def _verify_first_that_fits(
    models: Sequence[_VerifiedModel], answers: Answers, seed: int, eight_bits: bool, hint: str
) -> tuple[_VerifiedModel, Verification]:
    """Return the first model that a runtime's answers fit, and its verification; raise ShapeError if they fit none.

    `hint` is the end of its sentence.
    """
    problems: dict[str, ShapeError] = {}
    for model in models:
        try:
            return model, model.verify(answers, seed, eight_bits)
        except ShapeError as problem:
            problems[str(problem)] = problem
    first, *others = problems.values()
    if not others:
        raise ShapeError(f"{first}{hint}")
    sizes = ", nor ".join(f"those of {model.words}, {model.num_outputs:,} a step" for model in models)
    steps, sequences = models[0].sizes
    raise ShapeError(
        f"{answers.source} has shape {answers.arrays['y'].shape}, not {sizes}. The input has"
        f" {counted(steps, 'step')} of {counted(sequences, 'sequence')}"
    )


def _require_same_dates(prepared: PreparedLSTM, answers: Answers) -> None:
    """Raise OptionError if a step has one date in the input of a run, and another in the answers."""
    labels = prepared.input.options.get("labels")
    labels = labels[0] if isinstance(labels, list) else labels
    if labels is None or answers.times is None or labels.times is None or len(labels.times) != len(answers.times):
        return
    dates = Labels(times=dates_of(answers.times)).times or ()
    for step, (date, other) in enumerate(zip(labels.times, dates, strict=True)):
        if isinstance(date, np.datetime64) and isinstance(other, np.datetime64) and date != other:
            raise OptionError(f"step {step} is {date} in the input and {other} in {answers.source}: they must agree")
