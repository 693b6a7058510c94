"""Questions asked of a trace, one file a question; each answer is a record with a sentence, columns and a residual."""

from gatewise.insight.answer import Answer
from gatewise.insight.fixed_points import FixedPoints, fixed_points
from gatewise.insight.influence import Influence, influence
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.origin import Contributions, contributions
from gatewise.insight.saturation import Saturation, saturation

__all__ = [
    "Answer",
    "Contributions",
    "FixedPoints",
    "Influence",
    "Saturation",
    "Timescales",
    "contributions",
    "fixed_points",
    "influence",
    "saturation",
    "timescales",
]
