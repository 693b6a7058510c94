"""The names of quantities on sheets."""

from __future__ import annotations

from collections.abc import Collection

from gatewise.gates import LETTERS, NAMES

ALIASES = {name: letter for letter, name in zip(LETTERS, NAMES, strict=True)} | {
    "combined_input": "z",
    "cell_state": "c",
    "hidden_state": "h",
    "c_tilde": "g",
}


def find(name: str, known: Collection[str]) -> str | None:
    """Return which of the known names a name stands for, or None."""
    if name in known:
        return name
    base, bracket, rest = name.partition("[")
    if base in known and rest == "0]":  # the only step
        bracket = rest = ""
    base = base.removesuffix("_t") if base + bracket + rest not in known else base
    base = base.replace("gamma", "γ").replace("beta", "β").replace("mu", "μ")
    found = ALIASES.get(base, base) + bracket + rest
    return found if found in known else None
