"""Numbers as text: as NumPy prints them, with up to eight decimals, and aligned at the decimal point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

DIGITS, FEW_DIGITS = 8, 4
T = TypeVar("T")
GLUE = "\N{NO-BREAK SPACE}"


MAX_DECIMALS: ContextVar[int] = ContextVar("the most decimals of a number", default=100)


def with_decimals(most: int, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Return the result of a function that writes numbers, each with at most so many decimals."""
    context = copy_context()
    context.run(MAX_DECIMALS.set, most)
    return context.run(function, *arguments, **options)


def number(value: Any, digits: int = DIGITS) -> str:
    """Return a number as text with up to `digits` decimals; very small and very large ones in scientific notation.

    Examples
    --------
    >>> number(0.0013010012), number(0.5), number(-2.5e-12)
    ('0.001301', '0.5', '-2.5e-12')
    """
    return _number_text(value if isinstance(value, np.floating) else np.float64(value), min(digits, MAX_DECIMALS.get()))


@lru_cache(1 << 14, typed=True)  # a number is shown several times, and equal ones of two precisions may differ as text
def _number_text(value: np.floating[Any], digits: int) -> str:
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    if 10.0 ** -(digits // 2 + 1) <= abs(value) < 1e7:  # below, too few digits would be left
        return np.format_float_positional(value, precision=digits, unique=True, trim="-")
    return np.format_float_scientific(value, precision=digits, unique=True, trim="-", exp_digits=2)


def aligned(values: Sequence[Any], digits: int = DIGITS) -> list[str]:
    """Return numbers as text of one width, their decimal points below each other."""
    texts = [number(value, digits) for value in values]
    before = max((len(text.partition(".")[0]) for text in texts), default=0)
    after = max((len(text) - len(text.partition(".")[0]) for text in texts), default=0)
    return [f"{text.partition('.')[0]:>{before}}{text[len(text.partition('.')[0]) :]:<{after}}" for text in texts]


def percent(value: Any) -> str:
    r"""Return a share as a percentage: one decimal, more only where it would read as nothing or everything.

    Examples
    --------
    >>> percent(0.49336), percent(0.99997), percent(1.0)
    ('49.3\xa0%', '99.997\xa0%', '100\xa0%')
    """
    share = 100 * float(value)
    if 0 < share < 1e-4:
        return f"less than {GLUE.join(('0.0001', '%'))}"
    if 100 - 1e-4 < share < 100:
        return f"more than {GLUE.join(('99.9999', '%'))}"
    for digits in range(1, 7):
        text = f"{share:.{digits}f}"
        if 0 < float(text) < 100 or share in (0, 100):
            break
    return f"{text}{GLUE}%" if share not in (0, 100) else f"{share:.0f}{GLUE}%"
