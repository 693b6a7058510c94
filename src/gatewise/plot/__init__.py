"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.attribution import attribution
from gatewise.plot.gates import gates

__all__ = ["attribution", "data", "gates"]
