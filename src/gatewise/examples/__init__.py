"""Examples that come with gatewise: small cells to learn from, and trained models with their data.

Examples
--------
>>> model, data = gw.examples.river()
>>> model.labels.features, data.x.shape
(('rain', 'temperature'), (730, 2))
"""

from gatewise.examples.cells import EXAMPLES, Example, latch, lesson, notebook
from gatewise.examples.literature import Reproduction, reproduce
from gatewise.examples.trained_models import (
    TRAINED,
    ExampleData,
    ExampleFiles,
    TrainedExample,
    agreement,
    amp,
    flipflop,
    quotes,
    river,
)

__all__ = [
    "EXAMPLES",
    "TRAINED",
    "Example",
    "ExampleData",
    "ExampleFiles",
    "Reproduction",
    "TrainedExample",
    "agreement",
    "amp",
    "flipflop",
    "latch",
    "lesson",
    "notebook",
    "quotes",
    "reproduce",
    "river",
]


def __dir__() -> list[str]:
    return __all__
