"""The choices of the program's options: the library's own tables, as types that the program reads and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatewise import gates
from gatewise.cell import INITS
from gatewise.examples import EXAMPLES, TRAINED
from gatewise.grading.exercise import WORKED
from gatewise.grading.verdicts import REPEATS
from gatewise.languages.language import LANGUAGES
from gatewise.records.keep import DIRECTIONS
from gatewise.showing import FORMATS
from gatewise.walkthrough.notation import NOTATION_FIELDS

if TYPE_CHECKING:  # the names are known when the program runs
    Direction = str
    ExampleName = str
    Format = str
    GateName = str
    Worked = str
    Init = str
    Language = str
    MarkingFormat = str
    NotationName = str
    Repeat = str
    TrainedName = str
else:
    Direction = Literal[DIRECTIONS]
    ExampleName = Literal[tuple(EXAMPLES)]
    Format = Literal[tuple(FORMATS["Walkthrough"])]
    GateName = Literal[gates.NAMES]
    Worked = Literal[WORKED]
    Init = Literal[INITS]
    Language = Literal[LANGUAGES]
    MarkingFormat = Literal[tuple(FORMATS["Marking"])]
    NotationName = Literal[tuple(NOTATION_FIELDS)]
    Repeat = Literal[REPEATS]
    TrainedName = Literal[tuple(TRAINED)]
