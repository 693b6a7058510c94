"""The program `gatewise`."""

from __future__ import annotations

import codecs
import errno
import io
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter

from gatewise.cli.check import check
from gatewise.cli.convert import convert
from gatewise.cli.example_files import with_example
from gatewise.cli.exercise import exercise
from gatewise.cli.export import export
from gatewise.cli.help import FLAGS, FULL, MORE, HelpFormatter
from gatewise.cli.inspect import inspect
from gatewise.cli.printing import COMMAND, drop, print_notes, printing_warnings
from gatewise.cli.trace import trace
from gatewise.cli.usage import flowing, sentence
from gatewise.cli.verify import verify
from gatewise.cli.walk import walk
from gatewise.errors import GatewiseError, shown
from gatewise.files.protecting import protecting_inputs


def _version() -> str:
    from importlib.metadata import version  # as much as a third of the program's start

    return version("gatewise")


def _default(value: object) -> str | None:
    """Return a default for the help; None, which hides it, for flags and empty defaults."""
    return None if value in (None, False, "") else str(value)


app = App(
    name="gatewise",
    help=flowing(
        """
        An LSTM you can see through: every gate of every step, exact.

        To begin with:

            gatewise walk --example lesson
            gatewise walk --help
        """
    ),
    version=_version,
    help_flags=FLAGS,
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    default_parameter=Parameter(negative="", show_default=_default, json_list=False),
)
COMMANDS: dict[str, Callable[..., None] | str] = {
    "walk": walk,
    "check": check,
    "exercise": exercise,
    "inspect": inspect,
    "trace": trace,
    "plot": "gatewise.cli.plot:plot",  # imported when it is asked for, with all pictures and questions
    "report": "gatewise.cli.report:report",
    "page": "gatewise.cli.page:page",
    "verify": verify,
    "judge": "gatewise.cli.judge:judge",
    "reproduce": "gatewise.cli.reproduce:reproduce",
    "convert": convert,
    "export": export,
}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
for place, (name, command) in enumerate(COMMANDS.items()):
    if not isinstance(command, str):
        command.__doc__ = flowing(command.__doc__)
    app.command(command, name=name, sort_key=place)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line.

    The exit code is 0, 1 where a command answers no, 2 with one sentence on standard error, or
    that of a signal: 130 of Ctrl-C, 143 of SIGTERM, 129 of a terminal that was closed.
    """
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    COMMAND.set(shlex.join(["gatewise", *tokens]))
    _spell_out(sys.stdout)
    _spell_out(sys.stderr)
    try:
        if tokens[:1] in ([], *([flag] for flag in FLAGS)):
            for name in COMMANDS:  # imports them, so that they say what they do
                app[name]
        FULL.set("--help-all" in tokens)
        command, bound, _ = app.parse_args(with_example(tokens), exit_on_error=False, print_error=False)
        try:
            with printing_warnings(), protecting_inputs():
                command(*bound.args, **bound.kwargs)
            if command == app.help_print and bound.args[0] and not FULL.get():
                print(MORE)
        except SystemExit as end:  # of a command whose exit code is an answer
            if isinstance(end.__context__, BrokenPipeError):  # of Rich, which then ends the program with exit code 1
                raise end.__context__ from None
            _flush()
            raise
        _flush()
    except BrokenPipeError:  # whoever reads the output has seen enough
        drop(sys.stdout)
    except CycloptsError as problem:
        _exit_with_error(sentence(problem, app))
    except (GatewiseError, MemoryError, OSError) as problem:
        try:
            _flush()
        except OSError:  # the problem is the output, which nothing more can be written to
            drop(sys.stdout)
        _exit_with_error(_describe(problem) or "out of memory")
    except KeyboardInterrupt as interrupt:
        # A handler of gatewise.__main__ gives the number; a library may give a text, or nothing.
        sys.exit(128 + next((number for number in interrupt.args if isinstance(number, int)), signal.SIGINT))


def _describe(problem: Exception) -> str:
    """Return the sentence about an error; that of an OSError of the system names its file."""
    if isinstance(problem, OSError) and not isinstance(problem, GatewiseError):
        if problem.filename is not None:
            return f"{shown(os.fsdecode(problem.filename), 400)} cannot be used: {problem.strerror}"
        if problem.errno in NO_ROOM:  # errors about files that gatewise writes name them
            return f"cannot write to standard output: {problem.strerror}"
    return str(problem)


def _spell_out(stream: object) -> None:
    """Let a stream whose encoding is not UTF write the characters that it lacks in those that it has."""
    if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        from gatewise.render.text import spell_out

        codecs.register_error("gatewise.spell_out", spell_out)
        stream.reconfigure(errors="gatewise.spell_out")


def _exit_with_error(message: str) -> NoReturn:
    """Print an error on standard error as the program's own, and end the program with exit code 2."""
    print_notes([message])
    sys.exit(2)


def _flush() -> None:
    """Write the rest of the output, so that an error in writing is told here and not as the interpreter ends."""
    if sys.stdout is not None:  # it may be closed
        sys.stdout.flush()
