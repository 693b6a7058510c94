"""Model and input to a run, for the command line, for pages and for Python: files, arrays, tables, sound, stores."""

from gatewise.diagnostics.verification import Difference
from gatewise.opening.model_input import ModelInput
from gatewise.opening.windows import WindowedSeries

__all__ = ["Difference", "ModelInput", "WindowedSeries"]
