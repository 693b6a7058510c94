"""The wiring of a network: what it computes, as data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gatewise.network.network import Network

if TYPE_CHECKING:
    from gatewise.symbolic.wiring import Wiring


def wiring_of(network: Network) -> Wiring:
    """Return the wiring of a network."""
    from gatewise.layers.wired import wiring_of as lstm_wiring  # who only runs networks needs no formulas
    from gatewise.symbolic.wiring import Head

    head = network.head
    return replace(
        lstm_wiring(network.lstm, masked_output=network.masked_output),
        embedding=network.embedding,
        marked=network.masked,
        initial=network.initial,
        reads=network.reads,
        head=None if head is None else Head(head.weight, np.asarray(head.bias), head.activation),
    )
