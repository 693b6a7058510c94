"""A quantity in the place of another of the same shape; gates that are exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations

from gatewise.gates import LETTERS
from gatewise.grading.edits import words
from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit, Scene, places
from gatewise.symbolic.formula import ONE, Formula, Symbol, less, rebuild, symbols
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.symbols import C_PREV, H_PREV, C, F, H, I, d

GATES = frozenset(map(Symbol, LETTERS))
_PARAMETERS = {"parameters of the": "WUbpγ", "weights and biases of the": "WUb", "weights of the": "WU"}


def another_quantity(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Go through what may stand in the place of each quantity of an equation: whatever has its shape and is known."""
    program = scene.program
    before = _known_before(program, one)
    own = words.parameters(program)
    for old in symbols(one.right):
        if old not in program.axes:
            continue
        for new in before:
            alike = program.axes[new] == program.axes[old] and new.d == old.d and (new in own) == (old in own)
            if new == old or not alike or ((old in own or not program.axes[old]) and new.base != old.base):
                continue
            kind, likely = _kind(old, new)
            told = f"{{}} uses {words.the(new)} instead of {words.the(old)}"
            yield from _everywhere(one, old, new, kind, told, LIKELY if likely else STRUCTURAL)
        if old in GATES:
            yield from _complements(one, old)


def not_computed(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Take the old state for the new one, or what arrives at a gradient for the gradient."""
    form = scene.program.form
    old = {form.raw_cell: C_PREV, C: C_PREV, form.hidden_new: H_PREV, H: H_PREV}.get(one.left)
    if old is not None and scene.program.axes[old] == scene.program.axes[one.left]:
        yield Edit("old cell for the new", f"{{}} is {words.the(old)}, not the new one", one.left, (), old, LIKELY)


def _known_before(program: Program, one: Assignment) -> list[Symbol]:
    """Return what is known before an equation, in the order in which it becomes known."""
    order = list(program.assignments)
    masks = {given.symbol for given in program.given if given.kind in ("mask", "edit")}
    given = [symbol for symbol in program.axes if symbol not in program.assignments and symbol not in masks]
    if not one.left.d:
        given = [symbol for symbol in given if not symbol.d]
    return [*given, *order[: order.index(one.left)]]


def _everywhere(one: Assignment, old: Symbol, new: Formula, kind: str, told: str, tier: str) -> Iterator[Edit]:
    """Put something in the place of a symbol: everywhere in the equation, and in one of several places."""
    found = [path for path, node in places(one.right) if node == old]
    if len(found) == 1:
        yield Edit(kind, told, one.left, found[0], new, tier)
        return
    whole = rebuild(one.right, lambda node: new if node == old else None)
    yield Edit(kind, told, one.left, (), whole, tier)
    for path in found:
        yield Edit(kind, f"{told} in one place", one.left, path, new)


def _kind(old: Symbol, new: Symbol) -> tuple[str, bool]:
    """Return the class of a quantity in another's place, and whether it is likely."""
    if {old, new} <= GATES:
        return "another gate", True
    if old.base == new.base and old.sub and new.sub and not old.d:
        return f"another gate's {'bias' if old.base == 'b' else 'weights' if old.base in 'WU' else 'quantity'}", True
    if new == Symbol("a", words.gate_of(old)) and old in GATES:
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
        both = {words.gate_of(old), words.gate_of(new)}
        flows = {old.base, new.base} <= {"c", "h", "c_next", "h_next", "m"}
        return "another gradient", (old.base == new.base and "" not in both) or flows
    return "another quantity", False


def _complements(one: Assignment, old: Symbol) -> Iterator[Edit]:
    """1 minus a gate in the place of a gate."""
    for gate in (old, *(Symbol(letter) for letter in LETTERS if Symbol(letter) != old)):
        likely = {old, gate} == {I, F}
        told = f"{{}} uses 1 - {gate.base} instead of {words.the(old)}"
        yield from _everywhere(one, old, less(ONE, gate), "one minus a gate", told, LIKELY if likely else STRUCTURAL)


# Gates that are exchanged.


def exchanged(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Exchange two gates or several in a cycle: what they are, or the weights that they are computed with."""
    program = scene.program
    seen = {words.gate_of(symbol) for symbol in symbols(one.right)} - {""}
    if not seen:
        return
    own = words.parameters(program)
    with_weights = any(symbol in own for symbol in symbols(one.right))
    for order in permutations(LETTERS):
        moved = {a: b for a, b in zip(LETTERS, order, strict=True) if a != b}
        if not moved or not seen & set(moved):
            continue
        parameters = with_weights and not one.left.d
        sets: dict[str, frozenset[Symbol] | None] = {"": own if with_weights else None}
        if parameters:
            sets = {which: frozenset(s for s in own if s.base in bases) for which, bases in _PARAMETERS.items()}
        for which, only in sets.items():
            kind, told = _told(moved, which)
            changed = _renamed(one.right, moved, only, program)
            if changed is not None:
                likely = len(moved) == 2 or (len(moved) < 4 and parameters)
                yield Edit(kind, told, one.left, (), changed, LIKELY if likely else STRUCTURAL)


def _renamed(
    right: Formula, moved: Mapping[str, str], only: frozenset[Symbol] | None, program: Program
) -> Formula | None:
    """Return a formula with the gates renamed; only among some symbols where those are given."""

    def change(node: Formula) -> Formula | None:
        if not isinstance(node, Symbol) or (only is not None and node not in only):
            return None
        new = _other(node, moved)
        return new if new != node and new in program.axes else None

    changed = rebuild(right, change)
    return None if changed is right else changed


def _other(symbol: Symbol, moved: Mapping[str, str]) -> Symbol:
    letter = words.gate_of(symbol)
    if letter not in moved:
        return symbol
    if symbol.base == letter and not symbol.sub:
        return replace(symbol, base=moved[letter])
    head, comma, rest = symbol.sub.partition(",")
    return replace(symbol, sub=head[:-1] + moved[letter] + comma + rest)


def of_their_sums(scene: Scene, one: Assignment) -> Iterator[Edit]:
    """Take the gradients of the gates for those of their weighted sums."""
    own = scene.program.form.own
    sums = {d(of(k)): d(Symbol(k)) for k in own for of in (scene.program.form.unclipped, scene.program.form.weighted)}
    changed = rebuild(one.right, lambda node: sums.get(node) if isinstance(node, Symbol) else None)
    if changed is not one.right:
        told = "{} uses the gradient of the gate instead of that of its weighted sum"
        yield Edit("forgotten derivative", told, one.left, (), changed, LIKELY)


def _told(moved: Mapping[str, str], which: str) -> tuple[str, str]:
    """Return the class and the words of gates that are exchanged: pairs that are swapped, and cycles."""
    cycles, left = [], set(moved)
    while left:
        cycle = [min(left, key=LETTERS.index)]
        while moved[cycle[-1]] != cycle[0]:
            cycle.append(moved[cycle[-1]])
        cycles.append(cycle)
        left -= set(cycle)
    said = []
    for cycle in cycles:
        names = [words.GATE_NAMES[letter] for letter in cycle]
        listed = f"{', the '.join(names[:-1])} and the {names[-1]}"
        start = f"the {which} {listed}".replace("  ", " ")
        said.append(f"{start} are swapped" if len(cycle) == 2 else f"{start} are exchanged in a cycle")
    if moved == {"i": "f", "f": "i"} and not which:
        kind = "forget and input exchanged"
    else:
        kind = "gates in a cycle" if any(len(cycle) > 2 for cycle in cycles) else "two gates swapped"
    return kind, f"{', and '.join(said)} in {{}}"
