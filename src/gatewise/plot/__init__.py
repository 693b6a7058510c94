"""Pictures of runs: Axes of matplotlib in, Axes out. Each draws a record, which `gatewise.plot.data` computes.

Examples
--------
>>> from gatewise.examples import latch
>>> trace = latch().trace()
>>> gw.plot.gates(trace[0]).get_title()
'forget gate'
"""

from gatewise.plot import data as data
from gatewise.plot.ablation import ablation as ablation
from gatewise.plot.activity import activity as activity
from gatewise.plot.attention import attention as attention
from gatewise.plot.attribution import attribution as attribution
from gatewise.plot.ceiling import ceiling as ceiling
from gatewise.plot.change import change as change
from gatewise.plot.contributions import contributions as contributions
from gatewise.plot.fixed_points import fixed_points as fixed_points
from gatewise.plot.gates import gates as gates
from gatewise.plot.horizon import horizon as horizon
from gatewise.plot.influence import influence as influence
from gatewise.plot.matches import matches as matches
from gatewise.plot.occlusion import occlusion as occlusion
from gatewise.plot.picture import PICTURES
from gatewise.plot.probe import probe as probe
from gatewise.plot.saturation import saturation as saturation
from gatewise.plot.states import states as states
from gatewise.plot.text import text as text
from gatewise.plot.timescales import timescales as timescales
from gatewise.plot.unit import unit as unit

__all__ = ["data", *PICTURES]


def __dir__() -> list[str]:
    return __all__  # not the modules that they lie in
