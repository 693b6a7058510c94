"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.attribution import attribution
from gatewise.plot.change import change
from gatewise.plot.gates import gates
from gatewise.plot.states import states
from gatewise.plot.text import text
from gatewise.plot.unit import unit

__all__ = ["attribution", "change", "data", "gates", "states", "text", "unit"]
