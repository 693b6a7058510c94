"""A quantity in the place of another, exchanged gates, and weights that are transposed or read in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations

from gatewise.gates import LETTERS
from gatewise.grading.edits import edit
from gatewise.grading.edits.edit import (
    LIKELY,
    STRUCTURAL,
    EditContext,
    EquationEdit,
    Path,
    for_each_subformula,
    replace_part,
    subformulas,
)
from gatewise.render import text
from gatewise.symbolic.formula import (
    C_PREV,
    COLUMNS,
    DZ,
    H_PREV,
    ONE,
    C,
    Concatenation,
    F,
    Formula,
    FunctionCall,
    H,
    Holds,
    I,
    MatMul,
    Outer,
    Slice,
    Symbol,
    Transpose,
    X,
    Z,
    add,
    d,
    less,
    nodes,
    rebuild,
    symbols,
)
from gatewise.symbolic.program import PARAMETER, Assignment

GATES = frozenset(map(Symbol, LETTERS))
_PARAMETERS = {"parameters of the": "WUbpγ", "weights and biases of the": "WUb", "weights of the": "WU"}


def substitute_quantity(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that use another known quantity of the same shape in an equation."""
    program = context.program
    parameters = frozenset(program.of_kind(PARAMETER))
    unused = {*program.of_kind("mask"), *program.of_kind("edit"), *map(d, parameters)}  # db_f may be da_f
    known = [symbol for symbol in program.axes if context.is_known_before(symbol, equation) and symbol not in unused]
    for old in symbols(
        rebuild(equation.right, lambda node: ONE if isinstance(node, Holds) and node.relation == "≤" else None)
    ):
        if old not in program.axes:
            continue
        for new in known:
            same_shape = (
                program.axes[new] == program.axes[old] and new.d == old.d and (new in parameters) == (old in parameters)
            )
            if new == old or not same_shape or ((old in parameters or not program.axes[old]) and new.base != old.base):
                continue
            kind, likely = _classify_substitute(old, new)
            clause = f"{edit.used_clause(new)} instead of {edit.full_name(old)}"
            yield from _substitute_symbol(equation, old, new, kind, clause, LIKELY if likely else STRUCTURAL)
        for gate in map(Symbol, LETTERS if old in GATES else ""):
            clause = f"1 - {gate.base} is used instead of {edit.full_name(old)}"
            tier = LIKELY if {old, gate} == {I, F} else STRUCTURAL
            yield from _substitute_symbol(equation, old, less(ONE, gate), "one minus a gate", clause, tier)


def take_old_state(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistake that takes the old state for the new one."""
    form = context.program.form
    old = {form.raw_cell: C_PREV, C: C_PREV, form.hidden_new: H_PREV, H: H_PREV}.get(equation.left)
    if old is not None and context.program.axes[old] == context.program.axes[equation.left]:
        clause = f"{edit.full_name(old)} is taken for {{}}"
        yield EquationEdit("old cell for the new", clause, old, LIKELY)


def _substitute_symbol(
    equation: Assignment, old: Symbol, new: Formula, kind: str, clause: str, tier: str
) -> Iterator[EquationEdit]:
    """Yield the mistakes that replace a symbol everywhere in an equation, or in one of its several places."""
    replaced = rebuild(equation.right, lambda node: new if node == old else None)
    paths = [path for path, node in subformulas(equation.right) if node == old]
    yield EquationEdit(kind, f"{clause} in {{}}", replaced, tier)
    for path in paths if len(paths) > 1 else ():
        yield EquationEdit(kind, f"{clause} in one place of {{}}", replace_part(equation.right, path, new))


def _classify_substitute(old: Symbol, new: Symbol) -> tuple[str, bool]:
    """Return the kind of mistake that puts a quantity in another's place, and whether it is likely."""
    if {old, new} <= GATES:
        return "another gate", True
    if old.base == new.base and old.sub and new.sub and not old.d:
        return f"another gate's {'bias' if old.base == 'b' else 'weights' if old.base in 'WU' else 'quantity'}", True
    if new == Symbol("a", edit.gate_of(old)) and old in GATES:
        return "no nonlinearity", True
    named = {
        (C, C_PREV): "old cell for the new",
        (C_PREV, C): "new cell for the old",
        (C_PREV, H_PREV): "hidden for cell",
        (C, H): "hidden for cell",
        (C, H_PREV): "hidden for cell",
        (H_PREV, C_PREV): "cell for hidden",
    }
    if (old, new) in named:
        return named[old, new], True
    if old.d and new.d:
        both = {edit.gate_of(old), edit.gate_of(new)}
        flows = {old.base, new.base} <= {"c", "h", "c_next", "h_next", "m"}
        return "another gradient", (old.base == new.base and "" not in both) or flows
    return "another quantity", False


# Gates that are exchanged.


def exchange_gates(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that exchange gates or their parameters: two, two pairs, or several in a cycle."""
    program = context.program
    gates = {edit.gate_of(symbol) for symbol in symbols(equation.right)} - {""}
    if not gates:
        return
    parameters = frozenset(program.of_kind(PARAMETER))
    with_weights = any(symbol in parameters for symbol in symbols(equation.right))
    only_parameters = with_weights and not equation.left.d
    sets: dict[str, frozenset[Symbol] | None] = {"": parameters if with_weights else None}
    if only_parameters:
        sets = {group: frozenset(s for s in parameters if s.base in bases) for group, bases in _PARAMETERS.items()}
    for order in permutations(LETTERS):
        new_letters = {a: b for a, b in zip(LETTERS, order, strict=True) if a != b}
        for group, affected in sets.items() if gates & set(new_letters) else ():
            kind, clause = _describe_exchange(new_letters, group)
            replaced: dict[Formula, Formula] = {
                symbol: new
                for symbol in symbols(equation.right)
                if affected is None or symbol in affected
                if (new := _exchange_gate_of_symbol(symbol, new_letters)) != symbol and new in program.axes
            }
            if replaced:
                changed = rebuild(equation.right, replaced.get)
                likely = len(new_letters) == 2 or (len(new_letters) < 4 and only_parameters)
                yield EquationEdit(kind, clause, changed, LIKELY if likely else STRUCTURAL)


def _exchange_gate_of_symbol(symbol: Symbol, new_letters: Mapping[str, str]) -> Symbol:
    """Return the symbol that is mistaken for a gate's symbol: f or W_f becomes i or W_i."""
    letter = edit.gate_of(symbol)
    if letter not in new_letters:
        return symbol
    if symbol.base == letter and not symbol.sub:
        return replace(symbol, base=new_letters[letter])
    head, comma, rest = symbol.sub.partition(",")
    return replace(symbol, sub=head[:-1] + new_letters[letter] + comma + rest)


def skip_gate_derivatives(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistake that takes the gradients of the gates for those of their pre-activations."""
    gates = context.program.form.weighted_gates
    sums = {
        d(of(k)): d(Symbol(k)) for k in gates for of in (context.program.form.unclipped, context.program.form.weighted)
    }
    changed = rebuild(equation.right, lambda node: sums.get(node) if isinstance(node, Symbol) else None)
    if changed is not equation.right:
        clause = "the gradient of the gate is used instead of that of its pre-activation in {}"
        yield EquationEdit("forgotten derivative", clause, changed, LIKELY)


def _describe_exchange(new_letters: Mapping[str, str], group: str) -> tuple[str, str]:
    """Return the kind and the words of a mistake that exchanges gates: one or two pairs, or a cycle."""
    pairs = [(a, b) for a, b in new_letters.items() if new_letters[b] == a and LETTERS.index(a) < LETTERS.index(b)]
    if not pairs:
        turns = ", ".join(f"{_short_name(new)} for {_short_name(old)}" for old, new in new_letters.items())
        exchange_gates = f"the {group} gates are exchanged" if group else "the gates are exchanged"
        return "gates in a cycle", f"{exchange_gates} in a cycle ({turns}) in {{}}"
    first, *others = (f"the {edit.GATE_NAMES[a]} and the {edit.GATE_NAMES[b]}" for a, b in pairs)
    start = f"the {group.removesuffix(' the')} {first}" if group else first
    also = "".join(f", and so are {'those of ' * bool(group)}{other}," for other in others)
    kind = "forget and input exchanged" if [*pairs, group] == [("i", "f"), ""] else "two gates swapped"
    return kind, f"{start} are swapped{also} in {{}}"


def _short_name(letter: str) -> str:
    return edit.GATE_NAMES[letter].removesuffix(" gate")


ORDER_KIND = "order of [h; x]"
_ORDERED = "[x; h] is used instead of [h; x] in {}"
_TRANSPOSED = "transposed weights"
_READINGS = {
    "by column": "the weights are read column by column in {}",
    "by row": "the weights are read as if they were written column by column in {}",
}


@for_each_subformula
def reorder_combined_input(
    context: EditContext, equation: Assignment, path: Path, node: Formula
) -> Iterator[EquationEdit]:
    """Yield the mistakes that use [x; h] for [h; x]: in z, where z is used, and in the parts of its gradient."""
    recurrent, columns = context.recurrent, context.columns
    swapped = Concatenation((Slice(Z, recurrent, columns), Slice(Z, 0, recurrent)))
    match node:
        case Concatenation((h, x)) if equation.left == Z:
            yield EquationEdit(ORDER_KIND, "the order is [x; h] instead of [h; x] in {}", Concatenation((x, h)), LIKELY)
        case Symbol() if node == Z:
            yield EquationEdit(ORDER_KIND, _ORDERED, swapped, LIKELY)
            for state in (C_PREV, H, C):
                if (
                    context.is_known_before(state, equation)
                    and context.program.axes[state] == context.program.axes[H_PREV]
                ):
                    mixed = Concatenation((state, Slice(Z, recurrent, columns)))
                    clause = f"{edit.used_clause(state)} instead of the old hidden state h_prev in {{}}"
                    yield EquationEdit("another state", clause, mixed, LIKELY)
            for part, name in ((X, "the input x alone"), (H_PREV, "the old hidden state h_prev alone")):
                clause = f"{name} is used instead of the combined input z in {{}}"
                yield EquationEdit("another shape", clause, part)
        case Slice(vector, int(start), int(stop)) if vector == DZ:
            other = Slice(DZ, 0, stop - start) if start else Slice(DZ, columns - stop, columns)
            yield EquationEdit(ORDER_KIND, "the wrong end of dz is taken for {}", other, LIKELY)


@for_each_subformula
def transpose_weights(context: EditContext, equation: Assignment, path: Path, node: Formula) -> Iterator[EquationEdit]:
    """Yield the mistakes that transpose weights, skip that or read them by columns, or turn an outer product."""
    match node:
        case MatMul(Symbol(d=False) as matrix, vector):
            for clause, product in _transposed_products(context, matrix, vector):
                yield EquationEdit(_TRANSPOSED, clause, product, LIKELY)
            for name, clause in _READINGS.items():
                yield EquationEdit(_TRANSPOSED, clause, MatMul(FunctionCall(name, (matrix,)), vector), LIKELY)
        case Outer(left, right):
            clause = "the rows and columns of {} are exchanged"
            yield EquationEdit(_TRANSPOSED, clause, Outer(right, left), LIKELY)
        case MatMul(Transpose(matrix), vector):
            clause = f"{text.formula(matrix)} is not transposed in {{}}"
            yield EquationEdit(_TRANSPOSED, clause, MatMul(matrix, vector))


def _transposed_products(context: EditContext, matrix: Symbol, vector: Formula) -> Iterator[tuple[str, Formula]]:
    """Yield the products of a vector with a matrix of which a block is transposed, each with its mistake's words."""
    if context.program.axes[matrix][1] != COLUMNS:
        yield "the weights are transposed in {}", MatMul(Transpose(matrix), vector)
    elif vector == Z:
        h, x = Slice(Z, 0, context.recurrent), Slice(Z, context.recurrent, context.columns)
        for clause, (h_weights, x_weights) in _blocks_with_transposes(context, matrix):
            yield clause, add(MatMul(h_weights, h), MatMul(x_weights, x))


def _blocks_with_transposes(context: EditContext, matrix: Symbol) -> Iterator[tuple[str, tuple[Formula, Formula]]]:
    """Yield a weight matrix's blocks for h and for x, with one or both transposed, and the mistake's words."""
    h, x = Slice(matrix, 0, context.recurrent), Slice(matrix, context.recurrent, context.columns)
    yield "the recurrent weights are transposed in {}", (Transpose(h), x)
    yield "the input's weights are transposed in {}", (h, Transpose(x))
    yield "the weights are transposed in {}", (Transpose(h), Transpose(x))


def transpose_in_gradient(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield the mistakes that transpose weights in the gradient of the combined input z."""
    mistaken: dict[str, dict[Formula, Formula]] = {}  # by the words of the mistake, what becomes of each product
    for node in nodes(equation.right) if equation.left == DZ else ():
        match node:
            case MatMul(Transpose(Symbol() as matrix), vector):
                for clause, (h, x) in _blocks_with_transposes(context, matrix):
                    product = Concatenation((MatMul(Transpose(h), vector), MatMul(Transpose(x), vector)))
                    mistaken.setdefault(clause, {})[node] = product
                for name, clause in _READINGS.items():
                    reread = Transpose(FunctionCall(name, (matrix,)))
                    mistaken.setdefault(clause, {})[node] = MatMul(reread, vector)
    for clause, products in mistaken.items():
        yield EquationEdit(_TRANSPOSED, clause, rebuild(equation.right, products.get), LIKELY)
