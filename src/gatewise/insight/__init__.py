"""Questions asked of a trace, one file a question; each answer is a record with a sentence, columns and a residual."""

from gatewise.insight.ablation import Ablation, ablation
from gatewise.insight.answer import Answer
from gatewise.insight.attention import Attention, attention, cost_of_attention
from gatewise.insight.attribution import Attribution, attribution
from gatewise.insight.ceiling import Ceiling, ceiling
from gatewise.insight.change import Change, change
from gatewise.insight.comparing import Place
from gatewise.insight.cost import Cost
from gatewise.insight.decomposition import Decomposition, decomposition
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.origin import Contributions, contributions, cost_of_contributions
from gatewise.insight.saturation import Saturation, saturation
from gatewise.insight.target import Target, target
from gatewise.insight.word_scores import WordScores, word_scores

__all__ = [
    "Ablation",
    "Answer",
    "Attention",
    "Attribution",
    "Ceiling",
    "Change",
    "Contributions",
    "Cost",
    "Decomposition",
    "Place",
    "Saturation",
    "Target",
    "Timescales",
    "WordScores",
    "ablation",
    "attention",
    "attribution",
    "ceiling",
    "change",
    "contributions",
    "cost_of_attention",
    "cost_of_contributions",
    "decomposition",
    "saturation",
    "target",
    "timescales",
    "word_scores",
]
