"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.gates import gates
from gatewise.plot.matches import matches
from gatewise.plot.probe import probe

__all__ = ["data", "gates", "matches", "probe"]
