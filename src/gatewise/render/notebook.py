"""The notebook face of a walkthrough: its words as Markdown, its equations as code that needs NumPy alone.

The outputs saved in it are what the code prints: they come from the same formulas, operation by operation.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.render import code, markdown, text
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Call, Formula, Product, Symbol, nodes
from gatewise.symbolic.nonlinearities import slope, textbook
from gatewise.symbolic.symbols import C_PREV, DC_NEXT, H_PREV, C, F, H, X, d
from gatewise.walkthrough.notation import notation
from gatewise.walkthrough.parts import Definition, Equation, Section, Sentence, Table, Walkthrough
from gatewise.walkthrough.setting import TABLE

WIDTH = 88
PRINTED: Mapping[str, Any] = {"precision": 8, "floatmode": "maxprec", "linewidth": WIDTH}
FRESH: Mapping[str, Any] = {  # how else a kernel prints that has just begun, whatever this process prints like
    "threshold": 1000,
    "edgeitems": 3,
    "suppress": False,
    "sign": "-",
    "nanstr": "nan",
    "infstr": "inf",
    "formatter": None,
    "legacy": False,
}
SETUP = '''\
import numpy as np

np.set_printoptions({printed})
np.seterr({quiet}="ignore")


def show(**named):
    """Print numbers, vectors and matrices with up to 8 decimals."""
    for name, value in named.items():
        value = np.asarray(value) + 0.0  # so that no zero has a minus
        print(name, "=", np.array2string(value, prefix=f"{{name}} = "))'''
BY, RELATIVE, ABSOLUTE = 1e-5, 1e-5, 1e-9
AGREES = f'''\
def agrees(name, gradient, loss_near):
    """Print whether a gradient is that of central differences, its entries moved at once, each by another amount."""
    along = np.cos(np.arange(gradient.size)).reshape(gradient.shape)
    along = along / np.linalg.norm(along)
    difference = (loss_near({BY} * along) - loss_near(-{BY} * along)) / (2 * {BY})
    error = np.abs(np.sum(gradient * along) - difference)
    print(name, "agrees:", bool(error <= {RELATIVE} * np.linalg.norm(gradient) + {ABSOLUTE}))'''
PARAMETERS = tuple("WUbpRγβD")  # what the symbols of parameters and of DropConnect's masks begin with, in any notation
TAKEN = ("show", "agrees", "loss", "a", "y", "e")
Cell = dict[str, Any]


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a Jupyter notebook (nbformat 4.5)."""
    with np.errstate(all="ignore"), np.printoptions(**PRINTED, **FRESH):
        cells = list(_cells(walk))
    return document(cells)


def document(cells: Sequence[Cell]) -> str:
    """Return a notebook of cells (nbformat 4.5)."""
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
    }
    notebook = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _cells(walk: Walkthrough) -> Iterator[Cell]:
    program = _Program(walk)
    found, time, place = list[tuple[str, str, str, str]](), None, 0
    for section in walk.sections:
        heading = ""
        if section.time != time:
            time, place = section.time, 0
            heading = "---\n\n" if time is None else f"## {markdown.escape(text.short(time))}\n\n"
        place += 1
        words = heading + markdown.section(walk, section, place, worked=False)
        found.append((section.key, words, *program.cell(section)))
    yield cell("title", "markdown", _title(walk, program))
    yield cell("setup", "code", program.setup(), "", 1)
    count = 1
    for number, (key, words, source, printed) in enumerate(found, 1):
        yield cell(f"{number}-{key}", "markdown", words)
        if source:
            count += 1
            yield cell(f"{number}-{key}-code", "code", source, printed, count)


def cell(name: str, kind: str, source: str, printed: str = "", count: int | None = None) -> Cell:
    """Return a cell of a notebook: of Markdown, or of code with what it printed when it ran as number `count`."""
    made: Cell = {"cell_type": kind, "id": name, "metadata": {}, "source": _lines(source)}
    if kind == "code":
        stream = {"name": "stdout", "output_type": "stream", "text": _lines(printed)}
        made |= {"execution_count": count, "outputs": [stream] if printed else []}
    return made


def _lines(source: str) -> list[str]:
    *whole, last = source.split("\n")
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]


def _title(walk: Walkthrough, program: _Program) -> str:
    told = ["Every number below a code cell is what its code prints, with NumPy alone, in float64."]
    if program.single:
        told.append(
            "The cell itself computes in float32: its own numbers, in the tables, may differ in their last digits."
        )
    if program.many:
        told.append("A name that ends in the number of a step, from 0, belongs to that step.")
    if walk.backward:
        told.append("A `d` before a name stands for the derivative of the loss by it.")
    return f"# {walk.title}\n\n{' '.join(told)}"


@dataclass(frozen=True)
class _Line:
    """A name, the formula assigned to it, and what the formula's symbols are called."""

    name: str
    right: Formula
    names: Mapping[Symbol, str]

    def source(self, functions: Mapping[Activation, str]) -> str:
        return f"{self.name} = {code.expression(self.right, self.names, functions)}"

    @cached_property
    def _computed(self) -> Formula:
        return code.computed(self.right)

    def value(self, values: Mapping[str, Any]) -> Any:
        return evaluate(self._computed, {symbol: values[name] for symbol, name in self.names.items()})


class _Program:
    """The code of a walk, cell by cell, and what each prints."""

    def __init__(self, walk: Walkthrough) -> None:
        self.walk = walk
        self.equations = [block for section in walk.sections for block in section.blocks if isinstance(block, Equation)]
        self.many = any(section.time is not None for section in walk.sections)
        self.last = max((section.at or 0) for section in walk.sections)
        self.single = any(np.asarray(equation.value).dtype == np.float32 for equation in self.equations)
        self.allotted = code.Allotted(*TAKEN)
        self.functions = self._functions()
        self.values: dict[str, Any] = {}  # what each name stands for
        self.told: dict[str, Any] = {}  # what it stands for in the walk
        self.forward: list[_Line] = []  # from all that goes in to the last states
        self.gradients: dict[Symbol, str] = {}  # of the parameters
        self.dropped: dict[Symbol, Symbol] = {}  # weights and their masks of DropConnect
        self.masked: set[Symbol] = set()  # weights that are seen under such a mask
        self.shared = self._shared()
        self.of = of = notation(walk.notation).symbol
        self.before = {  # what a step takes from its neighbour, and in which direction that one lies
            of(H_PREV): (of(H), -1),
            of(C_PREV): (of(C), -1),
            of(d(H)): (of(d(H_PREV)), 1),
            of(DC_NEXT): (of(d(C_PREV)), 1),
        }

    def _functions(self) -> dict[Activation, str]:
        """Return what the nonlinearities are called, in the order in which they are defined."""
        calls = [node for equation in self.equations for node in nodes(equation.right) if isinstance(node, Call)]
        used = list(dict.fromkeys(call.activation for call in calls if call.activation is not None))
        defined = [block.right for block in self.walk.sections[0].blocks if isinstance(block, Definition)]
        used.sort(key=lambda activation: defined.index(textbook(activation)))
        return {one: "np.tanh" if one.name == "tanh" else self.allotted.name(one, one.name) for one in used}

    def _shared(self) -> dict[Symbol, Any]:
        """Return the parameters that are the same at every step, and take note of the masks they are seen under."""
        found: dict[Symbol, Any] = {}
        several = set()
        for equation in self.equations:
            for symbol in _symbols(equation.right):
                if symbol.d or symbol.time is not None or not symbol.base.startswith(PARAMETERS):
                    continue
                value = equation.env[symbol]
                if not np.array_equal(found.setdefault(symbol, value), value, equal_nan=True):
                    several.add(symbol)
                if symbol.base == "D":
                    self.dropped[replace(equation.left, d=False)] = symbol
        for block in (block for section in self.walk.sections for block in section.blocks):
            match block:  # forward, a sentence says so; on the way back the gradients go through the mask
                case Sentence((Symbol() as symbol, str(text))) if "DropConnect" in text:
                    self.masked.add(symbol)
        self.masked |= self.dropped.keys() | set(self.dropped.values())
        return {symbol: value for symbol, value in found.items() if symbol not in several}

    def name(self, symbol: Symbol, at: int | None) -> str:
        """Return what a symbol is called, at one of the steps if there are several."""
        at = at if symbol.time is None else symbol.time
        symbol = replace(symbol, time=None)
        if not self.many or at is None or symbol in self.shared:
            return self.allotted.name((symbol, None), code.identifier(symbol))
        bare = replace(symbol, sub="") if symbol.sub == "t" else symbol
        return self.allotted.name((symbol, at), f"{code.identifier(bare)}_{at}")

    def setup(self) -> str:
        """Return the first cell."""
        quiet = "over" if all(np.isfinite(value).all() for value in self.values.values()) else "all"
        return SETUP.format(
            printed=", ".join(f"{key}={json.dumps(value)}" for key, value in PRINTED.items()), quiet=quiet
        )

    def cell(self, section: Section) -> tuple[str, str]:
        """Return the code of a section, and what it prints."""
        self.given: list[str] = []
        self.made: list[str] = []
        self.shown: list[tuple[str, str]] = []
        self.printed = ""
        match section.key:
            case "activations":
                self._activations()
            case "weights":
                for symbol, value in self.shared.items():
                    if symbol not in self.masked:
                        self._given(symbol, None, value)
            case "through_time" if self._is_of_gates(section):
                self._through_time()
            case "gradient_check":
                self._check()
        for block in section.blocks:
            match block:
                case Table(rows=rows) if section.key in ("input", "arriving"):
                    for name, numbers in rows:
                        if isinstance(name, Symbol):
                            self._given(name, section.at, np.array(numbers))
                case Equation():
                    self._equation(block, section)
        shown = f"show({', '.join(f'{name}={source}' for name, source in self.shown)})" if self.shown else ""
        return "\n".join(part for part in (*self.given, *self.made, _wrapped(shown, 5)) if part), self.printed

    def _show(self, name: str, source: str, value: Any) -> None:
        self.shown.append((name, source))
        self.printed += f"{name} = {np.array2string(np.asarray(value) + 0.0, prefix=f'{name} = ')}\n"

    def _line(self, line: _Line) -> None:
        self.made.append(line.source(self.functions))
        self.values[line.name] = line.value(self.values)

    def _given(self, symbol: Symbol, at: int | None, told: Any) -> str:
        """Return the name of what an equation takes; what none has made yet comes from a neighbour, or from outside."""
        name = self.name(symbol, at)
        if name in self.values:
            return name
        self.told[name] = told
        if symbol in self.before and at is not None:
            other, step = self.before[symbol]
            source = self.allotted.names.get((other, at + step), "")
            if source in self.told and np.array_equal(self.told[source], told, equal_nan=True):
                line = _Line(name, other, {other: source})
                if step < 0:
                    self.forward.append(line)
                self.given.append(line.source(self.functions))
                self.values[name] = self.values[source]
                return name
        self.values[name] = np.array(told, np.float64, order="C")
        self.given.append(f"{name} = {code.array(self.values[name])}")
        return name

    def _equation(self, equation: Equation, section: Section) -> None:
        names = {symbol: self._given(symbol, section.at, equation.env[symbol]) for symbol in _symbols(equation.right)}
        line = _Line(self.name(equation.left, section.at), equation.right, names)
        self._line(line)
        self.told[line.name] = equation.value
        self._show(line.name, line.name, self.values[line.name])
        if section.key == "forward":
            self.forward.append(line)
        if section.key == ("all_steps" if self.many else "d_weights"):
            self.gradients[replace(equation.left, d=False)] = line.name

    def _activations(self) -> None:
        a, y = Symbol("a"), Symbol("y")
        at = np.array(TABLE, np.float64)
        for activation, name in self.functions.items():
            if activation.name != "tanh":
                body = code.expression(textbook(activation), {a: "a"})
                self.given.append(f"def {name}(a):\n    return {body}\n\n")
        self.made.append(f"a = {code.array(at)}")
        for activation, name in self.functions.items():
            short = name.removeprefix("np.")
            values = code.value(Call(short, (a,), activation), {a: at})
            self._show(short, f"{name}(a)", values)
            if self.walk.backward:
                formula = slope(activation, y)
                body = code.expression(formula, {y: "y"})
                body = body if _symbols(formula) else f"np.full_like(y, {body})"
                self.given.append(f"def {short}_slope(y):\n    return {body}\n\n")
                slopes = np.broadcast_to(code.value(formula, {y: values}), values.shape)
                self._show(f"{short}_slope", f"{short}_slope({name}(a))", slopes)

    def _is_of_gates(self, section: Section) -> bool:
        """Whether what is kept along the cell state is the forget gate, with no clip or zoneout beside it."""
        return any(isinstance(block, Table) and self.of(F) in block.columns for block in section.blocks)

    def _through_time(self) -> None:
        """The running product of the forget gates, from the last step to the first."""
        gate, carried = self.of(F), Symbol("carried")
        for at in range(self.last, -1, -1):
            names = {gate: self.name(gate, at)}
            right: Formula = gate
            if at < self.last:
                names[carried] = self.allotted.names["carried", at + 1]
                right = Product((carried, gate))
            line = _Line(self.allotted.name(("carried", at), f"carried_{at}"), right, names)
            self._line(line)
            self._show(line.name, line.name, self.values[line.name])

    # The check: the loss as a function of all that goes in, and its central differences.

    def _check(self) -> None:
        steps = range(self.last + 1)
        checks = [self._of_parameter(symbol, name) for symbol, name in self.gradients.items()]
        x, dx = self.of(X), self.of(d(X))
        if self.many:
            stacked = f"np.stack([{', '.join(self.name(dx, at) for at in steps)}])"
            value = np.stack([self.values[self.name(dx, at)] for at in steps])
            checks.append(_Check("dx", stacked, value, tuple(_Move(self.name(x, at), place=at) for at in steps)))
        else:
            checks.append(self._of_state(x))
        checks += [self._of_state(self.of(H_PREV)), self._of_state(self.of(C_PREV))]
        moved = dict.fromkeys(move.name for check in checks for move in check.moves)
        self.made += [self._loss(moved), f"{AGREES}\n\n"]
        for check in checks:
            call = f'agrees("{check.name}", {check.source}, lambda e: loss({check.arguments}))'
            self.made.append(_wrapped(call, 7))
            self.printed += f"{check.name} agrees: {self._agrees(check)}\n"

    def _of_parameter(self, symbol: Symbol, gradient: str) -> _Check:
        names = dict.fromkeys(self.name(symbol, at) for at in range(self.last + 1))
        mask = self.dropped.get(symbol)
        moves = tuple(_Move(name, self.name(mask, at) if mask else None) for at, name in enumerate(names))
        return _Check(gradient, gradient, self.values[gradient], moves)

    def _of_state(self, symbol: Symbol) -> _Check:
        name, gradient = self.name(symbol, 0), self.name(d(symbol), 0)
        return _Check(gradient, gradient, self.values[gradient], (_Move(name),))

    def _ends(self) -> list[tuple[str, str]]:
        """Return the last states, each with the derivative of the loss by it."""
        pairs = ((d(H), H), (DC_NEXT, C))
        return [(self.name(self.of(by), self.last), self.name(self.of(state), self.last)) for by, state in pairs]

    def _loss(self, moved: Iterable[str]) -> str:
        """Return the source of the loss as a function of what is moved; the rest is as it is."""
        head = _wrapped(f"def loss({', '.join(f'{name}={name}' for name in moved)}):", 9)
        told = '    """Return the loss, all steps being computed anew."""'
        body = [f"    {line.source(self.functions)}" for line in self.forward]
        total = " + ".join(f"{by} @ {state}" for by, state in self._ends())
        return "\n".join([head, told, *body, f"    return {total}\n\n"])

    def _agrees(self, check: _Check) -> bool:
        """Return what `AGREES` finds."""

        def loss(moved: Any) -> Any:
            values = {**self.values, **{move.name: move.value(self.values, moved) for move in check.moves}}
            for line in self.forward:
                values[line.name] = line.value(values)
            (dh, h), (dc, c) = self._ends()
            return values[dh] @ values[h] + values[dc] @ values[c]

        gradient = check.value
        along = np.cos(np.arange(gradient.size)).reshape(gradient.shape)
        along = along / np.linalg.norm(along)
        difference = (loss(BY * along) - loss(-BY * along)) / (2 * BY)
        error = np.abs(np.sum(gradient * along) - difference)
        return bool(error <= RELATIVE * np.linalg.norm(gradient) + ABSOLUTE)


@dataclass(frozen=True)
class _Move:
    """How one array moves with e: under a mask, or with one entry of e."""

    name: str
    mask: str | None = None
    place: int | None = None

    def __str__(self) -> str:
        by = "e" if self.place is None else f"e[{self.place}]"
        return f"{self.name}={self.name} + {by}" + (f" * {self.mask}" if self.mask else "")

    def value(self, values: Mapping[str, Any], e: Any) -> Any:
        by = e if self.place is None else e[self.place]
        return values[self.name] + (by * values[self.mask] if self.mask else by)


@dataclass(frozen=True, eq=False)
class _Check:
    """A gradient, and what moves with it."""

    name: str
    source: str
    value: Any
    moves: tuple[_Move, ...]

    @property
    def arguments(self) -> str:
        """What the loss is called with."""
        return ", ".join(map(str, self.moves))


def _wrapped(line: str, indent: int) -> str:
    """Return a line of code as several, broken within its brackets."""
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def _symbols(formula: Formula) -> list[Symbol]:
    return list(dict.fromkeys(node for node in nodes(formula) if isinstance(node, Symbol)))
