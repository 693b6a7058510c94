"""A report: every question of the table, put to one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

import numpy as np

from gatewise.errors import GatewiseError, OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.exchanges import MOST_OUTPUTS
from gatewise.margins import first_largest
from gatewise.opening.answers import observed_outputs
from gatewise.opening.run import run_of
from gatewise.opening.step_values import step_values
from gatewise.opening.windows import WindowedSeries
from gatewise.progress import working
from gatewise.records.places import step_slice
from gatewise.reporting import overview
from gatewise.reporting.findings import Finding, Report
from gatewise.reporting.misfit import series_errors
from gatewise.reporting.pictures import svg
from gatewise.reporting.questions import QUESTIONS, PosedQuestion, Question
from gatewise.reporting.stability import Stability
from gatewise.reporting.subject import KINDS, ReportSubject, before_gap, subject_of


def report(
    model: object,
    x: Any = None,
    *,
    sequence: int | str | None = None,
    at: Any = None,
    target: int | str | None = None,
    text: str | Sequence[str] | None = None,
    vocabulary: Sequence[str] | Mapping[int, str] | None = None,
    targets: Any = None,
    values: Any = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    **options: Any,
) -> Report:
    """Return a page about a model on your data: for each question a finding, a picture and what it means.

    Parameters
    ----------
    model : LSTM, LSTMCell, Network, path, OpenedRun, Trace, LSTMTrace or NetworkTrace
        A model, which is run over `x`; a run that was made before; or the file of either, as `open_run` takes it.
    x : array, path or DataFrame, optional
        The input: an array as the model takes it, or what `open_run` takes; none for a run.
    sequence : int or str, optional
        Which sequence of the batch to report on, by its number or name. By default all sequences are summarised, and
        what is asked about a step is asked of the sequence with the largest event.
    at : int, str or date, or a sequence or slice of them, optional
        The steps to explain, by their numbers or times. By default one or two events, see the notes. Of a model that is
        evaluated in windows (a run of NeuralHydrology) one step, by default the last: what is asked of the inside is
        asked of the window that ends there.
    target : int or str, optional
        The output to explain, by its number or name. By default that of the largest event.
    text : str or sequence of str, optional
        What the run read: a character or a token for each step, which name the steps and are drawn.
    vocabulary : sequence or mapping of str, optional
        The words of the tokens; or of the features, if one of them is 1 and the others are 0. They name the steps,
        unless there is a text, and the outputs, if there are as many. By default the names of the outputs, if there are
        as many tokens.
    targets : array, path or DataFrame, optional
        What the outputs should be at each step, or a class, NaN where nothing was observed: see `insight.ablation`. The
        report then has the error over time, which inputs and units change it, and explains the steps where it is
        largest. By default outputs without a unit are compared with those of the whole model.
    values : array (time,), (time, column) or (time, batch, column), path or DataFrame, optional
        Numbers for each step that are no input, such as a measured storage: which units carry them is asked of each
        column. Where they have times, these must be those of the input. NaN where there is none.
    title : str, optional
        The title of the page.
    notes : sequence of str, optional
        What else the page should say of the model and the run, a sentence each.
    **options
        Of the run: those of `LSTM.trace` and `Network.trace`, such as ``state``, ``lengths``, ``labels``; of a file
        those of `open_run`.

    Returns
    -------
    Report
        Shown in Jupyter; ``save(path)`` writes it as a web page; ``findings`` has the answers as records.

    Raises
    ------
    OptionError
        If something else is given, the run has no valid step before the first number that is not finite, or there is no
        such sequence, step or output.
    MissingExtraError
        When the page is made of it, if matplotlib is not installed.

    Notes
    -----
    With targets, an event is where the error is largest. Else it is where a number is furthest from its mean, or where
    a class (of a softmax, a sigmoid, or of a model that reads tokens) is predicted with the highest probability. A
    second event is at least half as large. Between the two, the output (or its error) returns to near its mean, or
    half-way if a horizon lies between them; of a class, another one is predicted. The beginning is left out: two
    horizons, at most a quarter of the run; or a window of a model that was trained on windows.

    A question that cannot be asked of this model (of a variant, or of a trace that kept less) is answered with the
    reason. The same run gives the same bytes. Time and memory are linear in the number of steps.

    Examples
    --------
    >>> import gatewise as gw
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> print(gw.report(cell, x).headlines[0].headline)
    Output 0 at step 6 is 0.7503; with step 0 and step 6 exchanged for others, it is 0.0002683 on average.
    """
    if not (title is None or isinstance(title, str)):
        raise OptionError(f"title must be a str, not {title!r}")
    if not isinstance(notes, (list, tuple)) or not all(isinstance(note, str) for note in notes):
        raise OptionError(f"notes must be a list of sentences, not {notes!r}")
    run = run_of(model, x, options, "a report on", f"a report is on {KINDS}")
    run, gap = before_gap(run)
    names_step = at is not None
    if run.series is not None and at is not None:
        run, at = run.window_at(_only_step(at, run.series)), None
    of_targets: dict[str, Any] = {}
    if targets is not None:
        of_series = observed_outputs(run, targets, whole=True)
        if run.series is not None and len(of_series) == len(run.series.ends):
            of_targets["errors"] = errors = series_errors(run.series, of_series)
            sizes = np.nan_to_num(np.abs(errors.errors)).max((1, 2))
            run = run.window_at(first_largest(sizes)) if sizes.any() and not names_step else run
        of_targets["targets"] = observed_outputs(run, targets)
    named: dict[str, Any] = {"sequence": sequence, "at": at, "target": target, "text": text, "vocabulary": vocabulary}
    subjects = [subject_of(run, **named, **of_targets)]
    subject = subjects[0]
    for other in run.others:  # of a graph: questions about the LSTMs that change the output less
        subjects.append(subject_of(other, **named))
    if values is not None:
        place = subject.sequence if subject.has_named_sequence else None
        subject = replace(subject, values=step_values(values, run, place))
    subjects[0] = subject
    names = [f"{each.name}: " for each in (run, *run.others)] if run.others else [""]
    posed = [
        (name, question, asked, each)
        for name, each in zip(names, subjects, strict=True)
        for question, asked in _posed_questions(each)
        if not (question.of_network and each is not subject and None not in (each.network, subject.network))
    ]
    findings = []
    with working("asking", len(posed)) as done:
        for place, (name, question, asked, each) in enumerate(posed):
            findings.append(_ask_question(question, asked, f"p{place}", each, name))
            done(1)
    facts = (
        *overview.facts(subject),
        *(("Note", note) for note in (*notes, *run.notes)),
        *overview.provenance(run.model),
    )
    lead = f"{gap} {_lead_paragraph(subject)}".strip()
    return Report(title or "A report on an LSTM", lead, facts, tuple(findings))


def _posed_questions(subject: ReportSubject) -> Iterator[tuple[Question, PosedQuestion]]:
    """Yield the questions of the table about a subject; all that is asked about an explained step stands together."""
    for each_step, group in groupby(QUESTIONS, attrgetter("each_step")):
        posed = [[(question, asked) for asked in question.pose(subject)] for question in group]
        yield from chain.from_iterable(zip(*posed, strict=True) if each_step else posed)


def _only_step(at: Any, series: WindowedSeries) -> Any:
    """Return the step at which the window of a report ends; several are refused."""
    if isinstance(at, slice):
        count = len(series.ends)
        at = range(count)[slice(*step_slice(at.start, at.stop, count, series.times), at.step)]
    steps = [*at] if isinstance(at, (Sequence, np.ndarray)) and not isinstance(at, str) else [at]
    if len(steps) != 1:
        raise OptionError(
            f"a report on a model that is evaluated in windows explains one step, not {len(steps)}. For several, use a"
            " continuous run."
        )
    return steps[0]


def _ask_question(
    question: Question, posed: PosedQuestion, key: str, subject: ReportSubject, lstm: str = ""
) -> Finding:
    """Ask a report's question of each cell; return the finding of the most notable one, and a sentence of each.

    Of several LSTMs of a network, titles and headlines begin with the name of the `lstm`.
    """
    answers: list[tuple[str, Answer | None, str]] = []
    for name, ask in posed.asks:
        try:
            answer: Answer | None = ask()
            sentence = str(answer)
        except GatewiseError as error:
            answer, sentence = None, f"{str(error)[:1].upper()}{str(error)[1:]}."
        answers.append((name, answer, sentence))
    answered = [entry for entry in answers if entry[1] is not None] or answers
    numbers = [0.0 if answer is None else question.notability(answer) for _, answer, _ in answered]
    place = len(numbers) - 1 - first_largest(numbers[::-1])
    name, chosen, sentence = answered[place]
    if name:
        sentence = f"{name[0].upper()}{name[1:]}: {sentence[0].lower()}{sentence[1:]}"
    draw = None
    if chosen is not None:
        draw = partial(svg, partial(question.draw, chosen), sentence, key, question.height)
    others = tuple((cell, f"{other[0].lower()}{other[1:]}") for cell, _, other in answers if cell != name)
    found_nothing = all(answer is not None and question.found_nothing(answer) for _, answer, _ in answers)
    about = posed.title[len(question.topic) - 1 : -1]  # of values, their name after a space
    nothing = f"{question.nothing}{about}" if found_nothing else ""
    headline = "" if chosen is None else question.headline(chosen)
    stable, call, surprise = Stability(), "", 0.0
    if headline:
        ask = dict(posed.asks)[name]
        stable = stable if question.check is None else question.check(subject, chosen, ask)
        call, surprise = question.call(chosen, subject), question.surprise(chosen)
        headline = f"{lstm}{headline}"
    nothing = f"{lstm}{nothing}" if nothing else ""
    return Finding(
        f"{lstm}{posed.title}",
        sentence,
        chosen,
        f"{lstm}{question.topic}",
        question.meaning,
        others,
        headline,
        nothing,
        call,
        stable.checks,
        stable.unstable,
        surprise,
        draw,
    )


def _lead_paragraph(subject: ReportSubject) -> str:
    """Return the first paragraph of a report: the output, the steps and the sequence that it explains."""
    output = overview.output_name(subject, subject.target)
    count = len(subject.output_names)
    output += f", one of {count:,}" if count > MOST_OUTPUTS else ""
    where = " and ".join(subject.when(t) for t in subject.steps)
    sequence = ""
    if subject.lstm.batch_size > 1:
        names = subject.labels.sequences
        sequence = f" of sequence {subject.sequence if names is None else names[subject.sequence]}"
    hidden = ", a hidden state of the LSTM" if subject.network is None or subject.network.outputs_are_states else ""
    values = "value" if len(subject.steps) == 1 else "values"
    all_sequences = ""
    if subject.lstm.batch_size > 1 and not subject.has_named_sequence:
        all_sequences = "; questions that name no step are about all sequences"
    return f"This page explains {output}{hidden}: its {values} {where}{sequence}{subject.reason}{all_sequences}."
