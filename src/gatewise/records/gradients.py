"""The results of a backward pass: the Gradients of one cell's run, and the LSTMGradients of an LSTM's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, require_reusable
from gatewise.parameters import Parameters
from gatewise.records.nesting import by_cell, cell_at
from gatewise.records.step import State
from gatewise.showing import brief, counted


@dataclass(frozen=True, eq=False, repr=False)
class Gradients:
    """The gradients of a loss with respect to everything that went into the run of one cell.

    Attributes
    ----------
    parameters : dict
        By name, in the shapes of `Parameters`: ``weight``, ``bias``, and ``peephole``, ``projection``, ``norm_gain``,
        ``cell_norm`` where the cell has them. Those of a coupled gate are zero.
    x : array (time, batch, input)
        With respect to the input.
    state : State
        With respect to the initial state.

    Examples
    --------
    >>> trace = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 3)))
    >>> gradients = gw.backward(trace[0], np.ones((5, 2)))
    >>> gradients.weight.shape, gradients.x.shape
    ((4, 2, 5), (5, 1, 3))
    """

    parameters: dict[str, Array]
    x: Array
    state: State

    @classmethod
    def zeros(cls, parameters: Parameters, num_steps: int, batch_size: int, out: Gradients | None = None) -> Gradients:
        """Return gradients of zeros in the shapes of a cell's run, in the arrays of `out` where it is given."""
        p, dtype = parameters, parameters.dtype
        shapes = {name: array.shape for name, array in p.arrays().items()}
        shapes |= {"x": (num_steps, batch_size, p.input_size)}
        shapes |= {"h": (batch_size, p.recurrent_size), "c": (batch_size, p.hidden_size)}
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
        """∂L/∂weight (4, hidden, recurrent + input)."""
        return self.parameters["weight"]

    @property
    def bias(self) -> Array:
        """∂L/∂bias (4, hidden)."""
        return self.parameters["bias"]

    def __repr__(self) -> str:
        (_, hidden, _), (steps, batch, features) = self.weight.shape, self.x.shape
        size = f"{counted(features, 'feature')}, {counted(hidden, 'unit')}, {self.x.dtype.name}"
        title = f"Gradients: {size}, over {counted(steps, 'step')} of {counted(batch, 'sequence')}"
        return brief(title, {**self.parameters, "x": self.x, "state.h": self.state.h, "state.c": self.state.c})


@dataclass(frozen=True, eq=False, repr=False)
class LSTMGradients:
    """The gradients of a loss with respect to everything that went into the run of an LSTM.

    ``gradients[layer, direction]`` are the `Gradients` of one cell; ``gradients[layer]`` is enough where there is one
    direction.

    Attributes
    ----------
    layers : tuple of dict
        The `Gradients` of each direction, for each layer.
    x : array
        With respect to the input, in its shape.
    state : tuple of tuple of State
        With respect to the initial state, ``[layer][direction]``.

    Examples
    --------
    >>> trace = gw.LSTM(3, 2, num_layers=2, rng=0).trace(np.ones((5, 3)))
    >>> gradients = gw.backward(trace, np.ones((5, 2)))
    >>> gradients[1].weight.shape, gradients.x.shape
    ((4, 2, 4), (5, 3))
    """

    layers: tuple[dict[str, Gradients], ...]
    x: Array
    state: tuple[tuple[State, ...], ...]

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def __getitem__(self, key: int | tuple[int, str]) -> Gradients:
        return cell_at(self.layers, key, "these gradients")

    __iter__ = None  # over layers, or over cells? `cells` says

    def cells(self) -> dict[tuple[int, str], Gradients]:
        """Return the gradients of every cell, by layer and direction."""
        return by_cell(self.layers)

    def __repr__(self) -> str:
        ways = " and ".join(self.layers[0])
        arrays = {f"[{layer}, {way!r}].weight": cell.weight for (layer, way), cell in self.cells().items()}
        return brief(
            f"LSTMGradients: {counted(self.num_layers, 'layer')}, {ways}, {self.x.dtype.name}", {**arrays, "x": self.x}
        )
