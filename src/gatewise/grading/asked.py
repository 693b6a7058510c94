"""The lines that a sheet asks for, and the decimals of their numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """The lines that a sheet asks for, by name, and the decimals of each number; None if it does not say.

    If the decimals are `required`, a coarser number earns no point.
    """

    names: Collection[str] | None = None
    decimals: int | None = None
    required: bool = True


ANYTHING = Asked()
