"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from gatewise.plot import data
from gatewise.plot.activity import activity
from gatewise.plot.attribution import attribution
from gatewise.plot.gates import gates

__all__ = [
    "activity",
    "attribution",
    "data",
    "gates",
]
