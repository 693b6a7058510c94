"""A disk without room, or a limit on the size of files: one sentence names the output, and what was there stays."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from every_command import CALLS, put_files
from program import exit_code

resource = pytest.importorskip("resource")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file become larger than so many bytes, which each write is told as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FORMATS = {(call.command, Path(output).suffix): (call, output) for call in CALLS for output in call.outputs}


SLOW = {"report", "judge"}  # take a second or more, whatever they write
ROOMS = ("none", "half", "all but a byte")


def rooms() -> Iterator[Any]:
    """Yield a command, a suffix and a room for each format; the other rooms are for the peers."""
    for place, (command, suffix) in enumerate(FORMATS):
        kept = "none" if command in SLOW else ROOMS[place % 3]
        for room in ROOMS[:2] if command == "exercise" else ROOMS:  # exercise draws new numbers each time
            usual = "half" if command == "exercise" else kept
            yield pytest.param(command, suffix, room, marks=[pytest.mark.peers] * (room != usual))


@pytest.mark.parametrize(("command", "suffix", "room"), [*rooms()])
def test_an_output_for_which_there_is_no_room_is_named_and_what_was_there_stays(command, suffix, room, here, capsys):
    call, output = FORMATS[command, suffix]
    put_files(here)
    line = [*call.line, "-o", output]
    size = 0
    if room != "none":
        assert exit_code(line) in (0, 1)
        largest = max(path.stat().st_size for path in (Path(output), *Path(output).rglob("*")) if path.is_file())
        size = largest // 2 if room == "half" else largest - 1
    if command == "exercise":
        rmtree(output, ignore_errors=True)
    else:
        Path(output).write_bytes(b"what was there")
    before = contents(here)
    capsys.readouterr()
    with largest_file(size):
        assert exit_code(line) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), error[:10]) == (1, "gatewise: "), error
    assert f"cannot write {output}" in error
    assert "File too large" in error
    assert ".tmp" not in error
    assert contents(here) == before
