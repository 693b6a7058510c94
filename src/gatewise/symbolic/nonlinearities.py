"""The nonlinearities as formulas: what each is, how books write it, and its derivative.

`definition` is the one to compute with: it overflows nowhere that the nonlinearity does not. `textbook` is what a
walkthrough prints, since that is how readers know them; the two differ in six rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gatewise.activations import GELU_CUBIC, GELU_SCALE, Activation
from gatewise.symbolic.formula import (
    ONE,
    TWO,
    ZERO,
    Formula,
    FunctionCall,
    Holds,
    Negative,
    Number,
    Power,
    Quotient,
    Slope,
    Symbol,
    add,
    less,
    rebuild,
    times,
)

ARGUMENT = Symbol("a")
NAMES = {"sigmoid": "σ"}  # of functions that are called otherwise than the activation
_E, _E_MINUS = FunctionCall("exp", (ARGUMENT,)), FunctionCall("exp", (Negative(ARGUMENT),))
_POSITIVE, _NEGATIVE = FunctionCall("max", (ZERO, ARGUMENT)), FunctionCall("min", (ZERO, ARGUMENT))
_SIZE = FunctionCall("abs", (ARGUMENT,))
_HALF = Number(0.5)
_FADING = FunctionCall("exp", (Negative(_SIZE),))  # between 0 and 1, however large the argument is


def apply(activation: Activation, argument: Formula) -> FunctionCall:
    """Return the call of an activation."""
    return FunctionCall(NAMES.get(activation.name, activation.name), (argument,), activation)


def definition(activation: Activation) -> Formula:
    """Return an activation as a formula of `ARGUMENT`, with its constants in it, whose parts overflow nowhere that the
    activation itself does not.

    tanh is a function of its own: what exponentials make of it loses its digits near 0.
    """
    alpha, beta = _constants(activation)
    elu = add(_POSITIVE, times(alpha, less(FunctionCall("exp", (_NEGATIVE,)), ONE)))
    return {
        "sigmoid": Quotient(FunctionCall("exp", (_NEGATIVE,)), add(ONE, _FADING)),
        "tanh": FunctionCall("tanh", (ARGUMENT,)),
        "hard_sigmoid": FunctionCall("max", (ZERO, FunctionCall("min", (ONE, add(times(alpha, ARGUMENT), beta))))),
        "relu": _POSITIVE,
        "leaky_relu": add(_POSITIVE, times(alpha, _NEGATIVE)),
        "thresholded_relu": times(_POSITIVE, Holds(ARGUMENT, ">", alpha)),
        "affine": add(times(alpha, ARGUMENT), beta),
        "scaled_tanh": times(alpha, FunctionCall("tanh", (times(beta, ARGUMENT),))),
        "elu": elu,
        "selu": times(beta, elu),
        "softsign": Quotient(ARGUMENT, add(ONE, _SIZE)),
        "softplus": add(_POSITIVE, FunctionCall("ln", (add(ONE, _FADING),))),
        "exponential": _E,
    }[activation.name]


def textbook(activation: Activation) -> Formula:
    """Return an activation as a formula as books write it; parts of it may overflow where `definition` does not."""
    alpha, beta = _constants(activation)
    elu = add(_POSITIVE, times(alpha, FunctionCall("min", (ZERO, less(_E, ONE)))))
    written: dict[str, Formula] = {
        "sigmoid": Quotient(ONE, add(ONE, _E_MINUS)),
        "tanh": Quotient(less(_E, _E_MINUS), add(_E, _E_MINUS)),
        "elu": elu,
        "selu": times(beta, elu),
        "softplus": FunctionCall("ln", (add(ONE, _E),)),
        "thresholded_relu": times(ARGUMENT, Holds(ARGUMENT, ">", alpha)),
    }
    return written.get(activation.name) or definition(activation)


def slope(activation: Activation, y: Formula) -> Slope:
    """Return an activation's derivative as a formula of its output y, as `Activation.derivative` has it."""
    alpha, beta = _constants(activation)
    positive, flat = Holds(y, ">", ZERO), Holds(y, "≤", ZERO)
    bodies: dict[str, Callable[[], Formula]] = {
        "sigmoid": lambda: times(y, less(ONE, y)),
        "tanh": lambda: less(ONE, Power(y, TWO)),
        "hard_sigmoid": lambda: times(alpha, positive, Holds(y, "<", ONE)),
        "relu": lambda: positive,
        "leaky_relu": lambda: add(positive, times(alpha, flat)),
        "thresholded_relu": lambda: positive,
        "affine": lambda: alpha,
        "scaled_tanh": lambda: times(beta, less(alpha, Quotient(Power(y, TWO), alpha))),
        "elu": lambda: add(positive, times(add(y, alpha), flat)),
        "selu": lambda: add(times(beta, positive), times(add(y, times(alpha, beta)), flat)),
        "softsign": lambda: Power(less(ONE, FunctionCall("abs", (y,))), TWO),
        "softplus": lambda: less(ONE, FunctionCall("exp", (Negative(y),))),
        "exponential": lambda: y,
    }
    return Slope(bodies[activation.name]())


def gated_weight(name: str, a: Formula) -> Formula:
    """Return the weight w of a dense layer's nonlinearity a · w(a), as `gatewise.activations.GATED` has it."""
    soft = rebuild(definition(Activation("softplus")), lambda node: a if node == ARGUMENT else None)
    weights: dict[str, Callable[[], Formula]] = {
        "gelu": lambda: times(_HALF, add(ONE, FunctionCall("erf", (times(Number(2**-0.5), a),)))),
        "gelu_tanh": lambda: times(_HALF, add(ONE, _gelu_tanh(a))),
        "silu": lambda: FunctionCall("σ", (a,)),
        "mish": lambda: FunctionCall("tanh", (soft,)),
        "hard_swish": lambda: FunctionCall(
            "max", (ZERO, FunctionCall("min", (ONE, add(times(Number(1 / 6), a), _HALF))))
        ),
    }
    return weights[name]()


def gated_slope(name: str, a: Formula) -> Slope:
    """Return the derivative of a dense layer's nonlinearity a · w(a): w(a) + a · w′(a)."""
    weight, square = gated_weight(name, a), Power(a, TWO)
    slopes: dict[str, Callable[[], Formula]] = {
        "gelu": lambda: times(Number((2 * math.pi) ** -0.5), FunctionCall("exp", (Negative(times(_HALF, square)),))),
        "gelu_tanh": lambda: times(
            Number(GELU_SCALE),
            less(ONE, Power(_gelu_tanh(a), TWO)),
            add(_HALF, times(Number(1.5 * GELU_CUBIC), square)),
        ),
        "silu": lambda: times(weight, less(ONE, weight)),
        "mish": lambda: times(less(ONE, Power(weight, TWO)), FunctionCall("σ", (a,))),
        "hard_swish": lambda: times(Number(1 / 6), Holds(weight, ">", ZERO), Holds(weight, "<", ONE)),
    }
    return Slope(add(weight, times(a, slopes[name]())))


def _gelu_tanh(a: Formula) -> FunctionCall:
    cubic = times(Number(GELU_CUBIC), Power(a, Number(3)))
    return FunctionCall("tanh", (times(Number(GELU_SCALE), add(a, cubic)),))


def _constants(activation: Activation) -> tuple[Number, Number]:
    return Number(activation.alpha or 0.0), Number(activation.beta or 0.0)
