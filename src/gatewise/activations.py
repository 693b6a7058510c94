"""The nonlinearities of the gates, each with its derivative.

Every derivative is a function of the activation's *output*, so that a trace holds all that the backward pass needs.
That rules out functions that are not monotonic (SiLU, GELU, Mish), which dense layers alone have: `GATED`. Deep in
saturation the output no longer determines
the derivative exactly: in float32 that of softsign is 0.3 % off at a = 1e5, and that of elu is 0 below about a = -18.

Formulas and default constants: the ONNX operator `LSTM`, Keras' `activations`, Klambauer et al., "Self-Normalizing
Neural Networks" (2017), for SELU, and PyTorch's documentation for those of `GATED`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, finite_number
from gatewise.errors import OptionError, one_of
from gatewise.number_text import parse_number


class _Kind(NamedTuple):
    """One activation: a function of a, alpha, beta; its derivative, a function of y, alpha, beta; default constants.

    None stands for a constant that the activation does not have, NaN for one that must be given, because frameworks
    mean different things by the activation's name.
    """

    function: Callable[[Array, float, float], Array]
    derivative: Callable[[Array, float, float], Array]
    alpha: float | None = None
    beta: float | None = None


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), without overflow for large positive or negative a."""
    e = np.exp(-np.abs(a))
    y: Array = np.where(a >= 0, 1, e) / (1 + e)
    return y


def _elu(a: Array, alpha: float) -> Array:
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))


def _leaky_relu(a: Array, alpha: float, beta: float) -> Array:
    return np.where(a >= 0, a, alpha * np.minimum(a, 0))


REQUIRED = math.nan
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

KINDS: dict[str, _Kind] = {
    "sigmoid": _Kind(lambda a, _, __: sigmoid(a), lambda y, _, __: y * (1 - y)),
    "tanh": _Kind(lambda a, _, __: np.tanh(a), lambda y, _, __: 1 - y * y),
    "hard_sigmoid": _Kind(
        lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1),
        lambda y, alpha, _: np.where((y > 0) & (y < 1), alpha, 0),
        REQUIRED,
        REQUIRED,
    ),
    "relu": _Kind(lambda a, _, __: np.maximum(a, 0), lambda y, _, __: np.where(y > 0, 1, 0)),
    "leaky_relu": _Kind(_leaky_relu, lambda y, alpha, _: np.where(y > 0, 1, alpha), 0.01),
    "thresholded_relu": _Kind(
        lambda a, alpha, _: np.where(a <= alpha, 0, a), lambda y, _, __: np.where(y > 0, 1, 0), 1.0
    ),
    "affine": _Kind(lambda a, alpha, beta: alpha * a + beta, lambda y, alpha, _: np.full_like(y, alpha), 1.0, 0.0),
    "scaled_tanh": _Kind(
        lambda a, alpha, beta: alpha * np.tanh(beta * a),
        lambda y, alpha, beta: beta * (alpha - y * y / alpha),
        REQUIRED,
        REQUIRED,
    ),
    "elu": _Kind(lambda a, alpha, _: _elu(a, alpha), lambda y, alpha, _: np.where(y > 0, 1, y + alpha), 1.0),
    "selu": _Kind(
        lambda a, alpha, beta: beta * _elu(a, alpha),
        lambda y, alpha, beta: np.where(y > 0, beta, y + alpha * beta),
        _SELU_ALPHA,
        _SELU_SCALE,
    ),
    "softsign": _Kind(
        lambda a, _, __: np.where(np.isinf(a), np.sign(a), a / (1 + np.abs(a))), lambda y, _, __: (1 - np.abs(y)) ** 2
    ),
    "softplus": _Kind(lambda a, _, __: np.logaddexp(0, a).astype(a.dtype), lambda y, _, __: -np.expm1(-y)),
    "exponential": _Kind(lambda a, _, __: np.exp(a), lambda y, _, __: y),
}


@dataclass(frozen=True)
class Activation:
    """One nonlinearity with its constants; call it on pre-activations.

    Parameters
    ----------
    name : str
        A key of `KINDS`.
    alpha, beta : float, optional
        Its constants. `hard_sigmoid` is clip(alpha a + beta, 0, 1) and has no default: Keras 3 means alpha = 1/6,
        Keras 2 and ONNX mean alpha = 0.2 (beta is 0.5 in all of them).

    Raises
    ------
    OptionError
        If the name is unknown, or a constant is missing, superfluous, not finite or out of its range.

    Examples
    --------
    >>> Activation("hard_sigmoid", 0.2, 0.5)(np.array([-3.0, 0.0, 1.0]))
    array([0. , 0.5, 0.7])
    """

    name: str
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        kind = KINDS[one_of("activation", self.name, tuple(KINDS))]
        for constant in ("alpha", "beta"):
            default, value = getattr(kind, constant), getattr(self, constant)
            if value is None and default is not None:
                if math.isnan(default):
                    raise OptionError(
                        f"{self.name} needs alpha and beta, because frameworks disagree on them."
                        f" Write {self.name}:alpha,beta."
                    )
                value = default
            elif value is not None:
                if default is None:
                    raise OptionError(f"{self.name} has no {constant}, but got {value!r}. Leave it out.")
                value = _checked_constant(self.name, constant, value)
            object.__setattr__(self, constant, value)

    def __call__(self, a: Array) -> Array:
        """Return the activation of pre-activations `a`, in their shape and dtype."""
        return KINDS[self.name].function(a, self.alpha or 0.0, self.beta or 0.0)

    def derivative(self, y: Array) -> Array:
        """Return dy/da as a function of the output y; at a kink, the derivative on the flat side."""
        return KINDS[self.name].derivative(y, self.alpha or 0.0, self.beta or 0.0).astype(y.dtype, copy=False)

    def __str__(self) -> str:
        constants = [repr(number).removesuffix(".0") for number in (self.alpha, self.beta) if number is not None]
        return f"{self.name}:{','.join(constants)}" if constants else self.name

    @classmethod
    def parse(cls, text: str) -> Activation:
        """Return the activation written as ``name`` or ``name:alpha`` or ``name:alpha,beta``.

        Examples
        --------
        >>> Activation.parse("leaky_relu:0.2").alpha
        0.2
        """
        if not isinstance(text, str):
            raise OptionError(f"an activation must be written as name, name:alpha or name:alpha,beta, not {text!r}")
        name, _, constants = text.partition(":")
        try:
            return cls(name.strip(), *(parse_number(constant) for constant in constants.split(",") if constants))
        except (TypeError, ValueError) as problem:
            if isinstance(problem, OptionError):
                raise
            raise OptionError(
                f"cannot read the activation {text!r}; write name, name:alpha or name:alpha,beta"
            ) from None


def _checked_constant(name: str, constant: str, value: object) -> float:
    """Return a constant of an activation as a float, or raise OptionError if it is not in its range."""
    number = finite_number(f"{constant} of {name}", value)
    # The derivative is computed from the output, which determines the branch only where slopes and scales are positive.
    if name in {"leaky_relu", "thresholded_relu", "elu"} and number < 0:
        raise OptionError(f"{constant} of {name} must not be negative, but is {value!r}")
    if (name == "selu" or (name in {"hard_sigmoid", "scaled_tanh"} and constant == "alpha")) and number <= 0:
        raise OptionError(f"{constant} of {name} must be positive, but is {value!r}")
    return number


SIGMOID = Activation("sigmoid")
TANH = Activation("tanh")


class _Weight(NamedTuple):
    """The weight w of a nonlinearity a · w(a), and its derivative; both functions of a."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715  # of its form with tanh (Hendrycks and Gimpel, 2016)


def erf(a: Array) -> Array:
    """Return the error function, number by number: NumPy has none."""
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(a), a.dtype)


def _normal_density(a: Array) -> Array:
    near = np.clip(a, -40, 40)  # further out it is 0, and its square may overflow
    return np.exp(near * near / -2) / math.sqrt(2 * math.pi)


def _gelu_tanh(a: Array) -> Array:
    near = np.clip(a, -10, 10)  # further out the tanh is 1, and the cube may overflow
    return np.tanh(GELU_SCALE * (near + GELU_CUBIC * near**3))


def _mish_weight(a: Array) -> Array:
    return np.tanh(np.logaddexp(0, a).astype(a.dtype))


GATED: dict[str, _Weight] = {
    "gelu": _Weight(lambda a: (1 + erf(a / math.sqrt(2))) / 2, _normal_density),
    "gelu_tanh": _Weight(
        lambda a: (1 + _gelu_tanh(a)) / 2,
        lambda a: (1 - _gelu_tanh(a) ** 2) * GELU_SCALE * (0.5 + 1.5 * GELU_CUBIC * np.clip(a, -10, 10) ** 2),
    ),
    "silu": _Weight(sigmoid, lambda a: sigmoid(a) * sigmoid(-a)),
    "mish": _Weight(_mish_weight, lambda a: (1 - _mish_weight(a) ** 2) * sigmoid(a)),
    "hard_swish": _Weight(
        lambda a: np.clip(a / 6 + 0.5, 0, 1), lambda a: np.where((a > -3) & (a < 3), 1 / 6, 0).astype(a.dtype)
    ),
}


def activate(activation: Activation | str, a: Array) -> Array:
    """Return a nonlinearity of an array, in its shape and dtype: an `Activation`, or by its name one of `GATED`."""
    return activation(a) if isinstance(activation, Activation) else a * GATED[activation].function(a)


def gated_derivative(name: str, a: Array) -> Array:
    """Return the derivative of a nonlinearity of `GATED`, as a function of its argument."""
    weight = GATED[name]
    return weight.function(a) + a * weight.derivative(a)
