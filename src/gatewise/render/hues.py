"""Which quantity a symbol stands for: each has its hue wherever it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.symbols import C_NEW, C_NORM, C_PREV, C_RAW, H_NEW, H_PREV, H_RAW, C, F, G, H, I, O
from gatewise.walkthrough.notation import notation as notation_of

_SYMBOLS = {
    "input_gate": (I,),
    "forget_gate": (F,),
    "candidate": (G,),
    "output_gate": (O,),
    "cell_state": (C, C_PREV, C_RAW, C_NEW, C_NORM),
    "hidden_state": (H, H_PREV, H_RAW, H_NEW),
}


def quantity(symbol: Symbol, notation: str) -> str:
    """Return the name of the quantity that a symbol of a notation stands for, or whose gradient it is; "" for another.

    Examples
    --------
    >>> quantity(Symbol("C̃", "t"), "olah"), quantity(Symbol("f", d=True), "gatewise"), quantity(Symbol("x"), "keras")
    ('candidate', 'forget_gate', '')
    """
    return _quantities(notation).get(replace(symbol, d=False, time=None), "")


@cache
def _quantities(notation: str) -> Mapping[Symbol, str]:
    written = notation_of(notation).symbol
    return {written(symbol): name for name, symbols in _SYMBOLS.items() for symbol in symbols}
