"""A stage as C functions: a function for each phase and width, and one that goes through the phases."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from gatewise.arrays import Array
from gatewise.c_header.expressions import Expressions, literal
from gatewise.c_header.functions import WIDTHS
from gatewise.c_header.phases import Phase, ProductGroup, Schedule, identifier
from gatewise.c_header.stages import Stage, Vector
from gatewise.symbolic.formula import Concatenation, Formula, FunctionCall, MatMul, Symbol, nodes, rebuild, symbols
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
    "w": "const float *w",
    "lanes": "size_t lanes",
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
        if symbol in self.stage.outputs and self._in_place(symbol):
            return self.stage.outputs[symbol]
        size = self.schedule.size_of(symbol)
        return Vector(self._own(symbol, size), size)

    def _in_place(self, symbol: Symbol) -> bool:
        """Whether an output may be written before its stage ends: nobody needs what is there any more."""
        pointer, phases = self.stage.outputs[symbol].pointer, self.schedule.phases
        mine = next(n for n, phase in enumerate(phases) if any(line.left == symbol for line in phase.lines))
        for n, phase in enumerate(phases):
            if n >= mine and any(self._reads(group.vector, pointer) for group in phase.groups):
                return False
            read = {s for line in (*phase.lines, *phase.reductions) for s in symbols(line.right)}
            if n > mine and any(self._reads(s, pointer) for s in read):
                return False
        return True

    def _reads(self, symbol: Symbol, pointer: str) -> bool:
        """Whether a quantity is a vector that is given at a place in memory."""
        return symbol in self.stage.inputs and self.stage.inputs[symbol].pointer == pointer

    # Functions

    def _functions(self) -> Iterator[str]:
        p, name, calls = self.prefix, self.stage.name, list[str]()
        for number, phase in enumerate(self.schedule.phases):
            if phase.lines:
                yield from self._phase_functions(number, phase, calls)
            calls += self._reductions(phase)
        calls += [
            f"    memcpy({target.pointer}, {self._memory(symbol).pointer}, {target.size} * sizeof(float));"
            for symbol, target in self.stage.outputs.items()
            if not self._in_place(symbol)
        ]
        body = "\n".join(calls)
        if re.search(r"\bu\b", body):
            body = f"    size_t u;\n{body}"
        yield f"{p.upper()}_INLINE void {p}_{name}({self._declared(body, ())})\n{{\n{body}\n}}"
        self.call = f"{p}_{name}({', '.join(self._used(body, ()))});"

    def _used(self, body: str, always: tuple[str, ...]) -> list[str]:
        return [
            name
            for name in PARAMETERS
            if name in always or (name not in ("u", "w") and re.search(rf"(?<![\w>]){name}\b", body))
        ]

    def _declared(self, body: str, always: tuple[str, ...]) -> str:
        return ", ".join(PARAMETERS[name].format(p=self.prefix) for name in self._used(body, always))

    def _phase_functions(self, number: int, phase: Phase, calls: list[str]) -> Iterator[str]:
        """Yield the functions of a phase, one for each width that a build may use; add the calls of their loop."""
        p, base = self.prefix, f"{self.prefix}_{self.stage.name}_{number}"
        blocks = list(_blocks(phase.size))
        widest = max(width for width, _, _ in blocks)
        products = sum(group.weights.shape[0] * group.weights.shape[2] for group in phase.groups)
        always = ("u", "w") if phase.groups else ("u",)
        table = self._table(f"w{number}", _tile(phase, blocks)) if phase.groups else ""
        arguments: dict[int, list[str]] = {}
        for width in (*(w for w in WIDTHS if w <= widest), 1):
            body = self._phase_body(phase, width)
            arguments[width] = self._used(body, always)
            text = f"{p.upper()}_INLINE void {base}_{width}({self._declared(body, always)})\n{{\n{body}\n}}"
            yield f"#if {p.upper()}_LANES >= {width}\n{text}\n#endif" if width > 1 else text
        offset = 0
        for width, begin, count in blocks:
            calls += self._loop(
                base, arguments, width, (begin, count), f"{table} + {offset}" if table else "", products
            )
            offset += width * count * products

    def _loop(
        self, base: str, arguments: dict[int, list[str]], width: int, place: tuple[int, int], table: str, products: int
    ) -> Iterator[str]:
        """Yield the lines that call a phase's function for some blocks of a width."""
        begin, count = place
        upper, end = self.prefix.upper(), begin + count * width

        def called(step: int) -> str:
            first = f"(u - {begin})" if begin else "u"
            within = (
                f"{first} * {products}"
                if step == width
                else f"{first} / {width} * {width * products} + {first} % {width}"
            )
            weights = {"w": f"{table} + {within}", "lanes": str(width)}
            joined = ", ".join(weights.get(name, name) for name in arguments[step])
            return f"    for (u = {begin}; u < {end}; u += {step}) {base}_{step}({joined});"

        steps = [step for step in (*WIDTHS, 1) if step <= width]
        for n, step in enumerate(steps):
            if len(steps) > 1:
                yield f"#{'if' if n == 0 else 'elif'} {upper}_LANES >= {step}" if step > 1 else "#else"
            yield called(step)
        if len(steps) > 1:
            yield "#endif"

    def _phase_body(self, phase: Phase, width: int) -> str:
        """Return the statements that compute a block of a phase's entries."""
        p, kind = self.prefix, "float" if width == 1 else f"{self.prefix}_v{width}"
        lines, loaded = list[str](), set[Symbol]()
        in_phase = {line.left for line in phase.lines}
        lines += self._products(phase, width, kind)

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

    def _products(self, phase: Phase, width: int, kind: str) -> Iterator[str]:
        """Yield the statements that multiply matrices by vectors, for a block of rows."""
        sums = dict.fromkeys(_sum_of(product) for group in phase.groups for product in group.products)
        if not sums:
            return
        zero = "0.0f" if width == 1 else f"{self.prefix}_all_{width}(0.0f)"
        yield f"    {kind} {', '.join(f'{name} = {zero}' for name in sums)};"
        if width == 1:
            yield from self._row_products(phase)
            return
        wide = [group for group in phase.groups if group.weights.shape[2] > 1]
        odd = dict.fromkeys(_sum_of(product) for group in wide for product in group.products)
        if odd:  # every other column has sums of its own, so that no product waits for the one before it
            yield f"    {kind} {', '.join(f'odd_{name} = {zero}' for name in odd)};"
            yield "    size_t j;"
        for group in phase.groups:
            yield from self._column_products(group, width, last=group is phase.groups[-1])
        for name in odd:
            yield f"    {name} += odd_{name};"

    def _row_products(self, phase: Phase) -> Iterator[str]:
        """Yield the statements that multiply one row of each matrix: a row of a block, or one that is left over."""
        for group in phase.groups:
            count, _, columns = group.weights.shape
            step, row = f"lanes > 1 ? {count} * lanes : 1", f"(lanes > 1 ? lanes : {columns})"
            for n, product in enumerate(group.products):
                start, vector = f"w + {n} * {row}" if n else "w", self._memory(group.vector).pointer
                yield f"    {_sum_of(product)} += {self.prefix}_dot({start}, {step}, {vector}, {columns});"
            if group is not phase.groups[-1]:
                yield f"    w += {count * columns} * lanes;"

    def _column_products(self, group: ProductGroup, width: int, *, last: bool) -> Iterator[str]:
        """Yield the statements that multiply a block's columns, two at a time, by the entries of a vector."""
        pointer = self._memory(group.vector).pointer
        count, _, columns = group.weights.shape

        def products(column: int, prefix: str, entry: str) -> Iterator[str]:
            for n, product in enumerate(group.products):
                at = n + column * count
                start = f"w + {at} * lanes" if at > 1 else "w + lanes" if at else "w"
                yield f"        {prefix}{_sum_of(product)} += {self.prefix}_load_{width}({start}) * {entry};"

        if columns > 1:
            yield f"    for (j = 0; j < {columns - columns % 2}; j += 2, w += {2 * count} * lanes) {{"
            yield f"        const float z = {pointer}[j], odd = {pointer}[j + 1];"
            yield from products(0, "", "z")
            yield from products(1, "odd_", "odd")
            yield "    }"
        if columns % 2:
            yield f"    {{ /* the last of {columns} */" if columns > 1 else "    {"
            yield f"        const float z = {pointer}[{columns - 1}];"
            yield from products(0, "", "z")
            if not last:
                yield f"        w += {count} * lanes;"
            yield "    }"

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


def _sum_of(product: MatMul) -> str:
    """Return the name of the variable in which a matrix's products are summed."""
    assert isinstance(product.left, Symbol)
    return f"dot_{identifier(product.left)}"


def _blocks(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield the widths into which a vector is cut, each with where it begins and how many there are."""
    begin = 0
    for width in (*WIDTHS, 1):
        count = (size - begin) // width
        if count:
            yield width, begin, count
            begin += count * width


def _tile(phase: Phase, blocks: list[tuple[int, int, int]]) -> Array:
    """Return the weights of a phase in the order in which its functions read them.

    Block by block, in it vector by vector: for each of its entries, a row of the block for each matrix.
    Of the rows that are left over each stands in one piece.
    """
    pieces = []
    for width, begin, count in blocks:
        for block in range(count):
            rows = slice(begin + block * width, begin + (block + 1) * width)
            for group in phase.groups:
                weights = group.weights[:, rows]  # (matrices, rows, columns)
                pieces.append((weights.transpose(2, 0, 1) if width > 1 else weights).reshape(-1))
    return np.concatenate(pieces)
