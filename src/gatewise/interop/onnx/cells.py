"""An LSTM cell that an exporter built from Gemm or MatMul, Split, Sigmoid, Tanh, Mul and Add, recognised again.

It is looked for from its end: h = σ(a_o) · tanh(c) with c = σ(a_f) · c_prev + σ(a_i) · tanh(a_g), where the four
a come out of one Split into equal parts; which part goes where says the order of the gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import permutations
from typing import Any, NamedTuple

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import GatewiseError
from gatewise.interop import conventions
from gatewise.interop.containers.floats import real
from gatewise.interop.found import Found, Refused
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.scopes import Scope
from gatewise.interop.onnx.sites import Site
from gatewise.layers import LSTM

STEPS = 130  # of work that one cell takes
_PASSING = ("Gather", "Slice", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Split", "Transpose", "Cast")


class _Made(NamedTuple):
    scope: Scope
    node: Any
    place: int

    def inputs(self, count: int) -> Iterator[tuple[str, ...]]:
        """Give the inputs in either order: products and sums are commutative."""
        if len(self.node.input) == count:
            yield from permutations(self.node.input)


def _made(scope: Scope, name: str, *operators: str) -> _Made | None:
    source = scope.source(name)
    if source is None or source[1].op_type not in operators or source[1].domain not in ("", "ai.onnx"):
        return None
    return _Made(*source) if source[1].input else None


def _gate(scope: Scope, name: str, operator: str) -> _Made | None:
    """Return the Split that a gate's nonlinearity reads."""
    made = _made(scope, name, operator)
    return made and _made(made.scope, made.node.input[0], "Split")


def cell_at(site: Site, name: str) -> Found | None:
    """Return the cell whose hidden state a Mul computes; None if it is another Mul.

    Raises
    ------
    NotConstant
        If it is a cell that cannot be read.
    """
    matched = _matched(site)
    if matched is None:
        return None
    site.scope.file.budget.work(STEPS, "reading its LSTM cells")
    try:
        return _read(site, name, *matched)
    except (ValueError, IndexError) as problem:
        if isinstance(problem, GatewiseError):
            raise
        raise NotConstant(f"its arrays do not fit each other ({problem})") from None


def _read(site: Site, name: str, order: str, split: _Made, c_prev: tuple[Scope, str]) -> Found:
    terms, biases = _terms(split)
    for weight, _ in terms:
        if weight.ndim != 2 or weight.shape[1] % 4 or weight.dtype.name not in ("float16", "float32", "float64"):
            raise NotConstant(f"its weights have shape {weight.shape}")
    hidden = terms[0][0].shape[1] // 4
    lengths = _lengths(split)
    if len(split.node.output) != 4 or lengths not in ([], [hidden] * 4):
        raise NotConstant(f"its Split makes parts of {lengths}, not four equal ones")
    arrays = [*(weight for weight, _ in terms), *biases]
    site.scope.file.hold(4 * sum(one.size for one in arrays), max(4, *(one.itemsize for one in arrays)))
    recurrent, inputs = _told_apart(terms, hidden, lambda name: _is_state(site, c_prev, split.scope, name), split.scope)

    framework = next((one for one, letters in gates.ORDERS.items() if letters == order), "gatewise")

    def rows(array: Array) -> Array:  # (·, 4 · hidden) to (4 · hidden, ·), in an order that has a name
        found = real(array.T)
        if gates.ORDERS[framework] == order:
            return found
        parts = found.reshape(4, hidden, -1)
        return parts[[order.index(letter) for letter in gates.ORDERS[framework]]].reshape(4 * hidden, -1)

    p = conventions.parameters(framework, rows(inputs), rows(recurrent), [rows(one)[:, 0] for one in biases])
    what = "it is a cell in the body of a Scan" if site.scope.carried else "it is one step of a cell"
    return Found(
        name,
        LSTM.from_cells(p, direction="backward" if site.scope.backward else "forward"),
        f"ONNX, an LSTM cell built from standard operators: gates {' '.join(order)}, the biases summed",
        " → ".join([*site.scope.path, f"node {site.label!r}"]),
        (f"{what}, recognised by its equations; the file has no node LSTM for it",),
    )


def _lengths(split: _Made) -> list[int]:
    """Return the sizes of the parts, of many the first few; none where they are not given."""
    if len(split.node.input) > 1 and split.node.input[1]:
        return [int(one) for one in split.scope.value(split.node.input[1]).flat[:8]]
    return [int(one) for one in split.scope.attributes_of(split.node).get("split", "ints", [])[:8]]


def _matched(site: Site) -> tuple[str, _Made, tuple[Scope, str]] | None:
    """Return the order of the gates, the Split, and where the old cell state comes from."""
    for o_name, t_name in _Made(site.scope, site.node, 0).inputs(2):
        o, t = _gate(site.scope, o_name, "Sigmoid"), _made(site.scope, t_name, "Tanh")
        c = t and _made(t.scope, t.node.input[0], "Add")
        if o is None or c is None:
            continue
        for kept_name, new_name in c.inputs(2):
            kept, new = _made(c.scope, kept_name, "Mul"), _made(c.scope, new_name, "Mul")
            if kept is None or new is None:
                continue
            for (f_name, c_name), (i_name, g_name) in ((a, b) for a in kept.inputs(2) for b in new.inputs(2)):
                f = _gate(kept.scope, f_name, "Sigmoid")
                i, g = _gate(new.scope, i_name, "Sigmoid"), _gate(new.scope, g_name, "Tanh")
                if f is None or i is None or g is None:
                    continue
                places = dict(zip((i.place, f.place, g.place, o.place), "ifgo", strict=True))
                if {id(one.node) for one in (i, f, g)} == {id(o.node)} and sorted(places) == [0, 1, 2, 3]:
                    return "".join(places[place] for place in range(4)), o, (kept.scope, c_name)
    return None


def _terms(split: _Made) -> tuple[list[tuple[Array, str]], list[Array]]:
    """Return what is summed: products, each a weight (·, 4 · hidden) and what it meets, and biases (1, 4 · hidden)."""
    scope, waiting = split.scope, [split.node.input[0]]
    terms: list[tuple[Array, str]] = []
    biases: list[Array] = []
    while waiting and len(terms) + len(biases) < 8:
        name = waiting.pop()
        scope.file.budget.work(4, "reading its LSTM cells")
        made = _made(scope, name, "Add", "MatMul", "Gemm")
        if made is None or made.scope is not scope:
            biases.append(_row(scope, name))
        elif made.node.op_type == "Add":
            waiting += made.node.input
        else:
            attributes = Site(made.scope, made.node).attributes
            scales = [attributes.get(one, "f", 1.0) for one in ("alpha", "beta")]
            if attributes.get("transA", "i", 0) or scales != [1, 1]:
                raise NotConstant("it has a Gemm that scales or transposes its input")
            weight = scope.value(made.node.input[1])
            terms.append((weight.T if attributes.get("transB", "i", 0) else weight, made.node.input[0]))
            biases += [_row(scope, one) for one in made.node.input[2:3] if one]
    if waiting or len(terms) not in (1, 2):
        raise NotConstant(f"its pre-activations are sums of {len(terms)} products; only 1 or 2 are recognised")
    return terms, biases


def _row(scope: Scope, name: str) -> Array:
    array = scope.value(name)
    scope.file.hold(array.size, array.itemsize)  # of numbers that are one in memory
    return array.reshape(1, -1)


def _told_apart(
    terms: list[tuple[Array, str]], hidden: int, is_state: Callable[[str], bool], scope: Scope
) -> tuple[Array, Array]:
    """Return the recurrent weights and the input's: those that meet a state recur."""
    if len(terms) == 1:  # of h and x, concatenated
        weight, name = terms[0]
        both = _made(scope, name, "Concat")
        if both is None or len(both.node.input) != 2:
            raise NotConstant("its one product is not of the hidden state and the input")
        first, second = (is_state(one) for one in both.node.input)
        if first == second:
            raise NotConstant("the file does not distinguish its hidden state from its input")
        return (weight[:hidden], weight[hidden:]) if first else (weight[-hidden:], weight[:-hidden])
    square = [weight.shape[0] == hidden for weight, _ in terms]
    if all(square):
        square = [is_state(name) for _, name in terms]
    if sum(square) != 1:
        raise NotConstant("the file does not distinguish its hidden state from its input")
    place = square.index(True)
    return terms[place][0], terms[1 - place][0]


def _is_state(site: Site, c_prev: tuple[Scope, str], scope: Scope, name: str) -> bool:
    """Say whether a name is the old hidden state: a part of what the old cell state comes with, or, in the body of a
    Scan, what the new hidden state is at the next step.
    """
    root, body = _root(scope, name), site.scope
    if root == _root(*c_prev):
        return True
    after = body.carried.get(root[1]) if root[0] == id(body) else None
    return after is not None and _root(body, after) == (id(body), site.node.output[0])


def _root(scope: Scope, name: str) -> tuple[int, str]:
    """Return what a name is a part of."""
    for _ in range(100):
        made = _made(scope, name, *_PASSING)
        if made is None:
            break
        scope, name = made.scope, made.node.input[0]
    with suppress(NotConstant):
        scope, name = scope.owner(name)
    return id(scope), name


def unrecognised(sites: list[Site], read: set[int]) -> Iterator[Refused]:
    """Name graphs with the operators of an LSTM cell, none of which was recognised."""
    counts: dict[int, Counter[str]] = {}
    scopes = {id(site.scope): site.scope for site in sites}
    for site in sites:
        counts.setdefault(id(site.scope), Counter())[site.node.op_type] += 1
    for key, count in counts.items():
        products = [one for one in ("Gemm", "MatMul") if count[one]]
        cut = [one for one in ("Split", "Slice") if count[one]]
        if key not in read and count["Sigmoid"] >= 3 and count["Tanh"] and count["Mul"] >= 2 and products and cut:
            operators = ", ".join([*products, *cut, "Sigmoid"])
            yield Refused(
                "/".join(scopes[key].path) or "the main graph",
                f"it holds what may be an LSTM cell built from {operators} and Tanh, in a form that is not recognised",
            )
