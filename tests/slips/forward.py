"""Slips in the forward pass: in the sums, in the gates, and in the states."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from slips.by_hand import GATES, Cell, Line, Page, activate, hard, sigmoid
from slips.work import Slip

OfGate = Callable[[Page, str], np.ndarray]


def each(
    kind: str, says: str, gates: str, of: Callable[[str], str], line: OfGate, back: bool = False
) -> Iterator[Slip]:
    """Go through a slip in each gate's line, and in those of all gates."""
    for k in gates:
        yield Slip(kind, f"{of(k)} = {says.format(k=k)}", {of(k): lambda s, k=k: line(s, k)}, backward=back)
    if len(gates) > 1:
        lines: dict[str, Line] = {of(k): (lambda s, k=k: line(s, k)) for k in gates}
        yield Slip(kind, f"all of {', '.join(lines)} = {says.format(k='k')}", lines, backward=back)


def forward_slips(cell: Cell) -> Iterator[Slip]:
    """Go through the slips that can be made in a step of a cell."""
    yield from _sums(cell)
    yield from _turned(cell)
    yield from _gates(cell)
    yield from _cell_state(cell)
    yield from _hidden_state(cell)


# The sums.


def _sums(cell: Cell) -> Iterator[Slip]:
    own, R = cell.own, cell.recurrent

    def product(s: Page, k: str, found: np.ndarray) -> np.ndarray:
        """What a product with the weights gives, if it is not the right one, with all that is added to it."""
        return found + s.peeps(k) + (0 if cell.normed else s.b(k))

    def products(kind: str, says: str, line: OfGate) -> Iterator[Slip]:
        yield from each(kind, says, own, cell.weighted, lambda s, k: product(s, k, line(s, k)))

    def biases(kind: str, says: str, line: OfGate) -> Iterator[Slip]:
        yield from each(kind, says, own, cell.summed, lambda s, k: s.weigh(k) + line(s, k))

    def other(s: Page) -> np.ndarray:
        return np.concatenate([s.x, s.h_prev], 1)

    yield from biases("no bias", "W_{k} z", lambda s, k: 0 * s.b(k))
    yield from biases("bias twice", "W_{k} z + 2 b_{k}", lambda s, k: 2 * s.b(k))
    yield from biases("sign of the bias", "W_{k} z − b_{k}", lambda s, k: -s.b(k))
    yield from products("h_prev left out of the sums", "W_x{k} x + b_{k}", lambda s, k: s.x @ s.W(k)[:, R:].T)
    yield from products("x left out of the sums", "W_h{k} h_prev + b_{k}", lambda s, k: s.h_prev @ s.W(k)[:, :R].T)
    yield from products("[x; h] for [h; x]", "W_{k} [x; h] + b_{k}", lambda s, k: other(s) @ s.W(k).T)
    yield Slip("[x; h] for [h; x]", "z = [x; h_prev]", {"z": other})
    yield from _signs_lost(cell, products, biases)
    yield from products("sign of the product", "−W_{k} z + b_{k}", lambda s, k: -s["z"] @ s.W(k).T)
    if cell.hidden == R:
        kind = "c_prev for h_prev"
        yield from products(
            kind, "W_{k} [c_prev; x] + b_{k}", lambda s, k: np.concatenate([s.c_prev, s.x], 1) @ s.W(k).T
        )
        yield Slip(kind, "z = [c_prev; x]", {"z": lambda s: np.concatenate([s.c_prev, s.x], 1)})
    if cell.peephole:
        peeping = own.replace("g", "")
        yield from each("no peephole", "W_{k} z + b_{k}", peeping, cell.summed, lambda s, k: s["z"] @ s.W(k).T + s.b(k))
        yield Slip(
            "c_prev for c",
            "a_o with p_o c_prev",
            {"a_o": lambda s: s["z"] @ s.W("o").T + s.p("o") * s.c_prev + s.b("o")},
        )
    yield from _other_weights(cell, product)


def _signs_lost(
    cell: Cell,
    products: Callable[[str, str, OfGate], Iterator[Slip]],
    biases: Callable[[str, str, OfGate], Iterator[Slip]],
) -> Iterator[Slip]:
    kind = "|x| for x"
    stacks: dict[str, Line] = {
        "[h_prev; |x|]": lambda s: np.concatenate([s.h_prev, np.abs(s.x)], 1),
        "[|h_prev|; x]": lambda s: np.concatenate([np.abs(s.h_prev), s.x], 1),
        "[|h_prev|; |x|]": lambda s: np.abs(np.concatenate([s.h_prev, s.x], 1)),
    }
    for says, stack in stacks.items():
        yield Slip(kind, f"z = {says}", {"z": stack})
        yield from products(kind, f"W_{{k}} {says} + b_{{k}}", lambda s, k, stack=stack: stack(s) @ s.W(k).T)
    yield from products(kind, "|W_{k}| z + b_{k}", lambda s, k: s["z"] @ np.abs(s.W(k)).T)
    yield from biases(kind, "W_{k} z + |b_{k}|", lambda s, k: np.abs(s.b(k)))
    states: dict[str, Line] = {
        "f |c_prev| + i g": lambda s: s["f"] * np.abs(s.c_prev) + s["i"] * s["g"],
        "f c_prev + i |g|": lambda s: s["f"] * s.c_prev + s["i"] * np.abs(s["g"]),
    }
    for says, line in states.items():
        yield Slip(kind, f"{cell.cell} = {says}", {cell.cell: line})
    yield Slip(kind, f"{cell.shown} = o tanh(|c|)", {cell.shown: lambda s: s["o"] * np.tanh(np.abs(s["c"]))})


def _other_weights(cell: Cell, product: Callable[[Page, str, np.ndarray], np.ndarray]) -> Iterator[Slip]:
    def weights(j: str) -> OfGate:
        return lambda s, k: product(s, k, s["z"] @ s.W(j).T)

    def both(j: str, k: str) -> dict[str, Line]:
        """The lines of a gate k that takes the weights and the bias of j."""
        if not cell.normed:
            return {cell.summed(k): lambda s: s["z"] @ s.W(j).T + s.peeps(k) + s.b(j)}
        return {cell.weighted(k): lambda s: s["z"] @ s.W(j).T, cell.summed(k): lambda s: s.weigh(k) + s.b(j)}

    for k in cell.own:
        for j in cell.own.replace(k, ""):
            line = weights(j)
            yield Slip(
                "another gate's weights", f"W_{j} in {k}", {cell.weighted(k): lambda s, k=k, line=line: line(s, k)}
            )
            if not cell.normed:
                yield Slip("another gate's weights", f"W_{j} and b_{j} in {k}", both(j, k))
            yield Slip(
                "another gate's bias", f"b_{j} in {k}", {cell.summed(k): lambda s, k=k, j=j: s.weigh(k) + s.b(j)}
            )
    for says, order in exchanges(cell.own):
        lines: dict[str, Line] = {}
        for k, j in order.items():
            lines |= both(j, k)
        kind = "two gates' weights exchanged" if len(order) == 2 else "gates' weights exchanged cyclically"
        yield Slip(kind, f"W and b: {says}", lines)


def exchanges(gates: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Go through the exchanges of two, three or four gates: for each gate the one in its place."""
    for n, k in enumerate(gates):
        for j in gates[n + 1 :]:
            yield f"{k} ↔ {j}", {k: j, j: k}
    cycles = ["fig", "fgi", "fio", "foi", "fgo", "fog", "igo", "iog", "figo", "fiog", "fgio", "fgoi", "foig", "fogi"]
    for cycle in cycles:
        if set(cycle) <= set(gates):
            yield f"{' ← '.join(cycle)} ← {cycle[0]}", dict(zip(cycle, cycle[1:] + cycle[0], strict=True))


def turned(W: np.ndarray, R: int, part: str) -> np.ndarray:
    """Return weights read as if transposed."""
    U, V = W[:, :R], W[:, R:]
    if part == "recurrent":
        return np.concatenate([U.T, V], 1)
    if part == "input":
        return np.concatenate([U, V.T], 1)
    if part == "both":
        return np.concatenate([U.T, V.T], 1)
    return W.T if part == "whole" else W.ravel().reshape(W.shape, order="F")


def turns(cell: Cell) -> list[str]:
    """Return which parts of the weights of a cell can be transposed."""
    square = cell.inputs == cell.hidden
    parts = ["recurrent"] if cell.recurrent == cell.hidden else []
    parts += ["input"] if square else []
    parts += ["both"] if square and parts[0] == "recurrent" else []
    parts += ["whole"] if cell.inputs + cell.recurrent == cell.hidden else []
    return [*parts, "columns"]


def _turned(cell: Cell) -> Iterator[Slip]:
    kind, R = "transposed weights", cell.recurrent
    for part in turns(cell):
        says = f"{part} of W_{{k}} transposed" if part != "columns" else "W_{k} read by columns"
        yield from each(
            kind if part != "columns" else "weights read by columns",
            says,
            cell.own,
            cell.weighted,
            lambda s, k, part=part: s["z"] @ turned(s.W(k), R, part).T + s.peeps(k) + (0 if cell.normed else s.b(k)),
        )
    if cell.projected and cell.hidden == R:
        yield Slip(kind, "h = Rᵀ m", {"h": lambda s: s["m"] @ s.R})
        yield Slip("no projection", "h = m", {"h": lambda s: s["m"]})


# The gates.


def _gates(cell: Cell) -> Iterator[Slip]:
    own, sigmoids = cell.own, cell.own.replace("g", "")

    def gate(kind: str, says: str, gates: str, function: Callable[[np.ndarray], np.ndarray]) -> Iterator[Slip]:
        """Slips in the function that makes a gate of its sum."""
        return each(kind, says, gates, str, lambda s, k: function(s[f"a_{k}"]))

    if cell.kind != "hard sigmoid":
        yield from gate("hard sigmoid, Keras 2", "clip(0.2 a_{k} + 0.5)", sigmoids, hard)
    else:
        yield from gate("σ for a hard sigmoid", "σ(a_{k})", sigmoids, sigmoid)
    yield from gate("hard sigmoid, Keras 3", "clip(a_{k} / 6 + 0.5)", sigmoids, lambda a: np.clip(a / 6 + 0.5, 0, 1))
    yield from gate("tanh for σ", "tanh(a_{k})", sigmoids, np.tanh)
    yield from gate("σ for tanh", "σ(a_{k})", "g", sigmoid)
    yield from gate("2σ(a) − 1 for tanh", "2σ(a_{k}) − 1", "g", lambda a: 2 * sigmoid(a) - 1)
    yield from gate("no nonlinearity", "a_{k}", own, lambda a: a)
    yield from _other_functions(cell, gate)
    yield from each("sign of the argument", "act(−a_{k})", own, str, lambda s, k: activate(cell, k, -s[f"a_{k}"]))
    if cell.variant.gate_clip:
        yield from each("no clip", "a_{k} without clip", own, lambda k: f"a_{k}", lambda s, k: s[f"a_{k},raw"])
    if cell.variant.coupled:
        k, j = cell.variant.coupled, "i" if cell.variant.coupled == "f" else "f"
        yield Slip("no 1 − for a coupled gate", f"{k} = {j}", {k: lambda s: s[j]})
    if cell.normed:
        yield from each(
            "no gain", "W_{k} z standardised + b_{k}", own, cell.summed, lambda s, k: s.standard(k) + s.b(k)
        )


def _other_functions(cell: Cell, gate: Callable[..., Iterator[Slip]]) -> Iterator[Slip]:
    own, sigmoids = cell.own, cell.own.replace("g", "")
    rectified = sigmoids if cell.kind == "relu" else own
    yield from gate("ReLU for a nonlinearity", "max(0, a_{k})", rectified, lambda a: np.maximum(a, 0))
    if cell.kind != "hard sigmoid":
        yield from gate("e^−a for σ", "e^−a_{k}", sigmoids, lambda a: np.exp(-a))
        yield from gate("e^−a for σ", "1 + e^−a_{k}", sigmoids, lambda a: 1 + np.exp(-a))
        yield from gate("10^ for e^", "1 / (1 + 10^−a_{k})", sigmoids, lambda a: 1 / (1 + 10**-a))
    if cell.kind != "relu":
        yield from gate("10^ for e^", "tanh(a_{k}) with 10^", "g", tanh_of_ten)
        yield from gate("tan for tanh", "tan(a_{k})", "g", np.tan)


def tanh_of_ten(a: np.ndarray) -> np.ndarray:
    return (10**a - 10**-a) / (10**a + 10**-a)


# The states.


def _values(cell: Cell, says: str, order: dict[str, str]) -> Slip:
    """The values of gates exchanged where the states are computed."""

    def of(s: Page, k: str) -> np.ndarray:
        return s[order.get(k, k)]

    lines: dict[str, Line] = {}
    if set(order) & set("fig"):
        lines[cell.cell] = lambda s: of(s, "f") * s.c_prev + of(s, "i") * of(s, "g")
    if "o" in order:
        lines[cell.shown] = lambda s: of(s, "o") * np.tanh(s["c"])
    kind = "two gates' values exchanged" if len(order) == 2 else "gates' values exchanged cyclically"
    return Slip(kind, f"values: {says}", lines)


def _cell_state(cell: Cell) -> Iterator[Slip]:
    c = cell.cell

    def line(kind: str, says: str, found: Line) -> Slip:
        return Slip(kind, f"{c} = {says}", {c: found})

    for says, order in exchanges(GATES):
        if "o" not in order and set(order) != set("ig"):  # i g is g i
            yield _values(cell, says, order)
    early = "fig" if cell.peephole else GATES  # the gates that are there before the cell state
    for k in early.replace("f", ""):
        yield line("another gate", f"{k} c_prev + i g", lambda s, k=k: s[k] * s.c_prev + s["i"] * s["g"])
    for k in early.replace("i", ""):
        yield line("another gate", f"f c_prev + {k} g", lambda s, k=k: s["f"] * s.c_prev + s[k] * s["g"])
    for k in early.replace("g", ""):
        yield line("another gate", f"f c_prev + i {k}", lambda s, k=k: s["f"] * s.c_prev + s["i"] * s[k])
    yield line("a_g for g", "f c_prev + i a_g", lambda s: s["f"] * s.c_prev + s["i"] * s["a_g"])
    for k in "fi":
        if k in cell.own:
            yield line(
                "a for a gate",
                f"… a_{k} for {k}",
                lambda s, k=k: s["a_f" if k == "f" else "f"] * s.c_prev + s["a_i" if k == "i" else "i"] * s["g"],
            )
    if not cell.projected:
        yield line("h_prev for c_prev", "f h_prev + i g", lambda s: s["f"] * s.h_prev + s["i"] * s["g"])
    yield line("term left out", "i g", lambda s: s["i"] * s["g"])
    yield line("term left out", "f c_prev", lambda s: s["f"] * s.c_prev)
    yield line("factor left out", "f c_prev + g", lambda s: s["f"] * s.c_prev + s["g"])
    yield line("factor left out", "f c_prev + i", lambda s: s["f"] * s.c_prev + s["i"])
    yield line("factor left out", "c_prev + i g", lambda s: s.c_prev + s["i"] * s["g"])
    yield line("factor left out", "f + i g", lambda s: s["f"] + s["i"] * s["g"])
    yield line("state not updated", "c_prev", lambda s: s.c_prev)
    yield line("1 − f for i", "f c_prev + (1 − f) g", lambda s: s["f"] * s.c_prev + (1 - s["f"]) * s["g"])
    yield line("1 − i for f", "(1 − i) c_prev + i g", lambda s: (1 - s["i"]) * s.c_prev + s["i"] * s["g"])
    yield line("1 − f for f", "(1 − f) c_prev + i g", lambda s: (1 - s["f"]) * s.c_prev + s["i"] * s["g"])
    yield line("1 − i for i", "f c_prev + (1 − i) g", lambda s: s["f"] * s.c_prev + (1 - s["i"]) * s["g"])
    yield line("factor put in", "f c_prev + f i g", lambda s: s["f"] * (s.c_prev + s["i"] * s["g"]))
    if "o" in early:
        yield line("factor put in", "o (f c_prev + i g)", lambda s: s["o"] * (s["f"] * s.c_prev + s["i"] * s["g"]))
    yield line("factor doubled", "f f c_prev + i g", lambda s: s["f"] ** 2 * s.c_prev + s["i"] * s["g"])
    yield line("factor doubled", "f c_prev + i i g", lambda s: s["f"] * s.c_prev + s["i"] ** 2 * s["g"])
    yield line("term doubled", "f c_prev + 2 i g", lambda s: s["f"] * s.c_prev + 2 * s["i"] * s["g"])
    yield line("term doubled", "2 f c_prev + i g", lambda s: 2 * s["f"] * s.c_prev + s["i"] * s["g"])
    yield line("sign of a term", "f c_prev − i g", lambda s: s["f"] * s.c_prev - s["i"] * s["g"])
    yield line("sign of a term", "i g − f c_prev", lambda s: s["i"] * s["g"] - s["f"] * s.c_prev)
    yield line("order of operations", "(f c_prev + i) g", lambda s: (s["f"] * s.c_prev + s["i"]) * s["g"])
    for n in range(cell.hidden - 1):
        order = [*range(n), n + 1, n, *range(n + 2, cell.hidden)]
        kind, says = "two units exchanged in c_prev", f"units {n} and {n + 1}"
        yield line(kind, says, lambda s, order=order: s["f"] * s.c_prev[:, order] + s["i"] * s["g"])
    if not cell.variant.cell_clip:
        yield line("tanh put in", "tanh(f c_prev + i g)", lambda s: np.tanh(s["f"] * s.c_prev + s["i"] * s["g"]))
    else:
        yield Slip("no clip", "c = c_raw", {"c": lambda s: s["c_raw"]})


def _hidden_state(cell: Cell) -> Iterator[Slip]:
    h = cell.shown

    def line(kind: str, says: str, found: Line) -> Slip:
        return Slip(kind, f"{h} = {says}", {h: found})

    for k in "fig":
        yield line("another gate", f"{k} tanh(c)", lambda s, k=k: s[k] * np.tanh(s["c"]))
    yield line("a for a gate", "a_o tanh(c)", lambda s: s["a_o"] * np.tanh(s["c"]))
    yield line("c_prev for c", "o tanh(c_prev)", lambda s: s["o"] * np.tanh(s.c_prev))
    yield line("g for c", "o tanh(g)", lambda s: s["o"] * np.tanh(s["g"]))
    yield line("no tanh on the cell", "o c", lambda s: s["o"] * s["c"])
    yield line("factor left out", "tanh(c)", lambda s: np.tanh(s["c"]))
    yield line("1 − o for o", "(1 − o) tanh(c)", lambda s: (1 - s["o"]) * np.tanh(s["c"]))
    yield line("σ for tanh", "o σ(c)", lambda s: s["o"] * sigmoid(s["c"]))
    yield line("2σ(a) − 1 for tanh", "o (2σ(c) − 1)", lambda s: s["o"] * (2 * sigmoid(s["c"]) - 1))
    yield line("tan for tanh", "o tan(c)", lambda s: s["o"] * np.tan(s["c"]))
    yield line("10^ for e^", "o tanh(c) with 10^", lambda s: s["o"] * tanh_of_ten(s["c"]))
    yield line("ReLU for a nonlinearity", "o max(0, c)", lambda s: s["o"] * np.maximum(s["c"], 0))
    yield line("order of operations", "tanh(o c)", lambda s: np.tanh(s["o"] * s["c"]))
    yield line("sign of a term", "−o tanh(c)", lambda s: -s["o"] * np.tanh(s["c"]))
    yield line("factor doubled", "o o tanh(c)", lambda s: s["o"] ** 2 * np.tanh(s["c"]))
    yield line("tanh twice", "o tanh(tanh(c))", lambda s: s["o"] * np.tanh(np.tanh(s["c"])))
    yield line("term for a factor", "o + tanh(c)", lambda s: s["o"] + np.tanh(s["c"]))
    for says, order in exchanges(GATES):
        if "o" in order and not cell.peephole:
            yield _values(cell, says, order)
