"""The records of questions: Table has columns, StepTable times, Answer a sentence and a law; Cost is that of one."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks, require_memory
from gatewise.errors import importing, join_names, shown
from gatewise.files.tables import write_columns, write_rows
from gatewise.progress import working
from gatewise.showing import inline

PIECE = 2**16  # numbers of a table in a piece
LONGEST = 2000  # characters of a sentence
LEAST = 1e-30  # the terms of a law: smaller ones are lost in float32, and in the squares of float64


def relative_error(off: Array | float, terms: Array | float) -> float:
    """Return the largest error of a law, relative to the sums of the absolute values of its terms, or to `LEAST`."""
    return float(np.max(np.abs(off) / np.maximum(terms, LEAST), initial=0.0))


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Columns of equal length, by name.

    Attributes
    ----------
    columns : dict of array (rows,)
    """

    columns: dict[str, npt.NDArray[Any]]

    def to_dataframe(self) -> Any:
        """Return the columns of an answer as a `pandas.DataFrame`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        with importing("pandas", "to_dataframe needs"):
            import pandas
        return pandas.DataFrame(self.columns)

    def to_csv(self) -> str:
        """Return an answer's columns as comma-separated text, with the shortest decimals that restore every number."""
        text = io.StringIO()
        self.write_csv(text)
        return text.getvalue()

    def write_csv(self, file: TextIO) -> None:
        """Write the table's columns as comma-separated text to an open file, in little memory."""
        write_rows(file, [self.columns])
        columns = [np.asarray(column) for column in self.columns.values()]
        rows = len(columns[0]) if columns else 0
        with working("writing", rows) as done:
            for part in chunks(rows, len(columns), PIECE):
                write_columns(file, [column[part] for column in columns])
                done(part.stop - part.start)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(next(iter(self.columns.values()))):,} × {join_names(self.columns, most=12)}>"
        )

    def _repr_html_(self) -> str:
        return inline(self)


@dataclass(frozen=True, eq=False, repr=False)
class StepTable(Table):
    """A table about the kept steps of a run.

    Attributes
    ----------
    times : array (time,)
        Dates, names, or the numbers of the steps.
    valid : boolean array (time,) or None
        True at valid steps; None if all are valid.
    """

    times: npt.NDArray[Any] = field(kw_only=True)
    valid: Mask | None = field(kw_only=True)


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Table):
    """The answer to a question.

    Attributes
    ----------
    columns : dict of array (rows,)
        The table of the answer, by the names of its columns.
    sentence : str
        The answer in one sentence.
    law : str
        The law of the numbers, in words or symbols; empty without a law.
    residual : float
        The error of the law, relative to the sum of the absolute values of its terms; NaN without a law.
    reading : tuple of str
        What checks of the answer found, a sentence each; empty where there were none.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.timescales(trace[0])
    >>> isinstance(answer, gw.insight.Answer), list(answer.columns)[:2]
    (True, ['unit', 'forget_gate'])
    """

    sentence: str
    law: str = field(default="", kw_only=True)
    residual: float = field(default=float("nan"), kw_only=True)
    reading: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", shown(self.sentence, LONGEST))  # names in it come from data
        object.__setattr__(self, "reading", tuple(shown(sentence, LONGEST) for sentence in self.reading))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values())))
        return f"<{type(self).__name__}: {self.sentence}\n  {rows:,} × {join_names(self.columns, most=12)}>"


class Cost(NamedTuple):
    """The memory and the work of an answer, in addition to the trace.

    Attributes
    ----------
    memory : int
        Bytes at most.
    work : int
        Multiplications.

    Examples
    --------
    >>> trace = gw.LSTM(1, 128, rng=0).trace(np.zeros((1000, 1)))
    >>> cost = gw.insight.cost_of_contributions(trace[0])
    >>> cost.memory, cost.work
    (2408000, 256000)
    """

    memory: int
    work: int

    def __str__(self) -> str:
        return f"{self.memory / 1e6:,.4g} MB of memory and {self.work / 1e6:,.4g} million multiplications"

    def require(self, purpose: str) -> None:
        """Raise CapacityError if the memory is not available; `purpose` is the subject of its sentence."""
        require_memory(self.memory, 1, purpose)
