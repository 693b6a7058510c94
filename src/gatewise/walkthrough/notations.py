"""The notations of a walkthrough, as data: what `notation.Notation` says of each source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _states(now: Callable[[str], tuple[str, str]], before: Callable[[str], tuple[str, str]]) -> dict[Any, Any]:
    """Return the symbols of the input, the states and the gates, each made by `now` or `before`."""
    old = {("h_prev", ""): before("h"), ("c_prev", ""): before("c")}
    return {(letter, ""): now(letter) for letter in "xhcifgoz"} | old


_T, _BEFORE = (lambda letter: (letter, "t")), (lambda letter: (letter, "t-1"))

NOTATIONS: dict[str, dict[str, Any]] = {
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
        "symbols": _states(_T, _BEFORE) | {("c", ""): ("C", "t"), ("c_prev", ""): ("C", "t-1"), ("g", ""): ("C̃", "t")},
        "bases": {"c_new": "C_new", "c_raw": "C_raw", "c_norm": "C_norm", "c_next": "C_next"},
        "letters": {"g": "C", "c": "C"},
        "inline": True,
    },
    "pytorch": {
        "source": "the documentation of torch.nn.LSTM",
        "order": "ifgo",
        "symbols": _states(_T, _BEFORE) | {("R", ""): ("W", "hr")},
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
