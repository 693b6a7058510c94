"""What the numbers of a step mean, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.diagnostics.gradient_check import Compared
from gatewise.gates import NAMES, index
from gatewise.records.edited_steps import Effect
from gatewise.records.step import Step
from gatewise.showing import counted
from gatewise.walkthrough import sentences
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Equation
from gatewise.walkthrough.sentences import EACH, MOST, Saying, filled

Names = Callable[[int], str]


def short(value: float) -> str:
    """Return a number with four decimals."""
    return number(value, 4)


def _each(units: Sequence[int], values: Array, saying: Saying, names: Names, say: Callable[[int], str]) -> str:
    """Say it of each unit where there are few, else of the one with the least value and the one with the greatest."""
    what = saying.what
    if len(units) <= MOST:
        text = filled(EACH["listed"], {"listed": "; ".join(f"{names(k)} {say(k)}" for k in units)})
        return _begin(text) if saying.begins else text
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        return filled(EACH["unfinite"], {"count": len(units), "name": names(bad), "what": what})
    least, most = int(np.argmin(values)), int(np.argmax(values))
    if least == most:
        return filled(EACH["alike"], {"count": len(units), "name": names(least), "said": say(least), "what": what})
    extremes = {"most": names(most), "most_said": say(most), "least": names(least), "least_said": say(least)}
    return filled(EACH["extremes"], {"count": len(units), **extremes, "what": what})


def _begin(text: str) -> str:
    """Begin a sentence; a unit's own name stays as it is."""
    return text[0].upper() + text[1:] if text.startswith("unit ") else text


def gate(step: Step, letter: str, units: Sequence[int], names: Names) -> str:
    """Say what a gate does with each unit."""
    values, saying = getattr(step.moment, letter)[0], sentences.GATES[letter]
    return _each(units, values, saying, names, lambda k: saying.said(value=values[k]))


def cell_state(step: Step, old: Array, new: Array, units: Sequence[int], names: Names) -> str:
    """Say how each unit's cell state changes, and what of it is kept and what is new."""
    M = step.moment
    clip, kept = M.p.variant.cell_clip, M.dropout.zoneout_cell
    saying = sentences.cell_state(clip, kept is not None)

    def say(k: int) -> str:
        values = {"before": M.c_prev[0, k], "value": M.c[0, k], "old": old[k], "new": new[k]}
        if clip is not None:
            values |= {"raw": M.c_raw[0, k], "clipped": M.c_new[0, k]}
        if kept is not None:
            values["kept"] = kept[0, k]
        return saying.said(**values)

    return _each(units, M.c[0], saying, names, say)


def hidden_state(step: Step, units: Sequence[int], names: Names) -> str:
    """Say what each unit puts out."""
    h, saying = step.hidden_state, sentences.HIDDEN_STATE
    return _each(units, h, saying, names, lambda k: saying.said(value=h[k]))


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
    rest = len(touched) - MOST
    more = [f"and {counted(rest, 'more unit')} edited"] if rest > 0 else []
    return f"Edited: {'; '.join([*(say(k) for k in touched[:MOST]), *more])}." if touched else ""


# The backward pass.


def gate_backward(letter: str, before: Array, slopes: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gate's gradient is passed on, and what opening the gate further would do to the loss."""
    saying = sentences.GATES_BACKWARD[letter]
    return _each(units, before * slopes, saying, names, lambda k: saying.said(before=before[k], slope=slopes[k]))


def cell_backward(later: Array, total: Array, units: Sequence[int], names: Names) -> str:
    """Say where the gradient with respect to a cell state comes from."""
    saying, through = sentences.CELL_BACKWARD, total - later
    return _each(units, total, saying, names, lambda k: saying.said(value=total[k], later=later[k], through=through[k]))


def weights_backward(equations: Sequence[Equation], names: Mapping[str, tuple[str, ...]]) -> str:
    """Say which weight has the largest gradient."""
    largest: tuple[float, dict[str, Any]] = (0.0, {})
    for equation in equations:
        sizes = np.abs(equation.value)
        if not np.isfinite(sizes).all():
            return sentences.WEIGHTS["unfinite"]
        at = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
        if sizes[at] > largest[0]:
            unit, column = names[equation.over][at[0]], names[equation.across][at[1]]
            gate_of = NAMES[index(equation.left.sub)].replace("_", " ")
            said = {"column": column, "gate": gate_of, "unit": unit, "value": equation.value[at]}
            largest = (float(sizes[at]), said)
    return filled(sentences.WEIGHTS["largest"], largest[1]) if largest[1] else sentences.WEIGHTS["none"]


def previous_backward(arrived: Array, passed: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of the cell state's gradient reaches the step before."""
    saying = sentences.PREVIOUS_BACKWARD
    with np.errstate(all="ignore"):
        shares = passed / arrived

    def say(k: int) -> str:
        return saying.said(arrived=arrived[k], passed=passed[k], share=shares[k])

    return _each(units, passed, saying, names, say)


def carried(last: str, first: str, share: Array, units: Sequence[int], names: Names) -> str:
    """Say how much of a gradient reaches the first step along the cell state alone."""
    saying = sentences.CARRIED
    each = _each(units, share, saying, names, lambda k: saying.said(value=share[k]))
    return filled(sentences.CARRIED_FROM, {"last": last, "first": first}) + each


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
