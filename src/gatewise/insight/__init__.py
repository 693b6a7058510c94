"""Questions about runs, one file each; an answer is a record with a sentence, columns, a law and its residual.

Examples
--------
>>> from gatewise.examples import latch
>>> trace = latch().trace()
>>> print(gw.insight.activity(trace[0]))
The hidden state of the one unit has a standard deviation of 0.26.
"""

from gatewise.insight.ablation import Ablation, ablation
from gatewise.insight.activity import Activity, activity
from gatewise.insight.answer import Answer, Cost
from gatewise.insight.attention import Attention, attention, cost_of_attention
from gatewise.insight.attribution import Attribution, attribution
from gatewise.insight.ceiling import Ceiling, ceiling
from gatewise.insight.change import Change, change
from gatewise.insight.comparing import RunDifference
from gatewise.insight.decomposition import Decomposition, decomposition
from gatewise.insight.effect import Effect, effect
from gatewise.insight.fixed_points import FixedPoints, fixed_points
from gatewise.insight.horizon import Horizon, horizon
from gatewise.insight.influence import Influence, influence
from gatewise.insight.matches import Matches, matches
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.occlusion import Occlusion, occlusion
from gatewise.insight.origin import Contributions, contributions, cost_of_contributions
from gatewise.insight.probe import Probe, probe
from gatewise.insight.saturation import Saturation, saturation
from gatewise.insight.target import Target, target
from gatewise.insight.word_scores import WordScores, word_scores

__all__ = [
    "Ablation",
    "Activity",
    "Answer",
    "Attention",
    "Attribution",
    "Ceiling",
    "Change",
    "Contributions",
    "Cost",
    "Decomposition",
    "Effect",
    "FixedPoints",
    "Horizon",
    "Influence",
    "Matches",
    "Occlusion",
    "Probe",
    "RunDifference",
    "Saturation",
    "Target",
    "Timescales",
    "WordScores",
    "ablation",
    "activity",
    "attention",
    "attribution",
    "ceiling",
    "change",
    "contributions",
    "cost_of_attention",
    "cost_of_contributions",
    "decomposition",
    "effect",
    "fixed_points",
    "horizon",
    "influence",
    "matches",
    "occlusion",
    "probe",
    "saturation",
    "target",
    "timescales",
    "word_scores",
]


def __dir__() -> list[str]:
    return __all__  # not the modules that they lie in
