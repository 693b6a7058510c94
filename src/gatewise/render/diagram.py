"""A picture of one step of a cell, as inline SVG: what goes in, how far the gates are open, what comes out.

Wires, nodes and boxes are those of the step's program: a coupled gate hangs on the other one, peepholes are dashed, and
what a variant puts between two quantities (a clip, zoneout, a projection) stands on the wire between them. What is not
drawn is told by `notes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from gatewise.gates import PEEPHOLES
from gatewise.render import marks
from gatewise.render.marks import FEW, INNER, MOST_BARS, StripValues, height_of
from gatewise.render.mathml import MINUS, letter_and_subscripts
from gatewise.render.text import clean, formula
from gatewise.symbolic.formula import FunctionCall, Symbol
from gatewise.symbolic.symbols import C_PREV, FEATURES, H_PREV, RECURRENT, UNITS, C, F, G, H, I, O, X
from gatewise.walkthrough.notation import notation as notation_of
from gatewise.walkthrough.parts import Bound, Walkthrough, Words

BOX, HEAD = 70, 22  # the width of a gate's box; the height of the symbol above a column
COLUMNS = {"a": 32, "f": 111, "i": 191, "g": 271, "o": 351}  # where the middles of the columns are
MIDDLE = (COLUMNS["i"] + COLUMNS["g"]) / 2
GATES = {"i": (I, "input_gate"), "f": (F, "forget_gate"), "g": (G, "candidate"), "o": (O, "output_gate")}
LONGEST = 13  # letters of the name of a feature
SHORT, OTHER = 5, "φ"  # letters of the name of a nonlinearity that fits a box, and what a longer one is called there


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
    if 1 < len(names) <= FEW:
        sentences.append(f"From top to bottom: {', '.join(names)}.")
    longest = max(len(walk.names[axis]) for axis in (UNITS, RECURRENT, FEATURES))
    if longest > FEW:
        more = f"; more than {MOST_BARS} share bars, each a mean of neighbours" if longest > MOST_BARS else ""
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
        if len(name := _gate_function_name(walk, bound, k)) > SHORT:
            long.setdefault(name, []).append(notation_of(walk.notation).symbol(symbol))
    words: list[str | Symbol] = []
    for name, symbols in long.items():
        words += ["; " if words else "", f"{name} in ", *_enumerated(symbols)]
    return [(f"{OTHER} is ", *words, ".")] if words else []


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
            limit = max(1.0, *(marks.largest(scope[quantity_symbol]) for quantity_symbol in (symbol, *others)))
            amount = key in GATES and _lies_between_0_and_1(bound, key)
            self.strips[key] = StripValues(self.symbol(symbol), scope[symbol], quantity, names[over], limit, amount)
        # From the top: the cell states, the line between them, what comes out of it, the gates, the bus, what goes in.
        self.line = HEAD + height_of(self.strips["c"]) + 14
        pills = [self.variant.activation("c").name]
        self.pills = ["layer norm", *pills] if self.variant.layer_norm == "haste" else pills
        self.product = self.line + 28 + 24 * len(self.pills)
        self.top = self.product + 26
        self.bottom = self.top + 24 + height_of(self.strips["f"]) + 18
        self.bus = max(self.bottom, self.top + HEAD + height_of(self.strips["h_prev"])) + 24
        self.below = self.bus + 30
        self.height = self.below + HEAD + max(height_of(self.strips["h"]), self._height_of_input()) + 4
        self.tags = self._output_operations()
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
        sentences = [f"{formula(line.symbol)}: {marks.in_words(line)}." for line in self.strips.values()]
        written = notation_of(self.walk.notation)
        for line in self.bound.program.forward:
            if line.left in (self.form.raw_cell, self.form.cell, C, self.form.produced, self.form.raw_hidden, H):
                sentences.append(f"{formula(written.symbol(line.left))} = {formula(written.formula(line.right))}.")
        return " ".join(sentences)

    def _height_of_input(self) -> float:
        x = self.strips["x"]
        return 17 * len(x.values) if len(x.values) <= FEW else height_of(x)

    def _output_operations(self) -> list[str]:
        """Return the names of the operations that the picture shows between hidden state and output."""
        tags = [formula(self.symbol(Symbol("R")))] if self.form.projected else []
        tags += ["clip"] if self.variant.projection_clip is not None else []
        return [*tags, "zoneout"] if "zoneout_hidden" in self.form.dropout else tags

    # What is drawn.

    def _wires_svg(self) -> Iterator[str]:
        """Yield the wires of the cell's picture as SVG, each in the hue of its quantity."""
        line, top, bus, o = self.line, self.top, self.bus, COLUMNS["o"]
        yield marks.wire([(0, line), (self.width, line)], "cell_state")
        yield marks.wire([(o, line), (o, self.product - 9)], "cell_state", head=False)
        yield marks.wire([(COLUMNS["f"], top), (COLUMNS["f"], line + 9)], "forget_gate")
        for k, side in (("i", -9), ("g", 9)):
            yield marks.wire([(COLUMNS[k], top), (COLUMNS[k], line + 34), (MIDDLE + side, line + 34)], GATES[k][1])
        yield marks.wire([(MIDDLE, line + 25), (MIDDLE, line + 9)], "cell_state")
        yield marks.wire([(o, top), (o, self.product + 9)], "output_gate")
        inner = o + INNER / 2 + 4
        end = self.below + 30
        out = [(o + 9, self.product), (self.right, self.product), (self.right, end), (inner, end)]
        yield marks.wire(out, "hidden_state")
        before = self.top + HEAD + 2 + height_of(self.strips["h_prev"])
        yield marks.wire([(COLUMNS["a"], before), (COLUMNS["a"], bus)], "", head=False)
        yield marks.wire([(MIDDLE, self.below + 2), (MIDDLE, bus)], "", head=False)
        yield from (marks.wire([(COLUMNS[k], bus), (COLUMNS[k], self.bottom)], "") for k in self.variant.own)
        last = max(COLUMNS[k] for k in self.variant.own)
        yield marks.wire([(COLUMNS["a"], bus), (last, bus)], "", head=False)
        if self.variant.coupled:
            ends = [(COLUMNS["i"] - BOX / 2, top + 40), (COLUMNS["f"] + BOX / 2, top + 40)]
            yield marks.wire(ends if self.variant.coupled == "f" else ends[::-1], "")
        if self.variant.peephole != "none":
            yield from self._peepholes_svg()

    def _peepholes_svg(self) -> Iterator[str]:
        """Yield the dashed wires, as SVG, from the cell state to the gates that see it."""
        start = COLUMNS["f"] - 22.0
        for k in (k for k in PEEPHOLES if k in self.variant.own):
            at = COLUMNS[k] - 22.0
            if k == "o":
                yield marks.wire([(at, self.line), (at, self.top)], "", "dashed")
            else:
                turn = self.top - 11
                yield marks.wire([(start, self.line), (start, turn), (at, turn), (at, self.top)], "", "dashed")

    def _operations_svg(self) -> Iterator[str]:
        """Yield the operations in a cell's diagram as SVG: × and +, the nonlinearity, clips, zoneout and dropout."""
        line, o = self.line, COLUMNS["o"]
        yield marks.node(COLUMNS["f"], line, "×")
        yield marks.node(MIDDLE, line, "+")
        yield marks.node(MIDDLE, line + 34, "×")
        yield marks.node(o, self.product, "×")
        yield f'<circle class="dot" cx="{o}" cy="{line:g}" r="3"/>'
        for place, name in enumerate(self.pills):
            yield marks.pill(o, line + 24 + 24 * place, name)
        if self.variant.cell_clip is not None:
            yield marks.pill((MIDDLE + o) / 2 - 2, line, "clip")
        if "zoneout_cell" in self.form.dropout:
            yield marks.pill(o + 38, line, "zoneout")
        for place, name in enumerate(self.tags):
            yield marks.pill(self.right, self.product + 30 + 24 * place, name)
        if "recurrent" in self.form.dropout:
            yield marks.pill(COLUMNS["a"], self.bus - 12, "dropout")
        if "input" in self.form.dropout:
            yield marks.pill(MIDDLE, self.bus + 17, "dropout")

    def _values_svg(self) -> Iterator[str]:
        """Yield the states, the boxes of the gates and the input as SVG, with bars of their values."""
        for key, middle, top in (
            ("c_prev", COLUMNS["a"], 0.0),
            ("c", self.width - INNER / 2 - 4, 0.0),
            ("h_prev", COLUMNS["a"], self.top),
            ("h", COLUMNS["o"], self.below),
        ):
            yield marks.letter(self.strips[key], middle, top + 14, "middle")
            yield marks.column(self.strips[key], middle - INNER / 2, top + HEAD)
        for k in GATES:
            left, values = COLUMNS[k] - BOX / 2, self.strips[k]
            size = f'width="{BOX}" height="{self.bottom - self.top:g}"'
            yield f'<rect class="box {values.quantity}" x="{left:g}" y="{self.top:g}" {size} rx="4"/>'
            yield marks.letter(values, left + 7, self.top + 17, "start")
            name = _gate_function_name(self.walk, self.bound, k)
            yield marks.label(name if len(name) <= SHORT else OTHER, left + BOX - 6, self.top + 16.5, "end", "soft")
            yield marks.column(values, left + (BOX - INNER) / 2, self.top + 24)
            name = values.quantity.removesuffix("_gate")
            yield marks.label(name, COLUMNS[k], self.bottom - 6, "middle", f"small hued {values.quantity}")
        yield from self._input_svg()

    def _input_svg(self) -> Iterator[str]:
        """Yield the input of the step as SVG: its features with their names, or of many a strip of bars."""
        x, top = self.strips["x"], self.below
        yield marks.letter(x, MIDDLE, top + 14, "middle")
        if len(x.values) > FEW:
            yield marks.column(x, MIDDLE - INNER / 2, top + HEAD)
            return
        for k, (name, value) in enumerate(zip(x.names, x.values, strict=True)):
            y = top + HEAD + 12 + 17 * k
            short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
            yield marks.label(short, MIDDLE - 6, y, "end", "soft")
            yield marks.label(marks.plain(value), MIDDLE + 6, y, "start")
