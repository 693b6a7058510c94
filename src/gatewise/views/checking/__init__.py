"""A person's own numbers against the equations: which is the first wrong one, and why."""

from gatewise.views.checking.chain import Chain
from gatewise.views.checking.marking import Marking, Verdict, check

__all__ = ["Chain", "Marking", "Verdict", "check"]
