"""gatewise: an LSTM you can see through."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gatewise.activations import Activation
from gatewise.cell import LSTMCell
from gatewise.engine import Engine, engines, set_num_threads
from gatewise.errors import (
    CapacityError,
    FileError,
    GatewiseError,
    MissingExtraError,
    NotKeptError,
    OptionError,
    ShapeError,
    WeightsWarning,
)
from gatewise.gradients import Gradients, LSTMGradients
from gatewise.layers import LSTM, Stream, backward
from gatewise.network import Linear, Network
from gatewise.parameters import Masks, Parameters, Variant
from gatewise.step import Labels, State, Step
from gatewise.trace import LSTMTrace, Trace

if TYPE_CHECKING:
    from gatewise.diagnostics.verification import verify
    from gatewise.grading.marking import check
    from gatewise.interop import inspect, load, load_network, load_trace, save
    from gatewise.walkthrough.build import walk

__version__ = "0.1.0"

# What is imported only when it is asked for, and where it lies.
_LAZY = {
    "check": "gatewise.grading.marking",
    "inspect": "gatewise.interop",
    "load": "gatewise.interop",
    "load_network": "gatewise.interop",
    "load_trace": "gatewise.interop",
    "save": "gatewise.interop",
    "verify": "gatewise.diagnostics.verification",
    "walk": "gatewise.walkthrough.build",
}

__all__ = [
    "LSTM",
    "Activation",
    "CapacityError",
    "Engine",
    "FileError",
    "GatewiseError",
    "Gradients",
    "LSTMCell",
    "LSTMGradients",
    "LSTMTrace",
    "Labels",
    "Linear",
    "Masks",
    "MissingExtraError",
    "Network",
    "NotKeptError",
    "OptionError",
    "Parameters",
    "ShapeError",
    "State",
    "Step",
    "Stream",
    "Trace",
    "Variant",
    "WeightsWarning",
    "backward",
    "check",
    "engines",
    "inspect",
    "load",
    "load_network",
    "load_trace",
    "save",
    "set_num_threads",
    "verify",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gatewise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
