"""A run to look at: the one that is given, or the one that a model makes over an input."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from gatewise.errors import OptionError
from gatewise.layers import LSTM
from gatewise.network.network import Network, NetworkTrace
from gatewise.records.lstm_trace import LSTMTrace
from gatewise.records.trace import Trace


def run_of(
    thing: object, x: npt.ArrayLike | None, options: dict[str, Any], said: str, kinds: str
) -> NetworkTrace | LSTMTrace:
    """Return the run of a model over an input, or one that is given; what is `said` begins what is wrong otherwise."""
    if isinstance(x, (Trace, LSTMTrace, NetworkTrace)):
        raise OptionError(f"x must be numbers, not a {type(x).__name__}: a trace is a run already, and needs none")
    if isinstance(thing, (LSTM, Network)):
        if x is None:
            raise OptionError(f"{said} a model of type {type(thing).__name__} needs x, the input that it runs on")
        return thing.trace(x, **options)
    if not isinstance(thing, (Trace, LSTMTrace, NetworkTrace)):
        raise OptionError(f"{kinds}, not {type(thing).__name__}")
    if extra := ["x"] * (x is not None) + [*options]:
        raise OptionError(f"a trace is a run already: {extra[0]} does not go with it")
    return (
        LSTMTrace(({thing.direction: thing},), thing.hidden_state, ("concat",)) if isinstance(thing, Trace) else thing
    )
