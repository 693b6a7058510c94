"""What a cell is made of: its switches (Variant), its numbers (Parameters), and dropout masks (DropoutMasks)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.activations import SIGMOID, TANH, Activation
from gatewise.arrays import Array, float_type, frozen, numbers
from gatewise.errors import OptionError, ShapeError, one_of

PEEPHOLES = ("none", "full")
COUPLINGS = ("none", "forget=1-input", "input=1-forget")
LAYER_NORMS = ("none", "gates", "haste")
_ACTIVATIONS = {
    "i": "input_activation",
    "f": "forget_activation",
    "g": "candidate_activation",
    "o": "output_activation",
    "c": "cell_activation",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Variant:
    """The switches of an LSTM cell. Every convention that projects disagree on is one of them; the defaults are the
    cell of Gers, Schmidhuber and Cummins, "Learning to Forget" (2000).

    Parameters
    ----------
    peephole : {"none", "full"}
        `full`: input and forget gate see the old cell state, the output gate the new one
        (Gers and Schmidhuber, "Recurrent Nets that Time and Count", 2000).
    coupling : {"none", "forget=1-input", "input=1-forget"}
        `forget=1-input`: ONNX's `input_forget` and the CIFG of Greff et al., "LSTM: A Search Space Odyssey" (2017);
        `input=1-forget`: TensorFlow's `CoupledInputForgetGateLSTMCell`. The coupled gate's own weights are not used.
    gate_clip : float, optional
        Bound on the gates' pre-activations (ONNX's `clip`).
    cell_clip : float, optional
        Bound on the new cell state, before the output gate and the output see it (TensorFlow's, cuDNN's clip).
    projection_clip : float, optional
        Bound on the projected hidden state.
    input_activation, forget_activation, candidate_activation, output_activation, cell_activation : Activation or str
        The nonlinearity of each gate, and the one on the cell state before the output gate.
    layer_norm : {"none", "gates", "haste"}
        `gates`: each gate's whole weighted sum, before its bias (TensorFlow Lite);
        `haste`: the input's and the recurrent sums separately, each across all gates, and the cell state before
        the output (Haste's LayerNormLSTM).
    epsilon : float, optional
        Added to the variance in layer norm; must be given with it (TensorFlow Lite: 1e-8, Haste: 1e-5).

    Raises
    ------
    OptionError
        If a switch has a value that is not allowed.
    """

    peephole: str = "none"
    coupling: str = "none"
    gate_clip: float | None = None
    cell_clip: float | None = None
    projection_clip: float | None = None
    input_activation: Activation | str = SIGMOID
    forget_activation: Activation | str = SIGMOID
    candidate_activation: Activation | str = TANH
    output_activation: Activation | str = SIGMOID
    cell_activation: Activation | str = TANH
    layer_norm: str = "none"
    epsilon: float | None = None

    def __post_init__(self) -> None:
        one_of("peephole", self.peephole, PEEPHOLES)
        one_of("coupling", self.coupling, COUPLINGS)
        one_of("layer_norm", self.layer_norm, LAYER_NORMS)
        for clip in ("gate_clip", "cell_clip", "projection_clip"):
            self._require_positive(clip)
        for name in _ACTIVATIONS.values():
            given = getattr(self, name)
            if isinstance(given, str):
                object.__setattr__(self, name, Activation.parse(given))
            elif not isinstance(given, Activation):
                raise OptionError(f"{name} must be an Activation or its name, not {given!r}")
        if self.layer_norm == "none" and self.epsilon is not None:
            raise OptionError(f"epsilon belongs to layer norm, and layer_norm is none; epsilon is {self.epsilon!r}")
        if self.layer_norm != "none" and self.epsilon is None:
            raise OptionError(f"layer_norm={self.layer_norm!r} needs an epsilon (TensorFlow Lite: 1e-8, Haste: 1e-5)")
        self._require_positive("epsilon")

    def _require_positive(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
            raise OptionError(f"{name} must be a number, not {value!r}")
        if not (math.isfinite(value) and value > 0):
            raise OptionError(f"{name} must be a positive, finite number, not {value!r}")
        object.__setattr__(self, name, float(value))

    def activation(self, letter: str) -> Activation:
        """Return the nonlinearity of the gate `i`, `f`, `g` or `o`, or of the cell state `c`."""
        found: Activation = getattr(self, _ACTIVATIONS[letter])
        return found

    @cached_property
    def coupled(self) -> str:
        """The letter of the gate that is 1 minus another and has no weights of its own; empty where none is."""
        return {"none": "", "forget=1-input": "f", "input=1-forget": "i"}[self.coupling]

    @cached_property
    def own(self) -> str:
        """The letters of the gates that have weights of their own, in gatewise's order."""
        return gates.LETTERS.replace(self.coupled, "") if self.coupled else gates.LETTERS

    def __repr__(self) -> str:
        return f"Variant({', '.join(f'{name}={value!r}' for name, value in self.differences().items())})"

    def differences(self) -> dict[str, object]:
        """Return the switches that are not at their defaults, by name."""
        default = Variant()
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        }

    def to_json(self) -> dict[str, Any]:
        """Return every switch as plain data."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: {"name": value.name, "alpha": value.alpha, "beta": value.beta}
            if isinstance(value, Activation)
            else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Variant:
        """Return the variant that `to_json` described; unknown names and values raise OptionError."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise OptionError(f"there is no switch {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        values = dict(data)
        for name, value in values.items():
            if isinstance(value, Mapping):
                if set(value) - {"name", "alpha", "beta"} or "name" not in value:
                    raise OptionError(f"{name} must hold name, alpha and beta, not {', '.join(map(str, value))}")
                values[name] = Activation(**value)
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Parameters:
    """The numbers of one LSTM cell, read-only, with the switches that say how they are used.

    Parameters
    ----------
    weight : array (4, hidden, recurrent + input)
        One matrix for each gate, in the order input gate, forget gate, candidate, output gate. The columns belong to
        the combined input ``[h; x]``.
    bias : array (4, hidden)
    variant : Variant
    peephole : array (3, hidden), optional
        Of the input, forget and output gate; present if and only if the variant has peepholes.
    projection : array (recurrent, hidden), optional
        Maps the hidden state to the smaller one that recurs (Sak et al., "Long Short-Term Memory Recurrent Neural
        Network Architectures for Large Scale Acoustic Modeling", 2014). Without it recurrent = hidden.
    norm_gain : array (4, hidden) or (2, 4, hidden), optional
        Of layer norm: one gain for each unit of each gate (`gates`), or two, for the recurrent and for the input's
        sums (`haste`).
    cell_norm : array (2, hidden), optional
        Gain and bias of the cell state's norm (`haste`).

    Raises
    ------
    ShapeError
        If the sizes do not match.
    OptionError
        If an array is present that the variant does not use, or absent that it needs.
    """

    weight: Array
    bias: Array
    variant: Variant = Variant()
    peephole: Array | None = None
    projection: Array | None = None
    norm_gain: Array | None = None
    cell_norm: Array | None = None

    def __post_init__(self) -> None:
        weight = numbers("weight", self.weight)
        if weight.ndim != 3 or weight.shape[0] != 4 or 0 in weight.shape:
            raise ShapeError(f"weight has shape {weight.shape}; it must be (4, hidden, recurrent + input)")
        if not isinstance(self.variant, Variant):
            raise OptionError(f"variant must be a Variant, not {self.variant!r}")
        hidden, columns = weight.shape[1:]
        recurrent = hidden
        if self.projection is not None:
            projection = np.asarray(self.projection)
            if projection.ndim != 2 or projection.shape[1] != hidden or projection.shape[0] == 0:
                raise ShapeError(f"projection has shape {projection.shape}; it must be (recurrent, {hidden})")
            recurrent = projection.shape[0]
        elif self.variant.projection_clip is not None:
            raise OptionError("projection_clip is given, but there is no projection")
        if columns <= recurrent:
            raise ShapeError(
                f"weight has {columns} columns; it must have more than {recurrent}, those of the hidden state"
            )
        shapes = array_shapes(self.variant, columns - recurrent, hidden, recurrent)
        shapes["projection"] = None if self.projection is None else (recurrent, hidden)
        for name, shape in shapes.items():
            given = getattr(self, name)
            if shape is None and given is not None:
                raise OptionError(f"{name} is given, but the variant has no use for it")
            if shape is not None and given is None:
                raise OptionError(f"{name} is missing; the variant needs it, in shape {shape}")
            if shape is not None:
                object.__setattr__(self, name, frozen(numbers(name, given, weight.dtype), shape, name))

    @property
    def hidden_size(self) -> int:
        """How many units the cell has."""
        return int(self.weight.shape[1])

    @property
    def recurrent_size(self) -> int:
        """The size of the hidden state: the projection's where there is one, else `hidden_size`."""
        return self.hidden_size if self.projection is None else len(self.projection)

    @property
    def input_size(self) -> int:
        """How many features the input has."""
        return int(self.weight.shape[2]) - self.recurrent_size

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The type of every array: float32 or float64."""
        return float_type(self.weight.dtype)

    @property
    def recurrent_weight(self) -> Array:
        """The columns of `weight` that act on the hidden state, a view (4, hidden, recurrent)."""
        return self.weight[..., : self.recurrent_size]

    @property
    def input_weight(self) -> Array:
        """The columns of `weight` that act on the input, a view (4, hidden, input)."""
        return self.weight[..., self.recurrent_size :]

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, tuple(getattr(self, field.name) for field in fields(self))  # read-only again when unpickled

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that are present, by name."""
        return {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}

    @cached_property
    def num_parameters(self) -> int:
        """How many numbers the cell has, without those of a coupled gate, which are not used."""
        count = sum(int(array.size) for array in self.arrays().values())
        if self.variant.coupled:
            gains = 0 if self.norm_gain is None else self.norm_gain.size // self.bias.size
            count -= self.hidden_size * (self.weight.shape[2] + 1 + (self.peephole is not None) + gains)
        return count

    def replace(self, **changes: Any) -> Parameters:
        """Return the parameters with the named arrays, or the variant, replaced."""
        return replace(self, **changes)

    def astype(self, dtype: Any) -> Parameters:
        """Return the same parameters as float32 or float64."""
        return self.replace(**{name: array.astype(float_type(dtype)) for name, array in self.arrays().items()})

    def __repr__(self) -> str:
        switches = "".join(f", {name}={value}" for name, value in self.variant.differences().items())
        projected = f", projection_size={self.recurrent_size}" if self.projection is not None else ""
        return (
            f"Parameters(input_size={self.input_size}, hidden_size={self.hidden_size}{projected}{switches}, "
            f"dtype={self.dtype.name})"
        )


ARRAYS = ("weight", "bias", "peephole", "projection", "norm_gain", "cell_norm")


def array_shapes(
    variant: Variant, input_size: int, hidden_size: int, recurrent_size: int
) -> dict[str, tuple[int, ...] | None]:
    """Return the shape of every array that the variant of a cell decides on; None for one that it does not use.

    The projection is not among them: a cell of any variant may have one.
    """
    return {
        "weight": (4, hidden_size, recurrent_size + input_size),
        "bias": (4, hidden_size),
        "peephole": (3, hidden_size) if variant.peephole == "full" else None,
        "norm_gain": {"none": None, "gates": (4, hidden_size), "haste": (2, 4, hidden_size)}[variant.layer_norm],
        "cell_norm": (2, hidden_size) if variant.layer_norm == "haste" else None,
    }


@dataclass(frozen=True, eq=False, repr=False)
class DropoutMasks:
    """Dropout, zoneout and DropConnect masks, given as arrays, so that every run is deterministic.

    Each array must broadcast to the shape below; the time and batch axes are those of the input. Dropout masks hold
    0 or 1 / (1 - rate); zoneout masks hold the share of the old value that is kept (0 or 1 in training, the rate
    itself at inference).

    Parameters
    ----------
    input : array (time, batch, input), optional
        Multiplies the input.
    recurrent : array (time, batch, recurrent), optional
        Multiplies the previous hidden state where the gates see it
        (Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016).
    zoneout_cell : array (time, batch, hidden), optional
    zoneout_hidden : array (time, batch, recurrent), optional
        Keep a share of the old cell state and hidden state (Krueger et al., "Zoneout", 2017); the new hidden state is
        computed from the new cell state before its zoneout, as in the paper.
    weight : array (4, hidden, recurrent), optional
        Multiplies the recurrent weights, at all steps alike (DropConnect; Merity et al., "Regularizing and Optimizing
        LSTM Language Models", 2018).
    """

    input: Array | None = None
    recurrent: Array | None = None
    zoneout_cell: Array | None = None
    zoneout_hidden: Array | None = None
    weight: Array | None = None

    def __repr__(self) -> str:
        return f"DropoutMasks({', '.join(f'{name} {np.shape(array)}' for name, array in self.arrays().items())})"

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that are present, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    def fit(self, parameters: Parameters, num_steps: int, batch_size: int) -> DropoutMasks:
        """Return the masks in the cell's dtype and broadcast to a run of `num_steps` steps of `batch_size` sequences.

        Raises
        ------
        ShapeError
            If an array cannot be broadcast to its shape.
        """
        if self is NO_DROPOUT:
            return self
        time, batch = num_steps, batch_size
        sizes = {
            "input": (time, batch, parameters.input_size),
            "recurrent": (time, batch, parameters.recurrent_size),
            "zoneout_cell": (time, batch, parameters.hidden_size),
            "zoneout_hidden": (time, batch, parameters.recurrent_size),
            "weight": (4, parameters.hidden_size, parameters.recurrent_size),
        }
        fitted = {}
        for name, array in self.arrays().items():
            copy = np.array(numbers(f"the dropout mask {name!r}", array, parameters.dtype))
            try:
                fitted[name] = np.broadcast_to(copy, sizes[name])
            except ValueError:
                raise ShapeError(
                    f"the dropout mask {name!r} has shape {copy.shape}; it must broadcast to {sizes[name]}"
                ) from None
        return DropoutMasks(**fitted)

    def at(self, key: Any) -> DropoutMasks:
        """Return the fitted masks of one moment: `key` indexes (time, batch); the weights' mask is always the same."""
        return DropoutMasks(**{n: array if n == "weight" else array[key] for n, array in self.arrays().items()})


NO_DROPOUT = DropoutMasks()

__all__ = ["ARRAYS", "NO_DROPOUT", "DropoutMasks", "Parameters", "Variant", "array_shapes"]
