"""Networks: an LSTM with an embedding, dense layers, a scaling and a head around it."""

from gatewise.network.backward import NetworkGradients
from gatewise.network.dense import SOFTMAX, Branch, Linear, LinearGradients, Scaling, outputs_of
from gatewise.network.network import Network, NetworkTrace, Run
from gatewise.network.stream import NetworkStream
from gatewise.network.windows import Windows
from gatewise.network.wired import wiring_of

__all__ = [
    "SOFTMAX",
    "Branch",
    "Linear",
    "LinearGradients",
    "Network",
    "NetworkGradients",
    "NetworkStream",
    "NetworkTrace",
    "Run",
    "Scaling",
    "Windows",
    "outputs_of",
    "wiring_of",
]
