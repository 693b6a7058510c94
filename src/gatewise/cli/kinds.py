"""The table of what can be drawn or asked of a run: for each kind the record, and the picture where there is one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gatewise import insight, plot
from gatewise.plot import data

GIVEN = {"start", "stop", "values"}  # what a kind may need to be given beside the run

Kind = tuple[Callable[..., Any], Callable[..., Any] | None]


def required(function: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that a record cannot do without, but for the run."""
    rest = list(inspect.signature(function).parameters.values())[1:]
    return {one.name for one in rest if one.default is one.empty and one.kind is not one.VAR_KEYWORD}


def _kinds() -> dict[str, Kind]:
    found: dict[str, Kind] = {
        name: (getattr(data, name), getattr(plot, name)) for name in plot.__all__ if name != "data"
    }
    for name in insight.__all__:
        if name.islower() and name not in found and inspect.isfunction(question := getattr(insight, name)):
            found[name] = question, None
    return {name: found[name] for name in sorted(found) if required(found[name][0]) <= GIVEN}


KINDS = _kinds()
