"""The switches of a cell (Variant) and its arrays (Parameters).

Switches and arrays are declared here alone: command-line options, initialisers, programs, tables and the names in files
of problems are derived from their declarations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
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


def _switch(default: object, explanation: str, choices: tuple[str, ...] = ()) -> Any:
    """Declare a switch: one of its choices, or without them a positive number; the explanation is its option's help."""
    return field(default=default, metadata={"explanation": explanation, "choices": choices})


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
    output_clip : float, optional
        Bound on the input of the cell state's nonlinearity. The cell state that the next step gets is not clipped.
        With the same `gate_clip`, this is ONNX's `clip` as its specification can be read. Only the reference engine
        supports it.
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

    Examples
    --------
    >>> variant = gw.Variant(peephole="full", coupling="forget=1-input", cell_clip=3.0)
    >>> step = gw.LSTMCell(3, 2, variant=variant, rng=0).step(np.ones(3))
    >>> np.allclose(step.forget_gate, 1 - step.input_gate)
    True
    """

    peephole: str = _switch("none", "Whether the gates also see the cell state.", PEEPHOLES)
    coupling: str = _switch("none", "Couple the input and the forget gate: one is 1 minus the other.", COUPLINGS)
    gate_clip: float | None = _switch(None, "Clip the gates' pre-activations to [-value, value] (ONNX).")
    cell_clip: float | None = _switch(None, "Clip the new cell state to [-value, value] (TensorFlow, cuDNN).")
    output_clip: float | None = _switch(None, "Clip the input of the cell state's nonlinearity to [-value, value].")
    projection_clip: float | None = _switch(None, "Clip the projected hidden state to [-value, value].")
    input_activation: Activation | str = SIGMOID
    forget_activation: Activation | str = SIGMOID
    candidate_activation: Activation | str = TANH
    output_activation: Activation | str = SIGMOID
    cell_activation: Activation | str = TANH
    layer_norm: str = _switch(
        "none", "Layer normalization: of each gate (TensorFlow Lite), or as in Haste.", LAYER_NORMS
    )
    epsilon: float | None = _switch(None, "Added to the variance in layer normalization.")

    def __post_init__(self) -> None:
        for switch in SWITCHES:
            if choices := switch.metadata["choices"]:
                one_of(switch.name, getattr(self, switch.name), choices)
            elif switch.name != "epsilon":
                self._require_positive(switch.name)
        for name in _ACTIVATIONS.values():
            activation = getattr(self, name)
            if isinstance(activation, str):
                object.__setattr__(self, name, Activation.parse(activation))
            elif not isinstance(activation, Activation):
                raise OptionError(f"{name} must be an Activation or its name, not {activation!r}")
        if self.layer_norm == "none" and self.epsilon is not None:
            raise OptionError(f"epsilon belongs to layer norm, and layer_norm is none; epsilon is {self.epsilon!r}")
        if self.layer_norm != "none" and self.epsilon is None:
            raise OptionError(f"layer_norm={self.layer_norm!r} needs an epsilon (TensorFlow Lite: 1e-8, Haste: 1e-5)")
        self._require_positive("epsilon")

    def _require_positive(self, name: str) -> None:
        """Raise OptionError unless a switch of the cell is None or a positive, finite number."""
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
        activation: Activation = getattr(self, _ACTIVATIONS[letter])
        return activation

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
        """Return the switches of the cell that are not at their defaults, by name."""
        default = Variant()
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        }

    def to_json(self) -> dict[str, Any]:
        """Return every switch of the cell as plain data."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: {"name": value.name, "alpha": value.alpha, "beta": value.beta}
            if isinstance(value, Activation)
            else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Variant:
        """Return the variant of a cell that `to_json` described; unknown names and values raise OptionError."""
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


SWITCHES = tuple(switch for switch in fields(Variant) if switch.metadata)  # all but the nonlinearities


@dataclass(frozen=True)
class ArrayDeclaration:
    """How one array of `Parameters` is made up.

    The name of a row is a letter, an underscore and what stands below the letter; that of a gate's row ends with the
    gate's letter.
    """

    rows: tuple[str, ...]  # their names in the equations, in C order of the leading axes
    leading: tuple[int, ...]  # the sizes of the leading axes
    axes: tuple[str, ...] = ("hidden",)  # of each row: of hidden, columns and recurrent
    title: str = ""  # of its table in a walkthrough; arrays of one title share a table
    initial: tuple[float, ...] = ()  # the entries of each row in a new cell; empty where they are drawn at random


def array_declarations(variant: Variant) -> dict[str, ArrayDeclaration]:
    """Return the declarations of a variant's parameter arrays, by name; any cell may also have the projection."""
    declared = {
        "weight": ArrayDeclaration(tuple(f"W_{k}" for k in gates.LETTERS), (4,), ("hidden", "columns")),
        "bias": ArrayDeclaration(tuple(f"b_{k}" for k in gates.LETTERS), (4,)),
    }
    if variant.peephole == "full":
        rows = tuple(f"p_{k}" for k in gates.PEEPHOLES)
        declared["peephole"] = ArrayDeclaration(rows, (3,), title="Peephole weights: from the cell state to each gate")
    if variant.layer_norm == "gates":
        rows = tuple(f"γ_{k}" for k in gates.LETTERS)
        declared["norm_gain"] = ArrayDeclaration(rows, (4,), title="Layer norm: gains", initial=(1,) * 4)
    if variant.layer_norm == "haste":
        title = "Layer norm: gains and shift"
        rows = tuple(f"γ_{sums}{k}" for sums in "uw" for k in gates.LETTERS)
        declared["norm_gain"] = ArrayDeclaration(rows, (2, 4), title=title, initial=(1,) * 8)
        declared["cell_norm"] = ArrayDeclaration(("γ_c", "β_c"), (2,), title=title, initial=(1, 0))
    declared["projection"] = ArrayDeclaration(("R",), (), ("recurrent", "hidden"), "Projection: ")
    return declared


def named_rows(variant: Variant, order: str = gates.LETTERS) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield the name of every row of a variant's parameters, with its array and position; none of a coupled gate.

    They come gate by gate in an order, and last those of no gate.
    """
    rows = [
        (name, array, tuple(map(int, np.unravel_index(n, declared.leading))) if declared.leading else ())
        for array, declared in array_declarations(variant).items()
        for n, name in enumerate(declared.rows)
    ]
    for k in order:
        if k in variant.own:
            yield from (row for row in rows if row[0].endswith(k))
    yield from (row for row in rows if row[0][-1] not in gates.LETTERS)


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

    Examples
    --------
    >>> p = gw.Parameters(weight=np.zeros((4, 2, 5)), bias=np.zeros((4, 2)))
    >>> gw.LSTMCell.from_parameters(p).step(np.ones(3)).forget_gate
    array([0.5, 0.5])
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
            array = getattr(self, name)
            if shape is None and array is not None:
                raise OptionError(f"{name} is given, but the variant has no use for it")
            if shape is not None and array is None:
                raise OptionError(f"{name} is missing; the variant needs it, in shape {shape}")
            if shape is not None:
                object.__setattr__(self, name, frozen(numbers(name, array, weight.dtype), shape, name))

    @cached_property
    def hidden_size(self) -> int:
        """How many units the cell has."""
        return int(self.weight.shape[1])

    @cached_property
    def recurrent_size(self) -> int:
        """The size of the hidden state: the projection's where there is one, else `hidden_size`."""
        return self.hidden_size if self.projection is None else len(self.projection)

    @cached_property
    def input_size(self) -> int:
        """How many features the input has."""
        return int(self.weight.shape[2]) - self.recurrent_size

    @cached_property
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


ARRAYS = tuple(array.name for array in fields(Parameters) if array.name != "variant")


def array_shapes(
    variant: Variant, input_size: int, hidden_size: int, recurrent_size: int
) -> dict[str, tuple[int, ...] | None]:
    """Return the shape of every array that the variant of a cell decides on; None for one that it does not use.

    The projection is not among them: a cell of any variant may have one.
    """
    sizes = {"hidden": hidden_size, "recurrent": recurrent_size, "columns": recurrent_size + input_size}
    declared = array_declarations(variant)
    shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(name for name in ARRAYS if name != "projection")
    for name in shapes:
        if name in declared:
            shapes[name] = (*declared[name].leading, *(sizes[axis] for axis in declared[name].axes))
    return shapes
