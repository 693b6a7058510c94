"""Pictures of runs: Axes of matplotlib in, Axes out; what they draw is a record, from `gatewise.plot.data`."""

from gatewise.plot import data
from gatewise.plot.activity import activity
from gatewise.plot.attention import attention
from gatewise.plot.attribution import attribution
from gatewise.plot.ceiling import ceiling
from gatewise.plot.change import change
from gatewise.plot.contributions import contributions
from gatewise.plot.fixed_points import fixed_points
from gatewise.plot.gates import gates
from gatewise.plot.influence import influence
from gatewise.plot.matches import matches
from gatewise.plot.probe import probe
from gatewise.plot.saturation import saturation
from gatewise.plot.states import states
from gatewise.plot.text import text
from gatewise.plot.timescales import timescales
from gatewise.plot.unit import unit

__all__ = [
    "activity",
    "attention",
    "attribution",
    "ceiling",
    "change",
    "contributions",
    "data",
    "fixed_points",
    "gates",
    "influence",
    "matches",
    "probe",
    "saturation",
    "states",
    "text",
    "timescales",
    "unit",
]
