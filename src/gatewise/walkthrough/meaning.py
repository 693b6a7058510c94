"""What the numbers of a step mean, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gatewise.acting import Effect
from gatewise.arrays import Array
from gatewise.diagnostics.gradient_check import Compared
from gatewise.gates import NAMES, index
from gatewise.showing import counted
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
    """Say it of each unit where there are few, else of the one with the least value and the one with the greatest."""
    if len(units) <= _MOST:
        text = "; ".join(f"{names(k)} {say(k)}" for k in units) + "."
        return _begin(text) if begins else text
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        return f"Of {len(units)} units at least one has no finite value: {names(bad)} ({what})."
    least, most = int(np.argmin(values)), int(np.argmax(values))
    if least == most:
        return f"All {len(units)} units are alike: {names(least)} {say(least)} ({what})."
    extremes = f"{names(most)} {say(most)}, the most, and {names(least)} {say(least)}, the least"
    return f"Of {len(units)} units, {extremes} ({what})."


def _begin(text: str) -> str:
    """Begin a sentence; a unit's own name stays as it is."""
    return text[0].upper() + text[1:] if text.startswith("unit ") else text


def gate(step: Step, letter: str, units: Sequence[int], names: Names) -> str:
    """Say what a gate does with each unit."""
    values = getattr(step.moment, letter)[0]
    share, multiple, what = {
        "f": ("keeps {} of its old cell state", "multiplies its old cell state by {}", "forget gate"),
        "i": ("lets in {} of its candidate", "multiplies its candidate by {}", "input gate"),
        "o": ("puts out {} of its cell state", "multiplies what it puts out by {}", "output gate"),
        "g": ("", "", "candidate"),
    }[letter]

    def say(k: int) -> str:
        value = values[k]
        if np.isnan(value):
            return "is NaN, because something that it is computed from is NaN"
        if letter == "g":
            change = "to raise" if value > 0 else "to lower" if value < 0 else "no change of"
            return f"proposes {change} its cell state ({short(value)})"
        if not 0 <= value <= 1:
            return multiple.format(short(value))
        state = " (nearly closed)" if value <= 0.1 else " (nearly open)" if value >= 0.9 else ""
        return share.format(percent(value)) + state

    return _each(units, values, say, names, what)


def cell_state(step: Step, old: Array, new: Array, units: Sequence[int], names: Names) -> str:
    """Say how each unit's cell state changes, and what of it is kept and what is new."""
    M = step.moment
    c, before = M.c[0], M.c_prev[0]
    clip = M.p.variant.cell_clip

    def say(k: int) -> str:
        made = f"{short(old[k])} is kept, {short(new[k])} is new"
        if clip is not None and abs(M.c_raw[0, k]) > clip:
            made += f", clipped to {short(M.c_new[0, k])}"
        if (kept := M.dropout.zoneout_cell) is not None:
            made += f", and zoneout keeps {percent(kept[0, k])} of the old cell state"
        return f"goes from {short(before[k])} to {short(c[k])}: {made}"

    return _each(units, c, say, names, "new cell state")


def hidden_state(step: Step, units: Sequence[int], names: Names) -> str:
    """Say what each unit puts out."""
    h = step.hidden_state
    return _each(units, h, lambda k: f"puts out {short(h[k])}", names, "new hidden state")


def edited(effect: Effect, computed: Array, units: Sequence[int], names: Names) -> str:
    """Say of which units a quantity was edited, how, and what it would have been."""
    after = effect(computed)[0]

    def say(k: int) -> str:
        how = ["patched from another run" if effect.patched[0, k] else "set"] if effect.fixed[0, k] else []
        if effect.scale[0, k] != 1 and not how:
            how.append(f"scaled by {short(effect.scale[0, k])}")
        low, high = effect.low[0, k], effect.high[0, k]
        if np.isfinite(low) and np.isfinite(high):
            how.append(f"clamped between {short(low)} and {short(high)}")
        elif np.isfinite(low) or np.isfinite(high):
            how.append(f"clamped to at least {short(low)}" if np.isfinite(low) else f"clamped to at most {short(high)}")
        was, now = short(computed[0, k]), short(after[k])
        return f"{names(k)} was {' and '.join(how)}, {f'and stays {now}' if was == now else f'from {was} to {now}'}"

    touched = [k for k in units if effect.touched[0, k]]
    rest = len(touched) - _MOST
    more = [f"and {counted(rest, 'more unit')} edited"] if rest > 0 else []
    return f"Edited: {'; '.join([*(say(k) for k in touched[:_MOST]), *more])}." if touched else ""


# The backward pass.


def _share(value: float) -> str:
    return percent(value) if 0 <= value <= 1 else f"{short(value)} times as much"


def gate_backward(letter: str, before: Array, slopes: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gate's gradient is passed on, and what opening the gate further would do to the loss."""

    def say(k: int) -> str:
        if not np.isfinite(before[k]) or not np.isfinite(slopes[k]):
            return "has no finite gradient, because something that it is computed from is not finite"
        what = "opening this gate further" if letter != "g" else "a larger candidate"
        does = "raises" if before[k] > 0 else "lowers" if before[k] < 0 else "does not change"
        return f"{_passes(slopes[k], before[k])} ({what} {does} the loss)"

    return _each(units, before * slopes, say, names, "gradient with respect to the pre-activation")


def _passes(share: float, value: float) -> str:
    if 0 <= share <= 1:
        return f"passes on {percent(share)} of its gradient, {short(value)}"
    return f"passes on {short(share)} times its gradient, {short(value)}"


def cell_backward(later: Array, total: Array, units: Sequence[int], names: Names) -> str:
    """Say where the gradient with respect to a cell state comes from."""

    def say(k: int) -> str:
        through = short(total[k] - later[k])
        return f"receives {short(total[k])}: {short(later[k])} along the cell state, {through} through this step's h"

    return _each(units, total, say, names, "gradient with respect to the cell state")


def weights_backward(equations: Sequence[Equation], names: Mapping[str, tuple[str, ...]]) -> str:
    """Say which weight has the largest gradient."""
    largest: tuple[float, str] = (0.0, "")
    for equation in equations:
        sizes = np.abs(equation.value)
        if not np.isfinite(sizes).all():
            return "Not all of these gradients are finite."
        at = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
        if sizes[at] > largest[0]:
            unit, column = names[equation.over][at[0]], names[equation.across][at[1]]
            gate_of = NAMES[index(equation.left.sub)].replace("_", " ")
            largest = (float(sizes[at]), f"for {column} in the {gate_of} of {unit} ({short(equation.value[at])})")
    if not largest[1]:
        return "All gradients with respect to the weights are 0: to first order, no weight changes the loss."
    return f"The largest gradient with respect to a weight is that {largest[1]}."


def previous_backward(arrived: Array, passed: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of the cell state's gradient reaches the step before."""

    def say(k: int) -> str:
        if not arrived[k] or not np.isfinite(passed[k] / arrived[k]):
            return f"passes on {short(passed[k])} to the previous cell state"
        return f"{_passes(passed[k] / arrived[k], arrived[k])}, to the previous cell state"

    return _each(units, passed, say, names, "gradient with respect to the previous cell state")


def carried(last: str, first: str, share: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gradient reaches the first step along the cell state alone."""

    def say(k: int) -> str:
        fate = " (it survives)" if abs(share[k]) >= 0.5 else " (it fades)" if abs(share[k]) <= 0.1 else ""
        return f"carries {_share(share[k])}{fate}"

    each = _each(units, share, say, names, "product over the later steps", begins=False)
    return f"Of a gradient at the cell state of {last}, this share reaches the cell state of {first}: {each}"


def compared(found: Sequence[Compared]) -> str:
    """Say whether gradients agree with central differences."""
    if not all(np.isfinite(one.error) for one in found):
        return "Not all numbers are finite, so there is nothing to compare."
    apart = [one.name for one in found if not one.agrees]
    if apart:
        return (
            f"The gradients with respect to {', '.join(apart)} differ from central differences: a nonlinearity or a"
            " clip has a kink nearby, or the loss curves too strongly for differences of this size."
        )
    sampled = "" if all(one.entries == one.of for one in found) else "sampled "
    seen = [one.relative for one in found if one.visible]
    if not seen:
        return f"The {sampled}gradients are too small for central differences to resolve, and consistent with them."
    small = ", ".join(one.name for one in found if not one.visible and one.largest)
    more = f" ({small}: too small for differences to resolve)" if small else ""
    within = f"within {max(seen):.1e} of each array's largest entry"
    return f"The {sampled}gradients agree with central differences {within}{more}."
