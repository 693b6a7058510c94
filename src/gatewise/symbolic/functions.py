"""The functions and relations of formulas, in every language that formulas are written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewise.activations import erf, sigmoid


class Function(NamedTuple):
    """A function of formulas.

    Attributes
    ----------
    compute : callable
        Of arrays; a function over a vector takes `axis` too.
    source : str
        In Python, over NumPy arrays; empty where no source has it.
    operator : str
        In ONNX; empty where no graph has it.
    latex : str
        Empty for its name in upright letters.
    """

    compute: Callable[..., Any]
    source: str = ""
    operator: str = ""
    latex: str = ""


FUNCTIONS = {
    "σ": Function(sigmoid, "sigmoid", "Sigmoid"),
    "tanh": Function(np.tanh, "np.tanh", "Tanh", r"\tanh"),
    "max": Function(np.maximum, "np.maximum", "Max", r"\max"),
    "min": Function(np.minimum, "np.minimum", "Min", r"\min"),
    "exp": Function(np.exp, "np.exp", "Exp"),
    "ln": Function(np.log, "np.log", "Log", r"\ln"),
    "abs": Function(np.abs, "np.abs", "Abs"),
    "erf": Function(erf, "", "Erf", r"\operatorname{erf}"),
    "sqrt": Function(np.sqrt, "np.sqrt", "Sqrt"),
    "clip": Function(np.clip, "np.clip", "Clip"),
    "tan": Function(np.tan),  # which is mistaken for tanh
    "by column": Function(lambda matrix: matrix.reshape(matrix.shape[::-1]).T),  # written by row, read by column
    "by row": Function(lambda matrix: matrix.T.reshape(matrix.shape)),  # and the other way round
}
OVER_A_VECTOR = {
    "mean": Function(np.mean, "np.mean"),
    "sum": Function(np.sum, "np.sum"),
    "greatest": Function(np.max, "np.max"),
}
RELATIONS = {
    ">": Function(np.greater, ">", "Greater", ">"),
    "<": Function(np.less, "<", "Less", "<"),
    "≤": Function(np.less_equal, "<=", "LessOrEqual", r"\le"),
}
