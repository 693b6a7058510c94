"""The notebook of a walkthrough: its sentences as Markdown, and its equations as code that needs NumPy alone."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.render import code, markdown
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import (
    C_PREV,
    DC_NEXT,
    DH_NEXT,
    DY,
    H_PREV,
    C,
    F,
    Formula,
    FunctionCall,
    H,
    Product,
    Symbol,
    X,
    d,
    symbols,
)
from gatewise.symbolic.nonlinearities import slope, textbook
from gatewise.symbolic.program import GRADIENT, INPUT, PARAMETER, STATE, Assignment, Program
from gatewise.walkthrough import grouping, written
from gatewise.walkthrough.bound import over_all_steps
from gatewise.walkthrough.notation import notation
from gatewise.walkthrough.numbers import DIGITS, MAX_DECIMALS
from gatewise.walkthrough.parts import Section, Walkthrough, WorkedEquation
from gatewise.walkthrough.setting import TABLE_ARGUMENTS, activations_of

WIDTH = 88
SETUP = '''\
import numpy as np

np.set_printoptions({printed})
np.seterr({quiet}="ignore")


def show(**named):
    """Print numbers, vectors and matrices with up to {digits} decimals."""
    for name, value in named.items():
        value = np.asarray(value) + 0.0  # no zero has a minus
        print(name, "=", np.array2string(value, prefix=f"{{name}} = "))'''
DIFFERENCE, RELATIVE, ABSOLUTE = 1e-5, 1e-5, 1e-9
AGREES = f'''\
def agrees(name, gradient, loss_near):
    """Print whether a gradient agrees with a central difference of the loss, all entries moved at once."""
    along = np.cos(np.arange(gradient.size)).reshape(gradient.shape)
    along = along / np.linalg.norm(along)
    difference = (loss_near({DIFFERENCE} * along) - loss_near(-{DIFFERENCE} * along)) / (2 * {DIFFERENCE})
    error = np.abs(np.sum(gradient * along) - difference)
    print(name, "agrees:", bool(error <= {RELATIVE} * np.linalg.norm(gradient) + {ABSOLUTE}))'''
USED_NAMES = ("show", "agrees", "loss", "a", "y", "e")


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


def print_options() -> dict[str, Any]:
    """Return NumPy's options for printing numbers as the notebook of a walkthrough does."""
    return {"precision": min(MAX_DECIMALS.get(), DIGITS), "floatmode": "maxprec", "linewidth": WIDTH}


def setup(quiet: str) -> str:
    """Return the first lines of a script, which print as it does; NumPy does not warn of errors of the kind `quiet`."""
    options = print_options()
    printed = ", ".join(f"{key}={json.dumps(value)}" for key, value in options.items())
    return SETUP.format(printed=printed, quiet=quiet, digits=options["precision"])


def function_names(activations: Iterable[Activation], allotted: code.NameAllocator) -> dict[Activation, str]:
    """Return the names of nonlinearities in a notebook's code: NumPy's of tanh, the others' own."""
    return {
        activation: "np.tanh" if activation.name == "tanh" else allotted.name(activation, activation.name)
        for activation in activations
    }


class Script:
    """The code of a walk, cell by cell, and what each prints."""

    def __init__(self, walk: Walkthrough) -> None:
        """Collect what the notebook code of a walkthrough shares: names, nonlinearities, parameters and masks."""
        self.walk, self.steps, self.notation = walk, walk.steps, notation(walk.notation)
        self.of = self.notation.symbol
        self.last = len(self.steps) - 1
        self.many = self.last > 0
        self.bound = [self.steps[at] for at in walk.shown or (0,)]
        self.whole = len(walk.shown) == len(self.steps)  # else no code computes what comes of all steps
        self.single = self.steps[0].p.dtype == np.float32
        self.allotted = code.NameAllocator(*USED_NAMES)
        activations = (activation for step in self.bound for activation in activations_of(step.form.variant))
        self.functions = function_names(activations, self.allotted)
        self.values: dict[str, Any] = {}  # the value of each name
        self.walked: dict[str, Any] = {}  # and what it is in the walk
        self.forward: list[_Line] = []  # from all that goes in to the last states
        self.gradients: dict[Symbol, str] = {}  # of the parameters
        # The weights that DropConnect masks, each with its mask, by symbols of the notation.
        form = self.steps[0].form
        base = "U" if form.apart else "W"
        pairs = {Symbol(base, k): Symbol("D", k) for k in form.weighted_gates if "weight" in form.dropout}
        self.dropped = {self.of(weights): self.of(mask) for weights, mask in pairs.items()}
        self.shared = self._arrays_of_all_steps()
        links = self.steps[0].program.links
        self.links = {self.of(into): (self.of(source), by) for into, (source, by) in links.items()}

    def _arrays_of_all_steps(self) -> dict[Symbol, Any]:
        """Return the parameters and masks that are the same at every step, in the order in which code uses them."""
        shared: dict[Symbol, Any] = {}
        for symbol in dict.fromkeys(symbol for step in self.bound for symbol in self._used_parameters(step.program)):
            first, *later = (step.scope[symbol] for step in self.bound if symbol in step.program.axes)
            if all(np.array_equal(first, other, equal_nan=True) for other in later):
                shared[self.of(symbol)] = self.notation.value(first)
        return shared

    def _used_parameters(self, program: Program) -> Iterator[Symbol]:
        """Yield the parameters and weight masks that a rendered script defines, in the order of their use."""
        for line in (*program.forward, *(program.backward if self.walk.backward else ())):
            for symbol in program.symbols[line.left]:
                if symbol in program.of_kind(PARAMETER) or symbol.base == "D":
                    yield symbol

    def name(self, symbol: Symbol, at: int | None) -> str:
        """Return the Python name of a symbol in a notebook's code, with its step's number if there are several."""
        at = at if symbol.time is None else symbol.time
        symbol = replace(symbol, time=None)
        if not self.many or at is None or symbol in self.shared:
            return self.allotted.name((symbol, None), code.identifier(symbol))
        bare = replace(symbol, sub="") if symbol.sub == "t" else symbol
        return self.allotted.name((symbol, at), f"{code.identifier(bare)}_{at}")

    def setup(self) -> str:
        """Return the first code cell of a walkthrough's notebook."""
        return setup("over" if all(np.isfinite(value).all() for value in self.values.values()) else "all")

    def cell(self, section: Section) -> tuple[str, str]:
        """Return the NumPy code of a walkthrough's section, and what it prints in a notebook."""
        self.input_lines: list[str] = []
        self.code_lines: list[str] = []
        self.outputs: list[tuple[str, str]] = []
        self.printed = ""
        match section.key:
            case "activations":
                self._add_nonlinearities()
            case "weights":
                for symbol, value in self.shared.items():
                    if symbol not in self.dropped and symbol not in self.dropped.values():
                        self._input_name(symbol, None, value)
            case "input":
                self._add_inputs(section.at, INPUT, STATE)
            case "arriving":
                self._add_inputs(section.at, GRADIENT)
            case "all_steps" if self.whole:
                for line in (line for line in self.steps[0].program.backward if line.sums):
                    self._add_equation(line, over_all_steps(self.steps, line), None)
            case "through_time" if self.whole and self.steps[0].form.keeps_by_gate:
                self._add_running_product()
            case "gradient_check" if self.whole:
                self._add_gradient_check()
        step = self.steps[section.at or 0]
        for line in grouping.of_section(step.program, section.key):
            self._add_equation(line, step.equation(line), section.at)
        show_source = f"show({', '.join(f'{name}={source}' for name, source in self.outputs)})" if self.outputs else ""
        return "\n".join(
            part for part in (*self.input_lines, *self.code_lines, wrapped(show_source, 5)) if part
        ), self.printed

    def _add_output(self, name: str, source: str, value: Any) -> None:
        self.outputs.append((name, source))
        self.printed += f"{name} = {np.array2string(np.asarray(value) + 0.0, prefix=f'{name} = ')}\n"

    def _add_line(self, line: _Line) -> None:
        self.code_lines.append(line.source(self.functions))
        self.values[line.name] = line.value(self.values)

    def _input_name(self, symbol: Symbol, at: int | None, value: Any) -> str:
        """Return the name of an equation's input; a new one is assigned from a neighbouring step, or its numbers."""
        name = self.name(symbol, at)
        if name in self.values:
            return name
        self.walked[name] = value
        if symbol in self.links and at is not None:
            other, step = self.links[symbol]
            source = self.allotted.names.get((other, at + step), "")
            if source in self.walked and np.array_equal(self.walked[source], value, equal_nan=True):
                line = _Line(name, other, {other: source})
                if step < 0:
                    self.forward.append(line)
                self.input_lines.append(line.source(self.functions))
                self.values[name] = self.values[source]
                return name
        self.values[name] = np.array(value, np.float64, order="C")
        self.input_lines.append(f"{name} = {code.array(self.values[name])}")
        return name

    def _add_inputs(self, at: int | None, *kinds: str) -> None:
        """Add to a notebook's code the assignments of a step's inputs that are of some kinds."""
        step = self.steps[at or 0]
        for symbol in (symbol for kind in kinds for symbol in step.program.of_kind(kind)):
            self._input_name(self.of(symbol), at, step.scope[symbol])

    def _add_equation(self, assignment: Assignment, bound: WorkedEquation, at: int | None) -> None:
        """Add an equation of a step to the notebook cell's code, compute its value, and show it."""
        equation = written.write_equation(bound, self.notation)
        names = {symbol: self._input_name(symbol, at, equation.env[symbol]) for symbol in symbols(equation.right)}
        line = _Line(self.name(equation.left, at), equation.right, names)
        self._add_line(line)
        self.walked[line.name] = equation.value
        self._add_output(line.name, line.name, self.values[line.name])
        if assignment in self.steps[at or 0].program.forward:
            self.forward.append(line)
        if assignment.sums:  # where there are several steps, their sum comes last
            self.gradients[replace(equation.left, d=False)] = line.name

    def _add_nonlinearities(self) -> None:
        a, y = Symbol("a"), Symbol("y")
        at = np.array(TABLE_ARGUMENTS, np.float64)
        for activation, name in self.functions.items():
            if activation.name != "tanh":
                body = code.expression(textbook(activation), {a: "a"})
                self.input_lines.append(f"def {name}(a):\n    return {body}\n\n")
        self.code_lines.append(f"a = {code.array(at)}")
        for activation, name in self.functions.items():
            short = name.removeprefix("np.")
            values = code.value(FunctionCall(short, (a,), activation), {a: at})
            self._add_output(short, f"{name}(a)", values)
            if self.walk.backward:
                formula = slope(activation, y)
                body = code.expression(formula, {y: "y"})
                body = body if symbols(formula) else f"np.full_like(y, {body})"
                self.input_lines.append(f"def {short}_slope(y):\n    return {body}\n\n")
                slopes = np.broadcast_to(code.value(formula, {y: values}), values.shape)
                self._add_output(f"{short}_slope", f"{short}_slope({name}(a))", slopes)

    def _add_running_product(self) -> None:
        gate, carried = self.of(F), Symbol("carried")
        for at in range(self.last, -1, -1):
            names = {gate: self.name(gate, at)}
            right: Formula = gate
            if at < self.last:
                names[carried] = self.allotted.names["carried", at + 1]
                right = Product((carried, gate))
            line = _Line(self.allotted.name(("carried", at), f"carried_{at}"), right, names)
            self._add_line(line)
            self._add_output(line.name, line.name, self.values[line.name])

    # The check: the loss as a function of all that goes in, and its central differences.

    def _add_gradient_check(self) -> None:
        steps = range(self.last + 1)
        checks = [self._parameter_check(symbol, name) for symbol, name in self.gradients.items()]
        x, dx = self.of(X), self.of(d(X))
        if self.many:
            stacked = f"np.stack([{', '.join(self.name(dx, at) for at in steps)}])"
            value = np.stack([self.values[self.name(dx, at)] for at in steps])
            checks.append(_Check("dx", stacked, value, tuple(_Move(self.name(x, at), place=at) for at in steps)))
        else:
            checks.append(self._state_check(x))
        checks += [self._state_check(self.of(H_PREV)), self._state_check(self.of(C_PREV))]
        moved = dict.fromkeys(move.name for check in checks for move in check.moves)
        self.code_lines += [self._loss_source(moved), f"{AGREES}\n\n"]
        for check in checks:
            call = f'agrees("{check.name}", {check.source}, lambda e: loss({check.arguments}))'
            self.code_lines.append(wrapped(call, 7))
            self.printed += f"{check.name} agrees: {self._gradient_agrees(check)}\n"

    def _parameter_check(self, symbol: Symbol, gradient: str) -> _Check:
        """Return the check of a parameter's gradient, in which the parameter moves at every step."""
        names = dict.fromkeys(self.name(symbol, at) for at in range(self.last + 1))
        mask = self.dropped.get(symbol)
        moves = tuple(_Move(name, self.name(mask, at) if mask else None) for at, name in enumerate(names))
        return _Check(gradient, gradient, self.values[gradient], moves)

    def _state_check(self, symbol: Symbol) -> _Check:
        name, gradient = self.name(symbol, 0), self.name(d(symbol), 0)
        return _Check(gradient, gradient, self.values[gradient], (_Move(name),))

    def _loss_terms(self) -> list[tuple[str, str]]:
        """Return the loss's terms by name: the outputs and last states, each behind the gradient with respect to it."""
        has_dy = self.steps[0].has_dy
        terms = [(DY, H, at) for at in range(self.last + 1)] if has_dy else []
        terms += [(DH_NEXT if has_dy else d(H), H, self.last), (DC_NEXT, C, self.last)]
        return [(self.name(self.of(gradient), at), self.name(self.of(state), at)) for gradient, state, at in terms]

    def _loss_source(self, moved: Iterable[str]) -> str:
        """Return the Python source of the loss as a function of the arrays that are `moved`; the rest stays."""
        head = wrapped(f"def loss({', '.join(f'{name}={name}' for name in moved)}):", 9)
        doc = '    """Return the loss, with every step computed again."""'
        body = [f"    {line.source(self.functions)}" for line in self.forward]
        total = " + ".join(f"{gradient} @ {state}" for gradient, state in self._loss_terms())
        last = f"    return {total}"
        if len(last) > WIDTH:
            last = wrapped(f"    return ({total})", 12)
        return "\n".join([head, doc, *body, f"{last}\n\n"])

    def _gradient_agrees(self, check: _Check) -> bool:
        """Return whether a gradient agrees with a central difference of the loss, as the code of `AGREES` does."""

        def loss(moved: Any) -> Any:
            """Return the loss of a run computed again, with the check's arrays moved."""
            values = {**self.values, **{move.name: move.value(self.values, moved) for move in check.moves}}
            for line in self.forward:
                values[line.name] = line.value(values)
            return sum(values[gradient] @ values[state] for gradient, state in self._loss_terms())

        gradient = check.value
        along = np.cos(np.arange(gradient.size)).reshape(gradient.shape)
        along = along / np.linalg.norm(along)
        difference = (loss(DIFFERENCE * along) - loss(-DIFFERENCE * along)) / (2 * DIFFERENCE)
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


def wrapped(line: str, indent: int) -> str:
    """Return a line of code as several, broken within its brackets."""
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


FRESH: Mapping[str, Any] = {  # the other defaults of a fresh kernel, whatever this process has set
    "threshold": 1000,
    "edgeitems": 3,
    "suppress": False,
    "sign": "-",
    "nanstr": "nan",
    "infstr": "inf",
    "formatter": None,
    "legacy": False,
}
Cell = dict[str, Any]


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a Jupyter notebook (nbformat 4.5)."""
    with np.errstate(all="ignore"), np.printoptions(**print_options(), **FRESH):
        cells = list(_notebook_cells(walk))
    return document(cells)


def document(cells: Sequence[Cell]) -> str:
    """Return the JSON of a Jupyter notebook of cells (nbformat 4.5)."""
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
    }
    notebook = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _notebook_cells(walk: Walkthrough) -> Iterator[Cell]:
    """Yield a walkthrough as notebook cells: a title, the setup, and the words and code of each section."""
    script = Script(walk)
    sections = markdown.sections(walk, worked=False)
    cells = [(section.key, words, *script.cell(section)) for section, words in sections]
    yield cell("title", "markdown", _title_markdown(walk, script))
    yield cell("setup", "code", script.setup(), "", 1)
    count = 1
    for number, (key, words, source, printed) in enumerate(cells, 1):
        yield cell(f"{number}-{key}", "markdown", words)
        if source:
            count += 1
            yield cell(f"{number}-{key}-code", "code", source, printed, count)


def cell(name: str, kind: str, source: str, printed: str = "", count: int | None = None) -> Cell:
    """Return a notebook's cell as JSON: of Markdown, or of code with what it printed when it ran as number `count`."""
    content: Cell = {"cell_type": kind, "id": name, "metadata": {}, "source": _source_lines(source)}
    if kind == "code":
        stream = {"name": "stdout", "output_type": "stream", "text": _source_lines(printed)}
        content |= {"execution_count": count, "outputs": [stream] if printed else []}
    return content


def _source_lines(source: str) -> list[str]:
    *lines, last = source.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]


def _title_markdown(walk: Walkthrough, script: Script) -> str:
    """Return the first cell of a walkthrough's notebook: its title, and how its numbers and names are read."""
    sentences = ["Every number below a code cell is printed by its code, with NumPy alone, in float64."]
    if script.single:
        sentences.append("The cell itself computes in float32: its numbers, in tables, may differ in the last digits.")
    if script.many:
        sentences.append("A name that ends in a number belongs to that step, counted from 0.")
    if walk.backward:
        sentences.append("A `d` before a name means the gradient of the loss with respect to it.")
    return f"# {walk.title}\n\n{' '.join(sentences)}"
