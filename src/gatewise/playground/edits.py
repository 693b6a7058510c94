"""The mistakes that people make, as trees: what a page needs to say which of them gives a number that was typed.

A program has some two thousand of them, which share most of what they are made of; so each part of a tree, and of a
sentence, is written once, and referred to by its number. `expanded` says how they are read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import accumulate, count
from typing import Any

from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.grading.edits import words
from gatewise.grading.edits.carries import of_carries
from gatewise.grading.edits.edit import LIKELY, Edit, Scene
from gatewise.grading.edits.entries import mask, of_products, of_signs, of_units
from gatewise.grading.edits.enumeration import edits as of_program
from gatewise.render import text
from gatewise.render.plain import tree
from gatewise.symbolic.formula import Formula, MatMul, NumberRow, Sum, Symbol, Transpose, nodes, rebuild
from gatewise.symbolic.nonlinearities import ARGUMENT, apply, definition
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.rewrites import sized
from gatewise.symbolic.symbols import COLUMNS, UNITS
from gatewise.symbolic.wiring import Wiring

Object = dict[str, Any]

# What an edit of one entry is told with, and what its tree has in the place of that: 1 there, and 0 elsewhere.
ENTRY, COLUMN, OTHER = "{entry}", "{column}", "{other}"
OWN, HERE, THERE, THAT, REST = map(Symbol, ("own", "here", "there", "that", "rest"))
AT, STEPS, OTHER_STEP = 5, 17, 9  # a step of a run in which all that can be taken is of different ones
BETWEEN = (  # the names of quantities
    " is used instead of ",
    " are used instead of ",
    " has the wrong sign",
    " is added twice",
    " is there twice",
    " are added instead of multiplied",
    " in one place of ",
    " is missing from ",
    " is an extra factor of ",
    " in {}",
    " for ",
    ", ",
)
_MARKS: dict[Formula, Symbol] = {
    mask(0, 3): HERE,
    mask(0, 1): THERE,
    mask(1, 3): THAT,
    NumberRow((0.0, 1.0, 1.0)): REST,
}


def of_wiring(wiring: Wiring) -> list[Object]:
    """Return the edits of each program of a wiring, in the order in which `render.program.of_wiring` has them."""
    scenes: dict[object, Scene] = {}
    for cell in (one for row in wiring.cells for one in row):
        recurrent = cell.parameters.recurrent_size
        columns = recurrent + cell.parameters.input_size
        made = sized(cell.program, recurrent, columns)
        scenes.setdefault(made, Scene(made, recurrent, columns))
    return [edits(scene) for scene in scenes.values()]


def edits(scene: Scene) -> Object:
    """Return the edits of a program as plain data.

    Of edits that make the same of an equation the likeliest is kept; those that are likely are all kept, since with
    edits of other equations in the same words they are one mistake.

    Returns
    -------
    dict
        ``shapes``: the kinds of nodes, each with its fields and what those are: a node, nodes, one of the ``values``,
        or plain; ``nodes``: a shape's number and its fields, in which a node is written as what its number adds to
        the one in that place of the last node of the shape; ``nonlinearities``: the values, defined; ``parts``,
        ``words``: of sentences, with the class of mistakes first; ``gates``: what those are called; ``edits``: by
        target and tier the numbers of words and of the whole right side, one pair after the other, each by how much it
        is more than that of the pair before; ``carries``: kind, words, target and the terms of what a step takes from
        others, each with when: first, before, two steps before, at the turned step or another. Sentences have ``{}``
        where the equation is named.

        In the tier of one entry there are also ``{entry}``, ``{column}`` and ``{other}``, and the symbols here, there
        (of a column), that (the other entry) and rest (all but the entry). Those that can be made in any equation have
        the targets ``vector`` and ``matrix``, and the symbol own for the right side.
    """
    found = list(_merged(scene))
    trees, sentences = _Trees(right for _, right in found), _Sentences(scene)
    table: dict[str, dict[str, list[int]]] = {}
    for edit, right in found:
        of_target = table.setdefault(text.formula(edit.target), {})
        of_target.setdefault(edit.tier, []).extend((sentences.number(edit), trees.number(right)))
    nodes = trees.written()
    return {
        "shapes": [[name, [[one, kind] for one, kind in inner]] for name, inner in trees.shapes],
        "values": [tree(one, _no_symbol) for one in trees.values],
        "nonlinearities": [_nonlinearity(one) for one in trees.values if one not in (SIGMOID, TANH)],
        "nodes": nodes,
        "kinds": list(sentences.kinds),
        "parts": list(sentences.parts),
        "words": list(map(list, sentences.words)),
        "gates": {letter: f"the {name} {letter}" for letter, name in words.GATE_NAMES.items()},
        "carries": [*_carries(scene.program)],
        "edits": {target: {tier: _differences(pairs) for tier, pairs in of.items()} for target, of in table.items()},
    }


def _carries(program: Program) -> Iterator[list[Any]]:
    """Go through what may be wrong with what a step takes from others: kind, words, what, and the sum of what when."""
    when = {0: "first", STEPS - 1: "first", AT - 2: "two", AT - 1: "before", AT + 1: "before", STEPS - 1 - AT: "turned"}
    for edit in of_carries(program, AT, STEPS):
        terms = edit.tree.terms if isinstance(edit.tree, Sum) else (edit.tree,) if isinstance(edit.tree, Symbol) else ()
        times = [one.time for one in terms if isinstance(one, Symbol)]
        if edit.kind == "input of another step" and times != [OTHER_STEP]:
            continue
        told = edit.words.replace(f"step {OTHER_STEP} ", "step {other} ")
        of = [text.formula(replace(one, time=None)) for one in terms if isinstance(one, Symbol)]
        named = [[one, when.get(at, "other")] for one, at in zip(of, times, strict=True) if at is not None]
        yield [edit.kind, told, text.formula(edit.target), named]


def _differences(pairs: Sequence[int]) -> list[int]:
    """Return each number of pairs as what it adds to that of the pair before: small ones, which are deflated well."""
    return [one - before for one, before in zip(pairs, (0, 0, *pairs), strict=False)]


def expanded(found: Mapping[str, Any]) -> Iterator[Object]:
    """Go through edits that were written as plain data: kind, words, tier, target, tree."""
    nodes, last = list[list[Any]](), dict[tuple[int, int], int]()
    for shape, *values in found["nodes"]:
        places = count()

        def step(one: int, shape: int = shape, places: Iterator[int] = places) -> int:
            place = shape, next(places)
            last[place] = last.get(place, 0) + one
            return last[place]

        kinds = [kind for _, kind in found["shapes"][shape][1]]
        steps = [
            step(one) if kind == "node" else [step(part) for part in one] if kind == "nodes" else one
            for one, kind in zip(values, kinds, strict=True)
        ]
        nodes.append([shape, *steps])

    @lru_cache(None)
    def node(number: int) -> Object:
        shape, *values = nodes[number]
        name, inner = found["shapes"][shape]
        made: Object = {"node": name}
        for (key, kind), value in zip(inner, values, strict=True):
            match kind:
                case "node":
                    made[key] = node(value)
                case "nodes":
                    made[key] = [node(n) for n in value]
                case _:
                    made[key] = found["values"][value] if kind == "value" else value
        return made

    for target, tiers in found["edits"].items():
        for tier, pairs in tiers.items():
            for said, whole in zip(accumulate(pairs[::2]), accumulate(pairs[1::2]), strict=True):
                kind, *parts = found["words"][said]
                told = "".join(found["parts"][n] for n in parts)
                yield {
                    "kind": found["kinds"][kind],
                    "words": told,
                    "tier": tier,
                    "target": target,
                    "tree": node(whole),
                }


def _merged(scene: Scene) -> Iterator[tuple[Edit, Formula]]:
    """Go through the edits of a program and the right sides that they make; an unlikely one only where that is new."""
    seen = set[object]()
    for possible in of_program(scene):
        made = possible.edit.target, possible.form
        if possible.edit.tier == LIKELY or made not in seen:
            seen.add(made)
            yield possible.edit, possible.right
    for one in scene.program.assignments.values():
        every = of_products(one, 0, 3, _products(one), ENTRY)
        yield from ((edit, rebuild(edit.made(one.right), _mark)) for edit in every)
    for edit in _of_any():
        yield edit, rebuild(edit.made(OWN), _mark)


def _of_any() -> Iterator[Edit]:
    """Go through the slips in one entry of any equation that gives a vector, or a matrix."""
    vector = Assignment(Symbol("vector"), OWN, (UNITS,))
    yield next(of_units(vector, 0, (ENTRY, OTHER, "")))
    yield from of_signs(vector, HERE, ENTRY)
    yield from of_signs(Assignment(Symbol("matrix"), OWN, (UNITS, COLUMNS)), HERE, f"{ENTRY}, {COLUMN}")


def _products(one: Assignment) -> tuple[str, ...]:
    """Return what a product with each matrix of an equation is called; backward, of which gate it is."""
    found = [node.left for node in nodes(one.right) if isinstance(node, MatMul)]
    backward = [node.matrix for node in found if isinstance(node, Transpose)]
    gates = [matrix.sub for matrix in backward if isinstance(matrix, Symbol)]
    return tuple(f"{gate}: {COLUMN}" for gate in gates) if backward else (COLUMN,) * min(1, len(found))


def _mark(node: Formula) -> Formula | None:
    return _MARKS.get(node) if isinstance(node, NumberRow) else None


# Trees that share their parts.


@dataclass(frozen=True)
class _Shape:
    """A kind of node: its name, and its fields, each of which is plain, one of the values, a node or several."""

    name: str
    fields: tuple[tuple[str, str], ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.name, self.fields))


class _Trees:
    """Formulas as a table of nodes: those that are used most come first, for short numbers."""

    def __init__(self, trees: Iterable[Formula]) -> None:
        uses: Counter[Formula] = Counter()
        wanted = list(dict.fromkeys(trees))
        uses.update(wanted)
        while wanted:
            inner = [part for one in wanted for part in _inner(one)]
            wanted = list(dict.fromkeys(part for part in inner if part not in uses))
            uses.update(inner)
        self._numbers = {one: n for n, (one, _) in enumerate(uses.most_common())}
        self.values: list[Activation] = []
        self.shapes: list[_Shape] = list(dict.fromkeys(map(_shape, self._numbers)))

    def number(self, formula: Formula) -> int:
        """Return which node a formula is."""
        return self._numbers[formula]

    def written(self) -> list[list[Any]]:
        """Return the nodes as plain data."""
        last: dict[tuple[_Shape, int], int] = {}
        return [[self.shapes.index(_shape(one)), *self._values(one, last)] for one in self._numbers]

    def _values(self, formula: Formula, last: dict[tuple[_Shape, int], int]) -> Iterator[Any]:
        if isinstance(formula, Symbol):
            yield text.formula(formula)
            return
        shape, places = _shape(formula), count()

        def step(part: Formula) -> int:
            place, number = (shape, next(places)), self._numbers[part]
            before, last[place] = last.get(place, 0), number
            return number - before

        for one in fields(formula):
            value = getattr(formula, one.name)
            match _kind(value):
                case "node":
                    yield step(value)
                case "nodes":
                    yield [step(part) for part in value]
                case "value":
                    yield self._value(value)
                case _:
                    yield tree(value, _no_symbol)

    def _value(self, activation: Activation) -> int:
        if activation not in self.values:
            self.values.append(activation)
        return self.values.index(activation)


def _no_symbol(symbol: Symbol) -> Object:
    raise TypeError(f"a symbol among what is plain: {symbol!r}")


def _nonlinearity(activation: Activation) -> Object:
    defined = tree(definition(activation), lambda symbol: {"text": text.formula(symbol)})
    return {**tree(activation, _no_symbol), "name": apply(activation, ARGUMENT).name, "definition": defined}


def _kind(value: object) -> str:
    if isinstance(value, Formula):
        return "node"
    if isinstance(value, Activation):
        return "value"
    return "nodes" if isinstance(value, tuple) and value and isinstance(value[0], Formula) else "plain"


def _shape(formula: Formula) -> _Shape:
    if isinstance(formula, Symbol):
        return _Shape("symbol", (("text", "plain"),))
    inner = tuple((one.name, _kind(getattr(formula, one.name))) for one in fields(formula))
    return _Shape(formula.kind, inner)


def _inner(formula: Formula) -> Iterator[Formula]:
    if isinstance(formula, Symbol):
        return
    for one in fields(formula):
        value = getattr(formula, one.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Formula):
                yield part


# Sentences that share theirs.


@dataclass
class _Sentences:
    """What edits are told in, as numbers of parts: the names of quantities, and what is between them."""

    scene: Scene
    kinds: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    words: dict[tuple[int, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        called = {words.the(symbol) for symbol in self.scene.program.axes}
        called |= {f"the {name}" for name in words.GATE_NAMES.values()}
        self._names = re.compile(f"((?:{_any(called)})(?![\\w^])|{_any(BETWEEN)})")

    def number(self, edit: Edit) -> int:
        """Return which sentence an edit is told in."""
        kind = self.kinds.setdefault(edit.kind, len(self.kinds))
        parts = [self.parts.setdefault(one, len(self.parts)) for one in self._names.split(edit.words) if one]
        return self.words.setdefault((kind, *parts), len(self.words))


def _any(alternatives: Iterable[str]) -> str:
    longest: Sequence[str] = sorted(alternatives, key=lambda one: (-len(one), one))
    return "|".join(map(re.escape, longest))
