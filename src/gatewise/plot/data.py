"""What each picture draws, as a record: columns, and the arrays behind them."""

from gatewise.insight import attribution, contributions, saturation, timescales
from gatewise.plot.records.gates import Gates, gates

__all__ = ["Gates", "attribution", "contributions", "gates", "saturation", "timescales"]
