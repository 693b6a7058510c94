"""What each picture draws, as a record: columns, and the arrays behind them."""

from gatewise.insight import (
    activity,
    attention,
    attribution,
    ceiling,
    change,
    contributions,
    fixed_points,
    influence,
    matches,
    probe,
    saturation,
    timescales,
)
from gatewise.plot.records.gates import Gates, gates
from gatewise.plot.records.states import States, states
from gatewise.plot.records.text import Text, text
from gatewise.plot.records.unit import Unit, unit

__all__ = [
    "Gates",
    "States",
    "Text",
    "Unit",
    "activity",
    "attention",
    "attribution",
    "ceiling",
    "change",
    "contributions",
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
