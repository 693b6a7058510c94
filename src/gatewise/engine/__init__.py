"""Engines: each runs a cell over time and fills a trace, and goes back over the trace for the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from gatewise.arrays import size
from gatewise.engine import native, reference
from gatewise.errors import OptionError, one_of
from gatewise.parameters import Parameters

ENGINES: dict[str, ModuleType] = {native.NAME: native, reference.NAME: reference}  # fastest first; the last runs all


@dataclass(frozen=True)
class Engine:
    """What one engine is on this machine.

    Attributes
    ----------
    name : str
        What `engine=` calls it.
    available : bool
    why_not : str or None
        Why it is not available.
    kernel : str or None
        Of a native engine: the instruction set that it uses. The environment variable GATEWISE_KERNEL names another.
    kernels : tuple of str
        Those that this machine can run, fastest first.
    threads : int
        How many it uses at most.
    """

    name: str
    available: bool = True
    why_not: str | None = None
    kernel: str | None = None
    kernels: tuple[str, ...] = ()
    threads: int = 1


def engines() -> tuple[Engine, ...]:
    """Return what engines there are, fastest first; ``engine="auto"`` takes the first that can run a cell.

    Raises
    ------
    OptionError
        If GATEWISE_KERNEL or GATEWISE_NUM_THREADS asks for what is not there.

    Examples
    --------
    >>> engines()[-1]
    Engine(name='reference', available=True, why_not=None, kernel=None, kernels=(), threads=1)
    """
    if native.MISSING is not None:
        return Engine(native.NAME, False, native.MISSING), Engine(reference.NAME)
    return (
        Engine(native.NAME, kernel=native.kernel(), kernels=native.kernels(), threads=native.num_threads()),
        Engine(reference.NAME),
    )


def set_num_threads(count: int) -> None:
    """Say how many threads a run may use at most; it gives the same bits with any number.

    At first it is GATEWISE_NUM_THREADS, or as many as there are CPUs that this process may use. Only the native engine
    has threads.

    Raises
    ------
    OptionError
        If it is not a whole number from 1 to 1024.
    """
    native.set_num_threads(size("the number of threads", count))


def choose(name: str, parameters: Parameters) -> ModuleType:
    """Return the engine called `name`, or for ``auto`` the fastest that can run the cell.

    Raises
    ------
    OptionError
        If there is no such engine, or it cannot run the cell; the sentence says why.
    """
    if name == "auto":
        return next(engine for engine in ENGINES.values() if engine.refusal(parameters) is None)
    one_of("engine", name, ("auto", *ENGINES))
    if (reason := ENGINES[name].refusal(parameters)) is not None:
        raise OptionError(f"the engine {name!r} cannot run this cell: {reason}")
    return ENGINES[name]
