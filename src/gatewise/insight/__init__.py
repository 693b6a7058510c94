"""Questions asked of a trace, one file a question; each answer is a record with a sentence, columns and a residual."""

from gatewise.insight.answer import Answer
from gatewise.insight.attention import Attention, attention, cost_of_attention
from gatewise.insight.ceiling import Ceiling, ceiling
from gatewise.insight.cost import Cost
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.origin import Contributions, contributions, cost_of_contributions
from gatewise.insight.saturation import Saturation, saturation

__all__ = [
    "Answer",
    "Attention",
    "Ceiling",
    "Contributions",
    "Cost",
    "Saturation",
    "Timescales",
    "attention",
    "ceiling",
    "contributions",
    "cost_of_attention",
    "cost_of_contributions",
    "saturation",
    "timescales",
]
