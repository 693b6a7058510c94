"""The chance that unrelated numbers fit a mistake: only unlikely ones may be named."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, STRUCTURAL

# The chance that a cause is named for unrelated numbers on a sheet is at most 1 %, shared among the tiers.
BOUND = {LIKELY: 0.004, STRUCTURAL: 0.001, ONE_ENTRY: 0.005}

# The chance that unrelated numbers fit a slip in one product, up to which it is named as possible, not as likely. It
# is for exact numbers alone, which further digits cannot tell apart.
BOUND_OF_POSSIBLE = 0.05

# The share by which rounding may tell chances apart that are equal.
EQUAL_CHANCES = 1e-6

# The share of sheets of unrelated numbers that have a single wrong number in a line of right ones, at most.
ALONE = 0.25


def share(tier: str, search: int, searches: int) -> float:
    """Return the share of a tier's bound on false causes that one search for a sheet's mistakes may use.

    The shares of all searches for a sheet are in the ratio of 1/2, 1/6, 1/12, …, and add up to the bound: the first
    wrong line matters most.
    """
    return BOUND[tier] / ((search + 1) * (search + 2)) * (searches + 1) / searches


class WrongNumbers(NamedTuple):
    """The wrong numbers that a person wrote for a quantity."""

    wrong: Mask  # the wrong entries
    margin: Array  # the largest error of a right entry
    free: int  # the number of wrong entries that do not follow from the others
    largest: float  # the largest of the numbers
    right: Mask  # the right entries; all others are blank

    def chances_of(self, changes: Array) -> Array:
        """Return the chance that unrelated numbers fit each mistake; NaN for one that changes right entries.

        Unrelated numbers are assumed wrong in the same entries as the written ones, with a distance from the right
        ones that is uniform in its logarithm, from the margin to the size of the numbers. A mistake that
        makes `changes` to them is then hit with the chance (margin / changes)^n / (n log(size / margin)), n being the
        number of free entries. If a single entry is wrong, it is a quarter of that, since that is rare.
        """
        margin = float(np.exp(np.log(self.margin[self.wrong]).mean()))
        sizes = np.maximum(changes[:, self.wrong].max(axis=1), margin)
        log_range = max(1.0, np.log(max(self.largest, margin) / margin))
        chance: Array = (margin / sizes) ** self.free / (self.free * log_range)
        if self.right.any() and self.wrong.sum() == 1:
            chance *= ALONE
        elsewhere = (changes > 2 * self.margin)[:, self.right].any(axis=1)
        return np.where(elsewhere, np.nan, chance)
