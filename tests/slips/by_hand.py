"""A person who works out an LSTM in plain NumPy, forward and backward, line by line, over a few steps.

Written apart from the package's equations. Every line can be replaced by another, and so can what is carried from step
to step, so that a slip is another line of NumPy in the place of the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import gatewise as gw
from gatewise.parameters import array_shapes

GATES = "figo"
ROWS = dict(zip("ifgo", range(4), strict=True))  # where a gate lies in the arrays of parameters
PEEPS = dict(zip("ifo", range(3), strict=True))
PARAMETERS = ("dW", "db", "dp", "dγ", "dR")  # how the names of their gradients begin
HARD = gw.Activation("hard_sigmoid", 0.2, 0.5)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "peephole": {"peephole": "full"},
    "forget=1-input": {"coupling": "forget=1-input"},
    "input=1-forget": {"coupling": "input=1-forget"},
    "projection": {},
    "cell clip": {"cell_clip": 0.5},
    "gate clip": {"gate_clip": 0.8},
    "hard sigmoid": {f"{gate}_activation": HARD for gate in ("input", "forget", "output")},
    "relu": {"candidate_activation": "relu"},
    "layer norm": {"layer_norm": "gates", "epsilon": 1e-5},
}
Numbers = dict[str, np.ndarray]


def sigmoid(a: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # 1/(1 + inf) is the 0 that it should be
        return 1 / (1 + np.exp(-a))


def hard(a: np.ndarray) -> np.ndarray:
    return np.clip(a / 5 + 0.5, 0, 1)


def relu(a: np.ndarray) -> np.ndarray:
    return np.where(a > 0, a, 0)


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell and what a run of it is given: x (steps, batch, inputs), states and gradients (batch, ·)."""

    kind: str
    p: gw.Parameters
    x: np.ndarray
    h: np.ndarray
    c: np.ndarray
    dh: np.ndarray
    dc: np.ndarray

    @classmethod
    def random(
        cls, rng: np.random.Generator, kind: str = "plain", *, steps: int = 1, batch: int = 1, digits: int | None = None
    ) -> Cell:
        """Return one of a random size; `digits` says to how many decimals its numbers are given."""
        inputs, hidden = int(rng.integers(1, 5)), int(rng.integers(3 if kind == "layer norm" else 2, 6))
        inputs = hidden if rng.random() < 0.2 else inputs
        variant, recurrent = gw.Variant(**KINDS[kind]), hidden
        if kind == "projection":
            recurrent = int(rng.integers(2, hidden + 1))

        def draw(scale: float, *shape: int) -> np.ndarray:
            """Return numbers that are not so small that a slip with them goes unseen."""
            values = rng.uniform(0.1, 1.4, shape) * rng.choice([-1, 1], shape) * scale
            return values if digits is None else np.where(np.round(values, digits) == 0, 0.1, np.round(values, digits))

        shapes = array_shapes(variant, inputs, hidden, recurrent)
        arrays = {name: draw(0.8, *shape) for name, shape in shapes.items() if shape}
        if kind == "projection":
            arrays["projection"] = draw(0.8, recurrent, hidden)
        p = gw.Parameters(variant=variant, **arrays)
        h, c, x = draw(0.6, batch, recurrent), draw(0.9, batch, hidden), draw(1.0, steps, batch, inputs)
        if rng.random() < 0.5:
            return cls(kind, p, x, h, c, np.ones_like(h), np.zeros_like(c))
        return cls(kind, p, x, h, c, draw(0.9, *h.shape), draw(0.9, *c.shape))

    @property
    def variant(self) -> gw.Variant:
        return self.p.variant

    @property
    def steps(self) -> int:
        return len(self.x)

    @property
    def batch(self) -> int:
        return self.x.shape[1]

    @property
    def inputs(self) -> int:
        return self.x.shape[2]

    @property
    def hidden(self) -> int:
        return self.c.shape[1]

    @property
    def recurrent(self) -> int:
        return self.h.shape[1]

    @property
    def own(self) -> str:
        """The gates with weights of their own."""
        return "".join(k for k in GATES if k in self.variant.own)

    @property
    def normed(self) -> bool:
        return self.variant.layer_norm == "gates"

    @property
    def peephole(self) -> bool:
        return self.variant.peephole == "full"

    @property
    def projected(self) -> bool:
        return self.p.projection is not None

    # What lines are called, where a variant has something between them.

    def summed(self, k: str) -> str:
        """The sum with the bias."""
        return f"a_{k},raw" if self.variant.gate_clip else f"a_{k}"

    def weighted(self, k: str) -> str:
        """The product with the weights."""
        return f"q_{k}" if self.normed else self.summed(k)

    @property
    def cell(self) -> str:
        """The cell state before any clip."""
        return "c_raw" if self.variant.cell_clip else "c"

    @property
    def shown(self) -> str:
        """The cell state's tanh behind the output gate."""
        return "m" if self.projected else "h"

    def trace(self) -> gw.Trace:
        """Return the run that the person's numbers are compared with."""
        return gw.LSTM.from_cells(self.p).trace(self.x, [[gw.State(self.h, self.c)]])[0]

    @cached_property
    def lines(self) -> tuple[dict[str, Line], dict[str, Line]]:
        """The right lines, forward and backward."""
        return dict(forward(self)), dict(backward(self))

    @cached_property
    def names(self) -> list[str]:
        """The names of all quantities, in the order in which they are computed."""
        there, back = self.lines
        if self.steps == 1:
            return [*there, *back]
        times = range(self.steps)
        steps = [
            f"{name}[{t}]" for lines, order in ((there, times), (back, times[::-1])) for t in order for name in lines
        ]
        return [*steps, *(name for name in back if name[:2] in PARAMETERS)]


@dataclass
class Page:
    """One step of the work: what is given to it, and every quantity found so far."""

    cell: Cell
    x: np.ndarray
    h_prev: np.ndarray
    c_prev: np.ndarray
    dh: np.ndarray | None = None
    dc_next: np.ndarray | None = None
    found: Numbers = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.found[name]

    def W(self, k: str) -> np.ndarray:
        return self.cell.p.weight[ROWS[k]]

    def b(self, k: str) -> np.ndarray:
        return self.cell.p.bias[ROWS[k]]

    def p(self, k: str) -> np.ndarray:
        return self.cell.p.peephole[PEEPS[k]]

    def gain(self, k: str) -> np.ndarray:
        return self.cell.p.norm_gain[ROWS[k]]

    @property
    def R(self) -> np.ndarray:
        return self.cell.p.projection

    @property
    def raw(self) -> np.ndarray:
        """The gradient of the cell state before any clip."""
        return self["dc_raw" if self.cell.variant.cell_clip else "dc"]

    @property
    def dm(self) -> np.ndarray:
        """The gradient of what comes out behind the output gate."""
        return self["dm"] if self.cell.projected else self.dh

    def da(self, k: str) -> np.ndarray:
        """The gradient of the sum with the bias."""
        return self[f"d{self.cell.summed(k)}"]

    def dq(self, k: str) -> np.ndarray:
        """The gradient of the product with the weights."""
        return self[f"d{self.cell.weighted(k)}"]

    def seen(self, k: str) -> np.ndarray:
        """The cell state that a gate's peephole sees."""
        return self["c"] if k == "o" else self.c_prev

    def peeps(self, k: str) -> np.ndarray | float:
        """What comes through a gate's peephole."""
        return self.p(k) * self.seen(k) if self.cell.peephole and k in PEEPS else 0.0

    def standard(self, k: str) -> np.ndarray:
        """A gate's product, standardised."""
        return (self[f"q_{k}"] - self[f"μ_{k}"][:, None]) / np.sqrt(self[f"v_{k}"] + self.cell.variant.epsilon)[:, None]

    def weigh(self, k: str) -> np.ndarray:
        """A gate's sum without its bias."""
        return self.gain(k) * self.standard(k) if self.cell.normed else self["z"] @ self.W(k).T + self.peeps(k)


Line = Callable[[Page], np.ndarray]


def activate(cell: Cell, k: str, a: np.ndarray) -> np.ndarray:
    if k == "g":
        return relu(a) if cell.kind == "relu" else np.tanh(a)
    return hard(a) if cell.kind == "hard sigmoid" else sigmoid(a)


def slope(cell: Cell, k: str, y: np.ndarray) -> np.ndarray:
    """Return the derivative of a gate's nonlinearity, from the gate's value."""
    if k == "g":
        return np.where(y > 0, 1.0, 0.0) if cell.kind == "relu" else 1 - y**2
    return np.where((y > 0) & (y < 1), 0.2, 0.0) if cell.kind == "hard sigmoid" else y * (1 - y)


def forward(cell: Cell) -> Iterator[tuple[str, Line]]:
    """Go through the right lines of a step."""
    yield "z", lambda s: np.concatenate([s.h_prev, s.x], 1)
    for k in cell.own.replace("o", "") if cell.peephole else cell.own:
        yield from _gate(cell, k)
    if cell.variant.coupled == "f":
        yield "f", lambda s: 1 - s["i"]
    elif cell.variant.coupled == "i":
        yield "i", lambda s: 1 - s["f"]
    yield cell.cell, lambda s: s["f"] * s.c_prev + s["i"] * s["g"]
    if bound := cell.variant.cell_clip:
        yield "c", lambda s: np.clip(s["c_raw"], -bound, bound)
    if cell.peephole:  # which sees the new cell state
        yield from _gate(cell, "o")
    yield cell.shown, lambda s: s["o"] * np.tanh(s["c"])
    if cell.projected:
        yield "h", lambda s: s["m"] @ s.R.T


def _gate(cell: Cell, k: str) -> Iterator[tuple[str, Line]]:
    if cell.normed:
        yield f"q_{k}", lambda s: s["z"] @ s.W(k).T + s.peeps(k)
        yield f"μ_{k}", lambda s: s[f"q_{k}"].mean(1)
        yield f"v_{k}", lambda s: ((s[f"q_{k}"] - s[f"μ_{k}"][:, None]) ** 2).mean(1)
    yield cell.summed(k), lambda s: s.weigh(k) + s.b(k)
    if bound := cell.variant.gate_clip:
        yield f"a_{k}", lambda s: np.clip(s[f"a_{k},raw"], -bound, bound)
    yield k, lambda s: activate(cell, k, s[f"a_{k}"])


def backward(cell: Cell) -> Iterator[tuple[str, Line]]:
    """Go through the right lines of a step backward."""
    if cell.projected:
        yield "dm", lambda s: s.dh @ s.R
    yield "do", lambda s: s.dm * np.tanh(s["c"])
    yield from _gate_back(cell, "o")
    yield "dc", lambda s: through(s) + s.dc_next + eyed(s)
    if bound := cell.variant.cell_clip:
        yield "dc_raw", lambda s: s["dc"] * (np.abs(s["c_raw"]) <= bound)
    coupled = cell.variant.coupled
    if coupled != "f":
        yield "df", lambda s: s.raw * (s.c_prev - s["g"] if coupled else s.c_prev)
    if coupled != "i":
        yield "di", lambda s: s.raw * (s["g"] - s.c_prev if coupled else s["g"])
    yield "dg", lambda s: s.raw * s["i"]
    for k in cell.own.replace("o", ""):
        yield from _gate_back(cell, k)
    yield from parameters(cell)
    yield "dz", lambda s: sum(s.dq(k) @ s.W(k) for k in cell.own)
    yield "dx", lambda s: s["dz"][:, cell.recurrent :]
    yield "dh_prev", lambda s: s["dz"][:, : cell.recurrent]
    yield "dc_prev", lambda s: s.raw * s["f"] + back_peeps(s)


def through(s: Page) -> np.ndarray:
    """What reaches the cell state through h."""
    return s.dm * s["o"] * (1 - np.tanh(s["c"]) ** 2)


def eyed(s: Page) -> np.ndarray | float:
    """What reaches the cell state through the output gate's peephole."""
    return s.dq("o") * s.p("o") if s.cell.peephole else 0.0


def back_peeps(s: Page) -> np.ndarray | float:
    """What reaches the old cell state through peepholes."""
    return sum((s.dq(k) * s.p(k) for k in "fi" if k in s.cell.own), 0.0) if s.cell.peephole else 0.0


def _gate_back(cell: Cell, k: str) -> Iterator[tuple[str, Line]]:
    yield f"da_{k}", lambda s: s[f"d{k}"] * slope(cell, k, s[k])
    if bound := cell.variant.gate_clip:
        yield f"da_{k},raw", lambda s: s[f"da_{k}"] * (np.abs(s[f"a_{k},raw"]) <= bound)
    if cell.normed:
        yield f"n_{k}", lambda s: s.standard(k)
        yield f"dn_{k}", lambda s: s.gain(k) * s.da(k)
        yield f"dq_{k}", lambda s: _standard_back(s, k)


def _standard_back(s: Page, k: str) -> np.ndarray:
    dn, n = s[f"dn_{k}"], s[f"n_{k}"]
    over = dn - dn.mean(1, keepdims=True) - n * (dn * n).mean(1, keepdims=True)
    return over / np.sqrt(s[f"v_{k}"] + s.cell.variant.epsilon)[:, None]


def parameters(cell: Cell) -> Iterator[tuple[str, Line]]:
    """Go through the gradients with respect to the parameters, each summed over the batch."""
    for k in cell.own:
        yield f"dW_{k}", lambda s, k=k: s.dq(k).T @ s["z"]
        yield f"db_{k}", lambda s, k=k: s.da(k).sum(0)
        if cell.peephole and k in PEEPS:
            yield f"dp_{k}", lambda s, k=k: (s.dq(k) * s.seen(k)).sum(0)
        if cell.normed:
            yield f"dγ_{k}", lambda s, k=k: (s.da(k) * s[f"n_{k}"]).sum(0)
    if cell.projected:
        yield "dR", lambda s: s.dh.T @ s["m"]
