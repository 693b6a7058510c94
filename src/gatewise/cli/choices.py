"""What the program's options choose from: the library's own tables, as types that the program reads and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatewise import gates
from gatewise.cell import INITS
from gatewise.examples import EXAMPLES
from gatewise.grading.fading import WORKED
from gatewise.records.keep import DIRECTIONS
from gatewise.showing import FORMATS
from gatewise.walkthrough.notations import NOTATIONS

if TYPE_CHECKING:  # which names there are is known when the program runs
    Direction = str
    ExampleName = str
    Format = str
    GateName = str
    Given = str
    Init = str
    MarkingFormat = str
    NotationName = str
else:
    Direction = Literal[DIRECTIONS]
    ExampleName = Literal[tuple(EXAMPLES)]
    Format = Literal[tuple(FORMATS["Walkthrough"])]
    GateName = Literal[gates.NAMES]
    Given = Literal[WORKED]
    Init = Literal[INITS]
    MarkingFormat = Literal[tuple(FORMATS["Marking"])]
    NotationName = Literal[tuple(NOTATIONS)]
