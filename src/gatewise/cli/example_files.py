"""The option --example: the files of a trained model that comes with gatewise, in the place of a person's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatewise.errors import OptionError, join_names, shown
from gatewise.examples import TRAINED

OPTION = "--example"
PLACES = {  # of each command, the files that it is given in order
    "inspect": ("model",),
    "trace": ("model", "input"),
    "plot": ("model", "input"),
    "report": ("model", "input"),
    "page": ("model", "input"),
    "verify": ("model", "input", "answers"),
    "convert": ("model",),
    "export": ("model",),
}
OPTIONS = {  # of each command, the options that it is given, with their files
    "report": {"--targets": "observed", "--values": "values", "--text": "text"},
}


def with_example(tokens: Sequence[str]) -> list[str]:
    """Return the words of a command line with the files of a trained example instead of ``--example NAME``.

    Raises
    ------
    OptionError
        If there is no example of that name, or files are given as well.
    """
    command, *rest = tokens or [""]
    place = next((place for place, word in enumerate(rest) if word.partition("=")[0] == OPTION), None)
    if command not in PLACES or place is None:
        return [*tokens]
    _, equals, name = rest[place].partition("=")
    end = place + 1 if equals else place + 2
    if not equals and place + 1 == len(rest):
        return [*tokens]  # the parser says that the name is missing
    name = name if equals else rest[place + 1]
    if name not in TRAINED:
        raise OptionError(f"there is no example {shown(name)!r}. Choose {join_names(list(TRAINED), 'or')}.")
    files, others = TRAINED[name], [*rest[:place], *rest[end:]]
    if others and not others[0].startswith("-"):
        raise OptionError(f"{OPTION} {name} brings its own files. Leave out {shown(others[0])}.")
    options = []
    for option, kind in OPTIONS.get(command, {}).items():
        path: Path | None = getattr(files, kind)
        if path is not None and not any(word.partition("=")[0] == option for word in others):
            options += [option, str(path)]
    return [command, *(str(getattr(files, kind)) for kind in PLACES[command]), *options, *others]
