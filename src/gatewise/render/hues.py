"""Which quantity a symbol stands for: each has its hue wherever it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from gatewise.symbolic.formula import Formula, Symbol
from gatewise.symbolic.symbols import C_NEW, C_NORM, C_PREV, C_RAW, COMPUTED, H_NEW, H_PREV, H_RAW, C, F, G, H, I, O
from gatewise.walkthrough.notation import NOTATIONS

_SYMBOLS = {
    "input_gate": (I,),
    "forget_gate": (F,),
    "candidate": (G,),
    "output_gate": (O,),
    "cell_state": (C, C_PREV, C_RAW, C_NEW, C_NORM),
    "hidden_state": (H, H_PREV, H_RAW, H_NEW),
}


def quantity(symbol: Formula | str) -> str:
    """Return the name of the quantity that a symbol stands for, or whose gradient it is; "" for anything else.

    This is unambiguous across notations: no symbol stands for two of these quantities.

    Examples
    --------
    >>> quantity(Symbol("C̃", "t")), quantity(Symbol("f", d=True)), quantity(Symbol("W", "f"))
    ('candidate', 'forget_gate', '')
    """
    return _quantities().get(replace(symbol, d=False, time=None), "") if isinstance(symbol, Symbol) else ""


@cache
def _quantities() -> Mapping[Symbol, str]:
    return {
        written.symbol(symbol): name
        for written in NOTATIONS.values()
        for name, symbols in _SYMBOLS.items()
        for symbol in (*symbols, *(replace(symbol, sub=COMPUTED) for symbol in symbols[:1]))
    }
