"""page: an LSTM as a web page to play with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.languages.language import require_language, words_of_markup
from gatewise.opening.run import run_of
from gatewise.playground.assembly import assemble
from gatewise.playground.document import run_document
from gatewise.playground.lesson_file import lesson_document
from gatewise.playground.scenes import teaching
from gatewise.playground.sequence_run import KINDS, SequenceRun, sequence_run_of
from gatewise.progress import working

MAX_INLINE = 20e6  # characters of a page in a cell of a notebook
BYTES_PER_SECOND = 5e7  # bytes of a page that are written in a second, about
FRAME_BYTES = 300_000  # bytes of a page without a model's numbers, about
FRAME_HEIGHT = 900  # pixels of it there


@dataclass(frozen=True, eq=False, repr=False)
class Page:
    """A web page to play with, complete in itself: it asks for nothing, and your data stays in it.

    Attributes
    ----------
    title : str
    html : str
        The page.

    Examples
    --------
    >>> page = gw.page(gw.LSTM(1, 2, rng=0), np.ones((5, 1)))
    >>> page.title, page.html.startswith("<!doctype html>")
    ('An LSTM you can see through', True)
    """

    title: str
    html: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page; an existing file is replaced completely, or not at all.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        storage.write_text(path, self.html)

    def __repr__(self) -> str:
        return f"<Page: {self.title}, {len(self.html) / 1000:,.0f} kB>"

    def _repr_html_(self) -> str:
        """Return the page in a frame for Jupyter; one that is too large, as a sentence that says so."""
        if len(self.html) > MAX_INLINE:
            size = f"{len(self.html) / 1e6:,.0f} MB"
            return f"<p>A page of {size} is too large for a notebook: save('page.html') writes it.</p>"
        return (
            f'<iframe title="{escape(self.title)}" sandbox="allow-scripts allow-downloads" width="100%"'
            f' height="{FRAME_HEIGHT}" name="notebook" srcdoc="{escape(self.html)}"></iframe>'
        )


def page(
    model: object = None,
    x: Any = None,
    *,
    sequence: int | str = 0,
    title: str | None = None,
    notes: Sequence[str] = (),
    lang: str = "en",
    lesson: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Page:
    """Return a web page to play with, on which every number of an LSTM opens, moves and answers.

    Parameters
    ----------
    model : LSTM, LSTMCell, Network, path, OpenedRun, Trace, LSTMTrace or NetworkTrace, optional
        A model, which is run over `x`; a run that was made before; or the file of either, as `open_run` takes it. By
        default the teaching page: a cell that writes a bit, holds it and releases it, with chapters to learn from.
    x : array, path or DataFrame, optional
        The input: an array as the model takes it, or what `open_run` takes; none for a run.
    sequence : int or str, optional
        Which sequence of a batch is shown, by its number or name.
    title : str, optional
        The title of the page.
    notes : sequence of str, optional
        What else the page should say of the model and the run, a sentence each.
    lang : {"en", "de"}, optional
        The language of the page: English or German. What you name, and notes on the file, stay as they are.
    lesson : path, optional
        A lesson of your own in a JSON file, instead of a model: a cell, its sequence and chapters (docs/teaching.md).
    **options
        Of the run: those of `LSTM.trace` and `Network.trace`, such as ``state``, ``lengths``, ``labels``; of a file
        those of `open_run`.

    Returns
    -------
    Page
        Shown in Jupyter; ``save(path)`` writes it.

    Raises
    ------
    OptionError
        If something else is given, the run has no valid step or is edited, there is no such sequence, or the model is
        larger than a page can show: 60 million numbers, 5 million states of all units at all steps, or 5 billion
        products in their sums.
    NotKeptError
        If a trace kept less than everything.
    FileError
        If a file cannot be read.

    Notes
    -----
    The page computes in float64, whatever the type of the weights. The same run gives the same bytes.

    Examples
    --------
    >>> import gatewise as gw
    >>> lstm = gw.LSTM(input_size=3, hidden_size=4, rng=0)
    >>> gw.page(lstm, np.zeros((5, 3)), title="Four units").title
    'Four units'
    """
    if not (title is None or isinstance(title, str)):
        raise OptionError(f"title must be a str, not {title!r}")
    if not isinstance(notes, (list, tuple)) or not all(isinstance(note, str) for note in notes):
        raise OptionError(f"notes must be a list of sentences, not {notes!r}")
    require_language(lang)
    if lesson is not None and (model is not None or title is not None or notes):
        raise OptionError("a lesson has a cell, a title and sentences of its own: give no model, title or notes")
    if model is None:
        if extra := ["x"] * (x is not None) + [*options]:
            raise OptionError(f"the teaching page takes no {extra[0]}: give a model first")
        return assembled(teaching(lang) if lesson is None else lesson_document(lesson, lang))
    run = run_of(model, x, options, "a page of", f"a page is of {KINDS}")
    sentences = (*notes, *(f"Note: {note}." for note in run.notes))
    return page_of(sequence_run_of(run, None, sequence, {}), title, sentences, lang)


def page_of(run: SequenceRun, title: str | None, notes: Sequence[str], lang: str) -> Page:
    """Return the playground's page of a run in a language."""
    with working("writing the page", None, size_of(run) / BYTES_PER_SECOND):
        return assembled(run_document(run, title, notes, lang))


def assembled(document: dict[str, Any]) -> Page:
    """Return the page of a document."""
    return Page(document["title"], assemble(document, words_of_markup(document["lang"])))


def size_of(run: SequenceRun) -> float:
    """Return about how many bytes the page of a run takes."""
    return FRAME_BYTES + run.num_numbers * run.first.parameters.dtype.itemsize * 4 / 3  # which base64 makes of them
