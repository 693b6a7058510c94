"""The few exception types of gatewise. Each carries one sentence: what was wrong, what was given, what is allowed."""

from __future__ import annotations


class GatewiseError(Exception):
    """The base of every error that gatewise raises on purpose."""


class ShapeError(GatewiseError, ValueError):
    """Sizes that do not agree."""


class OptionError(GatewiseError, ValueError):
    """A value, a name or a combination of switches that is not allowed."""


class NotKeptError(GatewiseError, LookupError):
    """A question that a trace cannot answer, since it kept less than the question needs."""


class FileError(GatewiseError, OSError):
    """A file that cannot be read or written, or does not hold what was asked of it."""


class CapacityError(GatewiseError, MemoryError):
    """A request for more memory than this machine has to give."""


class MissingExtraError(GatewiseError, ImportError):
    """An optional package that is needed here and is not installed."""


def one_of(what: str, given: object, allowed: tuple[str, ...]) -> str:
    """Return `given` where it is one of `allowed`; otherwise say so in one sentence.

    Raises
    ------
    OptionError
        If `given` is none of `allowed`.
    """
    if isinstance(given, str) and given in allowed:
        return given
    raise OptionError(f"there is no {what} {given!r}; allowed: {', '.join(allowed)}")
