"""What each picture draws, as a record: columns, and the arrays behind them."""

from gatewise.insight import contributions, fixed_points, influence, saturation, timescales
from gatewise.plot.records.gates import Gates, gates

__all__ = ["Gates", "contributions", "fixed_points", "gates", "influence", "saturation", "timescales"]
