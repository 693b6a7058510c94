"""Words, formulas and NumPy source about a page's programs, which the page fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatewise.files.tables import FORMULA
from gatewise.gates import LETTERS, NAMES, index
from gatewise.grading.edits.edit import GATE_NAMES
from gatewise.render import code, slots, text
from gatewise.render.data import formula_tree
from gatewise.render.layout import write_words
from gatewise.render.notebook import function_names, setup, wrapped
from gatewise.symbolic import heads
from gatewise.symbolic.formula import (
    C_CLIP,
    C_NEW,
    C_NORM,
    C_PREV,
    C_RAW,
    DC_NEXT,
    DH,
    DH_NEXT,
    DY,
    H_NEW,
    H_PREV,
    H_RAW,
    C,
    Formula,
    H,
    M,
    R,
    Symbol,
    X,
    Z,
    d,
)
from gatewise.symbolic.heads import Head, head_equations, head_inputs
from gatewise.symbolic.nonlinearities import ARGUMENT, definition, textbook
from gatewise.symbolic.program import GRADIENT, Assignment, Program
from gatewise.symbolic.wiring import Wiring
from gatewise.walkthrough import grouping, sentences
from gatewise.walkthrough.sentences import QuantitySentence, Wording
from gatewise.walkthrough.setting import activations_of

Object = dict[str, Any]
USED_NAMES = ("show", "a")


def source_of_program(program: Program) -> Object:
    """Return the NumPy source of a program's step, without the numbers that it is given.

    Returns
    -------
    dict
        ``head``: the first lines. ``forward`` and ``backward``: each ``given``, pairs of a quantity and what it is
        called, whose numbers come next, and the ``lines`` that compute and print the rest.
    """
    allotted = code.NameAllocator(*USED_NAMES)
    functions = function_names(activations_of(program.form.variant), allotted)
    names = {symbol: allotted.name(symbol, code.identifier(symbol)) for symbol in program.axes}
    head = setup("all")
    for activation, name in functions.items():
        if activation.name != "tanh":
            body: Formula = textbook(activation) if activation.name == "sigmoid" else definition(activation)
            head += f"\n\n\ndef {name}(a):\n    return {code.expression(body, {ARGUMENT: 'a'})}"

    def source_lines(equations: tuple[Assignment, ...]) -> list[str]:
        lines = [f"{names[line.left]} = {code.expression(line.right, names, functions)}" for line in equations]
        printed = ", ".join(f"{name}={name}" for name in (names[line.left] for line in equations))
        return [*lines, "", wrapped(f"show({printed})", 5)]

    def variables(*, backward: bool) -> list[list[str]]:
        symbols = [given.symbol for given in program.given if (given.kind == GRADIENT) == backward]
        return [[text.formula(symbol), names[symbol]] for symbol in symbols]

    return {
        "head": head,
        "forward": {"given": variables(backward=False), "lines": source_lines(program.forward)},
        "backward": {"given": variables(backward=True), "lines": source_lines(program.backward)},
    }


HUES = {
    name: f"quantity-{letter}" for letter, name in zip("ifgoch", (*NAMES, "cell_state", "hidden_state"), strict=True)
}


def words(wiring: Wiring) -> list[Object]:
    """Return the words about each program of a wiring, and behind them about its head, if it has one.

    Returns
    -------
    list of dict
        ``names``: of quantities. ``sayings``: by the key of a section of a walkthrough, the sentence on
        each unit (see `gatewise.walkthrough.sentences`), or of all alike. ``of``: by the name of a quantity, that key.
        ``moment``: what happens in a unit.
        ``conditions``: of the cases in these, by their numbers. ``each``: what is said of few units or of many.
        ``weights``: what is said of the largest gradient. ``gates``: the columns of a table of gates. ``formula``: what
        formulas begin with in spreadsheets. ``source``: see `gatewise.playground.words`.
    """
    cells = [_words_about_program(program, p.recurrent_size, p.input_size) for program, p in wiring.programs.items()]
    return (
        [*cells, {"names": _names_of_head(wiring.head), "of": {}, "sayings": {}}] if wiring.head is not None else cells
    )


def formulas(wiring: Wiring) -> list[Object]:
    """Return the equations of each program of a wiring as templates, and behind them of its head: `render.slots`."""
    templates = [slots.of_program(program) for program in wiring.programs]
    templates += [slots.of_head(wiring.head)] if wiring.head is not None else []
    return [_with_hue_classes(template) for template in templates]


def _with_hue_classes(node: Any) -> Any:
    """Return templates with the CSS classes that the page has for the hues of quantities."""
    if isinstance(node, list):
        return [_with_hue_classes(part) for part in node]
    if not isinstance(node, dict):
        return node
    return {key: HUES[value] if key == "class" else _with_hue_classes(value) for key, value in node.items()}


def _words_about_program(program: Program, recurrent: int, inputs: int) -> Object:
    """Return the page's words about one program: names, sentences with their conditions, source (see `words`)."""
    conditions: list[Formula] = []
    sayings = {key: _sentence_data(about, conditions) for key, about in sentences.quantity_sentences(program).items()}
    moment = _sentence_data(sentences.moment_sentence(program), conditions)
    fixed = {
        "input": [sentences.INPUT],
        "arriving": [sentences.ARRIVING_AT_OUTPUT],
        "sums": [sentences.SUMS],
        "combined_input": sentences.dropout_masks_of(program),
    }
    if Z in program.axes:
        fixed["combined_input"].append(sentences.combined(program, recurrent, inputs))
    sayings |= {
        key: {"words": " ".join(write_words(line, text.formula) for line in lines)} for key, lines in fixed.items()
    }
    of = {X: "input", H_PREV: "input", C_PREV: "input"}
    of |= dict.fromkeys((DY, DH, DH_NEXT, DC_NEXT), "arriving")
    for sections in (grouping.forward_by_section(program.forward), grouping.backward_by_section(program.backward)):
        of |= {line.left: key for key, lines in sections.items() for line in lines if _is_of(line.left, key)}
    of |= {d(program.form.computed(Symbol(k))): f"d_{NAMES[index(k)]}" for k in program.form.weighted_gates}
    matrices = [line.left for line in program.backward if line.sums and line.left.base in "WU"]
    return {
        "names": {text.formula(symbol): name_of(symbol) for symbol in program.axes},
        "sayings": sayings,
        "of": {text.formula(symbol): key for symbol, key in of.items() if key in sayings or key == "d_weights"},
        "moment": moment,
        "conditions": [formula_tree(condition) for condition in conditions],
        "each": {"most": sentences.MAX_UNITS, **sentences.EACH},
        "weights": {**sentences.WEIGHTS, "of": [[text.formula(matrix), GATE_NAMES[matrix.sub]] for matrix in matrices]},
        "gates": [[letter, name] for letter, name in zip(LETTERS, NAMES, strict=True)],
        "formula": FORMULA,
        "source": source_of_program(program),
    }


def _is_of(symbol: Symbol, key: str) -> bool:
    bases = {"d_cell_state": ("c", "c_raw", "c_new"), "d_previous": ("c_prev",), "d_weights": ("W", "U")}
    return symbol.base in bases.get(key, (symbol.base,))


# Sentences.


def _sentence_data(sentence: QuantitySentence, conditions: list[Formula]) -> Object:
    """Return a sentence about a quantity as plain data for the page: its variables, and wordings of each part."""
    pattern = sentence.pattern
    return {
        "of": text.formula(sentence.of),
        "variables": {name: formula_tree(formula) for name, formula in sentence.variables.items()},
        "parts": [[_wording_data(wording, conditions) for wording in wordings] for wordings in pattern.parts],
        "what": pattern.quantity,
        "begins": pattern.begins,
    }


def _wording_data(wording: Wording, conditions: list[Formula]) -> Object:
    """Return a wording as plain data; its condition is a number, for many wordings have the same."""
    plain: Object = {"words": wording.words}
    if wording.when is not None:
        if wording.when not in conditions:
            conditions.append(wording.when)
        plain["when"] = conditions.index(wording.when)
    return plain


# Names.

_NAMED: Mapping[Symbol, str] = {
    X: "input",
    H_PREV: "previous hidden state",
    C_PREV: "previous cell state",
    Z: "combined input",
    C: "cell state",
    C_RAW: "cell state before its clip",
    C_NEW: "cell state before zoneout",
    C_NORM: "normalised cell state",
    C_CLIP: "clipped cell state for the output",
    H: "hidden state",
    H_RAW: "hidden state before its clip",
    H_NEW: "hidden state before zoneout",
    M: "hidden state before its projection",
    R: "weights of the projection",
    DH_NEXT: "gradient of the hidden state from the next step",
    DC_NEXT: "gradient of the cell state from the next step",
    DY: "gradient of the output of this step",
    Symbol("z", "h"): "previous hidden state under its dropout mask",
    Symbol("z", "x"): "input under its dropout mask",
    Symbol("mask", "h"): "dropout mask of the hidden state",
    Symbol("mask", "x"): "dropout mask of the input",
    Symbol("k", "h"): "zoneout mask of the hidden state",
    Symbol("k", "c"): "zoneout mask of the cell state",
    Symbol("u"): "recurrent sums of all gates",
    Symbol("w"): "input sums of all gates",
    Symbol("c_seen", d=True): "gradient of the cell state through the output",
    **{Symbol(letter): name for letter, name in GATE_NAMES.items()},
}
_OF_HEAD: Mapping[Symbol, str] = {
    heads.V: "weights of the output",
    heads.B_Y: "bias of the output",
    heads.A_Y: "pre-activation of the output",
    heads.U_Y: "output before skip connection and scaling",
    heads.READ: "input of the head",
    heads.SKIPPED: "addend of the skip connection",
    heads.SCALE: "scale of the output",
    heads.CENTER: "center of the output",
    heads.LEAST: "least that the output can be",
    heads.OUTPUT: "output",
}
_OF_DENSE = {"V": "weights", "b": "bias", "a": "pre-activation", "r": "output"}
_OF_GATES = {
    "a": "pre-activation",
    "W": "weights",
    "U": "recurrent weights",
    "b": "bias",
    "p": "peephole weight",
    "γ": "gain",
    "β": "shift",
    "q": "weighted sum",
    "n": "normalised sum",
    "u": "recurrent sum",
    "w": "input sum",
    "D": "DropConnect mask",
    "μ": "mean",
    "v": "variance",
}
_SUMS = {letter: _OF_GATES[letter] for letter in "uw"}


def _names_of_head(head: Head) -> dict[str, str]:
    symbols = (*head_inputs(head), *(line.left for line in head_equations(head)))
    return {text.formula(symbol): _name_in_head(symbol) for symbol in symbols}


def _name_in_head(symbol: Symbol) -> str:
    if symbol.d:
        return f"gradient of the {_name_in_head(replace(symbol, d=False))}"
    return _OF_HEAD.get(symbol) or f"{_OF_DENSE[symbol.base]} of dense layer {symbol.sub}"


def name_of(symbol: Symbol) -> str:
    """Return the name of a quantity in words, for the web page to play with.

    Examples
    --------
    >>> name_of(Symbol("W", "f")), name_of(Symbol("a", "o", d=True))
    ('weights of the forget gate', 'gradient of the pre-activation of the output gate')
    """
    if symbol in _NAMED:
        return _NAMED[symbol]
    if symbol.d:
        return f"gradient of the {name_of(replace(symbol, d=False))}"
    sub, comma, _ = symbol.sub.partition(",")
    if symbol.base not in _OF_GATES or not sub:
        return text.formula(symbol)
    of = _subscript_in_words(sub)
    return f"{_OF_GATES[symbol.base]} of {of}{' before its clip' if comma else ''}" if of else text.formula(symbol)


def _subscript_in_words(sub: str) -> str:
    """Return the subscript of a symbol in words for the page: the forget gate for f, the cell state for c."""
    if sub in GATE_NAMES:
        return f"the {GATE_NAMES[sub]}"
    if sub in _SUMS:
        return f"the {_SUMS[sub]}s"
    if sub[0] in _SUMS and sub[1:] in GATE_NAMES:
        return f"the {_SUMS[sub[0]]} of the {GATE_NAMES[sub[1:]]}"
    return "the cell state" if sub.startswith("c") else ""
