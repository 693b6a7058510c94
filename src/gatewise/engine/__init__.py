"""Engines: each runs a cell over time and fills a trace, and goes back over the trace for the gradients."""

from __future__ import annotations

from types import ModuleType

from gatewise.engine import reference
from gatewise.errors import OptionError, one_of
from gatewise.parameters import Parameters

ENGINES: dict[str, ModuleType] = {reference.NAME: reference}  # fastest first; the last one runs everything


def engines() -> tuple[str, ...]:
    """Return the engines that this installation has, fastest first.

    Examples
    --------
    >>> engines()
    ('reference',)
    """
    return tuple(ENGINES)


def choose(name: str, parameters: Parameters) -> ModuleType:
    """Return the engine called `name`, or for ``auto`` the fastest that can run the cell.

    Raises
    ------
    OptionError
        If there is no such engine, or it cannot run the cell; the sentence says why.
    """
    one_of("engine", name, ("auto", *ENGINES))
    if name == "auto":
        return next(engine for engine in ENGINES.values() if engine.refusal(parameters) is None)
    if (reason := ENGINES[name].refusal(parameters)) is not None:
        raise OptionError(f"the engine {name!r} cannot run this cell: {reason}")
    return ENGINES[name]
