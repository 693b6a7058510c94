"""The program as a shell sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gatewise.cli import main


def exit_code(tokens: Sequence[str]) -> int:
    """Run the program and return what it exits with."""
    try:
        main(list(tokens))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def environment() -> dict[str, str]:
    """Return the environment of a program that runs elsewhere and imports what the tests do."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
