"""The sentences of a walkthrough as data: wordings, each with its condition, for any language to evaluate.

A sentence about a unit has parts; of each part, the first wording is used whose condition holds. A condition is a
formula, which holds where it is not 0. Words have slots: ``{value:number}`` is a number with four decimals,
``{value:percent}`` a percentage. The names in both are those of variables, which are formulas of a program's symbols:
see `gatewise.walkthrough.quantity_sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import ONE, ZERO, Formula, FunctionCall, Holds, Number, Symbol, add, less, times
from gatewise.symbolic.symbols import F, I, O
from gatewise.walkthrough.numbers import number, percent

SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
FORMATS: Mapping[str, Callable[[Any], str]] = {"number": lambda value: number(value, 4), "percent": percent}

# Up to how many units each has a sentence, and the sentences about more.
MOST = 4
EACH = {
    "listed": "{listed}.",
    "unfinite": "Of {count} units at least one has no finite value: {name} ({what}).",
    "alike": "All {count} units are alike: {name} {said} ({what}).",
    "extremes": "Of {count} units, {most} {most_said}, the most, and {least} {least_said}, the least ({what}).",
}


@dataclass(frozen=True)
class Wording:
    """Words, and their condition: a formula that is not 0, or none."""

    words: str
    when: Formula | None = None

    def holds(self, values: Mapping[Symbol, Any]) -> bool:
        """Return whether the condition holds for values of its variables."""
        return self.when is None or bool(evaluate(self.when, values))


@dataclass(frozen=True)
class SentencePattern:
    """A sentence about one unit: of each part, the first wording whose condition holds."""

    parts: tuple[tuple[Wording, ...], ...]
    quantity: str = ""  # the name of the values that are compared where there are many units
    begins: bool = True  # whether a sentence begins with it

    def fill(self, **values: Any) -> str:
        """Return a walkthrough's sentence about one unit: of each part the first wording that holds for the values."""
        named = {Symbol(name): value for name, value in values.items()}
        with np.errstate(all="ignore"):
            wordings = (next((wording for wording in cases if wording.holds(named)), None) for cases in self.parts)
            return "".join(fill_slots(wording.words, values) for wording in wordings if wording is not None)


def fill_slots(words: str, values: Mapping[str, Any]) -> str:
    r"""Return the words of a sentence with values in their slots.

    Examples
    --------
    >>> fill_slots("{name} keeps {share:percent}.", {"name": "latch", "share": 0.5})
    'latch keeps 50.0\xa0%.'
    """
    return SLOT.sub(lambda slot: FORMATS.get(slot[2], str)(values[slot[1]]), words)


# Conditions; a product of some holds where all of them do.


def _not(condition: Formula) -> Formula:
    return less(ONE, condition)


def _any(*conditions: Formula) -> Formula:
    return Holds(add(*conditions), ">", ZERO)


def _finite(value: Formula) -> Formula:
    return Holds(less(value, value), "≤", ZERO)


def _is_share(value: Formula) -> Formula:
    return times(Holds(ZERO, "≤", value), Holds(value, "≤", ONE))


# Forward.

_VALUE = Symbol("value")
_SHARE = _is_share(_VALUE)
_IS_NAN = Wording("is NaN, because something that it is computed from is NaN", _not(Holds(_VALUE, "≤", _VALUE)))
_CLOSED = Wording(" (its gate is nearly closed)", times(_SHARE, Holds(_VALUE, "≤", Number(0.1))))
_OPEN = Wording(" (its gate is nearly open)", times(_SHARE, Holds(Number(0.9), "≤", _VALUE)))


def _gate_pattern(share: str, multiple: str, quantity: str) -> SentencePattern:
    """Return the pattern of the sentence about a gate: its share or multiple, and if it is nearly closed or open."""
    return SentencePattern(
        ((_IS_NAN, Wording(share, _SHARE), Wording(f"{multiple} {{value:number}}")), (_CLOSED, _OPEN)), quantity
    )


GATES = {
    "f": _gate_pattern(
        "keeps {value:percent} of its old cell state", "multiplies its old cell state by", "forget gate"
    ),
    "i": _gate_pattern("lets in {value:percent} of its candidate", "multiplies its candidate by", "input gate"),
    "g": SentencePattern(
        (
            (
                _IS_NAN,
                Wording("proposes to raise its cell state ({value:number})", Holds(_VALUE, ">", ZERO)),
                Wording("proposes to lower its cell state ({value:number})", Holds(_VALUE, "<", ZERO)),
                Wording("proposes no change of its cell state ({value:number})"),
            ),
        ),
        "candidate",
    ),
}
HIDDEN_STATE = SentencePattern(((Wording("outputs {value:number}"),),), "new hidden state")


def output_gate(activation: str) -> SentencePattern:
    """Return the pattern of the sentence about an output gate; its share is of the cell state under a nonlinearity."""
    share = f"outputs {{value:percent}} of the {activation} of its cell state"
    return _gate_pattern(share, "multiplies its output by", "output gate")


def cell_state(clip: float | None, zoneout: bool) -> SentencePattern:
    """Return the pattern of the sentence about a cell state: its change, and how much is old and new."""
    parts = [(Wording("goes from {before:number} to {value:number}: {old:number} is kept, {new:number} is new"),)]
    if clip is not None:
        beyond = Holds(FunctionCall("abs", (Symbol("raw"),)), ">", Number(clip))
        parts.append((Wording(", clipped to {clipped:number}", beyond),))
    if zoneout:
        parts.append((Wording(", and zoneout keeps {kept:percent} of the old cell state"),))
    return SentencePattern(tuple(parts), "new cell state")


# Backward.

_BEFORE, _SLOPE, _ARRIVED, _PASSED = (Symbol(name) for name in ("before", "slope", "arrived", "passed"))


def _gate_gradient_pattern(change: str) -> SentencePattern:
    """Return the pattern of the sentence about a gate's gradient: if `change` raises or lowers the loss."""
    known = times(_finite(_BEFORE), _finite(_SLOPE))
    unknown = "has no finite gradient, because something that it is computed from is not finite"
    return SentencePattern(
        (
            (
                Wording(unknown, _not(known)),
                Wording("passes on {slope:percent} of its gradient, {before:number}", _is_share(_SLOPE)),
                Wording("passes on {slope:number} times its gradient, {before:number}"),
            ),
            (
                Wording("", _not(known)),
                Wording(f" ({change} raises the loss)", Holds(_BEFORE, ">", ZERO)),
                Wording(f" ({change} lowers the loss)", Holds(_BEFORE, "<", ZERO)),
                Wording(f" ({change} does not change the loss)"),
            ),
        ),
        "gradient with respect to the pre-activation",
    )


GATES_BACKWARD = {
    k: _gate_gradient_pattern("a larger candidate" if k == "g" else "opening this gate further") for k in "ifgo"
}
CELL_BACKWARD = SentencePattern(
    (
        (
            Wording(
                "receives {value:number}: {later:number} along the cell state and {through:number} through this"
                " step's h"
            ),
        ),
    ),
    "gradient with respect to the cell state",
)
PREVIOUS_BACKWARD = SentencePattern(
    (
        (
            Wording(
                "passes on {passed:number} to the previous cell state",
                _any(Holds(FunctionCall("abs", (_ARRIVED,)), "≤", ZERO), _not(_finite(Symbol("share")))),
            ),
            Wording(
                "passes on {share:percent} of its gradient, {arrived:number}, to the previous cell state",
                _is_share(Symbol("share")),
            ),
            Wording("passes on {share:number} times its gradient, {arrived:number}, to the previous cell state"),
        ),
    ),
    "gradient with respect to the previous cell state",
)
CARRIED = SentencePattern(
    (
        (
            Wording("carries {value:percent}", _SHARE),
            Wording("carries {value:number} times as much"),
        ),
        (
            Wording(" (it survives)", Holds(Number(0.5), "≤", FunctionCall("abs", (_VALUE,)))),
            Wording(" (it fades)", Holds(FunctionCall("abs", (_VALUE,)), "≤", Number(0.1))),
        ),
    ),
    "product over the later steps",
    begins=False,
)
CARRIED_FROM = "This share of a gradient at the cell state of {last} reaches the cell state of {first}: "
WEIGHTS = {
    "unfinite": "Not all of these gradients are finite.",
    "none": "All gradients with respect to the weights are 0: to first order, no weight changes the loss.",
    "largest": "The largest gradient with respect to a weight is that for {column} in the {gate} of {unit}"
    " ({value:number}).",
}

# What happens in a step: the change of the memory, and the output.

_AMOUNTS = times(*(_is_share(gate) for gate in (I, F, O)))
_LETS_IN, _KEEPS, _PUTS_OUT = (Holds(Number(0.9), "≤", gate) for gate in (I, F, O))
_SHUTS_OUT, _FORGETS, _WITHHOLDS = (Holds(gate, "≤", Number(0.1)) for gate in (I, F, O))
_GATES_NOW = "its forget gate keeps {f:percent} of the cell state, its input gate lets in {i:percent} of the candidate"
MOMENT = SentencePattern(
    (
        (
            Wording("{name} goes from {before:number} to {c:number}", _not(_AMOUNTS)),
            Wording(f"{{name}} adds to what it holds: {_GATES_NOW}, {{g:number}}", times(_LETS_IN, _KEEPS)),
            Wording(
                "{name} writes {g:number}: its input gate lets in {i:percent} of it, and its forget gate keeps"
                " {f:percent} of what was there",
                times(_LETS_IN, _FORGETS),
            ),
            Wording(
                "{name} holds {c:number}: its forget gate keeps {f:percent} of what was there, and its input gate lets"
                " in {i:percent} of the candidate",
                times(_KEEPS, _SHUTS_OUT),
            ),
            Wording(f"{{name}} erases: {_GATES_NOW}", times(_FORGETS, _SHUTS_OUT)),
            Wording(f"{{name}} mixes old and new: {_GATES_NOW}, {{g:number}}"),
        ),
        (
            Wording(". It outputs {h:number}.", _not(_AMOUNTS)),
            Wording(". It releases {h:number}: its output gate is {o:percent} open.", _PUTS_OUT),
            Wording(". It outputs almost nothing: its output gate is {o:percent} open.", _WITHHOLDS),
            Wording(". It outputs {h:number}: its output gate is {o:percent} open."),
        ),
    ),
    "new cell state",
)
