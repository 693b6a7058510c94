"""The hue of a symbol: that of the quantity it stands for, wherever it is named."""

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


def hue_of(symbol: Formula | str) -> str:
    """Return the name of a symbol's hue: the quantity that it stands for, or whose gradient it is; else "".

    This is unambiguous across notations: no symbol stands for two of these quantities.

    Examples
    --------
    >>> hue_of(Symbol("C̃", "t")), hue_of(Symbol("f", d=True)), hue_of(Symbol("W", "f"))
    ('candidate', 'forget_gate', '')
    """
    return _hues_of_symbols().get(replace(symbol, d=False, time=None), "") if isinstance(symbol, Symbol) else ""


@cache
def _hues_of_symbols() -> Mapping[Symbol, str]:
    """Map each symbol of every notation to its quantity, by which a rendered page chooses the hue."""
    return {
        written.symbol(symbol): name
        for written in NOTATIONS.values()
        for name, symbols in _SYMBOLS.items()
        for symbol in (*symbols, *(replace(symbol, sub=COMPUTED) for symbol in symbols[:1]))
    }
