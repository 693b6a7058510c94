"""The verdict on one quantity of a sheet, and the possible causes of a mistake."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.edits.edit import LIKELY

RIGHT, CLOSE, FOLLOWS, WRONG, COARSE, BLANK = "right", "close", "follows", "wrong", "too coarse", "blank"


@dataclass(frozen=True)
class Cause:
    """A possible cause of a wrong quantity.

    Attributes
    ----------
    kind : str
        Its class of mistakes.
    says : str
        The mistake in words; `str` gives them.
    tier : {"likely", "structural", "one entry"}
    predicted : array
        The quantity with that mistake, computed from the person's own numbers.
    """

    kind: str
    says: str
    tier: str = LIKELY
    predicted: Array = field(compare=False, repr=False, default_factory=lambda: np.zeros(0))

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
    status : {"right", "close", "follows", "wrong", "too coarse", "blank"}
        ``right``: within half a unit in the last digit; ``close``: the rounding of earlier numbers explains the
        difference; ``follows``: computed correctly from earlier numbers, one of which is wrong; ``too coarse``: too
        few digits to decide.
    entry : str
        Of a wrong quantity: the entry with the largest error, or the fault of its shape.
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
    remark : str
        A further remark, or empty.
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
    remark: str = ""
