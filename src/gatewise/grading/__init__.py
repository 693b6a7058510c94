"""Numbers worked out by hand, compared with the equations: the first mistake and its cause."""

from gatewise.grading.sheet import Fault
from gatewise.grading.verdicts import Cause, Verdict

__all__ = ["Cause", "Fault", "Verdict"]
