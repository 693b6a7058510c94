"""What the numbers of a step mean, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatewise.arrays import Array
from gatewise.step import Step
from gatewise.views.walkthrough.numbers import number, percent

Names = Callable[[int], str]
_MOST = 4  # units named one by one; beyond that, the extremes


def short(value: float) -> str:
    """Return a number with four decimals."""
    return number(value, 4)


def _each(units: Sequence[int], values: Array, say: Callable[[int], str], names: Names, what: str) -> str:
    """Say it of every unit where they are few, else of the least and the greatest."""
    if len(units) <= _MOST:
        return "; ".join(f"{names(k)} {say(k)}" for k in units) + "."
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        return f"of {len(units)} units at least one is not finite, {names(bad)}."
    least, most = int(np.argmin(values)), int(np.argmax(values))
    extremes = f"{names(most)} {say(most)}, the most, and {names(least)} {say(least)}, the least"
    return f"of {len(units)} units, {extremes} ({what})."


def gate(step: Step, letter: str, units: Sequence[int], names: Names) -> str:
    """Say what a gate does with each unit."""
    values = getattr(step.moment, letter)[0]
    share, multiple, what = {
        "f": ("keeps {} of its old memory", "multiplies its old memory by {}", "forget gate"),
        "i": ("lets in {} of its candidate", "multiplies its candidate by {}", "input gate"),
        "o": ("shows {} of its memory", "multiplies what it shows by {}", "output gate"),
        "g": ("", "", "candidate"),
    }[letter]

    def say(k: int) -> str:
        value = values[k]
        if np.isnan(value):
            return "has no number here: something before it is NaN"
        if letter == "g":
            return (
                f"proposes to {'raise' if value > 0 else 'lower' if value < 0 else 'leave'} its memory ({short(value)})"
            )
        if not 0 <= value <= 1:
            return multiple.format(short(value))
        door = " (nearly shut)" if value <= 0.1 else " (nearly open)" if value >= 0.9 else ""
        return share.format(percent(value)) + door

    return _each(units, values, say, names, what)


def cell_state(step: Step, units: Sequence[int], names: Names) -> str:
    """Say how each unit's memory changes, and what of it is old and new."""
    M = step.moment
    old, new, c, before = (M.f * M.c_prev)[0], (M.i * M.g)[0], M.c[0], M.c_prev[0]

    def say(k: int) -> str:
        made = f"{short(old[k])} is old memory, {short(new[k])} is new"
        if M.c_new[0, k] != M.c_raw[0, k]:
            made += f", clipped to {short(M.c_new[0, k])}"
        if (kept := M.masks.zoneout_cell) is not None:
            made += f", and zoneout keeps {percent(kept[0, k])} of the old state"
        return f"goes from {short(before[k])} to {short(c[k])}: {made}"

    return _each(units, c, say, names, "new cell state")


def hidden_state(step: Step, units: Sequence[int], names: Names) -> str:
    """Say what each unit puts out."""
    h = step.hidden_state
    return _each(units, h, lambda k: f"puts out {short(h[k])}", names, "new hidden state")
