"""Report and Finding: the page about a run, and one answer on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from gatewise.errors import join_names
from gatewise.files import storage
from gatewise.insight.answer import Answer
from gatewise.showing import counted, inline, show

MAX_HEADLINES = 5


@dataclass(frozen=True, eq=False, repr=False)
class Finding:
    """A question and the answer of a run.

    Attributes
    ----------
    question : str
    sentence : str
        The answer in one sentence; or why this cannot be asked of this run.
    answer : Answer or None
        The record that the sentence rests on; None where the question cannot be asked.
    topic : str
        The question without its step.
    meaning : str
        How to read such an answer, and what it cannot see.
    others : tuple of (str, str)
        Where a question is asked of several cells or columns: each other one, and its answer in a sentence.
    headline : str
        The sentence that sums the answer up on top of a report; empty if there is none. The first of the `reading` is
        the experiment that it rests on.
    call : str
        The call of Python that repeats the headline on a `run`, such as ``gw.insight.effect(run, unit=3, scale=0)``.
    checks : str
        What repeating the headline with other seeds, on halves of the data and with shuffled weights showed.
    unstable : str
        Why the headline does not stand on top of a report; empty if it may.
    surprise : float
        How much a headline tells that one would not expect, by which headlines are ranked.
    nothing : str
        A clause, if the answer found nothing that is worth a section, such as ``no gate is stuck``; else empty.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> report = gw.report(gw.LSTM.from_cells(cell), x)
    >>> report.findings[0].question
    'What is in it, and what did it output?'
    """

    question: str
    sentence: str
    answer: Answer | None
    topic: str
    meaning: str
    others: tuple[tuple[str, str], ...] = ()
    headline: str = ""
    nothing: str = ""
    call: str = ""
    checks: str = ""
    unstable: str = ""
    surprise: float = 0.0
    _draw: Callable[[], str] | None = None

    @property
    def reading(self) -> tuple[str, ...]:
        """What checks of the answer found, a sentence each."""
        return () if self.answer is None else self.answer.reading

    @cached_property
    def picture(self) -> str | None:
        """An inline SVG of a report's finding, whose alternative text is the sentence; None if it cannot be asked.

        It is drawn when it is first asked for, which takes longer than most answers.
        """
        return None if self._draw is None else self._draw()

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return f"<Finding: {self.question} {self.sentence}>"


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A page of findings about a model on somebody's data, each with its picture and its meaning.

    Attributes
    ----------
    title : str
    lead : str
        The subject of the report, in a sentence.
    facts : tuple of (str, str)
        The model and the run: the name of each fact, and its value.
    findings : tuple of Finding

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> report = gw.report(gw.LSTM.from_cells(cell), x)
    >>> report.title, len(report.findings)
    ('A report on an LSTM', 14)
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

    @property
    def headlines(self) -> tuple[Finding, ...]:
        """At most five findings that sum up the report, each by its `headline`, the most surprising first.

        Of each topic it is the first that is stable.
        """
        stable = [finding for finding in self.findings if finding.headline and not finding.unstable]
        topics: dict[str, Finding] = {}
        for finding in stable:
            topics.setdefault(finding.topic, finding)
        ranked = sorted(topics.values(), key=lambda finding: -finding.surprise)
        return tuple(ranked[:MAX_HEADLINES])

    @property
    def unstable(self) -> tuple[Finding, ...]:
        """The findings that are no headlines because they do not hold when they are repeated."""
        return tuple(finding for finding in self.findings if finding.headline and finding.unstable)

    @property
    def sections(self) -> tuple[Finding, ...]:
        """The findings that have a section: those that found something."""
        return tuple(finding for finding in self.findings if finding.answer is not None and not finding.nothing)

    @property
    def unanswered(self) -> tuple[Finding, ...]:
        """The findings whose question cannot be asked of this run; their sentence says why."""
        return tuple(finding for finding in self.findings if finding.answer is None)

    @property
    def nothing(self) -> str:
        """One sentence about all questions that found nothing; empty if there are none."""
        names: dict[str, dict[str, None]] = {}
        for finding in [finding for finding in self.findings if finding.nothing]:
            about = finding.question[len(finding.topic) - 1 : -1]
            names.setdefault(finding.nothing.removesuffix(about), {})[about.strip()] = None
        clauses = [f"{clause} {join_names(about, 'and')}".strip() for clause, about in names.items()]
        return f"Found nothing: {'; '.join(clauses)}." if clauses else ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, complete in itself: HTML without scripts, which asks for nothing else.

        An existing file is replaced completely, or not at all.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        storage.write_text(path, self.html())

    def html(self) -> str:
        """Return the page."""
        return show(self, "html")

    def __str__(self) -> str:
        return show(self)

    def _repr_html_(self) -> str:
        return inline(self)

    def __repr__(self) -> str:
        answered = [finding for finding in self.findings if finding.answer is not None]
        return (
            f"<Report: {self.title}, {counted(len(answered), 'finding')} of {counted(len(self.findings), 'question')}>"
        )
