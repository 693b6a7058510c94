"""Slips in a single entry, and in what is carried from step to step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from slips.by_hand import Cell, Line, Page
from slips.work import Carry, Slip, carried, carried_back

WRITTEN = ("two digits exchanged", "sign lost", "power of ten", "a unit's value under another's")


def products_of_units(cell: Cell, rng: np.random.Generator) -> Iterator[Slip]:
    """Go through slips with one product in one unit."""
    for k in cell.own:
        unit, column = int(rng.integers(cell.hidden)), int(rng.integers(cell.recurrent + cell.inputs))
        for kind, factor in (("sign of a product in one unit", -1), ("product left out in one unit", 0)):
            name = cell.weighted(k)
            change = _one_product(cell, k, unit, column, factor)
            yield Slip(kind, f"unit {unit} of {name}, column {column}", {name: change})
    for kind, by in (("sign of a product in one unit", -2), ("product left out in one unit", -1)):
        for says, part in (("f c_prev", lambda s: s["f"] * s.c_prev), ("i g", lambda s: s["i"] * s["g"])):
            unit, name = int(rng.integers(cell.hidden)), cell.cell
            yield Slip(kind, f"unit {unit} of {name}, {says}", {name: _added(cell.lines[0][name], part, unit, by)})
        column = int(rng.integers(cell.recurrent + cell.inputs))
        k, unit = str(rng.choice(list(cell.own))), int(rng.integers(cell.hidden))

        def one_of_dz(s: Page, k: str = k, unit: int = unit) -> np.ndarray:
            return s.dq(k)[:, unit, None] * s.W(k)[unit]

        says = f"entry {column} of dz, W_{k}, unit {unit}"
        yield Slip(kind, says, {"dz": _added(cell.lines[1]["dz"], one_of_dz, column, by)}, backward=True)


def _one_product(cell: Cell, k: str, unit: int, column: int, factor: float) -> Line:
    right = cell.lines[0][cell.weighted(k)]
    return _added(right, lambda s: s["z"][:, [column]] * s.W(k)[:, column], unit, factor - 1)


def _added(right: Line, part: Line, place: int, by: float) -> Line:
    def line(s: Page) -> np.ndarray:
        value = right(s).copy()
        value[:, place] += by * part(s)[:, place]
        return value

    return line


# What becomes of a value when it is written.


def written_slips(cell: Cell, rng: np.random.Generator) -> Iterator[Slip]:
    """Go through slips in one number as it is written; each in some lines, forward and backward."""
    for back, lines in enumerate(cell.lines):
        names = [name for name in lines if name[0] not in "μvz" and name not in ("dx", "dh_prev")]
        for kind, spoil in (
            ("two digits exchanged", _digits_exchanged),
            ("sign lost", _sign_lost),
            ("power of ten", _ten_times),
            ("a unit's value under another's", _misplaced),
            ("two units exchanged", _exchanged),
        ):
            for name in rng.choice(names, 6):
                t = int(rng.integers(cell.steps))
                full = f"{name}[{t}]" if cell.steps > 1 else str(name)
                pick = int(rng.integers(1 << 30))
                copied = pick % 3 == 0
                says = f"{full}, {'written so' if copied else 'and carried on'}"
                yield Slip(kind, says, spoil={full: _of_place(spoil, pick)}, copied=copied, backward=bool(back))


def _of_place(spoil: Callable[[np.ndarray, int, int], None], pick: int) -> Callable[[np.ndarray, int], np.ndarray]:
    def change(value: np.ndarray, digits: int) -> np.ndarray:
        changed = np.array(value, dtype=np.float64)
        spoil(changed.reshape(-1, changed.shape[-1])[pick // 89 % -(-changed.size // changed.shape[-1])], pick, digits)
        return changed

    return change


def _digits_exchanged(row: np.ndarray, pick: int, digits: int) -> None:
    """Exchange two neighbouring digits, of those that make a difference that is not one of rounding."""
    place = pick % row.size
    text = f"{row[place]:.{digits}f}"
    point = text.index(".")
    places = [n for n in range(point + 1, len(text) - 1) if text[n] != text[n + 1]][: max(digits - 2, 1)]
    if places:
        n = places[pick // 97 % len(places)]
        row[place] = float(text[:n] + text[n + 1] + text[n] + text[n + 2 :])


def _sign_lost(row: np.ndarray, pick: int, digits: int) -> None:
    row[pick % row.size] *= -1


def _ten_times(row: np.ndarray, pick: int, digits: int) -> None:
    row[pick % row.size] *= 10.0 if pick // 97 % 2 else 0.1


def _misplaced(row: np.ndarray, pick: int, digits: int) -> None:
    row[pick % row.size] = row[(pick + 1) % row.size]


def _exchanged(row: np.ndarray, pick: int, digits: int) -> None:
    one, other = pick % row.size, (pick + 1) % row.size
    row[[one, other]] = row[[other, one]]


# What is carried.


def carries(cell: Cell) -> Iterator[Slip]:
    """Go through what can be carried wrongly from step to step."""
    last = cell.steps - 1
    unprojected = cell.recurrent == cell.hidden

    def slip(kind: str, says: str, change: Callable[..., tuple]) -> Iterator[Slip]:
        """One that is made at every step after the first, and at the last alone."""

        def at(first: int) -> Carry:
            return lambda cell, t, pages: (
                change(*carried(cell, t, pages), t, pages) if t >= first else carried(cell, t, pages)
            )

        yield Slip(kind, says, carry=at(1))
        if last > 1:
            yield Slip(kind, f"{says}, at the last step", carry=at(last))

    yield from slip("state not carried", "zeros", lambda x, h, c, t, p: (x, 0 * h, 0 * c))
    yield from slip("state not carried", "the initial state", lambda x, h, c, t, p: (x, cell.h, cell.c))
    yield from slip("c kept initial", "c = c₀", lambda x, h, c, t, p: (x, h, cell.c))
    yield from slip("h kept initial", "h = h₀", lambda x, h, c, t, p: (x, cell.h, c))
    yield from slip("c zeroed", "c = 0", lambda x, h, c, t, p: (x, h, 0 * c))
    yield from slip("h zeroed", "h = 0", lambda x, h, c, t, p: (x, 0 * h, c))
    yield from slip("h from two steps ago", "h", lambda x, h, c, t, p: (x, p[t - 2]["h"] if t > 1 else cell.h, c))
    yield from slip("c from two steps ago", "c", lambda x, h, c, t, p: (x, h, p[t - 2]["c"] if t > 1 else cell.c))
    if unprojected:
        yield from slip("c fed as h", "h = c", lambda x, h, c, t, p: (x, c, c))
        yield from slip("h fed as c", "c = h", lambda x, h, c, t, p: (x, h, h))
        yield from slip("h and c exchanged", "h = c, c = h", lambda x, h, c, t, p: (x, c, h))
    yield from _inputs(cell)
    yield from _backward(cell)


def _inputs(cell: Cell) -> Iterator[Slip]:
    last = cell.steps - 1

    def fed(order: Callable[[int], int]) -> Carry:
        return lambda cell, t, pages: (cell.x[order(t)], *carried(cell, t, pages)[1:])

    yield Slip("the same x at every step", "x of the first", carry=fed(lambda t: 0))
    yield Slip("the same x at every step", "x of the last", carry=fed(lambda t: last))
    yield Slip("x reversed", "from the last", carry=fed(lambda t: last - t))
    if last > 1:
        yield Slip("x of the step before", "from the second on", carry=fed(lambda t: max(t - 1, 0)))


def _backward(cell: Cell) -> Iterator[Slip]:
    last = cell.steps - 1

    def slip(kind: str, says: str, change: Callable[..., tuple]) -> Iterator[Slip]:
        def back(until: int) -> Callable[..., tuple]:
            return lambda cell, t, pages: (
                change(*carried_back(cell, t, pages)) if t <= until else carried_back(cell, t, pages)
            )

        yield Slip(kind, says, back=back(last - 1), backward=True)
        if last > 1:
            yield Slip(kind, f"{says}, at step 0", back=back(0), backward=True)

    yield from slip("dc_next not carried", "dc_next = 0", lambda dh, dc: (dh, 0 * dc))
    yield from slip("dc_next not carried", "dc_next of the end", lambda dh, dc: (dh, cell.dc))
    yield from slip("dh not carried", "dh = 0", lambda dh, dc: (0 * dh, dc))
    yield from slip("dh not carried", "dh of the end", lambda dh, dc: (cell.dh, dc))
    yield from slip("nothing carried back", "of the end", lambda dh, dc: (cell.dh, cell.dc))
    yield from slip("dh of the end added", "dh + dh of the end", lambda dh, dc: (dh + cell.dh, dc))
    if cell.recurrent == cell.hidden:
        yield from slip("dc fed as dh", "dh = dc", lambda dh, dc: (dc, dc))
