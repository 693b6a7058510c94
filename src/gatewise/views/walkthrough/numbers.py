"""Numbers as text: as NumPy prints them, with up to eight decimals, and aligned at the decimal point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

DIGITS = 8


def number(value: Any, digits: int = DIGITS) -> str:
    """Return a number with up to `digits` decimals; very small and very large ones in scientific notation.

    Examples
    --------
    >>> number(0.0013010012), number(0.5), number(-2.5e-12)
    ('0.001301', '0.5', '-2.5e-12')
    """
    value = value if isinstance(value, np.floating) else np.float64(value)
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    if 10.0 ** -(digits // 2 + 1) <= abs(value) < 1e7:  # three digits or more are left
        return np.format_float_positional(value, precision=digits, unique=True, trim="-")
    return np.format_float_scientific(value, precision=digits, unique=True, trim="-", exp_digits=2)


def aligned(values: Sequence[Any], digits: int = DIGITS) -> list[str]:
    """Return numbers as text of one width, their decimal points below each other."""
    texts = [number(value, digits) for value in values]
    before = max((len(text.partition(".")[0]) for text in texts), default=0)
    after = max((len(text) - len(text.partition(".")[0]) for text in texts), default=0)
    return [f"{text.partition('.')[0]:>{before}}{text[len(text.partition('.')[0]) :]:<{after}}" for text in texts]


def percent(value: Any) -> str:
    """Return a share as a percentage: one decimal, more only where it would read as nothing or everything.

    Examples
    --------
    >>> percent(0.49336), percent(0.99997), percent(1.0)
    ('49.3 %', '99.997 %', '100 %')
    """
    share = 100 * float(value)
    for digits in range(1, 7):
        text = f"{share:.{digits}f}"
        if 0 < float(text) < 100 or share in (0, 100):
            break
    return f"{float(text):.{digits}f} %" if share not in (0, 100) else f"{share:.0f} %"
