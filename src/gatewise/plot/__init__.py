"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.attention import attention
from gatewise.plot.ceiling import ceiling
from gatewise.plot.contributions import contributions
from gatewise.plot.gates import gates
from gatewise.plot.saturation import saturation
from gatewise.plot.states import states
from gatewise.plot.text import text
from gatewise.plot.timescales import timescales
from gatewise.plot.unit import unit

__all__ = [
    "attention",
    "ceiling",
    "contributions",
    "data",
    "gates",
    "saturation",
    "states",
    "text",
    "timescales",
    "unit",
]
