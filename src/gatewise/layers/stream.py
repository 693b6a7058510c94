"""A stream: an LSTM whose state is carried from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, numbers
from gatewise.engine import choose
from gatewise.errors import OptionError, ShapeError
from gatewise.layers.settling import States, settled_state

if TYPE_CHECKING:
    from gatewise.layers.lstm import LSTM


class Stream:
    """An LSTM that is fed step by step, and remembers.

    Parameters
    ----------
    lstm : LSTM
        It must run forward only: a backward direction needs the end of a sequence before its beginning.
    batch : int, optional
        How many sequences run side by side; without it there is one, and arrays have no batch axis.
    engine : str

    Attributes
    ----------
    state : tuple of tuple of State
        What the next step starts from; it can be set.

    Examples
    --------
    >>> from gatewise.layers import LSTM
    >>> stream = LSTM(input_size=3, hidden_size=2, rng=0).stream()
    >>> stream.push([0.5, 0.8, 0.2]).shape
    (2,)
    """

    def __init__(self, lstm: LSTM, batch: int | None = None, engine: str = "auto") -> None:
        if lstm.directions != ("forward",):
            raise OptionError(f"a stream runs forward only; this LSTM runs {' and '.join(lstm.directions)}")
        for row in lstm.layers:
            choose(engine, row[0].parameters)
        self.lstm, self.batch, self.engine = lstm, batch, engine
        self._state: States = lstm.zero_state(batch)

    @property
    def state(self) -> States:
        """What the next step starts from, ``[layer][direction]``."""
        return self._state

    @state.setter
    def state(self, state: States) -> None:
        self._state = settled_state(self.lstm, state, self.batch)

    def reset(self) -> None:
        """Forget everything: the next step starts from zeros."""
        self._state = self.lstm.zero_state(self.batch)

    def push(self, x: npt.ArrayLike) -> Array:
        """Feed one step, or a chunk of several, and return what the LSTM puts out.

        Parameters
        ----------
        x : array (input,) or (time, input); with a batch (batch, input) or (time, batch, input)

        Returns
        -------
        array
            The output, in the shape of `x` but for its last axis.

        Raises
        ------
        ShapeError
            If the shape is none of these; the state is left as it was.
        """
        chunk = numbers("x", x, self.lstm.dtype)
        step = (self.lstm.input_size,) if self.batch is None else (self.batch, self.lstm.input_size)
        one = chunk.shape == step
        if not one and chunk.shape[1:] != step:
            what = " or ".join(str(shape) for shape in (step, ("time", *step))).replace("'", "")
            raise ShapeError(f"x has shape {np.shape(x)}; this stream takes {what}")
        y, self._state = self.lstm(chunk[None] if one else chunk, self._state, engine=self.engine)
        return y[0] if one else y
