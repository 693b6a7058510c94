"""Which mistakes may be named at all: those that unrelated numbers would hardly ever fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, STRUCTURAL

# The chance that a cause is named for unrelated numbers on a sheet is at most 1 %, shared among the tiers.
BOUND = {LIKELY: 0.004, STRUCTURAL: 0.001, ONE_ENTRY: 0.005}

# Of sheets of unrelated numbers, at most so many have one wrong number alone in a line of others that are right.
ALONE = 0.25


def share(tier: str, search: int, searches: int) -> float:
    """Return the chance that one search may take of a tier's bound.

    Those of all searches for a sheet are in the ratio of 1/2, 1/6, 1/12, …, and make up the bound: the first wrong line
    is the one that matters most.
    """
    return BOUND[tier] / ((search + 1) * (search + 2)) * (searches + 1) / searches


class Wrong(NamedTuple):
    """What is wrong with the numbers of a quantity.

    Attributes
    ----------
    off : boolean array
        Which entries are wrong.
    margin : array
        How far off each may be and still be right.
    free : int
        How many of the wrong entries do not follow from the others.
    largest : float
        The largest of the numbers.
    right : boolean array
        Which others are right; the rest is blank.
    """

    off: Mask
    margin: Array
    free: int
    largest: float
    right: Mask

    def by_chance(self, moved: Array) -> Array:
        """Return the chance that unrelated numbers fit each of some mistakes.

        Unrelated numbers are wrong in the same entries as those that were written. Their distance from the right ones
        is as likely to lie between one power of ten and the next as between any two others, from the margin up to the
        size of the numbers; whatever it is, they may lie anywhere within it. A mistake that moves the entries by as
        much as `moved`, times its margin, is then hit with the chance (margin / moved)^n / (n log(size / margin)), n
        being the entries that are free; where one alone is wrong, a quarter of that, since that is rare.

        Parameters
        ----------
        moved : array (mistakes, ·)
            By how much each moves every entry from its right number.

        Returns
        -------
        array (mistakes,)
            NaN for a mistake that would move other entries.
        """
        margin = float(np.exp(np.log(self.margin[self.off]).mean()))
        sizes = np.maximum(moved[:, self.off].max(axis=1), margin)
        spread = max(1.0, np.log(max(self.largest, margin) / margin))
        chance: Array = (margin / sizes) ** self.free / (self.free * spread)
        if self.right.any() and self.off.sum() == 1:
            chance *= ALONE
        elsewhere = (moved > 2 * self.margin)[:, self.right].any(axis=1)
        return np.where(elsewhere, np.nan, chance)


def in_all(chance: float, chances: Array) -> float:
    """Return the chance that a mistake fits unrelated numbers, or any of those that fit them less likely."""
    return chance + float(np.nansum(chances[chances < chance]))


def decimals_more(chance: float, allowed: float, free: int) -> int:
    """Return how many decimals more bring a chance below what is allowed."""
    return max(1, int(np.ceil(np.log10(chance / allowed) / free)))
