"""A stream of a network: its state is carried from call to call."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, array_of, numbers
from gatewise.engine import native
from gatewise.errors import OptionError
from gatewise.layers.stack import States
from gatewise.layers.stream import CarriedState, pushed_orders, require_out, single_step, store_output
from gatewise.network.parts import Parts
from gatewise.records.named_input import steps_by_name


class NetworkStream(CarriedState):
    """A network that is fed step by step, or in blocks of steps, and carries its state from call to call.

    Its output is that of one call over all these steps, bit for bit, if each dense layer has at most 1,024 weights. A
    larger layer is multiplied by NumPy's BLAS, whose order of additions depends on the number of steps at once. Then
    the output agrees within rounding. The state stays the same, bit for bit, unless the large layer is before the LSTM.

    A stream starts from the network's initial state. As a `Stream`, it is used by one thread at a time, can be pickled
    and copied, and has the ``engine`` of its LSTM and a ``state`` that can be set.

    Parameters
    ----------
    network : Network
        It must read every step, and its LSTM must run forward only.
    batch_size : int, optional
        How many sequences run in parallel; by default there is one, and arrays have no batch axis.
    engine : str
        ``auto``, or the name of one of `gatewise.engines()`.

    Examples
    --------
    >>> from gatewise.layers import LSTM
    >>> from gatewise.network import Linear, Network
    >>> amplifier = Network(LSTM(1, 8, rng=0), head=Linear(np.ones((1, 8), np.float32)), skip=1)
    >>> stream = amplifier.stream()
    >>> stream.push(np.zeros((64, 1))).shape, stream.push([0.5]).shape
    ((64, 1), (1,))
    """

    def __init__(self, network: Parts, batch_size: int | None = None, *, engine: str = "auto") -> None:
        if not isinstance(network, Parts):
            raise OptionError(f"a stream needs a Network, not {type(network).__name__}")
        if network.reads != "every":
            raise OptionError(f"a stream outputs every step, but this network only reads the {network.reads} one")
        if network.masked is not None and network.masked_output == "repeat":
            raise OptionError("a stream's LSTM outputs zeros at masked steps, but this network repeats its last output")
        self._lstm = network.lstm.stream(batch_size, engine=engine)
        super().__init__(network, self._lstm.batch_size, engine)
        self.network, self.engine = network, self._lstm.engine
        if self.engine == native.NAME and (parts := _native_parts(network)) is not None:
            self._lstm.native.surround(**parts, converter=partial(_push, network, self.batch_size))
            self.push = self._lstm.native.predict  # type: ignore[method-assign]
        self.reset()

    @property
    def state(self) -> States:
        """What the next step starts from, ``[layer][direction]``: arrays of its own, that no step will change."""
        return self._lstm.state

    @state.setter
    def state(self, state: States) -> None:
        self._lstm.state = state

    @property
    def is_finite(self) -> bool:
        """Whether every number of the state is finite, as `Stream.is_finite`; if not, `reset` or set the state."""
        return self._lstm.is_finite

    def reset(self) -> None:
        """Set the state to the network's initial state."""
        initial = self.network.initial_state(self.batch_size)
        if initial is None:
            self._lstm.reset()
        else:
            self._lstm.state = initial

    def push(self, x: npt.ArrayLike, *, mask: npt.ArrayLike | None = None, out: Array | None = None) -> Array:
        """Feed one step, or a block of several, and return the network's output.

        A NaN in the input stays in the LSTM's state, so the output stays NaN until you call `reset` or set the state.
        `is_finite` tells you.

        Parameters
        ----------
        x : array (features,) or (time, features); with a batch (batch, features) or (time, batch, features)
            In the units of the network's ``inputs``. With an embedding, integers without the last axis.
        mask : boolean array, optional
            Which of these steps are valid, in the shape of `x` without its features. At a step that is not valid the
            state stays as it is, and the head reads zeros.
        out : array in the shape of what is returned, optional
            Where the output is written, in the LSTM's dtype.

        Returns
        -------
        array
            In the shape of `x`, with the outputs in place of the features.

        Raises
        ------
        ShapeError
            If the shape is none of these; the state is left as it was.
        """
        return _push(self.network, self.batch_size, self._lstm, x, mask, out)


def _push(
    network: Parts, batch: int | None, stream: Any, value: npt.ArrayLike, mask: npt.ArrayLike | None, out: Array | None
) -> Array:
    """Feed the next step or block through a network around the stream of its LSTM."""
    x = steps_by_name(value, None if network.embedding is not None else network.feature_names)
    around = (network.embedding, network.inputs, network.masked)
    if network.branches or any(part is not None for part in around):
        return _push_embedded(network, batch, stream, x, mask, out)
    if type(x) is np.ndarray and x.dtype == network.lstm.dtype:
        features: Array = x
    else:
        features = numbers("x", x, network.lstm.dtype, pushed_orders(batch))
    if out is not None:
        require_out(out, (*features.shape[:-1], network.num_outputs), features.dtype)
    h = stream.push(features, mask=mask)
    return store_output(network.apply_head(h, features), out)


def _push_embedded(
    network: Parts, batch: int | None, stream: Any, value: npt.ArrayLike, mask: npt.ArrayLike | None, out: Array | None
) -> Array:
    """Feed the next step or block, where the input is embedded, scaled or masked first."""
    tokens = network.embedding is not None
    x = array_of("x", value) if tokens else numbers("x", value, None, pushed_orders(batch))
    axes = () if tokens else (network.num_features,)
    single = single_step(x.shape, axes if batch is None else (batch, *axes))
    shape = (*(x.shape if tokens else x.shape[:-1]), network.num_outputs)
    require_out(out, shape, network.lstm.dtype)
    block = x[None] if single else x
    features, looked_up = network.embed(block)
    if mask is None:
        mask = network.valid_steps(features, looked_up)
    elif single:
        mask = np.asarray(mask)[None]
    h = stream.push(features, mask=mask)
    return store_output(network.predict(h, block).reshape(shape), out)


def _native_parts(network: Parts) -> dict[str, Any] | None:
    """Return the parts around a network's LSTM as the native engine takes them; None where they need NumPy.

    NumPy computes nonlinearities of dense layers, and products whose bits depend on how many steps there are.
    """
    branches, inputs, outputs = network.branches, network.inputs, network.outputs
    before = branches[0].layers if branches else ()
    straight = not branches or [branch.features for branch in branches] == [tuple(range(network.num_features))]
    linear = all(layer.activation is None and layer.row_by_row for layer in (*before, *network.dense))
    if network.embedding is not None or network.masked is not None or not (straight and linear):
        return None
    return {
        "features": network.num_features,
        "before": [array for layer in before for array in (layer.weight, layer.bias)],
        "after": [array for layer in network.dense for array in (layer.weight, layer.bias)],
        "skip": network.skip,
        "inputs": None if inputs is None else inputs.rows,
        "outputs": None if outputs is None else outputs.rows,
    }
