"""Mistakes that people make in a cell without switches, each with the class under which verdicts name it.

They are planted in the work of `by_hand`, apart from the equations and the mistakes that the package knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from slips.by_hand import GATES, Cell, Line, Page, sigmoid

import gatewise as gw

SIGMOIDS = "fio"
PARAMETERS = tuple(f"d{name}_{k}" for k in GATES for name in "Wb")


def plain_cell(rng: np.random.Generator, *, inputs: int = 0, hidden: int = 0, batch: int = 1, steps: int = 1) -> Cell:
    """Return a random cell without switches; a size of 0 is drawn, too."""
    inputs, hidden = inputs or int(rng.integers(1, 7)), hidden or int(rng.integers(2, 8))
    p = gw.Parameters(
        weight=rng.normal(0, 0.7, (4, hidden, hidden + inputs)),
        bias=rng.uniform(0.2, 0.9, (4, hidden)) * rng.choice([-1, 1], (4, hidden)),
    )
    h, c = rng.uniform(-0.8, 0.8, (batch, hidden)), rng.normal(0, 0.8, (batch, hidden))
    return Cell("plain", p, rng.normal(0, 1, (steps, batch, inputs)), h, c, np.ones_like(h), np.zeros_like(c))


def _sum(page: Page, k: str) -> np.ndarray:
    return page["z"] @ page.W(k).T + page.b(k)


@dataclass(frozen=True)
class Mistake:
    """Lines in place of the right ones.

    Attributes
    ----------
    kind : str
        The name of its class in verdicts.
    says : str
        Where it is made.
    lines : dict of str to Line
    batch : bool
        Whether it takes a batch.
    square : bool
        Whether it takes as many inputs as hidden units.
    also : tuple of str
        The classes of mistakes that give the same numbers.
    """

    kind: str
    says: str
    lines: dict[str, Line]
    batch: bool = False
    square: bool = False
    also: tuple[str, ...] = ()


def _each(kind: str, says: str, line: Callable[[Page, str], np.ndarray], of: str, **more: object) -> Iterator[Mistake]:
    """Yield a mistake in each gate's line, and in all of them; `of` is the name of the line without the gate."""
    for k in GATES:
        yield Mistake(kind, f"{says}, {k}", {of + k: lambda s, k=k: line(s, k)}, **more)
    every = {of + k: (lambda s, k=k: line(s, k)) for k in GATES}
    yield Mistake(kind, f"{says}, all gates", every, **more)


def _misread(W: np.ndarray, hidden: int, part: str) -> np.ndarray:
    """Return weights with a part read as if transposed."""
    U, V = W[:, :hidden], W[:, hidden:]
    if part == "recurrent":
        return np.concatenate([U.T, V], 1)
    if part == "input":
        return np.concatenate([U, V.T], 1)
    if part == "both":
        return np.concatenate([U.T, V.T], 1)
    return W.ravel().reshape(W.shape, order="F") if part == "columns" else W.ravel(order="F").reshape(W.shape)


def _mistakes() -> Iterator[Mistake]:
    """Yield the mistakes."""

    def other(s: Page) -> np.ndarray:
        return np.concatenate([s.x, s.h_prev], 1)

    order = "order of [h; x]"
    yield Mistake(order, "z = [x; h]", {"z": other})
    yield from _each(order, "W [x; h]", lambda s, k: other(s) @ s.W(k).T + s.b(k), "a_")
    cut = {"dx": lambda s: s["dz"][:, : s.cell.inputs], "dh_prev": lambda s: s["dz"][:, s.cell.inputs :]}
    yield Mistake(order, "dz cut as [x; h]", cut)

    yield from _each("missing bias", "no bias", lambda s, k: s["z"] @ s.W(k).T, "a_")
    yield from _each("doubled bias", "two biases", lambda s, k: s["z"] @ s.W(k).T + 2 * s.b(k), "a_")

    swap, other_gate = "two gates swapped", "another gate"
    for j, k in combinations(GATES, 2):
        same = ("forget and input exchanged",) if {j, k} == {"f", "i"} else ()
        lines = {f"a_{j}": lambda s, k=k: _sum(s, k), f"a_{k}": lambda s, j=j: _sum(s, j)}
        yield Mistake(swap, f"weights of {j} and {k}", lines, also=same)
    yield Mistake(other_gate, "c with o for f", {"c": lambda s: s["o"] * s.c_prev + s["i"] * s["g"]})
    yield Mistake(other_gate, "c with o for i", {"c": lambda s: s["f"] * s.c_prev + s["o"] * s["g"]})
    yield Mistake(swap, "c with f and g exchanged", {"c": lambda s: s["g"] * s.c_prev + s["i"] * s["f"]})
    yield Mistake(other_gate, "h with f for o", {"h": lambda s: s["f"] * np.tanh(s["c"])})
    yield Mistake(other_gate, "h with i for o", {"h": lambda s: s["i"] * np.tanh(s["c"])})
    yield Mistake(other_gate, "dg with f for i", {"dg": lambda s: s["dc"] * s["f"]})
    yield Mistake(other_gate, "dc_prev with i for f", {"dc_prev": lambda s: s["dc"] * s["i"]})
    yield Mistake(
        "forget and input exchanged", "c = i c_prev + f g", {"c": lambda s: s["i"] * s.c_prev + s["f"] * s["g"]}
    )

    yield Mistake("sigmoid for tanh", "g", {"g": lambda s: sigmoid(s["a_g"])})
    yield Mistake("sigmoid for tanh", "on the cell", {"h": lambda s: s["o"] * sigmoid(s["c"])})
    yield Mistake("sigmoid for tanh", "do", {"do": lambda s: s.dh * sigmoid(s["c"])})
    for k in SIGMOIDS:
        yield Mistake("tanh for sigmoid", k, {k: lambda s, k=k: np.tanh(s[f"a_{k}"])})
    yield Mistake("tanh for sigmoid", "all gates", {k: lambda s, k=k: np.tanh(s[f"a_{k}"]) for k in SIGMOIDS})
    yield Mistake("no tanh on the cell", "h = o c", {"h": lambda s: s["o"] * s["c"]})
    yield Mistake("no tanh on the cell", "do = dh c", {"do": lambda s: s.dh * s["c"]})
    for k in GATES:
        yield Mistake("no nonlinearity", k, {k: lambda s, k=k: s[f"a_{k}"]})

    for part in ("recurrent", "input", "both", "columns", "columns of rows"):
        yield from _each(
            "transposed weights",
            part,
            lambda s, k, part=part: s["z"] @ _misread(s.W(k), s.cell.hidden, part).T + s.b(k),
            "a_",
            square=part in ("input", "both"),
        )
    yield Mistake(
        "transposed weights",
        "recurrent, in dz",
        {"dz": lambda s: sum(s[f"da_{k}"] @ _misread(s.W(k), s.cell.hidden, "recurrent") for k in GATES)},
    )

    old = "old cell for the new"
    through_old: dict[str, Line] = {
        "do": lambda s: s.dh * np.tanh(s.c_prev),
        "dc": lambda s: s.dc_next + s.dh * s["o"] * (1 - np.tanh(s.c_prev) ** 2),
    }
    yield Mistake(old, "do", {"do": through_old["do"]})
    yield Mistake(old, "dc", {"dc": through_old["dc"]})
    yield Mistake(old, "do and dc", through_old)
    yield Mistake(old, "c = c_prev", {"c": lambda s: s.c_prev})
    yield Mistake(old, "h = o tanh(c_prev)", {"h": lambda s: s["o"] * np.tanh(s.c_prev)})
    yield Mistake("new cell for the old", "df = dc c", {"df": lambda s: s["dc"] * s["c"]})
    yield Mistake("hidden for cell", "c = f h_prev + i g", {"c": lambda s: s["f"] * s.h_prev + s["i"] * s["g"]})

    slope = "forgotten derivative"
    yield from _each(slope, "da = d", lambda s, k: s[f"d{k}"], "da_")
    yield Mistake(slope, "dc without 1 - tanh(c)²", {"dc": lambda s: s.dc_next + s.dh * s["o"]})
    another = "other function's derivative"
    for k in SIGMOIDS:
        yield Mistake(another, k, {f"da_{k}": lambda s, k=k: s[f"d{k}"] * (1 - s[k] ** 2)})
    yield Mistake(another, "g", {"da_g": lambda s: s["dg"] * s["g"] * (1 - s["g"])})

    rows = "sum over the batch missing"
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "first row": lambda each: each[0],
        "last row": lambda each: each[-1],
        "every row": lambda each: each,
        "mean": lambda each: each.mean(0),
    }
    for says, take in kinds.items():
        lines = {}
        for k in GATES:
            lines[f"dW_{k}"] = lambda s, k=k, take=take: take(s[f"da_{k}"][:, :, None] * s["z"][:, None, :])
            lines[f"db_{k}"] = lambda s, k=k, take=take: take(s[f"da_{k}"])
        yield Mistake(rows, f"{says}, all gradients", lines, batch=True)
        for name in ("dW_o", "db_f"):
            yield Mistake(rows, f"{says}, {name}", {name: lines[name]}, batch=True)


MISTAKES = tuple(_mistakes())
