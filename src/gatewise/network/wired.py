"""The wiring of a network: what it computes, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import OptionError
from gatewise.network.dense import Linear
from gatewise.network.network import Network

if TYPE_CHECKING:
    from gatewise.symbolic.heads import Dense, Head
    from gatewise.symbolic.wiring import Wiring


def wiring_of(network: Network) -> Wiring:
    """Return the wiring of a network, from the input of its LSTM on: after a scaling, and after branches."""
    if network.skip and network.branches:
        raise OptionError("this network has a skip connection around its branches, which a page cannot show")
    from gatewise.layers.wired import wiring_of as lstm_wiring  # who only runs networks needs no formulas

    return replace(
        lstm_wiring(network.lstm, masked_output=network.masked_output),
        embedding=network.embedding,
        marked=network.masked,
        initial=network.initial,
        reads=network.reads,
        head=head_of(network),
    )


def head_of(network: Network) -> Head | None:
    """Return the part of a network after the LSTM as data; None if there is none."""
    from gatewise.symbolic.heads import Head

    scaling = network.outputs
    if not network.dense and not network.skip and scaling is None:
        return None
    layers = network.dense or (Linear(np.eye(network.num_outputs, dtype=network.lstm.dtype)),)
    if scaling is None:
        return Head(dense_of(layers), network.skip)
    return Head(dense_of(layers), network.skip, scaling.scale, scaling.center, scaling.least)


def dense_of(layers: Sequence[Linear]) -> tuple[Dense, ...]:
    """Return linear layers as data."""
    from gatewise.symbolic.heads import Dense

    return tuple(Dense(layer.weight, np.asarray(layer.bias), layer.activation) for layer in layers)
