"""The subject of a report: a run, with the sequence, the steps and the output that questions are about."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise import insight
from gatewise.arrays import Array, Mask
from gatewise.errors import GatewiseError, OptionError
from gatewise.insight.horizon import Horizon, HorizonStudy
from gatewise.insight.influence import Influence
from gatewise.insight.naming import at_step
from gatewise.insight.retention import require_range
from gatewise.insight.silencing import run_again
from gatewise.network import Network, NetworkTrace
from gatewise.opening.runs import OpenedRun
from gatewise.opening.windows import WindowedSeries
from gatewise.records.brief_names import with_brief_names, with_labels
from gatewise.records.labels import Labels, brief_name
from gatewise.records.places import place_of, step_place, step_slice
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.reporting.events import choose_events
from gatewise.reporting.misfit import TargetErrors, target_errors
from gatewise.reporting.tokens import Vocabulary, tokens_of, with_named_outputs, with_named_steps, with_quoted_outputs

KINDS = "a cell, an LSTM, a Network, a run, a trace of one of these, or the path of a file with one of them"


@dataclass(frozen=True, eq=False)
class ReportSubject:
    """A run, and what the questions are about."""

    run: NetworkTrace | LSTMTrace  # with a batch axis in every quantity
    cells: dict[tuple[int, str], Trace]  # those of the named sequence, if there is one
    outputs: Array  # (time, batch, output), or (1, batch, output) of a network that reads the final states
    output_names: tuple[str, ...]
    target: int  # the output that is explained
    sequence: int  # of the questions about a step
    has_named_sequence: bool  # whether the caller named it; if not, the other questions are about all sequences
    steps: tuple[int | None, ...]  # that are explained; None for a network that reads the final states
    reason: str  # how they were chosen, as a clause; empty if they were named
    horizon: Horizon | None  # how long a change of the input shows in that output; None if that cannot be asked
    study: HorizonStudy | None = None  # on which that rests
    has_named_target: bool = False  # whether the caller named the output
    tokens: tuple[str, ...] | None = None  # of the text that the run read
    series: WindowedSeries | None = None  # the outputs of a model in windows, of which the run is one
    occlusions: dict[int | None, insight.Occlusion] = field(default_factory=dict)  # of the steps, once asked
    targets: Any = None  # of the outputs, as `insight.ablation` takes them
    errors: TargetErrors | None = None  # of the outputs, or of those of all windows
    ablations: list[insight.Ablation] = field(default_factory=list)  # of the units, once asked
    values: dict[str, Array] = field(default_factory=dict)  # beside the input (time, sequence of the cells), by name

    @property
    def lstm(self) -> LSTMTrace:
        """The run of the LSTM."""
        return self.run.lstm

    @property
    def network(self) -> Network | None:
        """The network that ran, if it was one."""
        network: Network | None = self.run.network
        return network

    @property
    def labels(self) -> Labels:
        """The names of the run."""
        return self.run.labels

    @property
    def first(self) -> Trace:
        """A cell of the first layer."""
        return self.lstm.first

    @property
    def valid(self) -> Mask | None:
        """Which steps are valid (time, batch); None means all."""
        return self.first.valid

    def cell_name(self, key: tuple[int, str]) -> str:
        """Return the name of a cell among several in a report; an empty text for the only cell."""
        layer, direction = key
        directions, layers = len(self.lstm.directions) > 1, self.lstm.num_layers > 1
        if layers:
            return f"layer {layer}, {direction}" if directions else f"layer {layer}"
        return f"the {direction} direction" if directions else ""

    def when(self, t: int | None) -> str:
        """Return the time of a step as part of a report's sentence, numbered where explained steps share a name."""
        if t is None:
            return "at the end"
        names = [at_step(self.first, step) for step in self.steps if step is not None]
        name = at_step(self.first, t)
        return name if names.count(name) < 2 else f"{name} (step {t})"

    @cached_property
    def influence(self) -> Influence:
        """The influence of the input on the output at the first of the explained steps."""
        return insight.influence(self.run, self.steps[0], self.sequence, output=self.target)

    @property
    def output_weights(self) -> int | Array:
        """A report's output as `insight.attribution` takes it: its number, or a weight for each hidden state."""
        shape = self.lstm.output.shape[2:]
        if (self.network is not None and not self.network.outputs_are_states) or len(shape) == 1:
            return self.target
        weights = np.zeros(int(np.prod(shape)))
        weights[self.target] = 1
        return weights.reshape(shape)


def subject_of(
    opened: OpenedRun,
    *,
    sequence: int | str | None,
    at: Any,
    target: int | str | None,
    text: str | Sequence[str] | None = None,
    vocabulary: Vocabulary | None = None,
    targets: Any = None,
    errors: TargetErrors | None = None,
) -> ReportSubject:
    """Return the subject of a report: a run, and the sequence, steps and output to explain.

    If there are `targets` of the outputs, as `insight.ablation` takes them, the steps are those of the largest
    `errors`, which of a model in windows are those of all windows.
    """
    trace: Any = opened.trace.stored
    lstm: LSTMTrace = trace.lstm
    _require_steps(lstm)
    run = with_named_outputs(lstm if trace.network is None else trace, vocabulary)
    first = lstm.first
    outputs, output_names = _outputs_and_names(run)
    is_final = run.network is not None and run.network.reads == "last"
    valid = np.ones(outputs.shape[:2], bool) if first.valid is None else first.valid
    valid = np.atleast_2d(valid.any(0)) if is_final else valid
    _require_finite_run(first, outputs, valid)
    if is_final and at is not None:
        raise OptionError("this network only outputs at the end of a sequence. Leave out at.")
    named_sequence = (
        None if sequence is None else place_of("sequence", sequence, lstm.batch_size, first.labels.sequences)
    )
    output = None if target is None else place_of("output", target, outputs.shape[2], output_names)
    if targets is not None and opened.series is None:
        errors = target_errors(run, targets, named_sequence)
    run, horizon, study = with_brief_names(run), None, None
    tokens = tokens_of(run, text, vocabulary, named_sequence)
    run = with_quoted_outputs(run, vocabulary)
    output_names = _outputs_and_names(run)[1]
    run = run if tokens is None else with_named_steps(run, tokens)
    with suppress(GatewiseError):
        study = HorizonStudy(run if named_sequence is None else run.sequence(named_sequence), output=output)
        horizon = study.answer(output)
    sequences = np.ones(lstm.batch_size, bool)
    if named_sequence is not None:
        sequences = np.arange(lstm.batch_size) == named_sequence
    if not (valid & sequences).any():
        raise OptionError(f"a report needs a valid step; sequence {sequence} has none")
    steps = () if at is None else _named_steps(at, first)
    if opened.series is not None or is_final:
        steps = (len(outputs) - 1,)
    wrong = None if errors is None or opened.series is not None else errors.errors
    events = choose_events(run.network, outputs, valid, sequences, output, horizon, steps, first.input, wrong)
    if horizon is not None and study is not None and horizon.output not in ("", output_names[events.output]):
        with suppress(GatewiseError):
            if events.output not in study.drawn.exchanges.varied:
                study = HorizonStudy(
                    run if named_sequence is None else run.sequence(named_sequence), output=events.output
                )
            horizon = study.answer(events.output)
    for step in steps:
        if not valid[step, events.sequence]:
            raise OptionError(f"step {step} of sequence {events.sequence} is not valid")
    return ReportSubject(
        run,
        {key: _trace_of_sequence(cell, named_sequence) for key, cell in run.lstm.cells().items()},
        outputs,
        tuple(map(brief_name, output_names)),
        events.output,
        events.sequence,
        named_sequence is not None,
        (None,) if is_final else events.steps,
        "" if steps and (lstm.batch_size == 1 or sequence is not None) else events.reason,
        horizon,
        study,
        output is not None,
        tokens,
        opened.series,
        targets=targets,
        errors=errors,
    )


def before_gap(opened: OpenedRun) -> tuple[OpenedRun, str]:
    """Return a run up to the first step whose input is NaN, and a sentence if it was cut there.

    From that step on, every state is NaN, too. A run that is not cut is returned as it is.
    """
    trace: Any = opened.trace.stored
    lstm: LSTMTrace = trace.lstm
    run: Any = lstm if trace.network is None else trace
    x: Any = lstm.first.input if run.network is None or run.input is None else run.input
    is_cut = x is not None and lstm.directions == ("forward",) and opened.series is None and not lstm.edits_said()
    if not is_cut or (run.network is not None and (run.network.is_in_graph or run.network.reads == "last")):
        return opened, ""
    valid = np.ones(x.shape[:2], bool) if lstm.first.valid is None else lstm.first.valid
    bad = valid & np.isnan(x).any(-1)
    before = valid & (np.cumsum(bad, axis=0) == 0)
    if not bad.any() or not before.any():
        return opened, ""
    t, sequence = (int(n) for n in np.argwhere(bad)[0])
    place = int(np.flatnonzero(np.isnan(x[t, sequence]))[0])
    of = f" of sequence {sequence}" if lstm.batch_size > 1 else ""
    labels, again = run.labels, run_again(run, mask=before)
    again = with_labels(again, lambda _: labels)
    sentence = (
        f"Input {labels.feature(place)} is NaN {at_step(lstm.first, t)}{of}, and so is every later state: this report"
    )
    sentence += " is about what came before."
    return replace(opened, trace=again.lstm if run.network is None else again), sentence


def _require_steps(lstm: LSTMTrace) -> None:
    """Raise OptionError unless the run of a report has a valid step."""
    if not lstm.num_steps or not lstm.batch_size:
        raise OptionError("a report needs a step; this run has none")
    if lstm.first.valid is not None and not lstm.first.valid.any():
        raise OptionError("a report needs a valid step; this run has none")


def _outputs_and_names(run: Any) -> tuple[Array, tuple[str, ...]]:
    """Return the outputs (time, batch, output) of a report's run with a batch axis, and their names."""
    output, labels = run.output, run.labels.outputs
    if run.network is not None and run.network.reads == "last":
        output = output[None]
    outputs: Array = output.reshape(*output.shape[:2], -1)
    count = outputs.shape[2]
    return outputs, tuple(labels) if labels and len(labels) == count else tuple(map(str, range(count)))


def _require_finite_run(first: Trace, outputs: Array, valid: Mask) -> None:
    """Raise OptionError if a number of the input or output of a report's run is not finite."""
    require_range(first)
    for name, array, on in (("input", first.input, first.valid), ("output", outputs, valid)):
        if array is None:
            continue
        bad = ~np.isfinite(array).all(-1)
        if on is not None:
            bad &= on
        if bad.any():
            t, sequence = np.argwhere(bad)[0]
            raise OptionError(
                f"a report needs finite numbers, but the {name} of the run {at_step(first, int(t))}"
                f" of sequence {sequence} is not finite"
            )


def _named_steps(at: Any, first: Trace) -> tuple[int, ...]:
    """Return the steps that a report is asked to explain, each by its number or its time."""
    steps, times = [], first.labels.times
    if isinstance(at, slice):
        at = range(len(first))[slice(*step_slice(at.start, at.stop, len(first), times), at.step)]
    for name in at if isinstance(at, (Sequence, np.ndarray)) and not isinstance(at, str) else [at]:
        if name is None:
            raise OptionError("at must be numbers or times of steps")
        step = step_place(name, len(first), times)
        steps.append(step)
    if not steps:
        raise OptionError("at must be one or more steps")
    return tuple(dict.fromkeys(steps))


def _trace_of_sequence(cell: Trace, sequence: int | None) -> Trace:
    """Return a cell's trace of the sequence that a report explains, with a batch axis; of all if none is named."""
    if sequence is None or cell.batch_size == 1:
        return cell
    trace: Trace = cell[:, sequence : sequence + 1]
    return trace
