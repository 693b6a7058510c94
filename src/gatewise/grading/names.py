"""What people call the quantities of an LSTM: gatewise's names, words, and the symbols of every notation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import lru_cache

from gatewise.gates import LETTERS, NAMES
from gatewise.render import text
from gatewise.symbolic.formula import Symbol
from gatewise.walkthrough.notation import NOTATIONS

WORDS = {name: letter for letter, name in zip(LETTERS, NAMES, strict=True)} | {
    "candidate_gate": "g",
    "cell_gate": "g",
    "candidate_cell_state": "g",
    "combined_input": "z",
    "cell_state": "c",
    "hidden_state": "h",
    "unprojected_state": "m",
    "previous_hidden_state": "h_prev",
    "previous_cell_state": "c_prev",
    "input": "x",
}
GREEK = {"gamma": "γ", "beta": "β", "mu": "μ"}
LONGEST = 120  # characters of a name
_STEP = re.compile(  # f[1], f (step 1), f (t=1), f step 1, f_{t=1}
    r" ?\[(?:t=)?(\d{1,9})\]"
    r"| ?\((?:step|time step|t ?=) ?(\d{1,9})\)"
    r"| (?:step|time step|t=) ?(\d{1,9})"
    r"|_\{?t=(\d{1,9})\}?"
)
_TILDE = re.compile(r"\\?tilde[ _]?\{?([cC])\}?|([cC])(?:~|[ _]?tilde)|~([cC])")
_NOW = re.compile(r"[_^](?:t|\{t\}|\(t\))$|,t$|\(t\)$")
_BEFORE = re.compile(r"\{?t ?- ?1\}?|\(t ?- ?1\)")
_SLOPE = re.compile(  # dL/df, ∂L/∂f, grad_f, gradient of f
    r"(?:[d∂](?:L|E|J|loss|Loss)/[d∂]|∂|∇|grad(?:ient)?[ _](?:of[ _])?(?:the[ _])?) ?(.+)"
)
_SUFFIX = re.compile(r"(.+?)(?:\.|_| )grad(?:ient)?")


def find(name: str, known: Collection[str]) -> str | None:
    """Return which of the known quantities a name is for; None if it is none of them, or may be several.

    Parameters
    ----------
    name : str
        Such as ``f``, ``Forget gate``, ``f_t``, ``C̃_t`` or ``c_tilde`` (which is ``g``), Keras' ``z_f`` (``a_f``),
        ``∂L/∂f`` or ``grad_W_f`` (``df``, ``dW_f``); with a step, counted from 0, as in ``f[1]``, ``f (step 1)``,
        ``f (t=1)`` or ``f_{t=1}``.
    known : collection of str
        gatewise's names, as `gatewise.walk` shows them.

    Examples
    --------
    >>> known = ["f", "g", "dg", "h[0]", "h[1]"]
    >>> find("Forget gate", known), find("dL/dC~_t", known), find("h (step 1)", known), find("f_1", known)
    ('f', 'dg', 'h[1]', None)
    """
    if name in known:
        return name
    if len(name) > LONGEST:
        return None
    base, step = _step(_plain(name))
    found = _quantity(base, _spellings(frozenset(one.partition("[")[0] for one in known)))
    if found is None:
        return None
    if step is not None and f"{found}[{step}]" in known:
        return f"{found}[{step}]"
    alone = step is None or (step == 0 and not any("[" in one for one in known))
    return found if alone and found in known else None


def suggestion(name: str, known: Collection[str]) -> str | None:
    """Return the known name, or the word for one, that a name resembles."""
    words = [word for word, letter in WORDS.items() if letter in known]
    close = get_close_matches(name[:LONGEST], [*known, *words], 1, 0.6)
    return close[0] if close else None


def _plain(name: str) -> str:
    """Return a name on one line, without what LaTeX puts around it."""
    line = " ".join(name.replace("\N{COMBINING TILDE}", "~").replace("\N{MINUS SIGN}", "-").split())
    line = line.replace("$", "").replace("ₜ", "_t").replace("\N{MICRO SIGN}", "μ")
    if "\\" in line:
        line = re.sub(r"\\frac ?\{([^{}]*)\} ?\{(.*)\}", r"\1/\2", line).replace("\\partial", "∂")
        line = re.sub(r"∂ ", "∂", line)
    return _TILDE.sub("g", line)


def _step(name: str) -> tuple[str, int | None]:
    """Return a name without its step, and the step."""
    found = list(_STEP.finditer(name))
    if len(found) != 1:
        return name, None
    one = found[0]
    return name[: one.start()] + name[one.end() :], int(next(filter(None, one.groups())))


def _quantity(name: str, spellings: dict[str, frozenset[str]]) -> str | None:
    """Return the quantity that a name without a step is for: one of the cell, or the gradient with respect to one."""
    slope = _SLOPE.fullmatch(name) or _SUFFIX.fullmatch(name)
    tries = [("d", slope[1])] if slope else [("", name), ("d", name[1:])] if name[:1] in "dD" else [("", name)]
    for mark, inner in tries:
        now = _NOW.sub("", inner)
        for spelled in (inner, now, _folded(now)):
            found = spellings.get(_key(spelled))
            if found is not None:
                return mark + next(iter(found)) if len(found) == 1 else None
    return None


def _key(name: str) -> str:
    """Return a name without what separates its parts."""
    return re.sub(r"[\s_\-{},\\]", "", _BEFORE.sub("tm1", name))


def _folded(name: str) -> str:
    return f"folded {name.casefold()}"


@lru_cache(maxsize=16)
def _spellings(known: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return what each spelling stands for, of the quantities of a cell and of what is given."""
    own = {one.removeprefix("d") for one in known} | {"x", "h_prev", "c_prev", "h", "c"}
    own |= {f"{base}_{k}" for base in "Wb" for k in LETTERS}
    found: dict[str, frozenset[str]] = {_key(one): frozenset([one]) for one in own}
    others: dict[str, set[str]] = {}
    for one in own:
        for alias in _aliases(one):
            if _key(alias) not in found:
                others.setdefault(_key(alias), set()).add(one)
    found |= {alias: frozenset(ones) for alias, ones in others.items()}
    folded: dict[str, set[str]] = {}
    for spelled, ones in found.items():
        folded.setdefault(_key(_folded(spelled)), set()).update(ones)
    return {alias: frozenset(ones) for alias, ones in folded.items()} | found


def _aliases(one: str) -> Iterator[str]:
    """Go through the other spellings of a quantity's name."""
    base, _, sub = one.partition("_")
    for notation in NOTATIONS.values():
        for symbol in {Symbol(one), Symbol(base, sub)}:
            yield _TILDE.sub("g", text.formula(notation.symbol(symbol)).replace("\N{COMBINING TILDE}", "~"))
    yield from (word for word, letter in WORDS.items() if letter == one)
    for letter, gate in zip(LETTERS, NAMES, strict=True):
        if sub == letter:
            yield from (f"{base}_{gate}", f"{base}_{gate.removesuffix('_gate')}")
            if base == "a":
                yield from (f"{gate}_preactivation", f"preactivation_{gate}", f"preactivation of the {gate}")
    for word, mark in GREEK.items():
        if mark in one:
            yield one.replace(mark, word)
