"""What each picture draws, as a record: columns, and the arrays behind them."""

from gatewise.insight import contributions, matches, probe, saturation, timescales
from gatewise.plot.records.gates import Gates, gates

__all__ = ["Gates", "contributions", "gates", "matches", "probe", "saturation", "timescales"]
