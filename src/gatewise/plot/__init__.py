"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.fixed_points import fixed_points
from gatewise.plot.gates import gates
from gatewise.plot.influence import influence

__all__ = ["data", "fixed_points", "gates", "influence"]
