"""What each picture draws, as a record: columns, and the arrays behind them."""

from gatewise.insight import activity, attribution, contributions, saturation, timescales
from gatewise.plot.records.gates import Gates, gates

__all__ = [
    "Gates",
    "activity",
    "attribution",
    "contributions",
    "gates",
    "saturation",
    "timescales",
]
