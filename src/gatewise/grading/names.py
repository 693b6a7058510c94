"""Names of the quantities of an LSTM, as people write them: gatewise's own, words, and every notation's symbols."""

from __future__ import annotations

import re
from collections import defaultdict
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
MAX_NAME_LETTERS = 120  # characters of a name
_STEP = re.compile(  # f[1], f (step 1), f (t=1), f step 1, f_{t=1}
    r" ?\[(?:t=)?(\d{1,9})\]"
    r"| ?\((?:step|time step|t ?=) ?(\d{1,9})\)"
    r"| (?:step|time step|t=) ?(\d{1,9})"
    r"|_\{?t=(\d{1,9})\}?"
)
_INDEXED = re.compile(r"\$?(.+?)([ _^]?)[\[({]{0,2}([0-9]{1,6})[\])}]{0,2}\$?")  # f_0, f[0], a_{f,0}, f^{(0)}
_TILDE = re.compile(r"\\?tilde[ _]?\{?([cC])\}?|([cC])(?:~|[ _]?tilde)|~([cC])")
_THIS_STEP = re.compile(r"[_^]\{?[(<]?t[)>]?\}?$|,t$|\(t\)$")  # f_t, f^{(t)}, f^{<t>}, f_i,t, f(t)
_LAST_STEP = re.compile(r"\^?\{?[(<]?t ?- ?1[)>]?\}?")
_GRADIENT = re.compile(  # dL/df, ∂L/∂f, grad_f, gradient of f
    r"(?:[d∂](?:L|E|J|loss|Loss)/[d∂]|∂|∇|grad(?:ient)?[ _](?:of[ _])?(?:the[ _])?) ?(.+)"
)
_SUFFIX = re.compile(r"(.+?)(?:\.|_| )grad(?:ient)?")


def find(name: str, known: Collection[str]) -> str | None:
    """Return the known quantity of an LSTM that a person's name for it means; None if it is none, or ambiguous.

    `known` are gatewise's names, as `gatewise.walk` shows them. People write ``f``, ``Forget gate``, ``f_t``, ``C̃_t``
    or ``c_tilde`` (which is ``g``), Keras' ``z_f`` (``a_f``), ``∂L/∂f`` or ``grad_W_f`` (``df``, ``dW_f``); with a
    step, counted from 0, ``f[1]``, ``f (step 1)``, ``f (t=1)`` or ``f_{t=1}``.

    Examples
    --------
    >>> known = ["f", "g", "dg", "h[0]", "h[1]"]
    >>> find("Forget gate", known), find("dL/dC~_t", known), find("h (step 1)", known), find("f_1", known)
    ('f', 'dg', 'h[1]', None)
    """
    if name in known:
        return name
    if len(name) > MAX_NAME_LETTERS:
        return None
    base, step = _split_step(_without_latex(name))
    quantity = _find_quantity(
        base, _quantities_by_spelling(frozenset(known_name.partition("[")[0] for known_name in known))
    )
    if quantity is None:
        return None
    if step is not None and f"{quantity}[{step}]" in known:
        return f"{quantity}[{step}]"
    is_unambiguous = step is None or (step == 0 and not any("[" in known_name for known_name in known))
    return quantity if is_unambiguous and quantity in known else None


def split_index(name: str) -> tuple[str, int, bool] | None:
    """Return a name such as f_0, f[0] or f^{(0)} as the name before its index, the index, and whether it is raised."""
    match = _INDEXED.fullmatch(name) if len(name) <= MAX_NAME_LETTERS else None
    return None if match is None else (match[1], int(match[3]), match[2] == "^")


def suggestion(name: str, known: Collection[str]) -> str | None:
    """Return the known quantity or word that a person's unknown name resembles, or None."""
    words = [word for word, letter in WORDS.items() if letter in known]
    close = get_close_matches(name[:MAX_NAME_LETTERS], [*known, *words], 1, 0.6)
    return close[0] if close else None


def python_name(name: str) -> str:
    """Return a quantity's name as a Python identifier, for the notebook of an exercise."""
    plain = name.replace("γ", "gamma").replace("β", "beta").replace("μ", "mu").replace("[", "_").replace("]", "")
    identifier = re.sub(r"\W", "_", plain)
    return f"{identifier}_" if identifier in ("do", "is", "if", "in") else identifier


def _without_latex(name: str) -> str:
    line = " ".join(name.replace("\N{COMBINING TILDE}", "~").replace("\N{MINUS SIGN}", "-").split())
    line = line.replace("$", "").replace("ₜ", "_t").replace("\N{MICRO SIGN}", "μ")
    if "\\" in line:
        line = re.sub(r"\\frac ?\{([^{}]*)\} ?\{(.*)\}", r"\1/\2", line).replace("\\partial", "∂")
        line = re.sub(r"∂ ", "∂", line)
    return _TILDE.sub("g", line)


def _split_step(name: str) -> tuple[str, int | None]:
    matches = list(_STEP.finditer(name))
    if len(matches) != 1:
        return name, None
    match = matches[0]
    return name[: match.start()] + name[match.end() :], int(next(filter(None, match.groups())))


def _find_quantity(name: str, spellings: dict[str, set[str]]) -> str | None:
    gradient = _GRADIENT.fullmatch(name) or _SUFFIX.fullmatch(name)
    tries = [("d", gradient[1])] if gradient else [("", name), ("d", name[1:])] if name[:1] in "dD" else [("", name)]
    for mark, inner in tries:
        at_this_step = _THIS_STEP.sub("", inner)
        for spelled in (inner, at_this_step, _casefold_key(at_this_step)):
            quantities = spellings.get(_without_separators(spelled))
            if quantities is not None:
                return mark + next(iter(quantities)) if len(quantities) == 1 else None
    return None


def _without_separators(name: str) -> str:
    return re.sub(r"[\s_\-{},\\]", "", _LAST_STEP.sub("tm1", name))


def _casefold_key(name: str) -> str:
    return f"folded {name.casefold()}"


@lru_cache(maxsize=16)
def _quantities_by_spelling(known: frozenset[str]) -> dict[str, set[str]]:
    """Return the quantities that each spelling of a name may mean, for names that people write on sheets."""
    quantities = {name.removeprefix("d") for name in known} | {"x", "h_prev", "c_prev", "h", "c"}
    quantities |= {f"{base}_{k}" for base in "Wb" for k in LETTERS}
    by_spelling = {_without_separators(name): {name} for name in quantities}
    aliases, folded = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for name in quantities:
        for alias in map(_without_separators, _other_spellings(name)):
            if alias not in by_spelling:
                aliases[alias].add(name)
    by_spelling |= aliases
    for spelled, names in by_spelling.items():
        folded[_without_separators(_casefold_key(spelled))] |= names
    return {**folded, **by_spelling}


def _other_spellings(name: str) -> Iterator[str]:
    """Yield the spellings that people use for a quantity's name: symbols of notations, words, Greek letters."""
    base, _, sub = name.partition("_")
    for notation in NOTATIONS.values():
        for symbol in {Symbol(name), Symbol(base, sub)}:
            yield _TILDE.sub("g", text.formula(notation.symbol(symbol)).replace("\N{COMBINING TILDE}", "~"))
    yield from (word for word, letter in WORDS.items() if letter == name)
    for letter, gate in zip(LETTERS, NAMES, strict=True):
        if sub == letter:
            yield from (f"{base}_{gate}", f"{base}_{gate.removesuffix('_gate')}")
            if base == "a":
                yield from (f"{gate}_preactivation", f"preactivation_{gate}", f"preactivation of the {gate}")
    for word, mark in GREEK.items():
        if mark in name:
            yield name.replace(mark, word)
