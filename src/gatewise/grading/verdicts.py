"""What is said of one quantity on a sheet, and what may have made it wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.edits.edit import LIKELY

RIGHT, CLOSE, FOLLOWS, WRONG, COARSE, BLANK = "right", "close", "follows", "wrong", "too coarse", "blank"


@dataclass(frozen=True)
class Cause:
    """What may have made a quantity wrong.

    Attributes
    ----------
    kind : str
        The class of mistakes that it belongs to.
    says : str
        What was done, in words; `str` gives them.
    tier : {"likely", "structural", "one entry"}
    predicted : array
        What the quantity becomes when that mistake is made, from the person's own numbers.
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
        ``right`` within half a unit in the last digit; ``close`` where the rounding of earlier numbers explains the
        difference; ``follows`` where it is computed correctly from earlier numbers, one of which is wrong; ``too
        coarse`` where so few digits are written that nothing can be decided.
    entry : str
        Of a wrong quantity: the entry that is furthest off, or what is wrong with its shape.
    written, right : float or None
        That entry as it was written, and its correct value.
    expected : float or None
        The value that follows from the person's own earlier numbers, where one of those is wrong.
    causes : tuple of Cause
        Mistakes that give what was written when they are made: at most three, the likeliest first.
    more : int
        How many others do too.
    digits : int or None
        Where too few digits are written to prove a cause: how many decimals would do.
    remark : str
        What else there is to say of it.
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

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the mistakes, each once."""
        return tuple(dict.fromkeys(cause.kind for cause in self.causes))
