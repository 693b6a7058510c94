"""What is asked of every model: a table of questions, each with its picture and what an answer means."""

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
from gatewise.reporting.subject import Subject

MOST_UNITS = 32  # of a cell whose fixed points are looked for
STARTS = 8  # of that search
MANY = 2e5  # units of all steps from which on an integral has fewer points: two of them take 4 s at 1.3 million
NOTED = 0.005  # of the largest share: steps with less are not drawn, far from those with more
Ask = Callable[[], Answer]


@dataclass(frozen=True)
class Asked:
    """A question as it is put to one run: to each of its cells, or to the whole.

    Attributes
    ----------
    title : str
    each : tuple of (str, callable)
        What is asked, and what asks it; several where a model has several cells. Those that have no name are the whole.
    """

    title: str
    each: tuple[tuple[str, Ask], ...]


@dataclass(frozen=True)
class Question:
    """A question of the table.

    Attributes
    ----------
    ask : callable
        Returns how it is put to a subject: once, or for each step that is asked about.
    draw : callable
        Draws an answer on a Figure.
    meaning : str
        What an answer means, in sentences that hold whatever it is.
    height : float
        Of the picture, in inches.
    notable : callable
        How notable an answer is: of those of several cells, the most notable is drawn, of equal ones the last.
    """

    ask: Callable[[Subject], Iterator[Asked]]
    draw: Callable[[Any, Any], Any]
    meaning: str
    height: float = 3.0
    notable: Callable[[Any], float] = lambda found: 0.0


def of_the_run(title: str, ask: Callable[[Subject], Answer]) -> Callable[[Subject], Iterator[Asked]]:
    """Return how a question is put to the whole run."""

    def asked(subject: Subject) -> Iterator[Asked]:
        yield Asked(title, (("", lambda: ask(subject)),))

    return asked


def of_each_cell(title: str, ask: Callable[[Any], Answer]) -> Callable[[Subject], Iterator[Asked]]:
    """Return how a question is put to each cell."""

    def asked(subject: Subject) -> Iterator[Asked]:
        yield Asked(title, tuple((subject.cell_name(key), partial(ask, cell)) for key, cell in subject.cells.items()))

    return asked


def of_each_step(title: str, ask: Callable[[Subject, int | None], Answer]) -> Callable[[Subject], Iterator[Asked]]:
    """Return how a question is put for each step that is asked about; its name is put into the title."""

    def asked(subject: Subject) -> Iterator[Asked]:
        for t in subject.steps:
            yield Asked(title.format(subject.when(t)), (("", partial(ask, subject, t)),))

    return asked


def _written(subject: Subject) -> Iterator[Asked]:
    sequence = 0 if subject.named else subject.sequence
    for t in subject.steps:
        cells = subject.cells.items()
        each = [(subject.cell_name(key), partial(insight.contributions, cell, t, sequence)) for key, cell in cells]
        yield Asked(f"Who wrote the cell state {subject.when(t)}?", tuple(each))


def _attribution(subject: Subject, t: int | None) -> Answer:
    units = sum(cell.parameters.hidden_size for cell in subject.cells.values())
    points = 50 if subject.lstm.num_steps * units < MANY else 12
    return insight.attribution(subject.run, subject.chosen, t, subject.sequence, points=points)


def _influence(subject: Subject) -> Answer:
    return insight.influence(subject.aimed, subject.steps[0], subject.sequence)


def _ceiling(subject: Subject) -> Answer:
    whole = subject.lstm.output.ndim == 3  # else directions are not merged
    sequence = subject.sequence if subject.named else None
    return insight.ceiling(subject.run, output=subject.target if whole else None, sequence=sequence)


def _rest(cell: Trace) -> Answer:
    """Return where a cell comes to rest under the mean of its input."""
    units = cell.parameters.hidden_size
    if units > MOST_UNITS:
        raise OptionError(
            f"the search for the fixed points of {units:,} units takes too long for a page;"
            " gatewise.insight.fixed_points does it"
        )
    x = cell.require("where it comes to rest")
    rows = x.reshape(-1, x.shape[-1]) if cell.valid is None else x[cell.valid]
    return insight.fixed_points(cell, rows.mean(0, dtype=np.float64), starts=STARTS)


def _draw_attribution(found: Any, figure: Any) -> Any:
    """Draw the steps that have a share, and a few around them."""
    sizes = np.abs(found.scores)
    held = np.flatnonzero(sizes > NOTED * sizes.max(initial=0.0))
    if not len(held):
        return plot.attribution(found, ax=figure)
    around = max(10, (held[-1] - held[0]) // 10)
    steps = max(0, int(held[0] - around)), min(len(sizes), int(held[-1] + 1 + around))
    return plot.attribution(found, ax=figure, steps=steps)


def _drawn(name: str) -> Callable[[Any, Any], Any]:
    """Return how an answer is drawn: by that picture of `gatewise.plot`, on a Figure."""
    return lambda found, figure: getattr(plot, name)(found, ax=figure)


QUESTIONS = (
    Question(
        of_the_run("What is in it, and what did it output?", overview.overview),
        overview.draw,
        "The line is the model's output over this input; a dot marks each step that this page explains. All answers"
        " below are about this input: another one may open other gates.",
        2.4,
    ),
    Question(
        of_each_cell("Is any gate stuck?", insight.saturation),
        _drawn("saturation"),
        "On this input, a constant could take the place of a gate that is nearly closed or nearly open at every step. A"
        " few such gates are common; where most units have one, the model may be larger than its task needs, or this"
        " input may lie outside the range that it was trained on.",
        2.5,
        lambda found: float(np.sum(found.columns["stuck"])),
    ),
    Question(
        of_each_cell("How long does it remember?", insight.timescales),
        _drawn("timescales"),
        "After one timescale, 1/e (about 37 %) of what a unit held is left. What happened many timescales ago no longer"
        " reaches the output along the cell, however important it was; compare the longest timescales with how far back"
        " your task needs to look.",
        3.0,
        lambda found: float(np.median(found.timescale)),
    ),
    Question(
        of_the_run("What is the largest output that it can reach?", _ceiling),
        _drawn("ceiling"),
        "The states of an LSTM are bounded, so a linear head has a ceiling that no input exceeds: where the data go"
        " beyond it, this model cannot follow. What was lost at each step shows which part kept the output down.",
        3.4,
    ),
    Question(
        of_each_cell("Which units move most, and which least?", insight.activity),
        _drawn("activity"),
        "A unit whose hidden state hardly varies tells the rest of the model nothing about this input. It may respond"
        " to inputs that do not occur here, or it may not be needed.",
        2.8,
        lambda found: -float(found.deviation.min()),
    ),
    Question(
        _written,
        _drawn("contributions"),
        "The cell state is exactly the sum of what each step wrote, times the forget gates since then. The height shows"
        " how much of it each step still accounts for; how much of that reaches the output depends on the output gate"
        " and the head.",
        3.0,
    ),
    Question(
        of_each_step("Why this output {}?", _attribution),
        _draw_attribution,
        "Each step's share in the difference between this output and the one for an LSTM input of zeros, by integrated"
        " gradients: positive shares raised the output, negative ones lowered it. This explains the model at this"
        " input; it does not say that the model is right.",
        3.0,
    ),
    Question(
        of_the_run("How many steps matter?", _influence),
        _drawn("influence"),
        "How strongly the output at the first of the steps above would respond to a small change of the input at each"
        " step. A model that responds to a few steps only cannot use a longer history, whatever it is given.",
        3.0,
    ),
    Question(
        of_each_cell("Where does it come to rest?", _rest),
        _drawn("fixed_points"),
        "If the input stayed at its mean, the state would settle at a stable fixed point, where there is one, within a"
        " few time constants. Several stable points are a lasting memory: where the state settles depends on what the"
        " input was before.",
        3.4,
        lambda found: float(len(found.kinds)),
    ),
)
