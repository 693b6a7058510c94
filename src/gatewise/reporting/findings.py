"""Report and Finding: the page about a run, and one answer on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from gatewise.files import storage
from gatewise.insight.answer import Answer
from gatewise.showing import counted, inline, show


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
    meaning : str
        What such an answer means to a user of the model.
    others : tuple of (str, str)
        Where a model has several cells: each cell, and its answer in a sentence. `answer` is that of one of them.
    """

    question: str
    sentence: str
    answer: Answer | None
    meaning: str
    others: tuple[tuple[str, str], ...] = ()
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
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

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
