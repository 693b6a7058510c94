"""Small budgets: what is made to be expensive is then an eighth as large as it would have to be in life."""

from __future__ import annotations

from dataclasses import replace

from gatewise.files import budget

PART = 8


def small() -> dict[str, budget.Limit]:
    """Return an eighth of each limit of a file, by its name."""
    limits = {name: getattr(budget, name) for name in ("BYTES", "ELEMENTS", "WORK")}
    return {
        name: replace(one, floor=one.floor // PART, ceiling=None if one.ceiling is None else one.ceiling // PART)
        for name, one in limits.items()
    }


def take_small() -> None:
    """Let this process, which reads what is made to be expensive and ends, have small budgets."""
    for name, limit in small().items():
        setattr(budget, name, limit)
