"""The program `gatewise`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from gatewise.cli.check import check
from gatewise.cli.convert import convert
from gatewise.cli.exercise import exercise
from gatewise.cli.inspect import inspect
from gatewise.cli.trace import trace
from gatewise.cli.verify import verify
from gatewise.cli.walk import walk
from gatewise.errors import GatewiseError


def _version() -> str:
    from importlib.metadata import version  # as much as a third of the program's start

    return version("gatewise")


app = App(
    name="gatewise",
    help="An LSTM you can see through: every gate of every step, exact.",
    version=_version,
    help_format="plaintext",
)
app.command(walk)
app.command(check)
app.command(exercise)
app.command(inspect)
app.command(trace)
app.command(convert)
app.command(verify)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the program: exit code 0, or 2 with one sentence on standard error."""
    try:
        command, bound, _ = app.parse_args(
            list(sys.argv[1:] if tokens is None else tokens), exit_on_error=False, print_error=False
        )
        command(*bound.args, **bound.kwargs)
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output has seen enough
        _drop_output()
    except (GatewiseError, CycloptsError, MemoryError, OSError) as problem:
        from gatewise.render.text import clean

        print(f"gatewise: {clean(str(problem)) or 'out of memory'}", file=sys.stderr)
        if isinstance(problem, OSError) and not isinstance(problem, GatewiseError):
            _drop_output()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _drop_output() -> None:
    """Send what is still to be written nowhere, so that the interpreter does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
