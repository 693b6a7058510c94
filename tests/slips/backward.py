"""Slips in the backward pass: from h to the gates, in the gradients of the parameters, and further back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations

import numpy as np
from slips.by_hand import PEEPS, Cell, Line, Page, back_peeps, eyed, sigmoid, slope, through
from slips.forward import OfGate, each, turned, turns
from slips.work import PARAMETERS, Slip


def backward_slips(cell: Cell) -> Iterator[Slip]:
    """Go through the slips that can be made in a step of a cell backward."""
    yield from _output(cell)
    yield from _cell_state(cell)
    yield from _gates(cell)
    yield from _slopes(cell)
    yield from _parameters(cell)
    yield from _combined(cell)
    yield from _previous(cell)


def _line(kind: str, name: str, says: str, line: Line) -> Slip:
    return Slip(kind, f"{name} = {says}", {name: line}, backward=True)


def _output(cell: Cell) -> Iterator[Slip]:
    yield _line("|x| for x", "do", "dh |tanh(c)|", lambda s: s.dm * np.abs(np.tanh(s["c"])))
    for kind, says, line in (
        ("extra o in do", "dh o tanh(c)", lambda s: s.dm * s["o"] * np.tanh(s["c"])),
        ("no tanh on the cell", "dh c", lambda s: s.dm * s["c"]),
        ("σ for tanh", "dh σ(c)", lambda s: s.dm * sigmoid(s["c"])),
        ("2σ(a) − 1 for tanh", "dh (2σ(c) − 1)", lambda s: s.dm * (2 * sigmoid(s["c"]) - 1)),
        ("c_prev for c", "dh tanh(c_prev)", lambda s: s.dm * np.tanh(s.c_prev)),
        ("factor left out", "dh", lambda s: s.dm),
        ("factor left out", "tanh(c)", lambda s: np.tanh(s["c"])),
        ("sign of a term", "−dh tanh(c)", lambda s: -s.dm * np.tanh(s["c"])),
        ("g for c", "dh tanh(g)", lambda s: s.dm * np.tanh(s["g"])),
        ("derivative for the function", "dh (1 − tanh²(c))", lambda s: s.dm * (1 - np.tanh(s["c"]) ** 2)),
    ):
        yield _line(kind, "do", says, line)
    if not cell.projected:
        yield _line("h for tanh(c)", "do", "dh h", lambda s: s.dm * s["h"])
        return
    if cell.recurrent == cell.hidden:
        yield _line("transposed weights", "dm", "R dh", lambda s: s.dh @ s.R.T)
        yield _line("no projection", "dm", "dh", lambda s: s.dh)


def _cell_state(cell: Cell) -> Iterator[Slip]:
    def dc(kind: str, says: str, line: Line) -> Slip:
        """A slip in what comes through h."""
        return _line(kind, "dc", f"dc_next + {says}", lambda s: s.dc_next + line(s) + eyed(s))

    yield _line("no dc_next", "dc", "dh o (1 − tanh²(c))", lambda s: through(s) + eyed(s))
    yield _line("dc_next alone", "dc", "dc_next", lambda s: s.dc_next + eyed(s))
    yield dc("dc without o", "dh (1 − tanh²(c))", lambda s: s.dm * (1 - np.tanh(s["c"]) ** 2))
    yield dc("dc without 1 − tanh²", "dh o", lambda s: s.dm * s["o"])
    yield dc("dc without dh", "o (1 − tanh²(c))", lambda s: s["o"] * (1 - np.tanh(s["c"]) ** 2))
    for k in "fig":
        yield dc("another gate", f"dh {k} (1 − tanh²(c))", lambda s, k=k: s.dm * s[k] * (1 - np.tanh(s["c"]) ** 2))
    yield dc("c_prev for c", "dh o (1 − tanh²(c_prev))", lambda s: s.dm * s["o"] * (1 - np.tanh(s.c_prev) ** 2))
    yield dc("1 − tanh for 1 − tanh²", "dh o (1 − tanh(c))", lambda s: s.dm * s["o"] * (1 - np.tanh(s["c"])))
    yield dc("tanh² for 1 − tanh²", "dh o tanh²(c)", lambda s: s.dm * s["o"] * np.tanh(s["c"]) ** 2)
    yield dc("1 − c² for 1 − tanh²(c)", "dh o (1 − c²)", lambda s: s.dm * s["o"] * (1 - s["c"] ** 2))
    yield dc("1 + tanh² for 1 − tanh²", "dh o (1 + tanh²(c))", lambda s: s.dm * s["o"] * (1 + np.tanh(s["c"]) ** 2))
    yield dc("function for the derivative", "dh o tanh(c)", lambda s: s.dm * s["o"] * np.tanh(s["c"]))
    if not cell.projected:
        yield dc("1 − h² for 1 − tanh²(c)", "dh o (1 − h²)", lambda s: s.dm * s["o"] * (1 - s["h"] ** 2))
        yield dc("do for dh", "do o (1 − tanh²(c))", lambda s: s["do"] * s["o"] * (1 - np.tanh(s["c"]) ** 2))
    yield dc("sign of a term", "−dh o (1 − tanh²(c))", lambda s: -through(s))
    yield dc("term doubled", "2 dh o (1 − tanh²(c))", lambda s: 2 * through(s))
    yield _line(
        "factor put in", "dc", "f dc_next + dh o (1 − tanh²(c))", lambda s: s["f"] * s.dc_next + through(s) + eyed(s)
    )
    yield _line(
        "order of operations",
        "dc",
        "(dc_next + dh) o (1 − tanh²(c))",
        lambda s: (s.dc_next if cell.projected else s.dc_next + s.dm) * s["o"] * (1 - np.tanh(s["c"]) ** 2) + eyed(s),
    )
    if cell.peephole:
        yield _line("no peephole", "dc", "dc_next + dh o (1 − tanh²(c))", lambda s: s.dc_next + through(s))
    if cell.variant.cell_clip:
        yield _line("no clip", "dc_raw", "dc", lambda s: s["dc"])


def _gates(cell: Cell) -> Iterator[Slip]:
    """From the cell state to the gates."""
    raw = "dc_raw" if cell.variant.cell_clip else "dc"
    if cell.variant.coupled:
        own, other = ("i", "f") if cell.variant.coupled == "f" else ("f", "i")
        kept = {"f": lambda s: s.c_prev, "i": lambda s: s["g"]}
        mine, others = kept[own], kept[other]
        yield _line("coupled gate forgotten", f"d{own}", "dc times its own part", lambda s: s.raw * mine(s))
        yield _line("sign of a term", f"d{own}", "turned round", lambda s: s.raw * (others(s) - mine(s)))
        yield _line("sign of a term", f"d{own}", "with +", lambda s: s.raw * (others(s) + mine(s)))
    else:
        yield _line("|x| for x", "df", f"{raw} |c_prev|", lambda s: s.raw * np.abs(s.c_prev))
        yield _line("|x| for x", "di", f"|{raw}| g", lambda s: np.abs(s.raw) * s["g"])
        for kind, says, line in (
            ("c for c_prev", f"{raw} c", lambda s: s.raw * s["c"]),
            ("factor left out", raw, lambda s: s.raw),
            ("f for c_prev", f"{raw} f", lambda s: s.raw * s["f"]),
            ("g for c_prev", f"{raw} g", lambda s: s.raw * s["g"]),
            ("tanh put in", f"{raw} tanh(c_prev)", lambda s: s.raw * np.tanh(s.c_prev)),
            ("sign of a term", f"−{raw} c_prev", lambda s: -s.raw * s.c_prev),
        ):
            yield _line(kind, "df", says, line)
        if not cell.projected:
            yield _line("h_prev for c_prev", "df", f"{raw} h_prev", lambda s: s.raw * s.h_prev)
            yield _line("dh for dc", "df", "dh c_prev", lambda s: s.dm * s.c_prev)
            yield _line("dh for dc", "di", "dh g", lambda s: s.dm * s["g"])
        for k in "fio":
            yield _line("another gate", "di", f"{raw} {k}", lambda s, k=k: s.raw * s[k])
        yield _line("a_g for g", "di", f"{raw} a_g", lambda s: s.raw * s["a_g"])
        yield _line("factor left out", "di", raw, lambda s: s.raw)
        yield _line("c_prev for g", "di", f"{raw} c_prev", lambda s: s.raw * s.c_prev)
    if cell.variant.cell_clip:
        yield _line("dc before its clip", "dg", "dc i", lambda s: s["dc"] * s["i"])
    for k in "fog":
        yield _line("another gate", "dg", f"{raw} {k}", lambda s, k=k: s.raw * s[k])
    yield _line("factor left out", "dg", raw, lambda s: s.raw)
    yield _line("1 − i for i", "dg", f"{raw} (1 − i)", lambda s: s.raw * (1 - s["i"]))
    yield _line("a for a gate", "dg", f"{raw} a_i", lambda s: s.raw * s["a_i" if "i" in cell.own else "a_f"])


def _slopes(cell: Cell) -> Iterator[Slip]:
    """From the gates to their sums."""
    own, sigmoids = cell.own, cell.own.replace("g", "")

    def da(kind: str, says: str, gates: str, factor: OfGate) -> Iterator[Slip]:
        """Slips in what the gradient of a gate is multiplied by."""
        says = f"d{{k}} {says}".rstrip()
        return each(kind, says, gates, lambda k: f"da_{k}", lambda s, k: s[f"d{k}"] * factor(s, k), back=True)

    twice = sigmoids if cell.kind == "relu" else own
    yield from da("no derivative of the nonlinearity", "", own, lambda s, k: 1)
    yield from da("derivative of the nonlinearity twice", "slope slope", twice, lambda s, k: slope(cell, k, s[k]) ** 2)
    yield from da("derivative of tanh for σ's", "(1 − {k}²)", sigmoids, lambda s, k: 1 - s[k] ** 2)
    yield from da("derivative of σ for tanh's", "{k} (1 − {k})", "g", lambda s, k: s[k] * (1 - s[k]))
    for k, j in permutations(own, 2):
        yield _line(
            "another gate", f"da_{k}", f"d{k} slope of {j}", lambda s, k=k, j=j: s[f"d{k}"] * slope(cell, k, s[j])
        )
        if j != "o" and k != "o":  # do comes early, the others late
            yield _line(
                "another gate's gradient", f"da_{k}", f"d{j} …", lambda s, k=k, j=j: s[f"d{j}"] * slope(cell, k, s[k])
            )
    if cell.kind != "hard sigmoid":
        for kind, says, factor in (
            ("derivative without k", "(1 − {k})", lambda s, k: 1 - s[k]),
            ("derivative without 1 − k", "{k}", lambda s, k: s[k]),
            ("derivative with 1 + k", "{k} (1 + {k})", lambda s, k: s[k] * (1 + s[k])),
            ("derivative of the sum", "a_{k} (1 − a_{k})", lambda s, k: s[f"a_{k}"] * (1 - s[f"a_{k}"])),
            ("derivative at the gate's value", "σ({k}) (1 − σ({k}))", lambda s, k: sigmoid(s[k]) * (1 - sigmoid(s[k]))),
        ):
            yield from da(kind, says, sigmoids, factor)
    else:
        yield from da("0.2 left out", "", sigmoids, lambda s, k: slope(cell, k, s[k]) > 0)
    if cell.kind != "relu":
        for kind, says, factor in (
            ("1 − g for 1 − g²", "(1 − {k})", lambda s, k: 1 - s[k]),
            ("g² for 1 − g²", "{k}²", lambda s, k: s[k] ** 2),
            ("derivative of the sum", "(1 − a_{k}²)", lambda s, k: 1 - s[f"a_{k}"] ** 2),
            ("derivative at the gate's value", "(1 − tanh²({k}))", lambda s, k: 1 - np.tanh(s[k]) ** 2),
        ):
            yield from da(kind, says, "g", factor)
    if cell.variant.gate_clip:
        yield from each("no clip", "da_{k}", own, lambda k: f"da_{k},raw", lambda s, k: s[f"da_{k}"], back=True)
    if cell.normed:
        yield from each(
            "layer norm forgotten",
            "γ da / deviation",
            own,
            lambda k: f"dq_{k}",
            lambda s, k: s[f"dn_{k}"] / np.sqrt(s[f"v_{k}"] + cell.variant.epsilon)[:, None],
            back=True,
        )


def _parameters(cell: Cell) -> Iterator[Slip]:
    own, R = cell.own, cell.recurrent

    def of(name: str, gates: str = own) -> Callable[[str, str, OfGate], Iterator[Slip]]:
        """Slips in the gradient of each gate's parameter of this name."""
        return lambda kind, says, line: each(kind, says, gates, lambda k: f"{name}_{k}", line, back=True)

    dW, db = of("dW"), of("db")

    yield from dW("outer product the other way round", "z da_{k}ᵀ", lambda s, k: s["z"].T @ s.dq(k))
    yield from dW("x for z", "da_{k} xᵀ", lambda s, k: s.dq(k).T @ s.x)
    yield from dW("h_prev for z", "da_{k} h_prevᵀ", lambda s, k: s.dq(k).T @ s.h_prev)
    yield from dW(
        "[x; h] for [h; x]",
        "da_{k} [x; h]ᵀ",
        lambda s, k: s.dq(k).T @ np.concatenate([s["z"][:, R:], s["z"][:, :R]], 1),
    )
    yield from dW("sign of the gradient", "−da_{k} zᵀ", lambda s, k: -s.dq(k).T @ s["z"])
    yield from dW("d of the gate for that of its sum", "d{k} zᵀ", lambda s, k: s[f"d{k}"].T @ s["z"])
    if not cell.projected:
        yield from dW("h for h_prev", "da_{k} [h; x]ᵀ", lambda s, k: s.dq(k).T @ np.concatenate([s["h"], s.x], 1))
    for k in own:
        for j in own.replace(k, ""):
            yield _line("another gate's gradient", f"dW_{k}", f"da_{j} zᵀ", lambda s, j=j: s.dq(j).T @ s["z"])
            yield _line("another gate's gradient", f"db_{k}", f"da_{j}", lambda s, j=j: s.da(j).sum(0))
    yield from db("d of the gate for that of its sum", "d{k}", lambda s, k: s[f"d{k}"].sum(0))
    yield from db("bias times its gradient", "da_{k} b_{k}", lambda s, k: (s.da(k) * s.b(k)).sum(0))
    if cell.peephole:
        dp = of("dp", "".join(k for k in own if k in PEEPS))
        yield from dp("h_prev for c_prev", "da_{k} h_prev", lambda s, k: (s.dq(k) * s.h_prev).sum(0))
        yield _line("c_prev for c", "dp_o", "da_o c_prev", lambda s: (s.dq("o") * s.c_prev).sum(0))
    if cell.projected:
        yield _line("outer product the other way round", "dR", "m dhᵀ", lambda s: s["m"].T @ s.dh)
        yield _line("c for m", "dR", "dh cᵀ", lambda s: s.dh.T @ s["c"])
    if cell.batch > 1:
        yield from dW("sum over the batch missing", "of the first sequence", lambda s, k: s.dq(k)[:1].T @ s["z"][:1])
        yield from dW("sum over the batch missing", "the mean", lambda s, k: s.dq(k).T @ s["z"] / cell.batch)


def _combined(cell: Cell) -> Iterator[Slip]:
    own, R = cell.own, cell.recurrent

    def dz(kind: str, says: str, line: object) -> Slip:
        return _line(kind, "dz", says, lambda s: sum(line(s, k) for k in own))

    for k in own:
        yield _line(
            "dz without a gate", "dz", f"without {k}", lambda s, k=k: sum(s.dq(j) @ s.W(j) for j in own.replace(k, ""))
        )
        yield _line("dz of a gate alone", "dz", f"W_{k}ᵀ da_{k}", lambda s, k=k: s.dq(k) @ s.W(k))
        yield _line(
            "sign of a term",
            "dz",
            f"… − W_{k}ᵀ da_{k}",
            lambda s, k=k: sum((-1 if j == k else 1) * s.dq(j) @ s.W(j) for j in own),
        )
    swap = dict(zip(own, own[1:] + own[0], strict=True))
    yield dz("gates' weights exchanged cyclically", "W of the next gate", lambda s, k: s.dq(k) @ s.W(swap[k]))
    for a, b in pairwise(own):
        yield dz(
            "two gates' weights exchanged",
            f"W_{a} ↔ W_{b}",
            lambda s, k, a=a, b=b: s.dq(k) @ s.W({a: b, b: a}.get(k, k)),
        )
        yield dz("another gate's weights", f"W_{a} in {b}", lambda s, k, a=a, b=b: s.dq(k) @ s.W(a if k == b else k))
    for part in turns(cell):
        kind = "transposed weights" if part != "columns" else "weights read by columns"
        yield dz(kind, f"{part} turned", lambda s, k, part=part: s.dq(k) @ turned(s.W(k), R, part))
    yield dz("d of the gate for that of its sum", "W_kᵀ dk", lambda s, k: s[f"d{k}"] @ s.W(k))


def _previous(cell: Cell) -> Iterator[Slip]:
    inputs = cell.inputs
    kind = "part of dz from the wrong end"
    ends: dict[str, Line] = {"dx": lambda s: s["dz"][:, :inputs], "dh_prev": lambda s: s["dz"][:, inputs:]}
    yield Slip(kind, "dz = [dx; dh_prev]", ends, backward=True)
    yield _line(kind, "dx", "the first entries of dz", ends["dx"])
    yield _line(kind, "dh_prev", "the last entries of dz", ends["dh_prev"])
    for k in cell.own:
        for name, part in (("dx", np.s_[:, cell.recurrent :]), ("dh_prev", np.s_[:, : cell.recurrent])):
            without = cell.own.replace(k, "")
            yield _line(
                "dx without a gate",
                name,
                f"without W_{k}ᵀ da_{k}",
                lambda s, js=without, part=part: sum(s.dq(j) @ s.W(j) for j in js)[part],
            )
    yield _line("dc_prev without f", "dc_prev", "dc", lambda s: s.raw + back_peeps(s))
    for k in "igo":
        yield _line("another gate", "dc_prev", f"dc {k}", lambda s, k=k: s.raw * s[k] + back_peeps(s))
    yield _line("1 − f for f", "dc_prev", "dc (1 − f)", lambda s: s.raw * (1 - s["f"]) + back_peeps(s))
    yield _line("factor doubled", "dc_prev", "dc f f", lambda s: s.raw * s["f"] ** 2 + back_peeps(s))
    yield _line("dc_next for dc", "dc_prev", "dc_next f", lambda s: s.dc_next * s["f"] + back_peeps(s))
    yield _line("a for a gate", "dc_prev", "dc a_f", lambda s: s.raw * s["a_f" if "f" in cell.own else "a_i"])
    yield _line("sign of a term", "dc_prev", "−dc f", lambda s: -s.raw * s["f"] + back_peeps(s))
    if cell.peephole:
        yield _line("no peephole", "dc_prev", "dc f", lambda s: s.raw * s["f"])


def totals(cell: Cell) -> Iterator[Slip]:
    """Go through the slips in the sums over all steps."""
    names = [name for name in cell.lines[1] if name[:2] in PARAMETERS]
    for kind, take in (
        ("gradient of the last step alone", lambda parts: parts[-1]),
        ("gradient of the first step alone", lambda parts: parts[0]),
        ("mean over the steps", lambda parts: sum(parts) / len(parts)),
        ("gradient of a step left out", lambda parts: sum(parts[1:])),
    ):
        for name in names[:4]:
            yield Slip(kind, name, totals={name: take}, backward=True)
        yield Slip(kind, "all gradients", totals=dict.fromkeys(names, take), backward=True)


__all__ = ["Page", "backward_slips", "totals"]
