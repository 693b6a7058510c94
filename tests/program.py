"""The program as a shell sees it.

A shell starts a program anew for each command; here one answers thousands. What arguments a command has is most of the
time that a short one takes, and always the same: so it is found out once, and every command gets copies.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from gatewise.cli import main

assemble = App.assemble_argument_collection
FOUND: dict[tuple[Any, ...], Any] = {}  # the arguments of commands, by what they depend on


def assembled(app: App, *, default_parameter: Any = None, parse_docstring: bool = False) -> Any:
    """Return the arguments of a command, with nothing given to them."""
    key = app.default_command, parse_docstring, repr(app.app_stack.default_parameter), repr(default_parameter)
    if key not in FOUND:
        FOUND[key] = assemble(app, default_parameter=default_parameter, parse_docstring=parse_docstring)
    memo = {id(one): copy.copy(one) for one in FOUND[key]}
    for one in memo.values():
        one.tokens = []
        one.children = type(one.children)(memo[id(child)] for child in one.children)
    return type(FOUND[key])(memo[id(one)] for one in FOUND[key])


App.assemble_argument_collection = assembled  # type: ignore[method-assign]


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


def output_of(capsys: pytest.CaptureFixture[str], *tokens: object, code: int = 0) -> str:
    """Run the program, which must exit with a code, and return what it prints; with code 2, on standard error."""
    assert exit_code([str(token) for token in tokens]) == code
    text = capsys.readouterr()
    return text.err if code == 2 else text.out


def folder_contents() -> dict[Path, bytes | None]:
    """Return what lies in the working folder: of files their bytes, None of anything else."""
    return {path: path.read_bytes() if path.is_file() else None for path in Path().iterdir()}


def whole_contents() -> dict[Path, bytes | None]:
    """Return what lies in the working folder, without stores that are not whole and have whole chunks to go on with."""

    def has_chunks(path: Path) -> bool:
        done = path / "done"
        return path.name.endswith(".zarr.partial") and done.is_dir() and any(done.iterdir())

    return {path: content for path, content in folder_contents().items() if not has_chunks(path)}


def refusal_of(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    """Return the one sentence that a command is refused with; it leaves the folder as it was.

    Only the whole chunks of a store that could not be finished may be left, some of them after the sentence.
    """
    before = whole_contents()
    capsys.readouterr()
    assert exit_code([str(token) for token in tokens]) == 2
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err.startswith("gatewise: ")
    assert text.err.count("\n") == 1, text.err
    assert text.err[:-1].isprintable()
    assert whole_contents() == before
    return text.err.removeprefix("gatewise: ").rstrip("\n")
