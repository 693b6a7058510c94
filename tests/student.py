"""A student who computes an LSTM forward and backward in plain NumPy, with mistakes that can be switched on.

Written apart from the equations that the package shows and from the mistakes that it knows: every quantity is a line
of NumPy, and a mistake is another line in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

import gatewise as gw

GATES = "figo"
SIGMOIDS = "fio"
ROWS = dict(zip("ifgo", range(4), strict=True))  # where a gate lies in the arrays of parameters
FORWARD = ("z", "a_f", "f", "a_i", "i", "a_g", "g", "a_o", "o", "c", "h")
PARAMETERS = ("dW_f", "db_f", "dW_i", "db_i", "dW_g", "db_g", "dW_o", "db_o")
BACKWARD = ("do", "da_o", "dc", "df", "di", "dg", "da_f", "da_i", "da_g", *PARAMETERS, "dz", "dx", "dh_prev", "dc_prev")
NAMES = FORWARD + BACKWARD  # of one step, in the order in which they follow from each other


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


@dataclass
class Page:
    """One step of the work: what is given to it, and every quantity found so far."""

    W: dict[str, np.ndarray]
    b: dict[str, np.ndarray]
    x: np.ndarray
    h_prev: np.ndarray
    c_prev: np.ndarray
    dh: np.ndarray | None = None
    dc_next: np.ndarray | None = None
    found: dict[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.found[name]

    @property
    def hidden(self) -> int:
        return self.c_prev.shape[1]

    @property
    def inputs(self) -> int:
        return self.x.shape[1]


Line = Callable[[Page], np.ndarray]


def _both(page: Page) -> np.ndarray:
    return np.concatenate([page.h_prev, page.x], 1)


def _total(page: Page, k: str) -> np.ndarray:
    return page["z"] @ page.W[k].T + page.b[k]


LINES: dict[str, Line] = {
    "z": _both,
    **{f"a_{k}": lambda s, k=k: _total(s, k) for k in GATES},
    **{k: lambda s, k=k: sigmoid(s[f"a_{k}"]) for k in SIGMOIDS},
    "g": lambda s: np.tanh(s["a_g"]),
    "c": lambda s: s["f"] * s.c_prev + s["i"] * s["g"],
    "h": lambda s: s["o"] * np.tanh(s["c"]),
    "do": lambda s: s.dh * np.tanh(s["c"]),
    "dc": lambda s: s.dc_next + s.dh * s["o"] * (1 - np.tanh(s["c"]) ** 2),
    "df": lambda s: s["dc"] * s.c_prev,
    "di": lambda s: s["dc"] * s["g"],
    "dg": lambda s: s["dc"] * s["i"],
    **{f"da_{k}": lambda s, k=k: s[f"d{k}"] * s[k] * (1 - s[k]) for k in SIGMOIDS},
    "da_g": lambda s: s["dg"] * (1 - s["g"] ** 2),
    **{f"dW_{k}": lambda s, k=k: s[f"da_{k}"].T @ s["z"] for k in GATES},
    **{f"db_{k}": lambda s, k=k: s[f"da_{k}"].sum(0) for k in GATES},
    "dz": lambda s: sum(s[f"da_{k}"] @ s.W[k] for k in GATES),
    "dx": lambda s: s["dz"][:, s.hidden :],
    "dh_prev": lambda s: s["dz"][:, : s.hidden],
    "dc_prev": lambda s: s["dc"] * s["f"],
}


@dataclass(frozen=True)
class Subject:
    """A cell and what a run of it is given: x (steps, batch, inputs), states (batch, hidden)."""

    p: gw.Parameters
    x: np.ndarray
    h: np.ndarray
    c: np.ndarray

    @classmethod
    def random(
        cls, rng: np.random.Generator, *, inputs: int = 0, hidden: int = 0, batch: int = 1, steps: int = 1
    ) -> Subject:
        """Return one of random sizes, where none are given."""
        inputs, hidden = inputs or int(rng.integers(1, 7)), hidden or int(rng.integers(2, 8))
        p = gw.Parameters(
            weight=rng.normal(0, 0.7, (4, hidden, hidden + inputs)),
            bias=rng.uniform(0.2, 0.9, (4, hidden)) * rng.choice([-1, 1], (4, hidden)),
        )
        h, c = rng.uniform(-0.8, 0.8, (batch, hidden)), rng.normal(0, 0.8, (batch, hidden))
        return cls(p, rng.normal(0, 1, (steps, batch, inputs)), h, c)

    @property
    def batch(self) -> int:
        return self.x.shape[1]

    @property
    def steps(self) -> int:
        return self.x.shape[0]

    @property
    def inputs(self) -> int:
        return self.x.shape[2]

    @property
    def hidden(self) -> int:
        return self.c.shape[1]

    def trace(self) -> gw.Trace:
        """Return the run that the student's numbers are compared with."""
        return gw.LSTM.from_cells(self.p).trace(self.x, [[gw.State(self.h, self.c)]])[0]

    @property
    def names(self) -> list[str]:
        """Every quantity, in order."""
        if self.steps == 1:
            return list(NAMES)
        there = [f"{name}[{t}]" for t in range(self.steps) for name in FORWARD]
        back = [f"{name}[{t}]" for t in reversed(range(self.steps)) for name in BACKWARD]
        return [*there, *back, *PARAMETERS]

    def work(
        self,
        wrong: Mapping[str, Line] | None = None,
        spoiled: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
        paper: Callable[[str, np.ndarray], np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Return every quantity by name.

        `wrong` are lines in place of the right ones, at every step; `spoiled` says of single quantities, by their full
        name, what becomes of them; `paper` says what of a quantity is carried on to the next.
        """
        lines = LINES | dict(wrong or {})
        W = {k: self.p.weight[row] for k, row in ROWS.items()}
        b = {k: self.p.bias[row] for k, row in ROWS.items()}
        done: dict[str, np.ndarray] = {}

        def kept(name: str, value: np.ndarray) -> np.ndarray:
            if spoiled and name in spoiled:
                value = spoiled[name](value)
            done[name] = value
            return value if paper is None else paper(name, value)

        pages: list[Page] = []
        for t in range(self.steps):
            h, c = (pages[-1]["h"], pages[-1]["c"]) if pages else (self.h, self.c)
            page = Page(W, b, self.x[t], h, c)
            pages.append(page)
            for name in FORWARD:
                page.found[name] = kept(self._full(name, t), lines[name](page))
        dh, dc = np.ones_like(self.h), np.zeros_like(self.c)
        for t in reversed(range(self.steps)):
            page = pages[t]
            page.dh, page.dc_next = dh, dc
            for name in BACKWARD:
                page.found[name] = kept(self._full(name, t), lines[name](page))
            dh, dc = page["dh_prev"], page["dc_prev"]
        if self.steps > 1:
            for name in PARAMETERS:
                kept(name, sum(page[name] for page in pages))
        single = self.batch == 1
        return {n: v[0] if single and v.ndim == 2 and not n.startswith(("dW", "db")) else v for n, v in done.items()}

    def _full(self, name: str, t: int) -> str:
        return name if self.steps == 1 else f"{name}[{t}]"


# Mistakes that people make.


@dataclass(frozen=True)
class Mistake:
    """Lines in place of the right ones.

    `kind` is what the class of the mistake is called, `also` what a mistake that gives the same numbers is called,
    `square` which of hidden sizes and inputs must agree for it to exist.
    """

    kind: str
    says: str
    lines: dict[str, Line]
    batch: bool = False
    square: bool = False
    also: tuple[str, ...] = ()


def _each(kind: str, says: str, line: Callable[[Page, str], np.ndarray], of: str, **more: object) -> Iterator[Mistake]:
    """One mistake in each gate's line, and in all of them; `of` is the name of the line without the gate."""
    for k in GATES:
        yield Mistake(kind, f"{says}, {k}", {of + k: lambda s, k=k: line(s, k)}, **more)
    every = {of + k: (lambda s, k=k: line(s, k)) for k in GATES}
    yield Mistake(kind, f"{says}, all gates", every, **more)


def _turned(W: np.ndarray, hidden: int, part: str) -> np.ndarray:
    """Return weights read as if transposed."""
    U, V = W[:, :hidden], W[:, hidden:]
    if part == "recurrent":
        return np.concatenate([U.T, V], 1)
    if part == "input":
        return np.concatenate([U, V.T], 1)
    if part == "both":
        return np.concatenate([U.T, V.T], 1)
    return W.ravel().reshape(W.shape, order="F") if part == "columns" else W.ravel(order="F").reshape(W.shape)


def known() -> Iterator[Mistake]:
    """Go through the mistakes, each with the name of its class."""

    def other(s: Page) -> np.ndarray:
        return np.concatenate([s.x, s.h_prev], 1)

    order = "order of [h; x]"
    yield Mistake(order, "z = [x; h]", {"z": other})
    yield from _each(order, "W [x; h]", lambda s, k: other(s) @ s.W[k].T + s.b[k], "a_")
    cut = {"dx": lambda s: s["dz"][:, : s.inputs], "dh_prev": lambda s: s["dz"][:, s.inputs :]}
    yield Mistake(order, "dz cut as [x; h]", cut)

    yield from _each("missing bias", "no bias", lambda s, k: s["z"] @ s.W[k].T, "a_")
    yield from _each("doubled bias", "two biases", lambda s, k: s["z"] @ s.W[k].T + 2 * s.b[k], "a_")

    swap, other_gate = "two gates swapped", "another gate"
    for j, k in combinations(GATES, 2):
        same = ("forget and input exchanged",) if {j, k} == {"f", "i"} else ()
        lines = {f"a_{j}": lambda s, k=k: _total(s, k), f"a_{k}": lambda s, j=j: _total(s, j)}
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
            lambda s, k, part=part: s["z"] @ _turned(s.W[k], s.hidden, part).T + s.b[k],
            "a_",
            square=part in ("input", "both"),
        )
    yield Mistake(
        "transposed weights",
        "recurrent, in dz",
        {"dz": lambda s: sum(s[f"da_{k}"] @ _turned(s.W[k], s.hidden, "recurrent") for k in GATES)},
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


MISTAKES = tuple(known())
