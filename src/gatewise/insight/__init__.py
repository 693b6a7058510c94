"""Questions asked of a run, one file a question; the answers are records that views can draw."""

from gatewise.insight.gradient_check import Compared, gradient_check

__all__ = ["Compared", "gradient_check"]
