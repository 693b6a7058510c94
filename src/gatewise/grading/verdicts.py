"""The verdict on one line of a sheet, one of seven, and the possible causes of a mistake."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.edits.edit import LIKELY

RIGHT, FOLLOWS, CLOSE = "right", "right from a wrong line", "close"
COARSE, INCOMPLETE, WRONG, MISSING = "too coarse", "incomplete", "wrong", "missing"
EARNING = (RIGHT, FOLLOWS, CLOSE)  # the points of a line
ONCE, EVERY = REPEATS = ("once", "every")  # how often one mistake costs points
STATUSES = (*EARNING, COARSE, INCOMPLETE, WRONG, MISSING)


@dataclass(frozen=True)
class Cause:
    """A possible cause of a wrong quantity.

    Attributes
    ----------
    kind : str
        Its class of mistakes.
    says : str
        The mistake in words; `str` gives them.
    tier : {"likely", "structural", "one entry", "possible"}
    predicted : array
        The quantity with that mistake, computed from the person's own numbers.
    family : hashable
        Shared by the same mistake at other steps and in other gates; None for a slip in one number.
    """

    kind: str
    says: str
    tier: str = LIKELY
    predicted: Array = field(compare=False, repr=False, default_factory=lambda: np.zeros(0))
    family: Hashable = field(compare=False, repr=False, default=None)

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, eq=False)
class Verdict:
    """The verdict on one quantity.

    Attributes
    ----------
    name : str
    equation : str
        As text.
    status : {"right", "right from a wrong line", "close", "too coarse", "incomplete", "wrong", "missing"}
        ``right``: within half a unit in the last digit; ``right from a wrong line``: computed correctly from earlier
        numbers, one of which is wrong, or with an earlier slip; ``close``: off by what the reason explains; ``too
        coarse``: too few digits to decide, or fewer than the sheet asks for; ``incomplete``: an entry is blank, and
        no other is wrong.
    entry : str
        Of a wrong quantity: the entry with the largest error, or the fault of its shape.
    others : tuple of str
        Its other wrong entries.
    blank : tuple of str
        Its entries in which nothing is written, if others are.
    gaps : bool
        Whether a line that it follows from is not on the sheet.
    written, right : float or None
        That entry as it was written, and its correct value.
    expected : float or None
        The value that follows from the person's own earlier numbers, if one of those is wrong.
    causes : tuple of Cause
        Mistakes that give the written numbers: at most three, the likeliest first.
    more : int
        The number of other mistakes that do so too.
    digits : int or None
        If too few digits are written to tell the cause: the number of decimals that would do.
    reason : str
        Why a line is close or too coarse, or right in spite of a slip; otherwise empty.
    """

    name: str
    equation: str
    status: str
    entry: str = ""
    written: float | None = None
    right: float | None = None
    expected: float | None = None
    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None
    reason: str = ""
    others: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    gaps: bool = False


def describe_counts(verdicts: Iterable[Verdict]) -> str:
    """Return the number of lines with each status in words: 7 right, 1 wrong."""
    statuses = [verdict.status for verdict in verdicts]
    return ", ".join(f"{count:,} {status}" for status in STATUSES if (count := statuses.count(status)))
