"""The notations of a walkthrough: gatewise's own symbols, or those of the reader's textbook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from gatewise.errors import one_of
from gatewise.symbolic.formula import COMPUTED, OF_EDITS, Concatenation, Formula, MatMul, Outer, Symbol, rebuild


def _state_symbols(now: Callable[[str], tuple[str, str]], before: Callable[[str], tuple[str, str]]) -> dict[Any, Any]:
    """Return the symbols of the input, the states and the gates, each made by `now` or `before`."""
    old = {("h_prev", ""): before("h"), ("c_prev", ""): before("c")}
    return {(letter, ""): now(letter) for letter in "xhcifgoz"} | old


_T, _BEFORE = (lambda letter: (letter, "t")), (lambda letter: (letter, "t-1"))

NOTATION_FIELDS: dict[str, dict[str, Any]] = {
    "gatewise": {"source": "gatewise's equations"},
    "notebook": {
        "source": "the worked example",
        "symbols": {(letter, ""): (letter, "t") for letter in "xhcifo"}
        | {("g", ""): ("c_tilde", ""), ("z", ""): ("combined_input", "")}
        | {(matrix, k): (matrix + name, "") for matrix in "Wb" for k, name in zip("fiogc", "fiocc", strict=True)},
        "letters": {"g": "c"},
    },
    "olah": {
        "source": 'Christopher Olah, "Understanding LSTM Networks", 2015',
        "symbols": _state_symbols(_T, _BEFORE)
        | {("c", ""): ("C", "t"), ("c_prev", ""): ("C", "t-1"), ("g", ""): ("C̃", "t")},
        "bases": {"c_new": "C_new", "c_raw": "C_raw", "c_norm": "C_norm", "c_clip": "C_clip", "c_next": "C_next"},
        "letters": {"g": "C", "c": "C"},
        "inline": True,
    },
    "pytorch": {
        "source": "the documentation of torch.nn.LSTM",
        "order": "ifgo",
        "symbols": _state_symbols(_T, _BEFORE) | {("R", ""): ("W", "hr")},
        "bases": {"U": "W", "b2": "b"},
        "split": True,
        "two_biases": True,
    },
    "keras": {
        "source": "Keras: vectors as rows, kernels W and recurrent kernels U, h_tm1 and c_tm1 as in"
        " keras.layers.LSTMCell",
        "order": "ifgo",
        "symbols": {
            ("h_prev", ""): ("h_tm1", ""),
            ("c_prev", ""): ("c_tm1", ""),
            ("g", ""): ("c̃", ""),
            ("z", ""): ("z", ""),
        },
        "bases": {"a": "z"},
        "letters": {"g": "c"},
        "split": True,
        "rows": True,
    },
}


@dataclass(frozen=True)
class Notation:
    """The symbols of a source and the shapes of its matrices."""

    name: str
    source: str  # where it is written so
    order: str = "figo"  # in which it goes through the gates
    # What gatewise's symbols are called, given base and sub; their bases, whatever the gate; and the gates below them.
    symbols: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    split: bool = False  # whether x and h each have a matrix of their own, so that there is no combined input
    rows: bool = False  # whether vectors are rows, and matrices the transposes of gatewise's
    inline: bool = False  # whether the combined input is written out in each gate
    two_biases: bool = False  # whether the parts of x and of h each have a bias

    @property
    def form(self) -> dict[str, Any]:
        """How a program is written in this notation: see `gatewise.symbolic.program.Form`."""
        return {name: getattr(self, name) for name in ("split", "inline", "two_biases", "order")}

    def __reduce__(self) -> tuple[Any, ...]:
        return notation, (self.name,)

    def symbol(self, symbol: Symbol) -> Symbol:
        """Return the symbol of this notation for one of gatewise's."""
        return self._symbols(symbol)

    @cached_property
    def _symbols(self) -> Callable[[Symbol], Symbol]:
        return lru_cache(1 << 10)(self._rename_symbol)

    def _rename_symbol(self, symbol: Symbol) -> Symbol:
        if symbol.sub == COMPUTED:  # below what the quantity is called itself
            plain = self.symbol(replace(symbol, sub=""))
            return replace(plain, sub=f"{plain.sub},{COMPUTED}" if plain.sub else COMPUTED)
        if symbol.base in OF_EDITS:  # below which a candidate and a cell state must not both be c
            return symbol
        if (renamed := self.symbols.get((symbol.base, symbol.sub))) is not None:
            return replace(symbol, base=renamed[0], sub=renamed[1])
        base = self.bases.get(symbol.base, symbol.base)
        return replace(symbol, base=base, sub=self._rename_subscript(symbol.base, symbol.sub))

    def _rename_subscript(self, base: str, sub: str) -> str:
        """Return the subscript that a notation has for one of gatewise's: the gate's letter, in PyTorch its side."""
        sums, gate = (sub[0], sub[1:]) if len(sub) == 2 and sub[0] in "uw" else ("", sub)  # of Haste's layer norm
        gate, comma, rest = gate.partition(",")
        letter = sums + self.letters.get(gate, gate) + comma + rest
        return letter if not self.two_biases or base not in SIDES or not sub else SIDES[base] + letter

    def formula(self, formula: Formula) -> Formula:
        """Return one of gatewise's formulas in the symbols and matrix shapes of the notation."""

        def rewrite_node(node: Formula) -> Formula | None:
            """Return a node in the notation's symbols, its sides swapped where vectors are rows; None keeps it."""
            match node:
                case Symbol():
                    return self.symbol(node)
                case MatMul(left, right) if self.rows:
                    # W z is z W' with W' = W^T, and W^T q is q W'^T: the sides change, the marks stay.
                    return MatMul(self.formula(right), self.formula(left))
                case Concatenation(parts) if self.inline:
                    return Concatenation(tuple(self.formula(part) for part in parts), ",")
                case Outer(left, right) if self.rows:
                    return Outer(self.formula(right), self.formula(left), rows=True)
            return None

        return rebuild(formula, rewrite_node)

    def value(self, value: Any) -> Any:
        """Return a matrix in the shape it has here."""
        return value.T if self.rows and np.ndim(value) == 2 else value


SIDES = {"W": "i", "U": "h", "b": "i", "b2": "h"}  # of PyTorch: of the input, of the hidden state


NOTATIONS = {name: Notation(name, **fields) for name, fields in NOTATION_FIELDS.items()}
DEFAULT = NOTATIONS["gatewise"]


def notation(name: str) -> Notation:
    """Return the notation of a name, or raise OptionError."""
    return NOTATIONS[one_of("notation", name, tuple(NOTATIONS))]
