"""The table of what can be drawn or asked of a run: for each kind the record, and the picture where there is one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from gatewise import insight
from gatewise.plot.ordering import ORDERS
from gatewise.plot.picture import PICTURES

GIVEN = {"after", "start", "stop", "values"}  # what a kind may need to be given beside the run

_Kind = tuple[Callable[..., Any], Callable[..., Any] | None]


def required(function: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that a record cannot do without, but for the run."""
    rest = list(inspect.signature(function).parameters.values())[1:]
    return {one.name for one in rest if one.default is one.empty and one.kind is not one.VAR_KEYWORD}


def _answers(name: str) -> bool:
    """Whether a public name of `insight` is a question, whose answer can be said and written."""
    function = getattr(insight, name)
    if not inspect.isfunction(function):
        return False
    answer = getattr(insight, str(inspect.signature(function).return_annotation), object)
    return issubclass(answer, insight.Answer)


def _kinds() -> dict[str, _Kind]:
    found: dict[str, _Kind] = {name: (picture.data, picture.draw) for name, picture in PICTURES.items()}
    found |= {name: (getattr(insight, name), None) for name in insight.__all__ if name not in found and _answers(name)}
    return {name: found[name] for name in sorted(found) if required(found[name][0]) <= GIVEN}


KINDS = _kinds()
if TYPE_CHECKING:  # which names there are is known when the program runs
    Kind = str
    Order = str
else:
    Kind = Literal[tuple(KINDS)]
    Order = Literal[ORDERS]
