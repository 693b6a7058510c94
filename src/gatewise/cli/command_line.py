"""The command as it was typed, for the provenance of what it writes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

_tokens: ContextVar[tuple[str, ...]] = ContextVar("tokens", default=())


def remember(tokens: Sequence[str]) -> None:
    """Remember the words of the command that runs now."""
    _tokens.set(tuple(tokens))


def command_text() -> str:
    """Return the command that runs now, quoted for a shell."""
    return shlex.join(["gatewise", *_tokens.get()])
