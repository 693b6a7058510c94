"""Errors of a command line, in one sentence; and help whose paragraphs flow with the terminal."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from typing import Any, get_args

import cyclopts

from gatewise.errors import join_names, shown

CLOSE = 0.75  # how alike two names must be, of 1, before one is suggested for the other
INSTEAD = {"verify": " (your own numbers are compared by gatewise check)"}  # where another command may be meant
ELSEWHERE = {"--cluster": "in Python, gw.apply runs on the workers of a Client of dask.distributed"}  # for an option


def flowing(text: str | None) -> str:
    """Return a command's docstring as help: each paragraph on a line of its own, indented examples as they are."""
    lines: list[str] = []
    inner = 0  # how far in a paragraph of this section is
    for line in inspect.cleandoc(text or "").splitlines():
        depth = len(line) - len(line.lstrip())
        if line.startswith("---"):
            inner = 4
        goes_on = lines and lines[-1].strip() and not lines[-1].endswith("---") and not line.startswith("---")
        if goes_on and line and depth == inner == len(lines[-1]) - len(lines[-1].lstrip()):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


def sentence(problem: cyclopts.CycloptsError, app: cyclopts.App) -> str:
    """Return an error of a command line in one sentence, with what is allowed."""
    command = " ".join(problem.command_chain or ())
    if not command:
        return _unknown_command(problem, app)
    if isinstance(problem, cyclopts.UnknownOptionError):
        return _unknown_option(problem, command, app)
    if isinstance(problem, cyclopts.MissingArgumentError):
        return _missing_arguments(problem, command, app)
    if isinstance(problem, cyclopts.CoercionError) and problem.token is not None:
        return _misread_value(problem)
    if isinstance(problem, cyclopts.RepeatArgumentError):
        return f"{problem.token.keyword} is given more than once"
    if isinstance(problem, cyclopts.UnusedCliTokensError):
        return _superfluous_argument(problem, command, app)
    problem.verbose = False
    return f"{command}: {' '.join(str(problem).split()).rstrip('.')}"


def _unknown_command(problem: cyclopts.CycloptsError, app: cyclopts.App) -> str:
    """Return the error of a command line that begins with no command, with the nearest name."""
    command = (problem.unused_tokens or problem.root_input_tokens or [""])[0]
    names = [name for name in app if not name.startswith("-")]
    if command.startswith("-"):
        return f"there is no option {shown(command)} before a command; gatewise --help lists the commands"
    if os.path.isfile(command):
        return f"{shown(command)!r} is a file, not a command; gatewise inspect says what is in a file"
    close = _closest_name(command, names)
    return f"there is no command {shown(command)!r}; " + (
        f"did you mean {close}?" if close else f"allowed: {join_names(names, 'and')}"
    )


def _unknown_option(problem: cyclopts.UnknownOptionError, command: str, app: cyclopts.App) -> str:
    """Return the error of a command line with an unknown option, with the nearest name or the commands that have it."""
    option = (problem.token.keyword or problem.token.value or "").partition("=")[0]
    refusal = f"{command} has no option {shown(option)}"
    if option in ELSEWHERE:
        return f"{refusal}; {ELSEWHERE[option]}"
    if (close := _closest_name(option, _options(app, command))) is not None:
        return f"{refusal}; did you mean {close}?"
    having = [f"gatewise {other}" for other in app if not other.startswith("-") and option in _options(app, other)]
    instead = (
        f"{join_names(having, 'and')} {'has' if len(having) == 1 else 'have'} it" if having else "lists those it has"
    )
    return f"{refusal}; {instead}" if having else f"{refusal}; gatewise {command} --help {instead}"


def _options(app: cyclopts.App, command: str) -> list[str]:
    arguments = app[command].assemble_argument_collection()
    return [name for argument in arguments for name in argument.names if name.startswith("-")]


def _closest_name(wrong: str, names: Iterable[str]) -> str | None:
    """Return the command or option that a wrong name nearly equals or begins; None if there is none."""
    import difflib  # only where something is wrong

    plain = {name.lstrip("-"): name for name in names}
    wrong = wrong.lstrip("-")
    begun = [name for name in plain if len(wrong) > 2 and name.startswith(wrong)]
    close = sorted(begun, key=len) or difflib.get_close_matches(wrong, plain, n=1, cutoff=CLOSE)
    return plain[close[0]] if close else None


def _missing_arguments(problem: cyclopts.MissingArgumentError, command: str, app: cyclopts.App) -> str:
    """Return the error of a command line that lacks arguments, with the names of all that are missing."""
    first: Any = problem.argument
    typed = {token.partition("=")[0] for token in problem.root_input_tokens or ()}
    if used := next((name for name in first.names if name in typed), None):
        return f"{used} needs a value after it"
    # Positional arguments are filled from the left: those behind the first that is missing are missing too.
    required = [argument for argument in app[command].assemble_argument_collection() if argument.required]
    after = next((n for n, argument in enumerate(required) if argument.name == first.name), 0)
    missing = [argument for argument in required[after:] if typed.isdisjoint(argument.names)]
    names = [
        join_names((_label(argument) for argument in missing if (argument.index is None) == option), "and")
        for option in (False, True)
    ]
    needed = (", and " if " and " in names[0] else " and ").join(filter(None, names))
    return f"{command} needs {needed}{INSTEAD.get(command, '')}; gatewise {command} --help shows examples"


def _label(argument: Any) -> str:
    name = next((name for name in argument.names if name.startswith("--")), argument.name)
    return str(name) if argument.index is None else str(name).lstrip("-").upper()


def _misread_value(problem: cyclopts.CoercionError) -> str:
    """Return the error of a command line in which an option has a value that it does not allow."""
    token: Any = problem.token
    name = token.keyword or _label(problem.argument)
    if problem.msg is not None:  # of a converter of ours, which says what it must be
        return f"{name} {str(problem.msg).removeprefix('it ')}"
    choices = [str(choice) for choice in get_args(problem.target_type)]
    allowed = f"one of {', '.join(choices)}" if choices else "a number"
    if problem.target_type is bool:
        return f"{name} takes no value"
    close = _closest_name(token.value, choices)
    return f"{name} must be {allowed}, not {shown(token.value)!r}" + (f"; did you mean {close}?" if close else "")


def _superfluous_argument(problem: cyclopts.UnusedCliTokensError, command: str, app: cyclopts.App) -> str:
    """Return the error of a command line with an argument more than the command takes."""
    token = (problem.unused_tokens or [""])[0]
    arguments = app[command].assemble_argument_collection()
    labels = [_label(argument) for argument in arguments if argument.index is not None]
    numbers = token.replace(",", "").replace(".", "").isdigit()
    hint = "; several numbers have commas between them and no blanks, as in 1,2,3" if numbers else ""
    return f"{command} takes {join_names(labels, 'and') or 'options alone'}, and not {shown(token)!r} as well{hint}"
