"""Sheets with one mistake of no known class, in one quantity, from which what comes after it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from slips.by_hand import Cell, Line, sigmoid
from slips.odd import Odd
from slips.work import work, wrong_work
from written import Cells, first_off, rounded, subset

import gatewise as gw

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def share(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.05, 2) * rng.choice([-1, 1]))


def one_off(q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = q.copy()
    changed.flat[rng.integers(q.size)] *= 1 + share(rng)
    return changed


def two_off(q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = one_off(q, rng)
    changed.flat[rng.integers(q.size)] -= share(rng)
    return changed


FUNCTIONS: dict[str, Change] = {  # of a right quantity, which no known mistake is
    "one entry off": one_off,
    "two entries off": two_off,
    "rolled": lambda q, _: np.roll(q, 1, axis=-1),
    "cubed": lambda q, _: q**3,
    "two less": lambda q, _: 2 - q,
    "cosine": lambda q, _: np.cos(q),
    "a power of e": lambda q, _: np.exp(q),
    "something else": lambda q, rng: rng.normal(0, 0.5, q.shape),
    "a constant too much": lambda q, rng: q + share(rng),
    "times a constant": lambda q, rng: q * (1 + share(rng)),
}
EQUATIONS: dict[str, dict[str, Line]] = {  # in place of the right ones, which no known mistake is
    "h = o + tanh(c)²": {"h": lambda s: s["o"] + np.tanh(s["c"]) ** 2},
    "h = o tanh(c)³": {"h": lambda s: s["o"] * np.tanh(s["c"]) ** 3},
    "h = o cos(c)": {"h": lambda s: s["o"] * np.cos(s["c"])},
    "c = f c_prev - 2 i g": {"c": lambda s: s["f"] * s.c_prev - 2 * s["i"] * s["g"]},
    "c = f² c_prev + g": {"c": lambda s: s["f"] ** 2 * s.c_prev + s["g"]},
    "c = f + g": {"c": lambda s: s["f"] + s["g"]},
    "f = 1 - σ²": {"f": lambda s: 1 - sigmoid(s["a_f"]) ** 2},
    "g = σ tanh": {"g": lambda s: sigmoid(s["a_g"]) * np.tanh(s["a_g"])},
    "i = 1 / (1 + e^2a)": {"i": lambda s: 1 / (1 + np.exp(2 * s["a_i"]))},
    "dc with 1 + tanh(c)": {"dc": lambda s: s.dc_next + s.dh * s["o"] * (1 + np.tanh(s["c"]))},
    "da_o with 1 + o²": {"da_o": lambda s: s["do"] * s["o"] * (1 + s["o"] ** 2)},
    "dz of two gates": {"dz": lambda s: s["da_g"] @ s.W("g") + s["da_f"] @ s.W("f")},
}
WAYS = (*FUNCTIONS, *EQUATIONS)
DRAWN = (*FUNCTIONS, *FUNCTIONS, *FUNCTIONS, *EQUATIONS)  # in a round: any quantity may be that of a function
WHOLE = {1: 0.6, 2: 0.9, 3: 1.0}  # what little is written of many steps has much before it that may be wrong


def unknown_sheets(seed: int, some: Cells, each: int) -> Iterator[Odd]:
    """Go through so many sheets of every cell, all ways in turn."""
    rng, left = np.random.default_rng(seed), list[str]()
    for cell, chain in some:
        right = work(cell)
        for _ in range(each):
            how = next_way(left, cell, rng)
            told = -1.0
            while told < 0:  # until it is seen
                worked, says = worked_wrongly(how, cell, rng)
                names, digits = subset(cell.names, rng, WHOLE[cell.steps]), int(rng.integers(3, 9))
                written = rounded({name: worked[name] for name in names}, digits)
                expected, told = first_off(written, right, digits)
            sizes = f"{cell.inputs} inputs, {cell.hidden} hidden, {cell.steps} steps, batch {cell.batch}"
            says = f"{says} ({sizes}; {len(names)} lines at {digits} digits)"
            yield Odd(how, says, str(expected), gw.check(written, chain, digits=digits))


def next_way(left: list[str], cell: Cell, rng: np.random.Generator) -> str:
    """Take the first way that is left for a cell, after a round those of another one."""
    rolls = min(cell.hidden, cell.inputs) > 2  # of two numbers, each is in the other's place, or x and h are
    while True:
        for n, how in enumerate(left):
            if rolls or how != "rolled":
                return left.pop(n)
        left += rng.permutation(DRAWN).tolist()


def worked_wrongly(how: str, cell: Cell, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], str]:
    """Return every quantity where one is wrong, and which."""
    if how in EQUATIONS:
        return wrong_work(cell, EQUATIONS[how]), next(iter(EQUATIONS[how]))
    name = cell.names[rng.integers(len(cell.names))]
    return wrong_work(cell, spoiled={name: lambda q: FUNCTIONS[how](q, rng)}), name
