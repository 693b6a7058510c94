"""A stage as C functions: a function for each phase and width, and one that goes through the phases."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatewise.arrays import Array
from gatewise.c_header.expressions import Expressions, literal
from gatewise.c_header.functions import WIDTHS, in_every_build
from gatewise.c_header.phases import Phase, Schedule, identifier
from gatewise.c_header.products import Products, plus, products_of
from gatewise.c_header.stages import Stage, Vector
from gatewise.symbolic.formula import Concatenation, Formula, FunctionCall, Symbol, nodes, rebuild, symbols
from gatewise.symbolic.program import Assignment

PARAMETERS = {  # of the functions, by name
    "s": "{p}_state *s",
    "t": "{p}_work *t",
    "x": "const float *x",
    "row": "const float *row",
    "top": "const float *top",
    "y": "float *y",
    "gates": "float *gates",
    "u": "size_t u",
    "lanes": "size_t lanes",
    "to": "float *to",
}


class StageCode:
    """The C text of a stage.

    Attributes
    ----------
    tables : dict of str to array
        The constants, by name.
    work : dict of str to int
        The arrays of the stage's own, with their sizes; 0 is a single number.
    functions : set of str
        The functions that the stage calls.
    """

    def __init__(self, prefix: str, stage: Stage) -> None:
        self.prefix, self.stage, self.schedule = prefix, stage, Schedule(stage)
        self.tables: dict[str, Array] = {}
        self.work: dict[str, int] = {}
        self.functions: set[str] = set()
        self.call = ""
        self.text = "\n\n".join(self._functions())

    # Where quantities are

    def _table(self, name: str, array: Array) -> str:
        table = f"{self.prefix}_{self.stage.name}_{name}"
        self.tables[table] = array
        return table

    def _own(self, symbol: Symbol, size: int) -> str:
        name = f"{self.stage.name}_{identifier(symbol)}"
        self.work[name] = size
        return f"t->{name}"

    def _memory(self, symbol: Symbol) -> Vector:
        """Return where a vector is: given, in its place of the outputs, or in an array of the stage's own."""
        if symbol in self.stage.inputs:
            return self.stage.inputs[symbol]
        if symbol in self.stage.outputs:  # in its place at once: nothing reads a state after its successor is there
            return self.stage.outputs[symbol]
        size = self.schedule.size_of(symbol)
        return Vector(self._own(symbol, size), size)

    # Functions

    def _functions(self) -> Iterator[str]:
        p, name, calls = self.prefix, self.stage.name, list[str]()
        for number, phase in enumerate(self.schedule.phases):
            if phase.lines:
                yield from self._phase_functions(number, phase, calls)
            calls += self._reductions(phase)
        body = "\n".join(calls)
        if re.search(r"\bu\b", body):
            body = f"    size_t u;\n{body}"
        yield f"{p.upper()}_INLINE void {p}_{name}({self._declared(body, ())})\n{{\n{body}\n}}"
        self.call = f"{p}_{name}({', '.join(self._used(body, ()))});"

    def _used(self, body: str, always: tuple[str, ...]) -> list[str]:
        return [
            name for name in PARAMETERS if name in always or (name != "u" and re.search(rf"(?<![\w>]){name}\b", body))
        ]

    def _declared(self, body: str, always: tuple[str, ...]) -> str:
        return ", ".join(PARAMETERS[name].format(p=self.prefix) for name in self._used(body, always))

    def _phase_functions(self, number: int, phase: Phase, calls: list[str]) -> Iterator[str]:
        """Yield the functions of a phase, one for each width that a build may use; add the calls of their loop."""
        p, base = self.prefix, f"{self.prefix}_{self.stage.name}_{number}"
        blocks = list(_blocks(phase.size))
        widest = max(width for width, _, _ in blocks)
        groups = sorted(phase.groups, key=lambda group: self._memory(group.vector).pointer.startswith("s->"))
        products = list(products_of(groups, blocks))  # first of what is there before the state of the last step
        for part in products:
            table = self._table(f"w{number}_{identifier(part.vector)}", part.table())
            calls += part.calls(p, table, self._memory(part.vector).pointer)
            self.work["sums"] = max(self.work.get("sums", 0), part.begin + len(part.weights))
        arguments: dict[int, list[str]] = {}
        for width in (*(w for w in WIDTHS if w <= widest), 1):
            body = self._phase_body(phase, products, width)
            arguments[width] = self._used(body, ("u",))
            text = f"{p.upper()}_INLINE void {base}_{width}({self._declared(body, ('u',))})\n{{\n{body}\n}}"
            yield f"#if {p.upper()}_LANES >= {width}\n{text}\n#endif" if width > 1 else text
        calls += self._loops(base, arguments, blocks)

    def _loops(self, base: str, arguments: dict[int, list[str]], blocks: list[tuple[int, int, int]]) -> Iterator[str]:
        """Yield the lines that call a phase's functions for its blocks: in each build, with vectors of its width."""

        def called(step: int, lanes: str, begin: int, end: int) -> str:
            joined = ", ".join(lanes if name == "lanes" else name for name in arguments[step])
            return f"    for (u = {begin}; u < {end}; u += {step}) {base}_{step}({joined});"

        def calls(lanes: int) -> Iterator[str]:
            if lanes > 1:
                for width, begin, count in blocks:
                    yield called(min(width, lanes), str(width), begin, begin + count * width)
            else:
                places = "".join(f"u < {begin + width * count} ? {width} : " for width, begin, count in blocks[:-1])
                width, begin, count = blocks[-1]
                yield called(1, f"{places}{width}", 0, begin + count * width)

        return in_every_build(self.prefix, [width for width in arguments if width > 1], calls)

    def _phase_body(self, phase: Phase, products: list[Products], width: int) -> str:
        """Return the statements that compute a block of a phase's entries."""
        p, kind = self.prefix, "float" if width == 1 else f"{self.prefix}_v{width}"
        lines, loaded = list[str](), set[Symbol]()
        in_phase = {line.left for line in phase.lines}
        for part in (part for part in products if not part.more):
            others = len(part.sums) - 1
            first = plus("t->sums", part.begin, "u", others and f"{others} * (u & ~(lanes - 1))")
            for n, name in enumerate(part.sums):
                lines.append(f"    const {kind} {name} = {p}_load_{width}({plus(first, n and f'{n} * lanes')});")

        def value_of(symbol: Symbol) -> tuple[str, bool]:
            if symbol in in_phase:
                return f"v_{identifier(symbol)}", False
            text, single = self._given(symbol)
            if single:
                return text, True
            name = f"v_{identifier(symbol)}"
            if symbol not in loaded:
                loaded.add(symbol)
                lines.append(f"    const {kind} {name} = {p}_load_{width}({text} + u);")
            return name, False

        expressions = Expressions(p, width, value_of)
        stores: list[str] = []
        for line in phase.lines:
            text = expressions.write(line.right)
            name = f"v_{identifier(line.left)}"
            lines.append(f"    const {kind} {name} = {text};")
            stores += self._stores(line, name, width)
        self.functions |= expressions.functions
        return "\n".join([*lines, *stores])

    def _given(self, symbol: Symbol) -> tuple[str, bool]:
        """Return an expression of a quantity that comes from elsewhere: a pointer, or a single number."""
        schedule = self.schedule
        if symbol in schedule.constants:
            array = schedule.constants[symbol]
            return self._table(identifier(symbol), array), False
        if not schedule.axes[symbol]:
            return self._own(symbol, 0), True
        vector = self._memory(symbol)
        outputs = next(iter(self.stage.outputs.values()))
        if vector.size == 1 and outputs.size > 1 and symbol in self.stage.inputs:  # one for each of the outputs
            return f"{vector.pointer}[0]", True
        return vector.pointer, False

    def _stores(self, line: Assignment, name: str, width: int) -> Iterator[str]:
        """Yield the statements that keep a quantity: in memory, in the state, and among the gates."""
        p, symbol, stage = self.prefix, line.left, self.stage
        value = name
        if symbol == stage.cell:
            self.functions.add("flush")
            value = f"{p}_flush_{width}({name})"
        if symbol in self.schedule.kept or symbol in stage.outputs:
            yield f"    {p}_store_{width}({self._memory(symbol).pointer} + u, {value});"
        if symbol in stage.gates:
            place = stage.gates.index(symbol) * self.schedule.sizes[line.axes[0]]
            yield f"    if (gates) {p}_store_{width}(gates + {f'{place} + ' if place else ''}u, {name});"

    def _reductions(self, phase: Phase) -> Iterator[str]:
        """Yield the statements that compute single numbers from vectors."""
        for line in phase.reductions:
            call = line.right
            assert isinstance(call, FunctionCall)
            target, greatest = self._own(line.left, 0), call.name == "greatest"
            yield f"    {target} = {'-HUGE_VALF' if greatest else '0.0f'};"
            count = 0
            for formula in self._over_parts(call.arguments[0]):

                def value_of(symbol: Symbol) -> tuple[str, bool]:
                    text, single = self._given(symbol)
                    return (text if single else f"{text}[u]"), False

                expressions = Expressions(self.prefix, 1, value_of)
                text = expressions.write(formula)
                size = next(
                    self.schedule.sizes[self.schedule.axes[s][0]] for s in symbols(formula) if self.schedule.axes[s]
                )
                count += size
                if greatest:
                    expressions.functions.add("max")
                    body = f"{target} = {self.prefix}_max_1({target}, {text});"
                else:
                    body = f"{target} += {text};"
                self.functions |= expressions.functions
                yield f"    for (u = 0; u < {size}; u++) {body}"
            if call.name == "mean":
                yield f"    {target} /= {literal(count)};"

    def _over_parts(self, formula: Formula) -> Iterator[Formula]:
        """Yield a formula of a stacked vector for each of the vectors in it."""
        stacks = self.schedule.stacks
        stacked = [node for node in nodes(formula) if node in stacks or isinstance(node, Concatenation)]
        if not stacked:
            yield formula
            return
        for part in self.schedule.parts(stacked[0]):
            yield _substituted(formula, stacked[0], part)


def _substituted(formula: Formula, node: Formula, other: Formula) -> Formula:
    """Return a formula with another node in the place of one."""
    return rebuild(formula, lambda part: other if part == node else None)


def _blocks(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield the widths into which a vector is cut, each with where it begins and how many there are."""
    begin = 0
    for width in (*WIDTHS, 1):
        count = (size - begin) // width
        if count:
            yield width, begin, count
            begin += count * width
