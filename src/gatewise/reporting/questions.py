"""The questions of a report: a table, each with its picture and the meaning of its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gatewise import insight, plot
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.records.trace import Trace
from gatewise.reporting import overview
from gatewise.reporting.subject import ReportSubject

MOST_UNITS = 32  # of a cell whose fixed points are searched
STARTS = 8  # of that search
MANY = 2e5  # units times steps, from which on an integral has fewer points: two take 4 s at 1.3 million
SMALL = 0.005  # of the largest share: steps with smaller shares are drawn near larger ones alone
Ask = Callable[[], Answer]


@dataclass(frozen=True)
class PosedQuestion:
    """A question about one run: about all of it, or about each of its cells.

    Attributes
    ----------
    title : str
    asks : tuple of (str, callable)
        The name of each cell, and the function that returns its answer; an empty name for the whole run.
    """

    title: str
    asks: tuple[tuple[str, Ask], ...]


@dataclass(frozen=True)
class Question:
    """A question of the table.

    Attributes
    ----------
    pose : callable
        Yields the question about a subject: once, or for each step that is explained.
    draw : callable
        Draws an answer on a Figure.
    meaning : str
        What an answer means, in sentences that hold for every answer.
    height : float
        Of the picture, in inches.
    notability : callable
        A number for an answer: of several cells, the one with the largest number is drawn, of equal ones the last.
    """

    pose: Callable[[ReportSubject], Iterator[PosedQuestion]]
    draw: Callable[[Any, Any], Any]
    meaning: str
    height: float = 3.0
    notability: Callable[[Any], float] = lambda answer: 0.0


def about_the_run(
    title: str, ask: Callable[[ReportSubject], Answer]
) -> Callable[[ReportSubject], Iterator[PosedQuestion]]:
    """Return a function that poses a question about the whole run."""

    def pose(subject: ReportSubject) -> Iterator[PosedQuestion]:
        yield PosedQuestion(title, (("", lambda: ask(subject)),))

    return pose


def about_each_cell(title: str, ask: Callable[[Any], Answer]) -> Callable[[ReportSubject], Iterator[PosedQuestion]]:
    """Return a function that poses a question about each cell."""

    def pose(subject: ReportSubject) -> Iterator[PosedQuestion]:
        yield PosedQuestion(
            title, tuple((subject.cell_name(key), partial(ask, cell)) for key, cell in subject.cells.items())
        )

    return pose


def about_each_step(
    title: str, ask: Callable[[ReportSubject, int | None], Answer]
) -> Callable[[ReportSubject], Iterator[PosedQuestion]]:
    """Return a function that poses a question about each explained step, whose time fills the title."""

    def pose(subject: ReportSubject) -> Iterator[PosedQuestion]:
        for t in subject.steps:
            yield PosedQuestion(title.format(subject.when(t)), (("", partial(ask, subject, t)),))

    return pose


def _contributions(subject: ReportSubject) -> Iterator[PosedQuestion]:
    sequence = 0 if subject.has_named_sequence else subject.sequence
    for t in subject.steps:
        cells = subject.cells.items()
        asks = [(subject.cell_name(key), partial(insight.contributions, cell, t, sequence)) for key, cell in cells]
        yield PosedQuestion(f"Who wrote the cell state {subject.when(t)}?", tuple(asks))


def _attribution(subject: ReportSubject, t: int | None) -> Answer:
    units = sum(cell.parameters.hidden_size for cell in subject.cells.values())
    points = 50 if subject.lstm.num_steps * units < MANY else 12
    return insight.attribution(subject.run, subject.output_weights, t, subject.sequence, points=points)


def _influence(subject: ReportSubject) -> Answer:
    return insight.influence(subject.single_output_run, subject.steps[0], subject.sequence)


def _ceiling(subject: ReportSubject) -> Answer:
    merged = subject.lstm.output.ndim == 3
    sequence = subject.sequence if subject.has_named_sequence else None
    return insight.ceiling(subject.run, output=subject.target if merged else None, sequence=sequence)


def _fixed_points(cell: Trace) -> Answer:
    """Return the fixed points of a cell under the mean of its input."""
    units = cell.parameters.hidden_size
    if units > MOST_UNITS:
        raise OptionError(
            f"the search for the fixed points of {units:,} units takes too long for a page;"
            " gatewise.insight.fixed_points does it"
        )
    x = cell.require("where it comes to rest")
    rows = x.reshape(-1, x.shape[-1]) if cell.valid is None else x[cell.valid]
    return insight.fixed_points(cell, rows.mean(0, dtype=np.float64), starts=STARTS)


def _draw_attribution(answer: Any, figure: Any) -> Any:
    """Draw the steps that have a share, and a few around them."""
    sizes = np.abs(answer.scores)
    places = np.flatnonzero(sizes > SMALL * sizes.max(initial=0.0))
    if not len(places):
        return plot.attribution(answer, ax=figure)
    around = max(10, (places[-1] - places[0]) // 10)
    steps = max(0, int(places[0] - around)), min(len(sizes), int(places[-1] + 1 + around))
    return plot.attribution(answer, ax=figure, steps=steps)


def _picture(name: str) -> Callable[[Any, Any], Any]:
    """Return a function that draws an answer on a Figure, as the picture of that name in `gatewise.plot`."""
    return lambda answer, figure: getattr(plot, name)(answer, ax=figure)


QUESTIONS = (
    Question(
        about_the_run("What is in it, and what did it output?", overview.overview),
        overview.draw,
        "The line is the model's output over this input; a dot marks each step that this page explains. All answers"
        " below are about this input: another one may open other gates.",
        2.4,
    ),
    Question(
        about_each_cell("Is any gate stuck?", insight.saturation),
        _picture("saturation"),
        "On this input, a constant could take the place of a gate that is nearly closed or nearly open at every step. A"
        " few such gates are common; where most units have one, the model may be larger than its task needs, or this"
        " input may lie outside the range that it was trained on.",
        2.5,
        lambda answer: float(np.sum(answer.columns["stuck"])),
    ),
    Question(
        about_each_cell("How long does it remember?", insight.timescales),
        _picture("timescales"),
        "After one timescale, 1/e (about 37 %) of what a unit held is left. What happened many timescales ago no longer"
        " reaches the output along the cell, however important it was; compare the longest timescales with how far back"
        " your task needs to look.",
        3.0,
        lambda answer: float(np.median(answer.timescale)),
    ),
    Question(
        about_the_run("What is the largest output that it can reach?", _ceiling),
        _picture("ceiling"),
        "The states of an LSTM are bounded, so a linear head has a ceiling that no input exceeds: where the data go"
        " beyond it, this model cannot follow. What was lost at each step shows which part kept the output down.",
        3.4,
    ),
    Question(
        about_each_cell("Which units move most, and which least?", insight.activity),
        _picture("activity"),
        "A unit whose hidden state hardly varies tells the rest of the model nothing about this input. It may respond"
        " to inputs that do not occur here, or it may not be needed.",
        2.8,
        lambda answer: -float(answer.deviation.min()),
    ),
    Question(
        _contributions,
        _picture("contributions"),
        "The cell state is exactly the sum of what each step wrote, times the forget gates since then. The height shows"
        " how much of it each step still accounts for; how much of that reaches the output depends on the output gate"
        " and the head.",
        3.0,
    ),
    Question(
        about_each_step("Why this output {}?", _attribution),
        _draw_attribution,
        "Each step's share in the difference between this output and the one for an LSTM input of zeros, by integrated"
        " gradients: positive shares raised the output, negative ones lowered it. This explains the model at this"
        " input; it does not say that the model is right.",
        3.0,
    ),
    Question(
        about_the_run("How many steps matter?", _influence),
        _picture("influence"),
        "How strongly the output at the first of the steps above would respond to a small change of the input at each"
        " step. A model that responds to a few steps only cannot use a longer history, whatever it is given.",
        3.0,
    ),
    Question(
        about_each_cell("Where does it come to rest?", _fixed_points),
        _picture("fixed_points"),
        "If the input stayed at its mean, the state would settle at a stable fixed point, where there is one, within a"
        " few time constants. Several stable points are a lasting memory: where the state settles depends on what the"
        " input was before.",
        3.4,
        lambda answer: float(len(answer.kinds)),
    ),
)
