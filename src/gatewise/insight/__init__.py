"""Questions asked of a trace, one file a question; each answer is a record with a sentence, columns and a residual."""

from gatewise.insight.answer import Answer
from gatewise.insight.matches import Matches, matches
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.origin import Contributions, contributions
from gatewise.insight.probe import Probe, probe
from gatewise.insight.saturation import Saturation, saturation

__all__ = [
    "Answer",
    "Contributions",
    "Matches",
    "Probe",
    "Saturation",
    "Timescales",
    "contributions",
    "matches",
    "probe",
    "saturation",
    "timescales",
]
