"""The dense layers around an LSTM, and the scaling of inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.activations import GATED, KINDS, Activation, activate, gated_derivative
from gatewise.arrays import Array, ReadOnlyArrays, frozen, numbers
from gatewise.engine import native
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.showing import counted

SOFTMAX = "softmax"
SMALL = 1024  # weights of a layer that is multiplied row by row


@dataclass(frozen=True, eq=False, repr=False)
class Linear(ReadOnlyArrays):
    """y = φ(W h + b), the same at every step.

    Parameters
    ----------
    weight : array (output, features)
    bias : array (output,), optional
        Zeros by default.
    activation : Activation or str, optional
        φ: one that works on each number, or ``softmax``, across all outputs of a step; the identity by default. Beside
        those of gates there are ``gelu``, ``gelu_tanh``, ``silu``, ``mish`` and ``hard_swish``.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    OptionError
        If there is no such activation.

    Examples
    --------
    >>> layer = gw.Linear([[1.0, -1.0]], [0.5], "relu")
    >>> layer(np.array([[3.0, 1.0], [1.0, 3.0]]))
    array([[2.5],
           [0. ]])
    """

    weight: Array
    bias: Array | None = None
    activation: Activation | str | None = None

    def __post_init__(self) -> None:
        weight = numbers("the head's weight", self.weight)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ShapeError(f"the head's weight has shape {weight.shape}; it must be (output, features)")
        bias = np.zeros(len(weight), weight.dtype) if self.bias is None else self.bias
        object.__setattr__(self, "weight", frozen(weight, weight.shape, "the head's weight"))
        bias = frozen(numbers("the head's bias", bias, weight.dtype), weight.shape[:1], "the head's bias")
        object.__setattr__(self, "bias", bias)
        if isinstance(self.activation, str) and self.activation not in (SOFTMAX, *GATED):
            one_of("activation", self.activation.partition(":")[0].strip(), (*KINDS, *GATED, SOFTMAX))
            object.__setattr__(self, "activation", Activation.parse(self.activation))
        elif self.activation is not None and not isinstance(self.activation, (str, Activation)):
            raise OptionError(f"the head's activation must be an Activation or its name, not {self.activation!r}")

    def __repr__(self) -> str:
        activation = "" if self.activation is None else f", activation={self.activation}"
        return f"Linear({self.weight.shape[1]}, {len(self.weight)}{activation})"

    def astype(self, dtype: np.dtype[Any] | type[np.floating[Any]]) -> Linear:
        """Return the layer in a precision; itself if it has it."""
        if self.weight.dtype == dtype:
            return self
        return Linear(self.weight.astype(dtype), np.asarray(self.bias).astype(dtype), self.activation)

    @property
    def num_parameters(self) -> int:
        """The number of weights and biases."""
        return self.weight.size + len(self.weight)

    def __call__(self, h: Array) -> Array:
        """Return y (…, output) of features (…, features)."""
        a = self._preactivation(h)
        if self.activation is None:
            return a
        if self.activation != SOFTMAX:
            return activate(self.activation, a)
        with np.errstate(invalid="ignore"):  # of infinity, NaN
            e = np.exp(a - a.max(-1, keepdims=True))
            y: Array = e / e.sum(-1, keepdims=True)
        return y

    @property
    def row_by_row(self) -> bool:
        """Whether each row of features is multiplied by itself, so that no bit depends on how many rows there are."""
        return self.weight.size <= SMALL

    def _preactivation(self, h: Array) -> Array:
        return preactivations(h, self.weight, np.asarray(self.bias))

    def preactivation_gradient(self, dy: Array, h: Array, y: Array) -> Array:
        """Return ∂L/∂(W h + b) of a linear layer, given ∂L/∂y, its input h and its output y."""
        if self.activation is None:
            return dy
        if isinstance(self.activation, Activation):
            return dy * self.activation.derivative(y)
        if self.activation != SOFTMAX:
            return dy * gated_derivative(self.activation, self._preactivation(h))
        da: Array = y * (dy - (dy * y).sum(-1, keepdims=True))
        return da


def preactivations(h: Array, weight: Array, bias: Array) -> Array:
    """Return W h + b over the last axis; a small W multiplies each row by itself, so no bit depends on their number."""
    if weight.size > SMALL:
        a: Array = h @ weight.T + bias  # several times as fast, in an order that depends on the number of rows
        return a
    rows = np.ascontiguousarray(h).reshape(-1, h.shape[-1])
    if native.MISSING is None and rows.dtype == weight.dtype:
        a = native.linear(rows, weight, bias)
    else:
        a = np.einsum("nk,ok->no", rows, weight) + bias
    return a.reshape(*h.shape[:-1], len(weight))


class LinearGradients(NamedTuple):
    """The gradients of a loss with respect to a linear layer.

    Attributes
    ----------
    weight : array (output, features)
    bias : array (output,)
    """

    weight: Array
    bias: Array


@dataclass(frozen=True, eq=False, repr=False)
class Branch:
    """Dense layers between some of the features and the LSTM (an embedding network).

    Parameters
    ----------
    features : sequence of int
        Which features it takes, in this order.
    layers : sequence of Linear
        One after another; none at all passes the features on as they are.

    Raises
    ------
    OptionError
        If there are no features, or something else than linear layers.
    ShapeError
        If the layers do not fit onto the features, or one onto another.

    Examples
    --------
    >>> lstm = gw.LSTM(2, 3, rng=0, dtype=np.float64)
    >>> branch = gw.Branch(features=[0, 2], layers=[gw.Linear([[0.5, -0.5]])])
    >>> network = gw.Network(lstm, branches=[branch, gw.Branch([1])])  # three features become two
    >>> network(np.ones((20, 3)))[0].shape
    (20, 3)
    """

    features: Sequence[int]
    layers: Sequence[Linear] = ()

    def __post_init__(self) -> None:
        features = tuple(self.features)
        if not features or not all(isinstance(feature, (int, np.integer)) and feature >= 0 for feature in features):
            raise OptionError(f"the features of a branch must be non-negative integers, not {features!r}")
        object.__setattr__(self, "features", tuple(map(int, features)))
        object.__setattr__(self, "layers", chain_of(self.layers, len(features), "a branch"))

    def __repr__(self) -> str:
        return f"Branch({', '.join([f'features={list(self.features)}', *map(repr, self.layers)])})"

    @property
    def size(self) -> int:
        """How many features it gives to the LSTM."""
        return len(self.layers[-1].weight) if self.layers else len(self.features)


@dataclass(frozen=True, eq=False, repr=False)
class Scaling(ReadOnlyArrays):
    """(x − center) / scale, feature by feature: from physical units to those of a network; back by `undo`.

    Parameters
    ----------
    center, scale : array (features,)
        In physical units; kept in float64.
    least : array (features,), optional
        What is less than this after `undo` becomes this: 0 for a discharge that is never negative. −∞ by default.

    Raises
    ------
    ShapeError
        If the shapes differ.
    OptionError
        If a center or scale is not a finite number, or a scale is 0.

    Examples
    --------
    >>> scaling = gw.Scaling(center=[10.0], scale=[4.0])
    >>> scaling(np.array([[18.0]])), scaling.undo(np.array([[2.0]]))
    (array([[2.]]), array([[18.]]))
    """

    center: Array
    scale: Array
    least: Array | None = None

    def __post_init__(self) -> None:
        center = np.atleast_1d(numbers("the center", self.center, np.float64))
        if center.ndim != 1:
            raise ShapeError(f"the center has shape {center.shape}; it must be (features,)")
        for name, value in (("center", center), ("scale", self.scale), ("least", self.least)):
            if value is None:
                continue
            array = frozen(np.atleast_1d(numbers(f"the {name}", value, np.float64)), center.shape, f"the {name}")
            object.__setattr__(self, name, array)
        if not (np.isfinite(center).all() and np.isfinite(self.scale).all() and np.all(self.scale)):
            raise OptionError("a scaling needs finite centers, and finite scales other than 0")
        if self.least is not None and np.isnan(self.least).any():
            raise OptionError("the least of a scaling must be numbers or −∞, not NaN")

    def __repr__(self) -> str:
        return f"Scaling(center={self.center.tolist()}, scale={self.scale.tolist()})"

    @property
    def rows(self) -> Array:
        """Center, scale and least, which is −∞ where nothing is too small."""
        least = np.full_like(self.center, -np.inf) if self.least is None else self.least
        return np.stack([self.center, self.scale, least])

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return (x − center) / scale, in float64, of x (…, features)."""
        scaled: Array = (np.asarray(x, np.float64) - self.center) / self.scale
        return scaled

    def undo(self, y: Array) -> Array:
        """Return y · scale + center, in float64, and not less than `least`."""
        physical: Array = y.astype(np.float64) * self.scale + self.center
        return physical if self.least is None else np.maximum(physical, self.least)

    def undo_gradient(self, dy: Array, y: Array) -> Array:
        """Return the gradient with respect to scaled outputs y, given that with respect to `undo` of y."""
        gradient: Array = dy * self.scale
        if self.least is None:
            return gradient
        return np.where(y.astype(np.float64) * self.scale + self.center > self.least, gradient, 0)


def chain_of(layers: Linear | Sequence[Linear] | None, features: int, owner: str) -> tuple[Linear, ...]:
    """Return the dense layers of a network, checked to fit one after another onto a number of features."""
    chain = () if layers is None else (layers,) if isinstance(layers, Linear) else tuple(layers)
    for place, layer in enumerate(chain):
        if not isinstance(layer, Linear):
            raise OptionError(f"{owner} must have Linear layers, not {type(layer).__name__}")
        if layer.weight.shape[1] != features:
            before = "layer before it" if place else "LSTM" if owner == "the head" else "features"
            gives = f"the {before} puts out {features}" if before != "features" else f"there are {features}"
            raise ShapeError(f"{owner} takes {counted(layer.weight.shape[1], 'feature')}; {gives}")
        features = len(layer.weight)
    return chain


def outputs_of(layers: Sequence[Linear], x: Array) -> list[Array]:
    """Return the input of a chain of linear layers, and the output of each layer."""
    outputs = [x]
    for layer in layers:
        outputs.append(layer(outputs[-1]))
    return outputs


def back_through(
    layers: Sequence[Linear], outputs: Sequence[Array], dy: Array
) -> tuple[tuple[LinearGradients, ...], Array]:
    """Return the gradients of linear layers and of their input, from that of the last of their `outputs`."""
    gradients: list[LinearGradients] = []
    for layer, x, y in zip(reversed(layers), reversed(outputs[:-1]), reversed(outputs[1:]), strict=True):
        da = layer.preactivation_gradient(dy, x, y)
        flat = da.reshape(-1, da.shape[-1])
        gradients.append(LinearGradients(flat.T @ x.reshape(len(flat), x.shape[-1]), flat.sum(0)))
        dy = da @ layer.weight
    return tuple(reversed(gradients)), dy
