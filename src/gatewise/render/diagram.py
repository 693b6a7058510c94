"""A picture of one step of a cell, as inline SVG: what goes in, how far the gates are open, what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from gatewise.gates import PEEPHOLES
from gatewise.render.mathml import MINUS, letter_and_subscripts
from gatewise.render.text import clean, formula
from gatewise.symbolic.formula import (
    C_PREV,
    FEATURES,
    H_PREV,
    RECURRENT,
    UNITS,
    C,
    F,
    FunctionCall,
    G,
    H,
    I,
    O,
    Symbol,
    X,
)
from gatewise.walkthrough.notation import notation as notation_of
from gatewise.walkthrough.parts import Bound, Walkthrough, Words

MAX_NUMBERED = 4  # values with a bar and a number each; more have a strip of bars, their mean and their range
MAX_BARS = 58  # of a strip; of more values each bar is a mean of neighbours
COLUMN_WIDTH, VALUE_PITCH, STRIP_HEIGHT = (
    58,
    25,
    34,
)  # the width of a column of values; from one value to the next; the height of a strip
Point = tuple[float, float]


class StripValues(NamedTuple):
    """The values of a quantity, what it is called, and which hue it has."""

    symbol: Symbol
    values: Any
    quantity: str
    names: Sequence[str]
    whole: float  # what a whole bar stands for
    amount: bool = False  # whether they lie between 0 and 1, and not on both sides of 0


def classes(*names: str) -> str:
    """Return the attribute of an element's classes; an empty name is none."""
    return f'class="{" ".join(filter(None, names))}"'


def wire(points: Sequence[Point], quantity: str, kind: str = "", *, head: bool = True) -> str:
    """Return a wire of a diagram as SVG: a line through points, with the head of an arrow at its end."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    drawn = f'<path {classes("wire", quantity, kind)} d="{path}"/>'
    if not head:
        return drawn
    (x0, y0), (x, y) = points[-2:]
    dx, dy = np.sign(x - x0), np.sign(y - y0)
    corners = [(x - 7 * dx + 3.5 * side * dy, y - 7 * dy + 3.5 * side * dx) for side in (1, -1)]
    shape = "L".join(f"{a:g} {b:g}" for a, b in ((x, y), *corners))
    return f'{drawn}<path {classes("head", quantity)} d="M{shape}Z"/>'


def node(x: float, y: float, sign: str) -> str:
    """Return the SVG of a node at which quantities are multiplied or added: a circle around × or +."""
    a = 4 if sign == "+" else 3
    strokes = f"M{x - a:g} {y:g}h{2 * a}M{x:g} {y - a:g}v{2 * a}"
    if sign == "×":
        strokes = f"M{x - a:g} {y - a:g}l{2 * a} {2 * a}M{x - a:g} {y + a:g}l{2 * a} {-2 * a}"
    return f'<circle class="node" cx="{x:g}" cy="{y:g}" r="9"/><path class="sign" d="{strokes}"/>'


def pill(x: float, y: float, name: str) -> str:
    """Return the SVG of a function on a wire: its name in a rounded box."""
    width = max(22, 6.4 * len(name) + 8)
    return (
        f'<rect class="pill" x="{x - width / 2:g}" y="{y - 8:g}" width="{width:g}" height="16" rx="8"/>'
        f"{label(name, x, y + 4, 'middle', 'small')}"
    )


def label(content: str, x: float, y: float, anchor: str, kind: str = "") -> str:
    """Return text that begins, has its middle or ends at a place."""
    return f'<text {classes(kind, anchor)} x="{x:g}" y="{y:g}">{escape(clean(content))}</text>'


def letter(values: StripValues, x: float, y: float, anchor: str) -> str:
    """Return the SVG text of a quantity's symbol, what stands below it lower and smaller."""
    head, below = letter_and_subscripts(values.symbol)
    description = ",".join(below).replace("-", MINUS)
    word = "word" if len(description) > 3 else ""  # a word stands upright, as in a formula
    low = f'<tspan {classes("low", word)} dy="4">{escape(description)}</tspan>' if below else ""
    return f'<text {classes("symbol", values.quantity or "ink", anchor)} x="{x:g}" y="{y:g}">{escape(head)}{low}</text>'


def height_of(values: StripValues) -> float:
    """Return the height of a column of values."""
    return VALUE_PITCH * len(values.values) if len(values.values) <= MAX_NUMBERED else STRIP_HEIGHT + 3 * 14


def column(quantity: StripValues, x: float, y: float) -> str:
    """Return values below each other as SVG, each with its bar; of many a strip of bars, their mean and range."""
    if len(quantity.values) > MAX_NUMBERED:
        return _strip_svg(quantity, x, y)
    drawn = []
    for k, value in enumerate(quantity.values):
        top = y + VALUE_PITCH * k
        drawn.append(label(plain_number(value), x + COLUMN_WIDTH, top + 11, "end"))
        drawn.append(_bar_svg(value, quantity, x, top + 14.5))
    return "".join(drawn)


def _bar_svg(value: Any, quantity: StripValues, x: float, y: float) -> str:
    """Return a value's bar as SVG: how much of 1, or from a middle line how far below or above zero."""
    share = float(value) / quantity.whole if np.isfinite(value) else 0.0
    if quantity.amount:
        share = min(max(share, 0.0), 1.0)
        sign, start, length = "", x, COLUMN_WIDTH * share
    else:
        sign, length = ("negative" if share < 0 else "positive"), COLUMN_WIDTH / 2 * abs(share)
        start = x + COLUMN_WIDTH / 2 - (length if share < 0 else 0)
    track = f'<rect {classes("track", quantity.quantity)} x="{x:g}" y="{y:g}" width="{COLUMN_WIDTH}" height="7"/>'
    kind = classes("fill", quantity.quantity, sign)
    fill = f'<rect {kind} x="{start:.2f}" y="{y:g}" width="{length:.2f}" height="7"/>'
    middle = "" if quantity.amount else f'<path class="zero" d="M{x + COLUMN_WIDTH / 2:g} {y - 1.5:g}v10"/>'
    return f"{fill}{track}{middle}"


def _strip_svg(strip: StripValues, x: float, y: float) -> str:
    values = np.asarray(strip.values, np.float64)
    bars = values
    if len(values) > MAX_BARS:
        bars = np.array([part.mean() for part in np.array_split(values, MAX_BARS)])
    shares = np.clip(np.nan_to_num(bars / strip.whole, nan=0.0), 0 if strip.amount else -1, 1)
    scale, zero = (STRIP_HEIGHT, y + STRIP_HEIGHT) if strip.amount else (STRIP_HEIGHT / 2, y + STRIP_HEIGHT / 2)
    width, drawn = COLUMN_WIDTH / len(bars), ""
    for sign, those in (("negative", shares < 0), ("positive", shares > 0)):
        path = "".join(
            f"M{x + width * k:.4g} {zero:g}v{-scale * shares[k]:.2f}h{width:.3g}V{zero:g}Z"
            for k in np.flatnonzero(those)
        )
        drawn += f'<path {classes("fill", strip.quantity, "" if strip.amount else sign)} d="{path}"/>' if path else ""
    drawn += (
        f'<rect {classes("track", strip.quantity)} x="{x:g}" y="{y:g}" width="{COLUMN_WIDTH}" height="{STRIP_HEIGHT}"/>'
    )
    if not strip.amount:
        drawn += f'<path class="zero" d="M{x:g} {zero:g}h{COLUMN_WIDTH}"/>'
    for place, (name, value) in enumerate(_mean_and_range(values)):
        at = y + STRIP_HEIGHT + 13 + 14 * place
        drawn += label(name, x - 2, at, "start", "soft small") + label(
            _shortest_number(value), x + COLUMN_WIDTH + 1, at, "end", "small"
        )
    return drawn


def _mean_and_range(values: Any) -> tuple[tuple[str, float], ...]:
    return ("mean", float(values.mean())), ("min", float(values.min())), ("max", float(values.max()))


def in_words(quantity: StripValues) -> str:
    """Return the values of a quantity in words, for a diagram's description; of many, their mean and range."""
    if len(quantity.values) <= MAX_NUMBERED:
        return ", ".join(
            f"{name} {plain_number(value)}" for name, value in zip(quantity.names, quantity.values, strict=True)
        )
    summary = ", ".join(
        f"{name} {value:.3g}" for name, value in _mean_and_range(np.asarray(quantity.values, np.float64))
    )
    return f"{len(quantity.values)} values, {summary}"


def plain_number(value: Any) -> str:
    """Return a number as short text in the SVG diagram of a cell."""
    value = float(value)
    size = abs(value)
    if not np.isfinite(value):
        return str(value).replace("-", MINUS)
    if size < 10_000 and value == int(value):
        return str(int(value)).replace("-", MINUS)
    text = f"{value:.4f}" if 0.001 <= size < 100 else f"{value:.1f}" if 100 <= size < 10_000 else f"{value:.1e}"
    return text.replace("-", MINUS)


def _shortest_number(value: float) -> str:
    """Return a number as text of about five characters in a walkthrough's diagram."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{digits}f}" if abs(value) < 10_000 or not np.isfinite(value) else f"{value:.0e}"
    return "0.00" if text == "-0.00" else text.replace("-", MINUS)


def largest(values: Any) -> float:
    """Return the largest absolute value among those that are finite, or 0, to which a diagram's bars are scaled."""
    finite = np.abs(np.asarray(values, np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0


BOX_WIDTH, HEAD_HEIGHT = 70, 22  # the width of a gate's box; the height of the symbol above a column
COLUMNS = {"a": 32, "f": 111, "i": 191, "g": 271, "o": 351}  # where the middles of the columns are
MIDDLE = (COLUMNS["i"] + COLUMNS["g"]) / 2
GATES = {"i": (I, "input_gate"), "f": (F, "forget_gate"), "g": (G, "candidate"), "o": (O, "output_gate")}
MAX_FEATURE_LETTERS = 13  # letters of the name of a feature
MAX_FUNCTION_LETTERS, OTHER_FUNCTION = (
    5,
    "φ",
)  # letters of the name of a nonlinearity that fits a box, and what a longer one is called there


def diagram(walk: Walkthrough, at: int, key: str) -> str:
    """Return the picture of a step as an <svg> element that says in words what it shows; ids begin with `key`."""
    with np.errstate(all="ignore"):  # infinity and NaN are shown as they are
        return _Picture(walk, at).svg(key)


def step_name(walk: Walkthrough, at: int) -> str:
    """Return the name of a step of a walkthrough; "" for one that stands alone and has no name."""
    step = walk.steps[at].step
    if step.name is not None or len(walk.steps) == 1:
        return step.name or ""
    return f"step {at if step.time is None else step.time}"


def notes(walk: Walkthrough) -> list[Words]:
    """Return sentences about the picture of a first step: how it is read, and what of the cell is not drawn."""
    bound, written = walk.steps[0], notation_of(walk.notation).symbol
    variant, form, names = bound.form.variant, bound.form, walk.names[UNITS]
    f, i, g, o, h = map(written, (F, I, G, O, H))
    equations = (
        ": ",
        f,
        " scales what is kept, ",
        i,
        " times ",
        g,
        " is added, ",
        o,
        " scales the output ",
        h,
        ".",
    )
    sentences: list[Words] = [("The cell state runs along the top", *equations)]
    amounts = [written(GATES[k][0]) for k in form.order if _lies_between_0_and_1(bound, k)]
    if amounts:
        are = "is" if len(amounts) == 1 else "are"
        sentences.append(
            (*_enumerated(amounts), f" {are} filled as far as the gate is open, from 0 (closed) to 1 (open).")
        )
    sentences += _sentence_of_long_names(walk, bound)
    sentences.append("Other bars start in the middle, at zero: negative to the left, positive to the right.")
    if 1 < len(names) <= MAX_NUMBERED:
        sentences.append(f"From top to bottom: {', '.join(names)}.")
    longest = max(len(walk.names[axis]) for axis in (UNITS, RECURRENT, FEATURES))
    if longest > MAX_NUMBERED:
        more = f"; more than {MAX_BARS} share bars, each a mean of neighbours" if longest > MAX_BARS else ""
        sentences.append(f"A strip has a bar for each entry, from the first to the last{more}.")
    if form.projected:
        sentences.append(("The entries of ", written(H_PREV), " and ", h, " are those of the projection."))
    if variant.peephole != "none":
        peephole_gates = [k for k in PEEPHOLES if k in variant.own]
        early = _enumerated([written(GATES[k][0]) for k in peephole_gates if k != "o"])
        see = " see " if len(peephole_gates) > 2 else " sees "
        where = (see, written(C_PREV), ", and ", o, " sees ", written(form.cell), ".")
        sentences.append(("Dashed, the peepholes: ", *early, *where))
    if variant.layer_norm == "gates":
        sentences.append("Layer norm, within each gate before its bias, is not drawn.")
    elif variant.layer_norm == "haste":
        sentences.append("Layer norm of the sums, across all gates, is not drawn.")
    if variant.gate_clip is not None:
        sentences.append(f"Pre-activations are clipped to ±{variant.gate_clip:g}.")
    if "weight" in form.dropout:
        sentences.append("The recurrent weights are under their DropConnect masks.")
    if walk.backward:
        sentences.append("Gradients flow against the arrows.")
    return sentences


def _sentence_of_long_names(walk: Walkthrough, bound: Bound) -> list[Words]:
    """Return the sentence about nonlinearities whose names have no room in the cell's picture."""
    long: dict[str, list[Symbol]] = {}
    for k, (symbol, _) in GATES.items():
        if len(name := _gate_function_name(walk, bound, k)) > MAX_FUNCTION_LETTERS:
            long.setdefault(name, []).append(notation_of(walk.notation).symbol(symbol))
    words: list[str | Symbol] = []
    for name, symbols in long.items():
        words += ["; " if words else "", f"{name} in ", *_enumerated(symbols)]
    return [(f"{OTHER_FUNCTION} is ", *words, ".")] if words else []


def _enumerated(symbols: Sequence[Symbol]) -> list[str | Symbol]:
    """Return symbols as words of a sentence: with commas between them, and "and" before the last."""
    words: list[str | Symbol] = []
    for place, symbol in enumerate(symbols):
        words += [symbol] if not place else [" and " if place == len(symbols) - 1 else ", ", symbol]
    return words


def _lies_between_0_and_1(bound: Bound, k: str) -> bool:
    """Return whether a gate is between 0 and 1, so that its value says how far it is open."""
    return k != "g" and bound.equation(bound.program.assignments[GATES[k][0]]).openness


def _gate_function_name(walk: Walkthrough, bound: Bound, k: str) -> str:
    """Return the text of a gate's box in the diagram: its nonlinearity's name, or 1 minus the gate it is coupled to."""
    right = bound.program.assignments[GATES[k][0]].right
    if isinstance(right, FunctionCall):
        return right.name
    other = notation_of(walk.notation).symbol(F if k == "i" else I)
    return f"1 {MINUS} {letter_and_subscripts(other)[0]}"


class _Picture:
    """The picture of one step: where its parts lie, and what it is made of."""

    def __init__(self, walk: Walkthrough, at: int) -> None:
        """Lay out the picture of a cell's step: collect its values, and compute where everything lies."""
        bound = walk.steps[at]
        self.walk, self.bound, self.step_name = walk, bound, step_name(walk, at)
        self.form, self.variant = bound.form, bound.form.variant
        self.symbol = notation_of(walk.notation).symbol
        scope, names = bound.scope, walk.names
        self.strips: dict[str, StripValues] = {}
        for key, symbol, quantity, over, others in (
            ("c_prev", C_PREV, "cell_state", UNITS, (C,)),
            ("c", C, "cell_state", UNITS, (C_PREV,)),
            ("h_prev", H_PREV, "hidden_state", RECURRENT, (H,)),
            ("h", H, "hidden_state", RECURRENT, (H_PREV,)),
            ("x", X, "", FEATURES, ()),
            *((k, *GATES[k], UNITS, ()) for k in GATES),
        ):
            limit = max(1.0, *(largest(scope[quantity_symbol]) for quantity_symbol in (symbol, *others)))
            amount = key in GATES and _lies_between_0_and_1(bound, key)
            self.strips[key] = StripValues(self.symbol(symbol), scope[symbol], quantity, names[over], limit, amount)
        # From the top: the cell states, the line between them, what comes out of it, the gates, the bus, what goes in.
        self.line = HEAD_HEIGHT + height_of(self.strips["c"]) + 14
        pills = [self.variant.activation("c").name]
        pills = ["clip", *pills] if self.variant.output_clip is not None else pills
        self.pills = ["layer norm", *pills] if self.variant.layer_norm == "haste" else pills
        self.product = self.line + 28 + 24 * len(self.pills)
        self.top = self.product + 26
        self.bottom = self.top + 24 + height_of(self.strips["f"]) + 18
        self.bus = max(self.bottom, self.top + HEAD_HEIGHT + height_of(self.strips["h_prev"])) + 24
        self.below = self.bus + 30
        self.height = self.below + HEAD_HEIGHT + max(height_of(self.strips["h"]), self._height_of_input()) + 4
        # The names of the operations that the picture shows between hidden state and output.
        tags = [formula(self.symbol(Symbol("R")))] if self.form.projected else []
        tags += ["clip"] if self.variant.projection_clip is not None else []
        self.tags = [*tags, "zoneout"] if "zoneout_hidden" in self.form.dropout else tags
        self.right = 420 if self.tags or "zoneout_cell" in self.form.dropout else 400
        self.width = self.right + (28 if self.right > 400 else 12)

    def svg(self, key: str) -> str:
        """Return the cell's picture as SVG, with a title, and a description for those who do not see it."""
        at = f" at {self.step_name}" if self.step_name else ""
        title = escape(clean(f"The cell{at}: its gates and states"))
        drawn = "".join((*self._wires_svg(), *self._operations_svg(), *self._values_svg()))
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-labelledby="{key}t"'
            f' aria-describedby="{key}d"><title id="{key}t">{title}</title>'
            f'<desc id="{key}d">{escape(clean(self._text_alternative()))}</desc>{drawn}</svg>'
        )

    def _text_alternative(self) -> str:
        """Return the picture's description: every value of the step, and the equations of the states."""
        sentences = [f"{formula(line.symbol)}: {in_words(line)}." for line in self.strips.values()]
        written = notation_of(self.walk.notation)
        for line in self.bound.program.forward:
            if line.left in (self.form.raw_cell, self.form.cell, C, self.form.produced, self.form.raw_hidden, H):
                sentences.append(f"{formula(written.symbol(line.left))} = {formula(written.formula(line.right))}.")
        return " ".join(sentences)

    def _height_of_input(self) -> float:
        x = self.strips["x"]
        return 17 * len(x.values) if len(x.values) <= MAX_NUMBERED else height_of(x)

    # What is drawn.

    def _wires_svg(self) -> Iterator[str]:
        line, top, bus, o = self.line, self.top, self.bus, COLUMNS["o"]
        yield wire([(0, line), (self.width, line)], "cell_state")
        yield wire([(o, line), (o, self.product - 9)], "cell_state", head=False)
        yield wire([(COLUMNS["f"], top), (COLUMNS["f"], line + 9)], "forget_gate")
        for k, side in (("i", -9), ("g", 9)):
            yield wire([(COLUMNS[k], top), (COLUMNS[k], line + 34), (MIDDLE + side, line + 34)], GATES[k][1])
        yield wire([(MIDDLE, line + 25), (MIDDLE, line + 9)], "cell_state")
        yield wire([(o, top), (o, self.product + 9)], "output_gate")
        inner = o + COLUMN_WIDTH / 2 + 4
        end = self.below + 30
        out = [(o + 9, self.product), (self.right, self.product), (self.right, end), (inner, end)]
        yield wire(out, "hidden_state")
        before = self.top + HEAD_HEIGHT + 2 + height_of(self.strips["h_prev"])
        yield wire([(COLUMNS["a"], before), (COLUMNS["a"], bus)], "", head=False)
        yield wire([(MIDDLE, self.below + 2), (MIDDLE, bus)], "", head=False)
        yield from (wire([(COLUMNS[k], bus), (COLUMNS[k], self.bottom)], "") for k in self.variant.own)
        last = max(COLUMNS[k] for k in self.variant.own)
        yield wire([(COLUMNS["a"], bus), (last, bus)], "", head=False)
        if self.variant.coupled:
            ends = [(COLUMNS["i"] - BOX_WIDTH / 2, top + 40), (COLUMNS["f"] + BOX_WIDTH / 2, top + 40)]
            yield wire(ends if self.variant.coupled == "f" else ends[::-1], "")
        if self.variant.peephole != "none":
            yield from self._peepholes_svg()

    def _peepholes_svg(self) -> Iterator[str]:
        """Yield the dashed wires, as SVG, from the cell state to the gates that see it."""
        start = COLUMNS["f"] - 22.0
        for k in (k for k in PEEPHOLES if k in self.variant.own):
            at = COLUMNS[k] - 22.0
            if k == "o":
                yield wire([(at, self.line), (at, self.top)], "", "dashed")
            else:
                turn = self.top - 11
                yield wire([(start, self.line), (start, turn), (at, turn), (at, self.top)], "", "dashed")

    def _operations_svg(self) -> Iterator[str]:
        """Yield the operations in a cell's diagram as SVG: × and +, the nonlinearity, clips, zoneout and dropout."""
        line, o = self.line, COLUMNS["o"]
        yield node(COLUMNS["f"], line, "×")
        yield node(MIDDLE, line, "+")
        yield node(MIDDLE, line + 34, "×")
        yield node(o, self.product, "×")
        yield f'<circle class="dot" cx="{o}" cy="{line:g}" r="3"/>'
        for place, name in enumerate(self.pills):
            yield pill(o, line + 24 + 24 * place, name)
        if self.variant.cell_clip is not None:
            yield pill((MIDDLE + o) / 2 - 2, line, "clip")
        if "zoneout_cell" in self.form.dropout:
            yield pill(o + 38, line, "zoneout")
        for place, name in enumerate(self.tags):
            yield pill(self.right, self.product + 30 + 24 * place, name)
        if "recurrent" in self.form.dropout:
            yield pill(COLUMNS["a"], self.bus - 12, "dropout")
        if "input" in self.form.dropout:
            yield pill(MIDDLE, self.bus + 17, "dropout")

    def _values_svg(self) -> Iterator[str]:
        """Yield the states, the boxes of the gates and the input as SVG, with bars of their values."""
        for key, middle, top in (
            ("c_prev", COLUMNS["a"], 0.0),
            ("c", self.width - COLUMN_WIDTH / 2 - 4, 0.0),
            ("h_prev", COLUMNS["a"], self.top),
            ("h", COLUMNS["o"], self.below),
        ):
            yield letter(self.strips[key], middle, top + 14, "middle")
            yield column(self.strips[key], middle - COLUMN_WIDTH / 2, top + HEAD_HEIGHT)
        for k in GATES:
            left, values = COLUMNS[k] - BOX_WIDTH / 2, self.strips[k]
            size = f'width="{BOX_WIDTH}" height="{self.bottom - self.top:g}"'
            yield f'<rect class="box {values.quantity}" x="{left:g}" y="{self.top:g}" {size} rx="4"/>'
            yield letter(values, left + 7, self.top + 17, "start")
            name = _gate_function_name(self.walk, self.bound, k)
            yield label(
                name if len(name) <= MAX_FUNCTION_LETTERS else OTHER_FUNCTION,
                left + BOX_WIDTH - 6,
                self.top + 16.5,
                "end",
                "soft",
            )
            yield column(values, left + (BOX_WIDTH - COLUMN_WIDTH) / 2, self.top + 24)
            name = values.quantity.removesuffix("_gate")
            yield label(name, COLUMNS[k], self.bottom - 6, "middle", f"small hued {values.quantity}")
        yield from self._input_svg()

    def _input_svg(self) -> Iterator[str]:
        """Yield the input of the step as SVG: its features with their names, or of many a strip of bars."""
        x, top = self.strips["x"], self.below
        yield letter(x, MIDDLE, top + 14, "middle")
        if len(x.values) > MAX_NUMBERED:
            yield column(x, MIDDLE - COLUMN_WIDTH / 2, top + HEAD_HEIGHT)
            return
        for k, (name, value) in enumerate(zip(x.names, x.values, strict=True)):
            y = top + HEAD_HEIGHT + 12 + 17 * k
            short = name if len(name) <= MAX_FEATURE_LETTERS else name[: MAX_FEATURE_LETTERS - 1] + "…"
            yield label(short, MIDDLE - 6, y, "end", "soft")
            yield label(plain_number(value), MIDDLE + 6, y, "start")
