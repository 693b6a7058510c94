"""A class that works out LSTM steps on paper, in NumPy and with decimals of its own: sheets that are right, and wrong.

It knows nothing of the package. Numbers are boxes, from a lowest to a highest value, so that the same lines of work
give a sheet's numbers and the range that its own numbers allow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cached_property

import numpy as np

GATES = "ifgo"
COPIED = ("z", "dx", "dh_prev", "db_f", "db_i", "db_g", "db_o")
SINGLE = 4e-6  # of a number: what single precision may change on the way


class Box:
    """Numbers that are only known to lie between two bounds."""

    def __init__(self, low: np.ndarray, high: np.ndarray | None = None) -> None:
        self.low = np.asarray(low, dtype=float)
        self.high = self.low if high is None else np.asarray(high, dtype=float)

    def __add__(self, other: Box) -> Box:
        return Box(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Box:
        return Box(-self.high, -self.low)

    def __mul__(self, other: Box) -> Box:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Box(np.min(corners, axis=0), np.max(corners, axis=0))

    def __getitem__(self, place: object) -> Box:
        return Box(self.low[place], self.high[place])

    def under(self, rising: Callable[[np.ndarray], np.ndarray]) -> Box:
        """Return the values of a function that never falls."""
        with np.errstate(over="ignore"):  # 1/(1 + inf) is the 0 that it should be
            return Box(rising(self.low), rising(self.high))

    def into(self, matrix: np.ndarray) -> Box:
        """Return the product of a known matrix with the numbers."""
        up, down = np.maximum(matrix, 0), np.minimum(matrix, 0)
        return Box(up @ self.low + down @ self.high, up @ self.high + down @ self.low)

    def outer(self, other: Box) -> Box:
        return self[:, None] * other[None, :]

    def wider(self, by: np.ndarray | float, terms: float = 0.01) -> Box:
        """Return wider bounds, also by single precision: of numbers, or of the terms whose sum they are."""
        by = by + SINGLE * np.maximum(np.maximum(np.abs(self.low), np.abs(self.high)), terms)
        return Box(self.low - by, self.high + by)

    def has(self, values: np.ndarray) -> bool:
        return bool(((self.low <= values) & (values <= self.high)).all())


def joined(first: Box, second: Box) -> Box:
    return Box(np.concatenate([first.low, second.low]), np.concatenate([first.high, second.high]))


def hull(first: Box, second: Box) -> Box:
    return Box(np.minimum(first.low, second.low), np.maximum(first.high, second.high))


def sigmoid(box: Box) -> Box:
    return box.under(lambda a: 1 / (1 + np.exp(-a)))


def tanh(box: Box) -> Box:
    return box.under(np.tanh)


ONE = Box(np.ones(1))
Page = dict[str, Box]
Line = Callable[["Lesson", Page], Box]


@dataclass(frozen=True, eq=False)
class Lesson:
    """The numbers that a student is given."""

    W: Mapping[str, np.ndarray]
    b: Mapping[str, np.ndarray]
    x: np.ndarray  # (steps, inputs)
    h: np.ndarray
    c: np.ndarray
    dh: np.ndarray
    backward: bool

    @property
    def steps(self) -> int:
        return len(self.x)


def lesson(rng: np.random.Generator) -> Lesson:
    """Draw one: a step or two, with given numbers of one digit, of two, or of all."""
    units, inputs, steps = (int(rng.integers(1, n)) for n in (4, 4, 3))
    digits = (1, 2, 15)[rng.integers(3)]

    def draw(least: float, most: float, *shape: int) -> np.ndarray:
        return np.round(rng.uniform(least, most, shape) * rng.choice([-1, 1], shape), digits)

    W = {k: draw(0.1, 1.2, units, units + inputs) for k in GATES}
    b = {k: draw(0.1, 0.9, units) for k in GATES}
    h, c, dh = (draw(0.1, 0.9, units) for _ in range(3))
    return Lesson(W, b, draw(0.1, 0.9, steps, inputs), h, c, dh, steps == 1 and rng.random() < 0.5)


def gate_sum(k: str) -> Line:
    return lambda s, p: p["z"].into(s.W[k]) + Box(s.b[k])


def slope(k: str, factor: Callable[[Page], Box]) -> Line:
    return lambda s, p: p[f"d{k}"] * factor(p)


FORWARD: dict[str, Line] = {
    "z": lambda s, p: joined(p["h_prev"], p["x"]),
    **{f"a_{k}": gate_sum(k) for k in GATES},
    **{k: lambda s, p, k=k: sigmoid(p[f"a_{k}"]) for k in "ifo"},
    "g": lambda s, p: tanh(p["a_g"]),
    "c": lambda s, p: p["f"] * p["c_prev"] + p["i"] * p["g"],
    "h": lambda s, p: p["o"] * tanh(p["c"]),
}
BACKWARD: dict[str, Line] = {
    "do": lambda s, p: p["dh"] * tanh(p["c"]),
    "dc": lambda s, p: p["dh"] * p["o"] * (ONE + -(tanh(p["c"]) * tanh(p["c"]))),
    "df": lambda s, p: p["dc"] * p["c_prev"],
    "di": lambda s, p: p["dc"] * p["g"],
    "dg": lambda s, p: p["dc"] * p["i"],
    **{f"da_{k}": slope(k, lambda p, k=k: p[k] * (ONE + -p[k])) for k in "ifo"},
    "da_g": slope("g", lambda p: ONE + -(p["g"] * p["g"])),
    **{f"dW_{k}": lambda s, p, k=k: p[f"da_{k}"].outer(p["z"]) for k in GATES},
    **{f"db_{k}": lambda s, p, k=k: p[f"da_{k}"] for k in GATES},
    "dz": lambda s, p: (
        p["da_f"].into(s.W["f"].T)
        + p["da_i"].into(s.W["i"].T)
        + p["da_g"].into(s.W["g"].T)
        + p["da_o"].into(s.W["o"].T)
    ),
    "dx": lambda s, p: p["dz"][len(s.h) :],
    "dh_prev": lambda s, p: p["dz"][: len(s.h)],
    "dc_prev": lambda s, p: p["dc"] * p["f"],
}
SLIPS: dict[str, dict[str, Line]] = {
    "no bias in f": {"a_f": lambda s, p: p["z"].into(s.W["f"])},
    "no bias anywhere": {f"a_{k}": lambda s, p, k=k: p["z"].into(s.W[k]) for k in GATES},
    "i and f exchanged": {"c": lambda s, p: p["i"] * p["c_prev"] + p["f"] * p["g"]},
    "no tanh on c": {"h": lambda s, p: p["o"] * p["c"]},
    "tanh for sigmoid": {k: lambda s, p, k=k: tanh(p[f"a_{k}"]) for k in "ifo"},
    "c without g": {"c": lambda s, p: p["f"] * p["c_prev"]},
    "old c": {"h": lambda s, p: p["o"] * tanh(p["c_prev"])},
}
Keep = Callable[[str, Box], Box]  # with what the work goes on, from a line's full name and its numbers


def work(s: Lesson, keep: Keep, lines: Mapping[str, Line] | None = None) -> None:
    """Go through all lines of a lesson."""
    h, c = Box(s.h), Box(s.c)
    for t in range(s.steps):
        page: Page = {"x": Box(s.x[t]), "h_prev": h, "c_prev": c, "dh": Box(s.dh)}
        for name, line in (FORWARD | (BACKWARD if s.backward else {})).items():
            full = f"{name}[{t}]" if s.steps > 1 else name
            page[name] = keep(full, (lines or {}).get(name, line)(s, page))
        h, c = page["h"], page["c"]


# Sheets.


@dataclass(frozen=True, eq=False)
class Paper:
    """What a student hands in: each number as it is written."""

    lesson: Lesson
    texts: Mapping[str, np.ndarray]  # of Decimal
    right: bool
    says: str  # how it was made

    @cached_property
    def key(self) -> dict[str, np.ndarray]:
        numbers: dict[str, np.ndarray] = {}
        work(self.lesson, lambda name, box: numbers.setdefault(name, box.low) is None or box)
        return numbers


def rounded(values: np.ndarray, decimals: int, how: str = ROUND_HALF_UP) -> np.ndarray:
    """Return numbers as decimals, with so many digits behind the point."""
    quantum = Decimal(1).scaleb(-decimals)
    texts = [Decimal(float(value)).quantize(quantum, how) for value in values.reshape(-1)]
    return np.array(texts, dtype=object).reshape(values.shape)


@dataclass
class Student:
    """How somebody works and writes."""

    rng: np.random.Generator
    digits: int
    way: str  # "from memory", "on the way", "cut off", or "padded"
    wrong: str  # what is done wrong, or empty
    lines: dict[str, Line] = field(default_factory=dict)
    units: float = 0.0  # by how many units of the last digit a number is off
    spoiled: str = ""
    coarse: str = ""  # a line with fewer digits
    fewer: int = 0
    carries: bool = True  # whether the work goes on with what is spoiled or coarse

    def decimals(self, name: str) -> int:
        return self.fewer if name == self.coarse else self.digits

    def write(self, name: str, box: Box) -> tuple[np.ndarray, Box]:
        """Return a line as it is written, and with what the work goes on."""
        values = box.low
        if name == self.spoiled:
            hit = self.rng.random(values.shape) < 0.6
            hit.flat[self.rng.integers(hit.size)] = True
            values = values + hit * self.rng.choice([-1, 1], values.shape) * self.units * 10.0**-self.digits
        texts = rounded(values, self.decimals(name), ROUND_DOWN if self.way == "cut off" else ROUND_HALF_UP)
        goes_on = values if self.carries or name != self.spoiled else box.low
        is_copied = name.partition("[")[0] in COPIED  # of numbers that were rounded before, or are given
        if (self.way == "on the way" and not is_copied) or (self.carries and name == self.coarse):
            goes_on = texts.astype(float)
        if self.way == "padded":
            texts = rounded(texts.astype(float), self.decimals(name) + int(self.rng.integers(1, 4)))
        return texts, Box(goes_on)


def student(rng: np.random.Generator, s: Lesson, right: bool) -> Student:
    """Draw one who makes no mistake, or one of several kinds."""
    names: list[str] = []
    work(s, lambda name, box: names.append(name) or box)
    worker = Student(
        rng, int(rng.integers(2, 9)), str(rng.choice(["from memory", "on the way", "cut off", "padded"])), ""
    )
    if right:
        return worker
    worker.wrong = str(rng.choice(["a slip", "a wrong number", "a wrong number", "a coarse line", "a coarse line"]))
    worker.carries = bool(rng.random() < 0.6)
    if worker.wrong == "a slip":
        worker.wrong = str(rng.choice(list(SLIPS)))
        worker.lines = SLIPS[worker.wrong]
    elif worker.wrong == "a wrong number":
        worker.spoiled, worker.units = str(rng.choice(names)), float(10 ** rng.uniform(0, 5))
    else:
        worker.coarse, worker.fewer = str(rng.choice(names)), int(rng.integers(0, 2))
    return worker


def paper(rng: np.random.Generator, s: Lesson, right: bool) -> Paper:
    """Draw a sheet: all lines of a lesson, or some."""
    worker, texts = student(rng, s, right), dict[str, np.ndarray]()

    def keep(name: str, box: Box) -> Box:
        texts[name], box = worker.write(name, box)
        return box

    work(s, keep, worker.lines)
    if rng.random() < 0.6:
        most = 2 if worker.coarse and rng.random() < 0.7 else len(texts)
        left = rng.permutation(list(texts))[: rng.integers(1, most + 1)]
        texts = {
            name: value for name, value in texts.items() if name in left or name in (worker.spoiled, worker.coarse)
        }
    says = f"{worker.digits} digits, {worker.way}; {worker.wrong or 'right'} {worker.spoiled or worker.coarse}"
    return Paper(s, texts, right, f"{says}{'' if worker.carries else ', not carried on'}")


# What the writing allows.


def half_unit(texts: np.ndarray) -> np.ndarray:
    """Return half a unit of each number's last digit."""
    halves = [0.5 * 10.0 ** text.as_tuple().exponent for text in texts.reshape(-1)]
    return np.array(halves).reshape(texts.shape)


def decimals_of(texts: np.ndarray) -> int:
    """Return the decimals before the zeros in which a line's numbers end, two at least; 0 for zeros alone."""
    return max([2, *(-text.normalize().as_tuple().exponent for text in texts.reshape(-1))]) if texts.any() else 0


def half_unit_unpadded(sheet: Paper, name: str) -> np.ndarray:
    """Return half a unit of the last digits that a line can have had: zeros alone, those of the whole sheet."""
    decimals = decimals_of(sheet.texts[name]) or max(map(decimals_of, sheet.texts.values()))
    return np.maximum(half_unit(sheet.texts[name]), 0.5 * 10.0**-decimals)


@dataclass
class Allowance:
    """The ranges in which each number of a sheet may lie: that of its right value, and that of its own inputs."""

    paper: Paper
    factor: float  # 1 for rounded numbers, 2 for those that are cut off

    def broken(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the lines that neither their right values nor their own inputs give, with what is written."""
        key, unit = self.paper.key, self.unit()
        by_inputs, by_right_inputs = self.boxes(unit, trusting=True), self.boxes(unit, trusting=False)
        for name, texts in self.paper.texts.items():
            values, own = texts.astype(float), self.factor * half_unit_unpadded(self.paper, name)
            boxes = (Box(key[name]), by_inputs[name], by_right_inputs[name])
            if not any(box.wider(own).has(values) for box in boxes):
                yield name, values

    def unit(self) -> float:
        """Return the rounding of numbers that are not written: that of the coarsest line that has two decimals."""
        key = self.paper.key
        lines = [
            name
            for name, texts in self.paper.texts.items()
            if name.partition("[")[0] not in COPIED and (np.abs(texts.astype(float) - key[name]) > 1e-9).any()
        ]
        finest = min((float(half_unit_unpadded(self.paper, name).min()) for name in lines), default=0.0)
        halves = [float(half_unit(self.paper.texts[name]).min()) for name in lines]
        coarsest = max((half for half in halves if half < 0.05), default=0.005)
        return self.factor * min(max(coarsest, finest), 0.005)

    def boxes(self, unit: float, *, trusting: bool) -> dict[str, Box]:
        """Return the range of every line by its inputs: those that are written, or, if they are not trusted, any."""
        ranges: dict[str, Box] = {}

        def keep(full: str, box: Box) -> Box:
            name, texts = full.partition("[")[0], self.paper.texts.get(full)
            ranges[full] = box = box if name in COPIED or name in GATES else box.wider(unit, terms=0.4)
            hidden = box if name in COPIED else box.wider(unit)  # a sum's products are rounded, and so is the sum
            if texts is None:
                return hidden
            values, half = texts.astype(float), self.factor * half_unit_unpadded(self.paper, full)
            written = Box(values).wider(half)
            if not trusting:
                return hidden if not hidden.wider(half).has(values) else hull(hidden, written)
            vague = bool((half >= 0.05).any())
            coarse = bool((half >= 0.2 * np.abs(values).max()).any())
            if vague and coarse and hidden.wider(half).has(values):
                return hidden  # from which nothing follows
            return hull(hidden, written) if vague else written

        work(self.paper.lesson, keep)
        return ranges


# Spellings.


def plain(text: Decimal) -> str:
    return f"{text:f}"


def percent(text: Decimal) -> str:
    return f"{plain(text.scaleb(2))} %" if text.as_tuple().exponent <= -2 else plain(text)  # with the same last digit


def exponent(text: Decimal) -> str:
    power = text.as_tuple().exponent
    return f"{plain(text.scaleb(-power))}e{power}"


def row(texts: np.ndarray, mark: str, number: Callable[[Decimal], str] = plain) -> str:
    return mark.join(number(text) for text in texts.reshape(-1))


def by_row(mark: str, number: Callable[[Decimal], str] = plain, called: Callable[[str], str] = str):
    """Return a spelling with a line for a vector, and one for each row of a matrix."""

    def spell(texts: Mapping[str, np.ndarray]) -> str:
        rows = [(name, values) for name, matrix in texts.items() for values in np.atleast_2d(matrix)]
        return "\n".join(called(name) + mark + row(values, mark, number) for name, values in rows)

    return spell


def nested(values: np.ndarray) -> str:
    if values.ndim < 2:
        return f"[{row(values, ', ')}]"
    return f"[{', '.join(nested(line) for line in values)}]"


def in_words(name: str) -> str:
    words = {"f": "Forget gate", "i": "input gate", "o": "OUTPUT GATE", "c": "cell state", "h": "hidden state"}
    letter, bracket, step = name.partition("[")
    return words.get(letter, letter) + bracket + step


def number_each(texts: Mapping[str, np.ndarray]) -> str:
    vectors = {name: values for name, values in texts.items() if values.ndim == 1}
    lines = [f"{name} (unit {n}) = {plain(v)}" for name, values in vectors.items() for n, v in enumerate(values)]
    return "\n".join([*lines, by_row(", ")({name: texts[name] for name in texts if name not in vectors})])


Spelling = Callable[[Mapping[str, np.ndarray]], str]
SPELLINGS: dict[str, tuple[str, Spelling]] = {  # the ending of a file, and how it is written
    "commas": ("csv", by_row(",")),
    "commas and blanks": ("csv", by_row(", ")),
    "decimal commas": ("csv", by_row(";", lambda text: plain(text).replace(".", ","))),
    "tabs": ("tsv", by_row("\t")),
    "percent": ("csv", by_row(",", percent)),
    "exponents": ("csv", by_row(",", exponent)),
    "a typographer's minus": ("csv", by_row(",", lambda text: plain(text).replace("-", "\N{MINUS SIGN}"))),
    "words": ("csv", by_row(",", called=in_words)),
    "name = [ ]": ("txt", lambda texts: "\n".join(f"{name} = {nested(values)}" for name, values in texts.items())),
    "name: array( )": ("txt", lambda texts: "\n".join(f"{n}: array({nested(v)})" for n, v in texts.items())),
    "json": ("json", lambda texts: "{" + ",\n".join(f"{json.dumps(n)}: {nested(v)}" for n, v in texts.items()) + "}"),
    "a number a line": ("txt", number_each),
}
