"""What the numbers of a step mean, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gatewise.arrays import Array
from gatewise.diagnostics.gradient_check import Compared
from gatewise.gates import NAMES, index
from gatewise.step import Step
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import Equation

Names = Callable[[int], str]
_MOST = 4  # units named one by one; beyond that, the extremes


def short(value: float) -> str:
    """Return a number with four decimals."""
    return number(value, 4)


def _each(
    units: Sequence[int], values: Array, say: Callable[[int], str], names: Names, what: str, begins: bool = True
) -> str:
    """Say it of every unit where they are few, else of the least and the greatest."""
    if len(units) <= _MOST:
        told = "; ".join(f"{names(k)} {say(k)}" for k in units) + "."
        return _begin(told) if begins else told
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        return f"Of {len(units)} units at least one is not finite, {names(bad)}."
    least, most = int(np.argmin(values)), int(np.argmax(values))
    extremes = f"{names(most)} {say(most)}, the most, and {names(least)} {say(least)}, the least"
    return f"Of {len(units)} units, {extremes} ({what})."


def _begin(text: str) -> str:
    """Begin a sentence; a unit's own name stays as it is."""
    return text[0].upper() + text[1:] if text.startswith("unit ") else text


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


def cell_state(step: Step, old: Array, new: Array, units: Sequence[int], names: Names) -> str:
    """Say how each unit's memory changes, and what of it is old and new."""
    M = step.moment
    c, before = M.c[0], M.c_prev[0]
    clip = M.p.variant.cell_clip

    def say(k: int) -> str:
        made = f"{short(old[k])} is old memory, {short(new[k])} is new"
        if clip is not None and abs(M.c_raw[0, k]) > clip:
            made += f", clipped to {short(M.c_new[0, k])}"
        if (kept := M.dropout.zoneout_cell) is not None:
            made += f", and zoneout keeps {percent(kept[0, k])} of the old state"
        return f"goes from {short(before[k])} to {short(c[k])}: {made}"

    return _each(units, c, say, names, "new cell state")


def hidden_state(step: Step, units: Sequence[int], names: Names) -> str:
    """Say what each unit puts out."""
    h = step.hidden_state
    return _each(units, h, lambda k: f"puts out {short(h[k])}", names, "new hidden state")


# The way back.


def _share(value: float) -> str:
    return percent(value) if 0 <= value <= 1 else f"{short(value)} times as much"


def gate_back(letter: str, before: Array, slopes: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gate's derivative goes on, and what opening the gate would do to the loss."""

    def say(k: int) -> str:
        if not np.isfinite(before[k]) or not np.isfinite(slopes[k]):
            return "has no number here: something before it is not finite"
        what = "a wider gate" if letter != "g" else "a larger candidate"
        does = "raises" if before[k] > 0 else "lowers" if before[k] < 0 else "does not move"
        return f"{_passes(slopes[k], before[k])} ({what} {does} the loss)"

    return _each(units, before * slopes, say, names, "derivative by the pre-activation")


def _passes(share: float, value: float) -> str:
    if 0 <= share <= 1:
        return f"passes on {percent(share)} of {short(value)}"
    return f"passes on {short(share)} times {short(value)}"


def cell_back(later: Array, total: Array, units: Sequence[int], names: Names) -> str:
    """Say from where the gradient of a cell state comes."""

    def say(k: int) -> str:
        through = short(total[k] - later[k])
        return f"gets {short(total[k])}: {short(later[k])} along the cell state, {through} through this step's h"

    return _each(units, total, say, names, "derivative by the cell state")


def weights_back(equations: Sequence[Equation], names: Mapping[str, tuple[str, ...]]) -> str:
    """Say which weight moves the loss most."""
    largest: tuple[float, str] = (0.0, "")
    for equation in equations:
        sizes = np.abs(equation.value)
        if not np.isfinite(sizes).all():
            return "Not all of these derivatives are finite numbers."
        at = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
        if sizes[at] > largest[0]:
            unit, column = names[equation.over][at[0]], names[equation.across][at[1]]
            gate_of = NAMES[index(equation.left.sub)].replace("_", " ")
            largest = (float(sizes[at]), f"that of {column} in the {gate_of} of {unit} ({short(equation.value[at])})")
    return f"The weight that moves the loss most is {largest[1]}." if largest[1] else "No weight moves the loss."


def previous_back(arrived: Array, passed: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of the cell state's gradient goes on to the step before."""

    def say(k: int) -> str:
        if not arrived[k] or not np.isfinite(passed[k] / arrived[k]):
            return f"hands {short(passed[k])} to the step before"
        return f"hands {_share(passed[k] / arrived[k])} of {short(arrived[k])} to the step before"

    return _each(units, passed, say, names, "derivative by the previous cell state")


def carried(last: str, first: str, share: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gradient is carried back over all steps along the cell state."""

    def say(k: int) -> str:
        fate = " (it survives)" if abs(share[k]) >= 0.5 else " (it fades)" if abs(share[k]) <= 0.1 else ""
        return f"carries {_share(share[k])}{fate}"

    told = _each(units, share, say, names, "product over the later steps", begins=False)
    return f"Of a gradient at the cell state of {last}, this much reaches that of {first}: {told}"


def compared(found: Sequence[Compared]) -> str:
    """Say whether gradients are those of central differences."""
    if not all(np.isfinite(one.error) for one in found):
        return "Not all numbers are finite: there is nothing to compare."
    apart = [one.name for one in found if not one.agrees]
    if apart:
        return (
            f"The gradients by {', '.join(apart)} differ from central differences: a kink of a nonlinearity or of a"
            " clip is near, or the loss bends too much for differences."
        )
    entries = "" if all(one.entries == one.of for one in found) else "of the entries that were drawn "
    seen = [one.relative for one in found if one.visible]
    told = f"The gradients {entries}are those of central differences"
    if not seen:
        return f"{told}, as far as those can tell: they are too small to be seen."
    small = ", ".join(one.name for one in found if not one.visible and one.largest)
    more = f" ({small}: too small to be seen in differences)" if small else ""
    return f"{told}, to {max(seen):.1e} of each array's largest{more}."
