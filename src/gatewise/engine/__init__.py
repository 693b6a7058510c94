"""The engines: each runs a cell over time and fills a trace, and computes the gradients from the trace."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from gatewise.arrays import size
from gatewise.engine import native, reference
from gatewise.errors import OptionError, one_of
from gatewise.parameters import Parameters

ENGINES: dict[str, ModuleType] = {
    native.NAME: native,
    reference.NAME: reference,
}  # fastest first; the last one runs all


@dataclass(frozen=True)
class Engine:
    """One engine, as it is on this machine.

    Attributes
    ----------
    name : str
        Its name, for ``engine=``.
    available : bool
    why_not : str or None
        Why it is not available.
    kernel : str or None
        The kernel that the native engine uses, one for each instruction set; the environment variable GATEWISE_KERNEL
        selects another. If it is none when gatewise is imported, the native engine is not available.
    kernels : tuple of str
        The kernels that this machine can run, fastest first.
    threads : int
        How many threads it uses at most.

    Examples
    --------
    >>> [engine.name for engine in gw.engines()]
    ['native', 'reference']
    """

    name: str
    available: bool = True
    why_not: str | None = None
    kernel: str | None = None
    kernels: tuple[str, ...] = ()
    threads: int = 1


def engines() -> tuple[Engine, ...]:
    """Return the engines, fastest first; ``engine="auto"`` takes the first that can run a cell.

    Raises
    ------
    OptionError
        If GATEWISE_KERNEL is not a kernel that this machine can run, or GATEWISE_NUM_THREADS is not from 1 to 1024.

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
    """Set the largest number of threads of a run; results are the same bit for bit with any number.

    Only which bits a NaN has is not promised. By default it is GATEWISE_NUM_THREADS, or else the number of CPUs that
    this process may use. Only the native engine uses threads.

    Raises
    ------
    OptionError
        If it is not an integer from 1 to 1024.

    Examples
    --------
    >>> threads = gw.engines()[0].threads
    >>> gw.set_num_threads(1)
    >>> gw.engines()[0].threads
    1
    >>> gw.set_num_threads(threads)
    """
    native.set_num_threads(size("the number of threads", count))


def choose(name: str, parameters: Parameters) -> ModuleType:
    """Return the engine called `name`, or for ``auto`` the fastest that can run the cell."""
    if isinstance(name, str) and name == "auto":
        return next(engine for engine in ENGINES.values() if engine.refusal(parameters) is None)
    one_of("engine", name, ("auto", *ENGINES))
    if (reason := ENGINES[name].refusal(parameters)) is not None:
        raise OptionError(f"the engine {name!r} cannot run this cell: {reason}")
    return ENGINES[name]


def engine_of_edits(name: str) -> ModuleType:
    """Return the engine of a run with edits: the reference engine, which alone does them."""
    if name not in ("auto", reference.NAME):
        raise OptionError(f"a run with edits takes the reference engine ('auto' or {reference.NAME!r}), not {name!r}")
    return reference
