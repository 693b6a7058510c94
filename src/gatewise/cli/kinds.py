"""The table of pictures of a run and questions about it: for each kind its record, and its picture if it has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from gatewise import insight
from gatewise.plot.picture import PICTURES
from gatewise.plot.sequence_of_cell import ORDERS

ARGUMENTS = {"after", "start", "stop", "values"}  # that a kind may require beside the run
IN_PYTHON = {"effect"}  # kinds that need to know what to change

PlotKind = tuple[Callable[..., Any], Callable[..., Any] | None]


def required(function: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that a record requires, except the run."""
    rest = list(inspect.signature(function).parameters.values())[1:]
    return {p.name for p in rest if p.default is p.empty and p.kind is not p.VAR_KEYWORD}


def _is_question(name: str) -> bool:
    """Whether a public name of `insight` is a question that `gatewise plot` can ask and print the answer of."""
    function = getattr(insight, name)
    if not inspect.isfunction(function):
        return False
    answer = getattr(insight, str(inspect.signature(function).return_annotation), object)
    return issubclass(answer, insight.Answer)


def _kinds() -> dict[str, PlotKind]:
    """Return all pictures of a run and all questions that need no more than `ARGUMENTS`, by the name of their kind."""
    kinds: dict[str, PlotKind] = {name: (picture.data, picture.draw) for name, picture in PICTURES.items()}
    kinds |= {
        name: (getattr(insight, name), None) for name in insight.__all__ if name not in kinds and _is_question(name)
    }
    return {name: kinds[name] for name in sorted(kinds.keys() - IN_PYTHON) if required(kinds[name][0]) <= ARGUMENTS}


KINDS = _kinds()
if TYPE_CHECKING:  # the names are known when the program runs
    Kind = str
    Order = str
else:
    Kind = Literal[tuple(KINDS)]
    Order = Literal[ORDERS]
