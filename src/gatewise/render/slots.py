"""Formulas as templates: MathML and text as data, with slots for the numbers of one unit.

Filled, a template is what `substitute` and the writers of MathML and text make of a formula. Whoever fills it knows
nothing of formulas. A template is text; a list ``[tag, attributes?, *templates]``, an element; or a list that begins
with $ or, as a term of a sum, with its sign:

- ``["$s", name]``: what a symbol looks like.
- ``["$n", how, ref]``: a number, plain (""), in brackets if it is negative ("t") or also if it is in scientific
  notation ("b"), or without its sign ("a"); how many entries a vector has ("#").
- ``["$list", ref]``: numbers with commas between them.
- ``["$row", template]``: one element, an mrow if what stands in it is not one itself.
- ``["$sum", *terms]``. A term is ``[sign, *templates]``, ``["±", ref, *templates]`` or, of a number alone,
  ``["±0", ref, *templates]``, whose sign is that of the number; ``["$pairs", matrices, turned, vector]``: a product for
  each column of the entrywise product of matrices, or of rows if `turned`; ``["$each", vector, term]``: a term for each
  entry of a vector.

A ref is a name: its entry, or its row, of the unit; ``[name]``: the number, or all entries; ``[name, start]``: the
entry at start + unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

from gatewise.render import mathml, text
from gatewise.render.mathml import Element, Nodes, bracketed, nodes_of
from gatewise.render.writing import FIRST_TERMS, LEFT_OUT_MARK, MAX_TERMS, needs_brackets_after, signed_term
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import OVER_A_VECTOR, Formula, Number, Symbol, nodes, rebuild
from gatewise.symbolic.heads import Head, head_equations, head_inputs
from gatewise.symbolic.program import Assignment, Program
from gatewise.walkthrough.numbers import GLUE

Template = Any
Ref = str | tuple[str | int, ...]
Ranks = Mapping[Symbol, int]
SIGNS = ("+", "-", "±", "±0")  # what terms of sums begin with


@dataclass(frozen=True)
class Slot(Number):
    """A number that is put in later."""

    value: float = nan
    ref: Ref = ""
    how: str = ""


@dataclass(frozen=True)
class Entries(tree.NumberRow):
    """Numbers side by side that are put in later."""

    values: tuple[float, ...] = ()
    ref: Ref = ""


@dataclass(frozen=True)
class Pairs(Formula):
    """The products of a row of a matrix, or of a column if `turned`, with a vector: terms of a sum."""

    matrices: tuple[str, ...]
    turned: bool
    vector: str


@dataclass(frozen=True)
class Each(Formula):
    """A term for each entry of a vector."""

    vector: str
    term: Formula


def of_program(program: Program) -> dict[str, Any]:
    """Return the equations of a program, sized, as templates.

    Returns
    -------
    dict
        ``symbols``: by name, what each looks like. ``lines``: by the name of what each equation gives, its right side
        in symbols, as templates (``math``) and as ``text``, and with slots, as templates of MathML (``put``) and of
        text (``told``); these are None where no numbers go into it. ``elided``: of a longer sum or row the first terms
        are shown, a text, and the last.
    """
    return _equation_templates((*program.forward, *program.backward), program.ranks)


def of_head(head: Head) -> dict[str, Any]:
    """Return the equations of a network's head rendered as templates for the web page: see `of_program`."""
    equations = head_equations(head)
    ranks = {symbol: len(axes) for symbol, (axes, _) in head_inputs(head).items()}
    return _equation_templates(equations, ranks | {line.left: len(line.axes) for line in equations})


def _equation_templates(equations: Iterable[Assignment], ranks: Ranks) -> dict[str, Any]:
    """Return equations as templates whose slots a page fills with numbers: see `of_program`."""
    return {
        "symbols": {text.formula(symbol): _templates_of(nodes_of(symbol))[0] for symbol in ranks},
        "lines": {text.formula(line.left): _line_templates(line, ranks) for line in equations},
        "elided": {"most": MAX_TERMS, "first": FIRST_TERMS, "text": LEFT_OUT_MARK},
    }


def _line_templates(line: Assignment, ranks: Ranks) -> dict[str, Any]:
    templates = {"math": _Math().templates(line.right), "text": text.formula(line.right), "put": None, "told": None}
    over = [node for node in nodes(line.right) if isinstance(node, tree.FunctionCall) and node.name in OVER_A_VECTOR]
    if not isinstance(line.right, tree.Concatenation) and all(node.name == "mean" for node in over):
        slotted = with_slots(line.right, ranks)
        templates |= {"put": _Math().templates(slotted), "told": _Text().templates(slotted)}
    return templates


def with_slots(formula: Formula, ranks: Ranks) -> Formula:
    """Return a formula as a template to render: with slots where `substitute` puts the numbers of one unit."""

    def slotted_term(term: Formula) -> Formula:
        return _matrix_product_pairs(term) if isinstance(term, tree.MatMul) else with_slots(term, ranks)

    def put_slot(node: Formula) -> Formula | None:
        """Return the slot of a template for a symbol, or a sum, product or mean with slots; None keeps the node."""
        match node:
            case Symbol():
                name, rank = text.formula(node), ranks[node]
                return Entries(ref=name) if rank == 2 else Slot(ref=name if rank else (name,))
            case tree.Sum(terms):
                return tree.Sum(tuple(map(slotted_term, terms)))
            case tree.MatMul():
                return tree.Sum((_matrix_product_pairs(node),))
            case tree.Outer(Symbol() as left, Symbol() as right):
                return tree.Product((Slot(ref=text.formula(left)), Entries(ref=(text.formula(right),))))
            case tree.Slice(vector, int(start)):
                return Slot(ref=(text.formula(vector), start))
            case tree.FunctionCall("mean", (argument,)):
                over = next(
                    text.formula(part) for part in nodes(argument) if isinstance(part, Symbol) and ranks[part] == 1
                )
                return tree.Quotient(tree.Sum((Each(over, with_slots(argument, ranks)),)), Slot(ref=over, how="#"))
        return None

    return rebuild(formula, put_slot)


def _matrix_product_pairs(product: tree.MatMul) -> Pairs:
    left, turned = product.left, isinstance(product.left, tree.Transpose)
    if isinstance(left, tree.Transpose):
        left = left.matrix
    matrices = left.factors if isinstance(left, tree.Product) else (left,)
    assert isinstance(product.right, Symbol)
    names = tuple(text.formula(factor) for factor in matrices if isinstance(factor, Symbol))
    return Pairs(names, turned, text.formula(product.right))


def _sign_of_term(term: Formula) -> tuple[str, Ref, Formula]:
    """Return a term to render, with slots, as its sign, the number whose sign it is if there is one, and the rest."""
    match term:
        case tree.Negative(tree.Product((Slot() as first, *rest))):
            return "-", "", tree.Product((replace(first, how="t"), *rest))
        case tree.Negative(Slot() as number):
            return "-", "", replace(number, how="t")
        case Slot(ref=ref):
            return "±0", ref, replace(term, how="a")
        case tree.Product((Slot(ref=ref) as first, *rest)):
            return "±", ref, tree.Product((replace(first, how="a"), *rest))
    sign, other = signed_term(term)
    return sign, "", other


def _bracket_if_negative(node: Formula) -> Formula:
    """Return a factor whose slot, in a template, puts a negative number in brackets."""
    while isinstance(node, tree.Slope):
        node = node.body
    return replace(node, how=node.how or "t") if isinstance(node, Slot) else node


class _Math(mathml.MathWriter):
    """Writes formulas as MathML with further elements, whose tags begin with $, for what is put in later."""

    def templates(self, node: Formula) -> list[Template]:
        return _templates_of(self.write(node))

    def write(self, node: Formula) -> Nodes:
        """Return a formula as MathML in which elements with a $ stand for symbols and slots."""
        match node:
            case Symbol():
                return _slot_element("$s", text.formula(node))
            case Slot(ref=ref, how=how):
                return _slot_element("$n", how, ref)
            case Entries(ref=ref):
                return bracketed(_slot_element("$list", ref), "[]")
        return super().write(node)

    def sum(self, node: tree.Sum) -> Nodes:
        return (_sum_element(node, self.term),)

    def tight(self, node: Formula) -> Nodes:
        return super().tight(_bracket_if_negative(node))

    def base(self, node: Formula) -> Nodes:
        return self.write(replace(node, how="b")) if isinstance(node, Slot) else super().base(node)


def _sum_element(node: tree.Sum, write: Callable[[str, Formula], Nodes]) -> Element:
    """Return a sum as an element of a template; `write` returns the content of a term behind a sign."""

    def term_element(term: Formula) -> Element:
        """Return a term of the sum as an element that the rendered HTML fills, behind its sign."""
        match term:
            case Pairs(matrices, turned, vector):
                return Element("$pairs", (), {"head": (list(matrices), int(turned), vector)})
            case Each(vector, inner):
                return Element("$each", (term_element(inner),), {"head": (vector,)})
        sign, ref, rest = _sign_of_term(term)
        return Element(f"${sign}", write(sign, rest), {"head": (ref,) if ref else ()})

    return Element("$sum", tuple(map(term_element, node.terms)))


def _slot_element(kind: str, *values: Any) -> Nodes:
    return (Element(kind, (), {"head": values}),)


def _templates_of(nodes: Nodes) -> list[Template]:
    return [_element_template(node) if isinstance(node, Element) else node for node in nodes]


def _element_template(element: Element) -> Template:
    """Return a MathML element as a template: a list of its tag, attributes and content."""
    inner, attributes = _templates_of(element.children), dict(element.attributes)
    if element.tag.startswith("$"):
        tag = element.tag[1:] if element.tag[1:] in SIGNS else element.tag
        return [
            tag,
            *(list(value) if isinstance(value, tuple) else value for value in attributes.get("head", ())),
            *inner,
        ]
    if element.tag == "mrow" and not attributes and len(inner) == 1 and str(inner[0][0]).startswith("$"):
        return ["$row", *inner]
    return [element.tag, *([attributes] if attributes else []), *inner]


@dataclass(frozen=True)
class _Text(text.TextWriter):
    """Writes formulas as text with letters of private use for what is put in later."""

    most: int | None = None
    found: list[Template] = field(default_factory=list)

    def templates(self, node: Formula) -> list[Template]:
        return self._split_placeholders(self.write(node))

    def _split_placeholders(self, written: str) -> list[Template]:
        """Return the parts of a text template: plain text, and the slots that its letters of private use stand for."""
        parts = re.split("([\ue000-\uf8ff])", written.replace(GLUE, " "))
        return [self.found[ord(part) - 0xE000] if n % 2 else part for n, part in enumerate(parts) if part]

    def _placeholder(self, template: Template) -> str:
        self.found.append(template)
        return chr(0xE000 + len(self.found) - 1)

    def write(self, node: Formula) -> str:
        """Return a formula as text, with placeholders for the slots of a template."""
        match node:
            case Slot(ref=ref, how=how):
                return self._placeholder(["$n", how, ref])
            case Entries(ref=ref):
                return f"[{self._placeholder(['$list', ref])}]"
        return super().write(node)

    def tight(self, node: Formula) -> str:
        return super().tight(_bracket_if_negative(node))

    def sum(self, node: tree.Sum) -> str:
        return self._placeholder(_element_template(_sum_element(node, self._term_templates)))

    def _term_templates(self, sign: str, rest: Formula) -> tuple[Template, ...]:
        written = self.product(rest, bracketed=True) if isinstance(rest, tree.Product) else self.write(rest)
        return tuple(self._split_placeholders(f"({written})" if needs_brackets_after(sign, rest) else written))
