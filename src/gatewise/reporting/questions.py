"""The questions of a report: a table, each with its picture and the meaning of its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from gatewise import insight
from gatewise.errors import GatewiseError, OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import at_step, output_phrase
from gatewise.insight.occlusion import LEAST, MOST
from gatewise.insight.reconciling import reconcile
from gatewise.insight.silencing import has_silencing_masks
from gatewise.margins import first_largest
from gatewise.records.trace import Trace
from gatewise.reporting import headlines, inputs, misfit, overview, stability, training
from gatewise.reporting.stability import Stability
from gatewise.reporting.subject import ReportSubject
from gatewise.showing import pictured

MOST_VALUES = 6  # columns whose probes are drawn
MOST_DRAWS = 1000  # of a probe, 200 for each of several
MOST_UNITS = 32  # of a cell whose fixed points are searched
STARTS = 8  # of that search
STILL = 0.1  # of the largest deviation: a unit that moves less hardly moves
POINTS = (50, 100, 200, 400, 800)  # of an integral, until it has converged
WORK = 4e9  # multiplications at all of the first ones, for which there is time
STEP = 5000  # multiplications in whose time a step takes place, beside its own
SILENCED = 9 * 10**10  # multiplications of all runs with a unit silenced, about
SILENCED_STEPS = 20_000  # of them, on the reference engine
FEWEST = 4  # units that are silenced


class PosedQuestion(NamedTuple):
    """A question about one run: its title, and of each answer the name of its cell, if any, and the function."""

    title: str
    asks: tuple[tuple[str, Callable[[], Answer]], ...]


def _draw_answer(answer: Any, figure: Any) -> Any:
    """Draw the picture of an answer, as `gatewise.plot` has it."""
    return pictured(answer)(answer, ax=figure)  # type: ignore[misc]  # each question of the table has one


@dataclass(frozen=True)
class Question:
    """A question of the table: about a run, or about each cell, each explained step, or each cell at each of them."""

    title: str  # with {} for the time of the step
    ask: Callable[..., Answer]  # takes a subject; or a cell; then a step, and of a cell the subject as well
    meaning: str  # how to read an answer and what it cannot see, in sentences that hold for every answer
    height: float = 3.0  # of the picture, in inches
    headline: Callable[[Any], str] = lambda answer: ""  # a sentence on top of the report
    surprise: Callable[[Any], float] = lambda answer: 0.0  # of a headline: the largest stand on top
    call: Callable[[Any, ReportSubject], str] = lambda answer, subject: ""  # of Python, which repeats a headline
    check: Callable[..., Stability] | None = None  # of a headline; takes the subject, the answer and what asks
    nothing: str = ""  # a clause, in place of a section, if the answers found nothing
    found_nothing: Callable[[Any], bool] = lambda answer: False
    notability: Callable[[Any], float] = lambda answer: 0.0  # of several cells, the last of the largest is drawn
    draw: Callable[[Any, Any], Any] = _draw_answer  # draws an answer on a Figure
    applies: Callable[[ReportSubject], bool] = lambda subject: True  # whether the question makes sense of a model
    each_cell: bool = False
    each_step: bool = False
    each_values: bool = False
    of_network: bool = False  # whether the answer is that of the whole network, whichever LSTM in it is asked about

    @property
    def topic(self) -> str:
        """The title without the time of a step."""
        return self.title.replace(" {}", "")

    def pose(self, subject: ReportSubject) -> Iterator[PosedQuestion]:
        """Yield a report's question about a subject: once, or for each step that is explained."""
        if not self.applies(subject):
            return
        if self.each_values:
            yield from self._pose_of_values(subject)
            return
        for t in subject.steps if self.each_step else (None,):
            arguments = ((t, subject) if self.each_cell else (t,)) if self.each_step else ()
            named_subjects: list[tuple[str, Any]] = [("", subject)]
            if self.each_cell:
                named_subjects = [(subject.cell_name(key), cell) for key, cell in subject.cells.items()]
            asks = tuple((name, partial(self.ask, asked, *arguments)) for name, asked in named_subjects)
            yield PosedQuestion(self.title.format(subject.when(t)), asks)

    def _pose_of_values(self, subject: ReportSubject) -> Iterator[PosedQuestion]:
        """Yield a report's question about each column of values; the last of many share one."""
        tests, asks = len(subject.values) * len(subject.cells), {}
        for name, array in subject.values.items():
            ask = partial(self.ask, values=array, name=name, tests=tests)
            asks[name] = [(subject.cell_name(key), partial(ask, cell)) for key, cell in subject.cells.items()]
        alone = len(asks) if len(asks) <= MOST_VALUES else MOST_VALUES - 1
        for name in [*asks][:alone]:
            yield PosedQuestion(self.title.format(name), tuple(asks[name]))
        others = [(f"{name}, {cell}".removesuffix(", "), ask) for name in [*asks][alone:] for cell, ask in asks[name]]
        if others:
            yield PosedQuestion(self.title.format("the other values"), tuple(others))


def _probe(cell: Trace, tests: int, **options: Any) -> Answer:
    return insight.probe(cell, tests=tests, draws=min(MOST_DRAWS, 200 * tests), **options)


def _contributions(cell: Trace, t: int | None, subject: ReportSubject) -> Answer:
    """Return who wrote a cell state; and what the step of the largest share does to the output, if that was tested."""
    answer = insight.contributions(cell, t, 0 if subject.has_named_sequence else subject.sequence)
    by_step, initial = (share.sum(-1) for share in answer.shares)
    largest = first_largest([initial, *by_step]) - 1
    if cell.direction == "forward" and largest >= 0:  # else the sentence names the initial state
        with suppress(GatewiseError):
            occlusion = _occlusion(subject, t)
            tested = occlusion.test_of(largest, occlusion.target)
            answer = replace(answer, reading=(*answer.reading, tested)) if tested.startswith("Tested") else answer
    return answer


def _attribution(subject: ReportSubject, t: int | None) -> Answer:
    cost, steps = STEP + sum(cell.parameters.weight.size for cell in subject.cells.values()), subject.lstm.num_steps
    nearest = max(LEAST, int(WORK / (POINTS[0] * cost)))
    if steps > nearest:
        nearest = min(nearest, _reach(subject))
        if t is None and len(subject.lstm.directions) > 1:
            raise OptionError(f"integrated gradients of final states need all {steps:,} steps, too many for a page")
    points = [count for count in POINTS if count * min(steps, nearest) * cost <= 2 * WORK] or POINTS[:1]
    question = (subject.run, subject.output_weights, t, subject.sequence)
    answer = insight.attribution(*question, nearest=nearest if steps > nearest else None, points=points)
    if answer.unshared:
        raise OptionError(answer.unshared)
    first, largest = answer.start - subject.first.start, first_largest(np.abs(answer.scores))
    if subject.tokens is not None:
        answer = replace(answer, tokens=np.array(subject.tokens[first : first + len(answer.scores)]))
    with suppress(GatewiseError):
        tested = _occlusion(subject, t).test_of(first + largest)
        answer = replace(answer, reading=(*answer.reading, tested)) if answer.scores.any() else answer
    return answer


def _reach(subject: ReportSubject) -> int:
    """Return how many steps before an output may have a part in it: twice the horizon, if it is known."""
    horizon = subject.horizon
    if horizon is None or not horizon.stable or horizon.at_least or horizon.ahead_at_least:
        return MOST
    return min(MOST, max(LEAST, 2 * max(horizon.steps, horizon.ahead)))


def _occlusion(subject: ReportSubject, t: int | None) -> insight.Occlusion:
    """Return what an output rests on, as far back as twice the horizon."""
    if t not in subject.occlusions:
        tokens = None if subject.tokens is None else np.array(subject.tokens)
        subject.occlusions[t] = replace(_asked_again(subject, t), tokens=tokens)
    return subject.occlusions[t]


def _asked_again(subject: ReportSubject, t: int | None, **options: Any) -> insight.Occlusion:
    question = (subject.run, subject.target, t, subject.sequence)
    return insight.occlusion(*question, steps=_reach(subject), **options)


def _horizon(subject: ReportSubject) -> Answer:
    """Return the horizon, with the sentence that reconciles it with decays, and with derivatives of the same output."""
    run = subject.run.sequence(subject.sequence) if subject.has_named_sequence else subject.run
    answer = insight.horizon(run, output=subject.target) if subject.horizon is None else subject.horizon
    influence = None
    with suppress(GatewiseError):
        influence = subject.influence
    with suppress(GatewiseError):
        timescales = map(insight.timescales, subject.cells.values())
        answer = replace(answer, reading=(*answer.reading, reconcile(answer, timescales, influence)))
    return answer


def _ceiling(subject: ReportSubject) -> Answer:
    merged = subject.lstm.output.ndim == 3
    sequence = subject.sequence if subject.has_named_sequence else None
    return insight.ceiling(subject.run, output=subject.target if merged else None, sequence=sequence)


def _ablation(subject: ReportSubject) -> insight.Ablation:
    """Return what silencing each unit does; of more than a page has time for, those that put out most."""
    if not subject.ablations:
        run, targets = misfit.compared_run(subject.run, subject.targets, _named_sequence(subject))
        extent = run.num_steps * run.batch_size
        if has_silencing_masks(run) and subject.first.engine == "native":
            most = SILENCED // (extent * sum(cell.parameters.weight.size for cell in run.cells().values()))
        else:
            most = SILENCED_STEPS // (extent * len(run.cells()))
        output = subject.target if targets is None or subject.has_named_target else None
        subject.ablations.append(insight.ablation(run, observed=targets, output=output, most=max(FEWEST, most)))
    return subject.ablations[0]


def _named_sequence(subject: ReportSubject) -> int | None:
    return subject.sequence if subject.has_named_sequence else None


def _misfit(subject: ReportSubject) -> Answer:
    """Return where the output, or the classes, miss their targets, and which inputs and units change that."""
    assert subject.errors is not None
    series, labels, outputs = subject.series, subject.labels, subject.outputs
    run, targets = misfit.compared_run(subject.run, subject.targets, _named_sequence(subject))
    by_class = subject.errors.kind == "class" and not subject.has_named_target
    output = None if by_class else subject.target
    tests: list[str] = []
    with suppress(GatewiseError):
        tests += misfit.tested_inputs(run, targets, output if subject.has_named_target else None)
    with suppress(GatewiseError):
        tests += misfit.tested_units(_ablation(subject))
    if series is not None:
        outputs, when = series.outputs, lambda t: f"that of {series.when(t)}"
        times = np.arange(len(outputs)) if series.times is None else np.array(series.times)
    elif len(outputs) != subject.lstm.num_steps:  # at the end of each sequence
        target_errors = subject.errors
        outputs, errors, values = (
            array.swapaxes(0, 1) for array in (outputs, target_errors.errors, target_errors.targets)
        )
        names = labels.sequences or tuple(f"sequence {place}" for place in range(len(outputs)))
        answer = misfit.TargetErrors(values, errors, target_errors.kind)
        return _misfit_of(subject, answer, outputs, 0, output, np.array(names), lambda t: f"that of {names[t]}", tests)
    else:
        times = np.arange(len(outputs)) if labels.times is None else np.array(labels.times)
        when = partial(at_step, subject.first)
    return _misfit_of(subject, subject.errors, outputs, subject.sequence, output, times, when, tests)


def _misfit_of(
    subject: ReportSubject,
    errors: misfit.TargetErrors,
    outputs: Any,
    place: int,
    output: int | None,
    times: Any,
    when: Callable[[int], str],
    tests: list[str],
) -> Answer:
    name = "the classes" if output is None else output_phrase(subject.output_names[output])
    measure = None if output is None else subject.labels.measures.get(subject.output_names[output])
    unit = "" if measure is None else measure.unit
    return misfit.misfit(
        errors, outputs, place=place, output=output, name=name, unit=unit, times=times, when=when, tests=tests
    )


def _input_use(subject: ReportSubject) -> Answer:
    run: Any = subject.run.sequence(subject.sequence).stored if subject.has_named_sequence else subject.run
    return inputs.input_use(run, subject.target)


def _fixed_points(cell: Trace) -> Answer:
    """Return the fixed points of a cell under the mean of its input, unless a report would take too long."""
    units = cell.parameters.hidden_size
    if units > MOST_UNITS:
        raise OptionError(
            f"the search for the fixed points of {units:,} units takes too long for a page;"
            " gatewise.insight.fixed_points does it"
        )
    x = cell.require("where it comes to rest")
    rows = x.reshape(-1, x.shape[-1]) if cell.valid is None else x[cell.valid]
    return insight.fixed_points(cell, rows.mean(0, dtype=np.float64), starts=STARTS)


QUESTIONS = (
    Question(
        "What is in it, and what did it output?",
        overview.overview,
        "The line is the model's output over this input; a dot marks each step that this page explains. All answers are"
        " about this input: another one may open other gates.",
        2.4,
        headlines.still,
        surprise=lambda answer: 4.6,
        draw=overview.draw,
    ),
    Question(
        "Where is it wrong?",
        _misfit,
        "The error is the output minus its target; of classes it is the surprise of the target, in bits: 0 if the model"
        " is sure of it. Dots mark the tenth of the steps with the largest errors. An input or a unit without which the"
        " error falls makes a part of it.",
        3.6,
        headlines.error,
        surprise=headlines.error_surprise,
        check=lambda subject, answer, ask: headlines.error_stability(answer),
        draw=misfit.draw,
        applies=lambda subject: subject.errors is not None,
    ),
    Question(
        "How long does a change of the input show?",
        _horizon,
        "A step was exchanged for another one, and the run went on. The line is the median of how much of the change"
        " still shows at each lag, as a share of its largest; the thin lines are the units that hold a change longest."
        " Compare the horizon with how far back your task needs to look. It cannot see what this input never does.",
        3.4,
        headlines.memory,
        surprise=headlines.memory_surprise,
        call=headlines.memory_call,
        check=lambda subject, answer, ask: stability.of_memory(subject, answer),
    ),
    Question(
        "What does it use, and what does it ignore?",
        _input_use,
        "The values of one input were put in random orders over the steps, and the model ran again. An input that moves"
        " the output little may still matter where it is rare, and inputs that rise and fall together share their"
        " effect.",
        3.0,
        headlines.uses,
        surprise=headlines.uses_surprise,
        call=headlines.uses_call,
        check=lambda subject, answer, ask: headlines.uses_stability(answer),
        draw=inputs.draw,
        applies=lambda subject: subject.network is None or subject.run.tokens is None,  # else it reads tokens
    ),
    Question(
        "Do its weights look trained?",
        lambda subject: training.training(subject.run),
        "Most initialisers draw weights evenly between two bounds, or an orthogonal matrix. Training moves them away"
        " from that. Weights that were drawn from a normal distribution cannot be told from trained ones.",
        2.2,
        headline=headlines.untrained,
        surprise=lambda answer: 5.0,
        nothing="the weights do not look untrained",
        found_nothing=lambda answer: not answer.looks_untrained,
        draw=training.draw,
    ),
    Question(
        "How fast does each cell state decay?",
        insight.timescales,
        "After one timescale, 1/e (about 37 %) of what a unit held is left along the cell, on average over the run."
        " What is written again through the hidden state lasts longer, and a unit that is reset now and then keeps what"
        " it holds in between for longer than its timescale.",
        3.0,
        notability=lambda answer: float(np.max(answer.between_resets)),
        each_cell=True,
    ),
    Question(
        "How many steps matter?",
        attrgetter("influence"),
        "How strongly the output at the first of the explained steps would respond to a small change of the input at"
        " each step. It is a gradient: what a large change does, such as another token, it cannot see.",
        3.0,
        of_network=True,
    ),
    Question(
        "Why this output {}?",
        _occlusion,
        "Each step, as far back as a change shows, was exchanged for others of this input, and the model ran again. A"
        " bar goes up as far as this raises the output, and down as far as it lowers it. Steps that act together can"
        " change more, or less, than the sum of their bars.",
        headline=headlines.why,
        surprise=headlines.why_surprise,
        call=headlines.why_call,
        check=lambda subject, answer, ask: stability.of_reasons(
            subject, answer, partial(_asked_again, subject, answer.step)
        ),
        each_step=True,
        of_network=True,
    ),
    Question(
        "What do gradients say of the output {}?",
        _attribution,
        "Each step's share in the difference between this output and the one for an LSTM input and states of zeros, by"
        " integrated gradients: positive shares raised the output, negative ones lowered it. This explains the model at"
        " this input; it does not say that the model is right. On the way from zeros a gate may open that is closed in"
        " the run, which gives its step a share.",
        each_step=True,
    ),
    Question(
        "Who wrote the cell state {}?",
        _contributions,
        "The cell state is exactly the sum of what each step wrote, times the forget gates since then. The height shows"
        " how much of it each step still accounts for. What the cell writes again from its hidden state counts as new:"
        " earlier steps may decide more than their height says. How much reaches the output depends on the output gate"
        " and the head.",
        3.0,
        each_cell=True,
        each_step=True,
    ),
    Question(
        "What do its units carry?",
        _ablation,
        "Each unit was silenced in a run of its own, and the output compared. A unit that is silenced puts out 0, also"
        " where it never does so by itself; without a head, that is one of the outputs. What two units both carry does"
        " not show where one of them is silenced.",
        4.6,
        headlines.units,
        surprise=headlines.units_surprise,
        call=headlines.units_call,
        check=lambda subject, answer, ask: stability.of_units(subject, answer),
        nothing="no unit changes the output where it is silenced",
        found_nothing=lambda answer: not answer.effects.any() and " silenced, of " not in answer.sentence,
    ),
    Question(
        "Which units carry {}?",
        _probe,
        "The values that were given beside the input, what a linear probe of all units predicts of them, and the units"
        " that correlate most. A trend and the values' own past are taken out before anything counts as found, since"
        " whatever drifts correlates. A season that both have in common is not taken out.",
        4.2,
        headlines.carrier,
        surprise=lambda answer: 2 * answer.found,
        check=lambda subject, answer, ask: stability.of_carriers(answer, ask),
        nothing="no unit is found to carry",
        found_nothing=lambda answer: answer.sentence.startswith("No unit is found") and bool(answer.least > 0),
        notability=lambda answer: answer.found,
        each_values=True,
    ),
    Question(
        "Is any gate stuck?",
        insight.saturation,
        "On this input, a constant could take the place of a gate that is nearly closed or nearly open at every step. A"
        " few such gates are common, and a forget gate that is always open is memory, not a fault. Where most units"
        " have a stuck gate, the model may be larger than its task needs, or this input may lie outside the range that"
        " it was trained on.",
        2.5,
        headlines.stuck,
        surprise=lambda answer: 1.5,
        nothing="no gate is stuck and no unit stands still",
        found_nothing=lambda answer: not (answer.stuck.any() or answer.dead is None or answer.dead.any()),
        notability=lambda answer: float(np.sum(answer.columns["stuck"])),
        each_cell=True,
    ),
    Question(
        "Which units move most, and which least?",
        insight.activity,
        "A unit whose hidden state hardly varies tells the rest of the model little about this input, unless large"
        " weights read it. It may respond to inputs that do not occur here, or it may not be needed.",
        2.8,
        nothing="no unit moves much less than the others",
        found_nothing=lambda answer: bool(answer.deviation.min() > STILL * answer.deviation.max()),
        notability=lambda answer: -float(answer.deviation.min()),
        applies=lambda subject: subject.lstm.num_steps * subject.lstm.batch_size > 1,
        each_cell=True,
    ),
    Question(
        "What is the largest output that it can reach?",
        _ceiling,
        "The states of an LSTM are bounded, so a linear head has a ceiling that no input exceeds: where the data go"
        " beyond it, this model cannot follow. What was lost at each step shows which part kept the output down. The"
        " ceiling may be far above what any real input reaches.",
        3.4,
        headlines.limits,
        surprise=lambda answer: 1.0,
        nothing="the model can reach the end of its output's range",
        found_nothing=lambda answer: bool(answer.own_range.all()),
    ),
    Question(
        "Where does it come to rest?",
        _fixed_points,
        "Several stable points are a lasting memory: where the state settles depends on what the input was before. One"
        " point alone does not mean that nothing is remembered: see how long a change of the input shows. A search may"
        " miss points.",
        3.4,
        nothing="no second stable state was found under the mean input",
        found_nothing=lambda answer: answer.kinds == ("stable",),
        notability=lambda answer: float(len(answer.kinds)),
        each_cell=True,
    ),
)
