"""What a backward pass leaves behind: the Gradients of one cell's run, and the LSTMGradients of a stack of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, index, require_reusable
from gatewise.errors import one_of
from gatewise.parameters import Parameters
from gatewise.step import State


@dataclass(frozen=True, eq=False)
class Gradients:
    """The derivatives of a loss by all that went into one cell's run.

    Attributes
    ----------
    parameters : dict
        By name, in the shapes of `Parameters`: ``weight``, ``bias``, and ``peephole``, ``projection``, ``norm_gain``,
        ``cell_norm`` where the cell has them. Those of a coupled gate are zero.
    x : array (time, batch, input)
    state : State
        By the initial state.
    """

    parameters: dict[str, Array]
    x: Array
    state: State

    @classmethod
    def zeros(cls, parameters: Parameters, time: int, batch: int, out: Gradients | None = None) -> Gradients:
        """Return zeros in the shapes of a run's gradients, in the arrays of `out` where it is given.

        Raises
        ------
        ShapeError
            If `out` is not of such a run.
        """
        p, dtype = parameters, parameters.dtype
        shapes = {name: array.shape for name, array in p.arrays().items()}
        shapes |= {"x": (time, batch, p.input_size), "h": (batch, p.recurrent_size), "c": (batch, p.hidden_size)}
        if out is None:
            arrays = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        else:
            arrays = {**out.parameters, "x": out.x, **out.state._asdict()}
            require_reusable({name: (shape, dtype) for name, shape in shapes.items()}, arrays, "gradients")
            for array in arrays.values():
                array.fill(0)
        x, state = arrays.pop("x"), State(arrays.pop("h"), arrays.pop("c"))
        return cls(arrays, x, state)

    @property
    def weight(self) -> Array:
        """dL/dweight (4, hidden, recurrent + input)."""
        return self.parameters["weight"]

    @property
    def bias(self) -> Array:
        """dL/dbias (4, hidden)."""
        return self.parameters["bias"]


@dataclass(frozen=True, eq=False)
class LSTMGradients:
    """The derivatives of a loss by all that went into an LSTM's run: ``gradients[layer]``, and ``.x``, ``.state``.

    Attributes
    ----------
    layers : tuple of dict
        The `Gradients` of each direction, for each layer.
    x : array
        By the input, in its shape.
    state : tuple of tuple of State
        By the initial state, ``[layer][direction]``.
    """

    layers: tuple[dict[str, Gradients], ...]
    x: Array
    state: tuple[tuple[State, ...], ...]

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def __iter__(self) -> Iterator[Gradients]:
        return (gradients for layer in self.layers for gradients in layer.values())

    def __getitem__(self, key: int | tuple[int, str]) -> Gradients:
        directions = tuple(self.layers[0])
        layer, direction = key if isinstance(key, tuple) else (key, directions[0])
        place = index("layer", layer, len(self.layers), "this trace")
        return self.layers[place][one_of("direction", direction, directions)]
