"""page: an LSTM as a web page to play with."""

from __future__ import annotations

from gatewise.playground.assembly import assemble
from gatewise.playground.document import teaching


def page() -> str:
    """Return the teaching page."""
    return assemble(teaching())
