"""Pictures of runs: Axes of matplotlib in, Axes out. Each draws a record, which `gatewise.plot.data` computes.

Examples
--------
>>> from gatewise.examples import latch
>>> trace = latch().trace()
>>> gw.plot.gates(trace[0]).get_title()
'forget gate'
"""

from gatewise.plot import data as data
from gatewise.plot.of_memory import attention as attention
from gatewise.plot.of_memory import contributions as contributions
from gatewise.plot.of_memory import horizon as horizon
from gatewise.plot.of_memory import influence as influence
from gatewise.plot.of_memory import matches as matches
from gatewise.plot.of_memory import timescales as timescales
from gatewise.plot.of_outputs import ablation as ablation
from gatewise.plot.of_outputs import attribution as attribution
from gatewise.plot.of_outputs import ceiling as ceiling
from gatewise.plot.of_outputs import effect as effect
from gatewise.plot.of_outputs import occlusion as occlusion
from gatewise.plot.of_runs import change as change
from gatewise.plot.of_runs import gates as gates
from gatewise.plot.of_runs import states as states
from gatewise.plot.of_runs import text as text
from gatewise.plot.of_runs import unit as unit
from gatewise.plot.of_units import activity as activity
from gatewise.plot.of_units import fixed_points as fixed_points
from gatewise.plot.of_units import probe as probe
from gatewise.plot.of_units import saturation as saturation
from gatewise.plot.picture import PICTURES

__all__ = ["data", *PICTURES]


def __dir__() -> list[str]:
    return __all__  # not the modules that they lie in
